import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../src/errors/errors.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { type AcceptedStatus, verifyManifest, verifyStatus, withHosts } from '../../src/manifest/accept.ts'
import { cacheBase, createCache, newestFirst, parseName, rootName } from '../../src/manifest/cache.ts'
import { checkBlob, readNoBlob } from '../../src/manifest/hosts.ts'
import { acceptRoot, parseAnchor, type TrustedRoot, verifyAnchor } from '../../src/manifest/root.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { HostInput, StatusInput } from '../../src/publisher/documents.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { DAY, forge, host, payloadOf, pin, text } from './world.ts'

const NOW = Date.UTC(2026, 0, 1)
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')
const BASE = `${sha256('acme/pins').slice(0, 16)}/prod/`
const failure = (message = 'x: EIO') => new StoreError('ERR_STORE_READ', message)

/** A repository, a cache of what it published, and everything that the store is asked. */
async function stage(own: Partial<Store> = {}, seed = 'one') {
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: NOW })
  const anchor = await verifyAnchor(parseAnchor(repository.anchor, {}))
  const runtime = createTestRuntime({ now: NOW, seed })
  const held = memoryStore()
  const asked: string[] = []
  const events: ClientEvent[] = []
  const store: Store = {
    get: (name) => {
      asked.push(`get ${name}`)
      return held.get(name)
    },
    put: (name, bytes) => {
      asked.push(`put ${name}`)
      return held.put(name, bytes)
    },
    list: (prefix) => {
      asked.push(`list ${prefix}`)
      return held.list(prefix)
    },
    delete: (name) => {
      asked.push(`delete ${name}`)
      return held.delete(name)
    },
    ...own,
  }
  const open = (overrides: Partial<Store> = {}, runtimeOf = runtime) =>
    createCache({
      store: { ...store, ...overrides },
      repo: 'acme/pins',
      env: 'prod',
      runtime: runtimeOf,
      emit: (event) => events.push(event),
    })
  const cache = open()
  let root: TrustedRoot = anchor
  const bytesAt = (path: string) => repository.files().get(path) ?? expect.fail(`nothing at ${path}`)
  const status = () => verifyStatus(bytesAt('status.json'), root)
  const manifest = async () => {
    const path = [...repository.files().keys()].filter((name) => name.startsWith('manifests/')).at(-1) ?? ''
    return withHosts(await verifyManifest(bytesAt(path), root), readNoBlob)
  }
  const now = () => runtime.clock.now()
  return {
    repository,
    anchor,
    runtime,
    held,
    asked,
    events,
    open,
    cache,
    status,
    manifest,
    load: (overrides: Partial<Store> = {}) => open(overrides).load(anchor),
    /** Publishes the next manifest with its status, and keeps both; or one of them. */
    keep: async (hosts: readonly HostInput[] = [host()], members: object = {}) => {
      await repository.publishManifest(hosts, { now: now(), members })
      const documents = { status: await status(), manifest: await manifest() }
      await cache.saveStatus(documents.status)
      await cache.saveManifest(documents.manifest)
      return documents
    },
    keepStatus: async (members: Partial<StatusInput> = {}, ttlMs = 7 * DAY): Promise<AcceptedStatus> => {
      await repository.publishStatus({ now: now(), members, ttlMs })
      const made = await status()
      await cache.saveStatus(made)
      return made
    },
    rotate: async (given: Partial<Parameters<typeof repository.rotateRoot>[0]> = {}): Promise<TrustedRoot> => {
      await repository.rotateRoot({ now: now(), ...given })
      root = await acceptRoot(repository.root(), root, toUnixMs(Number.MAX_SAFE_INTEGER))
      await cache.saveRoot(root)
      return root
    },
    names: async (kind: string) => (await held.list(`${BASE}${kind}/`)).toSorted(),
  }
}

const digits = (value: number, length: number): string => String(value).padStart(length, '0')
const nameOf = (
  kind: 'status' | 'manifest',
  { epoch, version, rootVersion, sha256: hash }: Pick<AcceptedStatus, 'epoch' | 'version' | 'rootVersion' | 'sha256'>,
): string =>
  `${BASE}${kind}/${digits(epoch, 6)}.${digits(version, 16)}.${digits(rootVersion, 6)}.${hash.slice(0, 16)}.json`

