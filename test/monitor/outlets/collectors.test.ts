import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import type { ClientEvent } from 'pinfetch'
import {
  type HttpOutletOptions,
  type Outlet,
  type ReportOptions,
  toHttp,
  violationReports,
  type WebhookMessage,
  type WebhookOptions,
  webhook,
} from 'pinfetch/monitor'
import { standardWebhook, verifyWebhooks } from 'pinfetch/signing'
import { createTestRuntime, type FakeClient, fakeClient, type TestRuntime } from 'pinfetch/testing'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { HandshakeEvent } from '../../../src/events/handshake.ts'
import { type OtlpAttribute, ocsfProblems, otlpProblems, plainAttributes } from './golden.ts'
import { HOST, handshake, mismatch, refused, server } from './samples.ts'

const COLLECTOR = 'collector.example'
const url = `https://${COLLECTOR}/in`

const world = setupServer()
beforeAll(() => world.listen({ onUnhandledRequest: 'error' }))
afterEach(() => world.resetHandlers())
afterAll(() => world.close())

interface Received {
  readonly type: string | null
  readonly headers: Headers
  readonly text: string
}

/** Answers the given statuses in turn, the last one from then on. */
function collector(...statuses: number[]): Received[] {
  const received: Received[] = []
  world.use(
    http.post(url, async ({ request }) => {
      received.push({ type: request.headers.get('content-type'), headers: request.headers, text: await request.text() })
      const status = (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 200
      return new HttpResponse('an answer', { status })
    }),
  )
  return received
}

interface Scene {
  readonly client: FakeClient
  readonly runtime: TestRuntime
  readonly outlet: Outlet
  /** Moves time until nothing waits. */
  readonly settle: () => Promise<void>
  readonly told: readonly ClientEvent[]
}

function scene(start: (client: FakeClient, runtime: TestRuntime) => Outlet): Scene {
  const client = fakeClient()
  const runtime = createTestRuntime()
  const told: ClientEvent[] = []
  for (const type of ['outlet.failed', 'outlet.recovered'] as const) client.on(type, (event) => void told.push(event))
  const outlet = start(client, runtime)
  onTestFinished(async () => {
    const closed = outlet.close()
    await runtime.advance(6_000)
    await closed
  })
  const settle = async (): Promise<void> => {
    await vi.waitUntil(
      async () => {
        await runtime.advance(100)
        return outlet.queued === 0
      },
      { timeout: 20_000 },
    )
  }
  return { client, runtime, outlet, settle, told }
}

const own = fakeClient().fetch

describe('toHttp', () => {
  const start = (options: Partial<HttpOutletOptions> = {}) =>
    scene((client, runtime) => toHttp(client, { url, fetch: own, runtime, ...options }))

  test('records go out together, a line each, or as one array', async () => {
    const received = collector()
    const { client, settle } = start()
    for (const event of mismatch) client.emit(event)
    await settle()
    expect(received.map(({ type }) => type)).toEqual(['application/x-ndjson'])
    const lines = received[0]?.text.trimEnd().split('\n') ?? []
    expect(lines.flatMap((line) => ocsfProblems(JSON.parse(line)))).toEqual([])
    expect(lines.length).toBe(2)

    const other = start({ body: 'array', format: 'ecs' })
    for (const event of mismatch) other.client.emit(event)
    await other.settle()
    expect(received[1]?.type).toBe('application/json')
    expect(JSON.parse(received[1]?.text ?? '')).toMatchObject([
      { event: { action: 'tls.rejected' } },
      { event: { action: 'tls.handshake' } },
    ])
  })

  test('otlp is one request of logs for all of them, which says what they come from', async () => {
    const received = collector()
    const { client, settle } = start({ format: 'otlp', resource: { 'service.name': 'payments' } })
    for (const event of mismatch) client.emit(event)
    await settle()
    expect(received.map(({ type }) => type)).toEqual(['application/json'])
    const request = JSON.parse(received[0]?.text ?? '') as {
      readonly resourceLogs: readonly {
        readonly resource: { readonly attributes: readonly OtlpAttribute[] }
        readonly scopeLogs: readonly { readonly logRecords: readonly { readonly eventName: string }[] }[]
      }[]
    }
    expect(otlpProblems(request)).toEqual([])
    const [{ resource, scopeLogs } = { resource: { attributes: [] }, scopeLogs: [] }, ...others] = request.resourceLogs
    expect(others).toEqual([])
    expect(plainAttributes(resource.attributes)).toEqual({
      'service.name': 'payments',
      'host.name': expect.any(String),
      'process.pid': process.pid,
    })
    const names = scopeLogs.map(({ logRecords }) => logRecords.map(({ eventName }) => eventName))
    expect(names).toEqual([['pinfetch.tls.rejected', 'pinfetch.tls.handshake']])
  })

  test('a form that is not of otlp, and a resource of another format, are ERR_CONFIG_INVALID', () => {
    const code = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })
    expect(() => start({ format: 'otlp', body: 'lines' })).toThrow(code)
    expect(() => start({ format: 'ecs', resource: { 'service.name': 'payments' } })).toThrow(code)
  })

  test('503 and 429 are tried again and lose nothing', async () => {
    const received = collector(503, 429, 200)
    const { client, settle, outlet, told } = start()
    client.emit(handshake())
    await settle()
    expect([received.length, new Set(received.map(({ text }) => text)).size, outlet.dropped]).toEqual([3, 1, 0])
    expect(told.map(({ type }) => type)).toEqual(['outlet.failed', 'outlet.recovered'])
    expect(told[0]).toMatchObject({ message: `${COLLECTOR} answered 503`, outlet: `http https://${COLLECTOR}` })
  })

  test('400 is not: the record is lost and counted', async () => {
    const received = collector(400)
    const { client, settle, outlet, told } = start()
    client.emit(handshake())
    await settle()
    expect([received.length, outlet.dropped]).toEqual([1, 1])
    expect(told).toMatchObject([{ type: 'outlet.failed', dropped: 1 }])
  })

  test.each([
    [429, 2, 0],
    [502, 2, 0],
    [503, 2, 0],
    [504, 2, 0],
    [408, 1, 1],
    [500, 1, 1],
    [501, 1, 1],
  ])('otlp answered with %i is sent %i times and loses %i', async (status, requests, lost) => {
    const received = collector(status, 200)
    const { client, settle, outlet } = start({ format: 'otlp' })
    client.emit(handshake())
    await settle()
    expect([received.length, outlet.dropped]).toEqual([requests, lost])
  })

  test.each<[string, unknown, number]>([
    ['that it refused one', { partialSuccess: { rejectedLogRecords: '1', errorMessage: 'too old' } }, 1],
    ['so as a number', { partialSuccess: { rejectedLogRecords: 1 } }, 1],
    ['that it refused more than there were', { partialSuccess: { rejectedLogRecords: '1000' } }, mismatch.length],
    ['that it refused none', { partialSuccess: { rejectedLogRecords: '0', errorMessage: 'better use gRPC' } }, 0],
    ['a number that is none', { partialSuccess: { rejectedLogRecords: '-1' } }, 0],
    ['nothing of it', {}, 0],
    ['no JSON', 'thanks', 0],
    ['more than anybody reads', { partialSuccess: { rejectedLogRecords: '1', errorMessage: 'x'.repeat(70_000) } }, 0],
  ])('an OTLP collector that says %s has the records but those: they are not sent again', async (_, answer, lost) => {
    let requests = 0
    const body = typeof answer === 'string' ? answer : JSON.stringify(answer)
    world.use(
      http.post(url, () => {
        requests += 1
        return new HttpResponse(body, { status: 200 })
      }),
    )
    const { client, settle, outlet, told } = start({ format: 'otlp' })
    for (const event of mismatch) client.emit(event)
    await settle()
    expect([requests, outlet.dropped, outlet.queued]).toEqual([1, lost, 0])
    expect(told.map(({ type }) => type)).toEqual(lost > 0 ? ['outlet.failed'] : [])
    if (lost > 0)
      expect(told[0]).toMatchObject({
        dropped: lost,
        message: expect.stringMatching(/^collector\.example refused \d+ of the records$/),
      })
  })

  test.each<[string, () => ReadableStream]>([
    ['has no end', () => new ReadableStream()],
    ['breaks off', () => new ReadableStream({ start: (control) => control.error(new Error('reset')) })],
    ['is nothing', () => new ReadableStream({ start: (control) => control.close() })],
  ])('an OTLP collector that took the records has them once, though its answer %s', async (_, answer) => {
    let requests = 0
    const answering = (async () => {
      requests += 1
      return new Response(answer(), { status: 200 })
    }) as typeof globalThis.fetch
    const { client, settle, outlet, told } = start({ format: 'otlp', fetch: answering })
    client.emit(handshake())
    await settle()
    expect([requests, outlet.dropped, told]).toEqual([1, 0, []])
  })

  test('what is told of the collector itself, and of the outlet itself, goes nowhere', async () => {
    const received = collector()
    const { client, settle, outlet } = start()
    client.emit(handshake({ host: COLLECTOR }))
    client.emit({ type: 'outlet.failed', outlet: `http https://${COLLECTOR}`, dropped: 0, message: '' })
    await settle()
    expect([received.length, outlet.queued]).toEqual([0, 0])
    client.emit(handshake({ host: `${COLLECTOR}:8443` }))
    await settle()
    expect(received.length).toBe(1)
  })

  test('only the types that were asked for, and nothing after close', async () => {
    const received = collector()
    const { client, settle, outlet } = start({ events: ['tls.rejected'] })
    for (const event of mismatch) client.emit(event)
    await settle()
    expect(received[0]?.text.trimEnd().split('\n').length).toBe(1)
    await outlet.close()
    for (const event of mismatch) client.emit(event)
    expect([outlet.queued, received.length]).toEqual([0, 1])
  })

  test('the road of the client that is watched, plain http and credentials in the URL are ERR_CONFIG_INVALID', () => {
    const client = fakeClient()
    const code = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })
    expect(() => toHttp(client, { url, fetch: client.fetch })).toThrow(code)
    for (const wrong of ['http://collector.example/', 'https://user:pass@collector.example/', 'collector'])
      expect(() => toHttp(client, { url: wrong, fetch: own })).toThrow(code)
    void toHttp(client, { url, fetch: own }).close()
  })
})

