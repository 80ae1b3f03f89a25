import { expect, test } from 'vitest'
import { generateSigningKey, type SigningKey } from '../../src/publisher/keys.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { codeOf, createWorld, DAY, forge, host, payloadOf, startedWorld, text, type World } from './world.ts'

const keysOf = (count: number) => Promise.all(Array.from({ length: count }, () => generateSigningKey()))

/** The next root as its publisher would make it, changed, and signed by the given keys. */
function nextRoot(world: World, signers: readonly SigningKey[], change: (root: Root) => void = () => {}): Uint8Array {
  const root = payloadOf(world.repository.root()) as unknown as Root
  root.version = world.repository.versions().root + 1
  change(root)
  return forge(root, 'root', signers)
}

interface Root {
  version: number
  issuedAt: string
  expires: string
  keys: Record<string, unknown>[]
  roles: Record<'root' | 'manifest' | 'status', { keys: string[]; threshold: number; epoch: number }>
}

function listKeys(root: Root, keys: readonly SigningKey[], threshold: number): void {
  root.keys.push(...keys.map(({ publicJwk, alg }) => ({ ...publicJwk, alg })))
  root.roles.root = { ...root.roles.root, keys: keys.map(({ kid }) => kid), threshold }
}

/** Publishes, starts, serves the bytes as root 2 and refreshes once. */
async function refreshWith(world: World, root2: Uint8Array) {
  await world.repository.publishManifest([host()], { now: world.now() })
  world.serve('roots/2.json', root2)
  const updater = world.start()
  const refreshed = world.drive(updater.refresh())
  const code = await codeOf(refreshed).catch(() => 'accepted')
  const { rootVersion } = updater.health()
  await updater.close()
  return { code, rootVersion }
}

test('an expired anchor leads to a valid newer root (case 5)', async () => {
  const world = await createWorld({ rootTtlMs: DAY })
  await world.runtime.advance(30 * DAY)
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  expect(updater.health()).toMatchObject({ state: 'fresh', rootVersion: 2 })
  await updater.close()
})

test('refuses everything under an expired newest root with ERR_MANIFEST_ROOT_EXPIRED, and keeps that root (case 6)', async () => {
  const world = await createWorld()
  await world.repository.rotateRoot({ now: world.now(), ttlMs: DAY })
  await world.runtime.advance(2 * DAY)
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_ROOT_EXPIRED')
  expect(updater.health()).toMatchObject({ state: 'cold', rootVersion: 2 })
  expect((await world.store.list(`${await storeBase(world)}roots/`)).map((name) => name.slice(-11))).toEqual([
    '000002.json',
  ])
  await updater.close()
})

test('follows three rotations of a single root key (case 7)', async () => {
  const [first, second, third] = await keysOf(3)
  const world = await createWorld({ roles: { root: { keys: [first as SigningKey], threshold: 1 } } })
  for (const key of [second, third]) {
    await world.repository.rotateRoot({
      now: world.now(),
      roles: { root: { keys: [key as SigningKey], threshold: 1 } },
    })
  }
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  expect(updater.health().rootVersion).toBe(3)
  expect(world.eventsOf('manifest.root')).toEqual([
    { type: 'manifest.root', from: 1, to: 2 },
    { type: 'manifest.root', from: 2, to: 3 },
  ])
  await updater.close()
})

test('any three of five signers will do, another three each time (case 8)', async () => {
  const keys = await keysOf(5)
  const world = await createWorld({ roles: { root: { keys, threshold: 3 } } })
  await world.repository.publishManifest([host()], { now: world.now() })
  const root = payloadOf(world.repository.anchor)
  world.serve('roots/2.json', forge({ ...root, version: 2 }, 'root', keys.slice(0, 3)))
  world.serve('roots/3.json', forge({ ...root, version: 3 }, 'root', keys.slice(2)))
  const updater = world.start({ root: forge(root, 'root', [keys[0], keys[2], keys[4]] as SigningKey[]) })
  await world.drive(updater.ready())
  expect(updater.health().rootVersion).toBe(3)
  await updater.close()
})

