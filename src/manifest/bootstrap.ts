import type { FetchedBytes, Runtime } from '../ports/runtime.ts'
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
  const sourceOf = (path: string): string => `${mirror.name} ${path}`
  const ask = (path: string, document: Where['document'], maxBytes: number): Promise<FetchedBytes> =>
    fetchDocument(mirror, { path, where: { document }, maxBytes, signal }, runtime)
  const bytesOf = (answer: FetchedBytes, path: string, document: Where['document']): Uint8Array => {
    if (answer.status === 200) return answer.bytes
    throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, { document, source: sourceOf(path) }, runtime)
  }
  const get = async (path: string, document: Where['document'], maxBytes: number): Promise<Uint8Array> =>
    bytesOf(await ask(path, document, maxBytes), path, document)

  let root = anchor
  for (;;) {
    const path = `roots/${root.version + 1}.json`
    const answer = await ask(path, 'root', MAX_ROOT_BYTES)
    if (answer.status === 404) break
    root = await acceptRoot(bytesOf(answer, path, 'root'), root, now, sourceOf(path))
  }
  const bytes = await get(STATUS_PATH, 'status', MAX_STATUS_BYTES)
  const source = sourceOf(STATUS_PATH)
  const status = await verifyStatus(bytes, root, source)
  await acceptStatus(bytes, { root, now: status.payload.issuedAt, source })
  const pointer = status.payload.manifest
  const path = `manifests/${pointer.version}.${pointer.sha256}.json`
  const manifest = await acceptManifest(
    await get(path, 'manifest', Math.ceil((pointer.length * 4) / 3) + MAX_ENVELOPE_BYTES),
    pointer,
    {
      root,
      now,
      source: sourceOf(path),
      readBlob: async (reference) => {
        const blob = blobPath(reference)
        return checkBlob(await get(blob, 'blob', MAX_BLOB_BYTES), reference, {
          document: 'blob',
          source: sourceOf(blob),
        })
      },
    },
  )
  return { manifest, denies: addDenies([], status) }
}

const STATUS_PATH = 'status.json'
