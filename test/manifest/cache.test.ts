import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../src/errors/errors.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { fileStore } from '../../src/stores/file.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { codeOf, createWorld, DAY, forge, host, payloadOf, sourceOf, startedWorld, text, type World } from './world.ts'

const BASE = `${createHash('sha256').update('acme/pins').digest('hex').slice(0, 16)}/prod/`

const namesIn = async (store: Store, kind: string) => (await store.list(`${BASE}${kind}/`)).toSorted()

const corrupt = (world: World) =>
  world.events.flatMap((event) => (event.type === 'manifest.cacheError' ? [event.code] : []))

const failing = () => Promise.reject(new StoreError('ERR_STORE_WRITE', 'x: EROFS'))

async function replace(store: Store, name: string, bytes: Uint8Array): Promise<void> {
  await store.delete(name)
  await store.put(name, bytes)
}

/** Two manifests and two statuses in the cache, then a restart without network after `tamper`. */
async function restartAfter(tamper: (world: World) => Promise<void>) {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  await updater.close()
  await tamper(world)
  for (const path of ['roots/2.json', 'status.json']) world.answers.set(path, new Error('offline'))
  world.events.length = 0
  const again = world.start()
  await world.drive(again.firstAttempt)
  const view = again.current()
  await again.close()
  return { world, view }
}

test('keeps documents under names of epoch, version, root and hash', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(await namesIn(world.store, 'roots')).toEqual([`${BASE}roots/000002.json`])
  expect(await namesIn(world.store, 'status')).toEqual([
    expect.stringMatching(/status\/000001\.0000000000000001\.000001\.[0-9a-f]{16}\.json$/),
    expect.stringMatching(/status\/000001\.0000000000000002\.000001\.[0-9a-f]{16}\.json$/),
    expect.stringMatching(/status\/000001\.0000000000000002\.000002\.[0-9a-f]{16}\.json$/),
  ])
  expect(await namesIn(world.store, 'manifest')).toHaveLength(1)
  await updater.close()
})

test('a cached root replaced by a stranger’s is ignored with ERR_MANIFEST_CACHE_CORRUPT (case 37)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  await updater.close()
  const stranger = await createRepository({ repo: 'acme/pins', env: 'prod', now: world.now() })
  await stranger.rotateRoot({ now: world.now() })
  await replace(world.store, `${BASE}roots/000002.json`, stranger.root())
  world.events.length = 0
  const again = world.start()
  await world.drive(again.ready())
  expect(corrupt(world)).toEqual(['ERR_MANIFEST_CACHE_CORRUPT'])
  await world.refresh(again)
  expect(again.health().rootVersion).toBe(2)
  await again.close()
})

test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
  ['a truncated newest file (case 121)', (bytes) => bytes.slice(0, bytes.length >> 1)],
  ['one flipped bit (case 122)', (bytes) => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))],
  ['an empty file', () => new Uint8Array()],
])('F54: %s is passed over with ERR_MANIFEST_CACHE_CORRUPT', async (_, spoil) => {
  const { world, view } = await restartAfter(async ({ store }) => {
    const newest = (await namesIn(store, 'manifest')).at(-1) as string
    await replace(store, newest, spoil((await store.get(newest)) as Uint8Array))
  })
  expect(view).toMatchObject({ kind: 'fresh', version: 1 })
  expect(corrupt(world)).toEqual(['ERR_MANIFEST_CACHE_CORRUPT'])
})

test('a spoilt file is put right by the next refresh', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  const [name = ''] = await namesIn(world.store, 'manifest')
  const good = (await world.store.get(name)) as Uint8Array
  await replace(world.store, name, good.slice(0, 10))
  const again = world.start()
  await world.drive(again.ready())
  expect(await world.store.get(name)).toEqual(good)
  await again.close()
})

test('an unsigned file with a huge version is ignored (case 125)', async () => {
  const { view } = await restartAfter(async ({ store }) => {
    for (const kind of ['status', 'manifest']) {
      await store.put(`${BASE}${kind}/999999.9007199254740991.000001.0123456789abcdef.json`, text('{}'))
    }
  })
  expect(view).toMatchObject({ kind: 'fresh', version: 2 })
})

test('a valid old file planted in a running process’s cache lowers nothing (case 126)', async () => {
  const { world, updater } = await startedWorld()
  const old = world.repository.files().get('status.json') as Uint8Array
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  await world.store.put(`${BASE}status/000001.0000000000000009.000001.0123456789abcdef.json`, old)
  world.serve('status.json', old)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  expect(updater.current().version).toBe(2)
  await updater.close()
})

