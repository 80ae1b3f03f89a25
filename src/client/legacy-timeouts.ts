import type { LegacyTimeouts } from '../dangerous/loosening.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { hostIndex, parseHostPattern } from '../encoding/host-pattern.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { Timeouts } from '../transport/limits.ts'
import { TimeoutsInFile } from './limits.ts'

/**
 * The client's timeouts, with those in their place that a legacy host gets.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID` for one that is shorter than the client's own, or longer than any may be.
 */
export function longerTimeouts(given: LegacyTimeouts, own: Timeouts, path: string): Timeouts {
  const parsed = TimeoutsInFile.safeParse(given)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid([path, ...(issue?.path ?? [])].join('.'), issue?.message ?? 'not what was expected')
  }
  const longer = { ...own, ...parsed.data }
  for (const name of Object.keys(own) as (keyof Timeouts)[]) {
    if (longer[name] >= own[name]) continue
    throw invalid(`${path}.${name}`, `expected the client's own ${own[name]} or more, got ${longer[name]}`)
  }
  return longer
}

/** `undefined` where no legacy host has timeouts of its own. */
export function legacyTimeoutsOf(
  legacyHosts: readonly { readonly pattern: string; readonly timeouts?: Timeouts }[],
): ((origin: CanonicalOrigin) => Timeouts | undefined) | undefined {
  const rules = legacyHosts.flatMap(({ pattern: text, timeouts }) => {
    const pattern = parseHostPattern(text)
    return pattern === undefined ? [] : [[pattern, { timeouts }] as const]
  })
  if (rules.every(([, { timeouts }]) => timeouts === undefined)) return undefined
  const find = hostIndex(rules)
  return ({ host }) => find(host)?.timeouts
}

function invalid(path: string, message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `${path}: ${message}`)
}
