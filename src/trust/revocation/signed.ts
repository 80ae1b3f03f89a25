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

export interface SignatureCodes {
  readonly badSignature: CodeIn<'TRUST'>
  readonly unsupported: CodeIn<'TRUST'>
}

/** @throws EvidenceError unless `signer`'s key, strong enough and of the algorithm's type, made the signature. */
export function checkSigned(
  { tbs, signature, signatureAlgorithm }: Signed,
  signer: Pick<Certificate, 'keyInfo' | 'publicKey'>,
  limits: EvidenceLimits,
  codes: SignatureCodes,
  what: string,
): void {
  const algorithm = algorithmFor(signatureAlgorithm, limits)
  const { keyInfo } = signer
  const isRsa = keyInfo.kind === 'rsa' || keyInfo.kind === 'rsa-pss'
  if (isRsa && keyInfo.bits < limits.minRsaBits) {
    throw new EvidenceError(codes.unsupported, `${what} is signed with RSA of ${keyInfo.bits} bits`)
  }
  if (!keyFitsAlgorithm(keyInfo, algorithm)) {
    throw new EvidenceError(codes.unsupported, `${what} is signed with ${algorithm.name} by a key of ${keyInfo.kind}`)
  }
  if (!verifySignature({ tbs, signature, signatureAlgorithm: algorithm }, signer)) {
    throw new EvidenceError(codes.badSignature, `the signature of ${what} is not the signer’s`)
  }
}

function algorithmFor(algorithm: SignatureAlgorithm, { allowSha1 }: EvidenceLimits): SignatureAlgorithm {
  if (allowSha1 !== true || algorithm.kind !== 'refused' || algorithm.name !== 'sha1WithRSAEncryption') return algorithm
  return { kind: 'rsa-pkcs1', hash: 'sha1', name: algorithm.name }
}
