import { describe, expect, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import type { AcceptedManifest, AcceptedStatus } from '../../src/manifest/accept.ts'
import type { HostChanges } from '../../src/manifest/host-changes.ts'
import { createInForce } from '../../src/manifest/in-force.ts'
import type { Knowledge } from '../../src/manifest/knowledge.ts'
import type { Startup } from '../../src/manifest/startup.ts'
import type { ManifestView } from '../../src/manifest/view.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { day, knowing, manifestOf, rootOf, statusOf } from './accepted.ts'
import { DAY, HOUR, pin } from './world.ts'

const CHANGES: HostChanges = { added: ['a'], removed: ['b'], changed: ['c'], shrunk: ['b'] }
const NO_CHANGES: HostChanges = { added: [], removed: [], changed: [], shrunk: [] }
const [one, two] = [manifestOf(1), manifestOf(2)]
/** Not at a full hour, at which the clock is looked at anyway. */
const END = toUnixMs(day(7) + 90_000)

/** What is in force, on day 1, with everything that it tells others, in order. */
function stage({ alone = false } = {}) {
  const runtime = createTestRuntime({ now: day(1) })
  const told: unknown[] = []
  const events: ClientEvent[] = []
  const startup = {
    succeed: () => told.push('succeed'),
    lapse: () => told.push('lapse'),
  } as unknown as Startup
  const activated: ManifestView[] = []
  const inForce = createInForce({
    runtime,
    startup,
    emit: (event) => {
      events.push(event)
      told.push(event.type)
    },
    ...(alone
      ? {}
      : {
          beforeActivation: (view) => {
            activated.push(view)
            told.push(`before ${inForce.view().version} comes ${view.version}`)
          },
          onChange: () => told.push(`sees ${inForce.view().kind} ${inForce.view().version}`),
        }),
  })
  return {
    inForce,
    runtime,
    events,
    activated,
    /** Since the last time. */
    told: () => told.splice(0),
    /** A refresh brought this manifest. */
    brought: (manifest: AcceptedManifest, more: { asCanary?: boolean; changes?: HostChanges } = {}) =>
      inForce.commit({ type: 'manifest', manifest, asCanary: false, changes: NO_CHANGES, ...more }),
    status: (status: AcceptedStatus) => inForce.commit({ type: 'status', status }),
  }
}

/** Version 1 of manifest and status are in force. */
function started(known: Partial<Knowledge> = {}) {
  const staged = stage()
  staged.inForce.know(knowing({ status: statusOf(1, { expires: END }), ...known }))
  staged.brought(one)
  staged.told()
  staged.events.length = 0
  return staged
}

test('before the root is verified nothing is known, and what a refresh finds is of no use', () => {
  const { inForce, brought, told, runtime } = stage()
  brought(one)
  expect([inForce.known(), inForce.manifest(), inForce.state().kind]).toEqual([undefined, undefined, 'cold'])
  expect(inForce.view()).toMatchObject({ kind: 'cold', version: 0 })
  expect([told(), runtime.pendingTimers, inForce.time()]).toEqual([[], 0, day(1)])
  inForce.begin({ manifest: one, status: statusOf(1) }, CHANGES)
  expect(inForce.view()).toMatchObject({ kind: 'cold', version: 0 })
})

describe('a manifest that a refresh brings', () => {
  test('is shown to those who prepare for it, is in force, and is announced, in this order', () => {
    const { inForce, brought, told, events, activated } = stage()
    inForce.know(knowing({ status: statusOf(1) }))
    brought(one, { changes: CHANGES })
    expect(told()).toEqual(['before 0 comes 1', 'succeed', 'sees fresh 1', 'manifest.ready', 'manifest.activated'])
    expect(activated[0]).toMatchObject({ kind: 'fresh', version: 1, everAccepted: true })
    expect(events).toEqual([
      { type: 'manifest.ready', version: 1 },
      { type: 'manifest.activated', from: 0, to: 1, rootVersion: 1, canary: false, ...CHANGES },
    ])
    expect([inForce.manifest(), inForce.state().kind]).toEqual([one, 'fresh'])
    expect(inForce.known()).toMatchObject({ everAccepted: true, floor: { version: 1 } })
  })

  test('comes after the one before it, perhaps as a canary', () => {
    const { brought, told, events } = started({ root: rootOf(3) })
    brought(two, { asCanary: true })
    expect(told()).toEqual(['before 1 comes 2', 'succeed', 'sees fresh 2', 'manifest.activated'])
    expect(events).toEqual([
      { type: 'manifest.activated', from: 1, to: 2, rootVersion: 3, canary: true, ...NO_CHANGES },
    ])
  })

  test('is not announced when it is the one in force', () => {
    const { inForce, told, events } = started()
    inForce.commit({ type: 'manifest', manifest: one, asCanary: false })
    expect([told(), events]).toEqual([['succeed'], []])
  })

  test('waits for its status: without one nothing comes into force', () => {
    const { inForce, brought, told } = stage()
    inForce.know(knowing())
    brought(one)
    expect(inForce.state().kind).toBe('cold')
    expect(told()[0]).toBe('lapse')
  })

  test('is not taken any more after the end', () => {
    const { inForce, brought, told } = started()
    inForce.close()
    const known = inForce.known()
    told()
    brought(two)
    expect([told(), inForce.known(), inForce.view().version]).toEqual([[], known, 1])
  })
})

describe('a status', () => {
  test('denies at once; that a key is denied is told after it is seen', () => {
    const { inForce, status, told, events } = started()
    status(statusOf(2, { deny: [{ spki: pin('one'), reason: 'stolen' }] }))
    expect(inForce.view().denies).toEqual([{ spki: pin('one'), reason: 'stolen' }])
    expect(told()).toEqual(['succeed', 'sees fresh 1', 'manifest.deny'])
    expect(events).toEqual([{ type: 'manifest.deny', added: [pin('one')], cleared: [] }])
  })

  test('keeps the manifest fresh only once it is known to stand behind it', () => {
    const { inForce, status, runtime } = started()
    runtime.setWall(day(8))
    inForce.tick()
    expect(inForce.view().kind).toBe('stale')
    status(statusOf(2, { expires: day(14) }))
    expect(inForce.view().kind).toBe('stale')
    inForce.commit({ type: 'manifest', manifest: one, asCanary: false })
    expect(inForce.view().kind).toBe('fresh')
  })
})

test('a root that raises an epoch says which, one that raises none says nothing', () => {
  const { inForce, events } = started()
  inForce.commit({ type: 'root', root: rootOf(2) })
  expect(events).toEqual([])
  inForce.commit({ type: 'root', root: rootOf(3, { manifest: 2 }) })
  inForce.commit({ type: 'root', root: rootOf(4, { manifest: 2, status: 5 }) })
  expect(events).toEqual([
    { type: 'manifest.epoch', role: 'manifest', from: 1, to: 2 },
    { type: 'manifest.epoch', role: 'status', from: 1, to: 5 },
  ])
})

describe('what an earlier process left', () => {
  const active = { manifest: one, status: statusOf(1) }
  const floor = { version: 1, sha256: '', revocations: undefined, expires: day(90) }

  test.each([
    ['as current', 1, false],
    ['as canary', 0, true],
  ])('comes into force, and is all new: it was accepted %s', (_, current, canary) => {
    const { inForce, told, events, activated } = stage()
    inForce.know(knowing({ root: rootOf(2), floor: { ...floor, current }, everAccepted: true }))
    inForce.begin(active, CHANGES)
    expect(told()).toEqual(['succeed', 'sees fresh 1', 'manifest.ready', 'manifest.activated'])
    expect(events[1]).toEqual({ type: 'manifest.activated', from: 0, to: 1, rootVersion: 2, canary, ...CHANGES })
    expect(activated).toEqual([])
  })

  test('is a start when it is stale', () => {
    const { inForce, runtime, told } = stage()
    runtime.setWall(day(8))
    inForce.know(knowing({ everAccepted: true }))
    inForce.begin(active, CHANGES)
    const marks = told().filter((one) => one !== 'manifest.expiring')
    expect(marks).toEqual(['succeed', 'sees stale 1', 'manifest.ready', 'manifest.stale', 'manifest.activated'])
  })

  test('is no start when it is over: it is expired, and no transition from anything is told', () => {
    const { inForce, runtime, told } = stage()
    runtime.setWall(day(20))
    inForce.know(knowing({ everAccepted: true }))
    inForce.begin(active, CHANGES)
    expect(inForce.view()).toMatchObject({ kind: 'expired', version: 1 })
    expect(told()).toEqual(['lapse', 'sees expired 1', 'manifest.expired', 'manifest.activated'])
  })

  test('may be nothing: then what the application ships serves', () => {
    const { inForce, told } = stage()
    inForce.know(knowing())
    inForce.begin(undefined, NO_CHANGES, { manifest: two, denies: [] })
    expect(inForce.view()).toMatchObject({ kind: 'cold', version: 2, bootstrapUntil: day(90) })
    expect(told()).toEqual(['lapse', 'sees cold 2'])
    expect(inForce.manifest()).toBeUndefined()
  })
})

describe('time', () => {
  test('ends freshness, then grace, each in the tick of its instant, and each is told once', async () => {
    const { inForce, runtime, told, events } = started()
    const until = async (to: number) => {
      await runtime.advance(to - runtime.clock.now())
      const seen = told().filter((one) => one !== 'succeed' && one !== 'lapse' && one !== 'manifest.expiring')
      return [inForce.view().kind, ...seen]
    }
    expect(await until(END - 1)).toEqual(['fresh'])
    expect(await until(END)).toEqual(['stale', 'sees stale 1', 'manifest.stale'])
    expect(await until(END + 7 * DAY - 1)).toEqual(['stale'])
    expect(await until(END + 7 * DAY)).toEqual(['expired', 'sees expired 1', 'manifest.expired'])
    expect(runtime.pendingTimers).toBe(0)
    expect(events.filter(({ type }) => type === 'manifest.stale')).toEqual([{ type: 'manifest.stale', version: 1 }])
    inForce.commit({ type: 'status', status: statusOf(2, { expires: day(20), issuedAt: day(14) }) })
    inForce.commit({ type: 'manifest', manifest: one, asCanary: false })
    expect(events.at(-1)).toEqual({ type: 'manifest.fresh', version: 1 })
    expect(events.filter(({ type }) => type === 'manifest.ready')).toEqual([])
  })

  test('from stale to fresh is told, too', () => {
    const { inForce, runtime, events } = started()
    runtime.setWall(day(8))
    inForce.tick()
    inForce.commit({ type: 'status', status: statusOf(2, { expires: day(20) }) })
    events.length = 0
    inForce.commit({ type: 'manifest', manifest: one, asCanary: false })
    expect(events.map(({ type }) => type)).toEqual(['manifest.fresh'])
  })

  test('who waits for a manifest learns that the one in force is over', async () => {
    const { inForce, runtime, told } = started()
    runtime.setWall(day(8))
    inForce.tick()
    expect(told()[0]).toBe('manifest.clock')
    runtime.setWall(day(15))
    inForce.tick()
    expect(told()).toContain('lapse')
  })

  test('that the wall clock says is believed within the hour, by whoever asks at once', async () => {
    const { inForce, runtime, events } = started()
    runtime.setWall(day(15))
    await runtime.advance(HOUR - 1)
    expect(inForce.view().kind).toBe('fresh')
    await runtime.advance(1)
    expect(inForce.view().kind).toBe('expired')
    expect(events.filter(({ type }) => type === 'manifest.clock')).toEqual([
      { type: 'manifest.clock', stepMs: 14 * DAY },
    ])
  })

  test('that changes nothing is not asked about', () => {
    const { inForce, runtime, told } = started()
    runtime.setWall(day(6))
    inForce.tickIfDue()
    expect([told(), inForce.view().kind]).toEqual([[], 'fresh'])
    runtime.setWall(day(8))
    inForce.tickIfDue()
    expect(inForce.view().kind).toBe('stale')
    expect(told().slice(0, 2)).toEqual(['manifest.clock', 'succeed'])
  })

  test('is never before what accepted documents say', async () => {
    const { inForce, runtime } = started({ timeFloor: { issuedAt: day(1), acceptedAt: 0 } })
    runtime.setWall(day(-30))
    expect(inForce.time()).toBe(day(1))
    await runtime.advance(HOUR)
    expect(inForce.time()).toBe(day(1) + HOUR)
    runtime.setWall(day(3))
    expect(inForce.time()).toBe(day(3))
  })

  test('of which a mark has passed is told for root, status and manifest, in their instants', async () => {
    const { runtime, events } = started()
    const marks = () =>
      events
        .splice(0)
        .map((event) => event.type === 'manifest.expiring' && `${event.document} ${event.version} ${event.percent}`)
    await runtime.advance((day(0) + END) / 2 - 1 - runtime.clock.now())
    expect(marks()).toEqual([])
    await runtime.advance(1)
    expect(marks()).toEqual(['status 1 50'])
    runtime.setWall(day(85))
    await runtime.advance(HOUR)
    expect(marks()).toEqual(expect.arrayContaining(['status 1 90', 'manifest 1 90']))
    runtime.setWall(day(200))
    const late = stage()
    late.runtime.setWall(day(200))
    late.inForce.know(knowing({ status: statusOf(1, { expires: day(201), issuedAt: day(199.9) }) }))
    late.brought(manifestOf(1, { expires: day(300), issuedAt: day(199) }))
    expect(late.events.filter(({ type }) => type === 'manifest.expiring')).toMatchObject([
      { document: 'root', percent: 50 },
    ])
  })
})

test('the end stops the clock, keeps what was in force to look at, and is the end', async () => {
  const { inForce, runtime, told } = started()
  expect(runtime.pendingTimers).toBe(1)
  inForce.close()
  expect(told()).toEqual(['lapse', 'sees closed 1'])
  expect(runtime.pendingTimers).toBe(0)
  expect(inForce.view()).toMatchObject({ kind: 'closed', version: 1 })
  inForce.tick()
  expect(runtime.pendingTimers).toBe(0)
  expect(told()).toEqual(['lapse'])
})

test('after the end nothing is told any more, not even of a mark that has passed', () => {
  const { inForce, runtime, events } = started()
  runtime.setWall(day(6))
  inForce.close()
  inForce.tick()
  expect(events.map(({ type }) => type)).toEqual(['manifest.clock'])
})

test('nobody has to listen', () => {
  const { inForce, brought } = stage({ alone: true })
  inForce.know(knowing({ status: statusOf(1) }))
  brought(one)
  expect(inForce.view().version).toBe(1)
})
