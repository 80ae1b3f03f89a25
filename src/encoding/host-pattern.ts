import { isIP } from 'node:net'
import { type CanonicalHost, canonicalHost } from './host.ts'
import { isPublicSuffix } from './public-suffix.ts'

/**
 * `api.example.com` exactly; `*.example.com` exactly one more label; `**.example.com` the apex and any depth.
 * IP addresses are exact only.
 */
export type HostPattern = string

export interface ParsedHostPattern {
  readonly kind: 'exact' | 'oneLabel' | 'anyDepth'
  readonly base: CanonicalHost
}

/** `undefined` when the text is no pattern. A wildcard over a public suffix (`*.com`, `**.co.uk`) covers strangers: refused. */
export function parseHostPattern(text: string): ParsedHostPattern | undefined {
  const kind = text.startsWith('**.') ? 'anyDepth' : text.startsWith('*.') ? 'oneLabel' : 'exact'
  const base = canonicalHost(text.slice(kind === 'anyDepth' ? 3 : kind === 'oneLabel' ? 2 : 0))
  if (base === undefined) return undefined
  if (kind !== 'exact' && (isIP(base) !== 0 || !base.includes('.') || isPublicSuffix(base))) return undefined
  return { kind, base }
}

/** The canonical text of a pattern. */
export function formatHostPattern({ kind, base }: ParsedHostPattern): HostPattern {
  return kind === 'anyDepth' ? `**.${base}` : kind === 'oneLabel' ? `*.${base}` : base
}

/**
 * Finds the most specific rule for a host. One rule wins alone; rules are never merged, since a union would open a strict
 * host to the keys of a lax one. Built once per rule set, O(labels) a look-up.
 */
export function hostIndex<Rule>(
  rules: Iterable<readonly [ParsedHostPattern, Rule]>,
): (host: CanonicalHost) => Rule | undefined {
  const byPattern = new Map<HostPattern, Rule>()
  for (const [pattern, rule] of rules) byPattern.set(formatHostPattern(pattern), rule)
  return (host) => {
    for (const pattern of patternsOver(host)) {
      const rule = byPattern.get(pattern)
      if (rule !== undefined) return rule
    }
    return undefined
  }
}

/** Every pattern that covers a host, the most specific first: exact, then one label, then `**` from the deepest up. */
export function* patternsOver(host: CanonicalHost): Generator<HostPattern> {
  yield host
  if (isIP(host) !== 0) return
  const parent = parentOf(host)
  if (parent !== undefined) yield `*.${parent}`
  for (let base: string | undefined = host; base !== undefined; base = parentOf(base)) yield `**.${base}`
}

/** Whether some host is covered by both. */
export function overlaps(a: ParsedHostPattern, b: ParsedHostPattern): boolean {
  if (a.kind === 'exact') return [...patternsOver(a.base)].includes(formatHostPattern(b))
  if (b.kind === 'exact') return overlaps(b, a)
  if (a.kind === 'oneLabel' && b.kind === 'oneLabel') return a.base === b.base
  const isWithin = (base: string, other: string): boolean => base === other || base.endsWith(`.${other}`)
  if (a.kind === 'anyDepth' && b.kind === 'anyDepth') return isWithin(a.base, b.base) || isWithin(b.base, a.base)
  const [wide, narrow] = a.kind === 'anyDepth' ? [a, b] : [b, a]
  return isWithin(narrow.base, wide.base) || parentOf(wide.base) === narrow.base // `**` covers its own apex
}

function parentOf(host: string): string | undefined {
  const dot = host.indexOf('.')
  return dot < 0 ? undefined : host.slice(dot + 1)
}
