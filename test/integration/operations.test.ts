import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { type Operation, replayable } from 'pinfetch'
import { oauth } from 'pinfetch/auth'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { authStage, oauthAt } from '../support/auth-stage.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const JSON_TYPE = { 'content-type': 'application/json' }
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

async function stage(handler: TestHandler, operations: readonly Partial<Operation>[]) {
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({
    pins: { localhost: [identity.pin] },
    anchors: ca.anchorPem,
    redirect: 'same-origin',
    operations: operations.map((one) => ({ method: 'GET', ...one, url: `${peer.origin}${one.url ?? '/'}` })),
  })
  return { peer, client, url: (path: string) => `${peer.origin}${path}` }
}

test('what is refused causes no lookup, no token and no connection, and what is not goes on as without operations', async () => {
  let lookups = 0
  const list: Operation[] = []
  const { client, url, api, server } = await authStage({
    schemes: (at) => {
      list.push({ method: 'POST', url: `${at.api}/payments`, body: z.strictObject({ amount: z.number() }) })
      return oauth(oauthAt(at.server, at.api))
    },
    client: {
      operations: list, // read when the client is made
      resolver: async () => {
        lookups += 1
        return ['127.0.0.1']
      },
    },
  })
  const post = (body: string, path = '/payments') =>
    client.fetch(url(path), { method: 'POST', body, headers: JSON_TYPE })
  await refusalOf(post('{"amount":"1"}'), 'ERR_POLICY_REQUEST_INVALID')
  await refusalOf(post('{"amount":1}', '/other'), 'ERR_POLICY_OPERATION_UNLISTED')
  expect([lookups, api.connections.length, server.connections.length]).toEqual([0, 0, 0])
  expect((await post('{"amount":1}')).status).toBe(200)
  expect(api.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
    ['/payments', 'Bearer access-1'],
  ])
})

describe.each(ROADS)('on the %s road', (_, road) => {
  test('a response that its schema takes is the one that came: URL, status, fields, body', async () => {
    const text = '{"id":"p1"}'
    const { client, url } = await stage(
      ({ path }, response) => {
        if (path === '/from') response.writeHead(302, { location: '/to' }).end()
        else response.writeHead(201, { ...JSON_TYPE, 'x-a': 'b', 'content-encoding': 'gzip' }).end(gzipSync(text))
      },
      [{ url: '/from', response: z.object({ id: z.string() }) }],
    )
    const response = await client.fetch(url('/from'), road)
    expect([response.status, response.statusText, response.type]).toEqual([201, 'Created', 'basic'])
    expect([response.url, response.redirected]).toEqual([url('/to'), true])
    expect(response.headers.get('x-a')).toBe('b')
    expect(() => response.headers.set('x-a', 'c')).toThrow(TypeError)
    expect(await response.clone().text()).toBe(text)
    const copy = response.clone()
    expect([copy.url, copy.redirected, await copy.json()]).toEqual([url('/to'), true, { id: 'p1' }])
    expect(await response.json()).toEqual({ id: 'p1' })
    await expect(response.text()).rejects.toBeInstanceOf(TypeError)
  })

  test('one that it does not take is never seen, and leaves its connection to others: ERR_POLICY_RESPONSE_INVALID', async () => {
    const { client, url, peer } = await stage(
      ({ path }, response) => response.writeHead(200, JSON_TYPE).end(path === '/good' ? '{"id":"p1"}' : '{"id":5}'),
      [{ url: '/{any}', response: z.object({ id: z.string() }) }],
    )
    await refusalOf(client.fetch(url('/bad'), road), 'ERR_POLICY_RESPONSE_INVALID')
    expect((await client.fetch(url('/good'), road)).status).toBe(200)
    expect(peer.connections.length).toBe(1)
  })

  test('JSON that unpacks to more than may be is cut off: ERR_POLICY_BODY_TOO_LARGE', async () => {
    const bomb = gzipSync(JSON.stringify(randomBytes(600_000).toString('hex')))
    const { client, url } = await stage(
      (_request, response) => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(bomb),
      [{ response: z.any() }, { url: '/unread', maxResponseBytes: 1_000_000 }],
    )
    await refusalOf(client.fetch(url('/'), road), 'ERR_POLICY_BODY_TOO_LARGE')
    const unread = await client.fetch(url('/unread'), road)
    await refusalOf(unread.arrayBuffer(), 'ERR_POLICY_BODY_TOO_LARGE')
  })

  test('a body without end is cut off, and the server hears of it: ERR_POLICY_BODY_TOO_LARGE, ERR_POLICY_CONTENT_TYPE', async () => {
    const ended: Promise<unknown>[] = []
    const { client, url } = await stage(
      (_request, response) => {
        ended.push(once(response, 'close'))
        response.writeHead(200, JSON_TYPE)
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
        }
        response.on('drain', more)
        more()
      },
      [
        { response: z.any() },
        { url: '/unread', maxResponseBytes: 1_000_000 },
        { url: '/text', contentTypes: ['text/plain'] },
      ],
    )
    await refusalOf(client.fetch(url('/'), road), 'ERR_POLICY_BODY_TOO_LARGE')
    const unread = await client.fetch(url('/unread'), road)
    await refusalOf(unread.text(), 'ERR_POLICY_BODY_TOO_LARGE')
    await refusalOf(client.fetch(url('/text'), road), 'ERR_POLICY_CONTENT_TYPE')
    expect(ended.length).toBe(3)
    await Promise.all(ended)
  })

  test('events are passed on as they come, up to their limit: ERR_POLICY_BODY_TOO_LARGE', async () => {
    let send = (_text: string): void => undefined
    const { client, url } = await stage(
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
        send = (text) => void response.write(text)
      },
      [{ contentTypes: ['application/json', 'text/event-stream'], response: z.any(), maxResponseBytes: 12 }],
    )
    const response = await client.fetch(url('/'), road)
    const reader = response.body?.getReader()
    for (const event of ['data:1', 'data:2']) {
      send(event)
      expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(event)
    }
    send('x')
    await refusalOf(reader?.read() ?? Promise.resolve(), 'ERR_POLICY_BODY_TOO_LARGE')
  })

  test('a body that breaks off while it is judged is a fault of the network: ERR_TRANSPORT_CLOSED', async () => {
    const { client, url } = await stage(
      (_request, response) => {
        response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{"id":')
        setImmediate(() => response.destroy())
      },
      [{ response: z.any() }],
    )
    const error = await refusalOf(client.fetch(url('/'), road), 'ERR_TRANSPORT_CLOSED')
    expect(error.requestSent).toBe('yes')
  })

  test('the signal of the call ends the reading as well', async () => {
    const controller = new AbortController()
    const { client, url } = await stage(
      (_request, response) => {
        response.writeHead(200, JSON_TYPE).write('{"id":')
        controller.abort(new Error('enough'))
      },
      [{ response: z.any() }],
    )
    await expect(client.fetch(url('/'), { ...road, signal: controller.signal })).rejects.toThrow('enough')
  })
})

