import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer as createHttp2Server } from 'node:http2'
import { get } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { ClientOptions } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import {
  createTestRuntime,
  ocspResponse,
  startProxy,
  startTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { TrustError } from '../../src/errors/errors.ts'
import type { ClientEvent, EventOf } from '../../src/events/events.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startTestPins } from '../support/pins.ts'
import { settled } from '../support/scene.ts'
import { next, ok, server as raw, type Setting, start } from './raw-stage.ts'
import { closing } from './session-stage.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const backup = ca.issue({ names: [HOST] })
const PINS = { [HOST]: [server.pin, backup.pin] }

type Told = EventOf<'tls.handshake'>

/** A client, and what it tells of each handshake. */
function watched(options: Partial<ClientOptions> = {}) {
  const client = testClient({ pins: PINS, anchors: ca.anchorPem, ...options } as ClientOptions)
  const told: Told[] = []
  client.on('tls.handshake', (event) => told.push(event))
  return { client, told }
}

async function against(options: Partial<TlsServerOptions> = {}, of: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity: server, handler: closing, ...options }))
  return { peer, url: `https://${HOST}:${peer.port}/`, host: `${HOST}:${peer.port}`, ...watched(of) }
}

/** A server that speaks no TLS. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<number> {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => void listener.close())
  const address = listener.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The one that was told. */
function only(told: readonly Told[]): Told {
  expect(told).toHaveLength(1)
  const [event] = told
  if (event === undefined) throw new Error('nothing was told')
  return event
}

const same = (der: Uint8Array | undefined, other: { readonly der: Uint8Array }): boolean =>
  der !== undefined && Buffer.compare(der, other.der) === 0

