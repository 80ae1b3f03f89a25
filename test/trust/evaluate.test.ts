import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { LogListSchema } from '../../src/manifest/schema.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { selfSigned, type TestCertificate, testCa } from '../../src/testing/ca.ts'
import { crossSign, forgedTwinOf } from '../../src/testing/forge.ts'
import { ocspResponse } from '../../src/testing/revocation.ts'
import { testLog, testLogList } from '../../src/testing/transparency.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import {
  createEvaluator,
  describePath,
  evaluateTrust,
  type TrustInput,
  unchangedUntil,
} from '../../src/trust/evaluate.ts'
import type { HostPolicy, Pin } from '../../src/trust/policy.ts'
import { DEFAULT_REVOCATION, type RevocationPolicy } from '../../src/trust/revocation/policy.ts'
import { DEFAULT_TRANSPARENCY } from '../../src/trust/transparency/check.ts'
import type { TrustVerdict } from '../../src/trust/verdict.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const DAY_MS = 86_400_000
const at = (days: number) => toUnixMs(NOW + days * DAY_MS)

type HasDer = { readonly der: Uint8Array }
type Pins = readonly (TestCertificate['pin'] | Pin)[]

const ca = testCa({ now: NOW })
const other = testCa({ now: NOW, name: 'Other' })
const server = ca.issue({ names: [HOST] })
const chain = [server, ca.issuer]

function inputOf(
  presented: readonly HasDer[],
  anchors: readonly HasDer[],
  pins: Pins,
  more: Partial<HostPolicy> = {},
  now = NOW,
): TrustInput {
  const policy = policyFor(originOf(`https://${HOST}/`), pins, {
    anchors: createAnchors(anchors.map(({ der }) => der)),
    ...more,
  })
  return { presented: presented.map(({ der }) => der), identity: { kind: 'dns', name: HOST }, policy, now }
}

const judge = (...input: Parameters<typeof inputOf>): TrustVerdict => evaluateTrust(inputOf(...input))

/** The pins along the accepted path, or the code of the refusal. */
function outcome(verdict: TrustVerdict): readonly string[] | string {
  if (verdict.kind === 'rejected') return verdict.findings[0].code
  return describePath(verdict.peer.path).map(({ spki }) => spki)
}

const pinsOf = (...certificates: readonly TestCertificate[]): readonly string[] => certificates.map(({ pin }) => pin)

describe('a verdict', () => {
  test('trusted: the path, what was presented, the policy, and nothing reported', () => {
    const input = inputOf(chain, [ca.root], [ca.issuer.pin])
    const verdict = evaluateTrust(input)
    expect(outcome(verdict)).toEqual(pinsOf(server, ca.issuer, ca.root))
    const { presented, policy } = input
    expect(verdict).toMatchObject({ kind: 'trusted', peer: { reported: [] } })
    expect(verdict.kind === 'trusted' && [verdict.peer.presented, verdict.peer.policy]).toEqual([presented, policy])
  })

  test('trusted: has what there is to say, and no member for what there is not', () => {
    const input = inputOf(chain, [ca.root], [server.pin])
    const { presented, policy } = input
    const said = {
      presented,
      policy,
      validUntil: at(90) + 1,
      revocation: { status: 'undetermined', causes: [expect.objectContaining({ code: 'ERR_TRUST_CRL_NONE' })] },
      reported: [],
    }
    const verdict = evaluateTrust(input)
    const peer = verdict.kind === 'trusted' ? verdict.peer : expect.fail('refused')
    expect(peer).toStrictEqual({ path: peer.path, ...said })
    const staple = Uint8Array.of(0x30, 0)
    expect(evaluateTrust({ ...input, staple })).toHaveProperty('peer.staple', staple)
  })

  test('rejected for its pins: the verified path is shown, with place, subject and end of each certificate', () => {
    const verdict = judge(chain, [ca.root], [other.root.pin])
    expect(outcome(verdict)).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(verdict.kind === 'rejected' && verdict.chain).toEqual([
      { position: 'endEntity', spki: server.pin, subject: `CN=${HOST}`, notAfter: at(90) },
      { position: 'intermediate', spki: ca.issuer.pin, subject: 'CN=Test Intermediate', notAfter: at(3650) },
      { position: 'anchor', spki: ca.root.pin, subject: 'CN=Test Root', notAfter: at(3650) },
    ])
  })

  test('rejected for its path: no chain is shown, for none was verified', () => {
    expect(judge(chain, [other.root], [server.pin])).toMatchObject({ kind: 'rejected', chain: [] })
  })

  test('is the same for the same input', () => {
    const input = inputOf(chain, [ca.root], [server.pin])
    expect(evaluateTrust(input)).toEqual(evaluateTrust(input))
  })
})

