import { type Answer, decode, encode, type Packet } from 'dns-packet'
import { createTestRuntime, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { startTlsServer } from '../../src/testing/tls-server.ts'
import { dohResolver } from '../../src/transport/doh.ts'
import type { Resolver } from '../../src/transport/resolvers.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const DNS = 'dns.example.net'
const HOST = 'api.example.com'
const ca = testCa()
const identity = ca.issue({ names: [DNS] })
const context = { emit: () => undefined }

/** A zone, as a DNS over HTTPS server of another implementation answers it. */
type Zone = (name: string, type: string) => Partial<Packet> | undefined

const answering =
  (zone: Zone): TestHandler =>
  ({ body }, response) => {
    const query = decode(Buffer.from(body))
    const [question = { name: '', type: 'A' as const }] = query.questions ?? []
    const bytes = encode({
      type: 'response',
      id: query.id ?? 0,
      questions: [question],
      ...zone(question.name, question.type),
    })
    response.writeHead(200, { 'content-type': 'application/dns-message' }).end(bytes)
  }

const addresses =
  (ttl: number): Zone =>
  (name, type): { readonly answers: Answer[] } => ({
    answers:
      type === 'A'
        ? [{ type, name, data: '127.0.0.1', ttl }]
        : [{ type: 'AAAA', name, data: '2001:db8::1', ttl: ttl + 1 }],
  })

async function start(handler: TestHandler) {
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({ pins: { [DNS]: [identity.pin] }, anchors: ca.anchorPem })
  const runtime = createTestRuntime()
  const url = `https://${DNS}:${peer.port}/dns-query`
  const resolver = dohResolver({ client, url, runtime })
  return { peer, client, url, runtime, resolve: (host: string) => resolver(host, context) }
}

describe('a name', () => {
  test('is asked for by POST, in both address families, over a pinned connection', async () => {
    const { peer, resolve } = await start(answering(addresses(60)))
    expect(await resolve(HOST)).toEqual(['2001:db8::1', '127.0.0.1'])
    expect(peer.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /dns-query', 'POST /dns-query'])
    for (const { headers } of peer.requests) {
      expect(headers).toMatchObject({ 'content-type': 'application/dns-message', accept: 'application/dns-message' })
    }
    expect(peer.requests.map(({ body }) => decode(Buffer.from(body)).questions?.[0]?.type).sort()).toEqual([
      'A',
      'AAAA',
    ])
  })

  test('is asked for once, however many wait for it', async () => {
    const { peer, resolve } = await start(answering(addresses(60)))
    await Promise.all(Array.from({ length: 20 }, () => resolve(HOST)))
    expect(peer.requests.length).toBe(2)
  })

  test.each([
    [0, 30],
    [60, 60],
    [86_400, 3_600],
    [2 ** 31 - 2, 3_600],
    [2 ** 31, 30],
  ])('whose answer says %i seconds is kept for %i', async (ttl, seconds) => {
    const { peer, resolve, runtime } = await start(answering(addresses(ttl)))
    await resolve(HOST)
    await runtime.advance(seconds * 1_000 - 1)
    await resolve(HOST)
    expect(peer.requests.length).toBe(2)
    await runtime.advance(1)
    await resolve(HOST)
    expect(peer.requests.length).toBe(4)
  })

  test('without addresses is not asked for again for 30 seconds', async () => {
    const { peer, resolve, runtime } = await start(answering(() => ({ flags: 3 })))
    expect(await resolve(HOST)).toEqual([])
    await runtime.advance(29_999)
    expect(await resolve(HOST)).toEqual([])
    expect(peer.requests.length).toBe(2)
    await runtime.advance(1)
    await resolve(HOST)
    expect(peer.requests.length).toBe(4)
  })

  test('is forgotten when 1,000 others came after it', async () => {
    const { peer, resolve } = await start(answering(addresses(3_600)))
    for (let at = 0; at <= 1_000; at += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, more) => resolve(`n${at + more}.example.com`))) // 20 connections
    }
    const before = peer.requests.length
    await resolve('n1009.example.com')
    expect(peer.requests.length).toBe(before)
    await resolve('n0.example.com')
    expect(peer.requests.length).toBe(before + 2)
  })
})

