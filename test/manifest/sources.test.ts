import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseBundle } from '../../src/manifest/bundle.ts'
import { adaptSource } from '../../src/manifest/custom-source.ts'
import { createManifestSource, type ManifestLocation } from '../../src/manifest/sources.ts'
import { frozenMount, type Watching } from '../../src/manifest/watch.ts'
import { systemRuntime, watchFolder } from '../../src/ports/system.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { codeOf, createWorld, host, refusalOf, text, type World } from './world.ts'

const noNetwork = () => Promise.reject(new Error('no network'))

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pinfetch-source-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

async function published(...hosts: string[]): Promise<World> {
  const world = await createWorld()
  for (const name of hosts) await world.repository.publishManifest([host(name)], { now: world.now() })
  return world
}

function bundleOf({ repository }: World, roots: readonly number[] = []) {
  const files = repository.files()
  const read = (path = ''): unknown => JSON.parse(Buffer.from(files.get(path) as Uint8Array).toString())
  const manifest = [...files.keys()].filter((path) => path.startsWith('manifests/')).at(-1)
  return {
    status: read('status.json'),
    manifest: read(manifest),
    ...(roots.length === 0 ? {} : { roots: roots.map((version) => read(`roots/${version}.json`)) }),
  }
}

/** As kubelet writes a volume: a folder of its own a generation, `..data` swapped to it by a rename. */
async function project(volume: string, generation: number, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const name = `..2026_01_0${generation}`
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(volume, name, path)), { recursive: true })
    await writeFile(join(volume, name, path), bytes)
  }
  await symlink(name, join(volume, '..data_tmp'))
  await rename(join(volume, '..data_tmp'), join(volume, '..data'))
  const tops = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''))
  for (const top of tops) await symlink(join('..data', top), join(volume, top)).catch(() => undefined)
}

/** An updater whose clock stands still: whatever it notices, it does not notice by polling. */
async function watching(
  world: World,
  location: ManifestLocation,
  files: Watching = { runtime: systemRuntime, watchFolder },
) {
  const source = createManifestSource([location], noNetwork, files)
  const updater = world.start({ source })
  onTestFinished(() => updater.close())
  await world.drive(updater.ready())
  await expect.poll(() => (updater.health().nextPollAt ?? 0) > world.now()).toBe(true)
  return updater
}

async function versionBecomes(world: World, updater: { current: () => { version: number } }, version: number) {
  await expect
    .poll(() => world.runtime.advance(100).then(() => updater.current().version), { timeout: 15_000 })
    .toBe(version)
}

describe('a directory', () => {
  test('that Kubernetes swaps is noticed without a poll where the file system tells', async () => {
    const volume = await folder()
    const world = await published('one.example.com')
    await project(volume, 1, world.repository.files())
    const updater = await watching(world, { kind: 'directory', path: volume })
    const { nextPollAt = 0 } = updater.health()
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    await project(volume, 2, world.repository.files())
    await versionBecomes(world, updater, 2)
    expect(world.now()).toBeLessThan(nextPollAt)
  })

  test('that Kubernetes swaps is noticed without a poll within two seconds where it tells nothing', async () => {
    const volume = await folder()
    const world = await published('one.example.com')
    await project(volume, 1, world.repository.files())
    const looks = createTestRuntime()
    const silent = { runtime: looks, watchFolder: () => () => undefined }
    const updater = await watching(world, { kind: 'directory', path: volume }, silent)
    const { nextPollAt = 0 } = updater.health()
    await expect.poll(() => looks.pendingTimers).toBe(1) // what is there was looked at
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    await project(volume, 2, world.repository.files())
    await looks.advance(2_000)
    await versionBecomes(world, updater, 2)
    expect(world.now()).toBeLessThan(nextPollAt)
  })

  test('F50: a half-written status is refused and the manifest in force stays; the rest of it is noticed', async () => {
    const directory = await folder()
    const world = await published('one.example.com')
    const write = async () => {
      for (const [path, bytes] of world.repository.files()) {
        await mkdir(dirname(join(directory, path)), { recursive: true })
        await writeFile(join(directory, path), bytes)
      }
    }
    await write()
    const updater = await watching(world, { kind: 'directory', path: directory })
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    const status = world.repository.files().get('status.json') as Uint8Array
    await writeFile(join(directory, 'status.json'), status.slice(0, 100))
    await expect
      .poll(() => world.runtime.advance(100).then(() => updater.health().lastError?.code), { timeout: 15_000 })
      .toBe('ERR_MANIFEST_ENVELOPE_JSON')
    expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
    await write()
    await versionBecomes(world, updater, 2)
  })

  test('that appears after the start is noticed', async () => {
    const directory = join(await folder(), 'later')
    const world = await published('one.example.com')
    const source = createManifestSource([{ kind: 'directory', path: directory }], noNetwork, {
      runtime: systemRuntime,
      watchFolder,
    })
    const updater = world.start({ source, startupMs: 600_000 })
    onTestFinished(() => updater.close())
    await world.drive(updater.firstAttempt)
    await mkdir(directory)
    await project(directory, 1, world.repository.files())
    await versionBecomes(world, updater, 1)
  })

  test('is not looked at any more after close', async () => {
    const directory = await folder()
    const world = await published('one.example.com')
    await project(directory, 1, world.repository.files())
    const watched = { open: 0 }
    const source = createManifestSource([{ kind: 'directory', path: directory }], noNetwork, {
      runtime: world.runtime,
      watchFolder: () => {
        watched.open += 1
        return () => {
          watched.open -= 1
        }
      },
    })
    const updater = world.start({ source })
    await world.drive(updater.ready())
    expect(watched.open).toBe(1)
    await updater.close()
    expect([watched.open, world.runtime.pendingTimers]).toEqual([0, 0])
  })
})

