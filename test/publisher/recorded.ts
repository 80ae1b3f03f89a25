import { certificatePem, selfSigned, type TestCaOptions, type TestCertificate, testCa } from 'pinfetch/testing'
import { chainOf } from '../../src/cli/look.ts'
import type { CanonicalOrigin } from '../../src/encoding/host.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { SeenChain } from '../../src/publisher/seen.ts'
import { type AnchorSet, createAnchors } from '../../src/trust/anchors.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { originOf } from '../support/policy.ts'

export const NOW = Date.UTC(2030, 0, 1)
export const DAY = 86_400_000

/** A host as somebody recorded it: what its servers show, one after the other, and what makes the chains valid. */
export interface Recorded {
  readonly kind: string
  readonly origin: CanonicalOrigin
  readonly anchors: AnchorSet
  /** Each a chain as sent, end entity first. */
  readonly shown: readonly (readonly Uint8Array[])[]
  readonly seen: readonly SeenChain[]
}

const HOST = 'api.example.com'
const names = [HOST]

interface Shown {
  readonly url?: string
  readonly anchors: readonly Uint8Array[]
  readonly shown: readonly (readonly Uint8Array[])[]
}

function usual(options: TestCaOptions = {}, issue: Parameters<TestCertificate['issue']>[0] = {}): Shown {
  const ca = testCa({ now: NOW, ...options })
  return { anchors: ca.anchors, shown: [ca.issue({ names, ...issue }).chain] }
}

/** The same key and name once below each of two roots. */
function crossSigned(): { old: TestCertificate; young: TestCertificate; end: TestCertificate; cross: TestCertificate } {
  const [old, young] = [testCa({ now: NOW, name: 'Old' }).root, testCa({ now: NOW, name: 'Young' }).root]
  const issuer = young.issue({ subject: 'Issuing CA', ca: true, now: NOW })
  const cross = old.issue({ subject: 'Issuing CA', ca: true, now: NOW, key: issuer.key })
  return { old, young, cross, end: issuer.issue({ names, now: NOW }) }
}

const KINDS: Readonly<Record<string, () => Shown>> = {
  'ECDSA P-256 under one intermediate': () => usual(),
  'ECDSA P-384': () => usual({ keyType: 'P-384' }, { keyType: 'P-384' }),
  'RSA 2048 all the way': () => usual({ keyType: 'RSA-2048' }, { keyType: 'RSA-2048' }),
  'RSA-PSS signatures': () => usual({ keyType: 'RSA-2048' }, { padding: 'pss' }),
  'ECDSA under an RSA root': () => usual({ root: { keyType: 'RSA-2048' } }),
  'no intermediate': () => usual({ intermediates: 0 }),
  'two intermediates': () => usual({ intermediates: 2 }),
  'three intermediates': () => usual({ intermediates: 3 }),
  'a certificate of six days': () => usual({}, { notBefore: NOW - DAY, notAfter: NOW + 5 * DAY }),
  'a certificate of 47 days': () => usual({}, { notBefore: NOW - DAY, notAfter: NOW + 46 * DAY }),
  'a certificate of 398 days': () => usual({}, { notBefore: NOW - DAY, notAfter: NOW + 397 * DAY }),
  'a certificate about to end': () => usual({}, { notBefore: NOW - 89 * DAY, notAfter: NOW + DAY }),
  'a wildcard certificate': () => usual({}, { names: ['*.example.com'] }),
  'many names': () => usual({}, { names: [...Array.from({ length: 90 }, (_, n) => `n${n}.example.com`), HOST] }),
  'an internationalised name': () => ({
    ...usual({}, { names: ['xn--bcher-kva.example'] }),
    url: 'https://xn--bcher-kva.example/',
  }),
  'an IPv4 address': () => ({ ...usual({}, { names: [], ips: ['192.0.2.7'] }), url: 'https://192.0.2.7/' }),
  'an IPv6 address': () => ({ ...usual({}, { names: [], ips: ['2001:db8::7'] }), url: 'https://[2001:db8::7]/' }),
  'another port': () => ({ ...usual(), url: `https://${HOST}:8443/` }),
  'a private CA with name constraints': () =>
    usual({ name: 'Acme Internal', root: { nameConstraints: { permitted: [{ dns: 'example.com' }] } } }),
  'a private CA with a path length of 0': () => usual({ intermediate: { pathLength: 0 } }),
  'self-signed, an anchor itself': () => {
    const end = selfSigned({ names, now: NOW })
    return { anchors: [end.der], shown: [[end.der]] }
  },
  'cross-signed, both roots known': () => {
    const { old, young, cross, end } = crossSigned()
    return { anchors: [old.der, young.der], shown: [[...end.chain, cross.der]] }
  },
  'cross-signed, the old root known': () => {
    const { old, cross, end } = crossSigned()
    return { anchors: [old.der], shown: [[...end.chain, cross.der]] }
  },
  'cross-signed, the young root known': () => {
    const { young, cross, end } = crossSigned()
    return { anchors: [young.der], shown: [[...end.chain, cross.der]] }
  },
  'intermediates that take turns': () => {
    const root = testCa({ now: NOW }).root
    const ends = ['R10', 'R11'].map((subject) => root.issue({ subject, ca: true }).issue({ names }))
    return { anchors: [root.der], shown: ends.map(({ chain }) => chain) }
  },
  'an RSA and an ECDSA server': () => {
    const ca = testCa({ now: NOW })
    return { anchors: ca.anchors, shown: [ca.issue({ names }).chain, ca.issue({ names, keyType: 'RSA-2048' }).chain] }
  },
  'a renewal that kept its key, half rolled out': () => {
    const ca = testCa({ now: NOW })
    const old = ca.issue({ names })
    return { anchors: ca.anchors, shown: [old.chain, ca.issue({ names, key: old.key, notBefore: NOW - 1_000 }).chain] }
  },
  'the root is sent as well': () => {
    const ca = testCa({ now: NOW })
    return { anchors: ca.anchors, shown: [ca.issue({ names }).chainWithRoot] }
  },
  'sent out of order': () => {
    const ca = testCa({ now: NOW, intermediates: 2 })
    const [end, ...above] = ca.issue({ names }).chain
    return { anchors: ca.anchors, shown: [[...(end === undefined ? [] : [end]), ...above.toReversed()]] }
  },
  'a stranger’s certificate is sent as well': () => {
    const made = usual()
    return { ...made, shown: made.shown.map((chain) => [...chain, testCa({ now: NOW, name: 'Stray' }).issuer.der]) }
  },
  'an extension that nobody knows': () =>
    usual({}, { extensions: [{ oid: '1.3.6.1.4.1.99999.1', critical: false, value: Uint8Array.of(5, 0) }] }),
}

export const recordings: readonly Recorded[] = Object.entries(KINDS).map(([kind, make]) => {
  const { url = `https://${HOST}/`, anchors, shown } = make()
  const origin = originOf(url)
  const set = createAnchors(anchors.map(certificatePem))
  return { kind, origin, anchors: set, shown, seen: shown.map((presented) => recorded(kind, presented, origin, set)) }
})

/** As `--probe` writes it down. */
function recorded(
  kind: string,
  presented: readonly Uint8Array[],
  origin: CanonicalOrigin,
  anchors: AnchorSet,
): SeenChain {
  const result = findPath({ presented, anchors, now: toUnixMs(NOW) })
  if (result.kind === 'invalid') throw new Error(`${kind}: ${result.findings[0]?.message}`)
  return chainOf(result.path, origin, NOW)
}
