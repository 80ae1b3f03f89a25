import { describe, expect, test } from 'vitest'
import { type IssueOptions, selfSigned, type TestCertificate, testCa } from '../../../src/testing/ca.ts'
import { evaluatePolicies, policyCost } from '../../../src/trust/path/policies.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { type CertificateExtension, extension } from '../../../src/x509/extension-writer.ts'
import { chainOf, expectRefusal, judge, NOW, refusalOf } from './support.ts'

const ANY = '2.5.29.32.0'
const [ONE, TWO, THREE] = ['1.2.3.1', '1.2.3.2', '1.2.3.3']

const mappings = (...pairs: readonly (readonly [string, string])[]): CertificateExtension => ({
  oid: '2.5.29.33',
  critical: true,
  value: der.sequence(...pairs.map(([from, to]) => der.sequence(der.objectIdentifier(from), der.objectIdentifier(to)))),
})
const requireExplicit = (skip: number): CertificateExtension => ({
  oid: '2.5.29.36',
  critical: true,
  value: der.sequence(der.taggedPrimitive(0, Uint8Array.of(skip))),
})
const inhibitMapping = (skip: number): CertificateExtension => ({
  oid: '2.5.29.36',
  critical: true,
  value: der.sequence(der.taggedPrimitive(1, Uint8Array.of(skip))),
})
const inhibitAny = (skip: number): CertificateExtension => ({
  oid: '2.5.29.54',
  critical: true,
  value: der.integer(skip),
})
const policies = (...oids: readonly string[]): CertificateExtension => extension.certificatePolicies(oids)

/** Root, CA with the first list of extensions, end entity with the second. */
function pathWith(above: readonly CertificateExtension[], below: readonly CertificateExtension[]) {
  const ca = testCa({ now: NOW, intermediate: { extensions: above } })
  const server = ca.issue({ extensions: below })
  return { ca, server, run: (rest: Parameters<typeof judge>[2] = {}) => judge(chainOf(server), [ca.root], rest) }
}

/** Root, CAs with one list of extensions each, end entity with the last list. */
function judgeDown(
  lists: readonly (readonly CertificateExtension[])[],
  rest: Parameters<typeof judge>[2] = {},
): ReturnType<typeof judge> {
  const ca = testCa({ now: NOW, intermediates: 0 })
  let last = ca.root
  for (const [depth, extensions] of lists.entries()) {
    last = last.issue({ ca: depth < lists.length - 1, subject: `Number ${depth}`, extensions })
  }
  return judge(chainOf(last), [ca.root], rest)
}

/** The policies of a valid path, in order; what refused it otherwise. */
const policiesOf = (result: ReturnType<typeof judge>): readonly string[] =>
  result.kind === 'valid' ? result.path.policies.toSorted() : result.findings.map(({ message }) => message)

/** A certificate under its issuer's own name. */
const selfIssuedBy = (issuer: TestCertificate, extensions: readonly CertificateExtension[]): TestCertificate =>
  issuer.issue({ subject: issuer.subject, extensions })