describe('validUntil is the earliest end', () => {
  const endOf = (verdict: TrustVerdict): number | string =>
    verdict.kind === 'trusted' ? verdict.peer.validUntil : verdict.findings[0].code

  test('of the certificates, whose last second is still good', () => {
    expect(endOf(judge(chain, [ca.root], [server.pin]))).toBe(at(90) + 1)
    const short = testCa({ now: NOW, root: { notAfter: at(7) } })
    const below = short.issue({ names: [HOST] })
    expect(endOf(judge([below, short.issuer], [short.root], [below.pin]))).toBe(at(7) + 1)
    const middle = testCa({ now: NOW, intermediate: { notAfter: at(8) } })
    const leaf = middle.issue({ names: [HOST] })
    expect(endOf(judge([leaf, middle.issuer], [middle.root], [leaf.pin]))).toBe(at(8) + 1)
  })

  test('of certificates on the path, not of superfluous ones', () => {
    const brief = other.root.issue({ ca: true, subject: 'Brief', notAfter: at(1) })
    expect(endOf(judge([...chain, brief], [ca.root], [server.pin]))).toBe(at(90) + 1)
  })

  test('or of the matching pin', () => {
    expect(endOf(judge(chain, [ca.root], [{ spki: server.pin, notAfter: at(5) }]))).toBe(at(5))
    expect(endOf(judge(chain, [ca.root], [{ spki: server.pin, notAfter: at(500) }]))).toBe(at(90) + 1)
  })

  test('and the peer is refused from that instant on', () => {
    const pins: Pins = [{ spki: server.pin, notAfter: at(5) }]
    const when = (now: number) => outcome(judge(chain, [ca.root], pins, {}, toUnixMs(now)))
    expect(when(at(5) - 1)).toEqual(pinsOf(server, ca.issuer, ca.root))
    expect(when(at(5))).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    const lasting = (now: number) => outcome(judge(chain, [ca.root], [server.pin], {}, toUnixMs(now)))
    expect(lasting(at(90))).toEqual(pinsOf(server, ca.issuer, ca.root))
    expect(lasting(at(90) + 1_000)).toBe('ERR_TRUST_CERT_EXPIRED')
  })
})

describe('report mode', () => {
  const report = { mode: 'report' } as const

  test('forgives a missing pin, and says which', () => {
    const verdict = judge(chain, [ca.root], [other.root.pin], report)
    expect(outcome(verdict)).toEqual(pinsOf(server, ca.issuer, ca.root))
    expect(verdict).toMatchObject({ peer: { reported: [{ code: 'ERR_TRUST_PIN_MISMATCH' }], validUntil: at(90) + 1 } })
  })

  test('forgives pins of which none is active', () => {
    const verdict = judge(chain, [ca.root], [{ spki: server.pin, notAfter: at(-1) }], report)
    expect(verdict).toMatchObject({ kind: 'trusted', peer: { reported: [{ code: 'ERR_TRUST_PIN_NONE_ACTIVE' }] } })
  })

  test('reports nothing where a pin matches', () => {
    expect(judge(chain, [ca.root], [server.pin], report)).toMatchObject({ kind: 'trusted', peer: { reported: [] } })
    const cross = crossSign(ca.root, other.root)
    const second = judge([...chain, cross], [ca.root, other.root], [other.root.pin], report)
    expect(second).toMatchObject({ kind: 'trusted', peer: { reported: [] } })
  })

  test.each<[string, string, TrustVerdict]>([
    [
      'a denied key',
      'ERR_TRUST_PIN_DENIED',
      judge(chain, [ca.root], [server.pin], { ...report, denies: [{ spki: ca.root.pin, reason: 'lost' }] }),
    ],
    ['an untrusted path', 'ERR_TRUST_UNKNOWN_ISSUER', judge(chain, [other.root], [server.pin], report)],
    ['an expired certificate', 'ERR_TRUST_CERT_EXPIRED', judge(chain, [ca.root], [server.pin], report, at(91))],
    [
      'a wrong name',
      'ERR_TRUST_NAME_MISMATCH',
      judge([ca.issue({ names: ['other.example.com'] }), ca.issuer], [ca.root], [server.pin], report),
    ],
  ])('does not forgive %s: %s', (_, code, verdict) => {
    expect(outcome(verdict)).toBe(code)
  })

  test('a denied key on every path but one: the search goes on to that one', () => {
    const cross = crossSign(ca.root, other.root)
    const denies = [{ spki: other.root.pin, reason: 'lost' }]
    const presented = [...chain, cross]
    expect(outcome(judge(presented, [other.root, ca.root], [server.pin], { ...report, denies }))).toEqual(
      pinsOf(server, ca.issuer, ca.root),
    )
    expect(outcome(judge(presented, [other.root], [server.pin], { ...report, denies }))).toBe('ERR_TRUST_PIN_DENIED')
  })

  test('forgives the missing pin of the path that nothing else speaks against, be it the first or the last', () => {
    const cross = crossSign(ca.issuer, other.root)
    const pins: Pins = [testCa({ now: NOW }).root.pin]
    for (const [denied, expected] of [
      [ca.root, pinsOf(server, cross, other.root)],
      [other.root, pinsOf(server, ca.issuer, ca.root)],
      [ca.issuer, 'ERR_TRUST_PIN_DENIED'],
    ] as const) {
      const denies = [{ spki: denied.pin, reason: 'lost' }]
      const verdict = judge([...chain, cross], [ca.root, other.root], pins, { ...report, denies })
      expect(outcome(verdict)).toEqual(expected)
      if (verdict.kind === 'trusted') expect(verdict.peer.reported).toMatchObject([{ code: 'ERR_TRUST_PIN_MISMATCH' }])
    }
  })
})

