import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import type { ClientOptions, Resolver } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { startRelay, startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const FORBIDDEN = '127.0.0.66'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const other = ca.issue({ names: ['other.example.com'] })
const pins = { [HOST]: [server.pin] }

/** Counts who gets through to it: nothing that it could say would make it an API. */
async function listenAt(host: string, port = 0) {
  const sockets = new Set<Socket>()
  let connections = 0
  const listener: Server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined).destroy()
  })
  await once(listener.listen(port, host), 'listening')
  onTestFinished(() => void listener.close())
  const address = listener.address()
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, connections: () => connections }
}

/** The API at 127.0.0.1, and the forbidden address with a listener at the same port. */
async function stage(options: Partial<ClientOptions> & { readonly handler?: TestHandler } = {}) {
  const { handler, ...rest } = options
  const peer = await until(startTlsServer({ identity: server, ...(handler === undefined ? {} : { handler }) }))
  const forbidden = await listenAt(FORBIDDEN, peer.port)
  const client = testClient({ pins, anchors: ca.anchorPem, addresses: { deny: [`${FORBIDDEN}/32`] }, ...rest })
  return { peer, forbidden, client, url: `https://${HOST}:${peer.port}/` }
}

const answering =
  (...addresses: readonly string[]): Resolver =>
  async () =>
    addresses

describe('a name that resolves to an address that is denied', () => {
  test.each([FORBIDDEN, `::ffff:${FORBIDDEN}`, '::ffff:7f00:42'])(
    'is not connected to, as %s: ERR_POLICY_ADDRESS_DENIED, no packet',
    async (address) => {
      const { client, forbidden, url } = await stage({ resolver: answering(address) })
      const error = await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
      expect(error.message).toContain(`${address} is in addresses.deny`)
      expect(error).toMatchObject({ requestSent: 'no', retryable: false })
      expect(forbidden.connections()).toBe(0)
    },
  )

  test('the control: without the option the connection is made', async () => {
    const { client, forbidden, url } = await stage({ resolver: answering(FORBIDDEN), addresses: {} })
    await refusalOf(client.fetch(url), 'ERR_TRANSPORT_CLOSED')
    expect(forbidden.connections()).toBe(1)
  })

  test('is refused the second time too, when the first answer was another: nobody rebinds it', async () => {
    const answers = ['127.0.0.1', FORBIDDEN, FORBIDDEN]
    const { client, forbidden, url, peer } = await stage({
      resolver: async () => answers.splice(0, 1),
      handler: (_, response) => response.writeHead(200, { connection: 'close' }).end('ok'),
    })
    expect(await (await client.fetch(url)).text()).toBe('ok')
    await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
    await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
    expect([peer.accepted, forbidden.connections()]).toEqual([1, 0])
  })

  test('among others: only those that are permitted are tried', async () => {
    const { client, forbidden, url } = await stage({ resolver: answering(FORBIDDEN, '::ffff:127.0.0.66', '127.0.0.1') })
    expect((await client.fetch(url)).status).toBe(200)
    expect(forbidden.connections()).toBe(0)
  })

  test('the control: without the option the forbidden one is tried', async () => {
    const resolver = answering(FORBIDDEN, '127.0.0.1')
    const { client, forbidden, url } = await stage({ resolver, addresses: {} })
    await client.fetch(url).catch(() => undefined)
    expect(forbidden.connections()).toBe(1)
  })
})

describe("a URL whose host is a private address, beside private: 'refuse'", () => {
  const SPELLINGS = [
    FORBIDDEN,
    '0x7f.0.0.66',
    '0x7f000042',
    '2130706498',
    '0177.0.0.0102',
    '127.66',
    '127.0.66.',
    '[::ffff:127.0.0.66]',
    '[::ffff:7f00:42]',
  ]
  const unlistedHosts = [FORBIDDEN, '::ffff:7f00:42'].map((host) => allowUnpinned(host, { reason: 'a test' }))
  const at = (spelling: string, port: number): string =>
    `https://${spelling === '127.0.66.' ? '127.0.66' : spelling}:${port}/`

  test.each(SPELLINGS)('%s: ERR_POLICY_ADDRESS_DENIED, no packet', async (spelling) => {
    const { client, forbidden, peer } = await stage({ unlistedHosts, addresses: { private: 'refuse' } })
    const error = await refusalOf(client.fetch(at(spelling, peer.port)), 'ERR_POLICY_ADDRESS_DENIED')
    expect(error.message).toContain('is this machine (addresses.private)')
    expect(forbidden.connections()).toBe(0)
  })

  test.each(SPELLINGS)('%s, the control: by default it is connected to', async (spelling) => {
    const { client, forbidden, peer } = await stage({ unlistedHosts, addresses: {} })
    await refusalOf(client.fetch(at(spelling, peer.port)), 'ERR_TRANSPORT_CLOSED')
    expect(forbidden.connections()).toBe(1)
  })

  test('unless `allow` names it', async () => {
    const addresses = { private: 'refuse', allow: [`${FORBIDDEN}/32`] } as const
    const { client, forbidden, peer } = await stage({ unlistedHosts, addresses })
    await refusalOf(client.fetch(`https://${FORBIDDEN}:${peer.port}/`), 'ERR_TRANSPORT_CLOSED')
    expect(forbidden.connections()).toBe(1)
  })
})

