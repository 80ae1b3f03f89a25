import type { Dispatcher } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { PolicyError } from '../errors/errors.ts'

type Headers = Dispatcher.DispatchOptions['headers']

/**
 * One pass over the headers. RFC 9110 §7.2: the Host field names the authority of the URL; another one would ask this peer
 * for another's data. And Node 20 and 22's own fetch joins a caller's Content-Length with its own, `5, 5`, which undici 7
 * refuses and §8.6 allows to fold.
 *
 * @param bodyLength Written into the field where the caller left it out.
 */
export function checkedHeaders(headers: Headers, origin: CanonicalOrigin, bodyLength: number | undefined): Headers {
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

function requireOwnHost(host: string, origin: CanonicalOrigin): void {
  const url = `https://${host}/`
  if (!/[\s/?#@\\]/.test(host) && URL.canParse(url) && canonicalOrigin(new URL(url))?.text === origin.text) return
  const message = `${origin.text}: the Host header names ${JSON.stringify(host)}, not the host of the URL`
  throw new PolicyError('ERR_POLICY_HOST_HEADER', message, { host: origin.text })
}

/** undici takes headers as a flat list, as pairs, or as an object. */
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
