import { expect, test } from 'vitest'
import { isDnsName } from '../../../src/trust/path/dns-name.ts'

const LABEL = 'a'.repeat(63)

test.each([
  'a',
  'A.Example.COM',
  'xn--bcher-kva.example',
  '_dmarc.example.com',
  'a_.example',
  'a-b.c--d.example',
  '1.2.3.4',
  `${LABEL}.example`,
  `example.${LABEL}`,
  `${LABEL}.${LABEL}.${LABEL}.${'a'.repeat(61)}`, // 253 characters
])('a domain name: %s', (text) => {
  expect(isDnsName(text)).toBe(true)
})

test.each([
  '',
  '.',
  '.example.com',
  'example.com.',
  'a..b',
  '*.example.com',
  '-a.example',
  'a-.example',
  'example.-a',
  'example.a-',
  '-',
  'exa mple.com',
  'bücher.example',
  'example.com\n',
  '\nexample.com',
  'a/b',
  'a@b',
  '[::1]',
  `${LABEL}a.example`,
  `example.${LABEL}a`,
  `${LABEL}.${LABEL}.${LABEL}.${'a'.repeat(62)}`, // 254 characters
])('no domain name: %j', (text) => {
  expect(isDnsName(text)).toBe(false)
})
