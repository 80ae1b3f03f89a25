import { BoundedMap } from '../encoding/bounded-map.ts'

export interface BudgetRules {
  /** Failures, without a success between, after which half of them are used up and nothing is tried again. */
  readonly tokens: number
  /** What a success gives back. */
  readonly perSuccess: number
}

export interface RetryBudget {
  readonly succeeded: (origin: string) => void
  /** Counts it, and answers whether another attempt is within the budget. */
  readonly failed: (origin: string) => boolean
}

/**
 * Keeps retries from making an outage worse, as gRPC does (proposal A6, retry throttling): an origin has a count of tokens, each
 * failure costs one, each success gives a part of one back, and nothing is tried again while half of them or fewer are left.
 */
export function createRetryBudget({ tokens, perSuccess }: BudgetRules): RetryBudget {
  const left = new BoundedMap<string, number>(MAX_ORIGINS)
  return {
    succeeded: (origin) => {
      const before = left.get(origin)
      if (before !== undefined) left.set(origin, Math.min(tokens, before + perSuccess))
    },
    failed: (origin) => {
      const after = Math.max(0, (left.get(origin) ?? tokens) - 1)
      left.set(origin, after)
      return after > tokens / 2
    },
  }
}

const MAX_ORIGINS = 1_000
