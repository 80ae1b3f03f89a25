import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRepository } from '../../src/publisher/repository.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { codeOf, createWorld, DAY, forge, HOUR, host, payloadOf, sourceOf, startedWorld, type World } from './world.ts'

const statusOf = (world: World) => world.repository.files().get('status.json') as Uint8Array

/** A world at status 2, with status 1 in hand. */
async function atStatus2() {
  const started = await startedWorld()
  const { world, updater } = started
  const old = statusOf(world)
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  return { ...started, old }
}

/** The newest status, changed and signed again. */
function changed(world: World, members: object): Uint8Array {
  return forge({ ...payloadOf(statusOf(world)), ...members }, 'status', world.repository.roles().status.keys)
}

test('an older status is refused with ERR_MANIFEST_STATUS_ROLLBACK (case 78)', async () => {
  const { world, updater, old } = await atStatus2()
  world.serve('status.json', old)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  expect(world.eventsOf('manifest.rejected')).toEqual([expect.objectContaining({ kind: 'security' })])
  await updater.close()
})

test('an older status is refused even when the trusted one has expired: ERR_MANIFEST_STATUS_ROLLBACK (case 79)', async () => {
  const { world, updater, old } = await atStatus2()
  world.serve('status.json', old)
  await world.runtime.advance(8 * DAY)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  await updater.close()
})

test('another status of the same version is refused with ERR_MANIFEST_STATUS_EQUIVOCATION (case 80)', async () => {
  const { world, updater } = await atStatus2()
  world.serve('status.json', changed(world, { poll: { interval: 15, spread: 0 } }))
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_EQUIVOCATION')
  await updater.close()
})

test('an expired status is refused with ERR_MANIFEST_STATUS_EXPIRED (case 82)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  await world.runtime.advance(7 * DAY)
  const updater = world.start()
  expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_STATUS_EXPIRED')
  await updater.close()
})

test('after a long silence a fresh status is accepted (case 83)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 503 })
  await world.runtime.advance(15 * DAY)
  expect(updater.current().kind).toBe('expired')
  world.answers.delete('status.json')
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(updater.current().kind).toBe('fresh')
  await updater.close()
})

test('a 304 does not extend an expiry: ERR_MANIFEST_STATUS_EXPIRED (case 84)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 304 })
  await world.refresh(updater)
  await world.runtime.advance(7 * DAY)
  expect(updater.current().kind).toBe('stale')
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_EXPIRED')
  await updater.close()
})

test('the same status again does not extend an expiry either: ERR_MANIFEST_STATUS_EXPIRED', async () => {
  const { world, updater } = await startedWorld()
  await world.runtime.advance(7 * DAY)
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_EXPIRED')
  expect(updater.current().kind).toBe('stale')
  await updater.close()
})

test('a 304 to a client that holds nothing is refused with ERR_MANIFEST_FETCH_304_WITHOUT_CACHE (case 85)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  world.answers.set('status.json', { status: 304 })
  const updater = world.start()
  expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_FETCH_304_WITHOUT_CACHE')
  await updater.close()
})

test('the entity tag of an accepted status is sent, that of a refused one never (case 86)', async () => {
  const { world, updater, old } = await atStatus2()
  world.answers.set('status.json', { bytes: statusOf(world), headers: { etag: '"good"' } })
  await world.refresh(updater)
  world.answers.set('status.json', { bytes: old, headers: { etag: '"bad"' } })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
  await codeOf(world.refresh(updater))
  expect(world.tags).toContain('"good"')
  expect(world.tags).not.toContain('"bad"')
  await updater.close()
})

test.each([
  [
    'valid for a year with ERR_MANIFEST_STATUS_TTL_TOO_LONG (case 87)',
    { expires: '2027-01-01T00:00:00Z' },
    'ERR_MANIFEST_STATUS_TTL_TOO_LONG',
  ],
  [
    'issued tomorrow with ERR_MANIFEST_CLOCK_SKEW (case 88)',
    { issuedAt: '2026-01-02T00:00:00Z' },
    'ERR_MANIFEST_CLOCK_SKEW',
  ],
  [
    'that ends before it begins with ERR_MANIFEST_TIME_INVERTED (case 89)',
    { expires: '2025-12-31T00:00:00Z' },
    'ERR_MANIFEST_TIME_INVERTED',
  ],
  ['of another epoch with ERR_MANIFEST_STATUS_EPOCH', { epoch: 2 }, 'ERR_MANIFEST_STATUS_EPOCH'],
])('refuses a status %s', async (_, members, code) => {
  const { world, updater } = await startedWorld()
  world.serve('status.json', changed(world, { version: 2, ...members }))
  const view = updater.current()
  expect(await codeOf(world.refresh(updater))).toBe(code)
  expect(updater.current()).toBe(view)
  await updater.close()
})

test('a status issued five minutes ahead is within what clocks differ by', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishStatus({ now: world.now() + 5 * 60_000 })
  await world.refresh(updater)
  expect(updater.health().statusVersion).toBe(2)
  await updater.close()
})

