import { domainToASCII } from 'node:url'

export interface WatchedNames {
  /** Canonical, in lower case. */
  readonly domains: readonly string[]
  readonly includeSubdomains: boolean
}

export type MatchName = (name: string) => boolean

/**
 * Whether a name of a certificate is, or could be taken for, one of the watched. A name that no client should accept counts
 * all the same: whoever owns the domain wants to know of it. So a name is read in each way in which some client may read it,
 * a wildcard matches what it covers, and a label that cannot be read matches any.
 *
 * @returns Takes text, or octets as Latin-1 characters: what a certificate holds need not be text.
 */
export function createNameMatcher({ domains, includeSubdomains }: WatchedNames): MatchName {
  const exact = new Set(domains)
  const parents = new Set(domains.map(parentOf))
  const watched = domains.map((domain) => domain.split('.'))
  const isPlainMatch = (name: string): boolean => {
    if (exact.has(name)) return true
    if (!includeSubdomains) return false
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      if (exact.has(name.slice(dot + 1))) return true
    }
    return false
  }
  const isOddMatch = (name: string): boolean =>
    readingsOf(name).some((reading) => watched.some((domain) => coversLabels(reading, domain, includeSubdomains)))
  return (name) => {
    if (PLAIN.test(name)) return isPlainMatch(name)
    if (PLAIN_WILDCARD.test(name)) return parents.has(name.slice(2)) || isPlainMatch(name)
    return isOddMatch(name)
  }
}

function coversLabels(name: readonly string[], domain: readonly string[], includeSubdomains: boolean): boolean {
  const more = name.length - domain.length
  if (more < 0 || (more > 0 && !includeSubdomains)) return false
  return domain.every((label, index) => {
    const given = name[more + index] ?? ''
    return given === label || given === UNREADABLE || given.includes('*')
  })
}

/** The labels of the name in each way to read it. */
function readingsOf(name: string): readonly (readonly string[])[] {
  const bare = name.replace(/^https?:\/\//i, '')
  // A reader in C sees the part before a NUL, others the whole; some drop what they cannot print.
  const wholes = [bare, bare.split('\0', 1)[0] ?? '', bare.replaceAll('\0', '')]
  const parts = wholes.flatMap((whole) => [whole, whole.split('/', 1)[0] ?? ''])
  return [...new Set(parts.flatMap(decodingsOf))].map((text) =>
    text
      .trim()
      .replace(/\.+$/, '')
      .toLowerCase()
      .split('.')
      .map((label) => asciiOf(label)),
  )
}

/** Octets above 127 are nothing that a name may have: UTF-8, perhaps, or Latin-1. */
function decodingsOf(text: string): readonly string[] {
  if (!/[\u0080-\u00ff]/.test(text) || /[\u0100-\uffff]/.test(text)) return [text]
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  return utf8.includes('\ufffd') ? [text] : [text, utf8]
}

function asciiOf(label: string): string {
  if (/^[\t -~]*$/.test(label)) return label
  return domainToASCII(label) || UNREADABLE
}

const parentOf = (domain: string): string => domain.slice(domain.indexOf('.') + 1)

const PLAIN = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/
const PLAIN_WILDCARD = /^\*(?:\.[a-z0-9_-]+)+$/
const UNREADABLE = '\0'
