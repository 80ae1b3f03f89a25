import type * as z from 'zod'
import { ConfigurationError, MonitorError } from '../../errors/errors.ts'
import type { Asking } from './ask.ts'
import type { Issuance } from './issuance.ts'
import type { MatchName } from './names.ts'

/** What was found since, and where to go on once it was delivered. */
export interface Batch {
  readonly issuances: readonly Issuance[]
  /** Plain JSON: what the next pass is given. */
  readonly position: unknown
}

export interface Pass extends Asking {
  readonly domains: readonly string[]
  readonly includeSubdomains: boolean
  readonly matches: MatchName
  /** Of the last batch that was delivered; `undefined` the first time. */
  readonly position: unknown
}

/** Who tells of issuances: `certSpotter`, `crtSh`, `staticLog`, `rfc6962Log`. */
export interface IssuanceSource {
  /** In events: `certspotter`, `crtsh`, or the origin of a log. */
  readonly name: string
  /** In the cursor: positions of another server mean something else. */
  readonly place: string
  /** Reads what is new, a batch at a time. Throws a MonitorError where it could not read everything. */
  readonly read: (pass: Pass) => AsyncIterable<Batch>
  readonly close?: () => void
}

/** @throws ConfigurationError `ERR_CONFIG_URL` */
export function baseUrlOf(text: string, option: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url?.protocol === 'https:' && url.username === '' && url.password === ''
  if (url === undefined || !isPlain || url.search !== '' || url.hash !== '') {
    throw new ConfigurationError('ERR_CONFIG_URL', `${option}: expected an https URL without user name and query`)
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** @throws MonitorError `ERR_MONITOR_CURSOR_INVALID`: to begin anew could skip what was issued meanwhile. */
export function readPosition<Schema extends z.ZodType>(
  schema: Schema,
  position: unknown,
  source: string,
): z.output<Schema> | undefined {
  if (position === undefined) return undefined
  const parsed = schema.safeParse(position)
  if (parsed.success) return parsed.data
  throw new MonitorError('ERR_MONITOR_CURSOR_INVALID', `${source}: the cursor holds no position of this source`)
}
