import type { ClientEvent, RetryOptions } from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createFetch } from '../../src/client/fetch.ts'
import { createRetries } from '../../src/client/retry.ts'
import { RetrySchema } from '../../src/client/retry-options.ts'
import type { Send } from '../../src/client/send.ts'
import { AuthError, TransportError } from '../../src/errors/errors.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'

const URL_ = 'https://api.example/pay'
type Answer = Response | Error | ((init: RequestInit) => Promise<Response>)

/** A client whose network is the list; what comes after its end is 200. */
function start(answers: readonly Answer[], options: RetryOptions = {}, totalMs = 3_600_000) {
  const runtime = createTestRuntime()
  const events: ClientEvent[] = []
  const emit = (event: ClientEvent): void => void events.push(event)
  const clocks = createClockOffsets({ runtime, emit: () => undefined })
  const sent: { readonly at: number; readonly init: RequestInit; readonly key: string | null }[] = []
  const held = <T>(work: Promise<T>): Promise<T> => work
  const given = { runtime, emit, clocks, held, timeouts: { totalMs }, limits: { minBytesPerSecond: 8_192 } }
  const retries = createRetries(RetrySchema.parse(options), given)
  const send: Send = async (input, init, _url, call) => {
    if (call !== undefined) call.startedAt ??= runtime.clock.monotonic()
    const answer = answers[sent.length]
    sent.push({ at: runtime.clock.monotonic(), init, key: fieldsOf(input, init).get('idempotency-key') })
    if (answer instanceof Error) throw answer
    return typeof answer === 'function' ? answer(init) : (answer ?? new Response('fine'))
  }
  const fetch = createFetch({ send, gate: () => undefined, retries })
  const told = (type: ClientEvent['type']) => events.filter((event) => event.type === type)
  return { runtime, fetch, sent, told, retries }
}

const fieldsOf = (input: unknown, init: RequestInit): Headers =>
  new Headers(init.headers ?? (input instanceof Request ? input.headers : {}))
const answer = (status: number, headers: Record<string, string> = {}): Response =>
  new Response('busy', { status, headers })
const closed = (requestSent: 'no' | 'maybe') => new TransportError('ERR_TRANSPORT_CLOSED', 'closed', { requestSent })
const statusOf = (response: Response): number => response.status

describe('how long it waits', () => {
  test.each<[string, Record<string, string>, number]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['milliseconds', { 'retry-after-ms': '1234' }, 1_234],
    ['a date', { 'retry-after': new Date(Date.UTC(2026, 0, 1) + 9_000).toUTCString() }, 9_000],
    ['a year, which is capped', { 'retry-after': '31536000' }, 300_000],
    ['a year in milliseconds, which is capped', { 'retry-after-ms': '31536000000' }, 300_000],
  ])('LIM-01: exactly what Retry-After says: %s', async (_, headers, ms) => {
    const { fetch, runtime, sent, told } = start([answer(429, headers)])
    const called = fetch(URL_)
    await runtime.advance(ms - 1)
    expect(sent).toHaveLength(1)
    await runtime.advance(1)
    expect([statusOf(await called), sent.map(({ at }) => at)]).toEqual([200, [0, ms]])
    expect(told('retry.scheduled')).toEqual([
      { type: 'retry.scheduled', host: 'api.example', method: 'GET', attempt: 2, afterMs: ms, cause: 429 },
    ])
  })

  test('LIM-01: a date is read by the clock of the server, as its answers showed it', async () => {
    const ahead = 60_000
    const at = (ms: number): string => new Date(Date.UTC(2026, 0, 1) + ahead + ms).toUTCString()
    const { fetch, runtime, sent } = start([
      new Response('fine', { headers: { date: at(0) } }),
      answer(503, { 'retry-after': at(20_000) }),
    ])
    await fetch(URL_)
    const called = fetch(URL_)
    await runtime.advance(25_000)
    expect(statusOf(await called)).toBe(200)
    expect(Math.abs((sent[2]?.at ?? 0) - 20_000)).toBeLessThanOrEqual(1_000) // a Date has whole seconds
  })

  test('and not by the clock of another server that a redirect led to', async () => {
    const at = (ms: number): string => new Date(Date.UTC(2026, 0, 1) + ms).toUTCString()
    const other = new Response('fine', { headers: { date: at(60_000) } })
    Object.defineProperty(other, 'redirected', { value: true })
    const { fetch, runtime, sent } = start([other, answer(503, { 'retry-after': at(80_000) })])
    await fetch(URL_)
    const called = fetch(URL_)
    await runtime.advance(85_000)
    expect([statusOf(await called), sent.at(-1)?.at]).toEqual([200, 80_000])
  })

  test.each([{}, { 'retry-after': '-5' }, { 'retry-after': '0' }, { 'retry-after': 'Thu, 01 Jan 2015 00:00:00 GMT' }])(
    'LIM-02, F61: a random time, where it asks for none: %j',
    async (headers) => {
      const { fetch, runtime, told } = start([answer(429, headers), answer(429, headers)])
      const called = fetch(URL_)
      await runtime.advance(700)
      expect(statusOf(await called)).toBe(200)
      const waits = told('retry.scheduled').map((event) => (event.type === 'retry.scheduled' ? event.afterMs : -1))
      expect(waits).toHaveLength(2)
      expect(waits[0]).toBeLessThanOrEqual(200)
      expect(waits[1]).toBeLessThanOrEqual(400)
    },
  )

  test('LIM-05: not at all where the call would be over: the 429 is answered at once', async () => {
    const { fetch, runtime, sent, told } = start([answer(429, { 'retry-after': '31' })], {}, 30_000)
    expect(statusOf(await fetch(URL_))).toBe(429)
    expect([sent.length, runtime.clock.monotonic(), runtime.pendingTimers]).toEqual([1, 0, 0])
    expect(told('retry.stopped')).toMatchObject([{ reason: 'deadline', cause: 429, attempts: 1 }])
    const intime = start([answer(429, { 'retry-after': '29' })], {}, 30_000) // control
    const called = intime.fetch(URL_)
    await intime.runtime.advance(29_000)
    expect(statusOf(await called)).toBe(200)
  })
})