describe('revocation', () => {
  const [good, revoked] = [
    ocspResponse({ certificate: server }),
    ocspResponse({ certificate: server, status: 'revoked' }),
  ]
  const strict = { mode: 'hard-fail', fetch: 'blocking' } as const

  function judgeWith(
    policy: Partial<RevocationPolicy>,
    more: Pick<TrustInput, 'staple' | 'mayWait'>,
    pins: Pins = [server.pin],
    others: Partial<HostPolicy> = {},
  ): TrustVerdict {
    const revocation = { ...DEFAULT_REVOCATION, ...policy }
    return evaluateTrust({ ...inputOf(chain, [ca.root], pins, { revocation, ...others }), ...more })
  }

  test('refuses a revoked certificate: ERR_TRUST_CERT_REVOKED; report mode of revocation lets it pass and says so', () => {
    for (const mode of ['soft-fail', 'hard-fail'] as const) {
      expect(outcome(judgeWith({ mode }, { staple: revoked }))).toBe('ERR_TRUST_CERT_REVOKED')
    }
    expect(judgeWith({ mode: 'report' }, { staple: revoked })).toMatchObject({
      kind: 'trusted',
      peer: { reported: [{ code: 'ERR_TRUST_CERT_REVOKED' }], revocation: { status: 'revoked' } },
    })
    expect(judgeWith({ mode: 'report' }, { staple: good })).toMatchObject({ peer: { reported: [] } })
    expect(judgeWith({ mode: 'off' }, { staple: revoked })).toMatchObject({ peer: { reported: [] } })
  })

  test('is not forgiven by report mode of pins: ERR_TRUST_CERT_REVOKED; both reports are told, the pin first', () => {
    const pins = [other.root.pin]
    expect(outcome(judgeWith({}, { staple: revoked }, pins, { mode: 'report' }))).toBe('ERR_TRUST_CERT_REVOKED')
    expect(judgeWith({ mode: 'report' }, { staple: revoked }, pins, { mode: 'report' })).toMatchObject({
      peer: { reported: [{ code: 'ERR_TRUST_PIN_MISMATCH' }, { code: 'ERR_TRUST_CERT_REVOKED' }] },
    })
  })

  test('an acceptance ends with the evidence only where evidence is demanded', () => {
    const end = (mode: RevocationPolicy['mode'], staple?: Uint8Array): unknown => {
      const verdict = judgeWith({ mode, ocspUnknown: 'undetermined' }, { staple })
      return verdict.kind === 'trusted' ? verdict.peer.validUntil : verdict.findings[0].code
    }
    expect(end('hard-fail', good)).toBe(at(3))
    expect(end('soft-fail', good)).toBe(at(90) + 1)
    expect(end('soft-fail')).toBe(at(90) + 1)
    expect(end('report', revoked)).toBe(at(90) + 1)
    expect(end('hard-fail')).toBe('ERR_TRUST_REVOCATION_UNDETERMINED')
  })

  test('what is still to be fetched refuses nobody who may wait: ERR_TRUST_REVOCATION_UNDETERMINED for the others', () => {
    const undetermined = 'ERR_TRUST_REVOCATION_UNDETERMINED'
    expect(judgeWith(strict, { mayWait: true })).toMatchObject({ kind: 'trusted', peer: { validUntil: at(90) + 1 } })
    expect(outcome(judgeWith(strict, { mayWait: false }))).toBe(undetermined)
    expect(outcome(judgeWith(strict, {}))).toBe(undetermined)
    for (const fetch of ['never', 'background'] as const) {
      expect(outcome(judgeWith({ ...strict, fetch }, { mayWait: true }))).toBe(undetermined)
    }
    expect(outcome(judgeWith(strict, { mayWait: true, staple: revoked }))).toBe('ERR_TRUST_CERT_REVOKED')
    expect(outcome(judgeWith({ ...strict, staple: 'always' }, { mayWait: true }))).toBe('ERR_TRUST_STAPLE_MISSING')
  })
})

