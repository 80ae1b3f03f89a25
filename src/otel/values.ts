import type { Attributes } from '@opentelemetry/api'
import { CODES } from '../errors/codes.ts'
import type { EventOf } from '../events/events.ts'
import { ATTRIBUTE } from './names.ts'

/** Values of attributes, each out of a list that no server can make longer. */

/** One of our codes, or `_OTHER`. */
export function errorType(code: string | undefined): Attributes {
  if (code === undefined) return {}
  return { [ATTRIBUTE.errorType]: Object.hasOwn(CODES, code) ? code : '_OTHER' }
}

/** An error of the semantic conventions: a client's request that was answered with a 4xx or 5xx. */
export function statusAttributes(status: number | undefined): Attributes {
  if (status === undefined) return {}
  const shown = knownStatus(status)
  return { [ATTRIBUTE.status]: shown, ...(shown >= 400 && { [ATTRIBUTE.errorType]: String(shown) }) }
}

/** RFC 9110 §15: a status that is not known is the x00 of its class, and one of no class is 500. */
function knownStatus(status: number): number {
  if (KNOWN.has(status)) return status
  return status >= 100 && status < 600 ? Math.floor(status / 100) * 100 : 500
}

export function protocolOf({ version }: EventOf<'http.exchange'>): Attributes {
  return { [ATTRIBUTE.protocolVersion]: version }
}

/** The registry of IANA, as of RFC 9110 and those that came later. */
const KNOWN: ReadonlySet<number> = new Set([
  ...[100, 101, 102, 103, 104],
  ...[200, 201, 202, 203, 204, 205, 206, 207, 208, 226],
  ...[300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 423, 424, 425, 426, 428, 429, 431, 451],
  ...[500, 501, 502, 503, 504, 505, 506, 507, 508, 511],
])
