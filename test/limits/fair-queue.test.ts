import { getEventListeners, setMaxListeners } from 'node:events'
import { type PinfetchError, tokenBucket } from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { createFairQueue, type Gate } from '../../src/limits/fair-queue.ts'
import { createLimit } from '../../src/limits/limit.ts'
import type { LocalLimitRule } from '../../src/limits/limit-options.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { clientClosed } from '../../src/transport/failure.ts'

const PER_SECOND = tokenBucket({ requests: 1, perMs: 1_000 })

function start(rule: LocalLimitRule = PER_SECOND, maxQueue = 100) {
  const runtime = createTestRuntime()
  const queue = createFairQueue(runtime)
  const gate = (own: LocalLimitRule = rule): Gate => ({ limit: createLimit(own), name: 'it', maxQueue, waiting: 0 })
  const shared = gate()
  const went: string[] = []
  const refused: string[] = []
  const call = (name: string, options: Partial<Parameters<typeof queue.enter>[0]> = {}): Promise<void> => {
    const given = { host: 'api.example', lane: name, gates: [shared], deadline: 1e9, signal: null, ...options }
    return (queue.enter(given) ?? Promise.resolve()).then(
      () => void went.push(name),
      (error: PinfetchError) => {
        refused.push(`${name} ${error.code ?? String(error)}`)
        throw error
      },
    )
  }
  const ignored = (...given: Parameters<typeof call>): void => void call(...given).catch(() => undefined)
  return { runtime, queue, gate, shared, went, refused, call, ignored }
}

test('one lane goes in the order it came', async () => {
  const { runtime, went, ignored } = start()
  for (const name of ['a', 'b', 'c', 'd']) ignored(name, { lane: 'one' })
  await runtime.advance(3_000)
  expect(went).toEqual(['a', 'b', 'c', 'd'])
})

test('lanes take turns: a hundred requests of one tenant cost another one turn', async () => {
  const { runtime, went, ignored } = start(PER_SECOND, 1_000)
  for (let count = 0; count < 100; count += 1) ignored('loud')
  for (let count = 0; count < 3; count += 1) ignored('quiet')
  await runtime.advance(7_000)
  expect(went.slice(1, 7).sort()).toEqual(['loud', 'loud', 'loud', 'quiet', 'quiet', 'quiet'])
  await runtime.advance(200_000)
  expect(went.length).toBe(103)
})

test('whoever waits for another limit as well neither holds the others up nor loses the turn', async () => {
  const { runtime, gate, shared, went, ignored } = start()
  const slow = gate(tokenBucket({ requests: 1, perMs: 10_000 }))
  ignored('both', { gates: [slow, shared] })
  ignored('both', { gates: [slow, shared] })
  for (let count = 0; count < 30; count += 1) ignored('fast')
  await runtime.advance(9_900)
  expect(went.filter((name) => name === 'fast').length).toBe(9)
  await runtime.advance(200)
  expect(went.filter((name) => name === 'both').length).toBe(2)
})

test('a full queue refuses at once: ERR_RATE_QUEUE_FULL', async () => {
  const { runtime, went, refused, ignored, call } = start(PER_SECOND, 2)
  for (const name of ['a', 'b', 'c']) ignored(name, { lane: 'one' })
  await expect(call('d', { lane: 'one' })).rejects.toMatchObject({
    code: 'ERR_RATE_QUEUE_FULL',
    retryable: true,
    requestSent: 'no',
  })
  await runtime.advance(5_000)
  expect([went, refused]).toEqual([['a', 'b', 'c'], ['d ERR_RATE_QUEUE_FULL']])
  ignored('e') // control: there is room again
  await runtime.advance(0)
  expect(went).toContain('e')
})

test('a slot that comes too late is refused at once, with the time it comes: ERR_RATE_LIMITED', async () => {
  const { runtime, went, ignored, call } = start()
  ignored('first', { lane: 'one' })
  ignored('second', { lane: 'one' })
  const late = call('late', { lane: 'one', deadline: 1_500 })
  await expect(late).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED', retryAfterMs: 2_000 })
  expect(runtime.clock.monotonic()).toBe(0)
  ignored('in time', { lane: 'one', deadline: 2_500 })
  await runtime.advance(2_100)
  expect(went).toEqual(['first', 'second', 'in time'])
})

