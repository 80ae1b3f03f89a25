import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { codeOf, createWorld, DAY, HOUR, host, refusalOf, startedWorld, type World } from './world.ts'

/** The same cache and clock, another process; the network does not answer. */
function restartOffline(world: World) {
  world.answers.set('status.json', new Error('offline')).set('roots/2.json', new Error('offline'))
  world.events.length = 0
  return world.start()
}

test('a cold start without network is fresh from a fresh cache, at once (case 133)', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  const again = restartOffline(world)
  const begun = performance.now()
  await again.ready()
  expect(performance.now() - begun).toBeLessThan(200)
  expect(again.current()).toMatchObject({ kind: 'fresh', version: 1, everAccepted: true })
  expect(world.events).toEqual([
    { type: 'manifest.ready', version: 1 },
    expect.objectContaining({ type: 'manifest.activated', from: 0, to: 1, canary: false, added: ['api.example.com'] }),
  ])
  await again.firstAttempt
  await again.close()
})

test('a cold start without network is stale from a stale cache (case 134)', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  await world.runtime.advance(8 * DAY)
  const again = restartOffline(world)
  await world.drive(again.ready())
  expect(again.current()).toMatchObject({ kind: 'stale', version: 1 })
  await again.close()
})

test('an expired cache does not make a start ready, and the client knows that it once had a manifest', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  await world.runtime.advance(15 * DAY)
  const again = restartOffline(world)
  await expect(world.drive(again.ready())).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST' })
  expect(again.current()).toMatchObject({ kind: 'expired', version: 1, everAccepted: true })
  await again.close()
})

test('with nothing at all, ready rejects with ERR_TRUST_NO_TRUSTED_MANIFEST after startupMs, and says why (case 136)', async () => {
  const world = await createWorld()
  for (const path of ['roots/2.json', 'status.json']) world.answers.set(path, new Error('offline'))
  const updater = world.start()
  const begun = world.now()
  const ready = updater.ready()
  await expect(world.drive(ready)).rejects.toMatchObject({
    code: 'ERR_TRUST_NO_TRUSTED_MANIFEST',
    cause: { code: 'ERR_MANIFEST_FETCH_NETWORK' },
  })
  expect(world.now() - begun).toBeGreaterThanOrEqual(10_000)
  await expect(updater.ready()).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST' })
  expect(updater.current()).toMatchObject({ kind: 'cold', version: 0, everAccepted: false })
  world.answers.clear()
  await world.repository.publishManifest([host()], { now: world.now() })
  await world.refresh(updater)
  await updater.ready()
  await updater.close()
})

test('a source that fails at the start is asked again within seconds, not minutes', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  world.answers.set('roots/2.json', { status: 503 })
  const updater = world.start()
  await world.drive(updater.firstAttempt)
  world.answers.clear()
  await world.drive(updater.ready())
  expect(updater.current().kind).toBe('fresh')
  await updater.close()
})

test('a status that expires is `stale` once, and the pins stay (case 137)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 503 })
  await world.runtime.advance(8 * DAY)
  expect(world.eventsOf('manifest.stale')).toEqual([{ type: 'manifest.stale', version: 1 }])
  expect(updater.current()).toMatchObject({ kind: 'stale', version: 1 })
  await updater.close()
})

test('F48: after the grace it is `expired`, in the tick of that instant (case 138)', async () => {
  let changes = 0
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const expiresAt = world.now() + 14 * DAY
  const updater = world.start({
    onChange: () => {
      changes += 1
    },
  })
  await world.drive(updater.ready())
  expect(updater.health().expiresAt).toBe(expiresAt)
  world.answers.set('status.json', { status: 503 })
  await world.runtime.advance(expiresAt - world.now() - 1)
  const before = changes
  expect(updater.current().kind).toBe('stale')
  await world.runtime.advance(1)
  expect(changes).toBe(before + 1)
  expect(world.eventsOf('manifest.expired')).toEqual([{ type: 'manifest.expired', version: 1 }])
  await updater.close()
})

test('a recovery is `fresh`, exactly once (case 139)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 503 })
  await world.runtime.advance(8 * DAY)
  world.answers.delete('status.json')
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  await world.refresh(updater)
  expect(world.eventsOf('manifest.fresh')).toEqual([{ type: 'manifest.fresh', version: 1 }])
  await updater.close()
})

describe('close', () => {
  test('leaves no timer, even with a request under way (case 140)', async () => {
    const { world, updater } = await startedWorld()
    world.answers.set('status.json', 'hang')
    const refused = codeOf(updater.refresh())
    await world.runtime.advance(1_000)
    await updater.close()
    expect(await refused).toBe('ERR_MANIFEST_CLOSED')
    expect(world.runtime.pendingTimers).toBe(0)
    expect(updater.current()).toMatchObject({ kind: 'closed', version: 1 })
    expect(await codeOf(updater.refresh())).toBe('ERR_MANIFEST_CLOSED')
    expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_CLOSED')
    updater.requestEarlyRefresh()
    expect(world.runtime.pendingTimers).toBe(0)
    await updater.close()
  })

  test('before the start was over releases who waits', async () => {
    const world = await createWorld()
    const updater = world.start()
    const waiting = codeOf(updater.ready())
    await updater.close()
    expect(await waiting).toBe('ERR_MANIFEST_CLOSED')
    await updater.firstAttempt
    expect(world.runtime.pendingTimers).toBe(0)
  })
})

