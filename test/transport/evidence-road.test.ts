import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import type { ProxyOption } from 'pinfetch'
import { certificatePem, startProxy, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { ProxySchema, resolveProxy } from '../../src/client/proxy.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { createEvidenceFetcher } from '../../src/transport/evidence-fetch.ts'
import { createEvidenceRoads } from '../../src/transport/evidence-road.ts'
import { DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { until } from '../support/client.ts'
import { policyFor } from '../support/policy.ts'

const PROXY = 'proxy.corp.example'
const ca = testCa()
const certificate = ca.issue({ names: [PROXY] })
const stranger = ca.issue({ names: [PROXY] })

interface Asked {
  readonly line: string
  readonly headers: IncomingHttpHeaders
}

/** An HTTP server that is asked for whole URLs, as a proxy is. */
async function startForwarder(identity?: typeof certificate) {
  const asked: Asked[] = []
  const onRequest: RequestListener = (request, response) => {
    asked.push({ line: `${request.method} ${request.url}`, headers: request.headers })
    response.end('list')
  }
  const server: Server & { closeAllConnections(): void } =
    identity === undefined
      ? createServer(onRequest)
      : createHttpsServer({ cert: identity.chain.map(certificatePem).join(''), key: identity.keyPem }, onRequest)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, asked }
}

interface Network {
  readonly resolver?: (host: string) => Promise<readonly string[]>
  readonly ports?: readonly number[]
  readonly timeoutMs?: number
}

async function get(url: string, option: ProxyOption, { resolver, ports = [80], timeoutMs = 5_000 }: Network = {}) {
  const resolved = resolveProxy(ProxySchema.parse(option), {}) ?? expect.fail('no proxy')
  const network = { allowPrivateHosts: ['inside.test'], ports }
  const chosen = resolver === undefined ? {} : { resolver }
  const roads = createEvidenceRoads(resolved.server, {
    ...chosen,
    runtime: systemRuntime,
    emit: () => undefined,
    timeouts: DEFAULT_TIMEOUTS,
    policyOf: (origin) => policyFor(origin, resolved.pins, { anchors: createAnchors(ca.anchorPem) }),
    deny: [],
    allowPrivateHosts: network.allowPrivateHosts,
  })
  const fetcher = createEvidenceFetcher({ runtime: systemRuntime, network, roads, ...chosen })
  onTestFinished(() => fetcher.close())
  const chunks: Uint8Array[] = []
  for await (const chunk of fetcher.fetch({ url, maxBytes: 100_000, timeoutMs })) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const atLoopback = async (): Promise<readonly string[]> => ['127.0.0.1']

test('an HTTP proxy is asked for an http URL itself, with its credentials and no tunnel', async () => {
  const proxy = await startForwarder()
  const url = 'http://crl.example.com/a.crl?b=c'
  expect(await get(url, `http://user:hunter2@127.0.0.1:${proxy.port}`)).toBe('list')
  expect(proxy.asked.map(({ line }) => line)).toEqual([`GET ${url}`])
  expect(proxy.asked[0]?.headers).toMatchObject({
    host: 'crl.example.com',
    'proxy-authorization': `Basic ${Buffer.from('user:hunter2').toString('base64')}`,
  })
})

test('one that is reached by TLS is judged first: with the wrong key it is asked nothing, ERR_TRUST_FETCH_NETWORK', async () => {
  const option = (port: number) => ({ url: `https://user:hunter2@${PROXY}:${port}`, pins: [certificate.pin] })
  const right = await startForwarder(certificate)
  const url = 'http://crl.example.com/a.crl'
  expect(await get(url, option(right.port), { resolver: atLoopback })).toBe('list')
  const wrong = await startForwarder(stranger)
  await expect(get(url, option(wrong.port), { resolver: atLoopback })).rejects.toMatchObject({
    code: 'ERR_TRUST_FETCH_NETWORK',
    message: expect.stringContaining('ERR_TRUST_PIN_MISMATCH'),
  })
  expect(wrong.asked).toEqual([])
})

test('a SOCKS proxy makes a tunnel; only where names are left to it, it hears names', async () => {
  const source = await startForwarder()
  const proxy = await until(startProxy({ kind: 'socks5', targetOf: () => ({ port: source.port }) }))
  const at = (scheme: string) => `${scheme}://127.0.0.1:${proxy.port}`
  expect(await get('http://crl.example.com/a.crl', at('socks5h'))).toBe('list')
  const resolver = async () => ['9.9.9.9']
  expect(await get('http://crl.example.com/a.crl', at('socks5'), { resolver })).toBe('list')
  expect(proxy.requests.map(({ host, port }) => [host, port])).toEqual([
    ['crl.example.com', 80],
    ['9.9.9.9', 80],
  ])
  expect(source.asked.map(({ line }) => line)).toEqual(['GET /a.crl', 'GET /a.crl'])
})

test('addresses that are not public are asked for only of hosts that may have them: ERR_TRUST_FETCH_NETWORK', async () => {
  const source = await startForwarder()
  const proxy = await until(startProxy({ kind: 'socks5', targetOf: () => ({ port: source.port }) }))
  const option = `socks5://127.0.0.1:${proxy.port}`
  await expect(get('http://evil.test/a.crl', option, { resolver: atLoopback })).rejects.toMatchObject({
    code: 'ERR_TRUST_FETCH_NETWORK',
    message: expect.stringContaining('ERR_POLICY_ADDRESS_DENIED'),
  })
  expect(proxy.accepted).toBe(0)
  expect(await get('http://inside.test/a.crl', option, { resolver: atLoopback })).toBe('list')
})

test('an https URL gets a tunnel and Node’s own checks: ERR_TRUST_FETCH_NETWORK for a CA that nobody knows', async () => {
  const source = await startForwarder(ca.issue({ names: ['crl.example.com'] }))
  const proxy = await until(startProxy({ targetOf: () => ({ port: source.port }) }))
  const call = get('https://crl.example.com/a.crl', `http://127.0.0.1:${proxy.port}`, { ports: [443] })
  await expect(call).rejects.toMatchObject({ code: 'ERR_TRUST_FETCH_NETWORK' })
  expect(proxy.requests.map(({ host, port }) => [host, port])).toEqual([['crl.example.com', 443]])
  expect(source.asked).toEqual([])
})

test('hosts of `bypass` are fetched directly', async () => {
  const source = await startForwarder()
  const proxy = { url: 'http://127.0.0.1:1', bypass: ['inside.test'] }
  const network = { resolver: atLoopback, ports: [source.port] }
  expect(await get(`http://inside.test:${source.port}/a.crl`, proxy, network)).toBe('list')
})

test.each(['http', 'socks5h'] as const)(
  'a proxy of %s that stays silent holds nobody up: ERR_TRUST_FETCH_TIMEOUT',
  async (scheme) => {
    let open = 0
    const silent = createTcpServer((socket) => {
      open += 1
      socket.resume().on('error', () => undefined)
      socket.once('close', () => {
        open -= 1
      })
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as AddressInfo
    await expect(
      get('http://crl.example.com/', `${scheme}://127.0.0.1:${port}`, { timeoutMs: 300 }),
    ).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_TIMEOUT',
    })
    await expect.poll(() => open, { timeout: 20_000 }).toBe(0)
  },
)

test.each(['http', 'https'])(
  'so does a server at the end of its tunnel, for %s: ERR_TRUST_FETCH_TIMEOUT',
  async (scheme) => {
    const silent = createTcpServer((socket) => void socket.on('error', () => undefined))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as AddressInfo
    const proxy = await until(startProxy({ kind: 'socks5' }))
    const call = get(`${scheme}://inside.test:${port}/`, `socks5h://127.0.0.1:${proxy.port}`, {
      ports: [port],
      timeoutMs: 500,
    })
    await expect(call).rejects.toMatchObject({ code: 'ERR_TRUST_FETCH_TIMEOUT' })
    await expect.poll(() => proxy.open, { timeout: 20_000 }).toBe(0)
  },
)

test.each(['http', 'socks5h'] as const)('a proxy of %s that is not there: ERR_TRUST_FETCH_NETWORK', async (scheme) => {
  await expect(get('http://crl.example.com/', `${scheme}://127.0.0.1:1`)).rejects.toMatchObject({
    code: 'ERR_TRUST_FETCH_NETWORK',
  })
})
