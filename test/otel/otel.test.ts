import { SpanStatusCode } from '@opentelemetry/api'
import type { EventOf } from 'pinfetch'
import { describe, expect, test } from 'vitest'
import type { ExpiringThing } from '../../src/events/monitor-events.ts'
import { instrument } from '../../src/otel/index.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { exchange, handshake, refused } from './samples.ts'
import { otelStage, type Series, toldClient } from './stage.ts'

const names = (series: readonly Series[] = []): readonly string[] =>
  [...new Set(series.flatMap(({ attributes }) => Object.keys(attributes)))].sort()

const SERVER = ['server.address', 'server.port']
const in1000s = () => toUnixMs(Date.now() + 1_000_000)
const renewal = { type: 'token.refresh', result: 'renewed', trigger: 'first', waiters: 1, ms: 40 } as const
const lost = { ...renewal, result: 'failed', code: 'ERR_AUTH_TOKEN_TIMEOUT', failures: 1 } as const
const retry = { type: 'retry.scheduled', host: 'api.example.com', method: 'GET', attempt: 2, afterMs: 5 } as const

/** Each of them has a gauge. */
const EXPIRING = Object.keys({
  'server certificate': true,
  'client certificate': true,
  pin: true,
  manifest: true,
  status: true,
  root: true,
  'revocation list': true,
  'log list': true,
  'legacy host': true,
} satisfies Record<ExpiringThing, true>) as ExpiringThing[]

/** What dashboards are built on: a change here is one that users notice. */
const METRICS = {
  'http.client.open_connections': ['http.connection.state', ...SERVER],
  'http.client.request.duration': [
    'error.type',
    'http.request.method',
    'http.response.status_code',
    'network.protocol.version',
    ...SERVER,
  ],
  'pinfetch.certificate.expiry': ['pinfetch.certificate.kind', ...SERVER],
  'pinfetch.legacy_host.expiry': [],
  'pinfetch.log_list.expiry': [],
  'pinfetch.manifest.expiry': ['pinfetch.document'],
  'pinfetch.manifest.refreshes': ['pinfetch.result'],
  'pinfetch.manifest.version': [],
  'pinfetch.pin.expiry': [],
  'pinfetch.pin.validations': ['error.type', 'pinfetch.mode', 'pinfetch.result', ...SERVER],
  'pinfetch.ratelimit.waits': SERVER,
  'pinfetch.retries': ['error.type', 'http.response.status_code', ...SERVER],
  'pinfetch.revocation_list.expiry': [],
  'pinfetch.tls.handshake.duration': [
    'error.type',
    'pinfetch.result',
    ...SERVER,
    'tls.protocol.version',
    'tls.resumed',
  ],
  'pinfetch.token.refreshes': ['error.type', 'pinfetch.result', 'pinfetch.trigger'],
  'pinfetch.validation.duration': ['error.type', 'pinfetch.result', ...SERVER],
}

const SPANS = {
  'pinfetch.connect': [
    'error.type',
    'network.peer.address',
    'pinfetch.proxy',
    'pinfetch.result',
    ...SERVER,
    'tls.cipher',
    'tls.curve',
    'tls.established',
    'tls.protocol.name',
    'tls.protocol.version',
    'tls.resumed',
    'tls.server.hash.sha256',
    'tls.server.issuer',
    'tls.server.not_after',
    'tls.server.subject',
  ],
  'pinfetch.manifest.refresh': ['error.type', 'pinfetch.result'],
  'pinfetch.token.refresh': ['error.type', 'pinfetch.result', 'pinfetch.trigger'],
}

