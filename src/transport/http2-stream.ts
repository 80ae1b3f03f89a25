import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Exchange } from './exchange.ts'
import { type Http2Request, http2RequestOf } from './http2-request.ts'
import { type ToldRequest, tellOf } from './request-channels.ts'
import { errors } from './undici.ts'

type Fields = IncomingHttpHeaders & IncomingHttpStatusHeader

/** How a stream ended whose response was not complete. */
export interface StreamEnd {
  /** RFC 9113 §7. */
  readonly code: number
  readonly hasResponded: boolean
  readonly id: number
  /** What Node says of it. */
  readonly cause: Error | undefined
}

/**
 * One exchange as a stream of an HTTP/2 connection. It calls the exchange as undici does for HTTP/1.1, and says of a response
 * that it is complete only when the peer said so: Node raises `end` for one that was cut as well.
 */
export class Http2Stream {
  /** Until it is over: Node keeps a stream longer than that, and would keep all that was asked and answered with it. */
  #exchange: Exchange | undefined
  readonly #headerBytes: number
  readonly #failureOf: (end: StreamEnd) => Error
  #stream: ClientHttp2Stream | undefined
  #hasResponded = false
  /** The peer said END_STREAM. */
  #isWhole = false
  #cause: Error | undefined
  #announced: number | undefined
  #received = 0
  #trailers: Buffer[] = []
  #told: ToldRequest | undefined

  constructor(exchange: Exchange, headerBytes: number, failureOf: (end: StreamEnd) => Error) {
    this.#exchange = exchange
    this.#headerBytes = headerBytes
    this.#failureOf = failureOf
  }

