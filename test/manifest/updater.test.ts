import { describe, expect, onTestFinished, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { StoreError } from '../../src/errors/errors.ts'
import type { ManifestSource, SourceListener } from '../../src/manifest/sources.ts'
import type { ManifestUpdater } from '../../src/manifest/updater.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import type { TestRuntime } from '../../src/testing/runtime.ts'
import { codeOf, createWorld, DAY, HOUR, host, pin, refusalOf, text, type World } from './world.ts'

const api = canonicalHost('api.example.com') as NonNullable<ReturnType<typeof canonicalHost>>

test('a first refresh asks for the next root, the status and the manifest, and nothing else (case 1)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  const manifest = [...world.repository.files().keys()].find((path) => path.startsWith('manifests/'))
  expect(world.requests).toEqual(['roots/2.json', 'status.json', manifest])
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1, everAccepted: true })
  expect(
    updater
      .current()
      .lookup(api, 443)
      ?.pins.map(({ spki }) => spki),
  ).toEqual([pin('one'), pin('two')])
  await updater.close()
  expect(world.runtime.pendingTimers).toBe(0)
})

test('a second refresh with nothing new makes one request and keeps the same view (case 2)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  const view = updater.current()
  world.requests.length = 0
  await world.drive(updater.refresh())
  expect(world.requests).toEqual(['status.json'])
  expect(updater.current()).toBe(view)
})

test('a new manifest is in force after a refresh, with its difference as an event', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host(), host('old.example.com')], { now: world.now() })
  let changes = 0
  const updater = world.start({
    onChange: () => {
      changes += 1
    },
  })
  await world.drive(updater.ready())
  await world.repository.publishManifest([host('api.example.com', 'two', 'three'), host('new.example.com')], {
    now: world.now(),
  })
  await world.drive(updater.refresh())
  expect(updater.current().version).toBe(2)
  expect(changes).toBe(2)
  expect(world.eventsOf('manifest.activated').at(-1)).toMatchObject({
    from: 1,
    to: 2,
    added: ['new.example.com'],
    removed: ['old.example.com'],
    changed: ['api.example.com'],
    shrunk: ['old.example.com', 'api.example.com'],
  })
})

/** Whatever needs no time to pass: the clock stands still until the promise is settled. */
async function still<T>({ runtime }: { readonly runtime: TestRuntime }, promise: Promise<T>): Promise<T> {
  let settled = false
  const done = () => {
    settled = true
  }
  promise.then(done, done)
  while (!settled) await runtime.advance(0)
  return promise
}

/** A world whose first poll is over, and no time has passed. */
async function started(overrides: Parameters<World['start']>[0] = {}, options: Parameters<typeof createWorld>[0] = {}) {
  const world = await createWorld(options)
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start(overrides)
  onTestFinished(() => updater.close())
  await still(world, updater.ready())
  await idle(world, updater)
  world.requests.length = 0
  world.events.length = 0
  return { world, updater }
}

/** No attempt is under way: the next poll is to come. */
async function idle(world: World, updater: ManifestUpdater): Promise<void> {
  while ((updater.health().nextPollAt ?? 0) <= world.now()) await world.runtime.advance(0)
}

/** Lets so many milliseconds pass, then whatever follows at that instant. */
async function pass(world: World, updater: ManifestUpdater, ms: number): Promise<void> {
  await world.runtime.advance(ms)
  await idle(world, updater)
}

/** A runtime whose random bytes are all the same. */
const constant = (runtime: TestRuntime, byte: number) => ({
  ...runtime,
  random: (length: number) => new Uint8Array(length).fill(byte),
})

/** A gate that holds back what waits at it. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

const count = (world: World, path = 'status.json') => world.requests.filter((request) => request === path).length

/** So many polls were made since the start, and no more. */
async function asked(world: World, polls: number): Promise<void> {
  while (world.eventsOf('manifest.poll').length < polls) await world.runtime.advance(0)
  for (let turn = 0; turn < 20; turn += 1) await world.runtime.advance(0)
  expect(count(world)).toBe(polls)
}

