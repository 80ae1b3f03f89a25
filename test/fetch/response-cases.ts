import { inspect } from 'node:util'
import { type Case, outcome, type Routes, seen, type Wanted } from './roads.ts'

/** Status lines, header fields and what the Response object itself does. */
export function responseCases({ http, raw }: Routes): readonly Case[] {
  const answers = (name: string, bytes: string, init: RequestInit = {}, wanted?: Wanted): Case => {
    const route = `/${name.replaceAll(/\W+/g, '-')}`
    raw.set(route, (socket) => socket.end(Buffer.from(bytes, 'latin1')))
    return {
      name,
      run: async ({ fetch, at }) => seen(await fetch(at(route), init)),
      ...(wanted === undefined ? {} : { wanted }),
    }
  }
  http.set('/object', (_, response) => response.writeHead(201, 'Made', FIELDS).end('{"a":1}'))
  const object = (name: string, look: (response: Response) => unknown): Case => ({
    name,
    run: async ({ fetch, at }) => look(await fetch(at('/object'))),
  })
  return [
    ...STATUSES.map((status) => answers(`status ${status}`, `HTTP/1.1 ${status} Some Words\r\n\r\n`)),
    ...[200, 404, 204, 304].map((status) =>
      answers(`HEAD with status ${status}`, `HTTP/1.1 ${status} X\r\ncontent-length: 5\r\n\r\n`, { method: 'HEAD' }),
    ),
    ...[200, 301, 404].map((status) =>
      answers(`status ${status} with content`, `HTTP/1.1 ${status} X\r\ncontent-length: 5\r\n\r\nhello`),
    ),
    ...[301, 302, 303, 307, 308].map((status) =>
      answers(`redirect ${status} by hand`, `HTTP/1.1 ${status} X\r\nlocation: /a\r\ncontent-length: 2\r\n\r\nhi`, {
        redirect: 'manual',
      }),
    ),
    answers('a redirect without location', 'HTTP/1.1 302 X\r\ncontent-length: 2\r\n\r\nhi'),
    answers('300 with location', 'HTTP/1.1 300 X\r\nlocation: /a\r\ncontent-length: 2\r\n\r\nhi'),
    answers('no reason phrase', 'HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nhi'),
    answers('no space after the status', 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi'),
    answers('a reason phrase of umlauts', 'HTTP/1.1 200 Schön\r\ncontent-length: 2\r\n\r\nhi'),
    answers('a reason phrase with a tab', 'HTTP/1.1 200 a\tb\r\ncontent-length: 2\r\n\r\nhi'),
    answers('no fields', 'HTTP/1.1 200 OK\r\n\r\nup to the end'),
    answers('HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nup to the end'),
    answers('chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'),
    answers(
      'chunks with extensions and trailers',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n3;a=b\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
    ),
    answers('no chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
    answers('an empty body', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
    answers(
      'an interim response',
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi',
    ),
    answers(
      'two interim responses',
      'HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi',
    ),
    answers('fields of one name', 'HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-a: 3\r\ncontent-length: 0\r\n\r\n'),
    answers('an empty field', 'HTTP/1.1 200 OK\r\nx-a:\r\nx-a: \r\nx-b: 1\r\ncontent-length: 0\r\n\r\n'),
    answers('fields out of order', 'HTTP/1.1 200 OK\r\nz: 1\r\nA: 2\r\nm: 3\r\ncontent-length: 0\r\n\r\n'),
    answers('latin1 in a field', 'HTTP/1.1 200 OK\r\nx-a: gr\xfcn \xa0\r\ncontent-length: 0\r\n\r\n'),
    answers('UTF-8 in a field', 'HTTP/1.1 200 OK\r\nx-a: gr\xc3\xbcn\r\ncontent-length: 0\r\n\r\n'),
    answers('spaces around a field', 'HTTP/1.1 200 OK\r\nx-a: \t a b \t \r\ncontent-length: 0\r\n\r\n', {}, TRIMMED),
    answers(
      'a field named __proto__',
      'HTTP/1.1 200 OK\r\n__proto__: 1\r\nconstructor: 2\r\n7: 3\r\ncontent-length: 0\r\n\r\n',
    ),
    answers(
      'content-disposition in latin1',
      'HTTP/1.1 200 OK\r\ncontent-disposition: attachment; filename="\xe4"\r\ncontent-length: 0\r\n\r\n',
    ),
    answers(
      'several set-cookie',
      'HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nset-cookie: a=1\r\ncontent-length: 0\r\n\r\n',
    ),
    answers('a long field', `HTTP/1.1 200 OK\r\nx-a: ${'y'.repeat(9_000)}\r\ncontent-length: 0\r\n\r\n`),
    answers(
      'a hundred fields',
      `HTTP/1.1 200 OK\r\n${[...Array(100).keys()].map((i) => `x-${i}: ${i}\r\n`).join('')}content-length: 0\r\n\r\n`,
    ),

    object('inspect', (response) => inspect(response, { depth: 1 })),
    object('inspect of the headers', (response) => inspect(response.headers)),
    object('members found by for…in', (response) => {
      const names: string[] = []
      for (const name in response) names.push(name)
      return names.sort()
    }),
    object('own keys', (response) => [Object.keys(response), JSON.stringify(response), { ...response }]),
    object('names', (response) => [
      Object.prototype.toString.call(response),
      Object.prototype.toString.call(response.headers),
      response.constructor === Response,
      response.headers.constructor === Headers,
    ]),
    object('the same headers each time', (response) => {
      const { headers } = response
      return headers === response.headers
    }),
    object('Headers methods that read', ({ headers }) => [
      headers.get('X-A'),
      headers.get('x-none'),
      headers.has('CONTENT-TYPE'),
      headers.getSetCookie(),
      [...headers.keys()],
      [...headers.values()].length,
      [...headers.entries()].length,
    ]),
    ...MUTATIONS.map(([name, change]) => object(`headers.${name}`, ({ headers }) => outcome(() => change(headers)))),
    object('an unknown header name', ({ headers }) => outcome(() => headers.get('a b'))),
    object('headers copied can be changed', (response) => {
      const copy = new Headers(response.headers)
      copy.set('x-a', 'changed')
      return [copy.get('x-a'), response.headers.get('x-a')]
    }),
    object('a Response made of it', async (response) => {
      const copy = new Response(response.body, response)
      copy.headers.set('x-new', '1')
      return seen(copy)
    }),
    object('a Request made of its body', async (response) => {
      const init = { method: 'POST', body: response.body, duplex: 'half' } as RequestInit
      return new Request('https://a.example/', init).text()
    }),
    object('structuredClone', (response) => outcome(() => structuredClone(response))),
    object('a method without its object', ({ text }) => outcome(() => text())),
    {
      ...object('a getter on another object', (response) => outcome(() => Object.create(response).status)),
      wanted: STATELESS,
    },
    object('setting a member', (response) =>
      outcome(() => {
        ;(response as { status: number }).status = 5
        return response.status
      }),
    ),
    object('clone', async (response) => {
      const copy = response.clone()
      return [await seen(response), await seen(copy), copy.headers === response.headers]
    }),
    object('clone of a clone', async (response) => seen(response.clone().clone())),
    object('clone, the copy read first', async (response) => [await seen(response.clone()), await seen(response)]),
    object('clone, its headers', (response) => outcome(() => response.clone().headers.set('a', 'b'))),
    object('clone, one of them cancelled', async (response) => {
      const copy = response.clone()
      const cancelled = copy.body?.cancel()
      const text = await response.text()
      await cancelled
      return [text, copy.bodyUsed, response.bodyUsed]
    }),
    object('clone after reading', async (response) => {
      await response.text()
      return outcome(() => response.clone())
    }),
    object('clone while locked', async (response) => {
      response.body?.getReader()
      return outcome(() => response.clone())
    }),
  ]
}

export const TRIMMED: Wanted = {
  reason: 'spaces behind a value are none of it (RFC 9110 §5.5), and the runtime keeps them',
  ours: { value: { status: 200 } },
  onlyLean: true,
}
const STATELESS: Wanted = {
  reason:
    'before Node 24 the runtime keeps the state in symbols, which such an object inherits; ours has none to inherit',
  ours: {
    value: {
      error: {
        isTypeError: true,
        name: 'TypeError',
        message: "Cannot read properties of undefined (reading 'status')",
      },
    },
  },
  on: (node) => node < 24,
}
const FIELDS = { 'x-a': '1', 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'], 'content-length': 7 }
const STATUSES = [200, 201, 204, 205, 206, 300, 304, 305, 306, 400, 401, 418, 451, 500, 599, 600, 799, 999]
const MUTATIONS: readonly (readonly [name: string, change: (headers: Headers) => unknown])[] = [
  ['set', (headers) => headers.set('x-a', '2')],
  ['set of a new one', (headers) => headers.set('x-new', '2')],
  ['append', (headers) => headers.append('x-a', '2')],
  ['delete', (headers) => headers.delete('x-a')],
  ['delete of none', (headers) => headers.delete('x-none')],
  ['set with a wrong name', (headers) => headers.set('x a', '2')],
  ['set with a wrong value', (headers) => headers.set('x-a', 'a\r\nb')],
  ['append with a value beyond latin1', (headers) => headers.append('x-a', '€')],
  ['delete with a wrong name', (headers) => headers.delete('x a')],
  ['set with one argument', (headers) => Reflect.apply(headers.set, headers, ['x-a'])],
  ['append without arguments', (headers) => Reflect.apply(headers.append, headers, [])],
]
