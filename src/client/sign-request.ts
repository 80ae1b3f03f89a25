import { ConfigurationError, SignError } from '../errors/errors.ts'
import type { FieldLine } from '../signing/message.ts'
import type { RequestPatch, RequestSigner, SignableRequest } from '../signing/signing.ts'
import type { GivenRequest } from './replay.ts'
import { type DefaultHeaders, wireMethod } from './request.ts'
import type { FixedBody } from './sign-body.ts'

/** A request on its way from one signer to the next. */
export interface Draft {
  readonly request: SignableRequest
  /** What fetch is given: those of the caller as they were spelled, and what the signers added. */
  readonly pairs: readonly Pair[]
}

/**
 * The request as it goes on the wire, as far as that is known before a connection is there: Host stands in the URL, and what is
 * said from one hop to the next is left out.
 *
 * @param defaults What the runtime's fetch adds.
 */
export function draftOf({ method, pairs: given, url }: Given, body: FixedBody, defaults: DefaultHeaders): Draft {
  // fetch writes the length, and would join the caller's to its own
  const isLength = ([name, value]: Pair): boolean => /^content-length$/i.test(name) && value === String(body.length)
  const pairs = given.filter((pair) => !isLength(pair))
  const headers = headersOf(pairs)
  if (body.type !== undefined && !headers.has('content-type')) pairs.push(['content-type', body.type])
  const fields = fieldsOf(pairs, { method, length: body.length, hasBody: body.signable.kind !== 'none', defaults })
  const href = url.hash === '' ? url.href : url.href.slice(0, -url.hash.length)
  const text = href.endsWith('#') ? href.slice(0, -1) : href
  return { request: { kind: 'request', method, url: text, origin: url.origin, fields, body: body.signable }, pairs }
}

/**
 * The draft with what a signer adds.
 *
 * @throws ConfigurationError for what a signer may not answer; nothing would protect it.
 */
export function patchedDraft({ request, pairs }: Draft, signer: RequestSigner, patch: RequestPatch): Draft {
  const fail = (problem: string): ConfigurationError =>
    new ConfigurationError('ERR_CONFIG_INVALID', `sign: ${signer.name}: ${problem}; nothing was sent`)
  const fields = new Map(request.fields)
  const added: Pair[] = []
  for (const [name, value] of Object.entries(patch.headers ?? {})) {
    if (!signer.headers.includes(name)) throw fail(`it sets ${name}, which its headers do not name`)
    if (typeof value !== 'string' || !FIELD_VALUE.test(value)) throw fail(`it gave ${name} a value no field may have`)
    const before = fields.get(name)
    if (before !== undefined && !JOINED.has(name)) {
      if (before !== value) throw fail(`it sets ${name}, which the request has`)
      continue
    }
    fields.set(name, before === undefined ? value : `${before}, ${value}`)
    added.push([name, value])
  }
  const url = patch.query === undefined ? request.url : withQuery(request.url, patch.query)
  if (!URL.canParse(url) || new URL(url).href !== url)
    throw fail('expected a query that is encoded as it stands on the wire')
  return { request: { ...request, url, fields: [...fields] }, pairs: [...pairs, ...added] }
}

/** @throws SignError `ERR_SIGN_LABEL_CONFLICT` for a signature of the caller that has the label of a signer. */
export function requireOwnLabel(label: string, labels: ReadonlySet<string> | undefined, host: string): void {
  const conflict = (problem: string): SignError =>
    new SignError('ERR_SIGN_LABEL_CONFLICT', `${host}: ${problem}; nothing was sent`, { host })
  if (labels === undefined) throw conflict('the Signature-Input of the caller cannot be read, and another one is added')
  if (labels.has(label)) throw conflict(`the caller gave a signature ${label}, which a signer makes as well`)
}

export type Pair = readonly [name: string, value: string]

/** What the caller asks for, as it was then. */
export interface Given {
  /** As on the wire. */
  readonly method: string
  /** The caller's spelling and order. */
  readonly pairs: readonly Pair[]
  readonly url: URL
}

export function givenOf({ input, init }: GivenRequest, url: URL): Given {
  const ofRequest = input instanceof Request ? input : undefined
  const method = wireMethod(init.method ?? ofRequest?.method ?? 'GET')
  return { method, pairs: pairsOf(init.headers ?? ofRequest?.headers), url }
}

export function headersOf(pairs: readonly Pair[]): Headers {
  return new Headers(pairs.map(([name, value]) => [name, value] as [string, string]))
}

function pairsOf(given: RequestInit['headers']): Pair[] {
  if (given === undefined || given === null) return []
  if (Array.isArray(given)) return given.map(([name = '', value = '']) => [name, value])
  if (given instanceof Headers) return [...given]
  return Object.getPrototypeOf(given) === Object.prototype
    ? Object.entries(given as Record<string, string>).map(([name, value]) => [name, String(value)])
    : [...new Headers(given)]
}

function fieldsOf(pairs: readonly Pair[], { method, length, hasBody, defaults }: Facts): readonly FieldLine[] {
  const headers = headersOf(pairs)
  for (const name of LEFT_OUT) headers.delete(name)
  if (hasBody ? length !== undefined : WITH_BODY.has(method)) headers.set('content-length', String(length ?? 0))
  for (const [name, value] of defaults) {
    const lower = name.toLowerCase()
    if (lower === 'content-length' || lower === 'content-type') continue // of the body
    if (lower === 'sec-fetch-mode')
      headers.set(lower, value) // the caller's has no effect
    else if (headers.has(lower)) continue
    else headers.set(lower, lower === 'accept-encoding' && headers.has('range') ? 'identity' : value)
  }
  return [...headers]
}

interface Facts {
  readonly method: string
  readonly length: number | undefined
  readonly hasBody: boolean
  readonly defaults: DefaultHeaders
}

function withQuery(url: string, query: string): string {
  if (query === '') return url
  if (!url.includes('?')) return `${url}?${query}`
  return /[?&]$/.test(url) ? url + query : `${url}&${query}`
}

/** Several signers share these: signatures are told apart by their labels, and a digest is the same for all. */
export const JOINED: ReadonlySet<string> = new Set(['signature', 'signature-input'])
export const SHARED: ReadonlySet<string> = new Set([...JOINED, 'content-digest', 'repr-digest'])
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT']) // without one they say `content-length: 0`
/** Of a connection, or known only once there is one: with HTTP/2 there is no Host. */
const LEFT_OUT = ['connection', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']
const FIELD_VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/ // RFC 9110 §5.5, without obs-text
