import { createHash } from 'node:crypto'
import { isIPv4 } from 'node:net'
import * as der from './der-writer.ts'

export interface CertificateExtension {
  readonly oid: string
  readonly critical: boolean
  /** DER of the extension's own type: the content of extnValue. */
  readonly value: Uint8Array
}

/** A common name, a list of attributes in order, or the DER of a Name for whatever else a test wants to claim. */
export type NameInput = string | readonly (readonly [attribute: NameAttribute, value: string])[] | Uint8Array
export type NameAttribute = keyof typeof NAME_ATTRIBUTES

export function encodeName(name: NameInput): Uint8Array {
  if (name instanceof Uint8Array) return name
  const attributes = typeof name === 'string' ? ([['CN', name]] as const) : name
  return der.sequence(...attributes.map((attribute) => der.setOfOne(encodeAttribute(attribute))))
}

function encodeAttribute([attribute, value]: readonly [NameAttribute, string]): Uint8Array {
  // X.520: countryName is a PrintableString; the others are written as RFC 5280 §4.1.2.4 asks of new certificates.
  const text = attribute === 'C' ? der.printableString(value) : der.utf8String(value)
  return der.sequence(der.objectIdentifier(NAME_ATTRIBUTES[attribute]), text)
}

/** One GeneralName (RFC 5280 §4.2.1.6); `raw` is its whole element. An `ip` may be a range, `10.0.0.0/8`, in constraints. */
export type GeneralNameInput =
  | { readonly dns: string }
  | { readonly ip: string }
  | { readonly uri: string }
  | { readonly email: string }
  | { readonly directory: NameInput }
  | { readonly raw: Uint8Array }

function encodeGeneralName(name: GeneralNameInput): Uint8Array {
  if ('dns' in name) return der.taggedPrimitive(2, Buffer.from(name.dns, 'latin1'))
  if ('ip' in name) return der.taggedPrimitive(7, addressOctets(name.ip))
  if ('uri' in name) return der.taggedPrimitive(6, Buffer.from(name.uri, 'latin1'))
  if ('email' in name) return der.taggedPrimitive(1, Buffer.from(name.email, 'latin1'))
  if ('directory' in name) return der.tagged(4, encodeName(name.directory))
  return name.raw
}

export type KeyUsageName = (typeof KEY_USAGE_BITS)[number]
export type KeyPurpose = keyof typeof KEY_PURPOSES

export interface NameConstraintsInput {
  readonly permitted?: readonly GeneralNameInput[]
  readonly excluded?: readonly GeneralNameInput[]
}

/** Builders of the usual extensions. Each answers one `CertificateExtension`, critical where RFC 5280 §4.2 says so. */
export const extension = {
  basicConstraints: (ca: boolean, pathLength?: number): CertificateExtension => ({
    oid: EXTENSION_OID.basicConstraints,
    critical: true,
    value: der.sequence(
      ...(ca ? [der.boolean(true)] : []),
      ...(pathLength === undefined ? [] : [der.integer(pathLength)]),
    ),
  }),
  keyUsage: (usages: readonly KeyUsageName[]): CertificateExtension => ({
    oid: EXTENSION_OID.keyUsage,
    critical: true,
    value: der.namedBits(usages.map((usage) => KEY_USAGE_BITS.indexOf(usage))),
  }),
  /** Purposes by name, or any OID in dotted form. */
  extendedKeyUsage: (purposes: readonly (KeyPurpose | `${number}.${string}`)[]): CertificateExtension => ({
    oid: EXTENSION_OID.extendedKeyUsage,
    critical: false,
    value: der.sequence(
      ...purposes.map((purpose) => der.objectIdentifier(isKeyPurpose(purpose) ? KEY_PURPOSES[purpose] : purpose)),
    ),
  }),
  subjectAltName: (names: readonly GeneralNameInput[], critical = false): CertificateExtension => ({
    oid: EXTENSION_OID.subjectAltName,
    critical,
    value: der.sequence(...names.map(encodeGeneralName)),
  }),
  nameConstraints: ({ permitted = [], excluded = [] }: NameConstraintsInput): CertificateExtension => ({
    oid: EXTENSION_OID.nameConstraints,
    critical: true,
    value: der.sequence(
      ...[permitted, excluded].flatMap((subtrees, index) =>
        subtrees.length === 0
          ? []
          : [der.tagged(index, ...subtrees.map((name) => der.sequence(encodeGeneralName(name))))],
      ),
    ),
  }),
  subjectKeyIdentifier: (keyIdentifier: Uint8Array): CertificateExtension => ({
    oid: EXTENSION_OID.subjectKeyIdentifier,
    critical: false,
    value: der.octetString(keyIdentifier),
  }),
  authorityKeyIdentifier: (keyIdentifier: Uint8Array): CertificateExtension => ({
    oid: EXTENSION_OID.authorityKeyIdentifier,
    critical: false,
    value: der.sequence(der.taggedPrimitive(0, keyIdentifier)),
  }),
  certificatePolicies: (policies: readonly string[]): CertificateExtension => ({
    oid: EXTENSION_OID.certificatePolicies,
    critical: false,
    value: der.sequence(...policies.map((policy) => der.sequence(der.objectIdentifier(policy)))),
  }),
  /** Where status is found: `ocsp` and `caIssuers` addresses. */
  authorityInfoAccess: (access: { readonly ocsp?: string; readonly caIssuers?: string }): CertificateExtension => ({
    oid: EXTENSION_OID.authorityInfoAccess,
    critical: false,
    value: der.sequence(
      ...Object.entries({ [ACCESS_METHOD.ocsp]: access.ocsp, [ACCESS_METHOD.caIssuers]: access.caIssuers }).flatMap(
        ([method, uri]) =>
          uri === undefined ? [] : [der.sequence(der.objectIdentifier(method), encodeGeneralName({ uri }))],
      ),
    ),
  }),
  /** Addresses, or points in full. */
  crlDistributionPoints: (points: readonly (string | DistributionPointInput)[]): CertificateExtension => ({
    oid: EXTENSION_OID.crlDistributionPoints,
    critical: false,
    value: der.sequence(
      ...points.map((point) =>
        encodeDistributionPoint(typeof point === 'string' ? { names: [{ uri: point }] } : point),
      ),
    ),
  }),
  /** RFC 7633 status_request: "must staple". */
  mustStaple: (): CertificateExtension => ({
    oid: EXTENSION_OID.tlsFeature,
    critical: false,
    value: der.sequence(der.integer(5)),
  }),
} as const

