import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { afterPatience } from '../../src/transport/patience.ts'

describe('a time limit', () => {
  test('ends when it is over', async () => {
    const runtime = createTestRuntime()
    let runs = 0
    afterPatience(runtime, 1_000, () => (runs += 1))
    await runtime.advance(999)
    expect(runs).toBe(0)
    await runtime.advance(1)
    expect(runs).toBe(1)
    expect(runtime.pendingTimers).toBe(0)
  })

  test('ends a moment later in a process that stood still, and not a second time', async () => {
    const { runtime, standStill } = drowsy()
    let runs = 0
    afterPatience(runtime, 1_000, () => (runs += 1))
    standStill(5_000)
    await runtime.advance(1_000)
    expect(runs).toBe(0)
    standStill(5_000) // again
    await runtime.advance(1_000)
    expect(runs).toBe(1)
  })

  test('never ends for what was done in that moment, or before', async () => {
    const { runtime, standStill } = drowsy()
    const late = afterPatience(runtime, 1_000, () => expect.fail('it was called off'))
    const early = afterPatience(runtime, 2_000, () => expect.fail('it was called off'))
    standStill(5_000)
    await runtime.advance(1_000)
    late()
    early()
    await runtime.advance(60_000)
    expect(runtime.pendingTimers).toBe(0)
  })
})

/** A runtime whose process may stand still: the clock goes on, and timers come late by as much. */
function drowsy() {
  const runtime = createTestRuntime()
  let lostMs = 0
  const clock = { ...runtime.clock, monotonic: () => runtime.clock.monotonic() + lostMs }
  return {
    runtime: {
      ...runtime,
      clock,
      get pendingTimers() {
        return runtime.pendingTimers
      },
    },
    standStill: (ms: number) => {
      lostMs += ms
    },
  }
}
