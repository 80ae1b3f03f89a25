import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createTestRuntime, type TestRuntime } from 'pinfetch/testing'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { fileStore } from '../../../src/stores/file.ts'
import { createFileTokenStore, fileTokenStore } from '../../../src/stores/tokens/file.ts'
import { memoryTokenStore } from '../../../src/stores/tokens/memory.ts'
import { numbered } from '../../../src/stores/tokens/numbered.ts'
import { redisTokenStore } from '../../../src/stores/tokens/redis.ts'
import type { StoredToken, TokenStore } from '../../../src/stores/tokens/store.ts'
import { redisServer, startRedis, type TestRedis } from '../../support/redis.ts'

if (redisServer === undefined)
  process.stderr.write('not run: the token store in Redis, as no redis-server is installed\n')

test.runIf(process.env['CI'] === 'true')('redis-server is installed where skipping counts as failing', () => {
  expect(redisServer).toBeDefined()
})

let redis: TestRedis | undefined
beforeAll(async () => {
  if (redisServer !== undefined) redis = await startRedis()
})
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
})

const { signal } = new AbortController()
const ONE: StoredToken = { v: 1, sealed: 'one' }
const TWO: StoredToken = {
  v: 2,
  sealed: 'two',
  pending: { at: 5, rtHash: 'abc' },
  tombstone: { at: 7, reason: 'revoked' },
}

interface Kind {
  readonly name: string
  readonly create: (runtime: TestRuntime) => Promise<TokenStore>
  /** Redis has a clock of its own. */
  readonly pass: (runtime: TestRuntime, ms: number) => Promise<unknown>
}

const advance = (runtime: TestRuntime, ms: number) => runtime.advance(ms)
const kinds: Kind[] = [
  { name: 'memoryTokenStore', create: async (runtime) => memoryTokenStore({ runtime }), pass: advance },
  { name: 'fileTokenStore', create: async (runtime) => fileTokenStore({ dir: scratch(), runtime }), pass: advance },
  { name: 'redisTokenStore', create: () => inRedis(), pass: (_, ms) => new Promise((end) => setTimeout(end, ms)) },
]