describe('polls', () => {
  test.each([
    [0x00, 225_000],
    [0x80, 300_295],
    [0xff, 375_000],
  ])('follow each other by the interval and its spread: random bytes of %i make it %i ms', async (byte, ms) => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const updater = world.start({ runtime: constant(world.runtime, byte) })
    onTestFinished(() => updater.close())
    await still(world, updater.ready())
    await idle(world, updater)
    expect(updater.health().nextPollAt).toBe(world.now() + ms)
    await pass(world, updater, ms - 1)
    expect(count(world)).toBe(1)
    await pass(world, updater, 1)
    expect(count(world)).toBe(2)
  })

  test.each([
    [0x00, 0],
    [0xff, 300_000],
  ])('of a start from a fresh cache begin within the interval: random bytes of %i make it %i ms', async (byte, ms) => {
    const { world, updater } = await started()
    await updater.close()
    const again = world.start({ runtime: constant(world.runtime, byte) })
    onTestFinished(() => again.close())
    await again.ready()
    expect(again.health().nextPollAt).toBe(world.now() + ms)
  })

  test('of a start from a stale cache begin at once', async () => {
    const { world, updater } = await started()
    await updater.close()
    await world.runtime.advance(8 * DAY)
    const again = world.start({ runtime: constant(world.runtime, 0xff) })
    onTestFinished(() => again.close())
    await again.ready()
    expect(again.health().nextPollAt).toBe(world.now())
  })

  test('come after a failure as late as the server asks', async () => {
    const { world, updater } = await started()
    world.answers.set('status.json', { status: 429, headers: { 'retry-after': '7200' } })
    await world.runtime.advance(1_000)
    await refusalOf(still(world, updater.refresh()))
    expect(updater.health().nextPollAt).toBe(world.now() + 7_200_000)
  })

  test('come after failures two intervals before the status in force ends', async () => {
    const { world, updater } = await started()
    world.answers.set('status.json', { status: 503 })
    world.runtime.setWall(world.now() + 7 * DAY - 700_000)
    await world.runtime.advance(1_000)
    await refusalOf(still(world, updater.refresh()))
    await world.runtime.advance(1_000)
    await refusalOf(still(world, updater.refresh()))
    await world.runtime.advance(1_000)
    await refusalOf(still(world, updater.refresh()))
    const { nextPollAt = 0, statusAgeMs = 0 } = updater.health()
    expect(nextPollAt - world.now()).toBe(7 * DAY - statusAgeMs - 600_000)
  })

  test('come after failures of a stale manifest by the usual pause', async () => {
    const { world, updater } = await started({})
    world.answers.set('status.json', { status: 503 })
    world.runtime.setWall(world.now() + 7 * DAY)
    await world.runtime.advance(1_000)
    await refusalOf(still(world, updater.refresh()))
    const waitMs = (updater.health().nextPollAt ?? 0) - world.now()
    expect(waitMs).toBeGreaterThanOrEqual(150_000)
    expect(waitMs).toBeLessThanOrEqual(300_000)
  })

  test('count from the poll of another process that stood for ours', async () => {
    const { world, updater } = await started({}, { store: memoryStore() })
    const other = world.start({ runtime: constant(world.runtime, 0xff) })
    onTestFinished(() => other.close())
    await other.ready()
    await world.runtime.advance(100_000)
    await still(world, other.refresh())
    const { nextPollAt = 0 } = updater.health()
    world.requests.length = 0
    const ageMs = nextPollAt - world.now()
    await pass(world, updater, ageMs)
    expect(count(world)).toBe(0)
    const waitMs = (updater.health().nextPollAt ?? 0) - world.now()
    expect(waitMs).toBeGreaterThanOrEqual(225_000 - ageMs)
    expect(waitMs).toBeLessThanOrEqual(375_000 - ageMs)
  })

  test('are one at a time: a refresh on demand takes the place of the next', async () => {
    const { world, updater } = await started()
    const timers = world.runtime.pendingTimers
    await world.runtime.advance(100_000)
    await still(world, updater.refresh())
    await idle(world, updater)
    expect(world.runtime.pendingTimers).toBe(timers)
    const { nextPollAt = 0 } = updater.health()
    expect(nextPollAt).toBeGreaterThanOrEqual(world.now() + 225_000)
    world.requests.length = 0
    await pass(world, updater, 224_999)
    expect(count(world)).toBe(0)
  })
})

