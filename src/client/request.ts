/** What the runtime's fetch adds to a request with a body, in its order; recorded from itself. */
export type DefaultHeaders = readonly (readonly [name: string, value: string])[]

export interface LeanRequest {
  readonly method: string
  /** Name, value, name, value. */
  readonly headers: string[]
  readonly body: Uint8Array | null
  readonly signal: AbortSignal | null
}

/**
 * A fetch call as the plain request it stands for: `undefined` for whatever is not plain, wrong arguments included, which is
 * left to the runtime's own fetch. What is answered is what that would have sent.
 */
export function leanRequest(
  input: string | URL | Request,
  init: RequestInit,
  defaults: DefaultHeaders,
): LeanRequest | undefined {
  if (!isPlain(init)) return undefined
  const request = input instanceof Request ? plainRequest(input) : NO_REQUEST
  if (request === undefined) return undefined
  const method = METHODS.get(init.method === undefined ? request.method : init.method)
  const fields = fieldsOf(init.headers === undefined ? request.headers : init.headers)
  const signal = init.signal === undefined ? request.signal : init.signal
  const body = init.body === undefined || init.body === null ? NO_BODY : bodyOf(init.body)
  if (method === undefined || fields === undefined || body === undefined) return undefined
  if (signal !== null && !(signal instanceof AbortSignal)) return undefined
  if (body.bytes !== null && (method === 'GET' || method === 'HEAD')) return undefined
  const headers = headersOf(fields, { defaults, body, needsLength: body.bytes !== null || WITH_BODY.has(method) })
  return headers === undefined ? undefined : { method, headers, body: body.bytes, signal }
}

/** As fetch puts it on the wire (WHATWG Fetch §2.2.1, normalize). */
export function wireMethod(method: string): string {
  return METHODS.get(method) ?? (/^(?:delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method)
}

function isPlain(init: RequestInit): boolean {
  for (const name in init) {
    const value = Reflect.get(init, name)
    if (value !== undefined && !TAKEN.has(name) && INERT.get(name)?.includes(value) !== true) return false
  }
  return true
}

type HeadersGiven = NonNullable<RequestInit['headers']>
type Plain = Pick<LeanRequest, 'method' | 'signal'> & { readonly headers: HeadersGiven }

/** The body of a Request is a stream whose length only its own fetch knows. */
function plainRequest(request: Request): Plain | undefined {
  const { method, headers, signal, body, bodyUsed, cache, integrity, mode, referrer, referrerPolicy } = request
  if (body !== null || bodyUsed || cache !== 'default' || integrity !== '' || mode !== 'cors') return undefined
  return referrer === 'about:client' && referrerPolicy === '' ? { method, headers, signal } : undefined
}

interface Field {
  /** As its first occurrence spells it. */
  readonly name: string
  value: string
}

/** By name in lower case, several of one name combined (WHATWG Fetch §2.2.2, combine). */
function fieldsOf(given: HeadersGiven): Map<string, Field> | undefined {
  const fields = new Map<string, Field>()
  for (const pair of pairsOf(given)) {
    const [name, value] = pair
    if (pair.length !== 2 || typeof name !== 'string' || typeof value !== 'string') return undefined
    const key = name.toLowerCase()
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value) || LEFT_TO_RUNTIME.has(key)) return undefined
    const known = fields.get(key)
    if (known === undefined) fields.set(key, { name, value: trimmed(value) })
    else known.value += (key === 'cookie' ? '; ' : ', ') + trimmed(value)
  }
  return fields
}

/** What is no list, no object of own members and no Headers answers with a pair that nobody takes. */
function pairsOf(given: HeadersGiven): Iterable<readonly unknown[]> {
  if (Array.isArray(given)) return given.every(Array.isArray) ? given : UNUSUAL
  if (typeof given !== 'object' || given === null) return UNUSUAL
  if (given instanceof Headers) return given
  const prototype = Object.getPrototypeOf(given)
  if (prototype !== Object.prototype && prototype !== null) return UNUSUAL
  return Symbol.iterator in given || Object.getOwnPropertySymbols(given).length > 0 ? UNUSUAL : Object.entries(given)
}

