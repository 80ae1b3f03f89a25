import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, TlsError, TransportError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { nextTurn } from '../ports/turn.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { certificateFailure } from './client-certificate.ts'
import type { Connection, Connector } from './connector.ts'
import type { Exchange, Lanes } from './exchange.ts'
import { clientClosed } from './failure.ts'
import { createHttp1Engine, type Http1Engine, Http1Lane } from './http1-lane.ts'
import { Http2Lane } from './http2-lane.ts'
import type { Lane } from './lane.ts'
import type { Http2, Limits } from './limits.ts'
import { inItsContext, rememberContext } from './request-channels.ts'

export interface OriginPoolOptions {
  readonly connect: Connector['connect']
  readonly runtime: Runtime
  readonly limits: Limits
  /** As many connections at once. */
  readonly connections: number
  /** Whether HTTP/2 is offered, of which one connection may do for all. */
  readonly http2: Http2
  /** Tells of a new connection. */
  readonly onConnected: (pool: OriginPool, connection: Connection) => void
  /** Retires what the policy in force now refuses. @throws PinfetchError where there is none any longer. */
  readonly judge: (pool: OriginPool) => void
  /** No connection, none under way, no exchange that is not over. */
  readonly onEmpty: (pool: OriginPool) => void
}

/**
 * The connections of one origin, and the line of exchanges that wait for one. An exchange gets a connection only when that
 * is made and judged: until then it is nobody's, so that a connection which fails, ages or loses its policy takes none
 * along.
 */
export class OriginPool implements Lanes {
  readonly origin: CanonicalOrigin
  policy: HostPolicy
  /** The earliest `validUntil` among the peers: from then on they are judged again before the next request. */
  validUntil = Number.POSITIVE_INFINITY
  readonly lanes = new Set<Lane>()
  readonly #options: OriginPoolOptions
  /** Those for one exchange at a time. The one used last at the end: it is taken first, and the others get old enough to close. */
  readonly #idle: Lane[] = []
  /** All that are not over: one whose connection ended may come back for another at any later moment. */
  readonly #exchanges = new Set<Exchange>()
  readonly #waiting = new Set<Exchange>()
  readonly #waitingForFresh = new Set<Exchange>()
  readonly #attempts = new Set<Attempt>()
  /** What the newest connection speaks; before there is one, what may be hoped for. */
  #isShared: boolean
  #isDraining = false
  #closed: PinfetchError | undefined
  #whenEmpty: (() => void)[] = []

  constructor(origin: CanonicalOrigin, policy: HostPolicy, options: OriginPoolOptions) {
    this.origin = origin
    this.policy = policy
    this.#options = options
    this.#isShared = options.http2 !== 'never'
  }

  get isClosing(): boolean {
    return this.#closed !== undefined
  }

  get isEmpty(): boolean {
    return this.lanes.size + this.#attempts.size + this.#exchanges.size === 0
  }

