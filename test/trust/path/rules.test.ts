import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { selfSigned, type TestCertificate, testCa } from '../../../src/testing/ca.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { EXTENSION_OID, extension } from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, DAY_MS, expectPath, expectRefusal, judge, NOW, refusalOf } from './support.ts'

const ca = testCa({ now: NOW })
const issue = (options: Parameters<TestCertificate['issue']>[0] = {}): TestCertificate =>
  ca.issue({ names: ['api.example.com'], ...options })

describe('one certificate in its place', () => {
  test('accepts end entity, intermediate and root', () => {
    const server = issue()
    expectPath(judge(chainOf(server), [ca.root]), server, ca.issuer, ca.root)
  })

  test.each([
    ['notBefore', NOW, 'valid'],
    ['notBefore', NOW + 1000, 'ERR_TRUST_CERT_NOT_YET_VALID'],
    ['notAfter', NOW, 'valid'],
    ['notAfter', NOW - 1000, 'ERR_TRUST_CERT_EXPIRED'],
  ])('counts both ends of the validity period as inside: %s at %d', (edge, at, outcome) => {
    const result = judge(chainOf(issue({ [edge]: at })), [ca.root])
    if (outcome === 'valid') expect(result.kind).toBe('valid')
    else expectRefusal(result, outcome, 0)
  })

  test.each([
    ['a negative serial number', '0203912233'],
    ['a padded serial number', '0203001122'],
  ])('refuses %s, wherever it stands', (_, encoded) => {
    const serial = Uint8Array.of(0x11, 0x22, 0x33)
    const flawed = ({ der: sound }: TestCertificate): { der: Uint8Array } => {
      const bytes = Buffer.from(sound)
      Buffer.from(encoded, 'hex').copy(bytes, bytes.indexOf(Buffer.from('0203112233', 'hex')))
      return { der: bytes }
    }
    const server = issue({ serial })
    expect(judge([server, ca.issuer], [ca.root]).kind).toBe('valid')
    expectRefusal(judge([flawed(server), ca.issuer], [ca.root]), 'ERR_TRUST_CERT_MALFORMED', 0)
    const odd = testCa({ now: NOW, intermediate: { serial } })
    expect(judge([odd.issue(), odd.issuer], [odd.root]).kind).toBe('valid')
    expectRefusal(judge([odd.issue(), flawed(odd.issuer)], [odd.root]), 'ERR_TRUST_CERT_MALFORMED', 1)
  })

  test('refuses a subjectAltName without a name, wherever it stands', () => {
    const nameless = { extensions: [extension.subjectAltName([])] }
    expectRefusal(judge(chainOf(issue({ names: [], ...nameless })), [ca.root]), 'ERR_TRUST_CERT_MALFORMED', 0)
    const odd = testCa({ now: NOW, intermediate: nameless })
    expectRefusal(judge(chainOf(odd.issue()), [odd.root]), 'ERR_TRUST_CERT_MALFORMED', 1)
    const named = testCa({
      now: NOW,
      intermediate: { extensions: [extension.subjectAltName([{ dns: 'ca.example' }])] },
    })
    expect(judge(chainOf(named.issue()), [named.root]).kind).toBe('valid')
  })

  test('judges validity in whole seconds', () => {
    const server = issue({ notAfter: NOW })
    expect(judge(chainOf(server), [ca.root], { now: (NOW + 999) as typeof NOW }).kind).toBe('valid')
    expectRefusal(judge(chainOf(server), [ca.root], { now: (NOW + 1000) as typeof NOW }), 'ERR_TRUST_CERT_EXPIRED')
  })

  test('names an expired intermediate, and not merely an unknown issuer', () => {
    const old = testCa({ now: NOW, intermediate: { notBefore: NOW - 9 * DAY_MS, notAfter: NOW - DAY_MS } })
    const server = old.issue({ names: ['api.example.com'], notBefore: NOW - DAY_MS, notAfter: NOW + DAY_MS })
    expectRefusal(judge(chainOf(server), [old.root]), 'ERR_TRUST_CERT_EXPIRED', 1)
  })

  test('holds an anchor to its own dates', () => {
    const old = testCa({ now: NOW, intermediates: 0, root: { notBefore: NOW - 9 * DAY_MS, notAfter: NOW - DAY_MS } })
    expectRefusal(judge(chainOf(old.issue()), [old.root]), 'ERR_TRUST_CERT_EXPIRED', 1)
  })

  test.each(['endEntity', 'intermediate', 'anchor'])('refuses a critical extension it does not know: %s', (place) => {
    const extensions = [{ oid: '1.3.6.1.4.1.55738.666.1', critical: true, value: der.nothing() }]
    const odd = testCa({
      now: NOW,
      ...(place === 'anchor' ? { root: { extensions } } : {}),
      ...(place === 'intermediate' ? { intermediate: { extensions } } : {}),
    })
    const server = odd.issue(place === 'endEntity' ? { extensions } : {})
    expectRefusal(judge(chainOf(server), [odd.root]), 'ERR_TRUST_CRITICAL_EXTENSION')
  })

  test('accepts the same extension when it is not critical', () => {
    const extensions = [{ oid: '1.3.6.1.4.1.55738.666.1', critical: false, value: der.nothing() }]
    expect(judge(chainOf(issue({ extensions })), [ca.root]).kind).toBe('valid')
  })

  test.each([true, false])('refuses a precertificate, whether its poison is critical (%s)', (critical) => {
    const extensions = [{ oid: '1.3.6.1.4.1.11129.2.4.3', critical, value: der.nothing() }]
    expectRefusal(judge(chainOf(issue({ extensions })), [ca.root]), 'ERR_TRUST_CRITICAL_EXTENSION', 0)
  })

  test.each([1, 2] as const)('refuses an end entity and an intermediate of version %d', (version) => {
    const old = ofVersion(version, 'Old', ca.issuer, generateKey().spki)
    expectRefusal(judge([old, ca.issuer], [ca.root]), 'ERR_TRUST_CERT_VERSION', 0)
    const middle = ofVersion(version, 'Test Intermediate', ca.root, ca.issuer.spki)
    expectRefusal(judge([issue(), middle], [ca.root]), 'ERR_TRUST_CERT_VERSION', 1)
  })

  test('takes a version 1 certificate as an anchor: the operator says that it is a CA', () => {
    const made = selfSigned({ ca: true, subject: 'Old Root', now: NOW })
    const server = made.issue({ names: ['api.example.com'] })
    const root = ofVersion(1, 'Old Root', made, made.spki)
    expectPath(judge([server], [root]), server, root)
    expectRefusal(judge([server], [ofVersion(2, 'Old Root', made, made.spki)]), 'ERR_TRUST_CERT_VERSION', 1)
  })
})

