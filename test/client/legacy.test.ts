import { type AddressInfo, createServer, type Socket } from 'node:net'
import { allowLegacy, allowTls12, allowUnpinned, manifestMay } from 'pinfetch/dangerous'
import {
  createTestRuntime,
  startProxy,
  startTlsServer,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ClientOptions } from '../../src/index.ts'
import type { HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { settled } from '../support/scene.ts'

const HOST = 'old.partner.example'
const DAY_MS = 86_400_000
const reason = 'a partner whose appliance is replaced in spring'
const ca = testCa()
const server = ca.issue({ names: [HOST, 'api.example.com'] })
const CBC = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const

const cbcServer = (options: Partial<TlsServerOptions> = {}): Promise<TestTlsServer> =>
  until(startTlsServer({ identity: server, ...CBC, ...options }))
const modernServer = (): Promise<TestTlsServer> => until(startTlsServer({ identity: server }))
const common = { pins: { [HOST]: [server.pin], 'api.example.com': [server.pin] }, anchors: ca.anchorPem }
const inFuture = (days: number): Date => new Date(Date.now() + days * DAY_MS)
const allowed = (sunset = inFuture(90)): ClientOptions => ({
  ...common,
  legacyHosts: [allowLegacy(HOST, { reason, sunset })],
})

/** What goes to standard error meanwhile. */
function listening(): string[] {
  const lines: string[] = []
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
  onTestFinished(() => spy.mockRestore())
  return lines
}

test.each([
  ['no reason', () => allowLegacy(HOST, { sunset: inFuture(1) } as never), 'ERR_CONFIG_REASON'],
  ['no sunset', () => allowLegacy(HOST, { reason } as never), 'ERR_CONFIG_INVALID'],
  ['a sunset that is no date', () => allowLegacy(HOST, { reason, sunset: new Date('soon') }), 'ERR_CONFIG_INVALID'],
  ['a sunset as text', () => allowLegacy(HOST, { reason, sunset: '2027-01-01' as never }), 'ERR_CONFIG_INVALID'],
  ['a review that is no date', () => allowTls12(HOST, { reason, reviewBy: new Date('') }), 'ERR_CONFIG_INVALID'],
  ['a registry', () => allowLegacy('**.co.uk', { reason, sunset: inFuture(1) }), 'ERR_CONFIG_HOST'],
])('refuses %s', (_, loosen, code) => {
  expect(loosen).toThrow(expect.objectContaining({ name: 'ConfigurationError', code }))
})

describe('allowLegacy', () => {
  test('speaks CBC suites with the named host alone: any other is ERR_TLS_VERSION, and TLS 1.2 alone ERR_TLS_HANDSHAKE', async () => {
    const old = await cbcServer()
    const client = testClient(allowed())
    expect((await client.fetch(`https://${HOST}:${old.port}/`)).status).toBe(200)
    await refusalOf(client.fetch(`https://api.example.com:${old.port}/`), 'ERR_TLS_VERSION')
    const strict = testClient({ ...common, tls12Hosts: [allowTls12(HOST, { reason })] })
    await refusalOf(strict.fetch(`https://${HOST}:${old.port}/`), 'ERR_TLS_HANDSHAKE')
  })

  test('is checked as any host is: ERR_TRUST_PIN_MISMATCH', async () => {
    const other = await cbcServer({ identity: ca.issue({ names: [HOST] }) })
    await refusalOf(testClient(allowed()).fetch(`https://${HOST}:${other.port}/`), 'ERR_TRUST_PIN_MISMATCH')
    expect(other.applicationBytes).toBe(0)
  })

  test('still speaks TLS 1.3 where the server can', async () => {
    const modern = await until(startTlsServer({ identity: server }))
    await testClient(allowed()).fetch(`https://${HOST}:${modern.port}/`)
    expect(modern.connections.map(({ protocol }) => protocol)).toEqual(['TLSv1.3'])
  })

  test('gets 32 connections at once where another host gets as many as it asks for', async () => {
    const open: (() => void)[] = []
    const waiting = await cbcServer({ handler: (_, response) => open.push(() => response.end('ok')) })
    const modern = await until(
      startTlsServer({ identity: server, handler: (_, response) => open.push(() => response.end('ok')) }),
    )
    const client = testClient({ ...allowed(), timeouts: { headersMs: 60_000, totalMs: 60_000 } })
    const urls = [`https://${HOST}:${waiting.port}/`, `https://api.example.com:${modern.port}/`]
    const calls = urls.flatMap((url) => Array.from({ length: 40 }, () => client.fetch(url)))
    await vi.waitUntil(() => modern.accepted === 40 && waiting.requests.length === 32, 30_000)
    for (const answer of open.splice(0)) answer()
    await vi.waitUntil(() => waiting.requests.length === 40, 30_000)
    for (const answer of open.splice(0)) answer()
    expect((await Promise.all(calls)).every(({ status }) => status === 200)).toBe(true)
    expect(waiting.accepted).toBe(32)
  })

  test('makes a full handshake each time, where a host of TLS 1.2 resumes', async () => {
    const closing = {
      handler: (_: unknown, response: { writeHead: CallableFunction }) =>
        response.writeHead(200, { connection: 'close' }).end(),
    }
    const [old, plain] = [
      await cbcServer(closing),
      await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2', ...closing })),
    ]
    const client = testClient({ ...allowed(), tls12Hosts: [allowTls12('api.example.com', { reason })] })
    for (let at = 0; at < 3; at += 1) {
      await (await client.fetch(`https://${HOST}:${old.port}/`)).arrayBuffer()
      await (await client.fetch(`https://api.example.com:${plain.port}/`)).arrayBuffer()
      await new Promise((resolve) => setTimeout(resolve, 50)) // the connection is closed, its session is here
    }
    expect(old.connections.map(({ resumed }) => resumed)).toEqual([false, false, false])
    expect(plain.sessionsReused).toBeGreaterThan(0)
  })

  describe('with timeouts', () => {
    const own = { totalMs: 2_000, connectMs: 500, tlsMs: 500, headersMs: 500, bodyMs: 500 }
    const longer = { totalMs: 60_000, connectMs: 30_000, tlsMs: 30_000, headersMs: 30_000, bodyMs: 30_000 }
    const patient = (more: ClientOptions = {}): ClientOptions => ({
      ...common,
      timeouts: own,
      legacyHosts: [allowLegacy(HOST, { reason, sunset: inFuture(90), timeouts: longer })],
      ...more,
    })

    test('waits longer for the headers of the named host alone: ERR_TRANSPORT_TIMEOUT for any other', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const answers: (() => void)[] = []
      const handler: TlsServerOptions['handler'] = (_, response) => answers.push(() => response.end('late'))
      const [old, modern] = [await cbcServer({ handler }), await until(startTlsServer({ identity: server, handler }))]
      const client = testClient({ ...patient(), runtime })
      const slow = client.fetch(`https://${HOST}:${old.port}/`)
      const other = refusalOf(client.fetch(`https://api.example.com:${modern.port}/`), 'ERR_TRANSPORT_TIMEOUT')
      await vi.waitUntil(() => answers.length === 2, 30_000)
      await runtime.advance(25_000)
      expect((await other).message).toContain('500 ms (timeouts.headersMs)')
      for (const answer of answers) answer()
      expect(await (await slow).text()).toBe('late')
    })

    test.each([
      ['headersMs', 'no response headers within 30000 ms'],
      ['totalMs', 'not over after 60000 ms'],
    ] as const)('and no longer than these: %s', async (name, about) => {
      const runtime = createTestRuntime({ now: Date.now() })
      const old = await cbcServer({ handler: () => undefined })
      const timeouts = name === 'totalMs' ? { ...longer, headersMs: 600_000 } : longer
      const client = testClient({
        ...patient({ legacyHosts: [allowLegacy(HOST, { reason, sunset: inFuture(90), timeouts })] }),
        runtime,
      })
      const call = refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_TRANSPORT_TIMEOUT')
      await vi.waitUntil(() => old.requests.length === 1, 30_000)
      await runtime.advance(62_000)
      expect((await call).message).toContain(about)
    })

    test('waits longer for the handshake', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const silent = createServer((socket) => void socket.on('error', () => undefined))
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void silent.close())
      const accepted: Socket[] = []
      silent.on('connection', (socket) => accepted.push(socket))
      onTestFinished(() => {
        for (const socket of accepted) socket.destroy()
      })
      const { port } = silent.address() as AddressInfo
      const client = testClient({ ...patient(), runtime })
      let isOver = false
      const call = refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRANSPORT_TIMEOUT')
      void call.then(() => {
        isOver = true
      })
      await vi.waitUntil(() => accepted.length === 1, 30_000)
      await runtime.advance(20_000)
      expect(isOver).toBe(false)
      await runtime.advance(40_000)
      expect((await call).message).toMatch(/within 30000 ms/)
    })

    test('is refused after the sunset as ever: ERR_POLICY_SUNSET', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const old = await cbcServer()
      const rule = allowLegacy(HOST, { reason, sunset: new Date(Date.now() + 1_000), timeouts: longer })
      const client = testClient({ ...patient({ legacyHosts: [rule] }), runtime })
      expect((await client.fetch(`https://${HOST}:${old.port}/`)).status).toBe(200)
      await runtime.advance(2_000)
      await refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_POLICY_SUNSET')
    })

    test.each([
      ['one that is shorter than the client’s own', { headersMs: 499 }],
      ['one that is longer than any may be', { connectMs: 600_001 }],
      ['one that is no number', { tlsMs: '30' as never }],
      ['an unknown member', { idleMs: 1_000 } as never],
    ])('refuses %s: ERR_CONFIG_INVALID', (_, wrong) => {
      const make = (timeouts: object) =>
        testClient(patient({ legacyHosts: [allowLegacy(HOST, { reason, sunset: inFuture(1), timeouts })] }))
      expect(() => make({ headersMs: 500 })).not.toThrow()
      expect(() => make(wrong)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    })
  })

  test('uses no connection for longer than a minute', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const old = await cbcServer()
    const client = testClient({ ...allowed(), runtime })
    const get = async (): Promise<void> => void (await (await client.fetch(`https://${HOST}:${old.port}/`)).text())
    await get()
    await get()
    expect(old.accepted).toBe(1)
    await runtime.advance(61_000)
    await get()
    expect(old.accepted).toBe(2)
  })

  test('is not offered HTTP/2, and where that is required is refused: ERR_TLS_ALPN', async () => {
    const both = await until(startTlsServer({ identity: server, ...CBC, alpn: ['h2', 'http/1.1'] }))
    const prefers = testClient({ ...allowed(), http2: 'prefer' })
    expect((await prefers.fetch(`https://${HOST}:${both.port}/`)).status).toBe(200)
    expect(both.connections.map(({ alpn }) => alpn)).toEqual(['http/1.1'])
    await refusalOf(
      testClient({ ...allowed(), http2: 'require' }).fetch(`https://${HOST}:${both.port}/`),
      'ERR_TLS_ALPN',
    )
    expect(both.accepted).toBe(1)
  })
})