describe('a name', () => {
  test('says what is below it', () => {
    expect(cacheBase('acme/pins', 'prod')).toBe(BASE)
    expect(rootName(BASE, 2)).toBe(`${BASE}roots/000002.json`)
    expect(rootName('', 1_234_567)).toBe('roots/1234567.json')
  })

  const hash = '0123456789abcdef'
  const name = `a/status/000003.0000000000000002.000001.${hash}.json`
  test('of a document says epoch, version and root', () => {
    expect(parseName(name)).toEqual({ name, epoch: 3, version: 2, rootVersion: 1 })
    const longest = `/9007199254740991.9007199254740991.9007199254740991.${hash}.json`
    expect(parseName(longest)).toMatchObject({ epoch: 9007199254740991, rootVersion: 9007199254740991 })
  })

  test.each([
    name.slice('a/status/'.length),
    `${name}.tmp`,
    name.replace('000003', '00003'),
    name.replace('.0000000000000002', '.000000000000002'),
    name.replace('.0000000000000002', '.00000000000000002'),
    name.replace('000001', '00001'),
    name.replace('000003', '00000000000000003'),
    name.replace('.000001', '.00000000000000001'),
    name.replace(hash, hash.slice(1)),
    name.replace(hash, `0${hash}`),
    name.replace(hash, hash.toUpperCase()),
    name.replace('.json', 'xjson'),
    name.replace('000003.', '000003x'),
    name.replace('.000001', 'x000001'),
    name.replace(`.${hash}`, `x${hash}`),
  ])('that is %s is none of a document', (other) => {
    expect(parseName(other)).toBeUndefined()
  })

  test('sorts by epoch, version and root, the newest first', () => {
    const stored = (epoch: number, version: number, rootVersion: number) => ({ name: '', epoch, version, rootVersion })
    const newest = [stored(2, 1, 1), stored(1, 9, 1), stored(1, 8, 3), stored(1, 8, 2)]
    for (const mixed of [newest.toReversed(), [2, 0, 3, 1].map((at) => newest[at] ?? newest[0])]) {
      expect(mixed.flatMap((one) => one ?? []).sort(newestFirst)).toEqual(newest)
    }
  })
})

describe('saving', () => {
  test('keeps the exact bytes under names of epoch, version, root and hash', async () => {
    const { keep, rotate, keepStatus, names, held } = await stage()
    const first = await keep()
    const root = await rotate()
    const second = await keepStatus()
    expect(await names('roots')).toEqual([`${BASE}roots/000002.json`])
    expect(await held.get(`${BASE}roots/000002.json`)).toEqual(root.bytes)
    expect(await names('status')).toEqual([nameOf('status', first.status), nameOf('status', second)])
    expect(second.rootVersion).toBe(2)
    expect(await held.get(nameOf('status', second))).toEqual(second.bytes)
    expect(await names('manifest')).toEqual([nameOf('manifest', first.manifest)])
    expect(await held.get(nameOf('manifest', first.manifest))).toEqual(first.manifest.bytes)
  })

  test('what is there already is left alone', async () => {
    const { keep, cache, asked } = await stage()
    const { status, manifest } = await keep()
    expect(asked.splice(0)).toEqual([`put ${nameOf('status', status)}`, `put ${nameOf('manifest', manifest)}`])
    await cache.saveStatus(status)
    const name = nameOf('status', status)
    expect(asked).toEqual([`put ${name}`, `get ${name}`])
  })

  test('other bytes under its name are garbage, and replaced', async () => {
    const { keep, cache, asked, held } = await stage()
    const { status } = await keep()
    const name = nameOf('status', status)
    await held.delete(name)
    await held.put(name, text('{}'))
    asked.length = 0
    await cache.saveStatus(status)
    expect(asked).toEqual([`put ${name}`, `get ${name}`, `delete ${name}`, `put ${name}`])
    expect(await held.get(name)).toEqual(status.bytes)
  })

  test('what somebody deleted meanwhile is written again', async () => {
    const { keep, open, held } = await stage()
    const { status } = await keep()
    const name = nameOf('status', status)
    let first = true
    const put: Store['put'] = async (...file) => {
      if (!first) return held.put(...file)
      first = false
      await held.delete(name)
      return 'exists'
    }
    await open({ put }).saveStatus(status)
    expect(await held.get(name)).toEqual(status.bytes)
  })

  test('blobs are kept unless the store ends with the process', async () => {
    const bytes = text('[]')
    const reference = { sha256: sha256(bytes), length: bytes.length }
    const blob = checkBlob(bytes, reference, { document: 'blob' })
    const { cache, open, names } = await stage()
    await open({ volatile: true }).blobs.save(reference, blob)
    expect(await names('blobs')).toEqual([])
    await cache.blobs.save(reference, blob)
    expect(await names('blobs')).toEqual([`${BASE}blobs/${sha256(bytes)}.json`])
    expect(await cache.blobs.load(reference)).toEqual(bytes)
  })
})

