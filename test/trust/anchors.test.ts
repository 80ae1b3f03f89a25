import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { selfSigned, type TestCa, type TestCertificate, testCa } from '../../src/testing/ca.ts'
import { type AnchorSet, bundledAnchors, createAnchors, uniteAnchors } from '../../src/trust/anchors.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { SERVER_AUTH } from '../../src/trust/path/path.ts'
import { checkCertificate } from '../../src/trust/path/rules.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { DerError } from '../../src/x509/der.ts'
import { extension } from '../../src/x509/extension-writer.ts'
import { certificatesOfPem } from '../../src/x509/pem.ts'

const [one, two] = [testCa({ name: 'One' }), testCa({ name: 'Two' })]

type CertificateOrigin = Parameters<typeof createAnchors>[1]

function thrownBy(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

describe('createAnchors', () => {
  test('reads PEM text, PEM bytes and DER, alone and in lists, each certificate once', () => {
    const bundle = `# a comment\n${one.root.pem}\n${two.root.pem}`
    for (const sources of [bundle, Buffer.from(bundle), [one.root.der, two.root.pem], [bundle, one.root.der]]) {
      const anchors = createAnchors(sources)
      expect(anchors.size).toBe(2)
      expect(anchors.has(parseCertificate(one.root.der).sha256)).toBe(true)
      expect(anchors.pem.flatMap(certificatesOfPem)).toHaveLength(2)
    }
  })

  test('has one digest for one set, whatever its order', () => {
    expect(createAnchors([one.root.pem, two.root.pem]).digest).toBe(createAnchors([two.root.der, one.root.der]).digest)
    expect(createAnchors(one.root.pem).digest).not.toBe(createAnchors(two.root.pem).digest)
    expect(uniteAnchors([createAnchors(one.root.pem), createAnchors(two.root.pem)]).size).toBe(2)
    expect(createAnchors(one.root.pem).digest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('has another digest for the roots of a store, and for each such set', () => {
    const digests = [one, two].flatMap(({ root }) => [createAnchors(root.der), createAnchors(root.der, 'store')])
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(4)
  })

  test('finds every anchor of a subject: two CAs may bear one name', () => {
    const twin = testCa({ root: { subject: one.root.subject } })
    const key = parseCertificate(one.root.der).subject.key
    const digestsOf = (...cas: readonly TestCa[]) => cas.map(({ root }) => parseCertificate(root.der).sha256)
    const anchors = createAnchors([one.root.der, two.root.der, twin.root.der])
    expect(anchors.withSubject(key).map(({ sha256 }) => sha256)).toEqual(digestsOf(one, twin))
    expect(anchors.withSubject('')).toEqual([])
  })

  test.each([
    ['text without a certificate', ['nothing here']],
    ['a certificate cut short', [one.root.der.subarray(0, -1)]],
    ['bytes after the certificate', [Buffer.concat([one.root.der, Buffer.of(0)])]],
    ['a private key', [one.root.keyPem]],
    ['a subjectAltName without a name', [selfSigned({ ca: true, extensions: [extension.subjectAltName([])] }).der]],
    ['a block without its end', [one.root.pem.slice(0, -20)]],
  ])('refuses %s', (_, sources) => {
    expect(() => createAnchors([one.root.pem, ...sources])).toThrowError(ConfigurationError)
    expect(() => createAnchors([one.root.pem, ...sources])).toThrowError(/^trust anchor 1: /)
  })

  test('says which source holds nothing and why: ERR_CONFIG_CERTIFICATE', () => {
    const error = thrownBy(() => createAnchors([one.root.pem, 'nothing here']))
    expect(error).toMatchObject({
      code: 'ERR_CONFIG_CERTIFICATE',
      message: 'trust anchor 1: not a certificate: holds no PEM certificate',
      cause: expect.any(DerError),
    })
  })

  test('a source that is neither text nor bytes is no bad certificate but a mistake', () => {
    expect(thrownBy(() => createAnchors([7 as unknown as string]))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })
})

describe('uniteAnchors', () => {
  test('reads a set of another making from its PEM, and takes none of its roots for public', () => {
    const { size, pem, digest, withSubject, has } = createAnchors(one.root.der)
    const foreign: AnchorSet = { size, pem, digest, withSubject, has, isPublic: () => true }
    const united = uniteAnchors([foreign, createAnchors(two.root.der, 'store')])
    expect(united.pem).toEqual([one.root.pem, two.root.pem])
    expect([one, two].map(({ root }) => united.isPublic(parseCertificate(root.der)))).toEqual([false, true])
  })
})

describe('a public anchor', () => {
  const [root = expect.fail('no roots')] = rootCertificates
    .flatMap(certificatesOfPem)
    .map((der) => parseCertificate(der))
  const isPublic = (certificate: Pick<TestCertificate, 'der'>, from: CertificateOrigin = 'application') =>
    createAnchors(certificate.der, from).isPublic(parseCertificate(certificate.der))

  test('is one of a store, whoever issued it', () => {
    expect([isPublic(one.issuer, 'store'), isPublic(one.issuer)]).toEqual([true, false])
  })

  test('is one with name and key of a root that Node ships, under whichever signature', () => {
    const look = { ca: true, subject: root.subject.der }
    expect(isPublic(one.root.issue({ ...look, spki: root.spki }))).toBe(true)
    expect(isPublic(one.root.issue(look))).toBe(false)
    expect(isPublic(selfSigned(look))).toBe(false)
  })

  test('is one that a root of the store issued, as its signature says and not its issuer’s name', () => {
    const store = createAnchors(one.root.der, 'store')
    const among = (der: Uint8Array) => uniteAnchors([store, createAnchors(der)]).isPublic(parseCertificate(der))
    expect(among(one.issuer.der)).toBe(true)
    expect(among(two.root.issue({ ca: true, subject: 'Impostor', issuerName: one.root.subject }).der)).toBe(false)
    expect(createAnchors([one.root.der, one.issuer.der]).isPublic(parseCertificate(one.issuer.der))).toBe(false)
  })
})

describe('bundledAnchors', () => {
  const bundled = bundledAnchors()

  test('holds every root this Node ships, and is made once', () => {
    expect(bundled.size).toBe(new Set(rootCertificates).size)
    expect(bundledAnchors()).toBe(bundledAnchors())
    expect(bundled.pem).toEqual(rootCertificates)
  })

  test.each(['default', 'cabf', 'rfc5280'] as const)('each of them may stand as an anchor under %s', (profile) => {
    for (const der of rootCertificates.flatMap(certificatesOfPem)) {
      const root = parseCertificate(der)
      const now = toUnixMs(Math.floor((root.notBefore + root.notAfter) / 2))
      const context = { now, profile, extendedKeyUsage: [SERVER_AUTH], keyUsage: [] }
      expect(checkCertificate(root, 'anchor', context, 0), root.subject.text).toBeUndefined()
      expect(bundled.withSubject(root.subject.key).some(({ sha256 }) => sha256 === root.sha256)).toBe(true)
    }
  })

  test('a root presented as an end entity of the rfc5280 profile is found byte for byte', () => {
    const [der] = rootCertificates.slice(0, 1).flatMap(certificatesOfPem)
    const root = parseCertificate(der ?? new Uint8Array())
    const result = findPath({ presented: [root.der], anchors: bundled, now: root.notAfter, extendedKeyUsage: [] })
    expect(result.kind).toBe('valid')
  })
})
