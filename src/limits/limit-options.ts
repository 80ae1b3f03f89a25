import * as z from 'zod'

/** What may be sent in which time. Made by the functions of these names; plain data, so that a file can say it too. */
export type LimitRule = TokenBucketRule | WindowRule | ConcurrencyRule | SharedRule

/** A limit that this process keeps by itself. */
export type LocalLimitRule = Exclude<LimitRule, SharedRule>

/** What says how many go in which time. A number at the same time says nothing of that. */
export type PacedRule = Exclude<LocalLimitRule, ConcurrencyRule>

/** So many requests per so many milliseconds, with bursts. Made by `tokenBucket`. */
export interface TokenBucketRule {
  readonly kind: 'tokenBucket'
  /** How many go on average in `perMs`. */
  readonly requests: number
  /** Milliseconds. */
  readonly perMs: number
  /** How many may go at once after a pause. Default `requests`. */
  readonly burst?: number
}

/** So many requests in a window of so many milliseconds. Made by `fixedWindow` and `slidingWindow`. */
export interface WindowRule {
  readonly kind: 'fixedWindow' | 'slidingWindow'
  /** How many go in one window. */
  readonly requests: number
  /** Length of a window in milliseconds. */
  readonly perMs: number
}

/** So many requests under way at once. Made by `concurrency`. */
export interface ConcurrencyRule {
  readonly kind: 'concurrency'
  /** How many are under way at once. */
  readonly requests: number
}

/** A limit that several processes share. Made by `shared`. */
export interface SharedRule {
  readonly kind: 'shared'
  /** Of `rate-limiter-flexible`, or of your own. */
  readonly limiter: SharedLimiter
  /** What counts while the store cannot be asked. */
  readonly whenDown?: PacedRule | 'refuse'
}

/** A limiter of the package rate-limiter-flexible, over whatever store: known by what it has, and never by its class. */
export interface SharedLimiter {
  readonly consume: (key: string, points?: number) => Promise<unknown>
  /** Requests in each `duration`. */
  readonly points?: number
  /** Seconds. */
  readonly duration?: number
}

/** `requests` in each `perMs` on average, evenly once the `burst` is used up: for servers that count in one way or another. */
export function tokenBucket(rule: Omit<TokenBucketRule, 'kind'>): TokenBucketRule {
  return { kind: 'tokenBucket', ...rule }
}

/** `requests` in each window of `perMs`, which begins with a request. Around the end of one, two windows' worth may go at once. */
export function fixedWindow(rule: Omit<WindowRule, 'kind'>): WindowRule {
  return { kind: 'fixedWindow', ...rule }
}

/** Never more than `requests` in any `perMs`, whenever it is taken to begin. */
export function slidingWindow(rule: Omit<WindowRule, 'kind'>): WindowRule {
  return { kind: 'slidingWindow', ...rule }
}

/** At most so many at the same time, each until the last byte of its response. */
export function concurrency(rule: Omit<ConcurrencyRule, 'kind'>): ConcurrencyRule {
  return { kind: 'concurrency', ...rule }
}

/**
 * A limit that the processes of several machines keep together, in the store of a limiter of rate-limiter-flexible. Every
 * request asks the store, which has 250 ms to answer; one that does not is left alone for a while.
 *
 * @param options.whenDown Default: this process alone keeps to the limiter's own `points` and `duration`. `'refuse'` sends nothing.
 */
export function shared(limiter: SharedLimiter, options: Pick<SharedRule, 'whenDown'> = {}): SharedRule {
  return { kind: 'shared', limiter, ...options }
}

const requests = z.int().min(1).max(1_000_000)
const perMs = z.int().min(1).max(86_400_000)

const TokenBucket = z.strictObject({
  kind: z.literal('tokenBucket'),
  requests,
  perMs,
  burst: z.int().min(1).max(1_000_000).exactOptional(),
})
const FixedWindow = z.strictObject({ kind: z.literal('fixedWindow'), requests, perMs })
const SlidingWindow = z.strictObject({
  kind: z.literal('slidingWindow'),
  requests: z.int().min(1).max(10_000, 'a sliding window keeps the time of each request; expected 10000 at most'),
  perMs,
})
const Concurrency = z.strictObject({ kind: z.literal('concurrency'), requests })

/** What a file can say too. */
export const LocalLimitSchema = z.discriminatedUnion('kind', [TokenBucket, FixedWindow, SlidingWindow, Concurrency])

const PacedLimitSchema = z.discriminatedUnion('kind', [TokenBucket, FixedWindow, SlidingWindow])

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0

const isLimiter = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'consume' in value && typeof value.consume === 'function'

const Limiter = z
  .custom<SharedLimiter>(isLimiter, 'expected a limiter of rate-limiter-flexible, with a function `consume`')
  .transform((limiter): SharedLimiter => {
    const { points, duration } = limiter
    const consume: SharedLimiter['consume'] = (key, cost) => limiter.consume(key, cost)
    return { consume, ...(isCount(points) && { points }), ...(duration !== undefined && { duration }) }
  })

const Shared = z
  .strictObject({
    kind: z.literal('shared'),
    limiter: Limiter,
    whenDown: z.union([z.literal('refuse'), PacedLimitSchema]).exactOptional(),
  })
  .transform(({ limiter, whenDown = ownWindow(limiter), ...rest }, context) => {
    if (whenDown !== undefined) return { ...rest, limiter, whenDown }
    context.addIssue({
      code: 'custom',
      path: ['whenDown'],
      message: 'expected a limit or `refuse`, since the limiter does not say its points and duration',
    })
    return z.NEVER
  })

function ownWindow({ points, duration }: SharedLimiter): PacedRule | undefined {
  const own = FixedWindow.safeParse({ kind: 'fixedWindow', requests: points, perMs: (duration ?? 0) * 1_000 })
  return own.success ? own.data : undefined
}

export const LimitSchema = z.discriminatedUnion('kind', [TokenBucket, FixedWindow, SlidingWindow, Concurrency, Shared])
