import type { Dispatcher } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { ConfigurationError, PolicyError } from '../errors/errors.ts'

type Headers = Dispatcher.DispatchOptions['headers']

/**
 * RFC 9112 §3.2: a server heeds the authority of a request target before the Host field, so a target has none. Others that
 * are wrong are left to undici.
 */
export function requireOriginForm(target: unknown, { text }: CanonicalOrigin): void {
  if (!/^[^/?#]*:/.test(String(target))) return
  const message = `${text}: expected a path, the request target ${JSON.stringify(target)} names a host of its own`
  throw new PolicyError('ERR_POLICY_HOST_HEADER', message, { host: text })
}

/**
 * One pass over the headers. RFC 9110 §7.2: the Host field names the authority of the URL; another one would ask this peer
 * for another's data. And Node 20 and 22's own fetch joins a caller's Content-Length with its own, `5, 5`, which undici 7
 * refuses and §8.6 allows to fold.
 *
 * @param bodyLength Written into the field where the caller left it out.
 * @returns A flat list: what was looked at here, and not what another reading of it would give.
 */
export function checkedHeaders(given: Headers, origin: CanonicalOrigin, bodyLength: number | undefined): string[] {
  const headers = flat(given)
  let length = bodyLength === undefined ? undefined : String(bodyLength)
  let isGiven = false
  eachHeader(headers, (name, value) => {
    if (name.length === 4 && name.toLowerCase() === 'host') requireOwnHost(String(value), origin)
    if (!isContentLength(name)) return
    isGiven = true
    length = String(value).includes(',') ? foldedLength(String(value)) : undefined
  })
  if (length === undefined) return headers
  const folded: unknown[] = isGiven ? [] : ['content-length', length]
  eachHeader(headers, (name, value) => folded.push(name, isContentLength(name) ? length : value))
  return folded as string[]
}

const isContentLength = (name: string): boolean => name.length === 14 && name.toLowerCase() === 'content-length'

/** The one value that a list repeats; `undefined` for a list that disagrees with itself, which undici then refuses. */
function foldedLength(list: string): string | undefined {
  const [length, ...others] = new Set(list.split(',').map((part) => part.trim()))
  return others.length === 0 ? length : undefined
}

export function requireOwnHost(host: string, origin: CanonicalOrigin): void {
  if (host === origin.text) return
  const url = `https://${host}/`
  if (!/[\s/?#@\\]/.test(host) && URL.canParse(url) && canonicalOrigin(new URL(url))?.text === origin.text) return
  const message = `${origin.text}: the Host header names ${JSON.stringify(host)}, not the host of the URL`
  throw new PolicyError('ERR_POLICY_HOST_HEADER', message, { host: origin.text })
}

/** undici takes headers as a flat list, as what gives pairs, perhaps once and no more, or as an object. */
function flat(headers: Headers): string[] {
  if (headers === null || headers === undefined) return []
  if (Array.isArray(headers) && headers.every((name, at) => at % 2 === 1 || typeof name === 'string')) return headers
  const pairs = typeof headers === 'object' ? [...pairsOf(headers)] : [headers]
  if (pairs.every((pair) => Array.isArray(pair) && pair.length === 2)) return pairs.flat(1) as string[]
  const message = 'dispatch: expected header fields as an object, or as a list of names and values'
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

function pairsOf(headers: object): Iterable<unknown> {
  return Symbol.iterator in headers ? (headers as Iterable<unknown>) : Object.entries(headers)
}

/** Of a flat list, of pairs, or of an object. */
export function eachHeader(headers: Headers, visit: (name: string, value: unknown) => void): void {
  if (headers === null || headers === undefined) return
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let i = 0; i + 1 < headers.length; i += 2) visit(String(headers[i]), headers[i + 1])
  } else if (Symbol.iterator in headers) {
    for (const [name, value] of headers as Iterable<readonly [string, unknown]>) visit(String(name), value)
  } else {
    for (const name in headers) visit(name, headers[name])
  }
}
