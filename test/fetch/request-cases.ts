import * as npmUndici from 'undici'
import { type Case, type Routes, seen, type Wanted } from './roads.ts'

type Given = readonly [name: string, init: (() => RequestInit | undefined) | RequestInit, wanted?: Wanted]

/** What the server receives, and how a call with a wrong argument ends. */
export function requestCases({ http }: Routes): readonly Case[] {
  http.set('/plain', (_, response) => response.end('ok'))
  return [
    ...INITS.map(
      ([name, init, wanted]): Case => ({
        name,
        ...(wanted === undefined ? {} : { wanted }),
        run: async ({ fetch, at }) => seen(await fetch(at('/plain'), typeof init === 'function' ? init() : init)),
      }),
    ),
    ...INPUTS.map(
      ([name, make, wanted]): Case => ({
        name,
        ...(wanted === undefined ? {} : { wanted }),
        run: async ({ fetch, at }) => seen(await fetch(...make(at('/plain')))),
      }),
    ),
    {
      name: 'a Headers object',
      wanted: {
        reason: 'it shows its names in lower case and sorted, and to HTTP that is the same (RFC 9110 §5.1)',
        ours: { value: ['2', '1'] },
        onlyLean: true,
      },
      run: async ({ fetch, at }) => {
        const headers = new Headers({ 'X-B': '1', 'x-a': '2' })
        await (await fetch(at('/plain'), { headers })).text()
        return [headers.get('x-a'), headers.get('x-b')]
      },
    },
    {
      name: 'bytes that change after the call',
      run: async ({ fetch, at }) => {
        const body = Buffer.from('before')
        const call = fetch(at('/plain'), { method: 'POST', body })
        body.write('after!')
        return seen(await call)
      },
    },
    {
      name: 'URLSearchParams that change after the call',
      run: async ({ fetch, at }) => {
        const body = new URLSearchParams({ a: '1' })
        const call = fetch(at('/plain'), { method: 'POST', body })
        body.append('b', '2')
        return seen(await call)
      },
    },
    {
      name: 'the body of a Request is used up by the call',
      run: async ({ fetch, at }) => {
        const request = new Request(at('/plain'), { method: 'POST', body: 'x' })
        await (await fetch(request)).text()
        const second = await fetch(request).then(
          () => 'sent',
          (error: Error) => error.name,
        )
        return [request.bodyUsed, second]
      },
    },
  ]
}

const stream = (...chunks: readonly string[]): ReadableStream =>
  new ReadableStream({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
      controller.close()
    },
  })
const form = (): FormData => {
  const data = new FormData()
  data.append('field', 'välue\r\n"')
  data.append('field', 'again')
  data.append('file', new File(['content'], 'a "b".txt', { type: 'text/plain' }))
  data.append('blob', new Blob(['bytes']))
  return data
}
const post = (body: unknown, more: object = {}) => ({ method: 'POST', body, ...more }) as RequestInit
const headers = (given: unknown): RequestInit => ({ headers: given }) as RequestInit

const METHODS = [
  'GET',
  'get',
  'GeT',
  'HEAD',
  'head',
  'POST',
  'post',
  'PUT',
  'put',
  'DELETE',
  'delete',
  'OPTIONS',
  'options',
]
const MORE_METHODS = ['PATCH', 'patch', 'QUERY', 'PROPFIND', 'chicken', 'constructor', '__proto__']
const WRONG_METHODS = ['CONNECT', 'TRACE', 'TRACK', 'connect']
const NO_TOKENS = ['a b', '', 'é', 'GET\r\n', 'GET / HTTP/1.1\r\nx-a: 1\r\n\r\nGET']
const NO_FIELD: Wanted = {
  reason: 'ours has a code, is raised before anything else, and does not print the value',
  ours: { error: { name: 'PolicyError', isTypeError: true } },
}

