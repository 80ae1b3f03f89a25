import {
  contentOf,
  type DerElement,
  DerError,
  type DerReader,
  encodingOf,
  latin1,
  oidOf,
  openElement,
  TAG,
} from './der.ts'

/** A Name (RFC 5280 §4.1.2.4). `key` is for comparison, `text` for people. */
export interface DistinguishedName {
  readonly der: Uint8Array
  /** One comparable string per relative distinguished name, root first: what subtree matching walks. */
  readonly rdns: readonly string[]
  /** Equal for two names that RFC 5280 §7.1 calls the same, and for no others. */
  readonly key: string
  readonly isEmpty: boolean
  /** Values of the emailAddress attribute, which rfc822Name constraints reach where no subjectAltName stands. */
  readonly emailAddresses: readonly string[]
  /** RFC 4514 text, most specific part first; control characters are escaped. Made when first asked for. */
  readonly text: string
}

export function parseName(element: DerElement): DistinguishedName {
  const rdns: string[] = []
  const emailAddresses: string[] = []
  for (const parts of attributesOf(element)) {
    for (const { type, text } of parts) {
      if (type === EMAIL_ADDRESS && text !== undefined) emailAddresses.push(text)
    }
    rdns.push(comparableOf(parts))
  }
  return new ParsedName(element, rdns, emailAddresses)
}

/** A RelativeDistinguishedName as `rdns` has it, under whatever tag its SET OF stands. */
export function parseRelativeName(element: DerElement): string {
  return comparableOf(partsOf(openElement(element)))
}

/** The relative distinguished names, root first. */
function attributesOf(element: DerElement): readonly (readonly Attribute[])[] {
  const attributes: Attribute[][] = []
  const sequence = openElement(element)
  while (!sequence.atEnd) attributes.push(partsOf(sequence.enter(TAG.set)))
  return attributes
}

function partsOf(set: DerReader): Attribute[] {
  if (set.atEnd) throw new DerError('relative distinguished name is empty')
  const parts: Attribute[] = []
  while (!set.atEnd) parts.push(parseAttribute(set.read(TAG.sequence)))
  return parts
}

function comparableOf(parts: readonly Attribute[]): string {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? comparable(first) : parts.map(comparable).sort().join('+')
}

class ParsedName implements DistinguishedName {
  readonly der: Uint8Array
  readonly rdns: readonly string[]
  readonly key: string
  readonly emailAddresses: readonly string[]
  readonly #element: DerElement
  #text: string | undefined

  constructor(element: DerElement, rdns: readonly string[], emailAddresses: readonly string[]) {
    this.der = encodingOf(element)
    this.rdns = rdns
    this.key = rdns.join(',')
    this.emailAddresses = emailAddresses
    this.#element = element
  }

  get isEmpty(): boolean {
    return this.rdns.length === 0
  }

  get text(): string {
    this.#text ??= attributesOf(this.#element)
      .map((parts) => parts.map(readable).join('+'))
      .reverse()
      .join(',')
    return this.#text
  }
}

interface Attribute {
  readonly type: string
  /** `undefined` for a value that is no character string. */
  readonly text: string | undefined
  readonly value: DerElement
}

function parseAttribute(element: DerElement): Attribute {
  const reader = openElement(element)
  const type = oidOf(reader.read(TAG.oid))
  const value = reader.read()
  reader.expectEnd()
  return { type, text: stringOf(value), value }
}

/** The characters of a DirectoryString or IA5String; `undefined` for other types. */
function stringOf(element: DerElement): string | undefined {
  const content = contentOf(element)
  switch (element.tag) {
    case TAG.utf8String:
      return utf8Of(content)
    case TAG.printableString:
    case TAG.numericString:
    case TAG.ia5String:
    case TAG.visibleString:
    case TAG.teletexString: // read as Latin-1, as every deployed reader does
      return latin1(content)
    case TAG.bmpString:
      return utf16Of(content)
    default:
      return undefined
  }
}

function utf8Of(bytes: Uint8Array): string {
  const text = latin1(bytes)
  if (PLAIN_ASCII.test(text)) return text
  try {
    return STRICT_UTF8.decode(bytes)
  } catch (cause) {
    if (cause instanceof TypeError) throw new DerError('UTF8String is not UTF-8')
    throw cause
  }
}

function utf16Of(bytes: Uint8Array): string {
  if (bytes.length % 2 !== 0) throw new DerError('BMPString has an odd length')
  let text = ''
  for (let i = 0; i < bytes.length; i += 2) text += String.fromCharCode(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0))
  return text
}

/**
 * RFC 5280 §7.1: case and insignificant space do not count, nor does the string type, for the roll-over from
 * PrintableString to UTF8String must not break chains. Lengths are written out, so no value can imitate a separator.
 */
function comparable({ type, text, value }: Attribute): string {
  if (text === undefined) return `${type}#${hexOf(value)}`
  const folded = PLAIN_ASCII.test(text) ? text.toLowerCase() : text.normalize('NFKC').toLowerCase()
  const prepared = folded.trim().replace(/\s+/g, ' ')
  return `${type}=${prepared.length}:${prepared}`
}

function readable({ type, text, value }: Attribute): string {
  const name = ATTRIBUTE_NAMES[type] ?? type
  return text === undefined ? `${name}=#${hexOf(value)}` : `${name}=${escapeValue(text)}`
}

const hexOf = (element: DerElement): string => Buffer.from(encodingOf(element)).toString('hex')

/** RFC 4514 §2.4, and every character that could move a terminal's cursor or reverse its text. */
function escapeValue(text: string): string {
  return text
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/^[ #]| $/g, '\\$&')
    .replace(UNPRINTABLE, (character) =>
      [...Buffer.from(character)].map((octet) => `\\${octet.toString(16).padStart(2, '0').toUpperCase()}`).join(''),
    )
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu
const PLAIN_ASCII = /^[ -~]*$/
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  [EMAIL_ADDRESS]: 'emailAddress',
}
