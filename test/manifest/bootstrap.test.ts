import { describe, expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { loadBootstrap } from '../../src/manifest/bootstrap.ts'
import type { ManifestCode } from '../../src/manifest/refusal.ts'
import { parseAnchor, verifyAnchor } from '../../src/manifest/root.ts'
import type { Mirror } from '../../src/manifest/sources.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { createWorld, DAY, forge, host, payloadOf, pin, sourceOf, startedWorld, text, type World } from './world.ts'

/** What was published so far, as it lies beside the application; `change` is what happened to it there. */
function shippedBy({ repository }: World, change: (files: Map<string, Uint8Array>) => unknown = () => {}): Mirror {
  const files = repository.files()
  change(files)
  const [mirror] = sourceOf('shipped:/', () => files).mirrors
  return mirror ?? expect.fail('a source without mirrors')
}

async function worldWithManifest() {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  return world
}

function goOffline(world: World): void {
  for (const path of ['status.json', 'roots/2.json']) world.answers.set(path, new Error('offline'))
}

const api = canonicalHost('api.example.com') ?? expect.fail('no host')
const rejections = (world: World) => world.eventsOf('manifest.rejected').map((event) => 'code' in event && event.code)

test('a shipped manifest serves at a cold start without network, though its status is long expired (case 135)', async () => {
  const world = await worldWithManifest()
  const bootstrap = shippedBy(world)
  await world.repository.publishStatus({ now: world.now(), deny: [{ spki: pin('one'), reason: 'stolen' }] })
  const withDeny = shippedBy(world)
  goOffline(world)
  await world.runtime.advance(60 * DAY)
  for (const [mirror, denies] of [
    [bootstrap, 0],
    [withDeny, 1],
  ] as const) {
    world.events.length = 0
    const updater = world.start({ bootstrap: mirror, store: memoryStore() })
    await world.drive(updater.firstAttempt)
    const { manifest } = world.repository.versions()
    expect(updater.current()).toMatchObject({ kind: 'cold', version: manifest, everAccepted: false })
    expect(updater.current().lookup(api, 443)).toEqual(host())
    expect(updater.current().denies.length).toBe(denies)
    expect(updater.current().bootstrapUntil).toBeGreaterThan(world.now())
    expect(world.eventsOf('manifest.bootstrap')).toMatchObject([{ version: 1 }])
    expect(rejections(world)).toEqual(['ERR_MANIFEST_FETCH_NETWORK'])
    await updater.close()
  }
})

test('a shipped repository is followed from root to root', async () => {
  const world = await worldWithManifest()
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['status', 'manifest'] })
  await world.repository.publishManifest([host('later.example.com')], { now: world.now() })
  goOffline(world)
  const updater = world.start({ bootstrap: shippedBy(world) })
  await world.drive(updater.firstAttempt)
  expect(updater.current().lookup(canonicalHost('later.example.com') ?? api, 443)).toBeDefined()
  await updater.close()
})

test('what the source serves takes over', async () => {
  const world = await worldWithManifest()
  const bootstrap = shippedBy(world)
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  const updater = world.start({ bootstrap })
  await world.drive(updater.ready())
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 2 })
  expect(updater.current().bootstrapUntil).toBeUndefined()
  expect(updater.current().lookup(api, 443)).toBeUndefined()
  await updater.close()
})

test('once a manifest was accepted, the shipped one never serves again, not even past the expiry of that', async () => {
  const { world, updater } = await startedWorld()
  const bootstrap = shippedBy(world)
  await updater.close()
  goOffline(world)
  await world.runtime.advance(20 * DAY)
  world.events.length = 0
  const again = world.start({ bootstrap })
  await world.drive(again.firstAttempt)
  expect(again.current()).toMatchObject({ kind: 'expired', everAccepted: true })
  expect(again.current().bootstrapUntil).toBeUndefined()
  expect(world.eventsOf('manifest.bootstrap')).toEqual([])
  await again.close()
})

