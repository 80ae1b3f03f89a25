import { ManifestError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { type CheckedBlob, checkBlob } from './hosts.ts'
import { payloadText } from './payload-text.ts'
import type { BlobReference } from './schema.ts'

/** Files of the cache, best effort: what cannot be read is absent. */
export interface CacheFiles {
  readonly get: (name: string) => Promise<Uint8Array | undefined>
  readonly put: (name: string, bytes: Uint8Array) => Promise<void>
  readonly list: (prefix: string) => Promise<readonly string[]>
  readonly remove: (name: string) => Promise<void>
  /** Told when a file holds something else than its name says. */
  readonly corrupt: (name: string, error: unknown) => void
}

export interface BlobCache {
  readonly load: (reference: BlobReference) => Promise<CheckedBlob | undefined>
  readonly save: (reference: BlobReference, bytes: Uint8Array) => Promise<void>
  /** Deletes blobs that no manifest of these names any more. */
  readonly prune: (manifests: readonly string[]) => Promise<void>
}

/** Blobs by their hash, so that a new manifest fetches only what it changed, and a restart without network has them all. */
export function createBlobCache(base: string, files: CacheFiles, { clock }: Runtime): BlobCache {
  const prefix = `${base}blobs/`
  const nameOf = ({ sha256 }: BlobReference): string => `${prefix}${sha256}.json`
  const hashesIn = new Map<string, ReadonlySet<string>>()
  let unneededSince: ReadonlyMap<string, number> = new Map()

  const hashesOf = async (manifest: string): Promise<ReadonlySet<string>> => {
    const known = hashesIn.get(manifest)
    if (known !== undefined) return known
    const held = await files.get(manifest)
    const hashes = new Set(payloadText(held).match(/\b[0-9a-f]{64}\b/g))
    if (held !== undefined) hashesIn.set(manifest, hashes) // or it could not be read for once
    return hashes
  }

  return {
    load: async (reference) => {
      const name = nameOf(reference)
      const bytes = await files.get(name)
      if (bytes === undefined) return undefined
      try {
        return checkBlob(bytes, reference, { document: 'blob', source: name })
      } catch (error) {
        if (!(error instanceof ManifestError)) throw error
        files.corrupt(name, error)
        return undefined
      }
    },
    save: (reference, bytes) => files.put(nameOf(reference), bytes),
    prune: async (manifests) => {
      for (const name of hashesIn.keys()) if (!manifests.includes(name)) hashesIn.delete(name)
      const held = await files.list(prefix)
      if (held.length === 0) return
      const needed = new Set((await Promise.all(manifests.map(hashesOf))).flatMap((hashes) => [...hashes]))
      const unneeded = held.filter((name) => !needed.has(name.slice(prefix.length, -'.json'.length)))
      const now = clock.monotonic()
      unneededSince = new Map(unneeded.map((name) => [name, unneededSince.get(name) ?? now]))
      for (const [name, since] of unneededSince) if (now - since >= GRACE_MS) await files.remove(name)
    },
  }
}

const GRACE_MS = 10 * 60_000 // what nobody names yet may belong to a refresh under way in another process
