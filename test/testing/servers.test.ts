import { Agent, request } from 'node:https'
import { connect } from 'node:tls'
import {
  expiredTwinOf,
  forgedTwinOf,
  startInterceptor,
  startManifestServer,
  startRelay,
  startTlsServer,
  testCa,
} from 'pinfetch/testing'
import { afterEach, describe, expect, test } from 'vitest'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'], ips: ['127.0.0.1'] })

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
})
const use = <T extends AsyncDisposable>(one: T): T => {
  opened.push(one)
  return one
}

describe('startTlsServer', () => {
  test('presents every certificate it is given, in order, forged and expired ones included', async () => {
    const certificates = [identity.der, forgedTwinOf(ca.root).der, expiredTwinOf(ca.issuer).der, ca.issuer.der]
    const server = use(await startTlsServer({ identity: { certificates, key: identity.keyPem } }))
    expect(await presentedBy(server.port)).toEqual(certificates)
  })

  test('presents one certificate alone without completing it', async () => {
    const server = use(await startTlsServer({ identity: { certificates: [identity.der], key: identity.keyPem } }))
    expect(await presentedBy(server.port)).toEqual([identity.der])
  })

  test('records requests, and the decrypted bytes of each connection', async () => {
    const server = use(await startTlsServer({ identity }))
    const agent = keepAlive()
    expect(await send(server.port, { agent, body: 'one' })).toMatchObject({ status: 200, body: 'ok' })
    expect(await send(server.port, { agent, body: 'two', headers: { authorization: 'Bearer t' } })).toBeDefined()
    expect(server.requests.map(({ body, connection }) => [Buffer.from(body).toString(), connection])).toEqual([
      ['one', 0],
      ['two', 0],
    ])
    expect(server.requests[1]?.headers.authorization).toBe('Bearer t')
    expect(server.connections).toHaveLength(1)
    expect(server.applicationBytes).toBeGreaterThan('one'.length + 'two'.length)
    expect(server.connections[0]?.applicationBytes).toBe(server.applicationBytes)
    agent.destroy()
  })

  test('a swapped identity is for new connections; the open one stays', async () => {
    const server = use(await startTlsServer({ identity }))
    const agent = keepAlive()
    await send(server.port, { agent })
    const other = testCa({ name: 'Other' }).issue({ names: ['localhost'] })
    server.setIdentity(other)
    expect(await send(server.port, { agent })).toMatchObject({ status: 200 })
    expect(server.connections).toHaveLength(1)
    expect(await presentedBy(server.port)).toEqual(other.chain)
    agent.destroy()
  })

  test('several identities take turns, one a connection', async () => {
    const rsa = ca.issue({ names: ['localhost'], keyType: 'RSA-2048' })
    const server = use(await startTlsServer({ identity: [identity, rsa] }))
    const turns = [await presentedBy(server.port), await presentedBy(server.port), await presentedBy(server.port)]
    expect(turns.map(([endEntity]) => endEntity)).toEqual([identity.der, rsa.der, identity.der])
  })

  test('resumes a session over a change of certificate, as real fleets with shared ticket keys do', async () => {
    const server = use(await startTlsServer({ identity, maxVersion: 'TLSv1.2', ticketKeys: Buffer.alloc(48, 1) }))
    const session = await new Promise<Buffer>((resolve) => {
      const socket = connect({ port: server.port, servername: 'localhost', ca: ca.anchorPem })
      socket.once('session', resolve)
      socket.once('session', () => socket.end())
    })
    server.setIdentity(testCa({ name: 'Other' }).issue({ names: ['localhost'] }))
    await new Promise<void>((resolve) => {
      const socket = connect({ port: server.port, servername: 'localhost', ca: ca.anchorPem, session })
      socket.once('secureConnect', () => socket.end())
      socket.once('close', () => resolve())
      socket.resume()
    })
    expect(server.sessionsReused).toBe(1)
  })

  test('refuses to start with a key that is not the first certificate’s', async () => {
    const stranger = testCa().issue({ names: ['localhost'] })
    const mismatched = { certificates: identity.chain, key: stranger.keyPem }
    await expect(startTlsServer({ identity: mismatched })).rejects.toThrow(/key values mismatch/i)
  })
})

describe('startRelay', () => {
  test('counts whole records of both directions and passes the bytes on', async () => {
    const server = use(await startTlsServer({ identity, maxVersion: 'TLSv1.2' }))
    const relay = use(await startRelay({ target: server }))
    expect(await send(relay.port, { body: 'x'.repeat(40_000) })).toMatchObject({ body: 'ok' })
    await relay.idle()
    const { clientToServer, serverToClient } = relay
    expect(clientToServer.records[0]).toMatchObject({ type: 22, firstByte: 1 })
    expect(clientToServer).toMatchObject({ handshake: 3, changeCipherSpec: 1 })
    expect(clientToServer.applicationData).toBeGreaterThanOrEqual(3) // 40 000 bytes are three records, RFC 8446 §5.1
    expect(serverToClient.records[0]).toMatchObject({ type: 22, firstByte: 2 })
    for (const { bytes, records } of [clientToServer, serverToClient]) {
      expect(bytes).toBe(records.reduce((sum, { length }) => sum + 5 + length, 0))
    }
  })

  test('a moved target is for new connections', async () => {
    const [first, second] = [use(await startTlsServer({ identity })), use(await startTlsServer({ identity }))]
    const relay = use(await startRelay({ target: first }))
    const agent = keepAlive()
    await send(relay.port, { agent })
    relay.setTarget(second)
    await send(relay.port, { agent })
    await send(relay.port)
    expect([first.requests.length, second.requests.length]).toEqual([2, 1])
    expect(relay.connections).toHaveLength(2)
    agent.destroy()
  })
})

