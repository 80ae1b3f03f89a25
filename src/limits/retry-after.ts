/** A time that a server asked for, and how much of it is given to it. */
export interface Pause {
  /** Milliseconds, at most the cap. */
  readonly ms: number
  /** What the server said. */
  readonly askedMs: number
  readonly source: 'retry-after' | 'ratelimit' | 'x-ratelimit'
}

export interface PauseRules {
  /** The time at the server, Unix milliseconds: for a response without a Date of its own. */
  readonly serverNow: number
  readonly maxMs: number
}

/**
 * What a response asks of the next request: seconds or a date (RFC 9110 §10.2.3), or `retry-after-ms`, which says it more finely
 * and wins. `undefined` where it asks for nothing: no such field, one that cannot be read, and a time that is over.
 *
 * A date is held against the Date of the same response, which was taken from the same clock.
 */
export function readRetryAfter(headers: Headers, { serverNow, maxMs }: PauseRules): Pause | undefined {
  const askedMs = finely(headers.get('retry-after-ms')) ?? coarsely(headers.get('retry-after'), headers, serverNow)
  if (askedMs === undefined || askedMs <= 0) return undefined
  return { ms: Math.min(askedMs, maxMs), askedMs, source: 'retry-after' }
}

function finely(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}(?:\.\d{1,9})?$/.test(text) ? Math.ceil(Number(text)) : undefined
}

function coarsely(text: string | null, headers: Headers, serverNow: number): number | undefined {
  if (text === null) return undefined
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1_000
  if (/^\d+$/.test(text)) return MAX_SECONDS * 1_000 // a number all the same
  const date = httpDate(text)
  if (date === undefined) return undefined
  const own = headers.has('age') ? undefined : httpDate(headers.get('date') ?? '') // a cache's Date is of another day
  return date - (own ?? serverNow)
}

/** RFC 9110 §5.6.7: the form that is still sent. */
function httpDate(text: string): number | undefined {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) return undefined
  const date = Date.parse(text)
  return Number.isFinite(date) ? date : undefined
}

const MAX_SECONDS = 999_999_999_999
