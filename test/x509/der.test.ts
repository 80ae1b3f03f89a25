import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  booleanOf,
  DerError,
  DerReader,
  integerOf,
  namedBitsOf,
  octetsOfBitString,
  oidOf,
  openDer,
  smallIntegerOf,
  timeOf,
} from '../../src/x509/der.ts'
import * as der from '../../src/x509/der-writer.ts'

const element = (hex: string) => new DerReader(Buffer.from(hex, 'hex')).read()

describe('elements', () => {
  test.each([
    ['indefinite length', '30800000'],
    ['a long length that would fit the short form', '30810100'],
    ['a length with a leading zero', '3082000100'],
    ['a length of five octets', '30850000000000'],
    ['an element longer than the bytes', '300201'],
    ['nothing', ''],
    ['a tag alone', '30'],
    ['a high tag number', '1f2100'],
  ])('refuses %s', (_, hex) => {
    expect(() => element(hex)).toThrowError(DerError)
  })

  test('refuses bytes after the end, and another tag than expected', () => {
    expect(() => openDer(Buffer.from('300000', 'hex'))).toThrowError(DerError)
    expect(() => openDer(Buffer.from('3100', 'hex'))).toThrowError(DerError)
    expect(openDer(Buffer.from('3000', 'hex')).atEnd).toBe(true)
  })

  test('reads what the writer wrote, whatever its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), (content) => {
        const reader = openDer(der.octetString(content), 0x04)
        expect(reader.end).toBe(reader.bytes.length)
      }),
      { numRuns: 50 },
    )
  })

  test('on any bytes: a value or a DerError, nothing else', () => {
    const walk = (reader: DerReader, depth: number): void => {
      while (!reader.atEnd) {
        const { tag, bytes, contentStart, end } = reader.read()
        if ((tag & 0x20) !== 0 && depth < 20) walk(new DerReader(bytes, contentStart, end), depth + 1)
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          walk(new DerReader(bytes), 0)
        } catch (error) {
          expect(error).toBeInstanceOf(DerError)
        }
      }),
    )
  })
})

describe('values', () => {
  test.each(['0200', '02020001', '0202ff80'])('refuses the integer %s', (hex) => {
    expect(() => integerOf(element(hex))).toThrowError(DerError)
  })

  test('refuses integers that are negative or too large where a count is meant', () => {
    expect(smallIntegerOf(element('02020080'))).toBe(128)
    expect(() => smallIntegerOf(element('0201ff'))).toThrowError(DerError)
    expect(() => smallIntegerOf(element('02050100000000'))).toThrowError(DerError)
  })

  test('takes 0xff and 0x00 alone for booleans', () => {
    expect([booleanOf(element('0101ff')), booleanOf(element('010100'))]).toEqual([true, false])
    for (const hex of ['010101', '0100', '0102ffff']) expect(() => booleanOf(element(hex))).toThrowError(DerError)
  })

  test.each([
    ['06032a0304', '1.2.3.4'],
    ['0603883703', '2.999.3'],
    ['06092a864886f70d01010b', '1.2.840.113549.1.1.11'],
    ['0614698395b2b2d5c9f6a0f7eda9a0dbccd5c8e8a401', undefined],
  ])('reads the object identifier %s', (hex, text) => {
    if (text !== undefined) expect(oidOf(element(hex))).toBe(text)
  })

  test('keeps arcs beyond 2^53 exact, as UUIDs have them', () => {
    expect(oidOf({ ...element('0600'), ...whole(der.objectIdentifier('2.25.1')) })).toBe('2.25.1')
    expect(oidOf(element('060b69ffffffffffffffffff7f'))).toBe(`2.25.${2n ** 70n - 1n}`)
  })

  test.each(['0600', '06022a80', '06032a8001', `0641${'01'.repeat(65)}`])('refuses the object identifier %s', (hex) => {
    expect(() => oidOf(element(hex))).toThrowError(DerError)
  })

  test('reads bit strings as octets or as named bits, unused bits zero', () => {
    expect(octetsOfBitString(element('03020005'))).toEqual(Buffer.of(5))
    expect([...namedBitsOf(element('030205a0'))]).toEqual([0, 2])
    expect(() => octetsOfBitString(element('030201fe'))).toThrowError(DerError)
    for (const hex of ['0300', '030108', '030101', '030203ff'])
      expect(() => namedBitsOf(element(hex))).toThrowError(DerError)
  })

  test.each([
    ['170d3439313233313233353935395a', Date.UTC(2049, 11, 31, 23, 59, 59)],
    ['170d3530303130313030303030305a', Date.UTC(1950, 0, 1)],
    ['180f32303530303130313030303030305a', Date.UTC(2050, 0, 1)],
    ['180f39393939313233313233353935395a', Date.UTC(9999, 11, 31, 23, 59, 59)],
  ])('reads the time %s', (hex, ms) => {
    expect(timeOf(element(hex))).toBe(ms)
  })

  test.each([
    ['no seconds', '3239313233313233353935a'],
    ['an offset', '323531323331323335392b30303030'],
    ['31 February', '3239303233313030303030305a'],
    ['month 13', '3239313330313030303030305a'],
    ['second 60', '3239313233313233353936305a'],
  ])('refuses a UTCTime with %s', (_, hex) => {
    expect(() =>
      timeOf({
        ...element('0400'),
        ...whole(Buffer.from(`17${(hex.length >> 1).toString(16).padStart(2, '0')}${hex}`, 'hex')),
      }),
    ).toThrowError(DerError)
  })

  test('refuses fractions of a second', () => {
    const text = Buffer.from('20300101000000.5Z')
    expect(() => timeOf(element(`18${text.length.toString(16).padStart(2, '0')}${text.toString('hex')}`))).toThrowError(
      DerError,
    )
  })
})

const whole = (bytes: Uint8Array) => new DerReader(bytes).read()
