import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StoreError } from '../errors/errors.ts'

/**
 * Writes a repository below a directory in the order in which clients may see it: what a status names is there before the
 * status is. Each file appears whole. Immutable files that are there already are left as they are.
 *
 * @returns The paths written, in order.
 * @throws StoreError `ERR_STORE_EXISTS` when an immutable file is there with other bytes, for a version must never be
 *   published twice; `ERR_STORE_WRITE`.
 */
export async function writeRepository(
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<readonly string[]> {
  const written: string[] = []
  for (const [path, bytes] of inPublishOrder(files)) {
    const target = join(directory, path)
    try {
      const held = await readIfPresent(target)
      if (held !== undefined && Buffer.compare(held, bytes) === 0) continue
      if (held !== undefined && path !== STATUS) {
        throw new StoreError('ERR_STORE_EXISTS', `${target}: already published with other bytes`)
      }
      await mkdir(dirname(target), { recursive: true })
      const temporary = `${target}.tmp-${process.pid}`
      await writeFile(temporary, bytes)
      await rename(temporary, target)
    } catch (cause) {
      if (cause instanceof StoreError || !isSystemError(cause)) throw cause
      throw new StoreError('ERR_STORE_WRITE', `${target}: cannot be written (${cause.code})`, { cause })
    }
    written.push(path)
  }
  return written
}

/** Blobs, manifests, roots, and the status last: nothing is named before it can be fetched. */
export function inPublishOrder(
  files: ReadonlyMap<string, Uint8Array>,
): readonly (readonly [path: string, bytes: Uint8Array])[] {
  return [...files].sort(([a], [b]) => rankOf(a) - rankOf(b))
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw error
  }
}

function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
}

function rankOf(path: string): number {
  const rank = ORDER.findIndex((prefix) => path.startsWith(prefix))
  return rank < 0 ? ORDER.length : rank
}

const STATUS = 'status.json'
const ORDER = ['blobs/', 'manifests/', 'roots/', STATUS]
