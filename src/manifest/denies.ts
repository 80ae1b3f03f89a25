import { formatHostPattern, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import type { AcceptedStatus, ManifestFacts } from './accept.ts'

/** A key that a status denied. It stays denied until a manifest says otherwise: no later status can end it by leaving it out. */
export interface StickyDeny {
  readonly spki: PinText
  /** Absent: for every host. */
  readonly hosts?: readonly ParsedHostPattern[]
  readonly reason: string
  /** The manifest that the newest status with this deny named. A manifest older than that cannot have meant this deny. */
  readonly manifestEpoch: number
  readonly manifestVersion: number
}

/** Adds what the status denies; subtracts nothing. */
export function addDenies(denies: readonly StickyDeny[], status: AcceptedStatus): readonly StickyDeny[] {
  const { manifestEpoch, payload } = status
  if (payload.deny === undefined) return denies
  const byIdentity = new Map(denies.map((deny) => [identityOf(deny), deny]))
  for (const entry of payload.deny) {
    byIdentity.set(identityOf(entry), { ...entry, manifestEpoch, manifestVersion: payload.manifest.version })
  }
  return [...byIdentity.values()]
}

/** Drops what the manifest names in `undeny` or took over into its revocations: one online key denies, the threshold forgives. */
export function clearDenies(
  denies: readonly StickyDeny[],
  { payload, epoch, version }: ManifestFacts,
): readonly StickyDeny[] {
  const undenied = new Set(payload.undeny)
  const revoked = payload.revocations?.spki
  return denies.filter((deny) => {
    const { manifestEpoch, manifestVersion } = deny
    const isLater = epoch > manifestEpoch || (epoch === manifestEpoch && version >= manifestVersion)
    return !isLater || !(undenied.has(deny.spki) || revoked?.some((revocation) => covers(revocation, deny)))
  })
}

/** A revocation takes a deny's place only if it refuses the key everywhere the deny did. */
function covers(
  revocation: { readonly sha256: string; readonly hosts?: readonly ParsedHostPattern[] },
  deny: StickyDeny,
): boolean {
  if (revocation.sha256 !== deny.spki) return false
  if (revocation.hosts === undefined) return true
  const revoked = new Set(revocation.hosts.map(formatHostPattern))
  return deny.hosts?.every((pattern) => revoked.has(formatHostPattern(pattern))) === true
}

export function identityOf({ spki, hosts }: Pick<StickyDeny, 'spki' | 'hosts'>): string {
  return JSON.stringify([spki, hosts?.map(formatHostPattern).sort()])
}
