import type { CanonicalOrigin } from '../encoding/host.ts'
import { uuid } from '../encoding/uuid.ts'
import { copyOf } from '../errors/copy.ts'
import { PinfetchError, type RequestSent } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { ClockOffsets } from '../keys/clock-offset.ts'
import { createRetryBudget } from '../limits/retry-budget.ts'
import { backoffMs, isIdempotent, judgeOutcome, moreSent, type Outcome, type Retriable } from '../limits/retry-rules.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal, wait } from '../ports/signals.ts'
import { clientClosed } from '../transport/failure.ts'
import type { Limits, Timeouts } from '../transport/limits.ts'
import { type Fields, fixedRequest } from './fixed-request.ts'
import type { GivenRequest, Repeatable } from './replay.ts'
import { wireMethod } from './request.ts'
import type { ResolvedRetry } from './retry-options.ts'
import type { Call } from './send.ts'
import { abandonUpload } from './upload.ts'

/** Everything that one call of fetch does, redirects included. */
export type Exchange = (origin: CanonicalOrigin, request: GivenRequest, url: URL, call?: Call) => Promise<Response>

export interface Retries {
  /** The same, and again where that may help. */
  readonly retried: (exchange: Exchange) => Exchange
  /** Whoever waits for another attempt is told that there will be none. */
  readonly close: () => void
}

export interface RetriesGiven {
  readonly runtime: Runtime
  readonly emit: Emit
  readonly timeouts: Pick<Timeouts, 'totalMs'>
  readonly limits: Pick<Limits, 'minBytesPerSecond'>
  readonly clocks: ClockOffsets
  /** Keeps the process alive meanwhile: somebody waits. */
  readonly held: <T>(work: Promise<T>) => Promise<T>
}

/**
 * Stands outside of all else that a call does: another attempt is a request of its own, that is approved, limited, authorized and
 * signed anew. The body is fixed before the first; the signal and `timeouts.totalMs` are those of the whole call.
 */
export function createRetries(
  rules: ResolvedRetry,
  { runtime, emit, timeouts, limits, clocks, held }: RetriesGiven,
): Retries {
  const { monotonic } = runtime.clock
  const budget = createRetryBudget(rules.budget)
  const waiting = new Set<AbortController>()
  let isClosed = false

  const pause = async (ms: number, signal: AbortSignal | null, host: string, sent: RequestSent): Promise<void> => {
    const control = new AbortController()
    waiting.add(control)
    if (isClosed) control.abort()
    try {
      await held(raceSignal(wait(runtime, ms, control.signal), signal))
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : control.signal.aborted ? clientClosed(host, sent) : error
    } finally {
      control.abort() // the timer goes too
      waiting.delete(control)
    }
  }

  /** `undefined` where there is another attempt; else why there is none. */
  const whyNot = (
    found: Retriable,
    at: { number: number; request: Repeatable; origin: string; endsAt: number; afterMs: number },
  ) => {
    const isWithin = budget.failed(at.origin)
    if (at.number >= rules.maxAttempts) return 'attempts'
    if (!found.isSafe) return 'method'
    if (at.request.oneShot !== undefined) return 'body'
    if (!isWithin) return 'budget'
    return monotonic() + at.afterMs >= at.endsAt ? 'deadline' : undefined
  }

  const retried =
    (exchange: Exchange): Exchange =>
    async (origin, given, url, known) => {
      const begun = monotonic()
      const method = methodOf(given)
      const keyed = withKey(fixedRequest(given, runtime.random), method, rules.idempotencyKey, runtime.random)
      const { request, mayRepeat } = keyed
      const signal = request.init.signal ?? (request.input instanceof Request ? request.input.signal : null)
      const { text: host } = origin
      const time: Call = known ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
      let sent: RequestSent = 'no'
      for (let number = 1; ; number += 1) {
        const sentAt = monotonic()
        const outcome = await exchange(origin, request, url, time).then(
          (response) => answered(response),
          (error: unknown) => ({ kind: 'error', error }) as const,
        )
        if (outcome.kind === 'response' && !outcome.redirected)
          clocks.learn(url.origin, outcome.headers, monotonic() - sentAt)
        sent = moreSent(sent, sentOf(outcome))
        const found = judgeOutcome(outcome, { mayRepeat, rules, serverNow: clocks.now(url.origin) })
        if (found === undefined) {
          if (outcome.kind === 'response' && outcome.status < 500) budget.succeeded(host)
          return ended(outcome, sent)
        }
        const afterMs = found.waitMs ?? backoffMs(number, rules, fraction(runtime.random))
        const creditMs = (time.moved / limits.minBytesPerSecond) * 1_000
        const endsAt = (time.startedAt ?? begun) + timeouts.totalMs + creditMs
        const reason = whyNot(found, { number, request, origin: host, endsAt, afterMs })
        const { cause } = found
        if (reason !== undefined) {
          emit({ type: 'retry.stopped', host, method, attempts: number, cause, reason })
          return ended(outcome, sent)
        }
        emit({ type: 'retry.scheduled', host, method, attempt: number + 1, afterMs, cause })
        const left = outcome.kind === 'response' ? drained(outcome.response) : undefined
        await pause(afterMs, signal, host, sent).finally(() => left?.stop())
        const over = time.endedBy?.()
        if (over !== undefined) throw over
        Object.assign(time, { hops: 0, hasLeftOrigin: false })
      }
    }
  const close = (): void => {
    isClosed = true
    for (const control of waiting) control.abort()
  }
  return { retried, close }
}

