import { expect, test } from 'vitest'
import { parseHostPattern } from '../../src/encoding/host-pattern.ts'
import { addDenies, clearDenies, type StickyDeny } from '../../src/manifest/denies.ts'
import { manifestOf, statusOf } from './accepted.ts'
import { pin } from './world.ts'

const hosts = (...names: readonly string[]) => names.map((name) => parseHostPattern(name) ?? expect.fail(name))
const entry = (seed: string, ...names: readonly string[]) => ({
  spki: pin(seed),
  reason: `${seed} was stolen`,
  ...(names.length === 0 ? {} : { hosts: hosts(...names) }),
})
const sticky = (seed: string, ...names: readonly string[]): StickyDeny => ({
  ...entry(seed, ...names),
  manifestEpoch: 2,
  manifestVersion: 5,
})

test('a status without denies changes nothing, whether it says none or nothing', () => {
  const denies = [sticky('one')]
  expect(addDenies(denies, statusOf(1))).toBe(denies)
  expect(addDenies(denies, statusOf(1, { deny: [] }))).toEqual(denies)
})

test('a status adds its denies, each with the manifest that it names', () => {
  const status = statusOf(1, { deny: [entry('two'), entry('three', 'api.example.com')], manifest: 7 }, 3)
  expect(addDenies([sticky('one')], status)).toEqual([
    sticky('one'),
    { ...entry('two'), manifestEpoch: 3, manifestVersion: 7 },
    { ...entry('three', 'api.example.com'), manifestEpoch: 3, manifestVersion: 7 },
  ])
})

test('a deny of the same key on the same hosts is the same one, said again', () => {
  const again = { ...entry('one', 'b.example.com', '*.a.example.com'), reason: 'still missing' }
  const before = [sticky('one', '*.a.example.com', 'b.example.com'), sticky('one'), sticky('one', 'b.example.com')]
  expect(addDenies(before, statusOf(1, { deny: [again], manifest: 7 }, 3))).toEqual([
    { ...again, manifestEpoch: 3, manifestVersion: 7 },
    sticky('one'),
    sticky('one', 'b.example.com'),
  ])
})

const undeny = { undeny: [pin('one')] }
test.each<[string, number, number, boolean]>([
  ['the one that the status named', 5, 2, true],
  ['a later one', 6, 2, true],
  ['the one before', 4, 2, false],
  ['one of a later epoch', 1, 3, true],
  ['one of an earlier epoch', 9, 1, false],
])('a manifest ends a deny only if it can have meant it: %s', (_, version, epoch, ends) => {
  expect(clearDenies([sticky('one')], manifestOf(version, undeny, [], epoch))).toEqual(ends ? [] : [sticky('one')])
})

const revoking = (seed: string, ...names: readonly string[]) => ({
  revocations: {
    spki: [{ sha256: pin('other') }, { sha256: pin(seed), ...(names.length === 0 ? {} : { hosts: hosts(...names) }) }],
  },
})
const [everywhere, here] = [sticky('one'), sticky('one', 'a.example.com', '*.b.example.com')]
test.each<[string, Readonly<Record<string, unknown>>, StickyDeny, boolean]>([
  ['that says nothing', {}, everywhere, false],
  ['that forgives the key', undeny, everywhere, true],
  ['that forgives the key, for a deny on hosts', undeny, here, true],
  ['that forgives another', { undeny: [pin('two')] }, everywhere, false],
  ['that revokes the key', revoking('one'), everywhere, true],
  ['that revokes the key, for a deny on hosts', revoking('one'), here, true],
  ['that revokes another', revoking('two'), everywhere, false],
  ['that revokes the key on some hosts only', revoking('one', 'a.example.com'), everywhere, false],
  [
    'that revokes it on those of the deny and more',
    revoking('one', '*.b.example.com', 'c.example.com', 'a.example.com'),
    here,
    true,
  ],
  ['that revokes it on one of them', revoking('one', 'a.example.com'), here, false],
  ['that revokes certificates', { revocations: { certificate: [] } }, everywhere, false],
])('a manifest %s', (_, members, deny, ends) => {
  const others = [sticky('three'), sticky('four', 'a.example.com')]
  const manifest = manifestOf(5, members, [], 2)
  expect(clearDenies([...others, deny], manifest)).toEqual(ends ? others : [...others, deny])
})
