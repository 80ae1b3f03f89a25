import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { selfSigned, type TestCertificate, testCa } from '../../../src/testing/ca.ts'
import { forgedTwinOf, tampered } from '../../../src/testing/forge.ts'
import { isSignedBy, keyFitsAlgorithm, signatureCost, verifySignature } from '../../../src/trust/path/signature.ts'
import { type Certificate, parseCertificate } from '../../../src/x509/certificate.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { EXTENSION_OID } from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import type { Curve, PublicKeyInfo } from '../../../src/x509/public-key.ts'
import type { SignatureAlgorithm } from '../../../src/x509/signature-algorithm.ts'
import { chainOf, DAY_MS, expectRefusal, judge, NOW, refusalOf } from './support.ts'

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

  test('names the algorithm that was refused', () => {
    const ca = testCa({ now: NOW, intermediates: 0 })
    expect(refusalOf(judge(chainOf(ca.issue({ hash: 'sha1' })), [ca.root]))).toEqual({
      code: 'ERR_TRUST_WEAK_SIGNATURE',
      certificateIndex: 0,
      message: 'CN=Test End Entity: expected a signature with SHA-256, SHA-384, SHA-512 or EdDSA, saw ecdsa-with-SHA1',
    })
  })

  test('a key verifies only under the algorithms of its kind', () => {
    const none = new Uint8Array(0)
    const keys: readonly PublicKeyInfo[] = [
      { kind: 'rsa', bits: 2048, modulus: none, exponent: none },
      { kind: 'rsa-pss', bits: 2048 },
      { kind: 'ec', curve: 'P-256', bits: 256, point: none },
      { kind: 'ed25519', bits: 256, point: none },
      { kind: 'ed448', bits: 456, point: none },
      { kind: 'unsupported', algorithm: 'DSA', bits: 0 },
    ]
    const name = 'any'
    const fitting = (algorithm: SignatureAlgorithm): readonly string[] =>
      keys.filter((key) => keyFitsAlgorithm(key, algorithm)).map(({ kind }) => kind)
    expect(fitting({ kind: 'rsa-pkcs1', hash: 'sha256', name })).toEqual(['rsa'])
    expect(fitting({ kind: 'rsa-pss', hash: 'sha256', saltLength: 32, name })).toEqual(['rsa', 'rsa-pss'])
    expect(fitting({ kind: 'ecdsa', hash: 'sha256', name })).toEqual(['ec'])
    expect(fitting({ kind: 'ed25519', name })).toEqual(['ed25519'])
    expect(fitting({ kind: 'ed448', name })).toEqual(['ed448'])
    for (const key of keys) expect(keyFitsAlgorithm(key, { kind: 'refused', name })).toBe(false)
  })

  test('a genuine signature under a refused algorithm is none', () => {
    const { tbs, signature, publicKey, signatureAlgorithm } = parseCertificate(selfSigned({ now: NOW }).der)
    expect(verifySignature({ tbs, signature, signatureAlgorithm }, { publicKey })).toBe(true)
    const refused = { kind: 'refused', name: 'ecdsa-with-SHA1' } as const
    expect(verifySignature({ tbs, signature, signatureAlgorithm: refused }, { publicKey })).toBe(false)
    expect(verifySignature({ tbs, signature, signatureAlgorithm }, { publicKey: undefined })).toBe(false)
  })

  test('a key bound to another hash verifies nothing', () => {
    const options = { modulusLength: 2048, hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512' }
    const { publicKey, privateKey } = generateKeyPairSync('rsa-pss', options)
    const tbs = Buffer.from('certificate')
    const signature = sign('sha512', tbs, { key: privateKey, saltLength: 64 })
    const made = (hash: 'sha256' | 'sha512', saltLength: number) =>
      ({ tbs, signature, signatureAlgorithm: { kind: 'rsa-pss', hash, saltLength, name: 'RSASSA-PSS' } }) as const
    expect(verifySignature(made('sha512', 64), { publicKey })).toBe(true)
    expect(verifySignature(made('sha256', 32), { publicKey })).toBe(false)
  })

  test('what was verified for one link says nothing about another', () => {
    const [ca, other] = [testCa({ now: NOW }), testCa({ now: NOW })]
    const [issuer, root] = [read(ca.issuer), read(ca.root)]
    expect(isSignedBy(issuer, root)).toBe(true)
    expect(isSignedBy(read(forgedTwinOf(ca.issuer)), root)).toBe(false)
    expect(isSignedBy(issuer, read(other.root))).toBe(false)
    expect(isSignedBy(issuer, root)).toBe(true)
  })

  test('verifies a link between CAs once, and that of an end entity each time', () => {
    const ca = testCa({ now: NOW })
    expect(verificationsOf(read(ca.issuer), read(ca.root))).toEqual([1, 0])
    expect(verificationsOf(read(ca.issue()), read(ca.issuer))).toEqual([1, 1])
    const bare = ca.issue({ omit: [EXTENSION_OID.basicConstraints] })
    expect(verificationsOf(read(bare), read(ca.issuer))).toEqual([1, 1])
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

  test.each([
    ['rsaEncryption', '1.2.840.113549.1.1.1', [der.nothing()]],
    ['id-RSASSA-PSS', '1.2.840.113549.1.1.10', []],
  ])('takes RSA of 2048 to 16384 bits and no other: %s', (_, oid, parameters) => {
    const ca = testCa({ now: NOW })
    const ofBits = (bits: number) =>
      refusalOf(judge(chainOf(ca.issue({ spki: rsaKey(65_537, bits, oid, parameters) })), [ca.root]))
    expect([2048, 16_384].map(ofBits)).toEqual([undefined, undefined])
    for (const bits of [2047, 16_385]) {
      expect(ofBits(bits)).toEqual({
        code: 'ERR_TRUST_WEAK_KEY',
        certificateIndex: 0,
        message: `CN=Test End Entity: expected RSA of 2048 to 16384 bits, P-256, P-384, P-521, Ed25519 or Ed448, saw RSA of ${bits} bits`,
      })
    }
  })

  test.each([
    ['P-256', 1, ellipticKey('P-256', 256)],
    ['P-384', 1, ellipticKey('P-384', 384)],
    ['P-521', 2, ellipticKey('P-521', 521)],
    ['Ed25519', 1, { kind: 'ed25519', bits: 256, point: new Uint8Array(32) }],
    ['RSA of 2048 bits', 1, { kind: 'rsa-pss', bits: 2048 }],
    ['RSA of 4096 bits', 1, { kind: 'rsa-pss', bits: 4096 }],
    ['RSA of 4097 bits', 2, { kind: 'rsa-pss', bits: 4097 }],
    [
      'RSA of 16384 bits',
      16,
      { kind: 'rsa', bits: 16_384, modulus: new Uint8Array(2048), exponent: Uint8Array.of(1, 0, 1) },
    ],
  ] as const)('a check against %s costs %d', (_, cost, keyInfo) => {
    expect(signatureCost({ keyInfo })).toBe(cost)
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
    const refusal = {
      code: 'ERR_TRUST_CERT_MALFORMED',
      certificateIndex: 1,
      message: 'CN=Test Intermediate: its public key is not a key of the type it names',
    }
    expect(refusalOf(judge([ca.issue(), broken], [ca.root]))).toEqual(refusal)
    expect(refusalOf(judge([ca.issue()], [broken]))).toEqual(refusal)
  })

  test('leaves it to the handshake whether an end entity has a key that works', () => {
    const ca = testCa({ now: NOW })
    const spki = Uint8Array.from(ca.issuer.spki)
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1
    expect(judge(chainOf(ca.issue({ spki })), [ca.root]).kind).toBe('valid')
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

function rsaKey(
  exponent: number,
  bits = 2048,
  oid = '1.2.840.113549.1.1.1',
  parameters: readonly Uint8Array[] = [der.nothing()],
): Uint8Array {
  const modulus = new Uint8Array(Math.ceil(bits / 8)).fill(0xff)
  modulus[0] = 0xff >> (modulus.length * 8 - bits)
  const key = der.sequence(der.integer(modulus), der.integer(exponent))
  return der.sequence(der.sequence(der.objectIdentifier(oid), ...parameters), der.bitString(key))
}

function ellipticKey(curve: Curve, bits: number): PublicKeyInfo {
  return { kind: 'ec', curve, bits, point: new Uint8Array(2 * Math.ceil(bits / 8)) }
}

const read = (made: { readonly der: Uint8Array }): Certificate => parseCertificate(made.der)

/** How often the issuer's key is asked for when a link is looked at, and when it is looked at again. */
function verificationsOf(child: Certificate, issuer: Certificate): readonly number[] {
  let asked = 0
  const counted = new Proxy(issuer, {
    get(target, member) {
      if (member === 'publicKey') asked += 1
      return Reflect.get(target, member)
    },
  })
  return [1, 2].map(() => {
    asked = 0
    expect(isSignedBy(child, counted)).toBe(true)
    return asked
  })
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
