import { BoundedMap } from '../encoding/bounded-map.ts'
import type { Emit } from '../events/events.ts'
import { type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'

/**
 * How far the clock of each origin is ahead of this machine's, by the Date of its responses. Proofs and assertions are dated by
 * it, since authorization servers allow a few seconds. A clock that is off by more than `MAX_OFFSET_MS` is not followed: then
 * something is wrong, and what is dated for that moment could be kept and used later.
 */
export interface ClockOffsets {
  /** The time at the origin. */
  readonly now: (origin: string) => UnixMs
  /** What `now` adds, 0 where nothing is known. */
  readonly of: (origin: string) => number
  /** The offset that was seen and is too large to be followed; `undefined` where there is none. */
  readonly refused: (origin: string) => number | undefined
  /** Reads the Date of a response that came `roundTripMs` after its request. */
  readonly learn: (origin: string, headers: Headers, roundTripMs: number) => void
}

export function createClockOffsets({
  runtime,
  emit,
}: {
  readonly runtime: Runtime
  readonly emit: Emit
}): ClockOffsets {
  const offsets = new BoundedMap<string, Learned>(MAX_ORIGINS)
  const of = (origin: string): number => offsets.get(origin)?.applied ?? 0
  return {
    of,
    now: (origin) => toUnixMs(runtime.clock.now() + of(origin)),
    refused: (origin) => offsets.get(origin)?.refused,
    learn: (origin, headers, roundTripMs) => {
      const seen = measure(headers, runtime.clock.now(), roundTripMs)
      if (seen === undefined) return
      const before = of(origin)
      const isFollowed = Math.abs(seen) <= MAX_OFFSET_MS
      // Between two whole seconds of the Date nobody can tell; a change that small would be an event a response.
      const isSame = Math.abs(seen - before) < TOLERANCE_MS
      const applied = !isFollowed || Math.abs(seen) < TOLERANCE_MS ? 0 : isSame ? before : seen
      offsets.set(origin, { applied, refused: isFollowed ? undefined : seen })
      if (applied !== before) emit({ type: 'clock.offset', host: new URL(origin).host, offsetMs: applied })
    },
  }
}

interface Learned {
  readonly applied: number
  readonly refused: number | undefined
}

/** Server time minus our time, half a round trip ago. `undefined` where the response does not tell. */
function measure(headers: Headers, receivedAt: UnixMs, roundTripMs: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  const isStored = headers.has('age') // a cache answered: the Date is of another day
  if (!Number.isFinite(date) || isStored || roundTripMs > MAX_ROUND_TRIP_MS) return undefined
  return Math.round(date + DATE_TRUNCATION_MS - (receivedAt - roundTripMs / 2))
}

/** Wide enough for a machine that was off over night; beyond it, RFC 9449 §11.1 proofs would be of use to a thief for long. */
const MAX_OFFSET_MS = 5 * 60_000
export const TOLERANCE_MS = 2_000 // Date has whole seconds, and a response takes its time
const DATE_TRUNCATION_MS = 500 // on average
const MAX_ROUND_TRIP_MS = 10_000 // nobody knows in which part of it the server looked at its clock
const MAX_ORIGINS = 1_000
