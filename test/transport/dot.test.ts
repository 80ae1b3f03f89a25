import type { TLSSocket } from 'node:tls'
import { type Answer, decode, encode, type Packet } from 'dns-packet'
import { type ClientEvent, compareResolvers, dotResolver, staticResolver } from 'pinfetch'
import { createTestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { startTlsServer, type TlsServerOptions } from '../../src/testing/tls-server.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const DNS = 'dns.example.net'
const HOST = 'api.example.com'
const ca = testCa()
const identity = ca.issue({ names: [DNS] })
const context = { emit: () => undefined }

/** What a server does with one query: `send` puts the length before a message. */
type Handler = (query: Received, send: (message: Uint8Array) => void, socket: TLSSocket) => void
interface Received extends Packet {
  readonly octets: number
  readonly connection: number
}

const addresses =
  (ttl: number): Handler =>
  (query, send) =>
    send(answerTo(query, ttl))

/** As another implementation writes it. */
function answerTo(query: Packet, ttl = 60, more: Partial<Packet> = {}): Uint8Array {
  const { id = 0, questions: [question] = [] } = query
  const { name, type } = question ?? { name: '', type: 'A' as const }
  const answers: Answer[] =
    type === 'A'
      ? [{ type, name, data: '127.0.0.1', ttl }]
      : [{ type: 'AAAA', name, data: '2001:db8::1', ttl: ttl + 1 }]
  return encode({ type: 'response', id, questions: question === undefined ? [] : [question], answers, ...more })
}

function framed(message: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 0xff), message])
}

/** A DNS over TLS server on loopback that keeps what it was asked. */
async function start(
  handler: Handler,
  { timeoutMs, ...more }: Partial<TlsServerOptions> & { timeoutMs?: number } = {},
) {
  const queries: Received[] = []
  const peer = await until(
    startTlsServer({
      identity,
      alpn: ['dot'],
      onSocket: (socket, { number }) => {
        let bytes = Buffer.alloc(0)
        socket.on('data', (chunk: Buffer) => {
          bytes = Buffer.concat([bytes, chunk])
          while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE()) {
            const octets = bytes.readUInt16BE()
            const query = { ...decode(bytes.subarray(2, 2 + octets)), octets, connection: number }
            bytes = bytes.subarray(2 + octets)
            queries.push(query)
            handler(query, (message) => socket.write(framed(message)), socket)
          }
        })
      },
      ...more,
    }),
  )
  const runtime = createTestRuntime({ now: Date.now() })
  const options = { host: DNS, port: peer.port, addresses: ['127.0.0.1'], pins: [identity.pin], anchors: ca.anchorPem }
  const resolver = dotResolver({ ...options, runtime, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  return { peer, queries, options, runtime, resolver, resolve: (host: string) => resolver(host, context) }
}

const closed = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : socket.once('close', () => resolve())))

describe('a name', () => {
  test('is asked for in both address families, over one pinned connection that speaks dot', async () => {
    const { peer, queries, resolve } = await start(addresses(60))
    expect(await resolve(HOST)).toEqual(['2001:db8::1', '127.0.0.1'])
    expect(queries.map(({ questions }) => questions)).toEqual([
      [{ name: HOST, type: 'AAAA', class: 'IN' }],
      [{ name: HOST, type: 'A', class: 'IN' }],
    ])
    expect(peer.connections.map(({ alpn, protocol, servername }) => [alpn, protocol, servername])).toEqual([
      ['dot', 'TLSv1.3', DNS],
    ])
  })

  test('is asked for once, however many wait for it', async () => {
    const { queries, resolve } = await start(addresses(60))
    await Promise.all(Array.from({ length: 20 }, () => resolve(HOST)))
    expect(queries.length).toBe(2)
  })

  test.each([
    [0, 30],
    [60, 60],
    [86_400, 3_600],
  ])('whose answer says %i seconds is kept for %i', async (ttl, seconds) => {
    const { queries, resolve, runtime } = await start(addresses(ttl))
    await resolve(HOST)
    await runtime.advance(seconds * 1_000 - 1)
    await resolve(HOST)
    expect(queries.length).toBe(2)
    await runtime.advance(1)
    await resolve(HOST)
    expect(queries.length).toBe(4)
  })

  test('hides its length: every query has 128 octets, or as many more', async () => {
    const { queries, resolve } = await start(addresses(60))
    const names = ['a.example', HOST, `${'x'.repeat(60)}.example.com`, `${'y'.repeat(63)}.${'z'.repeat(63)}.example`]
    for (const name of names) await resolve(name)
    expect(queries.map(({ octets }) => octets)).toEqual([128, 128, 128, 128, 128, 128, 256, 256])
    for (const { additionals = [] } of queries) {
      expect(additionals).toMatchObject([{ type: 'OPT', ednsVersion: 0, extendedRcode: 0, options: [{ code: 12 }] }])
    }
  })
})

