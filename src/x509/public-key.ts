import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto'
import { encodeBase64Url } from '../encoding/base64.ts'
import { type DerElement, DerError, integerOf, octetsOfBitString, oidOf, openDer, openElement, TAG } from './der.ts'

/**
 * What a SubjectPublicKeyInfo says about its key, read strictly: OpenSSL takes BER, odd parameters and confused
 * algorithm identifiers that would hash to another pin for the same key.
 */
export type PublicKeyInfo =
  | { readonly kind: 'rsa'; readonly bits: number; readonly modulus: Uint8Array; readonly exponent: Uint8Array }
  | { readonly kind: 'rsa-pss'; readonly bits: number }
  | { readonly kind: 'ec'; readonly curve: Curve; readonly bits: number; readonly point: Uint8Array }
  | { readonly kind: 'ed25519' | 'ed448'; readonly bits: number; readonly point: Uint8Array }
  /** Well-formed, of a type this library verifies nothing with: DSA, other curves, explicit curve parameters. */
  | { readonly kind: 'unsupported'; readonly algorithm: string; readonly bits: 0 }

export type Curve = 'P-256' | 'P-384' | 'P-521'

export function parsePublicKeyInfo(spki: DerElement): PublicKeyInfo {
  const reader = openElement(spki)
  const algorithm = reader.enter()
  const oid = oidOf(algorithm.read(TAG.oid))
  const parameters = algorithm.atEnd ? undefined : algorithm.read()
  algorithm.expectEnd()
  const key = octetsOfBitString(reader.read(TAG.bitString))
  reader.expectEnd()
  switch (oid) {
    case RSA_ENCRYPTION:
      expectNull(parameters) // RFC 3279 §2.3.1: NULL, not absent
      return { kind: 'rsa', ...rsaKey(key) }
    case RSASSA_PSS:
      return { kind: 'rsa-pss', bits: rsaKey(key).bits }
    case EC_PUBLIC_KEY:
      return ecKey(parameters, key)
    case ED25519:
      return edwardsKey('ed25519', parameters, key, 32)
    case ED448:
      return edwardsKey('ed448', parameters, key, 57)
    default:
      return { kind: 'unsupported', algorithm: oid, bits: 0 }
  }
}

/** RSAPublicKey (RFC 8017 §A.1.1): two positive odd integers. */
function rsaKey(key: Uint8Array): { bits: number; modulus: Uint8Array; exponent: Uint8Array } {
  const reader = openDer(key)
  const modulus = positiveOf(reader.read(TAG.integer))
  const exponent = positiveOf(reader.read(TAG.integer))
  reader.expectEnd()
  const isOdd = (value: Uint8Array): boolean => ((value.at(-1) ?? 0) & 1) === 1
  if (!isOdd(modulus) || !isOdd(exponent)) throw new DerError('RSA modulus or exponent is even')
  // 1 would make every signature its own message; a long one makes verification slow at will.
  if (exponent.length > MAX_RSA_EXPONENT_OCTETS || (exponent.length === 1 && (exponent[0] ?? 0) < 3)) {
    throw new DerError('RSA exponent is out of range')
  }
  return { bits: modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24, modulus, exponent }
}

function positiveOf(element: DerElement): Uint8Array {
  const content = integerOf(element)
  if ((content[0] ?? 0) >= 0x80) throw new DerError('RSA integer is negative')
  return content[0] === 0 ? content.subarray(1) : content
}

function ecKey(parameters: DerElement | undefined, point: Uint8Array): PublicKeyInfo {
  if (parameters === undefined) throw new DerError('EC key names no curve')
  // RFC 5480 §2.1.1: namedCurve only. Explicit parameters are how CVE-2020-0601 forged a trusted root.
  if (parameters.tag !== TAG.oid) return { kind: 'unsupported', algorithm: 'explicit curve parameters', bits: 0 }
  const oid = oidOf(parameters)
  const curve = CURVES[oid]
  if (curve === undefined) return { kind: 'unsupported', algorithm: `curve ${oid}`, bits: 0 }
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.octets) throw new DerError('EC point is not uncompressed')
  return { kind: 'ec', curve: curve.name, bits: curve.bits, point: point.subarray(1) }
}

