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
  /**
   * Keys of CAs that are no longer trusted for certificates issued from an instant on. Without one, the instant is told by
   * SCTs, which are not read yet: then nothing under the key is trusted.
   */
  readonly distrusted: readonly { readonly issuer: PinText; readonly notBefore?: UnixMs }[]
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
  for (const { issuer, notBefore } of revoked.distrusted) {
    const certificateIndex = certificates.findIndex((certificate, index) => index > 0 && isKey(certificate, issuer))
    if (certificateIndex < 0 || (notBefore !== undefined && endEntity.notBefore < notBefore)) continue
    const since =
      notBefore === undefined ? 'until its SCTs can be read' : `from ${new Date(notBefore).toISOString()} on`
    const message = `the CA key ${issuer} is distrusted for certificates issued ${since}`
    return { code: 'ERR_TRUST_CA_DISTRUSTED', certificateIndex, message }
  }
  return undefined
}

/** One spelling of a serial number: a leading zero octet of the INTEGER is not part of it. */
export function normalSerial(hexadecimal: string): string {
  return hexadecimal.toLowerCase().replace(/^0+(?=.)/, '')
}

const serialOf = ({ serialNumber }: Certificate): string => normalSerial(Buffer.from(serialNumber).toString('hex'))

const isKey = (certificate: Certificate, pin: PinText): boolean => pinOf(certificate, pinHashOf(pin)) === pin

function revokedAt(certificateIndex: number, what: string, value: string): Finding {
  const message = `the ${what} ${value} on the verified path was revoked by the manifest`
  return { code: 'ERR_TRUST_CERT_REVOKED', certificateIndex, message }
}
