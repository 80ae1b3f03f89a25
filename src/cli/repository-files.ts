import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type AcceptedManifest, type AcceptedStatus, acceptManifest, verifyStatus } from '../manifest/accept.ts'
import { acceptRoot, parseAnchor, type TrustedRoot, verifyAnchor } from '../manifest/root.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { readBytes, readIfPresent } from './files.ts'

/** A published repository as its directory holds it, verified from its root on: a publisher goes on from nothing else. */
export interface PublishedRepository {
  readonly root: TrustedRoot
  readonly status?: AcceptedStatus
  readonly manifest?: AcceptedManifest
  /** Of any manifest that ever lay here, named by a status or not. */
  readonly highestManifest: number
}

/** @throws ManifestError when something does not verify, StoreError when it cannot be read. Expired is fine here. */
export async function readRepository(directory: string, now: UnixMs): Promise<PublishedRepository> {
  const root = await newestRoot(directory, now)
  const highestManifest = await highestVersion(join(directory, 'manifests'))
  const bytes = await readIfPresent(join(directory, 'status.json'))
  if (bytes === undefined) return { root, highestManifest }
  const status = await verifyStatus(bytes, root, 'status.json')
  const pointer = status.payload.manifest
  const path = manifestPath(pointer)
  const manifest = await acceptManifest(await readBytes(join(directory, path)), pointer, { root, source: path })
  return { root, status, manifest, highestManifest }
}

export function manifestPath({ version, sha256 }: { readonly version: number; readonly sha256: string }): string {
  return `manifests/${version}.${sha256}.json`
}

async function newestRoot(directory: string, now: UnixMs): Promise<TrustedRoot> {
  let root = await verifyAnchor(parseAnchor(await readBytes(join(directory, 'root.json')), {}, 'root.json'))
  for (;;) {
    const path = `roots/${root.version + 1}.json`
    const bytes = await readIfPresent(join(directory, path))
    if (bytes === undefined) return root
    root = await acceptRoot(bytes, root, now, path)
  }
}

async function highestVersion(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => [])
  return Math.max(0, ...names.map((name) => Number(/^(\d+)\.[0-9a-f]{64}\.json$/.exec(name)?.[1] ?? 0)))
}
