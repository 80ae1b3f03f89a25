import { createServer } from 'node:http2'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['api.example.com'] })

/** A client of the public interface, and a server that answers with the body it got, its version of HTTP in a header. */
async function serve(http2: 'never' | 'prefer' | 'require' | undefined, alpn = ['h2', 'http/1.1']) {
  const speaker = createServer()
  speaker.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'x-http': '2', 'x-method': String(headers[':method']) })
    stream.pipe(stream)
  })
  const peer = await until(
    startTlsServer({
      identity,
      alpn,
      ...(alpn.includes('h2') && http2 !== undefined
        ? { onSocket: (socket) => speaker.emit('connection', socket) }
        : {}),
    }),
  )
  const client = testClient({
    pins: { 'api.example.com': [identity.pin] },
    anchors: ca.anchorPem,
    ...(http2 === undefined ? {} : { http2 }),
  })
  return { client, peer, url: `https://api.example.com:${peer.port}/` }
}

test.each([['lean'], ['full']])('fetch speaks HTTP/2 on the %s road', async (road) => {
  const { client, peer, url } = await serve('prefer')
  const body = road === 'lean' ? 'some text' : new Blob(['some text']).stream()
  const response = await client.fetch(url, { method: 'POST', body, duplex: 'half' } as RequestInit)
  expect([response.status, response.headers.get('x-http'), await response.text()]).toEqual([200, '2', 'some text'])
  expect((await client.fetch(url)).headers.get('x-method')).toBe('GET')
  expect(peer.connections.length).toBe(1)
})

test('32 calls at once, every body read: one connection', async () => {
  const { client, peer, url } = await serve('require')
  const text = 'a'.repeat(50_000)
  const calls = Array.from({ length: 32 }, async () => (await client.fetch(url, { method: 'POST', body: text })).text())
  expect(await Promise.all(calls)).toEqual(Array(32).fill(text))
  expect(peer.connections.length).toBe(1)
})

test('an aborted call rejects with its reason, and the next one succeeds', async () => {
  const { client, peer, url } = await serve('prefer')
  const caller = new AbortController()
  const response = await client.fetch(url, {
    method: 'POST',
    body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) }),
    duplex: 'half',
    signal: caller.signal,
  } as RequestInit)
  caller.abort(new Error('enough'))
  await expect(response.text()).rejects.toThrow('enough')
  expect((await client.fetch(url)).status).toBe(200)
  expect(peer.connections.length).toBe(1)
})

test('by default HTTP/1.1 is spoken, with a server that offers both', async () => {
  const { client, peer, url } = await serve(undefined)
  expect(await (await client.fetch(url)).text()).toBe('ok')
  expect(peer.connections[0]?.alpn).toBe('http/1.1')
})

test('require: a server without HTTP/2 is refused: ERR_TLS_ALPN', async () => {
  const { client, peer, url } = await serve('require', ['http/1.1'])
  await refusalOf(client.fetch(url), 'ERR_TLS_ALPN')
  expect(peer.applicationBytes).toBe(0)
})
