/** Proxies that others wrote, between a client and its server. Their logs are the witness. */
import { type ClientOptions, createClient, type ProxyOption } from 'pinfetch'
import { certificatePem, selfSigned, startTlsServer, type TestTlsServer, testCa } from 'pinfetch/testing'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../src/testing/lab/programs.ts'
import { refusalOf } from '../support/client.ts'
import { installed, type Mitmdump, startMitmdump, startTool, type Tool } from './tools.ts'

const HOST = 'localhost' // which every proxy of this machine can resolve
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const other = ca.issue({ names: [HOST] })
const front = ca.issue({ names: [HOST] }) // of a proxy that is reached by TLS
const owned = selfSigned({ ca: true, subject: 'Owned' }) // the client trusts it, and whoever runs the proxy has its key
const CREDENTIALS = { username: 'user', password: 'secret' }
const SECRET = 'Bearer secret'

let origin: TestTlsServer
let url = ''
beforeAll(async () => {
  origin = await startTlsServer({ identity: server })
  url = `https://${HOST}:${origin.port}/`
  return () => origin.close()
})

describe.skipIf(!installed('tinyproxy'))('tinyproxy', () => {
  let [open, closed, guarded] = [0, 0, 0]
  let tool: Tool
  beforeAll(async () => {
    ;[open = 0, closed = 0, guarded = 0] = await freePorts(3)
    tool = await startTinyproxy(open)
    await Promise.all([
      startTinyproxy(closed, 'ConnectPort 443'),
      startTinyproxy(guarded, `BasicAuth ${CREDENTIALS.username} ${CREDENTIALS.password}`),
    ])
  })

  test('is asked for a tunnel, and sees no more of a request', async () => {
    expect(await fetched({ proxy: `http://127.0.0.1:${open}` })).toBe('ok')
    await expect.poll(() => tool.read('proxy.log'), POLLING).toContain(`CONNECT ${HOST}:${origin.port} HTTP/1.1`)
    expect(tool.read('proxy.log')).not.toContain('GET')
  })

  test('carries what the server has to be judged by: ERR_TRUST_PIN_MISMATCH', async () => {
    await expectRefused({ proxy: `http://127.0.0.1:${open}`, pins: { [HOST]: [other.pin] } }, 'ERR_TRUST_PIN_MISMATCH')
  })

  test('lets a client in with the right password: ERR_TRANSPORT_PROXY_AUTH without, and with another', async () => {
    const at = `http://127.0.0.1:${guarded}`
    expect(await fetched({ proxy: { url: at, credentials: CREDENTIALS } })).toBe('ok')
    await expectRefused({ proxy: at }, 'ERR_TRANSPORT_PROXY_AUTH')
    const wrong = { ...CREDENTIALS, password: 'wrong' }
    await expectRefused({ proxy: { url: at, credentials: wrong } }, 'ERR_TRANSPORT_PROXY_AUTH') // its answer is 401, not 407
  })

  test('that allows no such port: ERR_TRANSPORT_PROXY_DENIED', async () => {
    await expectRefused({ proxy: `http://127.0.0.1:${closed}` }, 'ERR_TRANSPORT_PROXY_DENIED')
  })

  test('of which the server cannot be reached: ERR_TRANSPORT_PROXY_FAILED', async () => {
    const [nobody = 0] = await freePorts(1)
    const call = clientFor({ proxy: `http://127.0.0.1:${open}` }).fetch(`https://${HOST}:${nobody}/`)
    await refusalOf(call, 'ERR_TRANSPORT_PROXY_FAILED')
  })

  test.skipIf(!installed('haproxy'))(
    'behind haproxy, which speaks TLS: reached where its pin is right, ERR_TRUST_PIN_MISMATCH where not',
    async () => {
      const [port = 0] = await freePorts(1)
      await startTlsFront(port, open)
      const proxy = { url: `https://${HOST}:${port}`, pins: [front.pin] }
      expect(await fetched({ proxy })).toBe('ok')
      const asked = () => tool.read('proxy.log').split('CONNECT').length
      const before = asked()
      await expectRefused({ proxy: { ...proxy, pins: [other.pin] } }, 'ERR_TRUST_PIN_MISMATCH')
      expect(await fetched({ proxy })).toBe('ok')
      await expect.poll(asked, POLLING).toBeGreaterThan(before)
    },
  )
})

