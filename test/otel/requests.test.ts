/** Real clients, with OpenTelemetry's instrumentation of undici beside ours and without it. */
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:http2'
import type { Duplex } from 'node:stream'
import { context, propagation, trace } from '@opentelemetry/api'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { ClientOptions } from 'pinfetch'
import { type InstrumentOptions, instrument } from 'pinfetch/otel'
import { startTlsServer, type TestHandler, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { otelStage } from './stage.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })
const undici = new UndiciInstrumentation()
undici.disable()

beforeAll(() => new NodeTracerProvider().register()) // the active span needs a manager of contexts, as an SDK registers it
afterAll(() => {
  for (const one of [trace, context, propagation]) one.disable()
})

async function started(
  {
    handler,
    pin = pinned.pin,
    spoken = {},
    ...options
  }: { handler?: TestHandler; pin?: string; spoken?: Partial<TlsServerOptions> } & InstrumentOptions = {},
  more: Partial<ClientOptions> = {},
) {
  const stage = otelStage()
  const server = await until(
    startTlsServer({ identity: pinned, handler: handler ?? ((_, response) => response.end('ok')), ...spoken }),
  )
  const client = testClient({
    pins: { [HOST]: [pin] },
    anchors: ca.anchorPem,
    retry: { maxAttempts: 2, baseMs: 10 },
    ...more,
  })
  const { tracerProvider, meterProvider } = stage
  const instrumentation = instrument(client, { tracerProvider, meterProvider, ...options })
  onTestFinished(() => instrumentation.close())
  const named = (name: string) => stage.spans.getFinishedSpans().filter((span) => span.name === name)
  return { ...stage, server, client, named, url: `https://${HOST}:${server.port}/accounts/4711?secret=yes` }
}

test('a request has one span, which the server is told of, and its connection is part of it', async () => {
  const { client, url, server, named, metrics } = await started()
  expect(await (await client.fetch(url)).text()).toBe('ok')
  await expect.poll(() => named('pinfetch.connect')).toHaveLength(1)
  const [[span, ...others], [connect]] = [named('GET'), named('pinfetch.connect')]
  expect(others).toEqual([])
  expect(span?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'server.address': HOST,
    'server.port': server.port,
    'url.full': `https://${HOST}:${server.port}/accounts/*`,
  })
  const { traceId, spanId } = span?.spanContext() ?? { traceId: '', spanId: '' }
  expect(server.requests[0]?.headers['traceparent']).toBe(`00-${traceId}-${spanId}-01`)
  expect(connect?.parentSpanContext?.spanId).toBe(spanId)
  expect(connect?.attributes).toMatchObject({ 'tls.established': true, 'tls.protocol.version': '1.3' })
  await expect.poll(async () => (await metrics())['http.client.request.duration']?.length).toBe(1)
})

test.each([
  ['1.1', 2],
  ['2', 1],
])('open connections are active while they carry a request, and idle then: HTTP/%s', async (version, connections) => {
  const waiting: ServerResponse[] = []
  const http2 = createServer((_, response) => void waiting.push(response as unknown as ServerResponse))
  const spoken = { alpn: ['h2'], onSocket: (socket: Duplex) => void http2.emit('connection', socket) }
  const { client, url, metrics } = await started(
    { handler: (_, response) => void waiting.push(response), ...(version === '2' && { spoken }) },
    { http2: version === '2' ? 'require' : 'never' },
  )
  const open = async () => {
    const series = (await metrics())['http.client.open_connections'] ?? []
    return Object.fromEntries(series.map(({ attributes, value }) => [attributes['http.connection.state'], value]))
  }
  expect(await open()).toEqual({})
  const requests = [client.fetch(url), client.fetch(url)]
  await expect.poll(() => waiting.length).toBe(2)
  expect(await open()).toEqual({ active: connections, idle: 0 })
  for (const response of waiting) response.end('ok')
  for (const request of requests) await (await request).text()
  await expect.poll(open).toEqual({ active: 0, idle: connections })
  await client.close()
  expect(await open()).toEqual({ active: 0, idle: 0 })
  expect(client.health().connections).toEqual([])
})