const FOLDED: Wanted = {
  reason: 'older runtimes join it with their own to `5, 5`, which undici 7 refuses and RFC 9110 §8.6 allows to fold',
  ours: { value: { status: 200 } },
  on: (node) => node < 24,
}
const NO_AGENT: Wanted = {
  reason: 'the runtime ignores it; with ours somebody may believe that the request takes it, and its proxy',
  ours: { error: { name: 'ConfigurationError', isTypeError: true } },
}
const INITS: readonly Given[] = [
  ['no init', () => undefined],
  ['an empty init', {}],
  ['null members', { body: null, signal: null } as RequestInit],
  [
    'undefined members',
    { method: undefined, headers: undefined, body: undefined, signal: undefined } as unknown as RequestInit,
  ],
  ['members that every object has', { toString: 1, valueOf: 1 } as unknown as RequestInit],
  ['members that nobody knows', { colour: 'x', timeout: 5 } as RequestInit],
  ['an agent', { agent: 'x' } as RequestInit, NO_AGENT],
  ...[...METHODS, ...MORE_METHODS, ...WRONG_METHODS].map(
    (method): Given => [`method ${JSON.stringify(method)}`, { method }],
  ),
  ...NO_TOKENS.map((method): Given => [`method ${JSON.stringify(method)}`, { method }, NO_FIELD]),
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET', 'HEAD', 'QUERY'].map(
    (method): Given => [`${method} with a body`, { method, body: 'text' }],
  ),

  ['a string body', post('text')],
  ['a string body that is not ASCII', post('höß€😀')],
  ['a string body with half a surrogate pair', post('a\ud800b')],
  ['an empty string body', post('')],
  ['a long string body', post('x'.repeat(300_000))],
  ['a Uint8Array body', () => post(new Uint8Array([1, 2, 250]))],
  ['an empty Uint8Array body', () => post(new Uint8Array())],
  ['a part of an ArrayBuffer', () => post(new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3))],
  ['a Buffer', () => post(Buffer.from('buffer'))],
  ['an ArrayBuffer body', () => post(new Uint8Array([1, 2, 250]).buffer)],
  ['an empty ArrayBuffer body', () => post(new ArrayBuffer(0))],
  ['a DataView', () => post(new DataView(new Uint8Array([1, 2, 3]).buffer, 1))],
  ['a Uint16Array', () => post(new Uint16Array([1, 2, 3]))],
  [
    'an ArrayBuffer that was given away',
    () => {
      const buffer = new ArrayBuffer(4)
      structuredClone(buffer, { transfer: [buffer] })
      return post(buffer)
    },
  ],
  ['a SharedArrayBuffer', () => post(new SharedArrayBuffer(2))],
  ['bytes over a SharedArrayBuffer', () => post(new Uint8Array(new SharedArrayBuffer(2)))],
  ['a URLSearchParams body', () => post(new URLSearchParams({ a: 'b c', é: '&' }))],
  ['an empty URLSearchParams body', () => post(new URLSearchParams())],
  ['a Blob body', () => post(new Blob(['blob']))],
  ['a Blob body with a type', () => post(new Blob(['blob'], { type: 'image/png' }))],
  ['a File body', () => post(new File(['file'], 'a.txt', { type: 'text/css' }))],
  ['a FormData body with files', () => post(form())],
  ['an empty FormData body', () => post(new FormData())],
  [
    'a FormData body with a content-type of the caller’s',
    () => post(new FormData(), { headers: { 'content-type': 'a/b' } }),
  ],
  ['a stream body', () => post(stream('one', 'two'), { duplex: 'half' })],
  ['an empty stream body', () => post(stream(), { duplex: 'half' })],
  ['a stream body without duplex', () => post(stream('one'))],
  [
    'a stream of strings',
    () => post(new ReadableStream({ start: (c) => c.error(c.enqueue('text')) }), { duplex: 'half' }),
  ],
  [
    'a locked stream',
    () => {
      const body = stream('one')
      body.getReader()
      return post(body, { duplex: 'half' })
    },
  ],
  [
    'an async iterable body',
    () =>
      post(
        (async function* () {
          yield new TextEncoder().encode('it')
        })(),
        { duplex: 'half' },
      ),
  ],
  ['a body that is an object', post({ a: 1 })],
  ['a body that is a number', post(42)],
  ['a body that is a boolean', post(false)],
  ['a body that is an array', post([1, 2])],
  ['a body with toString', post({ toString: () => 'custom' })],
  ['a body without method', { body: 'x' }],
  ['duplex for a body that is none', post('x', { duplex: 'half' })],
  ['duplex of a value that is none', post('x', { duplex: 'full' })],
  ['a content-type of the caller’s', post('{}', { headers: { 'Content-Type': 'application/json' } })],
  ['an empty content-type', post('{}', { headers: { 'content-type': '' } })],
  ['a content-length of the caller’s that is right', post('12345', { headers: { 'Content-Length': '5' } }), FOLDED],

  ['headers in an object', headers({ 'X-B': '2', 'x-a': '1' })],
  [
    'headers in pairs',
    headers([
      ['X-B', '2'],
      ['x-a', '1'],
    ]),
  ],
  [
    'one header twice',
    headers([
      ['X-A', '1'],
      ['x-a', '2'],
    ]),
  ],
  ['two spellings in an object', headers({ 'X-A': '1', 'x-a': '2' })],
  [
    'several cookies',
    headers([
      ['cookie', 'a=1'],
      ['Cookie', 'b=2'],
    ]),
  ],
  [
    'set-cookie in a request',
    headers([
      ['set-cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ]),
  ],
  ['headers in a Map', () => headers(new Map([['x-a', '1']]))],
  ['headers in an iterator', () => headers([['x-a', '1']].values())],
  ['an object without prototype', () => headers(Object.assign(Object.create(null), { 'x-a': '1' }))],
  [
    'an object of a class',
    () =>
      headers(
        new (class {
          'x-a' = '1'
        })(),
      ),
  ],
  ['inherited headers', () => headers(Object.create({ 'x-a': '1' }))],
  ['a header value that is a number', headers({ 'x-a': 5 })],
  ['a header value that is undefined', headers({ 'x-a': undefined })],
  ['a header value that is null', headers({ 'x-a': null })],
  ['a header value that is a list', headers({ 'x-a': ['1', '2'] })],
  ['a header value that is a symbol', headers({ 'x-a': Symbol('x') })],
  ['a header name that is a symbol', headers({ [Symbol('x')]: '1' })],
  ['a header value with spaces around', headers({ 'x-a': ' \t 1 2 \t' })],
  ['an empty header value', headers({ 'x-a': '' })],
  ['a header value of one space', headers({ 'x-a': ' ' })],
  ['a latin1 header value', headers({ 'x-a': 'grün' })],
  ['a header value beyond latin1', headers({ 'x-a': '€' }), NO_FIELD],
  ['a header value with a line break in the middle', headers({ 'x-a': 'a\r\nb: c' }), NO_FIELD],
  ['a header value with a line break at the end', headers({ 'x-a': 'a\r\n' })],
  ['a header value with a null byte', headers({ 'x-a': 'a\0b' }), NO_FIELD],
  ['a header value with a control character', headers({ 'x-a': 'a\x01b' }), NO_FIELD],
  ['a header name with a space', headers({ 'x a': '1' }), NO_FIELD],
  ['an empty header name', headers({ '': '1' }), NO_FIELD],
  ['a header name with an umlaut', headers({ 'x-ü': '1' }), NO_FIELD],
  ['a header name that is __proto__', headers([['__proto__', '1']])],
  ['a header name that is constructor', headers({ constructor: '1' })],
  ['pairs of three', headers([['a', 'b', 'c']])],
  ['pairs of one', headers([['a']])],
  ['strings for pairs', headers(['ab'])],
  ['headers that are a string', headers('x')],
  ['headers that are null', headers(null)],
  ['headers that are a number', headers(5)],
  [
    'the defaults overridden',
    headers({ accept: 'a/b', 'Accept-Language': 'de', 'user-agent': 'me', 'accept-encoding': 'gzip' }),
  ],
  ['sec-fetch-mode of the caller’s', headers({ 'Sec-Fetch-Mode': 'navigate' })],
  ['origin and referer of the caller’s', headers({ origin: 'https://a.example', referer: 'https://a.example/b' })],
  ['authorization and date', headers({ authorization: 'Bearer x', date: 'today', via: 'me', te: 'trailers' })],
  ['range', headers({ range: 'bytes=0-1' })],
  ['range with accept-encoding', headers({ range: 'bytes=0-1', 'accept-encoding': 'gzip' })],
  ...['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range'].map(
    (name): Given => [name, headers({ [name]: 'x' })],
  ),
  ['connection: close', headers({ connection: 'close' })],
  ['a connection value that is none', headers({ connection: 'x y' })],
  ...['transfer-encoding', 'upgrade', 'keep-alive', 'expect'].map((name): Given => [name, headers({ [name]: 'x' })]),

  ...['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached', 'bogus'].map(
    (cache): Given => [`cache ${cache}`, { cache } as RequestInit],
  ),
  ...['cors', 'no-cors', 'same-origin', 'navigate', 'bogus'].map(
    (mode): Given => [`mode ${mode}`, { mode } as RequestInit],
  ),
  ...['omit', 'same-origin', 'include', 'bogus'].map(
    (credentials): Given => [`credentials ${credentials}`, { credentials } as RequestInit],
  ),
  ['keepalive', { keepalive: true }],
  ['a referrer', { referrer: 'https://localhost/from' }],
  ['no referrer', { referrer: '' }],
  ['a referrer that is none', { referrer: 'https://' }],
  ['a referrer policy', { referrerPolicy: 'no-referrer' } as RequestInit],
  ['a referrer policy that is none', { referrerPolicy: 'bogus' } as unknown as RequestInit],
  ['integrity that holds', { integrity: 'sha256-JomdRoW2Kg4nUHxT2wUyWQaM2s+4XqmSvK1WGRz3w8Y=' }],
  ['integrity that does not', { integrity: 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' }],
  ['a signal that is none', { signal: {} } as RequestInit],
  ['a signal that is a string', { signal: 'x' } as unknown as RequestInit],
  ['an init that is null', () => null as unknown as RequestInit],
]

type Call = Parameters<typeof fetch>
const OTHER_REALM: Wanted = {
  reason: 'SDKs hand it over, and the runtime’s fetch takes it for the address [object Request]',
  ours: { value: { status: 200 } },
}
const INPUTS: readonly (readonly [name: string, make: (url: string) => Call, wanted?: Wanted])[] = [
  ['a URL object', (url) => [new URL(url)]],
  ['an object with toString', (url) => [{ toString: () => url } as unknown as string]],
  ['a URL with fragment', (url) => [`${url}#part`]],
  ['a URL with query and fragment', (url) => [`${url}?a=1#part`]],
  ['a URL with an empty query', (url) => [`${url}?`]],
  ['a URL with an empty query and fragment', (url) => [`${url}?#x`]],
  ['a URL with an empty fragment', (url) => [`${url}#`]],
  ['a question mark in the fragment', (url) => [`${url}#?`]],
  ['a URL with spaces and umlauts', (url) => [`${url}?q=a b&ü=ß|"<`]],
  ['a URL with dots and tabs', (url) => [` ${url}/../plain?\ta`]],
  ['a Request', (url) => [new Request(url)]],
  ['a Request with headers', (url) => [new Request(url, { method: 'DELETE', headers: { 'x-a': '1' } })]],
  ['a Request with a body', (url) => [new Request(url, { method: 'POST', body: 'text' })]],
  [
    'a Request with a stream',
    (url) => [new Request(url, { method: 'PUT', body: stream('a', 'b'), duplex: 'half' } as RequestInit)],
  ],
  ['a Request and an init', (url) => [new Request(url, { headers: { 'x-a': '1' } }), { method: 'POST', body: 'x' }]],
  ['a Request and headers', (url) => [new Request(url, { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }]],
  ['a Request and an empty init', (url) => [new Request(url, { headers: { 'x-a': '1' } }), {}]],
  ['a Request that does not cache', (url) => [new Request(url, { cache: 'no-store' } as RequestInit)]],
  ['a Request with a referrer', (url) => [new Request(url, { referrer: 'https://localhost/from' })]],
  [
    'a Request with integrity',
    (url) => [new Request(url, { integrity: 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' })],
  ],
  ['a clone of a Request', (url) => [new Request(url, { method: 'POST', body: 'text' }).clone()]],
  ['a Request of a subclass', (url) => [new (class extends Request {})(url, { headers: { 'x-a': '1' } })]],
  ['Headers of a Request', (url) => [url, { headers: new Request(url, { headers: { 'x-a': '1' } }).headers }]],
  ['Headers with defaults', (url) => [url, { headers: new Headers({ accept: 'a/b' }) }]],
  ['inherited members of init', (url) => [url, Object.create({ method: 'DELETE', headers: { 'x-a': '1' } })]],
  ['the npm package’s Request', (url) => [new npmUndici.Request(url) as unknown as Request], OTHER_REALM],
  [
    'the npm package’s Request with headers',
    (url) => [new npmUndici.Request(url, { method: 'DELETE', headers: { 'x-a': '1' } }) as unknown as Request],
    OTHER_REALM,
  ],
]
