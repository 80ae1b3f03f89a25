import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import type { ManifestUpdater } from '../../src/manifest/updater.ts'
import { fileStore } from '../../src/stores/file.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { codeOf, createWorld, forge, host, payloadOf, refusalOf, startedWorld, text, type World } from './world.ts'

const SCHEMA = 'ERR_MANIFEST_PAYLOAD_SCHEMA'
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const blobOf = (...hosts: readonly unknown[]): Uint8Array => text(JSON.stringify(hosts))
const referenceTo = (bytes: Uint8Array) => ({ sha256: sha256(bytes), length: bytes.length })
const pathOf = (bytes: Uint8Array): string => `blobs/${sha256(bytes)}.json`

/** The next manifest with its hosts in these blobs, well signed; the blobs are served unless a test serves something else. */
async function publishBlobs(world: World, blobs: readonly Uint8Array[], members: object = {}): Promise<void> {
  const { repository } = world
  await repository.publishManifest([host()], { now: world.now(), status: false })
  const { manifest: version } = repository.versions()
  const path = [...repository.files().keys()].find((name) => name.startsWith(`manifests/${version}.`)) ?? ''
  const { hosts: _, ...manifest } = payloadOf(repository.files().get(path))
  const payload = text(JSON.stringify({ ...manifest, blobs: blobs.map(referenceTo), ...members }))
  const pointer = { version, ...referenceTo(payload) }
  await repository.publishStatus({ now: world.now(), members: { manifest: pointer } })
  world.serve(
    `manifests/${version}.${pointer.sha256}.json`,
    forge(payload, 'manifest', repository.roles().manifest.keys),
  )
  for (const blob of blobs) if (!world.answers.has(pathOf(blob))) world.serve(pathOf(blob), blob)
}

const find = (updater: ManifestUpdater, name: string) => {
  const canonical = canonicalHost(name)
  return canonical === undefined ? undefined : updater.current().lookup(canonical, 443)
}

/** What a client with an inline manifest in force says to one whose hosts are in these blobs. */
async function judge(blobs: readonly Uint8Array[], members: object = {}): Promise<string> {
  const { world, updater } = await startedWorld()
  const view = updater.current()
  await publishBlobs(world, blobs, members)
  const code = await codeOf(world.refresh(updater)).catch(() => 'accepted')
  if (code !== 'accepted') expect(updater.current()).toBe(view)
  await updater.close()
  return code
}

const one = blobOf(host('one.example.com'))
const two = blobOf(host('two.example.com'), host('*.wide.example.com'))

test('hosts in blobs are in force when all of them passed', async () => {
  const { world, updater } = await startedWorld()
  await publishBlobs(world, [one, two])
  world.events.length = 0
  await world.refresh(updater)
  expect(updater.current().version).toBe(2)
  expect(find(updater, 'one.example.com')).toEqual(host('one.example.com'))
  expect(find(updater, 'a.wide.example.com')?.host).toBe('*.wide.example.com')
  expect(find(updater, 'api.example.com')).toBeUndefined()
  expect(world.eventsOf('manifest.activated')).toMatchObject([
    { added: ['one.example.com', 'two.example.com', '*.wide.example.com'], removed: ['api.example.com'], changed: [] },
  ])
  await updater.close()
})

test('a blob that is not served leaves what was in force: ERR_MANIFEST_BLOB_UNAVAILABLE', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set(pathOf(two), { status: 404 })
  await publishBlobs(world, [one, two])
  const refused = await refusalOf(world.refresh(updater))
  expect(refused).toMatchObject({ code: 'ERR_MANIFEST_BLOB_UNAVAILABLE', kind: 'transient', document: 'blob' })
  expect(refused.source).toContain(pathOf(two))
  expect(find(updater, 'one.example.com')).toBeUndefined()
  expect(world.requests.filter((path) => path === pathOf(two)).length).toBe(4) // content networks lag for seconds
  world.serve(pathOf(two), two)
  await world.refresh(updater)
  expect(updater.current().version).toBe(2)
  await updater.close()
})

test('a blob of another length is refused with ERR_MANIFEST_BLOB_LENGTH_MISMATCH', async () => {
  const { world, updater } = await startedWorld()
  world.serve(pathOf(one), Buffer.concat([one, text(' ')]))
  await publishBlobs(world, [one])
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_BLOB_LENGTH_MISMATCH')
  expect(updater.current().version).toBe(1)
  await updater.close()
})

