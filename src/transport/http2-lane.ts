import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { TransportError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { inNextTurn, nextTurn } from '../ports/turn.ts'
import type { Connection } from './connector.ts'
import type { Exchange } from './exchange.ts'
import { Unprocessed } from './failure.ts'
import { FIELD_COST, Http2Stream, type StreamEnd } from './http2-stream.ts'
import { GRACE_MS, Lane } from './lane.ts'
import type { Limits } from './limits.ts'

/**
 * A connection that speaks HTTP/2, over Node's own client: undici 7 takes a response that was cut for a complete one there,
 * ends every exchange at a GOAWAY, and ends the process when its socket is destroyed.
 *
 * Until the peer's SETTINGS have come it carries one exchange, and from then on as many as they allow.
 */
export class Http2Lane extends Lane {
  readonly isShared = true
  readonly #session: ClientHttp2Session
  readonly #onRoom: (lane: Lane) => void
  readonly #limits: Limits
  readonly #streams = new Map<Exchange, Http2Stream>()
  #capacity = 1
  #hasSettings = false
  #isReused = false
  #isOver = false
  #isAsked = false
  /** An exchange got no answer: until the PING behind it has one, there are no others. */
  #isDoubtful = false
  /** The last stream that the peer took up, once it said so. */
  #lastTaken = Number.POSITIVE_INFINITY
  #ended: Error | undefined
  /** Since when it carries something, waits for use, or was asked whether the peer is there: of the monotonic clock. */
  #since = 0
  #cancelLook: Cancel | undefined

  constructor(connection: Connection, host: string, runtime: Runtime, limits: Limits, onRoom: (lane: Lane) => void) {
    super(connection, host, runtime)
    this.#onRoom = onRoom
    this.#limits = limits
    const { socket } = this
    const session = connect(`https://${host}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: limits.headerBytes },
      maxHeaderListPairs: Math.ceil(limits.headerBytes / FIELD_COST),
    })
    this.#session = session
    session.once('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(CONNECTION_WINDOW) // it comes later, also to one that was ended at once
    })
    session.on('remoteSettings', ({ maxConcurrentStreams = MOST_STREAMS }) => {
      this.#hasSettings = true
      this.#capacity = Math.min(maxConcurrentStreams, MOST_STREAMS)
      this.#onRoom(this)
    })
    session.on('goaway', (_, last) => {
      this.#lastTaken = Math.min(this.#lastTaken, last)
      this.end() // what the peer took up it finishes
    })
    session.on('error', (error: Error) => {
      this.#ended ??= error
    })
    socket.on('error', (error) => {
      this.#ended ??= error
    })
    session.once('close', () => this.#onClose())
    socket.once('close', () => this.#onClose())
  }

  get isDead(): boolean {
    return this.#isOver || this.socket.destroyed
  }

  get isReady(): boolean {
    return this.#hasSettings && !this.#isDoubtful && (this.#capacity > 0 || !this.isIdle)
  }

  get isReused(): boolean {
    return this.#isReused
  }

  get isIdle(): boolean {
    return this.#streams.size === 0
  }

  get hasRoom(): boolean {
    return !this.isDead && !this.#isDoubtful && this.#streams.size < this.#capacity
  }

  run(exchange: Exchange): void {
    exchange.assign(this)
    if (this.isIdle) {
      this.socket.ref()
      this.#watch()
    }
    const stream = new Http2Stream(exchange, this.#limits.headerBytes, (end) => this.#failureOf(end))
    this.#streams.set(exchange, stream)
    try {
      stream.start(this.#session, this.host, this.socket)
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error))
      stream.silence(reason)
      exchange.onError(reason)
    }
  }

  free(exchange: Exchange): void {
    if (!this.#streams.delete(exchange)) return
    this.#isReused = true
    if (!exchange.hasResponded && !this.isDead) {
      this.#isDoubtful = true
      this.#ping()
    }
    if (!this.isIdle) return
    this.socket.unref()
    if (this.#isOver) this.end()
  }

  waitForUse(): void {
    if (!this.isIdle) return
    this.socket.unref()
    this.#watch()
  }

  end(): void {
    this.#isOver = true
    if (!this.isIdle) return
    this.#session.destroy() // with a GOAWAY
    inNextTurn(() => this.socket.destroy()) // Node would wait until the peer ends it too
  }

  retire(graceMs = GRACE_MS): void {
    this.isRetired = true
    this.end()
    if (!this.isIdle) this.endIn(graceMs)
  }

  /** In this very tick nothing more is taken from the peer; the exchanges hear of it after whoever is at work now. */
  stop(reason?: Error): void {
    this.#isOver = true
    this.#ended ??= reason
    const told = reason ?? closed()
    const ended = [...this.#streams.values()].map((stream) => stream.silence(told))
    this.#session.destroy(reason, constants.NGHTTP2_CANCEL)
    this.socket.destroy()
    queueMicrotask(() => {
      for (const exchange of ended) exchange?.onError(told)
    })
  }

  endEndless(reason: Error): void {
    for (const [exchange, stream] of [...this.#streams]) if (exchange.isEndless) stream.abort(reason)
  }

  /** What failed was a stream of its own: nothing of it can reach another. */
  discard(): void {}

  /**
   * A peer that is gone without a word would hold every exchange until its own deadline, and those to come as well. One timer that
   * looks at it now and then: to set one for each exchange would cost more than all the rest of this class.
   */
  #watch(): void {
    this.#since = this.runtime.clock.monotonic()
    if (this.#cancelLook === undefined) this.#lookIn(PING_AFTER_MS)
  }

  #lookIn(ms: number): void {
    this.#cancelLook = this.runtime.schedule(ms, () => {
      const left = (this.isIdle ? IDLE_MS : PING_AFTER_MS) - (this.runtime.clock.monotonic() - this.#since)
      if (left <= 0 && this.isIdle) {
        this.end()
        return
      }
      if (left <= 0) {
        this.#since = this.runtime.clock.monotonic()
        this.#ping()
      }
      this.#lookIn(left <= 0 ? PING_AFTER_MS : Math.max(1, Math.min(left, PING_AFTER_MS)))
    })
  }

  #ping(): void {
    if (this.#isAsked || this.#session.destroyed) return
    this.#isAsked = true
    const cancel = this.runtime.schedule(PING_MS, () => {
      // Where the process stood still, the answer lies in the socket, and gets a turn to be read.
      void nextTurn()
        .then(nextTurn)
        .then(() => this.#isAsked && this.stop(unanswered(this.host)))
    })
    this.#session.ping(() => {
      cancel()
      this.#isAsked = false
      const isNews = this.#isDoubtful
      this.#isDoubtful = false
      if (isNews && !this.isDead) this.#onRoom(this)
    })
  }

  #onClose(): void {
    this.#isOver = true
    this.#cancelLook?.()
    this.#session.destroy()
    this.socket.destroy()
  }

  #failureOf({ code, hasResponded, id, cause = this.#ended }: StreamEnd): Error {
    const { host } = this
    const isRefused = code === constants.NGHTTP2_REFUSED_STREAM || id > this.#lastTaken
    if (isRefused && !hasResponded) return new Unprocessed() // whoever began to answer did take it up
    const details = { host, cause, requestSent: hasResponded ? 'yes' : 'maybe' } as const
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) {
      const most = `expected at most ${this.#limits.headerBytes} bytes of header fields (limits.headerBytes)`
      const message = `${host}: ${most}, with ${FIELD_COST} more for each field, the server sent more`
      return new TransportError('ERR_TRANSPORT_HEADERS_TOO_LARGE', message, { ...details, requestSent: 'yes' })
    }
    const name = NAMES.get(code) ?? String(code)
    if (BROKEN.has(code) || (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR') {
      const message = `${host}: the peer sent what is not HTTP/2 (${name})`
      return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { ...details, requestSent: 'yes' })
    }
    if (this.socket.destroyed || this.#session.destroyed) return this.#ended ?? closed()
    const message = `${host}: the peer ended the exchange before the response was complete (RST_STREAM ${name})`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
  }
}

/** As the system says it of a connection that ends without a word. */
const closed = (): Error => Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })

function unanswered(host: string): TransportError {
  const message = `${host}: the peer answered no PING within ${PING_MS} ms, so the connection was closed`
  return new TransportError('ERR_TRANSPORT_TIMEOUT', message, { host, requestSent: 'maybe' })
}

/** RFC 9113 §7, by number. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [constants.NGHTTP2_NO_ERROR, 'NO_ERROR'],
  [constants.NGHTTP2_PROTOCOL_ERROR, 'PROTOCOL_ERROR'],
  [constants.NGHTTP2_INTERNAL_ERROR, 'INTERNAL_ERROR'],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, 'FLOW_CONTROL_ERROR'],
  [constants.NGHTTP2_STREAM_CLOSED, 'STREAM_CLOSED'],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, 'FRAME_SIZE_ERROR'],
  [constants.NGHTTP2_CANCEL, 'CANCEL'],
  [constants.NGHTTP2_COMPRESSION_ERROR, 'COMPRESSION_ERROR'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'ENHANCE_YOUR_CALM'],
  [constants.NGHTTP2_INADEQUATE_SECURITY, 'INADEQUATE_SECURITY'],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, 'HTTP_1_1_REQUIRED'],
])
const BROKEN: ReadonlySet<number> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FLOW_CONTROL_ERROR,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
])
const STREAM_WINDOW = 262_144 // what a peer may send of one response that nobody reads
const CONNECTION_WINDOW = 1_048_576
const MOST_STREAMS = 256 // as many as connections under HTTP/1.1
const IDLE_MS = 60_000 // longer than under HTTP/1.1: the one handshake is what it is kept for
const PING_AFTER_MS = 10_000
const PING_MS = 5_000
