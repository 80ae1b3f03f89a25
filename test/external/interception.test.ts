/**
 * Programs that are made to stand in the middle, in the place of a server whose name an attacker resolves. Every refusal has
 * its control: Node's own client with the same trust anchors is read, request and client certificate.
 */
import { request } from 'node:https'
import type { ErrorCode } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import {
  selfSigned,
  startRelay,
  startTlsServer,
  type TestCertificate,
  type TestHandler,
  type TestTlsServer,
  testCa,
} from 'pinfetch/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Seen } from '../../src/testing/lab/mitmproxy.ts'
import { freePorts } from '../../src/testing/lab/programs.ts'
import { sslsplit } from '../../src/testing/lab/sslsplit.ts'
import { cli } from '../cli/support.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { expectOnlyClientHello } from '../support/scene.ts'
import { installed, type Mitmdump, startMitmdump, startTool, type Tool } from './tools.ts'

const genuine = testCa({ name: 'Genuine' })
const server = genuine.issue({ names: ['*.example.com'] })
const owned = testCa({ name: 'Owned', intermediates: 0 }).root // the client trusts it, and an attacker has its key
const impostor = selfSigned({ ca: true, subject: 'Genuine Intermediate' }) // so too, with the name of the pinned one
const own = testCa({ name: 'Clients', intermediates: 0 }).issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
const SECRET = 'Bearer secret'

type Version = 'TLSv1.2' | 'TLSv1.3'
const VERSIONS: readonly Version[] = ['TLSv1.2', 'TLSv1.3']

let origin: TestTlsServer
beforeAll(async () => {
  origin = await startTlsServer({ identity: server, requestCert: true, handler: answerAndClose })
  return () => origin.close()
})

interface Attack {
  readonly title: string
  readonly authority: TestCertificate
  /** Of mitmdump. */
  readonly flags: readonly string[]
  readonly trusted: ErrorCode
  readonly untrusted: ErrorCode
}

const ATTACKS: readonly Attack[] = [
  {
    title: 'mints',
    authority: owned,
    flags: [],
    trusted: 'ERR_TRUST_PIN_MISMATCH',
    untrusted: 'ERR_TRUST_UNKNOWN_ISSUER',
  },
  {
    title: 'mints as the pinned intermediate, and appends the certificates of the real server',
    authority: impostor,
    flags: ['--set', 'add_upstream_certs_to_client_chain=true'],
    trusted: 'ERR_TRUST_PIN_MISMATCH',
    untrusted: 'ERR_TRUST_SIGNATURE_INVALID',
  },
]

describe.skipIf(!installed('mitmdump'))('mitmproxy', () => {
  const running = new Map<string, Mitmdump>()
  beforeAll(async () => {
    const combinations = ATTACKS.flatMap((attack) => VERSIONS.map((version) => ({ attack, version })))
    const ports = await freePorts(combinations.length)
    await Promise.all(
      combinations.map(async ({ attack: { title, authority, flags }, version }, number) => {
        const mode = ['--mode', `reverse:https://127.0.0.1:${origin.port}`, '--set', 'keep_host_header=true']
        const only = version === 'TLSv1.2' ? ['--set', 'tls_version_client_max=TLS1_2'] : []
        running.set(title + version, await startMitmdump(ports[number] ?? 0, authority, [...mode, ...only, ...flags]))
      }),
    )
  })

  test('pinfetch doctor names it, and the certificate that it minted is not trusted', async () => {
    const [port = 0] = await freePorts(1)
    const authority = testCa({ name: 'mitmproxy', intermediates: 0 }).root
    const mode = ['--mode', `reverse:https://127.0.0.1:${origin.port}`]
    await startMitmdump(port, authority, mode)
    const { exitCode, stdout } = await cli(['doctor', `https://localhost:${port}/`])
    expect(stdout).toMatch(/error +interception: a certificate of the chain names mitmproxy/)
    expect(exitCode).toBe(1)
  })

  describe.each(VERSIONS)('under %s', (version) => {
    describe.each(ATTACKS)('$title', ({ title, authority, trusted, untrusted }) => {
      test(`under a CA that the client trusts: ${trusted}; nothing but a ClientHello is sent`, async () => {
        await expectRefused('trusted', [genuine.anchorPem, authority.pem], trusted)
      })

      test(`under one that it does not trust: ${untrusted}; nothing but a ClientHello is sent`, async () => {
        await expectRefused('untrusted', [genuine.anchorPem], untrusted)
      })

      test('the control: without pins the request and the client certificate are read', async () => {
        const host = 'naive.example.com'
        const { relay, witness } = await stage(host)
        expect(await naive(host, relay.port, authority)).toBe(200)
        expect(witness().map(({ event }) => event)).toEqual(['clientHello', 'established', 'request'])
        expect(witness().slice(1)).toMatchObject([
          { version, certificates: 1 },
          { secret: SECRET, certificates: 1 },
        ])
      })

      async function expectRefused(name: string, anchors: readonly string[], code: ErrorCode): Promise<void> {
        const host = `${name}.example.com`
        const { relay, witness, moveIn } = await stage(host, { first: 'origin' })
        const client = clientFor(host, anchors)
        const send = () => client.fetch(`https://${host}:${relay.port}/`, { headers: { authorization: SECRET } })
        expect(await (await send()).text()).toBe('ok') // the server itself
        const before = relay.connections.length
        moveIn()
        await refusalOf(send(), code)
        await expectOnlyClientHello({ relay, peer: origin, url: () => relay.origin }, before)
        await expect.poll(() => witness().at(-1)?.event, POLLING).toBe('failed')
        expect(witness()).toEqual([seen('clientHello', host), seen('failed', host)])
      }

      async function stage(host: string, { first }: { readonly first?: 'origin' } = {}) {
        const mitm = running.get(title + version)
        if (mitm === undefined) throw new Error('mitmdump was not started')
        const relay = await until(startRelay({ target: first === 'origin' ? origin : mitm }))
        const witness = () => mitm.seen().filter(({ sni }) => sni === host)
        return { relay, witness, moveIn: () => relay.setTarget(mitm) }
      }
    })
  })
})

