import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ManifestError } from '../errors/errors.ts'
import { type AcceptedManifest, type AcceptedStatus, acceptManifest, verifyStatus } from '../manifest/accept.ts'
import { blobPath, checkBlob, type ReadBlob } from '../manifest/hosts.ts'
import { acceptRoot, parseAnchor, type TrustedRoot, verifyAnchor } from '../manifest/root.ts'
import type { ManifestPointer } from '../manifest/schema.ts'
import { parseEnvelope } from '../manifest/verify.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { readBytes, readIfPresent } from './files.ts'
import { UsageError } from './outcome.ts'
import { shownPath } from './text.ts'

/** A published repository as its directory holds it, verified from its root on: a publisher goes on from nothing else. */
export interface PublishedRepository {
  readonly root: TrustedRoot
  readonly status?: AcceptedStatus
  /** The newest that lies here; a status may name an older one until the next is signed. */
  readonly manifest?: AcceptedManifest
  /** The newest root no longer stands behind it, by its keys or its epoch: it has to be signed again. */
  readonly isManifestOutdated: boolean
}

/** @throws ManifestError when something does not verify, StoreError when it cannot be read. Expired is fine here. */
export async function readRepository(directory: string, now: UnixMs): Promise<PublishedRepository> {
  const roots = await readRoots(directory, now)
  const [root] = roots
  const statusBytes = await readIfPresent(join(directory, 'status.json'))
  const status =
    statusBytes === undefined
      ? undefined
      : await underNewest(roots, (one) => verifyStatus(statusBytes, one, 'status.json'))
  const pointer = await newestPointer(directory, status?.value)
  if (pointer === undefined) {
    return { root, isManifestOutdated: false, ...(status === undefined ? {} : { status: status.value }) }
  }
  const path = manifestPath(pointer)
  const bytes = await readBytes(join(directory, path))
  const manifest = await underNewest(roots, (one) =>
    acceptManifest(bytes, pointer, { root: one, source: path, readBlob: blobsIn(directory) }),
  )
  return {
    root,
    manifest: manifest.value,
    isManifestOutdated: manifest.root !== root,
    ...(status === undefined ? {} : { status: status.value }),
  }
}

export function manifestPath({ version, sha256 }: { readonly version: number; readonly sha256: string }): string {
  return `manifests/${version}.${sha256}.json`
}

/** Newest first; the last is the one that applications ship. */
async function readRoots(directory: string, now: UnixMs): Promise<readonly [TrustedRoot, ...TrustedRoot[]]> {
  const path = join(directory, 'root.json')
  const anchor = await readIfPresent(path)
  if (anchor === undefined) {
    const hint = `Name the folder that init made (--dir), or make one: pinfetch init ${shownPath(directory)}`
    throw new UsageError(`${path}: not there, so this is no repository`, hint)
  }
  let roots: [TrustedRoot, ...TrustedRoot[]] = [await verifyAnchor(parseAnchor(anchor, {}, path))]
  for (;;) {
    const name = `roots/${roots[0].version + 1}.json`
    const bytes = await readIfPresent(join(directory, name))
    if (bytes === undefined) return roots
    roots = [await acceptRoot(bytes, roots[0], now, name), ...roots]
  }
}

/**
 * After a rotation, what lies here was signed under the root before. It is what a publisher goes on from all the same.
 *
 * @throws what the newest root says, when no root stands behind it.
 */
async function underNewest<T>(
  roots: readonly [TrustedRoot, ...TrustedRoot[]],
  verify: (root: TrustedRoot) => Promise<T>,
): Promise<{ readonly value: T; readonly root: TrustedRoot }> {
  let first: unknown
  for (const root of roots) {
    try {
      return { value: await verify(root), root }
    } catch (error) {
      first ??= error
      if (!(error instanceof ManifestError) || !OF_ANOTHER_ROOT.has(error.code)) throw first
    }
  }
  throw first
}

async function newestPointer(
  directory: string,
  status: AcceptedStatus | undefined,
): Promise<ManifestPointer | undefined> {
  const named = status?.payload.manifest
  const names = await readdir(join(directory, 'manifests')).catch(() => [])
  const [newest] = names
    .flatMap((name) => {
      const [, version, sha256 = ''] = /^([1-9]\d{0,15})\.([0-9a-f]{64})\.json$/.exec(name) ?? []
      return version === undefined ? [] : [{ version: Number(version), sha256 }]
    })
    .sort((a, b) => b.version - a.version)
  if (newest === undefined || (named !== undefined && named.version >= newest.version)) return named
  const bytes = await readBytes(join(directory, manifestPath(newest)))
  const { payload } = parseEnvelope(bytes, { document: 'manifest', source: manifestPath(newest) })
  return { ...newest, length: payload.length }
}

function blobsIn(directory: string): ReadBlob {
  return async (reference) => {
    const blob = blobPath(reference)
    return checkBlob(await readBytes(join(directory, blob)), reference, { document: 'blob', source: blob })
  }
}

const OF_ANOTHER_ROOT: ReadonlySet<string> = new Set(['ERR_MANIFEST_SIG_THRESHOLD', 'ERR_MANIFEST_EPOCH'])