describe('a store that fails', () => {
  test.each(['get', 'put', 'list', 'delete'] as const)(
    'at %s is told and otherwise as if it were empty',
    async (operation) => {
      const { keep, open, events, anchor } = await stage()
      const documents = await keep()
      const other = { ...documents.status, bytes: text('{}') }
      const cache = open({ [operation]: () => Promise.reject(failure()) })
      await cache.saveStatus(other)
      const { known } = await cache.load(anchor)
      await cache.prune({ active: undefined, denies: [] })
      expect(await cache.clientId()).toMatch(/^[0-9a-f]{32}$/)
      expect(events.length).toBeGreaterThan(0)
      for (const event of events)
        expect(event).toEqual({ type: 'manifest.cacheError', code: 'ERR_STORE_READ', message: 'x: EIO' })
      expect(known.status === undefined).toBe(operation === 'get' || operation === 'list')
    },
  )

  test('otherwise than a store does is a fault that is not hidden', async () => {
    const { load } = await stage()
    await expect(load({ list: () => Promise.reject(new RangeError('a bug')) })).rejects.toThrow(RangeError)
  })

  test('to be safe from others is told at the start, and used', async () => {
    const { keep, load, events } = await stage()
    await keep()
    const inspect = () => Promise.reject(new StoreError('ERR_STORE_EXPOSED', '/x: mode 777'))
    expect((await load({ inspect })).active).toBeDefined()
    expect(events).toEqual([{ type: 'manifest.cacheError', code: 'ERR_STORE_EXPOSED', message: '/x: mode 777' }])
  })
})

describe('loading', () => {
  test('nothing knows the anchor and nothing else', async () => {
    const { load, anchor, events } = await stage()
    expect(await load()).toStrictEqual({ known: { root: anchor, denies: [], everAccepted: false } })
    expect(events).toEqual([])
  })

  test('finds the newest documents, and what they forbid', async () => {
    const { keep, keepStatus, load, runtime, anchor, events } = await stage()
    await keep()
    await runtime.advance(1_000)
    const { manifest } = await keep()
    await runtime.advance(1_000)
    const status = await keepStatus()
    await runtime.advance(5_000)
    const { known, active, ...rest } = await load()
    const { version, sha256: hash, payload } = manifest
    expect(known).toStrictEqual({
      root: anchor,
      denies: [],
      everAccepted: true,
      timeFloor: { issuedAt: NOW + 2_000, acceptedAt: 7_000 },
      status,
      floor: { version, sha256: hash, current: 2, revocations: payload.revocations, expires: payload.expires },
    })
    expect([active?.status.sha256, active?.manifest.sha256]).toEqual([status.sha256, hash])
    expect([version, rest, events]).toEqual([2, {}, []])
  })

  test('takes the time from whichever document was issued last', async () => {
    const { keep, load, repository, cache, manifest, status, runtime } = await stage()
    await keep()
    await repository.publishManifest([host()], { now: NOW + 9_000, status: false })
    await cache.saveManifest(await manifest())
    expect((await load()).known.timeFloor).toEqual({ issuedAt: NOW + 9_000, acceptedAt: runtime.clock.monotonic() })
    expect((await status()).payload.issuedAt).toBe(NOW)
  })

  test('does not go by the order in which a store lists', async () => {
    const { keep, load, held } = await stage()
    for (let version = 1; version <= 3; version += 1) await keep()
    for (const order of [
      (names: readonly string[]) => names.toSorted(),
      (names: readonly string[]) => names.toSorted().reverse(),
      ([first = '', second = '', third = '']: readonly string[]) => [second, third, first],
    ]) {
      const list: Store['list'] = async (prefix) => order(await held.list(prefix))
      const { known, active } = await load({ list })
      expect([known.status?.version, known.floor?.version, active?.manifest.version]).toEqual([3, 3, 3])
    }
  })

  test('passes over a document that does not verify, and says which', async () => {
    const { keep, load, held, events } = await stage()
    await keep()
    const { manifest } = await keep()
    const name = nameOf('manifest', manifest)
    await held.delete(name)
    await held.put(name, text('{}'))
    const { known, active } = await load()
    expect([known.status?.version, known.floor?.version, active?.manifest.version]).toEqual([2, 1, 1])
    expect(events).toEqual([
      {
        type: 'manifest.cacheError',
        code: 'ERR_MANIFEST_CACHE_CORRUPT',
        message: expect.stringMatching(new RegExp(`^${name}: ignored; manifest: `)),
      },
    ])
  })

  test('reads no more than 256 documents of a kind', async () => {
    const { load, held, asked } = await stage()
    for (let version = 1; version <= 300; version += 1) {
      await held.put(`${BASE}status/000001.${digits(version, 16)}.000001.${'0'.repeat(16)}.json`, text('{}'))
    }
    await load()
    const read = asked.filter((entry) => entry.startsWith(`get ${BASE}status/`))
    expect(read).toHaveLength(256)
    expect(read.at(-1)).toContain(`.${digits(45, 16)}.`)
  })

  test('passes over in silence what another process takes away meanwhile', async () => {
    const { keep, load, held, events } = await stage()
    await keep()
    const get: Store['get'] = async (name) => (name.includes('/status/') ? undefined : held.get(name))
    const { known } = await load({ get })
    expect([known.status, known.floor?.version, events]).toEqual([undefined, 1, []])
  })

  test('takes no name at its word: a genuine old document under a newer one’s name is old', async () => {
    const { keep, load, held } = await stage()
    const [first, second, third] = [await keep(), await keep(), await keep()]
    for (const kind of ['status', 'manifest'] as const) {
      const [one, two] = [first[kind], second[kind]]
      await held.put(nameOf(kind, { ...one, version: 9 }), one.bytes)
      await held.put(nameOf(kind, { ...two, epoch: 9 }), two.bytes)
    }
    const { known, active } = await load()
    expect(known).toMatchObject({ status: { version: 3 }, floor: { version: 3, sha256: third.manifest.sha256 } })
    expect(active).toMatchObject({ status: { version: 3 }, manifest: { version: 3 } })
  })

  test('does not read what a root that it does not have stands behind', async () => {
    const { load, held, asked, events } = await stage()
    await held.put(`${BASE}status/000001.${digits(1, 16)}.000002.${'0'.repeat(16)}.json`, text('{}'))
    await load()
    expect(asked.filter((entry) => entry.startsWith(`get ${BASE}status/`))).toEqual([])
    expect(events).toEqual([])
  })
})

