/** What a ClientHello offers, policy by policy, as bytes on the wire: nothing that is missing here can be negotiated. */
import { connect, TLSSocket } from 'node:tls'
import type { ClientOptions } from 'pinfetch'
import { allowLegacy, allowTls12 } from 'pinfetch/dangerous'
import { startTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { type ClientHello, startListener } from '../support/client-hello.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const ca = testCa()
const reason = 'to see what is offered'
const hasHybrid = process.versions.openssl.localeCompare('3.5', 'en', { numeric: true }) >= 0

/** IANA registry of TLS parameters. */
const TLS13_SUITES = [0x1302, 0x1303, 0x1301]
const AEAD_SUITES = [0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc02b, 0xc02f] // ECDHE with AES-GCM or ChaCha20-Poly1305
const CBC_SUITES = [0xc024, 0xc028, 0xc023, 0xc027, 0xc00a, 0xc014, 0xc009, 0xc013] // ECDHE with AES-CBC and HMAC
const RENEGOTIATION_INFO = 0x00ff // RFC 5746 §3.3: a signal, no suite
const GROUPS = { hybrid: 0x11ec, x25519: 0x001d, p256: 0x0017, p384: 0x0018 }
const SIGNATURES = [
  [0x0403, 0x0503, 0x0603], // ECDSA
  [0x0807, 0x0808], // EdDSA
  [0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806], // RSA-PSS
  [0x0401, 0x0501, 0x0601], // PKCS#1, for certificates
].flat()
const EARLY_DATA = 42

async function offered(options: Partial<ClientOptions>): Promise<ClientHello> {
  const { port, hellos } = await startListener()
  const client = testClient({ pins: { [HOST]: [ca.root.pin] }, anchors: ca.anchorPem, ...options })
  await refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRANSPORT_CLOSED')
  expect(hellos.length).toBe(1)
  return hellos[0] ?? expect.fail('no ClientHello')
}

const legacyHosts = [allowLegacy(HOST, { reason, sunset: new Date(Date.now() + 90 * 86_400_000) })]

test.each<[string, Partial<ClientOptions>, readonly number[], readonly number[]]>([
  ['by default', {}, TLS13_SUITES, [0x0304]],
  [
    'where TLS 1.2 is allowed',
    { tls12Hosts: [allowTls12(HOST, { reason })] },
    [...TLS13_SUITES, ...AEAD_SUITES],
    [0x0304, 0x0303],
  ],
  ['for a legacy host', { legacyHosts }, [...TLS13_SUITES, ...AEAD_SUITES, ...CBC_SUITES], [0x0304, 0x0303]],
])('%s: these suites, versions, groups and signatures, and no other', async (_, options, suites, versions) => {
  const hello = await offered(options)
  expect(hello.suites.filter((suite) => suite !== RENEGOTIATION_INFO)).toEqual(suites)
  expect(hello.versions).toEqual(versions)
  const { hybrid, x25519, p256, p384 } = GROUPS
  expect(hello.groups).toEqual([...(hasHybrid ? [hybrid] : []), x25519, p256, p384])
  expect(hello.keyShares).toEqual([...(hasHybrid ? [hybrid] : []), x25519])
  expect(hello.signatureAlgorithms).toEqual(SIGNATURES)
  expect(hello.compressions).toEqual([0])
  expect(hello.extensions).not.toContain(EARLY_DATA)
  expect(hello.alpn).toEqual(['http/1.1'])
})

test('HTTP/2 is offered where the option says so, but to no legacy host', async () => {
  expect((await offered({ http2: 'prefer' })).alpn).toEqual(['h2', 'http/1.1'])
  expect((await offered({ http2: 'prefer', legacyHosts })).alpn).toEqual(['http/1.1'])
})

test('the control: what is read is what was sent; plain code on this Node offers more', async () => {
  const { port, hellos } = await startListener()
  const socket = connect({ host: '127.0.0.1', port, ciphers: 'ALL:@SECLEVEL=0', minVersion: 'TLSv1.2' })
  socket.on('error', () => socket.destroy())
  await expect.poll(() => hellos.length).toBe(1)
  const STATIC_RSA = 0x009c
  const DHE = 0x009e
  expect(hellos[0]?.suites).toEqual(expect.arrayContaining([STATIC_RSA, DHE, ...AEAD_SUITES, ...CBC_SUITES]))
})

describe('B31: no road to a server forgets the pins', () => {
  const server = ca.issue({ names: [HOST] })
  const pins = { [HOST]: [server.pin] }

  test.each<[string, Partial<ClientOptions>, Partial<TlsServerOptions>]>([
    ['HTTP/1.1', {}, {}],
    ['HTTP/1.1 over TLS 1.2', { tls12Hosts: [allowTls12(HOST, { reason })] }, { maxVersion: 'TLSv1.2' }],
    ['a legacy host', { legacyHosts }, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA' }],
    ['HTTP/2 where it is preferred', { http2: 'prefer' }, { alpn: ['h2'] }],
    ['HTTP/2 where it is required', { http2: 'require' }, { alpn: ['h2'] }],
  ])('%s: ERR_TRUST_PIN_MISMATCH, and nothing sent', async (_, options, how) => {
    const scene = await startScene(ca.issue({ names: [HOST] }), how)
    const client = testClient({ pins, anchors: ca.anchorPem, ...options })
    await refusalOf(client.fetch(scene.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(scene)
  })

  test('a server that advertises another transport is asked over this one again, and the other is not met', async () => {
    const elsewhere = await until(startTlsServer({ identity: ca.issue({ names: [HOST] }), alpn: ['h2'] }))
    const advertised = `h3=":${elsewhere.port}", h2=":${elsewhere.port}"; ma=86400`
    const peer = await until(
      startTlsServer({
        identity: server,
        handler: (_, response) => response.setHeader('alt-svc', advertised).end('ok'),
      }),
    )
    const client = testClient({ pins, anchors: ca.anchorPem, http2: 'prefer' })
    for (let at = 0; at < 2; at += 1)
      expect(await (await client.fetch(`https://${HOST}:${peer.port}/`)).text()).toBe('ok')
    expect([peer.requests.length, elsewhere.accepted]).toEqual([2, 0])
  })

  test('a runtime in which the event of the verdict never fires gets nothing: ERR_TRUST_NODE_REFUSED', async () => {
    const peer = await until(startTlsServer({ identity: server }))
    const client = testClient({ pins, anchors: ca.anchorPem })
    const emit = TLSSocket.prototype.emit
    const deaf = vi.spyOn(TLSSocket.prototype, 'emit').mockImplementation(function (this: TLSSocket, name, ...args) {
      return String(name) === 'OCSPResponse' ? false : Reflect.apply(emit, this, [name, ...args])
    })
    onTestFinished(() => deaf.mockRestore())
    await refusalOf(client.fetch(`https://${HOST}:${peer.port}/`), 'ERR_TRUST_NODE_REFUSED')
    expect(peer.applicationBytes).toBe(0)
    deaf.mockRestore()
    expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
  })
})