describe.each(kinds.filter(({ name }) => redisServer !== undefined || name !== 'redisTokenStore'))(
  '$name',
  ({ create, pass }) => {
    const runtime = createTestRuntime()

    test('gives back what was written, and nothing under another key', async () => {
      const store = await create(runtime)
      expect(await store.load('a', signal)).toBeUndefined()
      expect(await store.compareAndSwap('a', null, ONE, { signal })).toBe(true)
      expect(await store.load('a', signal)).toEqual(ONE)
      expect(await store.load('b', signal)).toBeUndefined()
      expect(await store.compareAndSwap('a', 1, TWO, { signal })).toBe(true)
      expect(await store.load('a', signal)).toEqual(TWO)
    })

    test('writes nothing over a version that the writer does not know', async () => {
      const store = await create(runtime)
      expect(await store.compareAndSwap('a', 1, TWO, { signal })).toBe(false)
      expect(await store.compareAndSwap('a', null, ONE, { signal })).toBe(true)
      expect(await store.compareAndSwap('a', null, TWO, { signal })).toBe(false)
      expect(await store.compareAndSwap('a', 7, TWO, { signal })).toBe(false)
      expect(await store.load('a', signal)).toEqual(ONE)
    })

    test('lets one of many writers of one version win', async () => {
      const store = await create(runtime)
      await store.compareAndSwap('a', null, ONE, { signal })
      const next = (n: number): StoredToken => ({ v: 2 + n, sealed: String(n) })
      const writes = Array.from({ length: 20 }, (_, n) => store.compareAndSwap('a', 1, next(n), { signal }))
      const won = await Promise.all(writes)
      expect(won.filter(Boolean)).toHaveLength(1)
      expect(await store.load('a', signal)).toEqual(next(won.indexOf(true)))
    })

    test('removes the version that is named and no other, and can be written again', async () => {
      const store = await create(runtime)
      expect(await store.remove('a', 1)).toBe(false)
      await store.compareAndSwap('a', null, ONE, { signal })
      expect(await store.remove('a', 2)).toBe(false)
      expect(await store.load('a', signal)).toEqual(ONE)
      expect(await store.remove('a', 1)).toBe(true)
      expect(await store.load('a', signal)).toBeUndefined()
      expect(await store.compareAndSwap('a', null, TWO, { signal })).toBe(true)
      expect(await store.load('a', signal)).toEqual(TWO)
    })

    test('forgets a record when its time is over, and one without a time never', async () => {
      const store = await create(runtime)
      await store.compareAndSwap('a', null, ONE, { ttlMs: 300, signal })
      await store.compareAndSwap('b', null, ONE, { ttlMs: 300, signal })
      await store.compareAndSwap('b', 1, TWO, { signal })
      await pass(runtime, 600)
      expect(await store.load('a', signal)).toBeUndefined()
      expect(await store.load('b', signal)).toEqual(TWO)
      expect(await store.compareAndSwap('a', null, TWO, { signal })).toBe(true)
    })

    test('gives the lease to one, and to the next when it is given back', async () => {
      const store = await create(runtime)
      const options = { ttlMs: 60_000, waitMs: 0, signal }
      const first = await store.lease('a', options)
      expect(await first?.stillHeld()).toBe(true)
      expect(await store.lease('a', options)).toBeUndefined()
      expect(await store.lease('b', options)).toBeDefined()
      await first?.[Symbol.asyncDispose]()
      expect(await first?.stillHeld()).toBe(false)
      expect(await first?.renew(1_000)).toBe(false)
      const second = await store.lease('a', options)
      await first?.[Symbol.asyncDispose]()
      expect(await second?.stillHeld()).toBe(true)
    })

    test('takes the lease from a holder whose time is over (TOK-33, TOK-34)', async () => {
      const store = await create(runtime)
      const paused = await store.lease('a', { ttlMs: 300, waitMs: 0, signal })
      await pass(runtime, 600)
      expect(await paused?.stillHeld()).toBe(false)
      const next = await store.lease('a', { ttlMs: 60_000, waitMs: 0, signal })
      expect(await next?.stillHeld()).toBe(true)
      expect(await paused?.renew(60_000)).toBe(false)
      await paused?.[Symbol.asyncDispose]()
      expect(await next?.stillHeld()).toBe(true)
    })

    test('keeps a lease that is renewed', async () => {
      const store = await create(runtime)
      const lease = await store.lease('a', { ttlMs: 400, waitMs: 0, signal })
      expect(await lease?.renew(60_000)).toBe(true)
      await pass(runtime, 800)
      expect(await lease?.stillHeld()).toBe(true)
      expect(await store.lease('a', { ttlMs: 1, waitMs: 0, signal })).toBeUndefined()
    })

    test('rejects with the reason of whoever no longer waits', async () => {
      const store = await create(runtime)
      const gone = AbortSignal.abort(new Error('gone'))
      await expect(store.load('a', gone)).rejects.toThrow('gone')
      await expect(store.compareAndSwap('a', null, ONE, { signal: gone })).rejects.toThrow('gone')
      await store.lease('a', { ttlMs: 60_000, waitMs: 0, signal })
      const leaving = new AbortController()
      const waiting = store.lease('a', { ttlMs: 1, waitMs: 60_000, signal: leaving.signal })
      leaving.abort(new Error('left'))
      await expect(waiting).rejects.toThrow('left')
    })
  },
)

test('a lease that was waited for is had when its holder is done', async () => {
  const store = memoryTokenStore()
  const first = await store.lease('a', { ttlMs: 60_000, waitMs: 0, signal })
  const second = store.lease('a', { ttlMs: 60_000, waitMs: 60_000, signal })
  await first?.[Symbol.asyncDispose]()
  expect(await (await second)?.stillHeld()).toBe(true)
})

