import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import {
  contentOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  DerLimitError,
  type DerReader,
  encodingOf,
  octetsOfBitString,
  oidOf,
  openDer,
  openElement,
  smallIntegerOf,
  TAG,
  timeOf,
} from './der.ts'
import { type Extension, parseExtensions } from './extensions.ts'
import { parseName } from './names.ts'
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'

/** An OCSPResponse as RFC 6960 §4.2.1 lays it out, read-only and without an opinion on time, signer or certificate. */
export type OcspResponse =
  | { readonly kind: 'error'; readonly responseStatus: OcspErrorStatus }
  | ({ readonly kind: 'basic' } & BasicOcspResponse)

export type OcspErrorStatus = 'malformedRequest' | 'internalError' | 'tryLater' | 'sigRequired' | 'unauthorized'

export interface BasicOcspResponse {
  readonly responderId: ResponderId
  readonly producedAt: UnixMs
  readonly responses: readonly SingleResponse[]
  readonly extensions: ReadonlyMap<string, Extension>
  /** The signed bytes: DER of ResponseData. */
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** DER each, as sent; junk among them is met. */
  readonly certificates: readonly Uint8Array[]
}

/** `name` is `DistinguishedName.key`; `keyHash` the SHA-1 of the responder's public key without tag, length and unused bits. */
export type ResponderId =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'key'; readonly keyHash: Uint8Array }

export interface SingleResponse {
  readonly certId: CertId
  readonly certStatus: CertStatus
  readonly thisUpdate: UnixMs
  readonly nextUpdate?: UnixMs
  readonly extensions: ReadonlyMap<string, Extension>
}

export interface CertId {
  /** OID of the hash that made both hashes. */
  readonly hashAlgorithm: string
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** Content octets of the INTEGER. */
  readonly serialNumber: Uint8Array
}

export type CertStatus =
  | { readonly kind: 'good' | 'unknown' }
  /** `reason` is the CRLReason of RFC 5280 §5.3.1. */
  | { readonly kind: 'revoked'; readonly revokedAt: UnixMs; readonly reason?: number }

/**
 * @throws DerError when the bytes are not one DER OCSPResponse of type id-pkix-ocsp-basic; DerLimitError when it holds more
 *   than any honest responder sends.
 */
export function parseOcspResponse(der: Uint8Array): OcspResponse {
  if (der.length > MAX_OCSP_BYTES) throw new DerLimitError(`OCSP response of ${der.length} octets`)
  const reader = openDer(der)
  const status = enumeratedOf(reader.read(ENUMERATED))
  const responseBytes = reader.readOptional(contextConstructed(0))
  reader.expectEnd()
  if (status !== SUCCESSFUL) {
    const responseStatus = ERROR_STATUSES[status]
    if (responseStatus === undefined) throw new DerError(`OCSP response status ${status} is not defined`)
    if (responseBytes !== undefined) throw new DerError('an OCSP error carries a response')
    return { kind: 'error', responseStatus }
  }
  if (responseBytes === undefined) throw new DerError('a successful OCSP response carries none')
  const explicit = openElement(responseBytes)
  const typed = explicit.enter()
  explicit.expectEnd()
  if (oidOf(typed.read(TAG.oid)) !== ID_PKIX_OCSP_BASIC) throw new DerError('OCSP response is of another type')
  const basic = openDer(contentOf(typed.read(TAG.octetString)))
  typed.expectEnd()
  return { kind: 'basic', ...parseBasic(basic) }
}

function parseBasic(basic: DerReader): BasicOcspResponse {
  const data = basic.read(TAG.sequence)
  const signatureAlgorithm = parseSignatureAlgorithm(encodingOf(basic.read(TAG.sequence)))
  const signature = octetsOfBitString(basic.read(TAG.bitString))
  const certificates = basic.readOptional(contextConstructed(0))
  basic.expectEnd()

  const reader = openElement(data)
  const version = reader.readOptional(contextConstructed(0))
  if (version !== undefined && smallIntegerOf(explicitOf(version, TAG.integer)) !== 0) {
    throw new DerError('OCSP response version is not 1') // written out although it is the default by some responders
  }
  const responderId = parseResponderId(reader.read())
  const producedAt = generalizedTimeOf(reader.read())
  const responses: SingleResponse[] = []
  const list = reader.enter()
  while (!list.atEnd) {
    if (responses.length === MAX_SINGLE_RESPONSES) throw new DerLimitError('OCSP response about too many certificates')
    responses.push(parseSingle(list.enter()))
  }
  const extensions = extensionsOf(reader.readOptional(contextConstructed(1)))
  reader.expectEnd()
  return {
    responderId,
    producedAt,
    responses,
    extensions,
    tbs: encodingOf(data),
    signatureAlgorithm,
    signature,
    certificates: certificates === undefined ? [] : certificatesOf(certificates),
  }
}

