import { createHash } from 'node:crypto'
import { SignError } from '../errors/errors.ts'
import { raceSignal } from '../ports/signals.ts'
import type { RequestSigner, SignableBody } from '../signing/signing.ts'
import { sourceFailure } from './body-failure.ts'
import { multipartOf } from './multipart.ts'
import { type GivenRequest, repeatable } from './replay.ts'
import { openedAnew } from './replayable.ts'

/** A body as it is signed and sent. */
export interface FixedBody {
  readonly signable: SignableBody
  /** What fetch is given. */
  readonly sent: NonNullable<RequestInit['body']> | undefined
  /** The Content-Type that fetch gives a body of this kind. */
  readonly type: string | undefined
  /** `undefined` where nobody knows it before it is sent. */
  readonly length: number | undefined
  /** Why it can be sent only once. */
  readonly oneShot: string | undefined
}

/** What the signers of a request have to know of its body. */
export interface BodyNeeds {
  readonly readsIt: boolean
  /** How much of a stream may be read into memory. */
  readonly maxBytes: number
}

/** @param hasDigest The caller says what the digest is. */
export function bodyNeeds(signers: readonly RequestSigner[], hasDigest: boolean): BodyNeeds {
  const readers = signers.filter(({ body }) => body === 'bytes' || (body === 'digest' && !hasDigest))
  const limits = readers.map(({ maxBufferBytes = 0 }) => maxBufferBytes)
  return { readsIt: readers.length > 0, maxBytes: Math.min(...limits) }
}

/**
 * Fixes the bytes that are signed and sent: what the caller does to their source from then on has no effect. A stream is left as
 * it is where no signer has to read it, and so is a Blob, which may stand for a file.
 *
 * @throws SignError `ERR_SIGN_BODY_UNHASHABLE`; the reason of the signal.
 */
export function fixBody(
  given: GivenRequest,
  { needs, host, random, signal }: FixingOptions,
): FixedBody | Promise<FixedBody> {
  const { input, init, oneShot } = repeatable(given, random)
  const body = init.body ?? (input instanceof Request ? input.body : null)
  if (body === null) return NO_BODY
  if (typeof body === 'string') return ofBytes(Buffer.from(body), 'text/plain;charset=UTF-8')
  if (body instanceof URLSearchParams) return ofBytes(Buffer.from(body.toString()), FORM_TYPE)
  if (body instanceof FormData || body instanceof Blob) {
    const blob = body instanceof FormData ? multipartOf(body, random) : body
    const type = blob.type === '' ? undefined : blob.type
    if (!needs.readsIt) return { signable: { kind: 'stream' }, sent: blob, type, length: blob.size, oneShot: undefined }
    return blob.arrayBuffer().then((bytes) => ofBytes(new Uint8Array(bytes), type))
  }
  // What may be resized was not copied.
  if (body instanceof ArrayBuffer && oneShot === undefined) return ofBytes(new Uint8Array(body), undefined)
  if (ArrayBuffer.isView(body) && oneShot === undefined)
    return ofBytes(new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength), undefined)
  if (!needs.readsIt) {
    const sent = init.body ?? undefined // of a Request it stays in there
    return { signable: { kind: 'stream' }, sent, type: undefined, length: undefined, oneShot }
  }
  if (needs.maxBytes === 0) throw unhashable(host, 'a stream cannot be read before it is sent')
  const stream = openedAnew(body, host) ?? body
  if (!(stream instanceof ReadableStream)) throw unhashable(host, 'a body of an unknown kind cannot be read')
  return readAll(stream, { maxBytes: needs.maxBytes, host, signal }).then((bytes) => ofBytes(bytes, undefined))
}

interface FixingOptions {
  readonly needs: BodyNeeds
  readonly host: string
  /** Draws the boundary of a form. */
  readonly random: (length: number) => Uint8Array
  readonly signal: AbortSignal
}

function ofBytes(bytes: Uint8Array, type: string | undefined): FixedBody {
  const digests = new Map<string, Buffer>()
  const digest = (algorithm: 'sha256' | 'sha512'): Buffer => {
    const known = digests.get(algorithm) ?? createHash(algorithm).update(bytes).digest()
    digests.set(algorithm, known)
    return known
  }
  const sent = bytes as Uint8Array<ArrayBuffer>
  return { signable: { kind: 'bytes', bytes, digest }, sent, type, length: bytes.length, oneShot: undefined }
}

async function readAll(
  stream: ReadableStream<Uint8Array>,
  { maxBytes, host, signal }: { readonly maxBytes: number; readonly host: string; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const read = reader.read().catch((error: unknown) => {
        throw sourceFailure(error, host, 'no')
      })
      const { done, value } = await raceSignal(read, signal)
      if (done) return Buffer.concat(chunks)
      if (!(value instanceof Uint8Array)) throw unhashable(host, 'a stream gave something that is no Uint8Array')
      length += value.length
      if (length > maxBytes) throw unhashable(host, `a stream is longer than the ${maxBytes} bytes of maxBufferBytes`)
      chunks.push(value.slice())
    }
  } catch (error) {
    reader.cancel(error).catch(() => undefined)
    throw error
  }
}

function unhashable(host: string, problem: string): SignError {
  const advice = 'set Content-Digest, give text, bytes, URLSearchParams, FormData or a Blob, or raise maxBufferBytes'
  return new SignError('ERR_SIGN_BODY_UNHASHABLE', `${host}: ${problem}; ${advice}; nothing was sent`, { host })
}

const NO_BODY: FixedBody = {
  signable: { kind: 'none' },
  sent: undefined,
  type: undefined,
  length: undefined,
  oneShot: undefined,
}
const FORM_TYPE = 'application/x-www-form-urlencoded;charset=UTF-8'
