import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { crlValidUntil, type VerifiedCrl } from './crl.ts'
import { ALL_REASONS, reasonsCovered } from './crl-scope.ts'
import { attempt, type Evidence, EvidenceError, type EvidenceLimits, maxAgeFor } from './evidence.ts'

export interface CrlInput {
  /** Signed by the issuer on the verified path. */
  readonly crl: VerifiedCrl
  readonly certificate: Certificate
  readonly now: UnixMs
  readonly limits: EvidenceLimits
}

/**
 * What one complete CRL of the certificate's issuer says about it (RFC 5280 §6.3.3). Pure. A list about other
 * certificates, or one that only adds to another, gives a code and never `good`.
 */
export function judgeCrl({ crl, certificate, now, limits }: CrlInput): Evidence {
  const validUntil = attempt(() => {
    requireListOf(certificate, crl)
    return crlValidUntil(crl, { now, limits, maxAgeMs: maxAgeFor(certificate, limits) })
  })
  if (validUntil instanceof EvidenceError) {
    return { status: 'undetermined', code: validUntil.code, message: validUntil.message }
  }
  const record = crl.find(certificate.serialNumber)
  const { thisUpdate } = crl
  // §5.3.1: removeFromCRL belongs into delta CRLs; in a complete list it takes the certificate off it.
  if (record === undefined || record.reason === REMOVE_FROM_CRL) return { status: 'good', thisUpdate, validUntil }
  return { status: 'revoked', thisUpdate, validUntil, ...record }
}

/** @throws EvidenceError unless the list, by itself, would tell of the certificate's revocation, whatever its age. */
export function requireListOf(certificate: Certificate, crl: VerifiedCrl): void {
  if (crl.baseCrlNumber !== undefined) {
    throw new EvidenceError('ERR_TRUST_CRL_DELTA_UNSUPPORTED', 'a delta CRL says nothing without its base')
  }
  if (crl.isIndirect) {
    throw new EvidenceError('ERR_TRUST_CRL_INDIRECT_UNSUPPORTED', 'a list for several issuers')
  }
  if (reasonsCovered(crl, certificate).size < ALL_REASONS.length) {
    throw new EvidenceError('ERR_TRUST_CRL_SCOPE', 'the list is about some reasons of revocation alone')
  }
}

export const REMOVE_FROM_CRL = 8
