import { expect, test } from 'vitest'
import type { EventOf } from '../../src/events/events.ts'
import type { ExchangeEvent, HandshakeEvent } from '../../src/events/handshake.ts'
import { createSilenceWatch } from '../../src/monitor/silence.ts'
import { createTimingWatch } from '../../src/monitor/timing.ts'
import { createTrafficWatch } from '../../src/monitor/traffic.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { lasting, NOW, shown } from './handshakes.ts'

const certificate = lasting(90)
const MINUTE_MS = 60_000

/** Numbers between 0 and 1, the same for the same seed: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Log-normal around a median (Box and Muller). */
const jitter = (median: number, sigma: number, random: () => number): number =>
  median * Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))

type Timing = EventOf<'tls.timing'>

/** As many handshakes as there are times, all of one origin. */
function tlsTimes(times: readonly number[]): readonly Timing[] {
  const watch = createTimingWatch()
  return times.flatMap((tlsMs) => watch.handshake(shown(certificate, { timings: { tlsMs, totalMs: tlsMs } })))
}

const timesOf = (count: number, next: () => number): readonly number[] => Array.from({ length: count }, next)

test.each([0.05, 0.2, 0.5, 1, 1.5])('jitter of a width of %f raises next to nothing in 10,000 connections', (sigma) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const random = randomFrom(seed)
    const events = tlsTimes(timesOf(10_000, () => jitter(60, sigma, random)))
    expect(events.length, `seed ${seed}`).toBeLessThanOrEqual(1) // 100 would be one per cent
  }
})

test.each([
  [1, 0.3],
  [20, 0.3],
  [80, 0.2],
])('forty milliseconds more after 200 handshakes of %f ms, jitter %f, are told once', (median, sigma) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const random = randomFrom(seed)
    const next = () => jitter(median, sigma, random)
    const events = tlsTimes([...timesOf(200, next), ...timesOf(1_000, () => next() + 40)])
    expect(events).toEqual([expect.objectContaining({ type: 'tls.timing', host: 'api.example.com', phase: 'tls' })])
    const [{ usualMs, seenMs, samples } = { usualMs: 0, seenMs: 0, samples: 0 }] = events
    expect([samples, usualMs / median, (seenMs - usualMs) / 40]).toEqual([
      200,
      expect.closeTo(1, 0),
      expect.closeTo(1, 0),
    ])
  }
})

test('the new level is learned: going back is one more event, if it was learned before', () => {
  const random = randomFrom(7)
  const at = (median: number, count: number) => timesOf(count, () => jitter(median, 0.2, random))
  expect(tlsTimes([...at(20, 200), ...at(60, 221), ...at(20, 400)])).toHaveLength(2)
  expect(tlsTimes([...at(20, 200), ...at(60, 30), ...at(20, 400)])).toHaveLength(1)
})

test('a level that rises slowly is followed in silence, and so is a shift that nobody could tell from a busy machine', () => {
  const random = randomFrom(8)
  const slowly = Array.from({ length: 4_000 }, (_, index) => jitter(20 + index / 40, 0.2, random))
  const little = Array.from({ length: 2_000 }, (_, index) => jitter(index < 300 ? 20 : 28, 0.05, random))
  expect([...tlsTimes(slowly), ...tlsTimes(little)]).toEqual([])
})

test.each([
  [20, 30, 31],
  [20, 10, 9],
  [300, 330, 331],
  [300, 270, 269],
])(
  'after 200 handshakes of %i ms, %i ms are within ten milliseconds or a tenth, %i ms are told',
  (usual, near, far) => {
    const after = (ms: number) => tlsTimes([...timesOf(200, () => usual), ...timesOf(100, () => ms)])
    expect(after(near)).toEqual([])
    expect(after(far)).toMatchObject([{ usualMs: usual, seenMs: far }])
  },
)

test('each phase and each origin has a level of its own, and so have resumed handshakes; the verdict’s time does not count', () => {
  const watch = createTimingWatch()
  const resumed = { connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: true } } as const
  const events: Timing[] = []
  for (let count = 0; count < 1_000; count += 1) {
    const late = count < 500 ? 0 : 100
    const timings = { connectMs: 10, tlsMs: 20 + late, verdictMs: late, totalMs: 30 + late }
    events.push(
      ...watch.handshake(shown(certificate, { timings })),
      ...watch.handshake(shown(certificate, { timings: { connectMs: 10, tlsMs: 2, totalMs: 12 }, ...resumed })),
      ...watch.handshake(shown(certificate, { timings: { ...timings, tlsMs: 900 }, outcome: 'refused' })),
      ...watch.handshake(shown(certificate, { host: 'far.example.com', timings: { connectMs: 300, totalMs: 300 } })),
    )
  }
  expect(events).toEqual([])
  for (let count = 0; count < 50; count += 1) {
    const timings = { connectMs: 110, tlsMs: 20, totalMs: 130 }
    events.push(...watch.handshake(shown(certificate, { timings })))
  }
  expect(events).toMatchObject([{ host: 'api.example.com', phase: 'connect', usualMs: 10, seenMs: 110 }])
})

