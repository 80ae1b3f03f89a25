import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import type { Client, ClientEvent, ClientOptions, PinfetchError } from 'pinfetch'
import { allowTls12, relaxRevocation } from 'pinfetch/dangerous'
import { crl, extension, type IssueOptions, ocspResponse, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient } from '../support/client.ts'
import { expectOnlyClientHello, type Scene, startScene } from '../support/scene.ts'

const HOUR = 3_600_000
const now = Date.now()
const ca = testCa({ now })
const REASON = { reason: 'a test' }
const HOST = 'localhost'

const issue = (more: IssueOptions = {}): TestCertificate => ca.issue({ names: [HOST], ...more })

function clientFor(options: Partial<ClientOptions> = {}): Client & { readonly events: ClientEvent[] } {
  const client = testClient({ pins: { [HOST]: [ca.issuer.pin] }, anchors: ca.anchorPem, ...options })
  const events: ClientEvent[] = []
  client.on('revocation.checked', (event) => void events.push(event))
  client.on('revocation.refreshed', (event) => void events.push(event))
  client.on('revocation.failed', (event) => void events.push(event))
  return Object.assign(Object.create(client) as Client, { events })
}

/** A server with this certificate, this staple, and one version of TLS. */
function sceneOf(certificate: TestCertificate, version: 'TLSv1.2' | 'TLSv1.3', staple?: Uint8Array): Promise<Scene> {
  return startScene(certificate, {
    minVersion: version,
    maxVersion: version,
    ...(staple === undefined ? {} : { ocspResponse: staple }),
  })
}

const speaks = (version: string): Partial<ClientOptions> =>
  version === 'TLSv1.2' ? { tls12Hosts: [allowTls12(HOST, REASON)] } : {}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: a staple', (version) => {
  const plain = issue()
  const strict = issue({ extensions: [extension.mustStaple()] })

  test.each<[string, TestCertificate, Partial<ClientOptions>, Uint8Array | undefined, PinfetchError['code']]>([
    [
      'that says revoked',
      plain,
      {},
      ocspResponse({ certificate: plain, status: 'revoked', reason: 1 }),
      'ERR_TRUST_CERT_REVOKED',
    ],
    ['that says unknown', plain, {}, ocspResponse({ certificate: plain, status: 'unknown' }), 'ERR_TRUST_OCSP_UNKNOWN'],
    ['that is not there, where the certificate demands one', strict, {}, undefined, 'ERR_TRUST_MUST_STAPLE_MISSING'],
    [
      'that has ended, where the certificate demands one',
      strict,
      {},
      ocspResponse({ certificate: strict, thisUpdate: now - 2 * HOUR, nextUpdate: now - HOUR }),
      'ERR_TRUST_OCSP_EXPIRED',
    ],
    [
      'of another certificate, where this one demands its own',
      strict,
      {},
      ocspResponse({ certificate: plain }),
      'ERR_TRUST_OCSP_CERT_MISMATCH',
    ],
    [
      'that is not there, where the policy demands one',
      plain,
      { revocation: { staple: 'always' } },
      undefined,
      'ERR_TRUST_STAPLE_MISSING',
    ],
    [
      'that is garbage, in hard-fail',
      plain,
      { revocation: 'hard-fail' },
      Uint8Array.of(1, 2, 3),
      'ERR_TRUST_REVOCATION_UNDETERMINED',
    ],
    [
      'that is not there, in hard-fail',
      plain,
      { revocation: 'hard-fail' },
      undefined,
      'ERR_TRUST_REVOCATION_UNDETERMINED',
    ],
    [
      'forged by another customer of the CA, in hard-fail',
      plain,
      { revocation: 'hard-fail' },
      ocspResponse({ certificate: plain, responder: issue() }),
      'ERR_TRUST_REVOCATION_UNDETERMINED',
    ],
  ])('%s is refused, and nothing is sent', async (_, certificate, options, staple, code) => {
    const scene = await sceneOf(certificate, version, staple)
    const client = clientFor({ ...speaks(version), ...options })
    await refusalOf(client.fetch(scene.url(HOST)), code)
    await expectOnlyClientHello(scene)
  })

  test.each<[string, TestCertificate, Partial<ClientOptions>, Uint8Array | undefined, string]>([
    ['that says good', plain, { revocation: 'hard-fail' }, ocspResponse({ certificate: plain }), 'good'],
    ['that says good and is demanded', strict, {}, ocspResponse({ certificate: strict }), 'good'],
    ['that is garbage, in soft-fail', plain, {}, Uint8Array.of(1, 2, 3), 'undetermined'],
    ['that is not there, in soft-fail', plain, {}, undefined, 'undetermined'],
    [
      'that says revoked, in report mode',
      plain,
      { revocation: relaxRevocation('report', REASON) },
      ocspResponse({ certificate: plain, status: 'revoked' }),
      'revoked',
    ],
    [
      'that says revoked, with revocation off',
      plain,
      { revocation: relaxRevocation('off', REASON) },
      ocspResponse({ certificate: plain, status: 'revoked' }),
      'unchecked',
    ],
  ])('%s passes', async (_, certificate, options, staple, status) => {
    const scene = await sceneOf(certificate, version, staple)
    const client = clientFor({ ...speaks(version), ...options })
    expect((await client.fetch(scene.url(HOST))).status).toBe(200)
    expect(client.events).toContainEqual(
      expect.objectContaining({ type: 'revocation.checked', host: expect.stringContaining(HOST), status }),
    )
  })
})

