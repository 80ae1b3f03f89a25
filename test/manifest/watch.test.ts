import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { frozenMount, stampOf, watchFile } from '../../src/manifest/watch.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pinfetch-watch-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

/** A file that is watched where the file system tells nothing but what `tell` says. */
async function watched(path: string) {
  const runtime = createTestRuntime()
  const folders: string[] = []
  let changes = 0
  let heard = () => {}
  let tell = () => {}
  let open = 0
  const changed = (): void => {
    changes += 1
    heard()
  }
  const stop = watchFile(path, changed, {
    runtime,
    watchFolder: (watchedFolder, told) => {
      folders.push(watchedFolder)
      tell = told
      open += 1
      return () => {
        open -= 1
      }
    },
  })
  const looked = () => expect.poll(() => runtime.pendingTimers, { interval: 1 }).toBe(1)
  await looked()
  return {
    runtime,
    folders,
    stop,
    tell: () => tell(),
    changes: () => changes,
    open: () => open,
    onChange: (run: () => void) => {
      heard = run
    },
    /** The next look by itself, and its end. */
    look: async () => {
      await runtime.advance(1_500)
      await looked()
      return changes
    },
  }
}

describe('watching a file', () => {
  test('looks every second and a half, and calls back once for each change that it sees', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, 'one')
    const { look, runtime, changes, stop, folders } = await watched(file)
    expect(folders).toEqual([dirname(file)])
    expect(await look()).toBe(0)
    await writeFile(file, 'two!')
    await runtime.advance(1_499)
    expect([runtime.pendingTimers, changes()]).toEqual([1, 0])
    await runtime.advance(1)
    await expect.poll(changes, { interval: 1 }).toBe(1)
    await expect.poll(() => runtime.pendingTimers, { interval: 1 }).toBe(1)
    expect(await look()).toBe(1)
    stop()
  })

  test('looks at once when the folder changed, and by itself not before its time after that', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, 'one')
    const { tell, runtime, changes, stop } = await watched(file)
    await runtime.advance(1_000)
    await writeFile(file, 'two!')
    tell()
    expect(runtime.pendingTimers).toBe(0)
    await expect.poll(() => [changes(), runtime.pendingTimers], { interval: 1 }).toEqual([1, 1])
    await runtime.advance(1_499)
    expect(runtime.pendingTimers).toBe(1)
    stop()
  })

  test('a change while one is told is not lost: it is looked for once more', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, 'one')
    const { tell, runtime, changes, stop, onChange } = await watched(file)
    onChange(() => {
      if (changes() > 1) return
      writeFileSync(file, 'three')
      tell()
    })
    await writeFile(file, 'two!')
    tell()
    await expect.poll(() => [changes(), runtime.pendingTimers], { interval: 1 }).toEqual([2, 1])
    stop()
  })

  test('looks once at a time, however often the folder tells', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, 'one')
    const { tell, runtime, changes, stop } = await watched(file)
    await writeFile(file, 'two!')
    for (let told = 0; told < 10; told += 1) tell()
    await expect.poll(() => runtime.pendingTimers, { interval: 1 }).toBe(1)
    for (let wait = 0; wait < 5; wait += 1) await stampOf(file)
    expect([changes(), runtime.pendingTimers]).toEqual([1, 1])
    stop()
    expect(runtime.pendingTimers).toBe(0)
  })

  test('a file that appears, and one that goes, is a change', async () => {
    const file = join(await folder(), 'later', 'status.json')
    const { look, stop } = await watched(file)
    expect(await look()).toBe(0)
    await mkdir(dirname(file))
    await writeFile(file, 'one')
    expect(await look()).toBe(1)
    await rm(file)
    expect(await look()).toBe(2)
    stop()
  })

  test('ends with its timer and its watch, during a look too', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, 'one')
    const { runtime, tell, stop, changes, open } = await watched(file)
    await writeFile(file, 'two!')
    tell()
    stop()
    await stampOf(file)
    await stampOf(file)
    expect([changes(), runtime.pendingTimers, open()]).toEqual([0, 0, 0])
    const idle = await watched(file)
    idle.stop()
    expect([idle.runtime.pendingTimers, idle.open()]).toEqual([0, 0])
  })
})