describe('stored roots', () => {
  test('are followed from the anchor, whenever they were issued', async () => {
    const { load, rotate, runtime } = await stage()
    await rotate({ now: NOW + 400 * DAY, ttlMs: DAY })
    await rotate({ now: NOW + 400 * DAY, ttlMs: DAY })
    expect(runtime.clock.now()).toBe(NOW)
    expect((await load()).known.root.version).toBe(3)
  })

  test('end at the first that does not follow, and it is told', async () => {
    const { load, rotate, held, events, repository } = await stage()
    await rotate()
    await rotate()
    await held.delete(`${BASE}roots/000002.json`)
    await held.put(`${BASE}roots/000002.json`, repository.root()) // the third
    expect((await load()).known.root.version).toBe(1)
    expect(events).toEqual([
      {
        type: 'manifest.cacheError',
        code: 'ERR_MANIFEST_CACHE_CORRUPT',
        message: expect.stringMatching(new RegExp(`^${BASE}roots/000002.json: ignored; root 3: `)),
      },
    ])
  })

  test('a document is judged by the root of its name and in force under the newest', async () => {
    const { load, rotate, keep } = await stage()
    const { status, manifest } = await keep()
    await rotate()
    const { known, active } = await load()
    expect([status.rootVersion, manifest.rootVersion]).toEqual([1, 1])
    expect(known.status).toMatchObject({ rootVersion: 1 })
    expect([active?.status.rootVersion, active?.manifest.rootVersion]).toEqual([2, 2])
  })

  test('that rotated a key away leave what it signed as a floor', async () => {
    for (const role of ['status', 'manifest'] as const) {
      const { load, rotate, keep, events } = await stage()
      await keep()
      await rotate({ roles: { [role]: { keys: [await generateSigningKey()], threshold: 1 } } })
      const { known, active } = await load()
      expect([active, known.status?.version, known.floor?.version]).toEqual([undefined, 1, 1])
      expect(events).toEqual([])
    }
  })

  test('that raised the epoch of the status leave of older ones the denies', async () => {
    const { load, rotate, keep, keepStatus } = await stage()
    await keep()
    await keepStatus({ deny: [{ spki: pin('one'), reason: 'stolen' }] })
    await rotate({ raiseEpoch: ['status'] })
    const { known, active } = await load()
    expect([known.status, active, known.everAccepted, known.denies.length]).toEqual([undefined, undefined, true, 1])
    expect(known.floor).toMatchObject({ version: 1, current: 1 })
    expect(known.timeFloor?.issuedAt).toBe(NOW)
    const next = await keepStatus()
    expect((await load()).known.status).toMatchObject({ version: 1, epoch: 2, sha256: next.sha256 })
  })

  test('that raised the epoch of the manifest leave no floor of older ones', async () => {
    const { load, rotate, keep } = await stage()
    await keep()
    await keep()
    await rotate({ raiseEpoch: ['manifest'] })
    const { known, active } = await load()
    expect([known.floor, active, known.everAccepted]).toEqual([undefined, undefined, true])
    expect(known.status).toMatchObject({ version: 2 })
    const { manifest } = await keep()
    const after = await load()
    expect(after.known.floor).toMatchObject({ version: 1, sha256: manifest.sha256 })
    expect(after.active?.manifest).toMatchObject({ version: 1, epoch: 2 })
  })

  test('that raised both epochs leave no time to go by', async () => {
    const { load, rotate, keep } = await stage()
    await keep()
    await rotate({ raiseEpoch: ['manifest', 'status'] })
    expect((await load()).known).not.toHaveProperty('timeFloor')
  })
})