describe('requests on demand', () => {
  test('after a pin mismatch lead to a refresh once in thirty seconds', async () => {
    const { world, updater } = await started()
    for (const [wait, expected] of [
      [1_000, 1],
      [29_999, 1],
      [1, 2],
      [29_999, 2],
      [1, 3],
    ] as const) {
      await world.runtime.advance(wait)
      updater.requestEarlyRefresh()
      updater.requestEarlyRefresh()
      await asked(world, expected)
      expect(world.eventsOf('manifest.poll')).toHaveLength(expected)
    }
  })

  test('after a pin mismatch that fail are told as events alone', async () => {
    const { world, updater } = await started()
    world.answers.set('status.json', { status: 503 })
    await world.runtime.advance(1_000)
    updater.requestEarlyRefresh()
    await expect.poll(() => world.runtime.advance(0).then(() => world.eventsOf('manifest.rejected').length)).toBe(1)
  })

  test('are never answered by another process’s poll', async () => {
    const { world, updater } = await started({}, { store: memoryStore() })
    const other = world.start()
    onTestFinished(() => other.close())
    await other.ready()
    await world.runtime.advance(10_000)
    await still(world, other.refresh())
    world.requests.length = 0
    await still(world, updater.refresh())
    expect(count(world)).toBe(1)
  })

  test('leave later polls to other processes again', async () => {
    const { world, updater } = await started({}, { store: memoryStore() })
    const other = world.start()
    onTestFinished(() => other.close())
    await other.ready()
    await world.runtime.advance(10_000)
    await still(world, updater.refresh())
    await idle(world, updater)
    await world.runtime.advance(10_000)
    await still(world, other.refresh())
    world.requests.length = 0
    await pass(world, updater, (updater.health().nextPollAt ?? 0) - world.now())
    expect(count(world)).toBe(0)
  })
})

describe('a root that nobody confirms', () => {
  /** The monotonic clock is put forward; nothing else of the world moves. */
  async function silent(ms: number) {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    let ahead = 0
    const { clock } = world.runtime
    const runtime = { ...world.runtime, clock: { now: clock.now, monotonic: () => clock.monotonic() + ahead } }
    const updater = world.start({ runtime })
    onTestFinished(() => updater.close())
    await still(world, updater.ready())
    await idle(world, updater)
    world.answers.set('roots/2.json', { status: 503 })
    ahead = ms
    await refusalOf(still(world, updater.refresh()))
    const later = (more: number): void => {
      ahead += more
    }
    return { world, updater, later }
  }

  test('for a week is an alarm, once a week', async () => {
    const { world, updater, later } = await silent(7 * DAY)
    const alarm = (days: number) => ({
      type: 'manifest.security',
      message: `no source confirmed the newest root for ${days} days`,
    })
    expect(world.eventsOf('manifest.security')).toEqual([alarm(7)])
    later(7 * DAY - 1)
    await refusalOf(still(world, updater.refresh()))
    expect(world.eventsOf('manifest.security')).toEqual([alarm(7)])
    later(DAY)
    await refusalOf(still(world, updater.refresh()))
    expect(world.eventsOf('manifest.security')).toEqual([alarm(7), alarm(7)])
  })

  test('for less is none', async () => {
    const { world } = await silent(7 * DAY - 1)
    expect(world.eventsOf('manifest.security')).toEqual([])
  })
})