test('a stream that nobody reads before is counted while it is sent: ERR_POLICY_BODY_TOO_LARGE', async () => {
  const { client, url, peer } = await stage(
    ({ path }, response) =>
      path === '/moved' ? response.writeHead(307, { location: '/file' }).end() : response.end('ok'),
    [
      { method: 'PUT', url: '/file', maxRequestBytes: 200_000 },
      { method: 'PUT', url: '/moved', maxRequestBytes: 200_000 },
    ],
  )
  const chunks = (count: number) =>
    async function* () {
      for (let at = 0; at < count; at += 1) yield Buffer.alloc(50_000, 'x')
    }
  const put = (body: ReadableStream | undefined) =>
    client.fetch(url('/file'), { method: 'PUT', body, duplex: 'half' } as RequestInit)
  const once = (count: number) => ReadableStream.from(chunks(count)()) as ReadableStream
  for (const make of [once, (count: number) => replayable(chunks(count))]) {
    expect((await put(make(4))).status).toBe(200)
    const error = await refusalOf(put(make(5)), 'ERR_POLICY_BODY_TOO_LARGE')
    expect(error.message).toContain('(maxRequestBytes); not all of it was sent')
    expect(error.requestSent).toBe('maybe')
  }
  expect(peer.requests.map(({ body }) => body.length)).toEqual([200_000, 200_000])
  const moved = { method: 'PUT', body: replayable(chunks(4)) } // counted, and still sent again
  expect((await client.fetch(url('/moved'), moved)).status).toBe(200)
})

test('a body of `replayable` is read anew for each call that judges it', async () => {
  const { client, url, peer } = await stage(
    (_request, response) => response.end(),
    [{ method: 'POST', url: '/', body: z.object({ a: z.number() }) }],
  )
  let opened = 0
  const body = replayable(async function* () {
    opened += 1
    yield Buffer.from('{"a":1}')
  })
  for (const _ of [1, 2]) await client.fetch(url('/'), { method: 'POST', body, headers: JSON_TYPE })
  expect(peer.requests.map((request) => Buffer.from(request.body).toString())).toEqual(['{"a":1}', '{"a":1}'])
  expect(opened).toBe(2)
})
