import { createHash } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { allowLegacy } from 'pinfetch/dangerous'
import { createTestRuntime, startTlsServer, type TestTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { formatInstant } from '../../src/manifest/schema.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { onIpv6Loopback, settled } from '../support/scene.ts'
import { testLog } from '../support/transparency.ts'

const DAY_MS = 86_400_000
const ca = testCa()
const names = ['localhost', 'api.example.com']
const server = ca.issue({ names })
const WATCHED = ['tls.anomaly', 'tls.timing', 'traffic.anomaly', 'expiry.near'] as const

function listen(client: Client): ClientEvent[] {
  const events: ClientEvent[] = []
  for (const type of WATCHED) client.on(type, (event) => events.push(event))
  return events
}

/** Every connection is a new one. */
async function connectTo(client: Client, url: string, times = 1): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    const response = await client.fetch(url, { headers: { connection: 'close' } })
    await response.text()
  }
}

const options = (more: Partial<ClientOptions> = {}): ClientOptions => ({
  pins: { localhost: [ca.issuer.pin], 'api.example.com': [ca.issuer.pin] },
  anchors: ca.anchorPem,
  ...more,
})
const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex')
const startServer = (): Promise<TestTlsServer> => until(startTlsServer({ identity: server }))

test('a server that rotates its certificate is told of once in each respect, with both fingerprints', async () => {
  const peer = await startServer()
  const client = testClient(options())
  const events = listen(client)
  await connectTo(client, peer.origin, 3)
  expect(events).toEqual([])
  const now = Date.now()
  const next = ca.issue({ names, notBefore: now - DAY_MS / 2, notAfter: now + 300 * DAY_MS })
  peer.setIdentity(next)
  await connectTo(client, peer.origin, 3)
  const compared = { before: sha256(server.der), after: sha256(next.der) }
  const common = { type: 'tls.anomaly', host: `localhost:${peer.port}`, manifestVersion: 0 }
  expect(events).toEqual([
    { ...common, kind: 'certificate-changed', ...compared },
    { ...common, kind: 'key-changed', before: server.pin, after: next.pin },
    { ...common, kind: 'renewed-early', ...compared },
    { ...common, kind: 'life-longer', before: '91', after: '301' },
  ])
  peer.setIdentity([server, next])
  await connectTo(client, peer.origin, 4)
  expect(events).toHaveLength(4)
})

test('a host that is suddenly reached in another network is told of once', async () => {
  const peer = await startServer()
  const port = await onIpv6Loopback(peer)
  const front = await until(startFront(() => 0, peer, port))
  let address = '127.0.0.1'
  const client = testClient(options({ resolver: async () => [address] }))
  const events = listen(client)
  await connectTo(client, `https://api.example.com:${front.port}/`, 11)
  expect(events).toEqual([])
  address = '::1'
  await connectTo(client, `https://api.example.com:${front.port}/`, 2)
  expect(events).toMatchObject([{ kind: 'address-moved', before: '127.0.0.0/16', after: '0:0::/32' }])
})

test('a relay that adds forty milliseconds after 200 connections is noticed once in each phase that it delays', async () => {
  let elapsed = 0
  let delayMs = 4
  const peer = await startServer()
  // Time passes on the wire alone, so that a busy machine is no relay.
  const relay = await until(startFront(() => (elapsed += delayMs), peer))
  const clock = { now: systemRuntime.clock.now, monotonic: () => elapsed }
  const client = testClient(options({ runtime: { ...systemRuntime, clock } }))
  const events = listen(client)
  await connectTo(client, relay.origin, 205)
  expect(events).toEqual([])
  delayMs += 40
  await connectTo(client, relay.origin, 60)
  expect(events).toMatchObject([
    { type: 'tls.timing', host: `localhost:${relay.port}`, phase: expect.stringMatching(/^(tls|first-byte)$/) },
    { type: 'tls.timing', host: `localhost:${relay.port}`, phase: expect.stringMatching(/^(tls|first-byte)$/) },
  ])
  for (const event of events) {
    if (event.type === 'tls.timing') expect(event.seenMs - event.usualMs).toBeGreaterThanOrEqual(40)
  }
  expect(new Set(events.map((event) => (event.type === 'tls.timing' ? event.phase : ''))).size).toBe(2)
})

test('a minute with a hundred requests after an hour with one a minute is told once', async () => {
  let wall = Date.now()
  const peer = await startServer()
  const clock = { now: () => toUnixMs(wall), monotonic: systemRuntime.clock.monotonic }
  const client = testClient(options({ runtime: { ...systemRuntime, clock } }))
  const events = listen(client)
  const ask = async (): Promise<void> => void (await (await client.fetch(peer.origin)).text())
  for (let minute = 0; minute < 70; minute += 1, wall += 60_000) await ask()
  for (let count = 0; count < 130; count += 1) await ask()
  expect(events).toMatchObject([{ type: 'traffic.anomaly', measure: 'requests', usual: 1, seen: 101 }])
})

