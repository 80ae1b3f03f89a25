import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { GeneralName } from '../../x509/general-names.ts'
import type { DistinguishedName } from '../../x509/names.ts'
import type { SearchBudget } from './budget.ts'
import { describe, shorten } from './describe.ts'
import { isDnsName } from './dns-name.ts'
import { groupBy } from './group-by.ts'

/**
 * Applies `issuer`'s nameConstraints to every certificate below it (RFC 5280 §6.1.3 (b), (c), §6.1.4 (g)), whether the
 * extension is critical or not. Asking each issuer in turn gives the intersection of what they permit.
 *
 * @param below End entity first. Self-issued certificates above it are not constrained.
 */
export function checkNameConstraints(
  issuer: Certificate,
  below: readonly Certificate[],
  budget: SearchBudget,
): Finding | undefined {
  const constraints = constraintsOf(issuer)
  if (constraints === undefined) return undefined
  if (constraints.malformed !== undefined) {
    return refusal(below.length, `${describe(issuer)}: a ${FORM[constraints.malformed]} constraint is malformed`)
  }
  for (const [index, certificate] of below.entries()) {
    if (index > 0 && certificate.isSelfIssued) continue
    for (const name of namesOf(certificate)) {
      const permitted = constraints.permitted.get(name.kind)
      const excluded = constraints.excluded.get(name.kind)
      if (!budget.spendComparisons(1 + (permitted?.length ?? 0) + (excluded?.length ?? 0))) return budget.exceeded
      if (permitted === undefined && excluded === undefined) continue
      const problem = problemOf(placeOf(name), permitted, excluded)
      if (problem === undefined) continue
      return refusal(
        index,
        `${describe(certificate)}: ${FORM[name.kind]} ${textOf(name)} ${problem} by ${describe(issuer)}`,
      )
    }
  }
  return undefined
}

interface Constraints {
  readonly permitted: ReadonlyMap<GeneralName['kind'], readonly GeneralName[]>
  readonly excluded: ReadonlyMap<GeneralName['kind'], readonly GeneralName[]>
  readonly malformed: GeneralName['kind'] | undefined
}

/** Sorted and checked once a certificate: a search may come by the same issuer thousands of times. */
function constraintsOf(issuer: Certificate): Constraints | undefined {
  const { nameConstraints } = issuer.decoded
  if (nameConstraints === undefined) return undefined
  const known = compiled.get(issuer)
  if (known !== undefined) return known
  const { permitted, excluded } = nameConstraints
  const constraints: Constraints = {
    permitted: groupBy(permitted.map(folded), ({ kind }) => kind),
    excluded: groupBy(excluded.map(folded), ({ kind }) => kind),
    malformed: [...permitted, ...excluded].find((base) => !isWellFormedBase(base))?.kind,
  }
  compiled.set(issuer, constraints)
  return constraints
}

function problemOf(
  place: Place | undefined,
  permitted: readonly GeneralName[] | undefined,
  excluded: readonly GeneralName[] | undefined,
): string | undefined {
  // A form that is constrained but not understood, and a name whose place cannot be told, are outside (§4.2.1.10).
  if (place === undefined) return 'cannot be judged against the constraints set'
  if (excluded?.some((base) => overlaps(place, base))) return 'is excluded'
  if (permitted !== undefined && !permitted.some((base) => isWithin(place, base))) return 'is not permitted'
  return undefined
}

/** Every name a certificate claims (RFC 5280 §6.1.3 (b)): its subject and its subjectAltName. */
function namesOf({ subject, decoded }: Certificate): readonly GeneralName[] {
  // §4.2.1.10: addresses in the subject count where no subjectAltName stands.
  const names = decoded.subjectAltName ?? subject.emailAddresses.map((text) => ({ kind: 'email', text }) as const)
  return subject.isEmpty ? names : [...names, { kind: 'directory', name: subject }]
}

/** Where a name stands among others of its form, in lower case but for the local part of a mailbox (RFC 5280 §7.2, §7.5). */
type Place =
  | { readonly kind: 'dns'; readonly host: string; readonly isWildcard: boolean }
  | { readonly kind: 'ip'; readonly octets: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'uri'; readonly host: string }
  | Mailbox

interface Mailbox {
  readonly kind: 'email'
  readonly mailbox: string
  readonly host: string
}

function placeOf(name: GeneralName): Place | undefined {
  switch (name.kind) {
    case 'dns': {
      const isWildcard = name.text.startsWith('*.')
      const host = hostOf(isWildcard ? name.text.slice(2) : name.text)
      return host === undefined ? undefined : { kind: 'dns', host, isWildcard }
    }
    case 'ip':
      return name.octets.length === 4 || name.octets.length === 16 ? name : undefined
    case 'directory':
      return name
    case 'email':
      return mailboxOf(name.text)
    case 'uri': {
      const host = hostOfUri(name.text)
      return host === undefined ? undefined : { kind: 'uri', host }
    }
  }
  return undefined
}

