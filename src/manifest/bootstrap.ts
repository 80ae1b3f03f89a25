import type { Runtime } from '../ports/runtime.ts'
import { type AcceptedManifest, acceptManifest, acceptStatus, verifyStatus } from './accept.ts'
import { addDenies, type StickyDeny } from './denies.ts'
import { badAnswer, fetchDocument } from './fetch-document.ts'
import { blobPath, checkBlob } from './hosts.ts'
import type { Where } from './refusal.ts'
import { acceptRoot, MAX_ROOT_BYTES, type TrustedRoot } from './root.ts'
import { MAX_BLOB_BYTES, MAX_ENVELOPE_BYTES, MAX_STATUS_BYTES } from './sizes.ts'
import type { Mirror } from './sources.ts'

/** What the application ships beside the root: it serves until the first manifest was ever accepted, or its own expiry. */
export interface Bootstrap {
  readonly manifest: AcceptedManifest
  readonly denies: readonly StickyDeny[]
}

/**
 * Reads a published repository that lies beside the application. Every rule of a refresh holds, but for one: the status is
 * judged as of when it was issued, since none is valid for as long as a release is in use. The manifest's own expiry counts.
 *
 * @throws ManifestError for the first document that is refused.
 */
export async function loadBootstrap(
  anchor: TrustedRoot,
  mirror: Mirror,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<Bootstrap> {
  const now = runtime.clock.now()
  const get = async (path: string, document: Where['document'], maxBytes: number) => {
    const where: Where = { document, source: `${mirror.name} ${path}` }
    const answer = await fetchDocument(mirror, { path, where: { document }, maxBytes, signal }, runtime)
    if (answer.status === 200) return answer.bytes
    if (document === 'root' && answer.status === 404) return undefined
    throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, where, runtime)
  }
  const needed = async (...asked: Parameters<typeof get>) => (await get(...asked)) ?? new Uint8Array()

  let root = anchor
  for (;;) {
    const path = `roots/${root.version + 1}.json`
    const bytes = await get(path, 'root', MAX_ROOT_BYTES)
    if (bytes === undefined) break
    root = await acceptRoot(bytes, root, now, `${mirror.name} ${path}`)
  }
  const bytes = await needed('status.json', 'status', MAX_STATUS_BYTES)
  const source = `${mirror.name} status.json`
  const { issuedAt } = (await verifyStatus(bytes, root, source)).payload
  const verdict = await acceptStatus(bytes, { root, now: issuedAt, source })
  if (verdict.kind === 'unchanged') throw new TypeError('a first status cannot be unchanged')
  const { status } = verdict
  const pointer = status.payload.manifest
  const path = `manifests/${pointer.version}.${pointer.sha256}.json`
  const manifest = await acceptManifest(
    await needed(path, 'manifest', Math.ceil((pointer.length * 4) / 3) + MAX_ENVELOPE_BYTES),
    pointer,
    {
      root,
      now,
      source: `${mirror.name} ${path}`,
      readBlob: async (reference) => {
        const blob = blobPath(reference)
        const where: Where = { document: 'blob', source: `${mirror.name} ${blob}` }
        return checkBlob(await needed(blob, 'blob', MAX_BLOB_BYTES), reference, where)
      },
    },
  )
  return { manifest, denies: addDenies([], status) }
}
