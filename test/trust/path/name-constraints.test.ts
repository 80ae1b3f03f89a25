import { describe, expect, test } from 'vitest'
import { type IssueOptions, testCa } from '../../../src/testing/ca.ts'
import type { PathResult } from '../../../src/trust/path/path.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { extension, type GeneralNameInput, type NameConstraintsInput } from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, expectPath, expectRefusal, judge, NOW } from './support.ts'

const keys = { root: generateKey(), intermediate: generateKey(), endEntity: generateKey() }
const REFUSED = 'ERR_TRUST_NAME_CONSTRAINTS'

function judged(nameConstraints: NameConstraintsInput, options: IssueOptions): PathResult {
  const ca = testCa({ now: NOW, root: { key: keys.root }, intermediate: { key: keys.intermediate, nameConstraints } })
  return judge(chainOf(ca.issue({ subject: der.sequence(), key: keys.endEntity, ...options })), [ca.root])
}

function outcome(nameConstraints: NameConstraintsInput, options: IssueOptions): string {
  const result = judged(nameConstraints, options)
  return result.kind === 'valid' ? 'valid' : (result.findings[0]?.code ?? 'nothing')
}

const san = (...names: GeneralNameInput[]): IssueOptions => ({ san: names })
const range = (octets: readonly number[]): GeneralNameInput => ({
  raw: der.taggedPrimitive(7, Uint8Array.from(octets)),
})
/** An iPAddress of so many octets. */
const address = (length: number): GeneralNameInput => range(new Array<number>(length).fill(1))

describe('dNSName', () => {
  test.each([
    ['example.com', 'example.com', 'valid'],
    ['example.com', 'a.b.example.com', 'valid'],
    ['example.com', 'EXAMPLE.com', 'valid'],
    ['EXAMPLE.com', 'a.example.COM', 'valid'],
    ['example.com', 'notexample.com', REFUSED],
    ['example.com', 'example.com.example.org', REFUSED],
    ['a.example.com', 'example.com', REFUSED],
    ['', 'anything.example', 'valid'],
    ['.example.com', 'a.example.com', 'valid'],
    ['.example.com', 'example.com', REFUSED],
    ['.example.com', '*.example.com', 'valid'],
    ['example.com', '*.example.com', 'valid'],
    ['example.com', '*.EXAMPLE.com', 'valid'],
    ['a.example.com', '*.example.com', REFUSED],
    ['example.com', '*.com', REFUSED],
    ['example.com', '.example.com', REFUSED],
    ['example.com', 'example.com.', REFUSED],
    ['example.com', 'a*.example.com', REFUSED],
    ['example.com', '*.*.example.com', REFUSED],
    ['', '*', REFUSED],
  ])('permitted %j, name %j: %s', (base, name, expected) => {
    expect(outcome({ permitted: [{ dns: base }] }, san({ dns: name }))).toBe(expected)
  })

  test.each([
    ['example.com', 'example.com', REFUSED],
    ['example.com', 'a.EXAMPLE.com', REFUSED],
    ['EXAMPLE.com', 'a.example.com', REFUSED],
    ['example.com', 'example.org', 'valid'],
    ['a.example.com', 'example.com', 'valid'],
    ['', 'anything.example', REFUSED],
    ['.example.com', 'example.com', 'valid'],
    ['.example.com', 'a.example.com', REFUSED],
    ['example.com', 'bad name', REFUSED],
  ])('excluded %j, name %j: %s', (base, name, expected) => {
    expect(outcome({ excluded: [{ dns: base }] }, san({ dns: name }))).toBe(expected)
  })

  test.each([
    ['a.example.com', '*.example.com', REFUSED],
    ['a.EXAMPLE.com', '*.Example.com', REFUSED],
    ['example.com', '*.com', REFUSED],
    ['.example.com', '*.example.com', REFUSED],
    ['b.a.example.com', '*.example.com', 'valid'],
    ['.a.example.com', '*.example.com', 'valid'],
    ['example.com', '*.example.org', 'valid'],
  ])('excluded %j, whatever a wildcard could stand for, name %j: %s', (base, name, expected) => {
    expect(outcome({ excluded: [{ dns: base }] }, san({ dns: name }))).toBe(expected)
  })

  test('exclusion wins over permission', () => {
    const both = { permitted: [{ dns: 'example.com' }], excluded: [{ dns: 'a.example.com' }] }
    expect(outcome(both, san({ dns: 'b.example.com' }))).toBe('valid')
    expect(outcome(both, san({ dns: 'a.example.com' }))).toBe(REFUSED)
  })

  test('one of several permitted subtrees is enough, one of several excluded too many', () => {
    const bases = [{ dns: 'example.com' }, { dns: 'example.org' }]
    expect(outcome({ permitted: bases }, san({ dns: 'a.example.org' }))).toBe('valid')
    expect(outcome({ excluded: bases }, san({ dns: 'a.example.org' }))).toBe(REFUSED)
  })

  test('every name counts', () => {
    const permitted = [{ dns: 'example.com' }]
    expect(outcome({ permitted }, san({ dns: 'example.com' }, { dns: 'example.org' }))).toBe(REFUSED)
  })

  test('constrains names of its own form only', () => {
    expect(outcome({ permitted: [{ dns: 'example.com' }] }, san({ ip: '192.0.2.1' }))).toBe('valid')
    expect(outcome({ excluded: [{ dns: '' }] }, san({ uri: 'no URI' }))).toBe('valid')
  })

  test('counts whether or not the extension is critical', () => {
    const written = extension.nameConstraints({ permitted: [{ dns: 'example.com' }] })
    const ca = testCa({ now: NOW, intermediate: { extensions: [{ ...written, critical: false }] } })
    expectRefusal(judge(chainOf(ca.issue({ names: ['example.org'] })), [ca.root]), REFUSED, 0)
  })
})