test('the turns of other lanes count for that: ERR_RATE_LIMITED', async () => {
  const { went, ignored, call, runtime } = start()
  for (let tenant = 0; tenant < 20; tenant += 1) ignored(`tenant ${tenant}`)
  await expect(call('late', { deadline: 10_000 })).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED' })
  ignored('in time', { deadline: 20_500 })
  await runtime.advance(21_000)
  expect(went).toContain('in time')
})

test('a deadline that comes while nobody could know ends the wait: ERR_RATE_LIMITED', async () => {
  const { runtime, gate, shared, refused, ignored } = start({ kind: 'concurrency', requests: 1 })
  ignored('holds it')
  ignored('waits', { deadline: 3_000 })
  await runtime.advance(2_900)
  expect([refused, shared.waiting]).toEqual([[], 1])
  await runtime.advance(200)
  expect([refused, shared.waiting, gate().waiting]).toEqual([['waits ERR_RATE_LIMITED'], 0, 0])
  expect(runtime.pendingTimers).toBe(0)
})

test('an abort gives the place to the next, and rejects with its reason', async () => {
  const { runtime, shared, went, call, ignored } = start()
  const control = new AbortController()
  ignored('first', { lane: 'one' })
  const aborted = call('aborted', { lane: 'one', signal: control.signal })
  ignored('next', { lane: 'one' })
  const reason = new Error('not any more')
  control.abort(reason)
  await expect(aborted).rejects.toBe(reason)
  await expect(call('too late', { signal: control.signal })).rejects.toBe(reason)
  await runtime.advance(1_100)
  expect([went, shared.waiting, runtime.pendingTimers]).toEqual([['first', 'next'], 0, 0])
})

test('a signal that many share is no leak, and keeps no listener', async () => {
  const { runtime, went, ignored } = start(PER_SECOND, 1_000)
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  const { signal } = new AbortController()
  for (let count = 0; count < 30; count += 1) ignored('one', { signal })
  await runtime.advance(30_000)
  await new Promise((resolve) => setImmediate(resolve))
  expect([went.length, warnings, getEventListeners(signal, 'abort')]).toEqual([30, [], []])
})

test('a signal may be any that there is', async () => {
  const { runtime, went, ignored } = start()
  const unlimited = new AbortController().signal
  setMaxListeners(0, unlimited)
  const signals = [AbortSignal.any([new AbortController().signal]), AbortSignal.timeout(60_000), unlimited]
  for (const signal of [null, ...signals]) ignored('one', { signal })
  await runtime.advance(10_000)
  expect(went).toHaveLength(4)
})

test('closing refuses whoever waits, and whoever comes: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
  const { runtime, queue, refused, call, ignored } = start()
  ignored('first')
  const waiting = call('waiting')
  queue.close((host) => clientClosed(host, 'no'))
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' })
  await expect(call('after')).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' })
  expect([refused.length, runtime.pendingTimers]).toEqual([2, 0])
})

test('ten thousand wait, and no more, whatever the limits allow: ERR_RATE_QUEUE_FULL', async () => {
  const clock = { now: () => toUnixMs(0), monotonic: () => 0 }
  const queue = createFairQueue({ clock, schedule: () => () => undefined })
  const gates = [{ limit: createLimit(PER_SECOND), name: 'it', maxQueue: 1_000_000, waiting: 0 }]
  const enter = () => queue.enter({ host: 'api.example', lane: 'one', gates, deadline: 1e9, signal: null })
  const waiting = Array.from({ length: 10_001 }, enter)
  await expect(enter()).rejects.toMatchObject({ code: 'ERR_RATE_QUEUE_FULL' })
  queue.close((host) => clientClosed(host, 'no'))
  const codes = await Promise.all(waiting.map((one) => one?.catch(({ code }) => code)))
  expect(new Set(codes)).toEqual(new Set([undefined, 'ERR_TRANSPORT_CLIENT_CLOSED']))
})
