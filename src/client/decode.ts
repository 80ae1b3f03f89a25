import { pipeline, type Readable, Transform, type TransformCallback } from 'node:stream'
import * as zlib from 'node:zlib'
import { TransportError } from '../errors/errors.ts'
import type { Flow, Sink } from './body.ts'
import type { FieldLine } from './response.ts'

export type Coding = keyof typeof CODINGS

export interface DecodedLimits {
  /** Of a body, decoded. */
  readonly bodyBytes: number
  /** Decoded bytes for each encoded one, counted once the first MiB is decoded. */
  readonly inflateRatio: number
}

/**
 * The codings to undo, last applied first; none when one of them is unknown, since then the bytes are the caller's affair.
 *
 * @throws Error when there are more than five, as the runtime's fetch does (CVE-2022-32206: each multiplies the work).
 * @see RFC 9110 §8.4
 */
export function codingsOf(headers: readonly FieldLine[]): readonly Coding[] {
  const lines = headers.filter(([name]) => name === 'content-encoding').map(([, value]) => value)
  if (lines.length === 0) return []
  const codings = lines.join(',').toLowerCase().split(',')
  if (codings.length > MAX_CODINGS) {
    const message = `too many content-encodings in response: ${codings.length}, maximum allowed is ${MAX_CODINGS}`
    throw new Error(message)
  }
  const known = codings.map((coding) => coding.trim()).filter(isCoding)
  return known.length === codings.length ? known.reverse() : []
}

/** Counts what a body becomes, and refuses one that becomes too much: a small response must not fill the memory. */
export class DecodedMeter {
  readonly #limits: DecodedLimits
  readonly #host: string
  #encoded = 0
  #decoded = 0

  constructor(limits: DecodedLimits, host: string) {
    this.#limits = limits
    this.#host = host
  }

  addEncoded(length: number): void {
    this.#encoded += length
  }

  /** The reason to stop, if there is one. */
  addDecoded(length: number): TransportError | undefined {
    const { bodyBytes, inflateRatio } = this.#limits
    this.#decoded += length
    if (this.#decoded > bodyBytes) return this.#tooLarge(`is longer than ${bodyBytes} bytes`, 'bodyBytes')
    if (this.#decoded <= FREE_BYTES || this.#decoded <= this.#encoded * inflateRatio) return undefined
    return this.#tooLarge(`becomes more than ${inflateRatio} times as long as it was sent`, 'inflateRatio')
  }

  /** What to say where the bytes are none of the coding that the server named. */
  undecodable(cause: Error & { readonly code?: unknown }): TransportError {
    const message = `${this.#host}: the body is not encoded as its content-encoding says (${String(cause.code)})`
    return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { cause, host: this.#host, requestSent: 'yes' })
  }

  #tooLarge(what: string, option: keyof DecodedLimits): TransportError {
    const message = `${this.#host}: the decoded body ${what}; where that is right, raise \`limits.${option}\``
    return new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', message, { host: this.#host, requestSent: 'yes' })
  }
}

/** A small body at once, without a thread; `undefined` where there is nothing to undo, or where the stream has to look closer. */
export function decodeWhole(
  codings: readonly Coding[],
  { encoded, maxBytes }: { readonly encoded: readonly Uint8Array[]; readonly maxBytes: number },
): Uint8Array | undefined {
  if (codings.length === 0 || encoded.reduce((sum, { length }) => sum + length, 0) > WHOLE_BYTES) return undefined
  try {
    let bytes: Uint8Array = Buffer.concat(encoded)
    for (const coding of codings) if (bytes.length > 0) bytes = wholeOf(coding, bytes)
    return bytes.length > maxBytes ? undefined : bytes
  } catch {
    return undefined // broken, or longer than `FREE_BYTES`: a reader of the stream gets what came before the fault
  }
}

export interface Decoder {
  /** What slows the decoded end down. */
  readonly flow: Flow
  /** Where the encoded bytes go, on their way to `body`. */
  readonly into: (body: Sink) => Sink
}

export function createDecoder(
  codings: readonly Coding[],
  { source, meter }: { readonly source: Flow; readonly meter: DecodedMeter },
): Decoder {
  const [first = new Transform(), ...others] = codings.map(stepOf)
  const last: Readable = others.at(-1) ?? first
  const flow: Flow = {
    pause: () => last.pause(),
    resume: () => last.resume(),
    cancel: (reason) => {
      first.destroy()
      source.cancel(reason)
    },
  }
  const into = (body: Sink): Sink => {
    const stop = (error: unknown): void => {
      body.fail(error)
      flow.cancel(error)
    }
    const broken = (error: Error): void => stop(new TypeError('terminated', { cause: meter.undecodable(error) }))
    if (others.length === 0) first.on('error', broken)
    else pipeline([first, ...others], (error) => (error ? broken(error) : undefined))
    const count = (chunk: Uint8Array): void => {
      const refusal = meter.addDecoded(chunk.length)
      if (refusal !== undefined) stop(refusal)
    }
    for (const step of [first, ...others]) step.on('data', count) // what one step blows up, the next may make small again
    last.on('data', (chunk: Uint8Array) => body.push(chunk))
    last.on('end', () => body.end())
    let isPaused = false
    first.on('drain', () => {
      isPaused = false
      source.resume()
    })
    return {
      push: (chunk) => {
        meter.addEncoded(chunk.length)
        if (first.destroyed || first.write(chunk) || isPaused) return
        isPaused = true
        source.pause()
      },
      end: () => void first.end(),
      fail: (error) => {
        body.fail(error)
        first.destroy()
      },
    }
  }
  return { flow, into }
}

function stepOf(coding: Coding): Transform {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip(LENIENT)
    case 'deflate':
      return new Inflate()
    case 'br':
      return zlib.createBrotliDecompress(LENIENT_BROTLI)
    case 'zstd':
      return NEWER.createZstdDecompress()
  }
}

function wholeOf(coding: Coding, bytes: Uint8Array): Uint8Array {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.gunzipSync(bytes, LENIENT)
    case 'deflate':
      return isZlib(bytes) ? zlib.inflateSync(bytes, LENIENT) : zlib.inflateRawSync(bytes, LENIENT)
    case 'br':
      return zlib.brotliDecompressSync(bytes, LENIENT_BROTLI)
    case 'zstd':
      return NEWER.zstdDecompressSync(bytes, { maxOutputLength: FREE_BYTES })
  }
}