describe('the wait ends', () => {
  test('with an abort, and its reason', async () => {
    const { fetch, runtime, sent } = start([answer(503, { 'retry-after': '60' })])
    const control = new AbortController()
    const called = fetch(URL_, { signal: control.signal })
    await runtime.advance(1_000)
    const reason = new Error('not any more')
    control.abort(reason)
    await expect(called).rejects.toBe(reason)
    await runtime.advance(100_000)
    expect([sent.length, runtime.pendingTimers]).toEqual([1, 0])
  })

  test('with the client: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { fetch, runtime, retries } = start([answer(503, { 'retry-after': '60' })])
    const called = fetch(URL_)
    await runtime.advance(1_000)
    retries.close()
    await expect(called).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED', requestSent: 'yes' })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('before it begins, where the client was closed meanwhile: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const last = async (): Promise<Response> => {
      retries.close()
      return answer(503, { 'retry-after': '60' })
    }
    const { fetch, runtime, retries, sent } = start([last])
    const called = fetch(URL_)
    const refused = expect(called).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED', requestSent: 'yes' })
    await runtime.advance(100_000)
    await refused
    expect([sent.length, runtime.pendingTimers]).toEqual([1, 0])
  })
})

describe('it is sent no more often', () => {
  const busy = (count: number) => Array.from({ length: count }, () => answer(503))

  test('than maxAttempts say: the last answer is the caller’s, whole', async () => {
    const { fetch, runtime, sent, told } = start(busy(9))
    const called = fetch(URL_)
    await runtime.advance(1_000)
    const response = await called
    expect([response.status, await response.text(), sent.length]).toEqual([503, 'busy', 3])
    expect(told('retry.stopped')).toMatchObject([{ reason: 'attempts', attempts: 3 }])
  })

  test('than the budget of the origin allows: a 503 is then tried again 0 times', async () => {
    const { fetch, runtime, sent, told } = start(busy(30), { budget: { tokens: 4, perSuccess: 1 }, baseMs: 1 })
    for (let call = 0; call < 3; call += 1) {
      const called = fetch(URL_)
      await runtime.advance(100)
      await called
    }
    const before = sent.length
    expect(statusOf(await fetch(URL_))).toBe(503)
    expect(sent.length - before).toBe(1)
    expect(told('retry.stopped').at(-1)).toMatchObject({ reason: 'budget', attempts: 1 })
    const other = fetch('https://other.example/') // control: an origin of its own has its own
    await runtime.advance(100)
    await other
    expect(sent.length - before).toBe(3)
  })

  test.each<[string, () => NonNullable<RequestInit['body']>]>([
    ['a stream', () => new Blob(['x']).stream()],
    ['a stream of a Request', () => new Blob(['y']).stream()],
  ])('than once with %s', async (name, body) => {
    const init = { method: 'PUT', body: body(), duplex: 'half' } as RequestInit
    const { fetch, sent, told } = start(busy(3))
    const response = await (name === 'a stream' ? fetch(URL_, init) : fetch(new Request(URL_, init)))
    expect([response.status, sent.length]).toEqual([503, 1])
    expect(told('retry.stopped')).toMatchObject([{ reason: 'body' }])
  })

  test('than once where the request may have arrived and must not twice', async () => {
    const { fetch, sent, told } = start([closed('maybe')])
    await expect(fetch(URL_, { method: 'POST', body: 'x' })).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLOSED' })
    expect([sent.length, told('retry.stopped')]).toMatchObject([1, [{ reason: 'method', method: 'POST' }]])
  })
})

