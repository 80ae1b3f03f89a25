import { describe, expect, test } from 'vitest'
import { type IssueOptions, testCa } from '../../../src/testing/ca.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { extension, type GeneralNameInput, type NameConstraintsInput } from '../../../src/x509/extension-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { chainOf, expectPath, expectRefusal, judge, NOW } from './support.ts'

const keys = { root: generateKey(), intermediate: generateKey() }
const REFUSED = 'ERR_TRUST_NAME_CONSTRAINTS'

function outcome(nameConstraints: NameConstraintsInput, options: IssueOptions): string {
  const ca = testCa({ now: NOW, root: { key: keys.root }, intermediate: { key: keys.intermediate, nameConstraints } })
  const result = judge(chainOf(ca.issue({ subject: der.sequence(), ...options })), [ca.root])
  return result.kind === 'valid' ? 'valid' : (result.findings[0]?.code ?? 'nothing')
}

const san = (...names: GeneralNameInput[]): IssueOptions => ({ san: names })

describe('dNSName', () => {
  test.each([
    ['example.com', 'example.com', 'valid'],
    ['example.com', 'a.b.example.com', 'valid'],
    ['example.com', 'EXAMPLE.com', 'valid'],
    ['example.com', 'notexample.com', REFUSED],
    ['', 'anything.example', 'valid'],
    ['.example.com', 'a.example.com', 'valid'],
    ['.example.com', 'example.com', REFUSED],
    ['example.com', '*.example.com', 'valid'],
    ['a.example.com', '*.example.com', REFUSED],
    ['example.com', '*.com', REFUSED],
    ['example.com', '.example.com', REFUSED],
    ['example.com', 'example.com.', REFUSED],
    ['example.com', 'a*.example.com', REFUSED],
  ])('permitted %j, name %j: %s', (base, name, expected) => {
    expect(outcome({ permitted: [{ dns: base }] }, san({ dns: name }))).toBe(expected)
  })

  test.each([
    ['example.com', 'example.com', REFUSED],
    ['example.com', 'a.EXAMPLE.com', REFUSED],
    ['example.com', 'example.org', 'valid'],
    ['a.example.com', '*.example.com', REFUSED],
    ['b.a.example.com', '*.example.com', 'valid'],
    ['.example.com', 'example.com', 'valid'],
    ['.example.com', '*.example.com', REFUSED],
    ['example.com', 'bad name', REFUSED],
  ])('excluded %j, name %j: %s', (base, name, expected) => {
    expect(outcome({ excluded: [{ dns: base }] }, san({ dns: name }))).toBe(expected)
  })

  test.each(['*.example.com', 'a..b', 'exa mple', '-'])('refuses the malformed constraint %j', (base) => {
    expect(outcome({ permitted: [{ dns: 'example.com' }, { dns: base }] }, san({ dns: 'example.com' }))).toBe(REFUSED)
  })

  test('exclusion wins over permission', () => {
    const both = { permitted: [{ dns: 'example.com' }], excluded: [{ dns: 'a.example.com' }] }
    expect(outcome(both, san({ dns: 'b.example.com' }))).toBe('valid')
    expect(outcome(both, san({ dns: 'a.example.com' }))).toBe(REFUSED)
  })

  test('constrains names of its own form only', () => {
    expect(outcome({ permitted: [{ dns: 'example.com' }] }, san({ ip: '192.0.2.1' }))).toBe('valid')
  })

  test('counts whether or not the extension is critical', () => {
    const written = extension.nameConstraints({ permitted: [{ dns: 'example.com' }] })
    const ca = testCa({ now: NOW, intermediate: { extensions: [{ ...written, critical: false }] } })
    expectRefusal(judge(chainOf(ca.issue({ names: ['example.org'] })), [ca.root]), REFUSED, 0)
  })
})

