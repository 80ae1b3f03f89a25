import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../src/errors/errors.ts'
import { type IssueOptions, selfSigned, type TestCertificate, testCa } from '../../../src/testing/ca.ts'
import { crossSign, expiredTwinOf, forgedTwinOf, impostorOf } from '../../../src/testing/forge.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import { EXTENSION_OID, extension } from '../../../src/x509/extension-writer.ts'
import { chainOf, DAY_MS, expectPath, expectRefusal, findingsOf, judge, NOW } from './support.ts'

const ca = testCa({ now: NOW })
const other = testCa({ now: NOW, name: 'Other' })
const server = ca.issue({ names: ['api.example.com'] })
const REFUSAL: Finding = { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'not this one' }

/** A caller who refuses every path and remembers them. */
function refusing() {
  const seen: CertificationPath[] = []
  const acceptPath = (path: CertificationPath): Finding => {
    seen.push(path)
    return REFUSAL
  }
  return { seen, acceptPath }
}

describe('what is said of a path that is none', () => {
  test('who issued the last certificate, where nobody of that name is known', () => {
    expect(judge(chainOf(server), [other.root])).toStrictEqual({
      kind: 'invalid',
      findings: [
        {
          code: 'ERR_TRUST_UNKNOWN_ISSUER',
          certificateIndex: 1,
          message: 'CN=Test Intermediate: issued by CN=Test Root, which is neither presented nor an anchor',
        },
      ],
    })
  })

  test('that a root was sent that is not an anchor', () => {
    expect(findingsOf(judge([server, ca.issuer, ca.root], [other.root]))).toEqual([
      {
        code: 'ERR_TRUST_UNKNOWN_ISSUER',
        certificateIndex: 2,
        message: 'CN=Test Root: self-issued and not among the trust anchors',
      },
    ])
  })

  test('which key did not sign', () => {
    const [finding, ...others] = findingsOf(judge([forgedTwinOf(server), ca.issuer], [ca.root]))
    expect(others).toEqual([])
    expect(finding).toMatchObject({ code: 'ERR_TRUST_SIGNATURE_INVALID', certificateIndex: 0 })
    expect(finding?.message).toMatch(
      /^CN=api\.example\.com: not signed by the key of CN=Test Intermediate \(SPKI [0-9a-f]{16}…\)$/,
    )
  })

  test('how many intermediates an issuer allows, and how many stand below it', () => {
    const limited = testCa({ now: NOW, intermediates: 3, root: { pathLength: 1 } })
    expect(findingsOf(judge([...chainOf(limited.issue()), limited.root], [limited.root]))).toEqual([
      {
        code: 'ERR_TRUST_PATH_LENGTH',
        certificateIndex: 4,
        message: 'CN=Test Root: allows 1 intermediates below it, saw 3',
      },
    ])
  })

  test('how many intermediates a path may have', () => {
    const deep = testCa({ now: NOW, intermediates: 2 })
    expect(findingsOf(judge(chainOf(deep.issue()), [deep.root], { maxDepth: 1 }))).toEqual([
      {
        code: 'ERR_TRUST_PATH_LENGTH',
        certificateIndex: 2,
        message: 'CN=Test Intermediate 1: one intermediate more than the 1 a path may have',
      },
    ])
  })
})