describe('startManifestServer', () => {
  const files = (text: string): ReadonlyMap<string, Uint8Array> => new Map([['status.json', Buffer.from(text)]])
  const get = (port: number, headers: Record<string, string> = {}): Promise<Answer> =>
    send(port, { path: '/status.json?x=1', method: 'GET', headers })

  test('serves files with an ETag, answers 304 to it and 404 to what it does not have', async () => {
    const server = use(await startManifestServer({ files: files('v1'), identity }))
    const first = await get(server.port)
    expect(first).toMatchObject({ status: 200, body: 'v1' })
    expect(await get(server.port, { 'if-none-match': first.etag ?? '' })).toMatchObject({ status: 304, body: '' })
    server.serve(files('v2'))
    expect(await get(server.port, { 'if-none-match': first.etag ?? '' })).toMatchObject({ status: 200, body: 'v2' })
    expect(await send(server.port, { path: '/roots/2.json', method: 'GET' })).toMatchObject({ status: 404 })
    expect(server.requestsFor('status.json')).toBe(3)
    expect(server.requestsFor('/roots/2.json')).toBe(1)
  })

  test('freezes, thaws and rolls back', async () => {
    let now = files('v1')
    const server = use(await startManifestServer({ files: () => now, identity }))
    const old = server.snapshot()
    now = files('v2')
    expect(await get(server.port)).toMatchObject({ body: 'v2' })
    server.freeze()
    now = files('v3')
    expect(await get(server.port)).toMatchObject({ body: 'v2' })
    server.thaw()
    expect(await get(server.port)).toMatchObject({ body: 'v3' })
    server.serve(old)
    expect(await get(server.port)).toMatchObject({ body: 'v1' })
  })

  test('fails as told, as often as told', async () => {
    const server = use(await startManifestServer({ files: files('v1'), identity }))
    server.respond('status.json', { status: 503, body: 'down', headers: { 'retry-after': '1' }, times: 1 })
    expect(await get(server.port)).toMatchObject({ status: 503, body: 'down' })
    expect(await get(server.port)).toMatchObject({ status: 200 })
    server.respond('*', { ending: 'close' })
    await expect(get(server.port)).rejects.toMatchObject({ code: 'ECONNRESET' })
    server.respond('*', { ending: 'truncate' })
    await expect(get(server.port)).rejects.toThrow('aborted')
    server.respond('*', { delayMs: 60 })
    const before = performance.now()
    expect(await get(server.port)).toMatchObject({ body: 'v1' })
    expect(performance.now() - before).toBeGreaterThan(50)
    server.respond('*', { ending: 'hang' })
    const hanging = get(server.port).catch((error: unknown) => error)
    expect(await Promise.race([hanging, new Promise((resolve) => setTimeout(resolve, 60, 'still waiting'))])).toBe(
      'still waiting',
    )
    await server.close()
    expect(await hanging).toBeInstanceOf(Error)
  })
})

describe('startInterceptor', () => {
  test('a client that trusts its CA gets the real answer and gives its token away', async () => {
    const server = use(await startTlsServer({ identity }))
    const interceptor = use(await startInterceptor({ target: server }))
    const answer = await send(interceptor.port, {
      anchor: interceptor.ca.anchorPem,
      headers: { authorization: 'Bearer secret' },
    })
    expect(answer).toMatchObject({ status: 200, body: 'ok' })
    expect(server.requests).toHaveLength(1)
    expect(interceptor.plaintext).toContain('authorization: Bearer secret')
    expect(interceptor.connections[0]).toMatchObject({ servername: 'localhost' })
    expect(interceptor.connections[0]?.fromServer).toContain('HTTP/1.1 200 OK')
    expect(interceptor.applicationBytes).toBe(interceptor.plaintext.length)
  })

  test('a client that does not trust its CA gives nothing away', async () => {
    const server = use(await startTlsServer({ identity }))
    const interceptor = use(await startInterceptor({ target: server }))
    await expect(send(interceptor.port, { headers: { authorization: 'Bearer secret' } })).rejects.toThrow()
    expect([interceptor.applicationBytes, interceptor.plaintext]).toEqual([0, ''])
  })
})

interface Answer {
  readonly status: number | undefined
  readonly etag: string | undefined
  readonly body: string
}

function send(
  port: number,
  options: {
    agent?: Agent
    anchor?: string
    path?: string
    method?: string
    body?: string
    headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const { agent, anchor = ca.anchorPem, body, ...rest } = options
  return new Promise((resolve, reject) => {
    const target = {
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      method: 'POST',
      ca: anchor,
      agent: agent ?? false,
    }
    const outgoing = request({ ...target, ...rest }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, etag: headers.etag, body: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function keepAlive(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

function presentedBy(port: number): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, servername: 'localhost', rejectUnauthorized: false }, () => {
      const chain: Uint8Array[] = []
      for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) {
        chain.push(new Uint8Array(at.raw))
      }
      socket.destroy()
      resolve(chain)
    })
    socket.on('error', reject)
  })
}