describe('polling', () => {
  test('comes back after the signed interval and its spread', async () => {
    const { world, updater } = await startedWorld()
    world.requests.length = 0
    await world.runtime.advance(224_000)
    expect(world.requests).toEqual([])
    await world.runtime.advance(152_000)
    expect(world.requests).toEqual(['status.json'])
    await updater.close()
  })

  test('follows an incident’s shorter interval from the next poll on', async () => {
    const { world, updater } = await startedWorld()
    await world.repository.publishStatus({ now: world.now(), poll: { interval: 1, spread: 0 } })
    await world.refresh(updater)
    const waitMs = (updater.health().nextPollAt ?? 0) - world.now() // the clock moves while the refresh ends
    expect(waitMs).toBeGreaterThan(13_000) // never below 15 seconds
    expect(waitMs).toBeLessThanOrEqual(15_000)
    await updater.close()
  })

  test('a machine that slept for ten hours makes one refresh, not a burst (case 142)', async () => {
    const { world, updater } = await startedWorld()
    world.runtime.setWall(world.now() + 10 * HOUR)
    world.requests.length = 0
    await world.runtime.advance(375_000)
    await world.drive(Promise.resolve())
    expect(world.requests.filter((path) => path === 'status.json')).toHaveLength(1)
    await updater.close()
  })

  test('a fresh cache waits for a random part of the interval', async () => {
    const { world, updater } = await startedWorld()
    await updater.close()
    world.requests.length = 0
    const again = world.start()
    await again.ready()
    const { nextPollAt = 0 } = again.health()
    expect(nextPollAt).toBeGreaterThan(world.now())
    expect(nextPollAt).toBeLessThanOrEqual(world.now() + 300_000)
    expect(world.requests).toEqual([])
    await world.runtime.advance(300_000)
    expect(world.requests).toContain('status.json')
    await again.close()
  })
})

describe('refresh', () => {
  test('callers at the same time share one', async () => {
    const { world, updater } = await startedWorld()
    world.requests.length = 0
    await world.runtime.advance(1_000)
    await world.drive(Promise.all(Array.from({ length: 50 }, () => updater.refresh())))
    expect(world.requests).toEqual(['status.json'])
    await updater.close()
  })

  test('two in a row are a second apart', async () => {
    const { world, updater } = await startedWorld()
    await world.refresh(updater)
    const begun = world.now()
    await world.drive(updater.refresh())
    expect(world.now() - begun).toBeGreaterThanOrEqual(900)
    await updater.close()
  })

  test('a call during one that asked already gets what was published in between', async () => {
    const { world, updater } = await startedWorld()
    const served = world.repository.files().get('status.json') as Uint8Array
    let late: Promise<void> | undefined
    world.answers.set('status.json', () => {
      world.answers.delete('status.json')
      late = world.repository
        .publishManifest([host('new.example.com')], { now: world.now() })
        .then(() => updater.refresh())
      return { bytes: served }
    })
    await world.refresh(updater)
    expect(updater.current().version).toBe(1)
    await world.drive(late as Promise<void>)
    expect(updater.current().version).toBe(2)
    await updater.close()
  })

  test('early refreshes after pin mismatches happen once in thirty seconds', async () => {
    const { world, updater } = await startedWorld()
    world.requests.length = 0
    for (let second = 0; second < 29; second += 1) {
      updater.requestEarlyRefresh()
      await world.pass(1_000)
    }
    expect(world.requests).toHaveLength(1)
    await world.pass(2_000)
    updater.requestEarlyRefresh()
    await world.pass(1_000)
    expect(world.requests).toHaveLength(2)
    await updater.close()
  })
})

test('health says what is in force, when it ends and what went wrong', async () => {
  const { world, updater } = await startedWorld()
  expect(updater.health()).toMatchObject({
    state: 'fresh',
    manifestVersion: 1,
    manifestEpoch: 1,
    rootVersion: 1,
    statusVersion: 1,
    denies: 0,
  })
  expect(updater.health().lastError).toBeUndefined()
  world.answers.set('status.json', { status: 500 })
  await refusalOf(world.refresh(updater))
  expect(updater.health().lastError).toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP' })
  world.answers.clear()
  await world.refresh(updater)
  expect(updater.health().lastError).toBeUndefined()
  await updater.close()
})

test('a week without any source confirming the newest root raises `manifest.security`', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('roots/2.json', { status: 503 })
  await world.pass(8 * DAY)
  expect(world.eventsOf('manifest.security')).toHaveLength(1)
  await updater.close()
})

test('a memory store that lost everything starts cold', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  world.answers.set('roots/2.json', new Error('offline'))
  const again = world.start({ store: memoryStore() })
  await world.drive(again.firstAttempt)
  expect(again.current().kind).toBe('cold')
  await again.close()
})
