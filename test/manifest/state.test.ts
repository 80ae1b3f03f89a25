import { describe, expect, test } from 'vitest'
import type { AcceptedManifest, AcceptedStatus } from '../../src/manifest/accept.ts'
import { firstPollMs, nextPollMs } from '../../src/manifest/schedule.ts'
import { COLD, deadlines, type ManifestState, next, type StateEvent } from '../../src/manifest/state.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

const SECOND = 1_000
const status = (expires: number) => ({ payload: { expires } }) as unknown as AcceptedStatus
const manifest = (expires: number, staleGrace: number) =>
  ({ payload: { expires, staleGrace } }) as unknown as AcceptedManifest
const at = (seconds: number) => toUnixMs(seconds * SECOND)

/** Status until 100 s, grace until 150 s, manifest until 200 s. */
const M = manifest(200 * SECOND, 50)
const S = status(100 * SECOND)
const activated: StateEvent = { type: 'activated', manifest: M, status: S }
const inState = {
  cold: COLD,
  fresh: next(COLD, activated, at(99)),
  stale: next(COLD, activated, at(100)),
  expired: next(COLD, activated, at(150)),
}
const closed = next(COLD, { type: 'closed' }, at(0))
const all: Readonly<Record<string, ManifestState>> = { ...inState, closed }

test('each kind begins at its instant', () => {
  expect(Object.fromEntries(Object.entries(all).map(([name, state]) => [name, state.kind]))).toEqual({
    cold: 'cold',
    fresh: 'fresh',
    stale: 'stale',
    expired: 'expired',
    closed: 'closed',
  })
})

describe.each(Object.keys(inState))('from %s', (name) => {
  const state = all[name] as ManifestState

  test.each([
    [99, 'fresh'],
    [100, 'stale'],
    [149, 'stale'],
    [150, 'expired'],
  ])('activated at %i s leads to %s', (seconds, kind) => {
    expect(next(state, activated, at(seconds)).kind).toBe(kind)
  })

  test.each([
    [99, 'fresh'],
    [120, 'stale'],
    [150, 'expired'],
  ])('tick at %i s leads to %s, or stays cold', (seconds, kind) => {
    expect(next(state, { type: 'tick' }, at(seconds)).kind).toBe(name === 'cold' ? 'cold' : kind)
  })

  test('confirmed by a newer status moves the end, or stays cold', () => {
    const confirmed = next(state, { type: 'confirmed', status: status(180 * SECOND) }, at(160))
    expect(confirmed.kind).toBe(name === 'cold' ? 'cold' : 'fresh')
  })

  test('a tick that changes nothing answers the same state', () => {
    const now = at({ cold: 0, fresh: 99, stale: 100, expired: 150 }[name] ?? 0)
    expect(next(state, { type: 'tick' }, now)).toBe(state)
  })

  test('closed is the end', () => {
    expect(next(state, { type: 'closed' }, at(0)).kind).toBe('closed')
  })
})

test.each<[string, StateEvent]>([
  ['activated', activated],
  ['confirmed', { type: 'confirmed', status: S }],
  ['tick', { type: 'tick' }],
  ['closed', { type: 'closed' }],
])('nothing leaves closed: %s', (_, event) => {
  expect(next(closed, event, at(0))).toBe(closed)
})

test('an event that is none is thrown back, and not taken for another', () => {
  expect(() => next(COLD, { type: 'opened' } as never, at(0))).toThrow(
    new TypeError('no transition for {"type":"opened"}'),
  )
})

test('the manifest’s own expiry ends both freshness and grace', () => {
  expect(deadlines(manifest(90 * SECOND, 50), S)).toEqual({ staleAt: at(90), expiredAt: at(90) })
})

test('a grace beyond 14 days is 14 days', () => {
  const { expiredAt } = deadlines(manifest(Number.MAX_SAFE_INTEGER, 365 * 86_400), S)
  expect(expiredAt - 100 * SECOND).toBe(14 * 86_400 * SECOND)
})

describe('schedule', () => {
  const situation = {
    failures: 0,
    poll: { interval: 300, spread: 0.25 },
    retryAfterMs: undefined,
    freshForMs: undefined,
    random: () => 0,
  }

  test.each([
    [0, 225_000],
    [0.5, 300_000],
    [1, 375_000],
  ])('a success at random %d waits %i ms', (value, ms) => {
    expect(nextPollMs({ ...situation, random: () => value })).toBe(ms)
  })

  test.each([
    [1, 15_000],
    [10 ** 9, 86_400_000],
  ])('an interval of %i s is held within 15 s and a day', (interval, ms) => {
    expect(nextPollMs({ ...situation, poll: { interval, spread: 0 } })).toBe(ms)
    expect(firstPollMs({ interval, spread: 0 }, () => 0.5)).toBe(ms / 2)
  })

  test('failures double the wait up to fifteen minutes', () => {
    const waits = [1, 2, 3, 4, 50].map((failures) => nextPollMs({ ...situation, failures, random: () => 0.9999999 }))
    expect(waits.map((ms) => Math.round(ms / 1_000))).toEqual([300, 600, 900, 900, 900])
  })

  test('failures without any status double from a second', () => {
    const waits = [1, 2, 3, 20].map((failures) => nextPollMs({ ...situation, poll: undefined, failures }))
    expect(waits).toEqual([500, 1_000, 2_000, 450_000])
  })

  test('a failure leaves two intervals before a fresh status ends, while there still are two', () => {
    expect(nextPollMs({ ...situation, failures: 3, freshForMs: 700_000 })).toBe(100_000)
    expect(nextPollMs({ ...situation, failures: 3, freshForMs: 500_000 })).toBe(450_000)
  })

  test('Retry-After wins', () => {
    expect(nextPollMs({ ...situation, failures: 3, retryAfterMs: 5_000 })).toBe(5_000)
  })
})