describe.skipIf(!installed('sslsplit'))('sslsplit', () => {
  const running = new Map<Version, { readonly tool: Tool; readonly port: number }>()
  beforeAll(async () => {
    const ports = await freePorts(VERSIONS.length)
    await Promise.all(
      VERSIONS.map(async (version, number) => {
        const port = ports[number] ?? 0
        running.set(version, { port, tool: await startSslsplit(port, version) })
      }),
    )
  })

  test.each(VERSIONS)(
    'under %s: ERR_TRUST_PIN_MISMATCH; it logs the request of the control, and none of ours',
    async (version) => {
      const splitter = running.get(version)
      if (splitter === undefined) throw new Error('sslsplit was not started')
      const { tool, port } = splitter
      const [host, control] = ['pinned.example.com', 'naive.example.com']
      const relay = await until(startRelay({ target: origin }))
      const client = clientFor(host, [genuine.anchorPem, owned.pem])
      const send = () => client.fetch(`https://${host}:${relay.port}/`, { headers: { authorization: SECRET } })
      expect(await (await send()).text()).toBe('ok') // the server itself
      relay.setTarget(splitter)
      await refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')
      const sent = relay.connections.slice(1).flatMap(({ clientToServer }) => clientToServer.records)
      expect(sent.map(({ type, firstByte }) => `${type} ${firstByte}`)).toEqual(version === 'TLSv1.2' ? ONCE : TWICE)

      expect(await naive(control, port, owned)).toBe(200)
      await expect.poll(() => tool.read('connections.log'), POLLING).toContain(`${control}:${port} GET / 200`)
      expect(tool.read('connections.log')).toContain(`sproto:${version}:`)
      expect(tool.read('connections.log')).not.toContain(host) // it logs in order
    },
  )
  const ONCE = ['22 1'] // a ClientHello
  const TWICE = [...ONCE, '20 1', ...ONCE] // it knows the curve P-256 alone, and asks for it
})

function startSslsplit(port: number, version: Version): Promise<Tool> {
  const only = version === 'TLSv1.2' ? ['-r', 'tls12'] : []
  return startTool('sslsplit', sslsplit(port, owned, origin.port, only))
}

const seen = (event: Seen['event'], sni: string): Seen => ({ event, sni, certificates: 0 })

function clientFor(host: string, anchors: readonly string[]) {
  return testClient({
    pins: { [host]: [genuine.issuer.pin] },
    anchors,
    certificate: { cert: own.pem, key: own.keyPem },
    tls12Hosts: [allowTls12(host, { reason: 'both versions are tested' })],
  })
}

/** A client that knows of no pins. @returns The status it was answered with. */
function naive(host: string, port: number, authority: TestCertificate): Promise<number | undefined> {
  const identity = { cert: own.pem, key: own.keyPem, ca: authority.pem }
  const where = { host: '127.0.0.1', port, servername: host, agent: false }
  const headers = { host: `${host}:${port}`, authorization: SECRET }
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, ...identity, headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.once('error', reject).end()
  })
}

const answerAndClose: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')
const POLLING = { timeout: 20_000, interval: 50 }
