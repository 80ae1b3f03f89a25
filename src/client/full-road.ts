import type { PinnedDispatcher } from '../transport/dispatcher.ts'
import { type DecodedLimits, DecodedMeter } from './decode.ts'
import { bodyFailure } from './lean-road.ts'
import { cancelWhenAbandoned, receivedResponse } from './response.ts'
import type { Send } from './send.ts'

type Dispatch = PinnedDispatcher['dispatch']
type Handler = Parameters<Dispatch>[1]

/** A fetch over our dispatcher, whose bodies keep the limits and name their errors as those of the lean road do. */
export function createFullRoad(
  fetch: typeof globalThis.fetch,
  dispatcher: PinnedDispatcher,
  limits: DecodedLimits,
): Send {
  return async (input, init, url) => {
    const meter = new DecodedMeter(limits, url.host)
    let wasAsked = false
    const dispatch: Dispatch = (options, handler) => {
      wasAsked = true
      return dispatcher.dispatch(options, counting(handler, meter))
    }
    // The cast: Node's typings know a class, its fetch calls this one method.
    const metered = { dispatch } as unknown as NonNullable<RequestInit['dispatcher']>
    const response = await fetch(input, { ...init, dispatcher: metered })
    const { body } = response
    if (!wasAsked || body === null) return response // a mock's answer, as it is
    const isEncoded = response.headers.has('content-encoding')
    const stream = guarded(body, (length) => (isEncoded ? meter.addDecoded(length) : undefined))
    const { status, statusText, headers } = response
    const received = receivedResponse(stream, { url: response.url, status, statusText, headers: [...headers] }, headers)
    cancelWhenAbandoned(received, stream)
    return received
  }
}

/** The handler itself, which keeps its state in `this`, with an ear at the bytes; undici's two generations of names. */
function counting(handler: Handler, meter: DecodedMeter): Handler {
  const counted = Object.create(handler) as Record<string, unknown>
  for (const name of ['onData', 'onResponseData']) {
    const own: unknown = Reflect.get(handler, name)
    if (typeof own !== 'function') continue
    counted[name] = (...given: unknown[]): unknown => {
      meter.addEncoded((given.at(-1) as Uint8Array).length)
      return own.apply(counted, given)
    }
  }
  return counted as Handler
}

function guarded(
  body: ReadableStream<Uint8Array>,
  judge: (length: number) => Error | undefined,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const named = (error: unknown): unknown =>
    error instanceof TypeError && error.message === 'terminated' ? bodyFailure(error.cause) : error
  return new ReadableStream({
    type: 'bytes',
    start: (controller) => {
      reader.closed.catch((error) => controller.error(named(error)))
    },
    pull: async (controller) => {
      const { done, value } = await reader.read().catch((error) => Promise.reject(named(error)))
      if (done) {
        controller.close()
        controller.byobRequest?.respond(0)
        return
      }
      const refusal = judge(value.length)
      if (refusal === undefined) return controller.enqueue(value)
      reader.cancel(refusal).catch(() => undefined)
      throw refusal
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
