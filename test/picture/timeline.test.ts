import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { axisOf, placeOf } from '../../src/picture/axis.ts'
import type { CertificateFact, Facts, HostFact, PinFact } from '../../src/picture/facts.ts'
import { forecastOf } from '../../src/picture/forecast.ts'
import { layoutOf } from '../../src/picture/layout.ts'
import { pageOf } from '../../src/picture/page.ts'
import { svgTimeline } from '../../src/picture/svg.ts'
import { terminalTimeline } from '../../src/picture/terminal.ts'
import { timelineOf } from '../../src/picture/timeline.ts'
import { isFull } from '../support/tier.ts'
import { busy, certificate, crowd, DAY, HOSTILE, hostile, NOW, pin } from './scenes.ts'

const RUNS = { numRuns: isFull ? 5_000 : 300 }
const nothing: Facts = { documents: [], hosts: [], own: [], denied: [] }
const host = (fact: Partial<HostFact>): HostFact => ({ host: 'a.example', pins: [], certificates: [], ...fact })
const holesOf = (fact: Partial<HostFact>) => timelineOf({ ...nothing, hosts: [host(fact)] }, NOW).holes
const rolesOf = (fact: Partial<HostFact>) =>
  timelineOf({ ...nothing, hosts: [host(fact)] }, NOW).groups.flatMap(({ rows }) => rows.map(({ what }) => what))