describe('names', () => {
  const everything = () => {
    const stage = otelStage()
    const connections = [{ host: 'api.example.com', active: 1, idle: 0 }]
    const expiries = EXPIRING.map((what) => ({ what, subject: 'api.example.com', notAfter: in1000s() }))
    const { emit } = toldClient(stage, {}, { expiries, connections, manifest: { manifestVersion: 7 } })
    emit(handshake({ proxy: 'https://proxy.example:3128' }), refused(), exchange(), exchange({ status: 503 }))
    emit({ type: 'manifest.poll', ms: 5, bytes: 10, result: 'changed' })
    emit({ type: 'manifest.poll', ms: 5, bytes: 10, result: 'failed' }, renewal, lost)
    emit({ ...retry, cause: 503 }, { ...retry, cause: 'ERR_TRANSPORT_TIMEOUT' })
    emit({ type: 'rate.waited', host: 'api.example.com', ms: 10 })
    return stage
  }

  test('of every metric and its attributes', async () => {
    const metrics = await everything().metrics()
    expect(Object.fromEntries(Object.entries(metrics).map(([name, series]) => [name, names(series)]))).toEqual(METRICS)
  })

  test('of every span and its attributes', () => {
    const found: Record<string, readonly string[]> = {}
    for (const { name, attributes } of everything().spans.getFinishedSpans())
      found[name] = [...new Set([...(found[name] ?? []), ...Object.keys(attributes)])].sort()
    expect(found).toEqual(SPANS)
  })
})