test('of a resumed handshake the verdict is no part: what it costs is no faster handshake', () => {
  const watch = createTimingWatch()
  const resumed = { connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: true } } as const
  const events = timesOf(1_000, () => 0).flatMap((_, count) => {
    const timings = { tlsMs: 20, verdictMs: count < 500 ? 0 : 15, totalMs: 40 }
    return watch.handshake(shown(certificate, { timings, ...resumed }))
  })
  expect(events).toEqual([])
})

test('resumed handshakes after full ones, and refused ones after accepted ones, are no shift', () => {
  const watch = createTimingWatch()
  const of = (tlsMs: number, given: Partial<HandshakeEvent> = {}) =>
    Array.from({ length: 250 }, () =>
      watch.handshake(shown(certificate, { timings: { tlsMs, totalMs: tlsMs }, ...given })),
    )
  const resumed = { connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: true } } as const
  expect([of(60), of(5, resumed), of(900, { outcome: 'refused' })].flat(2)).toEqual([])
  expect(of(60, resumed).flat()).toMatchObject([{ phase: 'tls', usualMs: 5, seenMs: 60 }])
})

const exchange = (given: Partial<ExchangeEvent> = {}): ExchangeEvent => ({
  type: 'http.exchange',
  host: 'api.example.com',
  at: toUnixMs(NOW),
  method: 'GET',
  version: '1.1',
  status: 200,
  sent: 100,
  received: 1_000,
  firstByteMs: 5,
  totalMs: 6,
  ...given,
})

test('the time until the first byte is watched too', () => {
  const watch = createTimingWatch()
  const of = (firstByteMs: number) => watch.exchange(exchange({ firstByteMs }))
  expect(Array.from({ length: 300 }, () => of(5)).flat()).toEqual([])
  expect(Array.from({ length: 100 }, () => of(45)).flat()).toMatchObject([
    { phase: 'first-byte', usualMs: 5, seenMs: 45 },
  ])
  const { firstByteMs: _, ...unanswered } = exchange()
  expect(watch.exchange(unanswered)).toEqual([])
})

/** Exchanges spread over a minute. */
function trafficOf() {
  const watch = createTrafficWatch()
  return (minute: number, count: number, given: Partial<ExchangeEvent> = {}) =>
    Array.from({ length: count }, (_, index) =>
      watch(exchange({ at: toUnixMs(NOW + minute * MINUTE_MS + (index * MINUTE_MS) / count), ...given })),
    ).flat()
}

test('four times as much as in the busiest minute is told once for each measure, in the minute in which it happens', () => {
  const minute = trafficOf()
  for (let at = 0; at < 90; at += 1) expect(minute(at, 50)).toEqual([])
  expect(minute(90, 190)).toEqual([])
  expect(minute(91, 900)).toEqual([
    { type: 'traffic.anomaly', host: 'api.example.com', measure: 'requests', usual: 190, seen: 761 },
  ])
  expect([...minute(92, 900), ...minute(93, 900), ...minute(94, 50)]).toEqual([])
})

test('bodies that are many times as long, and failures, are told where the number of requests is usual', () => {
  const minute = trafficOf()
  for (let at = 0; at < 70; at += 1) minute(at, 50)
  expect(minute(70, 50, { sent: 50_000 })).toMatchObject([{ measure: 'octets-sent', usual: 5_000, seen: 1_050_000 }])
  expect(minute(71, 50, { received: 1_000_000 })).toMatchObject([{ measure: 'octets-received', usual: 50_000 }])
  expect(minute(72, 50, { status: 503 })).toMatchObject([{ measure: 'failures', usual: 0, seen: 21 }])
  const broken = trafficOf()
  for (let at = 0; at < 70; at += 1) broken(at, 50)
  expect(broken(70, 50, { code: 'ERR_TRANSPORT_CLOSED' })).toMatchObject([{ measure: 'failures' }])
})

test('the first hour says nothing, and neither does what is little', () => {
  const minute = trafficOf()
  expect([...minute(0, 1), ...minute(30, 5_000)]).toEqual([])
  const little = trafficOf()
  for (let at = 0; at < 100; at += 1) expect(little(at, 1)).toEqual([])
  expect(little(100, 90)).toEqual([])
})

test('neither a day’s ramp nor a job that runs each night is news', () => {
  const minute = trafficOf()
  const events = []
  for (let at = 0; at < 3 * 1_440; at += 1) {
    const ofDay = (at % 1_440) / 1_440
    const usual = Math.round(60 + 55 * Math.sin(2 * Math.PI * ofDay))
    const isJob = at % 1_440 === 180
    if (at >= 1_440 || !isJob) events.push(...minute(at, isJob ? 900 : usual).map(({ measure }) => [at, measure]))
  }
  expect(events).toEqual([[1_620, 'requests']]) // the first time it is
})

