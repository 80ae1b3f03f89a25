import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import type { CertificationPath } from '../../src/trust/path/path.ts'
import { describePins } from '../../src/trust/pins.ts'
import type { HostPolicy, Pin } from '../../src/trust/policy.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const NOW = toUnixMs(Date.UTC(2026, 0, 1))
const ca = testCa({ now: NOW })
const server = ca.issue({ names: [HOST] })
const backup = ca.issue({ names: [HOST] })
const origin = originOf(`https://${HOST}/`)
const anchors = createAnchors(ca.anchorPem)
const path = verifiedPath()

function verifiedPath(): CertificationPath {
  const policy = policyFor(origin, [server.pin], { anchors })
  const verdict = evaluateTrust({ presented: server.chain, identity: { kind: 'dns', name: HOST }, policy, now: NOW })
  if (verdict.kind === 'rejected') throw new Error(verdict.findings[0].message)
  return verdict.peer.path
}

const described = (
  pins: readonly (string | Pin)[],
  more: Partial<HostPolicy> = {},
  on: typeof path | undefined = path,
) => describePins(on, policyFor(origin, pins as readonly Pin[], more), NOW)

test('active pins are considered, and those on the verified path matched', () => {
  expect(described([backup.pin, server.pin])).toEqual({ considered: [backup.pin, server.pin], matched: [server.pin] })
  expect(described([backup.pin])).toEqual({ considered: [backup.pin], matched: [] })
})

test('a pin that is denied, not yet active or over is not considered, whatever was shown', () => {
  const { pin } = server
  const gone = { considered: [], matched: [] }
  expect(described([pin], { denies: [{ spki: pin, reason: 'leaked' }] })).toEqual(gone)
  expect(described([{ spki: pin, notBefore: toUnixMs(NOW + 1) }])).toEqual(gone)
  expect(described([{ spki: pin, notAfter: NOW }])).toEqual(gone)
  const active = { spki: pin, notBefore: NOW, notAfter: toUnixMs(NOW + 1) }
  expect(described([active])).toEqual({ considered: [pin], matched: [pin] })
})

test('a key in another place than its pin asks for does not match', () => {
  const { pin } = server
  expect(described([{ spki: pin, require: 'issuer' }]).matched).toEqual([])
  expect(described([{ spki: pin, require: 'endEntity' }]).matched).toEqual([pin])
})

test('without a verified path nothing matches; a pin of several groups is named once', () => {
  expect(describePins(undefined, policyFor(origin, [server.pin]), NOW)).toEqual({
    considered: [server.pin],
    matched: [],
  })
  const pinGroups = [[{ spki: server.pin }], [{ spki: server.pin }, { spki: backup.pin }]]
  expect(described([], { pinGroups })).toEqual({ considered: [server.pin, backup.pin], matched: [server.pin] })
})