describe('the place that a finding names', () => {
  const dead = expiredTwinOf(ca.issuer)

  test('is that in the presented list, not that on the path', () => {
    expectRefusal(judge([server, other.root, other.issuer, dead], [ca.root]), 'ERR_TRUST_CERT_EXPIRED', 3)
  })

  test('is the first, where a certificate was sent more than once', () => {
    expectRefusal(judge([server, dead, other.root, dead], [ca.root]), 'ERR_TRUST_CERT_EXPIRED', 1)
    const old = ca.issue({ notBefore: NOW - 9 * DAY_MS, notAfter: NOW - DAY_MS })
    expectRefusal(judge([old, ca.issuer, old], [ca.root]), 'ERR_TRUST_CERT_EXPIRED', 0)
  })

  test('is that on the path for an anchor that was not sent', () => {
    const root = expiredTwinOf(ca.root)
    expectRefusal(judge([server, other.root, ca.issuer], [root]), 'ERR_TRUST_CERT_EXPIRED', 2)
    expectRefusal(judge([server, other.root, ca.issuer, root], [root]), 'ERR_TRUST_CERT_EXPIRED', 3)
  })

  test('is that of an anchor above which the search went on', () => {
    const impostor = impostorOf(ca.root)
    const findings = findingsOf(judge([server], [ca.issuer, impostor], { acceptPath: () => REFUSAL }))
    expect(findings.map(({ code, certificateIndex }) => [code, certificateIndex])).toEqual([
      [REFUSAL.code, null],
      ['ERR_TRUST_SIGNATURE_INVALID', 1],
    ])
  })

  test('is that of the certificate whose name is outside the constraints of an issuer', () => {
    const nameConstraints = { excluded: [{ dns: 'example.net' }] }
    const strict = testCa({
      now: NOW,
      root: { nameConstraints },
      intermediate: { extensions: [extension.subjectAltName([{ dns: 'ca.example.net' }])] },
    })
    const result = judge([strict.issue(), other.root, strict.issuer], [strict.root])
    expectRefusal(result, 'ERR_TRUST_NAME_CONSTRAINTS', 2)
  })

  test('is that of the certificate at which the last policy was lost', () => {
    const result = judge([server, other.root, ca.issuer], [ca.root], { initialExplicitPolicy: true })
    expectRefusal(result, 'ERR_TRUST_POLICY', 2)
  })

  test('is that of the issuer whose constraints cannot be read', () => {
    const broken = testCa({ now: NOW, root: { nameConstraints: { excluded: [{ dns: 'no..name' }] } } })
    const presented = [broken.issue(), other.root, broken.issuer]
    expectRefusal(judge(presented, [broken.root]), 'ERR_TRUST_NAME_CONSTRAINTS', 2)
    expectRefusal(judge([...presented, broken.root], [broken.root]), 'ERR_TRUST_NAME_CONSTRAINTS', 3)
  })
})

describe('of issuers with one name', () => {
  const keyIdentifier = Uint8Array.of(1, 2, 3, 4)
  const fits: IssueOptions = { subjectKeyIdentifier: keyIdentifier }
  const silent: IssueOptions = { omit: [EXTENSION_OID.subjectKeyIdentifier] }
  const dead: IssueOptions = { notBefore: NOW - 9 * DAY_MS, notAfter: NOW - DAY_MS }
  /** None may issue, so that each is tried and tells where it was sent. */
  const twin = (options: IssueOptions): TestCertificate =>
    ca.root.issue({ ca: true, subject: 'Twin', keyUsage: ['cRLSign'], ...options })
  const child = ca.root.issue({ issuerName: 'Twin', authorityKeyIdentifier: keyIdentifier })
  const anyone = ca.root.issue({ issuerName: 'Twin', omit: [EXTENSION_OID.authorityKeyIdentifier] })
  const placesTried = (...presented: readonly TestCertificate[]) =>
    findingsOf(judge(presented, [ca.root])).map(({ certificateIndex }) => certificateIndex)

  test.each<[string, IssueOptions, IssueOptions]>([
    ['one with the key identifier that the child names, before one with another', {}, fits],
    ['one without a key identifier, before one with another', {}, silent],
    ['one in force, before one that is over', { ...fits, ...dead }, fits],
    ['one in force, before one that is yet to come', { ...fits, notBefore: NOW + DAY_MS }, fits],
    ['one that fits and is over, before one in force with another key identifier', {}, { ...fits, ...dead }],
  ])('tries %s, whichever was sent first', (_, later, sooner) => {
    const [first, second] = [twin(sooner), twin(later)]
    expect(placesTried(child, first, second)).toEqual([1, 2])
    expect(placesTried(child, second, first)).toEqual([2, 1])
  })

  test.each<[string, TestCertificate, IssueOptions]>([
    ['in force since this second', child, { ...fits, notBefore: NOW }],
    ['in force until this second', child, { ...fits, notAfter: NOW }],
    ['silent about its key identifier', child, silent],
    ['of any key identifier, where the child names none', anyone, {}],
  ])('tries one that is %s when its turn comes', (_, below, options) => {
    const [first, second] = [twin(options), twin(fits)]
    expect(placesTried(below, first, second)).toEqual([1, 2])
    expect(placesTried(below, second, first)).toEqual([1, 2])
  })

  test('takes one whose key identifier is another: it is a hint, and anyone writes there what they like', () => {
    const odd = ca.issue({ authorityKeyIdentifier: keyIdentifier })
    expectPath(judge([odd, ca.issuer], [ca.root]), odd, ca.issuer, ca.root)
  })
})

