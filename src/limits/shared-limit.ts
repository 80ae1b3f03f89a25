import type { Guard } from '../stores/tokens/breaker.ts'
import { createLimit, type Limit } from './limit.ts'
import type { PacedRule, SharedLimiter } from './limit-options.ts'

export interface SharedLimitOptions {
  readonly limiter: Pick<SharedLimiter, 'consume'>
  readonly key: string
  /** What one request costs. */
  readonly points: number
  /** What counts while the store cannot be asked; `'refuse'`: nothing goes. */
  readonly whenDown: PacedRule | 'refuse'
  /** Of `whenDown`, as for `createLimit`. */
  readonly fraction: number
  /** Gives the store its time to answer, and leaves it alone for a while once it did not. */
  readonly guard: Guard
  readonly now: () => number
  /** How many wait for this limit. */
  readonly demand: () => number
  /** There is an answer. */
  readonly changed: () => void
  readonly failed: (error: unknown) => void
}

/**
 * A limit whose state is elsewhere. A point that the store gave is in hand until a request takes it, for a second; while one is
 * refused, the others do not ask, for the store would only count them.
 */
export function createSharedLimit(options: SharedLimitOptions): Limit {
  const { limiter, key, points, whenDown, fraction, guard, now, demand, changed, failed } = options
  const own = whenDown === 'refuse' ? undefined : createLimit(whenDown, fraction)
  let inHand = 0
  let keptUntil = Number.NEGATIVE_INFINITY
  let asking = 0
  let blockedUntil = Number.NEGATIVE_INFINITY

  const ask = async (): Promise<Answer> => {
    try {
      return await guard(() => consumed(limiter, key, points), ignore)
    } catch (error) {
      failed(error)
      const at = now()
      const readyAt = own === undefined ? at + RETRY_MS : own.readyAt(at)
      if (readyAt > at) return { waitMs: readyAt - at }
      own?.take(at)
      return { waitMs: 0 }
    }
  }
  const askForMore = (): void => {
    while (asking + inHand < Math.min(MAX_ASKING, Math.max(1, demand()))) {
      asking += 1
      void ask().then(({ waitMs }) => {
        asking -= 1
        if (waitMs > 0) blockedUntil = Math.max(blockedUntil, now() + waitMs)
        else {
          inHand += 1
          keptUntil = now() + KEPT_MS
        }
        changed()
      })
    }
  }
  return {
    readyAt: (at) => {
      if (at >= keptUntil) inHand = 0
      if (inHand > 0) return at
      if (at < blockedUntil) return blockedUntil
      askForMore()
      return Number.POSITIVE_INFINITY
    },
    earliest: (at) => (inHand > 0 ? at : Math.max(at, blockedUntil)),
    take: () => {
      inHand -= 1
    },
    isIdle: (at) => asking === 0 && at >= Math.max(keptUntil, blockedUntil) && own?.isIdle(at) !== false,
  }
}

interface Answer {
  /** 0: the request may go. */
  readonly waitMs: number
}

/** Its refusals are rejections with `msBeforeNext`, and no errors; all else that it rejects with is a store that failed. */
async function consumed(limiter: Pick<SharedLimiter, 'consume'>, key: string, points: number): Promise<Answer> {
  try {
    await limiter.consume(key, points)
    return { waitMs: 0 }
  } catch (refusal) {
    const ms: unknown =
      typeof refusal === 'object' && refusal !== null && !(refusal instanceof Error)
        ? Reflect.get(refusal, 'msBeforeNext')
        : undefined
    if (typeof ms !== 'number' || Number.isNaN(ms)) throw refusal
    if (ms < 0) return { waitMs: RETRY_MS } // of a key that never expires
    return { waitMs: Math.min(Math.max(ms, MIN_BLOCK_MS), MAX_BLOCK_MS) }
  }
}

const ignore = (): void => undefined
const MAX_ASKING = 16
/** A store that is asked again after each of its own pauses; what waits has a deadline. */
const RETRY_MS = 1_000
/** A store that always says that it is over at once must not be asked without a pause. */
const MIN_BLOCK_MS = 20
const MAX_BLOCK_MS = 86_400_000
/** One that nobody took is of a window that may be over. */
const KEPT_MS = 1_000