test('a clock set back does not revive what expired (case 90)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 503 })
  await world.runtime.advance(15 * DAY)
  expect(updater.current().kind).toBe('expired')
  world.runtime.setWall(world.now() - 30 * DAY)
  expect(updater.current().kind).toBe('expired')
  await world.runtime.advance(HOUR)
  expect(updater.current().kind).toBe('expired')
  await updater.close()
})

test('a clock set forward expires everything until it returns, and leaves no trace (case 91)', async () => {
  const { world, updater } = await startedWorld()
  const right = world.now()
  world.runtime.setWall(right + 3_650 * DAY)
  expect(updater.current().kind).toBe('expired')
  expect(await codeOf(world.refresh(updater))).toMatch(/EXPIRED$/)
  expect(world.eventsOf('manifest.clock')).toHaveLength(1)
  world.runtime.setWall(right + 60_000)
  expect(updater.current().kind).toBe('fresh')
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(updater.health()).toMatchObject({ state: 'fresh', statusVersion: 2 })
  await updater.close()
})

test('a status that expires while its manifest is fetched is still good for that refresh (case 92)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now(), status: false })
  await world.repository.publishStatus({ now: world.now(), ttlMs: 60_000 })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/')) as string
  world.answers.set(path, () => {
    world.runtime.setWall(world.now() + 120_000)
    return { bytes: world.repository.files().get(path) as Uint8Array }
  })
  const updater = world.start()
  await world.drive(updater.refresh())
  expect(updater.current()).toMatchObject({ kind: 'stale', version: 1 })
  await updater.close()
})

test('a status that names an older manifest is refused with ERR_MANIFEST_ROLLBACK (case 93)', async () => {
  const { world, updater } = await startedWorld()
  const { manifest } = payloadOf(statusOf(world))
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  await world.refresh(updater)
  world.serve('status.json', changed(world, { version: 3, manifest }))
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_ROLLBACK')
  expect(updater.current().version).toBe(2)
  expect(updater.health().statusVersion).toBe(2)
  await updater.close()
})

test('a status that names another manifest of the same version is refused with ERR_MANIFEST_EQUIVOCATION (case 94)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('evil.example.com')], { now: world.now(), version: 1 })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_EQUIVOCATION')
  expect(updater.health().statusVersion).toBe(1)
  await updater.close()
})

test('a missing manifest is ERR_MANIFEST_UNAVAILABLE after three quick retries; the status counts all the same (case 98)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2')) as string
  world.answers.set(path, { status: 404 })
  world.requests.length = 0
  const refused = world.refresh(updater)
  await expect(refused).rejects.toMatchObject({ code: 'ERR_MANIFEST_UNAVAILABLE', kind: 'transient' })
  expect(world.requests.filter((name) => name === path)).toHaveLength(4)
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1 })
  expect(updater.health().statusVersion).toBe(2)
  await updater.close()
})

test('a status whose manifest is withheld does not keep the old manifest fresh', async () => {
  const { world, updater } = await startedWorld()
  await world.runtime.advance(6 * DAY)
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2')) as string
  world.answers.set(path, { status: 404 })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_UNAVAILABLE')
  await world.runtime.advance(DAY)
  expect(updater.current()).toMatchObject({ kind: 'stale', version: 1 })
  await updater.close()
})

test('a manifest that shows up late, as on a content network, is taken by a quick retry', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2')) as string
  world.answers.set(path, () => {
    world.answers.delete(path)
    return { status: 404 }
  })
  await world.refresh(updater)
  expect(updater.current().version).toBe(2)
  await updater.close()
})

test('an expired manifest in force is reported although nothing newer exists: ERR_MANIFEST_EXPIRED', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now(), ttlMs: DAY })
  const updater = world.start()
  await world.drive(updater.ready())
  await world.runtime.advance(DAY)
  expect(updater.current().kind).toBe('expired')
  await world.repository.publishStatus({ now: world.now() })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_EXPIRED')
  await updater.close()
})

test('whatever mix of old and new statuses mirrors serve, versions in force never decrease (case 106)', async () => {
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: Date.UTC(2026, 0, 1) })
  const history: ReadonlyMap<string, Uint8Array>[] = []
  for (let version = 1; version <= 6; version += 1) {
    await repository.publishManifest([host(`v${version}.example.com`)], { now: Date.UTC(2026, 0, 1) })
    history.push(repository.files())
  }
  const moments = fc.array(fc.tuple(...Array.from({ length: 3 }, () => fc.nat({ max: 5 }))), {
    minLength: 2,
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(moments, async (steps) => {
      const world = await createWorld()
      let shown: readonly number[] = [0, 0, 0]
      const mirrors = [0, 1, 2].flatMap(
        (at) => sourceOf(`mirror ${at}`, () => history[shown[at] ?? 0] ?? new Map()).mirrors,
      )
      const updater = world.start({ root: repository.anchor, source: { mirrors }, store: memoryStore() })
      let highest = 0
      for (const step of steps) {
        shown = step
        await world.refresh(updater).catch(() => undefined)
        const { version } = updater.current()
        expect(version).toBeGreaterThanOrEqual(highest)
        highest = version
      }
      await updater.close()
    }),
    { numRuns: 40 },
  )
})
