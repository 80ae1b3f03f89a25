import { multipartOf } from './multipart.ts'
import { isReplayable } from './replayable.ts'
import { isOrdinary } from './request.ts'

/** What a call of fetch was given. */
export interface GivenRequest {
  readonly input: string | URL | Request
  readonly init: RequestInit
}

export interface Repeatable extends GivenRequest {
  /** Why the body can be sent only once; `undefined` for one that can be sent again, and where there is none. */
  readonly oneShot: string | undefined
}

/**
 * The same request with a body that is the same bytes, of the same type, however often it is sent. What can be sent only once
 * is left as it is. Call it before the first sending: bytes are copied, since their owner may write into them later.
 *
 * What `replayable` made stays as it is, a ReadableStream: give the same `init` to each sending, and the full road opens a stream
 * for it. Its bytes are not known before they are sent; whoever must know them refuses it, or reads them and sends what it read.
 *
 * The body of a Request is sent once, unless `replayable` made it: a Request tells neither where its body came from nor how long
 * it is, and a clone would keep all of an upload in memory in case it were needed.
 *
 * @param random Draws the boundary of a form.
 */
export function repeatable({ input, init }: GivenRequest, random: (length: number) => Uint8Array): Repeatable {
  const { body } = init
  if (body === undefined || body === null) {
    const ofRequest = input instanceof Request ? input.body : null
    if (isReplayable(ofRequest)) return { input, init: { ...init, body: ofRequest }, oneShot: undefined }
    return { input, init, oneShot: ofRequest === null ? undefined : 'the body of a Request' }
  }
  const fixed = fixedBody(body, random)
  if (fixed === undefined) return { input, init, oneShot: 'a stream' }
  return { input, init: fixed === body ? init : { ...init, body: fixed }, oneShot: undefined }
}

/** Whether the request has one, be it in `init` or in the Request. */
export function hasBody({ input, init }: GivenRequest): boolean {
  return (init.body ?? (input instanceof Request ? input.body : null)) !== null
}

type Body = NonNullable<RequestInit['body']>

function fixedBody(body: Body, random: (length: number) => Uint8Array): Body | undefined {
  if (typeof body !== 'object' || body instanceof Blob || isReplayable(body)) return body // none of them changes
  if (copies.has(body)) return body
  if (body instanceof URLSearchParams) return noted(new URLSearchParams(body))
  if (body instanceof FormData) return multipartOf(body, random)
  if (body instanceof ArrayBuffer) return isOrdinary(body) ? noted(body.slice(0)) : undefined
  if (!ArrayBuffer.isView(body) || !isOrdinary(body.buffer)) return undefined
  return noted(new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice())
}

function noted<Copy extends object>(copy: Copy): Copy {
  copies.add(copy)
  return copy
}

/** Made here, so that nobody writes into them: one of them is not copied again. */
const copies = new WeakSet<object>()