describe('what is in force again', () => {
  test('is nothing while a status alone, or a manifest alone, is there', async () => {
    const { keep, held, load, names } = await stage()
    await keep()
    const [status = ''] = await names('status')
    const bytes = (await held.get(status)) as Uint8Array
    await held.delete(status)
    expect(await load()).toMatchObject({ known: { everAccepted: true, floor: { version: 1, current: 1 } } })
    expect((await load()).active).toBeUndefined()
    await held.put(status, bytes)
    for (const name of await names('manifest')) await held.delete(name)
    const { known, active } = await load()
    expect([known.status?.version, known.floor, active]).toEqual([1, undefined, undefined])
  })

  test('is never an older manifest than the newest that was accepted', async () => {
    const { keep, load, names, held } = await stage()
    await keep()
    await keep()
    const [, second = ''] = await names('status')
    await held.delete(second)
    const { known, active } = await load()
    expect([known.floor, active]).toMatchObject([{ version: 2, current: 1 }, undefined])
  })

  test('stays as fresh as the status that named it when a newer one names what is not held', async () => {
    const { keep, load, repository, cache, status } = await stage()
    await keep()
    await repository.publishManifest([host('new.example.com')], { now: NOW })
    await cache.saveStatus(await status())
    const { known, active } = await load()
    expect(known).toMatchObject({ status: { version: 2 }, floor: { version: 1, current: 1 } })
    expect(active).toMatchObject({ status: { version: 1 }, manifest: { version: 1 } })
  })

  test('is a canary too, beside the current manifest', async () => {
    const { keep, load, repository, cache, status, manifest } = await stage()
    await keep()
    await repository.publishManifest([host('new.example.com')], { now: NOW, status: { canaryPercent: 10, salt: 'x' } })
    await cache.saveStatus(await status())
    await cache.saveManifest(await manifest())
    const { known, active } = await load()
    expect(known.floor).toMatchObject({ version: 2, current: 1 })
    expect(active).toMatchObject({ status: { version: 2 }, manifest: { version: 2 } })
  })

  test('is the canary of before, as fresh as the status that aborted it', async () => {
    const { keep, load, repository, cache, status, manifest, keepStatus } = await stage()
    await keep()
    await repository.publishManifest([host('new.example.com')], { now: NOW, status: { canaryPercent: 10, salt: 'x' } })
    await cache.saveStatus(await status())
    await cache.saveManifest(await manifest())
    await keepStatus({ canary: undefined } as never)
    const { known, active } = await load()
    expect(known.floor).toMatchObject({ version: 2, current: 1 })
    expect(active).toMatchObject({ status: { version: 3 }, manifest: { version: 2 } })
  })

  test('is not as fresh as a status that names an older manifest of an epoch that is over', async () => {
    const { keep, load, rotate, cache, repository, anchor } = await stage()
    await keep()
    await rotate({ raiseEpoch: ['manifest'] })
    await keep()
    const { status } = await keep()
    const lagging = {
      ...status.payload,
      version: 9,
      manifest: { ...status.payload.manifest, version: 1, sha256: '0'.repeat(64) },
    }
    const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
    const wire = { ...lagging, issuedAt: iso(lagging.issuedAt), expires: iso(lagging.expires) }
    await cache.saveStatus(await verifyStatus(forge(wire, 'status', repository.roles().status.keys), anchor))
    const { known, active } = await load()
    expect(known.status).toMatchObject({ version: 9, manifestEpoch: 1 })
    expect(active).toMatchObject({ status: { version: status.version }, manifest: { version: 2, epoch: 2 } })
  })

  test('is as fresh as the newest status that names it as current, beside whichever canary', async () => {
    const { keep, load, repository, cache, status } = await stage()
    await keep()
    await repository.publishManifest([host('new.example.com')], { now: NOW, status: { canaryPercent: 10, salt: 'x' } })
    await cache.saveStatus(await status())
    const { known, active } = await load()
    expect(known.floor).toMatchObject({ version: 1, current: 1 })
    expect(active).toMatchObject({ status: { version: 2 }, manifest: { version: 1 } })
  })

  test('is not as fresh as a status that names another manifest of its version', async () => {
    const { keep, load, repository, cache, anchor } = await stage()
    const { status } = await keep()
    const { manifest: pointer } = status.payload
    const changed = { ...payloadOf(status.bytes), version: 2, manifest: { ...pointer, sha256: '0'.repeat(64) } }
    await cache.saveStatus(await verifyStatus(forge(changed, 'status', repository.roles().status.keys), anchor))
    const { known, active } = await load()
    expect(known.status?.version).toBe(2)
    expect(active).toMatchObject({ status: { version: 1 }, manifest: { version: 1 } })
  })

  test('is nothing that a status names under another version', async () => {
    const { keep, load, repository, cache, anchor, manifest } = await stage()
    const { status } = await keep()
    const { manifest: pointer } = status.payload
    const changed = { ...payloadOf(status.bytes), version: 2, manifest: { ...pointer, version: 9 } }
    await cache.saveStatus(await verifyStatus(forge(changed, 'status', repository.roles().status.keys), anchor))
    const { known, active } = await load()
    expect([known.status?.version, known.floor?.version, active]).toEqual([2, 1, undefined])
    expect((await manifest()).version).toBe(1)
  })

  const many = Array.from({ length: 4_500 }, (_, at) => host(`h${at}.example.com`))
  async function withBlobs() {
    const staged = await stage()
    const { repository, cache, anchor } = staged
    await repository.publishManifest(many, { now: NOW })
    const files = [...repository.files()]
    const bytesOf = (kind: string) => files.filter(([path]) => path.startsWith(kind)).map(([, bytes]) => bytes)
    const blobs = new Map(bytesOf('blobs/').map((bytes) => [sha256(bytes), bytes]))
    await cache.saveStatus(await staged.status())
    const signed = await verifyManifest(bytesOf('manifests/')[0] ?? text(''), anchor)
    await cache.saveManifest(
      await withHosts(signed, async (reference) =>
        checkBlob(blobs.get(reference.sha256) ?? text(''), reference, { document: 'blob' }),
      ),
    )
    return { ...staged, blobs }
  }

  test('has all its blobs, or is a floor', async () => {
    const { load, held, blobs, events } = await withBlobs()
    for (const [hash, bytes] of blobs) {
      const { known, active } = await load()
      expect([known.floor?.version, active]).toEqual([1, undefined])
      await held.put(`${BASE}blobs/${hash}.json`, bytes)
    }
    expect((await load()).active?.manifest.hosts.size).toBe(4_500)
    expect(events).toEqual([])
  })

  test('a fault that is none of the documents’ is not hidden', async () => {
    const { load, held } = await withBlobs()
    const get: Store['get'] = (name) =>
      name.includes('/blobs/') ? Promise.reject(new RangeError('a bug')) : held.get(name)
    await expect(load({ get })).rejects.toThrow(RangeError)
  })
})

