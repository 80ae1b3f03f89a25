import { Readable } from 'node:stream'
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
  http.set('/wasm', (_, response) => response.writeHead(200, { 'content-type': 'application/wasm' }).end(EMPTY_MODULE))
  const wasm = (name: string, route: string, before: (response: Response) => unknown): Case => ({
    name,
    run: async ({ fetch, at }) => {
      const response = await fetch(at(route))
      await before(response)
      const { compileStreaming } = Reflect.get(globalThis, 'WebAssembly') as Compiler
      return [await outcome(async () => (await compileStreaming(response)).constructor.name), response.bodyUsed]
    },
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
    object('a getter on another object', (response) => outcome(() => Object.create(response).status)),
    object('a getter on a proxy of it', (response) => outcome(() => new Proxy(response, {}).bodyUsed)),
    object('a method on a proxy of it', (response) => outcome(() => new Proxy(response, {}).text())),
    object('a proxy that hands over its target', async (response) => {
      const get = (target: Response, name: string) => {
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      }
      const proxy = new Proxy(response, { get } as ProxyHandler<Response>)
      return [proxy.status, proxy.ok, proxy.url, proxy.bodyUsed, await proxy.json(), proxy.bodyUsed]
    }),
    ...READERS.map((name) =>
      object(`${name}() of the prototype, called with it`, async (response) => {
        const method: unknown = Reflect.get(Response.prototype, name)
        if (typeof method !== 'function') return 'none'
        const value: unknown = await outcome(() => method.call(response))
        return [value, response.bodyUsed, await outcome(() => response.text())]
      }),
    ),
    ...READERS.map((name) =>
      object(`${name}() of the prototype, called after text()`, async (response) => {
        await response.text()
        const method: unknown = Reflect.get(Response.prototype, name)
        return typeof method === 'function' ? outcome(() => method.call(response)) : 'none'
      }),
    ),
    object('clone() of the prototype, called with it', async (response) => {
      const copy = Response.prototype.clone.call(response)
      return [copy.status, await copy.text(), await response.text()]
    }),
    object('accessors of the prototype, called with it', (response) =>
      ['status', 'ok', 'bodyUsed'].map((name) => Reflect.get(Response.prototype, name, response)),
    ),
    {
      ...object('accessors of the prototype that the constructor cannot set', (response) =>
        ['type', 'url', 'redirected', 'statusText'].map((name) => Reflect.get(Response.prototype, name, response)),
      ),
      wanted: {
        reason: 'the runtime keeps them where nobody else can write',
        ours: { value: ['default', '', false, ''] },
      },
    },
    object('the body by the accessor of the prototype', async (response) => {
      const stream = Reflect.get(Response.prototype, 'body', response) as ReadableStream<Uint8Array>
      const before = [stream instanceof ReadableStream, stream.locked, String(stream)]
      return [before, await new Response(stream).text(), response.bodyUsed, await outcome(() => response.text())]
    }),
    object('that body, after text()', async (response) => {
      await response.text()
      const stream = Reflect.get(Response.prototype, 'body', response) as ReadableStream<Uint8Array>
      return [stream.locked, await outcome(() => stream.cancel())]
    }),
    object('inspect after text()', async (response) => {
      await response.text()
      return inspect(response, { depth: 1 })
    }),
    object('a stream of Node', async (response) => {
      const parts: Buffer[] = []
      for await (const part of Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]))
        parts.push(part)
      return [Buffer.concat(parts).toString(), response.bodyUsed]
    }),
    object('a body given to another thread', async (response) => {
      const { body } = response
      const moved = structuredClone(body, { transfer: [body as unknown as ArrayBuffer] })
      return [await new Response(moved).text(), response.bodyUsed]
    }),
    object('a body given away, after it was read', async (response) => {
      await response.text()
      const { body } = response
      return outcome(() => structuredClone(body, { transfer: [body as unknown as ArrayBuffer] }))
    }),
    object('the body while text() waits', async (response) => {
      const text = response.text()
      const seenThen = [response.bodyUsed, response.body?.locked, await outcome(() => response.body?.cancel())]
      return [seenThen, await text]
    }),
    object('the body after text()', async (response) => {
      await response.text()
      const { body } = response
      return [
        [body === response.body, body?.locked, response.bodyUsed],
        await outcome(() => body?.cancel()),
        await outcome(() => body?.getReader()),
        await outcome(() => body?.tee()),
        await outcome(() => new Response(body)),
      ]
    }),
    object('the body asked for, then text()', async (response) => {
      const { body } = response
      return [await response.text(), body === response.body, body?.locked, response.bodyUsed]
    }),
    object('clone after a part was read', async (response) => {
      const reader = response.body?.getReader()
      await reader?.read()
      reader?.releaseLock()
      return [response.bodyUsed, await outcome(() => response.clone()), await outcome(() => response.text())]
    }),
    object('clone while text() waits', async (response) => {
      const text = response.text()
      return [await outcome(() => response.clone()), await text]
    }),
    object('clone, then the body', async (response) => {
      const { body } = response
      const copy = response.clone()
      return [body === response.body, body?.locked, response.body?.locked, await copy.text(), await response.text()]
    }),
    ...(['arrayBuffer', 'bytes'] as const).map((name) =>
      object(`${name}() of a response and its clone share nothing`, async (response) => {
        const copy = response.clone()
        if (!(name in response)) return 'none'
        const read = async (from: Response) => new Uint8Array(await Reflect.apply(Reflect.get(from, name), from, []))
        const [one, two] = [await read(response), await read(copy)]
        one.fill(0)
        return [Buffer.from(two).toString(), two.buffer.byteLength]
      }),
    ),
    object('arguments that no method takes', async (response) => Reflect.apply(response.json, response, [() => 'no'])),
    object('what a method looks like', (response) =>
      [...READERS, 'clone'].map((name) => {
        const method: object = Reflect.get(response, name) ?? {}
        return [Reflect.get(method, 'name'), Reflect.get(method, 'length'), 'prototype' in method]
      }),
    ),
    object('a method is none to construct', async ({ text }) =>
      outcome(() => Reflect.construct(text, [])).then((ended) =>
        JSON.stringify(ended).includes('is not a constructor'),
      ),
    ),
    object('what a method answers is a promise of the realm', async (response) => {
      const text = response.text()
      return [text instanceof Promise, text.constructor === Promise, await text]
    }),
    object('textStream(), where there is one', async (response) => {
      const method: unknown = Reflect.get(response, 'textStream')
      if (typeof method !== 'function') return 'none'
      let text = ''
      for await (const part of method.call(response)) text += part
      return [text, response.bodyUsed]
    }),
    wasm('WebAssembly.compileStreaming', '/wasm', ({ status }) => status),
    wasm('WebAssembly.compileStreaming of another type', '/object', ({ status }) => status),
    wasm('WebAssembly.compileStreaming after reading', '/wasm', (response) => response.arrayBuffer()),
    object('members of one’s own', async (response) => {
      const own = Object.assign(response, { json: async () => 'mine', extra: 1 })
      return [await own.json(), own.extra, Object.keys(own), await own.text()]
    }),
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
const READERS = ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData']
/** Of which TypeScript's typings know nothing without those of a browser. */
interface Compiler {
  readonly compileStreaming: (from: unknown) => Promise<object>
}
const EMPTY_MODULE = Buffer.from([0, 97, 115, 109, 1, 0, 0, 0])
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
