import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'
import type { ExchangeEvent } from '../events/handshake.ts'

type TrafficEvent = EventOf<'traffic.anomaly'>

/**
 * Notices that within a minute far more is exchanged with an origin than in any minute of the last day: four times as much as in
 * the busiest, and more than a floor below which nothing is remarkable. Told once, in the minute in which it happens; that minute
 * is then the busiest. Since it is compared with a day, neither the morning nor a job that runs each night is news. The first hour
 * with an origin is learned without a word; that it fell silent is told by another watch.
 *
 * The busiest minutes of the last hours are all that is kept: 900 octets for each of the last 500 origins.
 */
export function createTrafficWatch(): (exchange: ExchangeEvent) => readonly TrafficEvent[] {
  const origins = new BoundedMap<string, OriginTraffic>(MAX_ORIGINS)
  return (exchange) => {
    let traffic = origins.get(exchange.host)
    if (traffic === undefined) {
      traffic = new OriginTraffic()
      origins.set(exchange.host, traffic)
    }
    return traffic.add(exchange)
  }
}

class OriginTraffic {
  readonly #requests = new Tally('requests', 100)
  readonly #failures = new Tally('failures', 20)
  readonly #sent = new Tally('octets-sent', 1_000_000)
  readonly #received = new Tally('octets-received', 10_000_000)
  #minuteEnds = Number.NEGATIVE_INFINITY
  #hour: number | undefined
  #learntAt: number | undefined

  add({ host, at, status, code, sent, received }: ExchangeEvent): readonly TrafficEvent[] {
    if (at >= this.#minuteEnds || at < this.#minuteEnds - MINUTE_MS) this.#beginMinute(at)
    const isFailure = code !== undefined || status === undefined || status >= 400
    let events = NONE
    if (this.#requests.add(1)) events = [this.#requests.told(host)]
    if (isFailure && this.#failures.add(1)) events = [...events, this.#failures.told(host)]
    if (this.#sent.add(sent)) events = [...events, this.#sent.told(host)]
    if (this.#received.add(received)) events = [...events, this.#received.told(host)]
    return events
  }

  /** A clock that was set back begins the hour that it shows anew. */
  #beginMinute(at: number): void {
    const hour = Math.floor(at / HOUR_MS)
    const before = this.#hour ?? hour
    const entered = hour < before ? 1 : Math.min(hour - before, HOURS)
    this.#minuteEnds = (Math.floor(at / MINUTE_MS) + 1) * MINUTE_MS
    this.#hour = hour
    this.#learntAt ??= at + HOUR_MS
    for (const tally of [this.#requests, this.#failures, this.#sent, this.#received]) {
      tally.endMinute(before)
      for (let back = 0; back < entered; back += 1) tally.clear(hour - back)
      tally.beginMinute(at >= this.#learntAt)
    }
  }
}

/** One measure of one origin. */
class Tally {
  readonly #measure: TrafficEvent['measure']
  readonly #floor: number
  /** The busiest minute of each. */
  readonly #hours = new Float64Array(HOURS)
  #seen = 0
  #usual = 0
  #limit = Number.POSITIVE_INFINITY

  constructor(measure: TrafficEvent['measure'], floor: number) {
    this.#measure = measure
    this.#floor = floor
  }

  /** Answers whether it has just become remarkable. */
  add(amount: number): boolean {
    this.#seen += amount
    return this.#seen > this.#limit
  }

  /** Once a minute. */
  told(host: string): TrafficEvent {
    this.#limit = Number.POSITIVE_INFINITY
    return { type: 'traffic.anomaly', host, measure: this.#measure, usual: this.#usual, seen: this.#seen }
  }

  endMinute(hour: number): void {
    const place = placeOf(hour)
    this.#hours[place] = Math.max(this.#hours[place] ?? 0, this.#seen)
    this.#seen = 0
  }

  clear(hour: number): void {
    this.#hours[placeOf(hour)] = 0
  }

  beginMinute(isLearnt: boolean): void {
    this.#usual = Math.max(...this.#hours)
    this.#limit = isLearnt ? Math.max(FACTOR * this.#usual, this.#floor) : Number.POSITIVE_INFINITY
  }
}

const placeOf = (hour: number): number => ((hour % HOURS) + HOURS) % HOURS

const NONE: readonly TrafficEvent[] = []
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const HOURS = 25 // the one under way, and a whole day
const FACTOR = 4
const MAX_ORIGINS = 500