describe('a process that was suspended', () => {
  /** The wall clock moved on while no timer ran. */
  async function suspended(lateMs: number) {
    const { world, updater } = await started()
    const { nextPollAt = 0 } = updater.health()
    await world.runtime.advance(2_000)
    world.runtime.setWall(nextPollAt + lateMs)
    world.requests.length = 0
    return { world, updater }
  }
  test.each([
    [10_000, 0],
    [10_001, 1],
  ])('polls at the first use when its poll is %i ms late: %i requests', async (lateMs, requests) => {
    for (const use of ['current', 'awake', 'health'] as const) {
      const { world, updater } = await suspended(lateMs)
      updater[use]()
      updater[use]()
      expect(updater.awake()).toBeUndefined() // what is in force still serves
      await asked(world, requests)
    }
  })

  test('past the end of its manifest has requests wait for the poll that is late, and no others', async () => {
    const { world, updater } = await started()
    world.runtime.setWall(world.now() + 15 * DAY)
    await world.repository.publishStatus({ now: world.now() })
    await world.runtime.advance(1_000)
    const waiting = updater.awake()
    expect(waiting).toBeInstanceOf(Promise)
    expect(updater.current().kind).toBe('expired')
    const timers = world.runtime.pendingTimers
    await still(world, waiting ?? Promise.reject(new Error('nothing to wait for')))
    expect(updater.current().kind).toBe('fresh')
    expect(updater.awake()).toBeUndefined()
    await idle(world, updater)
    expect(world.runtime.pendingTimers).toBeLessThanOrEqual(timers)
    expect(count(world)).toBe(1)
  })

  test('waits no longer than startupMs, and does not keep who comes later', async () => {
    const { world, updater } = await started()
    world.runtime.setWall(world.now() + 15 * DAY)
    world.answers.set('roots/2.json', 'hang').set('status.json', 'hang')
    let over = false
    void updater.awake()?.then(() => {
      over = true
    })
    await world.runtime.advance(4_000)
    expect(over).toBe(false)
    await world.runtime.advance(6_000)
    expect([over, updater.current().kind]).toEqual([true, 'expired'])
    await idle(world, updater)
    expect(updater.awake()).toBeUndefined()
  })

  test('that meets its poll in time has nobody wait', async () => {
    const { world, updater } = await started()
    world.answers.set('status.json', 'hang')
    await world.runtime.advance((updater.health().nextPollAt ?? 0) - world.now())
    while (count(world) === 0) await world.runtime.advance(0)
    world.runtime.setWall(world.now() + 15 * DAY)
    expect(updater.awake()).toBeUndefined()
  })

  test.each([
    [10_000, false],
    [10_001, true],
  ])('and meets its poll %i ms late has requests wait for it: %j', async (lateMs, waits) => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now(), ttlMs: 300_000 })
    const updater = world.start({ runtime: constant(world.runtime, 0x80) })
    onTestFinished(() => updater.close())
    await still(world, updater.ready())
    await idle(world, updater)
    const { nextPollAt = 0 } = updater.health() // after the end of the manifest
    world.answers.set('status.json', 'hang')
    await world.runtime.advance(nextPollAt - world.now() - 1)
    world.runtime.setWall(world.now() + lateMs)
    await world.runtime.advance(1)
    expect([updater.current().kind, updater.awake() !== undefined]).toEqual(['expired', waits])
  })

  test('before anything was in force does not poll more often for that', async () => {
    const world = await createWorld()
    world.answers.set('roots/2.json', { status: 503, headers: { 'retry-after': '7200' } })
    const updater = world.start()
    onTestFinished(() => updater.close())
    await still(world, updater.firstAttempt)
    await idle(world, updater)
    await world.runtime.advance(2_000)
    world.runtime.setWall(world.now() + 3 * HOUR)
    world.requests.length = 0
    expect(updater.current().kind).toBe('cold')
    await asked(world, 0)
    expect(world.requests).toEqual([])
  })
})

