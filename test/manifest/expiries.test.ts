import { expect, test } from 'vitest'
import { expiriesIn } from '../../src/manifest/expiries.ts'
import { formatInstant } from '../../src/manifest/schema.ts'
import { day, knowing, manifestOf, rootOf, statusOf } from './accepted.ts'
import { DAY, host, pin } from './world.ts'

const [one, two] = [{ spki: pin('one') }, { spki: pin('two') }]
const until = (days: number) => formatInstant(day(days))
const documents = [
  { what: 'root', subject: 'acme/pins prod 2', notBefore: day(0), notAfter: day(400) },
  { what: 'status', subject: 'acme/pins prod 3', notBefore: day(0), notAfter: day(7) },
  { what: 'manifest', subject: 'acme/pins prod 4', notBefore: day(0), notAfter: day(90) },
]
const known = knowing({ root: rootOf(2), status: statusOf(3) })

test('nothing ends while nothing is known', () => {
  expect(expiriesIn(undefined, undefined, day(0))).toEqual([])
})

test('the documents in use end', () => {
  expect(expiriesIn(knowing({ root: rootOf(2) }), undefined, day(0))).toEqual(documents.slice(0, 1))
  expect(expiriesIn(known, undefined, day(0))).toEqual(documents.slice(0, 2))
  expect(expiriesIn(known, manifestOf(4, {}, [host()]), day(0))).toEqual(documents)
})

test('a document that is over is told for ever', () => {
  expect(expiriesIn(known, manifestOf(4), day(1_000))).toEqual(documents)
})

test('a pin and a legacy host end, by host and port', () => {
  const hosts = [
    { ...host(), pins: [{ ...one, notAfter: until(9) }, two, { spki: pin('three'), notAfter: until(5) }] },
    { ...host('old.example.com'), port: 8443, profile: 'legacy', sunset: until(6) } as const,
    { ...host('::1'), port: 8443, pins: [{ ...one, notAfter: until(7) }, two], sunset: until(8) },
    host('*.example.com'),
  ]
  expect(expiriesIn(known, manifestOf(4, {}, hosts), day(0))).toEqual([
    ...documents,
    { what: 'pin', subject: `api.example.com ${pin('one')}`, notAfter: day(9) },
    { what: 'pin', subject: `api.example.com ${pin('three')}`, notAfter: day(5) },
    { what: 'legacy host', subject: 'old.example.com:8443', notAfter: day(6) },
    { what: 'pin', subject: `[::1]:8443 ${pin('one')}`, notAfter: day(7) },
    { what: 'legacy host', subject: '[::1]:8443', notAfter: day(8) },
  ])
})

test('a pin that ended a day ago is history; a legacy host is not, it is refused now', () => {
  const old = { ...host(), pins: [{ ...one, notAfter: until(5) }, two], profile: 'legacy', sunset: until(5) } as const
  const manifest = manifestOf(4, {}, [old])
  const endedAt = (now: number) =>
    expiriesIn(known, manifest, day(now))
      .slice(3)
      .map(({ what }) => what)
  expect(endedAt(6 - 1 / DAY)).toEqual(['pin', 'legacy host'])
  expect(endedAt(6)).toEqual(['legacy host'])
})

test('the entries of a manifest are read once, however often somebody asks', () => {
  const manifest = manifestOf(4, {}, [{ ...host(), sunset: until(5) }])
  const [first, second] = [1, 2].map((now) => expiriesIn(known, manifest, day(now)).at(-1))
  expect(first).toMatchObject({ what: 'legacy host' })
  expect(second).toBe(first)
})
