import type { HostTable } from '../manifest/host-table.ts'
import { readHosts, readNoBlob } from '../manifest/hosts.ts'
import { readManifest } from '../manifest/payload.ts'
import type { ManifestPayload } from '../manifest/schema.ts'
import { manifestPayload } from './documents.ts'
import type { ManifestMembers, StatusMembers } from './wire.ts'

/** What a manifest says, apart from its version, times and epoch. */
export type ManifestContent = Pick<
  ManifestMembers,
  'hosts' | 'revocations' | 'undeny' | 'anchorSets' | 'ct' | 'interception'
>

export type DenyInput = NonNullable<StatusMembers['deny']>[number]

/** Content as a client understands it. */
export interface ReadContent {
  readonly hosts: HostTable
  readonly payload: Pick<ManifestPayload, 'revocations' | 'undeny' | 'ct'>
}

/**
 * Reads content with the client's own eyes, before anybody signs it.
 *
 * @throws ManifestError for what every client would refuse.
 */
export async function readContent(content: ManifestContent): Promise<ReadContent> {
  const bytes = manifestPayload({ ...DRAFT, hosts: [], ...content })
  const payload = readManifest(bytes, {})
  return { payload, hosts: await readHosts(payload, { document: 'manifest' }, readNoBlob) }
}

/** The members of a signed payload's text that are content, as they were written. */
export function contentOf(payload: Uint8Array): ManifestContent {
  const json = JSON.parse(Buffer.from(payload).toString('utf8')) as ManifestContent
  return Object.fromEntries(MEMBERS.flatMap((name) => (json[name] === undefined ? [] : [[name, json[name]]])))
}

const MEMBERS = ['hosts', 'revocations', 'undeny', 'anchorSets', 'ct', 'interception'] as const
const DRAFT = { repo: 'draft', env: 'draft', version: 1, issuedAt: 0, expires: 1_000, epoch: 1, staleGrace: 0 } as const
