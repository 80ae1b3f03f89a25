import { inspect } from 'node:util'
import {
  type BreakerOptions,
  type ClientEvent,
  concurrency,
  fixedWindow,
  type RateOptions,
  tokenBucket,
} from 'pinfetch'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createBreaker } from '../../src/client/breaker.ts'
import { BreakerSchema } from '../../src/client/breaker-options.ts'
import { createRates } from '../../src/client/rate.ts'
import { RateSchema } from '../../src/client/rate-options.ts'
import type { Call, Send } from '../../src/client/send.ts'
import { AuthError, TransportError, TrustError } from '../../src/errors/errors.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'

const API = 'https://api.example/v1'
type Wire = (url: URL, init: RequestInit, call: Call | undefined) => Promise<Response>

function start(
  rate: unknown,
  options: { breaker?: BreakerOptions; wire?: Wire; legacy?: string; totalMs?: number } = {},
) {
  const runtime = createTestRuntime()
  const events: ClientEvent[] = []
  const emit = (event: ClientEvent): void => void events.push(event)
  const sent: { readonly url: string; readonly at: number }[] = []
  const wire: Send = async (_input, init, url, call) => {
    sent.push({ url: url.href, at: runtime.clock.monotonic() })
    return (await options.wire?.(url, init, call)) ?? new Response('fine')
  }
  const breaker = createBreaker(BreakerSchema.parse(options.breaker ?? {}), { runtime, emit })
  const rates = createRates(RateSchema.parse(rate), {
    runtime,
    emit,
    clocks: createClockOffsets({ runtime, emit: () => undefined }),
    timeouts: { totalMs: options.totalMs ?? 3_600_000 },
    policyOf: ({ host }) => {
      if (host === 'unknown.example') throw new Error('no policy')
      return host === options.legacy ? { profile: 'legacy' } : {}
    },
    held: (work) => work,
  })
  const send = options.breaker === undefined ? rates.limited(wire) : breaker.early(rates.limited(breaker.guarded(wire)))
  const call = (url: string = API, init: RequestInit = {}, of?: Call): Promise<Response> =>
    send(url, init, new URL(url), of)
  const told = (type: ClientEvent['type']) => events.filter((event) => event.type === type)
  return { runtime, call, sent, told, rates, send }
}

const codeOf = (called: Promise<Response>): Promise<unknown> =>
  called.then(
    ({ status }) => status,
    ({ code }) => code,
  )