test.each([
  ['one key of five', 1],
  ['all keys', 5],
])('accepts a root that replaces %s, signed by old and new (cases 9, 10)', async (_, count) => {
  const old = await keysOf(5)
  const fresh = await keysOf(count)
  const world = await createWorld({ roles: { root: { keys: old, threshold: 3 } } })
  const keys = [...fresh, ...old.slice(count)]
  await world.repository.rotateRoot({ now: world.now(), roles: { root: { keys, threshold: 3 } } })
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  expect(updater.health().rootVersion).toBe(2)
  await updater.close()
})

test('accepts a threshold that rises from 1 to 2 and falls back (cases 11, 12)', async () => {
  const keys = await keysOf(2)
  const world = await createWorld({ roles: { root: { keys, threshold: 1 } } })
  await world.repository.rotateRoot({ now: world.now(), roles: { root: { keys, threshold: 2 } } })
  await world.repository.rotateRoot({ now: world.now(), roles: { root: { keys, threshold: 1 } } })
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  expect(updater.health().rootVersion).toBe(3)
  await updater.close()
})

test.each<[string, (old: SigningKey[], fresh: SigningKey[]) => SigningKey[]]>([
  ['no old key signed (case 13)', (_, fresh) => fresh],
  ['no new key signed (case 14)', (old) => old],
  ['too few new keys signed (case 15)', (old, fresh) => [...old, ...fresh.slice(0, 2)]],
  ['too few old keys signed (case 16)', (old, fresh) => [...old.slice(0, 2), ...fresh]],
])('refuses a root of other keys with ERR_MANIFEST_SIG_THRESHOLD when %s', async (_, signers) => {
  const [old, fresh] = [await keysOf(3), await keysOf(3)]
  const world = await createWorld({ roles: { root: { keys: old, threshold: 3 } } })
  const root2 = nextRoot(world, signers(old, fresh), (root) => listKeys(root, fresh, 3))
  expect(await refreshWith(world, root2)).toEqual({ code: 'ERR_MANIFEST_SIG_THRESHOLD', rootVersion: 1 })
})

test.each([
  ['a raised threshold that it does not reach itself (case 17)', 1, 2],
  ['a lowered threshold without the old one (case 18)', 2, 1],
])('refuses a root with %s with ERR_MANIFEST_SIG_THRESHOLD', async (_, before, after) => {
  const keys = await keysOf(2)
  const world = await createWorld({ roles: { root: { keys, threshold: before } } })
  const root2 = nextRoot(world, keys.slice(0, 1), ({ roles }) => {
    roles.root.threshold = after
  })
  expect((await refreshWith(world, root2)).code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
})

test('ignores signatures of unknown keys beside the threshold (case 19)', async () => {
  const world = await createWorld()
  const root2 = nextRoot(world, [...(await keysOf(2)), ...world.repository.roles().root.keys])
  expect(await refreshWith(world, root2)).toEqual({ code: 'accepted', rootVersion: 2 })
})

test.each([
  ['the same root served as the next with ERR_MANIFEST_ROOT_ROLLBACK (case 20)', 1, 'ERR_MANIFEST_ROOT_ROLLBACK'],
  ['a root that skips a version with ERR_MANIFEST_ROOT_VERSION_GAP (case 21)', 3, 'ERR_MANIFEST_ROOT_VERSION_GAP'],
])('refuses %s', async (_, version, code) => {
  const world = await createWorld()
  const root2 = nextRoot(world, world.repository.roles().root.keys, (root) => {
    root.version = version
  })
  expect(await refreshWith(world, root2)).toEqual({ code, rootVersion: 1 })
})

test('stops after 32 roots with ERR_MANIFEST_ROOT_CHAIN_TOO_LONG and goes on from there next time (case 22)', async () => {
  const world = await createWorld()
  for (let link = 0; link < 39; link += 1) await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_ROOT_CHAIN_TOO_LONG')
  expect(updater.health().rootVersion).toBe(33)
  await updater.close()
})

test('refuses a root of 70 KB with ERR_MANIFEST_FETCH_TOO_LARGE (case 23)', async () => {
  const world = await createWorld()
  const root2 = Buffer.concat([nextRoot(world, world.repository.roles().root.keys), Buffer.alloc(70_000, ' ')])
  expect((await refreshWith(world, root2)).code).toBe('ERR_MANIFEST_FETCH_TOO_LARGE')
})

test('a probe that answers 500 ends the refresh with ERR_MANIFEST_FETCH_HTTP, transient (case 24)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  world.answers.set('roots/2.json', { status: 500 })
  const updater = world.start()
  const refreshed = world.drive(updater.refresh())
  await expect(refreshed).rejects.toMatchObject({
    code: 'ERR_MANIFEST_FETCH_HTTP',
    kind: 'transient',
    document: 'root',
  })
  await updater.close()
})

