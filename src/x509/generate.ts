import { constants, createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import * as der from './der-writer.ts'
import type { CertificateExtension } from './extension-writer.ts'

/**
 * Makes a certificate exactly as told, sound or not: the test kit needs weak keys, SHA-1, foreign names and signatures
 * that do not verify. Written on node:crypto rather than WebCrypto, which has no id-RSASSA-PSS keys and is asynchronous.
 *
 * @returns DER (RFC 5280 §4.1).
 */
export function generateCertificate(content: CertificateContent): Uint8Array {
  const algorithm = signatureAlgorithm(content.signer)
  const extensions = content.extensions.map(encodeExtension)
  const tbsCertificate = der.sequence(
    der.tagged(0, der.integer(2)), // v3
    der.integer(content.serial ?? randomSerial()),
    algorithm,
    content.issuer,
    der.sequence(der.time(content.notBefore), der.time(content.notAfter)),
    content.subject,
    content.spki,
    ...(extensions.length === 0 ? [] : [der.tagged(3, der.sequence(...extensions))]),
  )
  // A well-formed signature over something else: parsers take it, verification must not.
  const signed = content.signer.garbage === true ? createHash('sha256').update(tbsCertificate).digest() : tbsCertificate
  return der.sequence(tbsCertificate, algorithm, der.bitString(signBytes(signed, content.signer)))
}

export interface CertificateContent {
  /** DER Name; see `encodeName`. */
  readonly subject: Uint8Array
  readonly issuer: Uint8Array
  /** Big-endian octets of a positive number; 16 random ones by default. */
  readonly serial?: Uint8Array
  /** Unix milliseconds; certificates hold whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  readonly extensions: readonly CertificateExtension[]
  readonly signer: Signer
}

export interface Signer {
  readonly privateKey: KeyObject
  /** Default: the one that goes with the key's size. Ignored by Ed25519 and Ed448. */
  readonly hash?: SignatureHash
  /** For RSA keys; a key of type RSA-PSS signs with `'pss'` only. Default `'pkcs1'`. */
  readonly padding?: 'pkcs1' | 'pss'
  /** Signs other bytes than the certificate's. */
  readonly garbage?: boolean
}

export type SignatureHash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** Which kind of key is made. */
export type KeyType =
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | 'Ed25519'
  | 'Ed448'
  | 'RSA-1024'
  | 'RSA-2048'
  | 'RSA-3072'
  | 'RSA-4096'
  | 'RSA-PSS-2048'

/** A key pair of a certificate or a log. */
export interface KeyPair {
  readonly type: KeyType
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
}

/** A fresh key. About 0.1 ms for a curve, 50 ms for RSA-2048, up to seconds for RSA-4096. */
export function generateKey(type: KeyType = 'P-256'): KeyPair {
  const { privateKey, publicKey } = keyObjectsOf(type)
  return { type, privateKey, publicKey, spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })) }
}

function keyObjectsOf(type: KeyType): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (type) {
    case 'P-256':
    case 'P-384':
    case 'P-521':
      return generateKeyPairSync('ec', { namedCurve: type })
    case 'Ed25519':
      return generateKeyPairSync('ed25519')
    case 'Ed448':
      return generateKeyPairSync('ed448')
    case 'RSA-PSS-2048':
      // The salt is as long as the digest unless told otherwise.
      return generateKeyPairSync('rsa-pss', {
        modulusLength: 2048,
        hashAlgorithm: 'sha256',
        mgf1HashAlgorithm: 'sha256',
      })
    default:
      return generateKeyPairSync('rsa', { modulusLength: Number(type.slice('RSA-'.length)) })
  }
}

export function encodeExtension({ oid, critical, value }: CertificateExtension): Uint8Array {
  return der.sequence(der.objectIdentifier(oid), ...(critical ? [der.boolean(true)] : []), der.octetString(value))
}

export function signatureAlgorithm(signer: Signer): Uint8Array {
  const hash = hashOf(signer)
  switch (signer.privateKey.asymmetricKeyType) {
    case 'ed25519':
      return der.sequence(der.objectIdentifier('1.3.101.112')) // RFC 8410 §3
    case 'ed448':
      return der.sequence(der.objectIdentifier('1.3.101.113'))
    case 'ec':
      return der.sequence(der.objectIdentifier(ECDSA_WITH[hash])) // RFC 5758 §3.2: no parameters
    default:
      return usesPss(signer)
        ? der.sequence(der.objectIdentifier('1.2.840.113549.1.1.10'), pssParameters(hash))
        : der.sequence(der.objectIdentifier(RSA_WITH[hash]), der.nothing())
  }
}

/** RFC 4055 §3.1, every field written out, mask generation by the same hash, salt as long as the digest. */
function pssParameters(hash: SignatureHash): Uint8Array {
  const hashAlgorithm = der.sequence(der.objectIdentifier(HASHES[hash].oid), der.nothing())
  return der.sequence(
    der.tagged(0, hashAlgorithm),
    der.tagged(1, der.sequence(der.objectIdentifier('1.2.840.113549.1.1.8'), hashAlgorithm)),
    der.tagged(2, der.integer(HASHES[hash].octets)),
  )
}

export function signBytes(bytes: Uint8Array, signer: Signer): Uint8Array {
  const { privateKey } = signer
  const hash = hashOf(signer)
  switch (privateKey.asymmetricKeyType) {
    case 'ed25519':
    case 'ed448':
      return new Uint8Array(sign(null, bytes, privateKey))
    case 'ec':
      return new Uint8Array(sign(hash, bytes, { key: privateKey, dsaEncoding: 'der' }))
    default:
      return new Uint8Array(
        sign(hash, bytes, {
          key: privateKey,
          ...(usesPss(signer)
            ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: HASHES[hash].octets }
            : { padding: constants.RSA_PKCS1_PADDING }),
        }),
      )
  }
}

function hashOf({ privateKey, hash }: Signer): SignatureHash {
  if (hash !== undefined) return hash
  const { namedCurve } = privateKey.asymmetricKeyDetails ?? {}
  return namedCurve === 'secp384r1' ? 'sha384' : namedCurve === 'secp521r1' ? 'sha512' : 'sha256'
}

const usesPss = ({ privateKey, padding }: Signer): boolean =>
  privateKey.asymmetricKeyType === 'rsa-pss' || padding === 'pss'

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
export function randomSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16))
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

const HASHES = {
  sha1: { oid: '1.3.14.3.2.26', octets: 20 },
  sha256: { oid: '2.16.840.1.101.3.4.2.1', octets: 32 },
  sha384: { oid: '2.16.840.1.101.3.4.2.2', octets: 48 },
  sha512: { oid: '2.16.840.1.101.3.4.2.3', octets: 64 },
} as const

const ECDSA_WITH = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
} as const

const RSA_WITH = {
  sha1: '1.2.840.113549.1.1.5',
  sha256: '1.2.840.113549.1.1.11',
  sha384: '1.2.840.113549.1.1.12',
  sha512: '1.2.840.113549.1.1.13',
} as const
