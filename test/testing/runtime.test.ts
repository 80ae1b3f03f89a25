import { createTestRuntime } from 'pinfetch/testing'
import { expect, test } from 'vitest'

test('runs due timers in order, each at its own instant, and leaves later ones waiting', async () => {
  const runtime = createTestRuntime({ now: 1_000 })
  const ran: [string, number, number][] = []
  const note = (name: string) => () => ran.push([name, runtime.clock.now(), runtime.clock.monotonic()])
  runtime.schedule(20, note('second'))
  runtime.schedule(10, note('first'))
  runtime.schedule(31, note('too late'))
  await runtime.advance(30)
  expect(ran).toEqual([
    ['first', 1_010, 10],
    ['second', 1_020, 20],
  ])
  expect(runtime.clock.now()).toBe(1_030)
  expect(runtime.pendingTimers).toBe(1)
})

test('runs a timer that a promise sets after another timer fired', async () => {
  const runtime = createTestRuntime()
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => runtime.schedule(ms, resolve))
  const woken: number[] = []
  const worker = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await sleep(10)
      await Promise.resolve()
      woken.push(runtime.clock.monotonic())
    }
  }
  const done = worker()
  await runtime.advance(30)
  await done
  expect(woken).toEqual([10, 20, 30])
})

test('a cancelled timer does not run, and cancelling twice does nothing', async () => {
  const runtime = createTestRuntime()
  let ran = false
  const cancel = runtime.schedule(5, () => {
    ran = true
  })
  cancel()
  cancel()
  await runtime.advance(10)
  expect(ran).toBe(false)
})

test('a stepped wall clock moves neither monotonic time nor timers', async () => {
  const runtime = createTestRuntime({ now: 0 })
  let ran = false
  runtime.schedule(100, () => {
    ran = true
  })
  await runtime.advance(40)
  runtime.setWall(1_000_000)
  expect([runtime.clock.now(), runtime.clock.monotonic(), ran]).toEqual([1_000_000, 40, false])
  await runtime.advance(60)
  expect([runtime.clock.now(), runtime.clock.monotonic(), ran]).toEqual([1_000_060, 100, true])
})

test('an error of a timer reaches the test', async () => {
  const runtime = createTestRuntime()
  runtime.schedule(1, () => {
    throw new RangeError('from a timer')
  })
  await expect(runtime.advance(1)).rejects.toThrow(RangeError)
})

test('random bytes repeat from run to run and not within one', () => {
  const [first, again, other] = [createTestRuntime(), createTestRuntime(), createTestRuntime({ seed: 'other' })]
  const bytes = first.random(40)
  expect(bytes).toHaveLength(40)
  expect(again.random(40)).toEqual(bytes)
  expect(first.random(40)).not.toEqual(bytes)
  expect(other.random(40)).not.toEqual(bytes)
})
