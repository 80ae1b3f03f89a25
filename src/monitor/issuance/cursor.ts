import { constants, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as z from 'zod'
import { parseStrictJson } from '../../encoding/json.ts'
import { MonitorError, StoreError } from '../../errors/errors.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store } from '../../stores/store.ts'

/** How far a watch has come: positions of the sources, and the issuances that were told of. */
export interface CursorState {
  readonly positions: ReadonlyMap<string, unknown>
  readonly told: readonly string[]
}

/** Where the state survives the process. */
export interface Cursor {
  readonly load: () => Promise<CursorState>
  /** All of it or nothing. */
  readonly save: (state: CursorState) => Promise<void>
}

export function createCursor(place: Store | string | undefined, runtime: Runtime): Cursor {
  if (place === undefined) return { load: async () => NOTHING, save: async () => {} }
  const bytes = typeof place === 'string' ? fileBytes(place, runtime) : storedBytes(place)
  const name = typeof place === 'string' ? basename(place) : 'cursor'
  return {
    load: async () => parseState(await bytes.read(), name),
    save: ({ positions, told }) =>
      bytes.write(Buffer.from(JSON.stringify({ format: FORMAT, positions: Object.fromEntries(positions), told }))),
  }
}

/** @throws MonitorError `ERR_MONITOR_CURSOR_INVALID` */
function parseState(bytes: Uint8Array | undefined, name: string): CursorState {
  if (bytes === undefined) return NOTHING
  const json = parseStrictJson(bytes)
  const parsed = State.safeParse(json.ok ? json.value : undefined)
  if (!parsed.success) throw new MonitorError('ERR_MONITOR_CURSOR_INVALID', `${name}: expected ${FORMAT}`)
  return { positions: new Map(Object.entries(parsed.data.positions)), told: parsed.data.told }
}

interface Bytes {
  readonly read: () => Promise<Uint8Array | undefined>
  readonly write: (bytes: Uint8Array) => Promise<void>
}

function fileBytes(path: string, { random }: Runtime): Bytes {
  return {
    read: () => attempt('ERR_STORE_READ', path, () => readFile(path)),
    write: (bytes) =>
      attempt('ERR_STORE_WRITE', path, async () => {
        const temporary = join(dirname(path), `.${basename(path)}.${Buffer.from(random(6)).toString('hex')}`)
        try {
          await fill(temporary, bytes)
          await rename(temporary, path)
        } catch (error) {
          await unlink(temporary).catch(() => undefined)
          throw error
        }
      }),
  }
}

async function readFile(path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY)
    try {
      return new Uint8Array(await file.readFile())
    } finally {
      await file.close()
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function fill(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A store never overwrites: each state is the next number, and those before it go once it is there. */
function storedBytes(store: Store): Bytes {
  const numbers = async (): Promise<readonly number[]> => {
    const names = await store.list(PREFIX)
    const found = names.flatMap((name) => /\/(\d{12})\.json$/.exec(name)?.[1] ?? [])
    return found.map(Number).sort((a, b) => b - a)
  }
  return {
    read: async () => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const [newest] = await numbers()
        if (newest === undefined) return undefined
        const bytes = await store.get(nameOf(newest))
        if (bytes !== undefined) return bytes // otherwise another process wrote the next and deleted this one
      }
      throw conflict()
    },
    write: async (bytes) => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const before = await numbers()
        if ((await store.put(nameOf((before[0] ?? 0) + 1), bytes)) === 'exists') continue // another process was faster
        await Promise.all(before.map((number) => store.delete(nameOf(number))))
        return
      }
      throw conflict()
    },
  }
}

const conflict = (): StoreError =>
  new StoreError('ERR_STORE_CONFLICT', `${PREFIX}: other processes write the same cursor`)
const nameOf = (number: number): string => `${PREFIX}${String(number).padStart(12, '0')}.json`

async function attempt<T>(code: 'ERR_STORE_READ' | 'ERR_STORE_WRITE', path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw new StoreError(code, `${path}: ${codeOf(cause) || 'failed'}`, { cause })
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

const FORMAT = 'pinfetch/ct-cursor/v1'
const State = z.object({
  format: z.literal(FORMAT),
  positions: z.record(z.string(), z.unknown()),
  told: z.array(z.string().max(100)),
})
const NOTHING: CursorState = { positions: new Map(), told: [] }
const PREFIX = 'ct-cursor/'
const MAX_TRIES = 5
