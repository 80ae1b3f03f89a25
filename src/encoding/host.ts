import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/**
 * The one spelling of a host: lower case, A-labels, no trailing dot, IPv4 dotted, IPv6 compressed without brackets.
 * Policy lookup, SNI, pools, sessions and logs all use it, so no two of them can disagree about who is meant.
 */
export type CanonicalHost = string & { readonly [brand]: true }
declare const brand: unique symbol

export interface CanonicalOrigin {
  readonly host: CanonicalHost
  readonly port: number
  readonly kind: 'dns' | 'ip'
  /** `host` or `host:port` (IPv6 in brackets): the key of pools and the subject of messages. */
  readonly text: string
}

/** `undefined` when the text is no host. Accepts what the WHATWG URL parser accepts as one, brackets included. */
export function canonicalHost(text: string): CanonicalHost | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIP(bare) === 6) return hostOf(`https://[${bare}]/`)
  if (bare.length === 0 || /[\s/?#@:\\%[\]]/.test(bare)) return undefined
  return hostOf(`https://${bare}/`)
}

/** The canonical origin of an https URL; `undefined` where its host is none. The scheme is the caller's to check. */
export function canonicalOrigin(url: URL): CanonicalOrigin | undefined {
  const known = origins.get(url.host)
  if (known !== undefined) return known
  const host = canonicalHost(url.hostname)
  if (host === undefined) return undefined
  const port = url.port === '' ? 443 : Number(url.port)
  const bracketed = host.includes(':') ? `[${host}]` : host
  const kind = isIP(host) === 0 ? 'dns' : 'ip'
  const origin = Object.freeze({ host, port, kind, text: port === 443 ? bracketed : `${bracketed}:${port}` } as const)
  if (origins.size >= MAX_ORIGINS) origins.clear()
  origins.set(url.host, origin)
  return origin
}

function hostOf(href: string): CanonicalHost | undefined {
  const { hostname } = URL.canParse(href) ? new URL(href) : { hostname: '' }
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '')
  if (isIP(bare) !== 0) return bare as CanonicalHost
  return isDnsName(bare) ? (bare as CanonicalHost) : undefined
}

/** RFC 1123 labels plus `_`, which deployed names carry; A-labels must decode. */
function isDnsName(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false
  if (!name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) return false
  return domainToASCII(name) === name
}

// Every request asks, and a service talks to few hosts. The answer depends on the spelling alone.
const origins = new Map<string, CanonicalOrigin>()
const MAX_ORIGINS = 1_000
