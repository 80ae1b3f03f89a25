import { describe, expect, test } from 'vitest'
import { type IssueOptions, testCa } from '../../../src/testing/ca.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { type CertificateExtension, extension } from '../../../src/x509/extension-writer.ts'
import { chainOf, expectPath, expectRefusal, judge, NOW } from './support.ts'

const ANY = '2.5.29.32.0'
const [ONE, TWO] = ['1.2.3.1', '1.2.3.2']

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
    expect(pathWith([policies(ONE), requireExplicit(3)], [policies(TWO)]).run().kind).toBe('valid')
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

  test('reports the policies the path is valid for', () => {
    const { ca, server, run } = pathWith([policies(ONE, TWO)], [policies(TWO)])
    expect(expectPath(run(), server, ca.issuer, ca.root).policies).toEqual([TWO])
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

  test('inhibitPolicyMapping of a CA above counts', () => {
    const ca = testCa({ now: NOW, intermediates: 0 })
    const upper = ca.root.issue({ ca: true, subject: 'Upper', extensions: [policies(ONE), inhibitMapping(0)] })
    const lower = upper.issue({ ca: true, subject: 'Lower', extensions: [policies(ONE), mappings([ONE, TWO])] })
    const result = judge(chainOf(lower.issue({ extensions: [policies(TWO)] })), [ca.root], {
      initialExplicitPolicy: true,
    })
    expectRefusal(result, 'ERR_TRUST_POLICY', 0)
  })

  test.each([[[ANY, ONE]], [[ONE, ANY]]] as const)('refuses a mapping to or from anyPolicy: %j', (pair) => {
    expectRefusal(pathWith([policies(ANY), mappings(pair)], [policies(ONE)]).run(), 'ERR_TRUST_POLICY', 1)
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