describe('iPAddress', () => {
  test.each([
    ['192.0.2.0/24', '192.0.2.7', 'valid'],
    ['192.0.2.0/24', '192.0.3.7', REFUSED],
    ['192.0.2.0/24', '193.0.2.7', REFUSED],
    ['192.0.2.7/24', '192.0.2.1', 'valid'], // bits of the address that the mask leaves out do not count
    ['192.0.2.1/32', '192.0.2.1', 'valid'],
    ['192.0.2.1/32', '192.0.2.0', REFUSED],
    ['10.0.0.0/9', '10.127.255.255', 'valid'],
    ['10.0.0.0/9', '10.128.0.0', REFUSED],
    ['2001:db8::/32', '2001:db8:1::1', 'valid'],
    ['2001:db8::/32', '2001:db9::1', REFUSED],
    ['0.0.0.0/0', '203.0.113.9', 'valid'],
    ['192.0.2.0/24', 'c000:200::', REFUSED], // the same first octets in another family
    ['0.0.0.0/0', '2001:db8::1', REFUSED],
    ['::/0', '192.0.2.1', REFUSED],
  ])('permitted %s, address %s: %s', (base, ip, expected) => {
    expect(outcome({ permitted: [{ ip: base }] }, san({ ip }))).toBe(expected)
  })

  test.each([
    ['192.0.2.0/24', '192.0.2.7', REFUSED],
    ['192.0.2.0/24', '192.0.3.7', 'valid'],
    ['0.0.0.0/0', '2001:db8::1', 'valid'],
  ])('excluded %s, address %s: %s', (base, ip, expected) => {
    expect(outcome({ excluded: [{ ip: base }] }, san({ ip }))).toBe(expected)
  })

  test.each([0, 3, 5, 8, 15, 17])('%d octets are no address: refused where addresses are constrained', (length) => {
    expect(outcome({ excluded: [{ ip: '192.0.2.0/24' }] }, san(address(length)))).toBe(REFUSED)
    expect(outcome({ excluded: [{ dns: 'example.com' }] }, san(address(length)))).toBe('valid')
  })

  test.each([
    ['without a mask', [10, 0, 0, 1]],
    ['of IPv6 without a mask', new Array<number>(16).fill(0)],
    ['of no family', [10, 0, 0, 255, 255, 0]],
    ['that is empty', []],
    ['with a mask that is no prefix', [10, 0, 0, 0, 255, 0, 255, 0]],
    ['with a gap of one bit in its mask', [10, 0, 0, 0, 255, 0b0111_1111, 0, 0]],
  ])('refuses a range %s', (_, octets) => {
    expect(outcome({ permitted: [{ ip: '10.0.0.0/8' }, range(octets)] }, san({ ip: '10.0.0.1' }))).toBe(REFUSED)
    expect(outcome({ excluded: [range(octets)] }, {})).toBe(REFUSED)
  })
})

