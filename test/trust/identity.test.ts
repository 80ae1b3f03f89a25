import { describe, expect, test } from 'vitest'
import { testCa } from '../../src/testing/ca.ts'
import {
  addressOctets,
  isSpiffeId,
  matchesIdentifiers,
  matchIdentity,
  type ReferenceIdentity,
} from '../../src/trust/identity.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import type { GeneralName } from '../../src/x509/general-names.ts'

const ca = testCa()
const certificateFor = (options: Parameters<typeof ca.issue>[0]) => parseCertificate(ca.issue(options).der)
const dns = (name: string): ReferenceIdentity => ({ kind: 'dns', name })
const dnsName = (text: string) => ({ kind: 'dns', text }) as const

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
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'api_example.com', false],
    ['1host.example.com', '1host.example.com', true],
    ['127.0.0.1', '127.0.0.1', false],
    ['10', '10', false],
    ['example.7', 'example.7', false],
    ['a.10', 'a.10', false],
    ['*.example.10', 'a.example.10', false],
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

  test.each<[string, Parameters<typeof ca.issue>[0], string]>([
    ['none', {}, 'no name (subjectAltName is absent)'],
    ['URIs', { san: [{ uri: 'spiffe://example.org/api' }] }, 'spiffe://example.org/api'],
    ['five', { names: [...'abcde'] }, 'a, b, c, d, e'],
    ['six', { names: [...'abcdef'] }, 'a, b, c, d, e and 1 more'],
    ['IPv6', { ips: ['2001:db8::1'] }, '2001:0db8:0000:0000:0000:0000:0000:0001'],
    ['other forms', { san: [{ email: 'a@example.com' }, { directory: 'x' }] }, '2 names of other forms'],
    ['a name among other forms', { names: ['a'], san: [{ directory: 'x' }] }, 'a and 1 more'],
    ['a space within', { names: ['evil saw', ' evil', 'evil '] }, '3 names of other forms'],
    ['a URI of 253 octets', { san: [{ uri: `a:${'b'.repeat(251)}` }] }, `a:${'b'.repeat(251)}`],
    ['a URI of 254 octets', { san: [{ uri: `a:${'b'.repeat(252)}` }] }, '1 names of other forms'],
  ])('names of a certificate in a message: %s', (_, options, seen) => {
    expect(matchIdentity(certificateFor({ subject: 'x', ...options }), dns('api.example.com'))).toEqual({
      code: 'ERR_TRUST_NAME_MISMATCH',
      certificateIndex: 0,
      message: `expected a certificate for api.example.com, saw one for ${seen}`,
    })
  })

  test.each<[ReferenceIdentity, string]>([
    [dns('b.example'), 'b.example'],
    [{ kind: 'ip', address: '192.0.2.1' }, '192.0.2.1'],
    [{ kind: 'spiffe', id: 'spiffe://example.org/api' }, 'spiffe://example.org/api'],
  ])('who was expected: %j', (reference, expected) => {
    expect(matchIdentity(certificateFor({ names: ['a.example'] }), reference)?.message).toBe(
      `expected a certificate for ${expected}, saw one for a.example`,
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

  test('one of several iPAddress entries is enough, and what is no address is nobody’s', () => {
    const names = ['192.0.2.1', '192.0.2.2'].map((text) => ({ kind: 'ip', octets: addressOctets(text) ?? [] }) as const)
    const match = (address: string) => matchesIdentifiers(names as readonly GeneralName[], { kind: 'ip', address })
    expect(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2', ''].map(match)).toEqual([true, true, false, false, false])
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
    '::1.2.3.4:5',
    '1.2.3.4::',
    '1:2:3:4::5:6:7:8',
    '1:2:3:4:5:6:7::8:9',
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
    [['spiffe://other.org/api'], 'spiffe://example.org/api', false],
    [['spiffe://example.org/api', 'spiffe://example.org/b'], 'spiffe://example.org/api', false],
    [['spiffe://example.org/api', 'spiffe://example.org/api'], 'spiffe://example.org/api', false],
    [['spiffe://example.org/./api'], 'spiffe://example.org/./api', false],
    [['spiffe://example.org/v1.2/api'], 'spiffe://example.org/v1.2/api', true],
    [['spiffe://example.org'], 'spiffe://example.org', true],
    [['spiffe://example.org'], 'spiffe://example.org/api', false],
    [['spiffe://example.org:443/api'], 'spiffe://example.org:443/api', false],
    [['spiffe://example.org/api?x'], 'spiffe://example.org/api?x', false],
    [['x spiffe://example.org/api'], 'x spiffe://example.org/api', false],
    [['https://example.org/api'], 'https://example.org/api', false],
    [[], 'spiffe://example.org/api', false],
  ] as const)('URIs %j for %j: %s', (uris, id, expected) => {
    expect(match(uris, id)).toBe(expected)
  })

  test('a name of another form beside the one URI does no harm', () => {
    const names = [dnsName('example.org'), { kind: 'uri', text: 'spiffe://example.org/api' }] as const
    expect(matchesIdentifiers(names, { kind: 'spiffe', id: 'spiffe://example.org/api' })).toBe(true)
  })

  test('are told from other texts before a certificate is seen', () => {
    expect(['spiffe://example.org/api', 'spiffe://example.org', 'https://example.org/', ''].map(isSpiffeId)).toEqual([
      true,
      true,
      false,
      false,
    ])
  })
})