test.each([
  '0.0.0.0',
  '::',
  '169.254.169.254',
  'fe80::1',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '255.255.255.255',
])(
  'by default nothing is asked of %s, which some systems take for themselves: ERR_POLICY_ADDRESS_DENIED',
  async (address) => {
    const { client, url, peer } = await stage({ resolver: answering(address), addresses: {} })
    await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
    expect(peer.accepted).toBe(0)
  },
)

test('the same holds for the host of the manifest', async () => {
  const { manifest, server: source } = await startTestPins({ ca, name: 'pins.example.com', hosts: pins })
  const client = testClient({ manifest, anchors: ca.anchorPem, addresses: { deny: ['127.0.0.0/8'] } })
  await new Promise((resolve) => client.on('manifest.rejected', resolve))
  expect(source.requests.length).toBe(0)
  await testClient({ manifest, anchors: ca.anchorPem, addresses: { deny: ['127.0.0.2/32'] } }).ready()
  expect(source.requests.length).toBeGreaterThan(0)
})

test('a connection that arrives elsewhere than asked ends before the greeting: ERR_POLICY_ADDRESS_DENIED', async () => {
  const peer = await until(startTlsServer({ identity: server }))
  const relay = await until(startRelay({ target: peer }))
  const client = testClient({ pins, anchors: ca.anchorPem })
  const url = `https://${HOST}:${relay.port}/`
  Object.defineProperty(TLSSocket.prototype, 'remoteAddress', { value: '127.0.0.2', configurable: true })
  onTestFinished(() => void Reflect.deleteProperty(TLSSocket.prototype, 'remoteAddress'))
  const error = await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
  expect(error.message).toContain('arrived at 127.0.0.2')
  await relay.idle()
  expect(relay.clientToServer.bytes).toBe(0)
  Reflect.deleteProperty(TLSSocket.prototype, 'remoteAddress')
  expect((await client.fetch(url)).status).toBe(200)
})

