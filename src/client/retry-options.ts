import * as z from 'zod'
import type { BudgetRules } from '../limits/retry-budget.ts'
import type { RetryRules } from '../limits/retry-rules.ts'

/**
 * What is sent again. An answer is asked for again where its status invites it, or where the server says so (`should-retry`,
 * `x-should-retry`, `stripe-should-retry`: `true` or `false`, which wins over status and method); a fault of the network, of a
 * token server or of a store of tokens or secrets where its error is `retryable`. In either case only where nothing was sent, or
 * where the method is idempotent (RFC 9110 §9.2.2), or where the request has an Idempotency-Key. What a check of ours refused
 * (trust, TLS, policy, approval, signature, verification, limits) is never tried again, nor is a body that can be read only once.
 */
export interface RetryOptions {
  /** The first included. Default 3. */
  readonly maxAttempts?: number
  /** Before attempt n + 1 comes a random time, up to `baseMs` doubled n - 1 times. Default 200. */
  readonly baseMs?: number
  /** The longest of these. Default 20 000. */
  readonly maxDelayMs?: number
  /** How much of a `Retry-After`, of `retry-after-ms`, or until a quota that is used up comes back, is waited for. Default 300 000; `timeouts.totalMs` usually ends it before. */
  readonly maxRetryAfterMs?: number
  /** Default 408, 425, 429, 500, 502, 503, 504. */
  readonly statuses?: readonly number[]
  /**
   * `'auto'` gives each POST and PATCH without an Idempotency-Key one, a random UUID, the same for all attempts: for servers that
   * know the field. Default `'caller'`: only requests to which the caller gave one.
   */
  readonly idempotencyKey?: 'auto' | 'caller'
  /**
   * How many failures in a row an origin may have before nothing is sent to it again: half of `tokens`. A success gives
   * `perSuccess` of one back. Default 10 and 0.1, so that an outage is met by at most a tenth more requests.
   */
  readonly budget?: {
    /** Default 10. */
    readonly tokens?: number
    /** Default 0.1. */
    readonly perSuccess?: number
  }
}

export interface ResolvedRetry extends RetryRules {
  readonly idempotencyKey: 'auto' | 'caller'
  readonly budget: BudgetRules
}

const MAX_MS = 3_600_000
const ms = z.int().min(1).max(MAX_MS)
const maxAttempts = z.int().min(1).max(10)
const statuses = z.array(z.int().min(400).max(599)).max(100)
const idempotencyKey = z.enum(['auto', 'caller'])
const tokens = z.int().min(1).max(1_000)
const perSuccess = z.number().min(0).max(1_000)

export const RetrySchema = z.strictObject({
  maxAttempts: maxAttempts.default(3),
  baseMs: ms.default(200),
  maxDelayMs: ms.default(20_000),
  maxRetryAfterMs: ms.default(300_000),
  statuses: statuses.default([408, 425, 429, 500, 502, 503, 504]),
  idempotencyKey: idempotencyKey.default('caller'),
  budget: z.strictObject({ tokens: tokens.default(10), perSuccess: perSuccess.default(0.1) }).prefault({}),
})

export const RetryInFile = z.strictObject({
  maxAttempts: maxAttempts.exactOptional(),
  baseMs: ms.exactOptional(),
  maxDelayMs: ms.exactOptional(),
  maxRetryAfterMs: ms.exactOptional(),
  statuses: statuses.exactOptional(),
  idempotencyKey: idempotencyKey.exactOptional(),
  budget: z.strictObject({ tokens: tokens.exactOptional(), perSuccess: perSuccess.exactOptional() }).exactOptional(),
})
