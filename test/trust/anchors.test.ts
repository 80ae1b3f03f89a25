import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { selfSigned, testCa } from '../../src/testing/ca.ts'
import { bundledAnchors, createAnchors, uniteAnchors } from '../../src/trust/anchors.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { SERVER_AUTH } from '../../src/trust/path/path.ts'
import { checkCertificate } from '../../src/trust/path/rules.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { extension } from '../../src/x509/extension-writer.ts'
import { certificatesOfPem } from '../../src/x509/pem.ts'

const [one, two] = [testCa({ name: 'One' }), testCa({ name: 'Two' })]

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
})

describe('bundledAnchors', () => {
  const bundled = bundledAnchors()

  test('holds every root this Node ships, and is made once', () => {
    expect(bundled.size).toBe(new Set(rootCertificates).size)
    expect(bundledAnchors()).toBe(bundled)
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
