import { type CanonicalOrigin, canonicalOrigin } from '../../src/encoding/host.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { bundledAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy, Pin } from '../../src/trust/policy.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'

export function originOf(url: string): CanonicalOrigin {
  const origin = canonicalOrigin(new URL(url))
  if (origin === undefined) throw new Error(`${url} has no canonical origin`)
  return origin
}

/** A policy as the composition root makes them; a new generation for every call unless one is given. */
export function policyFor(
  origin: CanonicalOrigin,
  pins: readonly (PinText | Pin)[],
  more: Partial<HostPolicy> = {},
): HostPolicy {
  const { host, port } = origin
  const group = pins.map((pin): Pin => (typeof pin === 'string' ? { spki: pin } : pin))
  const pinGroups = group.length === 0 ? [] : [group]
  const generation = `test-${generations++}`
  return {
    host,
    port,
    source: 'code',
    mode: 'enforce',
    pinGroups,
    denies: [],
    revocation: DEFAULT_REVOCATION,
    minTlsVersion: '1.3',
    anchors: bundledAnchors(),
    manifestVersion: 0,
    generation,
    ...more,
  }
}

let generations = 0
