import { constants, verify } from 'node:crypto'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { PublicKeyInfo } from '../../x509/public-key.ts'
import type { SignatureAlgorithm } from '../../x509/signature-algorithm.ts'
import { describe } from './describe.ts'

/** Whether `issuer`'s key made `child`'s signature. Names, dates and constraints are other rules' business. */
export function isSignedBy(child: Certificate, issuer: Certificate): boolean {
  if (!keyFitsAlgorithm(issuer.keyInfo, child.signatureAlgorithm)) return false
  // Only CA-to-CA links are kept: they are the ones that come back, and end entities would crowd them out.
  if (child.decoded.basicConstraints?.ca !== true) return verifySignature(child, issuer)
  const link = `${child.sha256}:${issuer.spkiSha256}`
  const known = links.get(link)
  if (known !== undefined) return known
  const verdict = verifySignature(child, issuer)
  links.set(link, verdict)
  return verdict
}

/**
 * Price of one check against an issuer's key, in units of at most a millisecond (P-384: 0.6 ms). Counted whether or not the
 * link is cached, so that a verdict never depends on what was judged before.
 */
export function signatureCost({ keyInfo }: Pick<Certificate, 'keyInfo'>): number {
  if (isRsa(keyInfo)) return Math.ceil((keyInfo.bits / 4096) ** 2) // verification is quadratic in the modulus
  return keyInfo.kind === 'ec' && keyInfo.curve === 'P-521' ? 2 : 1
}

/** A rule for every certificate but the anchor, whose own signature proves nothing and is not looked at. */
export function checkSignatureAlgorithm(certificate: Certificate, index: number): Finding | undefined {
  const { kind, name } = certificate.signatureAlgorithm
  if (kind !== 'refused') return undefined
  return {
    code: 'ERR_TRUST_WEAK_SIGNATURE',
    certificateIndex: index,
    message: `${describe(certificate)}: expected a signature with SHA-256, SHA-384, SHA-512 or EdDSA, saw ${name}`,
  }
}

/** A rule for every certificate, anchor included: whoever breaks one key of the path can speak for the end entity. */
export function checkKey(certificate: Certificate, index: number): Finding | undefined {
  const { keyInfo } = certificate
  const weakness = weaknessOf(keyInfo)
  if (weakness !== undefined) {
    return {
      code: 'ERR_TRUST_WEAK_KEY',
      certificateIndex: index,
      message: `${describe(certificate)}: expected RSA of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits, P-256, P-384, P-521, Ed25519 or Ed448, saw ${weakness}`,
    }
  }
  return undefined
}

/** For issuers: bytes that are no key of their type, such as a point off its curve, verify nothing. */
export function checkKeyIsUsable(certificate: Certificate, index: number): Finding | undefined {
  if (certificate.publicKey !== undefined) return undefined
  return {
    code: 'ERR_TRUST_CERT_MALFORMED',
    certificateIndex: index,
    message: `${describe(certificate)}: its public key is not a key of the type it names`,
  }
}

function weaknessOf(key: PublicKeyInfo): string | undefined {
  if (key.kind === 'unsupported') return key.algorithm
  return isRsa(key) && (key.bits < MIN_RSA_BITS || key.bits > MAX_RSA_BITS) ? `RSA of ${key.bits} bits` : undefined
}

const isRsa = ({ kind }: PublicKeyInfo): boolean => kind === 'rsa' || kind === 'rsa-pss'

/** The signature names one algorithm, the key another: OpenSSL would go by the key. */
export function keyFitsAlgorithm(key: PublicKeyInfo, algorithm: SignatureAlgorithm): boolean {
  switch (algorithm.kind) {
    case 'rsa-pkcs1':
      return key.kind === 'rsa'
    case 'rsa-pss':
      return isRsa(key)
    case 'ecdsa':
      return key.kind === 'ec'
    case 'ed25519':
    case 'ed448':
      return key.kind === algorithm.kind
    case 'refused':
      return false
  }
}

/** Cryptography alone, for whatever is signed as certificates are. */
export function verifySignature(
  { signatureAlgorithm: algorithm, tbs, signature }: Pick<Certificate, 'signatureAlgorithm' | 'tbs' | 'signature'>,
  issuer: Pick<Certificate, 'publicKey'>,
): boolean {
  const key = issuer.publicKey
  if (key === undefined || algorithm.kind === 'refused') return false
  const hash = 'hash' in algorithm ? algorithm.hash : null
  try {
    if (algorithm.kind !== 'rsa-pss') return verify(hash, tbs, key, signature) // an RSA key alone means PKCS #1 v1.5
    const padding = constants.RSA_PKCS1_PSS_PADDING
    return verify(hash, tbs, { key, padding, saltLength: algorithm.saltLength }, signature)
  } catch {
    return false // OpenSSL's refusals, such as a PSS key bound to another hash, have no common class
  }
}

const links = new BoundedMap<string, boolean>(1024) // about 150 kB; a service meets a few dozen CA links

const MIN_RSA_BITS = 2048 // CA/B Forum BR §6.1.5
const MAX_RSA_BITS = 16_384 // OpenSSL's own bound; one check at this size costs as much as 16 ordinary ones