test('a blob with other content is refused with ERR_MANIFEST_BLOB_HASH_MISMATCH', async () => {
  const { world, updater } = await startedWorld()
  world.serve(pathOf(one), blobOf(host('oen.example.com')))
  await publishBlobs(world, [one])
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_BLOB_HASH_MISMATCH')
  expect(updater.current().version).toBe(1)
  await updater.close()
})

test('a blob that is longer than any may be is not read to its end: ERR_MANIFEST_FETCH_TOO_LARGE', async () => {
  const { world, updater } = await startedWorld()
  world.serve(pathOf(one), new Uint8Array(1024 * 1024 + 1))
  await publishBlobs(world, [one])
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_FETCH_TOO_LARGE')
  await updater.close()
})

const entry = JSON.stringify(host())
test.each([
  ['no list', text('{}'), SCHEMA],
  ['an entry of another form', blobOf({ ...host(), mode: 'off' }), SCHEMA],
  ['an unknown member', blobOf({ ...host(), modes: 'enforce' }), SCHEMA],
  ['no JSON', text(`[${entry}`), 'ERR_MANIFEST_PAYLOAD_JSON'],
  ['no UTF-8', Buffer.concat([one.subarray(0, -1), Uint8Array.of(0xff), text(']')]), 'ERR_MANIFEST_PAYLOAD_UTF8'],
  ['a member twice', text(`[${entry.replace('{', '{"mode":"report",')}]`), 'ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY'],
  ['13 levels', text(`${'['.repeat(13)}${']'.repeat(13)}`), 'ERR_MANIFEST_PAYLOAD_DEPTH'],
  ['one enforced pin', blobOf(host('one.example.com', 'lonely')), 'ERR_MANIFEST_NO_BACKUP_PIN'],
  ['a pin twice', blobOf(host('one.example.com', 'same', 'same')), 'ERR_MANIFEST_DUPLICATE_PIN'],
  ['a set of anchors that is not there', blobOf({ ...host(), trustAnchors: ['partner'] }), SCHEMA],
])('a blob is held to the rules of a payload: %s', async (_, bytes, code) => {
  expect(await judge([bytes])).toBe(code)
})

test('one host in two blobs is refused with ERR_MANIFEST_DUPLICATE_HOST', async () => {
  expect(await judge([one, two])).toBe('accepted')
  expect(await judge([one, blobOf(host('two.example.com'), host('one.example.com'))])).toBe(
    'ERR_MANIFEST_DUPLICATE_HOST',
  )
})

test.each([
  ['both hosts and blobs', { hosts: [host()] }, SCHEMA],
  ['no blob at all', { blobs: [] }, SCHEMA],
  ['a blob of more than 1 MiB', { blobs: [{ ...referenceTo(one), length: 1024 * 1024 + 1 }] }, SCHEMA],
  ['blobs of more than 64 MiB', { blobs: Array(65).fill({ ...referenceTo(one), length: 1024 * 1024 }) }, SCHEMA],
  ['a shard, which changes nothing', { blobs: [{ ...referenceTo(one), shard: [0, 4] }] }, 'accepted'],
  ['blobs as critical, which are understood', { critical: ['blobs'] }, 'accepted'],
])('%s', async (_, members, code) => {
  expect(await judge([one], members)).toBe(code)
})

test('200,000 hosts in blobs are read, one more is refused with ERR_MANIFEST_PAYLOAD_SCHEMA (case 77)', async () => {
  const world = await createWorld()
  const hosts = (count: number) =>
    Array.from({ length: count }, (_, at) => host(`h${at}.example.com`)).map((one) => ({ ...one, singlePin: true }))
  const updater = world.start()
  for (const [count, expected] of [
    [200_000, 200_000],
    [200_001, undefined],
  ] as const) {
    const few = hosts(count).map(({ pins: [first], ...rest }) => ({ ...rest, pins: [first] }))
    const blobs = Array.from({ length: Math.ceil(count / 5_000) }, (_, at) =>
      blobOf(...few.slice(at * 5_000, (at + 1) * 5_000)),
    )
    await publishBlobs(world, blobs)
    const refused = await refusalOf(world.refresh(updater)).catch(() => undefined)
    const tooMany = { code: SCHEMA, message: 'blob 2: a manifest has at most 200000 hosts' }
    expect(refused).toEqual(expected === undefined ? expect.objectContaining(tooMany) : undefined)
  }
  expect(updater.current().version).toBe(1)
  expect(find(updater, 'h199999.example.com')?.host).toBe('h199999.example.com')
  await updater.close()
}, 120_000)