test('what was the busiest minute is forgotten after a day', () => {
  const minute = trafficOf()
  for (let at = 0; at < 70; at += 1) minute(at, 50)
  expect(minute(70, 900)).toHaveLength(1)
  for (let at = 130; at < 28 * 60; at += 60) expect(minute(at, 50)).toEqual([])
  expect(minute(28 * 60, 900)).toHaveLength(1)
})

test('a clock that is set back, or far forward, counts on', () => {
  const minute = trafficOf()
  for (let at = 0; at < 90; at += 1) minute(at, 50)
  for (let at = -500; at < -490; at += 1) expect(minute(at, 50)).toEqual([])
  expect(minute(100_000, 90)).toEqual([]) // the day before it is empty, the floor holds
  expect(minute(100_001, 900)).toHaveLength(1)
})

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** One origin that is asked at these times, and looked at once an hour until the end. */
function silences(times: readonly number[], end: number) {
  const watch = createSilenceWatch()
  let next = 0
  const events = []
  for (let hour = 1; hour * HOUR_MS <= end; hour += 1) {
    for (; (times[next] ?? Number.POSITIVE_INFINITY) < hour * HOUR_MS; next += 1)
      watch.exchange('api.example.com', times[next] ?? 0)
    events.push(...watch.look(hour * HOUR_MS).map((event) => ({ hour, ...event })))
  }
  return events
}

/** Times with such pauses between them. */
function paced(end: number, pause: (at: number) => number): readonly number[] {
  const times: number[] = []
  for (let at = 0; at < end; at += pause(at)) times.push(at)
  return times
}

test('an origin that was asked all the time and then no more is told once, and again after it came back', () => {
  const minutely = paced(2 * DAY_MS, () => MINUTE_MS)
  expect(silences(minutely, 10 * DAY_MS)).toEqual([
    { hour: 49, type: 'traffic.anomaly', host: 'api.example.com', measure: 'silence', usual: 60_000, seen: 3_660_000 },
  ])
  const back = minutely.map((at) => at + 3 * DAY_MS)
  expect(silences([...minutely, ...back], 12 * DAY_MS)).toMatchObject([
    { hour: 49, usual: MINUTE_MS },
    { hour: 241, usual: DAY_MS + MINUTE_MS }, // a day is the longest pause now
  ])
})

test('a silence is told once it is five times the longest pause of the week', () => {
  const [pauseAt, pauseMs] = [20 * HOUR_MS, 3 * HOUR_MS]
  const times = paced(2 * DAY_MS, () => MINUTE_MS).filter((at) => at <= pauseAt || at >= pauseAt + pauseMs)
  expect(silences(times, 10 * DAY_MS)).toMatchObject([{ hour: 48 + 5 * 3, usual: pauseMs }])
})

test('of an origin that is not known for a day, or was asked a few times, silence is not news', () => {
  expect(
    silences(
      paced(23 * HOUR_MS, () => MINUTE_MS),
      3 * DAY_MS,
    ),
  ).toEqual([])
  expect(
    silences(
      paced(2 * DAY_MS, () => HOUR_MS / 1.9),
      3 * DAY_MS,
    ),
  ).toEqual([])
})

test('nights and weekends are no news, and a month of jittered traffic raises next to nothing', () => {
  const atWork = (at: number): boolean => at % DAY_MS < 9 * HOUR_MS && Math.floor(at / DAY_MS) % 7 < 5
  const working = paced(60 * DAY_MS, () => MINUTE_MS).filter(atWork)
  expect(silences(working, 60 * DAY_MS - 12 * HOUR_MS)).toEqual([])
  for (const sigma of [0.2, 1, 2]) {
    for (const seed of [1, 2, 3, 4, 5]) {
      const random = randomFrom(seed)
      const times = paced(30 * DAY_MS, () => jitter(5 * MINUTE_MS, sigma, random))
      const { length } = silences(times, 30 * DAY_MS)
      expect(length, `${sigma}, seed ${seed}: ${times.length} exchanges`).toBeLessThan(times.length / 200) // half a per cent
    }
  }
})

test('what is remembered is bounded: of a thousand origins the last 500 are', () => {
  const watch = createSilenceWatch()
  for (let origin = 0; origin < 1_000; origin += 1)
    for (let time = 0; time <= 100; time += 1) watch.exchange(`${origin}.example.com`, (time * DAY_MS) / 50)
  expect(watch.look(100 * DAY_MS)).toHaveLength(500)
  expect(watch.look(101 * DAY_MS)).toEqual([])
})