describe('the stamp of a file', () => {
  test('is another for other contents, another file of the same contents, and none at all', async () => {
    const directory = await folder()
    const [a, b, link] = ['a', 'b', 'link'].map((name) => join(directory, name)) as [string, string, string]
    await writeFile(a, 'same')
    await writeFile(b, 'same')
    await symlink(a, link)
    const before = await stampOf(a)
    expect(await stampOf(a)).toBe(before)
    expect(await stampOf(b)).not.toBe(before)
    expect(await stampOf(link)).toBe(before)
    await rm(link)
    await symlink(b, `${link}.new`)
    await rename(`${link}.new`, link)
    expect(await stampOf(link)).not.toBe(before)
    await writeFile(a, 'other contents')
    expect(await stampOf(a)).not.toBe(before)
    await utimes(a, 1, 1)
    const early = await stampOf(a)
    await utimes(a, 1, 1.25)
    expect(await stampOf(a)).not.toBe(early) // as long as before, in its place
    expect(await stampOf(join(directory, 'absent'))).toBe('ENOENT')
    expect(await stampOf(join(a, 'below'))).toBe('ENOTDIR')
    await expect(stampOf('\0')).resolves.toBe('ERR_INVALID_ARG_VALUE')
  })
})

describe('a mount that never changes', () => {
  /** A list of mounts as `/proc/self/mountinfo` shows it. */
  async function mounts(...lines: readonly string[]): Promise<string> {
    const file = join(await folder(), 'mountinfo')
    await writeFile(file, `22 1 8:1 / / rw - ext4 /dev/sda rw\n${lines.join('\n')}\n`)
    return file
  }
  const line = (root: string, place: string) => `30 22 8:1 ${root} ${place} ro - ext4 x rw`

  test('is a file that is a mount of its own, under whatever name', async () => {
    const directory = join(await folder(), 'a b')
    await mkdir(directory)
    const file = join(directory, 'status.json')
    await writeFile(file, '{}')
    const link = join(directory, 'link')
    await symlink(file, link)
    const list = await mounts(line('/vol/x/status.json', file.replace(/ /g, '\\040')))
    const told = (path: string) =>
      `${path} is mounted by itself (subPath), so it will never change: mount the whole volume`
    expect(await frozenMount(file, list)).toBe(told(file))
    expect(await frozenMount(link, list)).toBe(told(link))
  })

  test.each([
    ['/vol/..2026_01_01_00_00_00.1/a', true],
    ['/vol/..0123_x', true],
    ['/vol/\\056.2026_01_01/a', true],
    ['/vol/..data', false],
    ['/vol/..202_x', false],
    ['/vol/..20261_x', false],
    ['/vol/x..2026_01', false],
    ['/vol/pins', false],
    ['', false],
  ])('is a folder of which only %j is mounted: %j', async (root, frozen) => {
    const directory = await folder()
    const file = join(directory, 'status.json')
    await writeFile(file, '{}')
    expect((await frozenMount(file, await mounts(line(root, directory)))) !== undefined).toBe(frozen)
  })

  test('is none where the list is short, absent, or the file is', async () => {
    const directory = await folder()
    const file = join(directory, 'status.json')
    await writeFile(file, '{}')
    const list = await mounts('30 22 8:1', '')
    expect(await frozenMount(file, list)).toBeUndefined()
    expect(await frozenMount(file, join(directory, 'absent'))).toBeUndefined()
    expect(await frozenMount(join(directory, 'absent'), list)).toBeUndefined()
  })

  test('a list that is not given is the system’s own, and says nothing of a plain file', async () => {
    const file = join(await folder(), 'status.json')
    await writeFile(file, '{}')
    expect(await frozenMount(file)).toBeUndefined()
    if (process.platform === 'linux') expect(await frozenMount('/proc')).toContain('/proc is mounted by itself')
  })
})