type Attempted =
  | Extract<Outcome, { kind: 'error' }>
  | (Extract<Outcome, { kind: 'response' }> & { readonly response: Response })

function answered(response: Response) {
  const { status, headers, redirected } = response
  return { kind: 'response', response, status, headers, redirected } as const
}

function ended(outcome: Attempted, sent: RequestSent): Response {
  if (outcome.kind === 'response') return outcome.response
  const { error } = outcome
  throw error instanceof PinfetchError && error.requestSent !== sent ? copyOf(error, { requestSent: sent }) : error
}

function sentOf(outcome: Attempted): RequestSent {
  if (outcome.kind === 'response') return 'yes'
  return outcome.error instanceof PinfetchError ? outcome.error.requestSent : 'no'
}

/**
 * Reads what nobody wants, while time passes anyway: a connection whose response was read to its end serves the next request.
 * What is too long, or does not end in time, costs the connection.
 */
function drained(response: Response): { readonly stop: () => void } {
  abandonUpload(response, new DOMException('The request is sent again.', 'AbortError'))
  const reader = response.body?.getReader()
  const read = async (): Promise<void> => {
    for (let bytes = 0; reader !== undefined; ) {
      const { done, value } = await reader.read()
      if (done) return
      bytes += value.length
      if (bytes > MAX_DRAINED) return await reader.cancel()
    }
  }
  read().catch(() => undefined)
  return { stop: () => void reader?.cancel().catch(() => undefined) }
}

function withKey(
  request: Repeatable,
  method: string,
  policy: ResolvedRetry['idempotencyKey'],
  random: Runtime['random'],
): { readonly request: Repeatable; readonly mayRepeat: boolean } {
  const { input, init } = request
  const fields = init.headers ?? (input instanceof Request ? input.headers : {})
  const key = new Headers(fields).get(KEY)
  const mayRepeat = isIdempotent(method) || (key !== null && key !== '') // an empty one tells no two requests apart
  if (policy !== 'auto' || key !== null || mayRepeat || !KEYED.has(method)) return { request, mayRepeat }
  const own: Fields = Array.isArray(fields)
    ? [...fields, [KEY, uuid(random)]]
    : fields instanceof Headers
      ? [...fields, [KEY, uuid(random)]]
      : { ...(fields as Record<string, string>), [KEY]: uuid(random) }
  return { request: { ...request, init: { ...init, headers: own } }, mayRepeat: true }
}

const fraction = (random: Runtime['random']): number => Buffer.from(random(4)).readUInt32BE() / 2 ** 32

function methodOf({ input, init }: GivenRequest): string {
  return wireMethod(init.method ?? (input instanceof Request ? input.method : 'GET'))
}

const KEY = 'Idempotency-Key' // draft-ietf-httpapi-idempotency-key-header
const KEYED: ReadonlySet<string> = new Set(['POST', 'PATCH'])
const MAX_DRAINED = 65_536
