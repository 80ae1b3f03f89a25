import {
  contentOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  DerReader,
  encodingOf,
  latin1,
  openElement,
  TAG,
  timeOf,
} from '../../x509/der.ts'

/** What a watch needs of a certificate, as far as it can be read. Nobody is trusted by it. */
export interface ReadCertificate {
  /** DNS names of the subjectAltName, then common names: octets as Latin-1 characters, whatever they are. */
  readonly names: readonly string[]
  /** Every part that could hold a name was read. */
  readonly isComplete: boolean
  readonly serialNumber?: Uint8Array
  readonly issuer?: DerElement
  readonly notBefore?: number
  readonly notAfter?: number
  /** DER of SubjectPublicKeyInfo. */
  readonly spki?: Uint8Array
}

/**
 * Reads part by part, and goes on where one is broken: a certificate that a strict reader refuses was issued all the same, and
 * some client may take it. A tenth of the price of the strict reader, for logs are long.
 *
 * @param der A certificate or precertificate.
 */
export function readCertificate(der: Uint8Array): ReadCertificate {
  return reading((found) => readTbs(new DerReader(der).enter().enter(), found))
}

/** The same of a TBSCertificate alone, as logs have it of precertificates. */
export function readTbsCertificate(tbs: Uint8Array): ReadCertificate {
  return reading((found) => readTbs(new DerReader(tbs).enter(), found))
}

type Found = { -readonly [Part in keyof ReadCertificate]: ReadCertificate[Part] } & { names: string[] }

function reading(read: (found: Found) => void): ReadCertificate {
  const found: Found = { names: [], isComplete: true }
  attempt(found, () => read(found))
  return found
}

function attempt(found: Found, read: () => void): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    found.isComplete = false
  }
}

function readTbs(tbs: DerReader, found: Found): void {
  tbs.readOptional(contextConstructed(0))
  found.serialNumber = contentOf(tbs.read())
  tbs.read() // the algorithm
  found.issuer = tbs.read()
  const validity = tbs.read()
  const subject = tbs.read()
  found.spki = encodingOf(tbs.read())
  const commonNames: string[] = []
  attempt(found, () => readCommonNames(openElement(subject), commonNames))
  attempt(found, () => {
    const times = openElement(validity)
    found.notBefore = timeOf(times.read())
    found.notAfter = timeOf(times.read())
  })
  attempt(found, () => {
    while (!tbs.atEnd) {
      const field = tbs.read()
      if (field.tag === contextConstructed(3)) readExtensions(openElement(field).enter(), found)
    }
  })
  found.names.push(...commonNames)
}

function readExtensions(list: DerReader, found: Found): void {
  while (!list.atEnd) {
    const extension = openElement(list.read())
    if (!isObject(extension.read(), SUBJECT_ALT_NAME)) continue
    extension.readOptional(TAG.boolean)
    const names = openElement(extension.read(TAG.octetString)).enter()
    while (!names.atEnd) {
      const name = names.read()
      if (name.tag === contextPrimitive(2)) found.names.push(latin1(contentOf(name)))
    }
  }
}

function readCommonNames(name: DerReader, found: string[]): void {
  while (!name.atEnd) {
    const attributes = openElement(name.read())
    while (!attributes.atEnd) {
      const attribute = openElement(attributes.read())
      if (!isObject(attribute.read(), COMMON_NAME)) continue
      const value = attribute.read()
      const text = latin1(contentOf(value))
      const wide = value.tag === TAG.bmpString || value.tag === TAG.universalString
      // A space is in no name of a host, and in most names of people and products.
      if (wide) found.push(text.replaceAll('\0', ''))
      else if (!text.trim().includes(' ')) found.push(text)
    }
  }
}

function isObject({ bytes, contentStart, end }: DerElement, oid: readonly number[]): boolean {
  return end - contentStart === oid.length && oid.every((octet, index) => bytes[contentStart + index] === octet)
}

const SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11] // 2.5.29.17
const COMMON_NAME = [0x55, 0x04, 0x03] // 2.5.4.3
