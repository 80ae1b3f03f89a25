import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { selfSigned, type TestCertificate, testCa } from '../../src/testing/ca.ts'
import { crossSign } from '../../src/testing/forge.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import { fragileFrom } from '../../src/trust/fragile.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const DAY_MS = 86_400_000
const WARNING_MS = 30 * DAY_MS
const at = (days: number) => toUnixMs(NOW + days * DAY_MS)

interface Given {
  readonly presented: readonly TestCertificate[]
  readonly anchors: readonly TestCertificate[]
  /** Of which one must be on the path. */
  readonly pinned: readonly TestCertificate[]
  readonly policy?: Partial<HostPolicy>
  readonly now?: number
}

/** What is said of a peer that is accepted. */
function fragilityOf({ presented, anchors, pinned, policy, now = NOW }: Given): string | undefined {
  const pins = pinned.map(({ pin }) => pin)
  const verdict = evaluateTrust({
    presented: presented.map(({ der }) => der),
    identity: { kind: 'dns', name: HOST },
    policy: policyFor(originOf(`https://${HOST}/`), pins, {
      anchors: createAnchors(anchors.map(({ der }) => der)),
      ...policy,
    }),
    now: toUnixMs(now),
  })
  return verdict.kind === 'trusted' ? verdict.peer.fragility : expect.fail(verdict.findings[0].message)
}

const ca = testCa({ now: NOW })
const other = testCa({ now: NOW, name: 'Other' })
const server = ca.issue({ names: [HOST] })
const cross = crossSign(ca.root, other.root)
const both = { presented: [server, ca.issuer, cross], anchors: [ca.root, other.root] }

describe('a valid path without the pinned key was met first', () => {
  test('names the certificate that leads to the key', () => {
    expect(fragilityOf({ ...both, pinned: [other.root] })).toBe(
      'a pinned key is on the path only by way of CN=Test Root; another path is valid without it',
    )
  })

  test('is nothing where the pinned key stands on each path', () => {
    for (const pinned of [[server], [ca.issuer], [ca.root], [other.root, server]]) {
      expect(fragilityOf({ ...both, pinned })).toBeUndefined()
    }
  })

  test('is nothing where it is the lower part of the same path: an intermediate among the anchors', () => {
    const anchors = [ca.issuer, ca.root]
    expect(fragilityOf({ presented: [server, ca.issuer], anchors, pinned: [ca.root] })).toBeUndefined()
  })

  test('is nothing where a denied key keeps that path from being valid', () => {
    const denies = [{ spki: ca.root.pin, reason: 'lost' }]
    const roundabout = crossSign(ca.issuer, other.root)
    const presented = [server, ca.issuer, roundabout]
    expect(fragilityOf({ ...both, presented, pinned: [server], policy: { denies } })).toBeUndefined()
    expect(fragilityOf({ ...both, presented, pinned: [other.root], policy: { denies } })).toBeUndefined()
  })

  test('is nothing in report mode while no pin matches: there is no key to lose', () => {
    const pinned = [testCa({ now: NOW }).root]
    expect(fragilityOf({ ...both, pinned, policy: { mode: 'report' } })).toBeUndefined()
  })
})

describe('a CA on the only path with the pinned key ends within 30 days', () => {
  const ending = testCa({ now: NOW, name: 'Ending', root: { notAfter: at(40) } })
  const below = ending.issue({ names: [HOST], notAfter: at(40) })
  const roundabout = crossSign(ending.issuer, other.root)
  const given = {
    presented: [below, ending.issuer, roundabout],
    anchors: [ending.root, other.root],
    pinned: [ending.root],
  }
  const begins = at(40) - WARNING_MS

  test('is told from thirty days before on, with the CA and its end', () => {
    expect(fragilityOf({ ...given, now: begins - 1 })).toBeUndefined()
    expect(fragilityOf({ ...given, now: begins })).toBe(
      'a pinned key is on the path only by way of CN=Ending Root, which ends at 2030-02-10T00:00:00.000Z; another path is valid without it',
    )
  })

  test('is nothing where no other path is valid, or the other has a pinned key as well', () => {
    const late = { ...given, now: at(39) }
    expect(fragilityOf({ ...late, anchors: [ending.root] })).toBeUndefined()
    expect(fragilityOf({ ...late, pinned: [below] })).toBeUndefined()
    expect(fragilityOf({ ...late, pinned: [ending.root, other.root] })).toBeUndefined()
  })

  test('is nothing where only the end entity ends: it is replaced all the time', () => {
    const brief = ca.issue({ names: [HOST], notAfter: at(3) })
    const presented = [brief, ca.issuer, crossSign(ca.issuer, other.root)]
    expect(fragilityOf({ ...both, presented, pinned: [ca.root] })).toBeUndefined()
  })

  test('is nothing where it ends the other path, too, and is told again where a third goes round it', () => {
    const deep = testCa({ now: NOW, intermediates: 2 })
    const [upper, lower] = deep.intermediates
    if (upper === undefined || lower === undefined) expect.fail('two intermediates')
    const dying = crossSign(lower, upper, { notAfter: at(9) })
    const end = deep.issue({ names: [HOST], notAfter: at(9) })
    const viaOther = [end, dying, upper, crossSign(upper, other.root)]
    const pinned = [deep.root]
    const anchors = [deep.root, other.root]
    expect(fragilityOf({ presented: viaOther, anchors, pinned })).toBeUndefined()
    const viaThird = [...viaOther, crossSign(lower, ca.root)]
    expect(fragilityOf({ presented: viaThird, anchors: [...anchors, ca.root], pinned })).toContain(
      'by way of CN=Test Intermediate 2, which ends at 2030-01-10T00:00:00.000Z',
    )
  })

  test('an end entity that is its own anchor has no CA to end', () => {
    const own = selfSigned({ now: NOW, names: [HOST], notAfter: at(3) })
    expect(fragilityOf({ presented: [own], anchors: [own], pinned: [own] })).toBeUndefined()
    expect(fragileFrom({ certificates: [parseCertificate(own.der)], policies: [] })).toBeUndefined()
  })
})
