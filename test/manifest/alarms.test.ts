import { expect, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { createAlarms, type Living } from '../../src/manifest/alarms.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

/** A document that lives from instant 1,000 to 2,000. */
const living = (version = 1, document: Living['document'] = 'status'): Living => ({
  document,
  version,
  payload: { issuedAt: toUnixMs(1_000), expires: toUnixMs(2_000) },
})

function begin() {
  const events: ClientEvent[] = []
  const alarm = createAlarms((event) => events.push(event))
  return { alarm: (now: number, ...documents: Living[]) => alarm(documents, toUnixMs(now)), events }
}

test('each mark is said at its instant, with what ends and when', () => {
  const { alarm, events } = begin()
  const instants = [1_499, 1_500, 1_749, 1_750, 1_899, 1_900, 1_999, 5_000]
  expect(instants.map((now) => alarm(now, living()))).toEqual([
    1_500,
    1_750,
    1_750,
    1_900,
    1_900,
    undefined,
    undefined,
    undefined,
  ])
  expect(events).toEqual(
    [50, 75, 90].map((percent) => ({
      type: 'manifest.expiring',
      document: 'status',
      version: 1,
      percent,
      expiresAt: 2_000,
    })),
  )
})

test('a mark between two milliseconds is reached in the second of them', () => {
  const { alarm, events } = begin()
  const payload = { issuedAt: toUnixMs(0), expires: toUnixMs(3) }
  const odd: Living = { document: 'root', version: 1, payload }
  expect([alarm(1, odd), events.length, alarm(2, odd), events.length]).toEqual([2, 0, 3, 1])
})

test('the next mark is the first of all documents’', () => {
  const { alarm } = begin()
  const later = { ...living(1, 'root'), payload: { issuedAt: toUnixMs(1_000), expires: toUnixMs(1_500) } }
  expect(alarm(1_200, living(), later)).toBe(1_250)
  expect(alarm(1_200)).toBeUndefined()
})

test('a new version has marks of its own, and a version that comes back says its last mark again', () => {
  const { alarm, events } = begin()
  alarm(1_600, living(1))
  alarm(1_600, living(2))
  alarm(1_600, living(1))
  alarm(1_600, living(1))
  expect(events.map((event) => event.type === 'manifest.expiring' && event.version)).toEqual([1, 2, 1])
})

test('a new status does not have the mark of a root said again', () => {
  const { alarm, events } = begin()
  alarm(1_600, living(1, 'root'), living(1))
  alarm(1_600, living(1, 'root'), living(2))
  expect(events.map((event) => event.type === 'manifest.expiring' && event.document)).toEqual([
    'root',
    'status',
    'status',
  ])
})

test('a clock that goes back does not have a mark said twice', () => {
  const { alarm, events } = begin()
  for (const now of [1_950, 1_600, 1_950]) alarm(now, living())
  expect(events).toHaveLength(1)
})