/** RFC 9110 §8.4.1.2 says zlib (RFC 1950); some servers send the bare RFC 1951 stream. The first byte tells. */
class Inflate extends Transform {
  #inner: Transform | undefined

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    this.#inner ??= this.#choose(chunk)
    this.#inner.write(chunk, encoding, done)
  }

  #choose(chunk: Buffer): Transform {
    const inner = isZlib(chunk) ? zlib.createInflate(LENIENT) : zlib.createInflateRaw(LENIENT)
    inner.on('data', (decoded) => this.push(decoded))
    inner.on('error', (error) => this.destroy(error))
    return inner
  }

  override _flush(done: TransformCallback): void {
    this.#inner?.once('end', () => done())
    if (this.#inner === undefined) done()
    else this.#inner.end()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy()
    done(error)
  }
}

/** Node's errors of zlib, Brotli and Zstandard. */
export function isDecodingError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(Z_|ERR__|ZSTD_)/.test(String(error.code))
}

function isZlib(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0x0f) === 8
}

function isCoding(coding: string): coding is Coding {
  return Object.hasOwn(CODINGS, coding) && CODINGS[coding as Coding]
}

/** What @types/node of the oldest supported Node does not know. */
const NEWER = zlib as unknown as {
  readonly createZstdDecompress: () => Transform
  readonly zstdDecompressSync: (bytes: Uint8Array, options: object) => Uint8Array
}
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants
const FREE_BYTES = 1_048_576
const WHOLE_BYTES = 16_384 // a thread costs more than inflating these
const MAX_CODINGS = 5

/** Truncated bodies decode as far as they go, as with curl and the runtime's fetch. The length is one of `decodeWhole`. */
const LENIENT = { flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH, maxOutputLength: FREE_BYTES }
const LENIENT_BROTLI = {
  flush: BROTLI_OPERATION_FLUSH,
  finishFlush: BROTLI_OPERATION_FLUSH,
  maxOutputLength: FREE_BYTES,
}

/** Those that this runtime's fetch undoes. */
const CODINGS = {
  gzip: true,
  'x-gzip': true,
  deflate: true,
  br: true,
  zstd: 'createZstdDecompress' in zlib && Number.parseInt(process.versions.undici ?? '', 10) >= 7, // Node 22 has the one, not the other
}
