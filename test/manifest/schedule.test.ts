import { expect, test } from 'vitest'
import { clampInterval, nextPollMs, type PollSituation, sharedForMs } from '../../src/manifest/schedule.ts'

const hour = 3_600_000
const situation: PollSituation = {
  failures: 0,
  poll: { interval: 300, spread: 0.25 },
  retryAfterMs: undefined,
  freshForMs: undefined,
  random: () => 0.5,
}

test('without a signed hint a poll is five minutes away, a quarter more or less', () => {
  const waits = [0, 0.5, 1].map((value) => nextPollMs({ ...situation, poll: undefined, random: () => value }))
  expect(waits).toEqual([225_000, 300_000, 375_000])
  expect(clampInterval(undefined)).toBe(300_000)
})

test.each([
  [100_000, 200_000],
  [299_500, 1_000],
  [400_000, 1_000],
])('after another process’s poll %i ms ago the next one is in %i ms, and never at once', (sincePollMs, ms) => {
  expect(nextPollMs({ ...situation, sincePollMs })).toBe(ms)
})

test('a success does not wait for as long as a server once asked', () => {
  expect(nextPollMs({ ...situation, retryAfterMs: 5_000 })).toBe(300_000)
})

test('how long ago another process polled does not shorten the pause after a failure', () => {
  expect(nextPollMs({ ...situation, failures: 1, sincePollMs: 299_000 })).toBe(225_000)
})

test.each([
  [601_001, 1_001],
  [601_000, 450_000],
  [599_000, 450_000],
])('a failure while the status is fresh for %i ms more waits %i ms', (freshForMs, ms) => {
  expect(nextPollMs({ ...situation, failures: 3, freshForMs, random: () => 0 })).toBe(ms)
})

test.each([
  [15, 240_000],
  [224, 3_584_000],
  [225, hour],
  [226, hour],
  [86_400, hour],
])('at an interval of %i s others may poll in our place for %i ms, an hour at most', (interval, ms) => {
  expect(sharedForMs({ interval, spread: 0 })).toBe(Math.min(ms, hour))
})
