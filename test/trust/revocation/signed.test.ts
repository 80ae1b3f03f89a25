import { type KeyType, selfSigned } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { attempt, DEFAULT_LIMITS, EvidenceError, type EvidenceLimits } from '../../../src/trust/revocation/evidence.ts'
import { algorithmFor, checkSigned } from '../../../src/trust/revocation/signed.ts'
import { type Certificate, parseCertificate } from '../../../src/x509/certificate.ts'
import type { SignatureAlgorithm } from '../../../src/x509/signature-algorithm.ts'

const CODES = {
  badSignature: 'ERR_TRUST_CRL_BAD_SIGNATURE',
  unsupported: 'ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM',
} as const
const signers = new Map<KeyType, Certificate>()

/** A certificate that its own key signed. */
function signerOf(keyType: KeyType): Certificate {
  const signer = signers.get(keyType) ?? parseCertificate(selfSigned({ keyType }).der)
  signers.set(keyType, signer)
  return signer
}

const named = (kind: SignatureAlgorithm['kind'], name: string): SignatureAlgorithm =>
  ({ kind, name, hash: 'sha256', saltLength: 32 }) as SignatureAlgorithm

const allowed = (algorithm: SignatureAlgorithm, keyType: KeyType, more: Partial<EvidenceLimits> = {}) =>
  attempt(() => algorithmFor(algorithm, signerOf(keyType), { ...DEFAULT_LIMITS, ...more }, CODES, 'the list'))

const refusal = (message: string) =>
  expect.objectContaining({ name: 'EvidenceError', code: 'ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM', message })

const SHA1_WITH_RSA = named('refused', 'sha1WithRSAEncryption')

describe('a signature', () => {
  test.each<KeyType>(['P-256', 'Ed25519', 'RSA-2048', 'RSA-PSS-2048'])('of %s counts for what it signed', (keyType) => {
    const signer = signerOf(keyType)
    const { signature, signatureAlgorithm } = signer
    const check = (tbs: Uint8Array) =>
      attempt(() => checkSigned({ tbs, signature, signatureAlgorithm }, signer, DEFAULT_LIMITS, CODES, 'the list'))
    expect(check(signer.tbs)).toBeUndefined()
    expect(check(signer.tbs.slice(1))).toEqual(
      new EvidenceError('ERR_TRUST_CRL_BAD_SIGNATURE', 'the signature of the list is not the signer’s'),
    )
  })

  test.each<[KeyType, SignatureAlgorithm]>([
    ['RSA-2048', named('rsa-pkcs1', 'sha256WithRSAEncryption')],
    ['RSA-PSS-2048', named('rsa-pss', 'RSASSA-PSS with sha256')],
  ])('of %s counts from 2048 bits on', (keyType, algorithm) => {
    expect(allowed(algorithm, keyType)).toBe(algorithm)
    expect(allowed(algorithm, keyType, { minRsaBits: 2049 })).toEqual(
      refusal('the list is signed with RSA of 2048 bits'),
    )
  })

  test('of a curve has no such limit', () => {
    const algorithm = named('ecdsa', 'ecdsa-with-SHA256')
    expect(allowed(algorithm, 'P-256', { minRsaBits: 16_384 })).toBe(algorithm)
  })

  test('names an algorithm of the key’s type', () => {
    expect(allowed(named('rsa-pkcs1', 'sha256WithRSAEncryption'), 'P-256')).toEqual(
      refusal('the list is signed with sha256WithRSAEncryption by a key of type ec'),
    )
    expect(allowed(named('rsa-pkcs1', 'sha256WithRSAEncryption'), 'RSA-PSS-2048')).toBeInstanceOf(EvidenceError)
  })
})

describe('SHA-1', () => {
  test('is refused', () => {
    expect(allowed(SHA1_WITH_RSA, 'RSA-2048')).toEqual(
      refusal('the list is signed with sha1WithRSAEncryption by a key of type rsa'),
    )
  })

  test('with RSA is what a suite of old data may ask for, and nothing else that is refused', () => {
    const old = { allowSha1: true } as const
    expect(allowed(SHA1_WITH_RSA, 'RSA-2048', old)).toEqual({
      kind: 'rsa-pkcs1',
      hash: 'sha1',
      name: 'sha1WithRSAEncryption',
    })
    const sha256 = named('rsa-pkcs1', 'sha256WithRSAEncryption')
    expect(allowed(sha256, 'RSA-2048', old)).toBe(sha256)
    expect(allowed(named('refused', 'md5WithRSAEncryption'), 'RSA-2048', old)).toBeInstanceOf(EvidenceError)
    expect(allowed(named('refused', 'ecdsa-with-SHA1'), 'P-256', old)).toBeInstanceOf(EvidenceError)
  })
})
