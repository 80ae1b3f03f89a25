import type { CanonicalHost } from '../encoding/host.ts'
import { formatHostPattern, hostIndex, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import type { HostEntry, ManifestPayload } from '../manifest/schema.ts'

/** One certificate of a path that was verified, as far as pins and revocations can speak about it. End entity first. */
export interface SeenCertificate {
  /** Its key under every hash that a pin may use. */
  readonly pins: readonly PinText[]
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly sha256: string
  /** Hexadecimal, without leading zeros. */
  readonly serial: string
}

/** The path that a server showed when somebody looked: what the next manifest is held against. */
export interface SeenChain {
  readonly host: CanonicalHost
  readonly port: number
  /** Unix milliseconds. */
  readonly seenAt: number
  /** Of the end entity. */
  readonly notBefore: number
  readonly notAfter: number
  readonly path: readonly SeenCertificate[]
}

/** Keys that are refused wherever they stand: denies of a status, revocations of a manifest. */
export interface Refusals {
  readonly denies: readonly { readonly spki: PinText; readonly hosts?: readonly ParsedHostPattern[] }[]
  readonly revocations?: ManifestPayload['revocations']
}

type Pin = HostEntry['pins'][number]

/** Each group must have a pin on the path, nearly always one group. */
export function groupsOf({ pins, allOf }: HostEntry): readonly (readonly Pin[])[] {
  if (allOf === undefined) return [pins]
  return allOf.map((positions) => positions.flatMap((position) => pins[position] ?? []))
}

export function isActive({ spki, notBefore, notAfter }: Pin, denied: ReadonlySet<PinText>, now: number): boolean {
  return (
    !denied.has(spki) && (notBefore === undefined || now >= notBefore) && (notAfter === undefined || now < notAfter)
  )
}

/** Whether a client under this entry would accept the path: pins alone, names and signatures are another matter. */
export function matches(entry: HostEntry, { path }: SeenChain, denied: ReadonlySet<PinText>, now: number): boolean {
  return groupsOf(entry).every((group) =>
    group.some((pin) => isActive(pin, denied, now) && path.some((_, index) => standsAt(pin, path, index))),
  )
}

export function isOnPath(pin: Pin, { path }: SeenChain): boolean {
  return path.some((_, index) => standsAt(pin, path, index))
}

/** The keys that are denied or revoked for a host. */
export function deniedFor(host: CanonicalHost, { denies, revocations }: Refusals): ReadonlySet<PinText> {
  const revoked = (revocations?.spki ?? []).map(({ sha256, hosts }) => ({ spki: sha256, hosts }))
  const covers = (hosts: readonly ParsedHostPattern[] | undefined): boolean =>
    hosts === undefined || hostIndex(hosts.map((pattern) => [pattern, true] as const))(host) === true
  return new Set([...denies, ...revoked].flatMap(({ spki, hosts }) => (covers(hosts) ? [spki] : [])))
}

/** What on the path is denied, revoked or distrusted; `undefined` where nothing is. For messages. */
export function refusedOnPath(chain: SeenChain, refusals: Refusals): string | undefined {
  const { path } = chain
  const denied = deniedFor(chain.host, refusals)
  const key = path.flatMap(({ pins }) => pins).find((pin) => denied.has(pin))
  if (key !== undefined) return key
  const { certificate = [], issuerSerial = [], distrustAfter = [] } = refusals.revocations ?? {}
  const revoked = path.find(({ sha256 }) => certificate.some((rule) => rule.sha256 === sha256))
  if (revoked !== undefined) return `certificate ${revoked.sha256}`
  const numbered = path.find(({ serial }, index) =>
    issuerSerial.some(
      ({ issuerSpkiSha256, serials }) =>
        path[index + 1]?.pins.includes(issuerSpkiSha256) === true &&
        serials.some((text) => text.replace(/^0+(?=.)/, '') === serial),
    ),
  )
  if (numbered !== undefined) return `serial number ${numbered.serial}`
  const distrusted = distrustAfter.find(
    ({ spkiSha256, notBefore, sctNotAfter = 0 }) =>
      path.some(({ pins }, index) => index > 0 && pins.includes(spkiSha256)) &&
      (notBefore === undefined ? chain.notBefore > sctNotAfter : chain.notBefore >= notBefore), // logged no sooner than issued
  )
  return distrusted?.spkiSha256
}

export function denyKey({ spki, hosts = [] }: Refusals['denies'][number]): string {
  return JSON.stringify([spki, ...hosts.map(formatHostPattern).sort()])
}

function standsAt({ spki, require }: Pin, path: readonly SeenCertificate[], index: number): boolean {
  if (require === 'endEntity' && index !== 0) return false
  if (require === 'issuer' && index === 0) return false
  return path[index]?.pins.includes(spki) === true
}
