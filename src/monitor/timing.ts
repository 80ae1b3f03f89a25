import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'
import type { ExchangeEvent, HandshakeEvent } from '../events/handshake.ts'
import { SAMPLES, type Shift, ShiftWatch } from './quantiles.ts'

type TimingEvent = EventOf<'tls.timing'>
type Level = TimingEvent['phase'] | 'resumed'

export interface TimingWatch {
  readonly handshake: (event: HandshakeEvent) => readonly TimingEvent[]
  readonly exchange: (event: ExchangeEvent) => readonly TimingEvent[]
}

/**
 * Notices when an origin answers at another pace than it used to, as it does when somebody who reads along was put in between.
 * Each phase of each of the last 250 origins is learned from 200 samples; then a shift by more than ten milliseconds and a tenth of
 * the usual is one event, and the new level is learned from the next 200: going back is one more event after them, and none before.
 * A network that slows down as a whole is told once for each origin; a relay next door, which adds less than the scheduler does, is
 * not seen. Handshakes that resumed a session are shorter, and have a level of their own.
 */
export function createTimingWatch(): TimingWatch {
  const origins = new BoundedMap<string, Partial<Record<Level, ShiftWatch>>>(MAX_ORIGINS)

  const add = (host: string, level: Level, ms: number | undefined): readonly TimingEvent[] => {
    if (ms === undefined || !Number.isFinite(ms)) return NONE
    let levels = origins.get(host)
    if (levels === undefined) {
      levels = {}
      origins.set(host, levels)
    }
    let watch = levels[level]
    if (watch === undefined) {
      watch = new ShiftWatch(isNotable)
      levels[level] = watch
    }
    const shift = watch.add(ms)
    if (shift === undefined) return NONE
    const phase = level === 'resumed' ? 'tls' : level
    return [
      { type: 'tls.timing', host, phase, usualMs: rounded(shift.usual), seenMs: rounded(shift.seen), samples: SAMPLES },
    ]
  }

  return {
    handshake: ({ host, outcome, connection, timings: { connectMs, tlsMs, verdictMs = 0 } }) => {
      if (outcome !== 'accepted' && outcome !== 'reported') return NONE
      const connect = add(host, 'connect', connectMs)
      if (tlsMs === undefined) return connect
      // The verdict is this machine's own time, and no part of a handshake that was resumed.
      const tls = connection?.resumed === true ? add(host, 'resumed', tlsMs) : add(host, 'tls', tlsMs - verdictMs)
      return [...connect, ...tls]
    },
    exchange: ({ host, firstByteMs }) => add(host, 'first-byte', firstByteMs),
  }
}

const isNotable = ({ usual, seen }: Shift): boolean => Math.abs(seen - usual) > Math.max(MIN_SHIFT_MS, usual / 10)
const rounded = (ms: number): number => Math.round(ms * 10) / 10

const NONE: readonly TimingEvent[] = []
const MIN_SHIFT_MS = 10 // what a busy machine adds by itself
const MAX_ORIGINS = 250 // of 6 kB each at most