test('loading 20,000 hosts lets others have their turn', async () => {
  const world = await createWorld()
  const hosts = Array.from({ length: 20_000 }, (_, at) => host(`h${at}.example.com`))
  await world.repository.publishManifest(hosts, { now: world.now() })
  const blobs = [...world.repository.files().keys()].filter((path) => path.startsWith('blobs/'))
  expect(blobs.length).toBeGreaterThan(3)
  const updater = world.start()
  let turns = 0
  let loading = true
  const count = (): void => {
    turns += 1
    if (loading) setImmediate(count)
  }
  setImmediate(count)
  await world.drive(updater.ready())
  loading = false
  expect(turns).toBeGreaterThan(40)
  expect(find(updater, 'h19999.example.com')?.pins.length).toBe(2)
  await updater.close()
})

test('a new manifest fetches the blobs that changed and no others', async () => {
  const { world, updater } = await startedWorld()
  await publishBlobs(world, [one, two])
  await world.refresh(updater)
  world.requests.length = 0
  const changed = blobOf(host('two.example.com', 'three', 'four'), host('*.wide.example.com'))
  await publishBlobs(world, [one, changed])
  await world.refresh(updater)
  expect(world.requests.filter((path) => path.startsWith('blobs/'))).toEqual([pathOf(changed)])
  expect(world.eventsOf('manifest.activated').at(-1)).toMatchObject({
    added: [],
    removed: [],
    changed: ['two.example.com'],
  })
  await updater.close()
})

test('a store that ends with the process keeps no blobs', async () => {
  const store = { ...memoryStore(), volatile: true }
  const { world, updater } = await startedWorld({ store })
  await publishBlobs(world, [one])
  await world.refresh(updater)
  expect(find(updater, 'one.example.com')).toBeDefined()
  const base = `${sha256(text('acme/pins')).slice(0, 16)}/prod/`
  expect(await store.list(`${base}blobs/`)).toEqual([])
  expect((await store.list(`${base}manifest/`)).length).toBe(2)
  await updater.close()
})

test('a restart without network has all blobs; a changed or lost one is fetched again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfetch-blobs-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const { world, updater } = await startedWorld({ store: fileStore(directory) })
  await publishBlobs(world, [one, two])
  await world.refresh(updater)
  await updater.close()
  const [repo = ''] = readdirSync(directory)
  const folder = join(directory, repo, 'prod', 'blobs')
  expect(readdirSync(folder).sort()).toEqual([one, two].map((blob) => `${sha256(blob)}.json`).sort())

  world.requests.length = 0
  const again = world.start()
  await again.ready()
  expect(find(again, 'two.example.com')).toBeDefined()
  expect(world.requests).toEqual([])
  await again.close()

  writeFileSync(join(folder, `${sha256(two)}.json`), blobOf(host('evil.example.com')))
  const third = world.start()
  await world.drive(third.ready())
  expect(world.eventsOf('manifest.cacheError').at(-1)).toMatchObject({ code: 'ERR_MANIFEST_CACHE_CORRUPT' })
  expect(world.requests.filter((path) => path.startsWith('blobs/'))).toEqual([pathOf(two)])
  expect(find(third, 'evil.example.com')).toBeUndefined()
  expect(find(third, 'two.example.com')).toBeDefined()
  await third.close()

  rmSync(join(folder, `${sha256(two)}.json`))
  world.requests.length = 0
  const fourth = world.start()
  await world.drive(fourth.ready())
  expect(world.requests.filter((path) => path.startsWith('blobs/'))).toEqual([pathOf(two)])
  expect(find(fourth, 'two.example.com')).toBeDefined()
  await fourth.close()
})

test('blobs go when no kept manifest names them, and not at once: another process may need them', async () => {
  const { world, updater } = await startedWorld()
  const base = `${sha256(text('acme/pins')).slice(0, 16)}/prod/blobs/`
  await publishBlobs(world, [one, two])
  await world.refresh(updater)
  for (let at = 0; at < 5; at += 1) {
    await publishBlobs(world, [two, blobOf(host(`h${at}.example.com`))])
    await world.refresh(updater)
  }
  const held = (): Promise<readonly string[]> => world.store.list(base)
  expect(await held()).toContain(`${base}${sha256(one)}.json`)
  await world.pass(11 * 60_000)
  await world.refresh(updater)
  expect(await held()).not.toContain(`${base}${sha256(one)}.json`)
  expect(await held()).toContain(`${base}${sha256(two)}.json`)
  await updater.close()
})
