import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rename } from 'node:fs/promises'
import * as z from 'zod'
import { parseOptions } from '../../encoding/options.ts'
import { type Outlet, Undeliverable } from './delivery.ts'
import { Format, type RecordFormat, writerOf, written } from './format.ts'
import { carry, type OutletOptions, OutletShape, type Watched, whole } from './outlet.ts'
import type { ToldEvent } from './record.ts'

/** A file of records, one a line. */
export interface FileOutletOptions extends OutletOptions {
  readonly path: string
  /** Default `ocsf`. */
  readonly format?: RecordFormat
  /** A file that would grow past it is renamed to `path.1`, in place of the one before. Default: it grows. */
  readonly maxBytes?: number
}

/**
 * A line a record at the end of a file, which only this user may read. A file that was renamed or removed under it, as logrotate
 * does, is made anew. A symbolic link is refused: whoever may place one would choose what is written to.
 *
 * @throws ConfigurationError
 *
 * @example
 * const outlet = toFile(client, { path: '/var/log/pinfetch.ndjson', format: 'ocsf' })
 */
export function toFile(client: Watched, options: FileOutletOptions): Outlet {
  const { path, format = 'ocsf', maxBytes, ...rest } = parseOptions('toFile', Options, options)
  const write = writerOf(format)
  const file = appender(path, maxBytes ?? Number.POSITIVE_INFINITY)
  return carry<ToldEvent, Unwritten>(client, rest, {
    name: `file ${path}`,
    select: whole,
    gathers: true,
    batchSize: 200,
    prepare: async (told) => {
      const lines = await written(write, told)
      return lines && { bytes: Buffer.from(`${lines.join('\n')}\n`), done: 0 }
    },
    deliver: (batch) => file.append(batch),
    dispose: file.close,
  })
}

/** A full disk may take a part of it: the rest follows once there is room, and no line is broken. */
interface Unwritten {
  readonly bytes: Buffer
  done: number
}

function appender(path: string, maxBytes: number) {
  let held: FileHandle | undefined
  let underway: Promise<void> | undefined

  const close = async (): Promise<void> => {
    await underway?.catch(() => undefined)
    const open = held
    held = undefined
    await open?.close()
  }
  /** The file that stands under the name now. */
  const current = async (more: number): Promise<FileHandle> => {
    if (held !== undefined) {
      const [ours, named] = await Promise.all([held.stat(), ifPresent(lstat(path))])
      if (named === undefined || named.ino !== ours.ino || named.dev !== ours.dev) await reopen()
    }
    held ??= await opened(path)
    const { size } = await held.stat()
    if (size > 0 && size + more > maxBytes) {
      await rename(path, `${path}.1`)
      await reopen()
    }
    held ??= await opened(path)
    return held
  }
  const reopen = async (): Promise<void> => {
    const old = held
    held = undefined
    await old?.close()
  }
  const appendAll = async (batch: Unwritten): Promise<void> => {
    const { bytes } = batch
    const file = batch.done > 0 && held !== undefined ? held : await current(bytes.length)
    while (batch.done < bytes.length) {
      const { bytesWritten } = await file.write(bytes, batch.done)
      batch.done += bytesWritten
    }
  }
  return {
    /** One at a time: an attempt that nobody waits for any more may still be writing. */
    append: (batch: Unwritten): Promise<void> => {
      const before = underway
      underway = (before?.catch(() => undefined) ?? Promise.resolve()).then(() => appendAll(batch))
      return underway
    },
    close,
  }
}

async function opened(path: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
  const file = await open(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0o600) // a pipe would hang
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new Undeliverable(`${path}: expected a regular file`)
}

async function ifPresent<T>(entry: Promise<T>): Promise<T | undefined> {
  try {
    return await entry
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const Options = z.strictObject({
  ...OutletShape,
  path: z.string().min(1).max(4_096),
  format: Format.optional(),
  maxBytes: z.int().min(1_024).optional(),
})
