import { createHash } from 'node:crypto'
import * as der from './der-writer.ts'
import {
  type CertificateExtension,
  encodeName,
  encodePointName,
  encodeReasons,
  type NameInput,
  type PointNameInput,
} from './extension-writer.ts'
import { encodeExtension, type Signer, signatureAlgorithm, signBytes } from './generate.ts'

/** Makes an OCSPResponse of status successful exactly as told (RFC 6960 §4.2.1). @returns DER. */
export function generateOcspResponse(content: OcspContent): Uint8Array {
  const { responderId, producedAt, responses, extensions = [], signer, certificates = [] } = content
  const data = der.sequence(
    'name' in responderId ? der.tagged(1, responderId.name) : der.tagged(2, der.octetString(keyHash(responderId.spki))),
    der.generalizedTime(producedAt),
    der.sequence(...responses.map(encodeSingle)),
    ...(extensions.length === 0 ? [] : [der.tagged(1, der.sequence(...extensions.map(encodeExtension)))]),
  )
  const basic = der.sequence(
    data,
    signatureAlgorithm(signer),
    der.bitString(signed(data, signer)),
    ...(certificates.length === 0 ? [] : [der.tagged(0, der.sequence(...certificates))]),
  )
  const typed = der.sequence(der.objectIdentifier('1.3.6.1.5.5.7.48.1.1'), der.octetString(basic))
  return der.sequence(der.enumerated(0), der.tagged(0, typed))
}

/** Makes an OCSPResponse that says nothing but a responseStatus. */
export const generateOcspError = (status: number): Uint8Array => der.sequence(der.enumerated(status))

export interface OcspContent {
  /** By DER Name or by the responder's DER SubjectPublicKeyInfo. */
  readonly responderId: { readonly name: Uint8Array } | { readonly spki: Uint8Array }
  /** Unix milliseconds, as every instant here. */
  readonly producedAt: number
  readonly responses: readonly SingleResponseContent[]
  readonly extensions?: readonly CertificateExtension[]
  readonly signer: Signer
  /** DER each. */
  readonly certificates?: readonly Uint8Array[]
}

export interface SingleResponseContent {
  /** DER Name and SubjectPublicKeyInfo of the issuer, and the certificate's serial number. */
  readonly issuerName: Uint8Array
  readonly issuerSpki: Uint8Array
  readonly serial: Uint8Array
  readonly status: 'good' | 'unknown' | { readonly revokedAt: number; readonly reason?: number }
  readonly thisUpdate: number
  readonly nextUpdate?: number
  readonly extensions?: readonly CertificateExtension[]
}

