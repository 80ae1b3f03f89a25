/** Which revocations of a manifest a later one leaves out, item by item. */
import { expect, test } from 'vitest'
import { parseHostPattern } from '../../src/encoding/host-pattern.ts'
import type { ManifestFloor, SignedManifest } from '../../src/manifest/accept.ts'
import { checkRevocationsKept, dropped, type Revocations, rulesIn } from '../../src/manifest/revocations.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { day, manifestOf } from './accepted.ts'
import { pin } from './world.ts'

const at = (names: readonly string[]) => names.map((name) => parseHostPattern(name) ?? expect.fail(name))
const key = (seed: string, ...hosts: readonly string[]) => ({
  sha256: pin(seed),
  since: day(0),
  reason: '',
  ...(hosts.length === 0 ? {} : { hosts: at(hosts) }),
})
const back = { reason: 'found' }
const serials = (issuer: string, ...list: string[]) => ({ issuerSpkiSha256: pin(issuer), serials: list })
const before = (days: number) => ({ spkiSha256: pin('ca'), notBefore: day(days) })
const sct = (days: number) => ({ spkiSha256: pin('ca'), sctNotAfter: day(days) })
const certificate = (digit: string) => ({ sha256: digit.repeat(64) })
const one = pin('one')
const serial = (text: string) => `${pin('ca')} ${text}`

test.each<[string, Revocations, Revocations, readonly string[]]>([
  ['nothing', undefined, undefined, []],
  ['nothing, of nothing', {}, {}, []],
  ['a key', { spki: [key('one')] }, undefined, [one]],
  ['no key that is there still', { spki: [key('one')] }, { spki: [key('two'), key('one')] }, []],
  ['a key that is there on some hosts only', { spki: [key('one')] }, { spki: [key('one', 'a.example.com')] }, [one]],
  [
    'no key on a host that is there for every host',
    { spki: [key('one', 'a.example.com')] },
    { spki: [key('one')] },
    [],
  ],
  [
    'a key on one of its hosts, by name',
    { spki: [key('one', '*.a.example.com', 'b.example.com')] },
    { spki: [key('one', 'b.example.com', 'c.example.com')] },
    [`${one} for *.a.example.com`],
  ],
  ['no key that is taken back', { spki: [key('one')] }, { unrevoked: [{ sha256: one, ...back }] }, []],
  [
    'no key on a host that is taken back for every host',
    { spki: [key('one', 'a.example.com')] },
    { unrevoked: [{ sha256: one, ...back }] },
    [],
  ],
  [
    'no key on a host that is taken back there',
    { spki: [key('one', 'a.example.com')] },
    { unrevoked: [{ sha256: one, hosts: at(['a.example.com']), ...back }] },
    [],
  ],
  [
    'a key that is taken back on one host',
    { spki: [key('one')] },
    { unrevoked: [{ sha256: one, hosts: at(['a.example.com']), ...back }] },
    [one],
  ],
  [
    'a certificate',
    { certificate: [certificate('a'), certificate('b')] },
    { certificate: [certificate('b')] },
    ['a'.repeat(64)],
  ],
  [
    'no certificate that is taken back',
    { certificate: [certificate('a')] },
    { unrevoked: [{ ...certificate('a'), ...back }] },
    [],
  ],
  [
    'a serial number',
    { issuerSerial: [serials('ca', '01', '02')] },
    { issuerSerial: [serials('ca', '02')] },
    [serial('1')],
  ],
  [
    'a serial number of that issuer',
    { issuerSerial: [serials('ca', '01')] },
    { issuerSerial: [serials('other', '01')] },
    [serial('1')],
  ],
  [
    'no serial number for the zeros before it',
    { issuerSerial: [serials('ca', '000a', '00')] },
    { issuerSerial: [serials('ca', '0a', '0000')] },
    [],
  ],
  [
    'a serial number for the zeros in and behind it',
    { issuerSerial: [serials('ca', '10', '100f')] },
    { issuerSerial: [serials('ca', '01', '1f')] },
    [serial('10'), serial('100f')],
  ],
  [
    'no serial number that is taken back',
    { issuerSerial: [serials('ca', '01')] },
    { unrevoked: [{ ...serials('ca', '1a', '01'), ...back }] },
    [],
  ],
  ['a CA', { distrustAfter: [before(3)] }, { distrustAfter: [] }, [`${pin('ca')} notBefore`]],
  [
    'a CA that is trusted for a day more',
    { distrustAfter: [before(3)] },
    { distrustAfter: [before(4)] },
    [`${pin('ca')} notBefore`],
  ],
  ['no CA that is trusted for as long', { distrustAfter: [before(3)] }, { distrustAfter: [before(3)] }, []],
  ['no CA that is trusted for less', { distrustAfter: [before(3)] }, { distrustAfter: [before(2)] }, []],
  ['no CA that is distrusted twice', { distrustAfter: [before(3)] }, { distrustAfter: [before(2), before(4)] }, []],
  [
    'no CA that is distrusted twice, the other way round',
    { distrustAfter: [before(3)] },
    { distrustAfter: [before(4), before(2)] },
    [],
  ],
  ['a CA by its timestamps', { distrustAfter: [sct(3)] }, { distrustAfter: [before(1)] }, [`${pin('ca')} sctNotAfter`]],
  [
    'a CA by its timestamps, later',
    { distrustAfter: [sct(3)] },
    { distrustAfter: [sct(4)] },
    [`${pin('ca')} sctNotAfter`],
  ],
  ['no CA by its timestamps, sooner', { distrustAfter: [sct(3)] }, { distrustAfter: [sct(2)] }, []],
  [
    'a CA that is taken back from another day on',
    { distrustAfter: [before(3)] },
    { unrevoked: [{ ...before(4), ...back }] },
    [`${pin('ca')} notBefore`],
  ],
  [
    'no CA that is taken back in the same words',
    { distrustAfter: [sct(3)] },
    { unrevoked: [{ ...sct(3), ...back }] },
    [],
  ],
])('a later manifest drops %s', (_, revocations, after, names) => {
  expect(dropped(rulesIn(revocations), after)).toEqual(names)
})

