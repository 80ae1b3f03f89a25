import { readdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../../errors/errors.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store } from '../store.ts'

export interface Numbered {
  /** Number 0 where there is none. */
  readonly newest: () => Promise<{ readonly number: number; readonly text: string | undefined }>
  /** Writes under the number that follows `after`, the newest that was read. `false`: it is not the newest any more. */
  readonly put: (after: number, text: string) => Promise<boolean>
  /** Removes the folder if `isOver` of its newest text, and nobody writes meanwhile. */
  readonly clear: (isOver: (text: string | undefined) => boolean) => Promise<void>
}

export interface NumberedOptions {
  readonly files: Store
  readonly dir: string
  /** Below `dir`. */
  readonly folder: string
  readonly runtime: Pick<Runtime, 'clock'>
  readonly unusedMs: number
  readonly onWrite: (folder: string) => void
}

/**
 * Texts under ascending numbers, of which the highest counts. The last few stay, so that a taken number is seen as taken.
 *
 * A folder that was removed starts again above every number that it had: its first number is the time, in steps of `unusedMs`,
 * and it is removed only after as long without a write. Whoever read it before that, and writes after it, finds the number that
 * it read gone, and takes its own back.
 */
export function numbered({ files, dir, folder, runtime, unusedMs, onWrite }: NumberedOptions): Numbered {
  const nameOf = (number: number): string => `${folder}/${String(number).padStart(DIGITS, '0')}`
  const numbers = async (): Promise<readonly number[]> =>
    (await files.list(`${folder}/`)).map((name) => Number(name.slice(folder.length + 1))).filter(Number.isSafeInteger)
  const first = (): number => Math.max(1, Math.floor(runtime.clock.now() / unusedMs) * unusedMs)
  const write = async (number: number, text: string): Promise<boolean> => {
    const bytes = new TextEncoder().encode(text)
    const put = async (): Promise<boolean> => (await files.put(nameOf(number), bytes)) === 'written'
    return put().catch((error) => {
      if (isMissing(error)) return put() // the folder was removed between two steps of the write, and is made anew
      throw error
    })
  }

  return {
    newest: async () => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const number = Math.max(0, ...(await numbers()))
        if (number === 0) return { number, text: undefined }
        const bytes = await files.get(nameOf(number))
        if (bytes !== undefined) return { number, text: new TextDecoder().decode(bytes) } // removed meanwhile: a newer one is there
      }
      throw new StoreError('ERR_STORE_READ', `${folder}: changed ${MAX_TRIES} times while it was read`)
    },
    put: async (after, text) => {
      const number = after === 0 ? first() : after + 1
      if (!(await write(number, text))) return false
      const all = await numbers()
      const isFirst = number === first() && all.every((other) => other === number) // not one that slept since
      const isSequel = after === 0 ? isFirst : all.includes(after)
      if (!isSequel) {
        await files.delete(nameOf(number))
        return false
      }
      // Of its own past alone: somebody who began anew, too late, may be about to take back a far higher number.
      for (const old of all) if (old <= number - KEPT) await files.delete(nameOf(old))
      onWrite(folder)
      return true
    },
    clear: async (isOver) => {
      const all = [...(await numbers())].sort((one, other) => one - other) // the newest goes last: none before it counts again
      const bytes = all.length === 0 ? undefined : await files.get(nameOf(all.at(-1) ?? 0))
      if (all.length > 0 && (bytes === undefined || !isOver(new TextDecoder().decode(bytes)))) return
      for (const number of all) await files.delete(nameOf(number))
      await rmdir(join(dir, folder)) // fails where somebody has written since
    },
  }
}

export interface SweepOptions {
  readonly dir: string
  readonly runtime: Pick<Runtime, 'clock'>
  readonly unusedMs: number
  readonly folderOf: (folder: string) => Numbered
  readonly isOver: (folder: string, text: string | undefined) => boolean
}

/** In the background after a write, and not again for a while: what it leaves, a later one finds. */
export function createSweep({ dir, runtime, unusedMs, folderOf, isOver }: SweepOptions): (written: string) => void {
  let sweptAt = Number.NEGATIVE_INFINITY
  const sweep = async (written: string): Promise<void> => {
    const { mtimeMs: now } = await stat(join(dir, written)) // the file system's clock is the judge, as it dates the others
    for (const folder of await readdir(dir)) {
      if (!FOLDER.test(folder)) continue
      const entry = await stat(join(dir, folder)).catch(() => undefined)
      if (entry === undefined || now - entry.mtimeMs <= unusedMs) continue
      const cleared = folderOf(folder).clear((text) => isOver(folder, text))
      await cleared.catch(() => undefined) // what cannot be read, or is written to, stays
    }
  }
  return (written) => {
    const now = runtime.clock.monotonic()
    if (now - sweptAt < unusedMs) return
    sweptAt = now
    sweep(written).catch(() => undefined)
  }
}

function isMissing(error: unknown): boolean {
  const { cause } = error as { readonly cause?: unknown }
  return error instanceof StoreError && cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}

const FOLDER = /^(?:token|lease)-[0-9a-f]{64}$/
const KEPT = 8
const DIGITS = 16
const MAX_TRIES = 20
