import { createTestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { PolicyError } from '../../src/errors/errors.ts'
import { admit } from '../../src/transport/connector.ts'
import { createSessions, isOfferable, type Known, type Session, type Shown } from '../../src/transport/sessions.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import type { VerifiedPeer } from '../../src/trust/verdict.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOUR_MS = 3_600_000
const runtime = createTestRuntime()
const now = runtime.clock.now()
const ca = testCa({ now })
const server = ca.issue({ names: ['api.example.com'], notAfter: now + HOUR_MS })
const origin = originOf('https://api.example.com/')
const policy = policyFor(origin, [server.pin], { anchors: createAnchors(ca.anchorPem) })
const peer = peerUnder(policy)
const shown: Shown = { origin, peer, evidenceVersion: 3, protocol: 'TLSv1.3', shownAt: { wall: now, monotonic: 0 } }

function peerUnder(under: HostPolicy): VerifiedPeer {
  const identity = { kind: 'dns', name: origin.host } as const
  const verdict = evaluateTrust({ presented: server.chain, identity, policy: under, now })
  if (verdict.kind !== 'trusted') throw new Error(verdict.findings[0].message)
  return verdict.peer
}

const knownAfter = (ms: number, more: Partial<Known> = {}): Known => ({
  evidenceVersion: 3,
  at: { wall: (now + ms) as Known['at']['wall'], monotonic: ms },
  ...more,
})

describe('a session is offered', () => {
  const last = 600_000 - 1

  test('until ten minutes after the certificates behind it were shown', () => {
    expect([0, last, last + 1].map((ms) => isOfferable(shown, policy, knownAfter(ms)))).toEqual([true, true, false])
  })

  test('only while both clocks say so, and not before it began', () => {
    const at = (wall: number, monotonic: number) =>
      isOfferable(shown, policy, knownAfter(0, { at: { wall: (now + wall) as Known['at']['wall'], monotonic } }))
    expect([at(1, 1), at(last + 1, 1), at(1, last + 1), at(-1, 1)]).toEqual([true, false, false, false])
  })

  test('only under the policy it was made under', () => {
    expect(isOfferable(shown, { ...policy, generation: 'other' }, knownAfter(1))).toBe(false)
    expect(isOfferable(shown, { ...policy, manifestVersion: 7 }, knownAfter(1))).toBe(true)
  })

  test('only while nothing more is known of revocations', () => {
    expect(isOfferable(shown, policy, knownAfter(1, { evidenceVersion: 4 }))).toBe(false)
  })

  test('only if its version of TLS is allowed', () => {
    const old = { ...shown, protocol: 'TLSv1.2' }
    expect(isOfferable(old, policy, knownAfter(1))).toBe(false)
    expect(isOfferable({ ...shown, protocol: '' }, policy, knownAfter(1))).toBe(false)
    expect(isOfferable(old, { ...policy, minTlsVersion: '1.2' }, knownAfter(1))).toBe(true)
  })

  test('not where the policy waits for evidence', () => {
    const revocation = { ...DEFAULT_REVOCATION, fetch: 'blocking' } as const
    expect(isOfferable(shown, { ...policy, revocation }, knownAfter(1))).toBe(false)
  })

  test('not for a peer that was only reported', () => {
    const reporting = policyFor(origin, [testCa().root.pin], { anchors: policy.anchors, mode: 'report' })
    expect(isOfferable({ ...shown, peer: peerUnder(reporting) }, reporting, knownAfter(1))).toBe(false)
  })

  test('not once a certificate ended', () => {
    const shownAt = { wall: (now + HOUR_MS - 60_000) as Known['at']['wall'], monotonic: HOUR_MS - 60_000 }
    const late = { ...shown, shownAt }
    const at = (ms: number) => isOfferable(late, policy, knownAfter(HOUR_MS + ms))
    expect([at(-1), at(1_000)]).toEqual([true, false])
  })

  test('not once what said that it is not revoked ended', () => {
    const validUntil = now + 60_000
    const good = { ...peer, revocation: { status: 'good', source: 'staple', validUntil, causes: [] } } as VerifiedPeer
    const at = (ms: number) => isOfferable({ ...shown, peer: good }, policy, knownAfter(ms))
    expect([at(59_999), at(60_000)]).toEqual([true, false])
  })
})

describe('the cache', () => {
  const session = (name: string, at = origin): Session => ({ ...shown, origin: at, bytes: Buffer.from(name) })

  function cache(isTrusted = () => true) {
    const sessions = createSessions({ clock: runtime.clock, evidenceVersion: () => 3, isTrusted })
    return { ...sessions, taken: (at = origin) => sessions.offer(at, policy)?.bytes.toString() }
  }

  test('gives the newest first, each once, and the last one again until another comes', () => {
    const { keep, taken } = cache()
    expect(taken()).toBeUndefined()
    for (const name of ['a', 'b', 'c']) keep(session(name))
    expect([taken(), taken(), taken(), taken(), taken()]).toEqual(['c', 'b', 'a', 'a', 'a'])
    keep(session('d'))
    expect([taken(), taken()]).toEqual(['d', 'd'])
  })

  test('keeps the newest eight of an origin', () => {
    const { keep, taken } = cache()
    for (let index = 0; index < 20; index += 1) keep(session(`${index}`))
    expect(Array.from({ length: 9 }, () => taken())).toEqual(['19', '18', '17', '16', '15', '14', '13', '12', '12'])
  })

  test('keeps the 256 origins that were used last', () => {
    const { keep, taken } = cache()
    const at = (index: number) => originOf(`https://h${index}.example.com/`)
    for (let index = 0; index < 256; index += 1) keep(session('x', at(index)))
    expect(taken(at(0))).toBe('x')
    keep(session('x', at(256)))
    expect([taken(at(0)), taken(at(1)), taken(at(2)), taken(at(256))]).toEqual(['x', undefined, 'x', 'x'])
  })

  test('gives none to another name or port', () => {
    const { keep, taken } = cache()
    keep(session('a'))
    expect(taken(originOf('https://www.example.com/'))).toBeUndefined()
    expect(taken(originOf('https://api.example.com:8443/'))).toBeUndefined()
    expect(taken(originOf('https://API.example.com.:443/'))).toBe('a')
  })

  test('does not give again what the server did not take', () => {
    const { keep, offer, drop, taken } = cache()
    keep(session('a'))
    keep(session('b'))
    const refused = offer(origin, policy)
    if (refused === undefined) expect.fail('nothing was offered')
    drop(refused)
    expect([taken(), taken()]).toEqual(['a', 'a'])
    drop(refused) // whose place another has taken by now
    expect(taken()).toBe('a')
  })

  test('forgets an origin whose newest session is not trusted, or not offerable, any longer', () => {
    let isTrusted = true
    const { keep, taken } = cache(() => isTrusted)
    keep(session('a'))
    keep(session('b'))
    isTrusted = false
    expect(taken()).toBeUndefined()
    isTrusted = true
    expect(taken()).toBeUndefined()
    keep(session('a'))
    keep({ ...session('b'), evidenceVersion: 2 })
    expect([taken(), taken()]).toEqual([undefined, undefined])
  })

  test('drops in a review what no longer holds, used or not, and what no policy covers', () => {
    const other = originOf('https://www.example.com/')
    const changed = { ...policy, generation: 'other' }
    for (const isUsed of [false, true]) {
      const { keep, taken, review } = cache()
      for (const at of [origin, other]) {
        keep(session('a', at))
        if (isUsed) taken(at)
      }
      review(() => policy)
      review(({ text }) => (text === other.text ? changed : policy))
      expect([taken(), taken(other)]).toEqual(['a', undefined])
      review(() => {
        throw new PolicyError('ERR_POLICY_CONTAINED', 'no connection is made')
      })
      expect(taken()).toBeUndefined()
    }
  })

  test('a review drops what the client has no certificate for any longer', () => {
    let isGone = false
    const sessions = createSessions({
      clock: runtime.clock,
      evidenceVersion: () => 3,
      identity: () => {
        if (isGone) throw new PolicyError('ERR_POLICY_CONTAINED', 'whatever it says')
        return undefined
      },
      isTrusted: () => true,
    })
    sessions.keep(session('a'))
    isGone = true
    sessions.review(() => policy)
    isGone = false
    expect(sessions.offer(origin, policy)).toBeUndefined()
  })

  test('a review passes on what is no refusal', () => {
    const { keep, review } = cache()
    keep(session('a'))
    expect(() =>
      review(() => {
        throw new RangeError('a mistake')
      }),
    ).toThrow(RangeError)
  })

  test('is empty once it was closed, and stays so', () => {
    const { keep, taken, close } = cache()
    keep(session('a'))
    close()
    expect(taken()).toBeUndefined()
    keep(session('b'))
    expect(taken()).toBeUndefined()
  })
})

describe('the last gate, where a session was resumed', () => {
  test('that was not offered: ERR_TLS_RESUMED', () => {
    const error = expect.objectContaining({ code: 'ERR_TLS_RESUMED', requestSent: 'no' })
    expect(() => admit(origin, { authorized: true, resumed: true, peer: undefined })).toThrow(error)
  })

  test('that Node does not vouch for: ERR_TLS_NO_VERDICT', () => {
    const error = expect.objectContaining({ code: 'ERR_TLS_NO_VERDICT' })
    expect(() => admit(origin, { authorized: false, resumed: true, peer })).toThrow(error)
  })

  test('that was offered and is vouched for: its peer', () => {
    expect(admit(origin, { authorized: true, resumed: true, peer })).toBe(peer)
  })
})
