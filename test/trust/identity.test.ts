import { describe, expect, test } from 'vitest'
import { testCa } from '../../src/testing/ca.ts'
import { addressOctets, matchesIdentifiers, matchIdentity, type ReferenceIdentity } from '../../src/trust/identity.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'

const ca = testCa()
const certificateFor = (options: Parameters<typeof ca.issue>[0]) => parseCertificate(ca.issue(options).der)
const dns = (name: string): ReferenceIdentity => ({ kind: 'dns', name })

describe('names', () => {
  test.each([
    ['api.example.com', 'api.example.com', true],
    ['API.Example.COM', 'api.example.com', true],
    ['api.example.com', 'api.example.org', false],
    ['*.example.com', 'api.example.com', true],
    ['*.EXAMPLE.com', 'api.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.api.example.com', false],
    ['*.com', 'example.com', false],
    ['*', 'localhost', false],
    ['a*.example.com', 'api.example.com', false],
    ['*i.example.com', 'api.example.com', false],
    ['api.*.com', 'api.example.com', false],
    ['*.*.com', 'api.example.com', false],
    ['xn--*-a.example.com', 'xn--b-a.example.com', false],
    ['api.example.com.', 'api.example.com', false],
    ['*.example.com.', 'api.example.com', false],
    ['api.example.com\0.evil.example', 'api.example.com', false],
    ['a_b.example.com', 'a_b.example.com', true],
    ['localhost', 'localhost', true],
    ['127.0.0.1', '127.0.0.1', false],
    ['', '', false],
  ])('subjectAltName %j for %j: %s', (presented, name, expected) => {
    expect(matchesIdentifiers([{ kind: 'dns', text: presented }], dns(name))).toBe(expected)
  })

  test('takes a dot off the end of the reference, which is the caller’s way to write a full name', () => {
    expect(matchesIdentifiers([{ kind: 'dns', text: 'api.example.com' }], dns('api.example.com.'))).toBe(true)
  })

  test('never reads the Common Name', () => {
    const certificate = certificateFor({ subject: 'api.example.com' })
    expect(matchIdentity(certificate, dns('api.example.com'))).toMatchObject({ code: 'ERR_TRUST_NAME_MISMATCH' })
  })

  test('asks the public-suffix hook about what a wildcard stands on, and only then', () => {
    const asked: string[] = []
    const isPublicSuffix = (name: string): boolean => asked.push(name) > 0 && name === 'co.uk'
    const match = (presented: string, name: string): boolean =>
      matchesIdentifiers([{ kind: 'dns', text: presented }], dns(name), { isPublicSuffix })
    expect(match('*.co.uk', 'example.co.uk')).toBe(false)
    expect(match('*.example.co.uk', 'a.example.co.uk')).toBe(true)
    expect(match('example.co.uk', 'example.co.uk')).toBe(true)
    expect(asked).toEqual(['co.uk', 'example.co.uk'])
  })

  test('says what was expected and what was seen, and prints nothing a peer could forge a log line with', () => {
    const certificate = certificateFor({ names: ['a.example', 'evil\r\nline', 'b.example'], ips: ['192.0.2.1'] })
    expect(matchIdentity(certificate, dns('api.example.com'))?.message).toBe(
      'expected a certificate for api.example.com, saw one for a.example, b.example, 192.0.2.1 and 1 more',
    )
  })
})

describe('addresses', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['2001:db8::1', '2001:db8::1', true],
    ['2001:db8::1', '2001:db8::2', false],
    ['::ffff:192.0.2.1', '192.0.2.1', false],
  ])('iPAddress %s for %s: %s', (presented, address, expected) => {
    const octets = addressOctets(presented) ?? new Uint8Array()
    expect(matchesIdentifiers([{ kind: 'ip', octets }], { kind: 'ip', address })).toBe(expected)
  })

  test('is not an address because a dNSName says so', () => {
    const reference: ReferenceIdentity = { kind: 'ip', address: '192.0.2.1' }
    expect(matchIdentity(certificateFor({ names: ['192.0.2.1'] }), reference)?.code).toBe('ERR_TRUST_NAME_MISMATCH')
    expect(matchIdentity(certificateFor({ ips: ['192.0.2.1'] }), reference)).toBeUndefined()
  })

  test.each([
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['2001:DB8:0:1:2:3:4:5', '20010db8000000010002000300040005'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
  ])('reads %s', (text, hex) => {
    expect(Buffer.from(addressOctets(text) ?? []).toString('hex')).toBe(hex)
  })

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '0x7f.0.0.1',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
    '12345::',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
  ])('refuses %j', (text) => {
    expect(addressOctets(text)).toBeUndefined()
  })
})

describe('SPIFFE IDs', () => {
  const match = (uris: readonly string[], id: string): boolean =>
    matchesIdentifiers(
      uris.map((text) => ({ kind: 'uri', text })),
      { kind: 'spiffe', id },
    )

  test.each([
    [['spiffe://example.org/api'], 'spiffe://example.org/api', true],
    [['SPIFFE://EXAMPLE.org/api'], 'spiffe://example.org/api', true],
    [['spiffe://example.org/API'], 'spiffe://example.org/api', false],
    [['spiffe://example.org/api/'], 'spiffe://example.org/api/', false],
    [['spiffe://example.org/../api'], 'spiffe://example.org/../api', false],
    [['spiffe://example.org/api', 'spiffe://example.org/b'], 'spiffe://example.org/api', false],
    [['https://example.org/api'], 'https://example.org/api', false],
    [[], 'spiffe://example.org/api', false],
  ] as const)('URIs %j for %j: %s', (uris, id, expected) => {
    expect(match(uris, id)).toBe(expected)
  })
})
