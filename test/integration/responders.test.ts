/** Against responders that others wrote: `openssl ocsp` with its index file, and nginx that staples what it fetched from there. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import { extension, ocspResponse, type TestCertificate, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'localhost'
const now = Date.now()
const ca = testCa({ now })
const responder = ca.issue({ subject: 'Responder', extendedKeyUsage: ['ocspSigning'] })

const isInstalled = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args).status === 0
const tools = { openssl: isInstalled('openssl', 'version'), nginx: isInstalled('nginx', '-v') }
for (const [tool, found] of Object.entries(tools)) {
  if (!found) process.stderr.write(`not run: the tests with ${tool}, which is not installed\n`)
}

test.runIf(process.env['CI'] === 'true')('openssl and nginx are installed where skipping counts as failing', () => {
  expect(tools).toEqual({ openssl: true, nginx: true })
})

type Version = 'TLSv1.2' | 'TLSv1.3'
type Status = 'good' | 'revoked' | 'unknown'
const VERSIONS: readonly Version[] = ['TLSv1.2', 'TLSv1.3']

describe.skipIf(!tools.openssl).each(VERSIONS)('%s: openssl ocsp', (version) => {
  test.each<[string, TestCertificate]>([
    ['the CA itself', ca.issuer],
    ['a responder it delegated to', responder],
  ])(
    'answers for %s: good passes, revoked is ERR_TRUST_CERT_REVOKED, unknown ERR_TRUST_OCSP_UNKNOWN',
    async (_, signer) => {
      const good = await world(version, 'good', 'blocking', signer)
      expect((await good.client.fetch(good.url)).status).toBe(200)
      expect(good.client.verdicts.at(-1)).toMatchObject({ status: 'good', source: 'cache' })
      for (const [status, code] of [
        ['revoked', 'ERR_TRUST_CERT_REVOKED'],
        ['unknown', 'ERR_TRUST_OCSP_UNKNOWN'],
      ] as const) {
        const { client, url, scene, host } = await world(version, status, 'blocking', signer)
        await refusalOf(client.fetch(url), code)
        expect([scene.peer.applicationBytes, scene.peer.requests.length, host.requests()]).toEqual([0, 0, 1])
      }
    },
  )

  test('asked beside the first request, decides about the next: ERR_TRUST_CERT_REVOKED', async () => {
    for (const status of ['good', 'revoked'] as const) {
      const { client, url, scene, host } = await world(version, status, 'background', responder)
      const answer = host.hold()
      expect(await (await client.fetch(url)).text()).toBe('ok')
      expect(client.verdicts.at(-1)).toMatchObject({ status: 'undetermined' })
      answer()
      await expect.poll(() => client.refreshed(), { timeout: 20_000 }).toBe(1)
      const before = scene.relay.connections.length
      if (status === 'revoked') {
        await refusalOf(client.fetch(url), 'ERR_TRUST_CERT_REVOKED')
        await expectOnlyClientHello(scene, before)
        expect(scene.peer.requests).toHaveLength(1)
      } else {
        expect((await client.fetch(url)).status).toBe(200)
        expect(client.verdicts.at(-1)).toMatchObject({ status: 'good', source: 'cache' })
      }
    }
  })

  async function world(tls: Version, status: Status, fetch: 'blocking' | 'background', signer: TestCertificate) {
    const host = await startResponder(signer)
    const certificate = ca.issue({ names: [HOST], extensions: [extension.authorityInfoAccess({ ocsp: host.url })] })
    host.says(certificate, status)
    const handler: TlsServerOptions['handler'] = (_, response) =>
      response.writeHead(200, { connection: 'close' }).end('ok')
    const scene = await startScene(certificate, { minVersion: tls, maxVersion: tls, handler })
    const client = clientFor(tls, {
      revocation: { sources: ['staple', 'cache', 'ocsp'], fetch },
      revocationNetwork: { ports: [host.port], allowPrivateHosts: ['ocsp.test'], timeoutMs: 60_000, budgetMs: 60_000 },
    })
    return { host, scene, client, url: scene.url(HOST) }
  }
})

describe.skipIf(!tools.openssl || !tools.nginx).each(VERSIONS)('%s: nginx', (version) => {
  test('has no staple for its first client, and one soon after (case 391)', async () => {
    const { client, url } = await world('good', {})
    expect((await client.fetch(url)).status).toBe(200)
    expect(client.verdicts).toEqual([expect.objectContaining({ status: 'undetermined' })])
    const newcomer = () => verdictOf(clientFor(version, {}), url) // with the first client’s session nothing is stapled
    await expect.poll(newcomer, POLLING).toMatchObject({ status: 'good', source: 'staple' })
  })

  test('turns its first client away where the certificate demands a staple, with ERR_TRUST_MUST_STAPLE_MISSING', async () => {
    const { client, url } = await world('good', { mustStaple: true })
    await refusalOf(client.fetch(url), 'ERR_TRUST_MUST_STAPLE_MISSING')
    await expect.poll(() => verdictOf(client, url), POLLING).toMatchObject({ status: 'good', source: 'staple' })
  })

  test('keeps a revocation to itself: nothing but a demand for a staple refuses it, with ERR_TRUST_STAPLE_MISSING', async () => {
    const { client, url, host } = await world('revoked', {})
    expect((await client.fetch(url)).status).toBe(200)
    await expect.poll(() => host.requests(), POLLING).toBeGreaterThan(0)
    expect(await verdictOf(client, url)).toMatchObject({ status: 'undetermined' })
    const strict = clientFor(version, { revocation: { staple: 'always', fetch: 'never' } })
    await refusalOf(strict.fetch(url), 'ERR_TRUST_STAPLE_MISSING')
  })

  test.each([
    ['that says good', {}, undefined],
    ['that says revoked', { status: 'revoked' }, 'ERR_TRUST_CERT_REVOKED'],
    ['that has ended', { thisUpdate: now - 7_200_000, nextUpdate: now - 3_600_000 }, 'ERR_TRUST_OCSP_EXPIRED'],
  ] as const)('staples a file from the first client on: one %s', async (_, says, code) => {
    const { client, url } = await world('good', { mustStaple: true, staple: says })
    if (code !== undefined) await refusalOf(client.fetch(url), code)
    else expect(await verdictOf(client, url)).toMatchObject({ status: 'good', source: 'staple' })
  })

  const POLLING = { timeout: 30_000, interval: 200 }

  /** Of a connection of its own: the server keeps none open. */
  async function verdictOf(client: TestingClient, url: string): Promise<unknown> {
    const before = client.verdicts.length
    await (await client.fetch(url)).arrayBuffer()
    expect(client.verdicts).toHaveLength(before + 1)
    return client.verdicts.at(-1)
  }

  async function world(
    status: Status,
    {
      mustStaple = false,
      staple,
    }: { readonly mustStaple?: boolean; readonly staple?: Partial<Parameters<typeof ocspResponse>[0]> },
  ) {
    const host = await startResponder(responder)
    const certificate = ca.issue({ names: [HOST], extensions: mustStaple ? [extension.mustStaple()] : [] })
    host.says(certificate, status)
    const file = staple && ocspResponse({ certificate, now, ...staple })
    const url = await startNginx(certificate, version, host.localUrl, file)
    return { host, url, client: clientFor(version, { revocation: { fetch: 'never' } }) }
  }
})

