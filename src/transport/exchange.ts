import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { AuthError, PinfetchError, type RequestSent, TlsError, TransportError } from '../errors/errors.ts'
import type { Emitter } from '../events/emitter.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { CallTime } from './call.ts'
import { certificateFailure } from './client-certificate.ts'
import { ExchangeRecord } from './exchange-record.ts'
import { afterLost, type Facts, headersTooLarge, isClosed, responseFailure, Unprocessed } from './failure.ts'
import type { Lane } from './lane.ts'
import type { Limits, Timeouts } from './limits.ts'
import type { Field, RawHandler } from './raw-handler.ts'
import { holdFailure, inPieces, isReplayable } from './request-body.ts'
import { eachHeader } from './request-headers.ts'
import type { Sweep, Swept } from './sweep.ts'

export interface ExchangeLimits {
  readonly runtime: Runtime
  readonly timeouts: Timeouts
  readonly limits: Limits
  /** Told of the header fields of each final response. */
  readonly onResponse?: ((origin: CanonicalOrigin, path: string, headers: readonly Field[]) => void) | undefined
  readonly emit: Emit
  readonly hasListeners?: Emitter['hasListeners'] | undefined
}

/** Where an exchange goes to wait for a connection, and where it gives one back. */
export interface Lanes {
  /** Puts it in line; with `fresh`, for a connection that nothing was sent on yet. */
  enqueue(exchange: Exchange, fresh: boolean): void
  /** It waits no longer. */
  withdraw(exchange: Exchange): void
  /** It is over. */
  leave(exchange: Exchange): void
  release(lane: Lane, exchange: Exchange): void
  readonly isClosing: boolean
}

/**
 * One request and its response, from dispatch to the last byte: the handler that undici calls, around the caller's own.
 * It ends what takes too long or grows too large, sends a request again that a connection lost before anything of it was
 * written, and once more one that is idempotent and met a kept-alive connection that the peer was about to close.
 *
 * One object with fixed members and no closure for each piece: it stands on the way of every byte.
 */
export class Exchange implements RawHandler, Swept {
  readonly origin: CanonicalOrigin
  readonly #options: Dispatcher.DispatchOptions
  readonly #handler: RawHandler
  readonly #lanes: Lanes
  readonly #sweep: Sweep
  readonly #given: ExchangeLimits
  readonly #startedAt: number
  readonly #call: CallTime | undefined
  #onOver: (() => void) | undefined
  readonly #boundTo: string | undefined

  /** The connection of this attempt. */
  #lane: Lane | undefined
  #abort: ((reason?: Error) => void) | undefined
  #isWritten = false
  /** To its end. */
  #isSent = false
  /** Why it ends before anything of it is written on the connection that it has. */
  #givenUp: Error | undefined
  #restarts = 0
  /** What to say of the attempt before this one, which may have arrived. */
  #lost: ((cause?: Error) => Error) | undefined
  #isOver = false

  #hasResponded = false
  #isInBody = false
  /** Since when the peer has to wait for the caller, and how long it had to before: none of that is the peer's time. */
  #pausedAt: number | undefined
  #pausedMs = 0
  #isEndless = false
  /** The peer closes the connection after this response. */
  #isLast = false

  /** Whether anything moved since the last look, so that a piece costs no reading of the clock. */
  #hasMoved = false
  #idleSince: number
  /** Bytes of both bodies, and of those before in the same call. */
  #moved = 0
  #received = 0
  #interimBytes = 0
  /** Of this attempt, once something of it is written. */
  #record: ExchangeRecord | undefined
  /** By the caller, for a reason that is none of ours. */
  #isAborted = false

  constructor(
    origin: CanonicalOrigin,
    options: Dispatcher.DispatchOptions,
    handler: RawHandler,
    lanes: Lanes,
    sweep: Sweep,
    given: ExchangeLimits,
    now: number,
    call?: CallTime,
  ) {
    this.origin = origin
    this.#options = options
    this.#handler = handler
    this.#lanes = lanes
    this.#sweep = sweep
    this.#given = given
    this.#startedAt = call?.startedAt ?? now
    this.#idleSince = now
    this.#call = call
    this.#boundTo = call?.boundTo
    if (call !== undefined) {
      call.startedAt = this.#startedAt
      this.#moved = call.moved
      this.#onOver = call.onExchange?.()
    }
    holdFailure(options.body)
    sweep.add(this)
  }

  /** Something of the request was handed to the connection of this attempt. */
  get isWritten(): boolean {
    return this.#isWritten
  }

  /** A response that lasts until one of the two has enough of it. */
  get isEndless(): boolean {
    return this.#isEndless
  }