test('the floor of a restart is what was accepted before: ERR_MANIFEST_STATUS_ROLLBACK', async () => {
  const { world, updater } = await startedWorld()
  const old = world.repository.files().get('status.json') as Uint8Array
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  await updater.close()
  world.serve('status.json', old)
  const again = world.start()
  await again.ready()
  expect(await codeOf(world.refresh(again))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  await again.close()
})

test('documents of a key rotated since count as floor and are not in force', async () => {
  const { world, updater } = await startedWorld()
  const old = world.repository.files().get('status.json') as Uint8Array
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  await updater.close()
  const { status, root, manifest } = world.repository.roles()
  const keys = [await generateSigningKey()]
  await world.repository.rotateRoot({ now: world.now(), roles: { status: { keys, threshold: 1 } } })
  await world.store.put(`${BASE}roots/000002.json`, world.repository.root())
  world.serve('status.json', forge(payloadOf(old), 'status', keys))
  const again = world.start()
  expect(await codeOf(world.drive(again.refresh()))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  expect(again.current()).toMatchObject({ kind: 'cold', everAccepted: true })
  expect([status, root, manifest]).not.toContain(keys)
  await again.close()
})

test('the cache of another repository or environment is not read (case 128)', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  const other = await createWorld({ store: world.store, env: 'staging' })
  other.answers.set('roots/2.json', new Error('offline'))
  const client = other.start()
  await other.drive(client.firstAttempt)
  expect(client.current().kind).toBe('cold')
  await client.close()
})

test('files that a later version wrote are left alone and ignored (case 132)', async () => {
  const later = `${BASE}status/000001.0000000000000003.000001.v2.json`
  const { world, view } = await restartAfter(async ({ store }) => void (await store.put(later, text('{"spec":2}'))))
  expect(view).toMatchObject({ kind: 'fresh', version: 2 })
  expect(await world.store.get(later)).toBeDefined()
})

test('keeps the four newest of a kind and what is in force', async () => {
  const { world, updater } = await startedWorld()
  for (let round = 0; round < 8; round += 1) {
    await world.repository.publishManifest([host(`h${round}.example.com`)], { now: world.now() })
    await world.refresh(updater)
  }
  expect(await namesIn(world.store, 'status')).toHaveLength(4)
  expect((await namesIn(world.store, 'manifest')).at(-1)).toContain('.0000000000000009.')
  expect(await namesIn(world.store, 'manifest')).toHaveLength(4)
  await updater.close()
})

test.each(['get', 'put', 'list', 'delete'] as const)(
  'a store whose %s fails raises `manifest.cacheError` and changes nothing else (case 123)',
  async (operation) => {
    const failing: Store = {
      ...memoryStore(),
      [operation]: async () => {
        throw new StoreError('ERR_STORE_WRITE', 'x: ENOSPC')
      },
    }
    const { world, updater } = await startedWorld({ store: failing })
    await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
    await world.refresh(updater)
    expect(updater.current()).toMatchObject({ kind: 'fresh', version: 2 })
    if (operation !== 'delete') expect(corrupt(world)).toContain('ERR_STORE_WRITE')
    await updater.close()
  },
)

test.each<[string, (store: Store) => Store]>([
  ['cannot be written to', (store) => ({ ...store, put: failing })],
  [
    'cannot be read or written to',
    (store) => ({ ...store, get: failing, put: failing, list: failing, delete: failing }),
  ],
])(
  'F54: a store that %s raises `manifest.cacheError` exactly once, and everything goes on in memory',
  async (_, spoil) => {
    const { world, updater } = await startedWorld({ store: spoil(memoryStore()) })
    for (let round = 0; round < 3; round += 1) {
      await world.repository.publishManifest([host(`h${round}.example.com`)], { now: world.now() })
      await world.refresh(updater)
    }
    expect(updater.current()).toMatchObject({ kind: 'fresh', version: 4 })
    expect(corrupt(world)).toEqual(['ERR_STORE_WRITE'])
    await updater.close()
  },
)

test('a store that works again and fails again is reported again', async () => {
  const state = { full: true }
  const held = memoryStore()
  const store: Store = { ...held, put: (name, bytes) => (state.full ? failing() : held.put(name, bytes)) }
  const { world, updater } = await startedWorld({ store })
  for (const full of [false, true]) {
    state.full = full
    await world.repository.publishManifest([host(`${full}.example.com`)], { now: world.now() })
    await world.refresh(updater)
  }
  expect(corrupt(world)).toEqual(['ERR_STORE_WRITE', 'ERR_STORE_WRITE'])
  await updater.close()
})

describe('a cache that is required', () => {
  test.each<[string, Partial<Store>]>([
    ['cannot be written to', { put: failing }],
    ['cannot be read', { get: failing }],
    ['cannot be listed', { list: failing }],
    ['loses what is written', { get: async () => undefined }],
  ])('and %s refuses to start with ERR_MANIFEST_CACHE_REQUIRED', async (_, spoilt) => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const updater = world.start({ store: { ...memoryStore(), ...spoilt }, cache: 'required' })
    expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_CACHE_REQUIRED')
    expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_CACHE_REQUIRED')
    expect(updater.current().kind).toBe('cold')
    expect(updater.health().lastError?.code).toBe('ERR_MANIFEST_CACHE_REQUIRED')
    expect(world.requests).toEqual([])
    await updater.close()
  })

  test('and works leaves nothing of the check behind', async () => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const updater = world.start({ cache: 'required' })
    await world.drive(updater.ready())
    expect(await world.store.list(BASE)).toEqual([])
    await updater.close()
  })
})

