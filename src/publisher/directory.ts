import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Writes a repository below a directory in the order in which clients may see it: what a status names is there before the
 * status is. Each file appears whole. Immutable files that are there already are left as they are.
 *
 * @returns The paths written, in order.
 * @throws TypeError when an immutable file is there with other bytes: a version must never be published twice.
 */
export async function writeRepository(
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<readonly string[]> {
  const written: string[] = []
  for (const [path, bytes] of [...files].sort(([a], [b]) => rankOf(a) - rankOf(b))) {
    const target = join(directory, path)
    const held = await readIfPresent(target)
    if (held !== undefined && Buffer.compare(held, bytes) === 0) continue
    if (held !== undefined && path !== STATUS) throw new TypeError(`${path}: already published with other bytes`)
    await mkdir(dirname(target), { recursive: true })
    const temporary = `${target}.tmp-${process.pid}`
    await writeFile(temporary, bytes)
    await rename(temporary, target)
    written.push(path)
  }
  return written
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function rankOf(path: string): number {
  const rank = ORDER.findIndex((prefix) => path.startsWith(prefix))
  return rank < 0 ? ORDER.length : rank
}

const STATUS = 'status.json'
const ORDER = ['blobs/', 'manifests/', 'roots/', STATUS] // nothing is named before it can be fetched