describe('issuers', () => {
  test('refuses an end entity as issuer', () => {
    const middle = issue()
    const server = middle.issue({ names: ['victim.example.com'] })
    expectRefusal(judge([server, middle, ca.issuer], [ca.root]), 'ERR_TRUST_NOT_A_CA', 1)
  })

  test('refuses an issuer without basicConstraints, an anchor too', () => {
    const bare = testCa({ now: NOW, intermediates: 0, root: { omit: [EXTENSION_OID.basicConstraints] } })
    expectRefusal(judge(chainOf(bare.issue()), [bare.root]), 'ERR_TRUST_NOT_A_CA', 1)
  })

  test('refuses an issuer whose keyUsage leaves out keyCertSign', () => {
    const odd = testCa({ now: NOW, intermediate: { keyUsage: ['cRLSign'] } })
    expectRefusal(judge(chainOf(odd.issue()), [odd.root]), 'ERR_TRUST_KEY_USAGE', 1)
  })

  test('refuses an issuer without a subject', () => {
    const nameless = testCa({ now: NOW, intermediates: 0, root: { subject: der.sequence() } })
    const server = nameless.issue({ names: ['api.example.com'], issuerName: 'Elsewhere' })
    expectRefusal(judge([server], [nameless.root]), 'ERR_TRUST_UNKNOWN_ISSUER')
    const child = nameless.issue({ subject: 'CA', ca: true })
    const below = child.issue({ names: ['api.example.com'] })
    expectRefusal(judge([below, child], [nameless.root]), 'ERR_TRUST_CERT_MALFORMED')
  })

  test('refuses an end entity with an empty issuer name', () => {
    expectRefusal(judge(chainOf(issue({ issuerName: der.sequence() })), [ca.root]), 'ERR_TRUST_CERT_MALFORMED', 0)
  })
})