function parseResponderId(element: DerElement): ResponderId {
  if (element.tag === contextConstructed(1)) {
    return { kind: 'name', name: parseName(explicitOf(element, TAG.sequence)).key }
  }
  if (element.tag !== contextConstructed(2)) throw new DerError('responder is named in no known form')
  const keyHash = contentOf(explicitOf(element, TAG.octetString))
  if (keyHash.length !== 20) throw new DerError('responder key hash is no SHA-1')
  return { kind: 'key', keyHash }
}

function parseSingle(reader: DerReader): SingleResponse {
  const certId = parseCertId(reader.enter())
  const certStatus = parseCertStatus(reader.read())
  const thisUpdate = generalizedTimeOf(reader.read())
  const next = reader.readOptional(contextConstructed(0))
  const extensions = extensionsOf(reader.readOptional(contextConstructed(1)))
  reader.expectEnd()
  const single = { certId, certStatus, thisUpdate, extensions }
  return next === undefined
    ? single
    : { ...single, nextUpdate: generalizedTimeOf(explicitOf(next, TAG.generalizedTime)) }
}

function parseCertId(reader: DerReader): CertId {
  const algorithm = reader.enter()
  const hashAlgorithm = oidOf(algorithm.read(TAG.oid))
  const parameters = algorithm.readOptional(TAG.null) // NULL or nothing: both are met (RFC 4055 §2.1)
  if (parameters !== undefined && parameters.end !== parameters.contentStart) throw new DerError('NULL holds something')
  algorithm.expectEnd()
  const issuerNameHash = contentOf(reader.read(TAG.octetString))
  const issuerKeyHash = contentOf(reader.read(TAG.octetString))
  const serialNumber = contentOf(reader.read(TAG.integer)) // compared with the certificate’s, octet for octet
  reader.expectEnd()
  return { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber }
}

function parseCertStatus(element: DerElement): CertStatus {
  const isEmpty = element.end === element.contentStart
  if (element.tag === contextPrimitive(0) && isEmpty) return { kind: 'good' }
  if (element.tag === contextPrimitive(2) && isEmpty) return { kind: 'unknown' }
  if (element.tag !== contextConstructed(1)) throw new DerError('certificate status is of no known form')
  const reader = openElement(element)
  const revokedAt = generalizedTimeOf(reader.read())
  const reasonField = reader.readOptional(contextConstructed(0))
  reader.expectEnd()
  if (reasonField === undefined) return { kind: 'revoked', revokedAt }
  return { kind: 'revoked', revokedAt, reason: crlReasonOf(explicitOf(reasonField, ENUMERATED)) }
}

/** CRLReason (RFC 5280 §5.3.1): 0 to 10 without 7. */
export function crlReasonOf(element: DerElement): number {
  const reason = enumeratedOf(element)
  if (reason > 10 || reason === 7) throw new DerError(`revocation reason ${reason} is not defined`)
  return reason
}

function certificatesOf(element: DerElement): readonly Uint8Array[] {
  const list = openElement(explicitOf(element, TAG.sequence))
  const certificates: Uint8Array[] = []
  while (!list.atEnd) {
    if (certificates.length === MAX_CERTIFICATES) throw new DerLimitError('OCSP response with too many certificates')
    certificates.push(encodingOf(list.read(TAG.sequence)))
  }
  return certificates
}

function extensionsOf(field: DerElement | undefined): ReadonlyMap<string, Extension> {
  return field === undefined ? new Map() : parseExtensions(openElement(explicitOf(field, TAG.sequence)))
}

/** The one element inside an EXPLICIT tag. */
function explicitOf(element: DerElement, tag: number): DerElement {
  const reader = openElement(element)
  const inner = reader.read(tag)
  reader.expectEnd()
  return inner
}

function generalizedTimeOf(element: DerElement): UnixMs {
  if (element.tag !== TAG.generalizedTime) throw new DerError('time is not a GeneralizedTime')
  return toUnixMs(timeOf(element))
}

/** ENUMERATED has the content of an INTEGER. */
function enumeratedOf(element: DerElement): number {
  if (element.tag !== ENUMERATED) throw new DerError('expected an enumerated value')
  return smallIntegerOf(element, 1)
}

const ENUMERATED = 0x0a
const SUCCESSFUL = 0
const ID_PKIX_OCSP_BASIC = '1.3.6.1.5.5.7.48.1.1'

const ERROR_STATUSES: Readonly<Record<number, OcspErrorStatus>> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
}

const MAX_OCSP_BYTES = 64 * 1024 // responses of public CAs are under 3 kB; a staple shares the handshake's time
const MAX_SINGLE_RESPONSES = 128
const MAX_CERTIFICATES = 20