describe('one connection', () => {
  test('carries the queries of many names at once, answered in any order', async () => {
    const held: (() => void)[] = []
    const { peer, queries, resolve } = await start((query, send) => {
      held.push(() => send(answerTo(query)))
      if (held.length === 100) for (const answer of held.reverse()) answer()
    })
    const names = Array.from({ length: 50 }, (_, at) => `n${at}.example.com`)
    const found = await Promise.all(names.map(resolve))
    expect(found).toEqual(names.map(() => ['2001:db8::1', '127.0.0.1']))
    expect(peer.connections.length).toBe(1)
    expect(new Set(queries.map(({ id }) => id)).size).toBe(100)
  })

  test('reads answers that arrive octet by octet, and several at once', async () => {
    const { resolve } = await start((query, _send, socket) => {
      const bytes = framed(answerTo(query))
      if (query.questions?.[0]?.type === 'AAAA') for (const octet of bytes) socket.write(Uint8Array.of(octet))
      else socket.write(Buffer.concat([framed(answerTo({ ...query, id: 4_711 })), bytes]))
    })
    expect(await resolve(HOST)).toEqual(['2001:db8::1', '127.0.0.1'])
  })

  test('is closed after ten idle seconds, and the next name opens another one', async () => {
    const { peer, resolve, runtime } = await start(addresses(3_600))
    await resolve(HOST)
    await runtime.advance(9_999)
    await resolve('b.example.com')
    expect(peer.connections.length).toBe(1)
    await runtime.advance(10_000)
    await closed(peer.connections[0]?.socket as TLSSocket)
    await resolve('c.example.com')
    expect(peer.connections.length).toBe(2)
    expect(runtime.pendingTimers).toBe(1)
  })

  test('that is ten minutes old takes no further query', async () => {
    const { peer, resolve, runtime } = await start(addresses(3_600))
    for (let at = 0; at <= 66; at += 1) {
      await resolve(`n${at}.example.com`)
      await runtime.advance(9_000)
    }
    expect(peer.connections.length).toBe(1)
    await resolve(HOST)
    expect(peer.connections.length).toBe(2)
  })

  test('whose certificate has expired since takes no further query', async () => {
    const { peer, queries, resolve, runtime } = await start(addresses(3_600))
    await resolve(HOST)
    runtime.setWall(Date.now() + 10 * 365 * 86_400_000)
    const error = await refusalOf(resolve('b.example.com'), 'ERR_TRANSPORT_RESOLVE')
    expect(error.cause).toMatchObject({ code: 'ERR_TRUST_CERT_EXPIRED' })
    expect(queries.length).toBe(2)
    expect(peer.accepted).toBe(2)
  })

  test('that the server closed is replaced, and what was under way is asked again', async () => {
    const { peer, queries, resolve } = await start((query, send, socket) => {
      if (query.connection === 0 && query.questions?.[0]?.name === 'b.example.com') socket.destroy()
      else send(answerTo(query))
    })
    await resolve(HOST)
    expect(await resolve('b.example.com')).toEqual(['2001:db8::1', '127.0.0.1'])
    expect(peer.connections.length).toBe(2)
    expect(queries.filter(({ connection }) => connection === 1).length).toBe(2)
  })

  test('on which a query got no answer in time, and nothing else either, takes no further one', async () => {
    const { peer, queries, resolve, runtime } = await start((query, send) => {
      if (query.connection > 0) send(answerTo(query))
    })
    const refusal = refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    await expect.poll(() => queries.length, { timeout: 10_000 }).toBe(2)
    await runtime.advance(5_000)
    expect((await refusal).message).toContain('no answer within 5000 ms')
    expect(await resolve(HOST)).toEqual(['2001:db8::1', '127.0.0.1'])
    expect(peer.connections.length).toBe(2)
  })
})

describe('refused with ERR_TRANSPORT_RESOLVE, and asked for again at the next call', () => {
  test.each<[string, Handler]>([
    ['cut short', (query, send) => send(answerTo(query).subarray(0, 20))],
    ['a message that is shorter than its header', (_, send) => send(new Uint8Array(11))],
    ['a message that is shorter than its header', (_, send) => send(new Uint8Array(0))],
    ['RCODE 2', (query, send) => send(answerTo(query, 60, { flags: 2 }))],
    ['truncated', (query, send) => send(answerTo(query, 60, { flags: 1 << 9 }))],
    ['not a response to this query', (query, send) => send(encode({ ...query, type: 'query' }))],
    [
      'the answer to another question',
      (query, send) => send(answerTo(query, 60, { questions: [{ type: 'A', name: 'evil.example.com' }] })),
    ],
    ['closed without an answer', (_query, _send, socket) => socket.destroy()],
    ['closed without an answer', (_query, _send, socket) => socket.end(Uint8Array.of(1, 0, 7))],
  ])('%s', async (reason, handler) => {
    const { queries, resolve } = await start(handler)
    const error = await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    expect(error.message).toContain(reason)
    expect(error).toMatchObject({ host: HOST, requestSent: 'no' })
    const before = queries.length
    await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    expect(queries.length).toBeGreaterThan(before)
  })

  test('an answer with the id of no query is nobody’s', async () => {
    const { queries, resolve, runtime } = await start((query, send) => send(answerTo({ ...query, id: 999 })))
    const refusal = refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    await expect.poll(() => queries.length, { timeout: 10_000 }).toBe(2)
    await runtime.advance(5_000)
    expect((await refusal).message).toContain('no answer within 5000 ms')
  })

  test('a server that accepts and says nothing more: no answer within the time', async () => {
    const { resolve, peer, runtime } = await start(() => undefined, { onSocket: () => undefined })
    const refusal = refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')
    await expect.poll(() => peer.connections.length, { timeout: 10_000 }).toBe(1)
    await runtime.advance(5_000)
    await refusal
  })
})