test.each([[403], [410]])('a probe that answers %i has found the newest root', async (status) => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  world.answers.set('roots/2.json', { status })
  const updater = world.start()
  await world.drive(updater.ready())
  await updater.close()
})

test('refuses a new root whose role names an unknown key with ERR_MANIFEST_ROOT_KEY_UNKNOWN (case 29)', async () => {
  const world = await createWorld()
  const root2 = nextRoot(
    world,
    world.repository.roles().root.keys,
    ({ roles }) => void roles.status.keys.push('A'.repeat(43)),
  )
  expect(await refreshWith(world, root2)).toEqual({ code: 'ERR_MANIFEST_ROOT_KEY_UNKNOWN', rootVersion: 1 })
})

test('refuses a root that lowers an epoch with ERR_MANIFEST_ROOT_EPOCH_ROLLBACK (case 35)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['manifest'] })
  const lowered = { ...payloadOf(world.repository.root()), version: 3 } as unknown as Root
  lowered.roles.manifest.epoch = 1
  world.serve('roots/3.json', forge(lowered, 'root', world.repository.roles().root.keys))
  await world.runtime.advance(2 * 3_600_000)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_ROOT_EPOCH_ROLLBACK')
  expect(updater.health().rootVersion).toBe(2)
  await updater.close()
})

test.each([
  [
    'expires before it was issued with ERR_MANIFEST_TIME_INVERTED',
    { expires: '2020-01-01T00:00:00Z' },
    'ERR_MANIFEST_TIME_INVERTED',
  ],
  ['was issued tomorrow with ERR_MANIFEST_CLOCK_SKEW', { issuedAt: '2026-01-02T00:00:00Z' }, 'ERR_MANIFEST_CLOCK_SKEW'],
])('refuses a root that %s', async (_, times, code) => {
  const world = await createWorld()
  const root2 = nextRoot(world, world.repository.roles().root.keys, (root) => void Object.assign(root, times))
  expect((await refreshWith(world, root2)).code).toBe(code)
})

test('goes on under the root it has when the hinted one is missing, and says so (case 36)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishStatus({ now: world.now(), members: { root: { version: 2 } } })
  await world.refresh(updater)
  expect(updater.health()).toMatchObject({ state: 'fresh', statusVersion: 2, rootVersion: 1 })
  expect(world.eventsOf('manifest.rejected')).toEqual([
    expect.objectContaining({ code: 'ERR_MANIFEST_ROOT_UNAVAILABLE', kind: 'transient' }),
  ])
  await updater.close()
})

test('follows the hint of a status to a new root in the same refresh', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishStatus({ now: world.now() })
  world.requests.length = 0
  await world.refresh(updater)
  expect(world.requests).toEqual(['status.json', 'roots/2.json', 'roots/3.json'])
  expect(updater.health()).toMatchObject({ rootVersion: 2, statusVersion: 2 })
  await updater.close()
})

test('a rotated status key costs one more request, for the root (case 101)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now(), roles: { status: { keys: await keysOf(1), threshold: 1 } } })
  await world.repository.publishStatus({ now: world.now() })
  world.requests.length = 0
  await world.refresh(updater)
  expect(world.requests).toEqual(['status.json', 'roots/2.json'])
  expect(updater.health()).toMatchObject({ rootVersion: 2, statusVersion: 2 })
  await updater.close()
})

test('after the rotation the old status key is refused with ERR_MANIFEST_SIG_THRESHOLD (case 102)', async () => {
  const { world, updater } = await startedWorld()
  const old = world.repository.roles().status.keys
  await world.repository.rotateRoot({ now: world.now(), roles: { status: { keys: await keysOf(1), threshold: 1 } } })
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  const stolen = { ...payloadOf(world.repository.files().get('status.json')), version: 9 }
  world.serve('status.json', forge(stolen, 'status', old))
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect(updater.health().statusVersion).toBe(2)
  await updater.close()
})