test('a caller who says traceparent is not contradicted', async () => {
  const { client, url, server } = await started()
  const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await client.fetch(new Request(url, { headers: { traceparent: own, 'x-own': '1' } }))
  expect(server.requests[0]?.headers).toMatchObject({ traceparent: own, 'x-own': '1' })
})

test('a span is part of the one that is active, however many there are at once', async () => {
  const { client, url, tracerProvider, spans } = await started()
  const tracer = tracerProvider.getTracer('test')
  const parents = await Promise.all(
    Array.from({ length: 6 }, (_, at) =>
      tracer.startActiveSpan(`caller ${at}`, async (span) => {
        await (await client.fetch(url)).text()
        span.end()
        return span.spanContext().spanId
      }),
    ),
  )
  const found = spans.getFinishedSpans().filter(({ name }) => name === 'GET')
  expect(found.map(({ parentSpanContext }) => parentSpanContext?.spanId).sort()).toEqual([...parents].sort())
})

test('a peer that is refused ends the span with ERR_TRUST_PIN_MISMATCH, and the connection says why', async () => {
  const { client, url, named, server } = await started({ pin: ca.issue({ names: [HOST] }).pin })
  await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  const [[span], [connect]] = [named('GET'), named('pinfetch.connect')]
  expect(span?.attributes).toMatchObject({ 'error.type': 'ERR_TRUST_PIN_MISMATCH' })
  expect(connect?.events).toMatchObject([
    { name: 'pinfetch.violation', attributes: { 'error.type': 'ERR_TRUST_PIN_MISMATCH' } },
  ])
  expect(connect?.parentSpanContext?.spanId).toBe(span?.spanContext().spanId)
  expect(server.requests).toEqual([])
})

test('a retry is an event of the span', async () => {
  let count = 0
  const { client, url, named } = await started({
    handler: (_, response) => response.writeHead(count++ === 0 ? 503 : 200).end(),
  })
  expect((await client.fetch(url)).status).toBe(200)
  expect(named('GET')).toMatchObject([
    {
      events: [
        { name: 'pinfetch.retry', attributes: { 'http.request.resend_count': 1, 'http.response.status_code': 503 } },
      ],
    },
  ])
})

test('a request of another client has no span here', async () => {
  const [one, other] = [await started(), await started()]
  await other.client.fetch(other.url)
  expect(one.named('GET')).toEqual([])
  expect(other.named('GET')).toHaveLength(1)
})

test('beside the instrumentation of undici there is one span, and one duration', async () => {
  const stage = await started()
  undici.setTracerProvider(stage.tracerProvider)
  undici.setMeterProvider(stage.meterProvider)
  undici.enable()
  onTestFinished(() => undici.disable())
  await (await stage.client.fetch(stage.url)).text()
  await expect.poll(() => stage.named('GET')).toHaveLength(1)
  expect(stage.named('GET')[0]?.instrumentationScope.name).toBe('@opentelemetry/instrumentation-undici')
  await expect.poll(() => stage.named('pinfetch.connect')).toHaveLength(1)
  const told = (await stage.metrics())['http.client.request.duration'] ?? []
  expect(told.map(({ value }) => (value as { count: number }).count)).toEqual([1])
  undici.disable()
  await (await stage.client.fetch(stage.url)).text()
  await expect.poll(() => stage.named('GET')).toHaveLength(2)
  expect(stage.named('GET')[1]?.instrumentationScope.name).toBe('pinfetch')
})

test('spans: false gives none, and true gives one whatever else does', async () => {
  const [none, both] = [await started({ spans: false, durations: false }), await started({ spans: true })]
  undici.setTracerProvider(both.tracerProvider)
  undici.enable()
  onTestFinished(() => undici.disable())
  await (await none.client.fetch(none.url)).text()
  await (await both.client.fetch(both.url)).text()
  await expect
    .poll(() =>
      both
        .named('GET')
        .map(({ instrumentationScope }) => instrumentationScope.name)
        .sort(),
    )
    .toEqual([
      '@opentelemetry/instrumentation-undici',
      '@opentelemetry/instrumentation-undici', // of `none`: it sees the whole process
      'pinfetch',
    ])
  expect(none.named('GET')).toEqual([])
  expect(await none.metrics()).not.toHaveProperty(['http.client.request.duration'])
})