test('a store that others may write to is used, with a warning (case 127)', async () => {
  const inspect = () => Promise.reject(new StoreError('ERR_STORE_EXPOSED', '/var/cache: mode 777'))
  const { world, updater } = await startedWorld({ store: { ...memoryStore(), inspect } })
  expect(corrupt(world)).toEqual(['ERR_STORE_EXPOSED'])
  expect(await namesIn(world.store, 'status')).toHaveLength(1)
  await updater.close()
})

test('a document is in the store before it is in force', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const held = memoryStore()
  let savedWhenSwapped = 0
  const saved = new Set<string>()
  const store: Store = {
    ...held,
    put: async (name, bytes) => {
      const result = await held.put(name, bytes)
      saved.add(name.slice(BASE.length).split('/')[0] ?? '')
      return result
    },
  }
  const updater = world.start({
    store,
    onChange: () => {
      if (updater.current().version === 1) savedWhenSwapped = saved.size
    },
  })
  await world.drive(updater.ready())
  expect([...saved].slice(0, 2)).toEqual(['status', 'manifest'])
  expect(savedWhenSwapped).toBe(2)
  await updater.close()
})

test('processes that share a cache and accept different versions agree on the newest after a restart (case 120)', async () => {
  const { world, updater } = await startedWorld()
  const behind = world.start()
  await behind.ready()
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  await Promise.all([updater.close(), behind.close()])
  const next = world.start()
  await next.ready()
  expect(next.current().version).toBe(2)
  await next.close()
})

test('a directory that vanishes while running is made again (case 124)', async () => {
  const { world, updater } = await startedWorld()
  for (const kind of ['status', 'manifest'])
    for (const name of await namesIn(world.store, kind)) await world.store.delete(name)
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  expect(await namesIn(world.store, 'manifest')).toHaveLength(1)
  await world.runtime.advance(DAY)
  await updater.close()
})

test('four clients on one directory that see different versions: none regresses, the next start has the newest (cases 120, 131)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-cache-'))
  const world = await createWorld({ store: fileStore(directory) })
  const history: ReadonlyMap<string, Uint8Array>[] = []
  for (let version = 1; version <= 5; version += 1) {
    await world.repository.publishManifest([host(`v${version}.example.com`)], { now: world.now() })
    history.push(world.repository.files())
  }
  const shown = [0, 0, 0, 0]
  const clients = shown.map((_, at) =>
    world.start({
      source: sourceOf(`client ${at}`, () => history[shown[at] ?? 0] ?? new Map()),
      store: fileStore(directory),
    }),
  )
  const versions = () => clients.map((client) => client.current().version)
  for (const [step, moves] of [
    [2, 0, 1, 0],
    [0, 3, 1, 2],
    [4, 1, 0, 3],
  ].entries()) {
    const before = versions()
    moves.forEach((version, at) => {
      shown[at] = version
    })
    await world.runtime.advance(1_000)
    await world.drive(Promise.all(clients.map((client) => client.refresh().catch(() => undefined))))
    expect(
      versions().every((version, at) => version >= (before[at] ?? 0)),
      `step ${step}`,
    ).toBe(true)
  }
  await Promise.all(clients.map((client) => client.close()))
  world.answers.set('roots/2.json', new Error('offline'))
  const next = world.start({ store: fileStore(directory) })
  await next.ready()
  expect(next.current().version).toBe(5)
  await next.close()
  await rm(directory, { recursive: true })
})
