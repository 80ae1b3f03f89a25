import {
  booleanOf,
  contentOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  DerReader,
  integerOf,
  namedBitsOf,
  oidOf,
  openDer,
  openElement,
  smallIntegerOf,
  TAG,
} from './der.ts'
import { type GeneralName, parseGeneralName, parseGeneralNames } from './general-names.ts'

export interface Extension {
  readonly oid: string
  readonly critical: boolean
  /** Content of the extnValue OCTET STRING. */
  readonly value: Uint8Array
}

/** Every extension this library reads, decoded. Absent is `undefined`. */
export interface DecodedExtensions {
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLenConstraint?: number }
  readonly keyUsage?: ReadonlySet<KeyUsage>
  /** OIDs. */
  readonly extendedKeyUsage?: readonly string[]
  readonly subjectAltName?: readonly GeneralName[]
  readonly nameConstraints?: NameConstraints
  /** Policy OIDs. */
  readonly certificatePolicies?: readonly string[]
  readonly policyMappings?: readonly PolicyMapping[]
  readonly policyConstraints?: { readonly requireExplicitPolicy?: number; readonly inhibitPolicyMapping?: number }
  readonly inhibitAnyPolicy?: number
  readonly subjectKeyIdentifier?: Uint8Array
  readonly authorityKeyIdentifier?: AuthorityKeyIdentifier
  readonly authorityInfoAccess?: readonly AccessDescription[]
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export interface PolicyMapping {
  readonly issuerDomainPolicy: string
  readonly subjectDomainPolicy: string
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier?: Uint8Array
  readonly namesIssuerAndSerial: boolean
}

export interface AccessDescription {
  readonly method: string
  readonly location: GeneralName
}

export type KeyUsage = (typeof KEY_USAGES)[number]

/** In the order of the bits (RFC 5280 §4.2.1.3). */
const KEY_USAGES = [
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

export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  precertificatePoison: '1.3.6.1.4.1.11129.2.4.3',
} as const

/** The `[3]` field of a certificate, given the SEQUENCE OF inside it. */
export function parseExtensions(list: DerReader): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>()
  if (list.atEnd) throw new DerError('extension list is empty')
  while (!list.atEnd) {
    const reader = list.enter()
    const oid = oidOf(reader.read(TAG.oid))
    const criticalElement = reader.readOptional(TAG.boolean)
    const critical = criticalElement !== undefined && booleanOf(criticalElement)
    const value = contentOf(reader.read(TAG.octetString))
    reader.expectEnd()
    // RFC 5280 §4.2: one of each. Two would let two readers judge two different certificates.
    if (extensions.has(oid)) throw new DerError(`extension ${oid} appears twice`)
    extensions.set(oid, { oid, critical, value })
  }
  return extensions
}

/** Decodes what is known; a value that does not parse makes the whole certificate malformed, critical or not. */
export function decodeExtensions(extensions: ReadonlyMap<string, Extension>): DecodedExtensions {
  const decoded: { -readonly [Name in keyof DecodedExtensions]: DecodedExtensions[Name] } = {}
  for (const { oid, value } of extensions.values()) {
    switch (oid) {
      case EXTENSION.basicConstraints:
        decoded.basicConstraints = parseBasicConstraints(openDer(value))
        break
      case EXTENSION.keyUsage:
        decoded.keyUsage = parseKeyUsage(onlyElement(value, TAG.bitString))
        break
      case EXTENSION.extendedKeyUsage:
        decoded.extendedKeyUsage = listOf(openDer(value), (reader) => oidOf(reader.read(TAG.oid)))
        break
      case EXTENSION.subjectAltName:
        decoded.subjectAltName = parseAlternativeNames(onlyElement(value, TAG.sequence))
        break
      case EXTENSION.nameConstraints:
        decoded.nameConstraints = parseNameConstraints(openDer(value))
        break
      case EXTENSION.certificatePolicies:
        decoded.certificatePolicies = parsePolicies(openDer(value))
        break
      case EXTENSION.policyMappings:
        decoded.policyMappings = listOf(openDer(value), (reader) => parseMapping(reader.enter()))
        break
      case EXTENSION.policyConstraints:
        decoded.policyConstraints = parsePolicyConstraints(openDer(value))
        break
      case EXTENSION.inhibitAnyPolicy:
        decoded.inhibitAnyPolicy = smallIntegerOf(onlyElement(value, TAG.integer))
        break
      case EXTENSION.subjectKeyIdentifier:
        decoded.subjectKeyIdentifier = contentOf(onlyElement(value, TAG.octetString))
        break
      case EXTENSION.authorityKeyIdentifier:
        decoded.authorityKeyIdentifier = parseAuthorityKeyIdentifier(openDer(value))
        break
      case EXTENSION.authorityInfoAccess:
        decoded.authorityInfoAccess = listOf(openDer(value), (reader) => parseAccessDescription(reader.enter()))
        break
    }
  }
  return decoded
}

