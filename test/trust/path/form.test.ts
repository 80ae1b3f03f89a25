import { describe, expect, test } from 'vitest'
import { type IssueOptions, testCa } from '../../../src/testing/ca.ts'
import type { PathResult } from '../../../src/trust/path/path.ts'
import * as der from '../../../src/x509/der-writer.ts'
import {
  type CertificateExtension,
  EXTENSION_OID,
  extension,
  type GeneralNameInput,
  keyIdentifierOf,
} from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, judge, NOW } from './support.ts'

const keys = { root: generateKey(), intermediate: generateKey(), server: generateKey() }
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

interface Chain {
  readonly root?: IssueOptions
  readonly intermediate?: IssueOptions
  readonly server?: IssueOptions
}

function judged(chain: Chain, rest: Parameters<typeof judge>[2] = { profile: 'cabf' }): PathResult {
  const ca = testCa({
    now: NOW,
    root: { key: keys.root, ...chain.root },
    intermediate: { key: keys.intermediate, ...chain.intermediate },
  })
  const server = ca.issue({ subject: 'Server', names: ['a.example.com'], key: keys.server, ...chain.server })
  return judge(chainOf(server), [ca.root], rest)
}

/** What the user reads of a certificate in bad form. */
const complaint = (chain: Chain, rest?: Parameters<typeof judge>[2]): string => {
  const result = judged(chain, rest)
  return result.kind === 'valid' ? 'valid' : `${result.findings[0]?.code}: ${result.findings[0]?.message}`
}

const PLACES = [
  ['root', 'CN=Test Root'],
  ['intermediate', 'CN=Test Intermediate'],
  ['server', 'CN=Server'],
] as const
const [, ...BELOW_THE_ROOT] = PLACES
const [ROOT, INTERMEDIATE] = PLACES
const CAS = [ROOT, INTERMEDIATE] as const

const critical = (made: CertificateExtension): CertificateExtension => ({ ...made, critical: true })
const notCritical = (made: CertificateExtension): CertificateExtension => ({ ...made, critical: false })
const authorityKeyIdentifier = (...fields: Uint8Array[]): CertificateExtension => ({
  oid: EXTENSION_OID.authorityKeyIdentifier,
  critical: false,
  value: der.sequence(...fields),
})
const keyIdentifier = (value: Uint8Array): Uint8Array => der.taggedPrimitive(0, value)
const issuerOfTheIssuer = der.tagged(1, der.tagged(4, der.sequence()))
const serialOfTheIssuer = der.taggedPrimitive(2, Uint8Array.of(1))

/** RSA whose modulus has so many bits; nobody knows its factors. */
function rsaSpki(bits: number, algorithm = RSA): Uint8Array {
  const modulus = new Uint8Array(Math.ceil(bits / 8)).fill(0xff)
  modulus[0] = 0xff >> (modulus.length * 8 - bits)
  const key = der.sequence(der.integer(modulus), der.integer(65_537))
  return der.sequence(der.sequence(...algorithm), der.bitString(key))
}
const RSA = [der.objectIdentifier('1.2.840.113549.1.1.1'), der.nothing()]
const RSA_PSS = [der.objectIdentifier('1.2.840.113549.1.1.10')]

test('accepts a path in good form', () => {
  expect(complaint({})).toBe('valid')
})

test('names the certificate in bad form, and the profile default accepts it', () => {
  const chain = { server: { omit: [EXTENSION_OID.authorityKeyIdentifier] } }
  expect(judged(chain)).toEqual({
    kind: 'invalid',
    findings: [
      { code: 'ERR_TRUST_CERT_FORM', certificateIndex: 0, message: 'CN=Server: authorityKeyIdentifier is missing' },
    ],
  })
  expect(judged(chain, {}).kind).toBe('valid')
})

describe('a CA certificate', () => {
  test.each(CAS)('has a subjectKeyIdentifier: %s', (place, name) => {
    const chain = { [place]: { omit: [EXTENSION_OID.subjectKeyIdentifier] } }
    expect(complaint(chain)).toBe(`ERR_TRUST_CERT_FORM: ${name}: a CA certificate without subjectKeyIdentifier`)
  })

  test.each(CAS)('has a critical basicConstraints: %s', (place, name) => {
    const chain = { [place]: { extensions: [notCritical(extension.basicConstraints(true))] } }
    expect(complaint(chain)).toBe(`ERR_TRUST_CERT_FORM: ${name}: basicConstraints is not critical`)
  })

  test.each(CAS)('writes dNSName constraints without a leading dot, which others may have: %s', (place, name) => {
    const refused = `ERR_TRUST_CERT_FORM: ${name}: a dNSName constraint starts with a dot`
    const constrained = (...bases: GeneralNameInput[]) => [
      complaint({ [place]: { nameConstraints: { permitted: bases } } }),
      complaint({ [place]: { nameConstraints: { excluded: bases } } }),
    ]
    expect(constrained({ dns: 'example.org' }, { dns: '.example.org' })).toEqual([refused, refused])
    expect(constrained({ uri: '.example.org' }, { email: '.example.org' })).toEqual(['valid', 'valid'])
    expect(complaint({ [place]: { nameConstraints: { permitted: [{ dns: 'example.com' }] } } })).toBe('valid')
  })
})

