import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface FileLimits {
  readonly files: number
  readonly bytes: number
}

/**
 * Writes a file for this user alone, which appears complete or not at all, and then removes the oldest of its kind while there
 * are more than the limits allow. Other files of the directory are not touched.
 */
export async function keepFile(directory: string, name: string, text: string, limits: FileLimits): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const temporary = join(directory, `.${name}.new`)
  const file = await open(temporary, FLAGS, 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
    await file.close()
    await rename(temporary, join(directory, name))
  } catch (error) {
    await file.close().catch(() => undefined)
    await unlink(temporary).catch(() => undefined) // of a full disk it would hold the rest
    throw error
  }
  await removeOldest(directory, name, limits)
}

/** Their names begin with their times; where the clock was set back, the one that was just written may be the first of them. */
async function removeOldest(directory: string, written: string, { files, bytes }: FileLimits): Promise<void> {
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort()
  const sizes = await Promise.all(names.map((name) => sizeOf(join(directory, name))))
  const kept = names.flatMap((name, index) => (sizes[index] === undefined ? [] : [{ name, size: sizes[index] }]))
  let left = kept.length
  let sum = kept.reduce((total, { size }) => total + size, 0)
  for (const { name, size } of kept) {
    if (left <= files && sum <= bytes) return
    if (name === written) continue
    await unlessGone(unlink(join(directory, name)))
    left -= 1
    sum -= size
  }
}

const sizeOf = async (path: string): Promise<number | undefined> => (await unlessGone(stat(path)))?.size

/** Another process may have removed the same file. */
async function unlessGone<Value>(done: Promise<Value>): Promise<Value | undefined> {
  try {
    return await done
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** `20260101T000000.000Z-api.example.com_8443-9f86d081884c.json`. */
export function fileName(at: number, host: string, digest: string): string {
  const time = new Date(at).toISOString().replace(/[-:]/g, '')
  const place = host.replace(/[^a-z0-9.-]/gi, '_').slice(0, 100)
  return `${time}-${place}-${digest.slice(0, 12)}.json`
}

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
const NAME = /^\d{8}T\d{6}\.\d{3}Z-[A-Za-z0-9._-]{1,100}-[0-9a-f]{12}\.json$/
