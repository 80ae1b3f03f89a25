import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { ClientOptions } from 'pinfetch'
import { createTestRuntime, startTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import type { Dispatcher } from 'undici'
import { describe, expect, test } from 'vitest'
import type { ClientEvent, EventOf } from '../../src/events/events.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { settled } from '../support/scene.ts'
import { type Setting as Http2Setting, start as startHttp2 } from './http2-stage.ts'
import { next, server as raw, type Setting, start } from './raw-stage.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const WATCHED = { hasListeners: () => true }

type Told = EventOf<'http.exchange'>
const exchanges = (events: readonly ClientEvent[]): Told[] => events.filter((event) => event.type === 'http.exchange')

async function against(options: Partial<TlsServerOptions> = {}, of: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity: server, ...options }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, ...of } as ClientOptions)
  const told: Told[] = []
  client.on('http.exchange', (event) => told.push(event))
  return { peer, client, told, url: `https://${HOST}:${peer.port}/`, host: `${HOST}:${peer.port}` }
}

describe('a request over a connection is told once, when it is over', () => {
  test('answered whole: status, octets and times', async () => {
    const { client, told, url, host } = await against()
    expect(await (await client.fetch(url)).text()).toBe('ok')
    expect(told).toEqual([
      {
        type: 'http.exchange',
        host,
        at: expect.any(Number),
        method: 'GET',
        version: '1.1',
        status: 200,
        sent: 0,
        received: 2,
        firstByteMs: expect.any(Number),
        totalMs: expect.any(Number),
      },
    ])
    const [{ firstByteMs = -1, totalMs } = { totalMs: -1 }] = told
    expect(firstByteMs).toBeGreaterThanOrEqual(0)
    expect(totalMs).toBeGreaterThanOrEqual(firstByteMs)
  })

  test.each([
    { what: '204', status: 204, body: '', method: 'GET', received: 0 },
    { what: 'HEAD', status: 200, body: 'never sent', method: 'HEAD', received: 0 },
    { what: 'an error status, which is an answer', status: 503, body: 'busy', method: 'GET', received: 4 },
    { what: 'a method that the caller made up', status: 200, body: 'ok', method: 'PURGE', received: 2, told: '_OTHER' },
  ])('$what', async ({ status, body, method, received, ...more }) => {
    const { client, told, url } = await against({
      handler: (_, response) => void response.writeHead(status).end(body),
    })
    await (await client.fetch(url, { method })).text()
    expect(told).toMatchObject([{ method: more.told ?? method, status, received, sent: 0 }])
    expect(told[0]).not.toHaveProperty('code')
  })

  test('chunked, without a length: the octets of the content', async () => {
    const { client, told, url } = await against({
      handler: (_, response) => {
        response.write('12345')
        response.end('678')
      },
    })
    await (await client.fetch(url)).text()
    expect(told).toMatchObject([{ status: 200, received: 8 }])
  })

  test('an upload: what was sent of it, with and without a length', async () => {
    const { client, told, url } = await against()
    await (await client.fetch(url, { method: 'POST', body: 'x'.repeat(1_000) })).text()
    const body = Readable.toWeb(Readable.from([Buffer.alloc(700), Buffer.alloc(300)])) as unknown as ReadableStream
    await (await client.fetch(url, { method: 'PUT', body, duplex: 'half' } as RequestInit)).text()
    expect(told.map(({ method, sent, received }) => [method, sent, received])).toEqual([
      ['POST', 1_000, 2],
      ['PUT', 1_000, 2],
    ])
  })

  test('a redirect and a retry are requests of their own', async () => {
    let asked = 0
    const { client, told, url } = await against(
      {
        handler: ({ path }, response) => {
          asked += 1
          if (path === '/') response.writeHead(302, { location: '/next' }).end()
          else response.writeHead(asked === 2 ? 503 : 200, { 'retry-after': '0' }).end()
        },
      },
      { retry: { maxAttempts: 2, baseMs: 1 }, redirect: 'same-origin' },
    )
    expect((await client.fetch(url)).status).toBe(200)
    expect(told.map(({ status }) => status)).toEqual([302, 503, 302, 200]) // the whole call anew
  })

  test('one that a kept connection lost, and the one that took its place', async () => {
    let isFirst = true
    const reply: Setting['reply'] = (socket, request, connection) => {
      if (connection === 0 && request === 1) {
        isFirst = false
        socket.destroy()
      } else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    }
    const { send, events } = await start({ ...WATCHED, reply })
    await send()
    expect(await send()).toMatchObject({ status: 200 })
    expect(isFirst).toBe(false)
    expect(exchanges(events).map(({ status, code }) => [status, code])).toEqual([
      [200, undefined],
      [undefined, 'ERR_TRANSPORT_CLOSED'],
      [200, undefined],
    ])
  })

  test('not one that never had a connection: the handshake tells why', async () => {
    const { client, told, url, peer } = await against()
    peer.setIdentity(ca.issue({ names: [HOST] }))
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
    await expect(client.fetch(url, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
    expect(told).toEqual([])
  })

  test('and nothing where nobody listens', async () => {
    const { send, events } = await start()
    await send()
    expect(exchanges(events)).toEqual([])
  })
})

describe('one that failed is told with its code', () => {
  test('by the server, before its answer and half-way through: ERR_TRANSPORT_CLOSED', async () => {
    const reply: Setting['reply'] = (socket, _, connection) => {
      if (connection === 0) socket.destroy()
      else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
    }
    const { send, events } = await start({ ...WATCHED, reply })
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    await expect(send()).rejects.toThrow()
    const [before, within] = exchanges(events)
    expect(before).toMatchObject({ code: 'ERR_TRANSPORT_CLOSED', received: 0 })
    expect(before).not.toHaveProperty('status')
    expect(before).not.toHaveProperty('firstByteMs')
    expect(within).toMatchObject({ code: 'ERR_TRANSPORT_CLOSED', status: 200, received: 4 })
    expect(exchanges(events)).toHaveLength(2)
  })

  test('by what is no HTTP: ERR_TRANSPORT_PROTOCOL', async () => {
    const { send, events } = await start({ ...WATCHED, reply: (socket) => void socket.write('SSH-2.0-x\r\n\r\n') })
    await refusalOf(send(), 'ERR_TRANSPORT_PROTOCOL')
    expect(exchanges(events)).toMatchObject([{ code: 'ERR_TRANSPORT_PROTOCOL', received: 0 }])
  })

  test('by a time limit: ERR_TRANSPORT_TIMEOUT', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, events, heads } = await start({ ...WATCHED, runtime, reply: () => undefined })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await expect.poll(() => heads.length).toBe(1)
    await settled(call, runtime)
    const [event] = exchanges(events)
    expect(event?.code).toBe('ERR_TRANSPORT_TIMEOUT')
    expect(event?.totalMs).toBeGreaterThan(1_000)
  })

  test('by a policy that denies the key of its peer: ERR_TRUST_PIN_DENIED', async () => {
    const { send, events, heads, setPolicy } = await start({ ...WATCHED, reply: () => undefined })
    const call = refusalOf(send(), 'ERR_TRUST_PIN_DENIED')
    await expect.poll(() => heads.length).toBe(1)
    setPolicy([next.pin], { denies: [{ spki: raw.pin, reason: 'leaked' }] })
    await call
    expect(exchanges(events)).toMatchObject([{ code: 'ERR_TRUST_PIN_DENIED' }])
  })

  test('by its own body: _OTHER, without its reason', async () => {
    const { send, events } = await start(WATCHED)
    const pieces = async function* () {
      yield Buffer.from('12345')
      throw new Error('s3cret reason')
    }
    await expect(send({ method: 'POST', body: Readable.from(pieces()) })).rejects.toThrow('s3cret')
    expect(exchanges(events)).toMatchObject([{ method: 'POST', code: '_OTHER' }])
    expect(JSON.stringify(exchanges(events))).not.toContain('s3cret')
  })
})

