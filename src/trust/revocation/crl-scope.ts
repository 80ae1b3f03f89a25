import type { Certificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import {
  type DistributionPoint,
  type IssuingDistributionPoint,
  parseDistributionPoints,
} from '../../x509/distribution-points.ts'
import type { GeneralName } from '../../x509/general-names.ts'
import type { DistinguishedName } from '../../x509/names.ts'
import type { VerifiedCrl } from './crl.ts'
import { EvidenceError } from './evidence.ts'

/**
 * Reasons for which the list would tell of the certificate's revocation, as bits of ReasonFlags (RFC 5280 §6.3.3 (b) to
 * (d)): those of the list and of the certificate's distribution points that the list belongs to.
 *
 * @throws EvidenceError `ERR_TRUST_CRL_SCOPE` where the list is about other certificates.
 */
export function reasonsCovered(crl: VerifiedCrl, certificate: Certificate): ReadonlySet<number> {
  const scope = crl.issuingDistributionPoint
  checkKind(scope, certificate)
  const points = pointsOf(certificate).filter((point) => isListOf(crl, point, certificate))
  if (points.length === 0) throw outside('the list is of another distribution point than the certificate’s')
  const isCovered = (reason: number): boolean =>
    (scope?.onlySomeReasons?.has(reason) ?? true) && points.some(({ reasons }) => reasons?.has(reason) ?? true)
  return new Set(ALL_REASONS.filter(isCovered))
}

/** `DistinguishedName.key` of everyone who may issue a list about the certificate: its issuer and whom that named. */
export function crlIssuersOf(certificate: Certificate): ReadonlySet<string> {
  const named = distributionPointsOf(certificate).flatMap(({ crlIssuer = [] }) => directoryNamesOf(crlIssuer))
  return new Set([certificate.issuer, ...named].map(({ key }) => key))
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

function checkKind(scope: IssuingDistributionPoint | undefined, { decoded }: Certificate): void {
  const isCa = decoded.basicConstraints?.ca === true
  if (scope?.onlyContainsAttributeCerts === true) throw outside('the list is about attribute certificates')
  if (scope?.onlyContainsUserCerts === true && isCa) {
    throw outside('the list is about end entities, the certificate is a CA’s')
  }
  if (scope?.onlyContainsCaCerts === true && !isCa) {
    throw outside('the list is about CAs, the certificate is an end entity’s')
  }
}

/** §6.3.3, last paragraph: lists that no point names are taken as if one did, under the name of the issuer. */
function pointsOf(certificate: Certificate): readonly DistributionPoint[] {
  const implied: DistributionPoint = { fullName: [{ kind: 'directory', name: certificate.issuer }] }
  return [...distributionPointsOf(certificate), implied]
}

/** §6.3.3 (b) (1) and (b) (2) (i). */
function isListOf(crl: VerifiedCrl, point: DistributionPoint, { issuer }: Certificate): boolean {
  const scope = crl.issuingDistributionPoint
  const crlIssuers = point.crlIssuer === undefined ? undefined : directoryNamesOf(point.crlIssuer)
  // Whom the issuer named in its place has to say on the list that it speaks for others.
  if (crlIssuers !== undefined && scope?.indirectCrl !== true) return false
  if (!(crlIssuers ?? [issuer]).some(({ key }) => key === crl.issuer.key)) return false
  const listNames = scope === undefined ? undefined : namesOf(scope, crl.issuer)
  if (listNames === undefined) return true // all of the issuer’s certificates
  const pointNames = namesOf(point, crlIssuers?.[0] ?? issuer) ?? new Set(crlIssuers?.map(comparableDirectory))
  return [...listNames].some((name) => pointNames.has(name))
}

/** The names of a distribution point in one comparable form; `undefined` where it has none. */
function namesOf(
  { fullName, nameRelativeToIssuer }: Pick<DistributionPoint, 'fullName' | 'nameRelativeToIssuer'>,
  above: DistinguishedName,
): ReadonlySet<string> | undefined {
  if (nameRelativeToIssuer !== undefined) {
    return new Set([comparableDirectory({ key: [...above.rdns, nameRelativeToIssuer].join(',') })])
  }
  return fullName === undefined ? undefined : new Set(fullName.flatMap(comparable))
}

function comparable(name: GeneralName): readonly string[] {
  if (name.kind === 'directory') return [comparableDirectory(name.name)]
  return name.kind === 'uri' ? [`uri:${name.text}`] : []
}

const comparableDirectory = ({ key }: Pick<DistinguishedName, 'key'>): string => `directory:${key}`

function directoryNamesOf(names: readonly GeneralName[]): readonly DistinguishedName[] {
  return names.flatMap((name) => (name.kind === 'directory' ? [name.name] : []))
}

const outside = (message: string): EvidenceError => new EvidenceError('ERR_TRUST_CRL_SCOPE', message)

const CRL_DISTRIBUTION_POINTS = '2.5.29.31'
/** RFC 5280 §4.2.1.13: bit 0 is unused. */
export const ALL_REASONS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8]
