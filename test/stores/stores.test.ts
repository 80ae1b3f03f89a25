import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileStore } from '../../src/stores/file.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'

let directory: string
let count = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pinfetch-store-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

const fresh = (): string => {
  count += 1
  return join(directory, `d${count}`)
}
const bytes = (text: string) => new TextEncoder().encode(text)
const NAME = 'a1/prod/roots/000002.json'

describe.each<[string, () => Store]>([
  ['memoryStore', memoryStore],
  ['fileStore', () => fileStore(fresh())],
])('%s', (_, create) => {
  test('gives back what was put', async () => {
    const store = create()
    expect(await store.get(NAME)).toBeUndefined()
    expect(await store.put(NAME, bytes('one'))).toBe('written')
    expect(await store.get(NAME)).toEqual(bytes('one'))
  })

  test('never overwrites (case 130)', async () => {
    const store = create()
    await store.put(NAME, bytes('one'))
    expect(await store.put(NAME, bytes('two'))).toBe('exists')
    expect(await store.get(NAME)).toEqual(bytes('one'))
  })

  test('lists the names directly below a prefix', async () => {
    const store = create()
    await store.put('a1/prod/roots/000002.json', bytes(''))
    await store.put('a1/prod/roots/000003.json', bytes(''))
    await store.put('a1/prod/id', bytes(''))
    expect((await store.list('a1/prod/roots/')).toSorted()).toEqual([
      'a1/prod/roots/000002.json',
      'a1/prod/roots/000003.json',
    ])
    expect(await store.list('a1/prod/')).toEqual(['a1/prod/id'])
    expect(await store.list('a1/none/')).toEqual([])
  })

  test('deletes, also what is not there', async () => {
    const store = create()
    await store.put(NAME, bytes('one'))
    await store.delete(NAME)
    await store.delete(NAME)
    expect(await store.get(NAME)).toBeUndefined()
  })

  test('keeps its own copy of the bytes', async () => {
    const store = create()
    const given = bytes('one')
    await store.put(NAME, given)
    given.fill(0)
    ;(await store.get(NAME))?.fill(0)
    expect(await store.get(NAME)).toEqual(bytes('one'))
  })
})