test('a routine rotation keeps the floor: ERR_MANIFEST_STATUS_ROLLBACK (case 103)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  const keys = await keysOf(1)
  await world.repository.rotateRoot({ now: world.now(), roles: { status: { keys, threshold: 1 } } })
  await world.repository.publishStatus({ now: world.now(), version: 1 })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  await updater.close()
})

test('a raised epoch recovers from a status and a manifest at version 2^53−1 (case 104)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host()], {
    now: world.now(),
    version: Number.MAX_SAFE_INTEGER,
    status: false,
  })
  await world.repository.publishStatus({ now: world.now(), version: Number.MAX_SAFE_INTEGER })
  await world.refresh(updater)
  expect(updater.current().version).toBe(Number.MAX_SAFE_INTEGER)
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['status', 'manifest'] })
  await world.repository.publishManifest([host('api.example.com', 'new', 'newer')], { now: world.now(), version: 1 })
  await world.runtime.advance(3_600_001)
  await world.refresh(updater)
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
  expect(updater.health()).toMatchObject({ manifestEpoch: 2, statusVersion: 1 })
  await updater.close()
})

test('refuses a status of the old epoch with ERR_MANIFEST_STATUS_EPOCH (case 105)', async () => {
  const { world, updater } = await startedWorld()
  const old = world.repository.files().get('status.json') as Uint8Array
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['status'] })
  await world.repository.publishStatus({ now: world.now() })
  await world.runtime.advance(3_600_001)
  await world.refresh(updater)
  world.serve('status.json', old)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_EPOCH')
  await updater.close()
})

test('refuses a manifest of the old epoch with ERR_MANIFEST_EPOCH (case 100)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['manifest'] })
  await world.repository.publishStatus({ now: world.now() }) // names the manifest of epoch 1 again
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_EPOCH')
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
  await updater.close()
})

const HTML = text('<!doctype html><title>App</title>')

test('a host that answers every path with its start page raises ERR_MANIFEST_ROOT_UNREADABLE and works (case 158)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  world.serve('roots/2.json', HTML)
  const updater = world.start()
  await world.drive(updater.ready())
  expect(world.eventsOf('manifest.rejected')).toEqual([
    expect.objectContaining({ code: 'ERR_MANIFEST_ROOT_UNREADABLE' }),
  ])
  await updater.close()
})

test('the same while the status hints at that root ends with ERR_MANIFEST_ROOT_UNREADABLE (case 159)', async () => {
  const { world, updater } = await startedWorld()
  world.serve('roots/2.json', HTML)
  await world.repository.publishManifest([host('new.example.com')], { now: world.now(), status: false })
  await world.repository.publishStatus({ now: world.now(), members: { root: { version: 2 } } })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_ROOT_UNREADABLE')
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_ROOT_UNREADABLE')
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
  await updater.close()
})

test('looks for a newer root once an hour even when nothing hints at one', async () => {
  const { world, updater } = await startedWorld()
  world.requests.length = 0
  await world.runtime.advance(30 * 60_000)
  await world.refresh(updater)
  expect(world.requests).not.toContain('roots/2.json')
  await world.runtime.advance(31 * 60_000)
  await world.refresh(updater)
  expect(world.requests).toContain('roots/2.json')
  await updater.close()
})

test('a root of another repository is refused with ERR_MANIFEST_WRONG_REPO even when the same keys signed it', async () => {
  const world = await createWorld()
  const { root, manifest, status } = world.repository.roles()
  const other = await createRepository({
    repo: 'acme/other',
    env: 'prod',
    now: world.now(),
    roles: { root, manifest, status },
  })
  await other.rotateRoot({ now: world.now() })
  expect((await refreshWith(world, other.root())).code).toBe('ERR_MANIFEST_WRONG_REPO')
})

async function storeBase(world: World): Promise<string> {
  const { createHash } = await import('node:crypto')
  const { repo, env } = payloadOf(world.repository.anchor) as { repo: string; env: string }
  return `${createHash('sha256').update(repo).digest('hex').slice(0, 16)}/${env}/`
}