describe('rfc822Name', () => {
  test.each([
    ['a@example.com', 'a@EXAMPLE.com', 'valid'],
    ['A@EXAMPLE.com', 'A@example.com', 'valid'],
    ['a@example.com', 'A@example.com', REFUSED],
    ['A@example.com', 'a@example.com', REFUSED],
    ['a@example.com', 'b.a@example.com', REFUSED],
    ['example.com', 'some.one@example.com', 'valid'],
    ['EXAMPLE.com', 'a@example.COM', 'valid'],
    ['example.com', 'a@mail.example.com', REFUSED],
    ['example.com', 'a@notexample.com', REFUSED],
    ['.example.com', 'a@mail.example.com', 'valid'],
    ['.EXAMPLE.com', 'a@mail.example.com', 'valid'],
    ['.example.com', 'a@example.com', REFUSED],
    ['example.com', '@example.com', REFUSED],
    ['example.com', 'example.com', REFUSED],
    ['example.com', 'a@b@example.com', REFUSED],
    ['example.com', 'a b@example.com', REFUSED],
    ['example.com', '\u00e4@example.com', REFUSED],
    ['.com', 'a@.example.com', REFUSED],
  ])('permitted %j, address %j: %s', (base, email, expected) => {
    expect(outcome({ permitted: [{ email: base }] }, san({ email }))).toBe(expected)
  })

  test.each([
    ['a@example.com', 'a@example.com', REFUSED],
    ['a@example.com', 'b@example.com', 'valid'],
    ['example.com', 'a@example.com', REFUSED],
    ['example.com', 'a@example.org', 'valid'],
    ['example.com', 'a b@example.org', REFUSED],
  ])('excluded %j, address %j: %s', (base, email, expected) => {
    expect(outcome({ excluded: [{ email: base }] }, san({ email }))).toBe(expected)
  })

  test('constrains addresses in the subject where no subjectAltName stands', () => {
    const emailAddress = der.sequence(der.objectIdentifier('1.2.840.113549.1.9.1'), der.ia5String('a@example.org'))
    const subject = der.sequence(der.setOfOne(emailAddress))
    expect(outcome({ permitted: [{ email: 'example.com' }] }, { subject })).toBe(REFUSED)
    expect(outcome({ permitted: [{ email: 'example.org' }] }, { subject })).toBe('valid')
    expect(outcome({ permitted: [{ email: 'example.com' }] }, { subject, names: ['a.example'] })).toBe('valid')
  })
})