describe('rules', () => {
  const each = (requests: number) => fixedWindow({ requests, perMs: 1_000 })

  test('count for each origin by default, for the client, or for what a function says', async () => {
    const urls = ['https://a.example/x', 'https://a.example/y', 'https://b.example/x', 'https://b.example/y']
    const wentAtOnce = async (rule: NonNullable<RateOptions['rules']>[number]): Promise<number> => {
      const { runtime, call, sent } = start({ rules: [rule] })
      for (const url of urls) void call(url, { headers: { 'x-tenant': new URL(url).pathname } })
      await runtime.advance(10)
      return sent.length
    }
    expect(await wentAtOnce({ limit: each(1) })).toBe(2)
    expect(await wentAtOnce({ limit: each(1), per: 'client' })).toBe(1)
    expect(await wentAtOnce({ limit: each(1), per: ({ headers }) => headers.get('x-tenant') ?? '' })).toBe(2)
    expect(await wentAtOnce({ limit: each(1), per: ({ url, method }) => `${method} ${url.href}` })).toBe(4)
    expect(await wentAtOnce({ limit: each(1), origins: ['a.example'] })).toBe(3)
  })

  test('all count at once, and a list is short for them', async () => {
    const { runtime, call, sent } = start([{ limit: each(3) }, { limit: each(5), per: 'client' }])
    for (const host of ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b']) void call(`https://${host}.example/`)
    await runtime.advance(10)
    expect(sent.map(({ url }) => url.slice(8, 9)).sort()).toEqual(['a', 'a', 'a', 'b', 'b'])
    await runtime.advance(2_000)
    expect(sent).toHaveLength(8)
  })

  test('tenants take turns inside of one limit of the client', async () => {
    const rules = [
      { limit: each(2), per: 'client' as const },
      { limit: each(100), per: ({ headers }: { headers: Headers }) => headers.get('x-tenant') ?? '' },
    ]
    const { runtime, call, sent } = start({ rules })
    for (let count = 0; count < 20; count += 1) void call(`${API}/loud`, { headers: { 'x-tenant': 'loud' } })
    for (let count = 0; count < 3; count += 1) void call(`${API}/quiet`, { headers: { 'x-tenant': 'quiet' } })
    await runtime.advance(3_500)
    expect(sent.filter(({ url }) => url.endsWith('quiet'))).toHaveLength(3)
    expect(sent).toHaveLength(8)
  })

  test.each<[string, () => unknown]>([
    ['no text', () => undefined],
    ['an empty text', () => ''],
    ['a text without end', () => 'x'.repeat(257)],
    ['an exception', () => expect.fail('broken')],
  ])('a key that is %s is refused: ERR_CONFIG_INVALID', async (_, per) => {
    const { call, sent } = start({ rules: [{ limit: each(1), per }] })
    const called = (async () => call())()
    await expect(called).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining('rules.0.per'),
    })
    expect(sent).toEqual([])
  })

  test('LIM-04: more than may wait, or than can go in time, are refused at once, and told', async () => {
    const { runtime, call, told } = start({ rules: [{ limit: each(1), maxQueue: 2 }] }, { totalMs: 1_500 })
    const calls = [call(), call(), call(), call()].map(codeOf)
    expect(await Promise.race([calls[2], runtime.advance(0)])).toBe('ERR_RATE_LIMITED')
    await runtime.advance(5_000)
    expect(await Promise.all(calls)).toEqual([200, 200, 'ERR_RATE_LIMITED', 'ERR_RATE_LIMITED'])
    expect(told('rate.refused')).toMatchObject([
      { host: 'api.example', code: 'ERR_RATE_LIMITED', retryAfterMs: 2_000 },
      {},
    ])
    expect(told('rate.waited')).toEqual([{ type: 'rate.waited', host: 'api.example', ms: 1_000 }])
    const full = start({ rules: [{ limit: each(1), maxQueue: 1 }] })
    const line = [full.call(), full.call(), full.call()].map(codeOf)
    await full.runtime.advance(2_000)
    expect(await Promise.all(line)).toEqual([200, 200, 'ERR_RATE_QUEUE_FULL'])
  })

  test('a legacy host gets its fraction, and others nothing less', async () => {
    const options = { rules: [{ limit: each(20) }], legacyFraction: 0.1 }
    const { runtime, call, sent } = start(options, { legacy: 'old.example' })
    for (let count = 0; count < 60; count += 1) {
      void call('https://old.example/')
      void call('https://new.example/')
    }
    await runtime.advance(10_000)
    const old = sent.filter(({ url }) => url.includes('old'))
    expect(old.filter(({ at }) => at < 1_000)).toHaveLength(2)
    expect(old.length).toBe(22)
    expect(sent.filter(({ url, at }) => url.includes('new') && at < 1_000)).toHaveLength(20)
  })

  test('what has no policy is left to those who refuse it', async () => {
    const { call } = start({ rules: [{ limit: each(1) }] })
    expect(await codeOf(call('https://unknown.example/'))).toBe(200)
  })

  test('a request counts at the same time until its exchange is over, and not only answered', async () => {
    let over = (): void => undefined
    const wire: Wire = async (_url, _init, call) => {
      over = call?.onExchange?.() ?? over
      return new Response('fine')
    }
    const { runtime, call, sent } = start({ rules: [{ limit: concurrency({ requests: 1 }) }] }, { wire })
    await call()
    const second = call()
    await runtime.advance(60_000)
    expect(sent).toHaveLength(1)
    over()
    await second
    expect(sent).toHaveLength(2)
    const failing = start(
      { rules: [{ limit: concurrency({ requests: 1 }) }] },
      { wire: () => Promise.reject(new Error('x')) },
    )
    for (let count = 0; count < 3; count += 1) await expect(failing.call()).rejects.toThrow('x')
  })

  test('what waits is sent as it was given', async () => {
    const bodies: string[] = []
    const wire: Wire = async (_url, { body, headers }) => {
      bodies.push(`${new Headers(headers).get('x-a')} ${await new Response(body).text()}`)
      return new Response('fine')
    }
    const { runtime, call } = start({ rules: [{ limit: each(1) }] }, { wire })
    await call(API, { method: 'PUT', body: 'none' })
    const [body, headers] = [new TextEncoder().encode('one'), { 'x-a': 'first' }]
    const called = call(API, { method: 'PUT', body, headers })
    body.fill(0x21)
    headers['x-a'] = 'second'
    await runtime.advance(1_000)
    await called
    expect(bodies[1]).toBe('first one')
  })

  test.each<[string, Call | undefined]>([
    ['of a call that follows no redirect', undefined],
    ['of one that may', { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }],
  ])('nobody changes the fields of a request that waits: %s', async (_, of) => {
    const fields: (string | null)[] = []
    const wire: Wire = async (_url, { headers }) => {
      fields.push(new Headers(headers).get('x-a'))
      return new Response('fine')
    }
    const { runtime, call, send } = start({ rules: [{ limit: each(1) }] }, { wire })
    await call()
    const headers = { 'x-a': 'first' }
    const request = new Request(API, { headers })
    const called = [call(API, { headers }, of), send(request, {}, new URL(API), of && { ...of })]
    headers['x-a'] = 'second'
    request.headers.set('x-a', 'second')
    await runtime.advance(2_000)
    await Promise.all(called)
    expect(fields).toEqual([null, 'first', 'first'])
  })

  test('what cannot be sent takes no place', async () => {
    const { runtime, call, sent } = start({ rules: [{ limit: concurrency({ requests: 1 }) }] })
    const unreadable = { headers: [null] } as unknown as RequestInit
    await expect((async () => call(API, unreadable))()).rejects.toThrow(TypeError)
    void call()
    await runtime.advance(10)
    expect(sent).toHaveLength(1)
  })

  test('of a limit there is one, however many keys others have', async () => {
    let [open, most] = [0, 0]
    const wire: Wire = async () => {
      open += 1
      most = Math.max(most, open)
      await Promise.resolve()
      open -= 1
      return new Response('fine')
    }
    const per = ({ headers }: { headers: Headers }) => headers.get('x-tenant') ?? ''
    const rules = [
      { limit: concurrency({ requests: 1 }), per: 'client' as const },
      { limit: each(2), per },
    ]
    for (const feedback of ['follow', 'ignore'] as const) {
      const { call } = start({ rules, feedback }, { wire })
      for (let tenant = 0; tenant < 1_100; tenant += 1) {
        const init = { headers: { 'x-tenant': String(tenant) } }
        await Promise.all([call(API, init), call(API, init)])
      }
    }
    expect(most).toBe(1)
  })

  test('what a function threw is not repeated: it may have had the credentials of the request', async () => {
    const per = ({ headers }: { headers: Headers }): string => {
      throw new Error(`no tenant in ${headers.get('authorization')}`)
    }
    const { call } = start({ rules: [{ limit: each(1), per }] })
    const init = { headers: { authorization: 'Bearer kE2v9sQx7LmT4wZbR8nY' } }
    const error = await (async () => call(API, init))().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    expect(inspect(error, { depth: 9 })).not.toContain('kE2v9sQx7LmT4wZbR8nY')
  })

  test('closing refuses whoever waits: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { call, rates, runtime } = start({ rules: [{ limit: each(1) }] })
    await call()
    const waiting = codeOf(call())
    rates.close()
    expect([await waiting, runtime.pendingTimers]).toEqual(['ERR_TRANSPORT_CLIENT_CLOSED', 0])
  })
})