  enqueue(exchange: Exchange, fresh: boolean): void {
    this.#exchanges.add(exchange)
    if (this.#closed !== undefined) {
      exchange.fail(this.#closed)
      return
    }
    const lane = fresh ? undefined : (this.#takeIdle() ?? this.#takeShared())
    if (lane !== undefined) {
      if (exchange.isBoundElsewhere(lane)) this.#offer(lane)
      else lane.run(exchange)
      return
    }
    if (fresh && this.#isFull) (this.#idle.shift() ?? this.#firstShared())?.end()
    rememberContext(exchange)
    const line = fresh ? this.#waitingForFresh : this.#waiting
    line.add(exchange)
    this.#connectMore()
  }

  withdraw(exchange: Exchange): void {
    this.#waiting.delete(exchange)
    this.#waitingForFresh.delete(exchange)
  }

  leave(exchange: Exchange): void {
    this.#exchanges.delete(exchange)
    this.#settle()
  }

  release(lane: Lane, exchange: Exchange): void {
    lane.free(exchange)
    this.#offer(lane)
  }

  /** Fails who waits. What connections there are stays. */
  refuse(error: PinfetchError): void {
    for (let next = this.#next(true); next !== undefined; next = this.#next(true)) next.fail(error)
  }

  /** And nothing more is done for a connection that is not made yet. */
  refuseAll(error: PinfetchError): void {
    this.refuse(error)
    for (const attempt of [...this.#attempts]) attempt.end(error)
  }

  /**
   * Nothing new. What was begun is finished, unless it has no end; who waits for a connection gets a moment for it. Settles
   * when the last connection is closed.
   */
  async close(): Promise<void> {
    this.#isDraining = true
    for (const lane of this.#idle.splice(0)) lane.end()
    for (const lane of [...this.lanes]) lane.endEndless(clientClosed(this.origin.text, 'yes'))
    const { schedule } = this.#options.runtime
    const noLonger = schedule(WAIT_MS, () => this.#shut(clientClosed(this.origin.text, 'no')))
    const atLast = schedule(FINISH_MS, () => void this.destroy(undefined))
    if (this.#waiting.size + this.#waitingForFresh.size === 0) this.#shut(clientClosed(this.origin.text, 'no'))
    await this.#emptied()
    noLonger()
    atLast()
  }

  /** Everything in flight fails at once. */
  destroy(cause: Error | undefined): Promise<void> {
    this.#shut(clientClosed(this.origin.text, 'no', cause))
    for (const lane of [...this.lanes]) lane.stop(clientClosed(this.origin.text, 'maybe', cause))
    return this.#emptied()
  }

  #shut(reason: PinfetchError): void {
    this.#closed = reason
    this.refuseAll(reason)
    for (const lane of [...this.lanes]) if (lane.isShared && lane.isIdle) lane.end()
  }

  #emptied(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve)
      this.#settle()
    })
  }

  get #isFull(): boolean {
    const most = Math.min(this.#options.connections, this.policy.maxConnections ?? FOREVER)
    return this.lanes.size + this.#attempts.size >= most
  }

  #connectMore(): void {
    while (this.#isShort && !this.#isFull) this.#connect()
  }

  /** Of a connection that may do for everybody who waits, none other is made before it is known for how many it does. */
  get #isShort(): boolean {
    const waiting = this.#waiting.size + this.#waitingForFresh.size
    if (!this.#isShared || waiting === 0) return this.#attempts.size < waiting
    if (this.#attempts.size > 0) return false
    for (const lane of this.lanes) if (!lane.isReady && !lane.isDead) return false
    return true
  }

  #connect(): void {
    const attempt: Attempt = { end: () => undefined }
    this.#attempts.add(attempt)
    let engine: Http1Engine | undefined
    attempt.end = this.#options.connect(this.origin, (result) => {
      if (result instanceof PinfetchError) {
        this.#ended(attempt, result)
        return
      }
      const lane = this.#laneOf(result, engine)
      this.#isShared = lane.isShared
      this.lanes.add(lane)
      result.socket.once('close', () => this.#drop(lane))
      this.#options.onConnected(this, result)
      // What the peer sent along with its handshake is here once the system was asked again: it would pass for an answer.
      void nextTurn()
        .then(nextTurn)
        .then(() => this.#ended(attempt, lane))
    })
    // The machine has nothing else to do: the connection waits for the resolver, or the peer.
    if (!this.#isShared) engine = createHttp1Engine(this.origin.text, this.#options.limits)
  }

  #ended(attempt: Attempt, result: Lane | PinfetchError): void {
    this.#attempts.delete(attempt)
    if (result instanceof PinfetchError) this.#failed(result)
    else if (result.wasUnsolicited) this.#next(true)?.fail(unsolicited(this.origin))
    else if (result.isDead && !result.isRetired) this.#lost(result)
    else this.#offer(result)
    this.#connectMore()
    this.#settle()
  }

  #laneOf(connection: Connection, engine: Http1Engine | undefined): Lane {
    const { runtime, limits } = this.#options
    const { text } = this.origin
    if (connection.socket.alpnProtocol !== 'h2')
      return new Http1Lane(connection, text, runtime, engine ?? createHttp1Engine(text, limits))
    return new Http2Lane(connection, this.origin.text, runtime, limits, (lane) => this.#offer(lane))
  }

  /** An attempt that stood for everybody fails for everybody: one after the other would wait as often for the same. */
  #failed(error: PinfetchError): void {
    if (this.#isShared) this.refuse(error)
    else this.#next(true)?.fail(error)
  }

  #lost({ socket }: Lane): void {
    const refusal = certificateFailure(socket, undefined, 'no')
    if (refusal instanceof TlsError) this.#failed(refusal)
    else this.#next(true)?.restart(refusal ?? closedEarly(this.origin))
  }

  /** To the next who waits, or to those to come. */
  #offer(lane: Lane): void {
    if (lane.isRetired || this.#closed !== undefined || this.#isTooOld(lane)) lane.end()
    while (lane.hasRoom) {
      const exchange = this.#next(!lane.isReused)
      if (exchange === undefined || !this.#isCovered(exchange)) {
        if (this.#isDraining) lane.end()
        else this.#rest(lane)
        break
      }
      if (exchange.isBoundElsewhere(lane)) continue
      if (lane.hasRoom) inItsContext(exchange, () => lane.run(exchange))
      else this.enqueue(exchange, false) // judged again just now
    }
    this.#connectMore()
  }

  #rest(lane: Lane): void {
    if (!lane.isShared) this.#idle.push(lane)
    lane.waitForUse()
  }

  /** The policy may have changed while it waited, by the clock alone. */
  #isCovered(exchange: Exchange): boolean {
    try {
      this.#options.judge(this)
      return true
    } catch (error) {
      if (!(error instanceof PinfetchError)) throw error
      exchange.fail(error)
      this.refuse(error)
      return false
    }
  }

  #next(fresh: boolean): Exchange | undefined {
    const line = fresh && this.#waitingForFresh.size > 0 ? this.#waitingForFresh : this.#waiting
    for (const exchange of line) {
      line.delete(exchange)
      return exchange
    }
    return undefined
  }

  #takeIdle(): Lane | undefined {
    for (let lane = this.#idle.pop(); lane !== undefined; lane = this.#idle.pop()) {
      if (lane.isDead) continue
      if (!this.#isTooOld(lane)) return lane
      lane.end()
    }
    return undefined
  }

  #takeShared(): Lane | undefined {
    if (!this.#isShared) return undefined
    for (const lane of this.lanes) {
      if (!lane.isShared || !lane.hasRoom) continue
      if (!this.#isTooOld(lane)) return lane
      lane.end()
    }
    return undefined
  }

  #firstShared(): Lane | undefined {
    for (const lane of this.lanes) if (lane.isShared && !lane.isDead) return lane
    return undefined
  }

  #isTooOld(lane: Lane): boolean {
    return lane.isOlderThan(this.#options.limits.connectionAgeMs, this.policy.maxConnectionAgeMs ?? FOREVER)
  }

  #drop(lane: Lane): void {
    this.lanes.delete(lane)
    const at = this.#idle.indexOf(lane)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#connectMore()
    this.#settle()
  }

  #settle(): void {
    if (!this.isEmpty) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
    this.#options.onEmpty(this)
  }
}

interface Attempt {
  end: (reason: PinfetchError) => void
}

function unsolicited({ text }: CanonicalOrigin): TransportError {
  const message = `${text}: the peer sent data before any request, which would have passed for the answer to one`
  return new TransportError('ERR_TRANSPORT_UNSOLICITED', message, { host: text })
}

function closedEarly({ text }: CanonicalOrigin): TransportError {
  const message = `${text}: the peer closed the connection right after the handshake`
  return new TransportError('ERR_TRANSPORT_CLOSED', message, { host: text })
}

const WAIT_MS = 500 // a handshake that is under way gets ready in this time, or the service's end does not wait for it
const FINISH_MS = 30_000 // as long as an orchestrator waits before it kills
const FOREVER = Number.POSITIVE_INFINITY
