/** What the first screen of README says is refused by default: each of it, beside a server that is accepted. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type ClientOptions, createClient, type PinfetchError } from 'pinfetch'
import {
  createTestRepository,
  type IssueOptions,
  startManifestServer,
  startTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from './support/client.ts'

const README = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const FIRST_SCREEN = README.slice(0, README.indexOf('\n## '))
const HOST = 'api.bank.com'
const YEAR = 365 * 86_400_000
const LAST_YEAR = { notBefore: Date.now() - 2 * YEAR, notAfter: Date.now() - YEAR }
const ca = testCa()
const key = ca.issue({ names: [HOST] })
const trust = { pins: { [HOST]: [key.pin, ca.issuer.pin] }, anchors: ca.anchorPem }

/** Phrase of the first screen, what stands for it here, and the code. */
const SERVERS: readonly [string, string, PinfetchError['code'], IssueOptions, Partial<TlsServerOptions>][] = [
  ['a broken or expired chain', 'of last year', 'ERR_TRUST_CERT_EXPIRED', LAST_YEAR, {}],
  ['a wrong name', 'of another host', 'ERR_TRUST_NAME_MISMATCH', { names: ['api.bank.org'] }, {}],
  ['a weak key or signature', 'RSA with 1024 bits', 'ERR_TRUST_WEAK_KEY', { keyType: 'RSA-1024' }, {}],
  ['anything below TLS 1.3', 'TLS 1.2', 'ERR_TLS_VERSION', {}, { maxVersion: 'TLSv1.2' }],
]

describe('refused by default', () => {
  test.each(SERVERS)('%s (%s): %s', async (phrase, _, code, options, server) => {
    expect(FIRST_SCREEN).toContain(phrase)
    await refused(options, server, code)
  })

  test('a key that is not pinned, even under a CA you trust: ERR_TRUST_PIN_MISMATCH', async () => {
    expect(FIRST_SCREEN).toContain('a key that is not pinned, even under a CA you trust')
    const { client, url, server } = await start({}, {}, { pins: { [HOST]: [key.pin] } })
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
    expect(server.applicationBytes).toBe(0)
  })

  test('a broken chain: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const { client, url } = await start(
      {},
      { identity: testCa({ name: 'Unknown' }).issue({ names: [HOST], key: key.key }) },
    )
    await refusalOf(client.fetch(url), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('a host that no policy covers: ERR_TRUST_HOST_NOT_COVERED; plain http: ERR_POLICY_PLAINTEXT', async () => {
    expect(FIRST_SCREEN).toMatch(/a host that no policy covers .*plain http/)
    let asked = 0
    const http = createServer(() => (asked += 1)).listen(0, '127.0.0.1')
    onTestFinished(() => void http.close())
    const { client, url, server } = await start()
    await refusalOf(client.fetch(url.replace(HOST, 'other.bank.com')), 'ERR_TRUST_HOST_NOT_COVERED')
    await refusalOf(client.fetch(`http://${HOST}:${(http.address() as AddressInfo).port}/`), 'ERR_POLICY_PLAINTEXT')
    expect([asked, server.accepted]).toEqual([0, 0])
  })

  test('redirects: ERR_POLICY_REDIRECT', async () => {
    expect(FIRST_SCREEN).toContain('redirects')
    const { client, url } = await start(
      {},
      { handler: (_, response) => response.writeHead(302, { location: '/b' }).end() },
    )
    await refusalOf(client.fetch(url), 'ERR_POLICY_REDIRECT')
  })

  test('a denied key: ERR_TRUST_PIN_DENIED; a manifest that is older, expired, or signed by someone else', async () => {
    expect(FIRST_SCREEN).toMatch(/a denied key .*a manifest that is unsigned, older, expired or for someone else/)
    const repository = await createTestRepository({ hosts: { [HOST]: [key.pin] } })
    const pins = await until(startManifestServer({ files: repository, identity: ca.issue({ names: ['localhost'] }) }))
    const manifest = { url: pins.url, root: repository.root, memoryOnly: true }
    const before = pins.snapshot()
    const { client, url } = await start({ key: key.key }, {}, { pins: {}, manifest })
    expect((await client.fetch(url)).status).toBe(200)
    await repository.deny([key.pin])
    await client.manifest.refresh()
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_DENIED')
    const codes: string[] = []
    client.on('manifest.rejected', ({ code }) => codes.push(code))
    pins.serve(before)
    await client.manifest.refresh().catch(() => undefined)
    expect(codes).toEqual(['ERR_MANIFEST_STATUS_ROLLBACK'])

    const stranger = await createTestRepository({ hosts: { [HOST]: [key.pin] } })
    const old = await createTestRepository({
      hosts: { [HOST]: [key.pin] },
      clock: { now: () => Date.now() - YEAR / 2 },
    })
    const rejected = async (files: typeof old, root: Uint8Array) => {
      pins.serve(files)
      const late = testClient({ manifest: { ...manifest, root, startupMs: 500 }, anchors: ca.anchorPem })
      const code = new Promise((resolve) => late.on('manifest.rejected', (event) => resolve(event.code)))
      await refusalOf(late.ready(), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
      return code
    }
    expect(await rejected(stranger, repository.root)).toBe('ERR_MANIFEST_SIG_THRESHOLD')
    expect(await rejected(old, old.root)).toBe('ERR_MANIFEST_STATUS_EXPIRED')
    pins.serve(stranger)
    await testClient({ manifest: { ...manifest, root: stranger.root }, anchors: ca.anchorPem }).ready()
  })
})

test('what a wrong pin prints', async () => {
  const [, printed = ''] = /```text\n([\s\S]*?)```/.exec(FIRST_SCREEN) ?? []
  const pattern = printed
    .trimEnd()
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('sha256/…', 'sha256/[A-Za-z0-9+/]{43}=')
    .replaceAll('api\\.bank\\.com: ', 'api\\.bank\\.com:\\d+: ')
  const proxy = testCa({ name: 'Corporate Proxy' })
  const { client, url } = await start(
    {},
    { identity: proxy.issue({ names: [HOST] }) },
    { anchors: [ca.anchorPem, proxy.anchorPem] },
  )
  const error = await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  expect(`${error.name} [${error.code}]: ${error.message}`).toMatch(new RegExp(`^${pattern}$`))
})

async function refused(options: IssueOptions, server: Partial<TlsServerOptions>, code: PinfetchError['code']) {
  const { client, url, server: started } = await start(options, server)
  await refusalOf(client.fetch(url), code)
  expect([started.requests, started.applicationBytes]).toEqual([[], 0])
}

/** A server, which is accepted as it stands, and a client with two pins of it. */
async function start(
  issue: IssueOptions = {},
  tls: Partial<TlsServerOptions> = {},
  options: Partial<ClientOptions> = {},
) {
  const identity = ca.issue({ names: [HOST], ...issue })
  const server = await until(startTlsServer({ identity, ...tls }))
  return { server, url: `https://${HOST}:${server.port}/`, client: testClient({ ...trust, ...options }) }
}

test('control: the same client and server without any of it', async () => {
  const { client, url } = await start()
  expect((await client.fetch(url)).status).toBe(200)
  expect(() => createClient(trust)).not.toThrow()
})
