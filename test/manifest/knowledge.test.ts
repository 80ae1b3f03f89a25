import { describe, expect, test } from 'vitest'
import type { ManifestFloor } from '../../src/manifest/accept.ts'
import { type Discovery, type Knowledge, learn, timeOf } from '../../src/manifest/knowledge.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { day, knowing, manifestOf, rootOf, statusOf } from './accepted.ts'
import { DAY, HOUR, pin } from './world.ts'

const status = statusOf(4)
const floor: ManifestFloor = { version: 5, sha256: 'five', current: 3, revocations: undefined, expires: day(90) }
const manifestFound = (manifest = manifestOf(), asCanary = false): Discovery => ({
  type: 'manifest',
  manifest,
  asCanary,
})

describe('a root', () => {
  const learned = (epochs: { manifest?: number; status?: number }, known: Partial<Knowledge>) =>
    learn(
      knowing({ root: rootOf(1, { manifest: 2, status: 2 }), ...known }),
      { type: 'root', root: rootOf(2, epochs) },
      0,
    )

  test.each([
    ['of the same epochs keeps both floors', { manifest: 2, status: 2 }, { status, floor }],
    ['that raises the epoch of status forgets the status alone', { manifest: 2, status: 3 }, { floor }],
    ['that raises the epoch of manifest forgets the floor alone', { manifest: 3, status: 2 }, { status }],
    ['that raises both forgets both', { manifest: 3, status: 3 }, {}],
  ])('%s', (_, epochs, kept) => {
    const denies = [{ spki: pin('one'), reason: '', manifestEpoch: 2, manifestVersion: 1 }]
    const known = learned(epochs, { status, floor, denies, everAccepted: true, clientId: 'me' })
    const timeFloor = { issuedAt: day(0), acceptedAt: 0 }
    expect(known).toStrictEqual({
      root: rootOf(2, epochs),
      denies,
      everAccepted: true,
      clientId: 'me',
      timeFloor,
      ...kept,
    })
  })

  test('before any status and manifest has nothing to keep', () => {
    const known = learned({ manifest: 2, status: 2 }, {})
    expect(Object.keys(known).sort()).toEqual(['denies', 'everAccepted', 'root', 'timeFloor'])
  })
})

test('a status is the newest one, and what it denies is denied', () => {
  const deny = { spki: pin('one'), reason: 'stolen' }
  const next = statusOf(5, { deny: [deny], manifest: 9, issuedAt: day(1) }, 2)
  expect(learn(knowing({ status, floor }), { type: 'status', status: next }, 7)).toEqual({
    ...knowing({ floor }),
    status: next,
    denies: [{ ...deny, manifestEpoch: 2, manifestVersion: 9 }],
    timeFloor: { issuedAt: day(1), acceptedAt: 7 },
  })
})

describe('a manifest', () => {
  const floorAfter = (manifest = manifestOf(), asCanary = false, before?: ManifestFloor) =>
    learn(knowing(before === undefined ? {} : { floor: before }), manifestFound(manifest, asCanary), 0).floor
  const revocations = { certificate: [{ sha256: 'a' }] }
  const six = manifestOf(6, { revocations, expires: day(80) })
  const ofSix = { version: 6, sha256: 'sha256 of 6', revocations, expires: day(80) }

  test.each([
    ['the first, as current', six, false, undefined, { ...ofSix, current: 6 }],
    ['the first, as canary', six, true, undefined, { ...ofSix, current: 0 }],
    ['a later one, as current', six, false, floor, { ...ofSix, current: 6 }],
    ['a later one, as canary', six, true, floor, { ...ofSix, current: 3 }],
    ['the same, now as current', manifestOf(5), false, floor, { ...floor, sha256: 'sha256 of 5', current: 5 }],
    ['an older one that is current', manifestOf(4), false, floor, { ...floor, current: 4 }],
    ['an older one than was current', manifestOf(2), false, floor, { ...floor, current: 3 }],
  ])('raises the floor and never lowers it: %s', (_, manifest, asCanary, before, after) => {
    expect(floorAfter(manifest, asCanary, before)).toEqual(after)
  })

  test('ends the denies that it names, and is remembered as accepted', () => {
    const deny = { spki: pin('one'), reason: '', manifestEpoch: 1, manifestVersion: 1 }
    const known = learn(knowing({ denies: [deny] }), manifestFound(manifestOf(1, { undeny: [pin('one')] })), 0)
    expect(known).toMatchObject({ denies: [], everAccepted: true, timeFloor: { issuedAt: day(0), acceptedAt: 0 } })
    expect(known.clientId).toBeUndefined()
  })

  test('keeps the id of the client unless it brings one', () => {
    const known = knowing({ clientId: 'me' })
    expect(learn(known, manifestFound(), 0).clientId).toBe('me')
    expect(
      learn(known, { type: 'manifest', manifest: manifestOf(), asCanary: false, clientId: 'new' }, 0).clientId,
    ).toBe('new')
  })
})

describe('the time', () => {
  const timeFloor = { issuedAt: day(1), acceptedAt: 1_000 }
  const at = (now: number, monotonic: number) => timeOf(knowing({ timeFloor }), toUnixMs(now), monotonic)

  test('is that of the clock while nothing was accepted', () => {
    expect(timeOf(knowing(), day(-100), 5)).toBe(day(-100))
  })

  test('is never before what was accepted, and goes on from there with the monotonic clock', () => {
    expect(at(day(2), 1_000)).toBe(day(2))
    expect(at(day(0), 1_000)).toBe(day(1))
    expect(at(day(0), 1_000 + HOUR)).toBe(day(1) + HOUR)
    expect(at(day(1) + HOUR + 1, 1_000 + HOUR)).toBe(day(1) + HOUR + 1)
  })

  test.each([
    [
      'issued later is the new floor',
      day(1) + HOUR + 1_000,
      { issuedAt: day(1) + HOUR + 1_000, acceptedAt: 1_000 + HOUR },
    ],
    ['issued just then changes nothing', day(1) + HOUR, timeFloor],
    ['issued before changes nothing', day(1), timeFloor],
  ])('a document that was %s', (_, issuedAt, after) => {
    const discovery: Discovery = { type: 'status', status: statusOf(5, { issuedAt }) }
    expect(learn(knowing({ timeFloor }), discovery, 1_000 + HOUR).timeFloor).toEqual(after)
  })

  test('a root and a manifest raise it, too', () => {
    const root = learn(knowing(), { type: 'root', root: rootOf(2, {}, { issuedAt: day(2) }) }, 3)
    const manifest = learn(knowing(), manifestFound(manifestOf(1, { issuedAt: day(2) })), 3)
    for (const known of [root, manifest]) expect(known.timeFloor).toEqual({ issuedAt: day(2), acceptedAt: 3 })
    expect(timeOf(root, day(0), 3 + DAY)).toBe(day(3))
  })
})