describe('transparency', () => {
  const [known, unknown] = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
  const logged = ca.issue({ names: [HOST], loggedIn: [known, unknown] })
  const logList = LogListSchema.parse(testLogList([known], NOW))
  const refusing: Partial<HostPolicy> = {
    transparency: { policy: { ...DEFAULT_TRANSPARENCY, mode: 'require' }, logList, id: 'x' },
  }
  const codesOf = (pin: TestCertificate['pin'], more: Partial<HostPolicy> = refusing) => {
    const verdict = judge([logged, ca.issuer], [ca.root], [pin], more)
    return verdict.kind === 'rejected' ? verdict.findings.map(({ code }) => code) : verdict.kind
  }

  test('tells why single SCTs do not count beside the rule that is not met, and not beside another reason', () => {
    expect(codesOf(logged.pin)).toEqual(['ERR_TRUST_CT_NOT_ENOUGH_SCTS', 'ERR_TRUST_SCT_UNKNOWN_LOG'])
    expect(codesOf(other.root.pin)).toEqual(['ERR_TRUST_PIN_MISMATCH'])
    const nowhere = { ...refusing, anchors: createAnchors(other.root.der) }
    expect(codesOf(logged.pin, nowhere)).toEqual(['ERR_TRUST_UNKNOWN_ISSUER'])
  })

  test('is not forgiven by report mode of pins: ERR_TRUST_CT_NOT_ENOUGH_SCTS', () => {
    expect(codesOf(other.root.pin, { ...refusing, mode: 'report' })).toEqual([
      'ERR_TRUST_CT_NOT_ENOUGH_SCTS',
      'ERR_TRUST_SCT_UNKNOWN_LOG',
    ])
  })

  test('that could not be checked does not shorten how long a verdict holds', () => {
    const unchecked: Partial<HostPolicy> = { transparency: { policy: DEFAULT_TRANSPARENCY, id: 'x' } }
    const publicAnchors = { ...unchecked, anchors: createAnchors(ca.root.der, 'store') }
    const verdict = judge([logged, ca.issuer], [ca.root], [logged.pin], publicAnchors)
    const peer = verdict.kind === 'trusted' ? verdict.peer : expect.fail('refused')
    expect(peer.transparency?.status).toBe('unchecked')
    expect(unchangedUntil(peer)).toBe(peer.validUntil)
  })
})

describe('denied keys', () => {
  test.each([server, ca.issuer, ca.root])('beat the pin of the same path', ({ pin }) => {
    const denies = [{ spki: pin, reason: 'lost' }]
    expect(outcome(judge(chain, [ca.root], [server.pin, ca.issuer.pin, ca.root.pin], { denies }))).toBe(
      'ERR_TRUST_PIN_DENIED',
    )
  })

  test('do not count where they were only presented', () => {
    const denies = [{ spki: other.issuer.pin, reason: 'lost' }]
    expect(outcome(judge([...chain, other.issuer], [ca.root], [server.pin], { denies }))).toEqual(
      pinsOf(server, ca.issuer, ca.root),
    )
  })
})

