import type { Timeline } from './timeline.ts'

/** Which time a picture shows. */
export interface Axis {
  readonly from: number
  readonly until: number
  readonly ticks: readonly Tick[]
}

export interface Tick {
  readonly at: number
  readonly text: string
}

/**
 * From a fifth of the picture before now to what is worth seeing: the middle one of the coming ends, and the first hole, but between
 * a month and 400 days from now. What reaches further is cut at the edge.
 *
 * @param maxTicks How many dates there is room for.
 * @param days How far ahead, where somebody said so.
 */
export function axisOf({ now, groups, holes }: Timeline, maxTicks: number, days?: number): Axis {
  const ends = groups
    .flatMap(({ rows }) => rows.flatMap(({ bars }) => bars.map(({ until }) => until - now)))
    .filter((left) => left > 0 && left < Infinity)
    .sort((a, b) => a - b)
  const first = Math.max(0, (holes.find(({ from }) => from > now)?.from ?? now) - now)
  const wanted = Math.max((ends[Math.floor(ends.length / 2)] ?? 0) * ROOM, first * ROOM)
  const ahead = days === undefined ? Math.min(Math.max(wanted, MIN_AHEAD_MS), MAX_AHEAD_MS) : days * DAY_MS
  const [from, until] = [now - ahead / 4, now + ahead]
  return { from, until, ticks: ticksOf(from, until, maxTicks) }
}

/** Where an instant lies: 0 at the left edge, 1 at the right; what lies beyond is at the edge. */
export function placeOf(at: number, { from, until }: Pick<Axis, 'from' | 'until'>): number {
  return Math.min(1, Math.max(0, (at - from) / (until - from)))
}

/** The first steps that give no more dates than there is room for: days, then months from the first on. */
function ticksOf(from: number, until: number, maxTicks: number): readonly Tick[] {
  for (const days of [1, 2, 7, 14]) {
    if ((until - from) / (days * DAY_MS) > maxTicks) continue
    const step = days * DAY_MS
    return range(Math.ceil(from / step), Math.floor(until / step)).map((index) => tick(index * step, 'day'))
  }
  for (const months of [1, 2, 3, 6, 12, 24, 60, 120]) {
    const [first, last] = [monthOf(from), monthOf(until)]
    if ((last - first) / months > maxTicks) continue
    return range(Math.ceil(first / months), Math.floor(last / months))
      .map((index) => tick(Date.UTC(1970, index * months), 'month'))
      .filter(({ at }) => at >= from && at <= until)
  }
  return []
}

/** Months since the year 1970, without its days. */
function monthOf(at: number): number {
  const date = new Date(at)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

const tick = (at: number, unit: 'day' | 'month'): Tick => ({
  at,
  text: new Date(at).toISOString().slice(0, unit === 'day' ? 10 : 7),
})

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
}

const DAY_MS = 86_400_000
const ROOM = 1.15 // behind what is worth seeing
const MIN_AHEAD_MS = 30 * DAY_MS
const MAX_AHEAD_MS = 400 * DAY_MS