describe('a start', () => {
  test('with a root of another repository, environment or fingerprint throws at once', async () => {
    const world = await createWorld()
    for (const [options, code] of [
      [{ repo: 'other/pins' }, 'ERR_MANIFEST_WRONG_REPO'],
      [{ env: 'staging' }, 'ERR_MANIFEST_WRONG_ENV'],
      [{ rootFingerprint: '0'.repeat(64) }, 'ERR_MANIFEST_ROOT_FINGERPRINT'],
    ] as const) {
      expect(() => world.start(options)).toThrow(expect.objectContaining({ code }))
    }
    expect(world.requests).toEqual([])
  })

  test('with a root that does not verify has nothing in force, ever, and says why', async () => {
    const world = await createWorld()
    const envelope = JSON.parse(Buffer.from(world.repository.anchor).toString())
    envelope.signatures[0].signature = 'A'.repeat(86)
    const updater = world.start({ root: text(JSON.stringify({ ...envelope, signatures: [envelope.signatures[0]] })) })
    onTestFinished(() => updater.close())
    const refused = await refusalOf(updater.ready())
    const { code, kind, message } = refused
    expect(code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
    expect(await refusalOf(still(world, updater.refresh()))).toBe(refused)
    expect(world.events).toStrictEqual([{ type: 'manifest.rejected', code, kind, message }])
    expect(updater.health()).toMatchObject({ state: 'cold', lastError: { code, message, at: world.now() } })
    expect([updater.expiries(), updater.health().nextPollAt, world.requests]).toEqual([[], undefined, []])
    await updater.firstAttempt
  })

  test('with a cache that is required and cannot be written to has nothing in force', async () => {
    const world = await createWorld()
    const put = () => Promise.reject(new StoreError('ERR_STORE_WRITE', 'x: EROFS'))
    const updater = world.start({ store: { ...memoryStore(), put }, cache: 'required' })
    onTestFinished(() => updater.close())
    expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_CACHE_REQUIRED')
    expect(world.requests).toEqual([])
  })

  test('that meets a fault of ours does not hide it', async () => {
    const world = await createWorld()
    const fault = new RangeError('a bug')
    const updater = world.start({ store: { ...world.store, list: () => Promise.reject(fault) } })
    await expect(still(world, updater.refresh())).rejects.toBe(fault)
    await expect(updater.close()).rejects.toBe(fault)
  })

  test('from the cache announces what is in force as all new', async () => {
    const { world, updater } = await started()
    await updater.close()
    world.events.length = 0
    const again = world.start()
    onTestFinished(() => again.close())
    await again.ready()
    expect(world.eventsOf('manifest.activated')).toMatchObject([{ from: 0, to: 1, added: ['api.example.com'] }])
  })

  test('that once had a manifest does not go back to the one that is shipped', async () => {
    const { world, updater } = await started()
    const files = world.repository.files()
    await updater.close()
    const keys = [await generateSigningKey()]
    await world.repository.rotateRoot({ now: world.now(), roles: { manifest: { keys, threshold: 1 } } })
    const [name = ''] = await world.store.list(`${(await baseOf(world.store)).join('/')}/manifest/`)
    await world.store.put(name.replace(/manifest\/.*/, 'roots/000002.json'), world.repository.root())
    world.events.length = 0
    const bootstrap = {
      name: 'shipped',
      get: async (path: string) => {
        const bytes = files.get(path)
        return { status: bytes === undefined ? 404 : 200, headers: {}, bytes: bytes ?? text('') }
      },
    }
    world.answers.set('roots/3.json', new Error('offline'))
    const again = world.start({ bootstrap })
    onTestFinished(() => again.close())
    await still(world, again.firstAttempt)
    expect(again.current()).toMatchObject({ kind: 'cold', version: 0, everAccepted: true })
    expect(world.eventsOf('manifest.bootstrap')).toEqual([])
  })

  test('tells of the manifest that is shipped, or of why it is refused', async () => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const files = world.repository.files()
    const get = async (path: string) => {
      const bytes = files.get(path)
      return { status: bytes === undefined ? 404 : 200, headers: {}, bytes: bytes ?? text('') }
    }
    world.answers.set('roots/2.json', new Error('offline'))
    const updater = world.start({ bootstrap: { name: 'shipped', get }, store: memoryStore() })
    await still(world, updater.firstAttempt)
    expect(world.events[0]).toEqual({ type: 'manifest.bootstrap', version: 1, expires: world.now() + 90 * DAY })
    await updater.close()
    world.events.length = 0
    files.set('status.json', text('{}'))
    const refused = world.start({ bootstrap: { name: 'shipped', get }, store: memoryStore() })
    await still(world, refused.firstAttempt)
    expect(world.events[0]).toStrictEqual({
      type: 'manifest.rejected',
      code: 'ERR_MANIFEST_ENVELOPE_SHAPE',
      kind: 'publisher',
      message: expect.stringMatching(/^status: /),
      source: 'shipped status.json',
    })
    await refused.close()
  })

  test('tells of a shipped manifest whose root was over when its status was issued', async () => {
    const world = await createWorld({ rootTtlMs: DAY })
    await world.runtime.advance(2 * DAY)
    await world.repository.publishManifest([host()], { now: world.now() })
    const [bootstrap] = world.source.mirrors
    const updater = world.start({ bootstrap })
    onTestFinished(() => updater.close())
    await still(world, updater.firstAttempt)
    expect(world.events[0]).toStrictEqual({
      type: 'manifest.rejected',
      code: 'ERR_MANIFEST_ROOT_EXPIRED',
      kind: 'publisher',
      message: expect.stringMatching(/^root 1: /),
    })
  })

  test('whose shipped manifest meets a fault of ours does not hide it', async () => {
    const world = await createWorld()
    const emit = ({ type }: { readonly type: string }) => {
      if (type === 'manifest.bootstrap') throw new RangeError('a bug')
    }
    await world.repository.publishManifest([host()], { now: world.now() })
    const [bootstrap] = world.source.mirrors
    const updater = world.start({ emit, bootstrap })
    await expect(still(world, updater.refresh())).rejects.toThrow(RangeError)
    await expect(updater.close()).rejects.toThrow(RangeError)
  })
})