describe('webhook', () => {
  const secret = `whsec_${Buffer.alloc(32, 'kd83').toString('base64')}`
  const start = (options: Partial<WebhookOptions> = {}) =>
    scene((client, runtime) => webhook(client, { url, fetch: own, secret: { value: secret }, runtime, ...options }))
  const rejected = (host: string): ClientEvent => ({
    type: 'tls.rejected',
    host,
    code: 'ERR_TRUST_PIN_MISMATCH',
    findings: [],
    chain: [],
    manifestVersion: 1,
  })
  const read = ({ text }: Received): WebhookMessage => JSON.parse(text) as WebhookMessage

  test('a message says what happened, what it means and what to do, and our receiving half takes it', async () => {
    const received = collector()
    const { client, settle, runtime } = start()
    for (const event of mismatch) client.emit(event)
    await settle()
    expect(received.length).toBe(1)
    const [message] = received
    if (message === undefined) throw new Error('none')
    expect(read(message)).toMatchObject({
      type: 'tls.rejected',
      data: {
        code: 'ERR_TRUST_PIN_MISMATCH',
        host: HOST,
        severity: 'high',
        means: expect.stringMatching(/pin/),
        todo: expect.any(String),
        explain: 'pinfetch explain ERR_TRUST_PIN_MISMATCH',
        repeated: 0,
      },
    })
    const { verify, close } = verifyWebhooks({ template: standardWebhook, key: { value: secret }, runtime })
    onTestFinished(close)
    const request = { method: 'POST', url, headers: message.headers }
    await verify(request, Buffer.from(message.text))
    await expect(verify(request, Buffer.from(`${message.text} `))).rejects.toMatchObject({ code: 'ERR_VERIFY_FAILED' })
  })

  test('another attempt has the same id and body, and a signature of its own time', async () => {
    const received = collector(500, 503, 204)
    const { client, settle, runtime } = start()
    client.emit(rejected(HOST))
    await settle()
    const header = (name: string) => received.map(({ headers }) => headers.get(name))
    expect(received.length).toBe(3)
    expect(new Set(header('webhook-id')).size).toBe(1)
    expect(new Set(received.map(({ text }) => text)).size).toBe(1)
    const { verify, close } = verifyWebhooks({ template: standardWebhook, key: { value: secret }, runtime })
    onTestFinished(close)
    for (const { headers, text } of received) await verify({ method: 'POST', url, headers }, Buffer.from(text))
  })

  test('the same is told once in ten minutes, then with how often it was kept quiet; something else at once', async () => {
    const received = collector()
    const { client, settle, runtime, outlet } = start()
    for (let time = 0; time < 2_000; time += 1) client.emit(rejected(HOST)) // more than may wait
    client.emit(rejected('other.example.com'))
    await settle()
    expect(received.map((one) => read(one).data.host)).toEqual([HOST, 'other.example.com'])
    expect(outlet.dropped).toBe(0)
    await runtime.advance(600_000)
    client.emit(rejected(HOST))
    await settle()
    expect(received.slice(2).map((one) => read(one).data.repeated)).toEqual([1_999])
  })

  test('a secret that is none is refused: at once where it is missing, else it is told and nothing is sent', async () => {
    const missing = { env: 'PINFETCH_NO_SUCH_WEBHOOK_SECRET' }
    expect(() => start({ secret: missing })).toThrow(expect.objectContaining({ code: 'ERR_KEY_SOURCE_MISSING' }))
    const received = collector()
    const { client, runtime, told } = start({ secret: { value: 'not base64, and not a key !!' } })
    client.emit(rejected(HOST))
    await vi.waitUntil(async () => {
      await runtime.advance(100)
      return told.length > 0
    })
    expect(received.length).toBe(0)
    expect(told[0]).toMatchObject({ message: expect.stringContaining('expected whsec_') })
    expect(JSON.stringify(told)).not.toContain('not base64')
  })
})

