import { crossSign, extension, ocspResponse, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { createEvaluator, evaluateTrust, type TrustInput } from '../../src/trust/evaluate.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOUR = 3_600_000
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
    expect(ask(evaluate, { at: now + 1 })).toBe(first)
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
  })
})
