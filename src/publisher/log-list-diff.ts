import { isDeepStrictEqual } from 'node:util'
import { logsOf } from './log-list.ts'
import type { CtInput } from './wire.ts'

/** What changes in how clients judge whether certificates were logged. */
export interface CtDiff {
  readonly policy: FromTo | undefined
  /** When the list was made. */
  readonly list: FromTo | undefined
  readonly logsAdded: readonly string[]
  readonly logsRemoved: readonly string[]
  /** Logs whose state or interval differs, or who runs them. */
  readonly logsChanged: readonly string[]
}

interface FromTo {
  readonly from: string | undefined
  readonly to: string | undefined
}

/** `undefined` where nothing differs. */
export function diffCt(before: CtInput | undefined, after: CtInput | undefined): CtDiff | undefined {
  if (isDeepStrictEqual(before, after)) return undefined
  const [from, to] = [byId(before), byId(after)]
  const named = (ids: readonly string[]) => ids.map((id) => to.get(id)?.description ?? from.get(id)?.description ?? id)
  return {
    policy: change(before?.policy, after?.policy),
    list: change(before?.logList.timestamp, after?.logList.timestamp),
    logsAdded: named([...to.keys()].filter((id) => !from.has(id))),
    logsRemoved: named([...from.keys()].filter((id) => !to.has(id))),
    logsChanged: named(
      [...to].flatMap(([id, log]) => (from.has(id) && !isDeepStrictEqual(from.get(id), log) ? [id] : [])),
    ),
  }
}

const change = (from: string | undefined, to: string | undefined): FromTo | undefined =>
  from === to ? undefined : { from, to }

const byId = (ct: CtInput | undefined) =>
  new Map(ct === undefined ? [] : logsOf(ct.logList).map((log) => [log.log_id, log] as const))
