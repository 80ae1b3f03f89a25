import type { TLSSocket } from 'node:tls'
import { TransportError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import type { VerifiedPeer } from '../trust/verdict.ts'
import type { ClientIdentity } from './client-certificate.ts'
import type { Connection } from './connector.ts'
import type { Exchange } from './exchange.ts'

/** One connection, judged, of one origin, and the exchanges that it carries. */
export abstract class Lane {
  readonly socket: TLSSocket
  peer: VerifiedPeer
  /** The client's certificate it was made with. */
  readonly identity: ClientIdentity | undefined
  isRetired = false
  /** The peer spoke before it was asked anything. */
  wasUnsolicited = false
  protected readonly host: string
  protected readonly runtime: Runtime
  /** Whether it gets no further request, by `createAge`. */
  readonly isOlderThan: IsOlderThan
  #grace: { readonly due: number; readonly cancel: Cancel } | undefined

  constructor({ socket, peer, identity }: Connection, host: string, runtime: Runtime) {
    this.socket = socket
    this.peer = peer
    this.identity = identity
    this.host = host
    this.runtime = runtime
    this.isOlderThan = createAge(runtime)
    socket.once('close', () => this.#grace?.cancel())
  }

  /** It carries several exchanges at once. */
  abstract readonly isShared: boolean
  /** It is known how many it may carry. */
  abstract readonly isReady: boolean
  /** No further exchange can be sent on it. */
  abstract readonly isDead: boolean
  /** It carried an exchange before. */
  abstract readonly isReused: boolean
  /** It carries none now. */
  abstract readonly isIdle: boolean
  /** It can carry one more now. */
  abstract readonly hasRoom: boolean

  abstract run(exchange: Exchange): void

  /** The exchange is over, the connection is not. */
  abstract free(exchange: Exchange): void

  /** Its next request may never come: what is not used is not kept. */
  abstract waitForUse(): void

  /** Closes it, after the exchanges that it carries. */
  abstract end(): void

  /**
   * Gets no further request; one that only waits goes elsewhere, one whose first byte was written has some time to finish:
   * `graceMs`, or with `FOREVER` as much as it takes. Of several, the one that is over first.
   */
  abstract retire(graceMs?: number): void

  /** Closes it now; what it carries fails, or waits for another when none of it was written. */
  abstract stop(reason?: Error): void

  /** Ends responses that would last as long as the connection. */
  abstract endEndless(reason: Error): void

  /** After an exchange that failed half-way, what comes next on a connection that is not shared belongs to nobody. */
  abstract discard(): void

  protected endIn(graceMs: number): void {
    const due = this.runtime.clock.monotonic() + graceMs
    if (graceMs === FOREVER || (this.#grace !== undefined && this.#grace.due <= due)) return
    this.#grace?.cancel()
    this.#grace = { due, cancel: this.runtime.schedule(graceMs, () => this.stop(this.#late(graceMs))) }
  }

  #late(graceMs: number): TransportError {
    const message = `${this.host}: the connection was closed, ${graceMs} ms after it was to get no further request`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, { host: this.host, requestSent: 'maybe' })
  }
}

export type IsOlderThan = (preferredMs: number, mostMs: number) => boolean

/**
 * The age of a connection that was made now. By the monotonic clock or by the wall clock, whichever says more: the one stands still
 * in a process that sleeps, the other may be set back. Spread over a tenth, so that connections made together do not end together.
 */
export function createAge({ clock, random }: Pick<Runtime, 'clock' | 'random'>): IsOlderThan {
  const born = { monotonic: clock.monotonic(), wall: clock.now() }
  const lot = (random(1)[0] ?? 0) / 256
  return (preferredMs, mostMs) => {
    const age = Math.max(clock.monotonic() - born.monotonic, clock.now() - born.wall)
    return age >= Math.min(preferredMs * (0.9 + 0.2 * lot), mostMs * (0.9 + 0.1 * lot))
  }
}

export const FOREVER = Number.POSITIVE_INFINITY
export const GRACE_MS = 30_000 // a rotated key should be gone within a minute