describe('what a server says', () => {
  const saying = (status: number, headers: Record<string, string>, count = 1): Wire => {
    let left = count
    return async (url) => {
      left -= 1
      return left >= 0 && url.host === 'api.example' ? new Response('', { status, headers }) : new Response('fine')
    }
  }

  test.each<[string, number, Record<string, string>, number, string]>([
    ['Retry-After of a 429', 429, { 'retry-after': '3' }, 3_000, 'retry-after'],
    ['Retry-After of a 503', 503, { 'retry-after-ms': '2500' }, 2_500, 'retry-after'],
    ['RateLimit of a 200', 200, { ratelimit: '"d";r=0;t=4', 'x-ratelimit-remaining': '9' }, 4_000, 'ratelimit'],
    ['X-RateLimit of a 200', 200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '5' }, 5_000, 'x-ratelimit'],
  ])('holds the origin, and no other: %s', async (_, status, headers, ms, source) => {
    const { runtime, call, sent, told } = start({}, { wire: saying(status, headers) })
    await call()
    const later = [call(), call()]
    await call('https://other.example/')
    await runtime.advance(ms - 1)
    expect(sent).toHaveLength(2)
    await runtime.advance(1)
    await Promise.all(later)
    expect(sent.map(({ at }) => at)).toEqual([0, 0, ms, ms])
    expect(told('rate.paused')).toEqual([
      { type: 'rate.paused', host: 'api.example', status, source, ms, askedMs: ms, isCapped: false },
    ])
  })

  test('F61: of a year is capped and told, and the error says when: ERR_RATE_LIMITED', async () => {
    const { runtime, call, sent, told } = start(
      {},
      { wire: saying(429, { 'retry-after': '31536000' }), totalMs: 30_000 },
    )
    await call()
    expect(told('rate.paused')).toMatchObject([{ ms: 300_000, askedMs: 31_536_000_000, isCapped: true }])
    await expect(call()).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED', retryAfterMs: 300_000, requestSent: 'no' })
    await runtime.advance(300_000)
    await call()
    expect(sent.map(({ at }) => at)).toEqual([0, 300_000])
  })

  test('reaches those who wait already', async () => {
    const wire = saying(429, { 'retry-after': '60' }, 1)
    const { runtime, call } = start(
      { rules: [{ limit: tokenBucket({ requests: 1, perMs: 1_000 }) }] },
      { wire, totalMs: 5_000 },
    )
    const calls = [call(), call(), call()].map(codeOf)
    await runtime.advance(1_000)
    expect(await Promise.all(calls)).toEqual([429, 'ERR_RATE_LIMITED', 'ERR_RATE_LIMITED'])
  })

  test('is about the tenant, where a rule names one', async () => {
    const per = ({ headers }: { headers: Headers }) => headers.get('x-tenant') ?? ''
    const rules = [{ limit: tokenBucket({ requests: 100, perMs: 1_000 }), per }]
    const { call, sent, runtime } = start({ rules }, { wire: saying(429, { 'retry-after': '60' }) })
    await call(API, { headers: { 'x-tenant': 'one' } })
    const paused = call(API, { headers: { 'x-tenant': 'one' } })
    await call(API, { headers: { 'x-tenant': 'two' } })
    expect(sent).toHaveLength(2)
    await runtime.advance(60_000)
    await paused
  })

  test.each<[string, unknown, number, Record<string, string>]>([
    ["with 'ignore'", { feedback: 'ignore' }, 429, { 'retry-after': '60' }],
    ['in a Retry-After of a 200', {}, 200, { 'retry-after': '60' }],
    ['in a negative Retry-After', {}, 429, { 'retry-after': '-60' }],
    ['while something is left', {}, 200, { ratelimit: '"d";r=1;t=60' }],
  ])('holds nothing %s', async (_, rate, status, headers) => {
    const { call, sent, told } = start(rate, { wire: saying(status, headers) })
    await call()
    await call()
    expect([sent.length, told('rate.paused')]).toEqual([2, []])
  })
})

