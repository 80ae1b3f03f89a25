import { hash } from 'node:crypto'
import type { CodeIn } from '../../errors/codes.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { type Certificate, parseCertificate } from '../../x509/certificate.ts'
import { contentOf, DerError, DerLimitError, DerReader, TAG } from '../../x509/der.ts'
import {
  type BasicOcspResponse,
  type CertId,
  type OcspResponse,
  parseOcspResponse,
  type SingleResponse,
} from '../../x509/ocsp-response.ts'
import { subjectPublicKeyOf } from '../../x509/public-key.ts'
import { type Evidence, EvidenceError, type EvidenceLimits, maxAgeFor } from './evidence.ts'
import { checkSigned } from './signed.ts'

export interface OcspInput {
  /** DER of the OCSPResponse: a staple, or what a responder answered. */
  readonly response: Uint8Array
  readonly certificate: Certificate
  /** The issuer on the verified path: a response proves nothing about a path that it helped to choose. */
  readonly issuer: Certificate
  readonly now: UnixMs
  readonly limits: EvidenceLimits
  /** What was asked with; a staple has none. `required` refuses a responder that does not echo it. */
  readonly nonce?: { readonly value: Uint8Array; readonly required: boolean }
  /** Whether a delegated responder's own certificate is known to be revoked. Default: none is. */
  readonly isRevoked?: (responder: Certificate) => boolean
}

/**
 * What an OCSP response says about a certificate (RFC 6960 §3.2, §4.2.2). Pure and synchronous; hostile bytes give a code.
 *
 * The signer is the issuer itself or a responder whose certificate the issuer signed with id-kp-OCSPSigning; its signature
 * is verified here, over its own bytes, whatever came with the response. Of several answers about the certificate the
 * worst that is current counts.
 */
export function verifyOcspResponse(input: OcspInput): Evidence {
  try {
    if (input.certificate.issuer.key !== input.issuer.subject.key) throw otherCertificate()
    const response = basicOf(parseOcspResponse(input.response))
    checkProduced(response, input)
    verifySigner(response, input)
    checkExtensions(response, input)
    return evidenceOf(response, input)
  } catch (error) {
    if (error instanceof EvidenceError) return { status: 'undetermined', code: error.code, message: error.message }
    if (error instanceof DerLimitError) return undetermined('ERR_TRUST_OCSP_TOO_LARGE', error.message)
    if (error instanceof DerError) return undetermined('ERR_TRUST_OCSP_MALFORMED', error.message)
    throw error
  }
}

function basicOf(response: OcspResponse): BasicOcspResponse {
  if (response.kind === 'basic') return response
  throw new EvidenceError('ERR_TRUST_OCSP_RESPONDER_ERROR', `the responder answered ${response.responseStatus}`)
}

/** Nobody can know a certificate's status before it exists or promise it after its end. */
function checkProduced({ producedAt }: BasicOcspResponse, { certificate, now, limits }: OcspInput): void {
  const earliest = certificate.notBefore - limits.clockSkewMs
  const latest = Math.min(now, certificate.notAfter) + limits.clockSkewMs
  if (producedAt >= earliest && producedAt <= latest) return
  throw new EvidenceError('ERR_TRUST_OCSP_BAD_PRODUCED_AT', `produced at ${isoOf(producedAt)}`)
}

/** RFC 6960 §4.2.2.2. @throws EvidenceError unless the issuer, or a responder it delegated to, signed. */
function verifySigner(response: BasicOcspResponse, input: OcspInput): void {
  const { issuer, limits } = input
  let failure: EvidenceError | undefined
  for (const candidate of candidatesOf(response, issuer)) {
    try {
      if (candidate !== issuer) checkDelegation(candidate, input)
      checkSigned(response, candidate, limits, OCSP_CODES, 'the response')
      return
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      failure ??= error
    }
  }
  throw failure ?? new EvidenceError('ERR_TRUST_OCSP_RESPONDER_NOT_FOUND', 'no certificate of the named responder')
}

function candidatesOf(response: BasicOcspResponse, issuer: Certificate): readonly Certificate[] {
  const sent = response.certificates.flatMap((der) => parsedOrNothing(der) ?? [])
  return [issuer, ...sent].filter((certificate) => isNamed(response, certificate)).slice(0, MAX_CANDIDATES)
}

function isNamed({ responderId }: BasicOcspResponse, certificate: Certificate): boolean {
  if (responderId.kind === 'name') return certificate.subject.key === responderId.name
  return isSame(hashesOf(certificate, 'sha1').key, responderId.keyHash)
}