describe('denies', () => {
  const deny = (seed: string) => [{ spki: pin(seed), reason: 'stolen' }]

  test('of every kept status hold, whichever is the newest', async () => {
    const { keep, keepStatus, load } = await stage()
    await keep()
    await keepStatus({ deny: deny('one') })
    await keepStatus({ deny: deny('two') })
    await keepStatus({ deny: [] })
    expect((await load()).known.denies.map(({ spki }) => spki)).toEqual([pin('one'), pin('two')])
  })

  test('that were said again in a later epoch hold with its words', async () => {
    const { keep, keepStatus, load, rotate } = await stage()
    await keep()
    await keep()
    await keepStatus({ deny: [{ spki: pin('one'), reason: 'lost' }] })
    await rotate({ raiseEpoch: ['status'] })
    await keepStatus({ deny: [{ spki: pin('one'), reason: 'found in the wild' }] })
    expect((await load()).known.denies).toMatchObject([{ spki: pin('one'), reason: 'found in the wild' }])
  })

  test('that a manifest of later took back are over', async () => {
    const { keep, keepStatus, load } = await stage()
    await keep()
    await keepStatus({ deny: deny('one') })
    await keep([host()], { undeny: [pin('one')] })
    await keep()
    expect((await load()).known.denies).toEqual([])
  })

  test('that were said again after a manifest took them back hold', async () => {
    const { keep, keepStatus, load } = await stage()
    await keep()
    await keepStatus({ deny: deny('one') })
    await keep([host()], { undeny: [pin('one')] })
    await keep()
    await keepStatus({ deny: deny('one') })
    expect((await load()).known.denies).toMatchObject([{ spki: pin('one'), manifestVersion: 3 }])
  })
})