describe('certificate policies', () => {
  test('a path without policies is valid while nobody requires one', () => {
    const { run } = pathWith([], [])
    expect(run().kind).toBe('valid')
    expectRefusal(run({ initialExplicitPolicy: true }), 'ERR_TRUST_POLICY')
  })

  test('requireExplicitPolicy refuses an end entity under another policy', () => {
    expect(pathWith([policies(ONE), requireExplicit(0)], [policies(ONE)]).run().kind).toBe('valid')
    expectRefusal(pathWith([policies(ONE), requireExplicit(0)], [policies(TWO)]).run(), 'ERR_TRUST_POLICY', 0)
    expectRefusal(pathWith([policies(ONE), requireExplicit(0)], []).run(), 'ERR_TRUST_POLICY', 0)
  })

  test('requireExplicitPolicy skips as many certificates as it says', () => {
    expectRefusal(pathWith([policies(ONE), requireExplicit(1)], [policies(TWO)]).run(), 'ERR_TRUST_POLICY', 0)
    expect(pathWith([policies(ONE), requireExplicit(2)], [policies(TWO)]).run().kind).toBe('valid')
  })

  test('a refusal names the certificate and what was asked of it', () => {
    expect(refusalOf(pathWith([policies(ONE), requireExplicit(0)], [policies(TWO)]).run())).toEqual({
      code: 'ERR_TRUST_POLICY',
      certificateIndex: 0,
      message: 'CN=Test End Entity: the path requires a certificate policy and is valid for none that is accepted',
    })
    expect(refusalOf(pathWith([policies(ONE), mappings([ONE, ANY])], []).run())).toEqual({
      code: 'ERR_TRUST_POLICY',
      certificateIndex: 1,
      message: 'CN=Test Intermediate: a policy mapping to or from anyPolicy',
    })
  })

  test('names the certificate at which the last policy was lost', () => {
    const { run } = pathWith([], [policies(ONE)])
    expectRefusal(run({ initialExplicitPolicy: true }), 'ERR_TRUST_POLICY', 1)
  })

  test('an end entity may itself require a policy', () => {
    expectRefusal(pathWith([policies(ONE)], [policies(TWO), requireExplicit(0)]).run(), 'ERR_TRUST_POLICY', 0)
    expect(pathWith([policies(ONE)], [policies(TWO), requireExplicit(1)]).run().kind).toBe('valid')
  })

  test('self-issued CAs use up no count, and may pass anyPolicy on', () => {
    const ca = testCa({ now: NOW, intermediate: { extensions: [policies(ONE), requireExplicit(2)] } })
    const renewed = ca.issuer.issue({ ca: true, subject: ca.issuer.subject, extensions: [policies(ONE)] })
    expect(judge(chainOf(renewed.issue({ extensions: [policies(TWO)] })), [ca.root]).kind).toBe('valid')
    const below = ca.issuer.issue({ ca: true, subject: 'Below', extensions: [policies(ONE)] })
    expectRefusal(judge(chainOf(below.issue({ extensions: [policies(TWO)] })), [ca.root]), 'ERR_TRUST_POLICY', 0)

    const strict = testCa({ now: NOW, intermediate: { extensions: [policies(ONE), requireExplicit(0)] } })
    const inhibit = { initialAnyPolicyInhibit: true }
    const selfIssued = strict.issuer.issue({ ca: true, subject: strict.issuer.subject, extensions: [policies(ANY)] })
    expect(judge(chainOf(selfIssued.issue({ extensions: [policies(ONE)] })), [strict.root], inhibit).kind).toBe('valid')
    const another = strict.issuer.issue({ ca: true, subject: 'Another', extensions: [policies(ANY)] })
    expectRefusal(
      judge(chainOf(another.issue({ extensions: [policies(ONE)] })), [strict.root], inhibit),
      'ERR_TRUST_POLICY',
      1,
    )
  })

  test('a self-issued end entity is an end entity: it uses up a count, passes no anyPolicy on and maps nothing', () => {
    const counted = testCa({ now: NOW, intermediate: { extensions: [policies(ONE), requireExplicit(1)] } })
    const other = selfIssuedBy(counted.issuer, [policies(TWO)])
    expectRefusal(judge(chainOf(other), [counted.root]), 'ERR_TRUST_POLICY', 0)

    const inhibited = [policies(ONE), requireExplicit(0), inhibitAny(0)]
    const strict = testCa({ now: NOW, intermediate: { extensions: inhibited } })
    expectRefusal(judge(chainOf(selfIssuedBy(strict.issuer, [policies(ANY)])), [strict.root]), 'ERR_TRUST_POLICY', 0)
    const mapping = selfIssuedBy(strict.issuer, [policies(ONE), mappings([ANY, TWO])])
    expect(policiesOf(judge(chainOf(mapping), [strict.root]))).toEqual([ONE])
  })

  test.each([
    ['what both certificates assert', [policies(ONE, TWO)], [policies(TWO, THREE)], [TWO]],
    ['none in particular, where they assert different ones', [policies(ONE)], [policies(TWO)], []],
    ['what stands below anyPolicy', [policies(ANY)], [policies(ONE)], [ONE]],
    ['what stands above anyPolicy', [policies(ONE)], [policies(ANY)], [ONE]],
    ['any, where every certificate asserts anyPolicy', [policies(ANY)], [policies(ANY)], [ANY]],
    ['the rest of a CA that asserts one and any', [policies(ONE, ANY)], [policies(ONE, TWO)], [ONE, TWO]],
    ['a policy by the issuer’s name for it', [policies(ONE), mappings([ONE, TWO])], [policies(TWO)], [ONE]],
    ['a policy mapped out of anyPolicy', [policies(ANY), mappings([ONE, TWO])], [policies(TWO)], [ONE]],
    ['no policy that a mapping put in place of it', [policies(ONE), mappings([ONE, TWO])], [policies(ONE)], []],
    [
      'both that were mapped to one',
      [policies(ONE, TWO), mappings([ONE, THREE], [TWO, THREE])],
      [policies(THREE)],
      [ONE, TWO],
    ],
    ['one that was mapped to two', [policies(ONE), mappings([ONE, TWO], [ONE, THREE])], [policies(TWO, THREE)], [ONE]],
    [
      'nothing for the mapping of a policy that is not asserted',
      [policies(ONE), mappings([TWO, THREE])],
      [policies(THREE)],
      [],
    ],
  ] as const)('the path is valid for %s', (_, above, below, expected) => {
    expect(policiesOf(pathWith(above, below).run())).toEqual(expected)
  })

  test('anyPolicy on a CA is nothing that the end entity asserts', () => {
    const { run } = pathWith([policies(ANY)], [policies(ONE)])
    expectRefusal(run({ initialExplicitPolicy: true, initialPolicySet: [TWO] }), 'ERR_TRUST_POLICY', 0)
  })

  test('a path of anyPolicy alone is valid for what the caller asked for', () => {
    const { run } = pathWith([policies(ANY)], [policies(ANY)])
    expect(policiesOf(run({ initialExplicitPolicy: true, initialPolicySet: [TWO] }))).toEqual([TWO])
  })

  test('an anchor that is itself the end entity has nothing to assert', () => {
    const anchor = parseCertificate(selfSigned({ now: NOW }).der)
    const inputs = { initialExplicitPolicy: true, initialPolicySet: [ONE] }
    expect(evaluatePolicies([anchor], inputs)).toEqual({ kind: 'valid', policies: [ONE] })
  })

  test('a CA without policies leaves nothing to map below it', () => {
    expect(policiesOf(judgeDown([[], [policies(ONE), mappings([ONE, TWO])], [policies(TWO)]]))).toEqual([])
  })

  test('accepts only what the caller asked for', () => {
    const { run } = pathWith([policies(ONE), requireExplicit(0)], [policies(ONE)])
    expect(run({ initialPolicySet: [ONE] }).kind).toBe('valid')
    expectRefusal(run({ initialPolicySet: [TWO] }), 'ERR_TRUST_POLICY')
  })

  test('anyPolicy stands for every policy until it is inhibited', () => {
    expect(pathWith([policies(ANY)], [policies(ONE)]).run({ initialExplicitPolicy: true }).kind).toBe('valid')
    const inhibited = pathWith([policies(ONE), inhibitAny(0), requireExplicit(0)], [policies(ANY)])
    expectRefusal(inhibited.run(), 'ERR_TRUST_POLICY', 0)
    expect(policiesOf(pathWith([policies(ANY), inhibitAny(0)], [policies(ANY)]).run())).toEqual([])
    const free = pathWith([policies(ONE), requireExplicit(0)], [policies(ANY)])
    expect(free.run().kind).toBe('valid')
    expectRefusal(free.run({ initialAnyPolicyInhibit: true }), 'ERR_TRUST_POLICY', 0)
  })

  test('mappings rename a policy, unless they are inhibited', () => {
    const mapped = pathWith([policies(ONE), mappings([ONE, TWO])], [policies(TWO)])
    expect(mapped.run({ initialExplicitPolicy: true, initialPolicySet: [ONE] }).kind).toBe('valid')
    expectRefusal(mapped.run({ initialExplicitPolicy: true, initialPolicySet: [TWO] }), 'ERR_TRUST_POLICY')
    const inhibit = { initialExplicitPolicy: true, initialPolicyMappingInhibit: true }
    expectRefusal(mapped.run(inhibit), 'ERR_TRUST_POLICY', 0)
  })

  test.each([
    [0, []],
    [1, []],
    [2, [ONE]],
  ])('inhibitPolicyMapping %d of the CA two above leaves %j', (skip, expected) => {
    const lists = [
      [policies(ONE), inhibitMapping(skip)],
      [policies(ONE)],
      [policies(ONE), mappings([ONE, TWO])],
      [policies(TWO)],
    ]
    expect(policiesOf(judgeDown(lists))).toEqual(expected)
  })

  test.each([
    [0, []],
    [1, []],
    [2, [ONE]],
  ])('inhibitAnyPolicy %d of the CA two above leaves %j', (skip, expected) => {
    const lists = [[policies(ONE), inhibitAny(skip)], [policies(ONE)], [policies(ANY)]]
    expect(policiesOf(judgeDown(lists))).toEqual(expected)
  })

  test('a mapping that is inhibited ends its policy and no other', () => {
    const { run } = pathWith([policies(ONE, TWO), mappings([ONE, THREE])], [policies(ONE, TWO, THREE)])
    expect(policiesOf(run({ initialPolicyMappingInhibit: true }))).toEqual([TWO])
  })

  test.each([[[ANY, ONE]], [[ONE, ANY]]] as const)('refuses a mapping to or from anyPolicy: %j', (pair) => {
    expectRefusal(pathWith([policies(ANY), mappings([ONE, TWO], pair)], [policies(ONE)]).run(), 'ERR_TRUST_POLICY', 1)
  })

  test('costs four for each policy and each mapping that the path holds', () => {
    const { ca, server } = pathWith([policies(ONE, TWO), mappings([ONE, TWO])], [policies(ONE, TWO, THREE)])
    expect(policyCost([server, ca.issuer, ca.root].map((made) => parseCertificate(made.der)))).toBe(4 * 6)
  })

  test('hostile mappings cost what they are long, not two to the power of the depth', () => {
    const oids = Array.from({ length: 60 }, (_, i) => `1.2.3.${i + 1}`)
    const cross = oids.flatMap((from) => oids.slice(0, 8).map((to) => [from, to] as const))
    const extensions = [policies(...oids), mappings(...cross)]
    const ca = testCa({ now: NOW, intermediates: 0 })
    let issuer = ca.root
    const hostile: IssueOptions = { ca: true, extensions }
    for (let depth = 0; depth < 4; depth += 1) issuer = issuer.issue({ ...hostile, subject: `CA ${depth}` })
    const chain = chainOf(issuer.issue({ extensions: [policies(...oids), requireExplicit(0)] }))
    const start = performance.now()
    const result = judge(chain, [ca.root])
    expect(performance.now() - start).toBeLessThan(5_000) // it would be hours
    expect(result.kind).toBe('valid')
  })
})