describe('metrics', () => {
  test('are in seconds, of the request that they are about', async () => {
    const stage = otelStage()
    toldClient(stage).emit(exchange({ totalMs: 250, host: 'api.example.com:8443' }))
    expect((await stage.metrics())['http.client.request.duration']).toEqual([
      {
        attributes: {
          'http.request.method': 'GET',
          'http.response.status_code': 200,
          'network.protocol.version': '2',
          'server.address': 'api.example.com',
          'server.port': 8443,
        },
        value: expect.objectContaining({ count: 1, sum: 0.25 }),
      },
    ])
  })

  test('name our code as error.type, the status of an answer otherwise, and nothing that a server made up', async () => {
    const stage = otelStage()
    const { emit } = toldClient(stage)
    emit(exchange({ status: 404 }), exchange({ status: 200, code: '_ABORTED' }), exchange({ status: 799 }))
    emit(exchange({ status: 299 }), exchange({ code: 'ERR_TRANSPORT_TIMEOUT' }), exchange({ code: 'whatever' }))
    const series = (await stage.metrics())['http.client.request.duration'] ?? []
    const told = series.map(({ attributes }) => [attributes['http.response.status_code'], attributes['error.type']])
    expect(told).toEqual([
      [404, '404'],
      [200, '_OTHER'],
      [500, '500'],
      [200, undefined],
      [200, 'ERR_TRANSPORT_TIMEOUT'],
    ])
  })

  test('of 1,000 origins are those of 100 and one more', async () => {
    const stage = otelStage()
    const { emit } = toldClient(stage)
    for (let at = 0; at < 1_000; at += 1) {
      const host = `h${at}.example.com:${1_000 + at}`
      emit(handshake({ host }), exchange({ host }), { type: 'rate.waited', host, ms: 1 })
    }
    for (const [name, series] of Object.entries(await stage.metrics())) {
      expect([name, series.length]).toEqual([name, 101])
      const other = series.find(({ attributes }) => attributes['server.address'] === '_other')
      expect(other?.attributes).not.toHaveProperty('server.port')
      expect([900, expect.objectContaining({ count: 900 })]).toContainEqual(other?.value)
    }
  })

  test('name no server at all where maxServers is 0, and refuse what is no number of servers', async () => {
    const stage = otelStage()
    toldClient(stage, { maxServers: 0 }).emit(exchange())
    const [series] = (await stage.metrics())['http.client.request.duration'] ?? []
    expect(series?.attributes['server.address']).toBe('_other')
    const { client } = toldClient(stage)
    for (const options of [{ maxServers: 1_001 }, { maxServers: 1.5 }, { spans: 'no' as never }])
      expect(() => instrument(client, options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('count verdicts by result and mode; what failed without one, and what was cut, has no duration', async () => {
    const stage = otelStage()
    const { emit } = toldClient(stage)
    const { connection: _, ...none } = handshake({ timings: { totalMs: 5 } })
    emit(handshake(), refused(), { ...none, outcome: 'failed', code: 'ERR_TRANSPORT_TIMEOUT' }, refused({ cut: true }))
    const metrics = await stage.metrics()
    const counted = metrics['pinfetch.pin.validations']?.map(({ attributes, value }) => [
      attributes['pinfetch.result'],
      attributes['pinfetch.mode'],
      value,
    ])
    expect(counted).toEqual([
      ['accepted', 'enforce', 1],
      ['refused', 'enforce', 2],
    ])
    const durations = metrics['pinfetch.validation.duration']?.map(({ value }) => (value as { count: number }).count)
    expect(durations).toEqual([1, 1])
  })

  test('count the open connections of a server, and those of all beyond the first as one', async () => {
    const stage = otelStage()
    const connections = ['a.example', 'b.example:8443', 'c.example'].map((host, at) => ({ host, active: at, idle: 2 }))
    toldClient(stage, { maxServers: 1 }, { connections })
    expect((await stage.metrics())['http.client.open_connections']).toEqual([
      {
        attributes: { 'http.connection.state': 'active', 'server.address': 'a.example', 'server.port': 443 },
        value: 0,
      },
      { attributes: { 'http.connection.state': 'idle', 'server.address': 'a.example', 'server.port': 443 }, value: 2 },
      { attributes: { 'http.connection.state': 'active', 'server.address': '_other' }, value: 3 },
      { attributes: { 'http.connection.state': 'idle', 'server.address': '_other' }, value: 4 },
    ])
  })

  test('show what ends, the soonest of each kind', async () => {
    const stage = otelStage()
    const end = in1000s()
    const pin = (seconds: number) => ({ what: 'pin', subject: `${seconds}`, notAfter: end + seconds * 1_000 }) as const
    toldClient(
      stage,
      {},
      { expiries: [pin(9), pin(0), pin(5)], manifests: [7, 3].map((manifestVersion) => ({ manifestVersion })) },
    )
    const metrics = await stage.metrics()
    const [left, ...more] = metrics['pinfetch.pin.expiry'] ?? []
    expect(more).toEqual([])
    expect(Number(left?.value)).toBeLessThanOrEqual(1_000)
    expect(Number(left?.value)).toBeGreaterThan(500)
    expect(metrics['pinfetch.manifest.version']).toEqual([{ attributes: {}, value: 3 }])
    expect(metrics).not.toHaveProperty('pinfetch.manifest.expiry')
  })

  test.each(EXPIRING)('have the seconds left of a %s, and fewer than none once it has ended', async (what) => {
    const stage = otelStage()
    toldClient(stage, {}, { expiries: [{ what, subject: 'api.example.com', notAfter: toUnixMs(Date.now() - 5_000) }] })
    const series = Object.entries(await stage.metrics()).filter(([name]) => name.endsWith('.expiry'))
    expect(series.map(([, found]) => found.length)).toEqual([1])
    expect(Number(series[0]?.[1][0]?.value)).toBeLessThanOrEqual(-5)
  })
})

describe('spans', () => {
  test('of a refused peer say why, once for each finding', () => {
    const stage = otelStage()
    toldClient(stage).emit(refused())
    const [span, ...others] = stage.spans.getFinishedSpans()
    expect(others).toEqual([])
    expect(span).toMatchObject({
      name: 'pinfetch.connect',
      status: { code: SpanStatusCode.ERROR },
      attributes: {
        'error.type': 'ERR_TRUST_PIN_MISMATCH',
        'tls.established': false,
        'tls.server.hash.sha256': '039058C6F2C0CB492C533B0A4D14EF77CC0F78ABCCCED5287D84A1A2011CFB81',
      },
      events: [{ name: 'pinfetch.violation', attributes: { 'error.type': 'ERR_TRUST_PIN_MISMATCH' } }],
    })
    const [seconds = 0, nanos = 0] = span?.duration ?? []
    expect(seconds * 1_000 + nanos / 1e6).toBeCloseTo(31, 0)
  })

  test('end with the instrumentation, and so do metrics', async () => {
    const stage = otelStage()
    const { emit, instrumentation } = toldClient(stage, {}, { manifest: { manifestVersion: 1 } })
    emit(handshake())
    instrumentation.close()
    instrumentation.close()
    const closed: EventOf<'tls.handshake'> = handshake({ host: 'later.example.com' })
    emit(closed, exchange(), renewal)
    expect(stage.spans.getFinishedSpans()).toHaveLength(1)
    const metrics = await stage.metrics()
    expect(JSON.stringify(metrics)).not.toContain('later')
    for (const name of ['pinfetch.manifest.version', 'pinfetch.token.refreshes', 'http.client.request.duration'])
      expect(metrics).not.toHaveProperty([name])
  })
})