function edwardsKey(
  kind: 'ed25519' | 'ed448',
  parameters: DerElement | undefined,
  key: Uint8Array,
  octets: number,
): PublicKeyInfo {
  if (parameters !== undefined) throw new DerError(`${kind} takes no parameters`) // RFC 8410 §3
  if (key.length !== octets) throw new DerError(`${kind} key has another length`)
  return { kind, bits: octets === 32 ? 256 : 456, point: key }
}

function expectNull(parameters: DerElement | undefined): void {
  if (parameters?.tag !== TAG.null || parameters.end !== parameters.contentStart) {
    throw new DerError('algorithm parameters are not NULL')
  }
}

/** Content of the subjectPublicKey BIT STRING: what OCSP names an issuer by. */
export function subjectPublicKeyOf(spki: Uint8Array): Uint8Array {
  const reader = openDer(spki)
  reader.read(TAG.sequence)
  return octetsOfBitString(reader.read(TAG.bitString))
}

/**
 * `importPublicKey` for the key of a certificate, by the cheapest road that gives the same key.
 *
 * @param der The certificate that `info` and `spki` were read from.
 */
export function keyOfCertificate(der: Uint8Array, info: PublicKeyInfo, spki: Uint8Array): KeyObject | undefined {
  const isQuick = WHOLE_CERTIFICATES_ARE_QUICK && info.kind !== 'unsupported'
  return (isQuick ? keyWithin(der) : undefined) ?? importPublicKey(info, spki)
}

function keyWithin(der: Uint8Array): KeyObject | undefined {
  // Node looks for PEM first, anywhere in the bytes: an extension could hold another certificate, with another key.
  if (Buffer.from(der.buffer, der.byteOffset, der.length).includes(PEM_START)) return undefined
  try {
    return new X509Certificate(der).publicKey
  } catch {
    return undefined // what OpenSSL makes of the other fields is not the question here
  }
}

/**
 * The key for `crypto.verify`; `undefined` when OpenSSL refuses it, for example a point off its curve.
 *
 * @param spki DER of the SubjectPublicKeyInfo that `info` was read from.
 */
export function importPublicKey(info: PublicKeyInfo, spki: Uint8Array): KeyObject | undefined {
  try {
    const jwk = quickKeyOf(info)
    if (jwk !== undefined) return createPublicKey({ key: jwk, format: 'jwk' })
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch {
    return undefined // OpenSSL's errors have no common class, and every one of them means the same here
  }
}

/**
 * The numbers by themselves, for they are read and checked already: OpenSSL's search for a decoder makes the DER import
 * cost 100 us, which for RSA is four times the verification. On the larger curves the JWK import is the slower one.
 */
function quickKeyOf(info: PublicKeyInfo): JsonWebKey | undefined {
  switch (info.kind) {
    case 'rsa':
      return { kty: 'RSA', n: encodeBase64Url(info.modulus), e: encodeBase64Url(info.exponent) }
    case 'ed25519':
      return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(info.point) }
    case 'ed448':
      return { kty: 'OKP', crv: 'Ed448', x: encodeBase64Url(info.point) }
    case 'ec':
      if (info.curve !== 'P-256') return undefined
      return {
        kty: 'EC',
        crv: info.curve,
        x: encodeBase64Url(info.point.subarray(0, 32)),
        y: encodeBase64Url(info.point.subarray(32)),
      }
    default:
      return undefined
  }
}

/** OpenSSL 3.5 reads a certificate, key included, in 30 us and a key by itself in 45 to 110 us; with 3.0 it is 200 and 7 to 110. */
const WHOLE_CERTIFICATES_ARE_QUICK = isAtLeast(process.versions.openssl, 3, 5)

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [first = 0, second = 0] = version.split('.').map(Number)
  return first > major || (first === major && second >= minor)
}

const PEM_START = '-----BEGIN'

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1'
export const RSASSA_PSS = '1.2.840.113549.1.1.10'
const EC_PUBLIC_KEY = '1.2.840.10045.2.1'
export const ED25519 = '1.3.101.112'
export const ED448 = '1.3.101.113'

const MAX_RSA_EXPONENT_OCTETS = 4 // Windows' CryptoAPI takes no more; 65537 is what everybody uses

const CURVES: Readonly<Record<string, { readonly name: Curve; readonly bits: number; readonly octets: number }>> = {
  '1.2.840.10045.3.1.7': { name: 'P-256', bits: 256, octets: 32 },
  '1.3.132.0.34': { name: 'P-384', bits: 384, octets: 48 },
  '1.3.132.0.35': { name: 'P-521', bits: 521, octets: 66 },
}
