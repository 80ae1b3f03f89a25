import { concurrency, fixedWindow, shared } from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient as createRedis } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createRates } from '../../src/client/rate.ts'
import { type RateOptions, RateSchema } from '../../src/client/rate-options.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'
import type { SharedLimiter } from '../../src/limits/limit-options.ts'
import type { Runtime } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { redisServer, startRedis } from '../support/redis.ts'

/** One process of several: its own limits, over what stands for a server that counts. */
function start(options: RateOptions, runtime: Runtime = systemRuntime, totalMs = 20_000, isLegacy = false) {
  const events: ClientEvent[] = []
  const emit = (event: ClientEvent): void => void events.push(event)
  const clocks = createClockOffsets({ runtime, emit })
  const given = {
    runtime,
    emit,
    clocks,
    timeouts: { totalMs },
    policyOf: () => (isLegacy ? { profile: 'legacy' as const } : {}),
    held: <T>(work: Promise<T>) => work,
  }
  const rates = createRates(RateSchema.parse(options), given)
  const sentAt: number[] = []
  const send = rates.limited(async () => {
    sentAt.push(runtime.clock.monotonic())
    return new Response('ok')
  })
  const url = new URL('https://api.example/')
  return { call: (init: RequestInit = {}) => send(url.href, init, url), events, sentAt, rates }
}

const outcomes = (calls: Promise<unknown>[]) =>
  Promise.allSettled(calls).then((all) => all.map((one) => (one.status === 'fulfilled' ? 'ok' : one.reason.code)))

test('two clients keep one limit together, over the memory limiter of rate-limiter-flexible', async () => {
  const limiter = new RateLimiterMemory({ points: 5, duration: 2 })
  const [one, other] = [0, 1].map(() => start({ rules: [{ limit: shared(limiter) }] }))
  if (one === undefined || other === undefined) expect.fail()
  const calls = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? one : other).call())
  expect(await outcomes(calls)).toEqual(Array(12).fill('ok'))
  const all = [...one.sentAt, ...other.sentAt].sort((a, b) => a - b)
  const [first = 0] = all
  // twelve requests, five a window: they take three windows, and no window begins early
  expect((all[5] ?? 0) - first).toBeGreaterThan(1_500)
  expect((all[10] ?? 0) - first).toBeGreaterThan(3_500)
  expect([one.events, other.events].flat().filter(({ type }) => type === 'rate.storeFailed')).toEqual([])
  expect([one.events, other.events].flat().filter(({ type }) => type === 'rate.waited').length).toBeGreaterThan(5)
})

test('what cannot come in time is refused once the store says so: ERR_RATE_LIMITED', async () => {
  const limiter = new RateLimiterMemory({ points: 1, duration: 600 })
  const { call, events } = start({ rules: [{ limit: shared(limiter) }] }, systemRuntime, 1_000)
  await call()
  await expect(call()).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED' })
  const error = await call().catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_RATE_LIMITED', requestSent: 'no' })
  expect(error.retryAfterMs).toBeGreaterThan(500_000)
  expect(events.filter(({ type }) => type === 'rate.refused')).toHaveLength(2)
})

