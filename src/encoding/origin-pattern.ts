import type { CanonicalOrigin } from './host.ts'
import { formatHostPattern, parseHostPattern, patternsOver } from './host-pattern.ts'

/** A host pattern, with a port where it is not 443: `api.example.com`, `*.example.com:8443`, `[::1]:*` for every port. */
export type OriginPattern = string

export function isOriginPattern(text: string): boolean {
  return keyOf(text) !== undefined
}

/** Whether one of the patterns covers an origin; a text that is no pattern covers none. */
export function originMatcher(patterns: readonly OriginPattern[]): (origin: CanonicalOrigin) => boolean {
  const known = new Set(patterns.map(keyOf))
  return ({ host, port }) =>
    [...patternsOver(host)].some((pattern) => known.has(`${pattern} ${port}`) || known.has(`${pattern} *`))
}

/** `undefined` when the text is no pattern for origins. */
function keyOf(text: OriginPattern): string | undefined {
  const [, host = '', port = '443'] = /^(\[[^\]]*\]|[^:]*)(?::(\*|[1-9]\d{0,4}))?$/.exec(text) ?? []
  const pattern = parseHostPattern(host)
  return pattern === undefined || Number(port) > 65_535 ? undefined : `${formatHostPattern(pattern)} ${port}`
}
