import { once } from 'node:events'
import { type ServerHttp2Stream, sensitiveHeaders } from 'node:http2'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { next, OTHER, ok, server, start } from './http2-stage.ts'

const turns = (ms = 30): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Answers with what it was sent. */
const echo = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 })
  stream.pipe(stream)
}

describe('which version of HTTP is spoken', () => {
  test.each([['prefer'], ['require']] as const)('%s: HTTP/2 where the peer offers it', async (http2) => {
    const { send, peer } = await start({ http2 })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections[0]?.alpn).toBe('h2')
  })

  test('prefer: HTTP/2 over TLS 1.2 where the policy allows that', async () => {
    const { send, peer } = await start({ maxVersion: 'TLSv1.2', policy: { minTlsVersion: '1.2' } })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections[0]).toMatchObject({ alpn: 'h2', protocol: 'TLSv1.2' })
  })

  test('never: HTTP/1.1 with a peer that would speak both', async () => {
    const { send, peer } = await start({
      http2: 'never',
      onSocket: (socket) => socket.once('data', () => socket.end(H1)),
    })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections[0]?.alpn).toBe('http/1.1')
  })

  test.each([[['http/1.1']], [[]]])('prefer: HTTP/1.1 with a peer whose ALPN is %j, several at once', async (alpn) => {
    const { send, peer } = await start({ alpn })
    const answers = await Promise.all(Array.from({ length: 8 }, () => send()))
    expect(answers.every(({ text }) => text === 'ok')).toBe(true)
    expect(peer.connections.map((connection) => connection.alpn)).not.toContain('h2')
    expect(peer.connections.length).toBeGreaterThan(1)
  })

  test.each([[['http/1.1']], [[]]])('require: a peer whose ALPN is %j: ERR_TLS_ALPN, nothing sent', async (alpn) => {
    const { send, peer } = await start({ http2: 'require', alpn })
    const error = await refusalOf(send(), 'ERR_TLS_ALPN')
    expect([error.requestSent, peer.applicationBytes]).toEqual(['no', 0])
  })
})

const H1 = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'

