import type { CertificateExtension } from '../x509/extension-writer.ts'
import type { SignatureHash } from '../x509/generate.ts'
import {
  certificateIssuer,
  crlNumber,
  deltaCrlIndicator,
  generateCrl,
  generateOcspResponse,
  type IssuingDistributionPointInput,
  issuingDistributionPoint,
} from '../x509/revocation-writer.ts'
import type { TestCertificate } from './ca.ts'
import { STAPLED, sctExtension, type TestLog, wholeCertificate } from './transparency.ts'

export { crlNumber, generateOcspError, issuingDistributionPoint } from '../x509/revocation-writer.ts'

/** What a CA says of one of its certificates. */
export type TestStatus = 'good' | 'revoked' | 'unknown'

/** An OCSP response, in every detail that may be wrong. */
export interface TestOcspOptions {
  readonly certificate: TestCertificate
  readonly status?: TestStatus
  /** CRLReason of a revocation. */
  readonly reason?: number
  /** Unix milliseconds, as every instant here. Default: the certificate's `now`. */
  readonly now?: number
  /** Default an hour before `now`. */
  readonly thisUpdate?: number
  /** Default three days after `now`; `null` leaves it out. */
  readonly nextUpdate?: number | null
  /** Default `thisUpdate`. */
  readonly producedAt?: number
  /** Who signs. Default: the certificate's issuer. Any other comes along in the response. */
  readonly responder?: TestCertificate
  readonly extensions?: readonly CertificateExtension[]
  /** Logs of Certificate Transparency whose SCTs the response brings, an hour old. Default none. */
  readonly loggedIn?: readonly TestLog[]
  readonly hash?: SignatureHash
  readonly signature?: 'genuine' | 'garbage'
}

/** An OCSP response as a server staples it. @returns DER. */
export function ocspResponse(options: TestOcspOptions): Uint8Array {
  const { certificate, status = 'good', reason, extensions = [], loggedIn, hash } = options
  const issuer = certificate.issuer ?? certificate
  const responder = options.responder ?? issuer
  const now = options.now ?? certificate.options.now ?? 0
  const { thisUpdate = now - HOUR_MS, nextUpdate = now + 3 * DAY_MS } = options
  const revoked = { revokedAt: thisUpdate - HOUR_MS, ...(reason === undefined ? {} : { reason }) }
  return generateOcspResponse({
    responderId: { spki: responder.spki },
    producedAt: options.producedAt ?? thisUpdate,
    responses: [
      {
        issuerName: issuer.subject,
        issuerSpki: issuer.spki,
        serial: certificate.serial,
        status: status === 'revoked' ? revoked : status,
        thisUpdate,
        ...(nextUpdate === null ? {} : { nextUpdate }),
        ...(loggedIn === undefined
          ? {}
          : { extensions: [sctExtension(STAPLED, loggedIn, wholeCertificate(certificate), now - HOUR_MS)] }),
      },
    ],
    extensions,
    signer: {
      privateKey: responder.key.privateKey,
      garbage: options.signature === 'garbage',
      ...(hash === undefined ? {} : { hash }),
    },
    certificates: responder === issuer ? [] : [responder.der],
  })
}

/** A CRL, in every detail that may be wrong. */
export interface TestCrlOptions {
  readonly issuer: TestCertificate
  /** Certificates on the list, or serial numbers. */
  readonly revoked?: readonly (TestCertificate | Uint8Array)[]
  readonly reason?: number
  readonly now?: number
  readonly thisUpdate?: number
  readonly nextUpdate?: number | null
  /** Default 1; `null` leaves it out. */
  readonly number?: number | null
  /** The distribution point that the list is for. */
  readonly uri?: string
  /** The same in full: names, kinds of certificates, reasons, and `indirect` with entries that name their issuers. */
  readonly scope?: IssuingDistributionPointInput
  /** Number of the list that this one only adds to: a delta CRL. */
  readonly baseNumber?: number
  readonly extensions?: readonly CertificateExtension[]
  /** Of each entry. */
  readonly entryExtensions?: readonly CertificateExtension[]
  readonly hash?: SignatureHash
  readonly signature?: 'genuine' | 'garbage'
}

/** A certificate revocation list. @returns DER. */
export function crl(options: TestCrlOptions): Uint8Array {
  const {
    issuer,
    revoked = [],
    reason,
    number = 1,
    uri,
    baseNumber,
    entryExtensions = [],
    extensions = [],
    hash,
  } = options
  const scope = options.scope ?? (uri === undefined ? undefined : { uri })
  const now = options.now ?? issuer.options.now ?? 0
  const { thisUpdate = now - HOUR_MS, nextUpdate = now + 7 * DAY_MS } = options
  return generateCrl({
    issuer: issuer.subject,
    thisUpdate,
    ...(nextUpdate === null ? {} : { nextUpdate }),
    entries: revoked.map((one) => ({
      serial: one instanceof Uint8Array ? one : one.serial,
      revokedAt: thisUpdate - HOUR_MS,
      ...(reason === undefined ? {} : { reason }),
      extensions: scope?.indirect === true ? [certificateIssuer(issuerNameOf(one) ?? issuer.subject)] : entryExtensions,
    })),
    extensions: [
      ...(number === null ? [] : [crlNumber(number)]),
      ...(scope === undefined ? [] : [issuingDistributionPoint(scope)]),
      ...(baseNumber === undefined ? [] : [deltaCrlIndicator(baseNumber)]),
      ...extensions,
    ],
    signer: {
      privateKey: issuer.key.privateKey,
      garbage: options.signature === 'garbage',
      ...(hash === undefined ? {} : { hash }),
    },
  })
}

const issuerNameOf = (one: TestCertificate | Uint8Array): Uint8Array | undefined =>
  one instanceof Uint8Array ? undefined : one.issuer?.subject

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
