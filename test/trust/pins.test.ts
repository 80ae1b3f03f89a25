import { describe, expect, test } from 'vitest'
import { type PinText, pinOfSpki } from '../../src/encoding/pin.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { selfSigned, type TestCertificate, testCa } from '../../src/testing/ca.ts'
import type { CertificationPath } from '../../src/trust/path/path.ts'
import { matchPins, type PinResult, pinOf } from '../../src/trust/pins.ts'
import type { HostPolicy, Pin } from '../../src/trust/policy.ts'
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts'
import { originOf, policyFor } from '../support/policy.ts'

const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const DAY_MS = 86_400_000
const at = (days: number) => toUnixMs(NOW + days * DAY_MS)
const FOREVER = Number.MAX_SAFE_INTEGER

const ca = testCa({ now: NOW })
const server = ca.issue({ names: ['api.example.com'] })
const stranger = selfSigned({ now: NOW })
const members = [server, ca.issuer, ca.root] as const
const path = pathOf(...members)

function pathOf(first: TestCertificate, ...rest: readonly TestCertificate[]): CertificationPath {
  const parsed = ({ der }: TestCertificate): Certificate => parseCertificate(der)
  return { certificates: [parsed(first), ...rest.map(parsed)], policies: [] }
}

/** Every argument is a group of pins. */
function match(groups: readonly (readonly (Pin | PinText)[])[], more: Partial<HostPolicy> = {}, on = path): PinResult {
  const pinGroups = groups.map((group) => group.map((pin): Pin => (typeof pin === 'string' ? { spki: pin } : pin)))
  return matchPins(on, policyFor(originOf('https://api.example.com/'), [], { pinGroups, ...more }), NOW)
}

const deny = (spki: PinText, reason = 'key compromised') => ({ denies: [{ spki, reason }] })
const codeOf = (result: PinResult): string => (result.kind === 'match' ? 'match' : result.finding.code)

