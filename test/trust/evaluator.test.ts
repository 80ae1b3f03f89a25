import {
  crl,
  crossSign,
  extension,
  ocspResponse,
  selfSigned,
  type TestCertificate,
  type TestOcspOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { createEvaluator, type EvidenceSource, evaluateTrust, type TrustInput } from '../../src/trust/evaluate.ts'
import type { ReferenceIdentity } from '../../src/trust/identity.ts'
import { readCrl } from '../../src/trust/revocation/crl.ts'
import { DEFAULT_LIMITS } from '../../src/trust/revocation/evidence.ts'
import { DEFAULT_REVOCATION, type RevocationPolicy } from '../../src/trust/revocation/policy.ts'
import { DEFAULT_TRANSPARENCY } from '../../src/trust/transparency/check.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const now = Math.floor(Date.now() / 1_000) * 1_000
const ca = testCa({ now })
const origin = originOf('https://api.example.com/')
const server = ca.issue({ names: ['api.example.com', 'other.example.com'], notAfter: now + HOUR })
const anchors = createAnchors(ca.anchorPem)
const policy = policyFor(origin, [server.pin], { anchors })
const identity = { kind: 'dns', name: origin.host } as const

function ask(
  evaluate: ReturnType<typeof createEvaluator>,
  more: Partial<Pick<TrustInput, 'identity' | 'policy'>> & { at?: number; from?: TestCertificate } = {},
) {
  const { at = now, from = server, ...rest } = more
  return evaluate({ presented: from.chain, identity, policy, now: toUnixMs(at), ...rest })
}

describe('the memory of verdicts', () => {
  test('answers the same verdict for the same certificates, host and policy', () => {
    const evaluate = createEvaluator()
    const first = ask(evaluate)
    expect(first.kind).toBe('trusted')
    expect(ask(evaluate)).toBe(first)
    expect(ask(evaluate, { at: now + 1 })).toBe(first)
    expect(ask(evaluate, { from: { ...server, chain: server.chain.map((der) => new Uint8Array(der)) } })).toBe(first)
  })

  test('keeps those of several servers of one host: other certificates, and the same with more beside them', () => {
    const evaluate = createEvaluator()
    const steady = testCa({ now, keyType: 'Ed25519' }) // signatures of one length
    const given = { policy: policyFor(origin, [steady.issuer.pin], { anchors: createAnchors(steady.anchorPem) }) }
    const issue = () => steady.issue({ names: ['api.example.com'], keyType: 'Ed25519', serial: Uint8Array.of(1) })
    const [one, two] = [issue(), issue()]
    expect(one.der.length).toBe(two.der.length)
    const superfluous = { ...one, chain: [...one.chain, two.der] }
    const verdicts = [one, two, superfluous].map((from) => ask(evaluate, { ...given, from }))
    expect(verdicts.map(({ kind }) => kind)).toEqual(['trusted', 'trusted', 'trusted'])
    for (const [index, from] of [one, two, superfluous].entries()) {
      expect(ask(evaluate, { ...given, from })).toBe(verdicts[index])
    }
  })

  test('judges again when an entry more or less was sent, be it without one octet', () => {
    const more = { ...server, chain: [...server.chain, new Uint8Array()] }
    for (const [before, after] of [
      [server, more],
      [more, server],
    ] as const) {
      const evaluate = createEvaluator()
      const first = ask(evaluate, { from: before })
      expect(first.kind).toBe('trusted')
      expect(ask(evaluate, { from: after })).toMatchObject({ kind: 'trusted', peer: { presented: after.chain } })
    }
  })

  test('judges again for another staple, and where one is missing: ERR_TRUST_CERT_REVOKED for what it says now', () => {
    const evaluate = createEvaluator()
    const long = ca.issue({ names: ['api.example.com'], key: server.key })
    const judge = (staple?: Uint8Array) =>
      evaluate({ presented: long.chain, identity, policy, staple, now: toUnixMs(now) })
    const good = ocspResponse({ certificate: long, now })
    const first = judge(good)
    expect(first).toMatchObject({ peer: { revocation: { status: 'good', source: 'staple' } } })
    expect(judge()).toMatchObject({ peer: { revocation: { status: 'undetermined' } } })
    expect(judge(ocspResponse({ certificate: long, now, status: 'revoked' }))).toMatchObject({
      findings: [{ code: 'ERR_TRUST_CERT_REVOKED' }],
    })
    expect(judge(new Uint8Array(good))).toBe(first)
  })

  test('judges again for another address and another SPIFFE ID: ERR_TRUST_NAME_MISMATCH', () => {
    const evaluate = createEvaluator()
    const from = ca.issue({ ips: ['192.0.2.1'], san: [{ uri: 'spiffe://example.com/api' }], key: server.key })
    const judge = (about: ReferenceIdentity) => ask(evaluate, { from, identity: about })
    const refused = { findings: [{ code: 'ERR_TRUST_NAME_MISMATCH' }] }
    expect(judge({ kind: 'ip', address: '192.0.2.1' }).kind).toBe('trusted')
    expect(judge({ kind: 'ip', address: '192.0.2.2' })).toMatchObject(refused)
    expect(judge({ kind: 'spiffe', id: 'spiffe://example.com/api' }).kind).toBe('trusted')
    expect(judge({ kind: 'spiffe', id: 'spiffe://example.com/other' })).toMatchObject(refused)
  })

  test('judges again when lists or responses have changed', () => {
    const evaluate = createEvaluator()
    const evidenceOf = (version: number, responses: readonly Uint8Array[]): EvidenceSource => ({
      version,
      crls: () => [],
      ocspResponses: () => responses,
    })
    const judge = (evidence?: EvidenceSource) =>
      evaluate({ presented: server.chain, identity, policy, evidence, now: toUnixMs(now) })
    const first = judge(evidenceOf(1, []))
    expect(first.kind).toBe('trusted')
    expect(judge(evidenceOf(1, []))).toBe(first)
    expect(judge(evidenceOf(2, [ocspResponse({ certificate: server, now, status: 'revoked' })]))).toMatchObject({
      findings: [{ code: 'ERR_TRUST_CERT_REVOKED' }],
    })
  })

  test('keeps nothing that waited for evidence: ERR_TRUST_REVOCATION_UNDETERMINED when there is none in the end', () => {
    const blocking = { ...DEFAULT_REVOCATION, mode: 'hard-fail', fetch: 'blocking' } as const
    const judging = (revocation: RevocationPolicy) => {
      const evaluate = createEvaluator()
      const given = {
        presented: server.chain,
        identity,
        policy: policyFor(origin, [server.pin], { anchors, revocation }),
      }
      return (mayWait: boolean) => evaluate({ ...given, mayWait, now: toUnixMs(now) })
    }
    const strict = judging({ ...blocking, sources: ['staple'] })
    expect(strict(true).kind).toBe('trusted')
    expect(strict(false)).toMatchObject({ findings: [{ code: 'ERR_TRUST_REVOCATION_UNDETERMINED' }] })
    const lenient = judging({ ...blocking, mode: 'soft-fail' })
    expect(lenient(true)).not.toBe(lenient(true))
    expect(lenient(false)).toBe(lenient(false))
    const unhurried = judging({ ...blocking, mode: 'soft-fail', fetch: 'background' })
    expect(unhurried(true)).toBe(unhurried(true))
  })

  test('judges again for another certificate, name, policy generation, or set of anchors', () => {
    const evaluate = createEvaluator()
    const first = ask(evaluate)
    const reissued = ca.issue({ names: ['api.example.com'], key: server.key })
    expect(ask(evaluate, { from: reissued })).not.toBe(first)
    expect(ask(evaluate, { identity: { kind: 'dns', name: 'evil.example.com' } })).toMatchObject({ kind: 'rejected' })
    expect(ask(evaluate, { policy: policyFor(origin, [ca.root.pin], { anchors }) })).not.toBe(first)
    const denied = policyFor(origin, [server.pin], { anchors, denies: [{ spki: server.pin, reason: 'leaked' }] })
    expect(ask(evaluate, { policy: denied })).toMatchObject({ kind: 'rejected' })
    const elsewhere = policyFor(origin, [server.pin], { anchors: createAnchors(testCa().anchorPem) })
    expect(ask(evaluate, { policy: elsewhere })).toMatchObject({ kind: 'rejected' })
  })

  test('judges again for one octet that differs, in whichever certificate, and for one that is left out', () => {
    const evaluate = createEvaluator()
    const under = testCa({ now, intermediates: 1 })
    const deep = under.issue({ names: ['api.example.com'] })
    const given = { identity, policy: policyFor(origin, [deep.pin], { anchors: createAnchors(under.anchorPem) }) }
    const judge = (presented: readonly Uint8Array[]) => evaluate({ presented, ...given, now: toUnixMs(now) }).kind
    const changed = (position: number) =>
      deep.chain.map((der, at) => (at === position ? der.with(40, (der[40] ?? 0) ^ 1) : der))
    expect(judge(deep.chain)).toBe('trusted')
    expect(judge(deep.chain.map((der) => new Uint8Array(der)))).toBe('trusted')
    for (const position of deep.chain.keys()) expect(judge(changed(position))).toBe('rejected')
    expect(judge(deep.chain.slice(0, 1))).toBe('rejected')
  })

  test('is never asked past the earliest end, nor before the instant of the verdict', () => {
    const evaluate = createEvaluator()
    ask(evaluate)
    expect(ask(evaluate, { at: now + HOUR + 1_001 })).toMatchObject({ findings: [{ code: 'ERR_TRUST_CERT_EXPIRED' }] })
    expect(ask(evaluate, { at: now - 30 * 24 * HOUR })).toMatchObject({
      findings: [{ code: 'ERR_TRUST_CERT_NOT_YET_VALID' }],
    })
  })

  test('ends with a staple that the certificate demands: ERR_TRUST_OCSP_EXPIRED, and so does the verdict itself', () => {
    const evaluate = createEvaluator()
    const strict = ca.issue({
      names: ['api.example.com'],
      notAfter: now + 5 * HOUR, // so short-lived that nothing else asks for the staple
      key: server.key,
      extensions: [extension.mustStaple()],
    })
    const staple = ocspResponse({ certificate: strict, now, nextUpdate: now + HOUR })
    const at = (offset: number) => ({ presented: strict.chain, identity, policy, staple, now: toUnixMs(now + offset) })
    expect(evaluate(at(0))).toMatchObject({ kind: 'trusted', peer: { validUntil: now + HOUR } })
    expect(evaluate(at(HOUR - 1)).kind).toBe('trusted')
    const late = at(2 * HOUR)
    expect(evaluateTrust(late)).toMatchObject({ findings: [{ code: 'ERR_TRUST_OCSP_EXPIRED' }] })
    expect(evaluate(late)).toMatchObject({ findings: [{ code: 'ERR_TRUST_OCSP_EXPIRED' }] })
  })

  test('says good no longer than what said so', () => {
    const evaluate = createEvaluator()
    const long = ca.issue({ names: ['api.example.com'], key: server.key })
    const staple = ocspResponse({ certificate: long, now, nextUpdate: now + HOUR })
    const at = (offset: number) =>
      evaluate({ presented: long.chain, identity, policy, staple, now: toUnixMs(now + offset) })
    expect(at(0)).toMatchObject({ kind: 'trusted', peer: { revocation: { status: 'good', source: 'staple' } } })
    expect(at(2 * HOUR)).toMatchObject({ kind: 'trusted', peer: { revocation: { status: 'undetermined' } } })
  })

  describe('is short while a statement is not in force yet: ERR_TRUST_CERT_REVOKED once it is', () => {
    const under = testCa({ now })
    const long = under.issue({ names: ['api.example.com'] })
    const given = { identity, policy: policyFor(origin, [long.pin], { anchors: createAnchors(under.anchorPem) }) }
    const begins = now + HOUR
    const list = crl({ issuer: under.issuer, revoked: [long], thisUpdate: begins, nextUpdate: begins + DAY })
    const read = readCrl(list, parseCertificate(under.issuer.der), DEFAULT_LIMITS)
    const evidence: EvidenceSource = { version: 1, crls: () => [read], ocspResponses: () => [] }
    const responder = under.issuer.issue({ notBefore: begins, extendedKeyUsage: ['ocspSigning'] })
    const stapled = (options: Partial<TestOcspOptions>) => ({
      staple: ocspResponse({ certificate: long, now, status: 'revoked', ...options }),
    })

    test.each<[string, Partial<TrustInput>]>([
      ['a list', { evidence }],
      ['a response', stapled({ thisUpdate: begins, producedAt: now })],
      ['a response that is made only then', stapled({ producedAt: begins })],
      ['the certificate of a responder', stapled({ responder })],
    ])('%s', (_, said) => {
      const evaluate = createEvaluator()
      const at = (time: number) => evaluate({ presented: long.chain, ...given, ...said, now: toUnixMs(time) })
      expect(at(now)).toMatchObject({ kind: 'trusted', peer: { revocation: { status: 'undetermined' } } })
      expect(at(begins)).toMatchObject({ findings: [{ code: 'ERR_TRUST_CERT_REVOKED' }] })
    })

    test('though another says good until then and longer', () => {
      const evaluate = createEvaluator()
      const staple = ocspResponse({ certificate: long, now })
      const at = (time: number) => evaluate({ presented: long.chain, ...given, evidence, staple, now: toUnixMs(time) })
      expect(at(now)).toMatchObject({
        kind: 'trusted',
        peer: { revocation: { status: 'good', source: 'staple', causes: [{ code: 'ERR_TRUST_CRL_NOT_YET_VALID' }] } },
      })
      expect(at(begins)).toMatchObject({ findings: [{ code: 'ERR_TRUST_CERT_REVOKED' }] })
    })
  })

  test('keeps no report: a staged pin becomes active, and the mismatch is over', () => {
    const evaluate = createEvaluator()
    const staged = { spki: server.pin, notBefore: toUnixMs(now + 60_000) }
    const reporting = policyFor(origin, [staged, testCa().root.pin], { anchors, mode: 'report' })
    expect(ask(evaluate, { policy: reporting })).toMatchObject({
      peer: { reported: [{ code: 'ERR_TRUST_PIN_MISMATCH' }] },
    })
    expect(ask(evaluate, { policy: reporting, at: now + 120_000 })).toMatchObject({ peer: { reported: [] } })
  })

  test('keeps no refusal: a certificate that was not yet valid is accepted once it is', () => {
    const evaluate = createEvaluator()
    const future = ca.issue({ names: ['api.example.com'], key: server.key, notBefore: now + HOUR })
    expect(ask(evaluate, { from: future }).kind).toBe('rejected')
    expect(ask(evaluate, { from: future, at: now + 2 * HOUR }).kind).toBe('trusted')
  })

  test('judges again when a CA on the path comes near its end, so that the warning is not missed', () => {
    const evaluate = createEvaluator()
    const [first, second] = [testCa({ now, root: { notAfter: now + 31 * 24 * HOUR } }), testCa({ now, name: 'Second' })]
    const long = first.issue({ names: ['api.example.com'], notAfter: now + 31 * 24 * HOUR })
    const both = createAnchors([first.root.der, second.root.der])
    const presented = [...long.chain, crossSign(first.issuer, second.root).der]
    const input = { presented, identity, policy: policyFor(origin, [first.root.pin], { anchors: both }) }
    const at = (days: number) => evaluate({ ...input, now: toUnixMs(now + days * 24 * HOUR) })
    const early = at(0)
    expect(early).toMatchObject({ kind: 'trusted' })
    expect(early).not.toHaveProperty('peer.fragility')
    expect(at(0.5)).toBe(early)
    const late = at(2)
    expect(late).toMatchObject({ kind: 'trusted', peer: { fragility: expect.stringContaining('which ends at') } })
    expect(at(3)).toBe(late)
    const begins = createEvaluator()
    const atWarning = () => begins({ ...input, now: toUnixMs(now + DAY) })
    expect(atWarning()).toMatchObject({ peer: { fragility: expect.stringContaining('which ends at') } })
    expect(atWarning()).toBe(atWarning())
  })

  test('holds for an end entity that is its own anchor, and for one whose SCTs nobody could check', () => {
    const own = selfSigned({ now, names: ['api.example.com'] })
    const store = createAnchors(ca.anchorPem, 'store')
    const transparency = { policy: DEFAULT_TRANSPARENCY, id: 'x' }
    for (const given of [
      { from: own, policy: policyFor(origin, [own.pin], { anchors: createAnchors(own.der) }) },
      { from: server, policy: policyFor(origin, [server.pin], { anchors: store, transparency }) },
    ]) {
      const evaluate = createEvaluator()
      const first = ask(evaluate, given)
      expect(first.kind).toBe('trusted')
      expect(ask(evaluate, given)).toBe(first)
    }
  })
})
