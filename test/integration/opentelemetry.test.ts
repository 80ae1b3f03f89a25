/** OpenTelemetry's instrumentation of undici, as its users set it up, beside ours: one span a request, and none twice. */
import { createServer as createHttp1, type IncomingHttpHeaders } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { context, propagation, trace } from '@opentelemetry/api'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { request } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })
const spans = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
const instrumentation = new UndiciInstrumentation()

beforeAll(() => {
  provider.register()
  instrumentation.setTracerProvider(provider)
  instrumentation.enable()
})
afterAll(async () => {
  instrumentation.disable()
  await provider.shutdown()
  for (const one of [trace, context, propagation]) one.disable()
})
beforeEach(() => spans.reset())

describe.each(['never', 'require'] as const)('HTTP/2: %s', (http2) => {
  const start = async (options = {}) => {
    const heads: IncomingHttpHeaders[] = []
    const speaker = http2 === 'never' ? createHttp1() : createHttp2()
    speaker.on('request', (request: { headers: IncomingHttpHeaders }, response: { end: (text: string) => void }) => {
      heads.push(request.headers)
      response.end('ok')
    })
    const alpn = http2 === 'never' ? ['http/1.1'] : ['h2']
    const onSocket = (socket: TLSSocket): void => void speaker.emit('connection', socket)
    const server = await until(startTlsServer({ identity: pinned, alpn, onSocket }))
    const client = testClient({ pins: { [HOST]: [pinned.pin] }, anchors: ca.anchorPem, http2, ...options })
    return { heads, client, url: `https://${HOST}:${server.port}/a?b=c` }
  }
  const names = () =>
    spans.getFinishedSpans().map(({ name, attributes }) => [name, attributes['http.response.status_code']])

  test('fetch over the lean road: one span', async () => {
    const { client, url, heads } = await start()
    await (await client.fetch(url)).text()
    await expect.poll(names).toEqual([['GET', 200]])
    expect(heads[0]?.['traceparent']).toMatch(/^00-[0-9a-f]{32}-/)
  })

  test('fetch over the full road: one span', async () => {
    const { client, url } = await start()
    await (await client.fetch(new Request(url, { method: 'POST', body: 'x' }))).text()
    await expect.poll(names).toEqual([['POST', 200]])
  })

  test('undici.request over client.dispatcher: one span', async () => {
    const { client, url } = await start()
    await (await request(url, { dispatcher: client.dispatcher })).body.text()
    await expect.poll(names).toEqual([['GET', 200]])
  })

  test('eight at once, each in the span of its caller', async () => {
    const { client, url, heads } = await start()
    const tracer = provider.getTracer('test')
    await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        tracer.startActiveSpan(`caller ${at}`, async (span) => {
          await (await client.fetch(url)).text()
          span.end()
        }),
      ),
    )
    await expect.poll(() => spans.getFinishedSpans().length).toBe(16)
    const callers = new Set(
      spans
        .getFinishedSpans()
        .filter(({ name }) => name !== 'GET')
        .map((span) => span.spanContext().spanId),
    )
    const parents = spans
      .getFinishedSpans()
      .filter(({ name }) => name === 'GET')
      .map((span) => span.parentSpanContext?.spanId)
    expect(new Set(parents)).toEqual(callers)
    expect(heads.length).toBe(8)
  })

  test('a peer that is refused leaves no span that looks like an answer', async () => {
    const { client, url } = await start({ pins: { [HOST]: [ca.issue({ names: [HOST] }).pin] } })
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
    expect(names().filter(([, status]) => status !== undefined)).toEqual([])
  })
})