describe('a bundle', () => {
  test('in a file is read, and noticed when it changes', async () => {
    const file = join(await folder(), 'pins.json')
    const world = await published('one.example.com')
    await writeFile(file, JSON.stringify(bundleOf(world)))
    const updater = await watching(world, { kind: 'file', path: file })
    expect(updater.current().version).toBe(1)
    await world.repository.rotateRoot({ now: world.now() })
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    await writeFile(file, Buffer.from(JSON.stringify(bundleOf(world, [1, 2]))).toString('base64'))
    await versionBecomes(world, updater, 2)
    expect(updater.health().rootVersion).toBe(2)
  })

  test('serves the signed bytes of its documents, and nothing under other names', async () => {
    const world = await published('one.example.com')
    await world.repository.rotateRoot({ now: world.now() })
    const bundle = parseBundle(text(JSON.stringify(bundleOf(world, [1, 2]))))
    const files = world.repository.files()
    const payload = (bytes?: Uint8Array) => JSON.parse(Buffer.from(bytes ?? text('{}')).toString()).payload
    for (const path of ['roots/1.json', 'roots/2.json', 'status.json', ...files.keys()]) {
      expect(payload(bundle?.get(path)), path).toBe(payload(files.get(path)))
    }
    const absent = ['roots/0.json', 'roots/3.json', `manifests/1.${'0'.repeat(64)}.json`, 'roots/x.json', '__proto__']
    expect(absent.map((path) => bundle?.get(path))).toEqual(absent.map(() => undefined))
  })

  test.each<[string, (bundle: ReturnType<typeof bundleOf>) => string]>([
    ['another member', (bundle) => JSON.stringify({ ...bundle, extra: 1 })],
    ['a missing status', ({ manifest }) => JSON.stringify({ manifest })],
    ['a member twice', (bundle) => JSON.stringify(bundle).replace('{', '{"status":{"payload":""},')],
    ['half of it', (bundle) => JSON.stringify(bundle).slice(0, 500)],
    ['text', () => 'pins'],
    ['nothing', () => ''],
  ])('that is %s is none', async (_, spoil) => {
    const bundle = bundleOf(await published('one.example.com'))
    expect(parseBundle(text(JSON.stringify(bundle)))).toBeDefined()
    expect(parseBundle(text(spoil(bundle)))).toBeUndefined()
  })

  test('file that is none is ERR_MANIFEST_FETCH_NETWORK, and what was in force stays', async () => {
    const file = join(await folder(), 'pins.json')
    const world = await published('one.example.com')
    await writeFile(file, JSON.stringify(bundleOf(world)))
    const updater = world.start({ source: createManifestSource([{ kind: 'file', path: file }], noNetwork) })
    await world.drive(updater.ready())
    await writeFile(file, '{"status":')
    await expect(world.refresh(updater)).rejects.toMatchObject({
      code: 'ERR_MANIFEST_FETCH_NETWORK',
      message: `status: could not be fetched: ${file}: expected {"status", "manifest", "roots"}, as JSON or its base64`,
    })
    await rm(file)
    expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_FETCH_HTTP')
    await mkdir(file)
    await expect(world.refresh(updater)).rejects.toMatchObject({ message: expect.stringContaining('EISDIR') })
    expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
    await updater.close()
  })
})