function checkDelegation(responder: Certificate, { issuer, now, limits, isRevoked }: OcspInput): void {
  const unauthorized = (message: string) => new EvidenceError('ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED', message)
  // RFC 6960 §4.2.2.2: issued directly by the CA; a chain of delegates would let any sub-CA speak for its siblings.
  if (responder.issuer.key !== issuer.subject.key) throw unauthorized('the responder has another issuer')
  const { keyUsage, extendedKeyUsage = [] } = responder.decoded
  // The purpose by name: anyExtendedKeyUsage is in certificates that the CA gives to every customer.
  if (!extendedKeyUsage.includes(OCSP_SIGNING)) throw unauthorized('the responder may not sign OCSP responses')
  if (keyUsage !== undefined && !keyUsage.has('digitalSignature')) throw unauthorized('the responder may not sign')
  const unknown = [...responder.extensions.values()].find(({ oid, critical }) => critical && !UNDERSTOOD.has(oid))
  if (unknown !== undefined) throw unauthorized(`the responder has the unknown critical extension ${unknown.oid}`)
  checkSigned(responder, issuer, limits, DELEGATION_CODES, 'the responder’s certificate')
  if (now < responder.notBefore - limits.clockSkewMs || now > responder.notAfter + limits.clockSkewMs) {
    const period = `${isoOf(responder.notBefore)} to ${isoOf(responder.notAfter)}`
    throw new EvidenceError('ERR_TRUST_OCSP_RESPONDER_EXPIRED', `the responder’s certificate is valid from ${period}`)
  }
  if (isRevoked?.(responder) === true) {
    throw new EvidenceError('ERR_TRUST_OCSP_RESPONDER_REVOKED', 'the responder’s certificate is revoked')
  }
}

function checkExtensions({ extensions }: BasicOcspResponse, { nonce }: OcspInput): void {
  const unknown = [...extensions.values()].find(({ oid, critical }) => critical && !RESPONSE_EXTENSIONS.has(oid))
  if (unknown !== undefined) throw criticalExtension(unknown.oid)
  if (nonce === undefined) return
  const echoed = extensions.get(NONCE)?.value
  if (echoed === undefined) {
    if (!nonce.required) return // responders that answer from a cache cannot
    throw new EvidenceError('ERR_TRUST_OCSP_NONCE_MISSING', 'the responder did not echo the nonce')
  }
  if (isSame(echoed, nonce.value) || isSame(octetStringOf(echoed), nonce.value)) return
  throw new EvidenceError('ERR_TRUST_OCSP_NONCE_MISMATCH', 'the responder echoed another nonce')
}

/** RFC 8954 wraps the nonce into an OCTET STRING; older responders send it bare. */
function octetStringOf(value: Uint8Array): Uint8Array {
  try {
    const reader = new DerReader(value)
    const content = contentOf(reader.read(TAG.octetString))
    return reader.atEnd ? content : value
  } catch (error) {
    if (error instanceof DerError) return value
    throw error
  }
}

function evidenceOf({ responses }: BasicOcspResponse, input: OcspInput): Evidence {
  const ours = responses.filter(({ certId }) => isAbout(certId, input))
  let worst: Evidence | undefined
  let failure: EvidenceError | undefined
  for (const single of ours) {
    const evidence = currentEvidence(single, input)
    if (evidence instanceof EvidenceError) failure ??= evidence
    else if (worst === undefined || RANK[evidence.status] > RANK[worst.status]) worst = evidence
  }
  if (worst !== undefined) return worst
  throw failure ?? otherCertificate()
}

function otherCertificate(): EvidenceError {
  return new EvidenceError('ERR_TRUST_OCSP_CERT_MISMATCH', 'the response is about other certificates')
}

/** RFC 6960 §4.1.1: name, key and serial number; the name or the serial alone would match another CA's certificate. */
function isAbout(certId: CertId, { certificate, issuer }: OcspInput): boolean {
  if (!isSame(certId.serialNumber, certificate.serialNumber)) return false
  const algorithm = HASHES[certId.hashAlgorithm]
  if (algorithm === undefined) return false
  // The name as the certificate writes it: a CA may spell its own otherwise.
  const nameHash = isSame(certificate.issuer.der, issuer.subject.der)
    ? hashesOf(issuer, algorithm).name
    : hash(algorithm, certificate.issuer.der, 'buffer')
  return isSame(nameHash, certId.issuerNameHash) && isSame(hashesOf(issuer, algorithm).key, certId.issuerKeyHash)
}

