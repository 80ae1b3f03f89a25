import * as z from 'zod'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { isOriginPattern, type OriginPattern, originMatcher } from '../encoding/origin-pattern.ts'
import { PolicyError } from '../errors/errors.ts'

/** A request is allowed that meets every member of the rule; a member that is left out allows all. */
export interface EgressRule {
  /** Host patterns, with a port where it is not 443: `api.example.com`, `*.example.com:8443`, `[::1]:*` for every port. */
  readonly origins?: readonly OriginPattern[]
  /** As sent: `GET` is not `HEAD`. */
  readonly methods?: readonly string[]
  /** Without the query, case-sensitive. One that ends in `/*` stands for all below it: `/v1/*`, which is not `/v1` itself. */
  readonly paths?: readonly string[]
}

/**
 * Throws a PolicyError for a request that may not leave. Pure.
 *
 * @param path The request target: path and query, as it would be sent.
 */
export type EgressCheck = (origin: CanonicalOrigin, method: string, path: string) => void

/** `undefined` where everything may leave that has a policy. */
export function createEgress(rules: readonly EgressRule[]): EgressCheck | undefined {
  if (rules.length === 0) return undefined
  const compiled = rules.map(compile)
  return (origin, method, target) => {
    const ofOrigin = compiled.filter(({ coversOrigin }) => coversOrigin(origin))
    const { text: host } = origin
    if (ofOrigin.length === 0) {
      const message = `${host}: no rule of \`egress\` names this origin, so nothing was sent`
      throw new PolicyError('ERR_POLICY_ORIGIN_DENIED', message, { host })
    }
    const path = target.replace(/\?.*$/s, '')
    const isPlain = isUnambiguous(path)
    if (ofOrigin.some((rule) => rule.coversMethod(method) && rule.coversPath(path, isPlain))) return
    const reason = isPlain ? '' : '; its path can be read in more than one way'
    const message = `${host}: no rule of \`egress\` allows this ${method} request${reason}, so nothing was sent`
    throw new PolicyError('ERR_POLICY_REQUEST_DENIED', message, { host })
  }
}

function compile({ origins, methods, paths }: EgressRule) {
  const prefixes = paths?.filter((path) => path.endsWith('/*')).map((path) => path.slice(0, -1)) ?? []
  return {
    coversOrigin: origins === undefined ? () => true : originMatcher(origins),
    coversMethod: (method: string): boolean => methods === undefined || methods.includes(method),
    coversPath: (path: string, isPlain: boolean): boolean =>
      paths === undefined || (isPlain && (paths.includes(path) || prefixes.some((prefix) => path.startsWith(prefix)))),
  }
}

/**
 * Whether every server reads the path alike. Some decode `%2e`, `%2f` and `%5c` before they look for dot segments, some twice,
 * and some take `..;` for `..`, behind a proxy that may decode `%3b`: what begins with `/v1/` would end outside of it. Of octets
 * that are no UTF-8, and of `%u002e`, some make a dot or a slash as well (`%c0%ae`, RFC 3629 §10).
 */
export function isUnambiguous(path: string): boolean {
  if (/%(?:2e|2f|5c|25|[01][0-9a-f]|7f)|\/\.{1,2}(?:;|%3b)/i.test(path) || !isUtf8(path)) return false
  const url = `https://host.invalid${path}`
  return URL.canParse(url) && new URL(url).pathname === path // no dot segment, backslash or fragment, and from the root
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** For lists of origins in the options. */
export const OriginPatternSchema = z.string().refine(isOriginPattern, 'expected a host, *.host or **.host, and :port')

const Rule = z
  .strictObject({
    origins: z.array(OriginPatternSchema).min(1).max(1_000).exactOptional(),
    methods: z
      .array(z.string().regex(/^[A-Z]+(-[A-Z]+)*$/, 'expected a method in capitals'))
      .min(1)
      .exactOptional(),
    paths: z
      .array(
        z
          .string()
          .refine(
            (path) => isUnambiguous(path.replace(/\*$/, '')) && !/\?|\*(?!$)|[^/]\*$/.test(path),
            'expected a path that begins with / and may end in /*',
          ),
      )
      .min(1)
      .max(1_000)
      .exactOptional(),
  })
  .refine((rule) => Object.keys(rule).length > 0, 'a rule without members would allow everything')

export const EgressSchema = z.preprocess((rules) => [rules].flat(), z.array(Rule).min(1).max(1_000))

const RuleInFile = z.strictObject({
  origins: z.array(z.string()).min(1).exactOptional(),
  methods: z.array(z.string()).min(1).exactOptional(),
  paths: z.array(z.string()).min(1).exactOptional(),
})

/** The shape alone; the options are checked when a client is made. */
export const EgressInFile = z.union([RuleInFile, z.array(RuleInFile).min(1)])