function trimmed(value: string): string {
  return value.replace(/^[\t ]+|[\t ]+$/g, '')
}

interface LeanBody {
  readonly bytes: Uint8Array | null
  readonly type: string | undefined
}

/** Bytes are copied: what the caller writes into them later is not sent. */
function bodyOf(body: NonNullable<RequestInit['body']>): LeanBody | undefined {
  if (typeof body === 'string') return { bytes: Buffer.from(body), type: 'text/plain;charset=UTF-8' }
  if (body instanceof URLSearchParams) {
    return { bytes: Buffer.from(body.toString()), type: 'application/x-www-form-urlencoded;charset=UTF-8' }
  }
  if (body instanceof Uint8Array && isOrdinary(body.buffer)) return { bytes: Buffer.from(body), type: undefined }
  return body instanceof ArrayBuffer && isOrdinary(body)
    ? { bytes: Buffer.from(body.slice(0)), type: undefined }
    : undefined
}

/** Neither shared with a thread, nor given away, nor one that changes its length. */
export function isOrdinary(buffer: ArrayBufferLike): boolean {
  return (
    buffer instanceof ArrayBuffer &&
    Reflect.get(buffer, 'resizable') !== true &&
    Reflect.get(buffer, 'detached') !== true
  )
}

/** The caller's fields as they stand, then the runtime's, each unless the caller has one of that name. */
function headersOf(
  fields: ReadonlyMap<string, Field>,
  given: { readonly defaults: DefaultHeaders; readonly body: LeanBody; readonly needsLength: boolean },
): string[] | undefined {
  const { defaults, body, needsLength } = given
  const length = String(body.bytes?.length ?? 0)
  if (fields.has('content-length') && (!needsLength || fields.get('content-length')?.value !== length)) return undefined
  const headers: string[] = []
  for (const { name, value } of fields.values()) headers.push(name, value)
  for (const [name, value] of defaults) {
    if (fields.has(name)) continue
    if (name === 'content-length') {
      if (needsLength) headers.push(name, length)
    } else if (name === 'content-type') {
      if (body.type !== undefined) headers.push(name, body.type)
    } else headers.push(name, value)
  }
  return headers
}

const NO_REQUEST: Plain = { method: 'GET', headers: {}, signal: null }
const NO_BODY: LeanBody = { bytes: null, type: undefined }
const UNUSUAL: readonly (readonly unknown[])[] = [[]]
const TAKEN: ReadonlySet<string> = new Set(['method', 'headers', 'body', 'signal', 'redirect'])

/** Members of init that a server-side fetch reads and that change nothing, with the values for which that is so. */
const INERT: ReadonlyMap<string, readonly unknown[]> = new Map<string, readonly unknown[]>(
  Object.entries({
    credentials: ['omit', 'same-origin', 'include'],
    duplex: ['half'],
    integrity: [''],
    keepalive: [true, false],
    mode: ['cors'],
    referrer: ['about:client'],
    referrerPolicy: [''],
  }),
)

/** WHATWG Fetch §2.2.1, normalize: these and no others are written in capitals. */
const METHODS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    DELETE: 'DELETE',
    delete: 'DELETE',
    GET: 'GET',
    get: 'GET',
    HEAD: 'HEAD',
    head: 'HEAD',
    OPTIONS: 'OPTIONS',
    options: 'OPTIONS',
    PATCH: 'PATCH',
    POST: 'POST',
    post: 'POST',
    PUT: 'PUT',
    put: 'PUT',
  }),
)
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT']) // without one they say `content-length: 0`

/** Fields that make fetch change its mind about others, or that it removes, joins or refuses. */
const LEFT_TO_RUNTIME: ReadonlySet<string> = new Set([
  '__proto__',
  'connection',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'range',
  'sec-fetch-mode',
  'transfer-encoding',
  'upgrade',
])
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 §5.6.2
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/ // RFC 9110 §5.5