describe('end entities', () => {
  test('refuses a CA certificate, but not in the rfc5280 profile', () => {
    const server = issue({ ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] })
    expectRefusal(judge(chainOf(server), [ca.root]), 'ERR_TRUST_CA_AS_END_ENTITY', 0)
    expect(judge(chainOf(server), [ca.root], { profile: 'rfc5280' }).kind).toBe('valid')
  })

  test('accepts a self-signed CA certificate that is itself an anchor, byte for byte', () => {
    const server = selfSigned({
      names: ['localhost'],
      ca: true,
      keyUsage: ['digitalSignature', 'keyCertSign'],
      now: NOW,
    })
    expectPath(judge([server], [server]), server)
    const twin = selfSigned({ ...server.options, key: server.key })
    expectRefusal(judge([twin], [server]), 'ERR_TRUST_CA_AS_END_ENTITY', 0)
  })

  test('accepts a self-signed certificate that is itself an anchor and has keyCertSign without the CA bit', () => {
    const server = selfSigned({ names: ['localhost'], keyUsage: ['digitalSignature', 'keyCertSign'], now: NOW })
    expectPath(judge([server], [server]), server)
  })

  test('holds an end entity that is an anchor to its dates and purposes', () => {
    const old = selfSigned({ names: ['localhost'], now: NOW, notAfter: NOW - DAY_MS, notBefore: NOW - 9 * DAY_MS })
    expectRefusal(judge([old], [old]), 'ERR_TRUST_CERT_EXPIRED', 0)
    const client = selfSigned({ names: ['localhost'], now: NOW, extendedKeyUsage: ['clientAuth'] })
    expectRefusal(judge([client], [client]), 'ERR_TRUST_EXTENDED_KEY_USAGE', 0)
  })

  test('refuses keyCertSign without the CA bit', () => {
    const server = issue({ keyUsage: ['digitalSignature', 'keyCertSign'] })
    expectRefusal(judge(chainOf(server), [ca.root]), 'ERR_TRUST_KEY_USAGE', 0)
  })

  test('refuses a key that may not sign: TLS 1.3 and ECDHE sign the handshake', () => {
    const server = issue({ keyUsage: ['keyEncipherment'] })
    expectRefusal(judge(chainOf(server), [ca.root]), 'ERR_TRUST_KEY_USAGE', 0)
    expect(judge(chainOf(server), [ca.root], { extendedKeyUsage: [] }).kind).toBe('valid')
    expectRefusal(judge(chainOf(issue()), [ca.root], { keyUsage: ['keyAgreement'] }), 'ERR_TRUST_KEY_USAGE', 0)
  })

  test('accepts a certificate without keyUsage and without extendedKeyUsage', () => {
    const server = issue({ omit: [EXTENSION_OID.keyUsage, EXTENSION_OID.extendedKeyUsage] })
    expect(judge(chainOf(server), [ca.root]).kind).toBe('valid')
  })

  test.each([[['clientAuth']], [['any']]] as const)('refuses extendedKeyUsage %j for a server', (purposes) => {
    const server = issue({ extendedKeyUsage: purposes })
    expectRefusal(judge(chainOf(server), [ca.root]), 'ERR_TRUST_EXTENDED_KEY_USAGE', 0)
    expect(judge(chainOf(server), [ca.root], { extendedKeyUsage: [] }).kind).toBe('valid')
  })

  test('limits a CA, anchors included, to its own purposes', () => {
    const mail = { extendedKeyUsage: ['clientAuth'] as const }
    const below = testCa({ now: NOW, intermediate: mail })
    expectRefusal(judge(chainOf(below.issue()), [below.root]), 'ERR_TRUST_EXTENDED_KEY_USAGE', 1)
    const at = testCa({ now: NOW, intermediates: 0, root: mail })
    expectRefusal(judge(chainOf(at.issue()), [at.root]), 'ERR_TRUST_EXTENDED_KEY_USAGE', 1)
    const wide = testCa({ now: NOW, intermediate: { extendedKeyUsage: ['any', 'clientAuth'] } })
    expect(judge(chainOf(wide.issue()), [wide.root]).kind).toBe('valid')
    const whole = testCa({ now: NOW, intermediates: 0, root: { extendedKeyUsage: ['any', 'clientAuth'] } })
    expect(judge(chainOf(whole.issue()), [whole.root]).kind).toBe('valid')
  })
})