describe('one group', () => {
  test('matches a key anywhere on the path, whatever else is pinned', () => {
    for (const { pin } of members) {
      expect(match([[pin]])).toEqual({ kind: 'match', validUntil: FOREVER })
      expect(match([[stranger.pin, pin]]).kind).toBe('match')
    }
  })

  test('does not match a key that is not on it: ERR_TRUST_PIN_MISMATCH, with what was expected and what was seen', () => {
    const result = match([[stranger.pin, { spki: pinOfSpki(stranger.spki, 'sha512') }]])
    expect(codeOf(result)).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(result).toMatchObject({ kind: 'mismatch', finding: { certificateIndex: null } })
    const message = result.kind === 'match' ? '' : result.finding.message
    expect(message).toContain(`(expected ${stranger.pin} or ${pinOfSpki(stranger.spki, 'sha512')}, saw ${server.pin})`)
  })

  test('names every pin where none is active: ERR_TRUST_PIN_NONE_ACTIVE', () => {
    const [first, second] = [server.pin, stranger.pin].map((spki) => ({ spki, notAfter: NOW }))
    const result = match([[first, second].filter((pin) => pin !== undefined)])
    expect(codeOf(result)).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    expect(result).toMatchObject({
      kind: 'mismatch',
      finding: { message: expect.stringContaining(`(${server.pin}, ${stranger.pin})`) },
    })
  })

  test('does not match without a path member to match: the end entity alone is no issuer', () => {
    expect(codeOf(match([[ca.issuer.pin]], {}, pathOf(server)))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('asks nothing of a host that has no group', () => {
    expect(match([])).toEqual({ kind: 'match', validUntil: FOREVER })
  })
})

describe('hashes', () => {
  test.each(['sha256', 'sha384', 'sha512'] as const)('%s pins match the same key and no other', (hash) => {
    for (const { spki } of members) expect(match([[pinOfSpki(spki, hash)]]).kind).toBe('match')
    expect(codeOf(match([[pinOfSpki(stranger.spki, hash)]]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('a digest under another hash’s name matches nothing', () => {
    const [, digest = ''] = pinOfSpki(server.spki, 'sha384').split('/')
    expect(codeOf(match([[`sha256/${digest}` as PinText]]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('the digest is of the SubjectPublicKeyInfo: a renewed certificate of the key keeps its pin', () => {
    const renewed = ca.issue({ names: ['other.example.com'], key: server.key })
    expect(match([[server.pin]], {}, pathOf(renewed, ca.issuer, ca.root)).kind).toBe('match')
  })

  test('is computed once for a certificate and hash', () => {
    const certificate = parseCertificate(server.der)
    const counted = new Proxy(certificate, {
      get: (target, name) => {
        if (name === 'spki') reads += 1
        return Reflect.get(target, name, target)
      },
    })
    let reads = 0
    expect([pinOf(counted), pinOf(counted), pinOf(counted, 'sha512'), pinOf(counted, 'sha512')]).toEqual([
      server.pin,
      server.pin,
      pinOfSpki(server.spki, 'sha512'),
      pinOfSpki(server.spki, 'sha512'),
    ])
    expect(reads).toBe(2)
  })
})

describe('position', () => {
  test.each<['endEntity' | 'issuer', TestCertificate, string]>([
    ['endEntity', server, 'match'],
    ['endEntity', ca.issuer, 'ERR_TRUST_PIN_MISMATCH'],
    ['endEntity', ca.root, 'ERR_TRUST_PIN_MISMATCH'],
    ['issuer', server, 'ERR_TRUST_PIN_MISMATCH'],
    ['issuer', ca.issuer, 'match'],
    ['issuer', ca.root, 'match'],
  ])('require %s', (require, { pin: spki }, outcome) => {
    expect(codeOf(match([[{ spki, require }]]))).toBe(outcome)
  })

  test('a key that stands at both ends is found at either', () => {
    const local = selfSigned({ now: NOW })
    const above = selfSigned({ now: NOW, key: local.key, subject: 'Above' })
    for (const require of ['endEntity', 'issuer'] as const) {
      expect(match([[{ spki: local.pin, require }]], {}, pathOf(local, above)).kind).toBe('match')
    }
    expect(codeOf(match([[{ spki: local.pin, require: 'issuer' }]], {}, pathOf(local)))).toBe('ERR_TRUST_PIN_MISMATCH')
  })
})

describe('several groups', () => {
  test('all must match: ERR_TRUST_PIN_MISMATCH for the one that does not, whichever it is', () => {
    expect(match([[server.pin], [ca.root.pin]]).kind).toBe('match')
    expect(codeOf(match([[server.pin], [stranger.pin]]))).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(codeOf(match([[stranger.pin], [server.pin]]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('one key may satisfy two groups', () => {
    expect(match([[server.pin], [stranger.pin, server.pin]]).kind).toBe('match')
  })

  test('an empty group can never match: ERR_TRUST_PIN_NONE_ACTIVE', () => {
    expect(codeOf(match([[server.pin], []]))).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
  })
})

describe('time', () => {
  test.each<[string, Omit<Pin, 'spki'>, string]>([
    ['from now on', { notBefore: NOW }, 'match'],
    ['from the next millisecond on', { notBefore: toUnixMs(NOW + 1) }, 'ERR_TRUST_PIN_NONE_ACTIVE'],
    ['until the next millisecond', { notAfter: toUnixMs(NOW + 1) }, 'match'],
    ['until now', { notAfter: NOW }, 'ERR_TRUST_PIN_NONE_ACTIVE'], // the end does not belong to it
    ['around now', { notBefore: at(-1), notAfter: at(1) }, 'match'],
    ['ended before it began', { notBefore: at(1), notAfter: at(-1) }, 'ERR_TRUST_PIN_NONE_ACTIVE'],
  ])('a pin that is active %s', (_, window, outcome) => {
    expect(codeOf(match([[{ spki: server.pin, ...window }]]))).toBe(outcome)
  })

  test('an inactive pin does not match beside an active one of another key: ERR_TRUST_PIN_MISMATCH', () => {
    expect(codeOf(match([[{ spki: server.pin, notAfter: at(-1) }, stranger.pin]]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('names every pin of a group in which none is active', () => {
    const result = match([
      [
        { spki: server.pin, notAfter: at(-1) },
        { spki: stranger.pin, notBefore: at(1) },
      ],
    ])
    const message = result.kind === 'match' ? '' : result.finding.message
    for (const { pin } of [server, stranger]) expect(message).toContain(pin)
  })

  test('validUntil: within a group the longest matching pin, between groups the one that ends first', () => {
    const until = (days: number, { pin }: TestCertificate = server): Pin => ({ spki: pin, notAfter: at(days) })
    const endOf = (...groups: readonly (readonly (Pin | PinText)[])[]): unknown => {
      const result = match(groups)
      return result.kind === 'match' ? result.validUntil : result.finding.code
    }
    expect(endOf([until(3)])).toBe(at(3))
    expect(endOf([until(3), until(5, ca.root)])).toBe(at(5))
    expect(endOf([until(3), ca.root.pin])).toBe(FOREVER)
    expect(endOf([until(3), until(9, stranger)])).toBe(at(3)) // a pin that does not match holds nothing up
    expect(endOf([until(3), until(5, ca.root)], [until(4, ca.issuer)])).toBe(at(4))
    expect(endOf([until(4, ca.issuer)], [until(3), until(5, ca.root)])).toBe(at(4))
  })
})

describe('denied keys', () => {
  test.each(members.map((member, index) => [index, member] as const))(
    'at place %i of the path: ERR_TRUST_PIN_DENIED',
    (index, { pin }) => {
      const result = match([members.map((member) => member.pin)], deny(pin, 'lost'))
      expect(result).toMatchObject({
        kind: 'denied',
        finding: { code: 'ERR_TRUST_PIN_DENIED', certificateIndex: index },
      })
      const message = result.kind === 'match' ? '' : result.finding.message
      expect(message).toContain(pin)
      expect(message).toContain('"lost"')
    },
  )

  test.each(['sha384', 'sha512'] as const)('named by %s, while pinned by sha256', (hash) => {
    expect(codeOf(match([[server.pin]], deny(pinOfSpki(server.spki, hash))))).toBe('ERR_TRUST_PIN_DENIED')
  })

  test('come before a missing pin and before a host without pins', () => {
    expect(codeOf(match([[stranger.pin]], deny(ca.issuer.pin)))).toBe('ERR_TRUST_PIN_DENIED')
    expect(codeOf(match([], deny(ca.root.pin)))).toBe('ERR_TRUST_PIN_DENIED')
  })

  test('that are not on the path deny nothing, and switch their own pin off', () => {
    expect(match([[server.pin]], deny(stranger.pin)).kind).toBe('match')
    expect(codeOf(match([[stranger.pin]], deny(stranger.pin)))).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    expect(match([[stranger.pin, server.pin]], deny(stranger.pin)).kind).toBe('match')
  })

  test('a reason with line breaks stays on one line', () => {
    const result = match([[server.pin]], deny(server.pin, 'lost\nand found'))
    expect(result.kind === 'match' ? '' : result.finding.message).not.toContain('\n')
  })
})
