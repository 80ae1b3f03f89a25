import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Resolver } from 'pinfetch'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import * as npmUndici from 'undici'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { runModule } from '../support/run.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const options = { pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem }

async function serve(handler?: TestHandler) {
  const peer = await until(startTlsServer({ identity: server, ...(handler === undefined ? {} : { handler }) }))
  return { peer, url: `https://${HOST}:${peer.port}/v1/accounts?b=1&a=%20`, client: testClient(options) }
}

describe('client.fetch is the runtime’s fetch to its callers', () => {
  test('answers a Response of the global realm with status, headers, URL and a readable stream', async () => {
    const { url, client } = await serve((_, response) => response.writeHead(201, { 'x-a': 'b' }).end('{"a":1}'))
    const response = await client.fetch(url)
    expect(response).toBeInstanceOf(Response)
    expect(response.body).toBeInstanceOf(ReadableStream)
    expect([response.status, response.ok, response.url, response.redirected]).toEqual([201, true, url, false])
    expect(response.headers).toBeInstanceOf(Headers)
    expect(response.headers.get('X-A')).toBe('b')
    expect(await response.clone().json()).toEqual({ a: 1 })
    expect(await response.text()).toBe('{"a":1}')
  })

  test('takes a URL, a Request and a Request with init', async () => {
    const { url, client, peer } = await serve()
    await client.fetch(new URL(url))
    await client.fetch(new Request(url, { method: 'PUT', body: 'x', headers: { 'x-a': '1' } }))
    await client.fetch(new Request(url, { method: 'PUT', body: 'x' }), { method: 'PATCH', body: 'y' })
    expect(peer.requests.map(({ method, body }) => [method, Buffer.from(body).toString()])).toEqual([
      ['GET', ''],
      ['PUT', 'x'],
      ['PATCH', 'y'],
    ])
    expect(peer.requests.map(({ path }) => path)).toEqual(Array(3).fill('/v1/accounts?b=1&a=%20'))
    expect(peer.requests[1]?.headers['x-a']).toBe('1')
  })

  test('sends FormData with a file, Blob, URLSearchParams, bytes and a stream', async () => {
    const { url, client, peer } = await serve()
    const form = new FormData()
    form.append('field', 'value')
    form.append('file', new File(['content'], 'a.txt'))
    const stream = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('str'))
        controller.enqueue(new TextEncoder().encode('eam'))
        controller.close()
      },
    })
    const bodies = [form, new Blob(['blob']), new URLSearchParams({ a: 'b c' }), new Uint8Array([104, 105])]
    for (const body of bodies) await client.fetch(url, { method: 'POST', body })
    await client.fetch(url, { method: 'POST', body: stream, duplex: 'half' })
    const texts = peer.requests.map(({ body }) => Buffer.from(body).toString())
    expect(texts[0]).toMatch(/name="field"\r\n\r\nvalue[\s\S]*filename="a\.txt"[\s\S]*content/)
    expect(texts.slice(1)).toEqual(['blob', 'a=b+c', 'hi', 'stream'])
  })

  test('takes the npm package’s Request, Headers and FormData as well', async () => {
    const { url, client, peer } = await serve()
    const form = new npmUndici.FormData()
    form.append('field', 'value')
    await client.fetch(url, { method: 'POST', body: form as unknown as FormData })
    await client.fetch(url, { headers: new npmUndici.Headers({ 'x-a': '1' }) as unknown as Headers })
    await client.fetch(new npmUndici.Request(url, { method: 'POST', body: 'x' }) as unknown as Request)
    expect(Buffer.from(peer.requests[0]?.body ?? []).toString()).toContain('name="field"\r\n\r\nvalue')
    expect(peer.requests[1]?.headers['x-a']).toBe('1')
    expect([peer.requests[2]?.method, Buffer.from(peer.requests[2]?.body ?? []).toString()]).toEqual(['POST', 'x'])
  })

  test('accepts a Content-Length of the caller’s on every Node', async () => {
    const { url, client, peer } = await serve()
    await client.fetch(url, { method: 'POST', body: '12345', headers: { 'Content-Length': '5' } })
    expect(peer.requests[0]?.headers['content-length']).toBe('5')
  })

  test('rejects with the signal’s own reason: before the call, while waiting, and in the body', async () => {
    const { url, client } = await serve((request, response) => {
      if (request.path === '/hang') return
      response.writeHead(200).write('part')
    })
    const reason = new Error('the caller’s reason')
    await expect(client.fetch(url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(client.fetch(new URL('/hang', url), { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: 'TimeoutError',
    })
    const controller = new AbortController()
    const response = await client.fetch(url, { signal: controller.signal })
    controller.abort(reason)
    await expect(response.text()).rejects.toBe(reason)
  })

  test('leaves wrong arguments to the runtime', async () => {
    const { url, client } = await serve()
    const error = await client.fetch(url, { body: 'x' }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).not.toHaveProperty('code')
  })

  test('keeps connections alive for sequential requests', async () => {
    const { url, client, peer } = await serve()
    for (let round = 0; round < 5; round += 1) await (await client.fetch(url)).text()
    expect(peer.requests.length).toBe(5)
    expect(peer.connections.length).toBeLessThanOrEqual(2) // undici opens a second while it still counts the first as busy
  })

  test('reads inherited members of init, as WebIDL does', async () => {
    const { url, client, peer } = await serve()
    await client.fetch(url, Object.create({ method: 'DELETE', headers: { 'x-a': '1' } }))
    expect([peer.requests[0]?.method, peer.requests[0]?.headers['x-a']]).toEqual(['DELETE', '1'])
  })

  test('changes no global: plain fetch and its dispatcher are as before', () => {
    const before = Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1'))
    createClient(options).close()
    expect(Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1'))).toBe(before)
  })
})

describe('client.fetch refuses before any packet', () => {
  test('plain http: ERR_POLICY_PLAINTEXT', async () => {
    let connections = 0
    const listener = createServer(() => void connections++)
    const port = await listen(listener)
    const error = await refusalOf(testClient(options).fetch(`http://${HOST}:${port}/`), 'ERR_POLICY_PLAINTEXT')
    expect([error.requestSent, connections]).toEqual(['no', 0])
    listener.close()
  })

  test.each(['', '/relative', 'https://', 'https://a b/', `https://user:secret@${HOST}/`])(
    'the URL %j: ERR_CONFIG_URL, and no secret in the message',
    async (url) => {
      const error = await refusalOf(testClient(options).fetch(url), 'ERR_CONFIG_URL')
      expect(error.message).not.toContain('secret')
    },
  )

  test('a port that fetch blocks: ERR_CONFIG_URL', async () => {
    const error = await refusalOf(testClient(options).fetch(`https://${HOST}:1/`), 'ERR_CONFIG_URL')
    expect([error.requestSent, error.retryable]).toEqual(['no', false])
  })

  test('a dispatcher of the caller’s: ERR_CONFIG_INVALID', async () => {
    const { url, client, peer } = await serve()
    const init = { dispatcher: new npmUndici.Agent() } as unknown as RequestInit
    await refusalOf(client.fetch(url, init), 'ERR_CONFIG_INVALID')
    expect(peer.accepted).toBe(0)
  })

  test('everything, where a patched fetch drops the dispatcher: ERR_TRANSPORT_FETCH_PATCHED', async () => {
    const stranger = await until(startTlsServer({ identity: ca.issue({ names: ['localhost'] }) }))
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-fetch-'))
    writeFileSync(join(folder, 'ca.pem'), ca.anchorPem)
    const script = `
      import { createClient } from './src/index.ts'
      const real = globalThis.fetch
      globalThis.fetch = (input, { method, headers, body, signal, redirect } = {}) =>
        real(input, { method, headers, body, signal, redirect })
      const client = createClient({ pins: { localhost: ['${server.pin}'] } })
      const plain = await fetch('${stranger.origin}').then((r) => r.status, (e) => e.cause?.code)
      const ours = await client.fetch('${stranger.origin}', { method: 'POST', body: 'secret' }).then((r) => r.status, (e) => e.code)
      console.log(JSON.stringify({ plain, ours }))`
    const { stdout, stderr } = await runModule(script, { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') })
    rmSync(folder, { recursive: true })
    expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual({ plain: 200, ours: 'ERR_TRANSPORT_FETCH_PATCHED' })
    expect(stranger.requests.map(({ method }) => method)).toEqual(['GET'])
  })

  test('anything after close: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { url, client } = await serve()
    await client.close()
    await refusalOf(client.fetch(url), 'ERR_TRANSPORT_CLIENT_CLOSED')
  })
})

describe('client.fetch does not follow redirects', () => {
  test.each([301, 302, 303, 307, 308])('%i: ERR_POLICY_REDIRECT, the target is never asked', async (status) => {
    const { url, client, peer } = await serve((request, response) => {
      response.writeHead(request.path === '/target' ? 200 : status, { location: '/target' }).end()
    })
    const error = await refusalOf(client.fetch(url, { method: 'POST', body: 'x' }), 'ERR_POLICY_REDIRECT')
    expect([error.requestSent, peer.requests.length]).toEqual(['yes', 1])
  })

  test('hands the response over where the caller asks for it', async () => {
    const { url, client } = await serve((_, response) => response.writeHead(302, { location: 'https://a.b/' }).end())
    const response = await client.fetch(url, { redirect: 'manual' })
    expect([response.status, response.headers.get('location')]).toEqual([302, 'https://a.b/'])
  })
})

describe('a failing network has a code of its own', () => {
  const failing = { ...options, timeouts: { connectMs: 200, tlsMs: 200, headersMs: 200, bodyMs: 200 } }

  test('a name that does not resolve: ERR_TRANSPORT_RESOLVE', async () => {
    const client = testClient({ ...failing, resolver: async () => [] })
    const error = await refusalOf(client.fetch(`https://${HOST}/`), 'ERR_TRANSPORT_RESOLVE')
    expect([error.retryable, error.requestSent]).toEqual([true, 'no'])
  })

  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a list of nothing', () => [undefined]],
    ['a name', () => ['localhost']],
    ['an error', () => Promise.reject(new Error('down'))],
  ])('a resolver that answers %s: ERR_TRANSPORT_RESOLVE, and the process lives', async (_, answer) => {
    const resolver = (async () => answer()) as unknown as Resolver
    await refusalOf(testClient({ ...failing, resolver }).fetch(`https://${HOST}/`), 'ERR_TRANSPORT_RESOLVE')
  })

  test('a port where nobody listens: ERR_TRANSPORT_CONNECT', async () => {
    const { peer, url } = await serve()
    await peer.close()
    await refusalOf(testClient(failing).fetch(url), 'ERR_TRANSPORT_CONNECT')
  })

  test.each([
    ['closes at once', 'ERR_TRANSPORT_CLOSED', (socket: Socket) => socket.end()],
    ['resets', 'ERR_TRANSPORT_CLOSED', (socket: Socket) => socket.resetAndDestroy()],
    ['speaks plain HTTP', 'ERR_TLS_HANDSHAKE', (socket: Socket) => socket.write('HTTP/1.1 400 No\r\n\r\n')],
    ['says nothing', 'ERR_TRANSPORT_TIMEOUT', () => undefined],
  ] as const)('a server that %s: %s', async (_, code, behave) => {
    const listener = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => behave(socket))
    })
    const port = await listen(listener)
    const error = await refusalOf(testClient(failing).fetch(`https://${HOST}:${port}/`), code)
    expect(error.requestSent).toBe('no')
    listener.close()
  })

  test('a server that stops at TLS 1.2: ERR_TLS_VERSION', async () => {
    const peer = await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2' }))
    await refusalOf(testClient(failing).fetch(`https://${HOST}:${peer.port}/`), 'ERR_TLS_VERSION')
  })

  test('a response that never starts: ERR_TRANSPORT_TIMEOUT; one that is not HTTP: ERR_TRANSPORT_PROTOCOL', async () => {
    const silent = await until(startTlsServer({ identity: server, onSocket: () => undefined }))
    const late = await refusalOf(testClient(failing).fetch(`https://${HOST}:${silent.port}/`), 'ERR_TRANSPORT_TIMEOUT')
    expect(late.requestSent).toBe('yes')
    const garbage = await until(
      startTlsServer({
        identity: server,
        onSocket: (socket) => void socket.once('data', () => socket.write('no http\r\n\r\n')),
      }),
    )
    await refusalOf(testClient(failing).fetch(`https://${HOST}:${garbage.port}/`), 'ERR_TRANSPORT_PROTOCOL')
  })

  test('a connection cut before the response: ERR_TRANSPORT_CLOSED, and the request may have arrived', async () => {
    const { url, client } = await serve((_, response) => void response.socket?.destroy())
    const error = await refusalOf(client.fetch(url, { method: 'POST', body: 'x' }), 'ERR_TRANSPORT_CLOSED')
    expect([error.retryable, error.requestSent]).toEqual([true, 'maybe'])
  })
})

async function listen(listener: Server): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