describe('a store that cannot be asked', () => {
  const down: SharedLimiter = { consume: () => Promise.reject(new Error('ECONNREFUSED')), points: 3, duration: 60 }
  const storeFailures = (events: ClientEvent[]) => events.filter((event) => event.type === 'rate.storeFailed')

  test('leaves this process alone with the limit of the store, and tells', async () => {
    const { call, events } = start({ rules: [{ limit: shared(down) }] }, systemRuntime, 2_000)
    expect(await outcomes([call(), call(), call(), call()])).toEqual(['ok', 'ok', 'ok', 'ERR_RATE_LIMITED'])
    const [event] = storeFailures(events)
    expect(event).toMatchObject({ host: 'api.example', rule: 'rate.rules.0', effect: 'alone' })
    expect(event).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: expect.stringMatching(/^shared limit: /) })
  })

  test('with a limit of its own where there is one', async () => {
    const whenDown = fixedWindow({ requests: 1, perMs: 600_000 })
    const { call } = start({ rules: [{ limit: shared(down, { whenDown }) }] }, systemRuntime, 2_000)
    expect(await outcomes([call(), call()])).toEqual(['ok', 'ERR_RATE_LIMITED'])
  })

  test("sends nothing with 'refuse': ERR_RATE_LIMITED", async () => {
    const runtime = createTestRuntime()
    const { call, events, sentAt } = start({ rules: [{ limit: shared(down, { whenDown: 'refuse' }) }] }, runtime, 3_000)
    const calls = outcomes([call(), call()])
    await runtime.advance(3_100)
    expect(await calls).toEqual(['ERR_RATE_LIMITED', 'ERR_RATE_LIMITED'])
    expect([sentAt, storeFailures(events)[0]]).toMatchObject([[], { effect: 'refused' }])
  })

  test('that does not answer costs 250 ms, and those after it nothing', async () => {
    const runtime = createTestRuntime()
    const silent: SharedLimiter = { consume: () => new Promise(() => undefined), points: 100, duration: 1 }
    const { call, events, sentAt } = start({ rules: [{ limit: shared(silent) }] }, runtime)
    const first = call()
    await runtime.advance(249)
    expect(sentAt).toEqual([])
    await runtime.advance(1)
    await first
    for (let count = 0; count < 5; count += 1) await call()
    expect([sentAt, runtime.clock.monotonic()]).toEqual([[250, 250, 250, 250, 250, 250], 250])
    expect(storeFailures(events).length).toBeGreaterThan(0)
  })
})

describe('a legacy host', () => {
  test('gets its fraction while the store cannot be asked, too', async () => {
    const limiter: SharedLimiter = { consume: () => Promise.reject(new Error('down')), points: 20, duration: 3_600 }
    const options = { rules: [{ limit: shared(limiter) }], legacyFraction: 0.1 }
    const { call } = start(options, systemRuntime, 2_000, true)
    expect(await outcomes([call(), call(), call()])).toEqual(['ok', 'ok', 'ERR_RATE_LIMITED'])
  })

  test('costs no more than the store has to give', async () => {
    const limiter = new RateLimiterMemory({ points: 1, duration: 600 })
    const { call } = start({ rules: [{ limit: shared(limiter) }] }, systemRuntime, 2_000, true)
    expect(await outcomes([call(), call()])).toEqual(['ok', 'ERR_RATE_LIMITED'])
  })

  test.each([0, -1, Number.NaN, '5'])('costs something, whatever the limiter says it has: %s', async (points) => {
    const costs: unknown[] = []
    const consume = async (_key: string, cost?: number) => void costs.push(cost)
    const limiter = { consume, points } as unknown as SharedLimiter
    const { call } = start({ rules: [{ limit: shared(limiter, { whenDown: 'refuse' }) }] }, systemRuntime, 2_000, true)
    await call()
    expect(costs).toEqual([2])
  })
})

describe('a store that answers nonsense', () => {
  test.each([
    [-1, 10],
    [Number.NEGATIVE_INFINITY, 10],
    [0, 300],
    [Number.MIN_VALUE, 300],
  ])('is not asked again at once: msBeforeNext %s', async (msBeforeNext, most) => {
    const runtime = createTestRuntime()
    let asked = 0
    const consume = () => {
      asked += 1
      return Promise.reject({ msBeforeNext })
    }
    const { call } = start({ rules: [{ limit: shared({ consume, points: 1, duration: 1 }) }] }, runtime, 5_000)
    const called = outcomes([call()])
    await runtime.advance(5_000)
    expect(await called).toEqual(['ERR_RATE_LIMITED'])
    expect(asked).toBeLessThanOrEqual(most)
  })

  test('what it gave is not kept for later, where the one it was for is gone', async () => {
    const runtime = createTestRuntime()
    let asked = 0
    const consume = async () => {
      asked += 1
    }
    const { call } = start({ rules: [{ limit: shared({ consume, points: 1, duration: 1 }) }] }, runtime)
    const control = new AbortController()
    const gone = call({ signal: control.signal })
    control.abort()
    await gone.catch(() => undefined)
    await runtime.advance(10_000)
    const later = call()
    await runtime.advance(10)
    await later
    expect(asked).toBe(2)
  })
})