describe('an attempt at a connection is told once', () => {
  test('where it was accepted: with what its verdict rests on, where it arrived and how long it took', async () => {
    const { client, told, url, host } = await against()
    expect((await client.fetch(url)).status).toBe(200)
    const { timings, presented, ...event } = only(told)
    expect(event).toEqual({
      type: 'tls.handshake',
      host,
      at: expect.any(Number),
      outcome: 'accepted',
      findings: [],
      chain: [
        expect.objectContaining({ position: 'endEntity', spki: server.pin }),
        expect.objectContaining({ position: 'intermediate' }),
        expect.objectContaining({ position: 'anchor' }),
      ],
      pins: { considered: [server.pin, backup.pin], matched: [server.pin] },
      policy: { generation: expect.any(String), source: 'code', mode: 'enforce', manifestVersion: 0 },
      revocation: { status: expect.any(String), causes: expect.any(Array) },
      address: '127.0.0.1',
      addresses: ['127.0.0.1'],
      connection: {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_256_GCM_SHA384',
        group: expect.any(String),
        resumed: false,
      },
    })
    expect(same(presented[0], server)).toBe(true)
    const { lookupMs = -1, connectMs = -1, tlsMs = -1, verdictMs = -1, totalMs } = timings
    expect(Math.min(lookupMs, connectMs, tlsMs, verdictMs)).toBeGreaterThanOrEqual(0)
    expect(verdictMs).toBeLessThanOrEqual(tlsMs)
    expect(lookupMs + connectMs + tlsMs).toBeLessThanOrEqual(totalMs)
  })

  test('and one for each of several connections, none for a request on one that is kept', async () => {
    const { client, told, url } = await against({ handler: (_, response) => response.end('ok') })
    await (await client.fetch(url)).text()
    await (await client.fetch(url)).text()
    expect(told).toHaveLength(1)
    await Promise.all(Array.from({ length: 5 }, async () => (await client.fetch(url)).text()))
    expect(told.length).toBeGreaterThan(1)
    expect(told.map(({ outcome }) => outcome)).toEqual(told.map(() => 'accepted'))
  })

  const stranger = testCa({ name: 'Stranger' }).issue({ names: [HOST] })
  const DAY_MS = 86_400_000
  test.each([
    { what: 'no pin matches', code: 'ERR_TRUST_PIN_MISMATCH', identity: ca.issue({ names: [HOST] }), chain: 3 },
    {
      what: 'the certificate has expired',
      code: 'ERR_TRUST_CERT_EXPIRED',
      identity: ca.issue({
        names: [HOST],
        key: server.key,
        notBefore: Date.now() - 9 * DAY_MS,
        notAfter: Date.now() - DAY_MS,
      }),
      chain: 0,
    },
    {
      what: 'it names another host',
      code: 'ERR_TRUST_NAME_MISMATCH',
      identity: ca.issue({ names: ['other.example.com'], key: server.key }),
      chain: 3,
      matched: [server.pin],
    },
    { what: 'no anchor issued it', code: 'ERR_TRUST_UNKNOWN_ISSUER', identity: stranger, chain: 0 },
    {
      what: 'the staple says that it was revoked',
      code: 'ERR_TRUST_CERT_REVOKED',
      identity: server,
      staple: ocspResponse({ certificate: server, status: 'revoked', now: Date.now() }),
      chain: 3,
      matched: [server.pin],
    },
  ] as const)('where $what: refused, $code', async ({ code, identity, chain, ...more }) => {
    const { staple, matched = [] } = more as { readonly staple?: Uint8Array; readonly matched?: readonly string[] }
    const { client, told, url, host } = await against({
      identity,
      ...(staple === undefined ? {} : { ocspResponse: staple }),
    })
    await refusalOf(client.fetch(url), code)
    const event = only(told)
    expect(event).toMatchObject({ host, outcome: 'refused', code, address: '127.0.0.1', addresses: ['127.0.0.1'] })
    expect(event.findings[0]?.code).toBe(code)
    expect(event.chain).toHaveLength(chain)
    expect(same(event.presented[0], identity)).toBe(true)
    expect(event.staple).toEqual(staple)
    expect(event.pins).toEqual({ considered: [server.pin, backup.pin], matched })
    expect(event.connection).toBeUndefined() // the handshake was not finished
    expect(Object.keys(event.timings).sort()).toEqual(['connectMs', 'lookupMs', 'totalMs', 'verdictMs'])
  })

  test('where report mode let it through: reported, with the code', async () => {
    const { client, told, url } = await against({ identity: ca.issue({ names: [HOST] }) }, { mode: 'report' })
    expect((await client.fetch(url)).status).toBe(200)
    const event = only(told)
    expect(event).toMatchObject({ outcome: 'reported', code: 'ERR_TRUST_PIN_MISMATCH', policy: { mode: 'report' } })
    expect(event.findings.map(({ code }) => code)).toEqual(['ERR_TRUST_PIN_MISMATCH'])
    expect(event.pins.matched).toEqual([])
    expect(event.connection?.protocol).toBe('TLSv1.3')
  })

  test('where the server ended it with an alert: failed, ERR_TLS_VERSION, and nothing was shown', async () => {
    const { client, told, url } = await against({ maxVersion: 'TLSv1.2' })
    await refusalOf(client.fetch(url), 'ERR_TLS_VERSION')
    expect(only(told)).toMatchObject({
      outcome: 'failed',
      code: 'ERR_TLS_VERSION',
      findings: [],
      chain: [],
      presented: [],
      pins: { considered: [server.pin, backup.pin], matched: [] },
      address: '127.0.0.1',
    })
  })

  test('where nobody listens: failed, ERR_TRANSPORT_CONNECT, with the address that was tried', async () => {
    const { client, told } = watched()
    await refusalOf(client.fetch(`https://${HOST}:${await freePort()}/`), 'ERR_TRANSPORT_CONNECT')
    const event = only(told)
    expect(event).toMatchObject({ outcome: 'failed', code: 'ERR_TRANSPORT_CONNECT', address: '127.0.0.1' })
    expect(Object.keys(event.timings).sort()).toEqual(['lookupMs', 'totalMs'])
  })

  test('where it was reset in the handshake: failed, ERR_TRANSPORT_CLOSED', async () => {
    const port = await rawServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const { client, told } = watched()
    await refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRANSPORT_CLOSED')
    const event = only(told)
    expect(event).toMatchObject({ outcome: 'failed', code: 'ERR_TRANSPORT_CLOSED', address: '127.0.0.1' })
    expect(Object.keys(event.timings).sort()).toEqual(['connectMs', 'lookupMs', 'totalMs'])
  })

  test('where the server says nothing: failed, ERR_TRANSPORT_TIMEOUT, after as long as it took', async () => {
    const port = await rawServer(() => undefined)
    const runtime = createTestRuntime({ now: Date.now() })
    const { client, told } = watched({ runtime, timeouts: { tlsMs: 4_000 } })
    await settled(refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRANSPORT_TIMEOUT'), runtime)
    const event = only(told)
    expect(event).toMatchObject({ outcome: 'failed', code: 'ERR_TRANSPORT_TIMEOUT', address: '127.0.0.1' })
    expect(event.timings.totalMs).toBeGreaterThanOrEqual(4_000)
  })

  test('where the name does not resolve: failed, ERR_TRANSPORT_RESOLVE, and no address', async () => {
    const { client, told } = watched({ resolver: async () => [] })
    await refusalOf(client.fetch(`https://${HOST}/`), 'ERR_TRANSPORT_RESOLVE')
    const { timings, ...event } = only(told)
    expect(event).toMatchObject({ host: HOST, outcome: 'failed', code: 'ERR_TRANSPORT_RESOLVE', addresses: [] })
    expect(event).not.toHaveProperty('address')
    expect(timings).not.toHaveProperty('connectMs')
  })

  test('where it resolves to what may not be connected to: failed, ERR_POLICY_ADDRESS_DENIED, and the answer', async () => {
    const { client, told } = watched({ addresses: { private: 'refuse' } })
    await refusalOf(client.fetch(`https://${HOST}/`), 'ERR_POLICY_ADDRESS_DENIED')
    const event = only(told)
    expect(event).toMatchObject({ outcome: 'failed', code: 'ERR_POLICY_ADDRESS_DENIED', addresses: ['127.0.0.1'] })
    expect(event).not.toHaveProperty('address')
  })

  test('where the first of two addresses is dead: all that were answered, and the one where it arrived', async () => {
    const resolver = async (): Promise<readonly string[]> => ['127.0.0.2', '127.0.0.1']
    const { client, told, url } = await against({}, { resolver })
    expect((await client.fetch(url)).status).toBe(200)
    expect(only(told)).toMatchObject({ address: '127.0.0.1', addresses: ['127.0.0.2', '127.0.0.1'] })
  })

  test('where the client ends meanwhile: failed, ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    let hasArrived = false
    const port = await rawServer((socket) =>
      socket.once('data', () => {
        hasArrived = true
      }),
    )
    const { client, told } = watched()
    const call = refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRANSPORT_CLIENT_CLOSED')
    await expect.poll(() => hasArrived).toBe(true)
    await client.destroy()
    await call
    expect(only(told)).toMatchObject({ outcome: 'failed', code: 'ERR_TRANSPORT_CLIENT_CLOSED', presented: [] })
  })

  test('but not of a host without a policy: nothing was tried', async () => {
    const { client, told } = watched()
    await refusalOf(client.fetch('https://elsewhere.example.com/'), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(told).toEqual([])
  })
})

describe('what is known of the connection', () => {
  test('a resumed one shows what was shown when its session began', async () => {
    const { client, told, url } = await against()
    for (let at = 0; at < 2; at += 1) await (await client.fetch(url)).text()
    expect(told.map(({ outcome, connection }) => [outcome, connection?.resumed])).toEqual([
      ['accepted', false],
      ['accepted', true],
    ])
    expect(told[1]?.presented).toEqual(told[0]?.presented)
    expect(told[1]?.chain).toBe(told[0]?.chain) // described once
    expect(told[1]?.pins.matched).toEqual([server.pin])
    expect(told[1]?.timings.verdictMs).toBeGreaterThanOrEqual(0)
  })

  test('TLS 1.2, where a host is allowed it', async () => {
    const tls12Hosts = [allowTls12(HOST, { reason: 'a test' })]
    const { client, told, url } = await against({ maxVersion: 'TLSv1.2' }, { tls12Hosts })
    expect((await client.fetch(url)).status).toBe(200)
    expect(only(told).connection).toMatchObject({ protocol: 'TLSv1.2', cipher: expect.stringMatching(/^TLS_ECDHE_/) })
  })

  test('the staple that came with it', async () => {
    const staple = ocspResponse({ certificate: server, now: Date.now() })
    const { client, told, url } = await against({ ocspResponse: staple })
    expect((await client.fetch(url)).status).toBe(200)
    expect(only(told)).toMatchObject({ staple, revocation: { status: 'good', source: expect.any(String), causes: [] } })
  })

  test('HTTP/2: one for the connection of many requests', async () => {
    const speaker = createHttp2Server((_, response) => void response.end('ok'))
    const onSocket = (socket: TLSSocket): void => void speaker.emit('connection', socket)
    const { client, told, url } = await against({ alpn: ['h2'], onSocket }, { http2: 'require' })
    await Promise.all(Array.from({ length: 5 }, async () => (await client.fetch(url)).text()))
    expect(only(told).outcome).toBe('accepted')
    const other = await against({ alpn: ['http/1.1'] }, { http2: 'require' })
    await refusalOf(other.client.fetch(other.url), 'ERR_TLS_ALPN')
    expect(only(other.told)).toMatchObject({ outcome: 'failed', code: 'ERR_TLS_ALPN', chain: [] })
  })
})

describe('through a proxy', () => {
  test('it says which, without credentials, and where that is; the resolver answered nothing', async () => {
    const peer = await until(startTlsServer({ identity: server }))
    const proxy = await until(startProxy({ credentials: { username: 'user', password: 'hunter2' } }))
    const { client, told } = watched({ proxy: `http://user:hunter2@127.0.0.1:${proxy.port}` })
    expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
    const event = only(told)
    const text = `http://127.0.0.1:${proxy.port}`
    expect(event).toMatchObject({ outcome: 'accepted', proxy: text, address: '127.0.0.1', addresses: [] })
    expect(event.timings).toMatchObject({ connectMs: expect.any(Number), tlsMs: expect.any(Number) })
    expect(event.timings).not.toHaveProperty('lookupMs')
    expect(textOf(event)).not.toMatch(/hunter2|user/)
  })

  test('one that makes no tunnel: failed, ERR_TRANSPORT_PROXY_DENIED', async () => {
    const answer = (socket: Socket): void => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const proxy = await until(startProxy({ answer }))
    const { client, told } = watched({ proxy: `http://127.0.0.1:${proxy.port}` })
    await refusalOf(client.fetch(`https://${HOST}/`), 'ERR_TRANSPORT_PROXY_DENIED')
    expect(only(told)).toMatchObject({ outcome: 'failed', proxy: `http://127.0.0.1:${proxy.port}`, presented: [] })
  })

  test('one that cannot be reached: failed, ERR_TRANSPORT_PROXY_CONNECT', async () => {
    const { client, told } = watched({ proxy: `http://127.0.0.1:${await freePort()}` })
    await refusalOf(client.fetch(`https://${HOST}/`), 'ERR_TRANSPORT_PROXY_CONNECT')
    expect(only(told)).toMatchObject({ host: HOST, outcome: 'failed', code: 'ERR_TRANSPORT_PROXY_CONNECT' })
  })

  test('one that is reached by TLS is told by itself, then what goes through it; refused, both', async () => {
    const peer = await until(startTlsServer({ identity: server }))
    const identity = ca.issue({ ips: ['127.0.0.1'] })
    const proxy = await until(startProxy({ identity }))
    const at = `127.0.0.1:${proxy.port}`
    const { client, told } = watched({ proxy: { url: `https://${at}`, pins: [identity.pin] } })
    expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
    expect(told.map(({ host, outcome, proxy }) => [host, outcome, proxy])).toEqual([
      [at, 'accepted', undefined],
      [`${HOST}:${peer.port}`, 'accepted', `https://${at}`],
    ])
    const wrong = watched({ proxy: { url: `https://${at}`, pins: [server.pin] } })
    await refusalOf(wrong.client.fetch(`https://${HOST}:${peer.port}/`), 'ERR_TRUST_PIN_MISMATCH')
    expect(wrong.told.map(({ host, outcome, chain }) => [host, outcome, chain.length])).toEqual([
      [at, 'refused', 3],
      [`${HOST}:${peer.port}`, 'refused', 0],
    ])
  })
})

describe('whoever asked for it', () => {
  test('the agent of node:https', async () => {
    const { client, told, url } = await against()
    const call = get(url, { agent: client.agent })
    const [response] = await once(call, 'response')
    response.resume()
    expect(only(told)).toMatchObject({ outcome: 'accepted', address: '127.0.0.1' })
  })

  test('client.connect; one that is given up is failed, ERR_TRANSPORT_CLOSED', async () => {
    const { client, told, peer } = await against({ onSocket: () => undefined })
    const socket = await client.connect({ host: HOST, port: peer.port })
    socket.destroy()
    expect(only(told).outcome).toBe('accepted')
    const gone = new AbortController()
    const port = await rawServer(() => gone.abort())
    await expect(client.connect({ host: HOST, port }, { signal: gone.signal })).rejects.toThrow('aborted')
    expect(told.slice(1)).toEqual([expect.objectContaining({ outcome: 'failed', code: 'ERR_TRANSPORT_CLOSED' })])
  })

  test('client.dispatcher', async () => {
    const { client, told, url } = await against()
    const { body } = await client.dispatcher.request({ origin: new URL(url).origin, path: '/', method: 'GET' })
    await body.dump()
    expect(only(told).outcome).toBe('accepted')
  })

  test('who connects with client.tlsOptions: the verdict, and nothing of what this client does not see', async () => {
    const { client, told, peer } = await against({ onSocket: () => undefined })
    const target = { host: HOST, port: peer.port }
    const options = { ...client.tlsOptions(target), lookup: undefined, host: '127.0.0.1' }
    const socket = connect(options)
    await once(socket, 'secureConnect')
    socket.destroy()
    const event = only(told)
    expect(event).toMatchObject({ host: `${HOST}:${peer.port}`, outcome: 'accepted', addresses: [] })
    expect(event.pins.matched).toEqual([server.pin])
    expect(event).not.toHaveProperty('address')
    expect(event).not.toHaveProperty('connection')
    expect(Object.keys(event.timings).sort()).toEqual(['totalMs', 'verdictMs'])

    peer.setIdentity(ca.issue({ names: [HOST] }))
    const [error] = await once(connect(options), 'error')
    expect(error).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
    expect(told[1]).toMatchObject({ outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH', pins: { matched: [] } })
    expect(told).toHaveLength(2)
  })

  test('the manifest’s own connection comes first, under its bootstrap policy', async () => {
    const pins = await startTestPins({ ca, name: 'pins.example.com', hosts: PINS })
    const peer = await until(startTlsServer({ identity: server }))
    const { client, told } = watched({ manifest: pins.manifest, pins: {} })
    await client.ready()
    expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
    expect(told.map(({ host, policy }) => [host, policy.source, policy.manifestVersion, policy.rootVersion])).toEqual([
      [`pins.example.com:${pins.server.port}`, 'bootstrap', 0, undefined],
      [`${HOST}:${peer.port}`, 'manifest', 1, 1],
    ])
  })
})

describe('a connection in use that the policy in force refuses is told once more, as cut', () => {
  const WATCHED = { hasListeners: () => true }
  const cuts = (events: readonly ClientEvent[]) =>
    events.filter((event) => event.type === 'tls.handshake').filter((event) => event.cut === true)

  test('where its pin is gone: refused, ERR_TRUST_PIN_MISMATCH, with the path that it had', async () => {
    const { send, setPolicy, events, origin } = await start(WATCHED)
    await send()
    setPolicy([next.pin, raw.pin])
    expect(cuts(events)).toEqual([])
    setPolicy([next.pin])
    const [event] = cuts(events)
    expect(event).toMatchObject({
      host: origin.text,
      outcome: 'refused',
      code: 'ERR_TRUST_PIN_MISMATCH',
      pins: { considered: [next.pin], matched: [] },
      address: '127.0.0.1',
      addresses: [],
      connection: { protocol: 'TLSv1.3', resumed: false },
      timings: { totalMs: expect.any(Number) },
    })
    expect(event?.chain[0]?.spki).toBe(raw.pin)
    expect(same(event?.presented[0], raw)).toBe(true)
  })

  test('once, however often it is judged again while it finishes', async () => {
    let answer = (): void => undefined
    const reply: Setting['reply'] = (socket) => {
      answer = () => ok(socket)
    }
    const { send, setPolicy, events, heads } = await start({ ...WATCHED, reply })
    const call = send()
    await expect.poll(() => heads.length).toBe(1)
    setPolicy([next.pin])
    setPolicy([next.pin], { maxConnections: 9 })
    expect(cuts(events)).toHaveLength(1)
    answer()
    expect(await call).toMatchObject({ status: 200 })
  })

  test('where its version of TLS is no longer allowed: refused, ERR_TLS_VERSION', async () => {
    const policy = { minTlsVersion: '1.2' } as const
    const { send, setPolicy, events } = await start({ ...WATCHED, maxVersion: 'TLSv1.2', policy })
    await send()
    setPolicy([raw.pin])
    expect(cuts(events).map(({ outcome, code }) => [outcome, code])).toEqual([['refused', 'ERR_TLS_VERSION']])
  })

  test('where nothing covers its host any longer: by the policy that it was accepted under', async () => {
    const { send, setPolicy, events, dispatcher, origin } = await start(WATCHED)
    await send()
    await dispatcher.lent.lend(origin)
    setPolicy(new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone'))
    expect(cuts(events).map(({ outcome, code, pins }) => [outcome, code, pins.matched])).toEqual([
      ['refused', 'ERR_TRUST_NO_TRUSTED_MANIFEST', [raw.pin]],
      ['refused', 'ERR_TRUST_NO_TRUSTED_MANIFEST', [raw.pin]],
    ])
  })

  test('also one in other hands', async () => {
    const { setPolicy, events, dispatcher, origin } = await start(WATCHED)
    const socket = await dispatcher.lent.lend(origin, { onRefused: () => undefined })
    setPolicy([next.pin])
    setPolicy([next.pin], { maxConnections: 9 })
    expect(dispatcher.lent.isCurrent(socket)).toBe(false)
    expect(cuts(events).map(({ code }) => code)).toEqual(['ERR_TRUST_PIN_MISMATCH'])
  })

  test('and nothing is gathered where nobody listens', async () => {
    const { send, setPolicy, events } = await start()
    await send()
    setPolicy([next.pin])
    expect(events.filter(({ type }) => type === 'tls.handshake' || type === 'http.exchange')).toEqual([])
  })
})

test('nothing secret is part of it: no header, no body, no credential, no session, no key', async () => {
  const { client, told, url } = await against()
  const headers = { authorization: 'Bearer s3cret-token', cookie: 'id=s3cret-cookie' }
  for (let at = 0; at < 2; at += 1) await client.fetch(url, { method: 'POST', headers, body: 's3cret-body' })
  expect(told).toHaveLength(2)
  const text = told.map(textOf).join()
  expect(text).not.toMatch(/s3cret|bearer|cookie|authorization/i)
  const known = new Set(['type', 'host', 'at', 'outcome', 'findings', 'chain', 'presented', 'pins', 'policy'])
  for (const name of ['revocation', 'address', 'addresses', 'connection', 'timings']) known.add(name)
  expect(told.flatMap((event) => Object.keys(event).filter((name) => !known.has(name)))).toEqual([])
})

/** With octets as text. */
const textOf = (event: Told): string =>
  JSON.stringify(event, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))

describe('it is told', () => {
  const LAST = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'

  /** What came first, of three connections: the record, or the request. */
  async function order(isAwaited: boolean): Promise<readonly string[]> {
    const seen: string[] = []
    const { send } = await start({
      reply: (socket) => void socket.write(LAST),
      hasListeners: () => true,
      isAwaited: () => isAwaited,
      onEvent: ({ type, ...about }) => {
        if (type === 'tls.handshake' && 'connection' in about) seen.push(about.connection?.resumed ? 'resumed' : 'full')
      },
    })
    const sent = (): void => void seen.push('request')
    subscribe('undici:client:sendHeaders', sent)
    onTestFinished(() => void unsubscribe('undici:client:sendHeaders', sent))
    for (let i = 0; i < 3; i += 1) await send()
    await vi.waitFor(() => expect(seen.length).toBe(6))
    return seen
  }

  test('before the request, to whoever may act on it', async () => {
    expect(await order(true)).toEqual(['full', 'request', 'resumed', 'request', 'resumed', 'request'])
  })

  test('after it, where a session was resumed and nobody does more than count', async () => {
    expect(await order(false)).toEqual(['full', 'request', 'request', 'resumed', 'request', 'resumed'])
  })
})