describe('allowedAddresses of a manifest', () => {
  const entry = (allowedAddresses: readonly string[]) => ({
    hosts: [
      { host: HOST, mode: 'enforce' as const, pins: [{ spki: server.pin }, { spki: ca.root.pin }], allowedAddresses },
    ],
  })

  async function under(allowedAddresses: readonly string[]) {
    const peer = await until(startTlsServer({ identity: server }))
    const { manifest, repository } = await startTestPins({ ca, name: 'pins.example.com', ...entry(allowedAddresses) })
    const client = testClient({ manifest, anchors: ca.anchorPem })
    await client.ready()
    return { peer, client, repository, url: `https://${HOST}:${peer.port}/` }
  }

  test('narrow where the host is: ERR_POLICY_ADDRESS_DENIED, no packet', async () => {
    const { client, peer, url } = await under(['10.0.0.0/8', '2001:db8::/32'])
    const error = await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
    expect(error.message).toContain('127.0.0.1 is not in the allowedAddresses of the manifest')
    expect(peer.accepted).toBe(0)
  })

  test('the control: an address among them', async () => {
    const { client, url } = await under(['10.0.0.0/8', '127.0.0.0/8'])
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('a connection to what a newer manifest no longer allows gets no further request', async () => {
    const { client, peer, repository, url } = await under(['127.0.0.0/8'])
    await (await client.fetch(url)).text()
    const retired = new Promise((resolve) => client.on('tls.retired', resolve))
    await repository.publish(entry(['10.0.0.0/8']))
    await client.manifest.refresh()
    expect(await retired).toMatchObject({ code: 'ERR_POLICY_ADDRESS_DENIED', connections: 1 })
    await refusalOf(client.fetch(url), 'ERR_POLICY_ADDRESS_DENIED')
    expect([peer.accepted, peer.requests.length]).toEqual([1, 1])
  })
})

describe('where connections come from and go to', () => {
  test('localAddress is the address that the server sees', async () => {
    const seen: unknown[] = []
    const peer = await until(
      startTlsServer({
        identity: server,
        handler: (_, response, { socket }) => {
          seen.push(socket.remoteAddress)
          response.end()
        },
      }),
    )
    const url = `https://${HOST}:${peer.port}/`
    await testClient({ pins, anchors: ca.anchorPem, localAddress: '127.0.0.9' }).fetch(url)
    await testClient({ pins, anchors: ca.anchorPem }).fetch(url)
    expect(seen).toEqual(['127.0.0.9', '127.0.0.1'])
  })

  async function startUnix(identity: typeof server) {
    const peer = await until(startTlsServer({ identity }))
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-'))
    const path = join(folder, 'api.sock')
    const unix = createServer((socket) => {
      const upstream = connect(peer.port, '127.0.0.1')
      socket.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
      upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
      socket.pipe(upstream).pipe(socket)
    })
    await once(unix.listen(path), 'listening')
    onTestFinished(() => {
      unix.close()
      rmSync(folder, { recursive: true })
    })
    return { peer, path }
  }

  test('a Unix socket stands for a host: TLS over it, the name of the URL, no name resolved', async () => {
    const { path, peer } = await startUnix(server)
    const asked: string[] = []
    const client = testClient({
      pins,
      anchors: ca.anchorPem,
      unixSockets: { [HOST]: path },
      addresses: { private: 'refuse' },
      resolver: async (host) => {
        asked.push(host)
        return []
      },
    })
    expect((await client.fetch(`https://${HOST}/`)).status).toBe(200)
    expect(peer.requests[0]?.headers.host).toBe(HOST)
    expect(asked).toEqual([])
    await refusalOf(client.fetch('https://other.example.com/'), 'ERR_TRUST_HOST_NOT_COVERED')
  })

  test.each([
    ['ERR_TRUST_PIN_MISMATCH', ca.issue({ names: [HOST] }), server],
    ['ERR_TRUST_NAME_MISMATCH', other, other],
  ] as const)('%s: what stands behind the socket has to prove who it is', async (code, identity, { pin }) => {
    const { path, peer } = await startUnix(identity)
    const client = testClient({ pins: { [HOST]: [pin] }, anchors: ca.anchorPem, unixSockets: { [HOST]: path } })
    await refusalOf(client.fetch(`https://${HOST}/`), code)
    expect(peer.requests.length).toBe(0)
  })
})

describe('egress', () => {
  async function behind(egress: NonNullable<ClientOptions['egress']>) {
    const asked: string[] = []
    const resolver: Resolver = async (host) => {
      asked.push(host)
      return ['127.0.0.1']
    }
    const peer = await until(startTlsServer({ identity: server }))
    const client = testClient({ pins, anchors: ca.anchorPem, egress, resolver })
    return { client, asked, url: `https://${HOST}:${peer.port}`, peer }
  }

  test('an origin that no rule names: ERR_POLICY_ORIGIN_DENIED, and its name is not resolved', async () => {
    const { client, asked, url, peer } = await behind({ origins: [HOST] })
    const error = await refusalOf(client.fetch(`${url}/`), 'ERR_POLICY_ORIGIN_DENIED')
    expect(error).toMatchObject({ requestSent: 'no', host: new URL(url).host })
    expect([asked, peer.accepted]).toEqual([[], 0])
  })

  test('a method or a path that no rule allows: ERR_POLICY_REQUEST_DENIED, on either road of fetch', async () => {
    const { client, asked, url } = await behind({ origins: [`${HOST}:*`], methods: ['GET', 'PUT'], paths: ['/v1/*'] })
    await refusalOf(client.fetch(`${url}/v1/a`, { method: 'POST' }), 'ERR_POLICY_REQUEST_DENIED')
    await refusalOf(client.fetch(`${url}/v2/a`), 'ERR_POLICY_REQUEST_DENIED')
    await refusalOf(client.fetch(`${url}/v1/%2e%2e/v2`), 'ERR_POLICY_REQUEST_DENIED')
    await refusalOf(client.fetch(`${url}/v1/..%2fv2`), 'ERR_POLICY_REQUEST_DENIED')
    const form = new FormData()
    form.append('a', 'b')
    await refusalOf(client.fetch(`${url}/v2/a`, { method: 'PUT', body: form }), 'ERR_POLICY_REQUEST_DENIED')
    expect(asked).toEqual([])
    expect((await client.fetch(`${url}/v1/a?b=..%2f`)).status).toBe(200)
    expect((await client.fetch(`${url}/v1/a`, { method: 'PUT', body: form })).status).toBe(200)
  })
})
