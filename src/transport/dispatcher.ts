import type { Dispatcher as UndiciDispatcher } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, PolicyError } from '../errors/errors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { CallTime } from './call.ts'
import { type Connection, type Connector, type ConnectorOptions, createConnector } from './connector.ts'
import { Exchange, type ExchangeLimits } from './exchange.ts'
import { clientClosed } from './failure.ts'
import { type Inspect, InspectedHandler } from './inspection.ts'
import { FOREVER, type Lane } from './lane.ts'
import { COMPROMISED, LentSockets } from './lent-sockets.ts'
import { MAX_CONNECTIONS, type Timeouts } from './limits.ts'
import { OriginPool, type OriginPoolOptions } from './origin-pool.ts'
import { rawHandlerOf } from './raw-handler.ts'
import { lengthOf } from './request-body.ts'
import { checkedHeaders, requireOriginForm } from './request-headers.ts'
import { createSeenPeers, type SeenPeers } from './seen-peers.ts'
import { Sweep } from './sweep.ts'
import { type VerifyingTlsOptions, verifyingTlsOptions } from './tls-options.ts'
import { Dispatcher } from './undici.ts'

/** A request, the call that it is part of where that takes several, and who looks at the response first. */
export type DispatchOptions = UndiciDispatcher.DispatchOptions & {
  readonly call?: CallTime | undefined
  readonly inspect?: Inspect | undefined
}

export interface DispatcherOptions extends ConnectorOptions, ExchangeLimits {
  readonly timeouts: Timeouts // the connector names two of them
  /** To one origin at once; who finds none free waits. Default 256. */
  readonly connections?: number
  /** Throws a PolicyError for a request that may not leave. Asked first: of one that is refused, not even the name is resolved. */
  readonly egress?: ((origin: CanonicalOrigin, method: string, path: string) => void) | undefined
}

/** How many connections of an origin carry a request now, and how many wait for one. */
export interface OpenConnections {
  readonly host: string
  readonly active: number
  readonly idle: number
}

/**
 * An undici dispatcher with one pool per origin. A request reaches a connection only while the policy its peer was judged
 * under is the policy in force; when the policy changes, live peers are judged again from what they presented, and
 * connections to refused ones get no further request.
 *
 * Refuses before any packet: other schemes than https, a Host header or target that names another host, origins without policy.
 */
export class PinnedDispatcher extends Dispatcher {
  readonly #options: DispatcherOptions
  readonly #connector: ReturnType<typeof createConnector>
  /** What a policy to come can be tried on. */
  readonly seen: SeenPeers
  /** Connections that others carry their requests on. */
  readonly lent: LentSockets
  readonly #origins = new Map<string, CanonicalOrigin>()
  readonly #pools = new Map<string, OriginPool>()
  readonly #poolOptions: OriginPoolOptions
  readonly #sweep: Sweep
  #closed = false

