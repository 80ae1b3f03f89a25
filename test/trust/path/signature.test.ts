import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type TestCertificate, testCa } from '../../../src/testing/ca.ts'
import { tampered } from '../../../src/testing/forge.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, DAY_MS, expectRefusal, judge, NOW } from './support.ts'

const [SHA256, SHA512] = ['2.16.840.1.101.3.4.2.1', '2.16.840.1.101.3.4.2.3']

describe('signatures', () => {
  test.each(['P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448', 'RSA-2048', 'RSA-3072', 'RSA-PSS-2048'] as const)(
    'verifies paths made with %s',
    (keyType) => {
      const ca = testCa({ keyType, now: NOW })
      expect(judge(chainOf(ca.issue()), [ca.root]).kind).toBe('valid')
    },
  )

  test('verifies RSASSA-PSS made with an ordinary RSA key', () => {
    const ca = testCa({ keyType: 'RSA-2048', now: NOW, intermediate: { padding: 'pss' } })
    expect(judge(chainOf(ca.issue({ padding: 'pss', hash: 'sha384' })), [ca.root]).kind).toBe('valid')
  })

  test.each(['P-256', 'Ed25519', 'RSA-2048', 'RSA-PSS-2048'] as const)('refuses a turned bit under %s', (keyType) => {
    const ca = testCa({ keyType, now: NOW, intermediates: 0 })
    const server = tampered(ca.issue())
    expectRefusal(judge([server], [ca.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
  })

  test.each(['P-256', 'RSA-2048'] as const)(
    'refuses SHA-1 under %s, on the end entity and on an intermediate',
    (keyType) => {
      const ca = testCa({ keyType, now: NOW })
      expectRefusal(judge(chainOf(ca.issue({ hash: 'sha1' })), [ca.root]), 'ERR_TRUST_WEAK_SIGNATURE', 0)
      const old = testCa({ keyType, now: NOW, intermediate: { hash: 'sha1' } })
      expectRefusal(judge(chainOf(old.issue()), [old.root]), 'ERR_TRUST_WEAK_SIGNATURE', 1)
    },
  )

  test('goes by the algorithm the certificate names, not by the key that happens to fit', () => {
    const rsa = testCa({ keyType: 'RSA-2048', now: NOW, intermediates: 0 })
    const curve = testCa({ now: NOW, intermediates: 0 })
    const [withRsa, withEcdsa] = ['1.2.840.113549.1.1.11', '1.2.840.10045.4.3.2']
    expect(judge([signedAs(withRsa, rsa.root)], [rsa.root]).kind).toBe('valid')
    expect(judge([signedAs(withEcdsa, curve.root)], [curve.root]).kind).toBe('valid')
    expectRefusal(judge([signedAs(withEcdsa, rsa.root)], [rsa.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
    expectRefusal(judge([signedAs(withRsa, curve.root)], [curve.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
  })

  test.each([
    ['another hash for the mask', SHA256, SHA512, 32],
    ['a salt shorter than the hash', SHA256, SHA256, 20],
    ['SHA-1', '1.3.14.3.2.26', '1.3.14.3.2.26', 20],
  ])('refuses RSASSA-PSS with %s', (_, hash, maskHash, salt) => {
    const ca = testCa({ keyType: 'RSA-2048', now: NOW, intermediates: 0 })
    const parameters = der.sequence(
      der.tagged(0, der.sequence(der.objectIdentifier(hash))),
      der.tagged(
        1,
        der.sequence(der.objectIdentifier('1.2.840.113549.1.1.8'), der.sequence(der.objectIdentifier(maskHash))),
      ),
      der.tagged(2, der.integer(salt)),
    )
    const server = signedAs('1.2.840.113549.1.1.10', ca.root, parameters)
    expectRefusal(judge([server], [ca.root]), 'ERR_TRUST_WEAK_SIGNATURE', 0)
  })

  test('does not look at the signature of an anchor, which proves nothing', () => {
    const ca = testCa({ now: NOW, intermediates: 0, root: { hash: 'sha1' } })
    expect(judge(chainOf(ca.issue()), [ca.root]).kind).toBe('valid')
    const garbled = testCa({ now: NOW, intermediates: 0, root: { signature: 'garbage' } })
    expect(judge(chainOf(garbled.issue()), [garbled.root]).kind).toBe('valid')
  })
})

describe('keys', () => {
  test('refuses RSA of 1024 bits wherever it stands', () => {
    const server = testCa({ now: NOW })
    expectRefusal(judge(chainOf(server.issue({ keyType: 'RSA-1024' })), [server.root]), 'ERR_TRUST_WEAK_KEY', 0)
    const root = testCa({ now: NOW, intermediates: 0, root: { keyType: 'RSA-1024' } })
    expectRefusal(judge(chainOf(root.issue()), [root.root]), 'ERR_TRUST_WEAK_KEY', 1)
  })

  test('refuses curves that are not accepted, and curves spelt out in parameters', () => {
    const ca = testCa({ now: NOW })
    const spkiOf = (options: { namedCurve: string; paramEncoding?: 'explicit' }): Uint8Array =>
      new Uint8Array(generateKeyPairSync('ec', options).publicKey.export({ type: 'spki', format: 'der' }))
    for (const options of [{ namedCurve: 'secp256k1' }, { namedCurve: 'P-256', paramEncoding: 'explicit' as const }]) {
      expectRefusal(judge(chainOf(ca.issue({ spki: spkiOf(options) })), [ca.root]), 'ERR_TRUST_WEAK_KEY', 0)
    }
  })

  test('refuses an issuer whose point is not on its curve', () => {
    const ca = testCa({ now: NOW })
    const spki = Uint8Array.from(ca.issuer.spki)
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1
    const broken = ca.root.issue({ ca: true, subject: ca.issuer.subject, spki })
    expectRefusal(judge([ca.issue(), broken], [ca.root]), 'ERR_TRUST_CERT_MALFORMED', 1)
  })

  test.each([
    [
      'RSA without its NULL',
      (spki: Uint8Array) =>
        der.sequence(der.sequence(der.objectIdentifier('1.2.840.113549.1.1.1')), spki.subarray(-271)),
    ],
    [
      'a key of no bytes',
      () => der.sequence(der.sequence(der.objectIdentifier('1.3.101.112')), der.bitString(new Uint8Array(0))),
    ],
    [
      'Ed25519 with parameters',
      () =>
        der.sequence(
          der.sequence(der.objectIdentifier('1.3.101.112'), der.nothing()),
          der.bitString(new Uint8Array(32)),
        ),
    ],
    ['a point in hybrid form', () => hybridPoint()],
    ['an RSA exponent of 1', () => rsaKey(1)],
    ['an even RSA exponent', () => rsaKey(65_536)],
  ])('refuses a malformed key: %s', (_, make) => {
    const ca = testCa({ now: NOW, keyType: 'RSA-2048' })
    const spki = make(ca.root.spki)
    expectRefusal(judge(chainOf(ca.issue({ spki })), [ca.root]), 'ERR_TRUST_CERT_MALFORMED', 0)
  })
})

/** X9.62 hybrid: as long as the uncompressed form, another first octet, another pin for the same key. */
function hybridPoint(): Uint8Array {
  const spki = Uint8Array.from(generateKey().spki)
  spki[spki.length - 65] = 6 + ((spki.at(-1) ?? 0) & 1)
  return spki
}

function rsaKey(exponent: number): Uint8Array {
  const modulus = new Uint8Array(256).fill(0xff)
  const key = der.sequence(der.integer(modulus), der.integer(exponent))
  return der.sequence(der.sequence(der.objectIdentifier('1.2.840.113549.1.1.1'), der.nothing()), der.bitString(key))
}

/** A certificate signed with SHA-256 as the issuer's key does it, under an algorithm name of our choice. */
function signedAs(
  algorithmOid: string,
  issuer: TestCertificate,
  ...parameters: readonly Uint8Array[]
): { der: Uint8Array } {
  const algorithm = der.sequence(der.objectIdentifier(algorithmOid), ...parameters)
  const tbs = der.sequence(
    der.tagged(0, der.integer(2)),
    der.integer(1),
    algorithm,
    issuer.subject,
    der.sequence(der.time(NOW - DAY_MS), der.time(NOW + DAY_MS)),
    der.sequence(),
    generateKey().spki,
  )
  const signature = new Uint8Array(sign('sha256', tbs, issuer.key.privateKey))
  return { der: der.sequence(tbs, algorithm, der.bitString(signature)) }
}