const nameOf = (files: Map<string, Uint8Array>, kind: string): string =>
  [...files.keys()].find((path) => path.startsWith(kind)) ?? ''

test.each<[string, (files: Map<string, Uint8Array>, world: World) => unknown, string]>([
  [
    'a manifest that another key signed',
    (files, { repository }) => {
      const path = nameOf(files, 'manifests/')
      files.set(path, forge(payloadOf(files.get(path)), 'manifest', repository.roles().status.keys))
    },
    'ERR_MANIFEST_LENGTH_MISMATCH',
  ],
  [
    'a manifest with one byte changed',
    (files) => {
      const path = nameOf(files, 'manifests/')
      files.set(
        path,
        text(
          Buffer.from(files.get(path) ?? [])
            .toString()
            .replace('"payload":"ewog', '"payload":"ewkg'),
        ),
      )
    },
    'ERR_MANIFEST_HASH_MISMATCH',
  ],
  [
    'a status that another key signed',
    (files, { repository }) => {
      files.set('status.json', forge(payloadOf(files.get('status.json')), 'status', repository.roles().manifest.keys))
    },
    'ERR_MANIFEST_SIG_THRESHOLD',
  ],
  ['no manifest', (files) => files.delete(nameOf(files, 'manifests/')), 'ERR_MANIFEST_FETCH_HTTP'],
  ['nothing', (files) => files.clear(), 'ERR_MANIFEST_FETCH_HTTP'],
  ['a root that is none', (files) => files.set('roots/2.json', text('{}')), 'ERR_MANIFEST_ENVELOPE_SHAPE'],
])('a shipped repository with %s is refused, and told (case 135)', async (_, change, code) => {
  const world = await worldWithManifest()
  goOffline(world)
  const updater = world.start({ bootstrap: shippedBy(world, (files) => change(files, world)) })
  await world.drive(updater.firstAttempt)
  expect(updater.current()).toMatchObject({ kind: 'cold', version: 0 })
  expect(updater.current().bootstrapUntil).toBeUndefined()
  expect(rejections(world)[0]).toBe(code)
  await updater.close()
})

test('a shipped manifest that has expired is refused: ERR_MANIFEST_EXPIRED', async () => {
  const world = await worldWithManifest()
  goOffline(world)
  await world.runtime.advance(91 * DAY)
  const updater = world.start({ bootstrap: shippedBy(world) })
  await world.drive(updater.firstAttempt)
  expect(updater.current().version).toBe(0)
  expect(rejections(world)[0]).toBe('ERR_MANIFEST_EXPIRED')
  await updater.close()
})

