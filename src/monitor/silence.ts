import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'

type TrafficEvent = EventOf<'traffic.anomaly'>

export interface SilenceWatch {
  readonly exchange: (host: string, at: number) => void
  /** The origins that fell silent since it was asked last. */
  readonly look: (now: number) => readonly TrafficEvent[]
}

/**
 * Notices that an origin with which something was exchanged again and again is not asked any more: what is blocked on its way makes
 * no error where nobody comes to ask. Told once, when the silence is five times the longest pause of the eight days before it, so
 * neither a night nor a weekend is news; the first day and the first hundred exchanges are learned. Looked at now and then: a
 * silence that began and ended between two looks is none.
 *
 * Times are of a clock that nobody sets. 64 octets and a few numbers for each of the last 500 origins.
 */
export function createSilenceWatch(): SilenceWatch {
  const origins = new BoundedMap<string, Pauses>(MAX_ORIGINS)
  return {
    exchange: (host, at) => {
      const pauses = origins.get(host)
      if (pauses === undefined) origins.set(host, new Pauses(at))
      else pauses.end(at)
    },
    look: (now) => {
      const events: TrafficEvent[] = []
      for (const [host, pauses] of origins.entries()) {
        const usual = pauses.exceededAt(now)
        if (usual === undefined) continue
        const [usualMs, seenMs] = [usual, now - pauses.last].map(Math.round) as [number, number]
        events.push({ type: 'traffic.anomaly', host, measure: 'silence', usual: usualMs, seen: seenMs })
      }
      return events
    },
  }
}

class Pauses {
  last: number
  readonly #first: number
  /** The longest of each. */
  readonly #days = new Float64Array(DAYS)
  #day: number
  #count = 1
  #isTold = false

  constructor(at: number) {
    this.last = at
    this.#first = at
    this.#day = Math.floor(at / DAY_MS)
  }

  /** A pause belongs to the day on which it ends. */
  end(at: number): void {
    const pause = at - this.last
    this.last = at
    this.#count += 1
    this.#isTold = false
    const day = Math.floor(at / DAY_MS)
    for (this.#day = Math.max(this.#day, day - DAYS); this.#day < day; this.#day += 1)
      this.#days[(this.#day + 1) % DAYS] = 0
    const place = day % DAYS
    if (pause > (this.#days[place] ?? 0)) this.#days[place] = pause
  }

  /** The longest usual pause, where this one has just become too long. */
  exceededAt(now: number): number | undefined {
    if (this.#isTold || this.#count < MIN_EXCHANGES || this.last - this.#first < DAY_MS) return undefined
    const usual = Math.max(...this.#days)
    if (now - this.last <= Math.max(FACTOR * usual, MIN_SILENCE_MS)) return undefined
    this.#isTold = true
    return usual
  }
}

const DAY_MS = 86_400_000
const DAYS = 8 // a whole week, and the one under way
const FACTOR = 5 // a weekend is less than five nights
const MIN_SILENCE_MS = 600_000 // a process that restarts its peers, or deploys, pauses as well
const MIN_EXCHANGES = 100
const MAX_ORIGINS = 500