describe('what a refusal says', () => {
  const name = 'CN=api.example.com'

  test.each([
    [
      'a list of names that is empty',
      { names: [], extensions: [extension.subjectAltName([])] },
      'ERR_TRUST_CERT_MALFORMED',
      'certificate 0 is not a certificate in DER: list of names is empty',
    ],
    [
      'the date it begins',
      { notBefore: NOW + 1000 },
      'ERR_TRUST_CERT_NOT_YET_VALID',
      `${name}: not valid before 2030-01-01T00:00:01Z, now 2030-01-01T00:00:00Z`,
    ],
    [
      'the date it ended',
      { notAfter: NOW - 1000 },
      'ERR_TRUST_CERT_EXPIRED',
      `${name}: expired at 2029-12-31T23:59:59Z, now 2030-01-01T00:00:00Z`,
    ],
    [
      'the extension nobody knows',
      { extensions: [{ oid: '1.3.6.1.4.1.55738.666.1', critical: true, value: der.nothing() }] },
      'ERR_TRUST_CRITICAL_EXTENSION',
      `${name}: critical extension 1.3.6.1.4.1.55738.666.1 is not understood`,
    ],
    [
      'the poison',
      { extensions: [{ oid: '1.3.6.1.4.1.11129.2.4.3', critical: true, value: der.nothing() }] },
      'ERR_TRUST_CRITICAL_EXTENSION',
      `${name}: is a precertificate (extension 1.3.6.1.4.1.11129.2.4.3), not a certificate`,
    ],
    [
      'the issuer that has no name',
      { issuerName: der.sequence() },
      'ERR_TRUST_CERT_MALFORMED',
      `${name}: the issuer name is empty`,
    ],
    [
      'the CA',
      { ca: true },
      'ERR_TRUST_CA_AS_END_ENTITY',
      `${name}: expected an end entity, saw a CA certificate that is not itself an anchor`,
    ],
    [
      'keyCertSign',
      { keyUsage: ['digitalSignature', 'keyCertSign'] },
      'ERR_TRUST_KEY_USAGE',
      `${name}: keyUsage keyCertSign on a certificate that is not a CA`,
    ],
    [
      'the usages there are',
      { keyUsage: ['keyEncipherment', 'dataEncipherment'] },
      'ERR_TRUST_KEY_USAGE',
      `${name}: expected keyUsage digitalSignature, saw keyEncipherment, dataEncipherment`,
    ],
    [
      'that there is no usage',
      { keyUsage: [] },
      'ERR_TRUST_KEY_USAGE',
      `${name}: expected keyUsage digitalSignature, saw none`,
    ],
    [
      'the first eight of the purposes there are',
      { extendedKeyUsage: Array.from({ length: 9 }, (_, i) => `1.2.3.${i + 1}` as const) },
      'ERR_TRUST_EXTENDED_KEY_USAGE',
      `${name}: expected extendedKeyUsage 1.3.6.1.5.5.7.3.1, saw 1.2.3.1, 1.2.3.2, 1.2.3.3, 1.2.3.4, 1.2.3.5, 1.2.3.6, 1.2.3.7, 1.2.3.8`,
    ],
  ] as const)('of an end entity: %s', (_, options, code, message) => {
    const server = issue({ subject: 'api.example.com', ...options })
    expect(refusalOf(judge([server, ca.issuer], [ca.root]))).toEqual({ code, certificateIndex: 0, message })
  })

  test.each([
    [
      'that basicConstraints are missing',
      { omit: [EXTENSION_OID.basicConstraints] },
      'ERR_TRUST_NOT_A_CA',
      'CN=Middle: expected a CA certificate, saw no basicConstraints',
    ],
    [
      'that basicConstraints do not say CA',
      { extensions: [extension.basicConstraints(false)] },
      'ERR_TRUST_NOT_A_CA',
      'CN=Middle: expected a CA certificate, saw basicConstraints without cA',
    ],
    [
      'its serial number, where it has no subject',
      { subject: der.sequence(), serial: Uint8Array.of(0x11, 0x22, 0x33) },
      'ERR_TRUST_CERT_MALFORMED',
      'serial 112233: a CA certificate must have a subject',
    ],
    [
      'the usages there are',
      { keyUsage: ['digitalSignature', 'cRLSign'] },
      'ERR_TRUST_KEY_USAGE',
      'CN=Middle: expected keyUsage keyCertSign on a CA, saw digitalSignature, cRLSign',
    ],
  ] as const)('of an issuer: %s', (_, options, code, message) => {
    const middle = ca.root.issue({ ca: true, subject: 'Middle', ...options })
    const lower = middle.issue({ ca: true, subject: 'Lower' })
    const result = judge([lower.issue(), lower, middle], [ca.root])
    expect(refusalOf(result)).toEqual({ code, certificateIndex: 2, message })
  })

  test('the version there is', () => {
    const old = ofVersion(1, 'Old', ca.issuer, generateKey().spki)
    expect(refusalOf(judge([old, ca.issuer], [ca.root]))).toEqual({
      code: 'ERR_TRUST_CERT_VERSION',
      certificateIndex: 0,
      message: 'CN=Old: expected an X.509 version 3 certificate, saw version 1',
    })
  })

  test('every usage that was asked for', () => {
    const result = judge(chainOf(issue()), [ca.root], { keyUsage: ['digitalSignature', 'keyAgreement'] })
    expect(refusalOf(result)?.message).toBe(
      `${name}: expected keyUsage digitalSignature, keyAgreement, saw digitalSignature, keyEncipherment`,
    )
  })
})

