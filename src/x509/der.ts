/**
 * A strict reader for DER (X.690 §10, §11): definite lengths in their shortest form, low tag numbers, no trailing bytes.
 * It never copies, never recurses and never reads past its end, so hostile bytes cost at most their own length.
 */
export class DerReader {
  readonly bytes: Uint8Array
  readonly end: number
  private offset: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.offset = start
    this.end = end
  }

  get atEnd(): boolean {
    return this.offset === this.end
  }

  /** The next identifier octet, or `undefined` at the end. */
  get nextTag(): number | undefined {
    return this.atEnd ? undefined : this.bytes[this.offset]
  }

  /** Reads one element; `expected` names its identifier octet. */
  read(expected?: number): DerElement {
    const start = this.offset
    const tag = this.byteAt(start)
    if ((tag & 0x1f) === 0x1f) throw new DerError('high tag numbers are not used in certificates')
    if (expected !== undefined && tag !== expected) throw new DerError(`expected tag ${hex(expected)}, saw ${hex(tag)}`)
    let contentStart = start + 2
    let length = this.byteAt(start + 1)
    if (length >= 0x80) {
      const count = length & 0x7f
      // 0x80 is BER's indefinite form; four octets are already more than any certificate holds.
      if (count === 0 || count > 4) throw new DerError('length is indefinite or absurd')
      length = 0
      for (let i = 0; i < count; i += 1) length = length * 256 + this.byteAt(contentStart + i)
      contentStart += count
      // X.690 §10.1: the shortest form only, or two encodings would hash differently and mean the same.
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('length is not in its shortest form')
    }
    const end = contentStart + length
    if (end > this.end) throw new DerError('element is longer than what holds it')
    this.offset = end
    return { bytes: this.bytes, tag, start, contentStart, end }
  }

  /** Reads the next element only when it carries the tag. */
  readOptional(tag: number): DerElement | undefined {
    return this.nextTag === tag ? this.read(tag) : undefined
  }

  /** Reads one constructed element and gives a reader over its content. */
  enter(tag: number = TAG.sequence): DerReader {
    return openElement(this.read(tag))
  }

  expectEnd(): void {
    if (!this.atEnd) throw new DerError('bytes follow where the structure ends')
  }

  private byteAt(position: number): number {
    const byte = position < this.end ? this.bytes[position] : undefined
    if (byte === undefined) throw new DerError('element is cut short')
    return byte
  }
}

/** The one thing this reader throws. Callers turn it into a finding; it never reaches a user. */
export class DerError extends Error {
  override readonly name: string = 'DerError'
}

/** Well-formed so far, and more of it than a limit allows. */
export class DerLimitError extends DerError {
  override readonly name = 'DerLimitError'
}

export interface DerElement {
  readonly bytes: Uint8Array
  /** Identifier octet: class, constructed bit and number. */
  readonly tag: number
  readonly start: number
  readonly contentStart: number
  readonly end: number
}

/** The value of one DER document: a single element and nothing after it. */
export function openDer(bytes: Uint8Array, tag: number = TAG.sequence): DerReader {
  const outer = new DerReader(bytes)
  const inner = outer.enter(tag)
  outer.expectEnd()
  return inner
}

export const openElement = (element: DerElement): DerReader =>
  new DerReader(element.bytes, element.contentStart, element.end)

export const contentOf = ({ bytes, contentStart, end }: DerElement): Uint8Array => bytes.subarray(contentStart, end)

export const encodingOf = ({ bytes, start, end }: DerElement): Uint8Array => bytes.subarray(start, end)

/** Content octets of an INTEGER in the shortest two's complement form (X.690 §8.3.2). */
export function integerOf(element: DerElement): Uint8Array {
  const content = contentOf(element)
  const first = content[0]
  const second = content[1]
  if (first === undefined) throw new DerError('integer is empty')
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError('integer is not in its shortest form')
  }
  return content
}

/** A non-negative INTEGER of at most `maxOctets` (6 stay exact in a double). */
export function smallIntegerOf(element: DerElement, maxOctets = 4): number {
  const content = integerOf(element)
  if ((content[0] ?? 0) >= 0x80) throw new DerError('integer is negative')
  if (content.length > maxOctets) throw new DerError('integer is too large')
  let value = 0
  for (const octet of content) value = value * 256 + octet
  return value
}

/** X.690 §11.1: TRUE is 0xff, and nothing else but 0x00 is FALSE. */
export function booleanOf(element: DerElement): boolean {
  const content = contentOf(element)
  const [value] = content
  if (content.length !== 1 || (value !== 0 && value !== 0xff)) throw new DerError('boolean is neither 0x00 nor 0xff')
  return value === 0xff
}