describe('violationReports', () => {
  const start = (options: Partial<ReportOptions> = {}) =>
    scene((client, runtime) => violationReports(client, { url, fetch: own, runtime, ...options }))

  test('a violated pin is reported with the members of RFC 7469 §3', async () => {
    const received = collector()
    const { client, settle } = start()
    client.emit(handshake()) // accepted
    client.emit(refused({ code: 'ERR_TRUST_CERT_EXPIRED' })) // not about pins
    client.emit(refused({ host: 'api.example.com:8443' }))
    await settle()
    expect(received.map(({ type }) => type)).toEqual(['application/json'])
    const report = JSON.parse(received[0]?.text ?? '') as Record<string, unknown>
    expect(report).toEqual({
      'date-time': '2026-01-01T12:00:00.000Z',
      hostname: HOST,
      port: 8443,
      'include-subdomains': false,
      'noted-hostname': HOST,
      'served-certificate-chain': [expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/), expect.any(String)],
      'validated-certificate-chain': [expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/)],
      'known-pins': ['pin-sha256="AA=="'],
    })
    const [served] = report['served-certificate-chain'] as string[]
    expect((served ?? '').replace(/-----[^-]*-----|\n/g, '')).toBe(Buffer.from(server.der).toString('base64'))
    expect(report['validated-certificate-chain']).toEqual([served])
  })

  test('the pins of a manifest end with it', async () => {
    const received = collector()
    const client = fakeClient({ health: { manifest: { state: 'fresh', expiresAt: Date.UTC(2026, 1, 1) } as never } })
    const outlet = violationReports(client, { url, fetch: own })
    onTestFinished(() => outlet.close())
    client.emit(refused())
    await vi.waitUntil(() => received.length === 1)
    expect(JSON.parse(received[0]?.text ?? '')).toMatchObject({
      'effective-expiration-date': '2026-02-01T00:00:00.000Z',
    })
  })

  test.each([
    ['ERR_TRUST_PIN_MISMATCH', 'tls.cert.pinned_key_not_in_cert_chain', 'connection', {}],
    ['ERR_TRUST_NAME_MISMATCH', 'tls.cert.name_invalid', 'connection', {}],
    ['ERR_TRUST_CERT_EXPIRED', 'tls.cert.date_invalid', 'connection', {}],
    ['ERR_TRUST_UNKNOWN_ISSUER', 'tls.cert.authority_invalid', 'connection', {}],
    ['ERR_TRUST_CERT_REVOKED', 'tls.cert.revoked', 'connection', {}],
    ['ERR_TRUST_WEAK_KEY', 'tls.cert.invalid', 'connection', {}],
    ['ERR_TLS_VERSION', 'tls.version_or_cipher_mismatch', 'connection', {}],
    ['ERR_TRANSPORT_RESOLVE', 'dns.name_not_resolved', 'dns', {}],
    ['ERR_TRANSPORT_CONNECT', 'tcp.failed', 'connection', {}],
    ['ERR_TRANSPORT_TIMEOUT', 'tcp.timed_out', 'connection', { timings: { totalMs: 12.4 } }],
    ['ERR_TRANSPORT_TIMEOUT', 'tls.failed', 'connection', {}],
  ] as const)('%s is the network error %s', async (code, type, phase, more: Partial<HandshakeEvent>) => {
    const received = collector()
    const { client, settle, runtime } = start({ format: 'network-error' })
    client.emit(handshake({ outcome: 'reported', code: 'ERR_TRUST_PIN_MISMATCH' })) // no error of the network
    client.emit(refused({ outcome: 'failed', code, at: runtime.clock.now(), ...more }))
    await settle()
    expect(received[0]?.type).toBe('application/reports+json')
    expect(JSON.parse(received[0]?.text ?? '')).toMatchObject([
      {
        type: 'network-error',
        age: expect.any(Number),
        url: `https://${HOST}/`,
        body: { type, phase, status_code: 0, server_ip: '192.0.2.7', sampling_fraction: 1 },
      },
    ])
  })

  test('the same is reported once an hour, and a thousand failures make no more reports than are allowed', async () => {
    const received = collector()
    const { client, settle, runtime } = start({ maxPerHour: 5 })
    for (let time = 0; time < 1_000; time += 1) client.emit(refused())
    await settle()
    expect(received.length).toBe(1)
    for (let time = 0; time < 1_000; time += 1) client.emit(refused({ host: `h${time}.example.com` }))
    await settle()
    expect(received.length).toBe(5)
    await runtime.advance(3_600_000)
    client.emit(refused())
    await settle()
    expect(received.length).toBe(6)
  })

  test('the collector is never reported about, and the client that is watched is not its road', async () => {
    const received = collector()
    const { client, settle } = start()
    client.emit(refused({ host: COLLECTOR }))
    await settle()
    expect(received.length).toBe(0)
    expect(() => violationReports(client, { url, fetch: client.fetch })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
  })
})
