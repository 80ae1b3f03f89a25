import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { constants, link, lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StoreError } from '../errors/errors.ts'
import { isStoreName, type Store } from './store.ts'

/**
 * Files below a directory that only this user may read. A file appears complete or not at all: written under another name
 * in the same directory, synced, then linked to its name, which fails when the name is taken. Nothing is locked, so a
 * process that dies leaves at most a temporary file, which a later one removes; several processes may share the directory.
 */
export function fileStore(directory: string): Store {
  const pathOf = (name: string): string => {
    if (isStoreName(name)) return join(directory, name)
    throw new StoreError('ERR_STORE_NAME', `${JSON.stringify(name.slice(0, 80))}: not a name to store under`)
  }
  const swept = new Set<string>() // once a directory and process
  return {
    get: async (name) => {
      const path = pathOf(name)
      return attempt('ERR_STORE_READ', name, () => read(path, name))
    },
    put: async (name, bytes) => {
      const path = pathOf(name)
      return attempt('ERR_STORE_WRITE', name, () => write(path, bytes, swept))
    },
    list: async (prefix) => {
      const path = pathOf(prefix.replace(/\/$/, ''))
      const entries = await attempt('ERR_STORE_READ', prefix, () => ifPresent(readdir(path, { withFileTypes: true })))
      return (entries ?? [])
        .filter((entry) => entry.isFile() && isStoreName(entry.name))
        .map(({ name }) => `${prefix}${name}`)
    },
    delete: async (name) => {
      const path = pathOf(name)
      await attempt('ERR_STORE_WRITE', name, () => ifPresent(unlink(path)))
    },
    inspect: async () => {
      const entry = await attempt('ERR_STORE_READ', directory, () => ifPresent(stat(directory)))
      if (entry === undefined || process.platform === 'win32' || (entry.mode & 0o022) === 0) return
      const mode = (entry.mode & 0o777).toString(8)
      throw new StoreError('ERR_STORE_EXPOSED', `${directory}: mode ${mode} lets other users write here`)
    },
  }
}

async function read(path: string, name: string): Promise<Uint8Array | undefined> {
  const entry = await ifPresent(lstat(path))
  if (entry === undefined) return undefined
  if (!entry.isFile()) throw new StoreError('ERR_STORE_SYMLINK', `${name}: not a regular file`)
  const file = await ifPresent(open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)))
  if (file === undefined) return undefined
  try {
    return new Uint8Array(await file.readFile())
  } finally {
    await file.close()
  }
}

async function write(path: string, bytes: Uint8Array, swept: Set<string>): Promise<'written' | 'exists'> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const temporary = join(directory, `.tmp-${process.pid}-${randomBytes(6).toString('hex')}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    const { mtimeMs } = await fill(file, bytes)
    if (!swept.has(directory)) await sweep(directory, mtimeMs)
    swept.add(directory)
    return await claim(temporary, path)
  } finally {
    await ifPresent(unlink(temporary))
  }
}

async function fill(file: FileHandle, bytes: Uint8Array): Promise<Stats> {
  try {
    await file.writeFile(bytes)
    await file.sync()
    return await file.stat()
  } finally {
    await file.close()
  }
}

/** Removes what killed writers left. The file system's clock is the judge: a wrong one here must not undo a write under way. */
async function sweep(directory: string, now: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    if (!TEMPORARY.test(name)) continue
    const entry = await ifPresent(lstat(path))
    if (entry?.isFile() && now - entry.mtimeMs > LEFT_BEHIND_MS) await unlink(path).catch(() => undefined) // another’s: no matter
  }
}

/** A link fails when the name is taken, a symbolic link included; a rename would replace it. */
async function claim(temporary: string, path: string): Promise<'written' | 'exists'> {
  try {
    await link(temporary, path)
    return 'written'
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return 'exists'
    if (!NO_LINKS.has(code)) throw error
  }
  if ((await ifPresent(lstat(path))) !== undefined) return 'exists'
  await rename(temporary, path)
  return 'written'
}

async function attempt<T>(code: 'ERR_STORE_READ' | 'ERR_STORE_WRITE', name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw new StoreError(code, `${name}: ${codeOf(error) || 'failed'}`, { cause: error })
  }
}

async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

const TEMPORARY = /^\.tmp-\d+-[0-9a-f]{12}$/
const LEFT_BEHIND_MS = 3_600_000 // no write takes that long
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']) // FAT, some network shares