describe('the server is judged before it is asked anything', () => {
  const other = ca.issue({ names: [DNS] })
  const stranger = testCa().issue({ names: [DNS] })
  test.each([
    ['another key', other, [identity.pin], 'ERR_TRUST_PIN_MISMATCH'],
    ['another name', ca.issue({ names: ['evil.example.net'] }), undefined, 'ERR_TRUST_NAME_MISMATCH'],
    ['another CA', stranger, undefined, 'ERR_TRUST_SIGNATURE_INVALID'],
  ] as const)('%s: 0 octets of DNS, and the client that asks hears of it', async (_, shown, pins, code) => {
    const { peer, options } = await start(addresses(60), { identity: shown })
    const resolver = dotResolver({ ...options, pins: pins ?? [shown.pin] })
    const events: ClientEvent[] = []
    const error = await refusalOf(resolver(HOST, { emit: (event) => events.push(event) }), 'ERR_TRANSPORT_RESOLVE')
    expect(error.cause).toMatchObject({ name: 'TrustError', code })
    expect(peer.applicationBytes).toBe(0)
    expect(events).toMatchObject([{ type: 'tls.rejected', host: `${DNS}:${peer.port}` }])
  })

  test('TLS 1.2: ERR_TLS_VERSION', async () => {
    const { peer, resolve } = await start(addresses(60), { maxVersion: 'TLSv1.2' })
    expect((await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')).cause).toMatchObject({ code: 'ERR_TLS_VERSION' })
    expect(peer.applicationBytes).toBe(0)
  })

  test('a server that speaks HTTP instead: ERR_TLS_ALPN', async () => {
    const { resolve } = await start(addresses(60), { alpn: ['http/1.1'] })
    expect((await refusalOf(resolve(HOST), 'ERR_TRANSPORT_RESOLVE')).cause).toMatchObject({ code: 'ERR_TLS_ALPN' })
  })

  test('one without ALPN is asked: RFC 7858 does not require it', async () => {
    const { resolve } = await start(addresses(60), { alpn: [] })
    expect(await resolve(HOST)).toHaveLength(2)
  })

  test('an address as its name stands in the certificate', async () => {
    const named = ca.issue({ ips: ['127.0.0.1'] })
    const { options, peer } = await start(addresses(60), { identity: named })
    const { addresses: _, ...rest } = options
    const resolver = dotResolver({ ...rest, host: '127.0.0.1', pins: [named.pin] })
    expect(await resolver(HOST, context)).toHaveLength(2)
    expect(peer.connections[0]?.servername).toBeUndefined()
  })
})

test('a client resolves through it', async () => {
  const { resolver } = await start((query, send) =>
    send(query.questions?.[0]?.type === 'A' ? answerTo(query) : answerTo(query, 60, { answers: [] })),
  )
  const server = ca.issue({ names: [HOST] })
  const api = await until(startTlsServer({ identity: server }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, resolver })
  expect((await client.fetch(`https://${HOST}:${api.port}/`)).status).toBe(200)
})

test('compareResolvers sees that somebody forges the answers of the other resolver', async () => {
  const { resolver } = await start(addresses(60))
  const events: ClientEvent[] = []
  const poisoned = staticResolver({ [HOST]: ['192.0.2.66'] })
  const both = compareResolvers(poisoned, resolver, { disagreement: 'refuse' })
  await refusalOf(both(HOST, { emit: (event) => events.push(event) }), 'ERR_POLICY_DNS_MISMATCH')
  const told = events.filter(({ type }) => type === 'dns.mismatch')
  expect(told).toMatchObject([{ host: HOST, first: ['192.0.2.66'], second: ['2001:db8::1', '127.0.0.1'] }])
})

test.each([
  ['no host', { host: 'a b' }],
  ['no pins', { pins: [] }],
  ['a pin that is none', { pins: ['sha256/AAAA'] }],
  ['a name as an address', { addresses: ['dns.example.net'] }],
  ['a port that is none', { port: 0 }],
  ['an unknown member', { pin: identity.pin }],
  ['a runtime that is none', { runtime: { clock: null } as never }],
])('%s: ERR_CONFIG_INVALID', (_, wrong) => {
  const given = { host: DNS, pins: [identity.pin], anchors: ca.anchorPem }
  expect(() => dotResolver(given)).not.toThrow()
  expect(() => dotResolver({ ...given, ...wrong })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})