/** Makes a CertificateList of version 2 exactly as told (RFC 5280 §5.1). @returns DER. */
export function generateCrl(content: CrlContent): Uint8Array {
  const { issuer, thisUpdate, nextUpdate, entries, extensions = [], signer } = content
  const algorithm = signatureAlgorithm(signer)
  const tbs = der.sequence(
    der.integer(1),
    algorithm,
    issuer,
    der.time(thisUpdate),
    ...(nextUpdate === undefined ? [] : [der.time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [der.sequence(...entries.map(encodeEntry))]),
    ...(extensions.length === 0 ? [] : [der.tagged(0, der.sequence(...extensions.map(encodeExtension)))]),
  )
  return der.sequence(tbs, algorithm, der.bitString(signed(tbs, signer)))
}

export interface CrlContent {
  /** DER Name. */
  readonly issuer: Uint8Array
  readonly thisUpdate: number
  readonly nextUpdate?: number
  readonly entries: readonly CrlEntryContent[]
  readonly extensions?: readonly CertificateExtension[]
  readonly signer: Signer
}

export interface CrlEntryContent {
  readonly serial: Uint8Array
  readonly revokedAt: number
  /** CRLReason. */
  readonly reason?: number
  readonly extensions?: readonly CertificateExtension[]
}

/** crlNumber (RFC 5280 §5.2.3), or with another OID any extension that holds one INTEGER. */
export const crlNumber = (value: number, oid = '2.5.29.20', critical = false): CertificateExtension => ({
  oid,
  critical,
  value: der.integer(value),
})

/** issuingDistributionPoint: where the list is, and what it is about (RFC 5280 §5.2.5). */
export function issuingDistributionPoint(point: IssuingDistributionPointInput): CertificateExtension {
  const { uri, names = uri === undefined ? undefined : [{ uri }], relativeName, onlySomeReasons } = point
  const flag = (field: number, value: true | undefined): readonly Uint8Array[] =>
    value === undefined ? [] : [der.taggedPrimitive(field, Uint8Array.of(0xff))]
  const value = der.sequence(
    ...encodePointName({ ...(names && { names }), ...(relativeName && { relativeName }) }),
    ...flag(1, point.onlyUserCerts),
    ...flag(2, point.onlyCaCerts),
    ...(onlySomeReasons === undefined ? [] : [encodeReasons(3, onlySomeReasons)]),
    ...flag(4, point.indirect),
    ...flag(5, point.onlyAttributeCerts),
  )
  return { oid: '2.5.29.28', critical: true, value }
}

export interface IssuingDistributionPointInput extends PointNameInput {
  /** In place of `names`: one address. */
  readonly uri?: string
  readonly onlyUserCerts?: true
  readonly onlyCaCerts?: true
  /** Bits of ReasonFlags. */
  readonly onlySomeReasons?: readonly number[]
  readonly indirect?: true
  readonly onlyAttributeCerts?: true
}

/** deltaCRLIndicator (RFC 5280 §5.2.4). */
export const deltaCrlIndicator = (baseCrlNumber: number): CertificateExtension =>
  crlNumber(baseCrlNumber, '2.5.29.27', true)

/** certificateIssuer of an entry: from there on, entries are about this one's certificates (RFC 5280 §5.3.3). */
export const certificateIssuer = (name: NameInput): CertificateExtension => ({
  oid: '2.5.29.29',
  critical: true,
  value: der.sequence(der.tagged(4, encodeName(name))),
})

function encodeSingle(single: SingleResponseContent): Uint8Array {
  const { issuerName, issuerSpki, serial, status, thisUpdate, nextUpdate, extensions = [] } = single
  return der.sequence(
    der.sequence(
      der.sequence(der.objectIdentifier('1.3.14.3.2.26'), der.nothing()),
      der.octetString(sha1(issuerName)),
      der.octetString(keyHash(issuerSpki)),
      der.integer(serial),
    ),
    encodeStatus(status),
    der.generalizedTime(thisUpdate),
    ...(nextUpdate === undefined ? [] : [der.tagged(0, der.generalizedTime(nextUpdate))]),
    ...(extensions.length === 0 ? [] : [der.tagged(1, der.sequence(...extensions.map(encodeExtension)))]),
  )
}

function encodeStatus(status: SingleResponseContent['status']): Uint8Array {
  if (typeof status === 'string') return der.taggedPrimitive(status === 'good' ? 0 : 2, new Uint8Array())
  const reason = status.reason === undefined ? [] : [der.tagged(0, der.enumerated(status.reason))]
  return der.tagged(1, der.generalizedTime(status.revokedAt), ...reason)
}

function encodeEntry({ serial, revokedAt, reason, extensions = [] }: CrlEntryContent): Uint8Array {
  const reasonCode = { oid: '2.5.29.21', critical: false, value: der.enumerated(reason ?? 0) }
  const all = reason === undefined ? extensions : [reasonCode, ...extensions]
  const list = all.length === 0 ? [] : [der.sequence(...all.map(encodeExtension))]
  return der.sequence(der.integer(serial), der.time(revokedAt), ...list)
}

function signed(bytes: Uint8Array, signer: Signer): Uint8Array {
  return signBytes(signer.garbage === true ? createHash('sha256').update(bytes).digest() : bytes, signer)
}

/** SHA-1 over the key's bits: the BIT STRING ends the SubjectPublicKeyInfo, and its head is as long as the key makes it. */
function keyHash(spki: Uint8Array): Uint8Array {
  const skip = (at: number): { content: number; end: number } => {
    const first = spki[at + 1] ?? 0
    const count = first < 0x80 ? 0 : first & 0x7f
    let length = count === 0 ? first : 0
    for (let i = 0; i < count; i += 1) length = length * 256 + (spki[at + 2 + i] ?? 0)
    return { content: at + 2 + count, end: at + 2 + count + length }
  }
  const algorithm = skip(skip(0).content)
  return sha1(spki.subarray(skip(algorithm.end).content + 1))
}

const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest()
