import type { Emit, EventOf } from '../events/events.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'

/** A document in use, and the two ends of its life. */
export interface Living {
  readonly document: EventOf<'manifest.expiring'>['document']
  readonly version: number
  readonly payload: { readonly issuedAt: UnixMs; readonly expires: UnixMs }
}

/**
 * Says how much of a document’s life is over, each mark once for each version, so that somebody renews it in time. What
 * is behind at once, as after a long sleep, is said once, for the last mark.
 *
 * @returns When the next mark is reached; `undefined` when there is none to come.
 */
export function createAlarms(emit: Emit): (documents: readonly Living[], now: UnixMs) => UnixMs | undefined {
  const said = new Map<string, number>()
  return (documents, now) => {
    for (const { document, version, payload } of documents) {
      const name = `${document} ${version}`
      const percent = MARKS.findLast((mark) => instantOf(mark, payload) <= now)
      if (percent === undefined || (said.get(name) ?? 0) >= percent) continue
      for (const older of said.keys()) if (older.startsWith(`${document} `)) said.delete(older)
      said.set(name, percent)
      emit({ type: 'manifest.expiring', document, version, percent, expiresAt: payload.expires })
    }
    const marks = documents.flatMap(({ payload }) => MARKS.map((mark) => instantOf(mark, payload)))
    const next = Math.min(...marks.filter((instant) => instant > now))
    return Number.isFinite(next) ? toUnixMs(next) : undefined
  }
}

function instantOf(mark: number, { issuedAt, expires }: Living['payload']): number {
  return Math.ceil(issuedAt + ((expires - issuedAt) * mark) / 100)
}

const MARKS = [50, 75, 90] as const // a heartbeat renews long before the first
