import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createSeenPeers } from '../../src/transport/seen-peers.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import type { VerifiedPeer } from '../../src/trust/verdict.ts'
import { originOf, policyFor } from '../support/policy.ts'

const ca = testCa()
const host = 'api.example.com'
const origin = originOf(`https://${host}/`)
const anchors = createAnchors(ca.anchorPem)
const issued = ca.issue({ names: [host] })
const certificates = [issued, ...Array.from({ length: 9 }, () => ca.issue({ names: [host] }))]
const peers = certificates.map((one): VerifiedPeer => {
  const policy = policyFor(origin, [ca.root.pin], { anchors })
  const identity = { kind: 'dns', name: host } as const
  const verdict = evaluateTrust({ presented: one.chain, identity, policy, now: toUnixMs(Date.now()) })
  return verdict.kind === 'trusted' ? verdict.peer : expect.fail('the control was refused')
})
const [first, second] = peers as [VerifiedPeer, VerifiedPeer]
const pins = certificates.map(({ pin }) => pin)
const create = () => createSeenPeers(() => expect.fail('nobody asked for a verdict'))

describe('the keys of a known host', () => {
  test('one that it had not shown before is a change, told once', () => {
    const seen = create()
    expect(seen.remember(origin, first)).toBeUndefined()
    expect(seen.remember(origin, first)).toBeUndefined()
    expect(seen.remember(origin, second)).toEqual({ before: pins[0], after: pins[1] })
    for (let turn = 0; turn < 5; turn += 1) {
      expect(seen.remember(origin, first)).toBeUndefined()
      expect(seen.remember(origin, second)).toBeUndefined()
    }
  })

  test('a renewed certificate with the same key is none, nor the first look at another host', () => {
    const seen = create()
    seen.remember(origin, first)
    const renewed = ca.issue({ names: [host], key: issued.key })
    const { policy } = first
    const identity = { kind: 'dns', name: host } as const
    const verdict = evaluateTrust({ presented: renewed.chain, identity, policy, now: toUnixMs(Date.now()) })
    if (verdict.kind !== 'trusted') return expect.fail('the control was refused')
    expect(seen.remember(origin, verdict.peer)).toBeUndefined()
    expect(seen.remember(originOf(`https://${host}:8443/`), second)).toBeUndefined()
  })

  test('of more than eight, the oldest is forgotten', () => {
    const seen = create()
    const told = peers.map((peer) => seen.remember(origin, peer)?.after)
    expect(told).toEqual([undefined, ...pins.slice(1)])
    expect(seen.remember(origin, peers[5] as VerifiedPeer)).toBeUndefined()
    expect(seen.remember(origin, first)).toEqual({ before: pins[5], after: pins[0] })
  })
})