  /** @throws Error where the request cannot be written, or the connection takes none any longer. */
  start(session: ClientHttp2Session, authority: string, socket: Socket): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    const { sent } = exchange
    const told = tellOf(sent, authority)
    this.#told = told
    const request = http2RequestOf(told === undefined ? sent : { ...sent, headers: told.headers }, authority)
    exchange.onConnect((reason) => this.abort(reason ?? new errors.RequestAbortedError()))
    if (this.#isOver) return // by the caller, who was told just now
    const stream = session.request(request.headers, { endStream: request.body === undefined })
    this.#stream = stream
    told?.onSent(socket)
    this.#watchForEnd(stream)
    const isHead = sent.method === 'HEAD'
    // Each of them comes once at most; `once` would cost three calls more.
    stream.on('headers', (fields: Fields, _: number, raw: string[]) => this.#onInterim(fields, raw))
    stream.on('response', (fields: Fields, _: number, raw: string[]) => this.#onResponse(fields, raw, isHead))
    stream.on('trailers', (_: Fields, __: number, raw: string[]) => {
      if (this.#isOver || this.#isTooLarge(raw)) return
      this.#trailers = fieldsOf(raw)
    })
    stream.on('end', () => this.#onEnd())
    stream.on('error', (error) => {
      this.#cause ??= error // `close` follows
    })
    stream.on('close', () => this.#onClose())
    this.#send(stream, request)
  }

  /** RST_STREAM with NO_ERROR looks like END_STREAM later on; but before it ends the stream, Node marks that as closed. */
  #watchForEnd(stream: ClientHttp2Stream): void {
    const { push } = stream
    stream.push = (chunk, encoding) => {
      if (chunk === null && !stream.closed) this.#isWhole = true
      return push.call(stream, chunk, encoding)
    }
  }

  /** Ends this exchange alone. */
  abort(reason: Error): void {
    this.silence(reason)?.onError(reason)
  }

  /** Nothing more is told of it; who ended the connection tells the exchange, where that is not over. */
  silence(reason: Error): Exchange | undefined {
    const exchange = this.#exchange
    if (exchange === undefined) return undefined
    this.#exchange = undefined
    this.#told?.onFailed(reason)
    this.#cancel()
    return exchange
  }

  get #isOver(): boolean {
    return this.#exchange === undefined
  }

  #cancel(): void {
    if (this.#stream?.closed === false) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #send(stream: ClientHttp2Stream, { body, length }: Http2Request): void {
    if (body !== undefined && !(body instanceof Uint8Array)) {
      void this.#sendPieces(stream, body, length)
      return
    }
    if (body !== undefined) {
      stream.end(body)
      this.#exchange?.onBodySent(body)
    }
    if (!this.#isOver) this.#onSent()
  }

  #onSent(): void {
    this.#told?.onBodySent()
    this.#exchange?.onRequestSent()
  }

  async #sendPieces(
    stream: ClientHttp2Stream,
    body: Iterable<unknown> | AsyncIterable<unknown>,
    length: number | undefined,
  ): Promise<void> {
    let sent = 0
    const drained = drainOf(stream)
    try {
      for await (const piece of body) {
        if (this.#isOver) return
        const bytes = piece instanceof Uint8Array ? piece : Buffer.from(String(piece))
        sent += bytes.length
        if (length !== undefined && sent > length) throw new errors.RequestContentLengthMismatchError()
        if (!stream.write(bytes)) await drained()
        if (this.#isOver) return
        this.#exchange?.onBodySent(bytes)
      }
      if (length !== undefined && sent !== length) throw new errors.RequestContentLengthMismatchError()
      if (this.#isOver) return
      stream.end()
      this.#onSent()
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error('the body failed', { cause: error }))
    }
  }

  #onInterim(fields: Fields, raw: readonly string[]): void {
    const exchange = this.#exchange
    if (exchange === undefined || this.#isTooLarge(raw)) return
    const status = Number(fields[':status'])
    if (status === 101)
      this.#end(constants.NGHTTP2_PROTOCOL_ERROR) // RFC 9113 §8.6
    else this.#tell(() => exchange.onHeaders(status, fieldsOf(raw), () => undefined, '') || true) // none pauses
  }

  #onResponse(fields: Fields, raw: readonly string[], isHead: boolean): void {
    const exchange = this.#exchange
    if (exchange === undefined || this.#isTooLarge(raw)) return
    const status = Number(fields[':status'])
    if (status < 200) {
      this.#end(constants.NGHTTP2_PROTOCOL_ERROR) // 099: it would pass for an interim response, and no other follow
      return
    }
    this.#hasResponded = true
    exchange.onResponseStarted()
    const length = fields['content-length']
    if (length !== undefined && !isHead && status !== 304) this.#announced = Number(length)
    this.#told?.onAnswered(status, fieldsOf(raw))
    const lines = exchange.takesText ? textFieldsOf(raw) : fieldsOf(raw)
    this.#tell(() => exchange.onHeaders(status, lines, () => this.#stream?.resume(), ''))
    if (!this.#isOver) this.#flow()
  }

  /** Not before the response: DATA may be read earlier. Apart, so that what listens holds nothing of the exchange. */
  #flow(): void {
    this.#stream?.on('data', (chunk: Buffer) => this.#onData(chunk))
  }

  /** The limit that the peer was told; Node keeps it only once the peer has confirmed it. */
  #isTooLarge(raw: readonly string[]): boolean {
    let size = 0
    for (const text of raw) size += text.length + FIELD_COST / 2
    if (size <= this.#headerBytes) return false
    this.#end(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    return true
  }

  #onData(chunk: Buffer): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#received += chunk.length
    this.#tell(() => exchange.onData(chunk))
  }

  /** What a handler throws ends its own exchange, as under HTTP/1.1, and not the process. */
  #tell(call: () => boolean): void {
    try {
      if (call() === false) this.#stream?.pause()
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error('the handler failed', { cause: error }))
    }
  }

  #onEnd(): void {
    const exchange = this.#exchange
    const code = this.#stream?.rstCode
    const isComplete = this.#isWhole && this.#hasResponded && code === constants.NGHTTP2_NO_ERROR
    if (exchange === undefined || !isComplete) return // `close` follows
    if (this.#announced !== undefined && this.#announced !== this.#received) {
      this.#end(constants.NGHTTP2_PROTOCOL_ERROR)
      return
    }
    this.#exchange = undefined
    // What is still on its way is wanted no longer. Never without need: peers end a connection of many RST_STREAM frames.
    if (this.#stream?.writableFinished === false) this.#cancel()
    this.#told?.onComplete(this.#trailers)
    exchange.onComplete(this.#trailers)
  }

  #onClose(): void {
    if (!this.#isOver) this.#end(this.#stream?.rstCode ?? constants.NGHTTP2_CANCEL)
  }

  #end(code: number): void {
    const id = this.#stream?.id ?? 0
    this.abort(this.#failureOf({ code, id, hasResponded: this.#hasResponded, cause: this.#cause }))
  }
}

/** The same as text, for who takes that. */
function textFieldsOf(raw: readonly string[]): string[] {
  let at = 0
  while (raw[at]?.startsWith(':') === true) at += 2 // they come first, RFC 9113 §8.3
  return raw.slice(at)
}

/** Without the fields of HTTP/2's own. */
function fieldsOf(raw: readonly string[]): Buffer[] {
  const fields: Buffer[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (!name.startsWith(':')) fields.push(Buffer.from(name, 'latin1'), Buffer.from(raw[at + 1] ?? '', 'latin1'))
  }
  return fields
}

/** What waits until the peer takes more, or nothing any longer. */
function drainOf(stream: ClientHttp2Stream): () => Promise<void> {
  let wake = (): void => undefined
  stream.on('drain', () => wake())
  stream.once('close', () => wake())
  return () =>
    new Promise((resolve) => {
      wake = resolve
      if (stream.destroyed) resolve()
    })
}

export const FIELD_COST = 32 // RFC 9113 §6.5.2: counted with each field