describe('fileTokenStore', () => {
  test('lets nobody else read: 600 in 700, and a directory that others may enter is ERR_STORE_EXPOSED', async () => {
    const dir = join(scratch(), 'tokens')
    await fileTokenStore({ dir }).compareAndSwap('a', null, ONE, { signal })
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
      expect(statSync(join(dir, name)).mode & 0o077).toBe(0)
    }
    chmodSync(dir, 0o750)
    await expect(fileTokenStore({ dir }).load('a', signal)).rejects.toMatchObject({ code: 'ERR_STORE_EXPOSED' })
    chmodSync(dir, 0o700)
    expect(await fileTokenStore({ dir }).load('a', signal)).toEqual(ONE)
  })

  test('keeps a few files for a record, however often it is written, and outlives the process', async () => {
    const dir = scratch()
    const store = fileTokenStore({ dir })
    for (let v = 1; v <= 40; v += 1)
      expect(await store.compareAndSwap('a', v === 1 ? null : v - 1, { v, sealed: 'x' }, { signal })).toBe(true)
    expect(readdirSync(dir, { recursive: true }).length).toBeLessThan(12)
    expect(await fileTokenStore({ dir }).load('a', signal)).toEqual({ v: 40, sealed: 'x' })
  })

  test('removes the folder of what is over once it was not written to for an hour, and nothing else', async () => {
    const dir = scratch()
    const runtime = createTestRuntime({ now: Date.now() })
    const store = fileTokenStore({ dir, runtime })
    const write = (key: string, ttlMs?: number) =>
      store.compareAndSwap(key, null, ONE, { signal, ...(ttlMs !== undefined && { ttlMs }) })
    for (const key of ['removed', 'new', 'kept']) await write(key)
    for (const key of ['expired', 'recent']) await write(key, 1_000)
    await store.remove('removed', ONE.v)
    await (await store.lease('over', { ttlMs: 1_000, waitMs: 0, signal }))?.[Symbol.asyncDispose]()
    await store.lease('held', { ttlMs: 3_600_000, waitMs: 0, signal })
    writeFileSync(join(dir, 'other'), '')
    mkdirSync(join(dir, 'token-of-somebody'))
    const folders = (): string[] => readdirSync(dir)
    const folderOf = (kind: string, key: string): string => `${kind}-${createHash('sha256').update(key).digest('hex')}`
    const old = new Date(Date.now() - 3_700_000)
    for (const name of folders()) if (name !== folderOf('token', 'recent')) utimesSync(join(dir, name), old, old)
    await runtime.advance(3_000)
    await fileTokenStore({ dir, runtime }).compareAndSwap('new', ONE.v, TWO, { signal })
    const stays = [
      ...['new', 'kept', 'recent'].map((key) => folderOf('token', key)),
      ...[folderOf('lease', 'held'), 'other', 'token-of-somebody'],
    ]
    await expect.poll(() => folders().sort(), { timeout: 20_000 }).toEqual(stays.sort())
    expect(await store.load('kept', signal)).toEqual(ONE)
    expect(await store.lease('held', { ttlMs: 1_000, waitMs: 0, signal })).toBeUndefined()
  })

  test('a writer that slept while its folder was removed has written nothing', async () => {
    const dir = scratch()
    const runtime = createTestRuntime({ now: 1_000_000 })
    const store = createFileTokenStore({ dir, runtime, unusedMs: 1_000 })
    await store.compareAndSwap('a', null, ONE, { signal })
    const folder = join(dir, `token-${createHash('sha256').update('a').digest('hex')}`)
    const versions = numbered({
      files: fileStore(dir),
      dir,
      folder: basename(folder),
      runtime,
      unusedMs: 1_000,
      onWrite: () => undefined,
    })
    const { number } = await versions.newest()
    await runtime.advance(2_000)
    rmSync(folder, { recursive: true })
    expect(await versions.put(number, 'late')).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    expect(await store.load('a', signal)).toBeUndefined()
    expect(await versions.put(0, 'anew')).toBe(true)
    expect(Number(readdirSync(folder)[0])).toBeGreaterThan(number)
  })

  test('of those who begin a folder at the same time in two steps of its clock, none takes the place of another', async () => {
    const dir = scratch()
    const at = (now: number) =>
      numbered({
        files: fileStore(dir),
        dir,
        folder: 'token-x',
        runtime: createTestRuntime({ now }),
        unusedMs: 10,
        onWrite: () => undefined,
      })
    expect(await at(1_000_020).put(0, 'later')).toBe(true)
    expect(await at(1_000_009).put(0, 'earlier')).toBe(false)
    expect(await at(1_000_029).put(0, 'the same')).toBe(false)
    expect(await at(1_000_031).put(0, 'latest')).toBe(false)
    expect((await at(0).newest()).text).toBe('later')
  })

  test('several processes lose neither a lease nor a record while folders are removed under them', async () => {
    const dir = scratch()
    const files = [join(scratch(), 'lease'), join(scratch(), 'record')]
    for (const file of files) writeFileSync(file, '0')
    const script = fileURLToPath(new URL('./tidying.ts', import.meta.url))
    const run = async (): Promise<unknown> => {
      const child = spawn(process.execPath, ['--import', 'tsx', script, dir, ...files, '8'], { stdio: 'inherit' })
      return (await once(child, 'exit'))[0]
    }
    expect(await Promise.all([run(), run(), run(), run()])).toEqual([0, 0, 0, 0])
    expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(['32', '32'])
  }, 240_000)

  test.each([
    ['no JSON', 'never\n{'],
    ['no end', '{"format":1,"v":1,"sealed":"x"}'],
    ['no format', 'never\n{"v":1,"sealed":"x"}'],
    ['no version', 'never\n{"format":1,"sealed":"x"}'],
    ['a fraction', 'never\n{"format":1,"v":1.5,"sealed":"x"}'],
    ['no text', 'never\n{"format":1,"v":1,"sealed":7}'],
    ['half a mark', 'never\n{"format":1,"v":1,"sealed":"x","pending":{"at":1}}'],
    ['nothing', ''],
    ['too much', `never\n{"format":1,"v":1,"sealed":"${'x'.repeat(1_100_000)}"}`],
  ])('a record that is %s is ERR_STORE_RECORD_INVALID, and stays', async (_, text) => {
    const dir = scratch()
    await fileTokenStore({ dir }).compareAndSwap('a', null, ONE, { signal })
    const [path = ''] = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => /\d{12}$/.test(name))
    writeFileSync(join(dir, path), text)
    const store = fileTokenStore({ dir })
    await expect(store.load('a', signal)).rejects.toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' })
    await expect(store.compareAndSwap('a', null, TWO, { signal })).rejects.toMatchObject({
      code: 'ERR_STORE_RECORD_INVALID',
    })
    expect(readFileSync(join(dir, path), 'utf8')).toBe(text)
  })

  test('a record of a later format is ERR_STORE_RECORD_NEWER, and stays', async () => {
    const dir = scratch()
    const store = fileTokenStore({ dir })
    await store.compareAndSwap('a', null, ONE, { signal })
    const [path = ''] = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => /\d{12}$/.test(name))
    const text = readFileSync(join(dir, path), 'utf8')
    expect(text).toContain('"format":1')
    writeFileSync(join(dir, path), text.replace('"format":1', '"format":2'))
    await expect(store.load('a', signal)).rejects.toMatchObject({ code: 'ERR_STORE_RECORD_NEWER' })
    await expect(store.compareAndSwap('a', null, TWO, { signal })).rejects.toMatchObject({
      code: 'ERR_STORE_RECORD_NEWER',
    })
    writeFileSync(join(dir, path), text)
    expect(await store.load('a', signal)).toEqual(ONE)
  })

  test('a directory that cannot be made is ERR_STORE_READ', async () => {
    const file = join(scratch(), 'file')
    writeFileSync(file, '')
    const store = fileTokenStore({ dir: join(file, 'tokens') })
    await expect(store.load('a', signal)).rejects.toMatchObject({ code: 'ERR_STORE_READ' })
  })

  test('takes the lease of a process that was killed at once (TOK-33)', async () => {
    const dir = scratch()
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', HOLDER, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
    })
    const gone = once(holder, 'exit')
    await once(holder.stdout, 'data')
    const store = fileTokenStore({ dir })
    const options = { ttlMs: 1_000, waitMs: 0, signal }
    expect(await store.lease('a', options)).toBeUndefined()
    holder.kill('SIGKILL')
    await gone
    expect(await (await store.lease('a', options))?.stillHeld()).toBe(true)
  })

  test('keeps the lease of a process that cannot be seen from here: of another machine, or another container of this one', async () => {
    const dir = scratch()
    const options = { ttlMs: 600_000, waitMs: 0, signal }
    await fileTokenStore({ dir }).lease('a', options)
    const [path = ''] = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => /\d{12}$/.test(name))
    const [until, , machine, me] = readFileSync(join(dir, path), 'utf8').split(' ')
    const gone = '4194305' // above what Linux numbers processes with
    for (const elsewhere of ['other-host', `${hostname()}/pid:[1]`, hostname()]) {
      if (elsewhere === machine) continue // a system without such containers
      writeFileSync(join(dir, path), [until, gone, elsewhere, me].join(' '))
      expect(await fileTokenStore({ dir }).lease('a', options)).toBeUndefined()
    }
    writeFileSync(join(dir, path), [until, gone, machine, me].join(' '))
    expect(await (await fileTokenStore({ dir }).lease('a', options))?.stillHeld()).toBe(true)
  })

  test('a clock that is set back by hours leaves no lease behind for as long', async () => {
    const dir = scratch()
    const early = createTestRuntime()
    const late = createTestRuntime()
    const options = { ttlMs: 60_000, waitMs: 0, signal }
    await late.advance(5 * 3_600_000)
    const before = await fileTokenStore({ dir, runtime: late }).lease('a', options)
    const store = fileTokenStore({ dir, runtime: early })
    const after = await store.lease('a', options)
    expect(await after?.stillHeld()).toBe(true)
    expect(await store.lease('a', options)).toBeUndefined()
    expect(await before?.stillHeld()).toBe(false)
  })
})

