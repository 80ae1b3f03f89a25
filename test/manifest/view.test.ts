import { describe, expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { parseHostPattern } from '../../src/encoding/host-pattern.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import type { StickyDeny } from '../../src/manifest/denies.ts'
import { COLD, type ManifestState, next } from '../../src/manifest/state.ts'
import { emitDenyChanges, manifestIn, viewOf } from '../../src/manifest/view.ts'
import { day, knowing, manifestOf, statusOf } from './accepted.ts'
import { host, pin } from './world.ts'

const api = canonicalHost('api.example.com') ?? expect.fail('no host')
const hosts = ['api.example.com'].map((name) => parseHostPattern(name) ?? expect.fail(name))
const manifest = manifestOf(3, {}, [host()])
const status = statusOf()
const at = (days: number, of = manifest): ManifestState =>
  next(COLD, { type: 'activated', manifest: of, status }, day(days))
const [fresh, stale, expired] = [at(1), at(8), at(20)]
const closed = next(COLD, { type: 'closed' }, day(0))
const sticky = (seed: string, more: Partial<StickyDeny> = {}): StickyDeny => ({
  spki: pin(seed),
  reason: 'stolen',
  manifestEpoch: 1,
  manifestVersion: 1,
  ...more,
})

const NOTHING = {
  kind: 'cold',
  version: 0,
  everAccepted: false,
  lookup: expect.any(Function),
  clientId: undefined,
  revocations: undefined,
  anchorSets: {},
  ct: undefined,
  interception: [],
  denies: [],
}

describe('what a reader sees', () => {
  test('is nothing at the start, and no host is known', () => {
    const view = viewOf(COLD, undefined)
    expect(view).toStrictEqual(NOTHING)
    expect(view.lookup(api, 443)).toBeUndefined()
    expect(viewOf(closed, undefined)).toStrictEqual({ ...NOTHING, kind: 'closed' })
  })

  test('is the manifest with what it carries, and what is known beside it', () => {
    const members = {
      revocations: {
        spki: [
          { sha256: pin('two'), reason: 'lost' },
          { sha256: pin('one'), reason: 'lost', hosts },
        ],
      },
      anchorSets: { partner: [] },
      ct: { policy: 'report' },
      interception: [pin('proxy')],
    }
    const denies = [sticky('three'), sticky('four', { hosts })]
    const carrying = manifestOf(3, members, [host()])
    const view = viewOf(at(1, carrying), knowing({ denies, everAccepted: true, clientId: 'me' }))
    expect(view).toStrictEqual({
      ...NOTHING,
      kind: 'fresh',
      version: 3,
      rootVersion: 1,
      everAccepted: true,
      clientId: 'me',
      ...members,
      denies: [
        { spki: pin('three'), reason: 'stolen' },
        { spki: pin('four'), reason: 'stolen', hosts },
        { spki: pin('two'), reason: 'lost' },
        { spki: pin('one'), reason: 'lost', hosts },
      ],
    })
    expect(view.lookup(api, 443)?.host).toBe('api.example.com')
    expect([view, view.denies, view.interception].every(Object.isFrozen)).toBe(true)
  })

  test.each([
    ['fresh', fresh],
    ['stale', stale],
    ['expired', expired],
  ])('a manifest is there while it is %s', (kind, state) => {
    expect(viewOf(state, knowing())).toMatchObject({ kind, version: 3 })
    expect(manifestIn(state)).toBe(manifest)
  })

  test('none is while nothing was accepted, and after the end', () => {
    expect([manifestIn(COLD), manifestIn(closed)]).toEqual([undefined, undefined])
  })
})

describe('a shipped manifest', () => {
  const shipped = { manifest: manifestOf(2, { expires: day(60) }, [host()]), denies: [sticky('one')] }

  test('serves while nothing was ever accepted, until it expires, with its denies', () => {
    expect(viewOf(COLD, knowing({ denies: [sticky('two')] }), undefined, shipped)).toMatchObject({
      kind: 'cold',
      version: 2,
      bootstrapUntil: day(60),
      denies: [{ spki: pin('two') }, { spki: pin('one') }],
    })
  })

  test.each([
    ['an accepted one is in force', fresh, false, 3],
    ['one was accepted before', COLD, true, 0],
    ['the client is closed', closed, false, 0],
  ])('does not while %s', (_, state, everAccepted, version) => {
    const view = viewOf(state, knowing({ everAccepted }), undefined, shipped)
    expect(view).toMatchObject({ version, denies: [] })
    expect(view).not.toHaveProperty('bootstrapUntil')
  })
})

describe('the same view is given as long as a reader can see no difference', () => {
  const before = viewOf(fresh, knowing({ denies: [sticky('one')] }))

  test('for the same documents', () => {
    expect(viewOf(at(2), knowing({ denies: [sticky('one', { manifestVersion: 9 })] }), before)).toBe(before)
    const start = viewOf(COLD, undefined)
    expect(viewOf(COLD, knowing(), start)).toBe(start)
  })

  test.each<[string, ManifestState, Parameters<typeof knowing>[0]]>([
    ['another kind', stale, { denies: [sticky('one')] }],
    ['another manifest', at(1, manifestOf(3)), { denies: [sticky('one')] }],
    ['a manifest that is gone', COLD, { denies: [sticky('one')] }],
    ['that one was accepted', fresh, { denies: [sticky('one')], everAccepted: true }],
    ['one deny more', fresh, { denies: [sticky('one'), sticky('two')] }],
    ['one deny less', fresh, { denies: [] }],
    ['another key', fresh, { denies: [sticky('two')] }],
    ['other hosts', fresh, { denies: [sticky('one', { hosts })] }],
    ['another reason', fresh, { denies: [sticky('one', { reason: 'found' })] }],
  ])('and another one for %s', (_, state, known) => {
    expect(viewOf(state, knowing(known), before)).not.toBe(before)
  })

  test('and what was in force is seen after the end, as it was', () => {
    const end = viewOf(closed, knowing(), before)
    expect(end).toStrictEqual({ ...before, kind: 'closed' })
    expect(Object.isFrozen(end)).toBe(true)
    expect(viewOf(closed, knowing({ everAccepted: true }), end)).toBe(end)
  })
})

test('a change of denies is told once, by keys', () => {
  const said = (before: readonly StickyDeny[], after: readonly StickyDeny[]): readonly ClientEvent[] => {
    const events: ClientEvent[] = []
    emitDenyChanges(before, after, (event) => events.push(event))
    return events
  }
  const [one, two, three] = ['one', 'two', 'three'].map((seed) => sticky(seed)) as [StickyDeny, StickyDeny, StickyDeny]
  const event = (added: readonly string[], cleared: readonly string[]) => [
    { type: 'manifest.deny', added: added.map(pin), cleared: cleared.map(pin) },
  ]
  expect(said([], [])).toEqual([])
  expect(said([one], [{ ...one, reason: 'still missing' }])).toEqual([])
  expect(said([], [one])).toEqual(event(['one'], []))
  expect(said([one, two], [two])).toEqual(event([], ['one']))
  expect(said([one, two], [two, three])).toEqual(event(['three'], ['one']))
  expect(said([one], [{ ...one, hosts }])).toEqual(event(['one'], ['one']))
})
