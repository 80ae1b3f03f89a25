import type { HostEntry } from '../manifest/schema.ts'
import { shareOf } from '../manifest/share.ts'
import type { UnixMs } from '../ports/runtime.ts'

/** What an entry asks for at an instant, before anybody asked whether the client lets it. */
export interface Enforcement {
  /** Some client, at some time, may report mismatches instead of refusing them. */
  readonly asksForReport: boolean
  /** This one, now. */
  readonly reports: boolean
  /** The end of a legacy profile has come: no connection is made. */
  readonly isOver: boolean
  /** The clock alone changes the answer then. */
  readonly until: number
}

/** @param clientId Absent: the client does not know on which side of a ramp it stands, and enforces. */
export function enforcementOf(entry: HostEntry, clientId: string | undefined, now: UnixMs): Enforcement {
  const { host, mode, enforceFrom = 0, rampPercent = 100, profile, sunset } = entry
  const isStaged = now < enforceFrom
  const isOutsideRamp = clientId !== undefined && rampPercent < 100 && shareOf(host, clientId) >= rampPercent
  const isLegacy = profile === 'legacy' && sunset !== undefined
  return {
    asksForReport: mode === 'report' || isStaged || rampPercent < 100,
    reports: mode === 'report' || isStaged || isOutsideRamp,
    isOver: isLegacy && now >= sunset,
    until: Math.min(isStaged ? enforceFrom : FOREVER, isLegacy && now < sunset ? sunset : FOREVER),
  }
}

const FOREVER = Number.POSITIVE_INFINITY
