import {
  crossSign,
  ocspResponse,
  selfSigned,
  type TestCertificate,
  testCa,
  testLog,
  testLogList,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { CanonicalHost } from '../../../src/encoding/host.ts'
import { LogListSchema } from '../../../src/manifest/schema.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { bundledAnchors, createAnchors, uniteAnchors } from '../../../src/trust/anchors.ts'
import { createEvaluator, evaluateTrust, type TrustInput, unchangedUntil } from '../../../src/trust/evaluate.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import type { HostPolicy } from '../../../src/trust/policy.ts'
import { type CtMode, DEFAULT_TRANSPARENCY } from '../../../src/trust/transparency/check.ts'
import { type HostTransparency, judgeTransparency } from '../../../src/trust/transparency/judge-path.ts'
import { tellTransparency } from '../../../src/trust/transparency/tell.ts'
import type { TrustVerdict } from '../../../src/trust/verdict.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { originOf, policyFor } from '../../support/policy.ts'

const NOW = Date.UTC(2030, 0, 1)
const DAY = 86_400_000
const HOST = 'api.example.com' as CanonicalHost
const ca = testCa({ now: NOW })
const [a, b, c] = [testLog({ operator: 'A' }), testLog({ operator: 'B' }), testLog({ operator: 'C' })]
const bare = ca.issue({ names: [HOST] })
const logged = ca.issue({ names: [HOST], loggedIn: [a, b] })
const store = createAnchors(ca.anchorPem, 'store')

function asking(mode: CtMode, logs = [a, b], timestamp = NOW): HostTransparency {
  const logList = LogListSchema.parse(testLogList(logs, timestamp))
  return { policy: { ...DEFAULT_TRANSPARENCY, mode }, logList, id: `${mode} ${timestamp}` }
}

function inputOf(certificate: TestCertificate, more: Partial<HostPolicy>, now = NOW): TrustInput {
  const policy = policyFor(originOf(`https://${HOST}/`), [ca.issuer.pin], {
    anchors: store,
    generation: JSON.stringify([more.transparency?.id, more.anchors?.digest]),
    ...more,
  })
  return { presented: certificate.chain, identity: { kind: 'dns', name: HOST }, policy, now: toUnixMs(now) }
}

const judge = (...about: Parameters<typeof inputOf>) => evaluateTrust(inputOf(...about))
const codesOf = (verdict: TrustVerdict) =>
  verdict.kind === 'rejected' ? verdict.findings.map(({ code }) => code) : verdict.kind
const peerOf = (verdict: TrustVerdict) => (verdict.kind === 'trusted' ? verdict.peer : expect.fail('refused'))

describe('the verdict about a peer', () => {
  test.each([
    ['off', 'trusted', undefined],
    ['report', 'trusted', 'noncompliant'],
    ['enforce', ['ERR_TRUST_CT_NOT_ENOUGH_SCTS'], undefined],
    ['require', ['ERR_TRUST_CT_NOT_ENOUGH_SCTS'], undefined],
  ] as const)('without SCTs, in mode %s', (mode, expected, status) => {
    const verdict = judge(bare, { transparency: asking(mode) })
    expect(codesOf(verdict)).toEqual(expected)
    if (verdict.kind === 'trusted') expect(verdict.peer.transparency?.status).toBe(status)
    expect(codesOf(judge(logged, { transparency: asking(mode) }))).toBe('trusted')
  })

  test('names the rule first, and then why SCTs do not count', () => {
    const verdict = judge(logged, { transparency: asking('enforce', [a]) })
    expect(codesOf(verdict)).toEqual(['ERR_TRUST_CT_NOT_ENOUGH_SCTS', 'ERR_TRUST_SCT_UNKNOWN_LOG'])
  })

  test('is no verdict about SCTs where a pin is missing: ERR_TRUST_PIN_MISMATCH', () => {
    const pinGroups = [[{ spki: testCa().root.pin }]]
    expect(codesOf(judge(bare, { transparency: asking('enforce'), pinGroups }))).toEqual(['ERR_TRUST_PIN_MISMATCH'])
  })

  test('revocation is judged first: ERR_TRUST_CERT_REVOKED', () => {
    const staple = ocspResponse({ certificate: bare, status: 'revoked' })
    const input = { ...inputOf(bare, { transparency: asking('enforce') }), staple }
    expect(codesOf(evaluateTrust(input))).toEqual(['ERR_TRUST_CERT_REVOKED'])
  })

  test('an end entity that is its own anchor was logged by nobody: ERR_TRUST_CT_NOT_ENOUGH_SCTS', () => {
    const pinGroups = [[{ spki: bare.pin }]]
    const own = { anchors: createAnchors(bare.pem, 'store'), pinGroups }
    expect(codesOf(judge(bare, { ...own, transparency: asking('require') }))[0]).toBe('ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(codesOf(judge(bare, { ...own, transparency: asking('enforce') }))).toBe('trusted')
  })

  test('a path to a private anchor is taken where the one to a public anchor is refused', () => {
    const own = testCa({ name: 'Own', now: NOW })
    const presented = [...bare.chain, crossSign(ca.issuer, own.root).der]
    const anchors = uniteAnchors([store, createAnchors(own.anchorPem)])
    const through = (mode: CtMode) => ({ ...inputOf(bare, { transparency: asking(mode), anchors }), presented })
    const anchorOf = (verdict: TrustVerdict) => peerOf(verdict).path.certificates.at(-1)?.subject.text
    expect(anchorOf(evaluateTrust(through('report')))).toContain('Test Root') // the first that is found
    expect(anchorOf(evaluateTrust(through('enforce')))).toContain('Own Root')
    expect(codesOf(evaluateTrust(through('require')))[0]).toBe('ERR_TRUST_CT_NOT_ENOUGH_SCTS')
  })
})

describe('the SCTs of a path', () => {
  const pathOf = ({ chainWithRoot }: TestCertificate): CertificationPath => {
    const [first, ...rest] = chainWithRoot.map((der) => parseCertificate(der))
    return { certificates: [first ?? expect.fail('no certificate'), ...rest], policies: [] }
  }
  const of = (certificate: TestCertificate, more: Partial<HostPolicy>) =>
    judgeTransparency(pathOf(certificate), { anchors: store, ...more }, { now: toUnixMs(NOW) })

  test('are not asked for where nobody asks, nor where the anchor is private', () => {
    expect(of(bare, {})).toEqual({ findings: [] })
    expect(of(bare, { transparency: asking('off') })).toEqual({ findings: [] })
    expect(of(bare, { transparency: asking('enforce'), anchors: createAnchors(ca.anchorPem) })).toEqual({
      findings: [],
    })
  })

  test('are told of and refuse nobody by default, be the logs static or none', () => {
    const byDefault = { ...asking('report'), policy: DEFAULT_TRANSPARENCY }
    expect(of(bare, { transparency: byDefault })).toEqual({
      verdict: expect.objectContaining({ status: 'noncompliant' }),
      findings: [],
    })
    expect(DEFAULT_TRANSPARENCY.rfc6962Log).toBe('optional')
  })

  test('are asked for where the root itself is the issuer: ERR_TRUST_CT_NOT_ENOUGH_SCTS', () => {
    const flat = testCa({ now: NOW, intermediates: 0 })
    const anchors = createAnchors(flat.anchorPem, 'store')
    expect(of(flat.issue({ names: [HOST] }), { transparency: asking('enforce'), anchors })).toMatchObject({
      findings: [{ code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS' }],
    })
  })

  test('cannot be judged without a log list, and where they are required the path is refused: ERR_TRUST_CT_LOG_LIST_STALE', () => {
    const { logList: _, ...without } = asking('require')
    const message = 'expected a log list of the last 70 days, saw none'
    const finding = { code: 'ERR_TRUST_CT_LOG_LIST_STALE', certificateIndex: 0, message }
    const verdict = { status: 'unchecked', findings: [finding] }
    expect(of(logged, { transparency: without })).toEqual({ verdict, findings: [finding] })
    const enforced = { ...without, policy: { ...without.policy, mode: 'enforce' } } as const
    expect(of(logged, { transparency: enforced })).toEqual({ verdict, findings: [] })
  })

  test('are none where the end entity is its own anchor: ERR_TRUST_CT_NOT_ENOUGH_SCTS', () => {
    const own = selfSigned({ names: [HOST], now: NOW })
    const message = `CN=${HOST}: is its own trust anchor, and no log takes such`
    const finding = { code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', certificateIndex: 0, message }
    expect(of(own, { transparency: asking('require') })).toEqual({
      verdict: { status: 'noncompliant', findings: [finding], scts: [], validUntil: Number.POSITIVE_INFINITY },
      findings: [finding],
    })
  })

  test('are of an RFC 6962 log where the policy asks for one: ERR_TRUST_CT_NO_RFC6962_LOG', () => {
    const tiled = [testLog({ operator: 'A', isTiled: true }), testLog({ operator: 'B', isTiled: true })]
    const certificate = ca.issue({ names: [HOST], loggedIn: tiled })
    const asked = asking('enforce', tiled)
    expect(of(certificate, { transparency: asked }).findings).toEqual([])
    const policy = { ...asked.policy, rfc6962Log: 'required' } as const
    expect(of(certificate, { transparency: { ...asked, policy } })).toMatchObject({
      findings: [{ code: 'ERR_TRUST_CT_NO_RFC6962_LOG' }],
    })
  })
})

describe('an acceptance', () => {
  const listEnds = NOW + 70 * DAY + 1
  const longLived = ca.issue({ names: [HOST], loggedIn: [a, b], notAfter: NOW + 100 * DAY })

  test('ends with the log list where SCTs are required, and is looked at again where they are not', () => {
    for (const mode of ['enforce', 'require'] as const) {
      expect(peerOf(judge(longLived, { transparency: asking(mode) })).validUntil).toBe(listEnds)
    }
    const reported = peerOf(judge(longLived, { transparency: asking('report') }))
    expect(reported.validUntil).toBeGreaterThan(listEnds)
    expect(unchangedUntil(reported)).toBe(listEnds)
    const old = peerOf(judge(longLived, { transparency: asking('enforce') }, listEnds))
    expect(old.validUntil).toBeGreaterThan(listEnds)
    expect(codesOf(judge(longLived, { transparency: asking('require') }, listEnds))).toEqual([
      'ERR_TRUST_CT_LOG_LIST_STALE',
    ])
  })

  test('is not remembered past the end of the list', () => {
    const evaluator = createEvaluator()
    const at = (mode: CtMode, now: number) => evaluator(inputOf(longLived, { transparency: asking(mode) }, now))
    const first = at('enforce', NOW)
    expect(at('enforce', listEnds - 1)).toBe(first)
    expect(peerOf(at('enforce', listEnds)).transparency).toMatchObject({ status: 'unchecked' })
    expect(at('report', NOW)).toBe(at('report', listEnds - 1))
    expect(peerOf(at('report', listEnds)).transparency).toMatchObject({ status: 'unchecked' })
    expect(codesOf(at('require', listEnds - 1))).toBe('trusted')
    expect(codesOf(at('require', listEnds))).toEqual(['ERR_TRUST_CT_LOG_LIST_STALE'])
  })

  test('ends when its last log is retired as announced: ERR_TRUST_CT_NO_CURRENT_LOG', () => {
    const end = NOW + 10 * DAY
    const retiring = (['A', 'B'] as const).map((operator) => testLog({ operator, state: 'retired', since: end }))
    const certificate = ca.issue({ names: [HOST], loggedIn: retiring })
    const evaluator = createEvaluator()
    const at = (now: number) => evaluator(inputOf(certificate, { transparency: asking('enforce', retiring) }, now))
    expect(peerOf(at(NOW)).validUntil).toBe(end)
    expect(codesOf(at(end - 1))).toBe('trusted')
    expect(codesOf(at(end))).toEqual(['ERR_TRUST_CT_NO_CURRENT_LOG'])
  })

  test('may come when a log begins: what was only reported before is not remembered then', () => {
    const begins = NOW + DAY
    const young = testLog({ operator: 'C', state: 'usable', since: begins })
    const certificate = ca.issue({ names: [HOST], loggedIn: [a, young] })
    const evaluator = createEvaluator()
    const at = (now: number) => evaluator(inputOf(certificate, { transparency: asking('report', [a, young]) }, now))
    expect(peerOf(at(NOW)).transparency?.status).toBe('noncompliant')
    expect(peerOf(at(begins)).transparency?.status).toBe('compliant')
  })
})

describe('a CA that is distrusted for what was logged after an instant', () => {
  const since = NOW - 5 * DAY
  const distrusting = (issuer = ca.root.pin): Partial<HostPolicy> => ({
    revoked: {
      id: 'x',
      certificates: new Set(),
      serials: [],
      distrusted: [{ issuer, sctNotAfter: toUnixMs(since) }],
    },
  })
  const early = ca.issue({ names: [HOST], loggedIn: [a], loggedAt: since })

  test('one SCT from before is enough, whatever else is asked: ERR_TRUST_CA_DISTRUSTED without it', () => {
    const transparency = asking('off')
    expect(codesOf(judge(early, { transparency, ...distrusting() }))).toBe('trusted')
    expect(codesOf(judge(logged, { transparency, ...distrusting() }))).toEqual(['ERR_TRUST_CA_DISTRUSTED'])
    expect(codesOf(judge(logged, { transparency, ...distrusting(testCa().root.pin) }))).toBe('trusted')
    const both = { ...inputOf(early, { transparency, ...distrusting() }) }
    const staple = ocspResponse({ certificate: early, loggedIn: [b, c] }) // later ones beside it
    expect(codesOf(evaluateTrust({ ...both, staple }))).toBe('trusted')
  })

  test('nothing proves it without a list, and a private anchor is no exception', () => {
    expect(codesOf(judge(early, distrusting()))).toEqual(['ERR_TRUST_CA_DISTRUSTED'])
    const anchors = createAnchors(ca.anchorPem)
    expect(codesOf(judge(logged, { transparency: asking('off'), anchors, ...distrusting() }))).toEqual([
      'ERR_TRUST_CA_DISTRUSTED',
    ])
  })

  test('an SCT that does not count proves nothing, whatever time it names', () => {
    const message = (certificate: TestCertificate, logs = [a]) => {
      const verdict = judge(certificate, { transparency: asking('off', logs), ...distrusting() })
      return verdict.kind === 'rejected' ? verdict.findings[0]?.message : verdict.kind
    }
    const which = `the CA key ${ca.root.pin} is distrusted for certificates logged after 2029-12-27T00:00:00.000Z;`
    expect(message(early)).toBe('trusted')
    expect(message(early, [b])).toBe(`${which} no SCT counts`) // it is of a log that the list does not have
    expect(message(bare)).toBe(`${which} no SCT counts`)
    expect(message(logged)).toBe(`${which} the first SCT is of 2029-12-31T23:00:00.000Z`)
  })

  test.each(['off', 'report'] as const)('the acceptance ends with the list, in mode %s', (mode) => {
    const transparency = asking(mode, [a, b], NOW - 60 * DAY)
    expect(peerOf(judge(early, { transparency, ...distrusting() })).validUntil).toBe(NOW + 10 * DAY + 1)
  })
})

describe('a public anchor', () => {
  const root = parseCertificate(ca.root.der)

  test('is one that Node ships, or of the operating system’s store; others are private', () => {
    const [pem = ''] = bundledAnchors().pem
    const bundledRoot = parseCertificate(new Uint8Array(Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64')))
    expect(createAnchors(pem).isPublic(bundledRoot)).toBe(true) // wherever it came from
    expect(bundledAnchors().isPublic(root)).toBe(false)
    expect(createAnchors(ca.anchorPem).isPublic(root)).toBe(false)
    expect(store.isPublic(root)).toBe(true)
  })

  test('stays one in a union, which is another set then', () => {
    const other = createAnchors(testCa().anchorPem)
    const united = uniteAnchors([other, store, createAnchors(ca.anchorPem)])
    expect(united.isPublic(root)).toBe(true)
    expect(united.digest).not.toBe(uniteAnchors([other, createAnchors(ca.anchorPem)]).digest)
  })

  test('an impostor of its name is not it', () => {
    const twin = testCa({ name: 'Other', root: { subject: ca.root.subject } })
    expect(store.isPublic(parseCertificate(twin.root.der))).toBe(false)
  })
})

describe('events', () => {
  test('name each log and operator whose SCT counts, once', () => {
    const pending = testLog({ operator: 'D', state: 'pending' })
    const many = ca.issue({ names: [HOST], loggedIn: [a, a, pending, b, c] })
    const { transparency } = peerOf(judge(many, { transparency: asking('report', [a, b, pending]) }))
    expect(transparency && tellTransparency(transparency)).toMatchObject({
      status: 'compliant',
      logs: ['log of A', 'log of B'],
      operators: ['A', 'B'],
      findings: [{ code: 'ERR_TRUST_SCT_LOG_REJECTED' }, { code: 'ERR_TRUST_SCT_UNKNOWN_LOG' }],
    })
  })

  test('name none where nothing could be judged, and why', () => {
    const { transparency } = peerOf(judge(logged, { transparency: asking('report', [a], NOW - 71 * DAY) }))
    expect(transparency && tellTransparency(transparency)).toEqual({
      status: 'unchecked',
      logs: [],
      operators: [],
      findings: [expect.objectContaining({ code: 'ERR_TRUST_CT_LOG_LIST_STALE' })],
    })
  })
})