describe('the sunset', () => {
  function clientUntil(days: number) {
    const runtime = createTestRuntime({ now: Date.now() })
    const sunset = runtime.clock.now() + days * DAY_MS
    const client = testClient({ ...allowed(new Date(sunset)), runtime })
    const told: number[] = []
    client.on('policy.sunset', (event) => {
      expect(event).toMatchObject({ host: HOST, sunset })
      told.push(event.daysLeft)
    })
    return { runtime, client, told }
  }

  test('is told 30, 14, 7 and 1 days before and at the end, once each; on standard error in the last week', async () => {
    const lines = listening()
    const { runtime, told } = clientUntil(40)
    for (let day = 0; day < 45; day += 1) await runtime.advance(DAY_MS)
    expect(told).toEqual([30, 14, 7, 1, 0])
    const said = lines.filter((line) => line.includes(HOST))
    expect(said).toEqual([
      expect.stringContaining(`the legacy profile of ${HOST} ends in 7 days`),
      expect.stringContaining(`the legacy profile of ${HOST} ends in 1 day;`),
      expect.stringContaining(`${HOST} is refused`),
    ])
  })

  test('is told late and once where the machine slept through several of the days', async () => {
    listening()
    const { runtime, told } = clientUntil(40)
    await runtime.advance(1_000)
    runtime.setWall(runtime.clock.now() + 34.5 * DAY_MS)
    await runtime.advance(3_600_000)
    expect(told).toEqual([6])
    await runtime.advance(3_600_000)
    expect(told).toEqual([6])
  })

  test('ends requests, and the live connection too: ERR_POLICY_SUNSET, whatever the server speaks by then', async () => {
    listening()
    const { runtime, client } = clientUntil(2)
    const [old, modern] = [await cbcServer(), await until(startTlsServer({ identity: server }))]
    expect(await (await client.fetch(`https://${HOST}:${old.port}/`)).text()).toBe('ok')
    const retired: unknown[] = []
    client.on('tls.retired', ({ code, connections }) => retired.push([code, connections]))
    const [live] = old.connections
    expect(live?.socket.destroyed).toBe(false)
    await runtime.advance(2 * DAY_MS)
    await vi.waitUntil(() => live?.socket.destroyed === true, 30_000)
    expect(retired).toEqual([['ERR_POLICY_SUNSET', 1]])
    await refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_POLICY_SUNSET')
    await refusalOf(client.fetch(`https://${HOST}:${modern.port}/`), 'ERR_POLICY_SUNSET')
    expect((await client.fetch(`https://api.example.com:${modern.port}/`)).status).toBe(200)
    expect([old.accepted, modern.accepted]).toEqual([1, 1])
  })

  test('that was seen to be over stays so when the clock is set back: ERR_POLICY_SUNSET', async () => {
    listening()
    const { runtime, client } = clientUntil(2)
    const old = await cbcServer()
    const begun = runtime.clock.now()
    expect((await client.fetch(`https://${HOST}:${old.port}/`)).status).toBe(200)
    for (const now of [begun + 3 * DAY_MS, begun]) {
      runtime.setWall(now)
      await refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_POLICY_SUNSET')
    }
    expect((await client.fetch(`https://api.example.com:${(await modernServer()).port}/`)).status).toBe(200)
  })

  test('holds for a proxy that is reached by TLS, too, before any manifest came: nobody connects', async () => {
    listening()
    const PROXY = 'proxy.partner.example'
    const asked = async (days: number): Promise<number> => {
      const proxy = await until(startProxy({ identity: ca.issue({ names: [PROXY] }) }))
      const { manifest } = await startTestPins({
        ca,
        name: 'pins.example.com',
        hosts: [{ host: HOST, mode: 'enforce', pins: [{ spki: ca.root.pin }, { spki: ca.issuer.pin }] }],
      })
      const client = testClient({
        manifest,
        anchors: ca.anchorPem,
        proxy: `https://${PROXY}:${proxy.port}`,
        unlistedHosts: [allowUnpinned(PROXY, { reason })],
        legacyHosts: [allowLegacy(PROXY, { reason, sunset: inFuture(days) })],
      })
      await client.manifest.refresh().catch(() => undefined)
      return proxy.accepted
    }
    expect(await asked(-1)).toBe(0)
    expect(await asked(1)).toBeGreaterThan(0)
  })
})

