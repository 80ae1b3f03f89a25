import { isDeepStrictEqual } from 'node:util'
import type { ManifestContent } from './content.ts'
import { type CtDiff, diffCt } from './log-list-diff.ts'
import type { HostInput } from './wire.ts'

export interface ContentDiff {
  readonly added: readonly HostInput[]
  readonly removed: readonly HostInput[]
  readonly changed: readonly HostDiff[]
  /** Members beside the hosts that differ: `revocations`, `undeny`, `anchorSets` and so on. */
  readonly members: readonly string[]
  /** What it is that differs, where `ct` is one of them. */
  readonly ct: CtDiff | undefined
}

export interface HostDiff {
  readonly host: string
  readonly pinsAdded: readonly string[]
  readonly pinsRemoved: readonly string[]
  /** Other members of the entry that differ, and `pins` where only a pin's window, position or label does. */
  readonly members: readonly string[]
}

/** What a client sees change when it moves from one manifest to the other. */
export function diffContent(before: ManifestContent, after: ManifestContent): ContentDiff {
  const [from, to] = [byName(before), byName(after)]
  return {
    added: [...to].flatMap(([name, entry]) => (from.has(name) ? [] : [entry])),
    removed: [...from].flatMap(([name, entry]) => (to.has(name) ? [] : [entry])),
    changed: [...to].flatMap(([name, entry]) => {
      const old = from.get(name)
      return old === undefined || isDeepStrictEqual(old, entry) ? [] : [hostDiff(name, old, entry)]
    }),
    members: differing(before, after, 'hosts'),
    ct: diffCt(before.ct, after.ct),
  }
}

/** `api.example.com`, or with the port where the entry names one. */
export const entryName = ({ host, port }: Pick<HostInput, 'host' | 'port'>): string =>
  port === undefined ? host : `${host}:${port}`

function hostDiff(host: string, before: HostInput, after: HostInput): HostDiff {
  const [from, to] = [before, after].map(({ pins }) => new Set(pins.map(({ spki }) => spki)))
  const pinsAdded = [...(to ?? [])].filter((spki) => from?.has(spki) !== true)
  const pinsRemoved = [...(from ?? [])].filter((spki) => to?.has(spki) !== true)
  const samePins = pinsAdded.length + pinsRemoved.length === 0
  const members = differing(before, after, samePins ? undefined : 'pins')
  return { host, pinsAdded, pinsRemoved, members }
}

function differing(before: object, after: object, except?: string): readonly string[] {
  const [from, to] = [new Map(Object.entries(before)), new Map(Object.entries(after))]
  const names = new Set([...from.keys(), ...to.keys()])
  return [...names].filter((name) => name !== except && !isDeepStrictEqual(from.get(name), to.get(name))).sort()
}

const byName = ({ hosts = [] }: ManifestContent): ReadonlyMap<string, HostInput> =>
  new Map(hosts.map((entry) => [entryName(entry), entry]))