interface IssuerHashes {
  /** Of the DER Name. */
  readonly name: Uint8Array
  /** Of the bits of the key. */
  readonly key: Uint8Array
}

/** What responses call an issuer by, hashed once a certificate. */
function hashesOf(certificate: Certificate, algorithm: string): IssuerHashes {
  const known = issuerHashes.get(certificate)?.get(algorithm)
  if (known !== undefined) return known
  const made = {
    name: hash(algorithm, certificate.subject.der, 'buffer'),
    key: hash(algorithm, subjectPublicKeyOf(certificate.spki), 'buffer'),
  }
  const all = issuerHashes.get(certificate) ?? new Map<string, IssuerHashes>()
  issuerHashes.set(certificate, all.set(algorithm, made))
  return made
}

function currentEvidence(single: SingleResponse, { certificate, now, limits }: OcspInput): Evidence | EvidenceError {
  const { certStatus, thisUpdate, nextUpdate, extensions } = single
  const { clockSkewMs } = limits
  const maxAgeMs = maxAgeFor(certificate, limits)
  const unknown = [...extensions.values()].find(({ oid, critical }) => critical && !SINGLE_EXTENSIONS.has(oid))
  if (unknown !== undefined) return criticalExtension(unknown.oid)
  if (thisUpdate > now + clockSkewMs) {
    return new EvidenceError('ERR_TRUST_OCSP_NOT_YET_VALID', `valid from ${isoOf(thisUpdate)}`)
  }
  if (nextUpdate !== undefined && (nextUpdate < thisUpdate || nextUpdate < now - clockSkewMs)) {
    return new EvidenceError('ERR_TRUST_OCSP_EXPIRED', `valid until ${isoOf(nextUpdate)}`)
  }
  // A response is a statement about its day: with an end in ten years it would be a revocation that never arrives.
  if (thisUpdate + maxAgeMs < now) {
    return new EvidenceError('ERR_TRUST_OCSP_TOO_OLD', `made ${isoOf(thisUpdate)}, no newer is at hand`)
  }
  const validUntil = Math.min(nextUpdate ?? Number.POSITIVE_INFINITY, thisUpdate + maxAgeMs)
  if (certStatus.kind === 'revoked') {
    const { revokedAt, reason } = certStatus
    const about = { revokedAt, ...(reason === undefined ? {} : { reason }) }
    return { status: 'revoked', thisUpdate, validUntil, ...about }
  }
  return { status: certStatus.kind, thisUpdate, validUntil }
}

function criticalExtension(oid: string): EvidenceError {
  return new EvidenceError('ERR_TRUST_OCSP_CRITICAL_EXTENSION', `unknown critical extension ${oid}`)
}

function undetermined(code: CodeIn<'TRUST'>, message: string): Evidence {
  return { status: 'undetermined', code, message }
}

function parsedOrNothing(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof DerError) return undefined // superfluous certificates may be anything
    throw error
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const isoOf = (ms: number): string => new Date(ms).toISOString()

const issuerHashes = new WeakMap<Certificate, Map<string, IssuerHashes>>()
const RANK = { good: 0, unknown: 1, revoked: 2, undetermined: 0 } as const
const MAX_CANDIDATES = 4 // each may cost two signature checks; a key roll-over needs two

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9'
const NONCE = '1.3.6.1.5.5.7.48.1.2'
const RESPONSE_EXTENSIONS: ReadonlySet<string> = new Set([NONCE])
/** SCT list: read by the transparency check; it says nothing about revocation. */
const SINGLE_EXTENSIONS: ReadonlySet<string> = new Set(['1.3.6.1.4.1.11129.2.4.5'])
/** Of a responder's certificate: basicConstraints, keyUsage, extendedKeyUsage, certificatePolicies. */
const UNDERSTOOD: ReadonlySet<string> = new Set(['2.5.29.19', '2.5.29.15', '2.5.29.37', '2.5.29.32'])

const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1', // RFC 5019 §2.1.1: what everybody asks with; it identifies and does not sign
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

const OCSP_CODES = {
  badSignature: 'ERR_TRUST_OCSP_BAD_SIGNATURE',
  unsupported: 'ERR_TRUST_OCSP_UNSUPPORTED_ALGORITHM',
} as const
const DELEGATION_CODES = { ...OCSP_CODES, badSignature: 'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED' } as const
