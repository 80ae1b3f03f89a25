import * as z from 'zod'
import type { OriginPattern } from '../encoding/origin-pattern.ts'
import { type LimitRule, LimitSchema, LocalLimitSchema } from '../limits/limit-options.ts'
import { OriginPatternSchema } from './egress.ts'

/** What a limit is asked about. */
export interface RatedRequest {
  readonly url: URL
  /** As sent: `GET`. */
  readonly method: string
  readonly headers: Headers
}

/** One limit, and what it is a limit of. */
export interface RateRule {
  /** From `tokenBucket`, `fixedWindow`, `slidingWindow`, `concurrency` or `shared`. */
  readonly limit: LimitRule
  /**
   * What has a limit of its own: each origin, the client as a whole, or whatever the function says, such as a tenant. It answers a
   * text of 1 to 256 characters. Keys that wait for one limit take turns. Default `'origin'`.
   */
  readonly per?: 'origin' | 'client' | ((request: RatedRequest) => string)
  /** The origins it is about. Default all. */
  readonly origins?: readonly OriginPattern[]
  /** How many may wait for it, for each key; more are refused at once with `ERR_RATE_QUEUE_FULL`. Default 1 000. */
  readonly maxQueue?: number
}

/**
 * How fast requests may be sent. One that has to wait longer than `timeouts.totalMs` leaves it is refused at once, with
 * `ERR_RATE_LIMITED` and `retryAfterMs`. Requests for tokens are not counted.
 */
export interface RateOptions {
  /** A request meets all of them at once. Default none, which leaves what servers say. */
  readonly rules?: readonly RateRule[]
  /**
   * What servers say: the `Retry-After` of a 429 or 503, and fields that say that nothing is left, `RateLimit` or else
   * `X-RateLimit-*`. Until then nothing is sent to the origin, for the tenant where a rule names one. Default `'follow'`.
   */
  readonly feedback?: 'follow' | 'ignore'
  /** The most that a server is given of the time it asks for. Default 300 000. */
  readonly maxPauseMs?: number
  /** How much of each limit a legacy host gets, from 0 to 1: what is old is easily overrun. Default 0.5. */
  readonly legacyFraction?: number
}

export const DEFAULT_QUEUE = 1_000
const maxQueue = z.int().min(0).max(10_000)
const feedback = z.enum(['follow', 'ignore'])
const maxPauseMs = z.int().min(1).max(86_400_000)
const legacyFraction = z.number().gt(0).max(1)

const Rule = z.strictObject({
  limit: LimitSchema,
  per: z
    .union([
      z.enum(['origin', 'client']),
      z.custom<(request: RatedRequest) => string>(
        (value) => typeof value === 'function',
        "expected 'origin', 'client' or a function",
      ),
    ])
    .default('origin'),
  origins: z.array(OriginPatternSchema).min(1).max(1_000).exactOptional(),
  maxQueue: maxQueue.default(DEFAULT_QUEUE),
})

export const RateSchema = z.preprocess(
  (given) => (Array.isArray(given) ? { rules: given } : given),
  z.strictObject({
    rules: z.array(Rule).max(100).default([]),
    feedback: feedback.default('follow'),
    maxPauseMs: maxPauseMs.default(300_000),
    legacyFraction: legacyFraction.default(0.5),
  }),
)
export type ResolvedRate = z.output<typeof RateSchema>
export type ResolvedRule = z.output<typeof Rule>

/** The shape alone; the options are checked when a client is made. Keys by function, and shared limits, take code. */
export const RateInFile = z.strictObject({
  rules: z
    .array(
      z.strictObject({
        limit: LocalLimitSchema,
        per: z.enum(['origin', 'client']).exactOptional(),
        origins: z.array(z.string()).min(1).exactOptional(),
        maxQueue: maxQueue.exactOptional(),
      }),
    )
    .exactOptional(),
  feedback: feedback.exactOptional(),
  maxPauseMs: maxPauseMs.exactOptional(),
  legacyFraction: legacyFraction.exactOptional(),
})
