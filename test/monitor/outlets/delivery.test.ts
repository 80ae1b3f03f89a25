import type { ClientEvent } from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { expect, test, vi } from 'vitest'
import { createDelivery, type Delivery, Undeliverable } from '../../../src/monitor/outlets/delivery.ts'

type Deliver = (batch: readonly number[], signal: AbortSignal) => Promise<void>

function scene(deliver: Deliver, { capacity = 4, batchSize = 2 } = {}) {
  const runtime = createTestRuntime()
  const told: ClientEvent[] = []
  const delivery: Delivery<number> = createDelivery<number, readonly number[]>({
    name: 'test',
    capacity,
    batchSize,
    prepare: (items) => items,
    deliver,
    runtime,
    tell: (event) => void told.push(event),
  })
  const types = (): readonly string[] => told.map(({ type }) => type)
  return { runtime, delivery, told, types }
}

test('items are delivered in order, in batches, and not in the tick of their cause', async () => {
  const batches: (readonly number[])[] = []
  const { delivery } = scene(async (batch) => void batches.push(batch), { capacity: 10 })
  for (let item = 0; item < 5; item += 1) delivery.offer(item)
  expect([batches, delivery.queued]).toEqual([[], 5])
  await vi.waitUntil(() => delivery.queued === 0)
  expect(batches).toEqual([[0, 1], [2, 3], [4]])
})

test('what may wait is sent together after a fifth of a second, or at once with what may not', async () => {
  const batches: (readonly number[])[] = []
  const { delivery, runtime } = scene(async (batch) => void batches.push(batch), { capacity: 100, batchSize: 10 })
  for (const item of [1, 2, 3]) delivery.offer(item, true)
  await runtime.advance(199)
  expect([batches, delivery.queued]).toEqual([[], 3])
  await runtime.advance(1)
  expect([batches, delivery.queued]).toEqual([[[1, 2, 3]], 0])

  delivery.offer(4, true)
  delivery.offer(5)
  await runtime.advance(0)
  expect([batches[1], runtime.pendingTimers]).toEqual([[4, 5], 0])
})

test('a whole batch waits for no more, nor does half of a queue, nor what close sends', async () => {
  const batches: (readonly number[])[] = []
  const deliver = async (batch: readonly number[]): Promise<void> => void batches.push(batch)
  const roomy = scene(deliver, { capacity: 100, batchSize: 2 })
  for (const item of [1, 2]) roomy.delivery.offer(item, true)
  await roomy.runtime.advance(0)
  const small = scene(deliver, { capacity: 4, batchSize: 100 })
  for (const item of [3, 4]) small.delivery.offer(item, true)
  await small.runtime.advance(0)
  const last = scene(deliver, { capacity: 100, batchSize: 100 })
  last.delivery.offer(5, true)
  await last.delivery.close()
  expect(batches).toEqual([[1, 2], [3, 4], [5]])
  expect(last.runtime.pendingTimers).toBe(0)
})

test('what comes while others are sent is gathered anew', async () => {
  const batches: (readonly number[])[] = []
  const { delivery, runtime } = scene(
    async (batch) => {
      batches.push(batch)
      if (batches.length === 1) for (const item of [2, 3]) delivery.offer(item, true)
    },
    { capacity: 100, batchSize: 10 },
  )
  delivery.offer(1, true)
  await runtime.advance(200)
  expect(batches).toEqual([[1]])
  await runtime.advance(200)
  expect(batches).toEqual([[1], [2, 3]])
})

test('where nobody takes them, the queue fills, the newest are dropped, and it is told once when it begins and once when it ends', async () => {
  let isUp = false
  const arrived: number[] = []
  const { delivery, runtime, told, types } = scene(async (batch) => {
    if (!isUp) throw new Error('the secret canary stands in the message of somebody else')
    arrived.push(...batch)
  })
  for (let item = 0; item < 7; item += 1) delivery.offer(item)
  expect([delivery.queued, delivery.dropped]).toEqual([4, 3])
  await runtime.advance(60_000)
  expect(types()).toEqual(['outlet.failed'])
  isUp = true
  await runtime.advance(60_000)
  await vi.waitUntil(() => delivery.queued === 0)
  expect(arrived).toEqual([0, 1, 2, 3])
  expect(types()).toEqual(['outlet.failed', 'outlet.recovered'])
  expect(told[1]).toMatchObject({ outlet: 'test', dropped: 3 })
  expect(JSON.stringify(told)).not.toContain('canary')
})

test('one that hangs holds up nothing but itself: an attempt ends after ten seconds', async () => {
  let calls = 0
  const { delivery, runtime, told } = scene((_, signal) => {
    calls += 1
    expect(signal.aborted).toBe(false)
    return new Promise(() => undefined)
  })
  delivery.offer(1)
  await runtime.advance(9_000)
  expect([calls, told]).toEqual([1, []])
  await runtime.advance(3_000)
  expect(calls).toBe(2)
  expect(told).toMatchObject([{ type: 'outlet.failed', message: 'nobody took it within 10000 ms' }])
})

test('what fails for five minutes is lost, and the next is tried', async () => {
  const tried = new Set<number>()
  const { delivery, runtime } = scene(
    async (batch) => {
      tried.add(batch[0] ?? -1)
      throw new Error('down')
    },
    { batchSize: 1 },
  )
  delivery.offer(1)
  delivery.offer(2)
  await runtime.advance(280_000)
  expect([delivery.dropped, [...tried]]).toEqual([0, [1]])
  await runtime.advance(60_000)
  await vi.waitUntil(() => tried.size === 2)
  expect([delivery.dropped, [...tried]]).toEqual([1, [1, 2]])
})

test('what no further attempt would mend is lost at once; what threw while it was prepared too', async () => {
  let calls = 0
  const { delivery, runtime } = scene(async () => {
    calls += 1
    throw new Undeliverable('400')
  })
  delivery.offer(1)
  await runtime.advance(1)
  expect([calls, delivery.dropped, delivery.queued]).toEqual([1, 1, 0])

  const told: ClientEvent[] = []
  const broken = createDelivery<number, number>({
    name: 'format',
    capacity: 1,
    batchSize: 1,
    prepare: () => {
      throw new Error('a bug of the format')
    },
    deliver: async () => undefined,
    runtime,
    tell: (event) => void told.push(event),
  })
  broken.offer(1)
  await runtime.advance(1)
  expect([broken.dropped, broken.queued, told.length]).toEqual([1, 0, 1])
})

test('close sends what waits, without the pause that it was in', async () => {
  let isUp = false
  const arrived: number[] = []
  const { delivery, runtime } = scene(async (batch) => {
    if (!isUp) throw new Error('down')
    arrived.push(...batch)
  })
  for (const item of [1, 2, 3]) delivery.offer(item)
  await runtime.advance(100_000)
  isUp = true
  await delivery.close() // no timer runs
  expect([arrived, delivery.dropped]).toEqual([[1, 2, 3], 0])
  delivery.offer(4)
  expect([delivery.queued, delivery.dropped]).toEqual([0, 0])
})

test('close ends after five seconds, whatever hangs', async () => {
  const { delivery, runtime } = scene(() => new Promise(() => undefined))
  for (const item of [1, 2, 3]) delivery.offer(item)
  await runtime.advance(1)
  let isClosed = false
  const closed = delivery.close().then(() => {
    isClosed = true
  })
  await runtime.advance(4_000)
  expect(isClosed).toBe(false)
  await runtime.advance(2_000)
  await closed
  expect([delivery.queued, delivery.dropped, runtime.pendingTimers]).toEqual([0, 3, 0])
})
