import { type Attempt, type Authenticator, type AuthScheme, apiKey, basic, bearer, type Outcome } from 'pinfetch/auth'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { API, authStage, ca, OTHER, PINS } from '../support/auth-stage.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { settled } from '../support/scene.ts'

const KEY = 'kd83-first-Zq91mmw2'
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

/** A scheme of the application: `x-test` with the number of the attempt, and what else the test says. */
function custom(allowedOrigins: readonly string[], authenticator: Partial<Authenticator> = {}): AuthScheme {
  return {
    name: 'custom',
    credentialHeaders: ['x-test'],
    allowedOrigins,
    bind: () => ({ apply: ({ number }) => ({ 'x-test': `attempt ${number}` }), ...authenticator }),
  }
}

const again: Outcome = { retry: 'token', reason: 'once more' }

describe('a credential', () => {
  test.each<[string, string, string, (api: string) => AuthScheme]>([
    [
      'an API key',
      'x-api-key',
      KEY,
      (api) => apiKey({ header: 'x-api-key', source: { value: KEY }, allowedOrigins: [api] }),
    ],
    [
      'a bearer token',
      'authorization',
      `Bearer ${KEY}`,
      (api) => bearer({ source: { value: KEY }, allowedOrigins: [api] }),
    ],
    [
      'a password',
      'authorization',
      `Basic ${btoa(`user:${KEY}`)}`,
      (api) => basic({ username: 'user', password: { value: KEY }, allowedOrigins: [api] }),
    ],
    ['what a scheme of the application says', 'x-test', 'attempt 0', (api) => custom([api])],
  ])('%s goes to its origin, on both roads, with the fields of the caller', async (_, header, value, scheme) => {
    const { client, url, api } = await authStage({ schemes: ({ api }) => scheme(api), judge: false })
    for (const [, road] of ROADS) {
      for (const headers of [
        { Accept: 'a/b' },
        [['Accept', 'a/b']] as [string, string][],
        new Headers({ Accept: 'a/b' }),
      ]) {
        expect((await client.fetch(url(), { headers, ...road })).status).toBe(200)
      }
      await client.fetch(new Request(url(), { headers: { Accept: 'a/b' }, method: 'DELETE' }), road)
    }
    expect(api.requests).toHaveLength(8)
    for (const { headers } of api.requests) expect(headers).toMatchObject({ [header]: value, accept: 'a/b' })
  })

  test('goes nowhere else: another origin is ERR_AUTH_ORIGIN_NOT_ALLOWED before anything is sent (BIND-01)', async () => {
    const { client, api } = await authStage({ schemes: ({ api }) => custom([api]), judge: false })
    const { accepted } = api
    const error = await refusalOf(client.fetch(`https://${OTHER}:${api.port}/`), 'ERR_AUTH_ORIGIN_NOT_ALLOWED')
    expect(error).toMatchObject({ name: 'AuthError', requestSent: 'no', host: `${OTHER}:${api.port}` })
    expect(api.accepted).toBe(accepted)
  })

  test('an origin that withoutAuth names is asked without one', async () => {
    const { client, api, url } = await authStage({
      schemes: ({ api }) => custom([api]),
      judge: false,
      client: { withoutAuth: [`${OTHER}:*`] },
    })
    await client.fetch(`https://${OTHER}:${api.port}/`)
    await client.fetch(url())
    expect(api.requests.map(({ headers }) => headers['x-test'])).toEqual([undefined, 'attempt 0'])
  })

  test('never goes to a port or over http that its origin does not name: ERR_AUTH_ORIGIN_NOT_ALLOWED, ERR_POLICY_PLAINTEXT (BIND-07)', async () => {
    const { client, api, server } = await authStage({ schemes: ({ api }) => custom([api]), judge: false })
    await refusalOf(client.fetch(`https://${API}:${server.port}/`), 'ERR_AUTH_ORIGIN_NOT_ALLOWED')
    await refusalOf(client.fetch(`http://${API}:${api.port}/`), 'ERR_POLICY_PLAINTEXT')
    expect([api.accepted, server.accepted]).toEqual([0, 0])
  })

  test('of the caller takes the place of the scheme’s, told by an event; there is one such field (BIND-05)', async () => {
    const { client, url, api, told } = await authStage({
      schemes: ({ api }) => bearer({ source: { value: KEY }, allowedOrigins: [api] }),
      judge: false,
    })
    for (const [, road] of ROADS) await client.fetch(url(), { headers: { Authorization: 'Own x' }, ...road })
    await client.fetch(new Request(url(), { headers: { authorization: 'Own x' } }))
    const sent = api.requests.map(({ rawHeaders }) =>
      rawHeaders.filter((_, at) => rawHeaders[at - 1]?.toLowerCase() === 'authorization'),
    )
    expect(sent).toEqual([['Own x'], ['Own x'], ['Own x']])
    expect(told('auth.overridden')).toHaveLength(3)
    expect(told('auth.overridden')[0]).toMatchObject({ scheme: 'bearer', headers: ['authorization'] })
  })
})

