import { expect, test } from 'vitest'
import type { ClientEvent, EventOf } from '../../src/events/events.ts'
import { createAlarms } from '../../src/manifest/alarms.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { DAY, HOUR, host, startedWorld, type World } from './world.ts'

const expiring = (world: World) =>
  (world.eventsOf('manifest.expiring') as EventOf<'manifest.expiring'>[]).map(
    ({ document, version, percent }) => `${document} ${version} ${percent}`,
  )

test('half, three quarters and nine tenths of a status’s life are said, each once a version', async () => {
  const { world, updater } = await startedWorld()
  const begun = world.runtime.clock.now() - world.runtime.clock.monotonic()
  world.answers.set('status.json', { status: 503 })
  await world.pass(3 * DAY)
  expect(expiring(world)).toEqual([])
  await world.pass(3.4 * DAY)
  expect(expiring(world)).toEqual(['status 1 50', 'status 1 75', 'status 1 90'])
  expect(world.eventsOf('manifest.expiring')[0]).toMatchObject({ expiresAt: begun + 7 * DAY })
  world.answers.clear()
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  await world.pass(HOUR)
  expect(expiring(world)).toHaveLength(3)
  await world.repository.publishStatus({ now: world.now() })
  await updater.close()
})

test('manifest and root are watched too; what lies behind after a sleep is said once, for the last mark', () => {
  const events: ClientEvent[] = []
  const alarm = createAlarms((event) => events.push(event))
  const living = (document: 'root' | 'manifest', version: number, days: number) => ({
    document,
    version,
    payload: { issuedAt: toUnixMs(0), expires: toUnixMs(days * DAY) },
  })
  const documents = [living('root', 1, 400), living('manifest', 3, 90)]
  const said = () =>
    events
      .splice(0)
      .map((event) => event.type === 'manifest.expiring' && [event.document, event.version, event.percent])
  expect(alarm(documents, toUnixMs(1))).toBe(45 * DAY)
  expect(said()).toEqual([])
  expect(alarm(documents, toUnixMs(45 * DAY))).toBe(67.5 * DAY)
  expect(said()).toEqual([['manifest', 3, 50]])
  alarm(documents, toUnixMs(46 * DAY))
  expect(said()).toEqual([])
  expect(alarm(documents, toUnixMs(399 * DAY))).toBeUndefined()
  expect(said()).toEqual([
    ['root', 1, 90],
    ['manifest', 3, 90],
  ])
  alarm([living('root', 2, 400), living('manifest', 4, 90)], toUnixMs(201 * DAY))
  expect(said()).toEqual([
    ['root', 2, 50],
    ['manifest', 4, 90],
  ])
})

test('`manifest.ready` comes once, `manifest.closed` last', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  await updater.close()
  await updater.close()
  const types = world.events.map(({ type }) => type)
  expect(types.filter((type) => type === 'manifest.ready')).toHaveLength(1)
  expect(types.filter((type) => type === 'manifest.closed')).toHaveLength(1)
  expect(types.at(-1)).toBe('manifest.closed')
  expect(world.eventsOf('manifest.ready')).toEqual([{ type: 'manifest.ready', version: 1 }])
})

test('a poll says how long it took, how much came, from where, and with which result', async () => {
  const { world, updater } = await startedWorld()
  await expect.poll(() => world.eventsOf('manifest.poll').length).toBe(1)
  await world.refresh(updater)
  world.answers.set('status.json', new Error('offline'))
  await expect(world.refresh(updater)).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_NETWORK' })
  expect(world.eventsOf('manifest.poll')).toEqual([
    { type: 'manifest.poll', ms: expect.any(Number), bytes: expect.any(Number), result: 'changed', source: 'memory:/' },
    {
      type: 'manifest.poll',
      ms: expect.any(Number),
      bytes: expect.any(Number),
      result: 'unchanged',
      source: 'memory:/',
    },
    { type: 'manifest.poll', ms: expect.any(Number), bytes: 0, result: 'failed' },
  ])
  await updater.close()
})

test('a root that raises an epoch raises `manifest.epoch`; one that does not, raises `manifest.root` alone', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(world.eventsOf('manifest.root')).toEqual([{ type: 'manifest.root', from: 1, to: 2 }])
  expect(world.eventsOf('manifest.epoch')).toEqual([])
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['status'] })
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(world.eventsOf('manifest.epoch')).toEqual([{ type: 'manifest.epoch', role: 'status', from: 1, to: 2 }])
  await updater.close()
})

test.each([-HOUR, HOUR])(
  'a wall clock that steps by %i ms raises `manifest.clock`, one that drifts does not',
  async (stepMs) => {
    const { world, updater } = await startedWorld()
    world.runtime.setWall(world.now() + 60_000)
    await world.refresh(updater)
    expect(world.eventsOf('manifest.clock')).toEqual([])
    world.runtime.setWall(world.now() - 60_000 + stepMs)
    await world.refresh(updater)
    await expect.poll(() => world.eventsOf('manifest.clock')).toEqual([{ type: 'manifest.clock', stepMs }])
    await updater.close()
  },
)

test('health says everything that a check may ask for', async () => {
  const { world, updater } = await startedWorld()
  await expect.poll(() => (updater.health().nextPollAt ?? 0) > world.now()).toBe(true)
  await world.runtime.advance(1_000)
  expect(updater.health()).toEqual({
    state: 'fresh',
    manifestVersion: 1,
    manifestEpoch: 1,
    rootVersion: 1,
    statusVersion: 1,
    statusAgeMs: expect.any(Number),
    expiresAt: expect.any(Number),
    lastSuccessAt: expect.any(Number),
    denies: 0,
    nextPollAt: expect.any(Number),
  })
  expect(updater.health().statusAgeMs).toBeGreaterThanOrEqual(1_000)
  await updater.close()
  expect(updater.health()).not.toHaveProperty('nextPollAt')
})
