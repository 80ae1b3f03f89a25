import { describe, expect, test } from 'vitest'
import { unixSocketLookup } from '../../src/client/network.ts'
import { type ClientOptions, resolveOptions } from '../../src/client/options.ts'
import { originOf } from '../support/policy.ts'

const pins = { 'api.example.com': [`sha256/${Buffer.alloc(32, 1).toString('base64')}`] }
const resolve = (options: object) => resolveOptions({ pins, ...options } as ClientOptions)

test('by default private addresses are allowed, and nothing is listed', () => {
  const { addresses, egress, unixSockets, localAddress, upgradeInsecure, http2 } = resolve({})
  expect(addresses).toEqual({ deny: [], private: 'allow' })
  expect([egress, unixSockets, localAddress, upgradeInsecure, http2]).toEqual([[], {}, undefined, 'never', 'never'])
})

test('blocks are read once, IPv4 in its IPv6 clothes as IPv4', () => {
  const { addresses } = resolve({
    addresses: { allow: ['10.0.0.0/8', '2001:DB8::/32'], deny: ['::ffff:10.0.0.5/128'] },
  })
  expect(addresses.allow?.map(({ bytes, prefix }) => [bytes.slice(0, 4), prefix])).toEqual([
    [[10, 0, 0, 0], 8],
    [[0x20, 1, 0xd, 0xb8], 32],
  ])
  expect(addresses.deny).toEqual([{ bytes: [10, 0, 0, 5], prefix: 32 }])
})

describe('refused with ERR_CONFIG_INVALID, naming the option', () => {
  test.each<[object, RegExp]>([
    [{ addresses: { allowed: [] } }, /^addresses\.allowed: unknown option/],
    [{ addresses: { allow: [] } }, /^addresses\.allow: /],
    [{ addresses: { allow: ['10.0.0.1'] } }, /^addresses\.allow\.0: expected an address block .* got "10\.0\.0\.1"/],
    [{ addresses: { deny: ['10.0.0.0/33'] } }, /^addresses\.deny\.0: expected an address block/],
    [{ addresses: { deny: ['10.0.0.0/8', 'example.com/8'] } }, /^addresses\.deny\.1: expected an address block/],
    [{ addresses: { deny: ['10.0.0.1/8'] } }, /^addresses\.deny\.0: has bits set after its prefix/],
    [{ addresses: { deny: ['2001:db8::1/32'] } }, /^addresses\.deny\.0: has bits set after its prefix/],
    [{ addresses: { private: 'deny' } }, /^addresses\.private: /],
    [{ localAddress: 'eth0' }, /^localAddress: expected an IP address/],
    [{ unixSockets: { '*.example.com': '/run/a.sock' } }, /^unixSockets.*: .*/],
    [{ unixSockets: { 'api.example.com': 'a.sock' } }, /^unixSockets\.api\.example\.com: expected an absolute path/],
    [{ egress: [] }, /^egress: /],
    [{ egress: {} }, /^egress\.0: a rule without members/],
    [{ egress: { origin: ['a.example'] } }, /^egress\.0\.origin: unknown option/],
    [{ egress: [{ origins: ['https://a.example'] }] }, /^egress\.0\.origins\.0: expected a host/],
    [{ egress: { methods: ['get'] } }, /^egress\.0\.methods\.0: expected a method in capitals/],
    [{ egress: { paths: ['v1'] } }, /^egress\.0\.paths\.0: expected a path/],
    [{ upgradeInsecure: true }, /^upgradeInsecure: /],
    [{ http2: true }, /^http2: /],
  ])('%j', (options, message) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(() => resolve(options)).toThrow(message)
  })
})

test('a Unix socket stands for its host on every port, and for no other', () => {
  const find = unixSocketLookup({ 'API.example.com': '/run/a.sock' })
  const at = (url: string) => find(originOf(url))
  expect([at('https://api.example.com'), at('https://api.example.com:8443'), at('https://a.api.example.com')]).toEqual([
    '/run/a.sock',
    '/run/a.sock',
    undefined,
  ])
})
