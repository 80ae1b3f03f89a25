import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createAttempts, type Seal, wait } from '../../src/manifest/attempts.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'

/** Attempts that say when they began and end when told to. */
function begin() {
  const runtime = createTestRuntime()
  const closing = new AbortController()
  const begun: number[] = []
  const running: { readonly seal: Seal; readonly end: () => void; readonly fail: (error: unknown) => void }[] = []
  const attempts = createAttempts(
    (seal) => {
      begun.push(runtime.clock.monotonic())
      return new Promise<void>((resolve, reject) => running.push({ seal, end: resolve, fail: reject }))
    },
    runtime,
    closing.signal,
  )
  return { runtime, closing, begun, running, attempts, settled: () => runtime.advance(0) }
}

test('callers share an attempt until it has asked the source, and one more waits for all who come after', async () => {
  const { attempts, running, begun, runtime, settled } = begin()
  const first = attempts.request()
  expect(attempts.request()).toBe(first)
  await settled()
  running[0]?.seal()
  const second = attempts.request()
  expect(second).not.toBe(first)
  expect(attempts.request()).toBe(second)
  await runtime.advance(5_000)
  expect(begun).toEqual([0])
  running[0]?.end()
  await first
  await settled()
  expect(begun).toEqual([0, 5_000])
  running[0]?.seal() // of an attempt that is over
  expect(attempts.request()).toBe(second)
  running[1]?.end()
  await second
})

test('an attempt that ended without asking is not shared any more', async () => {
  const { attempts, running, settled } = begin()
  const first = attempts.request()
  await settled()
  running[0]?.end()
  await first
  expect(attempts.request()).not.toBe(first)
})

test('starts are a second apart, however early the one before ended', async () => {
  const { attempts, running, begun, runtime, settled } = begin()
  const first = attempts.request()
  await settled()
  running[0]?.end()
  await first
  void attempts.request()
  await runtime.advance(999)
  expect(begun).toEqual([0])
  await runtime.advance(1)
  expect(begun).toEqual([0, 1_000])
  running[1]?.end()
  await runtime.advance(1_000)
  void attempts.request()
  await settled()
  expect(begun).toEqual([0, 1_000, 2_000])
})

test('an attempt that is due begins without a timer', async () => {
  const { attempts, running, begun, runtime } = begin()
  const first = attempts.request()
  await setImmediate()
  running[0]?.end()
  await first
  await runtime.advance(1_000)
  void attempts.request()
  await setImmediate()
  expect(begun).toEqual([0, 1_000])
})

test('a failure is its callers’ alone: the next attempt runs, and `idle` waits without failing', async () => {
  const { attempts, running, runtime, settled, begun } = begin()
  const first = attempts.request()
  await settled()
  running[0]?.seal()
  const second = attempts.request()
  let idle = false
  const waiting = attempts.idle().then(() => {
    idle = true
  })
  running[0]?.fail(new Error('offline'))
  await expect(first).rejects.toThrow('offline')
  await runtime.advance(1_000)
  expect([begun.length, idle]).toEqual([2, false])
  running[1]?.fail(new Error('still offline'))
  await expect(second).rejects.toThrow('still offline')
  await waiting
})

test('the end does not wait for the second between two attempts', async () => {
  const { attempts, running, begun, runtime, closing, settled } = begin()
  const first = attempts.request()
  await settled()
  running[0]?.end()
  await first
  void attempts.request()
  await runtime.advance(100)
  closing.abort()
  await settled()
  expect(begun).toEqual([0, 100])
  expect(runtime.pendingTimers).toBe(0)
})

test('after the end an attempt does not wait at all', async () => {
  const { attempts, running, begun, runtime, closing, settled } = begin()
  const first = attempts.request()
  await settled()
  running[0]?.end()
  await first
  closing.abort()
  void attempts.request()
  await settled()
  expect([begun, runtime.pendingTimers]).toEqual([[0, 0], 0])
})

describe('waiting', () => {
  test('ends at its time and listens no longer', async () => {
    const runtime = createTestRuntime()
    const { signal, listeners } = countedSignal()
    let over = false
    void wait(runtime.schedule, 500, signal).then(() => {
      over = true
    })
    expect(listeners()).toBe(1)
    await runtime.advance(499)
    expect(over).toBe(false)
    await runtime.advance(1)
    expect([over, listeners()]).toEqual([true, 0])
  })

  test('ends with the signal and leaves no timer', async () => {
    const runtime = createTestRuntime()
    const closing = new AbortController()
    const waiting = wait(runtime.schedule, 500, closing.signal)
    closing.abort()
    await waiting
    expect(runtime.pendingTimers).toBe(0)
  })

  test('does not begin when the signal is aborted already', async () => {
    const runtime = createTestRuntime()
    await wait(runtime.schedule, 500, AbortSignal.abort())
    expect(runtime.pendingTimers).toBe(0)
  })
})

/** How many listeners a signal has: one that outlives its wait is kept for as long as the updater runs. */
function countedSignal() {
  const { signal } = new AbortController()
  let count = 0
  const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    if (given[0] === 'abort') count += 1
    add.apply(signal, given)
  }
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    if (given[0] === 'abort') count -= 1
    remove.apply(signal, given)
  }
  return { signal, listeners: () => count }
}