describe('a legacy profile of the manifest', () => {
  async function start(entry: Partial<HostInput>, options: Partial<ClientOptions>) {
    const runtime = createTestRuntime({ now: Date.now() })
    const sunset = `${new Date(runtime.clock.now() + 10 * DAY_MS).toISOString().slice(0, 19)}Z`
    const pins = [{ spki: ca.root.pin }, { spki: ca.issuer.pin }]
    const hosts: readonly HostInput[] = [{ host: HOST, mode: 'enforce', pins, profile: 'legacy', sunset, ...entry }]
    const repository = { clock: runtime.clock }
    const { manifest, repository: published } = await startTestPins({ ca, name: 'pins.example.com', hosts, repository })
    const client = testClient({ manifest, anchors: ca.anchorPem, runtime, ...options })
    const told: string[] = []
    client.on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
    client.on('policy.sunset', ({ host, daysLeft }) => told.push(`${host}: ${daysLeft}`))
    await settled(client.ready(), runtime)
    const old = await cbcServer()
    return { client, runtime, told, old, published, hosts, url: `https://${HOST}:${old.port}/` }
  }
  const may = manifestMay(['legacy'], { reason })

  test('is in force where manifestMay allows it, and an event names its end; else ERR_TLS_VERSION', async () => {
    const { client, told, old, url } = await start({}, { manifestMay: may })
    expect((await client.fetch(url)).status).toBe(200)
    expect(told).toContain(`manifest: ${HOST} asks for the legacy profile: in force: manifestMay allows it`)
    expect(told).toContain(`${HOST}:${old.port}: 10`)
    const strict = await start({}, { manifestMay: manifestMay(['tls12'], { reason }) })
    await refusalOf(strict.client.fetch(strict.url), 'ERR_TLS_VERSION')
    expect(strict.told.some((line) => line.endsWith(': 10'))).toBe(false)
  })

  test('lasts no longer than code says: ERR_POLICY_SUNSET', async () => {
    listening()
    const sunset = new Date(Date.now() + 60_000)
    const legacyHosts = [allowLegacy(HOST, { reason, sunset })]
    const { client, runtime, url } = await start({}, { manifestMay: may, legacyHosts })
    expect((await client.fetch(url)).status).toBe(200)
    runtime.setWall(sunset.getTime())
    await refusalOf(client.fetch(url), 'ERR_POLICY_SUNSET')
  })

  test('says nothing beside an explicit floor of TLS 1.3: ERR_TLS_VERSION', async () => {
    const { client, url } = await start({ minTlsVersion: '1.3' }, { manifestMay: may })
    await refusalOf(client.fetch(url), 'ERR_TLS_VERSION')
  })

  test('that is taken back ends the connection over CBC, though TLS 1.2 stays allowed: ERR_TLS_VERSION', async () => {
    const { client, runtime, old, url, published, hosts } = await start(
      {},
      { manifestMay: manifestMay(['legacy', 'tls12'], { reason }) },
    )
    expect(await (await client.fetch(url)).text()).toBe('ok')
    const retired: unknown[] = []
    client.on('tls.retired', ({ code }) => retired.push(code))
    const { profile: _, sunset: __, ...plain } = hosts[0] as HostInput
    await published.publish({ hosts: [{ ...plain, minTlsVersion: '1.2', reason }] })
    await settled(client.manifest.refresh(), runtime)
    expect(retired).toEqual(['ERR_TLS_VERSION'])
    await vi.waitUntil(() => old.connections[0]?.socket.destroyed === true, 30_000)
    await refusalOf(client.fetch(url), 'ERR_TLS_HANDSHAKE')
  })
})

