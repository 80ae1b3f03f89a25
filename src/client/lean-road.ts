import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError } from '../errors/errors.ts'
import { onAbort } from '../ports/signals.ts'
import type { CallTime } from '../transport/call.ts'
import type { PinnedDispatcher } from '../transport/dispatcher.ts'
import type { Inspect } from '../transport/inspection.ts'
import type { Field, RawHandler } from '../transport/raw-handler.ts'
import { BodyStream, type Flow, type Sink } from './body.ts'
import { codingsOf, createDecoder, type DecodedLimits, DecodedMeter, decodeWhole } from './decode.ts'
import type { LeanRequest } from './request.ts'
import { endWhenAbandoned, type FieldLine, type ResponseHead, receivedResponse } from './response.ts'

export interface Target {
  readonly url: URL
  /** For messages. */
  readonly host: string
  readonly limits: DecodedLimits
  readonly call: CallTime | undefined
  readonly inspect?: Inspect | undefined
}

/** Sends one request and answers when its headers are there, as fetch does; rejects with the signal's reason, or `fetch failed`. */
export function sendLean(dispatcher: PinnedDispatcher, request: LeanRequest, target: Target): Promise<Response> {
  const { method, headers, body, signal } = request
  const { url, call: time, inspect } = target
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const call = new Call(request, target, { resolve, reject })
    try {
      const options = {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        body,
        call: time,
        inspect,
      }
      const [wanted, handler] = [options, call] as unknown as Parameters<PinnedDispatcher['dispatch']>
      dispatcher.dispatch(wanted, handler)
    } catch (error) {
      call.onError(error)
    }
  })
}

interface Settle {
  readonly resolve: (response: Response) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The response is handed over one microtask after its headers: what the parser found in the same bytes is there by then, and a
 * small body that is complete is decoded without a thread.
 */
class Call implements RawHandler, Flow {
  readonly takesText = true
  readonly #request: LeanRequest
  readonly #target: Target
  /** Until the promise is settled: who holds it holds the response. */
  #settle: Settle | undefined
  #abort: ((reason?: Error) => void) | undefined
  #onResume: (() => void) | undefined
  #head: ResponseHead | undefined
  /** What came before the response was handed over. */
  #early: Uint8Array[] = []
  #sink: Sink | undefined
  #isPaused = false
  #isComplete = false
  #failure: { readonly error: unknown } | undefined

  constructor(request: LeanRequest, target: Target, settle: Settle) {
    this.#request = request
    this.#target = target
    this.#settle = settle
    if (request.signal !== null) onAbort(request.signal, this.#onAbort)
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
  }

  onHeaders(status: number, raw: Field[], resume: () => void, statusText: string): boolean {
    if (status < 200) return true // interim: the response itself follows
    const head: ResponseHead = { url: this.#target.url.href, status, statusText, headers: linesOf(raw) }
    this.#head = head
    this.#onResume = resume
    queueMicrotask(() => this.#handOver(head))
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#sink === undefined) this.#early.push(chunk)
    else this.#sink.push(chunk)
    return !this.#isPaused
  }

  onComplete(): void {
    this.#isComplete = true
    this.#sink?.end()
  }

  onError(error: unknown): void {
    if (this.#head === undefined) this.#reject(new TypeError('fetch failed', { cause: error }))
    else this.#fail(bodyFailure(error))
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#onResume?.()
  }

  cancel(reason: unknown): void {
    if (!this.#isComplete) this.#abort?.(reason as Error)
  }

  #handOver(head: ResponseHead): void {
    const { signal, method } = this.#request
    if (signal?.aborted) return // rejected
    if (method === 'HEAD' || WITHOUT_BODY.has(head.status)) {
      this.#sink = NOWHERE
      this.#release()
      this.#resolve(receivedResponse(null, head))
      return
    }
    try {
      const body = this.#receive(head)
      const response = receivedResponse(body, head)
      if (!this.#isComplete || signal !== null) endWhenAbandoned(response, body)
      this.#resolve(response)
    } catch (error) {
      this.cancel(error)
      this.#reject(new TypeError('fetch failed', { cause: error }))
    }
  }

  #receive({ headers }: ResponseHead): BodyStream {
    const codings = codingsOf(headers)
    const encoded = this.#early
    this.#early = []
    const { limits, host } = this.#target
    const whole = this.#isComplete ? decodeWhole(codings, { encoded, maxBytes: limits.bodyBytes }) : undefined
    const isDecoded = codings.length === 0 || whole !== undefined
    const decoder = isDecoded
      ? undefined
      : createDecoder(codings, { source: this, meter: new DecodedMeter(limits, host) })
    const body = new BodyStream(decoder?.flow ?? this, () => this.#release())
    const sink = decoder === undefined ? body : decoder.into(body)
    this.#sink = sink
    for (const chunk of whole === undefined ? encoded : [whole]) sink.push(chunk)
    if (this.#isComplete) sink.end()
    if (this.#failure !== undefined) sink.fail(this.#failure.error)
    return body
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#request.signal?.reason
    this.#fail(reason || new DOMException('The operation was aborted.', 'AbortError'))
    this.#reject(reason)
    this.cancel(reason)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#sink?.fail(this.#failure.error)
  }

  #resolve(response: Response): void {
    this.#settle?.resolve(response)
    this.#settle = undefined
  }

  #reject(reason: unknown): void {
    this.#release()
    this.#settle?.reject(reason)
    this.#settle = undefined
  }

  /** A signal that lives as long as the process must not gather listeners. */
  #release(): void {
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/**
 * What reading a body rejects with: the runtime's own `terminated`, with ours as its cause, where the network failed; ours as
 * it is where a limit, a deadline or a policy ended it, so that `error.code` says at once which.
 */
export function bodyFailure(error: unknown): unknown {
  const isOurs = error instanceof PinfetchError && !OF_THE_NETWORK.has(error.code)
  return isOurs ? error : new TypeError('terminated', { cause: error })
}

function linesOf(raw: readonly Field[]): FieldLine[] {
  const lines: FieldLine[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    lines.push([String(raw[at]?.toString('latin1')).toLowerCase(), String(raw[at + 1]?.toString('latin1'))])
  }
  return lines
}

const OF_THE_NETWORK: ReadonlySet<ErrorCode> = new Set(['ERR_TRANSPORT_CLOSED', 'ERR_TRANSPORT_PROTOCOL'])
const NOWHERE: Sink = { push: () => undefined, end: () => undefined, fail: () => undefined }
const WITHOUT_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]) // WHATWG Fetch §2.2.3, null body status
