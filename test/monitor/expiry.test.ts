import { expect, test } from 'vitest'
import type { Expiring } from '../../src/events/monitor-events.ts'
import { createExpiryAlarms, createSeenCertificates, expiriesOf } from '../../src/monitor/expiry.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { DAY_MS, lasting, NOW, shown } from './handshakes.ts'

const onDay = (day: number) => toUnixMs(NOW + day * DAY_MS)
const living = (days: number): Expiring => ({
  what: 'server certificate',
  subject: 'api.example.com',
  notBefore: onDay(0),
  notAfter: onDay(days),
})
/** The days before its end on which something is told of, when somebody looks once an hour. */
const toldOf = (one: Expiring, days: number): readonly number[] => {
  const alarm = createExpiryAlarms()
  return Array.from({ length: (days + 2) * 24 }, (_, hour) => alarm([one], onDay(hour / 24)))
    .flat()
    .map(({ daysLeft }) => daysLeft)
}

test.each([
  [398, [30, 14, 7, 1, 0]],
  [200, [30, 14, 7, 1, 0]],
  [100, [14, 7, 1, 0]],
  [90, [14, 7, 1, 0]],
  [47, [7, 1, 0]],
  [6, [1, 0]],
  [1, [0]],
])('a life of %i days is told of %j days before its end', (days, steps) => {
  expect(toldOf(living(days), days)).toEqual(steps)
})

test('what has no beginning is told of at every threshold', () => {
  const { notBefore: _, ...pin } = living(31)
  expect(toldOf({ ...pin, what: 'pin' }, 31)).toEqual([30, 14, 7, 1, 0])
})

test('of several thresholds that passed at once the last alone is told, and what was renewed begins anew', () => {
  const alarm = createExpiryAlarms()
  const asleep = [
    ...alarm([living(90)], onDay(10)),
    ...alarm([living(90)], onDay(84)),
    ...alarm([living(90)], onDay(84)),
  ]
  expect(asleep).toEqual([
    { type: 'expiry.near', what: 'server certificate', subject: 'api.example.com', notAfter: onDay(90), daysLeft: 6 },
  ])
  expect(alarm([living(300)], onDay(85))).toEqual([])
  expect(alarm([living(300)], onDay(299.5))).toMatchObject([{ daysLeft: 1, notAfter: onDay(300) }])
  expect(alarm([{ ...living(300), subject: 'other.example.com' }], onDay(301))).toMatchObject([{ daysLeft: 0 }])
})

test('dates are listed soonest first, and no more than 200 of them', () => {
  const all = Array.from({ length: 300 }, (_, index) => ({ ...living(300 - index), subject: `host ${index}` }))
  const listed = expiriesOf(all, onDay(2.5))
  expect(listed).toHaveLength(200)
  expect(listed.slice(0, 3)).toEqual([
    { what: 'server certificate', subject: 'host 299', notAfter: onDay(1), daysLeft: 0 },
    { what: 'server certificate', subject: 'host 298', notAfter: onDay(2), daysLeft: 0 },
    { what: 'server certificate', subject: 'host 297', notAfter: onDay(3), daysLeft: 1 },
  ])
})

test('the newest certificate of a host counts, and is answered where it is new', () => {
  const seen = createSeenCertificates()
  const [first, second] = [lasting(90), lasting(60)]
  expect(seen.note(shown(first))).toMatchObject({ subject: 'api.example.com', notAfter: NOW + 89 * DAY_MS })
  expect(seen.note(shown(first))).toBeUndefined()
  expect(seen.note(shown(second))).toMatchObject({ notAfter: NOW + 59 * DAY_MS })
  expect(seen.all(onDay(0))).toMatchObject([{ notAfter: NOW + 59 * DAY_MS }])
  expect(seen.note(shown(first, { outcome: 'refused' }))).toBeUndefined()
  expect(seen.note(shown(first, { presented: [Uint8Array.of(48, 0)], outcome: 'reported' }))).toBeUndefined()
  expect(seen.all(onDay(0))).toHaveLength(1)
})

test('a certificate that was not shown for a twelfth of its life is forgotten: it may have been renewed since', () => {
  const seen = createSeenCertificates()
  seen.note(shown(lasting(90)))
  expect([seen.all(onDay(7)).length, seen.all(onDay(8)).length]).toEqual([1, 0])
  const used = createSeenCertificates()
  const certificate = lasting(90)
  for (const day of [0, 5, 10]) used.note(shown(certificate, { at: onDay(day) }))
  expect([used.all(onDay(17)).length, used.all(onDay(18)).length]).toEqual([1, 0])
})
