import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { EventOf } from '../../src/events/events.ts'
import type { ManifestUpdater } from '../../src/manifest/updater.ts'
import { fileStore } from '../../src/stores/file.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { createWorld, HOUR, host, pin, type World } from './world.ts'

const POLL = 'status.json'

async function directoryStore(): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-peers-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return fileStore(directory)
}

/** Several processes of one host, each with an updater of its own, all past their first poll. */
async function startPeers(count: number, options: { store?: Store; spread?: number } = {}) {
  const { store = memoryStore(), spread = 0 } = options
  const world = await createWorld({ store })
  const poll = { interval: 300, spread }
  await world.repository.publishManifest([host()], { now: world.now() })
  await world.repository.publishStatus({ now: world.now(), poll })
  const peers = Array.from({ length: count }, () => world.start())
  onTestFinished(async () => void (await Promise.all(peers.map((peer) => peer.close()))))
  await world.drive(Promise.all(peers.map((peer) => peer.ready())))
  await idle(world, peers)
  world.requests.length = 0
  world.events.length = 0
  const polls = () => world.eventsOf('manifest.poll') as EventOf<'manifest.poll'>[]
  const publish = async (name: string) => {
    await world.repository.publishManifest([host(name)], { now: world.now() })
    await world.repository.publishStatus({ now: world.now(), poll })
  }
  return { world, peers, polls, publish, asked: () => world.requests.filter((path) => path === POLL).length }
}

/** No attempt is under way: each peer knows when it polls next. Files are read outside of the fake time. */
async function idle(world: World, peers: readonly ManifestUpdater[]): Promise<void> {
  const isIdle = () => peers.every((peer) => (peer.health().nextPollAt ?? 0) > world.now())
  await expect.poll(isIdle, { interval: 1, timeout: 15_000 }).toBe(true)
}

async function pass(world: World, peers: readonly ManifestUpdater[], ms: number, step: number): Promise<void> {
  for (const end = world.now() + ms; world.now() < end; ) {
    await world.runtime.advance(step)
    await idle(world, peers)
  }
}

test('sixteen processes on one directory ask about once an interval, and all have what is new after one', async () => {
  const { world, peers, asked, polls, publish } = await startPeers(16, { store: await directoryStore(), spread: 0.25 })
  await pass(world, peers, 3 * HOUR, 2_000)
  const intervals = (3 * HOUR) / 300_000
  expect(asked()).toBeGreaterThanOrEqual(intervals * 0.7)
  expect(asked()).toBeLessThanOrEqual(intervals * 2)
  expect(polls().filter(({ result }) => result === 'shared').length).toBeGreaterThan(asked() * 5)
  await publish('new.example.com')
  await pass(world, peers, 375_000 + 2_000, 2_000)
  expect(peers.map((peer) => peer.current().version)).toEqual(peers.map(() => 2))
  expect(world.requests.filter((path) => path.startsWith('manifests/')).length).toBeLessThanOrEqual(8)
}, 120_000)

test('a deny that another process stored acts here without a request', async () => {
  const { world, peers, publish, polls } = await startPeers(2)
  await publish('new.example.com')
  await world.repository.publishStatus({
    now: world.now(),
    deny: [{ spki: pin('one'), reason: 'leaked' }],
    poll: { interval: 300, spread: 0 },
  })
  const [first, second] = peers as [ManifestUpdater, ManifestUpdater]
  await world.refresh(first)
  world.requests.length = 0
  await world.runtime.advance((second.health().nextPollAt ?? 0) - world.now())
  await idle(world, peers)
  expect(second.current()).toMatchObject({ version: 2, denies: [{ spki: pin('one') }] })
  expect([world.requests, polls().at(-1)?.result]).toEqual([[], 'shared'])
})

test('refresh() asks the source whatever other processes found', async () => {
  const { world, peers, asked } = await startPeers(2)
  for (const peer of peers) await world.refresh(peer)
  expect(asked()).toBe(2)
})

