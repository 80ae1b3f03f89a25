import { createHash } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { StoreError } from '../../errors/errors.ts'
import type { Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import { fileStore } from '../file.ts'
import { createSweep, type Numbered, numbered } from './numbered.ts'
import { decodeRecord, encodeRecord, invalid } from './record.ts'
import type { Lease, StoredToken, TokenStore } from './store.ts'
import { takeWithin } from './wait.ts'

/**
 * Records as files of a directory that belongs to this user alone, for the processes of one machine. A record is never
 * overwritten: each write is the next number of its key and fails where that number is taken, which is the whole of
 * compare-and-swap. Nothing is locked for it, so that no crash leaves anything locked.
 */
export function fileTokenStore({
  dir,
  runtime,
}: {
  /** Made with mode 700 where it is not there; one that others may enter is refused. */
  readonly dir: string
  readonly runtime?: Runtime
}): TokenStore {
  return createFileTokenStore({ dir, runtime, unusedMs: UNUSED_MS })
}

/** @param options.unusedMs After that long without a write, a folder that says nothing any more is removed. */
export function createFileTokenStore(options: {
  readonly dir: string
  readonly runtime: Runtime | undefined
  readonly unusedMs: number
}): TokenStore {
  const { runtime = systemRuntime, unusedMs } = options
  const dir = resolve(options.dir)
  const files = fileStore(dir)
  let inspected: Promise<void> | undefined

  const open = async (kind: 'token' | 'lease', key: string, signal?: AbortSignal): Promise<Numbered> => {
    inspected ??= inspect(dir)
    await inspected.catch((error) => {
      inspected = undefined
      throw error
    })
    signal?.throwIfAborted()
    return folderOf(`${kind}-${createHash('sha256').update(key).digest('hex')}`)
  }
  const folderOf = (folder: string): Numbered => numbered({ files, dir, folder, runtime, unusedMs, onWrite: sweep })
  const recordOf = (text: string | undefined): StoredToken | undefined => {
    if (text === undefined || text === REMOVED) return undefined
    const [until = '', ...record] = text.split('\n')
    if (!/^(\d{1,16}|never)$/.test(until)) throw invalid()
    return until !== 'never' && Number(until) <= runtime.clock.now() ? undefined : decodeRecord(record.join('\n'))
  }

  const sweep = createSweep({
    dir,
    runtime,
    unusedMs,
    folderOf,
    isOver: (folder, text) => (folder.startsWith('lease-') ? !isHeld(text, runtime) : recordOf(text) === undefined),
  })

  return Object.freeze({
    load: async (key, signal) => recordOf((await (await open('token', key, signal)).newest()).text),
    compareAndSwap: async (key, expected, next, { ttlMs, signal }) => {
      const versions = await open('token', key, signal)
      const { number, text } = await versions.newest()
      if ((recordOf(text)?.v ?? null) !== expected) return false
      const until = ttlMs === undefined ? 'never' : String(Math.ceil(runtime.clock.now() + ttlMs))
      return versions.put(number, `${until}\n${encodeRecord(next)}`)
    },
    lease: (key, { ttlMs, ...wait }) =>
      takeWithin(async () => takeLease(await open('lease', key, wait.signal), ttlMs, runtime), wait, runtime),
    remove: async (key, expected) => {
      const versions = await open('token', key)
      const { number, text } = await versions.newest()
      return recordOf(text)?.v === expected && versions.put(number, REMOVED)
    },
  } satisfies TokenStore)
}

async function takeLease(versions: Numbered, ttlMs: number, runtime: Runtime): Promise<Lease | undefined> {
  const before = await versions.newest()
  if (isHeld(before.text, runtime)) return undefined
  const me = `${process.pid} ${MACHINE} ${Buffer.from(runtime.random(12)).toString('hex')}`
  const write = (after: number, until: number): Promise<boolean> => versions.put(after, `${Math.ceil(until)} ${me}`)
  if (!(await write(before.number, runtime.clock.now() + ttlMs))) return undefined

  const mine = async (): Promise<number | undefined> => {
    const { number, text = '' } = await versions.newest()
    return text.endsWith(` ${me}`) && isHeld(text, runtime) ? number : undefined
  }
  const orFalse = (work: Promise<boolean>): Promise<boolean> =>
    work.catch((error) => {
      if (error instanceof StoreError) return false
      throw error
    })
  const set = async (until: number): Promise<boolean> => {
    const number = await mine()
    return number !== undefined && write(number, until)
  }
  return {
    stillHeld: () => orFalse(mine().then((number) => number !== undefined)),
    renew: (ms) => orFalse(set(runtime.clock.now() + ms)),
    [Symbol.asyncDispose]: async () => void (await orFalse(set(0))),
  }
}

/**
 * Until its time is up, or its holder is known to be dead: a process of this machine that is not there any more. One that ends
 * later than anybody asks for was dated by a clock that was set back since; its holder cannot count on it.
 */
function isHeld(text: string | undefined, { clock }: Runtime): boolean {
  const [until, pid, machine] = (text ?? '').split(' ')
  const left = Number(until) - clock.now()
  return left > 0 && left <= LONGEST_LEASE_MS && !(machine === MACHINE && isGone(Number(pid)))
}

/** Containers may share the name of their host and see none of each other's processes: the number of one says nothing there. */
function machineName(): string {
  if (process.platform !== 'linux') return hostname()
  try {
    return `${hostname()}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return `${hostname()}/${process.pid}` // nobody knows whose processes are seen from here: no holder is known to be dead
  }
}

function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

/** @throws StoreError `ERR_STORE_EXPOSED` */
async function inspect(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const { mode, uid } = await stat(dir)
    if (process.platform === 'win32') return
    const seen = (mode & 0o777).toString(8)
    if ((mode & 0o077) !== 0)
      throw new StoreError('ERR_STORE_EXPOSED', `${dir}: mode ${seen} lets others in, expected 700 for tokens`)
    if (uid !== process.getuid?.()) throw new StoreError('ERR_STORE_EXPOSED', `${dir}: belongs to another user`)
  } catch (error) {
    if (error instanceof StoreError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    throw new StoreError('ERR_STORE_READ', `${dir}: ${code}`, { cause: error })
  }
}

const MACHINE = machineName()
const LONGEST_LEASE_MS = 3_600_000
const REMOVED = 'removed'
const UNUSED_MS = 3_600_000 // as long as a lease may last, and far longer than a write