describe('schemes that no client takes', () => {
  const make = (auth: AuthScheme | AuthScheme[]) => () => testClient({ pins: PINS, anchors: ca.anchorPem, auth })
  const origin = 'https://api.example.com'

  test('two that want one origin: ERR_CONFIG_INVALID, however it is written', async () => {
    for (const same of [origin, 'https://API.example.com:443', 'https://api.example.com./'])
      expect(make([custom([origin]), custom([same])])).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(make([custom([origin]), custom(['https://api.example.com:8443'])])).not.toThrow()
  })

  test.each([
    'http://api.example.com',
    'https://api.example.com/v1',
    'https://u:secret@api.example.com',
    'api.example.com',
    '',
  ])('one that allows %j, which is no origin: ERR_CONFIG_INVALID, and the text is not shown', (text) => {
    expect(make(custom([text]))).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(make(custom([text]))).not.toThrow(/secret/)
  })

  test('the ones before are closed when one cannot be bound', () => {
    const closed: string[] = []
    const first = custom([origin], { close: async () => void closed.push('first') })
    const second = { ...custom(['https://other.example.com']), bind: () => expect.fail('no') }
    expect(make([first, second])).toThrow('no')
    expect(closed).toEqual(['first'])
  })
})

describe('a scheme of the application that does what it should not', () => {
  const SECRET = 'kd83-thrown-secret'
  const stageOf = (authenticator: Partial<Authenticator>) =>
    authStage({ schemes: ({ api }) => custom([api], authenticator), judge: false })

  test.each<[string, Authenticator['apply']]>([
    [
      'throws',
      () => {
        throw new Error(SECRET)
      },
    ],
    ['rejects', async () => Promise.reject(Object.assign(new Error(SECRET), { token: SECRET }))],
    [
      'throws what is no error',
      () => {
        throw SECRET
      },
    ],
    ['answers nothing', () => undefined as never],
    ['answers a text', async () => SECRET as never],
    ['answers a value with a line break', () => ({ 'x-test': `${SECRET}\r\nx-evil: 1` })],
    ['answers a value that is none', () => ({ 'x-test': { SECRET } as never })],
    ['answers a value that is empty', () => ({ 'x-test': '' })],
    ['answers a value beyond ASCII', () => ({ 'x-test': `${SECRET}é` })],
  ])('%s: ERR_AUTH_SCHEME_FAILED, nothing is sent, and what it said is not shown', async (_, apply) => {
    const { client, url, api } = await stageOf({ apply })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_SCHEME_FAILED')
    expect(error).toMatchObject({ name: 'AuthError', requestSent: 'no' })
    expect(`${error.stack} ${error.cause} ${JSON.stringify(error)}`).not.toContain(SECRET)
    expect(api.accepted).toBe(0)
  })

  test('sets a field that it did not name: ERR_CONFIG_INVALID, and nothing is sent', async () => {
    const { client, url, api } = await stageOf({ apply: () => ({ 'x-test': 'a', 'x-other': 'b' }) })
    expect((await refusalOf(client.fetch(url()), 'ERR_CONFIG_INVALID')).message).toContain('x-other')
    expect(api.accepted).toBe(0)
  })

  test('throws after the answer: ERR_AUTH_SCHEME_FAILED says that the request was sent, and the answer is given up', async () => {
    const open: { readonly destroyed: boolean }[] = []
    const { client, url } = await authStage({
      schemes: ({ api }) =>
        custom([api], {
          onResponse: () => {
            throw new Error(SECRET)
          },
        }),
      judge: false,
      handler: (_, response) => {
        open.push(response)
        response.write('a beginning') // of an answer without end
      },
    })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_SCHEME_FAILED')
    expect(error.requestSent).toBe('yes')
    await expect.poll(() => open.map(({ destroyed }) => destroyed), { timeout: 5_000 }).toEqual([true]) // before a collection would end it
  })

  test('asks for another attempt for ever: three are made, and the third answer is the caller’s', async () => {
    const { client, url, api } = await stageOf({ onResponse: () => again })
    expect(await (await client.fetch(url(), { method: 'POST', body: 'x' })).text()).toBe('ok')
    expect(api.requests.map(({ headers, body }) => [headers['x-test'], body.length])).toEqual([
      ['attempt 0', 1],
      ['attempt 1', 1],
      ['attempt 2', 1],
    ])
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['nothing, later', Promise.resolve(undefined)],
    ['null', null],
    ['a word', 'retry'],
  ])('answers %s to a response: the response is the caller’s', async (_, outcome) => {
    const { client, url, api } = await stageOf({ onResponse: () => outcome as never })
    expect((await client.fetch(url())).status).toBe(200)
    expect(api.requests).toHaveLength(1)
  })

  test('finds its state again at the next attempt, and the method and target as they are on the wire', async () => {
    const seen: Partial<Attempt>[] = []
    const { client, url } = await stageOf({
      apply: (attempt) => {
        seen.push({ ...attempt, headers: new Headers(attempt.headers) })
        attempt.state = attempt.number
        return { 'x-test': 'a' }
      },
      onResponse: (_, { number }) => (number === 0 ? again : 'done'),
    })
    await client.fetch(url('/a?b=c'), { method: 'put', body: 'x', headers: { 'X-Own': '1' } })
    const common = { method: 'PUT', url: new URL(url('/a?b=c')), isReplayable: true }
    expect(seen).toMatchObject([
      { ...common, number: 0 },
      { ...common, number: 1, state: 0 },
    ])
    expect(seen[0]?.headers?.get('x-own')).toBe('1')
  })

  test('never ends its closing: destroy ends all the same', async () => {
    const { client, url } = await stageOf({ close: () => new Promise(() => undefined) })
    await client.fetch(url())
    await client.destroy()
  })
})

