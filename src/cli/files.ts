import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StoreError } from '../errors/errors.ts'

/** @throws StoreError `ERR_STORE_READ`. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new StoreError('ERR_STORE_READ', `${path}: cannot be read (${codeOf(cause)})`, { cause })
  }
}

/** `undefined` when there is no such file. */
export async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw new StoreError('ERR_STORE_READ', `${path}: cannot be read (${codeOf(cause)})`, { cause })
  }
}

export interface WriteOptions {
  /** Default 0644. */
  readonly mode?: number
  /** Default false: a file that is there stays, and the call rejects. */
  readonly replace?: boolean
}

/**
 * Writes a file that appears complete or not at all: filled and synced under another name, then linked or renamed.
 *
 * @throws StoreError `ERR_STORE_EXISTS` or `ERR_STORE_WRITE`.
 */
export async function writeWhole(path: string, bytes: Uint8Array | string, options: WriteOptions = {}): Promise<void> {
  const { mode = 0o644, replace = false } = options
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    if (replace) return await rename(temporary, path)
    await link(temporary, path) // unlike a rename, it fails where something stands
    await unlink(temporary)
  } catch (cause) {
    await unlink(temporary).catch(() => undefined)
    if (codeOf(cause) === 'EEXIST') throw existing(path)
    throw new StoreError('ERR_STORE_WRITE', `${path}: cannot be written (${codeOf(cause)})`, { cause })
  }
}

export async function makeDirectory(path: string, mode = 0o755): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode })
  } catch (cause) {
    throw new StoreError('ERR_STORE_WRITE', `${path}: cannot be made (${codeOf(cause)})`, { cause })
  }
}

export function existing(path: string): StoreError {
  return new StoreError('ERR_STORE_EXISTS', `${path}: already there, and not overwritten`)
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed'
}