describe('one that the caller aborted is told as _ABORTED, without the reason', () => {
  const reason = new Error('s3cret reason')

  test('while it waits for the answer', async () => {
    const { send, events, heads } = await start({ ...WATCHED, reply: () => undefined })
    const abort = new AbortController()
    const call = send({ signal: abort.signal })
    await expect.poll(() => heads.length).toBe(1)
    abort.abort(reason)
    await expect(call).rejects.toBe(reason)
    const [event] = exchanges(events)
    expect(event).toMatchObject({ code: '_ABORTED', received: 0 })
    expect(event).not.toHaveProperty('status')
    expect(JSON.stringify(exchanges(events))).not.toContain('s3cret')
  })

  test('in the middle of the answer, once', async () => {
    const { client, told, url } = await against({
      handler: (_, response) => {
        response.writeHead(200, { 'content-length': '9' })
        response.write('half')
      },
    })
    const abort = new AbortController()
    const response = await client.fetch(url, { signal: abort.signal })
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('half')
    abort.abort(reason)
    await expect(reader?.read()).rejects.toBe(reason)
    await expect.poll(() => told.length).toBe(1)
    expect(told).toMatchObject([{ code: '_ABORTED', status: 200, received: 4, firstByteMs: expect.any(Number) }])
  })

  test('while the request is on its way', async () => {
    const { client, told, url } = await against({ handler: () => undefined })
    const abort = new AbortController()
    let pieces = 0
    const body = new ReadableStream({
      pull: async (controller) => {
        pieces += 1
        if (pieces === 3) abort.abort(reason)
        controller.enqueue(new Uint8Array(100))
        await new Promise((resolve) => setTimeout(resolve, 20))
      },
    })
    const init = { method: 'POST', body, duplex: 'half', signal: abort.signal } as RequestInit
    await expect(client.fetch(url, init)).rejects.toBe(reason)
    await expect.poll(() => told.length).toBe(1)
    expect(told).toMatchObject([{ code: '_ABORTED', method: 'POST', received: 0 }])
    expect(told[0]).not.toHaveProperty('status')
  })

  test('after the answer it changes nothing', async () => {
    const { client, told, url } = await against()
    const abort = new AbortController()
    await (await client.fetch(url, { signal: abort.signal })).text()
    abort.abort(reason)
    expect(told).toHaveLength(1)
    expect(told[0]).not.toHaveProperty('code')
  })
})