describe('uniformResourceIdentifier', () => {
  test.each([
    ['example.com', 'spiffe://example.com/a', 'valid'],
    ['example.com', 'HTTPS://EXAMPLE.com', 'valid'],
    ['EXAMPLE.com', 'https://example.com', 'valid'],
    ['example.com', 'coap+tcp.v1-x://example.com', 'valid'],
    ['example.com', 'https://user:word@example.com:8443/a?b#c', 'valid'],
    ['example.com', "https://A1-._~!$&'()*+,;=:%40@example.com", 'valid'],
    ['example.com', 'https://@example.com', 'valid'],
    ['example.com', 'https://example.com:/', 'valid'],
    ['example.com', 'https://example.com?a', 'valid'],
    ['example.com', 'https://example.com#a', 'valid'],
    ['1.example', 'https://1.example', 'valid'],
    ['a.srv1', 'https://a.srv1', 'valid'],
    ['example.com', 'https://a.example.com/', REFUSED],
    ['.example.com', 'https://a.example.com/', 'valid'],
    ['.example.com', 'https://example.com/', REFUSED],
    ['example.com', 'https://evil.example/@example.com', REFUSED],
    ['example.com', 'https://evil.example?@example.com', REFUSED],
    ['example.com', 'https://evil.example#@example.com', REFUSED],
    ['example.com', 'https://example.com@evil.example/', REFUSED],
  ])('permitted %j, name %j: %s', (base, uri, expected) => {
    expect(outcome({ permitted: [{ uri: base }] }, san({ uri }))).toBe(expected)
  })

  test.each([
    ['example.com', 'https://example.com/', REFUSED],
    ['example.com', 'https://example.org/', 'valid'],
    ['.example.com', 'https://a.example.com/', REFUSED],
  ])('excluded %j, name %j: %s', (base, uri, expected) => {
    expect(outcome({ excluded: [{ uri: base }] }, san({ uri }))).toBe(expected)
  })

  test.each([
    'https://192.0.2.1/',
    'https://[2001:db8::1]/',
    'https:///path',
    'https://example.org:port/',
    'https://example.org:84a',
    'https://exa mple.org/',
    'https://example.net\\@example.org/',
    'https://example.net@user@example.org/',
    'https:/example.org',
    'urn:example.org',
    '//example.org/',
    '1http://example.org/',
    ' https://example.org/',
    'ht tp://example.org/',
  ])('refuses %j, which names no host by a domain name, where URIs are constrained', (uri) => {
    expect(outcome({ excluded: [{ uri: 'example.com' }] }, san({ uri }))).toBe(REFUSED)
    expect(outcome({ excluded: [{ dns: 'example.com' }] }, san({ uri }))).toBe('valid')
  })
})

describe('directoryName', () => {
  const servers = [
    ['O', 'Example'],
    ['OU', 'Servers'],
  ] as const
  const inside = [
    ['O', 'example'],
    ['OU', 'SERVERS'],
    ['CN', 'a'],
  ] as const
  const outside = [
    ['O', 'Example'],
    ['CN', 'a'],
  ] as const
  const above = [['O', 'Example']] as const
  const reversed = [
    ['OU', 'Servers'],
    ['O', 'Example'],
  ] as const

  test.each([
    ['below', inside, true],
    ['the base itself', servers, true],
    ['beside', outside, false],
    ['above', above, false],
    ['in another order', reversed, false],
  ] as const)(
    'is within a subtree by its leading parts, in the subject and in subjectAltName: %s',
    (_, name, within) => {
      const subtrees = [{ directory: servers }]
      for (const options of [{ subject: name }, san({ directory: name })]) {
        expect(outcome({ permitted: subtrees }, options)).toBe(within ? 'valid' : REFUSED)
        expect(outcome({ excluded: subtrees }, options)).toBe(within ? REFUSED : 'valid')
      }
    },
  )

  test('counts in the subject and in subjectAltName, where both stand', () => {
    const permitted = [{ directory: servers }]
    expect(outcome({ permitted }, { subject: inside, san: [{ directory: outside }] })).toBe(REFUSED)
    expect(outcome({ permitted }, { subject: outside, san: [{ directory: inside }] })).toBe(REFUSED)
  })

  test('an empty subject claims nothing', () => {
    expect(outcome({ excluded: [{ directory: der.sequence() }] }, san({ dns: 'a.example' }))).toBe('valid')
    expect(outcome({ excluded: [{ directory: der.sequence() }] }, { subject: above })).toBe(REFUSED)
  })
})

