import { nextTurn } from '../ports/turn.ts'
import type { HostTable } from './host-table.ts'
import type { HostEntry } from './schema.ts'

/** Which entries a manifest brings, drops and alters, by host or pattern and port. */
export interface HostChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  /** Of those removed and changed: the entry let something in that it lets in no more. */
  readonly shrunk: readonly string[]
}

/** In turns: comparing 200,000 entries at once would keep every request waiting. */
export async function difference(before: HostTable, after: HostTable): Promise<HostChanges> {
  const added: string[] = []
  const removed: string[] = []
  const changed: string[] = []
  const shrunk: string[] = []
  let work = 0
  for (const key of after.keys()) {
    work += 1
    if (work > WORK_A_TURN) {
      work = 0
      await nextTurn()
    }
    if (after.hasSame(key, before)) continue
    const [old, entry] = [before.get(key), after.get(key)]
    if (old === undefined || entry === undefined) {
      added.push(key)
      continue
    }
    changed.push(key)
    if (shrinks(old, entry)) shrunk.push(key)
    work += WORK_TO_READ
  }
  for (const key of before.keys()) if (!after.has(key)) removed.push(key)
  return { added, removed, changed, shrunk: [...removed, ...shrunk] }
}

/** A peer has to match every group: each of them must let in all that some group let in before. */
function shrinks(before: HostEntry, after: HostEntry): boolean {
  if (before.contained === true || letsAllIn(after)) return false
  if (after.contained === true || letsAllIn(before)) return true
  return groupsOf(after).some((group) => !groupsOf(before).some((old) => old.every((pin) => isKept(pin, group))))
}

/** What only reports refuses nobody, whatever its pins. */
const letsAllIn = ({ mode, contained }: HostEntry): boolean => mode === 'report' && contained !== true

/** Whether a pin of the group serves at least as long, and in as many positions. */
function isKept(pin: Pin, group: readonly Pin[]): boolean {
  return group.some(
    ({ spki, notBefore = 0, notAfter = FOREVER, require }) =>
      spki === pin.spki &&
      notBefore <= (pin.notBefore ?? 0) &&
      notAfter >= (pin.notAfter ?? FOREVER) &&
      (require === undefined || require === pin.require),
  )
}

function groupsOf({ pins, allOf }: HostEntry): readonly (readonly Pin[])[] {
  return allOf?.map((positions) => positions.flatMap((position) => pins[position] ?? [])) ?? [pins]
}

type Pin = HostEntry['pins'][number]
const FOREVER = Number.POSITIVE_INFINITY
const WORK_A_TURN = 5_000 // some 5 ms
const WORK_TO_READ = 20 // two entries, read from their text
