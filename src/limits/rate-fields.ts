import { type Item, type Parameters, parseDictionary, parseList } from 'structured-headers'
import type { Pause, PauseRules } from './retry-after.ts'

/**
 * For how long a server has nothing left to give, as it says in the fields of a response: `RateLimit` with `RateLimit-Policy`
 * (draft-ietf-httpapi-ratelimit-headers), in the form of today or that of earlier drafts, or else the `X-RateLimit-*` that came
 * before. Of several quotas the one that takes longest counts. `undefined` where something is left, or nothing is said.
 */
export function readQuota(headers: Headers, rules: PauseRules): Pause | undefined {
  const source = headers.has('ratelimit') || headers.has('ratelimit-remaining') ? 'ratelimit' : 'x-ratelimit'
  const askedMs = source === 'ratelimit' ? standard(headers) : traditional(headers, rules.serverNow)
  if (askedMs === undefined || askedMs <= 0) return undefined
  return { ms: Math.min(askedMs, rules.maxMs), askedMs, source }
}

/** A field that cannot be read says nothing; those without a standard are not asked in its place. */
function standard(headers: Headers): number | undefined {
  const field = headers.get('ratelimit')
  if (field === null) return emptyFor(headers.get('ratelimit-remaining'), headers.get('ratelimit-reset'))
  if (field.length > MAX_READ) return undefined
  const quotas = listOf(field)
  if (quotas === undefined) return ofEarlierDraft(field)
  const windows = listOf(headers.get('ratelimit-policy')?.slice(0, MAX_READ) ?? '') ?? []
  const waits = quotas
    .filter(([, parameters]) => numberOf(parameters, 'r') === 0)
    .map(([name, parameters]) => {
      const policy = windows.find(([other]) => String(other) === String(name))
      return (numberOf(parameters, 't') ?? (policy && numberOf(policy[1], 'w')) ?? 0) * 1_000
    })
  return waits.length === 0 ? undefined : Math.max(...waits)
}

/** `"burst";r=0;t=10, "daily";r=100`; `undefined` for what is no list of names. */
function listOf(field: string): readonly Item[] | undefined {
  try {
    const members = parseList(field)
    const items = members.filter((member): member is Item => !Array.isArray(member[0]))
    return items.some(([name]) => typeof name === 'string') ? items : undefined
  } catch {
    return undefined
  }
}

/** `limit=10, remaining=0, reset=5`, to draft 07. */
function ofEarlierDraft(field: string): number | undefined {
  try {
    const members = parseDictionary(field)
    const remaining: unknown = members.get('remaining')?.[0]
    const reset: unknown = members.get('reset')?.[0]
    return remaining === 0 && typeof reset === 'number' ? reset * 1_000 : undefined
  } catch {
    return undefined
  }
}

function numberOf(parameters: Parameters, name: string): number | undefined {
  const value: unknown = parameters.get(name)
  return typeof value === 'number' ? value : undefined
}

function traditional(headers: Headers, serverNow: number): number | undefined {
  for (const prefix of ['x-ratelimit', 'x-rate-limit']) {
    const [remaining, reset] = [headers.get(`${prefix}-remaining`), headers.get(`${prefix}-reset`)]
    if (remaining !== null) return emptyFor(remaining, reset, serverNow)
  }
  return undefined
}

/** @param serverNow Where `reset` may be an instant: nobody means a delay of thirty years, nor one in milliseconds of an age. */
function emptyFor(remaining: string | null, reset: string | null, serverNow?: number): number | undefined {
  if (remaining === null || reset === null || Number(remaining) > 0) return undefined
  if (!NUMBER.test(remaining) || !NUMBER.test(reset)) return undefined
  const value = Number(reset)
  if (serverNow === undefined || value < FIRST_INSTANT_S) return value * 1_000
  return (value < FIRST_INSTANT_S * 1_000 ? value * 1_000 : value) - serverNow
}

const NUMBER = /^\d{1,15}(?:\.\d{1,9})?$/
const MAX_READ = 4_096
const FIRST_INSTANT_S = 1_000_000_000 // 2001