describe('reading what is shipped', () => {
  /** So many that they go into blobs. */
  const MANY = Array.from({ length: 5_000 }, (_, at) => host(`h${at}.example.com`))
  const publishMany = async () => {
    const world = await createWorld()
    await world.repository.publishManifest(MANY, { now: world.now() })
    return world
  }
  const published = publishMany()

  /** Loads what was published so far, and says what was asked for and how much of it would have been read. */
  async function load(world: World, change: (files: Map<string, Uint8Array>) => unknown = () => {}) {
    const shipped = shippedBy(world, change)
    const asked: unknown[] = []
    const get: Mirror['get'] = (path, limits) => {
      asked.push([path, limits.maxBytes])
      return shipped.get(path, limits)
    }
    const anchor = await verifyAnchor(parseAnchor(world.repository.anchor, {}))
    const { signal } = new AbortController()
    const loading = loadBootstrap(anchor, { name: 'shipped:/', get }, world.runtime, signal)
    return { loading, asked }
  }

  const lengthOf = (document: Uint8Array | undefined): number => {
    const { payload } = JSON.parse(Buffer.from(document ?? []).toString()) as { payload: string }
    return Buffer.from(payload, 'base64url').length
  }

  test('asks for one document after the other, and for no more of each than it may have', async () => {
    const world = await worldWithManifest()
    await world.repository.rotateRoot({ now: world.now() })
    await world.repository.publishManifest(MANY, { now: world.now() })
    const { loading, asked } = await load(world)
    const { manifest } = await loading
    const files = world.repository.files()
    const paths = [...files.keys()]
    const named = paths.find((path) => path.startsWith('manifests/2.')) ?? ''
    const blobs = paths.filter((path) => path.startsWith('blobs/'))
    expect(manifest.hosts.size).toBe(5_000)
    expect(asked).toEqual([
      ['roots/2.json', 65_536],
      ['roots/3.json', 65_536],
      ['status.json', 65_536],
      [named, Math.ceil((lengthOf(files.get(named)) * 4) / 3) + 65_536],
      ...blobs.map((path) => [path, 1_048_576]),
    ])
  })

  const absent: ManifestCode = 'ERR_MANIFEST_FETCH_HTTP'
  test.each<[string, (files: Map<string, Uint8Array>) => unknown, object]>([
    [
      'a status that is not there',
      (files) => files.delete('status.json'),
      { code: absent, document: 'status', message: 'status: answered HTTP 404', source: 'shipped:/ status.json' },
    ],
    [
      'a status of another form',
      (files) => files.set('status.json', text('{}')),
      { code: 'ERR_MANIFEST_ENVELOPE_SHAPE', document: 'status', source: 'shipped:/ status.json' },
    ],
    [
      'a status that is too long',
      (files) => files.set('status.json', new Uint8Array(65_537)),
      { code: 'ERR_MANIFEST_FETCH_TOO_LARGE', document: 'status', source: 'shipped:/ status.json' },
    ],
    [
      'a manifest that is not there',
      (files) => files.delete(nameOf(files, 'manifests/')),
      {
        code: absent,
        document: 'manifest',
        source: expect.stringMatching(/^shipped:\/ manifests\/1\.[0-9a-f]{64}\.json$/),
      },
    ],
    [
      'a manifest of another form',
      (files) => files.set(nameOf(files, 'manifests/'), text('{}')),
      { document: 'manifest', source: expect.stringMatching(/^shipped:\/ manifests\/1\./) },
    ],
    [
      'a blob that is not there',
      (files) => files.delete(nameOf(files, 'blobs/')),
      { code: absent, document: 'blob', source: expect.stringMatching(/^shipped:\/ blobs\/[0-9a-f]{64}\.json$/) },
    ],
    [
      'a blob of another length',
      (files) => files.set(nameOf(files, 'blobs/'), text('[]')),
      {
        code: 'ERR_MANIFEST_BLOB_LENGTH_MISMATCH',
        document: 'blob',
        source: expect.stringMatching(/^shipped:\/ blobs\//),
      },
    ],
    [
      'a root of another form',
      (files) => files.set('roots/2.json', text('{}')),
      { code: 'ERR_MANIFEST_ENVELOPE_SHAPE', document: 'root', source: 'shipped:/ roots/2.json' },
    ],
    [
      'a root that is too long',
      (files) => files.set('roots/2.json', new Uint8Array(65_537)),
      { code: 'ERR_MANIFEST_FETCH_TOO_LARGE', document: 'root', source: 'shipped:/ roots/2.json' },
    ],
  ])('is refused for %s, which is named', async (_, change, refused) => {
    const { loading } = await load(await published, change)
    await expect(loading).rejects.toMatchObject(refused)
  })

  test('is refused for a root that cannot be read, which may hide a newer one', async () => {
    const world = await worldWithManifest()
    const anchor = await verifyAnchor(parseAnchor(world.repository.anchor, {}))
    const shipped = shippedBy(world)
    const get: Mirror['get'] = async (path, limits) =>
      path === 'roots/2.json' ? { status: 500, headers: {}, bytes: new Uint8Array() } : shipped.get(path, limits)
    const loading = loadBootstrap(anchor, { name: 'x', get }, world.runtime, new AbortController().signal)
    await expect(loading).rejects.toMatchObject({ code: absent, document: 'root', source: 'x roots/2.json' })
  })
})