describe('forms that are not understood', () => {
  const opaque = {
    otherName: (value: number) => der.tagged(0, der.objectIdentifier('1.2.3.4'), der.tagged(0, der.integer(value))),
    x400Address: (value: number) => der.tagged(3, der.integer(value)),
    ediPartyName: (value: number) => der.tagged(5, der.integer(value)),
    registeredID: (value: number) => der.taggedPrimitive(8, Uint8Array.of(0x2a, value)),
  }

  test.each(Object.entries(opaque))('%s is refused where it is constrained, and only then', (form, encoded) => {
    const subtrees = [{ raw: encoded(1) }]
    const result = judged({ excluded: subtrees }, san({ raw: encoded(2) }))
    expect(result).toMatchObject({
      findings: [{ message: expect.stringContaining(`: ${form} (of unknown form) cannot be judged`) }],
    })
    expect(outcome({ permitted: subtrees }, san({ raw: encoded(1) }))).toBe(REFUSED)
    expect(outcome({ excluded: subtrees }, san({ dns: 'a.example.com' }))).toBe('valid')
    expect(outcome({ excluded: [{ dns: 'example.com' }] }, san({ raw: encoded(1) }))).toBe('valid')
  })
})

describe('malformed constraints', () => {
  test.each([
    ['dNSName', { dns: '*.example.com' }],
    ['dNSName', { dns: 'a..b' }],
    ['dNSName', { dns: 'exa mple' }],
    ['dNSName', { dns: '-' }],
    ['dNSName', { dns: '.' }],
    ['dNSName', { dns: '..example.com' }],
    ['dNSName', { dns: 'example.com.' }],
    ['rfc822Name', { email: '' }],
    ['rfc822Name', { email: '.' }],
    ['rfc822Name', { email: 'a b' }],
    ['rfc822Name', { email: '@example.com' }],
    ['rfc822Name', { email: 'a@' }],
    ['rfc822Name', { email: 'a@.example.com' }],
    ['rfc822Name', { email: 'a@b@example.com' }],
    ['rfc822Name', { email: 'a b@example.com' }],
    ['uniformResourceIdentifier', { uri: '' }],
    ['uniformResourceIdentifier', { uri: '.' }],
    ['uniformResourceIdentifier', { uri: 'https://example.com' }],
    ['uniformResourceIdentifier', { uri: 'example.com:443' }],
    ['iPAddress', { ip: '10.0.0.1' }],
  ])('%s %j refuses whatever stands below, permitted or excluded', (form, base) => {
    for (const nameConstraints of [{ permitted: [{ dns: '' }, base] }, { excluded: [base, { dns: 'x.test' }] }]) {
      const result = judged(nameConstraints, san({ dns: 'example.com' }))
      expect(result).toEqual({
        kind: 'invalid',
        findings: [
          { code: REFUSED, certificateIndex: 1, message: `CN=Test Intermediate: a ${form} constraint is malformed` },
        ],
      })
    }
  })
})