describe('where an outage comes', () => {
  test.each<[string, Partial<HostFact>, number, number, string]>([
    [
      'its certificate ends',
      { pins: [pin('A')], certificates: [certificate('A', -1, 9)] },
      9,
      Infinity,
      'ERR_TRUST_CERT_EXPIRED',
    ],
    [
      'its certificate begins later',
      { pins: [pin('A')], certificates: [certificate('A', 2, 9)] },
      0,
      2,
      'ERR_TRUST_CERT_NOT_YET_VALID',
    ],
    ['every pin has ended', { pins: [pin('A', { until: NOW + 3 * DAY })] }, 3, Infinity, 'ERR_TRUST_PIN_NONE_ACTIVE'],
    ['its only pin is denied', { pins: [pin('A', { isDenied: true })] }, 0, Infinity, 'ERR_TRUST_PIN_NONE_ACTIVE'],
    [
      'nobody pinned the new certificate',
      { pins: [pin('A')], certificates: [certificate('A', -9, 4), certificate('B', -1, 80)] },
      4,
      80,
      'ERR_TRUST_PIN_MISMATCH',
    ],
    [
      'between a pin and the next',
      { pins: [pin('A', { until: NOW + 2 * DAY }), pin('B', { from: NOW + 5 * DAY })] },
      2,
      5,
      'ERR_TRUST_PIN_NONE_ACTIVE',
    ],
    [
      'one group of two has no pin left',
      { pins: [pin('A'), pin('B', { until: NOW + 7 * DAY })], groups: [[0], [1]] },
      7,
      Infinity,
      'ERR_TRUST_PIN_NONE_ACTIVE',
    ],
    [
      'a pin of the issuer stands at the end',
      { pins: [pin('A', { require: 'issuer' })], certificates: [certificate('A', -1, 9)] },
      0,
      9,
      'ERR_TRUST_PIN_MISMATCH',
    ],
    [
      'reports end',
      { pins: [pin('B')], certificates: [certificate('A', -1, 9)], enforcedFrom: NOW + DAY },
      1,
      9,
      'ERR_TRUST_PIN_MISMATCH',
    ],
    [
      'its exception ends',
      { pins: [pin('A')], refusedFrom: { at: NOW + 6 * DAY, why: 'over', code: 'ERR_POLICY_SUNSET' } },
      6,
      Infinity,
      'ERR_POLICY_SUNSET',
    ],
  ])('%s', (_, fact, from, until, code) => {
    expect(holesOf(fact)[0]).toMatchObject({ from: NOW + from * DAY, until: NOW + until * DAY, code })
  })

  test.each<[string, Partial<HostFact>]>([
    ['a pin without an end, and nobody looked', { pins: [pin('A')] }],
    [
      'an issuer’s pin on the path',
      { pins: [pin('R')], certificates: [{ ...certificate('A', -1, 9, ['R']), until: Infinity }] },
    ],
    ['an OCSP response ends', { pins: [pin('A')], staples: [{ label: 'good', until: NOW + DAY }] }],
    ['one pin ends, another goes on', { pins: [pin('A', { until: NOW + DAY }), pin('B')] }],
    ['reported for ever', { pins: [], enforcedFrom: Infinity }],
  ])('nowhere: %s', (_, fact) => {
    expect(holesOf(fact)).toEqual([])
  })

  test('documents and client certificates leave one at their end, lists do not', () => {
    const { holes } = timelineOf({ ...busy, hosts: [] }, NOW)
    expect(holes.map(({ from, code }) => [(from - NOW) / DAY, code])).toEqual([
      [6, 'ERR_MANIFEST_STATUS_EXPIRED'],
      [30, 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED'],
      [78, 'ERR_MANIFEST_EXPIRED'],
      [300, 'ERR_MANIFEST_ROOT_EXPIRED'],
    ])
  })

  test('comes with the end of a certificate above that of the server, and is there before one begins', () => {
    const above = (from: number, until: number) => {
      const issuers = [{ subject: 'CN=Above', from: NOW + from * DAY, until: NOW + until * DAY }]
      return holesOf({ pins: [pin('A')], certificates: [certificate('A', -9, 50)], issuers })
    }
    expect(above(-9, 20)[0]).toMatchObject({ from: NOW + 20 * DAY, why: 'CN=Above has ended' })
    expect(above(-9, 60)[0]).toMatchObject({ from: NOW + 50 * DAY, why: 'its certificate has ended' })
    expect(above(5, 60)[0]).toMatchObject({ from: NOW, until: NOW + 5 * DAY, code: 'ERR_TRUST_CERT_NOT_YET_VALID' })
  })

  test('is near below 30 days and a quarter of a life', () => {
    const level = (from: number, until: number) =>
      holesOf({ pins: [pin('A')], certificates: [certificate('A', from, until)] })[0]?.level
    expect([level(-370, 30), level(-370, 31), level(-70, 20), level(-60, 30), level(-9, -1)]).toEqual([
      'soon',
      'later',
      'soon',
      'later',
      'now',
    ])
  })
})

test('a pin is active, a backup, staged, retired or denied', () => {
  const pins = busy.hosts[0]?.pins ?? []
  const certificates = busy.hosts[0]?.certificates ?? []
  expect(rolesOf({ pins, certificates: certificates.slice(0, 1) }).filter((what) => what.endsWith('pin'))).toEqual([
    'active pin',
    'backup pin',
    'staged pin',
    'retired pin',
    'denied pin',
  ])
})

const instant = fc.integer({ min: -400, max: 400 }).map((days) => NOW + days * DAY)
const window = fc.record({ from: instant, until: instant }, { requiredKeys: [] })
const letter = fc.constantFrom('A', 'B', 'C')
const pins = fc.array(
  fc.tuple(letter, window, fc.boolean()).map(([of, when, isDenied]): PinFact => pin(of, { ...when, isDenied })),
  { maxLength: 4 },
)
const certificates = fc.array(
  fc
    .tuple(letter, window)
    .map(([of, when]): CertificateFact => ({ ...certificate(of, 0, 1), from: NOW, until: NOW, ...when })),
  { maxLength: 3 },
)
const anyHost = fc.record({ host: fc.string(), pins, certificates })
const anyFacts = fc.record({
  hosts: fc.array(anyHost, { maxLength: 6 }),
  documents: fc.array(
    window.map((when) => ({ ...when, label: 'x', effect: 'y', code: 'ERR_MANIFEST_EXPIRED' as const })),
    { maxLength: 3 },
  ),
  own: fc.array(
    fc.tuple(fc.string(), window).map(([label, when]) => ({ what: 'log list' as const, label, ...when })),
    { maxLength: 3 },
  ),
  denied: fc.constant([]),
})

test('a hole is exactly where no certificate is valid with an active pin on its path', () => {
  fc.assert(
    fc.property(anyHost, instant, (fact, at) => {
      const time = Math.max(at, NOW)
      const within = ({ from = -Infinity, until = Infinity }) => time >= from && time < until
      const active = fact.pins.filter((one) => one.isDenied !== true && within(one))
      const passes =
        fact.certificates.length === 0
          ? active.length > 0
          : fact.certificates.some((one) => within(one) && active.some(({ spki }) => one.path.flat().includes(spki)))
      const found = forecastOf(fact, NOW).find(({ from, until }) => time >= from && time < until)
      expect(found?.kind).toBe(passes ? 'passes' : 'hole')
    }),
    RUNS,
  )
})

test('a forecast has no gap and no overlap, from now for ever', () => {
  fc.assert(
    fc.property(anyHost, (fact) => {
      const segments = forecastOf(fact, NOW)
      expect([segments[0]?.from, segments.at(-1)?.until]).toEqual([NOW, Infinity])
      for (const [index, { from, until }] of segments.entries()) {
        expect(from).toBeLessThan(until)
        expect(segments[index + 1]?.from ?? Infinity).toBe(until)
      }
    }),
    RUNS,
  )
})

test('every bar and every text stands inside of its frame, whatever is drawn, however wide', () => {
  fc.assert(
    fc.property(
      anyFacts,
      fc.integer({ min: 320, max: 2_000 }),
      fc.option(fc.integer({ min: 1, max: 3_650 })),
      (facts, width, days) => {
        const timeline = timelineOf(facts, NOW)
        const layout = layoutOf(timeline, width, days ?? undefined)
        const { plot } = layout
        for (const { rows, title } of layout.groups) {
          expect(title.x + title.text.length * 7.85).toBeLessThanOrEqual(width)
          for (const { bars, label, end } of rows) {
            for (const bar of bars) {
              expect(bar.x).toBeGreaterThanOrEqual(plot.x)
              expect(bar.x + bar.width).toBeLessThanOrEqual(plot.x + plot.width + 0.001)
              expect(bar.y + bar.height).toBeLessThanOrEqual(layout.height)
            }
            expect(label.x + label.text.length * 7.25).toBeLessThan(width >= 620 ? plot.x : end.x)
            expect(end.x + end.text.length * 7.25).toBeLessThanOrEqual(width)
          }
        }
        expect(layout.now.x).toBeCloseTo(plot.x + plot.width / 5, 6)
      },
    ),
    RUNS,
  )
})

test('lines in a terminal are as wide as they may be, and ASCII unless more was asked for', () => {
  fc.assert(
    fc.property(anyFacts, fc.integer({ min: 60, max: 300 }), (facts, width) => {
      const lines = terminalTimeline(timelineOf(facts, NOW), { width })
      const drawn = lines.slice(0, lines.indexOf(''))
      expect(Math.max(...drawn.map(({ length }) => length))).toBeLessThanOrEqual(width)
      expect(lines.join('')).toMatch(/^[\x20-\x7e]*$/)
    }),
    RUNS,
  )
})

test('what strangers wrote is text: no tag, no attribute, no control character of theirs', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE))
  const tags = (document: string) => (document.match(/<[a-z!/][^>]*>/g) ?? []).map((tag) => tag.split(/[\s>]/)[0])
  const factsWith = (one: string): Facts => ({
    hosts: [
      { host: one, pins: [pin('A', { label: one })], certificates: [{ ...certificate('A', -1, 9), subject: one }] },
    ],
    documents: [{ label: one, effect: one, code: 'ERR_MANIFEST_EXPIRED', until: NOW + DAY }],
    own: [{ what: 'client certificate', label: one }],
    denied: [{ spki: one, reason: one }],
  })
  const drawnWith = (one: string) => {
    const timeline = timelineOf(factsWith(one), NOW)
    const health = [{ severity: 'error' as const, subject: one, message: one, fix: one }]
    return [svgTimeline(timeline), pageOf({ title: one, timeline, health })]
  }
  const plain = drawnWith('x').map(tags)
  fc.assert(
    fc.property(text, (one) => {
      const drawn = drawnWith(one)
      expect(drawn.map(tags)).toEqual(plain)
      for (const document of drawn) expect(document).toMatch(/^[\x20-\x7e\n·]*$/)
    }),
    { ...RUNS, numRuns: RUNS.numRuns / 3 },
  )
})

test('an axis goes on evenly, and its dates fall into it', () => {
  for (const facts of [busy, crowd(40), hostile, nothing]) {
    for (const days of [undefined, 1, 30, 400, 3_650]) {
      const axis = axisOf(timelineOf(facts, NOW), 8, days)
      expect(placeOf(NOW, axis)).toBeCloseTo(0.2, 9)
      expect(axis.ticks.length).toBeGreaterThan(0)
      expect(axis.ticks.length).toBeLessThanOrEqual(9)
      for (const { at } of axis.ticks) expect(at >= axis.from && at <= axis.until).toBe(true)
    }
  }
})

test('of many hosts those are shown that end first, and none is forgotten', () => {
  const timeline = timelineOf(crowd(200), NOW)
  expect(timeline.hiddenHosts).toBe(140)
  expect(timeline.holes.filter(({ subject }) => subject.startsWith('service-'))).toHaveLength(200)
  expect(timeline.groups[1]?.title).toMatch(/^service-0\./)
})
