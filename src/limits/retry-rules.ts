import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError, type RequestSent } from '../errors/errors.ts'
import { readQuota } from './rate-fields.ts'
import { type PauseRules, readRetryAfter } from './retry-after.ts'

export interface RetryRules {
  /** The first included. */
  readonly maxAttempts: number
  readonly baseMs: number
  readonly maxDelayMs: number
  readonly maxRetryAfterMs: number
  readonly statuses: readonly number[]
}

/** What came of one attempt. */
export type Outcome =
  | { readonly kind: 'response'; readonly status: number; readonly headers: Headers; readonly redirected?: boolean }
  | { readonly kind: 'error'; readonly error: unknown }

/** A fault of the network, or an answer that invites another attempt. */
export interface Retriable {
  /** Whether sending the request again can do no harm, as far as method, key and outcome tell. */
  readonly isSafe: boolean
  /** What the server asked to wait, at most the cap; `undefined` where it asked for nothing. */
  readonly waitMs: number | undefined
  /** The status or the code, for events. */
  readonly cause: number | ErrorCode
}

/**
 * Whether an outcome is one that another attempt may mend. Pure. A response is judged by its status, unless the server itself
 * says whether to try again; an error by its code and by whether the request had left. What a check of ours refused is never
 * tried again: another attempt would only give an attacker another chance.
 *
 * @param mayRepeat The method is idempotent (RFC 9110 §9.2.2), or the request has an Idempotency-Key.
 * @returns `undefined` for what is final.
 */
export function judgeOutcome(
  outcome: Outcome,
  {
    mayRepeat,
    rules,
    serverNow,
  }: { readonly mayRepeat: boolean; readonly rules: RetryRules; readonly serverNow: number },
): Retriable | undefined {
  if (outcome.kind === 'error') return judgeError(outcome.error, mayRepeat, rules)
  const { status, headers, redirected = false } = outcome
  const advice = status >= 400 ? adviceOf(headers) : undefined
  if (advice === false || (advice === undefined && !rules.statuses.includes(status))) return undefined
  const pause: PauseRules = { serverNow, maxMs: rules.maxRetryAfterMs }
  return {
    isSafe: mayRepeat || (advice === true && !redirected), // it knows what it did with its request, and with no other
    waitMs: (readRetryAfter(headers, pause) ?? readQuota(headers, pause))?.ms,
    cause: status,
  }
}

function judgeError(error: unknown, mayRepeat: boolean, { maxRetryAfterMs }: RetryRules): Retriable | undefined {
  if (!(error instanceof PinfetchError) || !error.retryable || !MENDED_BY_TIME.test(error.code)) return undefined
  const asked: unknown = Reflect.get(error, 'retryAfterMs')
  return {
    isSafe: mayRepeat || error.requestSent === 'no',
    waitMs: typeof asked === 'number' && asked > 0 ? Math.min(asked, maxRetryAfterMs) : undefined,
    cause: error.code,
  }
}

/** `undefined` where the server does not say. */
function adviceOf(headers: Headers): boolean | undefined {
  for (const name of ADVICE) {
    const value = headers.get(name)
    if (value === 'true') return true
    if (value === 'false') return false
  }
  return undefined
}

/** How long to wait before attempt `number + 1`: full jitter, so that clients that failed together do not come back together. */
export function backoffMs(number: number, { baseMs, maxDelayMs }: RetryRules, random: number): number {
  return Math.ceil(random * Math.min(maxDelayMs, baseMs * 2 ** (number - 1)))
}

/** What is known of a call's request after several attempts: nothing takes back that one of them may have arrived. */
export function moreSent(one: RequestSent, other: RequestSent): RequestSent {
  return CERTAINTY.indexOf(one) > CERTAINTY.indexOf(other) ? one : other
}

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) // RFC 9110 §9.2.2
/** The network, and servers that a credential, a secret or a token comes from: never trust, TLS, a policy, a signature or a limit. */
const MENDED_BY_TIME = /^ERR_(?:TRANSPORT|AUTH|KEY|STORE)_/
const ADVICE = ['should-retry', 'x-should-retry', 'stripe-should-retry'] as const
const CERTAINTY: readonly RequestSent[] = ['no', 'maybe', 'yes']
