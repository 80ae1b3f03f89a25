import type { PinText } from '../encoding/pin.ts'
import type { ChainEntry } from '../errors/errors.ts'
import type { Pin } from '../trust/policy.ts'
import type { Diagnosis } from './doctor.ts'
import { counted, dateOf, fromNow } from './text.ts'

/** The keys that a configuration or a manifest pins for a host. */
interface HostPinSet {
  readonly host: string
  readonly pins: readonly Pin[]
  readonly isDenied: (spki: PinText) => boolean
  /** Who replaces the keys of the server. Absent where nobody says. */
  readonly keyControl?: 'own' | 'partner' | undefined
}

/** Pure. */
export function examinePins({ host, pins, isDenied, keyControl }: HostPinSet, now: number): readonly Diagnosis[] {
  const subject = `pins of ${host}`
  const allowed = pins.filter(({ spki }) => !isDenied(spki))
  const usable = allowed.filter(({ notAfter = FOREVER }) => now < notAfter)
  const end = Math.max(...allowed.map(({ notAfter = FOREVER }) => notAfter))
  const found: Diagnosis[] = pins
    .filter(({ spki }) => isDenied(spki))
    .map(({ spki }) => ({
      id: 'PIN-DENIED',
      severity: usable.length === 0 ? 'error' : 'warning',
      subject,
      message: `${spki} is denied, and no longer counts`,
      fix: 'Pin the key that takes its place, and drop this one: pinfetch rotate',
    }))
  if (allowed.length > 0 && end - now < SOON_MS) {
    found.push({
      id: 'PIN-EXPIRY',
      severity: end <= now ? 'error' : 'warning',
      subject,
      message: `they end ${fromNow(end, now)}`,
      fix: 'Renew them, or sign a manifest.',
    })
  }
  if (usable.length === 1 || (usable.length === 0 && allowed.length === 1)) {
    const fix = 'Pin a backup key that is kept elsewhere (RFC 7469 §4.3): pinfetch pin <host> --backup <key file>'
    const message = 'no backup pin: a lost key is an outage'
    found.push({ id: 'PIN-BACKUP', severity: 'warning', subject, message, fix })
  }
  if (keyControl === 'partner' && usable.every(({ require }) => require === 'endEntity')) {
    const message = 'each is a key of an end entity, which a partner replaces unasked'
    found.push({ id: 'PIN-LEAF', severity: 'warning', subject, message, fix: LEAF_FIX })
  }
  if (found.length > 0) return found
  const until = end === FOREVER ? '' : `, until ${dateOf(end)} (${fromNow(end, now)})`
  return [{ id: 'PIN-BACKUP', severity: 'ok', subject, message: `${counted(pins.length, 'pin')}${until}` }]
}

/** Pure: which of the pins a server has now, and where. */
export function examineMatch(
  host: string,
  pins: readonly PinText[],
  chain: readonly ChainEntry[],
): readonly Diagnosis[] {
  const matched = chain.filter(({ spki }) => pins.some((pin) => pin === spki))
  if (matched.length === 0) return []
  const id = 'PIN-LEAF'
  const subject = `pins of ${host}`
  const places = matched.map(({ position }) => NAMES[position]).join(', ')
  const message = `${matched.length} of ${pins.length} on the path, at: ${places}`
  const isLone = pins.length === 1 && matched[0]?.position === 'endEntity'
  if (!isLone) return [{ id, severity: 'ok', subject, message }]
  const lone = `${message}; it is the only one, so a renewal with another key is an outage`
  return [{ id, severity: 'warning', subject, message: lone, fix: LEAF_FIX }]
}

const NAMES: Readonly<Record<ChainEntry['position'], string>> = {
  endEntity: 'end entity',
  intermediate: 'intermediate',
  anchor: 'anchor',
}
const LEAF_FIX = 'Pin the key of its issuer as well, or the next key of the end entity: pinfetch pin <host>'
const FOREVER = Number.POSITIVE_INFINITY
const SOON_MS = 30 * 86_400_000