  get takesText(): boolean {
    return this.#handler.takesText === true
  }

  get hasResponded(): boolean {
    return this.#hasResponded
  }

  /** The connection that is to carry it. */
  assign(lane: Lane): void {
    this.#lane = lane
  }

  /** What undici gets to send. */
  get sent(): Dispatcher.DispatchOptions {
    return inPieces(this.#options)
  }

  /**
   * Tells the caller how to end it, before it waits for a connection: one that was given up in line must not take a sound
   * connection along.
   */
  begin(): void {
    try {
      this.#handler.onConnect((reason) => {
        this.#isAborted = true
        this.abort(reason ?? new Error('aborted'))
      })
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
    }
    if (!this.#isOver) this.#lanes.enqueue(this, false)
  }

  /** Ends it, wherever it is: for a reason of ours, or because the caller has lost patience. */
  abort(reason: Error): void {
    if (this.#isOver) return
    if (this.#isWritten) this.#abort?.(reason)
    else if (this.#lane === undefined) {
      this.#lanes.withdraw(this)
      this.fail(reason)
    } else this.#givenUp ??= reason
  }

  /** Whether its credential is bound to another client certificate than the one of this connection: then it is over, unwritten. */
  isBoundElsewhere({ identity }: Lane): boolean {
    if (this.#boundTo === undefined || this.#boundTo === identity?.thumbprint) return false
    this.fail(rebound(this.origin))
    return true
  }

  /** Whether it was given up after it got its connection, which then serves another. */
  isGivenUp(): boolean {
    if (this.#givenUp === undefined) return false
    this.onError(this.#givenUp)
    return true
  }

  /** The connection that was to carry it ended before that. */
  restart(error: Error, most = MAX_RESTARTS): void {
    this.#restarts += 1
    if (this.#givenUp !== undefined) this.fail(this.#givenUp)
    else if (this.#restarts > most || this.#lanes.isClosing) this.fail(error)
    else this.#lanes.enqueue(this, this.#restarts > 1 && most === MAX_RESTARTS) // a dead connection has others beside it
  }

  /** Ends one that has no connection. */
  fail(error: Error): void {
    if (this.#isOver) return
    this.#end()
    const { requestSent } = error as { requestSent?: RequestSent }
    const isDoubt = this.#lost !== undefined && requestSent === 'no' // the first attempt may have arrived
    try {
      this.#handler.onError(isDoubt && this.#lost !== undefined ? afterLost(error, this.#lost) : error)
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown // what ends this one goes on to others, who are no part of the handler's trouble
      })
    }
  }

  check(now: number): void {
    const { timeouts, limits } = this.#given
    if (this.#hasMoved) {
      this.#hasMoved = false
      this.#idleSince = now
    }
    const credit = Math.floor(this.#moved / limits.minBytesPerSecond) * 1_000
    const isPaused = this.#pausedAt !== undefined
    const spentMs = now - this.#startedAt - this.#pausedMs
    if (!isPaused && !this.#isEndless && spentMs >= timeouts.totalMs + credit) this.abort(this.#tooSlow())
    if (this.#isOver || isPaused || !this.#isWritten) return
    const { headersMs, bodyMs } = timeouts
    const idleMs = now - this.#idleSince
    if (this.#isInBody && idleMs >= bodyMs) {
      this.abort(this.#timeout(`the response's body paused for ${bodyMs} ms`, 'timeouts.bodyMs'))
    } else if (!this.#isInBody && idleMs >= headersMs) {
      this.abort(this.#timeout(`no response headers within ${headersMs} ms`, 'timeouts.headersMs'))
    }
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
    this.#isWritten = true
    this.#hasMoved = true
    if (this.#givenUp !== undefined) abort(this.#givenUp)
    else if (this.#given.hasListeners?.('http.exchange') === true) this.#record = this.#begun()
  }

  onBodySent(chunk: Uint8Array | string): void {
    this.#moved += chunk.length
    this.#hasMoved = true
    this.#record?.sent(chunk.length)
    this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.#isSent = true
    this.#hasMoved = true
    this.#handler.onRequestSent?.()
  }

  onResponseStarted(): void {
    this.#hasResponded = true
    this.#handler.onResponseStarted?.()
  }

  onHeaders(status: number, headers: Field[], resume: () => void, statusText: string): boolean {
    if (status < 200) {
      if (isInterim(status)) return this.#onInterim(status, headers, resume, statusText)
      this.abort(noStatus(this.#facts(true), status))
      return true
    }
    this.#hasMoved = true
    this.#isInBody = true
    this.#record?.answered(status)
    const refusal = this.#read(headers, this.#options.method === 'HEAD' || status === 304)
    if (refusal !== undefined) {
      this.abort(refusal)
      return true
    }
    this.#given.onResponse?.(this.origin, this.#options.path, headers)
    const goOn = (): void => {
      if (this.#pausedAt !== undefined) this.#pausedMs += this.#now - this.#pausedAt
      this.#pausedAt = undefined
      this.#hasMoved = true
      resume()
    }
    return this.#mayFlow(this.#handler.onHeaders(status, headers, goOn, statusText))
  }

  onData(chunk: Buffer): boolean {
    this.#hasMoved = true
    this.#moved += chunk.length
    this.#received += chunk.length
    this.#record?.received(chunk.length)
    if (this.#received > this.#given.limits.bodyBytes) {
      this.abort(this.#tooLarge('goes on'))
      return true
    }
    return this.#mayFlow(this.#handler.onData(own(chunk)))
  }

  onComplete(trailers: Buffer[]): void {
    const lane = this.#lane
    this.#tell()
    this.#end()
    if (lane !== undefined) {
      const isLast = this.#isLast || this.#options.method === 'HEAD' // undici closes after a HEAD
      if (isLast && !lane.isShared) lane.end()
      this.#lanes.release(lane, this)
    }
    this.#handler.onComplete(trailers)
  }

  /** From here on the connection is the caller's; it stays with its origin, whose policy may still end it. */
  onUpgrade(status: number, headers: Buffer[], socket: Duplex): void {
    this.#record?.answered(status)
    this.#tell()
    this.#end()
    this.#handler.onUpgrade?.(status, headers, socket)
  }

  onError(error: Error): void {
    if (this.#isOver) return
    const lane = this.#lane
    const wasWritten = this.#isWritten
    this.#lane = undefined
    this.#isWritten = false
    if (lane === undefined || (!wasWritten && !lane.isDead)) {
      if (lane !== undefined) this.#lanes.release(lane, this) // the request itself was wrong
      this.fail(error)
      return
    }
    const { isReused } = lane
    const facts = this.#facts(wasWritten)
    const isFirst = !this.#hasResponded && !isReused
    const refusal = isFirst ? certificateFailure(lane.socket, error, facts.sent) : undefined
    const failure = refusal ?? responseFailure(error, facts)
    this.#tell(failure)
    if (lane.isShared) this.#lanes.release(lane, this)
    else lane.discard()
    if (refusal instanceof TlsError)
      this.fail(refusal) // another attempt would end alike
    else if (!wasWritten) this.restart(failure)
    else if (error instanceof Unprocessed && isReplayable(this.#options.body)) this.restart(failure, MAX_REFUSALS)
    else if (isReused && this.#mayRepeat(error)) {
      this.#lost = (cause = error) => responseFailure(error, { ...this.#facts(true), cause })
      this.#lanes.enqueue(this, true)
    } else this.fail(failure)
  }

  /**
   * A peer may close a kept-alive connection in the moment that a request is written to it. RFC 9112 §9.3.1 and RFC 9110
   * §9.2.2: then an idempotent one may be sent again, once, on a connection of its own. A new connection that closes is no such
   * race: the peer refuses, and to ask again doubles what overloads it. Whether to is the caller's, who is told `retryable`.
   */
  #mayRepeat(error: Error): boolean {
    const isRace = !this.#hasResponded && isClosed(error)
    if (!isRace || this.#lost !== undefined || this.#lanes.isClosing) return false
    return isIdempotent(this.#options) && isReplayable(this.#options.body)
  }

  /** No activity: interim responses without end must not hold a request past its time. */
  #onInterim(status: number, headers: Field[], resume: () => void, statusText: string): boolean {
    this.#interimBytes += INTERIM_COST
    for (const { length } of headers) this.#interimBytes += length
    if (this.#interimBytes <= this.#given.limits.headerBytes) {
      return this.#handler.onHeaders(status, headers, resume, statusText)
    }
    this.abort(headersTooLarge(this.#facts(true)))
    return true
  }

  /** The fields that decide how the body is read, and whether it is. */
  #read(headers: readonly Field[], isBodiless: boolean): TransportError | undefined {
    let refusal: TransportError | undefined
    let types = 0
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const size = headers[at]?.length ?? 0
      if (size !== 14 && size !== 12 && size !== 10 && size !== 17) continue
      const value = textAt(headers, at + 1)
      switch (textAt(headers, at)) {
        case 'content-length':
          if (Number(value) <= this.#given.limits.bodyBytes || isBodiless) break
          refusal = this.#tooLarge(`announces ${value}`)
          break
        case 'content-type':
          types += 1
          this.#isEndless = types === 1 && EVENT_STREAM.test(value) // of two types, neither counts
          break
        case 'connection':
          this.#isLast = CLOSE.test(value)
          break
        case 'transfer-encoding':
          if (value !== 'chunked') refusal = unknownCoding(this.#facts(true), value)
      }
    }
    return refusal
  }

  #begun(): ExchangeRecord {
    const version = this.#lane?.isShared === true ? '2' : '1.1'
    return new ExchangeRecord(this.origin.text, this.#options.method, version, this.#given.runtime.clock)
  }

  /** Of each attempt that reached a connection; another one may follow. */
  #tell(failure?: Error): void {
    if (this.#record === undefined) return
    const code = failure instanceof PinfetchError ? failure.code : this.#isAborted ? '_ABORTED' : '_OTHER'
    this.#record.tell(this.#given.emit, failure === undefined ? undefined : code)
    this.#record = undefined
  }

  #mayFlow(answer: boolean): boolean {
    if (answer === false) this.#pausedAt ??= this.#now
    return answer
  }

  get #now(): number {
    return this.#given.runtime.clock.monotonic()
  }

  #end(): void {
    this.#isOver = true
    if (this.#call !== undefined) this.#call.moved = this.#moved
    this.#lane = undefined
    this.#isWritten = false
    this.#sweep.delete(this)
    this.#lanes.leave(this)
    this.#onOver?.()
    this.#onOver = undefined
  }

  #facts(wasWritten: boolean): Facts {
    const sent = this.#hasResponded ? 'yes' : wasWritten || this.#lost !== undefined ? 'maybe' : 'no'
    return { host: this.origin.text, sent, limits: this.#given.limits }
  }

  #tooSlow(): TransportError {
    const { timeouts, limits } = this.#given
    const what = `not over after ${timeouts.totalMs} ms, with ${this.#moved} bytes of bodies moved`
    const rule = `${limits.minBytesPerSecond} bytes give it a second more`
    return this.#timeout(`${what}; ${rule}`, 'timeouts.totalMs, limits.minBytesPerSecond')
  }

  #timeout(about: string, option: string): TransportError {
    const { host, sent } = this.#facts(this.#isWritten)
    const requestSent = this.#isSent ? 'yes' : sent
    return new TransportError('ERR_TRANSPORT_TIMEOUT', `${host}: ${about} (${option})`, { host, requestSent })
  }

  #tooLarge(what: string): TransportError {
    const { host } = this.#facts(true)
    const message = `${host}: expected a body of at most ${this.#given.limits.bodyBytes} bytes (limits.bodyBytes), the server ${what}`
    return new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', message, { host, requestSent: 'yes' })
  }
}

/** A piece that waits for its reader keeps all that arrived with it in memory: chunk extensions, a thousand times its length. */
function own(chunk: Buffer): Buffer {
  return chunk.length * MOST_AROUND < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk
}

function isIdempotent({ method, headers }: Dispatcher.DispatchOptions): boolean {
  if (IDEMPOTENT.has(method)) return true
  let isKeyed = false
  eachHeader(headers, (name, value) => {
    if (name.length === 15 && name.toLowerCase() === 'idempotency-key') isKeyed = /[^ \t]/.test(String(value))
  })
  return isKeyed
}

/** Whoever chose the credential may choose another one, and send again. */
function rebound({ text }: CanonicalOrigin): AuthError {
  const message = `${text}: the client certificate changed, and the credential of the request is bound to the one before`
  return new AuthError('ERR_AUTH_CERT_BINDING', message, { host: text, requestSent: 'no' })
}

/** RFC 9110 §10.1.4: a server may use no transfer coding but chunked with a client that names none in TE. */
function unknownCoding({ host }: Facts, seen: string): TransportError {
  const message = `${host}: expected the transfer coding chunked or none, the server used ${JSON.stringify(seen)}`
  return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { host, requestSent: 'yes' })
}

/** RFC 9110 §15: none is below 100; and nobody asked for another protocol, which would come as an upgrade. */
const isInterim = (status: number): boolean => status >= 100 && status !== 101

function noStatus({ host }: Facts, status: number): TransportError {
  const message = `${host}: expected the status of a response, the server sent ${String(status).padStart(3, '0')}`
  return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { host, requestSent: 'yes' })
}

const textAt = (headers: readonly Field[], at: number): string => (headers[at]?.toString('latin1') ?? '').toLowerCase()

const EVENT_STREAM = /^text\/event-stream\b/
const CLOSE = /\bclose\b/
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) // RFC 9110 §9.2.2
const MOST_AROUND = 8 // times its own length
const MAX_RESTARTS = 2
const MAX_REFUSALS = 5 // of a peer that promises to have done nothing
const INTERIM_COST = 32 // of a status line, so that a flood of empty ones comes to an end