describe.skipIf(!installed('microsocks'))('microsocks', () => {
  let [open, guarded] = [0, 0]
  let tool: Tool
  beforeAll(async () => {
    ;[open = 0, guarded = 0] = await freePorts(2)
    tool = await startMicrosocks(open)
    await startMicrosocks(guarded, ['-u', CREDENTIALS.username, '-P', CREDENTIALS.password])
  })

  test.each([
    ['socks5', '127.0.0.1', { resolver: async () => ['127.0.0.1'] }],
    ['socks5h', HOST, {}],
  ] as const)('over %s is asked for %s', async (scheme, asked, options) => {
    expect(await fetched({ proxy: `${scheme}://127.0.0.1:${open}`, ...options })).toBe('ok')
    await expect.poll(() => tool.read('output'), POLLING).toContain(`connected to ${asked}:${origin.port}`)
  })

  test('carries what the server has to be judged by: ERR_TRUST_PIN_MISMATCH', async () => {
    const proxy = `socks5h://127.0.0.1:${open}`
    await expectRefused({ proxy, pins: { [HOST]: [other.pin] } }, 'ERR_TRUST_PIN_MISMATCH')
  })

  test('lets a client in with the right password: ERR_TRANSPORT_PROXY_AUTH with another, or none', async () => {
    const at = `socks5h://127.0.0.1:${guarded}`
    expect(await fetched({ proxy: { url: at, credentials: CREDENTIALS } })).toBe('ok')
    const wrong = { ...CREDENTIALS, password: 'wrong' }
    for (const proxy of [at, { url: at, credentials: wrong }]) {
      await expectRefused({ proxy }, 'ERR_TRANSPORT_PROXY_AUTH')
    }
  })

  test('of which the server cannot be reached: ERR_TRANSPORT_PROXY_FAILED', async () => {
    const [nobody = 0] = await freePorts(1)
    const call = clientFor({ proxy: `socks5h://127.0.0.1:${open}` }).fetch(`https://${HOST}:${nobody}/`)
    await refusalOf(call, 'ERR_TRANSPORT_PROXY_FAILED')
  })
})

describe.skipIf(!installed('mitmdump'))('mitmproxy as the proxy that everybody has to go through', () => {
  let intercepting: Mitmdump
  let passing: Mitmdump
  beforeAll(async () => {
    const [first = 0, second = 0] = await freePorts(2)
    const started = [startMitmdump(first, owned, []), startMitmdump(second, owned, ['--ignore-hosts', HOST])] as const
    ;[intercepting, passing] = await Promise.all(started)
  })

  test('opens TLS under a CA that the client trusts: ERR_TRUST_PIN_MISMATCH; it sees the CONNECT and a ClientHello', async () => {
    await expectRefused({ proxy: `http://127.0.0.1:${intercepting.port}` }, 'ERR_TRUST_PIN_MISMATCH')
    const events = () => intercepting.seen().map(({ event }) => event)
    await expect.poll(events, POLLING).toEqual(['clientHello', 'failed'])
    expect(intercepting.tool.read('output')).toContain(`${HOST}:${origin.port}`)
  })

  test('leaves TLS alone: the server answers', async () => {
    expect(await fetched({ proxy: `http://127.0.0.1:${passing.port}` })).toBe('ok')
  })
})

/** With the system’s resolver: proxies are asked for names. */
function clientFor(options: Partial<ClientOptions> & { readonly proxy: ProxyOption }) {
  const client = createClient({ pins: { [HOST]: [server.pin] }, anchors: [ca.anchorPem, owned.pem], ...options })
  onTestFinished(() => client.close())
  return client
}

async function fetched(options: Parameters<typeof clientFor>[0]): Promise<string> {
  const response = await clientFor(options).fetch(url, { headers: { authorization: SECRET } })
  return response.text()
}

async function expectRefused(options: Parameters<typeof clientFor>[0], code: Parameters<typeof refusalOf>[1]) {
  const before = origin.requests.length
  await refusalOf(fetched(options), code)
  expect(origin.requests).toHaveLength(before)
}

function startTinyproxy(port: number, ...lines: readonly string[]): Promise<Tool> {
  const config = [
    `Port ${port}`,
    'Listen 127.0.0.1',
    'LogFile "proxy.log"',
    'LogLevel Connect',
    'MaxClients 20',
    ...lines,
  ]
  const files = { 'tinyproxy.conf': `${config.join('\n')}\n` }
  return startTool('tinyproxy', { args: ['-d', '-c', 'tinyproxy.conf'], ports: [port], files })
}

const startMicrosocks = (port: number, flags: readonly string[] = []): Promise<Tool> =>
  startTool('microsocks', { args: ['-i', '127.0.0.1', '-p', `${port}`, ...flags], ports: [port] })

/** TLS in front of a port that speaks none. */
function startTlsFront(port: number, behind: number): Promise<Tool> {
  const config = `defaults
      mode tcp
      timeout client 60s
      timeout server 60s
      timeout connect 60s
    listen front
      bind 127.0.0.1:${port} ssl crt front.pem
      server proxy 127.0.0.1:${behind}
`
  const files = { 'front.pem': front.chain.map(certificatePem).join('') + front.keyPem, 'haproxy.cfg': config }
  return startTool('haproxy', { args: ['-db', '-f', 'haproxy.cfg'], ports: [port], files })
}

const POLLING = { timeout: 20_000, interval: 50 }
