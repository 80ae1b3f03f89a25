/** Servers that others wrote: whom we accept, whom we refuse, and how they see us. Their access logs are the witness. */
import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { connect } from 'node:tls'
import type { ClientOptions, PinfetchError } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import { extension, ocspResponse, startRelay, type TestCertificate, testCa } from 'pinfetch/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Files, freePorts } from '../../src/testing/lab/programs.ts'
import { ACCESS_LOGS, identityFiles, type WebServer, webServer } from '../../src/testing/lab/web-servers.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { installed, startTool, type Tool } from './tools.ts'

const HOST = 'api.example.com'
const ca = testCa()
const clients = testCa({ name: 'Clients', intermediates: 0 })
const own = clients.issue({ subject: 'us', extendedKeyUsage: ['clientAuth'] })
const current = ca.issue({ names: [HOST] })
const next = ca.issue({ names: [HOST] })
const unpinned = ca.issue({ names: [HOST] })
const stapled = ca.issue({ names: [HOST], extensions: [extension.mustStaple()] })

interface Server {
  readonly program: WebServer
  /** What it writes of a client certificate. */
  readonly subject: string
}

/** One with HTTP/1.1 and HTTP/2, and one a version of TLS that demands a client certificate. */
type Ports = Readonly<Record<'open' | Version, number>>
type Version = 'TLSv1.2' | 'TLSv1.3'
const VERSIONS: readonly Version[] = ['TLSv1.2', 'TLSv1.3']

const SERVERS: readonly Server[] = [
  { program: 'nginx', subject: 'CN=us' },
  { program: 'haproxy', subject: 'CN=us' },
  { program: 'caddy', subject: '"client_common_name":"us"' },
]

describe.each(SERVERS.filter(({ program }) => installed(program)))('$program', ({ program, subject }) => {
  const log = ACCESS_LOGS[program]
  let ports: Ports
  let tool: Tool
  beforeAll(async () => {
    const [open = 0, mutual12 = 0, mutual13 = 0] = await freePorts(3)
    ports = { open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 }
    tool = await start(program, ports)
  })

  test.each([
    ['HTTP/1.1', 'never'],
    ['HTTP/2', 'require'],
  ] as const)('is spoken to over %s where the pin is right', async (protocol, http2) => {
    const path = `/right-${http2}`
    const client = clientFor({ http2 })
    expect((await client.fetch(url('open', path))).status).toBe(200)
    expect(await logged(path)).toContain(protocol)
  })

  test('is refused where the pin is wrong: ERR_TRUST_PIN_MISMATCH, with no request in its log', async () => {
    const client = clientFor({ pins: { [HOST]: [unpinned.pin] } })
    const relay = await until(startRelay({ target: { port: ports.open } }))
    await refusalOf(client.fetch(`https://${HOST}:${relay.port}/wrong`), 'ERR_TRUST_PIN_MISMATCH')
    expect(relay.clientToServer.records).toEqual([expect.objectContaining({ type: 22, firstByte: 1 })])
    expect((await clientFor({}).fetch(url('open', '/control'))).status).toBe(200)
    await logged('/control')
    expect(tool.read(log)).not.toContain('/wrong') // it logs in order
  })

  describe.each(VERSIONS)('demanding a client certificate under %s', (version) => {
    test('lets us in with ours', async () => {
      const path = `/with-${version}`
      const client = clientFor({ certificate: { cert: own.pem, key: own.keyPem } })
      expect((await client.fetch(url(version, path))).status).toBe(200)
      expect(await logged(path)).toContain(subject)
    })

    if (program === 'nginx') {
      test('without one: it finishes the handshake, and its answer is 400', async () => {
        const response = await clientFor({}).fetch(url(version, '/without'))
        expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('No required SSL')])
      })
    } else {
      test('without one: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED says why', async () => {
        const path = `/without-${version}`
        const error = await refusalOf(clientFor({}).fetch(url(version, path)), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
        expect(error.message).toContain('the option `certificate` gives none')
        expect(tool.read(log)).not.toContain(path)
      })
    }
  })

  const url = (port: keyof Ports, path: string): string => `https://${HOST}:${ports[port]}${path}`

  /** The line of its access log about this path. */
  async function logged(path: string): Promise<string> {
    const line = () => {
      const whole = tool.read(log).split('\n').slice(0, -1)
      return whole.find((text) => text.includes(path))
    }
    await expect.poll(line, POLLING).toBeDefined()
    return line() ?? ''
  }
})

