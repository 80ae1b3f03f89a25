import type { CodeIn } from '../../errors/codes.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { SignatureAlgorithm } from '../../x509/signature-algorithm.ts'
import { keyFitsAlgorithm, verifySignature } from '../path/signature.ts'
import { EvidenceError, type EvidenceLimits } from './evidence.ts'

/** Certificates, OCSP responses and CRLs have this in common. */
export interface Signed {
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

export type Signer = Pick<Certificate, 'keyInfo' | 'publicKey'>

export interface SignatureCodes {
  readonly badSignature: CodeIn<'TRUST'>
  readonly unsupported: CodeIn<'TRUST'>
}

/** @throws EvidenceError unless `signer`'s key, strong enough and of the algorithm's type, made the signature. */
export function checkSigned(
  { tbs, signature, signatureAlgorithm: named }: Signed,
  signer: Signer,
  limits: EvidenceLimits,
  codes: SignatureCodes,
  what: string,
): void {
  const signatureAlgorithm = algorithmFor(named, signer, limits, codes, what)
  if (!verifySignature({ tbs, signature, signatureAlgorithm }, signer)) throw badSignature(codes, what)
}

/** @throws EvidenceError unless a signature by `signer` with the algorithm would count. */
export function algorithmFor(
  named: SignatureAlgorithm,
  { keyInfo }: Signer,
  limits: EvidenceLimits,
  { unsupported }: SignatureCodes,
  what: string,
): SignatureAlgorithm {
  const isSha1 = named.name === 'sha1WithRSAEncryption'
  const algorithm: SignatureAlgorithm =
    isSha1 && limits.allowSha1 === true ? { kind: 'rsa-pkcs1', hash: 'sha1', name: named.name } : named
  const isRsa = keyInfo.kind === 'rsa' || keyInfo.kind === 'rsa-pss'
  if (isRsa && keyInfo.bits < limits.minRsaBits) {
    throw new EvidenceError(unsupported, `${what} is signed with RSA of ${keyInfo.bits} bits`)
  }
  if (keyFitsAlgorithm(keyInfo, algorithm)) return algorithm
  throw new EvidenceError(unsupported, `${what} is signed with ${algorithm.name} by a key of type ${keyInfo.kind}`)
}

export function badSignature({ badSignature: code }: SignatureCodes, what: string): EvidenceError {
  return new EvidenceError(code, `the signature of ${what} is not the signer’s`)
}