const places: [string, () => string][] = [
  ['file', () => scratch()],
  ['redis', () => redis?.url ?? ''],
]
test.each(places.filter(([kind]) => redisServer !== undefined || kind !== 'redis'))(
  'four processes that share a store of kind %s lose no write, and hold the lease one at a time',
  async (kind, place) => {
    const shared = place()
    const file = join(scratch(), 'count')
    writeFileSync(file, '0')
    const script = fileURLToPath(new URL('./counting.ts', import.meta.url))
    const args = ['--import', 'tsx', script, kind, shared, file, '10']
    const exits = Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, args, { stdio: 'inherit' })
      const [code] = await once(child, 'exit')
      return code
    })
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0])
    expect(readFileSync(file, 'utf8')).toBe('40')
    const store = kind === 'file' ? fileTokenStore({ dir: shared }) : await inRedis()
    expect((await store.load('counter', signal))?.v).toBeGreaterThanOrEqual(40)
  },
)

async function inRedis(): Promise<TokenStore> {
  const client = await createClient({ url: redis?.url ?? '' }).connect()
  onTestFinished(() => client.destroy())
  if (expect.getState().currentTestName?.includes('four processes') !== true) await client.flushAll()
  return patient(redisTokenStore({ client }))
}

/** This machine may be busier than any deadline: what is tested here is what the store says once it answers. */
function patient(store: TokenStore): TokenStore {
  const again = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    for (let left = 5; ; left -= 1) {
      try {
        return await ask()
      } catch (error) {
        if (left === 0 || (error as { code?: string }).code !== 'ERR_STORE_UNAVAILABLE') throw error
        await new Promise((resolve) => setTimeout(resolve, 2_000))
      }
    }
  }
  return { ...store, load: (...args) => again(() => store.load(...args)) }
}

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-tokens-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}

const HOLDER = `
import { fileTokenStore } from './src/stores/tokens/file.ts'
const { signal } = new AbortController()
await fileTokenStore({ dir: process.argv.at(-1) }).lease('a', { ttlMs: 3_600_000, waitMs: 0, signal })
process.stdout.write('held')
setInterval(() => {}, 1_000)
`