/** Where a list is, by `names` or by an attribute below the name of its issuer (RFC 5280 §4.2.1.13). */
export interface PointNameInput {
  readonly names?: readonly GeneralNameInput[]
  readonly relativeName?: readonly [attribute: NameAttribute, value: string]
}

export interface DistributionPointInput extends PointNameInput {
  /** Bits of ReasonFlags. */
  readonly reasons?: readonly number[]
  readonly crlIssuer?: NameInput
}

/** DistributionPointName in its field, or nothing. */
export function encodePointName({ names, relativeName }: PointNameInput): readonly Uint8Array[] {
  if (names !== undefined) return [der.tagged(0, der.tagged(0, ...names.map(encodeGeneralName)))]
  return relativeName === undefined ? [] : [der.tagged(0, der.tagged(1, encodeAttribute(relativeName)))]
}

function encodeDistributionPoint({ reasons, crlIssuer, ...name }: DistributionPointInput): Uint8Array {
  return der.sequence(
    ...encodePointName(name),
    ...(reasons === undefined ? [] : [encodeReasons(1, reasons)]),
    ...(crlIssuer === undefined ? [] : [der.tagged(2, encodeGeneralName({ directory: crlIssuer }))]),
  )
}

/** ReasonFlags in the field of this number: a BIT STRING without its own head of two octets. */
export const encodeReasons = (field: number, reasons: readonly number[]): Uint8Array =>
  der.taggedPrimitive(field, der.namedBits(reasons).subarray(2))

/** RFC 7093 §2 method (4): a hash over the whole SubjectPublicKeyInfo, cut to the customary 20 octets. */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spki).digest().subarray(0, 20))
}

const isKeyPurpose = (text: string): text is KeyPurpose => Object.hasOwn(KEY_PURPOSES, text)

/** Network order; with a prefix length, address and mask one after the other (RFC 5280 §4.2.1.10). */
function addressOctets(text: string): Uint8Array {
  const [address = '', prefix] = text.split('/')
  const octets = isIPv4(address) ? address.split('.').map(Number) : ipv6Octets(address)
  if (prefix === undefined) return Uint8Array.from(octets)
  const mask = octets.map((_, index) => (0xff00 >> Math.min(8, Math.max(0, Number(prefix) - index * 8))) & 0xff)
  return Uint8Array.from([...octets, ...mask])
}

function ipv6Octets(address: string): number[] {
  const canonical = new URL(`https://[${address}]/`).hostname.slice(1, -1) // hexadecimal groups, at most one `::`
  const [head = '', tail = ''] = canonical.split('::')
  const [before, after] = [head, tail].map((half) => half.split(':').filter((group) => group !== ''))
  const groups = [...(before ?? [])]
  while (groups.length + (after?.length ?? 0) < 8) groups.push('0')
  return [...groups, ...(after ?? [])].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

const NAME_ATTRIBUTES = {
  CN: '2.5.4.3',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
} as const

export const EXTENSION_OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
} as const

const ACCESS_METHOD = { ocsp: '1.3.6.1.5.5.7.48.1', caIssuers: '1.3.6.1.5.5.7.48.2' } as const

const KEY_PURPOSES = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
} as const

/** In the order of the bits (RFC 5280 §4.2.1.3). */
const KEY_USAGE_BITS = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