test('an origin that falls silent is told when its hour comes, once', async () => {
  const peer = await startServer()
  const runtime = createTestRuntime({ now: Date.now() })
  const client = testClient(options({ runtime, anchors: ca.anchorPem }))
  const events: ClientEvent[] = []
  client.on('traffic.anomaly', (event) => void events.push(event))
  const ask = async (): Promise<void> => void (await (await client.fetch(peer.origin)).text())
  for (let time = 0; time < 105; time += 1) {
    await ask()
    await runtime.advance(15 * 60_000)
  }
  expect(events).toEqual([])
  await runtime.advance(3 * 3_600_000)
  const origin = `localhost:${peer.port}`
  expect(events).toMatchObject([{ type: 'traffic.anomaly', host: origin, measure: 'silence', usual: 15 * 60_000 }])
  await runtime.advance(12 * 3_600_000)
  expect(events).toHaveLength(1)
}, 60_000)

test('what ends is listed, and told once a threshold as the days pass; closed, the client has no timer left', async () => {
  const now = Date.now()
  const runtime = createTestRuntime({ now })
  const inDays = (days: number): Date => new Date(now + days * DAY_MS)
  const own = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'], notAfter: now + 40.5 * DAY_MS })
  const peer = await startServer()
  const listed = { ...testLog().listed, state: { usable: { timestamp: '2020-01-01T00:00:00Z' } } }
  const client = testClient(
    options({
      runtime,
      pins: { localhost: { pins: [ca.issuer.pin], notAfter: inDays(8.5) } },
      legacyHosts: [allowLegacy('old.example.com', { reason: 'an appliance', sunset: inDays(29.5) })],
      certificate: { cert: own.pem, key: own.keyPem },
      ct: {
        mode: 'report',
        logList: {
          timestamp: formatInstant(toUnixMs(now - 60 * DAY_MS)),
          operators: [{ name: 'A', logs: [listed] }],
        },
      },
    }),
  )
  const events = listen(client)
  const told = () =>
    events.splice(0).map((event) => (event.type === 'expiry.near' ? `${event.what} ${event.daysLeft}` : ''))
  await runtime.advance(0)
  expect(told()).toEqual(['pin 9', 'legacy host 30', 'log list 10'])
  expect(client.health().expiries).toMatchObject([
    { what: 'pin', subject: 'localhost', daysLeft: 9 },
    { what: 'log list', daysLeft: 10 },
    { what: 'legacy host', subject: 'old.example.com', daysLeft: 30 },
    { what: 'client certificate', subject: 'CN=client', daysLeft: 41 },
  ])
  await settled(connectTo(client, peer.origin), runtime)
  expect(client.health().expiries.at(-1)).toMatchObject({
    what: 'server certificate',
    subject: `localhost:${peer.port}`,
  })
  await runtime.advance(2 * DAY_MS)
  expect(told()).toEqual(['pin 7'])
  await runtime.advance(39 * DAY_MS)
  expect(told()).toEqual([
    'log list 7',
    'pin 1',
    'pin 0',
    'log list 1',
    'log list 0',
    'legacy host 14',
    'legacy host 7',
    'legacy host 1',
    'legacy host 0',
    'client certificate 7',
    'client certificate 1',
    'client certificate 0',
  ])
  await client.close()
  expect(runtime.pendingTimers).toBe(0)
})

test('a server certificate that nobody renewed is told of when it is shown', async () => {
  const now = Date.now()
  const late = ca.issue({ names, notBefore: now - 80 * DAY_MS, notAfter: now + 9.5 * DAY_MS })
  const peer = await until(startTlsServer({ identity: late }))
  const client = testClient(options())
  const events = listen(client)
  await connectTo(client, peer.origin, 3)
  expect(events).toEqual([
    {
      type: 'expiry.near',
      what: 'server certificate',
      subject: `localhost:${peer.port}`,
      notAfter: Math.floor((now + 9.5 * DAY_MS) / 1_000) * 1_000,
      daysLeft: 10,
    },
  ])
})

test('documents of the manifest, pins in it and legacy hosts are among what ends', async () => {
  const notAfter = '2100-01-01T00:00:00Z'
  const sunset = '2099-01-01T00:00:00Z'
  const legacy = { profile: 'legacy' as const, sunset }
  const pins = [{ spki: ca.issuer.pin, notAfter }, { spki: ca.root.pin }]
  const { manifest } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: [
      { host: 'localhost', mode: 'enforce', pins },
      {
        host: 'old.example.com',
        port: 8443,
        mode: 'enforce',
        pins: [{ spki: ca.root.pin }, { spki: ca.issuer.pin }],
        ...legacy,
      },
    ],
  })
  const client = testClient({ anchors: ca.anchorPem, manifest })
  await client.ready()
  const { expiries } = client.health()
  expect(expiries.map(({ what }) => what).sort()).toEqual([
    'legacy host',
    'manifest',
    'pin',
    'root',
    'server certificate', // of where the manifest is
    'status',
  ])
  expect(expiries.at(-1)).toMatchObject({ subject: `localhost ${ca.issuer.pin}`, notAfter: Date.parse(notAfter) })
  expect(expiries.at(-2)).toMatchObject({ subject: 'old.example.com:8443', notAfter: Date.parse(sunset) })
  expect(expiries.find(({ what }) => what === 'manifest')?.subject).toMatch(/ 1$/)
})