test.each<[string, (status: Uint8Array) => Uint8Array]>([
  ['is not signed', () => new TextEncoder().encode('{}')],
  ['has a flipped bit', (bytes) => bytes.map((byte, at) => (at === 60 ? byte ^ 1 : byte))],
])(
  'what another process stored is verified: a status that %s is not used, and the source is asked',
  async (_, spoil) => {
    const { world, peers, publish, asked } = await startPeers(2)
    const [first, second] = peers as [ManifestUpdater, ManifestUpdater]
    await publish('new.example.com')
    await world.refresh(first)
    const names = [...(await namesIn(world.store, 'status'))].sort()
    const newest = names.at(-1) as string
    const stored = (await world.store.get(newest)) as Uint8Array
    await world.store.delete(newest)
    await world.store.put(newest, spoil(stored))
    world.requests.length = 0
    world.events.length = 0
    await world.runtime.advance((second.health().nextPollAt ?? 0) - world.now())
    await idle(world, peers)
    expect(second.current().version).toBe(2)
    expect(asked()).toBeGreaterThanOrEqual(1)
    expect(world.eventsOf('manifest.rejected')).toEqual([])
  },
)

test('a note from the future keeps nobody from asking', async () => {
  const { world, peers, asked } = await startPeers(1)
  await plant(world, world.now() + HOUR)
  await pass(world, peers, 380_000, 5_000)
  expect(asked()).toBeGreaterThanOrEqual(1)
})

test.each([
  [290_000, 0],
  [310_000, 1],
])(
  'a note that is %i ms old leaves %i requests to make: one interval is how long it counts',
  async (ageMs, requests) => {
    const { world, peers, asked } = await startPeers(1)
    await world.runtime.advance(2_000)
    await plant(world, world.now())
    world.runtime.setWall(world.now() + ageMs - 298_000) // the poll is due in as many more
    await world.runtime.advance(298_000)
    await idle(world, peers)
    expect(asked()).toBe(requests)
  },
)

test('whoever may write to the cache cannot keep a process from asking for more than an hour', async () => {
  const { world, peers, asked } = await startPeers(1)
  for (const end = world.now() + 1.5 * HOUR; world.now() < end; ) {
    await plant(world, world.now())
    await pass(world, peers, 20_000, 20_000)
  }
  expect(asked()).toBeGreaterThanOrEqual(1)
  expect(asked()).toBeLessThanOrEqual(3) // the notes were believed in between, or this test shows nothing
})

test('after a failure the source is asked, whatever others found', async () => {
  const { world, peers, asked } = await startPeers(2)
  const [first, second] = peers as [ManifestUpdater, ManifestUpdater]
  world.answers.set(POLL, { status: 503 })
  await expect(world.refresh(second)).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP' })
  world.answers.clear()
  await world.refresh(first)
  world.requests.length = 0
  await world.runtime.advance((second.health().nextPollAt ?? 0) - world.now())
  await idle(world, peers)
  expect(asked()).toBe(1)
})

test('notes do not pile up', async () => {
  const { world, peers } = await startPeers(2)
  for (let round = 0; round < 10; round += 1) await world.refresh(peers[round % 2] as ManifestUpdater)
  await plant(world, world.now() + 10 * HOUR)
  await world.refresh(peers[0] as ManifestUpdater)
  await expect.poll(async () => (await namesIn(world.store, 'polls')).length).toBeLessThanOrEqual(4)
})

async function namesIn(store: Store, kind: string): Promise<readonly string[]> {
  const { createHash } = await import('node:crypto')
  return store.list(`${createHash('sha256').update('acme/pins').digest('hex').slice(0, 16)}/prod/${kind}/`)
}

/** A note as another process writes it, claiming that the status in force is the newest. */
async function plant(world: World, at: number): Promise<void> {
  const [note] = (await namesIn(world.store, 'polls')).slice(-1)
  const status = note?.split('.').at(-1)
  const prefix = note?.replace(/[^/]*$/, '')
  await world.store.put(`${prefix}${String(at).padStart(16, '0')}.${'ab'.repeat(4)}.${status}`, new Uint8Array())
}
