/** Everyone else's way to make a connection, through ours: the same verdict, before anything is written. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type RequestOptions, request } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Client, type ClientOptions, tokenBucket } from 'pinfetch'
import { bearer } from 'pinfetch/auth'
import { allowTls12 } from 'pinfetch/dangerous'
import { type TestCertificate, testCa } from 'pinfetch/testing'
import { Agent as UndiciAgent, request as undiciRequest, WebSocket } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { refusalOf, testClient } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'
import { testSigner } from '../support/signing-stage.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })
const stranger = ca.issue({ names: [HOST] })
const other = ca.issue({ names: [HOST] })
const own = testCa({ name: 'Clients', intermediates: 0 }).issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
const versions = ['TLSv1.2', 'TLSv1.3'] as const

const clientWith = (options: Partial<ClientOptions> = {}): Client =>
  testClient({
    pins: { [HOST]: [pinned.pin] },
    anchors: ca.anchorPem,
    tls12Hosts: [allowTls12(HOST, { reason: 'both versions are tested' })],
    certificate: { cert: own.pem, key: own.keyPem },
    ...options,
  })

interface Answer {
  readonly status: number
  readonly text: string
}

function overHttps(
  client: Client,
  url: string,
  options: RequestOptions & { readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options
    const sent = request(url, { agent: client.agent, ...rest }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, text })
    })
    sent.once('error', reject).end(body)
  })
}

/** A request over a connection that nothing else was done with. */
async function overSocket(socket: TLSSocket): Promise<Answer> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return { status: Number(text.split(' ')[1]), text: text.includes('\r\n\r\n2\r\nok\r\n') ? 'ok' : text } // in one chunk
}

const ways = {
  dispatcher: async (client: Client, url: string): Promise<Answer> => {
    const { statusCode, body } = await undiciRequest(url, { dispatcher: client.dispatcher })
    return { status: statusCode, text: await body.text() }
  },
  agent: overHttps,
  connect: async (client: Client, url: string): Promise<Answer> => overSocket(await client.connect(url)),
}

