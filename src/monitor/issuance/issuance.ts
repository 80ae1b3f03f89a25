import { hash } from 'node:crypto'
import { type PinHash, type PinText, pinHashOf, pinOfSpki } from '../../encoding/pin.ts'
import type { EventOf } from '../../events/events.ts'
import { toUnixMs } from '../../ports/runtime.ts'
import { DerError } from '../../x509/der.ts'
import { parseName } from '../../x509/names.ts'
import type { MatchName } from './names.ts'
import type { ReadCertificate } from './read-certificate.ts'

/** That somebody issued a certificate, as far as a source tells. */
export interface Issuance {
  readonly source: string
  readonly names: readonly string[]
  /** Where the certificate was at hand. */
  readonly certificate?: ReadCertificate
  /** As the source says, where it was not. Hexadecimal. */
  readonly spkiSha256?: string
  readonly issuer: string
  /** Of the certificate or precertificate, hexadecimal. */
  readonly sha256?: string
  readonly notBefore: number
  readonly notAfter: number
}

/** A certificate for a watched name with a key that nobody ordered. */
export type UnexpectedIssuance = EventOf<'ct.unexpected'>

/** What a source said beside the certificate; the certificate's own word comes first. */
type Hints = Partial<Pick<Issuance, 'names' | 'spkiSha256' | 'issuer' | 'sha256' | 'notBefore' | 'notAfter'>>

export function issuanceOf(source: string, read: ReadCertificate | undefined, hints: Hints = {}): Issuance {
  const { sha256, spkiSha256 } = hints
  return {
    source,
    names: [...new Set([...(read?.names ?? []), ...(hints.names ?? [])])],
    ...(read === undefined ? {} : { certificate: read }),
    ...(spkiSha256 === undefined ? {} : { spkiSha256 }),
    ...(sha256 === undefined ? {} : { sha256 }),
    issuer: (read && issuerText(read)) ?? printable(hints.issuer ?? ''),
    notBefore: read?.notBefore ?? hints.notBefore ?? 0,
    notAfter: read?.notAfter ?? hints.notAfter ?? 0,
  }
}

/**
 * Whether it concerns what is watched. A source that searched for a name is believed where no name can be read: what is hidden
 * in a broken part is what one would want to know.
 */
export function concerns({ names, certificate }: Issuance, matches: MatchName): boolean {
  return names.some(matches) || names.length === 0 || certificate?.isComplete === false
}

/** Whether its key is one of the pins. A key that cannot be read is none. */
export function isKnown({ certificate, spkiSha256 }: Issuance, pins: ReadonlySet<PinText>): boolean {
  if (certificate?.spki !== undefined) {
    const { spki } = certificate
    const hashes = new Set<PinHash>([...pins].map(pinHashOf))
    return [...hashes].some((name) => pins.has(pinOfSpki(spki, name)))
  }
  return certificate === undefined && spkiSha256 !== undefined && pins.has(pinOfHex(spkiSha256))
}

/**
 * One issuance has one identity, whoever tells of it and however often: precertificate and certificate have serial number,
 * issuer and key in common. A source that does not show the certificate names key, time and names, which they share as well.
 *
 * @returns `ask`: identities under which it may be known already; `keep`: those to know it by from here on.
 */
export function identitiesOf(issuance: Issuance): {
  readonly ask: readonly string[]
  readonly keep: readonly string[]
} {
  const { certificate, names, notBefore, notAfter } = issuance
  const outline = digest('outline', spkiOf(issuance), String(notBefore), String(notAfter), ...[...names].sort())
  if (certificate?.issuer === undefined || certificate.serialNumber === undefined) {
    return { ask: [`s${outline}`, `j${outline}`], keep: [`j${outline}`] }
  }
  const { bytes, start, end } = certificate.issuer
  const issuer = Buffer.from(bytes.subarray(start, end)).toString('base64')
  const exact = `c${digest('exact', issuer, serialOf(certificate) ?? '', spkiOf(issuance))}`
  return { ask: [exact, `j${outline}`], keep: [exact, `s${outline}`] }
}

export function eventOf(issuance: Issuance, matches: MatchName): UnexpectedIssuance {
  const { names, issuer, certificate, sha256, notBefore, notAfter, source } = issuance
  const serial = certificate && serialOf(certificate)
  const ours = names.filter(matches)
  const others = names.filter((name) => !ours.includes(name))
  return {
    type: 'ct.unexpected',
    names: [...ours, ...others].slice(0, MAX_NAMES).map(printable),
    spki: spkiOf(issuance),
    issuer,
    ...(serial === undefined ? {} : { serial }),
    ...(sha256 === undefined ? {} : { sha256 }),
    notBefore: toUnixMs(notBefore),
    notAfter: toUnixMs(notAfter),
    source,
  }
}

function spkiOf({ certificate, spkiSha256 }: Issuance): string {
  if (certificate?.spki !== undefined) return pinOfSpki(certificate.spki)
  return spkiSha256 === undefined ? '' : pinOfHex(spkiSha256)
}

const pinOfHex = (sha256: string): PinText => `sha256/${Buffer.from(sha256, 'hex').toString('base64')}`

const serialOf = ({ serialNumber }: ReadCertificate): string | undefined =>
  serialNumber && Buffer.from(serialNumber).toString('hex')

function issuerText({ issuer }: ReadCertificate): string | undefined {
  if (issuer === undefined) return undefined
  try {
    return parseName(issuer).text
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

/** A name is whatever an attacker had certified: it must not move the cursor of who reads a log. */
function printable(text: string): string {
  return text.slice(0, MAX_TEXT).replace(/[^ -~]/g, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`)
}

const digest = (...parts: readonly string[]): string =>
  hash('sha256', JSON.stringify(parts), 'buffer').subarray(0, 15).toString('base64url')

const MAX_NAMES = 100
const MAX_TEXT = 400