describe('refused with ERR_TRANSPORT_RESOLVE, and asked for again at the next call', () => {
  test.each<[string, TestHandler]>([
    ['status 500, text/plain', (_, response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('x')],
    ['status 200, text/html', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('x')],
    ['status 200, no content type', (_, response) => response.writeHead(200).end('x')],
    [
      'cut short',
      (_, response) => response.writeHead(200, { 'content-type': 'application/dns-message' }).end(Buffer.alloc(5)),
    ],
    [
      'more than 65535 bytes',
      (_, response) => response.writeHead(200, { 'content-type': 'application/dns-message' }).end(Buffer.alloc(65_536)),
    ],
    ['RCODE 2', answering(() => ({ flags: 2 }))],
    ['truncated', answering(() => ({ flags: 1 << 9 }))],
    ['not a response to this query', answering(() => ({ id: 1 }))],
    ['the answer to another question', answering(() => ({ questions: [{ type: 'A', name: 'evil.example.com' }] }))],
    ['ERR_POLICY_REDIRECT', (_, response) => response.writeHead(302, { location: '/x' }).end()],
  ])('%s', async (reason, handler) => {
    const { peer, resolve } = await start(handler)
    const error = await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    expect(error.message).toContain(reason)
    expect(error).toMatchObject({ host: HOST, requestSent: 'no' })
    const before = peer.requests.length
    await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    expect(peer.requests.length).toBeGreaterThan(before)
  })

  test('a server with another key: its answers are not read', async () => {
    const peer = await until(
      startTlsServer({ identity: ca.issue({ names: [DNS] }), handler: answering(addresses(60)) }),
    )
    const client = testClient({ pins: { [DNS]: [identity.pin] }, anchors: ca.anchorPem })
    const resolver = dohResolver({ client, url: `https://${DNS}:${peer.port}/` })
    const error = await refusalOf(resolver(HOST, context), 'ERR_TRANSPORT_RESOLVE')
    expect(error.cause).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
    expect(peer.requests.length).toBe(0)
  })

  test('no answer within the time', async () => {
    const { resolve, runtime, peer } = await start(() => undefined)
    const refusal = refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    await expect.poll(() => peer.requests.length, { timeout: 10_000 }).toBe(2)
    await runtime.advance(5_000)
    expect((await refusal).message).toContain('no answer within 5000 ms')
    expect(runtime.pendingTimers).toBe(0)
  })
})

test('a client resolves through it', async () => {
  const { url, client: dns } = await start(answering((name, type) => (type === 'A' ? addresses(60)(name, type) : {})))
  const server = ca.issue({ names: [HOST] })
  const api = await until(startTlsServer({ identity: server }))
  const client = testClient({
    pins: { [HOST]: [server.pin] },
    anchors: ca.anchorPem,
    resolver: dohResolver({ client: dns, url }),
  })
  expect((await client.fetch(`https://${HOST}:${api.port}/`)).status).toBe(200)
})

describe('a resolver that would ask itself', () => {
  test('does not answer for its own server: ERR_CONFIG_INVALID', async () => {
    const { resolve } = await start(answering(addresses(60)))
    const error = await refusalOf(resolve(DNS), 'ERR_CONFIG_INVALID')
    expect(error.message).toContain('its own address')
  })

  test('ends at once where its client was given it: ERR_CONFIG_INVALID', async () => {
    const late: { resolver?: Resolver } = {}
    const client = testClient({
      pins: { [DNS]: [identity.pin] },
      anchors: ca.anchorPem,
      resolver: async (host) => (await late.resolver?.(host, context)) ?? [],
    })
    late.resolver = dohResolver({ client, url: `https://${DNS}/dns-query` })
    await refusalOf(late.resolver(HOST, context), 'ERR_CONFIG_INVALID')
  })
})

test.each(['http://dns.example.net/', 'https://user:word@dns.example.net/', 'dns.example.net', ''])(
  'a URL of %j: ERR_CONFIG_URL',
  (url) => {
    expect(() => dohResolver({ client: { fetch }, url })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_URL' }))
  },
)