describe('other forms', () => {
  test.each([
    ['192.0.2.0/24', '192.0.2.7', 'valid'],
    ['192.0.2.0/24', '192.0.3.7', REFUSED],
    ['192.0.2.0/24', '::c000:207', REFUSED],
    ['2001:db8::/32', '2001:db8:1::1', 'valid'],
    ['2001:db8::/32', '2001:db9::1', REFUSED],
    ['0.0.0.0/0', '203.0.113.9', 'valid'],
  ])('permitted %s, address %s: %s', (base, ip, expected) => {
    expect(outcome({ permitted: [{ ip: base }] }, san({ ip }))).toBe(expected)
  })

  test('refuses an address range with a mask that is not a prefix', () => {
    const raw = der.taggedPrimitive(7, Uint8Array.of(10, 0, 0, 0, 255, 0, 255, 0))
    expect(outcome({ permitted: [{ raw }] }, san({ ip: '10.0.0.1' }))).toBe(REFUSED)
    expect(outcome({ excluded: [{ raw: der.taggedPrimitive(7, Uint8Array.of(10, 0, 0, 1)) }] }, {})).toBe(REFUSED)
  })

  test.each([
    ['a@example.com', 'a@EXAMPLE.com', 'valid'],
    ['a@example.com', 'A@example.com', REFUSED],
    ['example.com', 'a@example.com', 'valid'],
    ['example.com', 'a@mail.example.com', REFUSED],
    ['.example.com', 'a@mail.example.com', 'valid'],
    ['.example.com', 'a@example.com', REFUSED],
    ['example.com', 'a@b@example.com', REFUSED],
    ['a@b@example.com', 'a@example.com', REFUSED],
  ])('permitted mail %j, address %j: %s', (base, email, expected) => {
    expect(outcome({ permitted: [{ email: base }] }, san({ email }))).toBe(expected)
  })

  test('constrains addresses in the subject where no subjectAltName stands', () => {
    const emailAddress = der.sequence(der.objectIdentifier('1.2.840.113549.1.9.1'), der.ia5String('a@example.org'))
    const subject = der.sequence(der.setOfOne(emailAddress))
    expect(outcome({ permitted: [{ email: 'example.com' }] }, { subject })).toBe(REFUSED)
    expect(outcome({ permitted: [{ email: 'example.org' }] }, { subject })).toBe('valid')
    expect(outcome({ permitted: [{ email: 'example.com' }] }, { subject, names: ['a.example'] })).toBe('valid')
  })

  test.each([
    ['example.com', 'spiffe://example.com/a', 'valid'],
    ['example.com', 'https://user@example.com:8443/a?b', 'valid'],
    ['example.com', 'https://a.example.com/', REFUSED],
    ['.example.com', 'https://a.example.com/', 'valid'],
    ['.example.com', 'https://example.com/', REFUSED],
    ['example.com', 'https://192.0.2.1/', REFUSED],
    ['example.com', 'urn:example.com', REFUSED],
    ['example.com', 'https://evil.example/@example.com', REFUSED],
  ])('permitted URI %j, name %j: %s', (base, uri, expected) => {
    expect(outcome({ permitted: [{ uri: base }] }, san({ uri }))).toBe(expected)
  })

  test('takes a directory name by its leading parts, in the subject and in subjectAltName', () => {
    const permitted = [
      {
        directory: [
          ['O', 'Example'],
          ['OU', 'Servers'],
        ] as const,
      },
    ]
    const inside = [
      ['O', 'example'],
      ['OU', 'SERVERS'],
      ['CN', 'a'],
    ] as const
    const outside = [
      ['O', 'Example'],
      ['CN', 'a'],
    ] as const
    expect(outcome({ permitted }, { subject: inside })).toBe('valid')
    expect(outcome({ permitted }, { subject: outside })).toBe(REFUSED)
    expect(outcome({ permitted }, { subject: inside, san: [{ directory: outside }] })).toBe(REFUSED)
    expect(outcome({ excluded: permitted }, { subject: inside })).toBe(REFUSED)
    expect(outcome({ excluded: permitted }, { subject: outside })).toBe('valid')
  })

  test('refuses a name of a form that is constrained and not understood, and only then', () => {
    const otherName = (value: number): GeneralNameInput => ({
      raw: der.tagged(0, der.objectIdentifier('1.2.3.4'), der.tagged(0, der.integer(value))),
    })
    expect(outcome({ excluded: [otherName(1)] }, san(otherName(2)))).toBe(REFUSED)
    expect(outcome({ excluded: [otherName(1)] }, san({ dns: 'a.example.com' }))).toBe('valid')
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
    const ca = testCa({ now: NOW, root: { nameConstraints: { excluded: names(600).map(() => ({ dns: 'x.test' })) } } })
    expect(judge(chainOf(ca.issue({ san: names(300) })), [ca.root]).kind).toBe('valid')
    expectRefusal(judge(chainOf(ca.issue({ san: names(600) })), [ca.root]), 'ERR_TRUST_PATH_BUDGET', null)
  })
})
