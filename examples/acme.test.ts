/** The renewal against Pebble, the ACME server that Let's Encrypt tests clients with. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createClient } from 'pinfetch'
import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../test/support/free-port.ts'
import { acmeRenewal } from './acme.ts'

const find = (tool: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, tool))
    .find((path) => existsSync(path))
const [pebble, openssl] = ['pebble', 'openssl'].map(find)
if (pebble === undefined || openssl === undefined) {
  process.stderr.write('not run: the ACME renewal, as pebble and openssl are not both installed\n')
}

test.runIf((pebble !== undefined && openssl !== undefined) || process.env['CI'] === 'true')(
  'a certificate from an ACME server is renewed by it when two thirds of its life are over',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-acme-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const at = (name: string): string => join(folder, name)
    const ca = testCa()
    const acmeServer = ca.issue({ names: ['acme.example.com'] })
    const [acmePort, managementPort, httpPort] = [await freePort(), await freePort(), await freePort()]
    writeFileSync(at('tls.pem'), acmeServer.pem + ca.issuer.pem)
    writeFileSync(at('tls.key'), acmeServer.keyPem)
    writeFileSync(
      at('pebble.json'),
      JSON.stringify({
        pebble: {
          listenAddress: `127.0.0.1:${acmePort}`,
          managementListenAddress: `127.0.0.1:${managementPort}`,
          certificate: at('tls.pem'),
          privateKey: at('tls.key'),
          httpPort,
          tlsPort: await freePort(),
        },
      }),
    )
    const child = spawn(String(pebble), ['-config', at('pebble.json')], {
      stdio: 'ignore',
      env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '20' },
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })

    const resolver = async (): Promise<string[]> => ['127.0.0.1']
    const acme = createClient({ pins: { 'acme.example.com': [acmeServer.pin] }, anchors: ca.anchorPem, resolver })
    onTestFinished(() => acme.close())
    const directory = `https://acme.example.com:${acmePort}/dir`
    const answers = (): Promise<boolean> =>
      acme.fetch(directory).then(
        ({ ok }) => ok,
        () => false,
      )
    await expect.poll(answers, { timeout: 30_000, interval: 200 }).toBe(true)

    const renew = acmeRenewal({
      directory,
      name: 'localhost',
      httpPort,
      fetch: acme.fetch,
      pollMs: 100,
      request: () => {
        const [key, csr] = [at('client.key'), at('client.csr')]
        const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key]
        const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
        execFileSync(String(openssl), ['req', '-new', ...newKey, ...subject, '-outform', 'DER', '-out', csr], {
          stdio: 'ignore',
        })
        return { csr: readFileSync(csr), keyPem: readFileSync(key, 'utf8') }
      },
    })
    const first = await renew()

    const server = ca.issue({ names: ['api.example.com'], notAfter: Date.now() + 5 * 365 * 86_400_000 })
    const api = await startTlsServer({ identity: server, requestCert: true })
    onTestFinished(() => api.close())
    const runtime = createTestRuntime({ now: Date.now() + 60_000 })
    const client = createClient({
      pins: { 'api.example.com': [server.pin] },
      anchors: ca.anchorPem,
      resolver,
      runtime,
      certificate: { ...first, renew },
    })
    onTestFinished(() => client.close())
    const renewed = new Promise<void>((resolve, reject) => {
      client.on('certificate.renewalDue', () => client.on('certificate.loaded', () => resolve()))
      client.on('certificate.rejected', ({ message }) => reject(new Error(message)))
    })
    const url = `https://api.example.com:${api.port}/`
    expect((await client.fetch(url)).status).toBe(200)
    const before = client.health().certificate
    const life = (before?.notAfter ?? 0) - runtime.clock.now()
    runtime.setWall(runtime.clock.now() + life * 0.75)
    await runtime.advance(3_600_000)
    await renewed
    expect((await client.fetch(url)).status).toBe(200)
    expect(client.health().certificate?.serial).not.toBe(before?.serial)
    expect(new Set(api.clientCertificates.map((der) => Buffer.from(der).toString('hex'))).size).toBe(2)
  },
)