describe.each([
  { program: 'nginx', signal: 'SIGHUP' },
  { program: 'haproxy', signal: 'SIGUSR2' },
] as const)('$program with another key, reloaded', ({ program, signal }) => {
  test.skipIf(!installed(program))(
    'is spoken to where the pin set has it, and refused where not: ERR_TRUST_PIN_MISMATCH',
    async () => {
      const [open = 0, mutual12 = 0, mutual13 = 0] = await freePorts(3)
      const tool = await start(program, { open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 })
      const client = clientFor({ pins: { [HOST]: [current.pin, next.pin] } })
      const outcome = () => outcomeOf(client.fetch(`https://${HOST}:${open}/`))
      expect(await outcome()).toBe(200)
      for (const [rotated, expected] of [
        [next, 200],
        [unpinned, 'ERR_TRUST_PIN_MISMATCH'],
      ] as const) {
        tool.write(filesOf(rotated))
        await expect.poll(() => reloaded(tool, signal, () => served(open)), RELOADING).toBe(rotated.pin)
        await expect.poll(outcome, POLLING).toBe(expected) // for a moment both generations accept connections
      }
    },
  )
})

test.skipIf(!installed('haproxy'))(
  'haproxy staples what it was given; without it a certificate that demands a staple is ERR_TRUST_MUST_STAPLE_MISSING',
  async () => {
    const [open = 0, mutual12 = 0, mutual13 = 0] = await freePorts(3)
    const files = filesOf(stapled)
    const staple = { 'server.pem.ocsp': ocspResponse({ certificate: stapled }) }
    const tool = await start('haproxy', { open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 }, files)
    const client = clientFor({ pins: { [HOST]: [stapled.pin] }, revocation: { fetch: 'never' } })
    await refusalOf(client.fetch(`https://${HOST}:${open}/`), 'ERR_TRUST_MUST_STAPLE_MISSING')
    tool.write(staple)
    const outcome = () => outcomeOf(client.fetch(`https://${HOST}:${open}/`))
    await expect.poll(() => reloaded(tool, 'SIGUSR2', outcome), RELOADING).toBe(200)
  },
)

function clientFor(options: Partial<ClientOptions>) {
  return testClient({
    pins: { [HOST]: [current.pin] },
    anchors: ca.anchorPem,
    tls12Hosts: [allowTls12(HOST, { reason: 'both versions are tested' })],
    ...options,
  })
}

const outcomeOf = (call: Promise<Response>): Promise<number | string> =>
  call.then(
    ({ status }) => status,
    ({ code }: PinfetchError) => code,
  )

/** What a server is like after a reload. It loses signals while it starts, so this is to be asked again. */
async function reloaded<T>(tool: Tool, signal: NodeJS.Signals, look: () => Promise<T>): Promise<T> {
  tool.signal(signal)
  await setTimeout(500)
  return look()
}

/** The pin of the certificate that whoever connects is shown. */
function served(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: HOST, rejectUnauthorized: false }, () => {
      const key = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' })
      resolve(key && `sha256/${createHash('sha256').update(key).digest('base64')}`)
      socket.destroy()
    })
    socket.once('error', () => resolve(undefined))
  })
}

const filesOf = (certificate: TestCertificate): Files => ({ ...identityFiles(certificate), 'clients.pem': CLIENTS })

function start(program: WebServer, ports: Ports, files = filesOf(current)): Promise<Tool> {
  const listeners = [{ port: ports.open }, ...VERSIONS.map((mutual) => ({ port: ports[mutual], mutual }))]
  return startTool(program, webServer(program, listeners, files))
}

const CLIENTS = clients.anchorPem
const RELOADING = { timeout: 50_000, interval: 50 }
const POLLING = { timeout: 20_000, interval: 50 }
