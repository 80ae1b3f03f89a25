import { crl, extension, type IssueOptions, ocspResponse, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import {
  checkRevocation,
  isShortLived,
  judgeStaple,
  mayChange,
  mustStaple,
  type RevocationEvidence,
  refusalOf,
} from '../../../src/trust/revocation/check.ts'
import { readCrl } from '../../../src/trust/revocation/crl.ts'
import { DEFAULT_LIMITS } from '../../../src/trust/revocation/evidence.ts'
import { DEFAULT_REVOCATION, type RevocationPolicy } from '../../../src/trust/revocation/policy.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'

const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const DAY = 86_400_000
const TOMORROW = NOW + DAY
const ca = testCa({ now: NOW })
const certificate = ca.issue({ names: ['api.example.com'] })

function check(given: {
  readonly of?: TestCertificate
  readonly policy?: Partial<RevocationPolicy>
  readonly staple?: Uint8Array
  readonly cached?: Uint8Array
  /** Lists by the CA that signed them. */
  readonly lists?: readonly (readonly [TestCertificate, Uint8Array])[]
  readonly crliteFilters?: () => readonly Uint8Array[]
}) {
  const { of = certificate, staple, cached, lists = [], crliteFilters } = given
  const policy: RevocationPolicy = { ...DEFAULT_REVOCATION, ...given.policy }
  const path = pathOf(of)
  const evidence: RevocationEvidence = {
    ...(staple === undefined ? {} : { staple }),
    crls: (_, issuer) =>
      lists.flatMap(([by, der]) =>
        parseCertificate(by.der).sha256 === issuer.sha256 ? [readCrl(der, issuer, DEFAULT_LIMITS)] : [],
      ),
    ...(crliteFilters === undefined ? {} : { crliteFilters }),
    ocspResponses: (about) => (cached === undefined || about !== path.certificates[0] ? [] : [cached]),
  }
  const verdict = checkRevocation(path, policy, evidence, NOW)
  const finding = refusalOf(verdict, path, policy) ?? judgeStaple(path, policy, evidence, NOW).finding
  return { verdict, finding }
}

function pathOf(end: TestCertificate): CertificationPath {
  const [first, ...rest] = end.chainWithRoot.map((der) => parseCertificate(der))
  if (first === undefined) throw new Error('no certificate')
  return { certificates: [first, ...rest], policies: [] }
}

const staple = (options: Partial<Parameters<typeof ocspResponse>[0]> = {}): Uint8Array =>
  ocspResponse({ certificate, ...options })

describe('modes', () => {
  test('by default the end entity is looked at, beside the requests, and what nobody knows passes', () => {
    expect(DEFAULT_REVOCATION).toMatchObject({ mode: 'soft-fail', depth: 'endEntity', fetch: 'background' })
  })

  test.each(['soft-fail', 'hard-fail'] as const)('%s: revoked refuses, good passes', (mode) => {
    const policy = { mode }
    expect(check({ policy, staple: staple() })).toEqual({
      verdict: { status: 'good', source: 'staple', validUntil: NOW + 3 * DAY, causes: [] },
      finding: undefined,
    })
    expect(check({ policy, staple: staple({ status: 'revoked', reason: 1 }) }).finding).toMatchObject({
      code: 'ERR_TRUST_CERT_REVOKED',
      certificateIndex: 0,
      message: expect.stringMatching(/was revoked on 2029-12-31T.*\(keyCompromise\), says its stapled OCSP response/),
    })
  })

  test('undetermined passes in soft-fail with every cause, and is refused in hard-fail with the same', () => {
    const given = { staple: staple({ signature: 'garbage' as const }) }
    const soft = check(given)
    expect(soft.finding).toBeUndefined()
    expect(soft.verdict).toMatchObject({
      status: 'undetermined',
      causes: [
        { source: 'staple', code: 'ERR_TRUST_OCSP_BAD_SIGNATURE' },
        { source: 'crl', code: 'ERR_TRUST_CRL_NONE' },
      ],
    })
    const strict = { mode: 'hard-fail' } as const
    expect(check({ ...given, policy: strict }).finding).toEqual({
      code: 'ERR_TRUST_REVOCATION_UNDETERMINED',
      certificateIndex: 0,
      message:
        'CN=api.example.com: nothing says that it is not revoked; ' +
        'staple: ERR_TRUST_OCSP_BAD_SIGNATURE (the signature of the response is not the signer’s); ' +
        'crl: ERR_TRUST_CRL_NONE (no list of the issuer is at hand)',
    })
    expect(check({ policy: { ...strict, sources: [] } }).finding).toMatchObject({
      message: 'CN=api.example.com: nothing says that it is not revoked; no source was at hand',
    })
  })

  test('off looks at nothing', () => {
    const policy = { mode: 'off', staple: 'always' } as const
    for (const sent of [{}, { staple: staple({ status: 'revoked' }) }]) {
      expect(check({ policy, ...sent })).toEqual({ verdict: { status: 'unchecked' }, finding: undefined })
    }
  })

  test('what the responder does not know is refused, unless the policy takes it for undetermined', () => {
    const unknown = staple({ status: 'unknown' })
    expect(check({ staple: unknown }).finding).toMatchObject({
      code: 'ERR_TRUST_OCSP_UNKNOWN',
      certificateIndex: 0,
      message: 'the responder does not know CN=api.example.com',
    })
    expect(check({ staple: unknown, lists: [[ca.issuer, crl({ issuer: ca.issuer })]] }).finding).toMatchObject({
      code: 'ERR_TRUST_OCSP_UNKNOWN',
    })
    expect(check({ staple: unknown, policy: { ocspUnknown: 'undetermined' } }).finding).toBeUndefined()
  })
})

describe('sources', () => {
  const revokedList = crl({ issuer: ca.issuer, revoked: [certificate] })

  test('one that says revoked outweighs all that say good', () => {
    const lists = [[ca.issuer, revokedList]] as const
    expect(check({ staple: staple(), lists }).finding).toMatchObject({
      code: 'ERR_TRUST_CERT_REVOKED',
      message: expect.stringContaining('CRL'),
    })
    const cached = staple({ status: 'revoked' })
    expect(check({ staple: staple(), cached }).finding).toMatchObject({ code: 'ERR_TRUST_CERT_REVOKED' })
  })

  test('those that the policy leaves out are not asked', () => {
    const lists = [[ca.issuer, revokedList]] as const
    expect(check({ lists, policy: { sources: ['staple'] } }).finding).toBeUndefined()
  })

  test('a list of the issuer says good where nothing else is at hand', () => {
    expect(check({ lists: [[ca.issuer, crl({ issuer: ca.issuer })]] }).verdict).toMatchObject({
      status: 'good',
      source: 'crl',
    })
  })

  test('chain looks at intermediates too, endEntity does not', () => {
    const lists = [
      [ca.issuer, crl({ issuer: ca.issuer })],
      [ca.root, crl({ issuer: ca.root, revoked: [ca.issuer] })],
    ] as const
    expect(check({ lists }).verdict.status).toBe('good')
    expect(check({ lists, policy: { depth: 'chain' } }).finding).toMatchObject({
      code: 'ERR_TRUST_CERT_REVOKED',
      certificateIndex: 1,
    })
    const half = lists.slice(0, 1)
    expect(check({ lists: half, policy: { depth: 'chain', mode: 'hard-fail' } }).finding).toMatchObject({
      code: 'ERR_TRUST_REVOCATION_UNDETERMINED',
    })
    const whole = [...half, [ca.root, crl({ issuer: ca.root })]] as const
    expect(check({ lists: whole, policy: { depth: 'chain', mode: 'hard-fail' } }).finding).toBeUndefined()
  })

  test.each(['endEntity', 'chain'] as const)(
    'an end entity that is the anchor itself cannot be revoked by anybody, whether %s is looked at',
    (depth) => {
      expect(check({ of: ca.root, policy: { mode: 'hard-fail', staple: 'always', depth } })).toEqual({
        verdict: { status: 'unchecked' },
        finding: undefined,
      })
    },
  )

  test('a chain is good until the first of its statements ends', () => {
    const until = (ofEndEntity: number, ofIntermediate: number) =>
      check({
        policy: { depth: 'chain', sources: ['staple', 'crl'] },
        staple: staple({ nextUpdate: NOW + ofEndEntity * DAY }),
        lists: [
          [ca.issuer, crl({ issuer: ca.issuer })],
          [ca.root, crl({ issuer: ca.root, nextUpdate: NOW + ofIntermediate * DAY })],
        ],
      }).verdict
    expect(until(1, 2)).toEqual({ status: 'good', source: 'staple', validUntil: NOW + DAY, causes: [] })
    expect(until(2, 1)).toEqual({ status: 'good', source: 'crl', validUntil: NOW + DAY, causes: [] })
    expect(until(2, 2)).toMatchObject({ source: 'staple' }) // of equals the end entity’s
  })

  test('a good chain names the statements that do not count yet, and no others', () => {
    const { verdict } = check({
      policy: { depth: 'chain', sources: ['staple', 'cache', 'crl'] },
      staple: staple(),
      cached: staple({ nextUpdate: NOW - DAY / 48 }),
      lists: [
        [ca.issuer, crl({ issuer: ca.issuer, thisUpdate: NOW + DAY, nextUpdate: NOW + 2 * DAY })],
        [ca.root, crl({ issuer: ca.root })],
      ],
    })
    const coming = { source: 'crl', code: 'ERR_TRUST_CRL_NOT_YET_VALID', certificateIndex: 0 }
    expect(verdict).toMatchObject({ status: 'good', source: 'staple', causes: [coming] })
    expect(mayChange(verdict)).toBe(true)
  })

  test.each<[string, boolean, Parameters<typeof check>[0]]>([
    ['good', false, { staple: staple() }],
    ['revoked', false, { staple: staple({ status: 'revoked' }) }],
    ['off', false, { policy: { mode: 'off' } }],
    ['no list', false, {}],
    ['a list that begins tomorrow', true, { lists: [[ca.issuer, crl({ issuer: ca.issuer, thisUpdate: TOMORROW })]] }],
    ['a response of tomorrow', true, { staple: staple({ thisUpdate: TOMORROW, producedAt: NOW }) }],
    ['a response that is made tomorrow', true, { staple: staple({ producedAt: TOMORROW }) }],
    [
      'a responder of tomorrow',
      true,
      { staple: staple({ responder: ca.issuer.issue({ notBefore: TOMORROW, extendedKeyUsage: ['ocspSigning'] }) }) },
    ],
  ])('what is said of %s may change: %s', (_, expected, given) => {
    expect(mayChange(check(given).verdict)).toBe(expected)
  })

  test('a staple is about the end entity alone, and an empty one is none', () => {
    const policy = { depth: 'chain', sources: ['staple', 'crl'] } as const
    const noList = { source: 'crl', code: 'ERR_TRUST_CRL_NONE', message: 'no list of the issuer is at hand' }
    const lists = [[ca.issuer, crl({ issuer: ca.issuer })]] as const
    expect(check({ policy, lists, staple: staple() }).verdict).toEqual({
      status: 'undetermined',
      causes: [{ ...noList, certificateIndex: 1 }],
    })
    expect(check({ policy, staple: new Uint8Array() }).verdict).toEqual({
      status: 'undetermined',
      causes: [0, 1].map((certificateIndex) => ({ ...noList, certificateIndex })),
    })
  })

  test('of sources that say good the preferred one counts', () => {
    const lists = [[ca.issuer, crl({ issuer: ca.issuer })]] as const
    const given = { staple: staple(), lists }
    expect(check({ ...given, policy: { sources: ['staple', 'crl'] } }).verdict).toMatchObject({ source: 'staple' })
    expect(check({ ...given, policy: { sources: ['crl', 'staple'] } }).verdict).toMatchObject({ source: 'crl' })
  })

  test('responders that are asked answer into the cache, and say nothing by themselves', () => {
    const policy = { sources: ['ocsp'] } as const
    expect(check({ policy, cached: staple({ status: 'revoked' }) }).verdict).toEqual({
      status: 'undetermined',
      causes: [],
    })
  })

  test('CRLite without a filter says nothing', () => {
    const about = { source: 'crlite', certificateIndex: 0 }
    const none = { ...about, code: 'ERR_TRUST_CRLITE_NONE', message: 'no filter is at hand' }
    const nothing = { status: 'undetermined', causes: [none] }
    const policy = { sources: ['crlite'] } as const
    expect(check({ policy }).verdict).toEqual(nothing)
    expect(check({ policy, crliteFilters: () => [] }).verdict).toEqual(nothing)
  })

  test.each([
    ['staple', staple({ status: 'revoked' }), 'stapled OCSP response'],
    ['cache', staple({ status: 'revoked' }), 'OCSP responder'],
    ['crl', revokedList, 'issuer’s CRL'],
  ] as const)('%s that says revoked is named in the refusal', (source, der, name) => {
    const evidence = {
      staple: { staple: der },
      cache: { cached: der },
      crl: { lists: [[ca.issuer, der]] as const },
    }[source]
    expect(check({ ...evidence, policy: { sources: [source] } })).toEqual({
      verdict: { status: 'revoked', source, finding: expect.anything() },
      finding: {
        code: 'ERR_TRUST_CERT_REVOKED',
        certificateIndex: 0,
        message: `CN=api.example.com was revoked on 2029-12-31T22:00:00.000Z, says its ${name}`,
      },
    })
  })

  test.each([
    [0, 'unspecified'],
    [1, 'keyCompromise'],
    [2, 'cACompromise'],
    [3, 'affiliationChanged'],
    [4, 'superseded'],
    [5, 'cessationOfOperation'],
    [6, 'certificateHold'],
    [8, 'removeFromCRL'],
    [9, 'privilegeWithdrawn'],
    [10, 'aACompromise'],
  ])('CRLReason %i is told as %s (RFC 5280 §5.3.1)', (reason, name) => {
    expect(check({ staple: staple({ status: 'revoked', reason }) }).finding?.message).toBe(
      `CN=api.example.com was revoked on 2029-12-31T22:00:00.000Z (${name}), says its stapled OCSP response`,
    )
  })
})

describe('staples that are demanded', () => {
  const strict = ca.issue({ names: ['api.example.com'], extensions: [extension.mustStaple()] })

  test('by the certificate: without a good one refused, whatever lists say', () => {
    const lists = [[ca.issuer, crl({ issuer: ca.issuer })]] as const
    expect(check({ of: strict, lists }).finding).toEqual({
      code: 'ERR_TRUST_MUST_STAPLE_MISSING',
      certificateIndex: 0,
      message: 'CN=api.example.com: the certificate demands a staple, the server sent none',
    })
    const expired = ocspResponse({ certificate: strict, thisUpdate: NOW - DAY / 2, nextUpdate: NOW - DAY / 4 })
    expect(check({ of: strict, lists, staple: expired }).finding).toEqual({
      code: 'ERR_TRUST_OCSP_EXPIRED',
      certificateIndex: 0,
      message: 'CN=api.example.com: the demanded staple: valid until 2029-12-31T18:00:00.000Z',
    })
    expect(check({ of: strict, staple: ocspResponse({ certificate: strict }) }).finding).toBeUndefined()
    expect(check({ of: strict, policy: { staple: 'never' } }).finding).toBeUndefined()
  })

  test('by the policy: refused without one', () => {
    const policy = { staple: 'always' } as const
    expect(check({ policy }).finding).toEqual({
      code: 'ERR_TRUST_STAPLE_MISSING',
      certificateIndex: 0,
      message: 'CN=api.example.com: the policy demands a staple, the server sent none',
    })
    expect(check({ policy, staple: new Uint8Array() }).finding).toMatchObject({ code: 'ERR_TRUST_STAPLE_MISSING' })
    expect(check({ policy, staple: staple() }).finding).toBeUndefined()
    expect(check({ staple: new Uint8Array() }).finding).toBeUndefined()
  })

  test('end the acceptance with them, whatever they say', () => {
    const judged = (policy: Partial<RevocationPolicy>) =>
      judgeStaple(
        pathOf(certificate),
        { ...DEFAULT_REVOCATION, ...policy },
        { staple: staple({ status: 'revoked' }), crls: () => [], ocspResponses: () => [] },
        NOW,
      )
    expect(judged({ staple: 'always' })).toEqual({ validUntil: NOW + 3 * DAY })
    expect(judged({})).toEqual({}) // nobody demands one
  })

  test('by an extension that cannot be read, or that lists other features', () => {
    const feature = (value: Uint8Array) =>
      mustStaple(
        parseCertificate(ca.issue({ extensions: [{ oid: '1.3.6.1.5.5.7.1.24', critical: false, value }] }).der),
      )
    expect(feature(Uint8Array.of(0x30, 3, 2, 1, 5))).toBe(true)
    expect(feature(Uint8Array.of(0x30, 3, 2, 1, 17))).toBe(false)
    expect(feature(Uint8Array.of(0xff))).toBe(true)
  })
})

describe('short-lived certificates', () => {
  const lives = (notBefore: number, seconds: number, more: IssueOptions = {}): boolean =>
    isShortLived(parseCertificate(ca.issue({ notBefore, notAfter: notBefore + (seconds - 1) * 1_000, ...more }).der))
  const [TEN_DAYS, SEVEN_DAYS] = [864_000, 604_800]

  test.each([
    ['seven days since 15 March 2026', Date.UTC(2026, 2, 15), SEVEN_DAYS, true],
    ['a second more', Date.UTC(2026, 2, 15), SEVEN_DAYS + 1, false],
    ['ten days until then', Date.UTC(2026, 2, 15) - 1_000, TEN_DAYS, true],
    ['a second more until then', Date.UTC(2026, 2, 15) - 1_000, TEN_DAYS + 1, false],
    ['an hour since 15 March 2024', Date.UTC(2024, 2, 15), 3_600, true],
    ['an hour before 15 March 2024', Date.UTC(2024, 2, 15) - 1_000, 3_600, false],
  ])('%s', (_, notBefore, seconds, expected) => {
    expect(lives(notBefore, seconds)).toBe(expected)
  })

  test('one without basicConstraints is no CA', () => {
    expect(lives(Date.UTC(2026, 5, 1), 3_600, { omit: ['2.5.29.19'] })).toBe(true)
  })

  test('a CA is none', () => {
    expect(lives(Date.UTC(2026, 5, 1), 3_600, { ca: true })).toBe(false)
  })

  test('is good without any evidence, and revoked when evidence says so', () => {
    const brief = ca.issue({ names: ['api.example.com'], notBefore: NOW - DAY, notAfter: NOW + DAY })
    expect(check({ of: brief, policy: { mode: 'hard-fail' } })).toMatchObject({
      verdict: { status: 'good', source: 'short-lived' },
      finding: undefined,
    })
    const lists = [[ca.issuer, crl({ issuer: ca.issuer, revoked: [brief] })]] as const
    expect(check({ of: brief, lists }).finding).toMatchObject({ code: 'ERR_TRUST_CERT_REVOKED' })
  })
})
