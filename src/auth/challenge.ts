/** One challenge of a WWW-Authenticate field (RFC 9110 §11.6.1). */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string
  /** Lower-case names. */
  readonly parameters: ReadonlyMap<string, string>
}

/** What a resource server says about a token (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3), by the challenge of one scheme. */
export interface TokenChallenge {
  readonly error: string | undefined
  /** What the resource needs. */
  readonly scope: readonly string[]
  /** How the user must have been authenticated. */
  readonly acrValues: readonly string[]
  /** How long ago at most, in seconds. */
  readonly maxAge: number | undefined
}

/** The challenge of a scheme, with nothing of another one's; `undefined` where the scheme is not among them. */
export function tokenChallenge(field: string | null, scheme: 'bearer' | 'dpop'): TokenChallenge | undefined {
  const parameters = parseChallenges(field).find((challenge) => challenge.scheme === scheme)?.parameters
  if (parameters === undefined) return undefined
  const maxAge = parameters.get('max_age') ?? ''
  return {
    error: parameters.get('error'),
    scope: words(parameters.get('scope')),
    acrValues: words(parameters.get('acr_values')),
    maxAge: /^\d{1,9}$/.test(maxAge) ? Number(maxAge) : undefined,
  }
}

/**
 * Every challenge of a field, several in one value or in several that were joined. What follows the first thing that is not in
 * the grammar is left out, and so is a challenge that gives a parameter twice (RFC 6750 §3 forbids it): of two readings none.
 */
export function parseChallenges(field: string | null): readonly Challenge[] {
  if (field === null || field.length > MAX_LENGTH) return []
  const challenges: { scheme: string; parameters: Map<string, string>; isRepeated: boolean }[] = []
  for (let at = 0; at < field.length; ) {
    const separator = matchAt(SEPARATOR, field, at)
    at += separator?.[0].length ?? 0
    const current = challenges.at(-1)
    const parameter = matchAt(PARAMETER, field, at)
    const scheme = parameter === undefined ? matchAt(SCHEME, field, at) : undefined
    if (parameter !== undefined && current !== undefined) {
      const [whole, name = '', plain, quoted = ''] = parameter
      if (current.parameters.has(name.toLowerCase())) current.isRepeated = true
      current.parameters.set(name.toLowerCase(), plain ?? quoted.replaceAll(/\\(.)/g, '$1'))
      at += whole.length
    } else if (scheme !== undefined) {
      const [whole, name = ''] = scheme
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map(), isRepeated: false })
      at += whole.length
      at += matchAt(TOKEN68, field, at)?.[0].length ?? 0
    } else break
  }
  return challenges.filter(({ isRepeated }) => !isRepeated)
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at
  return pattern.exec(text) ?? undefined
}

function words(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(' ').filter((word) => word !== '')
}

const MAX_LENGTH = 8_192
const SEPARATOR = /[ \t,]*/y
const PARAMETER = /([!#$%&'*+.^_`|~\w-]+)[ \t]*=[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)")[ \t]*(?=,|$)/y
const SCHEME = /([!#$%&'*+.^_`|~\w-]+)(?:[ \t]+|(?=,|$))/y
const TOKEN68 = /[\w.~+/-]+=*[ \t]*(?=,|$)/y
