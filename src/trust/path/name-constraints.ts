import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { GeneralName } from '../../x509/general-names.ts'
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
      const problem = problemOf(name, permitted, excluded)
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
  name: GeneralName,
  permitted: readonly GeneralName[] | undefined,
  excluded: readonly GeneralName[] | undefined,
): string | undefined {
  // A form that is constrained but not understood, and a name whose place cannot be told, are outside (§4.2.1.10).
  if (!isWellFormedName(name)) return 'cannot be judged against the constraints set'
  if (excluded?.some((base) => overlaps(name, base))) return 'is excluded'
  if (permitted !== undefined && !permitted.some((base) => isWithin(name, base))) return 'is not permitted'
  return undefined
}

/** Every name a certificate claims (RFC 5280 §6.1.3 (b)): its subject and its subjectAltName. */
function namesOf(certificate: Certificate): readonly GeneralName[] {
  const known = claimed.get(certificate)
  if (known !== undefined) return known
  const { subject, decoded } = certificate
  const names = (decoded.subjectAltName ?? []).map(folded)
  if (!subject.isEmpty) names.push({ kind: 'directory', name: subject })
  // §4.2.1.10: addresses in the subject count where no subjectAltName stands.
  if (decoded.subjectAltName === undefined) {
    for (const text of subject.emailAddresses) names.push({ kind: 'email', text })
  }
  claimed.set(certificate, names)
  return names
}

/** Domain names ignore case (RFC 5280 §7.2); the local part of a mailbox does not (§7.5) and is left to its comparison. */
const folded = (name: GeneralName): GeneralName =>
  name.kind === 'dns' ? { kind: 'dns', text: name.text.toLowerCase() } : name

/** Whether all of the name lies within the subtree. */
function isWithin(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') {
    const { host, isWildcard } = dnsOf(name.text)
    // `*.host` stands for names one label below `host`: all are within a subtree that `host` is in.
    return isWildcard ? isDnsWithin(host, stripDot(base.text)) : isDnsWithinBase(host, base.text)
  }
  if (name.kind === 'ip' && base.kind === 'ip') return isIpWithin(name.octets, base.octets)
  if (name.kind === 'directory' && base.kind === 'directory') {
    const { rdns } = base.name
    return rdns.length <= name.name.rdns.length && rdns.every((rdn, i) => rdn === name.name.rdns[i])
  }
  if (name.kind === 'email' && base.kind === 'email') return isEmailWithin(name.text, base.text)
  if (name.kind === 'uri' && base.kind === 'uri') {
    const host = hostOfUri(name.text)
    return host !== undefined && isHostWithin(host, base.text.toLowerCase())
  }
  return false
}

/** Whether any of the name lies within the subtree: a wildcard must not reach an excluded name (CVE-2025-61727). */
function overlaps(name: GeneralName, base: GeneralName): boolean {
  if (isWithin(name, base)) return true
  if (name.kind !== 'dns' || base.kind !== 'dns') return false
  const { host, isWildcard } = dnsOf(name.text)
  return isWildcard && base.text.slice(base.text.indexOf('.') + 1) === host
}

function isWellFormedName(name: GeneralName): boolean {
  switch (name.kind) {
    case 'dns':
      return isDnsName(name.text.startsWith('*.') ? name.text.slice(2) : name.text)
    case 'ip':
      return name.octets.length === 4 || name.octets.length === 16
    case 'directory':
      return true
    case 'email':
      return mailboxOf(name.text) !== undefined
    case 'uri':
      return hostOfUri(name.text) !== undefined
    default:
      return false
  }
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

function dnsOf(text: string): { host: string; isWildcard: boolean } {
  const isWildcard = text.startsWith('*.')
  return { host: isWildcard ? text.slice(2) : text, isWildcard }
}

const isDnsWithinBase = (host: string, base: string): boolean =>
  base.startsWith('.') ? host.endsWith(base) : isDnsWithin(host, base)

/** Written without a new string for each pair: hostile certificates bring a quarter of a million of them. */
const isDnsWithin = (host: string, base: string): boolean =>
  base === '' || (host.endsWith(base) && (host.length === base.length || host.at(-base.length - 1) === '.'))

/** A host exactly, or with a leading dot everything below it (RFC 5280 §4.2.1.10 on URIs and mail). */
const isHostWithin = (host: string, base: string): boolean =>
  base.startsWith('.') ? host.endsWith(base) : host === base

function isEmailWithin(address: string, base: string): boolean {
  const mailbox = mailboxOf(address)
  if (mailbox === undefined) return false
  const exact = base.includes('@') ? mailboxOf(base) : undefined
  if (exact !== undefined) return exact.local === mailbox.local && exact.host === mailbox.host // §7.5: the local part keeps its case
  return isHostWithin(mailbox.host, base.toLowerCase())
}

function mailboxOf(text: string): { local: string; host: string } | undefined {
  const [local = '', host = '', ...rest] = text.split('@')
  if (rest.length > 0 || !/^[!-~]+$/.test(local) || !isDnsName(host)) return undefined
  return { local, host: host.toLowerCase() }
}

/** §4.2.1.10: a constrained URI must name a host by a domain name; without one it cannot be within anything. */
function hostOfUri(uri: string): string | undefined {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1]
  const host = authority?.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, '')
  if (host === undefined || !isDnsName(host) || /^[\d.]+$/.test(host)) return undefined
  return host.toLowerCase()
}

/** RFC 5280 §4.2.1.10: address and mask. Another family is never within, so a permitted IPv4 range admits no IPv6. */
function isIpWithin(address: Uint8Array, base: Uint8Array): boolean {
  const size = base.length / 2
  return (
    address.length === size &&
    address.every((octet, i) => (octet & (base[size + i] ?? 0)) === ((base[i] ?? 0) & (base[size + i] ?? 0)))
  )
}

function hasContiguousMask(octets: Uint8Array): boolean {
  const bits = [...octets.subarray(octets.length / 2)].map((octet) => octet.toString(2).padStart(8, '0')).join('')
  return !bits.includes('01')
}

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
const claimed = new WeakMap<Certificate, readonly GeneralName[]>()
