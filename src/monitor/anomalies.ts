import { hash } from 'node:crypto'
import { BoundedMap } from '../encoding/bounded-map.ts'
import type { EventOf } from '../events/events.ts'
import type { HandshakeEvent } from '../events/handshake.ts'
import { readCertificate } from '../trust/path/certificate-cache.ts'
import { shorten } from '../trust/path/describe.ts'
import { pinOf } from '../trust/pins.ts'
import { EMBEDDED_SCTS } from '../trust/transparency/signed-entry.ts'
import type { Certificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { type AddressOf, createAddressWatch } from './addresses.ts'
import { createKeyOwners } from './key-owners.ts'

type AnomalyEvent = EventOf<'tls.anomaly'>
type Change = Pick<AnomalyEvent, 'kind' | 'before' | 'after'>

/**
 * Compares what accepted hosts show with what they showed before. The first showing is learned; each certificate, issuer, anchor and
 * key that is new is told once, so servers that take turns with a few are silent once all were seen. A resumed session shows
 * nothing. Sixteen certificates of each of the last 500 hosts are remembered.
 */
export function createAnomalies(
  options: { readonly addressOf?: AddressOf | undefined } = {},
): (handshake: HandshakeEvent) => readonly AnomalyEvent[] {
  const hosts = new BoundedMap<string, KnownHost>(MAX_HOSTS)
  const moveOf = createAddressWatch(options.addressOf)
  const ownerOf = createKeyOwners()

  const certificateChanges = (handshake: HandshakeEvent): readonly Change[] => {
    const { host, at, presented } = handshake
    const [der] = presented
    if (der === undefined) return []
    const sha256 = hash('sha256', der, 'hex')
    const known = hosts.get(host) ?? { showings: [], anchors: [], handshakes: 0 }
    known.handshakes += 1
    const index = known.showings.findIndex((one) => one.sha256 === sha256)
    const anchor = anchorChange(known, handshake)
    const seen = known.showings[index]
    if (seen !== undefined) {
      if (index < known.showings.length - 1) known.showings.push(...known.showings.splice(index, 1)) // the newest is the last
      seen.shownAt = known.handshakes
      return anchor
    }
    const certificate = readCertificate(der)
    if (certificate instanceof DerError) return anchor // report mode let it through
    const showing = showingOf(certificate, handshake, known.handshakes)
    const owner = known.showings.some(({ key }) => key === showing.key)
      ? undefined
      : ownerOf(host, showing.key, certificate)
    const changes: Change[] = [...changesFrom(known, showing, at), ...anchor]
    if (owner !== undefined) changes.push({ kind: 'key-shared', before: owner, after: showing.key })
    known.showings.push(showing)
    if (known.showings.length > MAX_SHOWINGS) known.showings.shift()
    hosts.set(host, known)
    return changes
  }

  return (handshake) => {
    const { host, outcome, connection, policy } = handshake
    if (outcome !== 'accepted' && outcome !== 'reported') return []
    const shown = connection?.resumed === true ? [] : certificateChanges(handshake)
    const move = moveOf(handshake)
    if (shown.length === 0 && move === undefined) return []
    const changes: readonly Change[] = move === undefined ? shown : [...shown, { kind: 'address-moved', ...move }]
    const { manifestVersion } = policy
    return changes.map((change) => ({ type: 'tls.anomaly', host, ...change, manifestVersion }))
  }
}

interface KnownHost {
  /** The newest last. */
  readonly showings: Showing[]
  /** Pins of their keys, the newest last. */
  readonly anchors: string[]
  handshakes: number
}

/** A certificate that a host showed. */
interface Showing {
  readonly sha256: string
  readonly issuer: string
  readonly key: string
  readonly notBefore: number
  readonly notAfter: number
  /** For Certificate Transparency. */
  readonly isLogged: boolean
  /** Which of the host's handshakes it was, the newest. */
  shownAt: number
}

function showingOf(certificate: Certificate, { transparency }: HandshakeEvent, shownAt: number): Showing {
  const { sha256, issuer, notBefore, notAfter, extensions } = certificate
  const isChecked = transparency !== undefined && transparency.status !== 'unchecked'
  const isLogged = isChecked ? transparency.logs.length > 0 : extensions.has(EMBEDDED_SCTS)
  return { sha256, issuer: shorten(issuer.text), key: pinOf(certificate), notBefore, notAfter, isLogged, shownAt }
}

/** Of a host that is known. */
function changesFrom(known: KnownHost, after: Showing, now: number): readonly Change[] {
  const before = known.showings.at(-1)
  if (before === undefined) return []
  const changes: Change[] = [{ kind: 'certificate-changed', before: before.sha256, after: after.sha256 }]
  const isNew = (member: 'issuer' | 'key'): boolean => known.showings.every((one) => one[member] !== after[member])
  if (isNew('issuer')) changes.push({ kind: 'issuer-changed', before: before.issuer, after: after.issuer })
  if (isNew('key')) changes.push({ kind: 'key-changed', before: before.key, after: after.key })
  // Of several servers it is not known whose certificate this one replaces: what holds for each of them holds for it.
  const recent = known.showings.filter(({ shownAt }) => known.handshakes - shownAt <= RECENT)
  const compared = { before: before.sha256, after: after.sha256 }
  if (recent.every((one) => after.notBefore > one.notBefore && isInFirstHalf(one, now))) {
    changes.push({ kind: 'renewed-early', ...compared })
  }
  const life = lifeChange(known.showings, before, after)
  if (life !== undefined) changes.push(life)
  if (!after.isLogged && recent.every(({ isLogged }) => isLogged)) changes.push({ kind: 'sct-missing', ...compared })
  return changes
}

const isInFirstHalf = ({ notBefore, notAfter }: Showing, now: number): boolean =>
  notAfter - now > (notAfter - notBefore) / 2

/** Where none of those seen lives about as long. */
function lifeChange(known: readonly Showing[], before: Showing, after: Showing): Change | undefined {
  const length = lifeOf(after)
  const [isShorter, isLonger] = [
    known.every((one) => lifeOf(one) > length * LIFE_FACTOR),
    known.every((one) => lifeOf(one) * LIFE_FACTOR < length),
  ]
  if (!isShorter && !isLonger) return undefined
  return { kind: isShorter ? 'life-shorter' : 'life-longer', before: inDays(before), after: inDays(after) }
}

/** Of the verified path: another one may lead from the same certificate to another anchor. */
function anchorChange({ anchors }: KnownHost, { chain }: HandshakeEvent): readonly Change[] {
  const after = chain.findLast(({ position }) => position === 'anchor')?.spki
  if (after === undefined || anchors.includes(after)) return []
  const before = anchors.at(-1)
  anchors.push(after)
  if (anchors.length > MAX_ANCHORS) anchors.shift()
  return before === undefined ? [] : [{ kind: 'anchor-changed', before, after }]
}

const lifeOf = ({ notBefore, notAfter }: Showing): number => notAfter - notBefore
const inDays = (one: Showing): string => String(Number((lifeOf(one) / DAY_MS).toPrecision(3)))

const DAY_MS = 86_400_000
/** The steps by which public CAs shorten lives, 398 to 200 to 100 days, and 90 to 45, are no anomaly; a second makes no difference. */
const LIFE_FACTOR = 2.02
/** Handshakes in which a certificate was shown last, for it to be one of those in use. */
const RECENT = 16
const MAX_SHOWINGS = 16 // several algorithms at once on several servers, and a rotation of each
const MAX_ANCHORS = 8
const MAX_HOSTS = 500