describe('it is sent again', () => {
  test('a POST that never left', async () => {
    const { fetch, runtime, sent } = start([closed('no'), new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', 'x')])
    const called = fetch(URL_, { method: 'POST', body: 'x' })
    await runtime.advance(1_000)
    expect([statusOf(await called), sent.length]).toEqual([200, 3])
  })

  test('with the same bytes and fields, whatever the caller does with them meanwhile', async () => {
    const bodies: string[] = []
    const take = async (init: RequestInit): Promise<Response> => {
      bodies.push(`${new Headers(init.headers).get('x-a')} ${await new Response(init.body).text()}`)
      return answer(bodies.length < 3 ? 503 : 200)
    }
    const { fetch, runtime } = start([take, take, take])
    const [body, headers] = [new TextEncoder().encode('one'), { 'x-a': 'first' }]
    const called = fetch(URL_, { method: 'PUT', body, headers })
    body.fill(0x21)
    headers['x-a'] = 'second'
    await runtime.advance(1_000)
    expect([statusOf(await called), bodies]).toEqual([200, ['first one', 'first one', 'first one']])
  })

  test('with the fields that a Request had when it was given', async () => {
    const { fetch, runtime, sent } = start([answer(503), answer(503)])
    const request = new Request(URL_, { headers: { 'idempotency-key': 'first' }, method: 'POST' })
    const called = fetch(request)
    request.headers.set('idempotency-key', 'second')
    await runtime.advance(1_000)
    expect([statusOf(await called), sent.map(({ key }) => key)]).toEqual([200, ['first', 'first', 'first']])
  })

  test('and what one attempt may have sent, no later one takes back', async () => {
    const { fetch, runtime } = start([closed('maybe'), closed('no'), closed('no')])
    const called = fetch(URL_).catch((error) => error)
    await runtime.advance(1_000)
    expect(await called).toMatchObject({ code: 'ERR_TRANSPORT_CLOSED', requestSent: 'maybe' })
  })
})

describe('an Idempotency-Key', () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  test.each(['POST', 'PATCH'])(
    "is made for a %s with 'auto', one for all attempts and another for each call",
    async (method) => {
      const { fetch, runtime, sent } = start([closed('maybe'), answer(503)], { idempotencyKey: 'auto' })
      const called = fetch(URL_, { method, body: 'x' })
      await runtime.advance(1_000)
      await called
      await fetch(URL_, { method, body: 'x' })
      const [first, second, third, other] = sent.map(({ key }) => key)
      expect([sent.length, first]).toEqual([4, expect.stringMatching(UUID)])
      expect([second, third]).toEqual([first, first])
      expect([other === first, other]).toEqual([false, expect.stringMatching(UUID)])
    },
  )

  test('of the caller’s is kept, and lets a POST be sent again', async () => {
    const given: RequestInit['headers'][] = [
      { 'Idempotency-Key': 'mine' },
      [['idempotency-key', 'mine']],
      new Headers({ 'idempotency-key': 'mine' }),
    ]
    for (const headers of given) {
      const { fetch, runtime, sent } = start([answer(503)], { idempotencyKey: 'auto' })
      const called = fetch(URL_, { method: 'POST', body: 'x', ...(headers !== undefined && { headers }) })
      await runtime.advance(1_000)
      expect([statusOf(await called), sent.map(({ key }) => key)]).toEqual([200, ['mine', 'mine']])
    }
  })

  test.each(['caller', 'auto'] as const)('that is empty is none: %s', async (idempotencyKey) => {
    const { fetch, sent } = start([closed('maybe')], { idempotencyKey })
    const called = fetch(URL_, { method: 'POST', body: 'x', headers: { 'Idempotency-Key': ' ' } })
    await expect(called).rejects.toMatchObject({ code: 'ERR_TRANSPORT_CLOSED' })
    expect(sent).toHaveLength(1)
  })

  test('is not made unless the option says so, nor for methods that need none', async () => {
    const { fetch, sent } = start([answer(503)])
    expect(statusOf(await fetch(URL_, { method: 'POST', body: 'x' }))).toBe(503)
    const auto = start([], { idempotencyKey: 'auto' })
    for (const method of ['GET', 'PUT', 'DELETE']) await auto.fetch(URL_, { method })
    expect([sent, auto.sent].flat().map(({ key }) => key)).toEqual([null, null, null, null])
  })
})

test.each(['stripe-should-retry', 'x-should-retry', 'should-retry'])('%s of the server decides', async (name) => {
  const never = start([answer(503, { [name]: 'false' })])
  expect([statusOf(await never.fetch(URL_)), never.sent.length]).toEqual([503, 1])
  const please = start([answer(409, { [name]: 'true' })])
  const called = please.fetch(URL_, { method: 'POST', body: 'x' })
  await please.runtime.advance(1_000)
  expect([statusOf(await called), please.sent.length]).toEqual([200, 2])
})
