import { type PinHash, type PinText, pinHashOf } from '../encoding/pin.ts'
import type { Finding } from '../errors/errors.ts'
import type { Certificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { MAX_PRESENTED_CERTIFICATES } from './path/budget.ts'
import { readCertificate } from './path/certificate-cache.ts'
import type { CertificationPath } from './path/path.ts'
import { pinOf } from './pins.ts'

/** Keys of products that stand between a client and its server, as the manifest names them. */
export interface InterceptionKeys {
  /** Equal for equal content. */
  readonly id: string
  readonly keys: ReadonlySet<PinText>
  readonly hashes: readonly PinHash[]
  /** What becomes of a peer with such a key on its verified path, pinned or not. */
  readonly effect: 'report' | 'refuse'
}

/** A key of the list that a peer showed. */
export interface Interception {
  readonly spki: PinText
  /** It is on the verified path; otherwise it was presented, as anybody can present a certificate. */
  readonly isVerified: boolean
}

export function createInterceptionKeys(
  pins: readonly PinText[],
  { id, effect }: Pick<InterceptionKeys, 'id' | 'effect'>,
): InterceptionKeys {
  return { id, effect, keys: new Set(pins), hashes: [...new Set(pins.map(pinHashOf))] }
}

/**
 * The first key of the list on a verified path, or else among what was presented: a box whose CA is not trusted here, or whose
 * path fails for another reason, is seen by the latter.
 */
export function findInterception(
  list: InterceptionKeys,
  path: CertificationPath | undefined,
  presented: readonly Uint8Array[],
): Interception | undefined {
  const onPath = firstOf(path?.certificates ?? [], list)
  if (onPath !== undefined) return { spki: onPath.spki, isVerified: true }
  const readable = presented.slice(0, MAX_PRESENTED_CERTIFICATES).flatMap((der) => {
    const certificate = readCertificate(der)
    return certificate instanceof DerError ? [] : [certificate]
  })
  const shown = firstOf(readable, list)
  return shown && { spki: shown.spki, isVerified: false }
}

/** Why a path is refused where the policy refuses interception; the list beats pins, as denied keys do. */
export function refuseInterception({ certificates }: CertificationPath, list: InterceptionKeys): Finding | undefined {
  const found = list.effect === 'refuse' ? firstOf(certificates, list) : undefined
  if (found === undefined) return undefined
  const message = `the key ${found.spki} on the verified path is one of a known interception product`
  return { code: 'ERR_TRUST_INTERCEPTION', certificateIndex: found.index, message }
}

/** Beside the reason for a refusal: who was probably refused. */
export function interceptionFinding({ spki }: Interception): Finding {
  const message = `the key ${spki} of a known interception product was presented`
  return { code: 'ERR_TRUST_INTERCEPTION', certificateIndex: null, message }
}

function firstOf(certificates: readonly Certificate[], { keys, hashes }: InterceptionKeys) {
  for (const [index, certificate] of certificates.entries()) {
    const spki = hashes.map((hash) => pinOf(certificate, hash)).find((pin) => keys.has(pin))
    if (spki !== undefined) return { spki, index }
  }
  return undefined
}