describe('what the user sees', () => {
  const CANNOT_BE_JUDGED = 'cannot be judged against the constraints set'
  const long = [
    ['CN', 'A'],
    ['O', 'B'.repeat(200)],
  ] as const

  test.each([
    ['dNSName Example.org is not permitted', { permitted: [{ dns: 'example.com' }] }, { dns: 'Example.org' }],
    ['dNSName *.com is excluded', { excluded: [{ dns: 'example.com' }] }, { dns: '*.com' }],
    [`dNSName b?c?? ${CANNOT_BE_JUDGED}`, { excluded: [{ dns: 'a' }] }, { dns: 'b c\n\u00e4' }],
    [`rfc822Name ${'x'.repeat(120)}… ${CANNOT_BE_JUDGED}`, { excluded: [{ email: 'a' }] }, { email: 'x'.repeat(121) }],
    ['uniformResourceIdentifier https://b/ is not permitted', { permitted: [{ uri: 'a' }] }, { uri: 'https://b/' }],
    ['iPAddress c0000201 is not permitted', { permitted: [{ ip: '10.0.0.0/8' }] }, { ip: '192.0.2.1' }],
    [`iPAddress ${'01'.repeat(32)} ${CANNOT_BE_JUDGED}`, { excluded: [{ ip: '::/0' }] }, address(33)],
    ['directoryName CN=A is excluded', { excluded: [{ directory: 'A' }] }, { directory: 'A' }],
    [`directoryName O=${'B'.repeat(118)}… is excluded`, { excluded: [{ directory: 'A' }] }, { directory: long }],
  ] as const)('%s', (problem, nameConstraints, name) => {
    const message = `serial 07: ${problem} by CN=Test Intermediate`
    expect(judged(nameConstraints, { serial: Uint8Array.of(7), san: [name] })).toEqual({
      kind: 'invalid',
      findings: [{ code: REFUSED, certificateIndex: 0, message }],
    })
  })

  test('hears of a name first that subjectAltName gives', () => {
    const nameConstraints = { permitted: [{ dns: 'example.com' }, { directory: 'Server' }] }
    expect(judged(nameConstraints, { subject: 'Other', names: ['example.org'] })).toMatchObject({
      findings: [{ message: 'CN=Other: dNSName example.org is not permitted by CN=Test Intermediate' }],
    })
  })
})

describe('along the path', () => {
  test('every CA narrows what those above it permit', () => {
    const permit = (dns: string) => ({ nameConstraints: { permitted: [{ dns }] } })
    const ca = testCa({ now: NOW, root: permit('a.example.com'), intermediate: permit('example.com') })
    expect(judge(chainOf(ca.issue({ names: ['x.a.example.com'] })), [ca.root]).kind).toBe('valid')
    expectRefusal(judge(chainOf(ca.issue({ names: ['b.example.com'] })), [ca.root]), REFUSED, 0)
  })

  test('binds intermediates, but not self-issued ones', () => {
    const ca = testCa({ now: NOW, intermediates: 0, root: { nameConstraints: { excluded: [{ dns: 'ca.example' }] } } })
    const named = ca.root.issue({ ca: true, subject: 'Named', names: ['ca.example'] })
    expectRefusal(judge(chainOf(named.issue()), [ca.root]), REFUSED, 1)
    const renewed = ca.root.issue({ ca: true, subject: ca.root.subject, names: ['ca.example'] })
    const leaf = renewed.issue({ names: ['a.example'] })
    expectPath(judge(chainOf(leaf), [ca.root]), leaf, renewed, ca.root)
  })

  test('does not spare a self-issued end entity', () => {
    const ca = testCa({ now: NOW, intermediates: 0, root: { nameConstraints: { excluded: [{ dns: 'a.example' }] } } })
    const leaf = ca.root.issue({ subject: ca.root.subject, names: ['a.example'] })
    expectRefusal(judge(chainOf(leaf), [ca.root]), REFUSED, 0)
  })

  test('gives up when names times constraints grow beyond the budget', () => {
    const names = (count: number): GeneralNameInput[] =>
      Array.from({ length: count }, (_, i) => ({ dns: `n${i}.example` }))
    const bases = (count: number): GeneralNameInput[] => new Array<GeneralNameInput>(count).fill({ dns: 'x.test' })
    const judgedNames = (count: number, excluded: number): PathResult => {
      const nameConstraints = { permitted: [{ dns: 'example' }, ...bases(248)], excluded: bases(excluded) }
      const ca = testCa({ now: NOW, intermediates: 0, root: { nameConstraints } })
      return judge(chainOf(ca.issue({ subject: der.sequence(), san: names(count) })), [ca.root])
    }
    // Each of the 500 names costs one, and one more for each of the 499 constraints: 250,000.
    expect(judgedNames(500, 250).kind).toBe('valid')
    expectRefusal(judgedNames(501, 250), 'ERR_TRUST_PATH_BUDGET', null)
    expectRefusal(judgedNames(500, 251), 'ERR_TRUST_PATH_BUDGET', null)
  })
})