describe('the cabf profile', () => {
  const cabf = { profile: 'cabf' } as const

  test('accepts a certificate in good form', () => {
    expect(judge(chainOf(issue()), [ca.root], cabf).kind).toBe('valid')
  })

  test.each([
    ['no extendedKeyUsage', { omit: [EXTENSION_OID.extendedKeyUsage] }],
    ['no authorityKeyIdentifier', { omit: [EXTENSION_OID.authorityKeyIdentifier] }],
    ['an underscore in a name', { names: ['a_b.example.com'] }],
    ['anyExtendedKeyUsage', { extendedKeyUsage: ['serverAuth', 'any'] as const }],
    ['the serial number 0', { serial: Uint8Array.of(0) }],
    ['a serial number of 21 octets', { serial: new Uint8Array(21).fill(1) }],
    ['a critical subjectAltName', { extensions: [extension.subjectAltName([{ dns: 'a.example.com' }], true)] }],
    ['nameConstraints', { nameConstraints: { permitted: [{ dns: 'example.com' }] } }],
  ])('refuses %s, which the default profile accepts', (_, options) => {
    const server = issue(options)
    expectRefusal(judge(chainOf(server), [ca.root], cabf), 'ERR_TRUST_CERT_FORM', 0)
    expect(judge(chainOf(server), [ca.root]).kind).toBe('valid')
  })

  test('excuses roots from before the Baseline Requirements, and no other', () => {
    const made = (notBefore: number) =>
      testCa({ now: NOW, intermediates: 0, root: { notBefore, omit: [EXTENSION_OID.subjectKeyIdentifier] } })
    const [old, young] = [made(Date.UTC(2012, 5, 27)), made(Date.UTC(2012, 6, 1))]
    expect(judge(chainOf(old.issue()), [old.root], cabf).kind).toBe('valid')
    expectRefusal(judge(chainOf(young.issue()), [young.root], cabf), 'ERR_TRUST_CERT_FORM', 1)
  })
})

/** A certificate as OpenSSL wrote them before extensions: nothing after the key, and in version 1 no version field. */
function ofVersion(version: 1 | 2, subject: string, issuer: TestCertificate, spki: Uint8Array): { der: Uint8Array } {
  const algorithm = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'))
  const name = der.sequence(der.setOfOne(der.sequence(der.objectIdentifier('2.5.4.3'), der.utf8String(subject))))
  const validity = der.sequence(der.time(NOW - DAY_MS), der.time(NOW + DAY_MS))
  const field = version === 1 ? [] : [der.tagged(0, der.integer(version - 1))]
  const tbs = der.sequence(...field, der.integer(1), algorithm, issuer.subject, validity, name, spki)
  const signature = new Uint8Array(sign('sha256', tbs, issuer.key.privateKey))
  return { der: der.sequence(tbs, algorithm, der.bitString(signature)) }
}