/** The folders that lead to what a store holds. */
async function baseOf(store: Store): Promise<readonly string[]> {
  const { cacheBase } = await import('../../src/manifest/cache.ts')
  expect(await store.list(cacheBase('acme/pins', 'prod'))).toBeDefined()
  return cacheBase('acme/pins', 'prod').replace(/\/$/, '').split('/')
}

describe('a source that says when there is news', () => {
  async function watched() {
    const told: SourceListener[] = []
    const calls: string[] = []
    const source = (world: World): ManifestSource => ({
      mirrors: world.source.mirrors,
      watch: (listener) => {
        told.push(listener)
        return () => calls.push('unwatched')
      },
      close: async () => void calls.push('closed'),
    })
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const updater = world.start({ source: source(world) })
    onTestFinished(() => updater.close())
    await still(world, updater.ready())
    await idle(world, updater)
    world.events.length = 0
    world.requests.length = 0
    return { world, updater, calls, listener: told[0] ?? expect.fail('not watched') }
  }

  test('is asked for it', async () => {
    const { world, updater, listener } = await watched()
    await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
    await world.runtime.advance(1_000)
    listener.changed()
    await expect.poll(() => world.runtime.advance(0).then(() => updater.current().version)).toBe(2)
  })

  test('and has none is told as an event alone', async () => {
    const { world, listener } = await watched()
    world.answers.set('status.json', { status: 503 })
    await world.runtime.advance(1_000)
    listener.changed()
    await expect.poll(() => world.runtime.advance(0).then(() => world.eventsOf('manifest.rejected').length)).toBe(1)
  })

  test('or that it will not is told', async () => {
    const { world, listener } = await watched()
    listener.warn('/etc/pins', 'mounted by itself')
    expect(world.events).toEqual([{ type: 'manifest.source', source: '/etc/pins', message: 'mounted by itself' }])
  })

  test('is not heard after the end, and closed last', async () => {
    const { world, updater, listener, calls } = await watched()
    await updater.close()
    await updater.close()
    listener.changed()
    listener.warn('/etc/pins', 'mounted by itself')
    expect(calls).toEqual(['unwatched', 'closed'])
    expect(world.events).toEqual([{ type: 'manifest.closed' }])
    expect([world.runtime.pendingTimers, world.requests]).toEqual([0, []])
  })
})

