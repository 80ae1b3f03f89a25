import { expect, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { createClockWatch } from '../../src/manifest/clock-watch.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'

test.each([
  [300_000, []],
  [300_001, [300_001]],
  [-300_000, []],
  [-300_001, [-300_001]],
])('a wall clock that steps by %i ms is told as %j', async (ms, steps) => {
  const runtime = createTestRuntime()
  await runtime.advance(86_400_000)
  const events: ClientEvent[] = []
  const check = createClockWatch(runtime, (event) => events.push(event))
  await runtime.advance(86_400_000)
  check()
  runtime.setWall(runtime.clock.now() + ms)
  check()
  check() // told already
  expect(events).toEqual(steps.map((stepMs) => ({ type: 'manifest.clock', stepMs })))
})

test('what it drifts adds up from the last step that was told', () => {
  const runtime = createTestRuntime()
  const events: ClientEvent[] = []
  const check = createClockWatch(runtime, (event) => events.push(event))
  for (let drift = 0; drift < 4; drift += 1) {
    runtime.setWall(runtime.clock.now() + 200_000)
    check()
  }
  expect(events).toEqual([
    { type: 'manifest.clock', stepMs: 400_000 },
    { type: 'manifest.clock', stepMs: 400_000 },
  ])
})
