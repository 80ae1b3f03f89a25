import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'

const ORIGIN = 'https://api.example.com'

function setUp() {
  const events: ClientEvent[] = []
  const runtime = createTestRuntime()
  const offsets = createClockOffsets({ runtime, emit: (event) => void events.push(event) })
  const learn = (aheadMs: number, { roundTripMs = 0, ...fields }: Record<string, number | string> = {}) => {
    const date = new Date(runtime.clock.now() + aheadMs).toUTCString()
    offsets.learn(ORIGIN, new Headers({ date, ...(fields as Record<string, string>) }), Number(roundTripMs))
    return offsets.of(ORIGIN)
  }
  return { events, runtime, offsets, learn }
}

describe('the clock of a server', () => {
  test.each([45_000, -45_000, 298_000])('%i ms ahead is followed, for its origin alone, and told once', (aheadMs) => {
    const { learn, offsets, events, runtime } = setUp()
    expect(learn(aheadMs)).toBe(aheadMs + 500) // in the middle of the second that Date names
    expect(learn(aheadMs + 1_000)).toBe(aheadMs + 500)
    expect(offsets.now(ORIGIN)).toBe(runtime.clock.now() + aheadMs + 500)
    expect(offsets.of('https://other.example.com')).toBe(0)
    expect(events).toEqual([{ type: 'clock.offset', host: 'api.example.com', offsetMs: aheadMs + 500 }])
  })

  test('is looked at in the middle of the round trip', () => {
    expect(setUp().learn(45_000, { roundTripMs: 8_000 })).toBe(49_500)
  })

  test.each([0, 1_000, -2_000])('%i ms ahead is none: Date has whole seconds', (aheadMs) => {
    expect(setUp().learn(aheadMs)).toBe(0)
  })

  test.each([301_000, -301_000, 10 ** 12])('%i ms ahead is not followed, and ends what was', (aheadMs) => {
    const { learn, offsets } = setUp()
    learn(45_000)
    expect(learn(aheadMs)).toBe(0)
    expect(offsets.refused(ORIGIN)).toBe(aheadMs + 500)
    learn(0)
    expect(offsets.refused(ORIGIN)).toBeUndefined()
  })

  test.each<[string, Record<string, string | number>]>([
    ['that a cache stored', { age: '3600' }],
    ['without a date', { date: 'yesterday' }],
    ['that took longer than ten seconds', { roundTripMs: 10_001 }],
  ])('is not learned from a response %s', (_, more) => {
    expect(setUp().learn(45_000, more)).toBe(0)
  })

  test('that is set right again is noticed', () => {
    const { learn, events } = setUp()
    learn(45_000)
    expect(learn(0)).toBe(0)
    expect(events.map((event) => 'offsetMs' in event && event.offsetMs)).toEqual([45_500, 0])
  })
})