function parseBasicConstraints(reader: DerReader): { ca: boolean; pathLenConstraint?: number } {
  // DER leaves a FALSE out; issuers that write it say nothing else by it, so it is read (as is `critical FALSE`).
  const caElement = reader.readOptional(TAG.boolean)
  const ca = caElement !== undefined && booleanOf(caElement)
  const pathLen = reader.readOptional(TAG.integer)
  reader.expectEnd()
  return pathLen === undefined ? { ca } : { ca, pathLenConstraint: smallIntegerOf(pathLen) }
}

function parseKeyUsage(element: DerElement): ReadonlySet<KeyUsage> {
  const bits = namedBitsOf(element)
  return new Set(KEY_USAGES.filter((_, bit) => bits.has(bit)))
}

/** Empty where it stands without a name: a certificate that answers for OCSP has been met with that. */
function parseAlternativeNames(element: DerElement): readonly GeneralName[] {
  return element.end === element.contentStart ? [] : parseGeneralNames(element)
}

function parseNameConstraints(reader: DerReader): NameConstraints {
  const permitted = reader.readOptional(contextConstructed(0))
  const excluded = reader.readOptional(contextConstructed(1))
  reader.expectEnd()
  // RFC 5280 §4.2.1.10: an empty sequence constrains nothing while looking as if it did.
  if (permitted === undefined && excluded === undefined) throw new DerError('name constraints are empty')
  return { permitted: subtreesOf(permitted), excluded: subtreesOf(excluded) }
}

function subtreesOf(element: DerElement | undefined): readonly GeneralName[] {
  if (element === undefined) return []
  return listOf(openElement(element), (list) => {
    const reader = list.enter()
    const base = parseGeneralName(reader.read())
    const minimum = reader.readOptional(contextPrimitive(0))
    // RFC 5280 §4.2.1.10: minimum is 0 and maximum is absent; nobody defines what else would mean.
    if (minimum !== undefined && smallIntegerOf(minimum) !== 0) throw new DerError('subtree has a minimum')
    reader.expectEnd()
    return base
  })
}

function parsePolicies(list: DerReader): readonly string[] {
  const policies = listOf(list, (entry) => {
    const reader = entry.enter()
    const policy = oidOf(reader.read(TAG.oid))
    reader.readOptional(TAG.sequence) // qualifiers inform people and constrain nothing
    reader.expectEnd()
    return policy
  })
  if (new Set(policies).size !== policies.length) throw new DerError('a policy appears twice') // RFC 5280 §4.2.1.4
  return policies
}

function parseMapping(reader: DerReader): PolicyMapping {
  const issuerDomainPolicy = oidOf(reader.read(TAG.oid))
  const subjectDomainPolicy = oidOf(reader.read(TAG.oid))
  reader.expectEnd()
  return { issuerDomainPolicy, subjectDomainPolicy }
}

function parsePolicyConstraints(reader: DerReader): NonNullable<DecodedExtensions['policyConstraints']> {
  const explicit = reader.readOptional(contextPrimitive(0))
  const mapping = reader.readOptional(contextPrimitive(1))
  reader.expectEnd()
  if (explicit === undefined && mapping === undefined) throw new DerError('policy constraints are empty') // §4.2.1.11
  return {
    ...(explicit === undefined ? {} : { requireExplicitPolicy: smallIntegerOf(explicit) }),
    ...(mapping === undefined ? {} : { inhibitPolicyMapping: smallIntegerOf(mapping) }),
  }
}

function parseAuthorityKeyIdentifier(reader: DerReader): AuthorityKeyIdentifier {
  const keyIdentifier = reader.readOptional(contextPrimitive(0))
  const issuer = reader.readOptional(contextConstructed(1))
  const serial = reader.readOptional(contextPrimitive(2))
  reader.expectEnd()
  if (issuer !== undefined) parseGeneralNames(issuer)
  if (serial !== undefined) integerOf(serial)
  const namesIssuerAndSerial = issuer !== undefined || serial !== undefined
  return keyIdentifier === undefined
    ? { namesIssuerAndSerial }
    : { keyIdentifier: contentOf(keyIdentifier), namesIssuerAndSerial }
}

function parseAccessDescription(reader: DerReader): AccessDescription {
  const method = oidOf(reader.read(TAG.oid))
  const location = parseGeneralName(reader.read())
  reader.expectEnd()
  return { method, location }
}

/** SEQUENCE SIZE (1..MAX) OF. */
function listOf<Item>(list: DerReader, parse: (list: DerReader) => Item): readonly Item[] {
  if (list.atEnd) throw new DerError('list is empty')
  const items: Item[] = []
  while (!list.atEnd) items.push(parse(list))
  return items
}

function onlyElement(value: Uint8Array, tag: number): DerElement {
  const reader = new DerReader(value)
  const element = reader.read(tag)
  reader.expectEnd()
  return element
}