test('rules of every kind are looked at', () => {
  const all = {
    spki: [key('one')],
    certificate: [certificate('a')],
    issuerSerial: [serials('ca', '01')],
    distrustAfter: [sct(3)],
  }
  expect(rulesIn(all)).toEqual([key('one'), certificate('a'), serials('ca', '01'), sct(3)])
  expect([rulesIn(undefined), rulesIn({ unrevoked: [{ sha256: one, ...back }] })]).toEqual([[], []])
})

const floor: ManifestFloor = {
  version: 5,
  sha256: '',
  current: 5,
  revocations: { spki: [key('one'), key('two')] },
  expires: day(10),
}
const six = (revocations?: Revocations) => manifestOf(6, { revocations }) as unknown as SignedManifest
const check =
  (revocations: Revocations, now = day(1), source?: string) =>
  () =>
    checkRevocationsKept(six(revocations), floor, now, source)

test('what is gone is refused until the manifest that said it has expired: ERR_MANIFEST_REVOCATION_DROPPED', () => {
  const code = 'ERR_MANIFEST_REVOCATION_DROPPED'
  const about = (what: string) =>
    `manifest 6: revoked in manifest 5, neither revoked nor in revocations.unrevoked here: ${what}`
  const refused = { code, kind: 'security', document: 'manifest', version: 6, source: 'a mirror' }
  expect(check({ spki: [key('two')] }, day(1), 'a mirror')).toThrow(
    expect.objectContaining({ ...refused, message: about(one) }),
  )
  expect(check(undefined)).toThrow(expect.objectContaining({ code, message: about(`${one} and 1 others`) }))
  expect(check(undefined, toUnixMs(day(10) - 1))).toThrow(expect.objectContaining({ code }))
  expect(check(undefined, day(10))).not.toThrow()
  expect(check(floor.revocations)).not.toThrow()
})

test('a first manifest has nothing to keep', () => {
  expect(() => checkRevocationsKept(six(), undefined, day(1))).not.toThrow()
})
