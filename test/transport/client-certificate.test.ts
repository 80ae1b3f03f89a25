import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import tls from 'node:tls'
import type { Client } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import {
  createTestRuntime,
  expiredTwinOf,
  startRelay,
  startTlsServer,
  type TestCertificate,
  testCa,
} from 'pinfetch/testing'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { certificateFailure, rememberPresentation } from '../../src/transport/client-certificate.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { identityOf } from '../support/identity.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const clients = testCa({ name: 'Clients', intermediates: 0 })
const strangers = testCa({ name: 'Strangers', intermediates: 0 })
const CLIENT = { subject: 'client', extendedKeyUsage: ['clientAuth'] } as const
const own = clients.issue(CLIENT)
const stranger = strangers.issue(CLIENT)
const versions = ['TLSv1.2', 'TLSv1.3'] as const

const pair = ({ pem, keyPem }: TestCertificate) => ({ cert: pem, key: keyPem })
const clientWith = (options: object): Client =>
  testClient({
    pins: { [HOST]: [server.pin] },
    anchors: ca.anchorPem,
    tls12Hosts: [allowTls12(HOST, { reason: 'both versions are tested' })],
    ...options,
  })

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl) process.stderr.write('not run: the tests with openssl s_server, which is not installed\n')

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinfetch-mtls-'))
  writeFileSync(join(folder, 'server.pem'), server.chain.map((der) => pemOf(der)).join('') + server.keyPem)
  writeFileSync(join(folder, 'clients.pem'), clients.anchorPem)
  return () => rmSync(folder, { recursive: true })
})

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END CERTIFICATE-----\n`

/** OpenSSL's own server, which refuses with the alert that the RFC names. */
async function startVerifyingServer(
  version: (typeof versions)[number],
  extra: readonly string[] = [],
): Promise<string> {
  const port = await freePort()
  const flags = [
    '-accept',
    `127.0.0.1:${port}`,
    '-cert',
    'server.pem',
    '-cert_chain',
    'server.pem',
    '-CAfile',
    'clients.pem',
  ]
  const only = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'
  const child = spawn(
    'openssl',
    ['s_server', ...flags, '-Verify', '1', '-verify_return_error', '-www', only, ...extra],
    {
      cwd: folder,
      stdio: 'ignore',
    },
  )
  const ended = new Promise((resolve) => child.once('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await expect.poll(() => accepts(port), { timeout: 20_000 }).toBe(true)
  return `https://${HOST}:${port}/`
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}

