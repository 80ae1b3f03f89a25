import type { LocalLimitRule } from './limit-options.ts'

/** What one limit knows of one key. Nothing in it reads a clock: `now` is monotonic, in milliseconds, and never goes back. */
export interface Limit {
  /** When the next request may go, `now` or before for at once; infinite where a request has to end first, or a store to answer. */
  readonly readyAt: (now: number) => number
  /** The same for one that stands behind `ahead` others, and no later than it will be. */
  readonly earliest: (now: number, ahead: number) => number
  /** A request goes. Only where `readyAt` allows it. */
  readonly take: (now: number) => void
  /** A request that went is over, the last byte of its response included. */
  readonly release?: () => void
  /** Whether a new one would say the same, so that nothing is lost with this one. */
  readonly isIdle: (now: number) => boolean
}

/** @param fraction Of what the rule allows: less for hosts that need care, one request at least. */
export function createLimit(rule: LocalLimitRule, fraction = 1): Limit {
  const requests = Math.max(1, Math.floor(rule.requests * fraction))
  switch (rule.kind) {
    case 'tokenBucket': {
      const { burst = rule.requests } = rule
      const rate = { requests: rule.requests * fraction, perMs: rule.perMs } // a rate below one is one all the same
      return createTokenBucket({ ...rate, burst: Math.max(1, Math.floor(burst * fraction)) })
    }
    case 'fixedWindow':
      return createFixedWindow({ requests, perMs: rule.perMs })
    case 'slidingWindow':
      return createSlidingWindow({ requests, perMs: rule.perMs })
    case 'concurrency':
      return createConcurrency(requests)
  }
}

interface Rate {
  readonly requests: number
  readonly perMs: number
}

/** As the instant at which an even stream would send the next request: the generic cell rate algorithm (ITU-T I.371 §A). */
function createTokenBucket({ requests, perMs, burst }: Rate & { readonly burst: number }): Limit {
  const intervalMs = perMs / requests
  const toleranceMs = (burst - 1) * intervalMs
  let theoretical = Number.NEGATIVE_INFINITY
  const earliest = (now: number, ahead: number): number =>
    Math.max(now, theoretical) + ahead * intervalMs - toleranceMs - ROUNDING_MS
  return {
    earliest,
    readyAt: (now) => earliest(now, 0),
    take: (now) => {
      theoretical = Math.max(now, theoretical) + intervalMs
    },
    isIdle: (now) => theoretical <= now,
  }
}

/** One window follows the other for as long as requests come, so that late timers do not make them longer. */
function createFixedWindow({ requests, perMs }: Rate): Limit {
  let begun = Number.NEGATIVE_INFINITY
  let used = 0
  const at = (now: number): { readonly begun: number; readonly used: number } => {
    if (now < begun + perMs) return { begun, used }
    return { begun: now < begun + 2 * perMs ? begun + perMs : now, used: 0 }
  }
  const earliest = (now: number, ahead: number): number => {
    const window = at(now)
    const place = window.used + ahead
    return place < requests ? now : window.begun + perMs * Math.floor(place / requests)
  }
  return {
    earliest,
    readyAt: (now) => earliest(now, 0),
    take: (now) => {
      const window = at(now)
      begun = window.begun
      used = window.used + 1
    },
    isIdle: (now) => now >= begun + 2 * perMs,
  }
}

/** The times of the last `requests`, in a ring: the next may go once the oldest of them is out of the window. */
function createSlidingWindow({ requests, perMs }: Rate): Limit {
  const times: number[] = []
  let oldest = 0
  const earliest = (now: number, ahead: number): number => {
    const rounds = Math.floor(ahead / requests) * perMs
    const place = ahead % requests
    const free = requests - times.length
    if (place < free) return now + rounds
    const leaving = times[(oldest + place - free) % times.length] ?? Number.NEGATIVE_INFINITY
    return Math.max(now, leaving + perMs) + rounds
  }
  return {
    earliest,
    readyAt: (now) => earliest(now, 0),
    take: (now) => {
      if (times.length < requests) times.push(now)
      else {
        times[oldest] = now
        oldest = (oldest + 1) % requests
      }
    },
    isIdle: (now) => now >= (times[(oldest + times.length - 1) % times.length] ?? Number.NEGATIVE_INFINITY) + perMs,
  }
}

/** Nobody knows how long a request takes. */
function createConcurrency(requests: number): Limit {
  let inFlight = 0
  return {
    earliest: (now) => now,
    readyAt: (now) => (inFlight < requests ? now : Number.POSITIVE_INFINITY),
    take: () => {
      inFlight += 1
    },
    release: () => {
      inFlight -= 1
    },
    isIdle: () => inFlight === 0,
  }
}

const ROUNDING_MS = 1e-6 // of sums of intervals such as a third of a second