describe('the start', () => {
  async function posture(options: ClientOptions): Promise<string[]> {
    const told: string[] = []
    testClient({ ...common, ...options }).on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
    await new Promise((resolve) => setImmediate(resolve))
    return told
  }

  test('names a legacy host, with the days that are left, or that none is', async () => {
    const sunset = inFuture(11.5)
    const { legacyHosts } = { legacyHosts: [allowLegacy(HOST, { reason, sunset })] }
    const effect = `in force for 12 days, until ${sunset.toISOString()}: ${reason}`
    expect(await posture({ legacyHosts })).toContain(`${HOST}: legacy: ${effect}`)
    listening()
    const over = allowLegacy(HOST, { reason, sunset: new Date(0) })
    expect(await posture({ legacyHosts: [over] })).toContain(
      `${HOST}: legacy: refused: its sunset was 1970-01-01T00:00:00.000Z`,
    )
  })

  test.each([
    [-1, '; its review is overdue'],
    [0.5, '; its review is due in 1 day'],
    [29.5, '; its review is due in 30 days'],
    [31, ''],
  ])('says of a review in %d days: %j', async (days, said) => {
    const tls12Hosts = [allowTls12(HOST, { reason, reviewBy: inFuture(days) })]
    expect(await posture({ tls12Hosts })).toContain(`${HOST}: TLS 1.2: in force: ${reason}${said}`)
  })
})