describe.skipIf(!hasOpenssl).each(versions)('a server that verifies client certificates, under %s', (version) => {
  test('takes the one it trusts', async () => {
    const url = await startVerifyingServer(version)
    const client = clientWith({ certificate: pair(own) })
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('demands one where none is given: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', async () => {
    const url = await startVerifyingServer(version)
    const error = await refusalOf(clientWith({}).fetch(url), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
    const alert = version === 'TLSv1.3' ? 'certificate_required (116)' : 'handshake_failure (40)'
    expect(error.message).toContain(alert)
    expect(error.message).toContain('the option `certificate` gives none')
  })

  test('refuses one of a CA that it does not know: ERR_TLS_CLIENT_CERTIFICATE_REJECTED', async () => {
    const url = await startVerifyingServer(version)
    const client = clientWith({ certificate: pair(stranger) })
    const error = await refusalOf(client.fetch(url), 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED')
    const serial = Buffer.from(stranger.serial).toString('hex')
    expect(error.message).toContain(`unknown_ca (48) to certificate ${serial} of CN=client`)
    expect(error.message).toContain('intermediates are missing')
    expect(error.retryable).toBe(false)
  })

  test('refuses one that is past its end for the server: ERR_TLS_CLIENT_CERTIFICATE_REJECTED', async () => {
    const late = clients.issue({ ...CLIENT, notBefore: Date.now() - 3_600_000, notAfter: Date.now() - 60_000 })
    const runtime = createTestRuntime({ now: Date.now() - 120_000 })
    const url = await startVerifyingServer(version)
    const client = clientWith({ certificate: pair(late), runtime })
    const error = await refusalOf(client.fetch(url), 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED')
    expect(error.message).toContain('certificate_expired (45)')
    expect(error.message).toContain('renew it')
  })

  test('is not taken at its word about our certificate where it asked for none', async () => {
    const url = await startVerifyingServer(version, ['-sigalgs', 'RSA-PSS+SHA256', '-verify', '0'])
    // OpenSSL's word, where all that TLS 1.3 could be spoken with is ruled out.
    await refusalOf(clientWith({}).fetch(url), version === 'TLSv1.3' ? 'ERR_TLS_VERSION' : 'ERR_TLS_HANDSHAKE')
  })
})

describe.each(versions)('a server of Node’s, which closes without a word, under %s', (version) => {
  async function start(): Promise<string> {
    const settings = { cert: server.chain.map(pemOf).join(''), key: server.keyPem, ca: clients.anchorPem }
    const peer = tls.createServer(
      { ...settings, requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version },
      (socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'))
      },
    )
    peer.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void peer.close())
    const address = peer.address()
    return `https://${HOST}:${typeof address === 'object' ? address?.port : 0}/`
  }

  test('takes the one it trusts', async () => {
    const client = clientWith({ certificate: pair(own) })
    expect((await client.fetch(await start())).status).toBe(204)
  })

  test('demands one: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', async () => {
    await refusalOf(clientWith({}).fetch(await start()), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
  })

  test('closes at one it does not trust: ERR_TRANSPORT_CLOSED, and the message says what may be behind it', async () => {
    const error = await refusalOf(
      clientWith({ certificate: pair(stranger) }).fetch(await start()),
      'ERR_TRANSPORT_CLOSED',
    )
    expect(error.message).toContain('asked for a client certificate and closed the connection without an answer')
  })
})

test.each(versions)(
  '%s: a server that asks and closes before it answers, with nothing to show: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED',
  async (version) => {
    const asking = await startScene(server, {
      requestCert: true,
      maxVersion: version,
      onSocket: (socket) => socket.destroy(),
    })
    await refusalOf(clientWith({}).fetch(asking.url(HOST)), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
    expect(asking.peer.accepted).toBe(1) // another attempt would end alike
    const silent = await startScene(server, { maxVersion: version, onSocket: (socket) => socket.destroy() })
    await refusalOf(clientWith({}).fetch(silent.url(HOST)), 'ERR_TRANSPORT_CLOSED')
  },
)

test('a connection that answered before is lost like any other, whatever its server asked for: ERR_TRANSPORT_CLOSED', async () => {
  const { peer, url } = await startScene(server, {
    requestCert: true,
    handler: ({ path }, response, message) => {
      if (path === '/cut') message.socket.destroy()
      else response.end('ok')
    },
  })
  const client = clientWith({})
  expect(await (await client.fetch(url(HOST))).text()).toBe('ok')
  const call = client.fetch(`${url(HOST)}cut`, { method: 'POST', body: 'x' })
  await refusalOf(call, 'ERR_TRANSPORT_CLOSED')
  expect(peer.connections).toHaveLength(1)
})

describe.each(versions)(
  'a refused peer that asks for a certificate, under %s, has seen a ClientHello and no certificate',
  (maxVersion) => {
    const rogue = testCa({ name: 'Rogue' })
    test.each([
      ['a key that is not pinned', ca.issue({ names: [HOST] }), 'ERR_TRUST_PIN_MISMATCH'],
      ['a CA that is not trusted', rogue.issue({ names: [HOST], key: server.key }), 'ERR_TRUST_UNKNOWN_ISSUER'],
      ['another name', ca.issue({ names: ['other.example.com'], key: server.key }), 'ERR_TRUST_NAME_MISMATCH'],
      ['a certificate that ended', expiredTwinOf(server), 'ERR_TRUST_CERT_EXPIRED'],
    ] as const)('%s', async (_, identity, code) => {
      const scene = await startScene(identity, { requestCert: true, maxVersion })
      const client = clientWith({ certificate: pair(own) })
      await refusalOf(client.fetch(scene.url(HOST)), code)
      await scene.relay.idle()
      await expectOnlyClientHello(scene)
      expect(scene.peer.clientCertificates).toEqual([])
      expect(scene.peer.requests).toEqual([])
    })

    test('control: the right one sees both', async () => {
      const scene = await startScene(server, { requestCert: true, maxVersion })
      expect((await clientWith({ certificate: pair(own) }).fetch(scene.url(HOST))).status).toBe(200)
      expect(scene.peer.clientCertificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(own.der)])
    })
  },
)

test('until `load` answered nothing is sent; what it then answers is shown: ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE', async () => {
  const peer = await until(startTlsServer({ identity: server, requestCert: true }))
  const relay = await until(startRelay({ target: peer }))
  const url = `https://${HOST}:${relay.port}/`
  const failing = clientWith({ certificate: { load: () => Promise.reject(new Error('no agent')) } })
  await refusalOf(failing.fetch(url), 'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE')
  await refusalOf(failing.ready(), 'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE')
  expect([failing.health().state, relay.connections.length]).toEqual(['unready', 0])
  const load = async () => {
    await new Promise((resolve) => setTimeout(resolve, 100))
    return pair(own)
  }
  const client = clientWith({ certificate: { load } })
  expect((await client.fetch(url)).status).toBe(200)
  await client.ready()
  expect(peer.clientCertificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(own.der)])
  expect(client.health()).toMatchObject({
    state: 'ready',
    certificate: { subject: 'CN=client', notAfter: expect.any(Number), state: 'valid' },
  })
})

test.each([
  [40, true, 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED'],
  [40, false, undefined],
  [48, false, undefined],
  [116, false, 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED'],
  [70, true, undefined],
] as const)('alert %i from a server that asked, %j, is about our certificate: %s', (alert, asked, code) => {
  const socket = new tls.TLSSocket(new PassThrough())
  rememberPresentation(socket, { host: HOST, asked, identity: identityOf(own) })
  const message = `0A000410:SSL routines:ssl3_read_bytes:alert:rec_layer_s3.c:918:SSL alert number ${alert}\n`
  const error = Object.assign(new Error(message), { code: 'ERR_SSL_ALERT' })
  expect(certificateFailure(socket, error, 'no')?.code).toBe(code)
})