describe('a body that has to be sent again', () => {
  const form = (): FormData => {
    const form = new FormData()
    form.append('name', 'value')
    form.append('file', new File(['bytes'], 'file.bin'))
    return form
  }
  const twice = (schemes: { api: string }) =>
    custom([schemes.api], { onResponse: (_, { number }) => (number === 0 ? again : 'done') })

  test.each<[string, () => RequestInit['body']]>([
    ['text', () => 'täxt'],
    ['bytes', () => new Uint8Array([0, 255])],
    ['parameters', () => new URLSearchParams({ a: '1 2' })],
    ['a Blob', () => new Blob(['x'], { type: 'a/b' })],
    ['a form', form],
  ])('%s is the same both times, type and idempotency key included (TOK-09)', async (_, body) => {
    const { client, url, api } = await authStage({ schemes: twice, judge: false })
    for (const [, road] of ROADS) {
      const before = api.requests.length
      const headers = { 'idempotency-key': '7' }
      await client.fetch(url(), { method: 'POST', body: body() ?? null, headers, ...road })
      const [one, two, ...others] = api.requests.slice(before)
      expect(one?.body.length).toBeGreaterThan(0)
      expect(two?.body).toEqual(one?.body)
      for (const name of ['content-type', 'idempotency-key']) expect(two?.headers[name]).toBe(one?.headers[name])
      expect([others.length, one?.method, two?.method]).toEqual([0, 'POST', 'POST'])
    }
  })

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['a stream', (url) => [url, { method: 'POST', body: new Blob(['bytes']).stream(), duplex: 'half' } as RequestInit]],
    ['the body of a Request', (url) => [new Request(url, { method: 'POST', body: 'bytes' })]],
  ])('%s is not: the caller has the answer, and ERR_AUTH_BODY_NOT_REPLAYABLE is told (TOK-07)', async (what, given) => {
    const { client, url, api, told } = await authStage({ schemes: twice, judge: false })
    const response = await client.fetch(...given(url()))
    expect([response.status, await response.text(), api.requests.length]).toEqual([200, 'ok', 1])
    expect(Buffer.from(api.requests[0]?.body ?? []).toString()).toBe('bytes')
    const [event] = told('auth.notReplayed')
    expect(event).toMatchObject({ code: 'ERR_AUTH_BODY_NOT_REPLAYABLE', scheme: 'custom' })
    expect(JSON.stringify(event)).toContain(what)
  })
})

