import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'
import type { HandshakeEvent } from '../events/handshake.ts'
import type { Expiring, ExpiringThing } from '../events/monitor-events.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { readCertificate } from '../trust/path/certificate-cache.ts'
import { DerError } from '../x509/der.ts'

/** Something that ends, and when. */
export interface Expiry {
  readonly what: ExpiringThing
  readonly subject: string
  /** Unix milliseconds. */
  readonly notAfter: UnixMs
  /** Begun days count; 0 for what has ended. */
  readonly daysLeft: number
}

/**
 * Tells what ends in 30, 14, 7 or 1 days, or has ended: once for each, and of several that passed at once the last alone.
 *
 * A threshold counts where it is no more than a quarter of a life. Whoever renews by himself does so with a third of it left, or
 * half of the shortest; when a quarter is left, that did not happen. So a certificate of 90 days is told of from 14 days on, one of
 * 47 days from 7, one of six days from one, and a revocation list of a day when it has ended.
 */
export function createExpiryAlarms(): (all: readonly Expiring[], now: UnixMs) => readonly EventOf<'expiry.near'>[] {
  const told = new BoundedMap<string, number>(MAX_TOLD)
  return (all, now) =>
    all.flatMap((one) => {
      const { what, subject, notAfter, notBefore } = one
      const life = notBefore === undefined ? Number.POSITIVE_INFINITY : notAfter - notBefore
      const step = STEPS.findLast((days) => notAfter - now <= days * DAY_MS && days * DAY_MS <= life / 4)
      if (step === undefined) return []
      const key = `${what} ${notAfter} ${subject}`
      if (step >= (told.get(key) ?? Number.POSITIVE_INFINITY)) return []
      told.set(key, step)
      return [{ type: 'expiry.near', ...expiryOf(one, now) }]
    })
}

/** The soonest first, and no more than 200. */
export function expiriesOf(all: readonly Expiring[], now: UnixMs): readonly Expiry[] {
  const sorted = [...all].sort((a, b) => a.notAfter - b.notAfter)
  return sorted.slice(0, MAX_LISTED).map((one) => expiryOf(one, now))
}

export interface SeenCertificates {
  /** Answers with what was not known. */
  readonly note: (handshake: HandshakeEvent) => Expiring | undefined
  readonly all: (now: UnixMs) => readonly Expiring[]
}

/**
 * The newest certificate of each host that was accepted. One that nobody was shown for a twelfth of its life is forgotten: the
 * server may have renewed it since. What is told of has then been seen with less than a third of its life left, and was late.
 */
export function createSeenCertificates(): SeenCertificates {
  const hosts = new BoundedMap<string, Seen>(MAX_HOSTS)
  return {
    note: ({ host, at, outcome, presented }) => {
      const [der] = presented
      if ((outcome !== 'accepted' && outcome !== 'reported') || der === undefined) return undefined
      const known = hosts.get(host)
      if (known !== undefined && Buffer.compare(known.der, der) === 0) {
        known.seenAt = at
        return undefined
      }
      const certificate = readCertificate(der)
      if (certificate instanceof DerError) return undefined
      const { notBefore, notAfter } = certificate
      const expiring: Expiring = { what: 'server certificate', subject: host, notBefore, notAfter }
      hosts.set(host, { der: certificate.der, expiring, seenAt: at })
      return expiring
    },
    all: (now) => [...hosts.values()].flatMap((seen) => (isForgotten(seen, now) ? [] : [seen.expiring])),
  }
}

interface Seen {
  readonly der: Uint8Array
  readonly expiring: Expiring
  seenAt: UnixMs
}

function isForgotten({ expiring: { notBefore, notAfter }, seenAt }: Seen, now: UnixMs): boolean {
  return now - seenAt > (notAfter - (notBefore ?? 0)) / 12
}

const expiryOf = ({ what, subject, notAfter }: Expiring, now: UnixMs): Expiry => ({
  what,
  subject,
  notAfter: toUnixMs(notAfter),
  daysLeft: Math.max(0, Math.ceil((notAfter - now) / DAY_MS)),
})

const DAY_MS = 86_400_000
const STEPS = [30, 14, 7, 1, 0] as const
const MAX_LISTED = 200
const MAX_HOSTS = 500
const MAX_TOLD = 4_000 // more than all that is watched at once
