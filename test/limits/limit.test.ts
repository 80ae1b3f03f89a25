import { concurrency, fixedWindow, slidingWindow, tokenBucket } from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createFairQueue, type Gate } from '../../src/limits/fair-queue.ts'
import { createLimit } from '../../src/limits/limit.ts'
import type { LocalLimitRule } from '../../src/limits/limit-options.ts'

/** When requests went that twenty callers sent for as long as `ms`, each as soon as its last one was over. */
async function saturate(rule: LocalLimitRule, ms: number, options: { fraction?: number; lastsMs?: number } = {}) {
  const runtime = createTestRuntime()
  const queue = createFairQueue(runtime)
  const gate: Gate = { limit: createLimit(rule, options.fraction), name: 'limit', maxQueue: 100, waiting: 0 }
  const times: number[] = []
  let inFlight = 0
  let most = 0
  const call = async (): Promise<void> => {
    for (;;) {
      const deadline = Number.POSITIVE_INFINITY
      await queue.enter({ host: 'api.example', lane: 'one', gates: [gate], deadline, signal: null })
      times.push(runtime.clock.monotonic())
      inFlight += 1
      most = Math.max(most, inFlight)
      await new Promise<void>((resolve) => runtime.schedule(options.lastsMs ?? 1, resolve))
      inFlight -= 1
      gate.limit.release?.()
      queue.look()
    }
  }
  for (let caller = 0; caller < 20; caller += 1) void call()
  await runtime.advance(ms)
  return { times, most }
}

/** The most that went in any stretch of time. */
function busiest(times: readonly number[], withinMs: number): number {
  let most = 0
  let first = 0
  for (const [index, time] of times.entries()) {
    while (time - (times[first] ?? 0) >= withinMs) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}

describe('over a long time the rate is within 5 % of the limit', () => {
  test.each<[string, LocalLimitRule, perSecond: number, burst: number]>([
    ['a token bucket', tokenBucket({ requests: 10, perMs: 1_000 }), 10, 10],
    ['a token bucket with a burst of one', tokenBucket({ requests: 10, perMs: 1_000, burst: 1 }), 10, 1],
    ['a token bucket of thirds of a second', tokenBucket({ requests: 3, perMs: 1_000 }), 3, 3],
    ['a token bucket below one a second', tokenBucket({ requests: 30, perMs: 60_000, burst: 2 }), 0.5, 2],
    ['a fixed window', fixedWindow({ requests: 10, perMs: 1_000 }), 10, 10],
    ['a fixed window of seven', fixedWindow({ requests: 7, perMs: 330 }), 7 / 0.33, 7],
    ['a sliding window', slidingWindow({ requests: 10, perMs: 1_000 }), 10, 10],
    ['a sliding window of seven', slidingWindow({ requests: 7, perMs: 330 }), 7 / 0.33, 7],
  ])('of %s', async (_, rule, perSecond, burst) => {
    const { times } = await saturate(rule, 400_000)
    expect(times.length).toBeGreaterThan(perSecond * 400 * 0.95)
    expect(times.length).toBeLessThanOrEqual(perSecond * 400 * 1.05 + burst)
  })

  test('of a number of requests at the same time, which no more than that are', async () => {
    const { times, most } = await saturate(concurrency({ requests: 5 }), 100_000, { lastsMs: 100 })
    expect(most).toBe(5)
    expect(times.length).toBeGreaterThan(5_000 * 0.95)
    expect(times.length).toBeLessThanOrEqual(5_000 + 5)
  })

  test('of a fraction, as a legacy host gets it', async () => {
    const { times } = await saturate(tokenBucket({ requests: 10, perMs: 1_000 }), 400_000, { fraction: 0.25 })
    expect(times.length).toBeGreaterThan(1_000 * 0.95)
    expect(times.length).toBeLessThanOrEqual(1_000 * 1.05)
    const { most } = await saturate(concurrency({ requests: 8 }), 1_000, { fraction: 0.25, lastsMs: 100 })
    expect(most).toBe(2)
  })
})

describe('in a short time', () => {
  test('a sliding window lets no more through than it says, wherever it begins', async () => {
    const { times } = await saturate(slidingWindow({ requests: 10, perMs: 1_000 }), 60_000)
    expect(busiest(times, 1_000)).toBe(10)
  })

  test('a fixed window lets twice as much through around its end, and no more', () => {
    const limit = createLimit(fixedWindow({ requests: 10, perMs: 1_000 }))
    const went = (at: number): number => {
      let count = 0
      for (; limit.readyAt(at) <= at; count += 1) limit.take(at)
      return count
    }
    limit.take(0)
    expect([went(999), went(1_000), went(1_001), went(2_000)]).toEqual([9, 10, 0, 10])
  })

  test('a token bucket lets its burst through at once, then one after the other', async () => {
    const { times } = await saturate(tokenBucket({ requests: 10, perMs: 1_000, burst: 4 }), 1_000)
    expect(times.slice(0, 4)).toEqual([0, 0, 0, 0])
    expect(times.slice(4, 7).map(Math.floor)).toEqual([100, 200, 300])
  })

  test('what was not used for a while is there again', () => {
    const limits = [tokenBucket, fixedWindow, slidingWindow].map((make) =>
      createLimit(make({ requests: 3, perMs: 1_000 })),
    )
    for (const limit of limits) {
      for (const at of [0, 0, 0]) limit.take(at)
      expect(limit.readyAt(1)).toBeGreaterThan(1)
      expect(limit.isIdle(1)).toBe(false)
      expect(limit.readyAt(5_000)).toBeLessThanOrEqual(5_000)
      expect(limit.isIdle(5_000)).toBe(true)
    }
  })
})

test.each([
  tokenBucket({ requests: 3, perMs: 1_000, burst: 2 }),
  fixedWindow({ requests: 3, perMs: 1_000 }),
  slidingWindow({ requests: 3, perMs: 1_000 }),
])('$kind says when the last of a line will go, exactly where nothing else happens', (rule) => {
  for (const used of [0, 1, 3]) {
    const [limit, foretold] = [createLimit(rule), [] as number[]]
    for (let count = 0; count < used; count += 1) limit.take(Math.max(0, limit.readyAt(0)))
    const from = Math.max(0, limit.readyAt(0))
    for (let ahead = 0; ahead < 10; ahead += 1) foretold.push(Math.max(from, limit.earliest(from, ahead)))
    const went: number[] = []
    let now = from
    for (let ahead = 0; ahead < 10; ahead += 1) {
      now = Math.max(now, limit.readyAt(now))
      limit.take(now)
      went.push(now)
    }
    for (const [place, at] of went.entries()) expect(at).toBeCloseTo(foretold[place] ?? Number.NaN, 3)
  }
})
