import { createHash } from 'node:crypto'
import tls from 'node:tls'
import {
  createTestRuntime,
  startRelay,
  startTlsServer,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { PinText } from '../../src/encoding/pin.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { admit } from '../../src/transport/connector.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { refusalOf, until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const next = ca.issue({ names: [HOST] })
const anchors = createAnchors(ca.anchorPem)

async function start(
  identity: TlsServerOptions['identity'] = server,
  options: Partial<TlsServerOptions> = {},
  runtime = systemRuntime,
) {
  const peer = await until(startTlsServer({ identity, ...options }))
  const relay = await until(startRelay({ target: peer }))
  const origin = originOf(`https://${HOST}:${relay.port}`)
  let policy = policyFor(origin, [server.pin], { anchors })
  const events: ClientEvent[] = []
  const dispatcher = new PinnedDispatcher({
    policyOf: () => policy,
    runtime,
    emit: (event) => events.push(event),
    resolver: async () => ['127.0.0.1'],
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
  })
  onTestFinished(() => dispatcher.destroy())
  const get = async (headers: Record<string, string> = {}) => {
    const response = await dispatcher.request({ origin: `https://${origin.text}`, path: '/', method: 'GET', headers })
    return { status: response.statusCode, text: await response.body.text() }
  }
  const setPolicy = (pins: readonly PinText[], more: Partial<HostPolicy> = {}): void => {
    policy = policyFor(origin, pins, { anchors, ...more })
    dispatcher.policyChanged()
  }
  return { peer, relay, origin, dispatcher, events, get, setPolicy }
}

/** A request is with the server and waits for its answer. */
const arrivalAt = (peer: TestTlsServer): Promise<void> =>
  expect.poll(() => peer.requests.length, { timeout: 10_000 }).toBeGreaterThan(0)

describe('B7: undici takes SNI and identity from the Host header; this dispatcher takes them from the URL', () => {
  test.each([
    'other.example.com',
    `${HOST}:1`,
    'a b',
    '',
    HOST,
    `evil.example.com@PORT`,
    'PORT/x',
    'PORT?x',
    'PORT#x',
    'PORT\\x',
  ])('a Host header of %j: ERR_POLICY_HOST_HEADER, no packet', async (host) => {
    const { get, peer, relay } = await start()
    const { port } = relay
    await refusalOf(get({ host: host.replace('PORT', `${HOST}:${port}`) }), 'ERR_POLICY_HOST_HEADER')
    expect(peer.accepted).toBe(0)
  })

  test.each([
    ['https://evil.example/', 'GET'],
    ['http://evil.example/', 'GET'],
    ['evil.example:443', 'CONNECT'],
  ] as const)('a request target of %j: ERR_POLICY_HOST_HEADER, no packet', async (path, method) => {
    const { origin, dispatcher, peer } = await start()
    const handler = {
      onRequestStart: () => undefined,
      onResponseError: () => undefined,
      onRequestUpgrade: () => undefined,
    }
    const dispatch = () => dispatcher.dispatch({ origin: `https://${origin.text}`, path, method }, handler as never)
    expect(dispatch).toThrow(expect.objectContaining({ code: 'ERR_POLICY_HOST_HEADER' }))
    expect(peer.accepted).toBe(0)
  })

  test.each([
    ['a list of both shapes', [['accept'], 'x', 'host', 'evil.example.com'], 'ERR_CONFIG_INVALID'],
    ['pairs', [['host', 'evil.example.com']], 'ERR_POLICY_HOST_HEADER'],
    ['a Map', new Map([['Host', 'evil.example.com']]), 'ERR_POLICY_HOST_HEADER'],
  ] as const)('another host in %s: refused, no packet', async (_, headers, code) => {
    const { get, peer } = await start()
    await refusalOf(get(headers as never), code)
    expect(peer.accepted).toBe(0)
  })

  test.each([
    ['an iterator, which gives them once', () => new Map([['x-a', '1']]).entries()],
    ['pairs', () => [['x-a', '1']]],
    ['a flat list whose value is a list', () => ['x-a', ['1']]],
  ])('control: header fields of %s are sent', async (_, headers) => {
    const { get, peer } = await start()
    expect((await get(headers() as never)).status).toBe(200)
    expect(peer.requests[0]?.headers['x-a']).toBe('1')
  })

  test('the URL’s own host is accepted in any spelling', async () => {
    const { get, origin, peer } = await start()
    expect((await get({ host: origin.text.toUpperCase() })).status).toBe(200)
    expect(peer.connections[0]?.servername).toBe(HOST)
  })
})

describe('B5: a pooled connection does not outlive the pin it was judged by', () => {
  test('a live connection to a removed key is closed and gets no further request: ERR_TRUST_PIN_MISMATCH', async () => {
    const { get, setPolicy, peer, relay, events } = await start()
    await get()
    setPolicy([next.pin])
    expect(events).toContainEqual({
      type: 'tls.retired',
      host: expect.any(String),
      connections: 1,
      code: 'ERR_TRUST_PIN_MISMATCH',
    })
    await refusalOf(get(), 'ERR_TRUST_PIN_MISMATCH')
    await relay.idle()
    expect(peer.requests.length).toBe(1)
  })

  test('a live connection that the new policy accepts too goes on', async () => {
    const { get, setPolicy, peer } = await start()
    await get()
    setPolicy([next.pin, server.pin])
    await new Promise((resolve) => setTimeout(resolve, 200)) // undici counts a connection as busy a little longer
    await get()
    expect([peer.connections.length, peer.requests.length]).toEqual([1, 2])
  })

  test('a request in flight on a removed key is finished, and its connection closed then', async () => {
    const answers: (() => void)[] = []
    const { get, setPolicy, relay, peer } = await start(server, {
      handler: (_, response) => void answers.push(() => response.end('late')),
    })
    const inFlight = get()
    await arrivalAt(peer)
    setPolicy([next.pin])
    answers[0]?.()
    expect(await inFlight).toEqual({ status: 200, text: 'late' })
    await relay.idle()
  })

  test('a request in flight on a denied key is cut at once: ERR_TRUST_PIN_DENIED', async () => {
    const { get, setPolicy, relay, peer } = await start(server, { handler: () => undefined })
    const inFlight = get()
    await arrivalAt(peer)
    setPolicy([server.pin, next.pin], { denies: [{ spki: server.pin, reason: 'leaked' }] })
    await refusalOf(inFlight, 'ERR_TRUST_PIN_DENIED')
    await refusalOf(get(), 'ERR_TRUST_PIN_DENIED')
    await relay.idle()
  })

  test('a request that finishes on a removed key is cut when that key is denied meanwhile: ERR_TRUST_PIN_DENIED', async () => {
    const { get, setPolicy, peer } = await start(server, { handler: () => undefined })
    const inFlight = get()
    await arrivalAt(peer)
    setPolicy([next.pin])
    setPolicy([next.pin], { denies: [{ spki: server.pin, reason: 'leaked' }] })
    await refusalOf(inFlight, 'ERR_TRUST_PIN_DENIED')
  })

  test('a TLS 1.2 connection ends when the policy no longer allows it, and is not made again: ERR_TLS_VERSION', async () => {
    const { get, setPolicy, events, peer } = await start(server, { maxVersion: 'TLSv1.2' })
    setPolicy([server.pin], { minTlsVersion: '1.2' })
    await get()
    setPolicy([server.pin], { minTlsVersion: '1.3' })
    expect(events).toContainEqual(expect.objectContaining({ type: 'tls.retired', code: 'ERR_TLS_VERSION' }))
    await refusalOf(get(), 'ERR_TLS_VERSION')
    expect(peer.requests.length).toBe(1)
  })

  test('a certificate that the manifest revokes is cut at once: ERR_TRUST_CERT_REVOKED', async () => {
    const { get, setPolicy, peer } = await start(server, { handler: () => undefined })
    const inFlight = get()
    await arrivalAt(peer)
    const certificates = new Set([createHash('sha256').update(server.der).digest('hex')])
    setPolicy([server.pin], { revoked: { id: 'a', certificates, serials: [], distrusted: [] } })
    await refusalOf(inFlight, 'ERR_TRUST_CERT_REVOKED')
    await refusalOf(get(), 'ERR_TRUST_CERT_REVOKED')
  })

  test('a pin that ends by the clock closes its connections without any event from outside', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { get, setPolicy, origin, peer } = await start(server, {}, runtime)
    const notAfter = (runtime.clock.now() + 60_000) as HostPolicy['pinGroups'][number][number]['notAfter'] & number
    setPolicy([], policyFor(origin, [{ spki: server.pin, notAfter }, next.pin], { anchors }))
    expect((await get()).status).toBe(200)
    await runtime.advance(59_000)
    expect((await get()).status).toBe(200)
    await runtime.advance(1_000)
    await refusalOf(get(), 'ERR_TRUST_PIN_MISMATCH')
    expect(peer.requests.length).toBe(2)
  })

  test('nothing is lost when the policy changes under load and every key stays pinned', async () => {
    const { get, setPolicy } = await start([server, next])
    setPolicy([server.pin, next.pin])
    const statuses: number[] = []
    const lane = async (): Promise<void> => {
      for (let round = 0; round < 20; round += 1) statuses.push((await get()).status)
    }
    let isDone = false
    const work = Promise.all(Array.from({ length: 10 }, lane)).finally(() => {
      isDone = true
    })
    for (let turn = 0; !isDone; turn += 1) {
      setPolicy(turn % 2 === 0 ? [server.pin, next.pin, ca.root.pin] : [next.pin, server.pin])
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await work
    expect(statuses).toEqual(Array(200).fill(200))
  })
})

test('a second handshake on a judged connection ends it: ERR_TLS_SECOND_HANDSHAKE', async () => {
  const connect = vi.spyOn(tls, 'connect')
  const { get, peer } = await start(server, { handler: () => undefined })
  const inFlight = get()
  await vi.waitUntil(() => peer.requests.length === 1)
  const socket: unknown = connect.mock.results.at(-1)?.value
  connect.mockRestore()
  if (!(socket instanceof tls.TLSSocket)) expect.fail('no socket was made')
  socket.emit('OCSPResponse', null) // what OpenSSL’s second certificate message would raise
  expect(socket.destroyed).toBe(true)
  await refusalOf(inFlight, 'ERR_TLS_SECOND_HANDSHAKE')
})

test('origins that are no longer talked to do not add up', async () => {
  const { dispatcher, setPolicy, get } = await start()
  await get()
  setPolicy([server.pin, next.pin])
  const call = (host: string) => dispatcher.request({ origin: `https://${host}/`, path: '/', method: 'GET' })
  const unreachable = Array.from(
    { length: 1_100 },
    (_, index) => `127.0.1.${index % 250}:${1 + Math.floor(index / 250)}`,
  )
  await Promise.all(unreachable.map((host) => refusalOf(call(host), 'ERR_TRANSPORT_CONNECT')))
  expect(dispatcher.origins).toBeLessThan(200)
})

describe('the last gate', () => {
  const origin = originOf(`https://${HOST}/`)

  test('a resumed session has no verdict behind it: ERR_TLS_RESUMED', () => {
    expect(() => admit(origin, { authorized: true, resumed: true, peer: undefined })).toThrow(
      expect.objectContaining({ code: 'ERR_TLS_RESUMED', requestSent: 'no' }),
    )
  })

  test('a handshake that finished without our verdict: ERR_TLS_NO_VERDICT', () => {
    expect(() => admit(origin, { authorized: true, resumed: false, peer: undefined })).toThrow(
      expect.objectContaining({ code: 'ERR_TLS_NO_VERDICT' }),
    )
  })
})