describe('a directory that others change while it is read', () => {
  /** A store whose listing is another one each time. */
  const restless = (held: Store): Partial<Store> => {
    let count = 0
    return {
      list: async (prefix) => {
        const names = await held.list(prefix)
        if (!prefix.endsWith('status/')) return names
        count += 1
        return [...names, `${BASE}status/000001.${digits(count, 16)}.000009.${'0'.repeat(16)}.json`]
      },
    }
  }
  const readsOf = (asked: readonly string[]) => asked.filter((entry) => entry === `get ${BASE}roots/000002.json`).length

  test('is read five times at most', async () => {
    const { load, held, asked } = await stage()
    const { known } = await load(restless(held))
    expect([readsOf(asked), known.everAccepted]).toEqual([5, false])
  })

  test('is read once when that found a manifest, or nobody changed it', async () => {
    const { load, held, asked, keep } = await stage()
    await load()
    expect(readsOf(asked)).toBe(1)
    asked.length = 0
    await keep()
    await load(restless(held))
    expect(readsOf(asked)).toBe(1)
  })

  test('is read again when manifests came in between', async () => {
    const { load, held, keep, asked } = await stage()
    await keep()
    const [name = ''] = await held.list(`${BASE}manifest/`)
    const bytes = (await held.get(name)) as Uint8Array
    await held.delete(name)
    const get: Store['get'] = async (path) => {
      asked.push(`get ${path}`)
      if (path.includes('/status/')) await held.put(name, bytes) // after the manifests were read
      return held.get(path)
    }
    expect((await load({ get })).active?.manifest.version).toBe(1)
    expect(readsOf(asked)).toBe(2)
  })
})

