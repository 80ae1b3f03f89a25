import { describe, expect, test } from 'vitest'
import { pinOfSpki } from '../../src/encoding/pin.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { type TestCertificate, testCa } from '../../src/testing/ca.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import {
  createInterceptionKeys,
  findInterception,
  type InterceptionKeys,
  refuseInterception,
} from '../../src/trust/interception.ts'
import { MAX_PRESENTED_CERTIFICATES } from '../../src/trust/path/budget.ts'
import type { CertificationPath } from '../../src/trust/path/path.ts'
import type { TrustVerdict } from '../../src/trust/verdict.ts'
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const ca = testCa({ now: NOW })
const box = testCa({ now: NOW, name: 'Inspection Box' })
const server = ca.issue({ names: [HOST] })
const intercepted = box.issue({ names: [HOST] })
const boxPath = pathOf(intercepted, box.issuer, box.root)

function pathOf(first: TestCertificate, ...rest: readonly TestCertificate[]): CertificationPath {
  const parsed = ({ der }: TestCertificate): Certificate => parseCertificate(der)
  return { certificates: [parsed(first), ...rest.map(parsed)], policies: [] }
}

const listOf = (pins: readonly TestCertificate['pin'][], effect: InterceptionKeys['effect'] = 'report') =>
  createInterceptionKeys(pins, { id: 'x', effect })

describe('a key of the list', () => {
  test.each(['sha256', 'sha384', 'sha512'] as const)('is known by its %s', (hash) => {
    const spki = pinOfSpki(box.issuer.spki, hash)
    expect(findInterception(listOf([spki]), boxPath, [])).toEqual({ spki, isVerified: true })
    expect(findInterception(listOf([server.pin, spki]), undefined, intercepted.chain)).toEqual({
      spki,
      isVerified: false,
    })
  })

  test('on the verified path counts before one that was only presented', () => {
    const list = listOf([server.pin, box.root.pin])
    expect(findInterception(list, boxPath, server.chain)).toEqual({ spki: box.root.pin, isVerified: true })
    expect(findInterception(list, undefined, server.chain)).toEqual({ spki: server.pin, isVerified: false })
  })

  test('is the first of those that were presented, and what is no certificate is passed over', () => {
    const presented = [Uint8Array.of(0x30), server.der, box.issuer.der, intercepted.der]
    const spki = box.issuer.pin
    expect(findInterception(listOf([intercepted.pin, spki]), undefined, presented)).toEqual({ spki, isVerified: false })
  })

  test('is looked for among no more certificates than a path may be built of', () => {
    const list = listOf([box.issuer.pin])
    const behind = (count: number) => [...Array.from({ length: count }, () => server.der), box.issuer.der]
    expect(findInterception(list, undefined, behind(MAX_PRESENTED_CERTIFICATES - 1))).toBeDefined()
    expect(findInterception(list, undefined, behind(MAX_PRESENTED_CERTIFICATES))).toBeUndefined()
  })

  test('is nobody else’s', () => {
    expect(findInterception(listOf([box.issuer.pin]), pathOf(server, ca.issuer, ca.root), server.chain)).toBeUndefined()
    expect(findInterception(listOf([]), boxPath, intercepted.chain)).toBeUndefined()
  })

  test('refuses a path where the policy says so, with its place: ERR_TRUST_INTERCEPTION', () => {
    expect(refuseInterception(boxPath, listOf([box.root.pin, box.issuer.pin], 'refuse'))).toEqual({
      code: 'ERR_TRUST_INTERCEPTION',
      certificateIndex: 1,
      message: `the key ${box.issuer.pin} on the verified path is one of a known interception product`,
    })
    expect(refuseInterception(boxPath, listOf([box.issuer.pin]))).toBeUndefined()
    expect(refuseInterception(boxPath, listOf([server.pin], 'refuse'))).toBeUndefined()
  })
})

describe('a verdict', () => {
  const list = listOf([box.issuer.pin])
  const shown = { spki: box.issuer.pin, isVerified: false }
  const told = {
    code: 'ERR_TRUST_INTERCEPTION',
    certificateIndex: null,
    message: `the key ${box.issuer.pin} of a known interception product was presented`,
  }

  function judge(
    presented: readonly Uint8Array[],
    given: { readonly anchors?: TestCertificate; readonly list?: InterceptionKeys; readonly pinned?: TestCertificate },
  ): TrustVerdict {
    const { anchors = ca.root, pinned = server } = given
    const policy = policyFor(originOf(`https://${HOST}/`), [pinned.pin], {
      anchors: createAnchors(anchors.der),
      interception: given.list ?? list,
    })
    return evaluateTrust({ presented, identity: { kind: 'dns', name: HOST }, policy, now: NOW })
  }

  test('of acceptance says which key was let through, or presented, and nothing where there was none', () => {
    const verified = { spki: box.issuer.pin, isVerified: true }
    expect(judge(intercepted.chain, { anchors: box.root, pinned: box.root })).toMatchObject({
      kind: 'trusted',
      peer: { interception: verified },
    })
    expect(judge([...server.chain, box.issuer.der], {})).toMatchObject({
      kind: 'trusted',
      peer: { interception: shown },
    })
    const clean = judge(server.chain, {})
    expect(clean.kind).toBe('trusted')
    expect(clean).not.toHaveProperty('peer.interception')
  })

  test('of refusal says so in its last finding: ERR_TRUST_UNKNOWN_ISSUER, then ERR_TRUST_INTERCEPTION', () => {
    const verdict = judge(intercepted.chain, {})
    expect(verdict).toMatchObject({ kind: 'rejected', chain: [], interception: shown })
    expect(verdict.kind === 'rejected' && verdict.findings.map(({ code }) => code)).toEqual([
      'ERR_TRUST_UNKNOWN_ISSUER',
      'ERR_TRUST_INTERCEPTION',
    ])
    expect(verdict.kind === 'rejected' && verdict.findings.at(-1)).toEqual(told)
  })

  test('of refusal for the key itself says so once: ERR_TRUST_INTERCEPTION', () => {
    const refusing = listOf([box.issuer.pin], 'refuse')
    const verdict = judge(intercepted.chain, { anchors: box.root, list: refusing, pinned: box.root })
    expect(verdict).toMatchObject({
      findings: [{ code: 'ERR_TRUST_INTERCEPTION', certificateIndex: 1 }],
      interception: { spki: box.issuer.pin, isVerified: true },
    })
    expect(verdict.kind === 'rejected' && verdict.findings.length).toBe(1)
  })

  test('of refusal for something else says nothing of it: ERR_TRUST_PIN_MISMATCH alone', () => {
    const verdict = judge(server.chain, { pinned: box.root })
    expect(verdict).toMatchObject({ findings: [{ code: 'ERR_TRUST_PIN_MISMATCH' }] })
    expect(verdict.kind === 'rejected' && verdict.findings.length).toBe(1)
    expect(verdict).not.toHaveProperty('interception')
  })
})
