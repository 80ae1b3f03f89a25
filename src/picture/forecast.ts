import type { ErrorCode } from '../errors/codes.ts'
import type { CertificateFact, HostFact, PinFact } from './facts.ts'

/** What becomes of connections to a host in a time in which nothing changes. */
export type Segment = { readonly from: number; readonly until: number } & (
  | { readonly kind: 'passes'; readonly keys: 'one' | 'several' }
  | { readonly kind: 'hole'; readonly why: string; readonly code: ErrorCode }
)

/**
 * What becomes of connections to a host if nobody acts: from `now` on, without gaps, up to `Infinity`. Pure.
 *
 * A connection passes while one of the certificates that were seen is valid, with all above it, and, in every group, a pin that is active stands on its
 * path; where no certificate was seen, while every group has an active pin.
 */
export function forecastOf(host: HostFact, now: number): readonly Segment[] {
  const edges = [...new Set([now, ...edgesOf(host).filter((at) => at > now && at < Infinity)])].sort((a, b) => a - b)
  const segments: Segment[] = []
  for (const [index, from] of edges.entries()) {
    const next: Segment = { from, until: edges[index + 1] ?? Infinity, ...stateAt(host, from) }
    const before = segments.at(-1)
    if (before !== undefined && isSame(before, next)) segments[segments.length - 1] = { ...before, until: next.until }
    else segments.push(next)
  }
  return segments
}

/** Whether the pin counts: neither denied nor outside of its window. */
function isActive({ from, until, isDenied }: PinFact, at: number): boolean {
  return isDenied !== true && isWithin({ from, until }, at)
}

/** Whether the key stands on the path of the certificate, where the pin asks for it. */
export function standsOn({ spki, require }: PinFact, { path }: CertificateFact): boolean {
  return path.some((keys, index) => {
    if (require === 'endEntity' && index !== 0) return false
    if (require === 'issuer' && index === 0) return false
    return keys.includes(spki)
  })
}

export function isWithin({ from, until }: { from?: number | undefined; until?: number | undefined }, at: number) {
  return (from === undefined || at >= from) && (until === undefined || at < until)
}

type State =
  | { readonly kind: 'passes'; readonly keys: 'one' | 'several' }
  | { readonly kind: 'hole'; readonly why: string; readonly code: ErrorCode }

function stateAt(host: HostFact, at: number): State {
  const { pins, certificates, issuers = [], refusedFrom, enforcedFrom = -Infinity } = host
  if (refusedFrom !== undefined && at >= refusedFrom.at) return hole(refusedFrom.why, refusedFrom.code)
  const valid = certificates.filter((certificate) => isWithin(certificate, at))
  if (certificates.length > 0 && valid.length === 0) {
    const isOver = certificates.every(({ until = Infinity }) => at >= until)
    return isOver
      ? hole('its certificate has ended', 'ERR_TRUST_CERT_EXPIRED')
      : hole('its certificate is not valid yet', 'ERR_TRUST_CERT_NOT_YET_VALID')
  }
  const above = issuers.find((issuer) => !isWithin(issuer, at))
  if (above !== undefined) {
    return at >= (above.until ?? Infinity)
      ? hole(`${above.subject} has ended`, 'ERR_TRUST_CERT_EXPIRED')
      : hole(`${above.subject} is not valid yet`, 'ERR_TRUST_CERT_NOT_YET_VALID')
  }
  const active = new Set(pins.filter((pin) => isActive(pin, at)))
  const keys = new Set([...active].map(({ spki }) => spki)).size > 1 ? 'several' : 'one'
  if (at < enforcedFrom) return { kind: 'passes', keys }
  const groups = groupsOf(host).map((group) => group.filter((pin) => active.has(pin)))
  if (groups.some(({ length }) => length === 0)) return hole('no pin of it is active', 'ERR_TRUST_PIN_NONE_ACTIVE')
  const matches = (certificate: CertificateFact) =>
    groups.every((group) => group.some((pin) => standsOn(pin, certificate)))
  if (valid.length > 0 && !valid.some(matches)) {
    return hole('no active pin matches its certificate', 'ERR_TRUST_PIN_MISMATCH')
  }
  return { kind: 'passes', keys }
}

const hole = (why: string, code: ErrorCode): State => ({ kind: 'hole', why, code })

function groupsOf({ pins, groups }: HostFact): readonly (readonly PinFact[])[] {
  if (groups === undefined) return [pins]
  return groups.map((positions) => positions.flatMap((position) => pins[position] ?? []))
}

function edgesOf({ pins, certificates, issuers = [], refusedFrom, enforcedFrom }: HostFact): readonly number[] {
  const windows = [...pins, ...certificates, ...issuers].flatMap(({ from, until }) => [from, until])
  return [...windows, refusedFrom?.at, enforcedFrom].flatMap((at) => at ?? [])
}

function isSame(a: Segment, b: Segment): boolean {
  if (a.kind === 'hole') return b.kind === 'hole' && a.why === b.why
  return b.kind === 'passes' && a.keys === b.keys
}