describe('B11: any valid path that satisfies the pins will do, and no other', () => {
  const cross = crossSign(ca.root, other.root)
  const presented = [...chain, cross]

  test('an intermediate among the anchors does not hide the pinned root above it', () => {
    expect(outcome(judge(chain, [ca.issuer, ca.root], [server.pin]))).toEqual(pinsOf(server, ca.issuer))
    expect(outcome(judge(chain, [ca.issuer, ca.root], [ca.root.pin]))).toEqual(pinsOf(server, ca.issuer, ca.root))
    expect(outcome(judge(presented, [ca.issuer, other.root], [other.root.pin]))).toEqual(
      pinsOf(server, ca.issuer, cross, other.root),
    )
  })

  test('the fragile case: with that root gone from the anchors the pin no longer matches, presented or not', () => {
    expect(outcome(judge(chain, [ca.issuer], [ca.root.pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(outcome(judge([...chain, ca.root], [ca.issuer], [ca.root.pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(outcome(judge(presented, [ca.issuer], [other.root.pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('of two cross-signed roots the pinned one is found, whichever comes first', () => {
    for (const anchors of [
      [ca.root, other.root],
      [other.root, ca.root],
    ]) {
      expect(outcome(judge(presented, anchors, [ca.root.pin]))).toEqual(pinsOf(server, ca.issuer, ca.root))
      expect(outcome(judge(presented, anchors, [other.root.pin]))).toEqual(pinsOf(server, ca.issuer, cross, other.root))
      expect(outcome(judge(presented, anchors, [server.pin, other.issuer.pin]))).not.toBe('ERR_TRUST_PIN_MISMATCH')
      expect(outcome(judge(presented, anchors, [other.issuer.pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
    }
  })

  test('two groups must be satisfied by one and the same path', () => {
    const groups = (...pins: readonly TestCertificate['pin'][]): Partial<HostPolicy> => ({
      pinGroups: pins.map((spki) => [{ spki }]),
    })
    const anchors = [ca.root, other.root]
    expect(outcome(judge(presented, anchors, [], groups(ca.root.pin, other.root.pin)))).toEqual(
      pinsOf(server, ca.issuer, cross, other.root), // the cross-certificate has the key of the one, its issuer is the other
    )
    const twin = testCa({ now: NOW, name: 'Third' })
    const third = crossSign(ca.issuer, twin.root)
    const both = [server, ca.issuer, third]
    expect(outcome(judge(both, [ca.root, twin.root], [], groups(twin.root.pin)))).toEqual(
      pinsOf(server, third, twin.root),
    )
    expect(outcome(judge(both, [ca.root, twin.root], [], groups(twin.root.pin, ca.root.pin)))).toBe(
      'ERR_TRUST_PIN_MISMATCH',
    )
  })
})

describe('B12: a key that cannot be used is no match and ends nothing', () => {
  const unusable = (namedCurve: string): Uint8Array =>
    new Uint8Array(generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' }))
  const spkis = ['secp256k1', 'brainpoolP256r1', 'secp224r1'].map(unusable)

  test('among superfluous certificates, the pinned member before or after', () => {
    const junk = spkis.map((spki, i) => ca.root.issue({ subject: `Superfluous ${i}`, ca: true, spki }))
    const broken = { der: Uint8Array.of(0x30, 3, 2, 1, 0) }
    for (const presented of [
      [server, broken, ...junk, ca.issuer],
      [server, ca.issuer, ...junk, broken],
    ]) {
      for (const { pin } of [server, ca.issuer, ca.root]) {
        expect(outcome(judge(presented, [ca.root], [pin]))).toEqual(pinsOf(server, ca.issuer, ca.root))
      }
      for (const { pin } of junk) expect(outcome(judge(presented, [ca.root], [pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
    }
  })

  test('in the place of an issuer: the search goes round it', () => {
    for (const spki of spkis) {
      const twin = forgedTwinOf(ca.issuer, { spki })
      const wrong = selfSigned({ ...ca.root.options, subject: ca.root.subject, spki })
      expect(outcome(judge([server, twin, ca.issuer], [wrong, ca.root], [ca.root.pin]))).toEqual(
        pinsOf(server, ca.issuer, ca.root),
      )
      expect(outcome(judge([server, twin], [ca.root], [twin.pin]))).toBe('ERR_TRUST_WEAK_KEY')
    }
  })
})

describe('B25: pins only tighten', () => {
  const past = { notBefore: at(-9), notAfter: at(-1) }
  const old = testCa({ now: NOW, intermediate: past })
  const late = old.issue({ names: [HOST] })
  const expired = ca.issue({ names: [HOST], ...past })
  const misnamed = ca.issue({ names: ['other.example.com'] })
  const lonely = selfSigned({ now: NOW, names: [HOST] })

  test.each<[string, string, TestCertificate, readonly HasDer[], readonly HasDer[]]>([
    ['an untrusted chain', 'ERR_TRUST_UNKNOWN_ISSUER', server, [ca.issuer, ca.root], [other.root]],
    ['a self-signed certificate that is no anchor', 'ERR_TRUST_UNKNOWN_ISSUER', lonely, [], [ca.root]],
    ['an expired end entity', 'ERR_TRUST_CERT_EXPIRED', expired, [ca.issuer], [ca.root]],
    ['an expired intermediate', 'ERR_TRUST_CERT_EXPIRED', late, [old.issuer], [old.root]],
    ['another name', 'ERR_TRUST_NAME_MISMATCH', misnamed, [ca.issuer], [ca.root]],
    ['a garbage signature', 'ERR_TRUST_SIGNATURE_INVALID', server, [], [forgedTwin(ca.issuer)]],
  ])('%s under pinned keys: %s', (_, code, endEntity, rest, anchors) => {
    const everyKey = [endEntity.pin, ca.issuer.pin, ca.root.pin, old.issuer.pin, old.root.pin]
    expect(outcome(judge([endEntity, ...rest], anchors, everyKey))).toBe(code)
    const sound = ca.issue({ names: [HOST], key: endEntity.key })
    expect(outcome(judge([sound, ca.issuer], [ca.root], everyKey))).toEqual(pinsOf(sound, ca.issuer, ca.root))
  })

  test('a self-signed certificate that is itself the anchor, and pinned, is the whole path', () => {
    expect(outcome(judge([lonely], [lonely], [lonely.pin]))).toEqual([lonely.pin])
    expect(outcome(judge([lonely], [lonely], [server.pin]))).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(outcome(judge([lonely], [lonely], [{ spki: lonely.pin, require: 'issuer' }]))).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  /** A CA of the same name and key identifier with another key: what it is said to have signed does not verify. */
  function forgedTwin(original: TestCertificate): HasDer {
    return selfSigned({
      now: NOW,
      ca: true,
      subject: original.subject,
      subjectKeyIdentifier: original.subjectKeyIdentifier,
    })
  }
})

describe('an evaluator remembers what it accepted', () => {
  test('gives the same verdict again while nothing of it has changed or ended', () => {
    const evaluate = createEvaluator()
    const input = inputOf(chain, [ca.root], [{ spki: server.pin, notAfter: at(5) }])
    const first = evaluate(input)
    expect(first.kind).toBe('trusted')
    expect(evaluate({ ...input, now: toUnixMs(at(5) - 1) })).toBe(first)
    expect(outcome(evaluate({ ...input, now: at(5) }))).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
  })

  test('judges anew under another policy, name or chain, and before the instant of the first verdict', () => {
    const evaluate = createEvaluator()
    const input = inputOf(chain, [ca.root], [server.pin])
    expect(evaluate(input).kind).toBe('trusted')
    const denies = [{ spki: server.pin, reason: 'lost' }]
    expect(outcome(evaluate(inputOf(chain, [ca.root], [server.pin], { denies })))).toBe('ERR_TRUST_PIN_DENIED')
    const named = evaluate({ ...input, identity: { kind: 'dns', name: 'other.example.com' } })
    expect(outcome(named)).toBe('ERR_TRUST_NAME_MISMATCH')
    expect(outcome(evaluate({ ...input, presented: [server.der] }))).toBe('ERR_TRUST_UNKNOWN_ISSUER')
    expect(outcome(evaluate({ ...input, now: at(-2) }))).toBe('ERR_TRUST_CERT_NOT_YET_VALID')
  })

  test('does not remember a report: a mismatch is over when the staged pin becomes active', () => {
    const evaluate = createEvaluator()
    const input = inputOf(chain, [ca.root], [{ spki: server.pin, notBefore: at(1) }], { mode: 'report' })
    expect(evaluate(input)).toMatchObject({
      kind: 'trusted',
      peer: { reported: [{ code: 'ERR_TRUST_PIN_NONE_ACTIVE' }] },
    })
    expect(evaluate({ ...input, now: at(1) })).toMatchObject({ kind: 'trusted', peer: { reported: [] } })
  })

  test('does not remember a refusal: a certificate not yet valid is accepted when its time has come', () => {
    const evaluate = createEvaluator()
    const early = ca.issue({ names: [HOST], notBefore: at(1) })
    const input = inputOf([early, ca.issuer], [ca.root], [early.pin])
    expect(outcome(evaluate(input))).toBe('ERR_TRUST_CERT_NOT_YET_VALID')
    expect(evaluate({ ...input, now: at(1) }).kind).toBe('trusted')
  })
})
