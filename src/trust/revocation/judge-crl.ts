import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { type DistributionPoint, parseDistributionPoints } from '../../x509/distribution-points.ts'
import type { GeneralName } from '../../x509/general-names.ts'
import { crlValidUntil, type VerifiedCrl } from './crl.ts'
import { type Evidence, EvidenceError, type EvidenceLimits, maxAgeFor } from './evidence.ts'

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
  try {
    requireListOf(certificate, crl)
    const validUntil = crlValidUntil(crl, { now, limits, maxAgeMs: maxAgeFor(certificate, limits) })
    const record = crl.find(certificate.serialNumber)
    const { thisUpdate } = crl
    // §5.3.1: removeFromCRL belongs into delta CRLs; in a complete list it takes the certificate off it.
    if (record === undefined || record.reason === REMOVE_FROM_CRL) return { status: 'good', thisUpdate, validUntil }
    return { status: 'revoked', thisUpdate, validUntil, ...record }
  } catch (error) {
    if (error instanceof EvidenceError) return { status: 'undetermined', code: error.code, message: error.message }
    throw error
  }
}

/** @throws EvidenceError unless the list, by itself, would tell of the certificate's revocation, whatever its age. */
export function requireListOf(certificate: Certificate, crl: VerifiedCrl): void {
  if (crl.baseCrlNumber !== undefined) {
    throw new EvidenceError('ERR_TRUST_CRL_DELTA_UNSUPPORTED', 'a delta CRL says nothing without its base')
  }
  if (crl.isIndirect) {
    throw new EvidenceError('ERR_TRUST_CRL_INDIRECT_UNSUPPORTED', 'a list for several issuers')
  }
  checkScope(crl, certificate)
}

/** §6.3.3 (b): the list of another partition, or of CA certificates alone, says nothing about an end entity. */
function checkScope({ issuingDistributionPoint: scope }: VerifiedCrl, certificate: Certificate): void {
  if (scope === undefined) return
  const outside = (message: string) => new EvidenceError('ERR_TRUST_CRL_SCOPE', message)
  const isCa = certificate.decoded.basicConstraints?.ca === true
  if (scope.onlyContainsAttributeCerts) throw outside('the list is about attribute certificates')
  if (scope.onlyContainsUserCerts && isCa) throw outside('the list is about end entities, the certificate is a CA’s')
  if (scope.onlyContainsCaCerts && !isCa) throw outside('the list is about CAs, the certificate is an end entity’s')
  if (scope.onlySomeReasons !== undefined) throw outside('the list is about some reasons of revocation alone')
  if (scope.nameRelativeToIssuer !== undefined)
    throw outside('the list names its distribution point by a relative name')
  const { fullName } = scope
  if (fullName === undefined) return
  const points = distributionPointsOf(certificate)
  const isOurs = points.some((point) => point.fullName?.some((name) => fullName.some((other) => isSame(name, other))))
  if (!isOurs) throw outside('the list is of another distribution point than the certificate’s')
}

/** @returns [] where the certificate names none, or none that can be read. */
export function distributionPointsOf({ extensions }: Certificate): readonly DistributionPoint[] {
  const extension = extensions.get(CRL_DISTRIBUTION_POINTS)
  if (extension === undefined) return []
  try {
    return parseDistributionPoints(extension.value)
  } catch (error) {
    if (error instanceof DerError) return []
    throw error
  }
}

function isSame(a: GeneralName, b: GeneralName): boolean {
  if (a.kind === 'directory') return b.kind === 'directory' && a.name.key === b.name.key
  return a.kind === 'uri' && b.kind === 'uri' && a.text === b.text
}

const CRL_DISTRIBUTION_POINTS = '2.5.29.31'
export const REMOVE_FROM_CRL = 8
