import { createSecureServer } from 'node:http2'
import type { ClientOptions, ProxyOption, Resolver } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import {
  certificatePem,
  type ProxyOptions,
  startInterceptor,
  startProxy,
  type TestCertificate,
  type TestHandler,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const PROXY = 'proxy.corp.example'
const ca = testCa()
const server = ca.issue({ names: [HOST], ips: ['127.0.0.1'] })
const proxyCertificate = ca.issue({ names: [PROXY] })
const pins = { [HOST]: [server.pin] }
const tls12 = allowTls12(HOST, { reason: 'the test speaks it' })

const KINDS = ['http', 'https', 'socks5', 'socks5h'] as const
type Kind = (typeof KINDS)[number]

/** A name for https, so that there is something to be recognised by. */
const optionFor = (kind: Kind, { port }: { readonly port: number }): ProxyOption =>
  kind === 'https' ? { url: `https://${PROXY}:${port}`, pins: [proxyCertificate.pin] } : `${kind}://127.0.0.1:${port}`

const kitFor = (kind: Kind): ProxyOptions => {
  if (kind === 'https') return { identity: proxyCertificate }
  return kind === 'http' ? {} : { kind: 'socks5' }
}

/** A server behind a relay, behind a proxy, before a client. */
async function stage(
  kind: Kind,
  more: { client?: Partial<ClientOptions>; proxy?: ProxyOptions; server?: Partial<TlsServerOptions> } = {},
) {
  const scene = await startScene(server, more.server)
  const proxy = await until(startProxy({ ...kitFor(kind), ...more.proxy }))
  const resolver = kind === 'socks5h' ? {} : { resolver: async () => ['127.0.0.1'] }
  const options = { pins, anchors: ca.anchorPem, proxy: optionFor(kind, proxy), resolver: undefined, ...resolver }
  const client = testClient({ ...options, ...more.client } as ClientOptions)
  return { ...scene, proxy, client, at: scene.url(HOST) }
}

const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

describe.each(KINDS)('through a proxy of %s', (kind) => {
  test.each(['1.2', '1.3'] as const)('a request arrives, over TLS %s', async (version) => {
    const only = `TLSv${version}` as const
    const { client, peer, proxy, relay, at } = await stage(kind, {
      client: version === '1.2' ? { tls12Hosts: [tls12] } : {},
      server: { minVersion: only, maxVersion: only },
    })
    const response = await client.fetch(at, { method: 'POST', body: 'hello' })
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    expect(peer.requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['hello'])
    expect(peer.connections.map(({ protocol, servername }) => [protocol, servername])).toEqual([[only, HOST]])
    const host = kind === 'socks5h' ? HOST : '127.0.0.1' // where a resolver is given, it is asked
    expect(proxy.requests).toEqual([{ host, port: relay.port, authorization: undefined }])
  })

  test.each(['1.2', '1.3'] as const)(
    'a key that is not pinned is refused before a byte, over TLS %s: ERR_TRUST_PIN_MISMATCH',
    async (version) => {
      const only = `TLSv${version}` as const
      const { client, peer, relay, at, url } = await stage(kind, {
        client: {
          pins: { [HOST]: [proxyCertificate.pin] },
          ...(version === '1.2' ? { tls12Hosts: [tls12] } : {}),
        },
        server: { minVersion: only, maxVersion: only, requestCert: true },
      })
      const error = await refusalOf(client.fetch(at, { method: 'POST', body: 'secret' }), 'ERR_TRUST_PIN_MISMATCH')
      expect(error).toMatchObject({ requestSent: 'no', host: `${HOST}:${relay.port}` })
      await expectOnlyClientHello({ peer, relay, url })
    },
  )

  test('connections are kept for their origin, and sessions are resumed inside of tunnels', async () => {
    const { client, peer, proxy, at } = await stage(kind, {
      server: {
        handler: (request, response, message) => (request.path === '/last' ? closing : ok)(request, response, message),
      },
    })
    for (const path of ['', '', 'last', '']) expect(await (await client.fetch(`${at}${path}`)).text()).toBe('ok')
    expect(proxy.requests).toHaveLength(2)
    expect(peer.connections.map(({ resumed }) => resumed)).toEqual([false, true])
    expect(proxy.sessionsReused).toBe(kind === 'https' ? 1 : 0)
  })

  test('64 at once all arrive, and close() leaves no socket', async () => {
    const { client, peer, proxy, at } = await stage(kind)
    const statuses = await Promise.all(
      Array.from({ length: 64 }, async (_, number) => {
        const response = await client.fetch(`${at}${number}`)
        await response.text()
        return response.status
      }),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(new Set(peer.requests.map(({ path }) => path)).size).toBe(64)
    await client.close()
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  test('HTTP/2 is spoken inside of a tunnel', async () => {
    const peer = await startHttp2(server)
    const proxy = await until(startProxy(kitFor(kind)))
    const client = testClient({
      pins,
      anchors: ca.anchorPem,
      http2: 'require',
      proxy: optionFor(kind, proxy),
      ...(kind === 'socks5h' ? { resolver: undefined } : {}),
    } as unknown as ClientOptions)
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => (await client.fetch(`https://${HOST}:${peer.port}/`)).text()),
    )
    expect(new Set(answers)).toEqual(new Set(['h2']))
    expect(proxy.requests).toHaveLength(1)
  })

  test('an abort while the proxy is silent ends the attempt and its socket', async () => {
    const { client, proxy, at } = await stage(kind, { proxy: { answer: () => undefined } })
    const abort = new AbortController()
    const call = client.fetch(at, { signal: abort.signal })
    await expect.poll(() => proxy.requests.length, { timeout: 20_000 }).toBe(1)
    abort.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    await client.destroy()
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  // Through socks5h the proxy looks names up.
  if (kind !== 'socks5h') {
    test('destroy() while the name of the server is looked up: the proxy is not connected to', async () => {
      const answers: ((addresses: readonly string[]) => void)[] = []
      const resolver: Resolver = (host) =>
        host === PROXY ? Promise.resolve(['127.0.0.1']) : new Promise((resolve) => void answers.push(resolve))
      const { client, proxy, at } = await stage(kind, { client: { resolver }, proxy: { answer: () => undefined } })
      const later = testClient({ pins, anchors: ca.anchorPem, proxy: optionFor(kind, proxy), resolver })
      const calls = [client, later].map((one) => refusalOf(one.fetch(at), 'ERR_TRANSPORT_CLIENT_CLOSED'))
      await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(2)
      await client.destroy()
      for (const answer of answers) answer(['127.0.0.1'])
      await expect.poll(() => proxy.requests.length, { timeout: 20_000 }).toBe(1)
      await later.destroy()
      await Promise.all(calls)
      await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
      expect(proxy.accepted).toBe(1)
    })
  }

  test('destroy() while the proxy is silent settles the call: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { client, proxy, at } = await stage(kind, { proxy: { answer: () => undefined } })
    const call = refusalOf(client.fetch(at), 'ERR_TRANSPORT_CLIENT_CLOSED')
    await expect.poll(() => proxy.requests.length, { timeout: 20_000 }).toBe(1)
    await client.destroy()
    expect((await call).requestSent).toBe('no')
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  test('a proxy that stays silent is given up: ERR_TRANSPORT_TIMEOUT, which names it', async () => {
    const { client, proxy, at } = await stage(kind, {
      client: { timeouts: { connectMs: 500 } },
      proxy: { answer: () => undefined },
    })
    const error = await refusalOf(client.fetch(at), 'ERR_TRANSPORT_TIMEOUT')
    expect(error.message).toMatch(/no tunnel through the proxy \w+:\/\/[^ ]+:\d+ within 500 ms \(timeouts\.connectMs\)/)
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  test('a proxy that is not there: ERR_TRANSPORT_PROXY_CONNECT', async () => {
    const { client, proxy, at } = await stage(kind)
    await proxy.close()
    const error = await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_CONNECT')
    expect(error).toMatchObject({ retryable: true, requestSent: 'no' })
    expect(error.message).toMatch(/: the proxy \w+:\/\/.* cannot be reached \(ERR_TRANSPORT_CONNECT\)|\(ECONNREFUSED\)/)
  })

  test('a proxy that closes: ERR_TRANSPORT_PROXY_CONNECT', async () => {
    const { client, at } = await stage(kind, { proxy: { answer: (socket) => void socket.end() } })
    const error = await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_CONNECT')
    expect(error.message).toContain('closed the connection')
  })

  test.each(['end', 'resetAndDestroy', 'destroySoon'] as const)(
    'a proxy that closes right behind its answer, by %s: ERR_TRANSPORT_CLOSED, and not once the time is up',
    async (how) => {
      const opened = kind.startsWith('socks')
        ? Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        : 'HTTP/1.1 200 Connection established\r\n\r\n'
      const { client, proxy, at } = await stage(kind, {
        client: { timeouts: { connectMs: 60_000, tlsMs: 60_000 } },
        proxy: {
          answer: (socket) => {
            socket.resume().write(opened)
            setImmediate(() => (kind === 'https' && how === 'resetAndDestroy' ? socket.destroy() : socket[how]()))
          },
        },
      })
      await refusalOf(client.fetch(at), 'ERR_TRANSPORT_CLOSED')
      await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
    },
  )

  test('a proxy that goes away amid a response: terminated by ERR_TRANSPORT_CLOSED', async () => {
    const { client, proxy, at } = await stage(kind, {
      server: { handler: (_, response) => void response.writeHead(200, { 'content-length': '9' }).write('some') },
    })
    const response = await client.fetch(at)
    const text = response.text()
    await proxy.close()
    await expect(text).rejects.toMatchObject({ cause: { code: 'ERR_TRANSPORT_CLOSED' } })
  })

  test('an http URL is refused before anybody is asked: ERR_POLICY_PLAINTEXT', async () => {
    const { client, proxy, at } = await stage(kind)
    await refusalOf(client.fetch(at.replace('https:', 'http:')), 'ERR_POLICY_PLAINTEXT')
    expect(proxy.accepted).toBe(0)
  })

  test('a proxy that puts itself in the place of the server reads nothing: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const rogue = testCa({ name: 'Corporate Proxy' })
    const { client, relay, peer, url, at, proxy } = await stage(kind)
    const interceptor = await until(startInterceptor({ target: peer, ca: rogue }))
    relay.setTarget(interceptor)
    await refusalOf(client.fetch(at, { headers: { authorization: 'Bearer secret' } }), 'ERR_TRUST_UNKNOWN_ISSUER')
    expect([interceptor.plaintext, interceptor.applicationBytes]).toEqual(['', 0])
    await expectOnlyClientHello({ relay, peer, url })
    const duped = testClient({
      anchors: [ca.anchorPem, rogue.anchorPem],
      pins,
      proxy: optionFor(kind, proxy),
      ...(kind === 'socks5h' ? { resolver: undefined } : {}),
    } as unknown as ClientOptions)
    await refusalOf(duped.fetch(at), 'ERR_TRUST_PIN_MISMATCH')
    expect(interceptor.plaintext).toBe('')
  })
})

const ok: TestHandler = (_, response) => response.end('ok')

async function startHttp2({ chain, keyPem }: TestCertificate) {
  const cert = chain.map(certificatePem).join('')
  const http2 = createSecureServer({ cert, key: keyPem }, (_, response) => response.end('h2'))
  const sessions = new Set<{ destroy(): void }>()
  http2.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const session of sessions) session.destroy()
    http2.close()
  })
  const address = http2.address()
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
}
