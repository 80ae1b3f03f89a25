import { describe, expect, test } from 'vitest'
import { type AddressBlock, parseBlock } from '../../src/encoding/cidr.ts'
import { type AddressPolicy, addressRefusal, isSameAddress } from '../../src/transport/address-policy.ts'

const blocks = (...texts: readonly string[]): readonly AddressBlock[] => texts.flatMap((text) => parseBlock(text) ?? [])
const standard: AddressPolicy = { deny: [], private: 'allow' }
const isRefused = (address: string, policy: Partial<AddressPolicy> = {}, only?: readonly AddressBlock[]): boolean =>
  addressRefusal(address, { ...standard, ...policy }, only) !== undefined

describe('by default', () => {
  test.each([
    '169.254.169.254',
    '169.254.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.251',
    '255.255.255.255',
    '240.0.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '2001:0:4136:e378:8000:63bf:5601:5601',
    '64:ff9b:1::a9fe:a9fe',
    '::169.254.169.254',
    '::10.0.0.1',
    '4000::1',
    '100::1',
    '::ffff:0:10.0.0.1',
    'not an address',
    '',
  ])('%j is not connected to', (address) => {
    expect(isRefused(address)).toBe(true)
  })

  test.each([
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '127.0.0.1',
    '100.64.0.1',
    '::1',
    'fd12:3456::1',
    '93.184.216.34',
    '2606:2800:220:1::1',
    '::ffff:10.0.0.1',
    '64:ff9b::5db8:d822',
    '2002:5db8:d822::1',
  ])('%s is: internal services live at private addresses, and the pin proves who answers', (address) => {
    expect(isRefused(address)).toBe(false)
  })
})

describe("private: 'refuse'", () => {
  test.each([
    '10.0.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '127.0.0.1',
    '127.0.0.66',
    '100.64.0.1',
    '198.18.0.1',
    '203.0.113.1',
    '::1',
    'fd12:3456::1',
    '2001:db8::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::10.0.0.1',
    '2002:a00:1::1',
  ])('%s is not connected to', (address) => {
    expect(isRefused(address, { private: 'refuse' })).toBe(true)
  })

  test.each(['93.184.216.34', '172.32.0.1', '2606:2800:220:1::1', '64:ff9b::5db8:d822'])('%s is', (address) => {
    expect(isRefused(address, { private: 'refuse' })).toBe(false)
  })
})

describe('lists', () => {
  test('deny wins over allow', () => {
    const policy = { allow: blocks('10.0.0.0/8'), deny: blocks('10.0.0.5/32') }
    expect(isRefused('10.0.0.4', policy)).toBe(false)
    expect(isRefused('10.0.0.5', policy)).toBe(true)
    expect(isRefused('::ffff:10.0.0.5', policy)).toBe(true)
    expect(isRefused('64:ff9b::10.0.0.5', policy)).toBe(true)
  })

  test('an IPv6 address that stands for an IPv4 address can be denied as what it is, too', () => {
    expect(isRefused('64:ff9b::5db8:d822', { deny: blocks('64:ff9b::/96') })).toBe(true)
    expect(isRefused('93.184.216.34', { deny: blocks('64:ff9b::/96') })).toBe(false)
  })

  test('with an allow list, nothing else is connected to', () => {
    const allow = blocks('10.0.0.0/8', '2606:2800::/32')
    expect(['10.9.9.9', '2606:2800::1', '93.184.216.34', '::1'].map((one) => isRefused(one, { allow }))).toEqual([
      false,
      false,
      true,
      true,
    ])
  })

  test('link-local and the like are named by a block of their own; one that holds them among others is not enough', () => {
    expect(isRefused('169.254.169.254', { allow: blocks('0.0.0.0/0') })).toBe(true)
    expect(isRefused('169.254.169.254', { allow: blocks('169.254.169.254/32') })).toBe(false)
    expect(isRefused('::ffff:169.254.169.254', { allow: blocks('169.254.0.0/16') })).toBe(false)
    expect(isRefused('4000::1', { allow: blocks('::/0') })).toBe(true)
  })

  test("so are private ones beside private: 'refuse'", () => {
    const policy = { private: 'refuse', allow: blocks('0.0.0.0/0', '10.1.0.0/16') } as const
    expect(['10.1.0.1', '10.2.0.1', '93.184.216.34'].map((one) => isRefused(one, policy))).toEqual([false, true, false])
  })

  test('what the manifest allows a host narrows, and opens nothing', () => {
    const only = blocks('10.0.0.0/8', '169.254.0.0/16')
    expect(isRefused('10.0.0.1', {}, only)).toBe(false)
    expect(isRefused('192.168.0.1', {}, only)).toBe(true)
    expect(isRefused('169.254.169.254', {}, only)).toBe(true)
    expect(isRefused('10.0.0.1', { private: 'refuse' }, only)).toBe(true)
  })

  test('the reason names the option', () => {
    expect(addressRefusal('10.0.0.1', { ...standard, private: 'refuse' })).toBe('is private (addresses.private)')
    expect(addressRefusal('10.0.0.1', { ...standard, deny: blocks('10.0.0.0/8') })).toBe('is in addresses.deny')
    expect(addressRefusal('fe80::1', standard)).toBe('is link-local (addresses.allow)')
  })
})

test('two spellings of an address are the same address', () => {
  expect(isSameAddress('::ffff:7f00:1', '127.0.0.1')).toBe(true)
  expect(isSameAddress('2001:DB8::0:1', '2001:db8::1')).toBe(true)
  expect(isSameAddress('127.0.0.1', '127.0.0.2')).toBe(false)
  expect(isSameAddress('', '')).toBe(false)
})