describe('the end', () => {
  const closed = [{ type: 'manifest.closed' }]

  test('refuses everything, and leaves what was in force as closed', async () => {
    const { world, updater } = await started()
    const queued = codeOf(updater.refresh()) // a second after the first attempt
    await updater.close()
    expect(await queued).toBe('ERR_MANIFEST_CLOSED')
    expect(updater.current()).toMatchObject({ kind: 'closed', version: 1 })
    expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_CLOSED')
    expect(await codeOf(updater.refresh())).toBe('ERR_MANIFEST_CLOSED')
    expect(updater.awake()).toBeUndefined()
    updater.requestEarlyRefresh()
    await world.runtime.advance(DAY)
    expect([world.requests, world.events, world.runtime.pendingTimers]).toEqual([[], closed, 0])
  })

  test('waits for what is under way, and closes the source after it', async () => {
    const { opened, open } = gate()
    const calls: string[] = []
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const store: Store = {
      ...memoryStore(),
      put: async () => {
        calls.push('writes')
        await opened
        calls.push('written')
        return 'written'
      },
    }
    const source: ManifestSource = { mirrors: world.source.mirrors, close: async () => void calls.push('closed') }
    const updater = world.start({ store, source })
    while (calls.length === 0) await world.runtime.advance(0)
    const ending = updater.close()
    open()
    await ending
    expect(calls.slice(0, 2)).toEqual(['writes', 'written'])
    expect(calls.at(-1)).toBe('closed')
    expect(world.runtime.pendingTimers).toBe(0)
  })

  test.each<[string, Partial<Store>]>([
    ['is read', {}],
    ['turns out to be broken', { list: () => Promise.reject(new StoreError('ERR_STORE_READ', 'x: EIO')) }],
  ])('is the last event, though it comes while the cache %s', async (_, broken) => {
    const { opened, open } = gate()
    const world = await createWorld()
    const store: Store = {
      ...memoryStore(),
      ...broken,
      inspect: () => opened,
    }
    const asked: string[] = []
    const get = (path: string) => {
      asked.push(path)
      return Promise.reject(new Error('offline'))
    }
    const updater = world.start({ store, bootstrap: { name: 'shipped', get } })
    const waiting = codeOf(updater.ready())
    const ending = updater.close()
    open()
    await ending
    expect(await waiting).toBe('ERR_MANIFEST_CLOSED')
    expect(world.events).toEqual(closed)
    expect([asked, world.requests, world.runtime.pendingTimers]).toEqual([[], [], 0])
  })

  test('is the last event, though a cache that is required turns out to be broken', async () => {
    const world = await createWorld()
    const put = () => Promise.reject(new StoreError('ERR_STORE_WRITE', 'x: EROFS'))
    const updater = world.start({ store: { ...memoryStore(), put }, cache: 'required' })
    await updater.close()
    expect(world.events).toEqual(closed)
  })

  test('is the last event, though it comes while the shipped manifest is read', async () => {
    const { opened, open } = gate()
    const world = await createWorld()
    const get = () => {
      open()
      return new Promise<never>(() => undefined)
    }
    const updater = world.start({ bootstrap: { name: 'shipped', get } })
    await opened
    await updater.close()
    expect(world.events).toEqual(closed)
    expect([world.requests, world.runtime.pendingTimers]).toEqual([[], 0])
  })
})

test('what ends if nobody acts is told of what is in force', async () => {
  const { world, updater } = await started()
  const { status, root, manifest } = { status: 7 * DAY, root: 400 * DAY, manifest: 90 * DAY }
  const begun = world.now()
  expect(updater.expiries().map(({ notAfter }) => notAfter - begun)).toEqual([root, status, manifest])
  expect(updater.time()).toBe(toUnixMs(begun))
  world.runtime.setWall(begun - DAY)
  expect(updater.time()).toBe(begun)
})

test('what is about to be in force is shown before it is, and the change is told in its tick', async () => {
  const seen: string[] = []
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater: ManifestUpdater = world.start({
    beforeActivation: ({ version }) => seen.push(`${updater.current().version} before ${version}`),
    onChange: () => seen.push(`now ${updater.current().version}`),
  })
  onTestFinished(() => updater.close())
  await still(world, updater.ready())
  expect(seen).toEqual(['0 before 1', 'now 1'])
})
