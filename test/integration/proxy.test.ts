import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { ClientOptions, PinfetchError, ProxyOption } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { createTestRuntime, type ProxyOptions, startProxy, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { EnvHttpProxyAgent, ProxyAgent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { runModule } from '../support/run.ts'
import { startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const PROXY = 'proxy.corp.example'
const ca = testCa()
const server = ca.issue({ names: [HOST], ips: ['127.0.0.1', '127.0.0.2'] })
const proxyCertificate = ca.issue({ names: [PROXY] })
const stranger = ca.issue({ names: [PROXY] })
const own = ca.issue({ names: ['client.example.com'], extendedKeyUsage: ['clientAuth'] })
const pins = { [HOST]: [server.pin], '127.0.0.1': [server.pin], '127.0.0.2': [server.pin] }

interface Parts {
  readonly proxy?: ProxyOptions
  readonly server?: Partial<TlsServerOptions>
  readonly client?: Partial<ClientOptions>
  readonly option?: (port: number) => ProxyOption
}

/** By default names are left to an HTTP proxy, as where nobody else can resolve them. */
async function stage({ option = (port) => `http://127.0.0.1:${port}`, ...parts }: Parts = {}) {
  const scene = await startScene(server, parts.server)
  const proxy = await until(startProxy(parts.proxy))
  const base = { pins, anchors: ca.anchorPem, resolver: undefined, proxy: option(proxy.port) }
  const client = testClient({ ...base, ...parts.client } as ClientOptions)
  return { ...scene, proxy, client, at: scene.url(HOST) }
}

const askedHosts = ({ requests }: { readonly requests: readonly { readonly host: string }[] }): readonly string[] =>
  requests.map(({ host }) => host)

describe('what the proxy is told', () => {
  test('host and port, and nothing that the caller sends', async () => {
    const { client, proxy, relay, at } = await stage()
    const headers = {
      authorization: 'Bearer secret',
      cookie: 'a=b',
      'proxy-authorization': 'Basic caller',
      'x-own': 'y',
    }
    expect((await client.fetch(at, { headers })).status).toBe(200)
    const authority = `${HOST}:${relay.port}`
    expect(proxy.heads).toEqual([`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`])
  })

  test.each([
    ['http', {}],
    ['socks5', { kind: 'socks5' }],
  ] as const)('credentials, by %s, where it wants them', async (scheme, kit) => {
    const credentials = { username: 'user', password: 'hunter2' }
    const { client, proxy, at } = await stage({
      proxy: { ...kit, credentials },
      option: (port) => ({ url: `${scheme}://127.0.0.1:${port}`, credentials }),
      client: scheme === 'socks5' ? { resolver: async () => ['127.0.0.1'] } : {},
    })
    expect((await client.fetch(at)).status).toBe(200)
    const text = scheme === 'http' ? `Basic ${Buffer.from('user:hunter2').toString('base64')}` : 'user:hunter2'
    expect(proxy.requests.map(({ authorization }) => authorization)).toEqual([text])
  })

  test.each([
    ['http', {}],
    ['socks5h', { kind: 'socks5' }],
  ] as const)('without them, by %s: ERR_TRANSPORT_PROXY_AUTH', async (scheme, kit) => {
    const { client, at } = await stage({
      proxy: { ...kit, credentials: { username: 'user', password: 'hunter2' } },
      option: (port) => `${scheme}://127.0.0.1:${port}`,
    })
    const error = await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_AUTH')
    expect(error).toMatchObject({ retryable: false, requestSent: 'no' })
  })

  test.each(['http', 'socks5h'] as const)('wrong ones stay out of the error and its causes, by %s', async (scheme) => {
    const { client, at } = await stage({
      proxy:
        scheme === 'http'
          ? { answer: (socket) => void socket.end('HTTP/1.1 407 hunter2\r\nx: hunter2\r\n\r\nhunter2') }
          : { kind: 'socks5', credentials: { username: 'a', password: 'b' } },
      option: (port) => `${scheme}://user:hunter2@127.0.0.1:${port}`,
    })
    const error = await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_AUTH')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hunter2|aHVudGVyMg/)
  })
})

describe('a proxy that misbehaves', () => {
  test.each([
    [403, 'ERR_TRANSPORT_PROXY_DENIED', false],
    [503, 'ERR_TRANSPORT_PROXY_FAILED', true],
  ] as const)('%i is %s, retryable: %s; the message names proxy and status', async (status, code, retryable) => {
    const { client, at, proxy, relay } = await stage({
      proxy: { answer: (socket) => void socket.end(`HTTP/1.1 ${status} Whatever\r\n\r\n<html>secret page</html>`) },
    })
    const error = await refusalOf(client.fetch(at), code)
    expect(error).toMatchObject({ retryable, requestSent: 'no', host: `${HOST}:${relay.port}` })
    expect(error.message).toBe(
      `${HOST}:${relay.port}: the proxy http://127.0.0.1:${proxy.port} answered CONNECT with ${status}`,
    )
    expect(relay.connections).toEqual([])
  })

  test('bytes behind its answer: ERR_TRANSPORT_PROXY_EARLY_BYTES, and no ClientHello', async () => {
    const heard: Buffer[] = []
    const { client, at } = await stage({
      proxy: {
        answer: (socket) => {
          socket.on('data', (chunk: Buffer) => heard.push(chunk))
          socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nevil!')
        },
      },
    })
    await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_EARLY_BYTES')
    expect(Buffer.concat(heard).length).toBe(0)
  })

  test('a head without end: ERR_TRANSPORT_PROXY_PROTOCOL', async () => {
    const { client, at, proxy } = await stage({
      proxy: { answer: (socket) => void socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1_000_000)}`) },
    })
    await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_PROTOCOL')
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  test('one that answers later is waited for', async () => {
    const { client, at } = await stage({
      proxy: {
        answer: (socket, { port }) => {
          const upstream = connect({ host: '127.0.0.1', port })
          upstream.on('error', () => socket.destroy())
          socket.once('close', () => upstream.destroy())
          setTimeout(() => {
            socket.write('HTTP/1.1 100 Continue\r\n\r\n')
            setTimeout(() => {
              socket.write('HTTP/1.1 200 OK\r\n\r\n')
              socket.pipe(upstream).pipe(socket)
            }, 100)
          }, 100)
        },
      },
    })
    expect((await client.fetch(at)).status).toBe(200)
  })
})

describe('a proxy that is reached by TLS', () => {
  const overTls = (parts: Parts = {}) =>
    stage({
      proxy: { identity: proxyCertificate },
      option: (port) => ({ url: `https://${PROXY}:${port}`, pins: [proxyCertificate.pin] }),
      ...parts,
      client: { resolver: async () => ['127.0.0.1'], ...parts.client },
    })

  test('with the wrong key learns nothing: ERR_TRUST_PIN_MISMATCH, in the proxy’s name', async () => {
    const { client, at, proxy, relay } = await overTls({ proxy: { identity: stranger } })
    const error = await refusalOf(client.fetch(at), 'ERR_TRUST_PIN_MISMATCH')
    expect(error).toMatchObject({ host: `${PROXY}:${proxy.port}`, requestSent: 'no' })
    expect([proxy.heads, relay.connections]).toEqual([[], []])
  })

  test('of another CA: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const rogue = testCa({ name: 'Rogue' }).issue({ names: [PROXY], key: proxyCertificate.key })
    const { client, at, proxy } = await overTls({ proxy: { identity: rogue } })
    await refusalOf(client.fetch(at), 'ERR_TRUST_UNKNOWN_ISSUER')
    expect(proxy.heads).toEqual([])
  })

  test('and without pins: ERR_TRUST_HOST_NOT_COVERED; `pins` and `allowUnpinned` cover it like any host', async () => {
    const option = (port: number): ProxyOption => `https://${PROXY}:${port}`
    const none = await overTls({ option })
    await refusalOf(none.client.fetch(none.at), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(none.proxy.accepted).toBe(0)
    const inPins = await overTls({ option, client: { pins: { ...pins, [PROXY]: [proxyCertificate.pin] } } })
    expect((await inPins.client.fetch(inPins.at)).status).toBe(200)
    const unlistedHosts = [allowUnpinned(PROXY, { reason: 'the test has no pin for it' })]
    const unpinned = await overTls({ option, client: { unlistedHosts } })
    expect((await unpinned.client.fetch(unpinned.at)).status).toBe(200)
  })

  test('is not shown the client certificate, which the server gets', async () => {
    const { client, at, proxy, peer } = await overTls({
      server: { requestCert: true },
      client: { certificate: { cert: own.pem, key: own.keyPem } },
    })
    expect((await client.fetch(at)).status).toBe(200)
    expect(proxy.clientCertificates).toEqual([])
    expect(peer.clientCertificates.map((der) => Buffer.from(der).equals(own.der))).toEqual([true])
  })

  test('is judged by its pins in report mode, too: ERR_TRUST_PIN_MISMATCH', async () => {
    const wrong = (port: number) => ({ url: `https://${PROXY}:${port}`, pins: [server.pin] })
    const { client, at, proxy } = await stage({
      proxy: { identity: proxyCertificate },
      option: wrong,
      client: { mode: 'report', resolver: async () => ['127.0.0.1'] },
    })
    await refusalOf(client.fetch(at), 'ERR_TRUST_PIN_MISMATCH')
    expect(proxy.heads).toEqual([])
  })

  test('has no use for a certificate of the server’s name under the server’s pin: ERR_TRUST_NAME_MISMATCH', async () => {
    const { client, at, proxy } = await stage({
      proxy: { identity: server },
      option: (port) => ({ url: `https://${PROXY}:${port}`, pins: [server.pin] }),
      client: { resolver: async () => ['127.0.0.1'] },
    })
    await refusalOf(client.fetch(at), 'ERR_TRUST_NAME_MISMATCH')
    expect(proxy.heads).toEqual([])
  })

  test.each(['200', '403', '503', 'nobody'])('leaves no timer behind, whatever it answers: %s', async (status) => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { client, at, proxy } = await stage({
      proxy: {
        identity: proxyCertificate,
        ...(status === '200' ? {} : { answer: (socket) => void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`) }),
      },
      option: (port) => ({ url: `https://${PROXY}:${port}`, pins: [proxyCertificate.pin] }),
      client: { runtime, resolver: async () => ['127.0.0.1'] },
    })
    if (status === 'nobody') await proxy.close()
    const outcome = await client.fetch(at).then(
      (response) => response.text(),
      ({ code }: PinfetchError) => code,
    )
    expect(outcome).toMatch(status === '200' ? 'ok' : /^ERR_TRANSPORT_PROXY_/)
    await client.close()
    expect(runtime.pendingTimers).toBe(0)
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  })

  test('tells its own verdict in events, beside that of the server', async () => {
    const { client, at, proxy, relay } = await overTls()
    const hosts: string[] = []
    client.on('revocation.checked', ({ host }) => hosts.push(host))
    await client.fetch(at)
    expect(hosts).toEqual([`${PROXY}:${proxy.port}`, `${HOST}:${relay.port}`])
  })
})

describe('addresses', () => {
  test('names are left to an HTTP proxy where no address is judged, and resolved here where one is', async () => {
    const left = await stage()
    await left.client.fetch(left.at)
    expect(askedHosts(left.proxy)).toEqual([HOST])
    const resolver = async (): Promise<readonly string[]> => ['127.0.0.1']
    const rules: readonly Partial<ClientOptions>[] = [{}, { addresses: { deny: ['10.0.0.0/8'] } }]
    for (const rule of rules) {
      const judged = await stage({ client: { resolver, ...rule } })
      expect((await judged.client.fetch(judged.at)).status).toBe(200)
      expect(askedHosts(judged.proxy)).toEqual(['127.0.0.1'])
      expect(judged.peer.connections.map(({ servername }) => servername)).toEqual([HOST])
    }
  })

  test('a denied one is not asked for: ERR_POLICY_ADDRESS_DENIED, the proxy hears nothing', async () => {
    const { client, proxy, at, relay } = await stage({
      client: { resolver: async () => ['127.0.0.66'], addresses: { deny: ['127.0.0.66/32'] } },
    })
    const error = await refusalOf(client.fetch(at), 'ERR_POLICY_ADDRESS_DENIED')
    expect(error.message).toContain('127.0.0.66 is in addresses.deny')
    expect([proxy.accepted, relay.connections]).toEqual([0, []])
  })

  test.each(['169.254.169.254', '[::ffff:169.254.169.254]', '0.0.0.0'])(
    'https://%s is refused by default: ERR_POLICY_ADDRESS_DENIED, the proxy hears nothing',
    async (host) => {
      const unlistedHosts = [allowUnpinned(host.replace(/[[\]]/g, ''), { reason: 'to see the address refused' })]
      const { client, proxy } = await stage({ client: { unlistedHosts } })
      await refusalOf(client.fetch(`https://${host}/`), 'ERR_POLICY_ADDRESS_DENIED')
      expect(proxy.accepted).toBe(0)
    },
  )

  test('the control: an address that is permitted is asked for', async () => {
    const { client, proxy, url } = await stage()
    expect((await client.fetch(url('127.0.0.1'))).status).toBe(200)
    expect(askedHosts(proxy)).toEqual(['127.0.0.1'])
  })

  test('where the proxy cannot reach the first, it is asked for the next', async () => {
    const { client, proxy, at } = await stage({
      proxy: {
        answer: (socket, { host, port }) => {
          if (host !== '127.0.0.1') {
            socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
            return
          }
          const upstream = connect({ host, port }, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
          upstream.on('error', () => socket.destroy())
          socket.once('close', () => upstream.destroy())
          socket.pipe(upstream).pipe(socket)
        },
      },
      client: { resolver: async () => ['::1', '127.0.0.1'] },
    })
    expect((await client.fetch(at)).status).toBe(200)
    expect(askedHosts(proxy)).toEqual(['::1', '127.0.0.1'])
  })

  test('the proxy’s own is the operator’s: neither private nor allow speak of it, deny does', async () => {
    const resolver = async (): Promise<readonly string[]> => ['203.0.113.7']
    const beside = (addresses: NonNullable<ClientOptions['addresses']>) =>
      stage({ client: { resolver, addresses }, proxy: { targetOf: () => ({ port: 1 }) } })
    for (const rule of [{ allow: ['203.0.113.0/24'] }, { private: 'refuse', allow: ['203.0.113.0/24'] }] as const) {
      const { client, proxy, at } = await beside(rule)
      await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_CONNECT')
      expect(askedHosts(proxy)).toEqual(['203.0.113.7'])
    }
    const denied = await beside({ deny: ['127.0.0.0/8'] })
    const error = await refusalOf(denied.client.fetch(denied.at), 'ERR_POLICY_ADDRESS_DENIED')
    expect(error.message).toContain('127.0.0.1 is in addresses.deny')
    expect(denied.proxy.accepted).toBe(0)
  })

  test('a proxy at a metadata service is none: ERR_POLICY_ADDRESS_DENIED', async () => {
    const { client, at } = await stage({ option: () => 'http://169.254.169.254:80' })
    await refusalOf(client.fetch(at), 'ERR_POLICY_ADDRESS_DENIED')
  })

  test('localAddress is where the connection to the proxy comes from', async () => {
    const from: (string | undefined)[] = []
    const { client, at } = await stage({
      client: { localAddress: '127.0.0.9' },
      proxy: {
        answer: (socket) => {
          from.push(socket.remoteAddress)
          socket.destroy()
        },
      },
    })
    await refusalOf(client.fetch(at), 'ERR_TRANSPORT_PROXY_CONNECT')
    expect(from).toEqual(['127.0.0.9'])
  })
})

describe('beside a manifest', () => {
  const NAME = 'localhost' // which the system resolves too
  const local = ca.issue({ names: [NAME] })
  const hostsWith = (allowedAddresses?: readonly string[]) => [
    {
      host: NAME,
      mode: 'enforce' as const,
      pins: [{ spki: local.pin }, { spki: ca.root.pin }],
      ...(allowedAddresses === undefined ? {} : { allowedAddresses }),
    },
  ]

  async function underManifest(
    options: Partial<ClientOptions>,
    kit: ProxyOptions,
    option: (port: number) => ProxyOption,
    allowedAddresses?: readonly string[],
  ) {
    const scene = await startScene(local)
    const hosts = hostsWith(allowedAddresses)
    const { server: source, ...test } = await startTestPins({ ca, name: NAME, hosts })
    const proxy = await until(startProxy(kit))
    const base = { manifest: test.manifest, anchors: ca.anchorPem, resolver: undefined, proxy: option(proxy.port) }
    const client = testClient({ ...base, ...options } as ClientOptions)
    const retired: string[] = []
    client.on('tls.retired', ({ code }) => retired.push(code))
    const asked = () => proxy.requests.filter(({ port }) => port !== source.port).map(({ host }) => host)
    const publish = async (rule: readonly string[]): Promise<void> => {
      await test.repository.publish({ hosts: hostsWith(rule) })
      await client.manifest.refresh()
    }
    const { repository } = test
    return { ...scene, source, repository, proxy, client, retired, asked, publish, at: scene.url(NAME) }
  }
  const overHttp = (port: number): ProxyOption => `http://127.0.0.1:${port}`

  test('the manifest itself comes through the proxy', async () => {
    const { client, proxy, source, at } = await underManifest({}, {}, overHttp)
    await client.ready()
    expect(proxy.requests.length).toBeGreaterThan(0)
    expect(proxy.requests.every(({ port }) => port === source.port)).toBe(true)
    expect((await client.fetch(at)).status).toBe(200)
  })

  test('and through one that is reached by TLS, by the pins that stand beside its URL', async () => {
    const named = (pin: string) => (port: number) => ({ url: `https://${PROXY}:${port}`, pins: [pin] })
    const resolver = async (): Promise<readonly string[]> => ['127.0.0.1']
    const right = await underManifest({ resolver }, { identity: proxyCertificate }, named(proxyCertificate.pin))
    await right.client.ready()
    expect((await right.client.fetch(right.at)).status).toBe(200)
    const wrong = await underManifest({ resolver }, { identity: stranger }, named(proxyCertificate.pin))
    const error = await refusalOf(wrong.client.manifest.refresh(), 'ERR_MANIFEST_FETCH_NETWORK')
    expect(error.cause).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH', host: `${PROXY}:${wrong.proxy.port}` })
    expect(wrong.proxy.heads).toEqual([])
  })

  test('a key of the proxy’s that the manifest denies is refused, pinned as it is: ERR_TRUST_PIN_DENIED', async () => {
    const option = (port: number) => ({ url: `https://${PROXY}:${port}`, pins: [proxyCertificate.pin] })
    const resolver = async (): Promise<readonly string[]> => ['127.0.0.1']
    const { client, repository, asked, at } = await underManifest({ resolver }, { identity: proxyCertificate }, option)
    await client.ready()
    await repository.deny([proxyCertificate.pin])
    await client.manifest.refresh()
    const error = await refusalOf(client.fetch(at), 'ERR_TRUST_PIN_DENIED')
    expect(error.host).toMatch(`${PROXY}:`)
    expect(asked()).toEqual([])
  })

  test('names cannot be left to a proxy of socks5h where the manifest judges addresses: ERR_POLICY_ADDRESS_DENIED', async () => {
    const { client, asked, at } = await underManifest({}, { kind: 'socks5' }, (port) => `socks5h://127.0.0.1:${port}`, [
      '127.0.0.0/8',
    ])
    const error = await refusalOf(client.fetch(at), 'ERR_POLICY_ADDRESS_DENIED')
    expect(error.message).toContain('finds the address by itself, where it cannot be judged')
    expect(asked()).toEqual([])
  })

  test('a live tunnel is judged by the address it leads to, not by that of the proxy', async () => {
    const resolver = async (host: string): Promise<readonly string[]> => [host === NAME ? '127.0.0.2' : '127.0.0.1']
    const kit: ProxyOptions = { targetOf: ({ port }) => ({ port }) }
    const { client, asked, publish, retired, at } = await underManifest({ resolver }, kit, overHttp)
    expect((await client.fetch(at)).status).toBe(200)
    await publish(['127.0.0.2/32'])
    expect((await client.fetch(at)).status).toBe(200)
    expect([asked(), retired]).toEqual([['127.0.0.2'], []])
    await publish(['127.0.0.1/32'])
    await refusalOf(client.fetch(at), 'ERR_POLICY_ADDRESS_DENIED')
    expect([asked(), retired]).toEqual([['127.0.0.2'], ['ERR_POLICY_ADDRESS_DENIED']])
  })

  test('a tunnel to a name gets no further request once addresses are judged: the next is to an address', async () => {
    const { client, asked, publish, retired, at } = await underManifest({}, {}, overHttp)
    expect((await client.fetch(at)).status).toBe(200)
    await publish(['127.0.0.0/8', '::1/128'])
    expect(retired).toEqual(['ERR_POLICY_ADDRESS_DENIED'])
    expect((await client.fetch(at)).status).toBe(200)
    expect(asked()[0]).toBe(NAME)
    expect(
      asked()
        .slice(1)
        .every((host) => host === '127.0.0.1' || host === '::1'),
    ).toBe(true)
  })
})

describe('what goes directly', () => {
  test('hosts of `bypass`', async () => {
    const { client, proxy, at, url } = await stage({
      option: (port) => ({ url: `http://127.0.0.1:${port}`, bypass: ['example.com'] }),
      client: { resolver: async () => ['127.0.0.1'] },
    })
    expect((await client.fetch(at)).status).toBe(200)
    expect(proxy.accepted).toBe(0)
    expect((await client.fetch(url('127.0.0.1'))).status).toBe(200)
    expect(proxy.accepted).toBe(1)
  })

  test('Unix sockets', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pinfetch-'))
    const path = `${directory}/api.sock`
    const { client, proxy, at, peer } = await stage({ client: { unixSockets: { [HOST]: path } } })
    const sockets: Socket[] = []
    const listener = createServer((socket) => {
      const upstream = connect({ host: '127.0.0.1', port: peer.port })
      sockets.push(socket, upstream)
      for (const one of [socket, upstream]) one.on('error', () => one.destroy())
      socket.pipe(upstream).pipe(socket)
    })
    await once(listener.listen(path), 'listening')
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      listener.close()
      rmSync(directory, { recursive: true })
    })
    expect((await client.fetch(at)).status).toBe(200)
    expect(proxy.accepted).toBe(0)
  })
})

describe('proxies of somebody else', () => {
  test.each([
    ['dispatcher', 'ProxyAgent', () => new ProxyAgent('http://127.0.0.1:1'), 'the ProxyAgent of the caller'],
    ['dispatcher', 'EnvHttpProxyAgent', () => new EnvHttpProxyAgent(), 'the EnvHttpProxyAgent of the caller'],
    ['dispatcher', 'a plain object', () => ({}), 'a dispatcher of the caller'],
    ['agent', 'an agent of node:https', () => new Agent(), 'an agent of the caller'],
  ])('%s: %s is refused, and the option is named: ERR_CONFIG_INVALID', async (member, _, make, what) => {
    const { client, at, relay } = await stage()
    const error = await refusalOf(client.fetch(at, { [member]: make() }), 'ERR_CONFIG_INVALID')
    expect(error.message).toBe(
      `fetch: ${what} would bypass every check; a proxy is named by the option \`proxy\` of createClient`,
    )
    expect(relay.connections).toEqual([])
  })

  test('createClient takes none either: ERR_CONFIG_INVALID', () => {
    for (const member of ['dispatcher', 'agent']) {
      expect(() => testClient({ pins, [member]: {} } as ClientOptions)).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: `${member}: unknown option` }),
      )
    }
  })
})

test('tls.connected says which proxy a connection goes through, without credentials, and nothing where there is none', async () => {
  const { client, at, url, proxy } = await stage({
    option: (port) => ({ url: `http://user:hunter2@127.0.0.1:${port}`, bypass: ['127.0.0.1'] }),
  })
  const told: unknown[] = []
  client.on('tls.connected', (event) => told.push(event.proxy))
  await client.fetch(at)
  await client.fetch(url('127.0.0.1'))
  expect(told).toEqual([`http://127.0.0.1:${proxy.port}`, undefined])
})

// What this machine sets for its own reasons is not part of it.
for (const name of ['https_proxy', 'all_proxy', 'no_proxy']) {
  delete process.env[name]
  delete process.env[name.toUpperCase()]
}

describe('in a process of its own', () => {
  const script = (option: string) => `
    import { createClient } from './src/index.ts'
    const { url, pins, anchors } = JSON.parse(process.env.PLAN)
    const client = createClient({ pins, anchors, resolver: async () => ['127.0.0.1'], ${option} })
    const posture = []
    client.on('posture', (event) => posture.push(event.subject + ': ' + event.effect))
    const status = await client.fetch(url).then((response) => response.status, (error) => error.code)
    await client.close()
    console.log(JSON.stringify({ status, posture }))`

  async function inProcess(option: string, more: Readonly<Record<string, string>> = {}) {
    const { proxy, at } = await stage()
    const plan = { url: at, pins, anchors: ca.anchorPem }
    const env = { HTTPS_PROXY: `http://user:hunter2@127.0.0.1:${proxy.port}`, NODE_USE_ENV_PROXY: '1', ...more }
    const { stdout, stderr } = await runModule(script(option), { ...env, PLAN: JSON.stringify(plan) })
    expect(stdout + stderr).not.toContain('hunter2')
    return { ...JSON.parse(stdout || '{}'), tunnels: proxy.requests.length, accepted: proxy.accepted }
  }

  test('the variables, and Node’s own use of them, have no effect without the option', async () => {
    const result = await inProcess('')
    expect(result).toMatchObject({ status: 200, accepted: 0 })
    expect(result.posture).toContain('HTTPS_PROXY: no effect: the option `proxy` alone decides')
  })

  test('with it they are followed, and said to be', async () => {
    const result = await inProcess(`proxy: 'environment'`)
    expect(result).toMatchObject({ status: 200, tunnels: 1 })
    expect(result.posture).toContain('HTTPS_PROXY: in force: the option `proxy` asks for the environment')
  })

  test('no_proxy among them', async () => {
    expect(await inProcess(`proxy: 'environment'`, { NO_PROXY: 'example.com' })).toMatchObject({
      status: 200,
      accepted: 0,
    })
  })
})
