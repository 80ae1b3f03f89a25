import { PolicyError } from '../errors/errors.ts'
import type { GivenRequest } from './replay.ts'

/**
 * The same request, whose method and header fields cannot become anything else on the wire: CR, LF and NUL would end a field and
 * begin another one, or another request (RFC 9110 §5.5, RFC 9112 §11.1). The runtime's fetch refuses them too, later, and prints
 * the value, which may be a secret.
 *
 * Octets from 0x80 to 0xFF are sent as they are (obs-text), as fetch does. A character beyond has no octet: what keeps its lower
 * eight bits alone makes a line feed of U+010A.
 *
 * @throws PolicyError `ERR_POLICY_HEADER_INVALID`
 */
export function withSoundFields(given: GivenRequest, host: string): GivenRequest {
  const { input, init } = given
  const { method } = init
  if (typeof method === 'string' && !TOKEN.test(method)) throw refusal(host, 'expected a method that is a token')
  const fields = init.headers ?? (input instanceof Request ? input.headers : undefined)
  if (typeof fields !== 'object' || fields === null) return given
  const pairs = pairsOf(fields)
  let position = 0
  for (const pair of pairs) {
    position += 1
    const [name, value] = Array.isArray(pair) ? pair : []
    if (name === undefined || typeof name === 'symbol' || typeof value === 'symbol') continue // fetch refuses it
    if (!TOKEN.test(String(name))) throw refusal(host, `the name of header field ${position} is no token`)
    if (isSound(String(value))) continue
    const expected =
      'visible characters, spaces and tabs; got a line break, another control character or one beyond U+00FF'
    throw refusal(host, `header field ${String(name).toLowerCase()}: expected ${expected}`)
  }
  const isGiven = pairs === fields || !(Symbol.iterator in fields)
  return isGiven ? given : { input, init: { ...init, headers: pairs as [string, string][] } }
}

/** What can be read only once is read here. */
function pairsOf(fields: object): Iterable<unknown> {
  if (fields instanceof Headers || isListOfPairs(fields)) return fields
  if (!(Symbol.iterator in fields)) return Object.entries(fields)
  return Array.from(fields as Iterable<unknown>, (pair) => (isIterable(pair) ? [...pair] : pair))
}

const isListOfPairs = (fields: object): fields is readonly unknown[][] =>
  Array.isArray(fields) && fields.every(Array.isArray)

const isIterable = (pair: unknown): pair is Iterable<unknown> =>
  typeof pair === 'object' && pair !== null && Symbol.iterator in pair

/** Fetch cuts whitespace off both ends, line breaks included: a value that was read from a file has one. */
function isSound(value: string): boolean {
  if (FIELD_VALUE.test(value)) return true
  let [start, end] = [0, value.length]
  while (WHITESPACE.has(value[start])) start += 1
  while (WHITESPACE.has(value[end - 1])) end -= 1
  return FIELD_VALUE.test(value.slice(start, end))
}

function refusal(host: string, problem: string): PolicyError {
  return new PolicyError('ERR_POLICY_HEADER_INVALID', `${host}: ${problem}; nothing was sent`, { host })
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 §5.6.2
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/ // RFC 9110 §5.5
const WHITESPACE: ReadonlySet<string | undefined> = new Set(['\t', '\n', '\r', ' ']) // WHATWG Fetch §2.2, HTTP whitespace
