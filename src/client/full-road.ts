import { TransportError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { inNextTurn } from '../ports/turn.ts'
import type { PinnedDispatcher } from '../transport/dispatcher.ts'
import type { Inspect } from '../transport/inspection.ts'
import type { Timeouts } from '../transport/limits.ts'
import { isDisturbed } from './body.ts'
import { type DecodedLimits, DecodedMeter, isDecodingError } from './decode.ts'
import { bodyFailure } from './lean-road.ts'
import { openedAnew } from './replayable.ts'
import { type Abandonable, endWhenAbandoned, receivedResponse } from './response.ts'
import type { Send } from './send.ts'
import { noteUpload, type Upload, uploadOf } from './upload.ts'

export interface RoadOptions {
  readonly limits: DecodedLimits
  readonly timeouts: Pick<Timeouts, 'bodyMs'>
  readonly runtime: Pick<Runtime, 'schedule'>
  readonly inspect?: Inspect | undefined
}

type Dispatch = PinnedDispatcher['dispatch']
type Handler = Parameters<Dispatch>[1]

/** A fetch over our dispatcher, whose bodies keep the limits and name their errors as those of the lean road do. */
export function createFullRoad(
  fetch: typeof globalThis.fetch,
  dispatcher: PinnedDispatcher,
  { limits, timeouts, runtime, inspect }: RoadOptions,
): Send {
  return async (input, init, url, call) => {
    const meter = new DecodedMeter(limits, url.host)
    const opened = openedAnew(init.body, url.host)
    const upload = uploadOf(opened ?? init.body, url.host)
    const streamed = upload && { body: upload.body, ...(opened && { duplex: 'half' as const }) }
    const arrival: Arrival = { isComplete: false, onComplete: undefined, abandon: upload?.abandon }
    let wasAsked = false
    const dispatch: Dispatch = (options, handler) => {
      wasAsked = true
      return dispatcher.dispatch({ ...options, call, inspect }, attended(handler, meter, arrival))
    }
    // The cast: Node's typings know a class, its fetch calls this one method.
    const metered = { dispatch } as unknown as NonNullable<RequestInit['dispatcher']>
    let response: Response
    try {
      response = noteUpload(await fetch(input, { ...init, ...streamed, dispatcher: metered }), upload)
    } catch (error) {
      if (wasAsked || opened !== undefined) upload?.abandon(error)
      throw error
    }
    const { body } = response
    if (!wasAsked || body === null) return response // a mock's answer, as it is
    const isEncoded = response.headers.has('content-encoding')
    const late = { runtime, ms: timeouts.bodyMs, host: url.host }
    const own = isEncoded ? guarded(body, meter, (read) => inTime(read, arrival, late)) : guarded(body)
    const { status, statusText, headers } = response
    const head = { url: response.url, status, statusText, headers: [...headers] }
    const received = receivedResponse(own.stream, head, headers)
    endWhenAbandoned(received, own)
    return noteUpload(received, upload)
  }
}

/**
 * The handler itself, which keeps its state in `this`, with an ear at the bytes. An error in the turn of the headers waits for
 * the next: the runtime's fetch listens for it a few microtasks later, and a body would never end.
 */
function attended(handler: Handler, meter: DecodedMeter, arrival: Arrival): Handler {
  const own = Object.create(handler) as Record<string, unknown>
  const around = (names: readonly string[], act: (call: () => unknown, given: readonly unknown[]) => unknown): void => {
    for (const name of names) {
      const theirs: unknown = Reflect.get(handler, name)
      if (typeof theirs !== 'function') continue // undici's other generation
      own[name] = (...given: unknown[]): unknown => act(() => theirs.apply(own, given), given)
    }
  }
  let hasBegun = false
  around(['onHeaders', 'onResponseStart'], (call) => {
    hasBegun = true
    return call()
  })
  around(['onData', 'onResponseData'], (call, given) => {
    meter.addEncoded((given.at(-1) as Uint8Array).length)
    return call()
  })
  around(['onComplete', 'onResponseEnd'], (call) => {
    arrival.isComplete = true
    arrival.onComplete?.()
    arrival.abandon?.(undefined) // no connection goes on with a request that was answered
    return call()
  })
  around(['onError', 'onResponseError'], (call, [reason]) => {
    arrival.abandon?.(reason)
    return hasBegun ? inNextTurn(call) : call()
  })
  return own as Handler
}

/** How far the bytes of a response are. */
interface Arrival {
  isComplete: boolean
  onComplete: (() => void) | undefined
  /** Ends what the request is sent from. */
  readonly abandon: Upload['abandon'] | undefined
}

/**
 * The dispatcher's deadlines end with the last byte that arrives, and the fetch of Node 20 and 22 may wait for ever for a body
 * whose coding is broken in the middle.
 */
function inTime<T>(
  read: Promise<T>,
  arrival: Arrival,
  { runtime, ms, host }: { readonly runtime: Pick<Runtime, 'schedule'>; readonly ms: number; readonly host: string },
): Promise<T> {
  return new Promise((resolve, reject) => {
    let cancel: Cancel = () => undefined
    arrival.onComplete = () => {
      cancel = runtime.schedule(ms, () => reject(undecoded(host, ms)))
    }
    if (arrival.isComplete) arrival.onComplete()
    const settled = (): void => {
      arrival.onComplete = undefined
      cancel()
    }
    read.finally(settled).then(resolve, reject)
  })
}

function undecoded(host: string, ms: number): TransportError {
  const message = `${host}: all of the body arrived, and it did not decode within ${ms} ms (\`timeouts.bodyMs\`)`
  return new TransportError('ERR_TRANSPORT_TIMEOUT', message, { host, requestSent: 'yes' })
}

/** @param meter Of a body that is decoded on the way, with the bound of one read. */
function guarded(
  body: ReadableStream<Uint8Array>,
  meter?: DecodedMeter,
  bounded = <T>(read: Promise<T>): Promise<T> => read,
): Abandonable & { readonly stream: ReadableStream<Uint8Array> } {
  const reader = body.getReader()
  const named = (error: unknown): unknown => {
    if (!(error instanceof TypeError && error.message === 'terminated')) return error
    const { cause } = error
    return bodyFailure(meter !== undefined && isDecodingError(cause) ? meter.undecodable(cause) : cause)
  }
  let abandon: Abandonable['abandon'] = () => undefined
  const stream: ReadableStream<Uint8Array> = new ReadableStream({
    type: 'bytes',
    start: (controller) => {
      abandon = (reason) => {
        controller.error(reason)
        reader.cancel(reason).catch(() => undefined)
      }
      reader.closed.catch((error) => controller.error(named(error)))
    },
    pull: async (controller) => {
      const { done, value } = await bounded(reader.read()).catch((error) => {
        reader.cancel(error).catch(() => undefined)
        return Promise.reject(named(error))
      })
      if (done) {
        controller.close()
        controller.byobRequest?.respond(0)
        return
      }
      const refusal = meter?.addDecoded(value.length)
      if (refusal === undefined) return controller.enqueue(value)
      reader.cancel(refusal).catch(() => undefined)
      throw refusal
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return { stream, isBegun: () => stream.locked || isDisturbed(stream), abandon: (reason) => abandon(reason) }
}
