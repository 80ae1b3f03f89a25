import { ManifestError } from '../errors/errors.ts'
import { type AcceptedManifest, type AcceptedStatus, acceptManifest, acceptStatus } from '../manifest/accept.ts'
import { badAnswer, fetchDocument } from '../manifest/fetch-document.ts'
import { blobPath, checkBlob, type ReadBlob } from '../manifest/hosts.ts'
import { refusal, type Where } from '../manifest/refusal.ts'
import { acceptRoot, MAX_ROOT_BYTES, parseAnchor, type TrustedRoot, verifyAnchor } from '../manifest/root.ts'
import type { ManifestPointer } from '../manifest/schema.ts'
import { MAX_BLOB_BYTES, MAX_ENVELOPE_BYTES, MAX_STATUS_BYTES } from '../manifest/sizes.ts'
import type { Mirror } from '../manifest/sources.ts'
import type { Runtime } from '../ports/runtime.ts'
import { manifestPath } from './repository-files.ts'

export interface Walk {
  /** From the anchor to the newest. */
  readonly roots: readonly [TrustedRoot, ...TrustedRoot[]]
  readonly root: TrustedRoot
  readonly status: AcceptedStatus
  readonly manifest: AcceptedManifest
  readonly canary?: AcceptedManifest
  readonly warnings: readonly string[]
}

/**
 * Every document that a client without a cache would ask for, judged as it would judge them.
 *
 * @throws ManifestError for the first that it would refuse.
 */
export async function walkRepository(
  mirror: Mirror,
  anchor: Uint8Array,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<Walk> {
  const now = runtime.clock.now()
  const get = async (path: string, where: Where, maxBytes: number) =>
    fetchDocument(mirror, { path, where, maxBytes, signal }, runtime)

  const warnings: string[] = []
  let root = await verifyAnchor(parseAnchor(anchor, {}))
  const roots: [TrustedRoot, ...TrustedRoot[]] = [root]
  for (;;) {
    const path = `roots/${root.version + 1}.json`
    const where: Where = { document: 'root', version: root.version + 1, source: `${mirror.name} ${path}` }
    const answer = await get(path, where, MAX_ROOT_BYTES)
    if (ABSENT.has(answer.status)) break
    if (answer.status !== 200) throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, where, runtime)
    const next = await acceptRoot(answer.bytes, root, now, where.source).catch((error: unknown) => {
      if (!isNoDocument(error)) throw error
      warnings.push(`${path} does not exist, and is answered with something that is no document: let it be 404`)
      return undefined
    })
    if (next === undefined) break
    root = next
    roots.push(root)
  }

  const place: Where = { document: 'status', source: `${mirror.name} status.json` }
  const answer = await get('status.json', place, MAX_STATUS_BYTES)
  if (answer.status !== 200) throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, place, runtime)
  const verdict = await acceptStatus(answer.bytes, { root, now, source: place.source })
  if (verdict.kind === 'unchanged') throw new TypeError('a first status cannot be unchanged')
  const { status } = verdict
  const hint = status.payload.root.version
  if (hint > root.version) {
    warnings.push(
      refusal('ERR_MANIFEST_ROOT_UNAVAILABLE', { document: 'root', version: hint }, 'named by the status, not served')
        .message,
    )
  }

  const readBlob: ReadBlob = async (reference) => {
    const path = blobPath(reference)
    const where: Where = { document: 'blob', source: `${mirror.name} ${path}` }
    const found = await get(path, where, MAX_BLOB_BYTES)
    if (found.status !== 200) throw badAnswer('ERR_MANIFEST_BLOB_UNAVAILABLE', found, where, runtime)
    return checkBlob(found.bytes, reference, where)
  }
  const manifestAt = async (pointer: ManifestPointer): Promise<AcceptedManifest> => {
    const path = manifestPath(pointer)
    const where: Where = { document: 'manifest', version: pointer.version, source: `${mirror.name} ${path}` }
    const found = await get(path, where, Math.ceil((pointer.length * 4) / 3) + MAX_ENVELOPE_BYTES)
    if (found.status !== 200) throw badAnswer('ERR_MANIFEST_UNAVAILABLE', found, where, runtime)
    return acceptManifest(found.bytes, pointer, { root, now, source: where.source, readBlob })
  }
  const manifest = await manifestAt(status.payload.manifest)
  const { canary } = status.payload
  return {
    roots,
    root,
    status,
    manifest,
    warnings,
    ...(canary === undefined ? {} : { canary: await manifestAt(canary.manifest) }),
  }
}

/** A single-page site answers every path with its start page. */
function isNoDocument(error: unknown): boolean {
  return (
    error instanceof ManifestError &&
    (error.code === 'ERR_MANIFEST_ENVELOPE_JSON' || error.code === 'ERR_MANIFEST_ENVELOPE_UTF8')
  )
}

const ABSENT: ReadonlySet<number> = new Set([403, 404, 410])
