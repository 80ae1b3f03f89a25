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
 * Finds the most specific rule for a host: exact, then one label, then the deepest `**`. One rule wins alone; rules are
 * never merged, since a union would open a strict host to the keys of a lax one. Built once per rule set, O(labels) a look-up.
 */
export function hostIndex<Rule>(
  rules: Iterable<readonly [ParsedHostPattern, Rule]>,
): (host: CanonicalHost) => Rule | undefined {
  const byKind = {
    exact: new Map<string, Rule>(),
    oneLabel: new Map<string, Rule>(),
    anyDepth: new Map<string, Rule>(),
  }
  for (const [pattern, rule] of rules) byKind[pattern.kind].set(pattern.base, rule)
  return (host) => {
    const exact = byKind.exact.get(host)
    if (exact !== undefined) return exact
    if (isIP(host) !== 0) return undefined
    const parent = parentOf(host)
    const oneLabel = parent === undefined ? undefined : byKind.oneLabel.get(parent)
    if (oneLabel !== undefined) return oneLabel
    for (let base: string | undefined = host; base !== undefined; base = parentOf(base)) {
      const anyDepth = byKind.anyDepth.get(base)
      if (anyDepth !== undefined) return anyDepth
    }
    return undefined
  }
}

function parentOf(host: string): string | undefined {
  const dot = host.indexOf('.')
  return dot < 0 ? undefined : host.slice(dot + 1)
}