/** Dotted text of an OBJECT IDENTIFIER whose arcs are in their shortest form. */
export function oidOf({ bytes, contentStart, end }: DerElement): string {
  const length = end - contentStart
  if (length === 0 || length > MAX_OID_OCTETS) throw new DerError('object identifier has an absurd length')
  let text = ''
  let arc = 0
  let arcStart = contentStart
  for (let at = contentStart; at < end; at += 1) {
    const octet = bytes[at] ?? 0
    if (at === arcStart && octet === 0x80) throw new DerError('object identifier is not in its shortest form')
    arc = arc * 128 + (octet & 0x7f)
    if (octet >= 0x80) continue
    const exact = at - arcStart < 7 ? arc : longArcOf(bytes.subarray(arcStart, at + 1))
    text = text === '' ? firstArcs(exact) : `${text}.${exact}`
    arc = 0
    arcStart = at + 1
  }
  if (arcStart !== end) throw new DerError('object identifier is cut short')
  return text
}

/** X.690 §8.19.4: the first two arcs share one number. */
function firstArcs(joint: number | bigint): string {
  if (joint < 40) return `0.${joint}`
  if (joint < 80) return `1.${Number(joint) - 40}`
  return `2.${typeof joint === 'bigint' ? joint - 80n : joint - 80}`
}

/** Above 2^49, where doubles lose count: the arcs of UUIDs. */
const longArcOf = (octets: Uint8Array): bigint => octets.reduce((arc, octet) => (arc << 7n) | BigInt(octet & 0x7f), 0n)

/** A BIT STRING whose bits fill whole octets, as keys and signatures do. */
export function octetsOfBitString(element: DerElement): Uint8Array {
  const content = contentOf(element)
  if (content[0] !== 0) throw new DerError('bit string does not fill whole octets')
  return content.subarray(1)
}

/** Positions of the set bits of a named bit list; unused bits are zero (X.690 §11.2.1). */
export function namedBitsOf(element: DerElement): ReadonlySet<number> {
  const content = contentOf(element)
  const unused = content[0]
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0)) {
    throw new DerError('bit string is malformed')
  }
  const last = content.at(-1) ?? 0
  if (content.length > 1 && (last & ((1 << unused) - 1)) !== 0) throw new DerError('unused bits are not zero')
  const bits = new Set<number>()
  for (let i = 1; i < content.length; i += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      if (((content[i] ?? 0) & (0x80 >> bit)) !== 0) bits.add((i - 1) * 8 + bit)
    }
  }
  return bits
}

/** Unix milliseconds of a UTCTime or GeneralizedTime in RFC 5280 §4.1.2.5 form: seconds present, `Z`, no fraction. */
export function timeOf({ bytes, tag, contentStart, end }: DerElement): number {
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw new DerError('time is of another type')
  const afterYear = contentStart + (tag === TAG.utcTime ? 2 : 4)
  if (end - afterYear !== 11 || bytes[end - 1] !== 0x5a) throw new DerError(TIME_FORM)
  const digits = decimalOf(bytes, contentStart, afterYear)
  const year = tag === TAG.generalizedTime ? digits : digits + (digits < 50 ? 2000 : 1900) // RFC 5280 §4.1.2.5.1
  const two = (pair: number): number => decimalOf(bytes, afterYear + 2 * pair, afterYear + 2 * pair + 2)
  const [month, day, hour, minute, second] = [two(0), two(1), two(2), two(3), two(4)]
  const midnight = year < 100 ? new Date(0).setUTCFullYear(year, month - 1, day) : Date.UTC(year, month - 1, day)
  // Date rolls 31 February over into March, which a day of the calendar does not.
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month)
  if (!isDay || hour > 23 || minute > 59 || second > 59) throw new DerError('time is not a date of the calendar')
  return midnight + ((hour * 60 + minute) * 60 + second) * 1000
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

function decimalOf(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30
    if (digit < 0 || digit > 9) throw new DerError(TIME_FORM)
    value = value * 10 + digit
  }
  return value
}

export const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

/** Identifier octets that certificates use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** `[number]` holding a primitive value in place of its own tag (IMPLICIT). */
export const contextPrimitive = (number: number): number => 0x80 | number
/** `[number]` around a constructed value. */
export const contextConstructed = (number: number): number => 0xa0 | number

const hex = (octet: number): string => `0x${octet.toString(16).padStart(2, '0')}`

const TIME_FORM = 'time is not in the form ending in seconds and Z'

const MAX_OID_OCTETS = 64 // the longest arcs in use are UUIDs of 19 octets
