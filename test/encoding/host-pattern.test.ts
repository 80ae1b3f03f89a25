import { expect, test } from 'vitest'
import { type CanonicalHost, canonicalHost } from '../../src/encoding/host.ts'
import { formatHostPattern, hostIndex, parseHostPattern } from '../../src/encoding/host-pattern.ts'

const host = (text: string): CanonicalHost => canonicalHost(text) ?? expect.fail(`${text} is no host`)

const lookup = (...patterns: string[]) =>
  hostIndex(patterns.map((text) => [parseHostPattern(text) ?? expect.fail(`${text} is no pattern`), text] as const))

test.each(['api.example.com', '*.example.com', '**.example.com', '10.0.0.1', '::1'])('%s is a pattern', (text) => {
  const pattern = parseHostPattern(text)
  expect(pattern && formatHostPattern(pattern)).toBe(text)
})

test.each([
  '',
  '*',
  '**',
  '*.',
  '*.com',
  '**.com',
  '*.co.uk',
  '**.co.uk',
  '**.xn--p1ai',
  'api.*.com',
  'a*.example.com',
  '***.example.com',
  '*.10.0.0.1',
  '*.::1',
  'https://a.com',
  'a.com/x',
  'a.com:443',
  'example.*',
])('refuses %j as a pattern', (text) => {
  expect(parseHostPattern(text)).toBeUndefined()
})

test('one asterisk stands for exactly one label', () => {
  const find = lookup('*.example.com')
  expect(find(host('api.example.com'))).toBe('*.example.com')
  for (const other of ['example.com', 'a.api.example.com', 'xexample.com', 'api.example.com.evil.org', 'com']) {
    expect(find(host(other)), other).toBeUndefined()
  }
})

test('two asterisks stand for the apex and any depth', () => {
  const find = lookup('**.example.co.uk')
  for (const covered of ['example.co.uk', 'a.example.co.uk', 'a.b.c.example.co.uk']) {
    expect(find(host(covered)), covered).toBe('**.example.co.uk')
  }
  for (const other of ['co.uk', 'anotherexample.co.uk', 'example.co.uk.evil.org']) {
    expect(find(host(other)), other).toBeUndefined()
  }
})

test('the most specific rule wins alone, whatever the order', () => {
  const find = lookup('**.example.com', '**.b.example.com', '*.example.com', 'api.example.com')
  expect(find(host('api.example.com'))).toBe('api.example.com')
  expect(find(host('www.example.com'))).toBe('*.example.com')
  expect(find(host('a.b.example.com'))).toBe('**.b.example.com')
  expect(find(host('a.c.example.com'))).toBe('**.example.com')
})

test('an address is matched exactly, never as labels', () => {
  const find = lookup('10.0.0.1', '**.example.com')
  expect(find(host('10.0.0.1'))).toBe('10.0.0.1')
  expect(find(host('10.0.0.2'))).toBeUndefined()
})
