import {
  crl,
  crlNumber,
  extension,
  generateKey,
  type IssueOptions,
  type TestCertificate,
  type TestCrlOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { RevocationVerdict } from '../../../src/trust/revocation/check.ts'
import { CrlSet, type CrlSetInput } from '../../../src/trust/revocation/crl-set.ts'
import { DEFAULT_LIMITS } from '../../../src/trust/revocation/evidence.ts'
import { sequence, tagged, taggedPrimitive } from '../../../src/x509/der-writer.ts'
import { encodeName } from '../../../src/x509/extension-writer.ts'
import { certificateIssuer } from '../../../src/x509/revocation-writer.ts'
import { expectPath, judge, NOW } from '../path/support.ts'

const DAY = 86_400_000
const HERE = 'http://crl.example.com/1.crl'
const INTERMEDIATE = [['CN', 'Test Intermediate'] as const]
const ALL = [1, 2, 3, 4, 5, 6, 7, 8]
const ca = testCa({ now: NOW })
const server = issue()
/** About the intermediate, and whatever else the root has issued. */
const rootList = crl({ issuer: ca.root })

type Point = Parameters<typeof extension.crlDistributionPoints>[0][number]

/** An end entity of the intermediate with these distribution points. */
function issue(...points: readonly Point[]): TestCertificate {
  const extensions = points.length === 0 ? [] : [extension.crlDistributionPoints(points)]
  return ca.issue({ names: ['api.example.com'], extensions })
}

/** Whose lists a certificate names in its issuer's place. */
const issuedBy = (authority: TestCertificate): Point => ({ crlIssuer: authority.subject })

/** A certificate of the root, or another CA, whose key signs lists. */
function authority(options: IssueOptions = {}, issuer: TestCertificate = ca.root): TestCertificate {
  return issuer.issue({ subject: 'Authority', keyUsage: ['cRLSign'], extendedKeyUsage: [], ...options })
}

function list(options: Partial<TestCrlOptions> = {}): Uint8Array {
  return crl({ issuer: ca.issuer, now: NOW, ...options })
}

const delta = (options: Partial<TestCrlOptions> = {}) => list({ number: 7, baseNumber: 5, ...options })

const indirect = (issuer: TestCertificate, ...revoked: readonly TestCertificate[]): Uint8Array =>
  list({ issuer, revoked, scope: { indirect: true } })

interface Given extends Partial<CrlSetInput> {
  readonly anchor?: TestCertificate
  readonly signers?: readonly TestCertificate[]
}

/** What lists say about a certificate's path, with the root's own list at hand. */
function verdictOf(subject: TestCertificate, lists: readonly Uint8Array[], given: Given = {}): RevocationVerdict {
  const { anchor = ca.root, signers = [], ...rest } = given
  const path = expectPath(judge([{ der: subject.der }, ...subject.chain.slice(1)], [anchor]), ...asDer(subject))
  const set = new CrlSet({
    lists: [rootList, ...lists],
    certificates: signers.map(({ der }) => der),
    now: NOW,
    limits: DEFAULT_LIMITS,
    ...rest,
  })
  const verdict = set.check(path)
  expect(set.check(path)).toEqual(verdict)
  return verdict
}

/** `good`, `revoked` or the codes of the causes, each once. */
function statusOf(...about: Parameters<typeof verdictOf>): string {
  const verdict = verdictOf(...about)
  if (verdict.status !== 'undetermined') return verdict.status
  return [...new Set(verdict.causes.map(({ code }) => code satisfies ErrorCode))].join(' ')
}

/** The causes of an undetermined status, each once. */
function causesOf(...about: Parameters<typeof verdictOf>): readonly string[] {
  const verdict = verdictOf(...about)
  if (verdict.status !== 'undetermined') return [verdict.status]
  return [...new Set(verdict.causes.map(({ code, message }) => `${code} ${message}`))]
}

const asDer = ({ chainWithRoot }: TestCertificate) => chainWithRoot.map((der) => ({ der }))

describe('a set of CRLs', () => {
  test('says good where each certificate but the anchor has a list, until the first of them ends', () => {
    expect(statusOf(server, [list()])).toBe('good')
    expect(statusOf(server, [list()], { lists: [list()] })).toBe('ERR_TRUST_CRL_NONE')
    expect(statusOf(server, [])).toBe('ERR_TRUST_CRL_NONE')
    const path = expectPath(judge(server.chain, [ca.root]), ...asDer(server))
    const lists = [rootList, list({ nextUpdate: NOW + 2 * DAY })]
    const set = new CrlSet({ lists, certificates: [], now: NOW, limits: DEFAULT_LIMITS })
    expect(set.check(path)).toEqual({ status: 'good', source: 'crl', validUntil: NOW + 2 * DAY, causes: [] })
  })

  test('says revoked wherever on the path a certificate is listed, and which', () => {
    const path = expectPath(judge(server.chain, [ca.root]), ...asDer(server))
    for (const [index, lists] of [
      [0, [rootList, list({ revoked: [server], reason: 1 })]],
      [1, [crl({ issuer: ca.root, revoked: [ca.issuer], reason: 1 }), list()]],
    ] as const) {
      const set = new CrlSet({ lists, certificates: [], now: NOW, limits: DEFAULT_LIMITS })
      const message = `${['CN=api.example.com', 'CN=Test Intermediate'][index]} was revoked on 2029-12-31T22:00:00.000Z (keyCompromise), says its issuer’s CRL`
      const finding = { code: 'ERR_TRUST_CERT_REVOKED', certificateIndex: index, message }
      expect(set.check(path)).toEqual({ status: 'revoked', source: 'crl', finding })
    }
  })

  test('has nothing to say of an end entity that is the anchor', () => {
    const path = expectPath(judge([server], [server]), server)
    const set = new CrlSet({ lists: [], certificates: [], now: NOW, limits: DEFAULT_LIMITS })
    expect(set.check(path)).toEqual({ status: 'unchecked' })
  })

  test('needs one list that names the certificate to call it revoked, whatever the others say', () => {
    const lists = [list({ number: 2 }), list({ number: 1, revoked: [server] })]
    expect(statusOf(server, lists)).toBe('revoked')
    expect(statusOf(server, lists.toReversed())).toBe('revoked')
  })

  test.each([
    ['a forged list', list({ signature: 'garbage', revoked: [server] }), 'ERR_TRUST_CRL_BAD_SIGNATURE'],
    ['an expired list', list({ nextUpdate: NOW - DAY, revoked: [server] }), 'ERR_TRUST_CRL_EXPIRED'],
    ['a list cut short', list({ revoked: [server] }).subarray(0, -1), 'ERR_TRUST_CRL_MALFORMED'],
    ['bytes that are no list', Uint8Array.of(1, 2, 3), 'ERR_TRUST_CRL_MALFORMED'],
    ['the head of a list', list().subarray(0, 40), 'ERR_TRUST_CRL_MALFORMED'],
  ])('%s counts for nothing, beside a sound one or alone', (_, bad, code) => {
    expect(statusOf(server, [bad, list()])).toBe('good')
    expect(statusOf(server, [bad])).toContain(code)
  })

  test('that says nothing says of which certificate, and why', () => {
    expect(verdictOf(server, [])).toEqual({
      status: 'undetermined',
      causes: [
        {
          source: 'crl',
          code: 'ERR_TRUST_CRL_NONE',
          certificateIndex: 0,
          message: 'CN=api.example.com: no list of the issuer is at hand',
        },
      ],
    })
    const tooMany = 'ERR_TRUST_CRL_TOO_LARGE CN=api.example.com: 65 lists of one issuer, at most 64 are looked at'
    expect(causesOf(server, new Array<Uint8Array>(65).fill(list()))).toEqual([tooMany])
    expect(causesOf(server, [delta()])).toEqual([
      'ERR_TRUST_CRL_DELTA_UNSUPPORTED CN=api.example.com: a delta CRL says nothing without its base',
    ])
    expect(causesOf(server, [list({ number: null })], { crlNumber: 'required' })).toEqual([
      'ERR_TRUST_CRL_MALFORMED CN=api.example.com: the list has no crlNumber, or a critical one',
    ])
    expect(causesOf(server, [list({ revoked: [server], entryExtensions: [certificateIssuer('A')] })])).toEqual([
      'ERR_TRUST_CRL_INDIRECT_UNSUPPORTED CN=api.example.com: entries name other issuers, and the list does not say that it speaks for any',
    ])
  })

  test('tells of lists that cannot be read at every certificate that nothing else speaks of: they may be about anyone', () => {
    const atEach = (why: string) =>
      ['CN=api.example.com', 'CN=Test Intermediate'].map((name) => `ERR_TRUST_CRL_MALFORMED ${name}: ${why}`)
    expect(causesOf(server, [], { lists: [Uint8Array.of(4, 2, 5, 0)] })).toEqual(atEach('not a certificate list'))
    expect(causesOf(server, [], { lists: [list().subarray(0, 40)] })).toEqual(
      atEach('the head of the list is cut short or too long'),
    )
    const broken = list({ revoked: [server] })
    const at = Buffer.from(broken).indexOf(Buffer.from(server.serial))
    broken[at - 4] = 4 // of this issuer all the same
    expect(causesOf(server, [], { lists: [broken] })).toEqual([
      'ERR_TRUST_CRL_MALFORMED CN=api.example.com: an entry of the list is no sequence',
      'ERR_TRUST_CRL_NONE CN=Test Intermediate: no list of the issuer is at hand',
    ])
  })

  test('does not choose among more lists of one issuer than it looks at', () => {
    const one = list()
    expect(statusOf(server, new Array<Uint8Array>(64).fill(one))).toBe('good')
    expect(statusOf(server, new Array<Uint8Array>(65).fill(one))).toBe('ERR_TRUST_CRL_TOO_LARGE')
  })

  test('with any octet of a list changed is not good, and throws nothing', () => {
    const sound = list({ scope: { uri: HERE, indirect: true }, revoked: [ca.issue()] })
    const subject = issue(HERE)
    expect(statusOf(subject, [sound])).toBe('good')
    for (const [index, octet] of sound.entries()) {
      const changed = sound.slice()
      changed[index] = octet ^ 0x15
      expect(statusOf(subject, [changed]), `octet ${index}`).toMatch(/^ERR_TRUST_CRL_/)
    }
  })

  test('asks for crlNumber only where told to', () => {
    const critical = { extensions: [crlNumber(1, undefined, true)] }
    for (const bad of [withoutNumber(), crl({ issuer: ca.issuer, number: null, ...critical })]) {
      expect(statusOf(server, [bad])).toBe('good')
      expect(statusOf(server, [bad], { crlNumber: 'required' })).toBe('ERR_TRUST_CRL_MALFORMED')
    }
    expect(statusOf(server, [list()], { crlNumber: 'required' })).toBe('good')
  })
})

const withoutNumber = (): Uint8Array => list({ number: null })

describe('the scope of a list', () => {
  const below = (name: string) => [{ directory: [...INTERMEDIATE, ['CN', name] as const] }]

  test.each<[string, Point | undefined, TestCrlOptions['scope']]>([
    ['the address of the certificate’s point', HERE, { uri: HERE }],
    ['one of several addresses', HERE, { names: [{ uri: 'http://other.example/' }, { uri: HERE }] }],
    ['a directory name', { names: [{ uri: HERE }, ...below('CRL1')] }, { names: below('CRL1') }],
    ['a name relative to the issuer', { names: below('CRL1') }, { relativeName: ['CN', 'CRL1'] }],
    ['a name that the certificate has relative', { relativeName: ['CN', 'CRL1'] }, { names: below('CRL1') }],
    ['a relative name in both', { relativeName: ['CN', 'crl1 '] }, { relativeName: ['CN', 'CRL1'] }],
    ['everything, and the certificate names a place', HERE, undefined],
    ['the issuer’s name, and the certificate names nothing', undefined, { names: [{ directory: ca.issuer.subject }] }],
    ['end entities', undefined, { onlyUserCerts: true }],
    ['all reasons, one by one', undefined, { onlySomeReasons: ALL }],
    ['several issuers, this one among them', undefined, { indirect: true }],
  ])('a list of %s says good or revoked', (_, point, scope) => {
    const subject = issue(...(point === undefined ? [] : [point]))
    const options = scope === undefined ? {} : { scope }
    expect(statusOf(subject, [list(options)])).toBe('good')
    expect(statusOf(subject, [list({ ...options, revoked: [server, subject] })])).toBe('revoked')
  })

  test.each<[string, Point | undefined, TestCrlOptions['scope']]>([
    ['another address', HERE, { uri: `${HERE}2` }],
    ['an address, where the certificate names none', undefined, { uri: HERE }],
    ['another directory name', { names: below('CRL1') }, { names: below('CRL2') }],
    ['another relative name', { relativeName: ['CN', 'CRL1'] }, { relativeName: ['CN', 'CRL2'] }],
    ['CA certificates', undefined, { onlyCaCerts: true }],
    ['attribute certificates', undefined, { onlyAttributeCerts: true }],
    ['an address that the certificate has as a name of a host', { names: [{ dns: HERE }] }, { uri: HERE }],
  ])('a list of %s says nothing', (_, point, scope) => {
    const subject = issue(...(point === undefined ? [] : [point]))
    const options = scope === undefined ? {} : { scope }
    expect(statusOf(subject, [list({ ...options, revoked: [subject] })])).toBe('ERR_TRUST_CRL_SCOPE')
    expect(statusOf(subject, [list({ ...options, revoked: [subject] }), list()])).toBe('good')
  })

  test('of end entities says nothing of a CA, one of CAs nothing of what is not said to be one', () => {
    const lists = (scope: TestCrlOptions['scope']) => [crl({ issuer: ca.root, ...(scope && { scope }) }), list()]
    expect(statusOf(server, [], { lists: lists({ onlyUserCerts: true }) })).toBe('ERR_TRUST_CRL_SCOPE')
    expect(statusOf(server, [], { lists: lists({ onlyCaCerts: true }) })).toBe('good')
    const plain = ca.issue({ names: ['api.example.com'], omit: ['2.5.29.19'] }) // without basicConstraints
    expect(statusOf(plain, [list({ scope: { onlyUserCerts: true } })])).toBe('good')
    expect(statusOf(plain, [list({ scope: { onlyCaCerts: true } })])).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('is that of no point where the certificate’s points cannot be read', () => {
    const extensions = [{ oid: '2.5.29.31', critical: false, value: Uint8Array.of(5, 0) }]
    const subject = ca.issue({ names: ['api.example.com'], extensions })
    expect(statusOf(subject, [list()])).toBe('good')
    expect(statusOf(subject, [list({ uri: HERE })])).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('is told where it does not fit', () => {
    const why = (scope: TestCrlOptions['scope']) => causesOf(server, [list(scope === undefined ? {} : { scope })])
    const scope = 'ERR_TRUST_CRL_SCOPE CN=api.example.com:'
    expect(why({ uri: HERE })).toEqual([`${scope} the list is of another distribution point than the certificate’s`])
    expect(why({ onlyAttributeCerts: true })).toEqual([`${scope} the list is about attribute certificates`])
    expect(why({ onlyCaCerts: true })).toEqual([`${scope} the list is about CAs, the certificate is an end entity’s`])
    const some = [1, 2, 3, 4, 5, 6]
    expect(why({ onlySomeReasons: some })).toEqual([`${scope} no list at hand tells of the reasons 7, 8`])
    const more = delta({ scope: { onlySomeReasons: some } })
    expect(causesOf(server, [list({ scope: { onlySomeReasons: some } }), more])).toEqual([
      `${scope} no list at hand tells of the reasons 7, 8`,
    ])
    const lists = [crl({ issuer: ca.root, scope: { onlyUserCerts: true } }), list()]
    expect(causesOf(server, [], { lists })).toEqual([
      'ERR_TRUST_CRL_SCOPE CN=Test Intermediate: the list is about end entities, the certificate is a CA’s',
    ])
  })
})

describe('reasons', () => {
  const some = (onlySomeReasons: readonly number[], revoked: readonly TestCertificate[] = []): Uint8Array =>
    list({ scope: { onlySomeReasons }, revoked })

  test('are gathered from several lists until none is missing', () => {
    expect(statusOf(server, [some([1, 2, 3, 4]), some([5, 6, 7, 8])])).toBe('good')
    expect(statusOf(server, [some([1, 2, 3, 4]), some([4, 5, 6, 7])])).toBe('ERR_TRUST_CRL_SCOPE')
    expect(statusOf(server, [some([1, 2, 3, 4])])).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('need not be complete to revoke', () => {
    expect(statusOf(server, [some([1, 2], [server])])).toBe('revoked')
  })

  test('are those that the certificate’s points leave to a list', () => {
    const there = `${HERE}2`
    const point = (uri: string, reasons: readonly number[]): Point => ({ names: [{ uri }], reasons })
    const subject = issue(point(HERE, [1, 2]), point(there, [3, 4, 5, 6, 7, 8]))
    expect(statusOf(subject, [list({ uri: HERE })])).toBe('ERR_TRUST_CRL_SCOPE')
    expect(statusOf(subject, [list({ uri: HERE }), list({ uri: there })])).toBe('good')
    expect(statusOf(subject, [list()])).toBe('good')
  })
})

/** A cRLDistributionPoints whose one point has these names of who signs its list. */
function issueNaming(...crlIssuer: readonly Uint8Array[]): TestCertificate {
  const fullName = tagged(0, tagged(0, taggedPrimitive(6, Buffer.from(HERE))))
  const value = sequence(sequence(fullName, tagged(2, ...crlIssuer)))
  return ca.issue({ names: ['api.example.com'], extensions: [{ oid: '2.5.29.31', critical: false, value }] })
}

describe('an indirect list', () => {
  const signer = authority()
  const signers = [signer]
  const subject = issue(issuedBy(signer))

  test('is of whom the cRLIssuer of a point names in any of its forms, and of nobody where none is a directory name', () => {
    const scope = { indirect: true, names: [{ uri: HERE }] } as const
    const address = taggedPrimitive(6, Buffer.from(HERE))
    const [first, second] = [signer.subject, encodeName('Another')].map((name) => tagged(4, name))
    if (first === undefined || second === undefined) throw new Error('two names')
    for (const names of [[first], [second, first], [address, first]]) {
      expect(statusOf(issueNaming(...names), [list({ issuer: signer, scope })], { signers })).toBe('good')
    }
    expect(statusOf(issueNaming(second), [list({ issuer: signer, scope })], { signers })).toBe('ERR_TRUST_CRL_NONE')
    expect(statusOf(issueNaming(address), [list({ scope })])).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('speaks for the issuer that named its signer', () => {
    expect(statusOf(subject, [indirect(signer, server)], { signers })).toBe('good')
    expect(statusOf(subject, [indirect(signer, server, subject)], { signers })).toBe('revoked')
  })

  test('means the certificates of the issuer that stands before an entry', () => {
    const stranger = ca.root.issue({ names: ['other.example.com'], serial: subject.serial })
    expect(statusOf(subject, [indirect(signer, stranger)], { signers })).toBe('good')
  })

  test.each([
    ['the certificate named nobody', server, [indirect(signer)], 'ERR_TRUST_CRL_NONE'],
    ['the list does not say that it is indirect', subject, [list({ issuer: signer })], 'ERR_TRUST_CRL_SCOPE'],
  ] as const)('counts for nothing where %s', (_, certificate, lists, code) => {
    expect(statusOf(certificate, lists, { signers })).toBe(code)
  })

  test('without a name of its point is the one that bears the signer’s', () => {
    const named = (directory: Uint8Array) => list({ issuer: signer, scope: { indirect: true, names: [{ directory }] } })
    expect(statusOf(subject, [named(signer.subject)], { signers })).toBe('good')
    expect(statusOf(subject, [named(ca.issuer.subject)], { signers })).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('may be named relative to its signer', () => {
    const certificate = issue({ relativeName: ['CN', 'CRL1'], crlIssuer: signer.subject })
    const at = (name: string) => ({ directory: [['CN', 'Authority'] as const, ['CN', name] as const] })
    const named = (name: string) => list({ issuer: signer, scope: { indirect: true, names: [at(name)] } })
    expect(statusOf(certificate, [named('CRL1')], { signers })).toBe('good')
    expect(statusOf(certificate, [named('CRL2')], { signers })).toBe('ERR_TRUST_CRL_SCOPE')
  })

  test('must say so where its entries name issuers', () => {
    const entries = (certificate: TestCertificate) =>
      list({ revoked: [server], entryExtensions: [certificateIssuer(certificate.subject)] })
    expect(statusOf(subject, [entries(ca.issuer)])).toBe('ERR_TRUST_CRL_INDIRECT_UNSUPPORTED')
    expect(statusOf(subject, [list({ revoked: [server] })])).toBe('good')
  })

  test.each<[string, TestCertificate, string]>([
    ['may not sign lists', authority({ keyUsage: ['digitalSignature'] }), 'ERR_TRUST_CRL_ISSUER_NO_CRLSIGN'],
    ['is expired', authority({ notAfter: NOW - DAY, notBefore: NOW - 2 * DAY }), 'ERR_TRUST_CRL_ISSUER_MISMATCH'],
    ['is of another anchor', authority({}, testCa({ now: NOW }).root), 'ERR_TRUST_CRL_ISSUER_MISMATCH'],
    ['has a forged certificate', authority({ signature: 'garbage' }), 'ERR_TRUST_CRL_ISSUER_MISMATCH'],
  ])('counts for nothing where its signer %s', (_, bad, code) => {
    const certificate = issue(issuedBy(bad))
    expect(statusOf(certificate, [indirect(bad)], { signers: [bad] })).toBe(code)
    const good = authority()
    expect(statusOf(certificate, [indirect(good)], { signers: [bad, good] })).toBe('good')
  })

  test('counts for nothing where its signer is unknown, revoked or of unknown status', () => {
    expect(statusOf(subject, [indirect(signer)], { signers })).toBe('good')
    expect(statusOf(subject, [indirect(signer)])).toBe('ERR_TRUST_CRL_ISSUER_MISMATCH')
    const revoking = [crl({ issuer: ca.root, revoked: [signer] }), indirect(signer)]
    expect(statusOf(subject, [], { signers, lists: revoking })).toBe('ERR_TRUST_CRL_ISSUER_MISMATCH')
    const below = authority({}, ca.issuer)
    const certificate = issue(issuedBy(below))
    expect(statusOf(certificate, [indirect(below)], { signers: [below] })).toContain('ERR_TRUST_CRL_ISSUER_MISMATCH')
    expect(statusOf(certificate, [indirect(below), list()], { signers: [below] })).toBe('good')
  })

  test('says why its signer does not count', () => {
    const old = authority({ notAfter: NOW - DAY, notBefore: NOW - 2 * DAY })
    const about = 'ERR_TRUST_CRL_ISSUER_MISMATCH CN=api.example.com:'
    expect(causesOf(subject, [indirect(signer)])).toEqual([`${about} no certificate of the list’s issuer is at hand`])
    expect(causesOf(issue(issuedBy(old)), [indirect(old)], { signers: [old] })).toEqual([
      `${about} the signer CN=Authority has no path to the same anchor: ERR_TRUST_CERT_EXPIRED (CN=Authority: expired at 2029-12-31T00:00:00Z, now 2030-01-01T00:00:00Z)`,
    ])
  })

  test('is found whatever else is at hand: bytes that are no certificate, and more certificates than a peer may present', () => {
    const certificates = [
      Uint8Array.of(1, 2, 3),
      ...new Array(60).fill(undefined).map(() => ca.issue().der),
      signer.der,
    ]
    expect(statusOf(subject, [indirect(signer)], { certificates })).toBe('good')
  })

  test('may be signed by a key that is certified for some purpose', () => {
    const purposeful = authority({ extendedKeyUsage: ['clientAuth'] })
    expect(statusOf(issue(issuedBy(purposeful)), [indirect(purposeful)], { signers: [purposeful] })).toBe('good')
  })

  test('may be signed by a CA', () => {
    const other = ca.root.issue({ subject: 'Other', ca: true })
    expect(statusOf(issue(issuedBy(other)), [indirect(other)], { signers: [other] })).toBe('good')
  })

  test('about a CA is not by whom that CA has certified', () => {
    const below = testCa({ now: NOW })
    const middle = below.root.issue({
      subject: 'Middle',
      ca: true,
      extensions: [extension.crlDistributionPoints([{ crlIssuer: 'api.example.com' }])],
    })
    const leaf = middle.issue({ names: ['api.example.com'], keyUsage: ['digitalSignature', 'cRLSign'] })
    const lists = [list({ issuer: leaf, revoked: [], scope: { indirect: true } }), list({ issuer: middle })]
    expect(causesOf(leaf, [], { anchor: below.root, lists })).toEqual([
      'ERR_TRUST_CRL_ISSUER_MISMATCH CN=Middle: no certificate of the list’s issuer is at hand',
    ])
  })

  test('may be the one that its signer’s own certificate names', () => {
    const own = authority({ extensions: [extension.crlDistributionPoints([issuedBy(signer)])] }, ca.issuer)
    const certificate = issue(issuedBy(own))
    expect(statusOf(certificate, [indirect(own)], { signers: [own] })).toBe('good')
    expect(statusOf(certificate, [indirect(own, own)], { signers: [own] })).toBe('ERR_TRUST_CRL_ISSUER_MISMATCH')
  })

  test('may be of someone whom another CA certified', () => {
    const elsewhere = ca.root.issue({ subject: 'Elsewhere', ca: true })
    const far = authority({}, elsewhere)
    const given = { signers: [far, elsewhere] }
    expect(statusOf(issue(issuedBy(far)), [indirect(far), list({ issuer: elsewhere })], given)).toBe('good')
    expect(statusOf(issue(issuedBy(far)), [indirect(far)], given)).toBe('ERR_TRUST_CRL_ISSUER_MISMATCH')
  })

  test('is looked for among eight signers of its name, and 32 in all', () => {
    const forged = new Array(8).fill(undefined).map(() => authority())
    expect(statusOf(subject, [indirect(signer)], { signers: [...forged.slice(1), signer] })).toBe('good')
    expect(statusOf(subject, [indirect(signer)], { signers: [...forged, signer] })).toBe('ERR_TRUST_CRL_BAD_SIGNATURE')
    const old = { notBefore: NOW - 2 * DAY, notAfter: NOW - DAY }
    const many = new Array(32).fill(undefined).map((_, index) => authority({ subject: `Old ${index}`, ...old }))
    const causes = (all: readonly TestCertificate[]) =>
      causesOf(
        issue(...all.map(issuedBy)),
        all.map((one) => indirect(one)),
        { signers: all },
      )
    expect(causes([...many.slice(1), signer])).toEqual(['good'])
    expect(causes([...many, signer]).at(-1)).toBe(
      'ERR_TRUST_CRL_ISSUER_MISMATCH CN=api.example.com: the signer CN=Authority is one of too many',
    )
  })

  test('is not believed in a circle', () => {
    const [one, two] = [circular('One', 'Two'), circular('Two', 'One')]
    const certificate = issue(issuedBy(one))
    const lists = [indirect(one), indirect(two)]
    expect(causesOf(certificate, lists, { signers: [one, two] })).toEqual([
      expect.stringMatching(/^ERR_TRUST_CRL_ISSUER_MISMATCH .*CN=Two: the signer CN=One would vouch for itself\)+$/),
    ])
    expect(statusOf(certificate, [...lists, list()], { signers: [one, two] })).toBe('good')
  })

  function circular(subjectName: string, other: string): TestCertificate {
    const points = [{ crlIssuer: other }]
    return authority({ subject: subjectName, extensions: [extension.crlDistributionPoints(points)] }, ca.issuer)
  }
})

describe('the issuer’s other keys', () => {
  const split = testCa({ now: NOW, root: {}, intermediate: { keyUsage: ['keyCertSign'] } })
  const certificate = split.issue({ names: ['api.example.com'] })
  const lists = (issuer: TestCertificate, ...revoked: readonly TestCertificate[]) => ({
    anchor: split.root,
    signers: [issuer],
    lists: [crl({ issuer: split.root }), list({ issuer, revoked })],
  })
  const named = { subject: split.issuer.subject }

  test('sign its lists where the CA above certified them for that', () => {
    const key = authority(named, split.root)
    expect(statusOf(certificate, [], lists(key))).toBe('good')
    expect(statusOf(certificate, [], lists(key, certificate))).toBe('revoked')
    expect(statusOf(certificate, [], { ...lists(key), signers: [] })).toBe('ERR_TRUST_CRL_ISSUER_NO_CRLSIGN')
  })

  test('sign its lists where it certified them itself, and another list speaks for them', () => {
    const key = authority(named, split.issuer)
    const given = lists(key)
    expect(statusOf(certificate, [], given)).toBe('ERR_TRUST_CRL_ISSUER_NO_CRLSIGN')
    const other = authority(named, split.root)
    const both = { ...given, signers: [key, other], lists: [...given.lists, list({ issuer: other })] }
    expect(statusOf(certificate, [], both)).toBe('good')
    const revoked = { ...both, lists: [...given.lists, list({ issuer: other, revoked: [certificate] })] }
    expect(statusOf(certificate, [], revoked)).toBe('revoked')
  })

  test('are not those of a namesake below the same anchor', () => {
    const elsewhere = split.root.issue({ subject: 'Elsewhere', ca: true, now: NOW })
    const namesake = authority(named, elsewhere)
    const mine = lists(namesake)
    const given = { ...mine, signers: [namesake, elsewhere], lists: [...mine.lists, list({ issuer: elsewhere })] }
    expect(statusOf(certificate, [], given)).toBe('ERR_TRUST_CRL_ISSUER_NO_CRLSIGN')
  })

  test('are not those that a CA elsewhere certified, be it the same key, a namesake of the CA above, or its key under another name', () => {
    const elsewhere = split.root.issue({ subject: 'Elsewhere', ca: true })
    const cross = authority({ ...named, key: split.issuer.key }, elsewhere)
    const root = { subject: split.root.subject, ca: true }
    const [namesake, alias] = [
      elsewhere.issue(root),
      elsewhere.issue({ subject: 'Alias', ca: true, key: split.root.key }),
    ]
    const refused = 'ERR_TRUST_CRL_ISSUER_NO_CRLSIGN'
    const judged = (...signers: readonly [TestCertificate, ...TestCertificate[]]) => {
      const [signer, ...above] = signers
      const lists = [
        list({ issuer: signer, number: 9 }),
        ...[split.root, elsewhere, alias].map((issuer) => list({ issuer })),
      ]
      return statusOf(certificate, [], { anchor: split.root, signers: [signer, ...above, elsewhere], lists })
    }
    expect(judged(cross)).toBe(refused)
    expect(judged(authority(named, namesake), namesake)).toBe(refused)
    expect(judged(authority(named, alias), alias)).toBe(refused)
  })

  test('are certified by one another', () => {
    const [first, named] = [generateKey(), { subject: ca.issuer.subject }]
    const young = ca.issuer.issue({ ...named, ca: true, key: first })
    const younger = authority(named, young)
    const given = { signers: [young, younger] }
    const byYounger = list({ issuer: younger, revoked: [server] })
    expect(statusOf(server, [list(), byYounger], given)).toBe('revoked')
    expect(statusOf(server, [list(), byYounger], { signers: [younger] })).toBe('good')
  })

  test('roll over: the old key speaks for the new one, and no key for itself', () => {
    const young = ca.issuer.issue({ subject: ca.issuer.subject, ca: true, now: NOW, key: generateKey() })
    const leaf = young.issue({ names: ['api.example.com'] })
    expect(statusOf(leaf, [list()])).toBe('good')
    expect(statusOf(leaf, [list({ revoked: [young] })])).toBe('revoked')
    expect(statusOf(leaf, [list({ issuer: young })])).toBe('ERR_TRUST_CRL_ISSUER_MISMATCH')
    expect(statusOf(leaf, [list(), list({ issuer: young, revoked: [leaf] })])).toBe('revoked')
  })
})

describe('a delta CRL', () => {
  const base = (options: Partial<TestCrlOptions> = {}) => list({ number: 5, ...options })
  const [held, removed] = [
    { revoked: [server], reason: 6 },
    { revoked: [server], reason: 8 },
  ]

  test('adds to its base and takes from it', () => {
    expect(statusOf(server, [base(), delta()])).toBe('good')
    expect(statusOf(server, [base(), delta({ revoked: [server] })])).toBe('revoked')
    expect(statusOf(server, [base(held)])).toBe('revoked')
    expect(statusOf(server, [base(held), delta()])).toBe('revoked')
    expect(statusOf(server, [base(held), delta(removed)])).toBe('good')
    expect(statusOf(server, [base({ number: 6, ...held }), delta(removed)])).toBe('good')
  })

  test('says nothing alone', () => {
    expect(statusOf(server, [delta()])).toBe('ERR_TRUST_CRL_DELTA_UNSUPPORTED')
    expect(statusOf(server, [delta(), base({ nextUpdate: NOW - DAY })])).toContain('ERR_TRUST_CRL_DELTA_UNSUPPORTED')
  })

  test.each<[string, Uint8Array]>([
    ['made for a later list', delta({ baseNumber: 6, ...removed })],
    ['no newer than the list', delta({ number: 5, ...removed })],
    ['of another scope', delta({ scope: { onlyUserCerts: true }, ...removed })],
    ['expired', delta({ nextUpdate: NOW - DAY, ...removed })],
    ['forged', delta({ signature: 'garbage', ...removed })],
  ])('takes nothing off where it is %s', (_, other) => {
    expect(statusOf(server, [base(held), other])).toBe('revoked')
    expect(statusOf(server, [base(held), delta(removed), other])).toBe('good')
  })

  test('ends the answer with itself, or with its base', () => {
    const ending = (ofBase: number, ofDelta: number) =>
      verdictOf(server, [base({ nextUpdate: NOW + ofBase * DAY }), delta({ nextUpdate: NOW + ofDelta * DAY })])
    expect(ending(5, 2)).toEqual({ status: 'good', source: 'crl', validUntil: NOW + 2 * DAY, causes: [] })
    expect(ending(3, 6)).toEqual({ status: 'good', source: 'crl', validUntil: NOW + 3 * DAY, causes: [] })
  })

  test('stands for those before it', () => {
    const [older, newer] = [{ number: 6 }, { number: 7 }]
    expect(statusOf(server, [base(held), delta({ ...older, ...removed }), delta({ ...newer, ...held })])).toBe(
      'revoked',
    )
    expect(statusOf(server, [base(held), delta({ ...newer, ...removed }), delta({ ...older, ...held })])).toBe('good')
  })

  test('takes nothing off a list by another key', () => {
    const other = authority({ subject: ca.issuer.subject })
    const given = { signers: [other] }
    expect(statusOf(server, [base(held), delta({ issuer: other, ...removed })], given)).toBe('revoked')
    const byOther = [base({ issuer: other, ...held }), delta({ issuer: other, ...removed })]
    expect(statusOf(server, byOther, given)).toBe('good')
  })

  test('takes nothing off a list in another name, though it is the same key', () => {
    const other = authority({ key: ca.issuer.key })
    const certificate = issue(issuedBy(other))
    const mine = { revoked: [certificate], scope: { indirect: true } } as const
    const given = { signers: [other] }
    const byOther = delta({ issuer: other, ...mine, reason: 8 })
    expect(statusOf(certificate, [base({ ...mine, reason: 6 }), byOther], given)).toBe('revoked')
    expect(statusOf(certificate, [base({ issuer: other, ...mine, reason: 6 }), byOther], given)).toBe('good')
  })

  test('made for a later list revokes all the same', () => {
    expect(statusOf(server, [base(), delta({ baseNumber: 6, revoked: [server] })])).toBe('revoked')
    expect(statusOf(server, [base({ number: 7 }), delta({ revoked: [server] })])).toBe('good')
  })

  test('adds nothing to a list that has no number', () => {
    expect(statusOf(server, [list({ number: null, ...held }), delta(removed)])).toBe('revoked')
  })
})
