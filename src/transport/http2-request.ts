import { validateHeaderName, validateHeaderValue } from 'node:http'
import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2'
import { stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'
import { eachHeader } from './request-headers.ts'
import { errors } from './undici.ts'

type Options = Dispatcher.DispatchOptions

/** What goes out on a stream. */
export interface Http2Request {
  readonly headers: OutgoingHttpHeaders
  readonly body: Uint8Array | Iterable<unknown> | AsyncIterable<unknown> | undefined
  /** What the header fields announce; a body of another length is an error. */
  readonly length: number | undefined
}

/**
 * Writes a request as HTTP/2 has it (RFC 9113 §8.3). As strict as HTTP/1.1: what a proxy behind the server turns back into
 * lines must not hold any that the caller did not mean.
 *
 * @throws undici's own complaint about a wrong argument.
 */
export function http2RequestOf(options: Options, authority: string): Http2Request {
  const { method, path, body, query, upgrade } = options as Options & { readonly query?: Record<string, unknown> }
  if (upgrade || method === 'CONNECT') throw wrong('an upgrade takes HTTP/1.1, and the connection speaks HTTP/2')
  if (!TOKEN.test(method)) throw wrong('invalid request method')
  if (!PATH.test(path)) throw wrong('invalid request path')
  const target = query === undefined || query === null ? path : withQuery(path, query)
  const lines = [':method', method, ':scheme', 'https', ':authority', authority, ':path', target]
  eachHeader(options.headers, (given, value) => add(lines, given.toLowerCase(), value))
  const content = contentOf(body)
  const at = indexOf(lines, 'content-length')
  const length = lengthOf(at === NOWHERE ? undefined : lines[at + 1], content)
  const isExpected = method === 'POST' || method === 'PUT' || method === 'PATCH' // RFC 9110 §8.6: then a length of 0 is said
  if (length !== undefined && (length > 0 || isExpected)) put(lines, at, ['content-length', String(length)])
  const isEmpty = content === undefined || (content instanceof Uint8Array && content.length === 0)
  const secret = SENSITIVE.filter((name) => indexOf(lines, name) !== NOWHERE)
  const headers = TAKES_LISTS ? (lines as unknown as OutgoingHttpHeaders) : objectOf(lines)
  if (secret.length > 0) Object.assign(headers, { [sensitiveHeaders]: secret }) // in no table on the way: RFC 7541 §7.1.3
  return { headers, body: isEmpty ? undefined : content, length }
}

/** Where a name stands in a list of names and values. */
function indexOf(lines: readonly string[], name: string): number {
  for (let at = 0; at < lines.length; at += 2) if (lines[at] === name) return at
  return NOWHERE
}

function put(lines: string[], at: number, [name, value]: readonly [string, string]): void {
  if (at === NOWHERE) lines.push(name, value)
  else lines[at + 1] = value
}

function objectOf(lines: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string> = Object.create(null)
  for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] ?? ''] = lines[at + 1] ?? ''
  return headers
}

function add(lines: string[], name: string, value: unknown): void {
  if (value === undefined || name === 'host') return // it was compared with the authority before
  validateHeaderName(name)
  const text = Array.isArray(value) ? value.map(textOf).join(separator(name)) : textOf(value)
  validateHeaderValue(name, text)
  if (name === 'connection' && PERSISTENCE.test(text)) return // HTTP/2 has no such field, and no need of it
  if (FORBIDDEN.has(name) || (name === 'te' && text !== 'trailers')) throw wrong(`invalid ${name} header`)
  const at = indexOf(lines, name)
  put(lines, at, [name, at === NOWHERE ? text : `${lines[at + 1]}${separator(name)}${text}`])
}

const separator = (name: string): string => (name === 'cookie' ? '; ' : ', ') // RFC 9113 §8.2.3

function textOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) throw wrong('invalid header value')
  return value === null ? '' : String(value)
}

function withQuery(path: string, query: Record<string, unknown>): string {
  if (/[?#]/.test(path)) throw wrong('query and a path that has one')
  const text = stringify(query as Parameters<typeof stringify>[0])
  return text === '' ? path : `${path}?${text}`
}

function contentOf(body: unknown): Http2Request['body'] {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return body
  if (body instanceof Blob) return body.stream()
  if (typeof body !== 'object' || body instanceof FormData) throw wrong('a body that HTTP/2 is not sent')
  if (Symbol.asyncIterator in body || Symbol.iterator in body) return body as Iterable<unknown>
  throw wrong('body must be a string, a Buffer, a Readable stream, an iterable, or an async iterable')
}

function lengthOf(given: string | undefined, content: Http2Request['body']): number | undefined {
  if (given !== undefined && !/^\d+$/.test(given)) throw wrong('invalid content-length header')
  const real = content === undefined ? 0 : content instanceof Uint8Array ? content.length : undefined
  if (given === undefined || real === undefined) return real ?? (given === undefined ? undefined : Number(given))
  if (Number(given) !== real) throw new errors.RequestContentLengthMismatchError()
  return real
}

const wrong = (message: string): Error => new errors.InvalidArgumentError(message)

const NOWHERE = -1
/** Node's client makes fewer objects of a list: from 24.2 on, and from 22.17. */
const [MAJOR = 0, MINOR = 0] = process.versions.node.split('.').map(Number)
const TAKES_LISTS = MAJOR > 24 || (MAJOR === 24 && MINOR >= 2) || (MAJOR === 22 && MINOR >= 17)
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const PATH = /^(?:\/[\x21-\xff]*|\*)$/
const PERSISTENCE = /^(?:keep-alive|close)$/i
const SENSITIVE = ['authorization', 'proxy-authorization', 'cookie']
/** RFC 9113 §8.2.2, and a field that takes a wait of its own. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