describe('an exchange', () => {
  test('has header fields both ways, repeated ones and trailers included', async () => {
    const seen: Record<string, unknown>[] = []
    const { dispatcher, url, peer } = await start({
      onStream: (stream) => {
        stream.respond(
          { ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-one': 'caf\u00e9' },
          { waitForTrailers: true },
        )
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
        stream.end('body')
      },
      onSession: (session) =>
        session.on('stream', (_, headers) => {
          seen.push(headers)
        }),
    })
    const headers = { Authorization: 'Bearer a', Connection: 'keep-alive', Cookie: 'c=1', 'X-List': ['1', '2'] }
    const response = await dispatcher.request({ origin: url, path: '/a?b=c', method: 'GET', headers: headers as never })
    expect(await response.body.text()).toBe('body')
    expect(response).toMatchObject({
      statusCode: 201,
      headers: { 'set-cookie': ['a=1', 'b=2'], 'x-one': 'caf\u00e9' },
      trailers: { 'x-sum': '7' },
    })
    expect(seen[0]?.[sensitiveHeaders as never]).toEqual(['authorization', 'cookie'])
    expect(Object.fromEntries(Object.entries(seen[0] ?? {}))).toEqual({
      ':method': 'GET',
      ':scheme': 'https',
      ':authority': `api.example.com:${peer.port}`,
      ':path': '/a?b=c',
      authorization: 'Bearer a',
      cookie: 'c=1',
      'x-list': '1, 2',
    })
  })

  test.each([
    ['a line break in a value', { headers: { 'x-a': 'b\r\nx-evil: 1' } }],
    ['a name that is none', { headers: { 'x a': 'b' } }],
    ['a pseudo-header', { headers: { ':path': '/other' } }],
    ['a field of the connection', { headers: { 'transfer-encoding': 'chunked' } }],
    ['a path with a space', { path: '/a b' }],
    ['a method that is none', { method: 'GE T' }],
    ['a wrong length', { method: 'POST', body: 'abc', headers: { 'content-length': '2' } }],
    ['an upgrade', { upgrade: 'websocket' }],
  ])('with %s is not sent, and the connection goes on', async (_, more) => {
    const { send, streams, peer } = await start()
    await expect(send(more as never)).rejects.toThrow()
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect([streams.length, peer.connections.length]).toEqual([1, 1])
  })

  test.each([
    ['a string', 'abc', 'abc'],
    ['bytes', Buffer.from('abc'), 'abc'],
    ['many bytes', 'a'.repeat(1_000_000), 'a'.repeat(1_000_000)],
    ['a Blob', new Blob(['abc']), 'abc'],
    ['nothing', undefined, ''],
  ])('uploads %s', async (_, body, text) => {
    const { send } = await start({ onStream: echo })
    expect((await send({ method: 'POST', body: body as never })).text).toBe(text)
  })

  test('uploads a stream, while others are under way', async () => {
    const { send, peer } = await start({ onStream: echo })
    async function* body() {
      for (let piece = 0; piece < 20; piece += 1) {
        await turns(1)
        yield Buffer.alloc(20_000, 'a')
      }
    }
    const posts = Array.from({ length: 8 }, () => send({ method: 'POST', body: body() as never }))
    expect((await Promise.all(posts)).map(({ text }) => text.length)).toEqual(Array(8).fill(400_000))
    expect(peer.connections.length).toBe(1)
  })

  test('whose body is not as long as announced is ended', async () => {
    const { send } = await start({ onStream: echo })
    async function* body() {
      yield Buffer.from('abc')
    }
    for (const length of ['2', '4']) {
      const call = send({ method: 'POST', body: body() as never, headers: { 'content-length': length } })
      await expect(call).rejects.toMatchObject({ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
    }
    expect((await send({ method: 'POST', body: 'abc' })).text).toBe('abc')
  })

  test('whose body fails fails with that', async () => {
    const { send } = await start({ onStream: echo })
    async function* body() {
      yield Buffer.from('abc')
      throw new Error('disk gone')
    }
    await expect(send({ method: 'POST', body: body() as never })).rejects.toThrow('disk gone')
  })

  test('may be answered before its body is sent', async () => {
    const { send, peer } = await start({ onStream: (stream) => ok(stream) })
    async function* body() {
      for (;;) {
        await turns(1)
        yield Buffer.alloc(10_000)
      }
    }
    expect(await send({ method: 'POST', body: body() as never })).toEqual({ status: 200, text: 'ok' })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(1)
  })

  test('HEAD leaves the connection as it is', async () => {
    const { send, peer } = await start({
      onStream: (stream) => stream.respond({ ':status': 200, 'content-length': '5' }, { endStream: true }),
    })
    for (let round = 0; round < 3; round += 1) expect((await send({ method: 'HEAD' })).status).toBe(200)
    expect(peer.connections.length).toBe(1)
  })

  test('a response is held back while nobody reads it, and others pass', async () => {
    let sent = 0
    const { dispatcher, url, send } = await start({
      onStream: (stream, path) => {
        if (path !== '/large') {
          ok(stream)
          return
        }
        stream.respond({ ':status': 200 })
        const more = (): void => {
          for (let flows = true; flows && sent < 300; sent += 1) flows = stream.write(Buffer.alloc(100_000))
          if (sent >= 300) stream.end()
        }
        stream.on('drain', more)
        more()
      },
    })
    const { body } = await dispatcher.request({ origin: url, path: '/large', method: 'GET' })
    await turns(200)
    expect(sent).toBeLessThan(30)
    expect((await send()).text).toBe('ok')
    expect((await body.arrayBuffer()).byteLength).toBe(30_000_000)
  })

  test('that its caller aborts ends alone', async () => {
    const codes: number[] = []
    const { send, peer, streams } = await start({
      onStream: (stream, path) => {
        if (path === '/') ok(stream)
        else stream.once('close', () => codes.push(stream.rstCode))
      },
    })
    const caller = new AbortController()
    const call = send({ path: '/slow', signal: caller.signal })
    await vi.waitUntil(() => streams.length > 0, 10_000) // aborted before, it would have no stream to reset
    caller.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    expect((await send()).text).toBe('ok')
    await vi.waitUntil(() => codes.length > 0, 10_000)
    expect([codes, peer.connections.length]).toEqual([[8], 1])
  })
})

describe('connections', () => {
  test('64 requests at once on a fresh pool: one', async () => {
    const { send, peer, streams } = await start({ onStream: (stream) => void setTimeout(() => ok(stream), 20) })
    const answers = await Promise.all(Array.from({ length: 64 }, () => send()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect([peer.connections.length, streams.length]).toEqual([1, 64])
  })

  test('many requests one after the other: one, of which no stream is reset', async () => {
    const codes = new Set<number>()
    const { send, peer, streams } = await start({
      onStream: (stream) => {
        stream.once('close', () => codes.add(stream.rstCode))
        ok(stream)
      },
    })
    for (let round = 0; round < 50; round += 1) await Promise.all(Array.from({ length: 32 }, () => send()))
    expect([streams.length, peer.connections.length, [...codes]]).toEqual([1_600, 1, [0]])
  })

  test('another only when the streams of those there are taken', async () => {
    const waiting: ServerHttp2Stream[] = []
    const { send, peer } = await start({
      settings: { settings: { maxConcurrentStreams: 10 } },
      onStream: (stream) => void waiting.push(stream),
    })
    const calls = Array.from({ length: 25 }, () => send())
    await vi.waitUntil(() => waiting.length === 25, 10_000)
    expect(peer.connections.length).toBe(3)
    for (const stream of waiting) ok(stream)
    await Promise.all(calls)
    await Promise.all(Array.from({ length: 10 }, () => send().catch(() => undefined)).map(() => undefined))
    expect(peer.connections.length).toBe(3)
  })

  test('a peer that allows no stream gets no storm of connections, and the requests their time: ERR_TRANSPORT_TIMEOUT', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, peer, sessions } = await start({ runtime, settings: { settings: { maxConcurrentStreams: 0 } } })
    const calls = Array.from({ length: 5 }, () => refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT'))
    await vi.waitUntil(() => sessions.length > 0, 10_000)
    await turns(100)
    await runtime.advance(32_000)
    await Promise.all(calls)
    expect(peer.connections.length).toBeLessThanOrEqual(5)
  })

  test('B17: no host rides on the verdict about another, though one certificate names both', async () => {
    const { send, peer, setPolicy, dispatcher } = await start()
    await send()
    const { body } = await dispatcher.request({ origin: `https://${OTHER}:${peer.port}`, path: '/', method: 'GET' })
    expect(await body.text()).toBe('ok')
    expect(peer.connections.map(({ servername }) => servername)).toEqual(['api.example.com', OTHER])
    setPolicy([next.pin])
    await refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('B3: a resumed one is judged by what stands behind it, and not offered after a rotation', async () => {
    const { send, peer, setPolicy } = await start({
      onSession: (session) => void setTimeout(() => session.close(), 60),
    })
    await send()
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
    await send()
    expect(peer.sessionsReused).toBe(1)
    setPolicy([next.pin])
    await refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')
    expect(peer.sessionsReused).toBe(1)
  })

  test('a pin that does not match: ERR_TRUST_PIN_MISMATCH for everybody who waits, after one handshake, 0 bytes', async () => {
    const { send, peer, setPolicy } = await start()
    setPolicy([next.pin])
    await Promise.all(Array.from({ length: 16 }, () => refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')))
    expect([peer.accepted, peer.applicationBytes]).toEqual([1, 0])
  })

  test('an older one gets no further request, and finishes those it has', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const waiting: ServerHttp2Stream[] = []
    const { send, peer } = await start({
      runtime,
      limits: { connectionAgeMs: 20_000 },
      onStream: (stream, path) => (path === '/slow' ? void waiting.push(stream) : ok(stream)),
    })
    const slow = send({ path: '/slow' })
    await vi.waitUntil(() => waiting.length > 0, 10_000)
    await send()
    for (let step = 0; step < 5; step += 1) {
      await runtime.advance(4_500)
      await turns()
    }
    await send()
    expect(peer.connections.length).toBe(2)
    for (const stream of waiting) ok(stream)
    expect((await slow).text).toBe('ok')
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
  })

  test('an idle one is closed after a minute', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, peer, dispatcher } = await start({ runtime })
    await send()
    await runtime.advance(59_000)
    expect(dispatcher.origins).toBe(1)
    await runtime.advance(2_000)
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
    await vi.waitUntil(() => dispatcher.origins === 0, 10_000)
    expect(runtime.pendingTimers).toBe(0)
  })
})

describe('when the policy changes', () => {
  test('B5: under load, with both keys pinned and then the new one alone: 0 failures, and the old connection ends', async () => {
    const { send, peer, setPolicy } = await start({ onStream: (stream) => void setTimeout(() => ok(stream), 3) })
    const statuses: number[] = []
    let isOver = false
    const work = Promise.all(
      Array.from({ length: 32 }, async () => {
        while (!isOver) statuses.push((await send({ method: 'POST', body: 'a' })).status)
      }),
    )
    await vi.waitUntil(() => statuses.length > 100, 10_000)
    peer.setIdentity(next)
    setPolicy([next.pin])
    const before = statuses.length
    await vi.waitUntil(() => statuses.length > before + 200, 10_000)
    isOver = true
    await work
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(peer.connections.length).toBe(2)
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
  })

  test('what was begun on a retired one has some time: then ERR_TRANSPORT_CLOSED', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const waiting: ServerHttp2Stream[] = []
    const { send, setPolicy } = await start({
      runtime,
      timeouts: { totalMs: 600_000, headersMs: 600_000 },
      onStream: (stream) => void waiting.push(stream),
    })
    const [first, second] = [send(), send()]
    const late = refusalOf(second, 'ERR_TRANSPORT_CLOSED')
    await vi.waitUntil(() => waiting.length === 2, 10_000)
    setPolicy([next.pin])
    if (waiting[0] !== undefined) ok(waiting[0])
    expect((await first).text).toBe('ok')
    for (let second = 0; second < 7; second += 1) {
      await runtime.advance(5_000)
      await turns()
    }
    expect((await late).message).toContain('30000 ms after')
  })

  test('a denied key cuts every exchange in this tick, the idle connection too: ERR_TRUST_PIN_DENIED', async () => {
    const { send, setPolicy, peer, streams, dispatcher, url } = await start({
      onStream: (stream, path) => {
        stream.respond({ ':status': 200 })
        stream.write('part')
        if (path === '/ends') stream.end()
      },
    })
    await send({ path: '/ends' })
    const get = () => dispatcher.request({ origin: url, path: '/', method: 'GET' })
    const responses = await Promise.all(Array.from({ length: 4 }, get))
    const bodies = responses.map(({ body }) => refusalOf(body.text(), 'ERR_TRUST_PIN_DENIED'))
    setPolicy([next.pin], { denies: [{ spki: server.pin, reason: 'leaked' }] })
    await Promise.all(bodies)
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
    expect(streams.length).toBe(5)
  })
})

describe('a peer that ends things', () => {
  test('P18: idle connections that are destroyed end nothing else', async () => {
    const { send, peer } = await start()
    for (let round = 0; round < 5; round += 1) {
      expect((await send()).text).toBe('ok')
      const socket = peer.connections.at(-1)?.socket
      const closed = socket === undefined ? undefined : once(socket, 'close')
      peer.destroyConnections()
      await closed
      await turns()
    }
    expect(peer.connections.length).toBe(5)
  })

  test('F31: GOAWAY under load, each connection after 20 requests: 0 failures', async () => {
    const { send, peer } = await start({
      onSession: (session) => {
        let count = 0
        session.on('stream', () => {
          count += 1
          if (count === 20) session.close()
        })
      },
      onStream: (stream) => void setTimeout(() => ok(stream), 2),
    })
    const calls = Array.from({ length: 16 }, async () => {
      for (let round = 0; round < 20; round += 1) expect((await send({ method: 'POST', body: 'a' })).text).toBe('ok')
    })
    await Promise.all(calls)
    expect(peer.connections.length).toBeGreaterThan(5)
  })

  test('F31: GOAWAY while pins and keys rotate: 0 failures', async () => {
    const { send, peer, setPolicy } = await start({
      onSession: (session) => {
        let count = 0
        session.on('stream', () => {
          count += 1
          if (count === 20) session.close()
        })
      },
      onStream: (stream) => void setTimeout(() => ok(stream), 2),
    })
    let isOver = false
    const rotating = (async () => {
      for (let turn = 0; !isOver; turn += 1) {
        setPolicy([server.pin, next.pin])
        peer.setIdentity(turn % 2 === 0 ? next : server)
        await turns(10)
        setPolicy(turn % 4 < 2 ? [next.pin, server.pin] : [server.pin, next.pin])
        await turns(10)
      }
    })()
    const calls = Array.from({ length: 16 }, async () => {
      for (let round = 0; round < 20; round += 1) expect((await send({ method: 'POST', body: 'a' })).text).toBe('ok')
    })
    await Promise.all(calls).finally(() => {
      isOver = true
    })
    await rotating
    expect(peer.connections.length).toBeGreaterThan(5)
  })
})
