import type { Finding } from '../errors/errors.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { GeneralName } from '../x509/general-names.ts'
import { isDnsName } from './path/dns-name.ts'

/** Whom the caller means to reach. `name` and `address` are in the canonical form of `encoding/host.ts`. */
export type ReferenceIdentity =
  | { readonly kind: 'dns'; readonly name: string }
  | { readonly kind: 'ip'; readonly address: string }
  /** A SPIFFE ID, `spiffe://trust-domain/path`. */
  | { readonly kind: 'spiffe'; readonly id: string }

export interface IdentityOptions {
  /** Whether a name, lower case and without a trailing dot, is a public suffix: no wildcard may stand right above one. */
  readonly isPublicSuffix?: (name: string) => boolean
}

/**
 * Whether a certificate is for the party that was meant. Only the subjectAltName speaks: a Common Name is free text that
 * no name constraint reaches (RFC 9525 §2). Names that cannot be read match nothing.
 *
 * @returns `undefined` when it is.
 * @see RFC 9525 §6
 */
export function matchIdentity(
  certificate: Certificate,
  reference: ReferenceIdentity,
  options: IdentityOptions = {},
): Finding | undefined {
  const presentedIdentifiers = certificate.decoded.subjectAltName ?? []
  if (matchesIdentifiers(presentedIdentifiers, reference, options)) return undefined
  return {
    code: 'ERR_TRUST_NAME_MISMATCH',
    certificateIndex: 0,
    message: `expected a certificate for ${textOf(reference)}, saw one for ${listOf(presentedIdentifiers)}`,
  }
}

/** The comparison itself, for callers that have the names but no certificate. */
export function matchesIdentifiers(
  presentedIdentifiers: readonly GeneralName[],
  reference: ReferenceIdentity,
  options: IdentityOptions = {},
): boolean {
  switch (reference.kind) {
    case 'dns': {
      const host = reference.name.toLowerCase().replace(/\.$/, '')
      return presentedIdentifiers.some((name) => name.kind === 'dns' && matchesDns(name.text, host, options))
    }
    case 'ip': {
      const address = addressOctets(reference.address)
      if (address === undefined) return false
      return presentedIdentifiers.some((name) => name.kind === 'ip' && Buffer.compare(name.octets, address) === 0)
    }
    case 'spiffe':
      return matchesSpiffe(presentedIdentifiers, reference.id)
  }
}

/**
 * RFC 9525 §6.3. A wildcard is a whole left-most label and stands for exactly one; two labels must follow, for what is
 * above a registry's name nobody can own. A dot at the end is refused: no CA may issue it, and lenient readers differ.
 */
function matchesDns(presented: string, host: string, { isPublicSuffix }: IdentityOptions): boolean {
  if (!isDnsName(host) || ALL_NUMERIC_END.test(host)) return false
  const name = presented.toLowerCase()
  if (!name.startsWith('*.')) return name === host
  const parent = name.slice(2)
  if (!isDnsName(parent) || !parent.includes('.')) return false
  if (host.slice(host.indexOf('.') + 1) !== parent) return false
  return isPublicSuffix?.(parent) !== true
}

/** SPIFFE X.509-SVID §2: exactly one URI. Scheme and trust domain ignore case, the path does not. */
function matchesSpiffe(presentedIdentifiers: readonly GeneralName[], id: string): boolean {
  const uris = presentedIdentifiers.flatMap((name) => (name.kind === 'uri' ? [name.text] : []))
  const [only, ...others] = uris
  if (only === undefined || others.length > 0) return false
  const presented = spiffeOf(only)
  return presented !== undefined && presented === spiffeOf(id)
}

/** Whether the text is a SPIFFE ID that a certificate can be matched with. */
export const isSpiffeId = (text: string): boolean => spiffeOf(text) !== undefined

/** SPIFFE ID §2: no query, port or user; segments neither empty nor dots. */
function spiffeOf(text: string): string | undefined {
  if (!/^spiffe:\/\/[a-z0-9._-]{1,255}(\/[a-z0-9._-]+)*$/i.test(text)) return undefined
  if (text.split('/').some((part) => part === '.' || part === '..')) return undefined
  return text.replace(/^[^/]+\/\/[^/]+/, (authority) => authority.toLowerCase())
}

/**
 * The 4 or 16 octets of an address in text (RFC 5952 for IPv6, no zone). Our own reader: Node 22.23 refuses every IPv6
 * literal in its identity check (nodejs/node#64144), and inet_aton's octal and short forms must not exist here.
 */
export function addressOctets(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return v4Octets(text)
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, position) => groupsOf(half, position === halves.length - 1))
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === 16 ? Uint8Array.from(head) : undefined
  if (tail === undefined || head.length + tail.length > 14) return undefined // `::` stands for at least one group
  return Uint8Array.from([...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail])
}

/** Octets of the colon-separated groups on one side of `::`; the very last may be an IPv4 address. */
function groupsOf(half: string, endsAddress: boolean): readonly number[] | undefined {
  if (half === '') return []
  const groups = half.split(':')
  const octets: number[] = []
  for (const [position, group] of groups.entries()) {
    if (group.includes('.')) {
      const v4 = endsAddress && position === groups.length - 1 ? v4Octets(group) : undefined
      if (v4 === undefined) return undefined
      octets.push(...v4)
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 0xff)
    }
  }
  return octets
}

function v4Octets(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return Uint8Array.from(parts, Number)
}

function textOf(reference: ReferenceIdentity): string {
  return reference.kind === 'dns' ? reference.name : reference.kind === 'ip' ? reference.address : reference.id
}

/** Names for a message. What is no plain name is counted, not printed: a peer does not write in our log. */
function listOf(names: readonly GeneralName[]): string {
  const readable = names.flatMap((name) => {
    if (name.kind === 'dns' || name.kind === 'uri') return PRINTABLE.test(name.text) ? [name.text] : []
    return name.kind === 'ip' ? [addressText(name.octets)] : []
  })
  const shown = readable.slice(0, MAX_NAMES_SHOWN)
  const hidden = names.length - shown.length
  if (shown.length === 0) return hidden === 0 ? 'no name (subjectAltName is absent)' : `${hidden} names of other forms`
  return shown.join(', ') + (hidden > 0 ? ` and ${hidden} more` : '')
}

function addressText(octets: Uint8Array): string {
  return octets.length === 4
    ? octets.join('.')
    : Buffer.from(octets)
        .toString('hex')
        .replace(/.{4}(?!$)/g, '$&:')
}

/** WHATWG URL §3.5: a name whose last label is a number is an IPv4 address to someone. */
const ALL_NUMERIC_END = /(^|\.)\d+$/
const PRINTABLE = /^[!-~]{1,253}$/
const MAX_NAMES_SHOWN = 5