describe('a mount that never changes', () => {
  const mounts = async (...lines: string[]): Promise<string> => {
    const file = join(await folder(), 'mountinfo')
    await writeFile(file, `22 1 8:1 / / rw - ext4 /dev/sda rw\n${lines.join('\n')}\n`)
    return file
  }

  test('a file mounted by itself is raised once as `manifest.source`', async () => {
    const directory = await folder()
    const world = await published('one.example.com')
    await project(directory, 1, world.repository.files())
    const status = join(directory, 'status.json')
    await rm(status)
    await writeFile(status, world.repository.files().get('status.json') as Uint8Array)
    const mountInfo = await mounts(
      `30 22 8:1 /vol/..2026_01_01/status.json ${status.replace(/ /g, '\\040')} ro - ext4 x rw`,
    )
    const source = createManifestSource([{ kind: 'directory', path: directory }], noNetwork, {
      runtime: world.runtime,
      watchFolder,
      mountInfo,
    })
    const updater = world.start({ source })
    await world.drive(updater.ready())
    await expect.poll(() => world.eventsOf('manifest.source').length).toBe(1)
    expect(world.eventsOf('manifest.source')).toEqual([
      { type: 'manifest.source', source: status, message: expect.stringContaining('subPath') },
    ])
    await world.refresh(updater)
    expect(world.eventsOf('manifest.source')).toHaveLength(1)
    await updater.close()
  })

  test('a folder of a volume is one too; a whole volume, a plain folder and an unknown system are not', async () => {
    const directory = await folder()
    const status = join(directory, 'status.json')
    await writeFile(status, '{}')
    const volume = await mounts(`30 22 8:1 /volumes/kubernetes.io~configmap/pins ${directory} ro - ext4 x rw`)
    const subPath = await mounts(
      `30 22 8:1 /volumes/kubernetes.io~configmap/pins/..2026_01_01_1/a ${directory} ro - ext4 x rw`,
    )
    const escaped = await mounts(`30 22 8:1 / ${status.replace(/s/g, '\\163')} ro - ext4 x rw`)
    expect(await frozenMount(status, subPath)).toContain('subPath')
    expect(await frozenMount(status, escaped)).toContain('subPath')
    expect(await frozenMount(status, volume)).toBeUndefined()
    expect(await frozenMount(status, await mounts())).toBeUndefined()
    expect(await frozenMount(status, join(directory, 'absent'))).toBeUndefined()
    expect(await frozenMount(join(directory, 'absent'), subPath)).toBeUndefined()
  })
})

describe('a source of the application’s own', () => {
  const throwing = (): never => {
    throw new Error('no bus')
  }

  test('gets documents, says when there is a new one, and is closed once', async () => {
    const world = await published('one.example.com')
    let push: () => void = () => undefined
    const calls: string[] = []
    const source = adaptSource({
      get: async (path) => world.repository.files().get(path),
      watch: (changed) => {
        push = changed
        return () => calls.push('unwatched')
      },
      close: () => calls.push('closed'),
    })
    const updater = world.start({ source })
    await world.drive(updater.ready())
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    for (let burst = 0; burst < 100; burst += 1) push()
    await versionBecomes(world, updater, 2)
    await updater.close()
    await updater.close()
    push()
    expect(calls.toSorted()).toEqual(['closed', 'unwatched'])
    expect(world.runtime.pendingTimers).toBe(0)
  })

  test('that answers as HTTP does is sent the tag of the last accepted status', async () => {
    const world = await published('one.example.com')
    const tags: (string | undefined)[] = []
    const source = adaptSource({
      get: async (path, { ifNoneMatch }) => {
        if (path !== 'status.json') return world.repository.files().get(path)
        tags.push(ifNoneMatch)
        if (ifNoneMatch === '"a"') return { status: 304 }
        return { status: 200, headers: { ETag: '"a"' }, bytes: world.repository.files().get(path) as Uint8Array }
      },
    })
    const updater = world.start({ source })
    await world.drive(updater.ready())
    await world.refresh(updater)
    expect(tags).toEqual([undefined, '"a"'])
    await updater.close()
  })

  test.each([
    ['throws', () => Promise.reject(new Error('no answer')), 'ERR_MANIFEST_FETCH_NETWORK'],
    ['answers text', async () => 'text', 'ERR_MANIFEST_FETCH_NETWORK'],
    ['answers without a status', async () => ({ bytes: new Uint8Array() }), 'ERR_MANIFEST_FETCH_NETWORK'],
    ['answers more than it may', async () => new Uint8Array(70_000), 'ERR_MANIFEST_FETCH_TOO_LARGE'],
    ['never answers', () => new Promise(() => undefined), 'ERR_MANIFEST_FETCH_TIMEOUT'],
    ['answers what others signed', async () => text('{}'), 'ERR_MANIFEST_ENVELOPE_SHAPE'],
  ])('that %s is refused with its code', async (_, get, code) => {
    const world = await published('one.example.com')
    const answers = { broken: false }
    const source = adaptSource({
      name: 'mine',
      get: (path) =>
        answers.broken ? (get() as Promise<undefined>) : Promise.resolve(world.repository.files().get(path)),
    })
    const updater = world.start({ source })
    await world.drive(updater.ready())
    answers.broken = true
    expect(await refusalOf(world.refresh(updater))).toMatchObject({ code, source: 'mine status.json' })
    expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
    await updater.close()
  })

  test.each([
    ['throws', throwing],
    ['rejects', () => Promise.reject(new Error('no bus'))],
  ])('whose watch %s raises `manifest.source` and is polled all the same', async (_, watch) => {
    const world = await published('one.example.com')
    const updater = world.start({
      source: adaptSource({ get: async (path) => world.repository.files().get(path), watch }),
    })
    await world.drive(updater.ready())
    expect(world.eventsOf('manifest.source')).toEqual([
      { type: 'manifest.source', source: 'custom', message: expect.stringContaining('no bus') },
    ])
    await expect.poll(() => updater.health().nextPollAt).toBeDefined()
    await updater.close()
  })
})