describe('a caller who refuses', () => {
  test('is shown anchors first, and each path once, however often its certificates were sent', () => {
    const cross = crossSign(ca.root, other.root)
    const { seen, acceptPath } = refusing()
    judge([server, cross, ca.issuer, ca.root, cross, ca.issuer], [ca.root, other.root], { acceptPath })
    expect(seen.map(({ certificates }) => certificates.map(({ subject }) => subject.text))).toEqual([
      ['CN=api.example.com', 'CN=Test Intermediate', 'CN=Test Root'],
      ['CN=api.example.com', 'CN=Test Intermediate', 'CN=Test Root', 'CN=Other Root'],
    ])
  })

  test('gives every reason, in order, before what else went wrong', () => {
    const dead = expiredTwinOf(ca.issuer)
    const cross = crossSign(ca.root, other.root)
    const acceptPath = ({ certificates }: CertificationPath): Finding => ({
      ...REFUSAL,
      message: `not these ${certificates.length}`,
    })
    const result = judge([...chainOf(server), cross, dead], [ca.root, other.root], { acceptPath })
    expect(findingsOf(result).map(({ message }) => message)).toEqual([
      'not these 3',
      'not these 4',
      expect.stringContaining('expired'),
    ])
  })

  test('sends the search on above an end entity that is an anchor', () => {
    const acceptPath = ({ certificates }: CertificationPath) => (certificates.length === 1 ? REFUSAL : undefined)
    expectPath(judge(chainOf(server), [server, ca.root], { acceptPath }), server, ca.issuer, ca.root)
  })

  test.each<[string, readonly TestCertificate[], number?]>([
    ['it is the end entity', [server]],
    ['nobody known has issued it', [ca.issuer]],
    ['it is the last a path may have', [ca.issuer, ca.root], 0],
  ])('is all that is heard where the search cannot go on above an anchor: %s', (_, anchors, maxDepth = 10) => {
    expect(findingsOf(judge([server], anchors, { maxDepth, acceptPath: () => REFUSAL }))).toEqual([REFUSAL])
  })

  test('is all that is heard where what an anchor may be, a link may not: signed with SHA-1', () => {
    const old = crossSign(other.root, ca.root, { hash: 'sha1' })
    const below = other.root.issue()
    expectPath(judge([below], [old, ca.root]), below, old)
    expect(findingsOf(judge([below], [old, ca.root], { acceptPath: () => REFUSAL }))).toEqual([REFUSAL])
  })
})

describe('length', () => {
  test('a self-issued intermediate does not count against maxDepth', () => {
    const renewed = ca.issuer.issue({ ca: true, subject: ca.issuer.subject })
    const leaf = renewed.issue()
    expectPath(judge(chainOf(leaf), [ca.root], { maxDepth: 1 }), leaf, renewed, ca.issuer, ca.root)
    expectRefusal(judge(chainOf(leaf), [ca.root], { maxDepth: 0 }), 'ERR_TRUST_PATH_LENGTH', 2)
  })

  test('ten intermediates are the most where maxDepth is not given', () => {
    const [ten, eleven] = [10, 11].map((intermediates) => testCa({ now: NOW, intermediates }))
    expect(ten && judge(chainOf(ten.issue()), [ten.root]).kind).toBe('valid')
    expect(eleven && judge(chainOf(eleven.issue()), [eleven.root]).kind).toBe('invalid')
  })

  test('a CA may stand on the path with one key under two names, and with one name for two keys', () => {
    const alias = crossSign(ca.root, ca.root, { subject: 'Alias' })
    const successor = alias.issue({ ca: true, subject: 'Alias' })
    const leaf = successor.issue()
    expectPath(judge([leaf, successor, alias], [ca.root]), leaf, successor, alias, ca.root)
  })
})

