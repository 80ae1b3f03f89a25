import type { AcceptedManifest, AcceptedStatus } from '../../src/manifest/accept.ts'
import { HostTable } from '../../src/manifest/host-table.ts'
import type { Knowledge } from '../../src/manifest/knowledge.ts'
import type { TrustedRoot } from '../../src/manifest/root.ts'
import { HostEntry } from '../../src/manifest/schema.ts'
import { toUnixMs, type UnixMs } from '../../src/ports/runtime.ts'
import type { HostInput } from '../../src/publisher/wire.ts'
import { DAY } from './world.ts'

/*
 * Documents as if every rule had let them pass: what is known and in force follows from a few of their members, and from no
 * signature.
 */

type Members = Readonly<Record<string, unknown>>

/** Days after the first documents were issued. */
export const day = (days: number): UnixMs => toUnixMs(Date.UTC(2026, 0, 1) + days * DAY)

const NAMES = { repo: 'acme/pins', env: 'prod', issuedAt: day(0) }

export function rootOf(version = 1, epochs: { manifest?: number; status?: number } = {}, members: Members = {}) {
  const roles = { manifest: { epoch: epochs.manifest ?? 1 }, status: { epoch: epochs.status ?? 1 } }
  return { version, payload: { ...NAMES, version, expires: day(400), roles, ...members } } as unknown as TrustedRoot
}

/** Valid for seven days; `members.manifest` is the version that it names. */
export function statusOf(version = 1, { manifest = 1, ...members }: Members = {}, manifestEpoch = 1) {
  const payload = { ...NAMES, version, expires: day(7), manifest: { version: manifest }, ...members }
  return { version, manifestEpoch, payload } as unknown as AcceptedStatus
}

/** Valid for ninety days, and for seven more than its status. */
export function manifestOf(version = 1, members: Members = {}, hosts: readonly HostInput[] = [], epoch = 1) {
  const table = new HostTable()
  for (const host of hosts) table.add(HostEntry.parse(host))
  const payload = { ...NAMES, version, expires: day(90), staleGrace: (7 * DAY) / 1_000, ...members }
  const facts = { version, epoch, sha256: `sha256 of ${version}`, rootVersion: 1, hosts: table.seal(), payload }
  return facts as unknown as AcceptedManifest
}

export const knowing = (more: Partial<Knowledge> = {}): Knowledge => ({
  root: rootOf(),
  denies: [],
  everAccepted: false,
  ...more,
})
