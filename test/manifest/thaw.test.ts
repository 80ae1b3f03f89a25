import { describe, expect, test } from 'vitest'
import { DAY, HOUR, startedWorld, type World } from './world.ts'

/** A world past its first refresh, whose process is then frozen: the wall clock moves on, no timer runs. */
async function frozen(ms: number, options: { publish?: boolean } = {}) {
  const { world, updater } = await startedWorld()
  await expect.poll(() => (updater.health().nextPollAt ?? 0) > world.now()).toBe(true)
  world.runtime.setWall(world.now() + ms)
  if (options.publish !== false) await world.repository.publishStatus({ now: world.now() })
  world.requests.length = 0
  world.events.length = 0
  return { world, updater }
}

const polls = ({ requests }: World): number => requests.filter((path) => path === 'status.json').length

describe('a process that thaws', () => {
  test('past the end of its manifest refreshes once, and whoever asks waits for that', async () => {
    const { world, updater } = await frozen(15 * DAY)
    expect(updater.current().kind).toBe('expired')
    await world.drive(Promise.all(Array.from({ length: 20 }, () => updater.awake())))
    expect(updater.current().kind).toBe('fresh')
    expect(updater.awake()).toBeUndefined()
    await world.runtime.advance(30_000)
    expect(polls(world)).toBe(1)
    await updater.close()
  })

  test('past the end, with timers that run before the first request, waits all the same', async () => {
    const { world, updater } = await frozen(15 * DAY)
    await world.runtime.advance(375_000)
    if (updater.current().kind === 'expired') await world.drive(updater.awake() ?? Promise.reject(new Error('no wait')))
    expect([updater.current().kind, polls(world)]).toEqual(['fresh', 1])
    await updater.close()
  })

  test('while it is stale, or fresh, is served at once and refreshes once', async () => {
    for (const ms of [8 * DAY, 10 * HOUR]) {
      const { world, updater } = await frozen(ms)
      expect(updater.current().kind).toBe(ms === 8 * DAY ? 'stale' : 'fresh')
      for (let use = 0; use < 20; use += 1) updater.current()
      expect(updater.awake()).toBeUndefined()
      await world.runtime.advance(1_000) // between two attempts
      await expect.poll(() => updater.health().statusVersion).toBe(2)
      await world.runtime.advance(30_000)
      expect([updater.current().kind, polls(world)]).toEqual(['fresh', 1])
      await updater.close()
    }
  })

  test('with a source that fails is told so once, and then refused at once until the next poll', async () => {
    const { world, updater } = await frozen(15 * DAY)
    world.answers.set('status.json', { status: 503 })
    await world.drive(updater.awake() ?? Promise.reject(new Error('no wait')))
    expect(updater.current().kind).toBe('expired')
    expect(updater.awake()).toBeUndefined()
    expect(polls(world)).toBe(1)
    await updater.close()
  })

  test('with a source that hangs is kept no longer than startupMs', async () => {
    const { world, updater } = await frozen(15 * DAY)
    for (const path of ['status.json', 'roots/2.json']) world.answers.set(path, 'hang')
    const begun = world.now()
    await world.drive(updater.awake() ?? Promise.reject(new Error('no wait')))
    expect(world.now() - begun).toBeLessThanOrEqual(11_000)
    expect(updater.current().kind).toBe('expired')
    await updater.close()
    expect(world.runtime.pendingTimers).toBe(0)
  })
})

test('who was awake when the manifest ended does not wait for anything', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 503 })
  await world.pass(15 * DAY)
  expect(updater.current().kind).toBe('expired')
  expect(updater.awake()).toBeUndefined()
  await updater.close()
})