test('monitor: false watches nothing and sets no timer; parts of it can be left out', async () => {
  const peer = await startServer()
  const runtime = createTestRuntime({ now: Date.now() })
  const off = testClient(options({ monitor: false, runtime }))
  const events = listen(off)
  await runtime.advance(0)
  expect(runtime.pendingTimers).toBe(0)
  await settled(connectTo(off, peer.origin), runtime)
  peer.setIdentity(ca.issue({ names, notBefore: Date.now() - 80 * DAY_MS, notAfter: Date.now() + DAY_MS }))
  await settled(connectTo(off, peer.origin), runtime)
  expect([events, off.health().expiries]).toEqual([[], []])

  let wall = Date.now()
  const clock = { now: () => toUnixMs(wall), monotonic: systemRuntime.clock.monotonic }
  const monitor = { traffic: false, timing: false, addressOf: () => 'AS64500' }
  const partly = testClient(options({ monitor, runtime: { ...systemRuntime, clock } }))
  const told = listen(partly)
  for (let minute = 0; minute < 62; minute += 1, wall += 60_000) await (await partly.fetch(peer.origin)).text()
  for (let count = 0; count < 110; count += 1) await (await partly.fetch(peer.origin)).text()
  expect(told.map(({ type }) => type)).toEqual(['expiry.near'])
})

test.each([
  [{ timings: true }, 'monitor'],
  [true, 'monitor'],
  [{ addressOf: 'AS64500' }, 'monitor'],
  [{ traffic: 'no' }, 'monitor'],
])('refuses %j: ERR_CONFIG_INVALID', (monitor, path) => {
  expect(() => testClient(options({ monitor: monitor as never }))).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(path) }),
  )
})

test('nothing secret is part of what is told: neither header nor query, body or user', async () => {
  const secret = 'canary-7c9e6679f4de44e8'
  const peer = await startServer()
  let wall = Date.now()
  const clock = { now: () => toUnixMs(wall), monotonic: systemRuntime.clock.monotonic }
  const client = testClient(options({ runtime: { ...systemRuntime, clock } }))
  const events: ClientEvent[] = listen(client)
  for (const type of ['tls.handshake', 'http.exchange'] as const) client.on(type, (event) => events.push(event))
  const init = { method: 'POST', headers: { authorization: `Bearer ${secret}`, cookie: secret }, body: secret }
  const ask = async () => void (await (await client.fetch(`${peer.origin}/${secret}?key=${secret}`, init)).text())
  for (let minute = 0; minute < 62; minute += 1, wall += 60_000) await ask()
  for (let count = 0; count < 110; count += 1) await ask()
  const next = ca.issue({ names, notBefore: wall - 80 * DAY_MS, notAfter: wall + DAY_MS })
  peer.setIdentity(next)
  await connectTo(client, `${peer.origin}/${secret}`, 2) // the first over the old connection
  const kinds = new Set(events.map(({ type }) => type))
  expect([...kinds].sort()).toEqual(['expiry.near', 'http.exchange', 'tls.anomaly', 'tls.handshake', 'traffic.anomaly'])
  const text = JSON.stringify([events, client.health()])
  expect([text.includes(secret), text.includes(next.keyPem.slice(40, 80))]).toEqual([false, false])
  expect(peer.requests[0]?.headers.authorization).toContain(secret) // control: it was sent
})

test('who was refused is no baseline: ERR_TRUST_PIN_MISMATCH changes nothing', async () => {
  const peer = await startServer()
  const client = testClient(options({ pins: { localhost: [server.pin] } }))
  const events = listen(client)
  await connectTo(client, peer.origin)
  peer.setIdentity(ca.issue({ names }))
  await refusalOf(client.fetch(peer.origin), 'ERR_TRUST_PIN_MISMATCH')
  peer.setIdentity(server)
  await connectTo(client, peer.origin)
  expect(events).toEqual([])
})

const FAREWELL = 24 // octets of an encrypted close_notify, RFC 8446 §5.2 and §6

/** Forwards to a server; `passed` is called before whatever the client sends goes on. On `::1` too where a port is given there. */
async function startFront(passed: () => void, target: { readonly port: number }, port = 0) {
  const sockets = new Set<Socket>()
  const front = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: target.port })
    client.on('data', (chunk) => {
      if (chunk.length > FAREWELL) passed() // nobody waits for that one
      upstream.write(chunk)
    })
    client.on('end', () => upstream.end())
    upstream.pipe(client)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => [client, upstream].forEach((one) => void one.destroy()))
    }
  })
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject)
    front.listen(port, '127.0.0.1', resolve)
  })
  const address = front.address()
  const own = typeof address === 'object' && address !== null ? address.port : 0
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => front.close(resolve))
  }
  return { port: own, origin: `https://localhost:${own}`, close }
}
