import { createPrivateKey, X509Certificate } from 'node:crypto'
import {
  crossSign,
  EXTENSION_OID,
  expiredTwinOf,
  extension,
  forgedTwinOf,
  generateKey,
  impostorOf,
  type KeyType,
  selfSigned,
  type TestCertificate,
  tampered,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'

const view = ({ der }: { readonly der: Uint8Array }): X509Certificate => new X509Certificate(der)
const isSignedBy = (certificate: { readonly der: Uint8Array }, issuer: TestCertificate): boolean =>
  view(certificate).verify(issuer.key.publicKey)

const KEY_TYPES: readonly KeyType[] = [
  'P-256',
  'P-384',
  'P-521',
  'Ed25519',
  'Ed448',
  'RSA-1024',
  'RSA-2048',
  'RSA-3072',
  'RSA-4096',
  'RSA-PSS-2048',
]

describe('testCa', () => {
  test.each(KEY_TYPES)('issues and signs with %s keys', (keyType) => {
    const issuer = selfSigned({ ca: true, subject: 'Root', keyType })
    const made = issuer.issue({ names: ['a.test'] })
    expect(isSignedBy(issuer, issuer)).toBe(true)
    expect(isSignedBy(made, issuer)).toBe(true)
    expect(view(made).checkPrivateKey(createPrivateKey(made.keyPem))).toBe(true)
  })

  test('links every certificate to the next, by signature and by name, and leaves the root out of the chain', () => {
    const ca = testCa({ intermediates: 2 })
    const made = ca.issue({ names: ['a.test'], ips: ['127.0.0.1', '2001:db8::1'] })
    const path = made.chainWithRoot.map((der) => new X509Certificate(der))
    expect(path.map(({ subject }) => subject)).toEqual([
      'CN=a.test',
      'CN=Test Intermediate 2',
      'CN=Test Intermediate 1',
      'CN=Test Root',
    ])
    for (const [index, certificate] of path.entries()) {
      const issuer = path[Math.min(index + 1, 3)] ?? certificate
      expect(certificate.checkIssued(issuer)).toBe(true)
      expect(certificate.verify(issuer.publicKey)).toBe(true)
      expect(certificate.ca).toBe(index > 0)
    }
    expect(made.chain).toEqual(made.chainWithRoot.slice(0, -1))
    expect(path[0]?.checkHost('a.test')).toBe('a.test')
    expect(path[0]?.checkIP('2001:db8::1')).toBe('2001:db8::1')
    expect(path[0]?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  })

  test('the default hierarchy and an end entity take well under 50 ms', () => {
    testCa().issue()
    const before = performance.now()
    for (let round = 0; round < 5; round += 1) testCa().issue({ names: ['a.test'] })
    expect((performance.now() - before) / 5).toBeLessThan(50)
  })

  test('certificates issued by a CA of another time are of that time', () => {
    const now = Date.UTC(2060, 5, 1)
    const made = view(testCa({ now }).issue({ names: ['a.test'] }))
    expect(Date.parse(made.validFrom)).toBe(now - 86_400_000)
    expect(Date.parse(made.validTo)).toBe(now + 90 * 86_400_000)
  })

  test('writes weak and PSS signatures when told to', () => {
    const issuer = selfSigned({ ca: true, subject: 'Root', keyType: 'RSA-2048' })
    for (const options of [{ hash: 'sha1' }, { padding: 'pss' }, { padding: 'pss', hash: 'sha512' }] as const) {
      expect(isSignedBy(issuer.issue(options), issuer)).toBe(true)
    }
    const sha1 = Buffer.from('2a864886f70d010105', 'hex') // sha1WithRSAEncryption
    expect(Buffer.from(issuer.issue({ hash: 'sha1' }).der).includes(sha1)).toBe(true)
  })

  test('replaces, adds and leaves out extensions, and takes serial, key and SAN as given', () => {
    const key = generateKey()
    const made = testCa().issue({
      key,
      serial: Uint8Array.of(0, 0, 5),
      san: [{ uri: 'spiffe://a.test/b' }, { raw: Uint8Array.of(0x82, 1, 0x61) }],
      extensions: [extension.basicConstraints(true, 7), extension.mustStaple()],
      omit: [EXTENSION_OID.extendedKeyUsage, EXTENSION_OID.keyUsage],
    })
    const read = view(made)
    expect(read.serialNumber).toBe('05')
    expect(read.subjectAltName).toBe('URI:spiffe://a.test/b, DNS:a')
    expect(read.ca).toBe(true)
    expect(read.keyUsage).toBeUndefined()
    expect(made.pin).toBe(testCa().issue({ key }).pin)
  })
})

describe('forgeries', () => {
  const ca = testCa()
  const server = ca.issue({ names: ['a.test'] })

  test('an impostor has subject and key identifier of the original, which is all that checkIssued looks at', () => {
    const impostor = impostorOf(ca.issuer)
    expect(view(impostor).subject).toBe(view(ca.issuer).subject)
    expect(impostor.pin).not.toBe(ca.issuer.pin)
    expect(view(server).checkIssued(view(impostor))).toBe(true)
    expect(isSignedBy(server, impostor)).toBe(false)
  })

  test('an impostor below another CA is signed by that CA', () => {
    const rogue = testCa({ name: 'Rogue' })
    expect(isSignedBy(impostorOf(ca.issuer, { issuer: rogue.root }), rogue.root)).toBe(true)
  })

  test.each([
    ['root', ca.root],
    ['intermediate', ca.issuer],
  ])('a forged twin of the %s carries its pin under a signature that does not verify', (_name, original) => {
    const twin = forgedTwinOf(original)
    expect(twin.pin).toBe(original.pin)
    expect(twin.subject).toEqual(original.subject)
    expect(isSignedBy(twin, ca.root)).toBe(false)
  })

  test('an expired twin is genuine, of the same key, and over', () => {
    const twin = expiredTwinOf(ca.issuer)
    expect(twin.pin).toBe(ca.issuer.pin)
    expect(isSignedBy(twin, ca.root)).toBe(true)
    expect(Date.parse(view(twin).validTo)).toBeLessThan(Date.now())
  })

  test('a cross-signed intermediate verifies what the original issued, under another root', () => {
    const other = testCa({ name: 'Other' })
    const crossed = crossSign(ca.issuer, other.root)
    expect(isSignedBy(crossed, other.root)).toBe(true)
    expect(isSignedBy(server, crossed)).toBe(true)
    expect(view(server).checkIssued(view(crossed))).toBe(true)
  })

  test('a certificate without CA bit issues all the same', () => {
    const below = server.issue({ names: ['victim.test'] })
    expect(view(server).ca).toBe(false)
    expect(isSignedBy(below, server)).toBe(true)
    expect(below.chain).toEqual([below.der, server.der, ca.issuer.der])
  })

  test('a tampered certificate still parses and no longer verifies', () => {
    expect(view(tampered(server)).subject).toBe('CN=a.test')
    expect(isSignedBy(tampered(server), ca.issuer)).toBe(false)
  })
})