test('a URL and header fields that the caller changes while the credential is fetched: the request is the one that was made', async () => {
  let give = (): void => undefined
  const asked: URL[] = []
  const { client, url, api } = await authStage({
    schemes: ({ api }) =>
      custom([api], {
        apply: ({ url }) => {
          asked.push(url)
          return new Promise((resolve) => {
            give = () => resolve({ 'x-test': 'token' })
          })
        },
      }),
    judge: false,
    client: { withoutAuth: [`${OTHER}:*`] },
  })
  for (const [, road] of ROADS) {
    for (const headers of [new Headers({ 'x-own': '1' }), { 'x-own': '1' }, [['x-own', '1'] as [string, string]]]) {
      const target = new URL(url('/made'))
      const before = asked.length
      const call = client.fetch(target, { headers, ...road })
      await expect.poll(() => asked.length).toBe(before + 1)
      for (const one of [target, asked.at(-1)]) one?.searchParams.set('changed', '1')
      target.hostname = OTHER
      if (Array.isArray(headers)) headers.push(['x-test', 'forged'])
      else if (headers instanceof Headers) headers.set('x-test', 'forged')
      else Object.assign(headers, { 'X-Test': 'forged' })
      give()
      await call
      expect(api.requests.at(-1)).toMatchObject({ path: '/made', headers: { 'x-own': '1', 'x-test': 'token' } })
      expect(api.requests.at(-1)?.headers.host).toBe(`${API}:${api.port}`)
    }
  }
})

describe('the time and the signal of a call', () => {
  test('all attempts share the total time: ERR_TRANSPORT_TIMEOUT', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const answers: (() => void)[] = []
    const { client, url, api } = await authStage({
      schemes: ({ api }) => custom([api], { onResponse: (_, { number }) => (number === 0 ? again : 'done') }),
      judge: false,
      handler: (_, response) => void answers.push(() => response.end('ok')),
      client: { runtime, timeouts: { totalMs: 30_000, headersMs: 600_000 } },
    })
    const slow = client.fetch(url())
    slow.catch(() => undefined)
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(1)
    await runtime.advance(25_000)
    answers[0]?.()
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(2)
    await runtime.advance(10_000)
    const error = await refusalOf(slow, 'ERR_TRANSPORT_TIMEOUT')
    expect([error.requestSent, api.requests.length]).toEqual(['yes', 2])
    const next = client.fetch(url()) // a call of its own has the time for itself
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(3)
    await runtime.advance(25_000)
    answers[2]?.()
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(4)
    answers[3]?.()
    expect((await settled(next, runtime)).status).toBe(200)
  })

  test.each<[string, (url: string, signal: AbortSignal) => Parameters<typeof fetch>]>([
    ['in init', (url, signal) => [url, { signal }]],
    ['in a Request', (url, signal) => [new Request(url, { signal })]],
  ])(
    'a signal %s that fires while the credential is fetched ends the call with its reason; nothing is sent',
    async (_, given) => {
      let asked = (_: unknown): void => undefined
      const asking = new Promise((resolve) => {
        asked = resolve
      })
      const { client, url, api } = await authStage({
        schemes: ({ api }) =>
          custom([api], {
            apply: ({ signal }) => {
              asked(signal)
              return new Promise(() => undefined) // looks at no signal
            },
          }),
        judge: false,
      })
      const control = new AbortController()
      const call = client.fetch(...given(url(), control.signal))
      call.catch(() => undefined)
      expect(await asking).toMatchObject({ aborted: false })
      control.abort(new Error('enough'))
      await expect(call).rejects.toThrow('enough')
      expect(api.accepted).toBe(0)
    },
  )

  test('what fails at a later attempt says that the request was sent', async () => {
    const { client, url, api } = await authStage({
      schemes: ({ api }) =>
        custom([api], {
          onResponse: () => again,
          apply: ({ number }) => {
            if (number === 1) throw new Error('no second one')
            return { 'x-test': 'a' }
          },
        }),
      judge: false,
    })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_SCHEME_FAILED')
    expect([error.requestSent, api.requests.length]).toEqual(['yes', 1])
  })

  test('and so does a connection that cannot be made for it: ERR_TRANSPORT_CONNECT', async () => {
    const stage = await authStage({
      schemes: ({ api }) =>
        custom([api], {
          onResponse: async () => {
            await stage.api.close()
            return again
          },
        }),
      judge: false,
      handler: (_, response) => response.writeHead(200, { connection: 'close' }).end('ok'),
    })
    const error = await refusalOf(stage.client.fetch(stage.url()), 'ERR_TRANSPORT_CONNECT')
    expect(error.requestSent).toBe('yes')
  })
})
