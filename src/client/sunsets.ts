import { BoundedMap } from '../encoding/bounded-map.ts'
import type { Emit } from '../events/events.ts'
import type { Cancel, Runtime, UnixMs } from '../ports/runtime.ts'
import { daysIn, inDays } from './posture.ts'

export interface Sunsets {
  /** A legacy host that the manifest in force names. */
  readonly note: (host: string, sunset: UnixMs) => void
  /** The manifest changed: what still holds of it is noted again when its hosts are asked for. */
  readonly forgetNoted: () => void
  readonly close: () => void
}

/**
 * Tells that legacy hosts will be refused: once for each of 30, 14, 7 and 1 days before their sunset, or for the last of these
 * that is over already; and at the end, when live connections have to end too. The clock is compared, at least once an hour: a
 * timer that comes late, after a machine slept, tells late and not never.
 *
 * @param options.say Gets one line in the last week.
 */
export function watchSunsets(options: {
  readonly runtime: Pick<Runtime, 'clock' | 'schedule'>
  readonly inCode: readonly { readonly pattern: string; readonly sunset: UnixMs }[]
  readonly emit: Emit
  readonly say: (line: string) => void
  readonly onOver: () => void
}): Sunsets {
  const { runtime, inCode, emit, say, onOver } = options
  const noted = new BoundedMap<string, UnixMs>(MAX_HOSTS)
  const told = new BoundedMap<string, number>(inCode.length + 2 * MAX_HOSTS)
  let cancel: Cancel | undefined
  let isClosed = false

  /** Answers whether the end has come just now. */
  const tell = (host: string, sunset: UnixMs, now: UnixMs): boolean => {
    const step = STEPS_MS.findLast((ms) => sunset - now <= ms)
    const key = `${sunset} ${host}`
    if (step === undefined || step >= (told.get(key) ?? Number.POSITIVE_INFINITY)) return false
    told.set(key, step)
    emit({ type: 'policy.sunset', host, sunset, daysLeft: daysIn(sunset - now) })
    if (step <= LOUD_MS) say(lineFor(host, sunset, now))
    return step === 0
  }

  const look = (): void => {
    if (isClosed) return
    cancel?.()
    const now = runtime.clock.now()
    const all = [...inCode.map(({ pattern, sunset }) => [pattern, sunset] as const), ...noted.entries()]
    const ended = all.filter(([host, sunset]) => tell(host, sunset, now)) // of all, not until the first
    if (ended.length > 0) onOver()
    const next = all.flatMap(([, sunset]) => STEPS_MS.map((ms) => sunset - ms - now)).filter((ms) => ms > 0)
    if (next.length > 0) cancel = runtime.schedule(Math.min(HOUR_MS, ...next), look)
  }

  queueMicrotask(look) // whoever listens was added in the tick that made the client
  return {
    note: (host, sunset) => {
      if (isClosed || noted.get(host) === sunset) return
      noted.set(host, sunset)
      queueMicrotask(look) // not amid the judgement of a request, which `onOver` would judge again
    },
    forgetNoted: () => {
      for (const host of [...noted.entries()].map(([name]) => name)) noted.delete(host)
    },
    close: () => {
      isClosed = true
      cancel?.()
    },
  }
}

function lineFor(host: string, sunset: UnixMs, now: UnixMs): string {
  const at = new Date(sunset).toISOString()
  if (now >= sunset) return `pinfetch: ${host} is refused: its legacy profile ended at ${at}\n`
  return `pinfetch: the legacy profile of ${host} ends in ${inDays(sunset - now)}; it is refused from ${at} on\n`
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const STEPS_MS = [30 * DAY_MS, 14 * DAY_MS, 7 * DAY_MS, DAY_MS, 0]
const LOUD_MS = 7 * DAY_MS
const MAX_HOSTS = 1_000