interface TestingClient extends Client {
  readonly verdicts: ClientEvent[]
  readonly refreshed: () => number
}

function clientFor(version: Version, options: Partial<ClientOptions>): TestingClient {
  const tls12Hosts = version === 'TLSv1.2' ? [allowTls12(HOST, { reason: 'a test' })] : []
  const client = testClient({ pins: { [HOST]: [ca.issuer.pin] }, anchors: ca.anchorPem, tls12Hosts, ...options })
  const verdicts: ClientEvent[] = []
  let refreshed = 0
  client.on('revocation.checked', (event) => void verdicts.push(event))
  client.on('revocation.refreshed', () => {
    refreshed += 1
  })
  return Object.assign(Object.create(client) as Client, { verdicts, refreshed: () => refreshed })
}

/**
 * `openssl ocsp` answers each request in a process of its own: as a server it would listen on every address of the machine,
 * so what listens, on loopback alone, is a few lines here.
 */
async function startResponder(signer: TestCertificate) {
  const folder = temporaryFolder()
  const path = (name: string): string => join(folder, name)
  const files = { index: '', 'issuer.pem': ca.issuer.pem, 'signer.pem': signer.pem, 'signer.key': signer.keyPem }
  for (const [name, content] of Object.entries(files)) writeFileSync(path(name), content)
  let requests = 0
  let gate: Promise<void> = Promise.resolve()
  const answer = async (request: Uint8Array): Promise<Uint8Array> => {
    const name = randomBytes(8).toString('hex')
    writeFileSync(path(`${name}.request`), request)
    const to = ['-reqin', path(`${name}.request`), '-respout', path(`${name}.response`)]
    const as = ['-rsigner', path('signer.pem'), '-rkey', path('signer.key')]
    const from = ['-index', path('index'), '-CA', path('issuer.pem'), '-ndays', '1']
    await promisify(execFile)('openssl', ['ocsp', ...from, ...as, ...to])
    return readFileSync(path(`${name}.response`))
  }
  const server = createServer(async (request, response) => {
    requests += 1
    await gate
    const answered = await answer(await requestIn(request)).catch(() => undefined) // the folder is gone with its test
    if (answered === undefined) response.writeHead(500).end()
    else response.writeHead(200, { 'content-type': 'application/ocsp-response' }).end(answered)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://ocsp.test:${port}/`,
    localUrl: `http://127.0.0.1:${port}/`,
    requests: () => requests,
    /** Of a certificate that is unknown the index holds nothing. */
    says: (certificate: TestCertificate, status: Status) => {
      const serial = Buffer.from(certificate.serial).toString('hex').toUpperCase()
      const revoked = status === 'revoked' ? `${utcTime(now - 3_600_000)},keyCompromise` : ''
      const line = [
        status === 'revoked' ? 'R' : 'V',
        utcTime(now + 86_400_000),
        revoked,
        serial,
        'unknown',
        `/CN=${HOST}`,
      ]
      writeFileSync(path('index'), status === 'unknown' ? '' : `${line.join('\t')}\n`)
    },
    /** Answers nobody until the function it returns is called. */
    hold: () => {
      let open = (): void => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      return open
    },
  }
}

/** RFC 6960 appendix A.1: in the body of a POST, or as base64 in the path of a GET, which is what nginx sends. */
async function requestIn(request: IncomingMessage): Promise<Uint8Array> {
  if (request.method === 'GET')
    return Buffer.from(decodeURIComponent((request.url ?? '').replace(/^\/+/, '')), 'base64')
  const parts: Uint8Array[] = []
  for await (const part of request) parts.push(part as Uint8Array)
  return Buffer.concat(parts)
}

const utcTime = (ms: number): string => `${new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`

/** One process, no master, on a free loopback port. @returns Its origin. */
async function startNginx(
  identity: TestCertificate,
  version: Version,
  ocsp: string,
  staple?: Uint8Array,
): Promise<string> {
  const folder = temporaryFolder()
  const path = (name: string): string => join(folder, name)
  const port = await freePort()
  writeFileSync(path('chain.pem'), identity.pem + ca.issuer.pem)
  writeFileSync(path('key.pem'), identity.keyPem)
  if (staple !== undefined) writeFileSync(path('staple.der'), staple)
  const stapling = staple === undefined ? `ssl_stapling_responder ${ocsp}` : `ssl_stapling_file ${path('staple.der')}`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${path(name)};`,
  )
  writeFileSync(
    path('nginx.conf'),
    `daemon off; master_process off; pid ${path('pid')}; error_log ${path('error.log')};
     events {}
     http {
       access_log off; ${temporary.join(' ')} keepalive_timeout 0;
       server {
         listen 127.0.0.1:${port} ssl;
         ssl_certificate ${path('chain.pem')}; ssl_certificate_key ${path('key.pem')}; ssl_protocols ${version};
         ssl_stapling on; ${stapling};
         return 200 'hello';
       }
     }`,
  )
  const nginx = spawn('nginx', ['-p', folder, '-c', path('nginx.conf'), '-e', path('error.log')], { stdio: 'ignore' })
  onTestFinished(async () => {
    if (nginx.exitCode === null && nginx.kill('SIGKILL')) await once(nginx, 'exit')
  })
  await expect
    .poll(() => (nginx.exitCode === null ? accepts(port) : readFileSync(path('error.log'), 'utf8')), {
      timeout: 20_000,
    })
    .toBe(true)
  return `https://${HOST}:${port}/`
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-responder-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
