import { type DerElement, DerError, integerOf, octetsOfBitString, oidOf, openDer, openElement, TAG } from './der.ts'

/**
 * What a SubjectPublicKeyInfo says about its key, read strictly: OpenSSL takes BER, odd parameters and confused
 * algorithm identifiers that would hash to another pin for the same key.
 */
export type PublicKeyInfo =
  | { readonly kind: 'rsa' | 'rsa-pss'; readonly bits: number }
  | { readonly kind: 'ec'; readonly curve: Curve; readonly bits: number }
  | { readonly kind: 'ed25519' | 'ed448'; readonly bits: number }
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
      return { kind: 'rsa', bits: rsaBits(key) }
    case RSASSA_PSS:
      return { kind: 'rsa-pss', bits: rsaBits(key) }
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
function rsaBits(key: Uint8Array): number {
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
  return modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
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
  return { kind: 'ec', curve: curve.name, bits: curve.bits }
}

function edwardsKey(
  kind: 'ed25519' | 'ed448',
  parameters: DerElement | undefined,
  key: Uint8Array,
  octets: number,
): PublicKeyInfo {
  if (parameters !== undefined) throw new DerError(`${kind} takes no parameters`) // RFC 8410 §3
  if (key.length !== octets) throw new DerError(`${kind} key has another length`)
  return { kind, bits: octets === 32 ? 256 : 456 }
}

function expectNull(parameters: DerElement | undefined): void {
  if (parameters?.tag !== TAG.null || parameters.end !== parameters.contentStart) {
    throw new DerError('algorithm parameters are not NULL')
  }
}

export const RSA_ENCRYPTION = '1.2.840.113549.1.1.1'
export const RSASSA_PSS = '1.2.840.113549.1.1.10'
export const EC_PUBLIC_KEY = '1.2.840.10045.2.1'
export const ED25519 = '1.3.101.112'
export const ED448 = '1.3.101.113'

const MAX_RSA_EXPONENT_OCTETS = 8 // OpenSSL's bound for large moduli

const CURVES: Readonly<Record<string, { readonly name: Curve; readonly bits: number; readonly octets: number }>> = {
  '1.2.840.10045.3.1.7': { name: 'P-256', bits: 256, octets: 32 },
  '1.3.132.0.34': { name: 'P-384', bits: 384, octets: 48 },
  '1.3.132.0.35': { name: 'P-521', bits: 521, octets: 66 },
}
