import { describe, expect, test } from 'vitest'
import { firstPollMs, nextPollMs, type PollSituation } from '../../src/manifest/schedule.ts'

const PROCESSES = 10_000
const SEEDS = [1, 2, 3, 4, 5]

interface Plan {
  readonly seed: number
  readonly poll: { readonly interval: number; readonly spread: number }
  readonly untilMs: number
  /** Whether the source answers at this instant. */
  readonly answers?: (ms: number) => boolean
  readonly first?: typeof firstPollMs
  readonly next?: typeof nextPollMs
}

/** When each process of a fleet that was restarted within 2 s, from fresh caches, asks the source. */
function pollsOf({ seed, poll, untilMs, answers = () => true, first = firstPollMs, next = nextPollMs }: Plan) {
  return Array.from({ length: PROCESSES }, (_, index) => {
    const random = numbers(seed * 1_000_003 + index)
    const polls: number[] = []
    let failures = 0
    for (let at = random() * 2_000 + first(poll, random); at < untilMs; ) {
      polls.push(at)
      failures = answers(at) ? 0 : failures + 1
      const situation: PollSituation = { failures, poll, retryAfterMs: undefined, freshForMs: DAY_MS, random }
      at += next(situation)
    }
    return polls
  })
}

/** Requests in the busiest second. */
function peakOf(fleet: readonly (readonly number[])[], fromMs = 0): number {
  const seconds = new Map<number, number>()
  for (const polls of fleet) {
    for (const at of polls) {
      if (at < fromMs) continue
      const second = Math.floor(at / 1_000)
      seconds.set(second, (seconds.get(second) ?? 0) + 1)
    }
  }
  return Math.max(...seconds.values())
}

describe('10,000 processes that were restarted within 2 s, polling every 300 s', () => {
  const poll = { interval: 300, spread: 0.25 }
  const mean = PROCESSES / poll.interval

  test.each(SEEDS)('never ask more than twice the mean in any second of two hours (seed %i)', (seed) => {
    const fleet = pollsOf({ seed, poll, untilMs: 2 * HOUR_MS })
    expect(peakOf(fleet)).toBeLessThanOrEqual(2 * mean)
    expect(fleet.flat().length / (2 * HOUR_MS) / mean).toBeCloseTo(1 / 1_000, 4) // nobody was left out
  })

  test.each(SEEDS)(
    'nor two and a half times it while the source is down for an hour, nor when it is back (seed %i)',
    (seed) => {
      const answers = (ms: number) => ms < HOUR_MS || ms >= 2 * HOUR_MS
      expect(peakOf(pollsOf({ seed, poll, untilMs: 4 * HOUR_MS, answers }))).toBeLessThanOrEqual(2.5 * mean)
    },
  )

  test('the control: a fixed interval from the start on has them all in the same seconds, for ever', () => {
    const fixed = pollsOf({
      seed: 1,
      poll,
      untilMs: 2 * HOUR_MS,
      first: () => poll.interval * 1_000,
      next: () => poll.interval * 1_000,
    })
    expect(peakOf(fixed, HOUR_MS)).toBeGreaterThan(100 * mean)
  })
})

describe('a deny reaches 10,000 processes that poll every 60 s through a content network that caches for 30 s', () => {
  /** From the publication to each process, in seconds and ascending, over several fleets, networks and moments. */
  const delays = (spread: number): readonly number[] =>
    SEEDS.flatMap((seed) => {
      const fleet = pollsOf({ seed, poll: { interval: 60, spread }, untilMs: 6 * MINUTE_MS })
      return [20, 60, 200].flatMap((edges) => delaysOf(fleet, edges, 2 * MINUTE_MS + seed * 7_001, numbers(seed)))
    }).toSorted((a, b) => a - b)

  test.each([0.2, 0.25])('with a spread of %d, 99 of 100 have it after 90 s, and all of them after 110', (spread) => {
    const sorted = delays(spread)
    expect(sorted.length).toBe(PROCESSES * SEEDS.length * 3)
    expect(sorted[Math.floor(sorted.length * 0.99)]).toBeLessThanOrEqual(90)
    expect(sorted.at(-1)).toBeLessThan(110)
  })
})

/** Each process asks one edge; an edge asks the origin when its copy is 30 s old. */
function delaysOf(
  fleet: readonly (readonly number[])[],
  edges: number,
  publishedAt: number,
  random: () => number,
): readonly number[] {
  const asked = fleet.flatMap((polls, process) => polls.map((at) => ({ at, process }))).sort((a, b) => a.at - b.at)
  const copiedAt = Array.from({ length: edges }, () => -CACHED_MS * random())
  const delays = new Map<number, number>()
  for (const { at, process } of asked) {
    const edge = process % edges
    if (at - (copiedAt[edge] ?? 0) >= CACHED_MS) copiedAt[edge] = at
    const isNew = at >= publishedAt && (copiedAt[edge] ?? 0) >= publishedAt
    if (isNew && !delays.has(process)) delays.set(process, (at - publishedAt) / 1_000)
  }
  return [...delays.values()]
}

/** Numbers from [0, 1), the same for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const CACHED_MS = 30_000