describe('the circuit breaker', () => {
  const breaker: BreakerOptions = { minRequests: 4, openMs: 5_000 }
  const down = () => Promise.reject(new TransportError('ERR_TRANSPORT_CONNECT', 'no'))

  test('opens, lets a single probe through, and closes with its success: ERR_RATE_CIRCUIT_OPEN', async () => {
    let answer: () => Promise<Response> = down
    const { runtime, call, sent, told } = start({}, { breaker, wire: () => answer() })
    for (let count = 0; count < 4; count += 1) expect(await codeOf(call())).toBe('ERR_TRANSPORT_CONNECT')
    await expect(call()).rejects.toMatchObject({
      code: 'ERR_RATE_CIRCUIT_OPEN',
      retryAfterMs: 5_000,
      retryable: true,
      requestSent: 'no',
    })
    expect(await codeOf(call('https://other.example/'))).toBe('ERR_TRANSPORT_CONNECT') // control: for itself
    expect(sent).toHaveLength(5)

    await runtime.advance(5_000)
    let arrive = (): void => undefined
    answer = () => new Promise((resolve) => (arrive = () => resolve(new Response('fine'))))
    const crowd = Array.from({ length: 10 }, () => codeOf(call()))
    await runtime.advance(1_000)
    expect(sent).toHaveLength(6)
    arrive()
    expect((await Promise.all(crowd)).sort()).toEqual([200, ...Array(9).fill('ERR_RATE_CIRCUIT_OPEN')])
    answer = async () => new Response('fine')
    expect(await codeOf(call())).toBe(200)
    const events = ['breaker.opened', 'breaker.probing', 'breaker.closed'] as const
    expect(events.map((type) => told(type).length)).toEqual([1, 1, 1])
    expect(told('breaker.opened')).toMatchObject([{ host: 'api.example', ms: 5_000 }])
  })

  test.each([500, 502, 503, 504])('counts a %i as a failure', async (status) => {
    const { call } = start({}, { breaker, wire: async () => new Response('', { status }) })
    for (let count = 0; count < 4; count += 1) expect(await codeOf(call())).toBe(status)
    expect(await codeOf(call())).toBe('ERR_RATE_CIRCUIT_OPEN')
  })

  test.each<[string, () => Promise<Response>]>([
    ['a 429', async () => new Response('', { status: 429 })],
    ['a 404', async () => new Response('', { status: 404 })],
    ['a wrong pin', () => Promise.reject(new TrustError('ERR_TRUST_PIN_MISMATCH', 'x'))],
    ['a token server', () => Promise.reject(new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', 'x'))],
    ['an abort', () => Promise.reject(new DOMException('x', 'AbortError'))],
    [
      'a body longer than one caller may have',
      () => Promise.reject(new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', 'x')),
    ],
    [
      'a body that could not be opened',
      () => Promise.reject(new TransportError('ERR_TRANSPORT_BODY_UNAVAILABLE', 'x')),
    ],
  ])('is not moved by %s, which stays what it is', async (_, wire) => {
    const { call, sent } = start({}, { breaker, wire })
    const codes = []
    for (let count = 0; count < 20; count += 1) codes.push(await codeOf(call()))
    expect([sent.length, codes.includes('ERR_RATE_CIRCUIT_OPEN')]).toEqual([20, false])
  })

  test('is not told to stay open for less with each failure: maxOpenMs', () => {
    const parse = (options: BreakerOptions) => BreakerSchema.safeParse(options).error?.issues
    expect(parse({ openMs: 5_000, maxOpenMs: 1_000 })).toMatchObject([{ path: ['maxOpenMs'] }])
    expect(parse({ openMs: 120_000 })).toMatchObject([{ path: ['maxOpenMs'] }])
    expect(parse({ openMs: 5_000, maxOpenMs: 5_000 })).toBeUndefined()
  })

  test('takes no place in a limit for what it refuses', async () => {
    const rate = { rules: [{ limit: fixedWindow({ requests: 5, perMs: 3_600_000 }) }] }
    let answer: () => Promise<Response> = down
    const { runtime, call } = start(rate, { breaker, wire: () => answer() })
    for (let count = 0; count < 20; count += 1) await codeOf(call())
    answer = async () => new Response('fine')
    await runtime.advance(5_000)
    expect(await codeOf(call())).toBe(200) // the fifth of the window
  })
})
