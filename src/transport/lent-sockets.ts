import type { TLSSocket } from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError, TransportError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { VerifiedPeer } from '../trust/verdict.ts'
import type { ClientIdentity } from './client-certificate.ts'
import type { Connection, Connector } from './connector.ts'
import { clientClosed } from './failure.ts'
import { createAge, FOREVER, type IsOlderThan } from './lane.ts'
import type { Limits } from './limits.ts'

export interface LentSocketsOptions {
  readonly connector: Connector
  readonly policyOf: (origin: CanonicalOrigin) => HostPolicy
  readonly runtime: Runtime
  readonly limits: Limits
  readonly emit: Emit
  readonly certificate?: (() => ClientIdentity) | undefined
}

export interface Loan {
  /** As for a connector. Default: nothing is offered. */
  readonly protocols?: readonly string[]
  readonly signal?: AbortSignal | undefined
  /**
   * What becomes of the socket when the policy changes and refuses its peer. Default: it ends in that tick, since nobody knows what it
   * carries.
   */
  readonly onRefused?: (socket: TLSSocket, reason: PinfetchError) => void
}

/**
 * Verified connections in other hands: of clients that speak their own protocol. What is known of a connection of ours is known of
 * these: when the policy changes they are judged again, in that tick.
 */
export class LentSockets {
  readonly #options: LentSocketsOptions
  readonly #lent = new Map<TLSSocket, Lent>()
  readonly #attempts = new Map<(reason: PinfetchError) => void, CanonicalOrigin>()
  #isClosed = false

  constructor(options: LentSocketsOptions) {
    this.#options = options
  }

  /** Rejects with a PinfetchError, or with the reason of the signal. */
  lend(origin: CanonicalOrigin, loan: Loan = {}): Promise<TLSSocket> {
    const { protocols = [], signal } = loan
    if (this.#isClosed) return Promise.reject(clientClosed(origin.text, 'no'))
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        reject(signal?.reason)
        end(
          new TransportError('ERR_TRANSPORT_CLOSED', `${origin.text}: the connection was given up`, {
            host: origin.text,
          }),
        )
      }
      let isOver = false
      const done = (result: Connection | PinfetchError): void => {
        isOver = true
        this.#attempts.delete(end)
        signal?.removeEventListener('abort', onAbort)
        if (result instanceof PinfetchError) reject(result)
        else resolve(this.#record(origin, result, loan))
      }
      let end = (_: PinfetchError): void => undefined
      end = this.#options.connector.connect(origin, done, protocols)
      if (isOver) return // refused before any packet
      this.#attempts.set(end, origin)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Whether something new may be sent on it: judged under the policy in force, with the certificate in use, and not too old. */
  isCurrent(socket: TLSSocket): boolean {
    const lent = this.#lent.get(socket)
    const { certificate, limits } = this.#options
    if (lent === undefined || socket.destroyed || lent.identity !== certificate?.()) return false
    if (lent.refusal === undefined && !this.#isJudgedNow(lent)) this.#judge(lent)
    if (lent.refusal !== undefined) return false
    return !lent.isOlderThan(limits.connectionAgeMs, lent.peer.policy.maxConnectionAgeMs ?? FOREVER)
  }

  /** What is known by now of why nothing new may be sent to its peer; nobody looks again. */
  knownRefusal(socket: TLSSocket): PinfetchError | undefined {
    return this.#lent.get(socket)?.refusal
  }

  /** Judges all of them again, and ends the attempts that no policy covers any longer. */
  review(): void {
    for (const lent of [...this.#lent.values()]) this.#judge(lent)
    for (const [end, origin] of [...this.#attempts]) {
      const policy = this.#policyFor(origin)
      if (policy instanceof PinfetchError) end(policy)
    }
  }

  /** Lends no more. What `onRefused` knows how to finish gets half a minute for it, all else ends now, attempts included. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#giveUp(undefined)
    for (const lent of [...this.#lent.values()]) {
      const reason = clientClosed(lent.origin.text, 'maybe')
      lent.refusal ??= reason
      if (lent.onRefused === undefined) lent.socket.destroy(reason)
      else lent.onRefused(lent.socket, reason)
    }
    const cancel = this.#options.runtime.schedule(FINISH_MS, () => this.destroy(undefined))
    await Promise.all([...this.#lent.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    cancel()
  }

  /** Ends them all, and what is on its way to become one. */
  destroy(cause: Error | undefined): void {
    this.#isClosed = true
    this.#giveUp(cause)
    for (const { socket, origin } of [...this.#lent.values()]) socket.destroy(clientClosed(origin.text, 'maybe', cause))
  }

  #giveUp(cause: Error | undefined): void {
    for (const end of [...this.#attempts.keys()]) end(clientClosed('connection', 'no', cause))
  }

  #record(origin: CanonicalOrigin, { socket, peer, identity }: Connection, { onRefused }: Loan): TLSSocket {
    const isOlderThan = createAge(this.#options.runtime)
    this.#lent.set(socket, { origin, socket, peer, identity, isOlderThan, onRefused, refusal: undefined })
    socket.once('close', () => this.#lent.delete(socket))
    return socket
  }

  #judge(lent: Lent): void {
    const result = this.#verdict(lent)
    if (!(result instanceof PinfetchError)) {
      lent.peer = result
      return
    }
    const { socket, origin, onRefused, refusal } = lent
    lent.refusal ??= result
    if (refusal === undefined)
      this.#options.emit({ type: 'tls.retired', host: origin.text, connections: 1, code: result.code })
    if (onRefused === undefined || COMPROMISED.has(result.code)) socket.destroy(result)
    else if (refusal === undefined) onRefused(socket, result)
  }

  /** A policy ends by the clock as well, and nobody is called then. */
  #isJudgedNow({ origin, peer }: Lent): boolean {
    const policy = this.#policyFor(origin)
    if (policy instanceof PinfetchError) return false
    return policy.generation === peer.policy.generation && this.#options.runtime.clock.now() < peer.validUntil
  }

  #verdict({ origin, socket, peer }: Lent): VerifiedPeer | PinfetchError {
    const policy = this.#policyFor(origin)
    const { connector } = this.#options
    if (!(policy instanceof PinfetchError)) return connector.reevaluate(origin, { socket, peer }, policy)
    connector.cut(origin, { socket, peer }, policy)
    return policy
  }

  /** An error where no policy covers the origin any longer. */
  #policyFor(origin: CanonicalOrigin): HostPolicy | PinfetchError {
    try {
      return this.#options.policyOf(origin)
    } catch (error) {
      if (error instanceof PinfetchError) return error
      throw error
    }
  }
}

interface Lent {
  readonly origin: CanonicalOrigin
  readonly socket: TLSSocket
  readonly identity: ClientIdentity | undefined
  readonly isOlderThan: IsOlderThan
  readonly onRefused: Loan['onRefused']
  peer: VerifiedPeer
  /** The first: from then on it gets nothing new. */
  refusal: PinfetchError | undefined
}

/** A key that was reported as leaked may be in hostile hands at the other end: nothing in flight is finished. */
export const COMPROMISED: ReadonlySet<ErrorCode> = new Set([
  'ERR_TRUST_PIN_DENIED',
  'ERR_TRUST_CERT_REVOKED',
  'ERR_TRUST_CA_DISTRUSTED',
  'ERR_TRUST_INTERCEPTION',
  'ERR_POLICY_CONTAINED', // somebody decided so
])

const FINISH_MS = 30_000 // as long as the pools take for it