describe('the budget of a search', () => {
  const exceeding = (what: string): Finding => ({
    code: 'ERR_TRUST_PATH_BUDGET',
    certificateIndex: null,
    message: `the search for a path was given up: at most ${what} are made for one peer`,
  })

  /** `copies` of each step's certificate: every route to the top is over other certificates and the same keys. */
  function ladder(steps: number, copies: number): readonly TestCertificate[] {
    const cas = Array.from(
      { length: steps + 1 },
      (_, step) => testCa({ now: NOW, intermediates: 0, name: `${step}` }).root,
    )
    const rungs = cas
      .slice(1)
      .flatMap((above, step) => Array.from({ length: copies }, () => crossSign(cas[step] ?? above, above)))
    return [cas[0]?.issue() ?? ca.root, ...rungs]
  }

  /** Anchors that differ in nothing but their serial number. */
  const twins = (count: number): readonly TestCertificate[] =>
    Array.from({ length: count }, () => selfSigned({ ...ca.root.options, subject: ca.root.subject, ca: true }))

  test('lets it go all of 9 840 ways, and pays once for a signature that is on many of them', () => {
    expect(findingsOf(judge(ladder(8, 3), [ca.root])).map(({ code }) => code)).toEqual([
      'ERR_TRUST_UNKNOWN_ISSUER',
      'ERR_TRUST_UNKNOWN_ISSUER',
      'ERR_TRUST_UNKNOWN_ISSUER',
    ])
  })

  test('ends it after 10 000 steps', () => {
    expect(findingsOf(judge(ladder(7, 4), [ca.root]))[0]).toEqual(exceeding('10000 search steps'))
  })

  test('takes a path with the hundredth signature check, and none with one more', () => {
    const wrong = Array.from({ length: 99 }, () => impostorOf(ca.issuer, { now: NOW }))
    expectPath(judge(chainOf(server), [...wrong.slice(1), ca.root]), server, ca.issuer, ca.root)
    expectRefusal(judge(chainOf(server), [...wrong, ca.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
  })

  test('says nothing of what an issuer allows once its signatures are no longer checked', () => {
    const limited = testCa({ now: NOW, intermediate: { pathLength: 0 } })
    const below = limited.issuer.issue({ ca: true, subject: 'Below' })
    const wrong = Array.from({ length: 99 }, () => impostorOf(below, { now: NOW }))
    const presented = chainOf(below.issue())
    expectRefusal(judge(presented, [...wrong.slice(1), limited.root]), 'ERR_TRUST_PATH_LENGTH', 2)
    expectRefusal(judge(presented, [...wrong, limited.root]), 'ERR_TRUST_SIGNATURE_INVALID', 0)
  })

  test('shows a caller 64 paths at most', () => {
    for (const [count, findings] of [
      [64, [REFUSAL]],
      [65, [REFUSAL, exceeding('64 complete paths')]],
    ] as const) {
      const { seen, acceptPath } = refusing()
      expect(findingsOf(judge([ca.root.issue()], twins(count), { acceptPath }))).toEqual(findings)
      expect(seen).toHaveLength(64)
    }
  })

  test('counts the policies of each complete path as comparisons', () => {
    const oids = Array.from({ length: 1_250 }, (_, index) => `1.2.3.${index}`)
    const rich = ca.root.issue({ extensions: [extension.certificatePolicies(oids)] }) // 4 × 1 250 for each of 50 paths
    for (const [count, findings] of [
      [50, [REFUSAL]],
      [51, [REFUSAL, exceeding('250000 name comparisons')]],
    ] as const) {
      const { seen, acceptPath } = refusing()
      expect(findingsOf(judge([rich], twins(count), { acceptPath }))).toEqual(findings)
      expect(seen).toHaveLength(50)
    }
  })

  test('counts every comparison of a name with a constraint', () => {
    const names = Array.from({ length: 500 }, (_, index) => `n${index}.example`)
    const permitted = names.map((dns) => ({ dns }))
    const strict = testCa({ now: NOW, intermediates: 0, root: { nameConstraints: { permitted } } })
    const some = strict.issue({ names: names.slice(1) })
    expectPath(judge([some], [strict.root]), some, strict.root)
    const result = judge([strict.issue({ names }), strict.root], [strict.root])
    expect(findingsOf(result)).toEqual([exceeding('250000 name comparisons')])
  })
})
