import { formatHostPattern } from '../encoding/host-pattern.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { ManifestFloor, SignedManifest } from './accept.ts'
import { refusal, type Where } from './refusal.ts'
import type { ManifestPayload } from './schema.ts'

export type Revocations = ManifestPayload['revocations']

/** What revokes, or in `unrevoked` takes back: the same shapes. */
export type RevocationRule = ReturnType<typeof rulesIn>[number] | UnrevokedRecord
type UnrevokedRecord = NonNullable<NonNullable<Revocations>['unrevoked']>[number]

/**
 * Whoever forgets a line must not let a stolen key serve again: taking a revocation back takes words. What an expired
 * manifest revoked is not asked for any more, or else a record that publishers drop some day would keep a client that slept
 * through it from updating for good. A risen epoch of the manifest role forgets the floor, and with it what thieves revoked.
 *
 * @throws ManifestError REVOCATION_DROPPED.
 */
export function checkRevocationsKept(
  { version, payload }: SignedManifest,
  floor: ManifestFloor | undefined,
  now: UnixMs,
  source?: string,
): void {
  if (floor === undefined || now >= floor.expires) return
  const [first, ...more] = dropped(rulesIn(floor.revocations), payload.revocations)
  if (first === undefined) return
  const where: Where = { document: 'manifest', version, ...(source === undefined ? {} : { source }) }
  const others = more.length === 0 ? '' : ` and ${more.length} others`
  const message = `revoked in manifest ${floor.version}, neither revoked nor in revocations.unrevoked here: ${first}${others}`
  throw refusal('ERR_MANIFEST_REVOCATION_DROPPED', where, message)
}

export function rulesIn(revocations: Revocations) {
  const { spki = [], certificate = [], issuerSerial = [], distrustAfter = [] } = revocations ?? {}
  return [...spki, ...certificate, ...issuerSerial, ...distrustAfter]
}

/**
 * What these rules name and `after` neither revokes, as widely or more so, nor takes back.
 *
 * @returns A name each: key, certificate, or issuer and serial number.
 */
export function dropped(rules: readonly RevocationRule[], after: Revocations): readonly string[] {
  const revoked = new Map<string, number>()
  for (const { name, after: at } of rulesIn(after).flatMap(itemsOf)) {
    revoked.set(name, Math.min(at, revoked.get(name) ?? at))
  }
  const unrevoked = new Set((after?.unrevoked ?? []).flatMap(itemsOf).map(({ name, after: at }) => `${name} ${at}`))
  return rules.flatMap(itemsOf).flatMap(({ name, wider, after: at }) => {
    const isKept = [name, wider].some((one) => (revoked.get(one) ?? Number.POSITIVE_INFINITY) <= at)
    return isKept || unrevoked.has(`${name} ${at}`) || unrevoked.has(`${wider} ${at}`) ? [] : [name]
  })
}

interface Item {
  readonly name: string
  /** The same for every host. */
  readonly wider: string
  /** Distrust from an earlier instant on is wider than from a later one. 0 for what is revoked altogether. */
  readonly after: number
}

function itemsOf(rule: RevocationRule): readonly Item[] {
  const item = (name: string, wider = name, after = 0): Item => ({ name, wider, after })
  if ('serials' in rule) {
    return rule.serials.map((serial) => item(`${rule.issuerSpkiSha256} ${serial.replace(/^0+(?=.)/, '')}`))
  }
  if ('spkiSha256' in rule) {
    const { spkiSha256, notBefore, sctNotAfter = 0 } = rule
    const name = notBefore === undefined ? `${spkiSha256} sctNotAfter` : `${spkiSha256} notBefore`
    return [item(name, name, notBefore ?? sctNotAfter)]
  }
  const { sha256 } = rule
  if (!('hosts' in rule)) return [item(sha256)]
  return rule.hosts.map((host) => item(`${sha256} for ${formatHostPattern(host)}`, sha256))
}
