import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../src/errors/errors.ts'
import { testCa } from '../../../src/testing/ca.ts'
import { crossSign, expiredTwinOf, forgedTwinOf, impostorOf } from '../../../src/testing/forge.ts'
import { createAnchors } from '../../../src/trust/anchors.ts'
import { findPath } from '../../../src/trust/path/build.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import type { KeyPurpose, KeyUsageName } from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, expectPath, expectRefusal, findingsOf, judge, NOW } from './support.ts'

const ca = testCa({ now: NOW })
const other = testCa({ now: NOW, name: 'Other' })
const server = ca.issue({ names: ['api.example.com'] })
const REFUSAL: Finding = { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'none of these' }

describe('what a peer may append never stands on the path', () => {
  const rogue = testCa({ now: NOW, name: 'Rogue' })
  const mitm = rogue.issue({ names: ['api.example.com'] })
  test.each([
    ['an unrelated CA', [other.issuer]],
    ['the forged root, its key on show', [forgedTwinOf(ca.root)]],
    ['the genuine root and a forged one', [ca.root, forgedTwinOf(ca.root)]],
    ['a forged intermediate', [forgedTwinOf(ca.issuer)]],
    ['an impostor of the root', [impostorOf(ca.root)]],
  ])('after the chain: %s', (_, appended) => {
    expectPath(judge([...chainOf(server), ...appended], [ca.root, other.root]), server, ca.issuer, ca.root)
    expectPath(judge([server, ...appended, ca.issuer], [ca.root, other.root]), server, ca.issuer, ca.root)
  })

  test.each([
    ['the genuine intermediate', [ca.issuer]],
    ['its expired twin', [expiredTwinOf(ca.issuer), ca.issuer]],
  ])('after a chain that ends elsewhere: %s', (_, appended) => {
    const result = judge([...chainOf(mitm), ...appended], [ca.root, rogue.root])
    expectPath(result, mitm, rogue.issuer, rogue.root)
  })

  test('a rogue intermediate with the genuine one’s name and key identifier', () => {
    const look = impostorOf(ca.issuer, { issuer: rogue.root })
    const forged = look.issue({ names: ['api.example.com'] })
    const result = judge([forged, look, expiredTwinOf(ca.issuer), ca.issuer], [ca.root, rogue.root])
    expectPath(result, forged, look, rogue.root)
    expectRefusal(judge([forged, expiredTwinOf(ca.issuer), ca.issuer], [ca.root]), 'ERR_TRUST_CERT_EXPIRED')
    expectRefusal(judge([forged, ca.issuer], [ca.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
  })
})

describe('the search', () => {
  test('does not depend on the order of what follows the end entity', () => {
    const deep = testCa({ now: NOW, intermediates: 3 })
    const leaf = deep.issue()
    const [first, second, third] = deep.intermediates
    expectPath(
      judge([leaf, ...deep.intermediates], [deep.root]),
      leaf,
      ...[third, second, first].flatMap((c) => c ?? []),
      deep.root,
    )
  })

  test('takes the way round an expired cross-certificate', () => {
    const dead = expiredTwinOf(crossSign(ca.root, other.root))
    expectPath(judge([...chainOf(server), dead], [ca.root, other.root]), server, ca.issuer, ca.root)
  })

  test('follows a cross-certificate when only its issuer is trusted', () => {
    const cross = crossSign(ca.root, other.root)
    expectPath(judge([...chainOf(server), cross], [other.root]), server, ca.issuer, cross, other.root)
  })

  test('ends at an anchor that is not self-signed', () => {
    expectPath(judge([server], [ca.issuer]), server, ca.issuer)
  })

  test('takes an anchor that was presented too', () => {
    expectPath(judge([...chainOf(server), ca.root], [ca.root]), server, ca.issuer, ca.root)
  })

  test('gets out of CAs that certify each other', () => {
    const [a, b] = [testCa({ now: NOW, name: 'A' }), testCa({ now: NOW, name: 'B' })]
    const loop = [crossSign(a.root, b.root), crossSign(b.root, a.root)]
    expectRefusal(judge([a.root.issue(), ...loop], [ca.root]), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('does not trust a self-signed certificate for being presented', () => {
    expectRefusal(judge([...chainOf(server), ca.root], [other.root]), 'ERR_TRUST_UNKNOWN_ISSUER', 2)
  })

  test('matches names by RFC 5280 §7.1: case, spaces and string type do not count', () => {
    const folded = ca.root.issue({ ca: true, subject: 'Spaced  Name', key: generateKey() })
    const leaf = folded.issue({ issuerName: ' spaced name ', names: ['a.example.com'] })
    expectPath(judge([leaf, folded], [ca.root]), leaf, folded, ca.root)
  })

  test('goes on when the caller refuses a path, and above an anchor that hides a root', () => {
    const seen: CertificationPath[] = []
    const wants =
      (pin: string | undefined) =>
      (path: CertificationPath): Finding | undefined => {
        seen.push(path)
        if (path.certificates.some(({ spkiSha256 }) => spkiSha256 === pin)) return undefined
        return { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'not this one' }
      }
    const pinned = expectPath(judge(chainOf(server), [ca.root]), server, ca.issuer, ca.root).certificates.at(-1)
    const shortened = judge(chainOf(server), [ca.issuer, ca.root], { acceptPath: wants(pinned?.spkiSha256) })
    expectPath(shortened, server, ca.issuer, ca.root)
    expect(seen.map(({ certificates }) => certificates.length)).toEqual([2, 3])
  })

  test('tries the cross-certificate of a root when the caller refuses the root', () => {
    const cross = crossSign(ca.root, other.root)
    const acceptPath = ({ certificates }: CertificationPath): Finding | undefined =>
      certificates.length === 4
        ? undefined
        : { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'not this one' }
    const result = judge([...chainOf(server), cross], [ca.root, other.root], { acceptPath })
    expectPath(result, server, ca.issuer, cross, other.root)
  })

  test('gives the first refused path and the caller’s reason when every path is refused', () => {
    const result = judge([...chainOf(server), crossSign(ca.root, other.root)], [ca.root, other.root], {
      acceptPath: () => REFUSAL,
    })
    expect(result).toMatchObject({ kind: 'invalid', findings: [REFUSAL] })
    expect(result.kind === 'invalid' && result.refusedPath?.certificates.map(({ subject }) => subject.text)).toEqual([
      'CN=api.example.com',
      'CN=Test Intermediate',
      'CN=Test Root',
    ])
  })

  test('counts intermediates against pathLenConstraint, self-issued ones not', () => {
    const limited = testCa({ now: NOW, intermediate: { pathLength: 0 } })
    expect(judge(chainOf(limited.issue()), [limited.root]).kind).toBe('valid')
    const below = limited.issuer.issue({ ca: true, subject: 'Below' })
    expectRefusal(judge(chainOf(below.issue()), [limited.root]), 'ERR_TRUST_PATH_LENGTH', 2)
    const renewed = limited.issuer.issue({ ca: true, subject: limited.issuer.subject, pathLength: 0 })
    const leaf = renewed.issue()
    expectPath(judge(chainOf(leaf), [limited.root]), leaf, renewed, limited.issuer, limited.root)
  })

  test('applies the pathLenConstraint of an anchor', () => {
    const limited = testCa({ now: NOW, root: { pathLength: 0 } })
    expectRefusal(judge(chainOf(limited.issue()), [limited.root]), 'ERR_TRUST_PATH_LENGTH', 2)
  })

  test('goes no deeper than maxDepth', () => {
    const deep = testCa({ now: NOW, intermediates: 2 })
    const leaf = deep.issue()
    expect(judge(chainOf(leaf), [deep.root], { maxDepth: 2 }).kind).toBe('valid')
    expectRefusal(judge(chainOf(leaf), [deep.root], { maxDepth: 1 }), 'ERR_TRUST_PATH_LENGTH', 2)
    const tall = testCa({ now: NOW, intermediates: 11 })
    expectRefusal(judge(chainOf(tall.issue()), [tall.root]), 'ERR_TRUST_PATH_LENGTH')
  })
})

describe('what is presented', () => {
  const anchors = createAnchors(ca.root.der)

  test('refuses an empty list', () => {
    expect(findPath({ presented: [], anchors, now: NOW })).toStrictEqual({
      kind: 'invalid',
      findings: [
        { code: 'ERR_TRUST_CHAIN_EMPTY', certificateIndex: null, message: 'the peer presented no certificate' },
      ],
    })
  })

  test.each([
    ['49 certificates', 48, (count: number) => [server.der, ca.issuer.der, ...Array(count - 2).fill(server.der)]],
    ['more than 64 kB', 65_536, (bytes: number) => padded(bytes)],
  ])('refuses %s', (_, most, made) => {
    expectPath(judge(made(most), [ca.root]), server, ca.issuer, ca.root)
    const presented = made(most + 1)
    const bytes = Buffer.concat(presented).length
    expect(judge(presented, [ca.root])).toStrictEqual({
      kind: 'invalid',
      findings: [
        {
          code: 'ERR_TRUST_CHAIN_TOO_LARGE',
          certificateIndex: null,
          message: `expected at most 48 certificates and 65536 bytes, saw ${presented.length} and ${bytes}`,
        },
      ],
    })
  })

  test('refuses bytes that are no certificate as end entity, and passes over them elsewhere', () => {
    const junk = Uint8Array.of(0x30, 0x80, 0, 0)
    const saidOf = (place: number) => ({
      code: 'ERR_TRUST_CERT_MALFORMED',
      certificateIndex: place,
      message: expect.stringMatching(`^certificate ${place} is not a certificate in DER: .+`),
    })
    expect(findingsOf(judge([junk, ca.issuer], [ca.root]))).toEqual([saidOf(0)])
    expectPath(judge([server, junk, ca.issuer], [ca.root]), server, ca.issuer, ca.root)
    expect(findingsOf(judge([server, other.root, junk], [ca.root]))).toEqual([
      saidOf(2),
      expect.objectContaining({ code: 'ERR_TRUST_UNKNOWN_ISSUER' }),
    ])
  })

  test('keeps its own copy: bytes changed after the verdict do not change the path', () => {
    const bytes = Uint8Array.from(server.der)
    const { certificates } = expectPath(judge([bytes, ca.issuer], [ca.root]), server, ca.issuer, ca.root)
    bytes.fill(0)
    expect(Buffer.compare(certificates[0].der, server.der)).toBe(0)
  })
})

describe('what a path is asked for', () => {
  const MAIL = '1.3.6.1.5.5.7.3.4'
  test.each<[KeyPurpose | typeof MAIL, string, string]>([
    ['serverAuth', '1.3.6.1.5.5.7.3.1', 'ERR_TRUST_KEY_USAGE'],
    ['clientAuth', '1.3.6.1.5.5.7.3.2', 'ERR_TRUST_KEY_USAGE'],
    [MAIL, MAIL, 'valid'],
  ])('a key that signs, for TLS (RFC 8446 §4.4.2.2) and for nothing else: %s', (purpose, oid, outcome) => {
    const judged = (keyUsage: KeyUsageName) =>
      judge(chainOf(ca.issue({ extendedKeyUsage: [purpose], keyUsage: [keyUsage] })), [ca.root], {
        extendedKeyUsage: [oid],
      })
    expect(judged('digitalSignature').kind).toBe('valid')
    const result = judged('keyEncipherment')
    expect(result.kind === 'valid' ? 'valid' : result.findings[0]?.code).toBe(outcome)
  })
})

describe('of many findings', () => {
  test('what a person can act on comes first, and "unknown issuer" last', () => {
    const orphan = ca.issuer.issue({ ca: true, subject: ca.issuer.subject, issuerName: 'Nobody', key: ca.issuer.key })
    const wrong = impostorOf(ca.issuer, { now: NOW })
    const dead = expiredTwinOf(ca.issuer)
    const codes = findingsOf(judge([server, orphan, wrong, dead], [ca.root])).map(({ code }) => code)
    expect(codes).toEqual(['ERR_TRUST_CERT_EXPIRED', 'ERR_TRUST_SIGNATURE_INVALID', 'ERR_TRUST_UNKNOWN_ISSUER'])
  })

  /** Below many routes to no anchor; `wrong` certificates of the issuer’s name did not issue the first. */
  const maze = (wrong: number) => {
    const cas = Array.from({ length: 8 }, (_, step) => testCa({ now: NOW, intermediates: 0, name: `${step}` }).root)
    const [bottom = ca.root, ...above] = cas
    const routes = above.flatMap((one, step) => [1, 2, 3, 4].map(() => crossSign(cas[step] ?? one, one)))
    const impostors = Array.from({ length: wrong }, () => impostorOf(bottom, { now: NOW }))
    return findingsOf(judge([bottom.issue(), ...impostors, ...routes], [ca.root])).map(({ code }) => code)
  }

  test('an exceeded budget comes after a signature that is invalid and before an unknown issuer', () => {
    expect([...new Set(maze(1))]).toEqual([
      'ERR_TRUST_SIGNATURE_INVALID',
      'ERR_TRUST_PATH_BUDGET',
      'ERR_TRUST_UNKNOWN_ISSUER',
    ])
  })

  test('that the search was given up is told however many others there are', () => {
    expect(maze(17)).toEqual([...Array<string>(15).fill('ERR_TRUST_SIGNATURE_INVALID'), 'ERR_TRUST_PATH_BUDGET'])
  })

  test('each is told once', () => {
    const cross = [1, 2].map(() => crossSign(ca.root, other.root))
    const twice = judge([...chainOf(server), ...cross, other.root], [ca.issuer], { acceptPath: () => REFUSAL })
    expect(findingsOf(twice).filter(({ code }) => code === 'ERR_TRUST_UNKNOWN_ISSUER')).toHaveLength(1)
  })

  test('a log line gets the first 16', () => {
    const dead = Array.from({ length: 17 }, () => expiredTwinOf(ca.issuer))
    const places = findingsOf(judge([server, ...dead], [ca.root])).map(({ certificateIndex }) => certificateIndex)
    expect(places).toEqual(Array.from({ length: 16 }, (_, index) => index + 1))
  })
})

/** The chain of the server and filler, as long as is said. */
function padded(bytes: number): Uint8Array[] {
  const chain = [server.der, ca.issuer.der]
  return [...chain, new Uint8Array(bytes - Buffer.concat(chain).length)]
}