describe('pruning', () => {
  const versionsOf = (names: readonly string[]) => names.map((name) => Number(name.split('.')[1]))
  const IDLE = { active: undefined, denies: [] }

  test('keeps the four newest of each kind', async () => {
    const { keep, cache, names, asked } = await stage()
    for (let version = 1; version <= 6; version += 1) await keep()
    asked.length = 0
    await cache.prune(IDLE)
    expect(versionsOf(await names('status'))).toEqual([3, 4, 5, 6])
    expect(versionsOf(await names('manifest'))).toEqual([3, 4, 5, 6])
    expect(asked.filter((entry) => entry.startsWith('get'))).toEqual([])
  })

  test('keeps what is in force', async () => {
    const { keep, cache, names } = await stage()
    const active = await keep()
    for (let version = 2; version <= 6; version += 1) await keep()
    await cache.prune({ active, denies: [] })
    expect(versionsOf(await names('status'))).toEqual([1, 3, 4, 5, 6])
    expect(versionsOf(await names('manifest'))).toEqual([1, 3, 4, 5, 6])
  })

  test('keeps a status for as long as a deny of its own holds, and no manifest for that', async () => {
    const { keep, keepStatus, cache, names } = await stage()
    await keep([host('api.example.com', 'stolen', 'two')])
    await keepStatus({ deny: [{ spki: pin('stolen'), reason: 'stolen' }] })
    for (let version = 2; version <= 6; version += 1) {
      await keep([host('api.example.com', 'stolen', 'two')])
      await keepStatus({ deny: [] })
    }
    const holding = { spki: pin('stolen'), reason: 'stolen', manifestEpoch: 1, manifestVersion: 1 }
    const other = { ...holding, spki: pin('other') }
    await cache.prune({ active: undefined, denies: [other, holding] })
    expect(versionsOf(await names('status'))).toEqual([2, 9, 10, 11, 12])
    expect(versionsOf(await names('manifest'))).toEqual([3, 4, 5, 6])
    await cache.prune({ active: undefined, denies: [other] })
    expect(versionsOf(await names('status'))).toEqual([9, 10, 11, 12])
  })

  test('takes no status that cannot be read now: it may hold a deny', async () => {
    const { keep, keepStatus, open, load, names } = await stage()
    await keep()
    const denied = await keepStatus({ deny: [{ spki: pin('stolen'), reason: 'stolen' }] })
    for (let version = 3; version <= 8; version += 1) await keepStatus({ deny: [] })
    const { known } = await load()
    const get = () => Promise.reject(new StoreError('ERR_STORE_READ', 'x: EMFILE'))
    await open({ get }).prune({ active: undefined, denies: known.denies })
    expect(await names('status')).toContain(nameOf('status', denied))
    expect((await load()).known.denies).toMatchObject([{ spki: pin('stolen') }])
  })

  test('leaves files of another format where they are', async () => {
    const { keep, cache, held, asked } = await stage()
    const later = `${BASE}status/later-format`
    await held.put(later, text('{}'))
    const kept = []
    for (let version = 1; version <= 6; version += 1) kept.push(await keep())
    await cache.prune(IDLE)
    expect(await held.get(later)).toBeDefined()
    const gone = kept.slice(0, 2)
    expect(asked.filter((entry) => entry.startsWith('delete')).toSorted()).toEqual(
      [
        ...gone.map(({ status }) => nameOf('status', status)),
        ...gone.map(({ manifest }) => nameOf('manifest', manifest)),
      ]
        .map((name) => `delete ${name}`)
        .toSorted(),
    )
  })

  test('takes nothing while the store cannot be listed', async () => {
    const { open, runtime, asked } = await stage()
    const cache = open({ list: () => Promise.reject(failure()) })
    await cache.prune(IDLE)
    await runtime.advance(600_000)
    await cache.prune(IDLE)
    expect(asked).toEqual([])
  })

  test('takes the blobs of manifests that are gone', async () => {
    const { keep, cache, held, runtime, names } = await stage()
    await keep()
    const [used, unused] = [text('["used"]'), text('["unused"]')]
    for (const blob of [used, unused]) await held.put(`${BASE}blobs/${sha256(blob)}.json`, blob)
    const payload = Buffer.from(JSON.stringify({ blobs: [{ sha256: sha256(used) }] })).toString('base64url')
    await held.put(
      `${BASE}manifest/000001.${digits(7, 16)}.000001.${'0'.repeat(16)}.json`,
      text(JSON.stringify({ payload })),
    )
    await cache.prune(IDLE)
    await runtime.advance(600_000)
    await cache.prune(IDLE)
    expect(await names('blobs')).toEqual([`${BASE}blobs/${sha256(used)}.json`])
  })
})

describe('the id of the clients that share a cache', () => {
  test('is random, written once, and the same for all', async () => {
    const { cache, open, held } = await stage()
    const id = await cache.clientId()
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(Buffer.from((await held.get(`${BASE}id`)) ?? []).toString()).toBe(id)
    const other = open({}, createTestRuntime({ seed: 'another' }))
    expect([await other.clientId(), await cache.clientId(), await other.clientId()]).toEqual([id, id, id])
  })

  test('of a cache that lost it is written again, as it was', async () => {
    const { cache, open, held } = await stage()
    const id = await cache.clientId()
    await open({}, createTestRuntime({ seed: 'another' })).clientId()
    await held.delete(`${BASE}id`)
    expect(await cache.clientId()).toBe(id)
    expect(Buffer.from((await held.get(`${BASE}id`)) ?? []).toString()).toBe(id)
  })

  test('that another process wrote is kept when the cache is lost', async () => {
    const { cache, open, held } = await stage()
    const id = await cache.clientId()
    const other = open({}, createTestRuntime({ seed: 'another' }))
    await other.clientId()
    await held.delete(`${BASE}id`)
    expect(await other.clientId()).toBe(id)
  })

  test.each(['', 'x', `${'a'.repeat(32)}\n`, 'A'.repeat(32), 'a'.repeat(31), `x${'a'.repeat(32)}`])(
    'is our own where the file holds %j',
    async (garbage) => {
      const { cache, held } = await stage()
      await held.put(`${BASE}id`, text(garbage))
      const id = await cache.clientId()
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      expect(id).not.toBe(garbage.trim())
      expect(await cache.clientId()).toBe(id)
    },
  )

  test('is asked for at the start only where a manifest has ramps', async () => {
    const { keep, load, cache, held } = await stage()
    await keep()
    expect((await load()).known).not.toHaveProperty('clientId')
    expect(await held.get(`${BASE}id`)).toBeUndefined()
    await keep([{ ...host(), rampPercent: 10 }])
    expect((await load()).known.clientId).toBe(await cache.clientId())
  })
})
