import { expect, test } from 'vitest'
import { canonicalHost, canonicalOrigin } from '../../src/encoding/host.ts'

test.each([
  ['API.Example.COM', 'api.example.com'],
  ['api.example.com.', 'api.example.com'],
  ['σkhttp.com', 'xn--khttp-fde.com'],
  ['xn--khttp-fde.com', 'xn--khttp-fde.com'],
  ['_service.example.com', '_service.example.com'],
  ['localhost', 'localhost'],
  ['127.0.0.1', '127.0.0.1'],
  ['0x7f.1', '127.0.0.1'],
  ['::0001', '::1'],
  ['[2001:DB8::0:1]', '2001:db8::1'],
])('spells %s as %s', (text, expected) => {
  expect(canonicalHost(text)).toBe(expected)
})

test.each([
  '',
  '.',
  '..',
  'a..b',
  'a b',
  'a/b',
  'user@a',
  'a:80',
  '*',
  '*.a.com',
  '-a.com',
  'a-.com',
  '1.2.3.4.5',
  '[::1',
  '::g',
  'a%00b',
  'a\\b',
  `${'a'.repeat(64)}.com`,
  `${'a.'.repeat(127)}com`,
])('refuses %j as a host', (text) => {
  expect(canonicalHost(text)).toBeUndefined()
})

test.each([
  ['https://API.bank.com./v1?x#y', { host: 'api.bank.com', port: 443, kind: 'dns', text: 'api.bank.com' }],
  ['https://api.bank.com:8443', { host: 'api.bank.com', port: 8443, kind: 'dns', text: 'api.bank.com:8443' }],
  ['https://[::1]:8443/', { host: '::1', port: 8443, kind: 'ip', text: '[::1]:8443' }],
  ['https://127.0.0.1/', { host: '127.0.0.1', port: 443, kind: 'ip', text: '127.0.0.1' }],
])('gives %s one canonical origin', (url, expected) => {
  expect(canonicalOrigin(new URL(url))).toEqual(expected)
})