describe('fileStore', () => {
  test.each(['../x', 'a/../../x', '/etc/passwd', 'a//b', '.hidden', 'a\\b', 'a\0b', '', 'a/'.repeat(200)])(
    'refuses the name %j with ERR_STORE_NAME',
    async (name) => {
      const store = fileStore(fresh())
      for (const operation of [store.get(name), store.put(name, bytes('')), store.delete(name)]) {
        await expect(operation).rejects.toMatchObject({ code: 'ERR_STORE_NAME' })
      }
    },
  )

  test('makes directories for this user alone, and files too', async () => {
    const path = fresh()
    await fileStore(path).put(NAME, bytes('one'))
    expect((await lstat(join(path, 'a1'))).mode & 0o777).toBe(0o700)
    expect((await lstat(path)).mode & 0o777).toBe(0o700)
    expect((await lstat(join(path, NAME))).mode & 0o777).toBe(0o600)
  })

  test('a directory that others may write to is ERR_STORE_EXPOSED on inspection (case 127)', async () => {
    const path = fresh()
    const store = fileStore(path)
    await store.inspect?.() // nothing there yet
    await store.put(NAME, bytes('one'))
    await store.inspect?.()
    await chmod(path, 0o777)
    await expect(store.inspect?.()).rejects.toMatchObject({ code: 'ERR_STORE_EXPOSED' })
  })

  test('leaves no temporary file, also when the name was taken', async () => {
    const path = fresh()
    const store = fileStore(path)
    await Promise.all(['one', 'two', 'three'].map((text) => store.put(NAME, bytes(text))))
    expect(await readdir(dirname(join(path, NAME)))).toEqual(['000002.json'])
  })

  test('of many writers of one name exactly one wins', async () => {
    const store = fileStore(fresh())
    const results = await Promise.all(Array.from({ length: 20 }, (_, at) => store.put(NAME, bytes(`${at}`))))
    expect(results.filter((result) => result === 'written')).toHaveLength(1)
  })

  test('removes what killed writers left more than an hour ago, and nothing else', async () => {
    const path = fresh()
    await fileStore(path).put(NAME, bytes('one'))
    const folder = dirname(join(path, NAME))
    const left = async (name: string, ageMs: number): Promise<void> => {
      await writeFile(join(folder, name), 'half')
      const at = new Date(Date.now() - ageMs)
      await utimes(join(folder, name), at, at)
    }
    const [old, recent, stranger] = ['.tmp-4711-0123456789ab', '.tmp-4712-0123456789ab', '.tmp-other']
    await left(old, 2 * 3_600_000)
    await left(recent, 1_800_000)
    await left(stranger, 2 * 3_600_000)
    await symlink('/etc/hostname', join(folder, '.tmp-4713-0123456789ab'))
    expect(await fileStore(path).put(NAME.replace('2', '3'), bytes('two'))).toBe('written')
    expect((await readdir(folder)).toSorted()).toEqual(
      ['.tmp-4713-0123456789ab', recent, stranger, '000002.json', '000003.json'].toSorted(),
    )
  })

  test('does not list temporary files, links or directories', async () => {
    const path = fresh()
    const store = fileStore(path)
    await store.put(NAME, bytes('one'))
    const folder = dirname(join(path, NAME))
    await writeFile(join(folder, '.tmp-1-abc'), 'half')
    await symlink('/etc/hostname', join(folder, '000009.json'))
    await mkdir(join(folder, '000008.json'))
    expect(await store.list('a1/prod/roots/')).toEqual([NAME])
  })

  test('a symbolic link is neither read nor written through: ERR_STORE_SYMLINK (case 129)', async () => {
    const path = fresh()
    const store = fileStore(path)
    const target = join(directory, 'target')
    await writeFile(target, 'theirs')
    await mkdir(dirname(join(path, NAME)), { recursive: true })
    await symlink(target, join(path, NAME))
    await expect(store.get(NAME)).rejects.toMatchObject({ code: 'ERR_STORE_SYMLINK' })
    expect(await store.put(NAME, bytes('ours'))).toBe('exists')
    expect(await readFile(target, 'utf8')).toBe('theirs')
  })

  test('what the system refuses is ERR_STORE_READ or ERR_STORE_WRITE with the cause (case 123)', async () => {
    const path = fresh()
    await writeFile(path, 'a file where a directory should be')
    const store = fileStore(path)
    await expect(store.put(NAME, bytes(''))).rejects.toMatchObject({
      code: 'ERR_STORE_WRITE',
      cause: { code: 'ENOTDIR' },
    })
    await expect(store.get(NAME)).rejects.toMatchObject({ code: 'ERR_STORE_READ' })
    await expect(store.list('a1/')).rejects.toMatchObject({ code: 'ERR_STORE_READ' })
  })

  test.skipIf(process.getuid?.() === 0)('a directory that may not be written to is ERR_STORE_WRITE', async () => {
    const path = fresh()
    await mkdir(path, { mode: 0o500 })
    await expect(fileStore(path).put(NAME, bytes(''))).rejects.toMatchObject({
      code: 'ERR_STORE_WRITE',
      cause: { code: 'EACCES' },
    })
    await chmod(path, 0o700)
  })

  test('a writer that is killed at any moment leaves whole files only (case 119)', async () => {
    const path = fresh()
    const script = fileURLToPath(new URL('./writer.ts', import.meta.url))
    for (let round = 0; round < 5; round += 1) {
      await promisify(execFile)(process.execPath, ['--import', 'tsx', script, path, String(round)], {
        timeout: 20_000,
      }).catch(() => undefined)
    }
    const store = fileStore(path)
    const names = await store.list('w/')
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect((await store.get(name))?.length).toBe(100_000)
  }, 60_000)
})
