/** Servers that others wrote: whom we accept, whom we refuse, and how they see us. Their access logs are the witness. */
import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { connect } from 'node:tls'
import type { ClientOptions, PinfetchError } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import { certificatePem, extension, ocspResponse, startRelay, type TestCertificate, testCa } from 'pinfetch/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { type Files, freePorts, installed, type Program, startTool, type Tool } from './tools.ts'

const HOST = 'api.example.com'
const ca = testCa()
const clients = testCa({ name: 'Clients', intermediates: 0 })
const own = clients.issue({ subject: 'us', extendedKeyUsage: ['clientAuth'] })
const current = ca.issue({ names: [HOST] })
const next = ca.issue({ names: [HOST] })
const unpinned = ca.issue({ names: [HOST] })
const stapled = ca.issue({ names: [HOST], extensions: [extension.mustStaple()] })

interface Server {
  readonly program: Program
  /** Where its access log is. */
  readonly log: string
  /** What it writes of a client certificate. */
  readonly subject: string
  readonly start: (ports: Ports) => Promise<Tool>
}

/** One with HTTP/1.1 and HTTP/2, and one a version of TLS that demands a client certificate. */
type Ports = Readonly<Record<'open' | Version, number>>
type Version = 'TLSv1.2' | 'TLSv1.3'
const VERSIONS: readonly Version[] = ['TLSv1.2', 'TLSv1.3']

const SERVERS: readonly Server[] = [
  { program: 'nginx', log: 'access.log', subject: 'CN=us', start: startNginx },
  { program: 'haproxy', log: 'output', subject: 'CN=us', start: startHaproxy },
  { program: 'caddy', log: 'access.log', subject: '"client_common_name":"us"', start: startCaddy },
]

describe.each(SERVERS.filter(({ program }) => installed(program)))('$program', ({ program, log, subject, start }) => {
  let ports: Ports
  let tool: Tool
  beforeAll(async () => {
    const [open = 0, mutual12 = 0, mutual13 = 0] = await freePorts(3)
    ports = { open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 }
    tool = await start(ports)
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
  { program: 'nginx', start: startNginx, signal: 'SIGHUP' },
  { program: 'haproxy', start: startHaproxy, signal: 'SIGUSR2' },
] as const)('$program with another key, reloaded', ({ program, start, signal }) => {
  test.skipIf(!installed(program))(
    'is spoken to where the pin set has it, and refused where not: ERR_TRUST_PIN_MISMATCH',
    async () => {
      const [open = 0, mutual12 = 0, mutual13 = 0] = await freePorts(3)
      const tool = await start({ open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 })
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
    const tool = await startHaproxy({ open, 'TLSv1.2': mutual12, 'TLSv1.3': mutual13 }, files)
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

const filesOf = ({ chain, keyPem }: TestCertificate): Files => {
  const certificates = chain.map(certificatePem).join('')
  return { 'chain.pem': certificates, 'key.pem': keyPem, 'server.pem': certificates + keyPem, 'clients.pem': CLIENTS }
}

function startNginx(ports: Ports): Promise<Tool> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
  const mutual = VERSIONS.map(
    (version) => `server {
      listen 127.0.0.1:${ports[version]} ssl; ssl_protocols ${version};
      ssl_verify_client on; ssl_client_certificate clients.pem;
      return 200 'nginx';
    }`,
  )
  const config = `daemon off; pid nginx.pid; worker_processes 1;
    events {}
    http {
      ${temporary.join(' ')} keepalive_timeout 0;
      log_format witness '$server_protocol $request_uri $status $ssl_client_s_dn'; access_log access.log witness;
      ssl_certificate chain.pem; ssl_certificate_key key.pem;
      server { listen 127.0.0.1:${ports.open} ssl http2; return 200 'nginx'; }
      ${mutual.join('\n')}
    }`
  const args = ['-p', '.', '-c', 'nginx.conf', '-e', 'error.log']
  return startTool('nginx', args, { ports: Object.values(ports), files: { ...filesOf(current), 'nginx.conf': config } })
}

function startHaproxy(ports: Ports, files = filesOf(current)): Promise<Tool> {
  const tls = 'ssl crt server.pem alpn h2,http/1.1'
  const mutual = VERSIONS.map(
    (version) =>
      `bind 127.0.0.1:${ports[version]} ${tls} ca-file clients.pem verify required force-tlsv${version.at(-3)}${version.at(-1)}`,
  )
  const config = `global
      log stdout format raw local0
    defaults
      mode http
      timeout client 60s
      timeout server 60s
      timeout connect 60s
    frontend all
      log global
      log-format "%HV %HP %ST %[ssl_c_s_dn]"
      option dontlognull
      option httpclose
      bind 127.0.0.1:${ports.open} ${tls}
      ${mutual.join('\n      ')}
      http-request return status 200 content-type text/plain string haproxy
`
  const args = ['-W', '-db', '-f', 'haproxy.cfg']
  return startTool('haproxy', args, { ports: Object.values(ports), files: { ...files, 'haproxy.cfg': config } })
}

function startCaddy(ports: Ports): Promise<Tool> {
  const shared = `log {
      output file access.log
    }
    respond caddy`
  const mutual = VERSIONS.map((version) => {
    const protocol = version.toLowerCase().replace('v', '')
    return `https://${HOST}:${ports[version]} {
      bind 127.0.0.1
      tls chain.pem key.pem {
        protocols ${protocol} ${protocol}
        client_auth {
          mode require_and_verify
          trusted_ca_cert_file clients.pem
        }
      }
      ${shared}
    }`
  })
  const config = `{
      admin off
      auto_https off
      servers {
        protocols h1 h2
      }
    }
    https://${HOST}:${ports.open} {
      bind 127.0.0.1
      tls chain.pem key.pem
      ${shared}
    }
    ${mutual.join('\n')}`
  const args = ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile']
  return startTool('caddy', args, {
    ports: Object.values(ports),
    files: { ...filesOf(current), Caddyfile: config },
    env: { HOME: '.', XDG_DATA_HOME: '.', XDG_CONFIG_HOME: '.' },
  })
}

const CLIENTS = clients.anchorPem
const RELOADING = { timeout: 50_000, interval: 50 }
const POLLING = { timeout: 20_000, interval: 50 }
