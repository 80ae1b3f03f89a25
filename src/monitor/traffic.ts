import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'
import type { ExchangeEvent } from '../events/handshake.ts'

type TrafficEvent = EventOf<'traffic.anomaly'>
type Measure = TrafficEvent['measure']

/**
 * Notices that within a minute far more is exchanged with an origin than in any minute of the last day: four times as much as in
 * the busiest, and more than a floor below which nothing is remarkable. Told once, in the minute in which it happens; that minute
 * is then the busiest. Since it is compared with a day, neither the morning nor a job that runs each night is news. The first hour
 * with an origin is learned in silence, and silence of an origin is not told.
 *
 * The busiest minutes of the last hours are all that is kept: 900 octets an origin, and what an exchange costs is four additions.
 */
export function createTrafficWatch(): (exchange: ExchangeEvent) => readonly TrafficEvent[] {
  const origins = new BoundedMap<string, OriginTraffic>(MAX_ORIGINS)
  return ({ host, at, status, code, sent, received }) => {
    let traffic = origins.get(host)
    if (traffic === undefined) {
      traffic = new OriginTraffic(host)
      origins.set(host, traffic)
    }
    return traffic.add(at, sent, received, code !== undefined || status === undefined || status >= 400)
  }
}

class OriginTraffic {
  readonly #host: string
  readonly #minute = new Float64Array(MEASURES.length)
  /** From which value on this minute is remarkable. */
  readonly #limits = new Float64Array(MEASURES.length).fill(Number.POSITIVE_INFINITY)
  /** The busiest minute of each hour, a row for each measure. */
  readonly #hours = new Float64Array(MEASURES.length * HOURS)
  #minuteEnds = Number.NEGATIVE_INFINITY
  #hour = Number.NaN
  #learntAt = Number.NaN

  constructor(host: string) {
    this.#host = host
  }

  add(at: number, sent: number, received: number, isFailure: boolean): readonly TrafficEvent[] {
    if (at >= this.#minuteEnds || at < this.#minuteEnds - MINUTE_MS) this.#beginMinute(at)
    const [minute, limits] = [this.#minute, this.#limits]
    minute[0] = (minute[0] ?? 0) + 1
    minute[1] = (minute[1] ?? 0) + (isFailure ? 1 : 0)
    minute[2] = (minute[2] ?? 0) + sent
    minute[3] = (minute[3] ?? 0) + received
    let events: TrafficEvent[] | undefined
    for (let index = 0; index < MEASURES.length; index += 1) {
      const seen = minute[index] ?? 0
      if (seen <= (limits[index] ?? 0)) continue
      limits[index] = Number.POSITIVE_INFINITY // once a minute
      const measure = MEASURES[index] ?? 'requests'
      events ??= []
      events.push({ type: 'traffic.anomaly', host: this.#host, measure, usual: this.#usual(index), seen })
    }
    return events ?? NONE
  }

  #beginMinute(at: number): void {
    const ended = ((this.#hour % HOURS) + HOURS) % HOURS
    for (let index = 0; index < MEASURES.length && !Number.isNaN(ended); index += 1) {
      const place = index * HOURS + ended
      this.#hours[place] = Math.max(this.#hours[place] ?? 0, this.#minute[index] ?? 0)
    }
    this.#minute.fill(0)
    this.#minuteEnds = (Math.floor(at / MINUTE_MS) + 1) * MINUTE_MS
    this.#enterHour(Math.floor(at / HOUR_MS))
    if (Number.isNaN(this.#learntAt)) this.#learntAt = at + HOUR_MS
    const isLearnt = at >= this.#learntAt
    for (let index = 0; index < MEASURES.length; index += 1) {
      const floor = FLOORS[MEASURES[index] ?? 'requests']
      this.#limits[index] = isLearnt ? Math.max(FACTOR * this.#usual(index), floor) : Number.POSITIVE_INFINITY
    }
  }

  /** What is a day old makes room. A clock that was set back begins the hour that it shows anew. */
  #enterHour(hour: number): void {
    const passed = Number.isNaN(this.#hour) ? 0 : hour - this.#hour
    for (let back = 0; back < Math.min(passed < 0 ? 1 : passed, HOURS); back += 1) {
      const place = (((hour - back) % HOURS) + HOURS) % HOURS
      for (let index = 0; index < MEASURES.length; index += 1) this.#hours[index * HOURS + place] = 0
    }
    this.#hour = hour
  }

  #usual(index: number): number {
    let most = 0
    for (let hour = 0; hour < HOURS; hour += 1) most = Math.max(most, this.#hours[index * HOURS + hour] ?? 0)
    return most
  }
}

const NONE: readonly TrafficEvent[] = []
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const HOURS = 25 // the one under way, and a whole day
const FACTOR = 4
const MAX_ORIGINS = 500
const MEASURES = ['requests', 'failures', 'octets-sent', 'octets-received'] as const satisfies readonly Measure[]
const FLOORS: Readonly<Record<Measure, number>> = {
  requests: 100,
  failures: 20,
  'octets-sent': 1_000_000,
  'octets-received': 10_000_000,
}
