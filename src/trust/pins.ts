import { type PinText, pinHashOf, pinOfSpki } from '../encoding/pin.ts'
import type { Finding } from '../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Certificate } from '../x509/certificate.ts'
import { refuseInterception } from './interception.ts'
import type { CertificationPath } from './path/path.ts'
import type { HostPolicy, Pin } from './policy.ts'
import { findRevoked } from './revoked.ts'

export type PinResult =
  | { readonly kind: 'match'; readonly validUntil: UnixMs }
  | { readonly kind: 'denied' | 'mismatch'; readonly finding: Finding }

/**
 * Compares a verified path with the keys of a policy: first what is denied, revoked or refused as an interception, on the whole
 * path, then the pinned ones, each at the position it asks for. The caller guarantees that every link of the path was verified.
 *
 * @see RFC 7469 §2.6
 */
export function matchPins(path: CertificationPath, policy: HostPolicy, now: UnixMs): PinResult {
  const denied =
    findDenied(path, policy) ??
    (policy.revoked && findRevoked(path, policy.revoked)) ??
    (policy.interception && refuseInterception(path, policy.interception))
  if (denied !== undefined) return { kind: 'denied', finding: denied }
  let validUntil = FOREVER
  for (const group of policy.pinGroups) {
    const active = group.filter((pin) => isActive(pin, policy, now))
    if (active.length === 0) return { kind: 'mismatch', finding: noneActive(group) }
    const matching = active.filter((pin) => isOnPath(pin, path.certificates))
    if (matching.length === 0) return { kind: 'mismatch', finding: mismatch(path, active) }
    // Within a group the pin that holds longest decides; between groups the one that ends first.
    const ends = toUnixMs(Math.max(...matching.map(({ notAfter }) => notAfter ?? FOREVER)))
    validUntil = toUnixMs(Math.min(ends, validUntil))
  }
  return { kind: 'match', validUntil }
}

/** The pins that are active, and those among them that stand where they have to on a verified path. Tells, and decides nothing. */
export function describePins(
  path: CertificationPath | undefined,
  policy: HostPolicy,
  now: UnixMs,
): { readonly considered: readonly PinText[]; readonly matched: readonly PinText[] } {
  const considered = new Set<PinText>()
  const matched = new Set<PinText>()
  for (const group of policy.pinGroups) {
    for (const pin of group) {
      if (!isActive(pin, policy, now)) continue
      considered.add(pin.spki)
      if (path !== undefined && isOnPath(pin, path.certificates)) matched.add(pin.spki)
    }
  }
  return { considered: [...considered], matched: [...matched] }
}

/** The pin of a certificate's key, computed once per certificate and hash. */
export function pinOf(certificate: Certificate, hash: 'sha256' | 'sha384' | 'sha512' = 'sha256'): PinText {
  const known = memo.get(certificate)?.get(hash)
  if (known !== undefined) return known
  const pin = pinOfSpki(certificate.spki, hash)
  const pins = memo.get(certificate) ?? new Map<string, PinText>()
  memo.set(certificate, pins.set(hash, pin))
  return pin
}

function findDenied({ certificates }: CertificationPath, { denies }: HostPolicy): Finding | undefined {
  // Stryker disable next-line ConditionalExpression: spares a loop that would find nothing
  if (denies.length === 0) return undefined
  for (const [certificateIndex, certificate] of certificates.entries()) {
    const deny = denies.find(({ spki }) => spki === pinOf(certificate, pinHashOf(spki)))
    if (deny === undefined) continue
    const message = `the key ${deny.spki} on the verified path is denied (${JSON.stringify(deny.reason)})`
    return { code: 'ERR_TRUST_PIN_DENIED', certificateIndex, message }
  }
  return undefined
}

function isActive({ spki, notBefore, notAfter }: Pin, { denies }: HostPolicy, now: UnixMs): boolean {
  if (denies.some((deny) => deny.spki === spki)) return false
  return (notBefore === undefined || now >= notBefore) && (notAfter === undefined || now < notAfter)
}

function isOnPath({ spki, require }: Pin, certificates: readonly Certificate[]): boolean {
  const hash = pinHashOf(spki)
  return certificates.some((certificate, index) => {
    if (require === 'endEntity' && index !== 0) return false
    if (require === 'issuer' && index === 0) return false
    return pinOf(certificate, hash) === spki
  })
}

function mismatch({ certificates }: CertificationPath, active: readonly Pin[]): Finding {
  const expected = active.map(({ spki }) => spki).join(' or ')
  const message = `no pinned key on the verified path (expected ${expected}, saw ${pinOf(certificates[0])})`
  return { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message }
}

function noneActive(group: readonly Pin[]): Finding {
  const pins = group.map(({ spki }) => spki).join(', ')
  const message = `no pin is active: each is denied or outside its time window (${pins})`
  return { code: 'ERR_TRUST_PIN_NONE_ACTIVE', certificateIndex: null, message }
}

const memo = new WeakMap<Certificate, Map<string, PinText>>()
const FOREVER = toUnixMs(Number.MAX_SAFE_INTEGER)
