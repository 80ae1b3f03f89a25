import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { testCa } from '../../src/testing/ca.ts'
import { encodingFlawOf, parseCertificate, subjectKeyOf } from '../../src/x509/certificate.ts'
import { DerError } from '../../src/x509/der.ts'
import * as der from '../../src/x509/der-writer.ts'
import { extension } from '../../src/x509/extension-writer.ts'
import { certificatesOfPem, pemOf } from '../../src/x509/pem.ts'

const ca = testCa()

describe('parseCertificate', () => {
  test('reads every root of this Node as OpenSSL does', () => {
    for (const pem of rootCertificates) {
      const theirs = new X509Certificate(pem)
      const ours = parseCertificate(theirs.raw)
      expect(new Date(theirs.validFrom).getTime()).toBe(ours.notBefore)
      expect(new Date(theirs.validTo).getTime()).toBe(ours.notAfter)
      expect(Buffer.from(ours.spki)).toEqual(theirs.publicKey.export({ type: 'spki', format: 'der' }))
      expect(ours.publicKey?.equals(theirs.publicKey)).toBe(true)
      expect(theirs.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(ours.sha256)
      expect(subjectKeyOf(theirs.raw)).toBe(ours.subject.key)
      expect(ours.isSelfIssued).toBe(true)
    }
  })

  test('takes its own key, not that of a certificate in PEM inside an extension, which Node would read instead', () => {
    const stranger = testCa({ name: 'Stranger' })
    const carrier = (text: string) =>
      ca.issue({ extensions: [{ oid: '1.2.3.4', critical: false, value: Buffer.from(text) }] })
    for (const before of ['', '\n', '\r\n', 'x'.repeat(300)]) {
      const held = carrier(`${before}${before === '' ? '' : '\n'}${stranger.root.pem}`)
      expect(parseCertificate(held.der).publicKey?.equals(held.key.publicKey)).toBe(true)
    }
    const held = carrier(`\n${stranger.root.pem}`)
    expect(new X509Certificate(held.der).publicKey.equals(stranger.root.key.publicKey)).toBe(true) // the control
    const plain = carrier('nothing of the kind')
    expect(parseCertificate(plain.der).publicKey?.equals(plain.key.publicKey)).toBe(true)
  })

  test('reads names, purposes and limits', () => {
    const server = ca.issue({
      subject: [
        ['C', 'DE'],
        ['O', 'A, B'],
        ['CN', 'x'],
      ],
      names: ['a.example'],
      ips: ['192.0.2.1'],
    })
    const { subject, decoded, version } = parseCertificate(server.der)
    expect(version).toBe(3)
    expect(subject.text).toBe('CN=x,O=A\\, B,C=DE')
    expect(decoded.basicConstraints).toEqual({ ca: false })
    expect([...(decoded.keyUsage ?? [])]).toEqual(['digitalSignature', 'keyEncipherment'])
    expect(decoded.extendedKeyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(decoded.subjectAltName).toMatchObject([{ kind: 'dns', text: 'a.example' }, { kind: 'ip' }])
  })

  test('escapes what would move a terminal or reverse a line', () => {
    const { text } = parseCertificate(ca.issue({ subject: 'a\u001b[2J\r\n\u202Eb' }).der).subject
    expect(text).toBe('CN=a\\1B[2J\\0D\\0A\\E2\\80\\AEb')
  })

  test('tells names apart that only look as if they were separated alike', () => {
    const key = (subject: Parameters<typeof ca.issue>[0]) => parseCertificate(ca.issue(subject).der).subject.key
    expect(
      key({
        subject: [
          ['O', 'a'],
          ['CN', 'b'],
        ],
      }),
    ).not.toBe(key({ subject: 'a,2.5.4.3=1:b' }))
    expect(
      key({
        subject: [
          ['O', 'a'],
          ['CN', 'b'],
        ],
      }),
    ).not.toBe(
      key({
        subject: [
          ['CN', 'b'],
          ['O', 'a'],
        ],
      }),
    )
    expect(key({ subject: 'ÄPFEL  und' })).toBe(key({ subject: ' äpfel und ' }))
  })

  test.each([
    ['a second extension of one kind', [extension.keyUsage(['cRLSign'])], [extension.keyUsage(['keyCertSign'])]],
    ['an empty extendedKeyUsage', [extension.extendedKeyUsage([])], []],
    ['empty nameConstraints', [extension.nameConstraints({})], []],
    ['a policy twice', [extension.certificatePolicies(['1.2.3', '1.2.3'])], []],
    ['a value with bytes after it', [{ ...extension.keyUsage(['cRLSign']), value: Buffer.of(3, 2, 1, 6, 0) }], []],
    ['empty policyConstraints', [{ oid: '2.5.29.36', critical: true, value: der.sequence() }], []],
    ['a name subtree with a minimum', [subtreeWithMinimum()], []],
    ['an empty authorityInfoAccess', [extension.authorityInfoAccess({})], []],
  ])('refuses %s', (_, first, second) => {
    const bad = ca.issue({ extensions: [...first, ...second] })
    expect(() => parseCertificate(bad.der)).toThrowError(DerError)
  })

  test('refuses another signature algorithm outside than inside', () => {
    const bytes = Buffer.from(ca.issue().der)
    const oid = Buffer.from(der.objectIdentifier('1.2.840.10045.4.3.2'))
    const other = Buffer.from(der.objectIdentifier('1.2.840.10045.4.3.3'))
    other.copy(bytes, bytes.lastIndexOf(oid))
    expect(() => parseCertificate(bytes)).toThrowError(/inside and outside differ/)
  })

  test('refuses extensions in versions that have none', () => {
    const bytes = Buffer.from(ca.issue().der)
    bytes[bytes.indexOf(Buffer.from('a003020102', 'hex')) + 4] = 1
    expect(() => parseCertificate(bytes)).toThrowError(/extensions need version 3/)
  })

  test.each([
    ['negative', '0203912233', /negative/],
    ['padded', '0203001122', /shortest form/],
    ['padded and negative', '0203ff9122', /shortest form/],
  ])('reads a serial number that is %s as sent, and names the flaw', (_, encoded, flaw) => {
    const sound = ca.issue({ serial: Uint8Array.of(0x11, 0x22, 0x33) })
    const certificate = parseCertificate(replaced(sound.der, '0203112233', encoded))
    expect(Buffer.from(certificate.serialNumber).toString('hex')).toBe(encoded.slice(4))
    expect(encodingFlawOf(certificate)).toMatch(flaw)
    expect(encodingFlawOf(parseCertificate(sound.der))).toBeUndefined()
  })

  test('reads a subjectAltName without a name, and names the flaw', () => {
    const certificate = parseCertificate(ca.issue({ extensions: [extension.subjectAltName([])] }).der)
    expect(certificate.decoded.subjectAltName).toEqual([])
    expect(encodingFlawOf(certificate)).toMatch(/empty/)
    expect(encodingFlawOf(parseCertificate(ca.issue({ names: ['a.example'] }).der))).toBeUndefined()
  })

  test('refuses a serial number without octets', () => {
    const tbs = der.sequence(der.tagged(0, der.integer(2)), Uint8Array.of(2, 0))
    const algorithm = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'))
    const bytes = der.sequence(tbs, algorithm, der.bitString(Uint8Array.of(0)))
    expect(() => parseCertificate(bytes)).toThrowError(/integer is empty/)
  })
})

function replaced(bytes: Uint8Array, before: string, after: string): Uint8Array {
  const copy = Buffer.from(bytes)
  Buffer.from(after, 'hex').copy(copy, copy.indexOf(Buffer.from(before, 'hex')))
  return copy
}

describe('PEM', () => {
  test('reads back what it writes', () => {
    const made = [ca.root.der, ca.issuer.der]
    expect(certificatesOfPem(made.map(pemOf).join('and some words\r\n')).map((one) => Buffer.from(one))).toEqual(
      made.map((one) => Buffer.from(one)),
    )
  })

  test.each([
    ['a bad character', (pem: string) => pem.replace('M', '*')],
    ['no end', (pem: string) => pem.replace(/-----END.*/, '')],
    ['an end alone', (pem: string) => pem.replace(/-----BEGIN.*/, '')],
    ['a beginning inside', (pem: string) => pem.replace(/-----END.*/, '') + pem],
    ['another label', (pem: string) => pem.replaceAll('CERTIFICATE', 'X509 CRL')],
    ['an empty body', () => '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
  ])('refuses %s', (_, change) => {
    expect(() => certificatesOfPem(change(ca.root.pem))).toThrowError(DerError)
  })
})

function subtreeWithMinimum() {
  const base = der.taggedPrimitive(2, Buffer.from('example.com'))
  const subtree = der.sequence(base, der.taggedPrimitive(0, Uint8Array.of(1)))
  return { oid: '2.5.29.30', critical: true, value: der.sequence(der.tagged(0, subtree)) }
}
