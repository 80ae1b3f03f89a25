/**
 * Writes DER (X.690 §10) for certificates that this library makes. It shares nothing with the reader, tables included:
 * a reader tested by a writer with the same mistake would agree with itself.
 */
function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concat(contents)
  return concat([Uint8Array.of(tag), lengthOf(content.length), content])
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => element(0x30, ...items)

/** A SET OF one; several would have to be sorted (X.690 §11.6), and no certificate needs them. */
export const setOfOne = (item: Uint8Array): Uint8Array => element(0x31, item)

/** `[number]` around whole elements (EXPLICIT, or IMPLICIT over a constructed type). */
export const tagged = (number: number, ...items: readonly Uint8Array[]): Uint8Array => element(0xa0 | number, ...items)

/** `[number]` in place of a primitive type's own tag (IMPLICIT). */
export const taggedPrimitive = (number: number, content: Uint8Array): Uint8Array => element(0x80 | number, content)

export const boolean = (value: boolean): Uint8Array => element(0x01, Uint8Array.of(value ? 0xff : 0))

export const enumerated = (value: number): Uint8Array => element(0x0a, Uint8Array.of(value))

export const nothing = (): Uint8Array => element(0x05)

/** A non-negative INTEGER, from a small number or from its big-endian octets. */
export function integer(value: number | Uint8Array): Uint8Array {
  const octets = typeof value === 'number' ? octetsOf(value) : value
  const firstUsed = octets.findIndex((octet) => octet !== 0)
  const magnitude = firstUsed < 0 ? Uint8Array.of(0) : octets.subarray(firstUsed)
  const needsZero = (magnitude[0] ?? 0) >= 0x80 // two's complement: a leading one would read as negative
  return element(0x02, needsZero ? Uint8Array.of(0) : new Uint8Array(), magnitude)
}

export const octetString = (content: Uint8Array): Uint8Array => element(0x04, content)

/** A BIT STRING of whole octets. */
export const bitString = (content: Uint8Array): Uint8Array => element(0x03, Uint8Array.of(0), content)

/** A named bit list: trailing zero bits are left out (X.690 §11.2.2). */
export function namedBits(positions: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...positions)
  const octets = new Uint8Array(Math.floor(last / 8) + 1)
  for (const position of positions) octets[position >> 3] = (octets[position >> 3] ?? 0) | (0x80 >> (position & 7))
  return element(0x03, Uint8Array.of(last < 0 ? 0 : 7 - (last & 7)), octets)
}

export function objectIdentifier(dotted: string): Uint8Array {
  const [root = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const octets = [root * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc % 128]
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) septets.unshift((high % 128) | 0x80)
    return septets
  })
  return element(0x06, Uint8Array.from(octets))
}

export const utf8String = (text: string): Uint8Array => element(0x0c, Buffer.from(text, 'utf8'))
export const printableString = (text: string): Uint8Array => element(0x13, Buffer.from(text, 'latin1'))
export const ia5String = (text: string): Uint8Array => element(0x16, Buffer.from(text, 'latin1'))

/** UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). Fractions of a second are dropped. */
export function time(unixMs: number): Uint8Array {
  const digits = new Date(unixMs).toISOString().replace(/[-:T]|\.\d+Z$/g, '')
  const year = Number(digits.slice(0, 4))
  const short = year >= 1950 && year < 2050
  return element(short ? 0x17 : 0x18, Buffer.from(`${short ? digits.slice(2) : digits}Z`, 'latin1'))
}

/** GeneralizedTime whatever the year (RFC 6960 §4.2.2.1). */
export function generalizedTime(unixMs: number): Uint8Array {
  return element(0x18, Buffer.from(`${new Date(unixMs).toISOString().replace(/[-:T]|\.\d+Z$/g, '')}Z`, 'latin1'))
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const octets = octetsOf(length)
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

function octetsOf(value: number): Uint8Array {
  const octets = [value % 256]
  for (let high = Math.floor(value / 256); high > 0; high = Math.floor(high / 256)) octets.unshift(high % 256)
  return Uint8Array.from(octets)
}
