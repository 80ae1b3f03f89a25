import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { parseHostPattern } from '../encoding/host-pattern.ts'
import { type AcceptedManifest, type AcceptedStatus, acceptManifest, acceptStatus } from '../manifest/accept.ts'
import { readNoBlob } from '../manifest/hosts.ts'
import { parseEnvelope } from '../manifest/verify.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { contentOf, type DenyInput, type ManifestContent } from '../publisher/content.ts'
import { manifestPayload, type StatusInput, statusPayload } from '../publisher/documents.ts'
import { denyKey } from '../publisher/seen.ts'
import { signDocument } from '../publisher/sign.ts'
import type { Signer } from '../publisher/signer.ts'
import { PROFILES } from './profile.ts'
import type { PublishedRepository } from './repository-files.ts'
import { contentOfList, type WorkingList } from './working-list.ts'

/** The bytes that the next manifest’s signers sign. */
export function nextManifestPayload(
  { root, manifest }: PublishedRepository,
  list: WorkingList,
  now: UnixMs,
): Uint8Array {
  const { repo, env, roles } = root.payload
  const { manifestTtlMs, staleGrace } = PROFILES[list.profile]
  const { epoch } = roles.manifest
  const version = (manifest?.version ?? 0) + 1
  const times = { issuedAt: now, expires: now + manifestTtlMs }
  return manifestPayload({ repo, env, version, ...times, epoch, staleGrace, ...contentOfList(list) })
}

/** What the client says to a signed manifest. */
export function judgeManifest(
  document: Uint8Array,
  { root }: PublishedRepository,
  now: UnixMs,
): Promise<AcceptedManifest> {
  const { payload } = parseEnvelope(document, { document: 'manifest' })
  const { version } = JSON.parse(Buffer.from(payload).toString('utf8')) as { version: number }
  const pointer = { version, length: payload.length, sha256: createHash('sha256').update(payload).digest('hex') }
  return acceptManifest(document, pointer, { root, now, readBlob: readNoBlob })
}

/** A status under the next version that names the manifest, judged as the client does. */
export async function nextStatus(
  { root, status: before }: PublishedRepository,
  manifest: AcceptedManifest,
  { list, pollSeconds }: { readonly list: WorkingList; readonly pollSeconds?: number | undefined },
  signers: readonly Signer[],
  now: UnixMs,
): Promise<AcceptedStatus> {
  const { repo, env, roles } = root.payload
  const { payload: manifestBytes, sha256 } = parseEnvelope(manifest.bytes, { document: 'manifest' })
  const { poll = DEFAULT_POLL } = lastingMembers(before)
  const deny = nextDenies(before, manifest, list)
  const payload = statusPayload({
    repo,
    env,
    version: (before?.version ?? 0) + 1,
    issuedAt: now,
    expires: now + PROFILES[list.profile].statusTtlMs,
    epoch: roles.status.epoch,
    root: { version: root.version },
    manifest: { version: manifest.version, length: manifestBytes.length, sha256 },
    ...(deny.length === 0 ? {} : { deny }),
    poll: pollSeconds === undefined ? poll : { ...poll, interval: pollSeconds },
  })
  const verdict = await acceptStatus(await signDocument(payload, 'status', signers), {
    root,
    trusted: before?.epoch === roles.status.epoch ? before : undefined,
    now,
  })
  if (verdict.kind === 'accepted') return verdict.status
  throw new TypeError('a new status version that is the old one')
}

/** Denies stay until a manifest takes them back or over: a heartbeat must not lift one. */
export function nextDenies(
  before: AcceptedStatus | undefined,
  manifest: Pick<AcceptedManifest, 'payload'> | undefined,
  list: WorkingList,
): readonly DenyInput[] {
  const ended = new Set([
    ...(manifest?.payload.undeny ?? []),
    ...(manifest?.payload.revocations?.spki ?? []).flatMap(({ sha256, hosts }) =>
      hosts === undefined ? [sha256] : [],
    ),
  ])
  const held = lastingMembers(before).deny ?? []
  const all = [...held.filter(({ spki }) => !ended.has(spki)), ...(list.deny ?? [])]
  return [...new Map(all.map((deny) => [denyKey({ spki: deny.spki, hosts: patternsOf(deny) }), deny])).values()]
}

/** Denies and the poll hint as they were signed. */
export function lastingMembers(status: AcceptedStatus | undefined): Partial<Pick<StatusInput, 'deny' | 'poll'>> {
  if (status === undefined) return {}
  const { payload } = parseEnvelope(status.bytes, { document: 'status' })
  return JSON.parse(Buffer.from(payload).toString('utf8')) as Pick<StatusInput, 'deny' | 'poll'>
}

/** As it was signed, for what was parsed carries instants. */
export function contentIn(manifest: AcceptedManifest | undefined): ManifestContent | undefined {
  if (manifest === undefined) return undefined
  return contentOf(parseEnvelope(manifest.bytes, { document: 'manifest' }).payload)
}

/** Whether the manifest that lies here says what the list says. */
export function isInForce({ manifest, isManifestOutdated }: PublishedRepository, list: WorkingList): boolean {
  return !isManifestOutdated && isDeepStrictEqual(contentIn(manifest), contentOfList(list))
}

const patternsOf = ({ hosts = [] }: DenyInput) => hosts.flatMap((text) => parseHostPattern(text) ?? [])

const DEFAULT_POLL = { interval: 300, spread: 0.25 }