describe('under HTTP/2', () => {
  const watched = (setting: Http2Setting = {}) => startHttp2({ ...WATCHED, ...setting })

  test('each stream is told, with its octets', async () => {
    const { send, events } = await watched()
    await Promise.all([send(), send({ method: 'POST', body: 'hello' }), send({ method: 'HEAD' })])
    expect(exchanges(events)).toHaveLength(3)
    for (const event of exchanges(events)) expect(event).toMatchObject({ version: '2', status: 200 })
    const sorted = exchanges(events).sort((a, b) => a.method.localeCompare(b.method))
    expect(sorted.map(({ method, sent, received }) => [method, sent, received])).toEqual([
      ['GET', 0, 2],
      ['HEAD', 0, 0],
      ['POST', 5, 2],
    ])
  })

  test('one that the server resets: ERR_TRANSPORT_CLOSED; one that it did not take up, and the next attempt', async () => {
    let refused = 0
    const onStream = (stream: ServerHttp2Stream, path: string): void => {
      if (path === '/reset') stream.close(2)
      else if (path === '/refused' && refused === 0) {
        refused += 1
        stream.close(7)
      } else {
        stream.respond({ ':status': 200 })
        stream.end('ok')
      }
    }
    const { send, events } = await watched({ onStream })
    await refusalOf(send({ path: '/reset' }), 'ERR_TRANSPORT_CLOSED')
    expect(await send({ path: '/refused' })).toMatchObject({ status: 200 })
    expect(exchanges(events).map(({ status, code }) => [status, code])).toEqual([
      [undefined, 'ERR_TRANSPORT_CLOSED'],
      [undefined, 'ERR_TRANSPORT_CLOSED'],
      [200, undefined],
    ])
  })

  test('one that the caller aborts: _ABORTED, and the others go on', async () => {
    const waiting: ServerHttp2Stream[] = []
    const onStream = (stream: ServerHttp2Stream, path: string): void => {
      if (path === '/slow') {
        waiting.push(stream)
        return
      }
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }
    const { send, events } = await watched({ onStream })
    const abort = new AbortController()
    const call = send({ path: '/slow', signal: abort.signal })
    await expect.poll(() => waiting.length).toBe(1)
    abort.abort(new Error('s3cret reason'))
    await expect(call).rejects.toThrow('s3cret')
    expect(await send()).toMatchObject({ status: 200 })
    expect(exchanges(events).map(({ status, code }) => [status, code])).toEqual([
      [undefined, '_ABORTED'],
      [200, undefined],
    ])
  })
})

test('an upgrade is told with its status, and what comes after it is not', async () => {
  const onSocket = (socket: TLSSocket): void => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n'),
    )
    socket.on('error', () => undefined)
  }
  const { client, told, url } = await against({ onSocket })
  const upgrading = { origin: new URL(url).origin, path: '/', method: 'GET', protocol: 'echo' }
  const { socket } = await (client.dispatcher as unknown as Dispatcher).upgrade(upgrading)
  expect(told).toMatchObject([{ status: 101, sent: 0, received: 0 }])
  expect(told[0]).not.toHaveProperty('code')
  socket.destroy()
})

test('no header, path or body is part of it', async () => {
  const { client, told, url } = await against({
    handler: (_, response) => response.setHeader('x-secret', 's3cret').end('s3cret'),
  })
  const headers = { authorization: 'Bearer s3cret' }
  await (await client.fetch(`${url}s3cret?key=s3cret`, { method: 'POST', headers, body: 's3cret' })).text()
  expect(told).toHaveLength(1)
  expect(JSON.stringify(told)).not.toContain('s3cret')
})