describe.each(versions)('%s', (version) => {
  const only = { minVersion: version, maxVersion: version }

  describe.each(Object.entries(ways))('client.%s', (_, get) => {
    test('the control: the pinned server answers', async () => {
      const scene = await startScene(pinned, only)
      expect(await get(clientWith(), scene.url(HOST))).toEqual({ status: 200, text: 'ok' })
    })

    test('another key: ERR_TRUST_PIN_MISMATCH, nothing but a ClientHello is sent, the client certificate unseen', async () => {
      const scene = await startScene(stranger, { ...only, requestCert: true })
      const error = await refusalOf(get(clientWith(), scene.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
      expect(error.requestSent).toBe('no')
      await expectOnlyClientHello(scene)
    })

    test('a host without pins: ERR_TRUST_HOST_NOT_COVERED, no connection', async () => {
      const scene = await startScene(pinned, only)
      await refusalOf(get(clientWith(), scene.url('other.example')), 'ERR_TRUST_HOST_NOT_COVERED')
      expect(scene.relay.connections.length).toBe(0)
    })
  })

  test('client.tlsOptions: tls.connect of others refuses another key, before it writes anything: ERR_TRUST_PIN_MISMATCH', async () => {
    const scene = await startScene(stranger, only)
    const socket = connectTls({ ...clientWith().tlsOptions(scene.url(HOST)), host: '127.0.0.1' })
    socket.on('secureConnect', () => socket.write('never'))
    expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test('client.tlsOptions, the control: the pinned server gets what is written', async () => {
    const scene = await startScene(pinned, only)
    const socket = connectTls({ ...clientWith().tlsOptions(scene.url(HOST)), host: '127.0.0.1' })
    await once(socket, 'secureConnect')
    expect(await overSocket(socket)).toEqual({ status: 200, text: 'ok' })
  })
})

test.each(Object.entries(ways))(
  'what goes over client.%s has no token and no signature, counts for no rate, and is not tried again',
  async (_, get) => {
    const { peer, url } = await startScene(pinned, { handler: (_, response) => response.writeHead(503).end() })
    const client = clientWith({
      auth: bearer({ source: { value: 'kd83-token-Zq91mmw2' }, allowedOrigins: [new URL(url(HOST)).origin] }),
      sign: testSigner(),
      retry: { baseMs: 1, maxDelayMs: 5, maxAttempts: 2 },
      rate: [{ limit: tokenBucket({ requests: 2, perMs: 3_600_000 }) }],
    })
    for (let time = 0; time < 3; time += 1) expect((await get(client, url(HOST))).status).toBe(503)
    expect(peer.requests.map(({ headers }) => [headers.authorization, headers.signature])).toEqual(
      Array(3).fill([undefined, undefined]),
    )
    expect((await client.fetch(url(HOST))).status).toBe(503)
    const ofFetch = ['Bearer kd83-token-Zq91mmw2', expect.stringMatching(/./)]
    expect(peer.requests.slice(3).map(({ headers }) => [headers.authorization, headers.signature])).toEqual(
      Array(2).fill(ofFetch),
    )
    await refusalOf(client.fetch(url(HOST)), 'ERR_RATE_LIMITED')
  },
)

test('what was made with client.tlsOptions outlives a change of the pins; the next one is judged by it: ERR_TRUST_PIN_MISMATCH', async () => {
  const { manifest, repository } = await startTestPins({ ca, name: 'pins.example', hosts: { [HOST]: [pinned.pin] } })
  const scene = await startScene(pinned)
  const client = clientWith({ manifest, pins: {} })
  await client.ready()
  const made = (): TLSSocket => connectTls({ ...client.tlsOptions(scene.url(HOST)), host: '127.0.0.1' })
  const socket = made()
  await once(socket, 'secureConnect')
  const lent = await client.connect(scene.url(HOST))
  const ended = once(lent, 'error')
  await repository.publish({
    hosts: [{ host: HOST, mode: 'enforce', pins: [stranger, other].map(({ pin }) => ({ spki: pin })) }],
  })
  await client.manifest.refresh()
  expect((await ended)[0]).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
  expect(await overSocket(socket)).toEqual({ status: 200, text: 'ok' })
  expect((await once(made(), 'error'))[0]).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
})

describe('client.agent', () => {
  test.each<[string, RequestOptions]>([
    ['rejectUnauthorized', { rejectUnauthorized: false }],
    ['checkServerIdentity', { checkServerIdentity: () => undefined }],
    ['ca', { ca: ca.anchorPem }],
    ['cert', { cert: own.pem }],
    ['key', { key: own.keyPem }],
    ['servername', { servername: 'other.example' }],
    ['minVersion', { minVersion: 'TLSv1' }],
    ['ciphers', { ciphers: 'ALL' }],
    ['lookup', { lookup: (_, __, done) => done(null, '127.0.0.2', 4) }],
    ['localAddress', { localAddress: '127.0.0.1' }],
  ])('a request with its own %s: ERR_CONFIG_INVALID, no connection', async (name, options) => {
    const scene = await startScene(pinned)
    const error = await refusalOf(overHttps(clientWith(), scene.url(HOST), options), 'ERR_CONFIG_INVALID')
    expect(error.message).toContain(name)
    expect(scene.relay.connections.length).toBe(0)
  })

  test('a request over a Unix socket of its own: ERR_CONFIG_INVALID', async () => {
    await refusalOf(overHttps(clientWith(), `https://${HOST}/`, { socketPath: '/tmp/none.sock' }), 'ERR_CONFIG_INVALID')
  })

  test.each<[string, RequestOptions]>([
    ['as an object', { headers: { Host: 'other.example' } }],
    ['as a list', { headers: ['Host', 'other.example'] as never }],
  ])('another Host field, %s: ERR_POLICY_HOST_HEADER, and the server reads nothing', async (_, options) => {
    const scene = await startScene(pinned)
    await refusalOf(overHttps(clientWith(), scene.url(HOST), options), 'ERR_POLICY_HOST_HEADER')
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test('another Host field, set when the request was made already: ERR_POLICY_HOST_HEADER, and the server reads nothing', async () => {
    const scene = await startScene(pinned)
    const sent = request(scene.url(HOST), { agent: clientWith().agent })
    sent.setHeader('host', 'other.example')
    sent.end()
    expect((await once(sent, 'error'))[0]).toMatchObject({ code: 'ERR_POLICY_HOST_HEADER' })
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test('a request that names a host of its own in its target: ERR_POLICY_HOST_HEADER', async () => {
    const scene = await startScene(pinned)
    const options = { path: 'https://other.example/' }
    await refusalOf(overHttps(clientWith(), scene.url(HOST), options), 'ERR_POLICY_HOST_HEADER')
    expect(scene.relay.connections.length).toBe(0)
  })

  test('what the option egress does not allow: ERR_POLICY_ORIGIN_DENIED, ERR_POLICY_REQUEST_DENIED, no connection', async () => {
    const scene = await startScene(pinned)
    const client = clientWith({ egress: [{ origins: [new URL(scene.url(HOST)).host], methods: ['GET'] }] })
    await refusalOf(overHttps(client, 'https://other.example/'), 'ERR_POLICY_ORIGIN_DENIED')
    await refusalOf(overHttps(client, scene.url(HOST), { method: 'POST', body: 'x' }), 'ERR_POLICY_REQUEST_DENIED')
    expect(scene.relay.connections.length).toBe(0)
    expect((await overHttps(client, scene.url(HOST))).status).toBe(200)
  })

  test('one connection serves request after request', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    for (let round = 0; round < 3; round += 1) await overHttps(client, scene.url(HOST))
    expect(scene.relay.connections.length).toBe(1)
  })

  test('what the server sends before it was asked is no answer: that connection is not used again', async () => {
    let sent = 0
    const scene = await startScene(pinned, {
      handler: (_, response, message) => {
        sent += 1
        const isFirst = sent === 1
        response.end('ok', () => {
          if (isFirst) setTimeout(() => message.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake'), 5)
        })
      },
    })
    const client = clientWith()
    const free = once(client.agent, 'free')
    expect((await overHttps(client, scene.url(HOST))).text).toBe('ok')
    const [socket] = (await free) as [TLSSocket]
    await expect.poll(() => socket.destroyed).toBe(true)
    expect((await overHttps(client, scene.url(HOST))).text).toBe('ok')
    expect(scene.relay.connections.length).toBe(2)
  })

  test('close() lets a request in flight finish; after it: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    let answer = (): void => undefined
    const scene = await startScene(pinned, { handler: (_, response) => (answer = () => void response.end('late')) })
    const client = clientWith()
    const inFlight = overHttps(client, scene.url(HOST))
    await expect.poll(() => scene.peer.requests.length).toBe(1)
    const closed = client.close()
    answer()
    expect((await inFlight).text).toBe('late')
    await closed
    await refusalOf(overHttps(client, scene.url(HOST)), 'ERR_TRANSPORT_CLIENT_CLOSED')
  })
})

describe('client.connect', () => {
  test('HTTP/2 over a connection that chose it', async () => {
    const scene = await startScene(pinned, { alpn: ['h2'], onSocket: () => undefined })
    const socket = await clientWith().connect(scene.url(HOST), { protocols: ['h2'] })
    expect(socket.alpnProtocol).toBe('h2')
    const session = connectHttp2(scene.url(HOST), { createConnection: () => socket })
    await once(session, 'connect')
    session.destroy()
  })

  test('a server that does not speak what was asked for: ERR_TLS_ALPN, nothing is written', async () => {
    const scene = await startScene(pinned, { alpn: ['http/1.1'] })
    await refusalOf(clientWith().connect(scene.url(HOST), { protocols: ['h2'] }), 'ERR_TLS_ALPN')
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test.each<[string, unknown]>([
    ['no host', ''],
    ['a user name', 'https://user@api.example/'],
    ['port 0', { host: HOST, port: 0 }],
    ['port 65536', { host: HOST, port: 65_536 }],
    ['a path for a host', { host: 'api.example/x', port: 443 }],
  ])('%s: ERR_CONFIG_URL', async (_, target) => {
    await refusalOf(clientWith().connect(target as string), 'ERR_CONFIG_URL')
  })

  test('what is no list of protocols: ERR_CONFIG_INVALID', async () => {
    await refusalOf(clientWith().connect(`https://${HOST}`, { protocols: 'h2' as never }), 'ERR_CONFIG_INVALID')
  })

  test('the caller gives up: the reason of the signal, and no connection is left', async () => {
    const scene = await startScene(pinned)
    const client = clientWith({ resolver: () => new Promise(() => undefined) })
    const control = new AbortController()
    const connecting = client.connect(scene.url(HOST), { signal: control.signal })
    control.abort(new Error('enough'))
    await expect(connecting).rejects.toThrow('enough')
    await expect(client.connect(scene.url(HOST), { signal: control.signal })).rejects.toThrow('enough')
  })

  test('it ends with the client: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    const socket = await client.connect({ host: HOST, port: scene.relay.port })
    const failed = once(socket, 'error')
    await client.close()
    expect((await failed)[0]).toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' })
    await refusalOf(client.connect(scene.url(HOST)), 'ERR_TRANSPORT_CLIENT_CLOSED')
    expect(() => client.tlsOptions(scene.url(HOST))).toThrow(
      expect.objectContaining({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' }),
    )
  })
})

describe('client.dispatcher', () => {
  test('whoever closes it ends nothing of the client', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    await client.dispatcher.close()
    await refusalOf(ways.dispatcher(client, scene.url(HOST)), 'ERR_TRANSPORT_CLIENT_CLOSED')
    expect((await client.fetch(scene.url(HOST))).status).toBe(200)
  })

  test('it shares its connections with fetch', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    await (await client.fetch(scene.url(HOST))).text()
    await ways.dispatcher(client, scene.url(HOST))
    expect(scene.relay.connections.length).toBe(1)
  })

  test('a WebSocket of undici goes over it', async () => {
    const { text } = await talkedOver(pinned)
    expect(text).toBe('echo: x')
  })

  test('to another key it does not, and the server reads nothing', async () => {
    const { error, scene } = await talkedOver(stranger)
    expect(error).toBe(true)
    await expectOnlyClientHello(scene)
  })

  test('the control: undici alone asks the stranger', async () => {
    const scene = await startScene(stranger)
    const dispatcher = new UndiciAgent({ connect: { ca: ca.anchorPem, servername: HOST, lookup: loopback as never } })
    onTestFinished(() => dispatcher.close())
    expect((await undiciRequest(scene.url(HOST), { dispatcher })).statusCode).toBe(200)
  })
})

/** One message over a WebSocket, and its echo. */
async function talkedOver(identity: TestCertificate) {
  const sockets = new WebSocketServer({ noServer: true })
  const http = createServer().on('upgrade', (request, raw, head) => {
    sockets.handleUpgrade(request, raw, head, (one) => one.on('message', (data) => one.send(`echo: ${data}`)))
  })
  const scene = await startScene(identity, { onSocket: (socket) => void http.emit('connection', socket) })
  const url = scene.url(HOST).replace('https:', 'wss:')
  const socket = new WebSocket(url, { dispatcher: clientWith().dispatcher })
  const outcome = await new Promise<{ text?: unknown; error?: boolean }>((resolve) => {
    socket.addEventListener('open', () => socket.send('x'))
    socket.addEventListener('message', ({ data }) => resolve({ text: data }))
    socket.addEventListener('error', () => resolve({ error: true }))
  })
  socket.close()
  return { ...outcome, scene }
}

const loopback = (_: string, options: { all?: boolean }, done: (...given: unknown[]) => void): void =>
  options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)
