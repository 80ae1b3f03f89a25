import { constants, type VerifyKeyObjectInput, verify } from 'node:crypto'
import {
  contextConstructed,
  DerError,
  DerReader,
  encodingOf,
  octetsOfBitString,
  openDer,
  openElement,
  smallIntegerOf,
  TAG,
} from './der.ts'
import { type DistinguishedName, parseName } from './names.ts'
import { importPublicKey, type PublicKeyInfo, parsePublicKeyInfo } from './public-key.ts'
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'

/** A certification request (PKCS #10, RFC 2986 §4.2): the key a certificate will be issued for, before it is. */
export interface CertificateRequest {
  readonly subject: DistinguishedName
  /** DER of SubjectPublicKeyInfo: what a pin is the digest of. */
  readonly spki: Uint8Array
  readonly keyInfo: PublicKeyInfo
  /** Whether the request was signed by the key it asks for: without it, whoever sent it may not hold the key. */
  readonly isSelfSigned: boolean
}

/** @throws DerError when the bytes are not one DER certification request. */
export function parseRequest(der: Uint8Array): CertificateRequest {
  const outer = openDer(der)
  const info = outer.read(TAG.sequence)
  const algorithm = outer.read(TAG.sequence)
  const signature = octetsOfBitString(outer.read(TAG.bitString))
  outer.expectEnd()

  const reader = openElement(info)
  if (smallIntegerOf(reader.read(TAG.integer)) !== 0) throw new DerError('a request has version 0')
  const subject = parseName(reader.read(TAG.sequence))
  const key = reader.read(TAG.sequence)
  reader.readOptional(contextConstructed(0)) // attributes: wishes, which the issuer may ignore
  reader.expectEnd()
  const spki = encodingOf(key).slice()
  const keyInfo = parsePublicKeyInfo(key)
  const isSelfSigned = verifies(encodingOf(info), parseSignatureAlgorithm(encodingOf(algorithm)), signature, {
    keyInfo,
    spki,
  })
  return { subject, spki, keyInfo, isSelfSigned }
}

/** @throws DerError when the bytes are not one DER SubjectPublicKeyInfo. */
export function parseSpki(der: Uint8Array): PublicKeyInfo {
  const outer = new DerReader(der)
  const spki = outer.read(TAG.sequence)
  outer.expectEnd()
  return parsePublicKeyInfo(spki)
}

function verifies(
  signed: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
  { keyInfo, spki }: Pick<CertificateRequest, 'keyInfo' | 'spki'>,
): boolean {
  const key = importPublicKey(keyInfo, spki)
  if (key === undefined || algorithm.kind === 'refused') return false
  const options: VerifyKeyObjectInput = { key }
  if (algorithm.kind === 'rsa-pss') {
    options.padding = constants.RSA_PKCS1_PSS_PADDING
    options.saltLength = algorithm.saltLength
  }
  try {
    return verify('hash' in algorithm ? algorithm.hash : null, signed, options, signature)
  } catch {
    return false // OpenSSL's refusals have no common class
  }
}