  constructor(options: DispatcherOptions) {
    super()
    const { runtime, timeouts, limits, connections = MAX_CONNECTIONS, http2 = 'never' } = options
    this.#options = options
    this.#connector = createConnector(options)
    this.seen = createSeenPeers(this.#connector.evaluate)
    this.lent = new LentSockets({ ...options, connector: this.#connector })
    this.#sweep = new Sweep(runtime, periodFor(timeouts))
    this.#poolOptions = {
      connect: this.#connector.connect,
      runtime,
      limits,
      connections,
      http2,
      onConnected: (pool, connection) => this.#admit(pool, connection),
      judge: (pool) => this.#keepCurrent(pool),
      onEmpty: (pool) => {
        if (this.#pools.get(pool.origin.text) === pool) this.#pools.delete(pool.origin.text)
      },
    }
  }

  override dispatch(wanted: DispatchOptions, handler: UndiciDispatcher.DispatchHandler): boolean {
    const { call, inspect } = wanted
    const ended = call?.endedBy?.()
    if (ended !== undefined) throw ended
    const options = call?.atDispatch?.(wanted) ?? wanted
    const origin = this.#originOf(options.origin)
    if (this.#closed) throw clientClosed(origin.text, 'no')
    this.#options.egress?.(origin, String(options.method), String(options.path))
    requireOriginForm(options.path, origin)
    const headers = checkedHeaders(options.headers, origin, lengthOf(options.body))
    const pool = this.#poolOf(origin)
    // An explicit servername, so that no header steers which connection undici takes.
    const servername = origin.kind === 'dns' ? origin.host : null
    const request = { ...options, headers, servername } as UndiciDispatcher.DispatchOptions
    const now = this.#options.runtime.clock.monotonic()
    const { method, path } = options
    const raw = rawHandlerOf(handler)
    const sent = { authority: origin.text, method, path, headers }
    const given = inspect === undefined ? raw : new InspectedHandler(raw, inspect(sent))
    new Exchange(origin, request, given, pool, this.#sweep, this.#limitsFor(origin), now, call).begin()
    return true
  }

  /** For a connection that somebody else makes. @throws PinfetchError where no policy covers the origin. */
  tlsOptions(origin: CanonicalOrigin): VerifyingTlsOptions {
    if (this.#closed) throw clientClosed(origin.text, 'no')
    const judge: Connector['judge'] = (...given) => {
      if (this.#closed) throw clientClosed(origin.text, 'no') // no longer told what changes
      return this.#connector.judge(...given)
    }
    return verifyingTlsOptions(origin, { ...this.#options, judge })
  }

  /** Call when the policies changed: every live connection is judged again, in this tick. */
  policyChanged(): void {
    this.#connector.reviewSessions()
    for (const pool of [...this.#pools.values()]) {
      try {
        this.#keepCurrent(pool)
      } catch (error) {
        if (!(error instanceof PinfetchError)) throw error
        pool.refuseAll(error) // no policy covers the origin any longer
        for (const lane of [...pool.lanes]) {
          this.#connector.cut(pool.origin, lane, error)
          if (COMPROMISED.has(error.code)) lane.stop(error)
        }
        this.#retire(pool, [...pool.lanes], error)
      }
    }
    this.lent.review()
  }

  /** Call when fetched evidence changed: live connections whose certificate turns out to be revoked end in this tick. */
  evidenceChanged(): void {
    this.#connector.reviewSessions()
    for (const pool of [...this.#pools.values()]) this.#judgeAgain(pool, pool.policy)
    this.lent.review()
  }

  /**
   * Call when new connections are made with another client certificate: those there are finish what they carry, while theirs is
   * valid, and get nothing new, and the sessions of the old one are not resumed.
   */
  certificateChanged(): void {
    this.#connector.reviewSessions()
    const now = this.#options.runtime.clock.now()
    for (const { lanes } of this.#pools.values()) {
      for (const lane of [...lanes]) {
        const { notAfter } = lane.identity ?? {}
        lane.retire(notAfter === undefined ? FOREVER : Math.max(0, notAfter - now - BEFORE_END_MS))
      }
    }
  }

  /** Origins with a connection, or with somebody who waits for one. */
  get origins(): number {
    return this.#pools.size
  }

  /** The open connections of each origin that has one, those that are lent excepted. */
  get connections(): readonly OpenConnections[] {
    return [...this.#pools.values()].flatMap(({ origin, lanes }) => {
      const idle = [...lanes].filter((lane) => lane.isIdle).length
      return lanes.size === 0 ? [] : [{ host: origin.text, active: lanes.size - idle, idle }]
    })
  }

  /** Requests of which something was written are finished, each within its own time, event streams excepted. */
  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | undefined {
    const ended = this.#end((pool) => pool.close(), this.lent.close())
    return settle(ended, callback)
  }

  override destroy(error?: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | undefined {
    const cause = first instanceof Error ? first : undefined
    this.lent.destroy(cause)
    const ended = this.#end((pool) => pool.destroy(cause))
    return settle(ended, typeof first === 'function' ? first : second)
  }

  async #end(end: (pool: OriginPool) => Promise<void>, lent?: Promise<void>): Promise<void> {
    this.#closed = true
    this.#connector.closeSessions()
    await Promise.all([...[...this.#pools.values()].map(end), lent])
    this.#sweep.stop()
  }

  #limitsFor(origin: CanonicalOrigin): ExchangeLimits {
    const timeouts = this.#options.timeoutsOf?.(origin)
    return timeouts === undefined ? this.#options : { ...this.#options, timeouts }
  }

  #originOf(origin: string | URL | undefined): CanonicalOrigin {
    const text = String(origin ?? '')
    const known = this.#origins.get(text)
    if (known !== undefined) return known
    const url = URL.canParse(text) ? new URL(text) : undefined
    const canonical = url?.protocol === 'https:' ? canonicalOrigin(url) : undefined
    if (canonical === undefined) {
      const message = `${url?.origin ?? 'request'}: only https URLs are requested`
      throw new PolicyError('ERR_POLICY_PLAINTEXT', message)
    }
    if (this.#origins.size >= MAX_SPELLINGS) this.#origins.clear()
    this.#origins.set(text, canonical)
    return canonical
  }

  #poolOf(origin: CanonicalOrigin): OriginPool {
    const known = this.#pools.get(origin.text)
    if (known !== undefined) {
      this.#keepCurrent(known)
      return known
    }
    const pool = new OriginPool(origin, this.#options.policyOf(origin), this.#poolOptions)
    this.#pools.set(origin.text, pool)
    return pool
  }

  #admit(pool: OriginPool, { socket, peer, identity }: Connection): void {
    if (identity !== this.#options.certificate?.()) {
      for (const lane of pool.lanes) if (lane.socket === socket) lane.retire() // made with one that was replaced meanwhile
    }
    const change = this.seen.remember(pool.origin, peer)
    if (change !== undefined) {
      const { manifestVersion } = peer.policy
      this.#options.emit({ type: 'tls.keyChanged', host: pool.origin.text, ...change, manifestVersion })
    }
    pool.validUntil = Math.min(pool.validUntil, peer.validUntil)
  }

  /** @throws PinfetchError where no policy covers the origin. */
  #keepCurrent(pool: OriginPool): void {
    const policy = this.#options.policyOf(pool.origin)
    const isCurrent = pool.policy === policy || pool.policy.generation === policy.generation
    if (!isCurrent || this.#options.runtime.clock.now() >= pool.validUntil) this.#judgeAgain(pool, policy)
  }

  /** Judges every live peer of an origin under `policy`, and retires the connections to those that it refuses. */
  #judgeAgain(pool: OriginPool, policy: HostPolicy): void {
    const refused: Lane[] = []
    let refusal: PinfetchError | undefined
    let validUntil = Number.POSITIVE_INFINITY
    for (const lane of pool.lanes) {
      const result = this.#connector.reevaluate(pool.origin, lane, policy)
      if (!(result instanceof PinfetchError)) {
        lane.peer = result
        validUntil = Math.min(validUntil, result.validUntil)
        continue
      }
      refusal ??= result
      refused.push(lane)
      // A key that was reported as leaked may be in hostile hands at the other end: nothing in flight is finished.
      if (COMPROMISED.has(result.code)) lane.stop(result)
    }
    pool.policy = policy
    pool.validUntil = validUntil
    if (refusal !== undefined) this.#retire(pool, refused, refusal)
  }

  /** Idle connections close now, requests in flight finish within a grace; nothing new is sent on any of them. */
  #retire({ origin }: OriginPool, lanes: readonly Lane[], { code }: PinfetchError): void {
    const live = lanes.filter(({ isRetired }) => !isRetired)
    if (live.length > 0) this.#options.emit({ type: 'tls.retired', host: origin.text, connections: live.length, code })
    for (const lane of lanes) lane.retire()
  }
}

/** A quarter of the shortest time that it measures, and seldom enough to cost nothing. */
function periodFor({ totalMs, headersMs, bodyMs }: Timeouts): number {
  return Math.min(1_000, Math.max(10, Math.ceil(Math.min(totalMs, headersMs, bodyMs) / 4)))
}

function settle(ended: Promise<void>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return ended
  void ended.then(callback)
  return undefined
}

const BEFORE_END_MS = 1_000 // a peer's clock is not ours
const MAX_SPELLINGS = 1_000 // origins are few; the cap stops a caller who feeds random hosts