/** Where the CA publishes its list; what it publishes may change. */
async function startListHost() {
  let list: Uint8Array | number = 503
  let gate: Promise<void> = Promise.resolve()
  let requests = 0
  const server = createServer(async (_, response) => {
    requests += 1
    await gate
    if (typeof list === 'number') response.writeHead(list).end()
    else response.end(list)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://crl.test:${port}/1.crl`,
    network: { ports: [port], allowPrivateHosts: ['crl.test'] },
    publish: (next: Uint8Array | number) => {
      list = next
    },
    /** Answers nobody until the function it returns is called. */
    hold: () => {
      let open = (): void => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      return open
    },
    requests: () => requests,
  }
}

describe('a list of the CA', () => {
  /** The certificate names the list, and the list may name the certificate. */
  async function world(revoked: boolean, options: Partial<ClientOptions> = {}) {
    const host = await startListHost()
    const certificate = issue({ extensions: [extension.crlDistributionPoints([host.url])] })
    const list = (of: readonly TestCertificate[], number: number) =>
      crl({ issuer: ca.issuer, now, revoked: of, number })
    host.publish(list(revoked ? [certificate] : [], 1))
    const scene = await startScene(certificate)
    const client = clientFor({ revocationNetwork: host.network, resolver: async () => ['127.0.0.1'], ...options })
    const arrived = () =>
      expect.poll(() => client.events.map(({ type }) => type), { timeout: 10_000 }).toContain('revocation.refreshed')
    return { host, certificate, list, scene, client, arrived, url: scene.url(HOST) }
  }

  test('is fetched beside the first request, and cuts the connection when it lists the certificate: ERR_TRUST_CERT_REVOKED', async () => {
    const { client, arrived, url, scene, host } = await world(true)
    const publish = host.hold()
    expect((await client.fetch(url)).status).toBe(200)
    expect(client.events).toContainEqual(
      expect.objectContaining({
        status: 'undetermined',
        causes: [expect.objectContaining({ source: 'crl', code: 'ERR_TRUST_CRL_NONE' })],
      }),
    )
    publish()
    await arrived()
    const before = scene.peer.requests.length
    const connections = scene.relay.connections.length
    await refusalOf(client.fetch(url), 'ERR_TRUST_CERT_REVOKED')
    await expectOnlyClientHello(scene, connections)
    expect(scene.peer.requests).toHaveLength(before)
  })

  test('that does not list it makes the next connection good, and is fetched once', async () => {
    const { client, arrived, url, scene, host } = await world(false)
    await client.fetch(url)
    await arrived()
    scene.peer.destroyConnections()
    expect((await client.fetch(url)).status).toBe(200)
    expect(client.events.at(-1)).toMatchObject({ type: 'revocation.checked', status: 'good', source: 'crl' })
    expect(client.health().revocation).toEqual({ handshakes: 2, good: 1 })
    expect(host.requests()).toBe(1)
  })

  test('is what hard-fail needs: the first connection is refused, the next one passes', async () => {
    const { client, arrived, url, scene } = await world(false, { revocation: 'hard-fail' })
    await refusalOf(client.fetch(url), 'ERR_TRUST_REVOCATION_UNDETERMINED')
    await expectOnlyClientHello(scene)
    await arrived()
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('is waited for where the policy says so', async () => {
    const blocking = { revocation: { mode: 'hard-fail', fetch: 'blocking' } } as const
    const good = await world(false, blocking)
    expect((await good.client.fetch(good.url)).status).toBe(200)
    const bad = await world(true, blocking)
    await refusalOf(bad.client.fetch(bad.url), 'ERR_TRUST_CERT_REVOKED')
    expect(bad.scene.peer.applicationBytes).toBe(0)
    expect(bad.scene.peer.requests).toEqual([])
  })

  test('that does not come in time is not waited for any longer, and hard-fail refuses with the reason', async () => {
    const { client, url, scene, host } = await world(false, { revocation: { mode: 'hard-fail', fetch: 'blocking' } })
    host.publish(503)
    const error = await refusalOf(client.fetch(url), 'ERR_TRUST_REVOCATION_UNDETERMINED')
    expect(error.message).toContain('ERR_TRUST_FETCH_STATUS')
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test('cannot be waited for beside a client certificate in hard-fail, which would be shown first', () => {
    const own = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
    const certificate = { cert: own.pem, key: own.keyPem }
    expect(() => clientFor({ certificate, revocation: { mode: 'hard-fail', fetch: 'blocking' } })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining('client certificate') }),
    )
    clientFor({ certificate, revocation: { mode: 'hard-fail' } })
  })

  test('at a private address is not fetched unless the application names the host', async () => {
    const { client, url, host } = await world(true, { revocationNetwork: {} })
    const { port } = new URL(host.url)
    expect((await client.fetch(url)).status).toBe(200)
    await expect.poll(() => client.events.map(({ type }) => type), { timeout: 10_000 }).toContain('revocation.failed')
    expect(client.events).toContainEqual(expect.objectContaining({ code: 'ERR_TRUST_FETCH_BAD_PORT' }))
    const again = await world(true, { revocationNetwork: { ports: [Number(port)] } })
    await again.client.fetch(again.url)
    expect([host.requests(), again.host.requests()]).toEqual([0, 0])
  })
})

test('the control: Node accepts a certificate that its staple and the list of its CA call revoked, and asks for neither', async () => {
  const host = await startListHost()
  const certificate = issue({ extensions: [extension.crlDistributionPoints([host.url])] })
  host.publish(crl({ issuer: ca.issuer, now, revoked: [certificate] }))
  const { peer } = await startScene(certificate, { ocspResponse: ocspResponse({ certificate, status: 'revoked' }) })
  const socket = connect({ host: '127.0.0.1', port: peer.port, servername: HOST, ca: ca.anchorPem })
  const staples: unknown[] = []
  socket.on('OCSPResponse', (staple) => void staples.push(staple))
  await once(socket, 'secureConnect')
  expect([socket.authorized, staples, host.requests()]).toEqual([true, [], 0])
  socket.destroy()
})