describe('an intermediate', () => {
  test('has keyUsage, which a root may leave out', () => {
    const bare = { omit: [EXTENSION_OID.keyUsage] }
    expect(complaint({ intermediate: bare })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Test Intermediate: a CA certificate without keyUsage',
    )
    expect(complaint({ root: bare })).toBe('valid')
  })

  test('has a critical policyConstraints, if it has one', () => {
    const value = der.sequence(der.taggedPrimitive(0, Uint8Array.of(9)))
    const policyConstraints = { oid: '2.5.29.36', critical: true, value }
    expect(complaint({ intermediate: { extensions: [policyConstraints] } })).toBe('valid')
    expect(complaint({ intermediate: { extensions: [notCritical(policyConstraints)] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Test Intermediate: policyConstraints is not critical',
    )
  })

  test('may have extendedKeyUsage, which a root may not', () => {
    expect(complaint({ intermediate: { extendedKeyUsage: ['serverAuth'] } })).toBe('valid')
    expect(complaint({ root: { extendedKeyUsage: ['serverAuth'] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Test Root: a root certificate with extendedKeyUsage',
    )
  })
})

describe('every certificate', () => {
  test.each(PLACES)('has key identifiers that are not critical: %s', (place, name) => {
    const { spki } = keys.root
    const authority = critical(extension.authorityKeyIdentifier(keyIdentifierOf(spki)))
    const subject = critical(extension.subjectKeyIdentifier(keyIdentifierOf(keys[place].spki)))
    const refused = (what: string) => `ERR_TRUST_CERT_FORM: ${name}: ${what} is critical`
    expect(complaint({ [place]: { extensions: [authority] } })).toBe(refused('authorityKeyIdentifier'))
    expect(complaint({ [place]: { extensions: [subject] } })).toBe(refused('subjectKeyIdentifier'))
  })

  test.each(PLACES)('has RSA keys of whole octets: %s', (place, name) => {
    const refused = `ERR_TRUST_CERT_FORM: ${name}: RSA of 2049 bits, not a multiple of 8`
    expect(complaint({ [place]: { spki: rsaSpki(2049) } })).toBe(refused)
    expect(complaint({ [place]: { spki: rsaSpki(2049, RSA_PSS) } })).toBe(refused)
    expect(complaint({ [place]: { spki: rsaSpki(2056) } })).not.toContain('ERR_TRUST_CERT_FORM')
    expect(complaint({ [place]: { spki: rsaSpki(2056, RSA_PSS) } })).not.toContain('ERR_TRUST_CERT_FORM')
    expect(complaint({ [place]: { key: generateKey('P-521') } })).toBe('valid') // 521 bits
  })

  test.each(BELOW_THE_ROOT)('below the root has a positive serial number of at most 20 octets: %s', (place, name) => {
    const numbered = (...serial: number[]) => complaint({ [place]: { serial: Uint8Array.from(serial) } })
    expect(numbered(1, 0)).toBe('valid')
    expect(numbered(0)).toBe(`ERR_TRUST_CERT_FORM: ${name}: the serial number is not positive`)
    const ones = new Array<number>(20).fill(1)
    expect(numbered(...ones)).toBe('valid')
    expect(numbered(...ones, 1)).toBe(`ERR_TRUST_CERT_FORM: ${name}: the serial number is longer than 20 octets`)
  })

  test.each(BELOW_THE_ROOT)('below the root names the key of its issuer: %s', (place, name) => {
    const refused = `ERR_TRUST_CERT_FORM: ${name}: authorityKeyIdentifier is missing`
    expect(complaint({ [place]: { omit: [EXTENSION_OID.authorityKeyIdentifier] } })).toBe(refused)
    expect(complaint({ [place]: { extensions: [authorityKeyIdentifier()] } })).toBe(refused)
  })
})

describe('the authorityKeyIdentifier of a root', () => {
  const own = keyIdentifier(keyIdentifierOf(keys.root.spki))

  test.each([
    ['valid', [own]],
    ['authorityKeyIdentifier names issuer or serial number', [own, issuerOfTheIssuer, serialOfTheIssuer]],
    ['authorityKeyIdentifier names issuer or serial number', [own, serialOfTheIssuer]],
    ['authorityKeyIdentifier without keyIdentifier', []],
    [
      'authorityKeyIdentifier of a root differs from its subjectKeyIdentifier',
      [keyIdentifier(keyIdentifierOf(keys.server.spki))],
    ],
  ])('%s', (problem, fields) => {
    expect(complaint({ root: { extensions: [authorityKeyIdentifier(...fields)] } })).toBe(
      problem === 'valid' ? 'valid' : `ERR_TRUST_CERT_FORM: CN=Test Root: ${problem}`,
    )
  })

  test('is that of its issuer, where another CA issued the anchor', () => {
    const ca = testCa({ now: NOW })
    expect(judge([ca.issue({ names: ['a.example.com'] })], [ca.issuer], { profile: 'cabf' }).kind).toBe('valid')
  })
})

describe('the age of a root', () => {
  const VERSION_3 = Date.UTC(1996, 5, 30)
  const BASELINE_REQUIREMENTS = Date.UTC(2012, 6, 1)

  test.each([
    ['before version 3 of X.509', VERSION_3 - 1000, false],
    ['with version 3 of X.509', VERSION_3, true],
    ['before the Baseline Requirements', BASELINE_REQUIREMENTS - 1000, true],
    ['with the Baseline Requirements', BASELINE_REQUIREMENTS, false],
  ])('excuses its form, for one issued %s: %j, %j', (_, notBefore, excused) => {
    const old = { notBefore, omit: [EXTENSION_OID.subjectKeyIdentifier] }
    expect(complaint({ root: old }) === 'valid').toBe(excused)
    expect(complaint({ intermediate: old })).not.toBe('valid')
  })
})

describe('an end entity', () => {
  const nameless = der.sequence()
  const alternatives = (isCritical: boolean) => ({
    extensions: [extension.subjectAltName([{ dns: 'a.example.com' }], isCritical)],
  })

  test('has no nameConstraints', () => {
    expect(complaint({ server: { nameConstraints: { permitted: [{ dns: 'example.com' }] } } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: nameConstraints outside a CA certificate',
    )
  })

  test('has a critical subjectAltName where the subject is empty', () => {
    const named = (options: IssueOptions) =>
      complaint({ server: { subject: nameless, serial: Uint8Array.of(7), ...options } })
    const refused = 'ERR_TRUST_CERT_FORM: serial 07: no critical subjectAltName though the subject is empty'
    expect(named(alternatives(true))).toBe('valid')
    expect(named(alternatives(false))).toBe(refused)
    expect(named({ names: [] })).toBe(refused)
  })

  test('of a server has a subjectAltName that is critical nowhere else, if it has one', () => {
    expect(complaint({ server: alternatives(false) })).toBe('valid')
    expect(complaint({ server: { names: [] } })).toBe('valid')
    expect(complaint({ server: alternatives(true) })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: subjectAltName is critical though there is a subject',
    )
  })

  test('of a server has an extendedKeyUsage that is not critical and does not allow anything', () => {
    const purposes = { extendedKeyUsage: ['serverAuth', 'clientAuth'] as const }
    expect(complaint({ server: purposes })).toBe('valid')
    expect(complaint({ server: { omit: [EXTENSION_OID.extendedKeyUsage] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: a server certificate without extendedKeyUsage',
    )
    expect(complaint({ server: { extensions: [critical(extension.extendedKeyUsage(['serverAuth']))] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: extendedKeyUsage is critical',
    )
    expect(complaint({ server: { extendedKeyUsage: ['serverAuth', 'any'] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: extendedKeyUsage holds anyExtendedKeyUsage',
    )
  })

  const LABEL = 'a'.repeat(63)

  test.each(['a', 'A1.Example.COM', '*.example.com', '1-a.example', 'a--b.x-y', `${LABEL}.${LABEL}`])(
    'of a server has dNSNames in preferred name syntax: %s',
    (dns) => {
      expect(complaint({ server: { names: [dns] } })).toBe('valid')
    },
  )

  test.each([
    'a_b.example.com',
    'example.a_b',
    '-a.example',
    'a-.example',
    'example.-a',
    'example.a-',
    'a..example',
    '.example',
    'example.',
    '*',
    'a.*.example',
    '*.*.example',
    '',
    `${LABEL}a.example`,
    `example.${LABEL}a`,
    'a.example\n',
  ])('of a server has no dNSName such as %j', (dns) => {
    expect(complaint({ server: { names: ['a.example', dns] } })).toBe(
      'ERR_TRUST_CERT_FORM: CN=Server: a dNSName is not in preferred name syntax',
    )
  })

  test('of a server may have names of other forms', () => {
    expect(complaint({ server: { san: [{ uri: 'spiffe://example.com/a_b' }, { ip: '192.0.2.1' }] } })).toBe('valid')
  })

  test('of a client may have what a server may not', () => {
    const rest = { profile: 'cabf', extendedKeyUsage: [CLIENT_AUTH] } as const
    const client = { extendedKeyUsage: ['clientAuth', 'any'] as const }
    expect(complaint({ server: { names: ['a_b.example.com'], ...client } }, rest)).toBe('valid')
    expect(complaint({ server: { ...alternatives(true), ...client } }, rest)).toBe('valid')
    expect(complaint({ server: { subject: nameless, ...alternatives(false), ...client } }, rest)).not.toBe('valid')
  })
})