/** Whether all of the name lies within the subtree. */
function isWithin(place: Place, base: GeneralName): boolean {
  switch (place.kind) {
    case 'dns':
      // `*.host` stands for names one label below `host`: all are within a subtree that `host` is in.
      return base.kind === 'dns' && isDnsWithin(place.host, place.isWildcard ? stripDot(base.text) : base.text)
    case 'ip':
      return base.kind === 'ip' && isIpWithin(place.octets, base.octets)
    case 'directory':
      return base.kind === 'directory' && base.name.rdns.every((rdn, i) => rdn === place.name.rdns[i])
    case 'email':
      return base.kind === 'email' && isEmailWithin(place, base.text)
    case 'uri':
      return base.kind === 'uri' && isHostWithin(place.host, base.text)
  }
}

/** Whether any of the name lies within the subtree: a wildcard must not reach an excluded name (CVE-2025-61727). */
function overlaps(place: Place, base: GeneralName): boolean {
  if (isWithin(place, base)) return true
  return place.kind === 'dns' && place.isWildcard && base.kind === 'dns' && parentOf(base.text) === place.host
}

/** Constraints of forms that are not understood are well-formed: they matter once such a name is met. */
function isWellFormedBase(base: GeneralName): boolean {
  switch (base.kind) {
    case 'dns':
    case 'uri':
      // A leading dot, which RFC 5280 gives to URIs alone, is in wide use for dNSName and means "below, not itself".
      return base.text === '' ? base.kind === 'dns' : isDnsName(stripDot(base.text))
    case 'email':
      return base.text.includes('@') ? mailboxOf(base.text) !== undefined : isDnsName(stripDot(base.text))
    case 'ip':
      return (base.octets.length === 8 || base.octets.length === 32) && hasContiguousMask(base.octets)
    default:
      return true
  }
}

/** A base as `Place` writes names. */
const folded = (base: GeneralName): GeneralName =>
  'text' in base ? { kind: base.kind, text: base.text.replace(/[^@]*$/, (host) => host.toLowerCase()) } : base

/** Written without a new string for each pair: hostile certificates bring a quarter of a million of them. */
function isDnsWithin(host: string, base: string): boolean {
  if (base === '' || base.startsWith('.')) return host.endsWith(base)
  return host.endsWith(base) && (host.length === base.length || host.at(-base.length - 1) === '.')
}

/** A host exactly, or with a leading dot everything below it (RFC 5280 §4.2.1.10 on URIs and mail). */
const isHostWithin = (host: string, base: string): boolean =>
  base.startsWith('.') ? host.endsWith(base) : host === base

const isEmailWithin = ({ mailbox, host }: Mailbox, base: string): boolean =>
  base.includes('@') ? mailbox === base : isHostWithin(host, base)

function mailboxOf(text: string): Mailbox | undefined {
  const host = hostOf(text.slice(text.indexOf('@') + 1))
  if (host === undefined || !/^[!-?A-~]+@/.test(text)) return undefined
  return { kind: 'email', mailbox: `${text.slice(0, -host.length)}${host}`, host }
}

/**
 * §4.2.1.10: a constrained URI must name a host by a domain name; without one it cannot be within anything. Scheme, user,
 * host and port are RFC 3986 to the letter: in `https://a\@b` some readers see the host a, others b.
 */
function hostOfUri(uri: string): string | undefined {
  const host = /^[a-z][a-z\d+.-]*:\/\/(?:[\w.~!$&'()*+,;=:%-]*@)?([\w.-]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)?.[1]
  return host === undefined || /^[\d.]+$/.test(host) ? undefined : hostOf(host)
}

const hostOf = (text: string): string | undefined => (isDnsName(text) ? text.toLowerCase() : undefined)

/** RFC 5280 §4.2.1.10: address and mask. Another family is never within, so a permitted IPv4 range admits no IPv6. */
function isIpWithin(address: Uint8Array, base: Uint8Array): boolean {
  const size = base.length / 2
  return (
    address.length === size && address.every((octet, i) => ((octet ^ (base[i] ?? 0)) & (base[size + i] ?? 0)) === 0)
  )
}

function hasContiguousMask(octets: Uint8Array): boolean {
  const bits = [...octets.subarray(octets.length / 2)].map((octet) => octet.toString(2).padStart(8, '0')).join('')
  return !bits.includes('01')
}

const parentOf = (host: string): string => host.slice(host.indexOf('.') + 1)

const stripDot = (text: string): string => (text.startsWith('.') ? text.slice(1) : text)

function textOf(name: GeneralName): string {
  if ('text' in name) return shorten(name.text.replace(/[^!-~]/g, '?'))
  if ('octets' in name) return Buffer.from(name.octets).toString('hex').slice(0, 64)
  return 'name' in name ? shorten(name.name.text) : '(of unknown form)'
}

const refusal = (index: number, message: string): Finding => ({
  code: 'ERR_TRUST_NAME_CONSTRAINTS',
  certificateIndex: index,
  message,
})

const FORM: Readonly<Record<GeneralName['kind'], string>> = {
  dns: 'dNSName',
  ip: 'iPAddress',
  email: 'rfc822Name',
  uri: 'uniformResourceIdentifier',
  directory: 'directoryName',
  other: 'otherName',
  x400: 'x400Address',
  ediParty: 'ediPartyName',
  registeredId: 'registeredID',
}

const compiled = new WeakMap<Certificate, Constraints>()
