import type { FieldLine } from './message.ts'

/** What AWS Signature Version 4 signs of a request, in the form that the server arrives at as well. */
export interface CanonicalInput {
  readonly method: string
  /** Path and query as they stand on the wire, the query without its `?`. */
  readonly path: string
  readonly query: string
  /** Those that are signed, in the order of the wire. */
  readonly fields: readonly FieldLine[]
  /** SHA-256 of the body in hexadecimal, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string
  readonly pathRules: PathRules
}

export interface PathRules {
  /** Without `.`, `..` and empty segments. */
  readonly normalize: boolean
  /** Whether what is already escaped is escaped once more, as every service but S3 wants it. */
  readonly encode: 'once' | 'twice'
}

export interface CanonicalRequest {
  readonly text: string
  /** As `host;x-amz-date`. */
  readonly signedHeaders: string
}

/** @see AWS IAM user guide, "Create a signed AWS API request", step 1 */
export function canonicalRequest({
  method,
  path,
  query,
  fields,
  payload,
  pathRules,
}: CanonicalInput): CanonicalRequest {
  const lines = canonicalFields(fields)
  let headers = ''
  let signedHeaders = ''
  for (const [name, value] of lines) {
    headers += `${name}:${value}\n`
    signedHeaders += signedHeaders === '' ? name : `;${name}`
  }
  const target = `${canonicalPath(path, pathRules)}\n${canonicalQuery(query)}`
  return { text: `${method}\n${target}\n${headers}\n${signedHeaders}\n${payload}`, signedHeaders }
}

/** The fields that are signed, by name in lower case. Several of one name are one, in the order of the wire. */
function canonicalFields(fields: readonly FieldLine[]): readonly FieldLine[] {
  const values = new Map<string, string>()
  for (const [name, value] of fields) {
    const before = values.get(name)
    const tidy = value.trim().replace(/\s+/g, ' ')
    values.set(name, before === undefined ? tidy : `${before},${tidy}`)
  }
  return [...values].sort(byName)
}

function canonicalPath(path: string, { normalize, encode }: PathRules): string {
  if (path === '') return '/'
  const shortest = normalize && NEEDS_NORMALIZING.test(path) ? withoutDots(path) : path
  return escaped(shortest, encode === 'twice' ? BEYOND_PATH : BEYOND_PATH_ONCE)
}

/** Dot segments go as in RFC 3986 §5.2.4, empty ones too, and with `..` at the end the slash before it. */
function withoutDots(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const isFolder = kept.length > 0 && path.endsWith('/')
  return `/${kept.join('/')}${isFolder ? '/' : ''}`
}

/**
 * Sorted by name, then by value, each as it is once escaped. `+` is a space, as it is to the forms and the servers that wrote it.
 */
function canonicalQuery(query: string): string {
  const pairs: string[] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const at = part.indexOf('=')
    const name = at === -1 ? part : part.slice(0, at)
    pairs.push(`${encodeOnce(name)} ${at === -1 ? '' : encodeOnce(part.slice(at + 1))}`)
  }
  return pairs.sort().join('&').replaceAll(' ', '=') // nothing that stands in a name comes before a space
}

/** Text that may be escaped, in part or wrongly, in the one form that has no choice: all but RFC 3986 §2.3 unreserved is escaped. */
function encodeOnce(text: string): string {
  return escaped(text, BEYOND_QUERY)
}

/** What is not escaped at all. */
export function encodeUri(text: string): string {
  return escaped(text, BEYOND_ALL)
}

function escaped(text: string, beyond: RegExp): string {
  return text.replace(beyond, (found) => {
    if (found === '+' && beyond === BEYOND_QUERY) return '%20'
    const isEscape = found.length === 3 // all else is one character
    if (!isEscape) return percentOf(found)
    const character = String.fromCharCode(Number.parseInt(found.slice(1), 16))
    return UNRESERVED.test(character) ? character : found.toUpperCase()
  })
}

function percentOf(character: string): string {
  return Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&')
}

const byName = ([a]: FieldLine, [b]: FieldLine): number => (a < b ? -1 : 1)

const NEEDS_NORMALIZING = /\/[/.]/
const UNRESERVED = /[\w.~-]/
const BEYOND_ALL = /[^\w.~-]/gu
const BEYOND_PATH = /[^\w.~/-]/gu
const BEYOND_PATH_ONCE = /%[\dA-Fa-f]{2}|[^\w.~/-]/gu
const BEYOND_QUERY = /%[\dA-Fa-f]{2}|[^\w.~-]/gu
