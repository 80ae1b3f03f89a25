import { type PinText, pinHashOf } from '../encoding/pin.ts'
import type { Finding } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { CertificationPath } from './path/path.ts'
import { pinOf } from './pins.ts'

/** Certificates that the signers of a manifest revoked, whatever their issuers say. Looked for on the whole verified path. */
export interface RevokedCertificates {
  /** Equal for equal content. */
  readonly id: string
  /** SHA-256 of whole certificates, lower-case hexadecimal. */
  readonly certificates: ReadonlySet<string>
  /** Serial numbers by the issuer's key, hexadecimal without leading zeros. */
  readonly serials: readonly { readonly issuer: PinText; readonly numbers: ReadonlySet<string> }[]
  /** Keys of CAs that are no longer trusted for certificates issued from an instant on, or logged after one. */
  readonly distrusted: readonly (
    | { readonly issuer: PinText; readonly notBefore: UnixMs }
    | { readonly issuer: PinText; readonly sctNotAfter: UnixMs }
  )[]
}

/** A CA of a path that is distrusted for what was logged after an instant. */
export interface SctRule {
  readonly certificateIndex: number
  readonly issuer: PinText
  readonly sctNotAfter: UnixMs
}

/** The first reason to refuse a path; `undefined` where nothing of it is revoked. */
export function findRevoked({ certificates }: CertificationPath, revoked: RevokedCertificates): Finding | undefined {
  for (const [certificateIndex, certificate] of certificates.entries()) {
    const issuer = certificates[certificateIndex + 1]
    if (revoked.certificates.has(certificate.sha256))
      return revokedAt(certificateIndex, 'certificate', certificate.sha256)
    if (issuer === undefined) continue
    const serial = serialOf(certificate)
    if (revoked.serials.some((rule) => isKey(issuer, rule.issuer) && rule.numbers.has(serial))) {
      return revokedAt(certificateIndex, `serial number of ${issuer.subject.text}`, serial)
    }
  }
  const [endEntity] = certificates
  for (const rule of revoked.distrusted) {
    if (!('notBefore' in rule) || endEntity.notBefore < rule.notBefore) continue
    const certificateIndex = positionOf(rule.issuer, certificates)
    if (certificateIndex === undefined) continue
    return distrustedAt(certificateIndex, rule.issuer, `issued from ${isoOf(rule.notBefore)} on`)
  }
  return undefined
}

/** The rules about SCTs that concern a path; whether it meets them, `loggedTooLate` says. */
export function sctRulesOf(
  { certificates }: CertificationPath,
  { distrusted }: RevokedCertificates,
): readonly SctRule[] {
  return distrusted.flatMap((rule) => {
    const certificateIndex = 'sctNotAfter' in rule ? positionOf(rule.issuer, certificates) : undefined
    return certificateIndex === undefined || !('sctNotAfter' in rule) ? [] : [{ ...rule, certificateIndex }]
  })
}

/**
 * A CA can write any notBefore, but no log's SCT: one SCT that counts and is not later than the instant proves that the certificate
 * is from before, however many later ones stand beside it. Where none counts, or none can be judged, nothing proves it.
 *
 * @param firstLogged The earliest SCT that counts.
 */
export function loggedTooLate(rules: readonly SctRule[], firstLogged: UnixMs | undefined): Finding | undefined {
  const broken = rules.find(({ sctNotAfter }) => firstLogged === undefined || firstLogged > sctNotAfter)
  if (broken === undefined) return undefined
  const { certificateIndex, issuer, sctNotAfter } = broken
  const seen = firstLogged === undefined ? 'no SCT counts' : `the first SCT is of ${isoOf(firstLogged)}`
  return distrustedAt(certificateIndex, issuer, `logged after ${isoOf(sctNotAfter)}; ${seen}`)
}

/** One spelling of a serial number: a leading zero octet of the INTEGER is not part of it. */
export function normalSerial(hexadecimal: string): string {
  return hexadecimal.toLowerCase().replace(/^0+(?=.)/, '')
}

const serialOf = ({ serialNumber }: Certificate): string => normalSerial(Buffer.from(serialNumber).toString('hex'))

/** Among the issuers. */
function positionOf(issuer: PinText, certificates: readonly Certificate[]): number | undefined {
  const position = certificates.findIndex((certificate, index) => index > 0 && isKey(certificate, issuer))
  return position < 0 ? undefined : position
}

const isoOf = (ms: UnixMs): string => new Date(ms).toISOString()

const isKey = (certificate: Certificate, pin: PinText): boolean => pinOf(certificate, pinHashOf(pin)) === pin

function revokedAt(certificateIndex: number, what: string, value: string): Finding {
  const message = `the ${what} ${value} on the verified path was revoked by the manifest`
  return { code: 'ERR_TRUST_CERT_REVOKED', certificateIndex, message }
}

function distrustedAt(certificateIndex: number, issuer: PinText, what: string): Finding {
  const message = `the CA key ${issuer} is distrusted for certificates ${what}`
  return { code: 'ERR_TRUST_CA_DISTRUSTED', certificateIndex, message }
}
