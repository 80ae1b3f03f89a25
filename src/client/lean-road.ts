import { PinfetchError } from '../errors/errors.ts'
import type { PinnedDispatcher } from '../transport/dispatcher.ts'
import { requestFailure } from '../transport/failure.ts'
import { BodyStream, type Flow, type Sink } from './body.ts'
import { codingsOf, createDecoder, type DecodedLimits, DecodedMeter, decodeWhole } from './decode.ts'
import type { LeanRequest } from './request.ts'
import { cancelWhenAbandoned, type ResponseHead, receivedResponse } from './response.ts'

type Handler = Parameters<PinnedDispatcher['dispatch']>[1]
type Controller = Parameters<NonNullable<Handler['onRequestStart']>>[0]
type Incoming = Parameters<NonNullable<Handler['onResponseStart']>>[2]

export interface Target {
  readonly url: URL
  /** For messages. */
  readonly host: string
  readonly limits: DecodedLimits
}

/** Sends one request and answers when its headers are there, as fetch does; rejects with the signal's reason, or `fetch failed`. */
export function sendLean(dispatcher: PinnedDispatcher, request: LeanRequest, target: Target): Promise<Response> {
  const { method, headers, body, signal } = request
  const { url } = target
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const handler = new Call(request, target, { resolve, reject })
    try {
      const options = { origin: url.origin, path: url.pathname + url.search, method, headers, body }
      dispatcher.dispatch(options as Parameters<PinnedDispatcher['dispatch']>[0], handler)
    } catch (error) {
      handler.onResponseError(undefined, error)
    }
  })
}

interface Settle {
  readonly resolve: (response: Response) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The response is handed over one microtask after its headers: what the parser found in the same bytes is there by then, and a
 * body that is complete costs neither a thread nor a wait.
 */
class Call implements Flow {
  readonly #request: LeanRequest
  readonly #target: Target
  readonly #settle: Settle
  #controller: Controller | undefined
  #head: ResponseHead | undefined
  /** What came before the response was handed over. */
  #early: Uint8Array[] = []
  #isComplete = false
  #failure: { readonly error: unknown } | undefined
  #sink: Sink | undefined

  constructor(request: LeanRequest, target: Target, settle: Settle) {
    this.#request = request
    this.#target = target
    this.#settle = settle
    request.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#failure !== undefined) controller.abort(this.#failure.error as Error)
  }

  onResponseStart(_: Controller, status: number, headers: Incoming, statusText = ''): void {
    if (status < 200) return // interim responses: the final one follows
    this.#head = { url: this.#target.url.href, status, statusText, headers: headers as ResponseHead['headers'] }
    queueMicrotask(() => this.#handOver(this.#head as ResponseHead))
  }

  onResponseData(_: Controller, chunk: Uint8Array): void {
    if (this.#sink === undefined) this.#early.push(chunk)
    else this.#sink.push(chunk)
  }

  onResponseEnd(): void {
    this.#isComplete = true
    this.#sink?.end()
  }

  onResponseError(_: Controller | undefined, error: unknown): void {
    if (this.#head === undefined) this.#reject(new TypeError('fetch failed', { cause: error }))
    else this.#fail(bodyFailure(error, this.#target.host))
  }

  pause = (): void => this.#controller?.pause()
  resume = (): void => this.#controller?.resume()
  cancel = (reason: unknown): void => {
    if (!this.#isComplete) this.#controller?.abort(reason as Error)
  }

  #handOver(head: ResponseHead): void {
    if (this.#request.signal?.aborted) return // rejected
    if (this.#request.method === 'HEAD' || WITHOUT_BODY.has(head.status)) {
      this.#sink = NOWHERE
      this.#release()
      this.#settle.resolve(receivedResponse(null, head))
      return
    }
    try {
      const { stream } = this.#receive(head)
      const response = receivedResponse(stream, head)
      if (!this.#isComplete || this.#request.signal !== null) cancelWhenAbandoned(response, stream)
      this.#settle.resolve(response)
    } catch (error) {
      this.cancel(error)
      this.#reject(new TypeError('fetch failed', { cause: error }))
    }
  }

  #receive({ headers }: ResponseHead): BodyStream {
    const codings = codingsOf((headers as Incoming)['content-encoding'])
    const encoded = this.#early
    this.#early = []
    const { limits, host } = this.#target
    const whole = this.#isComplete ? decodeWhole(codings, { encoded, maxBytes: limits.bodyBytes }) : undefined
    const isDecoded = codings.length === 0 || whole !== undefined
    const meter = new DecodedMeter(limits, host)
    const decoder = isDecoded ? undefined : createDecoder(codings, { source: this, meter })
    const body = new BodyStream(decoder?.flow ?? this, () => this.#release())
    this.#sink = decoder === undefined ? body : decoder.into(body)
    for (const chunk of whole === undefined ? encoded : [whole]) this.#sink.push(chunk)
    if (this.#isComplete) this.#sink.end()
    if (this.#failure !== undefined) this.#sink.fail(this.#failure.error)
    return body
  }

  #onAbort = (): void => {
    const reason: unknown = this.#request.signal?.reason
    this.#fail(reason)
    this.#reject(reason)
    this.cancel(reason)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#sink?.fail(this.#failure.error)
  }

  #reject(reason: unknown): void {
    this.#release()
    this.#settle.reject(reason)
  }

  /** A signal that lives as long as the process must not gather listeners. */
  #release(): void {
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/**
 * What reading a body rejects with. Ours as it is, so that `error.code` says at once which limit or deadline it was; for what
 * the network did, the runtime's own `terminated`, with ours as its cause.
 */
export function bodyFailure(error: unknown, host: string): unknown {
  return error instanceof PinfetchError ? error : new TypeError('terminated', { cause: requestFailure(error, host) })
}

const NOWHERE: Sink = { push: () => undefined, end: () => undefined, fail: () => undefined }
const WITHOUT_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]) // WHATWG Fetch §2.2.3, null body status