test('a number at the same time says nothing of a rate, and is no limit for when the store is down: whenDown', () => {
  const limiter: SharedLimiter = { consume: async () => undefined }
  const whenDown = concurrency({ requests: 1 })
  const limit = { kind: 'shared', limiter, whenDown }
  expect(RateSchema.safeParse({ rules: [{ limit }] }).success).toBe(false)
  expect(RateSchema.safeParse({ rules: [{ limit: shared(limiter, { whenDown: 'refuse' }) }] }).success).toBe(true)
})

test('a limiter that says neither points nor duration needs another limit for when it is down: whenDown', () => {
  const bare: SharedLimiter = { consume: async () => undefined }
  const parse = (limit: unknown) => RateSchema.safeParse({ rules: [{ limit }] }).error?.issues[0]?.message
  expect(parse(shared(bare))).toContain('expected a limit or `refuse`')
  expect(parse(shared(bare, { whenDown: 'refuse' }))).toBeUndefined()
  expect(parse(shared({} as SharedLimiter, { whenDown: 'refuse' }))).toContain('expected a limiter')
  expect(parse(fixedWindow({ requests: 0, perMs: 1 }))).toContain('>=1')
})

describe.skipIf(redisServer === undefined)('over Redis', () => {
  const connect = async (port: number) => {
    const socket = { host: '127.0.0.1', port, reconnectStrategy: 100 } as const
    const client = createRedis({ socket })
    client.on('error', () => undefined)
    await client.connect()
    onTestFinished(() => client.destroy())
    return client
  }
  const limiterOf = async (port: number, points: number, duration: number) =>
    new RateLimiterRedis({ storeClient: await connect(port), useRedisPackage: true, points, duration })

  test('two clients keep one limit together', async () => {
    await using redis = await startRedis()
    const clients = [0, 1].map(async () => start({ rules: [{ limit: shared(await limiterOf(redis.port, 10, 3)) }] }))
    const [one, other] = await Promise.all(clients)
    if (one === undefined || other === undefined) expect.fail()
    const calls = Array.from({ length: 25 }, (_, index) => (index % 2 === 0 ? one : other).call())
    expect(await outcomes(calls)).toEqual(Array(25).fill('ok'))
    const all = [...one.sentAt, ...other.sentAt].sort((a, b) => a - b)
    const [first = 0] = all
    expect((all[10] ?? 0) - first).toBeGreaterThan(2_000)
    expect((all[20] ?? 0) - first).toBeGreaterThan(5_000)
    expect([one.events, other.events].flat().filter(({ type }) => type === 'rate.storeFailed')).toEqual([])
  })

  test('a Redis that stops answering leaves each process alone, and counts again once it answers', async () => {
    await using redis = await startRedis()
    const limiter = await limiterOf(redis.port, 1_000, 60)
    const { call, events, sentAt } = start({ rules: [{ limit: shared(limiter) }] })
    await call()
    expect((await limiter.get('api.example'))?.consumedPoints).toBe(1)
    redis.process.kill('SIGSTOP')
    expect(await outcomes([call(), call(), call()])).toEqual(['ok', 'ok', 'ok'])
    expect(events.some((event) => event.type === 'rate.storeFailed' && event.effect === 'alone')).toBe(true)
    redis.process.kill('SIGCONT')
    const before = (await limiter.get('api.example'))?.consumedPoints ?? 0
    await expect
      .poll(async () => call().then(async () => (await limiter.get('api.example'))?.consumedPoints ?? 0), {
        timeout: 20_000,
      })
      .toBeGreaterThan(before)
    expect(sentAt.length).toBeGreaterThanOrEqual(5)
  })
})
