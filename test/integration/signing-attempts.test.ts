import { bearer, oauth } from 'pinfetch/auth'
import type { BoundSigner, RequestSigner } from 'pinfetch/signing'
import { createTestRuntime, fakeClient } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { API, authStage, ca, OTHER, oauthAt, PINS } from '../support/auth-stage.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { settled } from '../support/scene.ts'
import { signingStage, testSigner, verified } from '../support/signing-stage.ts'

const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

/** A signer that sets one field, and does what the test says. */
function plainSigner(sign: BoundSigner['sign'], more: Partial<RequestSigner> = {}): RequestSigner {
  return { name: 'plain', headers: ['x-signed'], body: 'ignored', bind: () => ({ sign }), ...more }
}

const nonceOf = (headers: object): unknown =>
  /nonce="([^"]+)"/.exec(String(Reflect.get(headers, 'signature-input')))?.[1]

describe.each(ROADS)('on the %s road', (_, road) => {
  test('a redirect of the same origin is signed anew, with the body that it keeps', async () => {
    const signer = testSigner()
    const { client, url, api, verified } = await signingStage(signer, {
      client: { redirect: 'same-origin' },
      api: {
        handler: ({ path }, response) => {
          const location = { '/a': '/b', '/b': '/c' }[path]
          if (location === undefined) response.end('ok')
          else response.writeHead(path === '/a' ? 307 : 303, { location }).end()
        },
      },
    })
    expect((await client.fetch(url('/a'), { ...road, method: 'POST', body: 'text' })).status).toBe(200)
    expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /a', 'POST /b', 'GET /c'])
    expect(verified()).toEqual([['test'], ['test'], ['test']])
    expect(api.requests.map(({ headers }) => nonceOf(headers))).toEqual(['test-1', 'test-2', 'test-3'])
    const digests = api.requests.map(({ headers }) => headers['content-digest'])
    expect(digests).toEqual([digests[0], digests[0], undefined])
    expect(signer.digests[1]).toBe(signer.digests[0]) // hashed once
  })

  test('nothing is signed for another origin, nor taken along, nor signed where a redirect leads back (BIND-03)', async () => {
    const { client, url, api, events } = await signingStage(
      [testSigner(), plainSigner(() => ({ headers: { 'x-signed': '1' } }))],
      {
        client: { redirect: { follow: [`${API}:*`, `${OTHER}:*`] } as never },
        api: {
          handler: ({ path }, response) => {
            const other = `https://${OTHER}:${api.port}`
            const location = { '/out': `${other}/there`, '/there': url('/back') }[path]
            if (location === undefined) response.end('ok')
            else response.writeHead(302, { location }).end()
          },
        },
      },
    )
    const own = { signature: 'mine=:AAAA:', 'signature-input': 'mine=();created=1' }
    expect((await client.fetch(url('/out'), { ...road, headers: own })).status).toBe(200)
    const [first, ...others] = api.requests.map(({ headers }) => headers)
    expect(first?.['signature-input']).toMatch(/^mine=.*, test=/)
    for (const headers of others)
      for (const name of ['signature', 'signature-input', 'x-signed']) expect(headers).not.toHaveProperty(name)
    expect(others).toHaveLength(2)
    expect(events).toMatchObject([{ type: 'redirect.stripped', headers: ['signature', 'signature-input'] }])
  })

  test('a 401 that brings another token brings another signature, of the same digest, that was made once (SIG-11)', async () => {
    const signer = testSigner()
    const { client, url, api, accepted } = await authStage({
      schemes: ({ server, api }) => oauth(oauthAt(server, api)),
      client: { sign: signer },
    })
    await client.fetch(url(), { ...road, method: 'POST', body: 'text' })
    accepted.clear()
    expect((await client.fetch(url(), { ...road, method: 'POST', body: 'text' })).status).toBe(200)
    const requests = api.requests.slice(1)
    expect(requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer access-1', 'Bearer access-2'])
    expect(requests.map(({ headers }) => nonceOf(headers))).toEqual(['test-2', 'test-3'])
    expect(requests.map((request) => verified(request, `${API}:${api.port}`))).toEqual([['test'], ['test']])
    expect(requests[1]?.headers['content-digest']).toBe(requests[0]?.headers['content-digest'])
    expect(signer.digests[2]).toBe(signer.digests[1])
    expect(signer.seen.every(({ fields }) => fields.some(([name]) => name === 'authorization'))).toBe(true)
  })

  test('two signatures stand side by side, and the second may cover the first signer’s field', async () => {
    const mac = plainSigner(({ url }) => ({ headers: { 'x-signed': String(url.length) } }))
    const { client, url, verified, api } = await signingStage([mac, testSigner(), testSigner({ label: 'other' })])
    await client.fetch(url(), { ...road, method: 'POST', body: 'x' })
    expect(verified()).toEqual([['test', 'other']])
    expect(api.requests[0]?.headers['signature-input']).toContain('"x-signed"')
  })

  test('a query that a signer adds is sent, and signed by the next one', async () => {
    const presign = plainSigner(() => ({ query: 'X-Sig=a%2Fb' }), { headers: [] })
    const { client, url, api, verified } = await signingStage([presign, testSigner()])
    for (const path of ['/a', '/a?b=1', '/a?', '/a?b&#part']) await client.fetch(url(path), road)
    await client.fetch(new Request(url('/r'), { headers: { 'x-r': '1' } }), road)
    expect(api.requests.map(({ path }) => path)).toEqual([
      '/a?X-Sig=a%2Fb',
      '/a?b=1&X-Sig=a%2Fb',
      '/a?X-Sig=a%2Fb',
      '/a?b&X-Sig=a%2Fb',
      '/r?X-Sig=a%2Fb',
    ])
    expect(api.requests[4]?.headers['x-r']).toBe('1')
    expect(verified()).toEqual(Array(5).fill(['test']))
  })
})

describe('a fetch that somebody patched (SIG-12)', () => {
  /** What the client captures as the runtime's fetch. */
  const patched = async (
    change: (init: RequestInit & Record<string, unknown>) => void,
    signer: RequestSigner = testSigner(),
  ) => {
    const real = globalThis.fetch
    vi.stubGlobal('fetch', (input: string, init: RequestInit & Record<string, unknown>) => {
      const copy = { ...init, headers: new Headers(init.headers) }
      if (!String(input).includes('pinfetch.invalid')) change(copy as never)
      return real(Reflect.get(copy, 'url') ?? input, copy)
    })
    try {
      return await signingStage(signer)
    } finally {
      vi.unstubAllGlobals()
    }
  }
  const post = { method: 'POST', body: 'text', headers: { 'idempotency-key': 'a' } }
  const setting = (name: string, value: string) => (init: RequestInit) => (init.headers as Headers).set(name, value)

  test.each<[string, (init: RequestInit & Record<string, unknown>) => void]>([
    ['a covered header field', setting('idempotency-key', 'b')],
    ['a covered field that fetch itself adds', setting('user-agent', 'somebody')],
    ['the digest', setting('content-digest', 'sha-256=:AAAA:')],
    ['the signature', setting('signature', 'test=:AAAA:')],
    ['a covered field, which is gone', (init) => (init.headers as Headers).delete('idempotency-key')],
    ['the method', (init) => Object.assign(init, { method: 'PUT' })],
    ['the path', (init) => Object.assign(init, { url: `https://${API}/other` })],
  ])('that changes %s sends nothing: ERR_SIGN_STALE', async (_, change) => {
    const { client, url, api } = await patched(change)
    const error = await refusalOf(client.fetch(url(), post), 'ERR_SIGN_STALE')
    expect(error.requestSent).toBe('no')
    expect(api.connections).toHaveLength(0)
  })

  test.each([
    ['fewer bytes', 'tex'],
    ['more bytes', 'text and more'],
    ['no body', null],
  ])('that puts %s in place of the body sends nothing: ERR_SIGN_STALE', async (_, body) => {
    const { client, url, api } = await patched((init) => Object.assign(init, { body }))
    await refusalOf(client.fetch(url(), post), 'ERR_SIGN_STALE')
    expect(api.requests).toHaveLength(0)
  })

  test('that puts other bytes of the same length in place of the body: those that were signed are sent', async () => {
    const { client, url, api, verified } = await patched((init) => Object.assign(init, { body: 'tent' }))
    await client.fetch(url(), post)
    expect(Buffer.from(api.requests[0]?.body ?? []).toString()).toBe('text')
    expect(verified()).toEqual([['test']])
  })

  test('that adds a field, or changes one that no signature covers, does no harm', async () => {
    const signer = testSigner({ components: () => ['@method', 'content-digest'] })
    const { client, url, verified, api } = await patched((init) => {
      setting('traceparent', 'b')(init)
      setting('x-free', 'b')(init)
    }, signer)
    await client.fetch(url(), { ...post, headers: { 'x-free': 'a' } })
    expect(verified()).toEqual([['test']])
    expect(api.requests[0]?.headers).toMatchObject({ traceparent: 'b', 'x-free': 'b' })
  })

  test('that changes what the caller set is refused where nobody knows what a signer covers', async () => {
    const signer = plainSigner(() => ({ headers: { 'x-signed': '1' } }))
    const { client, url } = await patched(setting('idempotency-key', 'b'), signer)
    await refusalOf(client.fetch(url(), post), 'ERR_SIGN_STALE')
    const { client: adding, url: at } = await patched(setting('traceparent', 'b'), signer)
    expect((await adding.fetch(at(), post)).status).toBe(200)
  })
})

describe('the clock of the server (SIG-19)', () => {
  /** A server whose clock is `aheadMs` ahead, and that takes what was created within 10 s of its time. */
  const stageAt = async (aheadMs: number, status = 401, date = true) => {
    const signer = testSigner({ created: (offset) => Math.floor((Date.now() + offset) / 1_000) })
    const stage = await signingStage(signer, {
      api: {
        handler: ({ headers }, response) => {
          const time = Date.now() + aheadMs
          const created = Number(/created=(\d+)/.exec(String(headers['signature-input']))?.[1]) * 1_000
          response.sendDate = false
          if (date) response.setHeader('date', new Date(time).toUTCString())
          const isInTime = Math.abs(time - created) < 30_000
          response.writeHead(isInTime ? 200 : status).end(isInTime ? 'ok' : 'too late')
        },
      },
    })
    return { ...stage, signer }
  }

  test.each([401, 403, 400])(
    'is learned when it refuses with %i, and the request is signed and sent once more',
    async (status) => {
      const { client, url, api, events, verified } = await stageAt(120_000, status)
      const response = await client.fetch(url(), { method: 'POST', body: 'x' })
      expect([response.status, await response.text()]).toEqual([200, 'ok'])
      expect(verified()).toEqual([['test'], ['test']])
      expect(events.map(({ type }) => type)).toEqual(['clock.offset', 'sign.retried'])
      expect((await client.fetch(url(), { method: 'POST', body: 'x' })).status).toBe(200)
      expect(api.requests).toHaveLength(3) // known from now on
    },
  )

  test('that is right brings no second request, whatever the server refuses', async () => {
    const { client, url, api, events } = await signingStage(testSigner(), {
      api: { handler: (_, response) => response.writeHead(403).end('no') },
    })
    const response = await client.fetch(url())
    expect([response.status, await response.text(), api.requests.length, events]).toEqual([403, 'no', 1, []])
  })

  test('that is hours away is not followed: the answer is the caller’s, told by an event', async () => {
    const { client, url, api, events } = await stageAt(3 * 3_600_000)
    expect((await client.fetch(url())).status).toBe(401)
    expect(api.requests).toHaveLength(1)
    expect(events).toMatchObject([{ type: 'sign.notRetried', message: expect.stringContaining('too much') }])
  })

  test('cannot help a stream, which is sent once: the answer is the caller’s, told by an event', async () => {
    const { client, url, api, events } = await stageAt(120_000)
    const digest = 'sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:' // of foo
    const body = new Blob(['foo']).stream()
    const init = { method: 'PUT', body, duplex: 'half', headers: { 'content-digest': digest } } as RequestInit
    expect((await client.fetch(url(), init)).status).toBe(401)
    expect(api.requests).toHaveLength(1)
    expect(events.map(({ type }) => type)).toEqual(['clock.offset', 'sign.notRetried'])
  })

  test('is asked for once: a server that refuses again has answered', async () => {
    const { client, url, api } = await signingStage(testSigner(), {
      api: {
        handler: (_, response) => {
          response.sendDate = false
          response.setHeader('date', new Date(Date.now() + api.requests.length * 60_000).toUTCString())
          response.writeHead(401).end('no')
        },
      },
    })
    expect((await client.fetch(url())).status).toBe(401)
    expect(api.requests).toHaveLength(2)
  })
})

test('a signer that looks at the answer may ask for another signature, once', async () => {
  const signer = testSigner({ onResponse: () => 'retry' })
  const { client, url, api, events, verified } = await signingStage(signer)
  expect((await client.fetch(url(), { method: 'POST', body: 'x' })).status).toBe(200)
  expect(verified()).toEqual([['test'], ['test']])
  expect(api.requests).toHaveLength(2)
  expect(events).toMatchObject([{ type: 'sign.retried', message: 'test test asks for another signature' }])
})

describe('a signer that hangs', () => {
  const hanging = (seen: AbortSignal[]) =>
    plainSigner((_, { signal }) => {
      seen.push(signal)
      return new Promise(() => undefined)
    })

  test('is ended by the signal of the caller, with its reason', async () => {
    const seen: AbortSignal[] = []
    const { client, url, api } = await signingStage(hanging(seen))
    const control = new AbortController()
    const sent = client.fetch(url(), { signal: control.signal })
    sent.catch(() => undefined)
    await expect.poll(() => seen.length).toBe(1)
    control.abort(new Error('enough'))
    await expect(sent).rejects.toThrow('enough')
    expect(seen[0]?.aborted).toBe(true)
    expect(api.connections).toHaveLength(0)
  })

  test('is ended by timeouts.totalMs: ERR_TRANSPORT_TIMEOUT, and nothing was sent', async () => {
    const seen: AbortSignal[] = []
    const runtime = createTestRuntime()
    const { client, url } = await signingStage(hanging(seen), { client: { runtime, timeouts: { totalMs: 5_000 } } })
    const error = await settled(refusalOf(client.fetch(url()), 'ERR_TRANSPORT_TIMEOUT'), runtime)
    expect(error.requestSent).toBe('no')
    expect(seen[0]?.aborted).toBe(true)
  })

  test('holds up no request of another client, and no signal that is aborted before is waited for', async () => {
    const { client, url } = await signingStage(hanging([]))
    const reason = new Error('before')
    await expect(client.fetch(url(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('what a signer of the application does wrong sends nothing', () => {
  test('what it throws is ERR_SIGN_SIGNER_UNAVAILABLE, without its words', async () => {
    for (const sign of [
      () => Promise.reject(new Error('the secret is hunter-two')),
      () => {
        throw new Error('the secret is hunter-two')
      },
    ]) {
      const { client, url, api } = await signingStage(plainSigner(sign))
      const error = await refusalOf(client.fetch(url()), 'ERR_SIGN_SIGNER_UNAVAILABLE')
      expect(error.requestSent).toBe('no')
      expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter-two')
      expect(api.connections).toHaveLength(0)
    }
  })

  test.each<[string, Record<string, string>]>([
    ['a field that its headers do not name', { 'x-other': '1' }],
    ['a line break', { 'x-signed': 'a\r\nx-other: 1' }],
    ['nothing as a value', { 'x-signed': '' }],
    ['a value that is no text', { 'x-signed': 1 as never }],
  ])('%s is ERR_CONFIG_INVALID', async (_, headers) => {
    const { client, url, api } = await signingStage(plainSigner(() => ({ headers })))
    await refusalOf(client.fetch(url()), 'ERR_CONFIG_INVALID')
    expect(api.connections).toHaveLength(0)
  })

  test('a query that is not encoded is ERR_CONFIG_INVALID', async () => {
    const { client, url } = await signingStage(plainSigner(() => ({ query: 'a=b c' })))
    await refusalOf(client.fetch(url()), 'ERR_CONFIG_INVALID')
  })

  test('what fails after an answer says that the request was sent', async () => {
    let calls = 0
    const sign = () => {
      calls += 1
      if (calls === 2) throw new Error('gone')
      return { headers: { 'x-signed': '1' } }
    }
    const { client, url } = await signingStage(plainSigner(sign, { bind: () => ({ sign, onResponse: () => 'retry' }) }))
    const error = await refusalOf(client.fetch(url()), 'ERR_SIGN_SIGNER_UNAVAILABLE')
    expect(error.requestSent).toBe('yes')
  })
})

describe('a signature of the caller', () => {
  const own = (label: string) => ({ signature: `${label}=:AAAA:`, 'signature-input': `${label}=("@method");created=1` })

  test('of another label stands beside ours', async () => {
    const { client, url, api } = await signingStage(testSigner())
    await client.fetch(url(), { headers: own('mine') })
    expect(api.requests[0]?.headers.signature).toMatch(/^mine=:AAAA:, test=:/)
  })

  test('of the same label, or that cannot be read, is ERR_SIGN_LABEL_CONFLICT', async () => {
    const { client, url, api } = await signingStage(testSigner())
    for (const headers of [own('test'), { 'signature-input': 'a=(' }])
      await refusalOf(client.fetch(url(), { headers }), 'ERR_SIGN_LABEL_CONFLICT')
    expect(api.connections).toHaveLength(0)
  })

  test('in a field of its own is the caller’s: the signer adds nothing, told by an event', async () => {
    const { client, url, api, events } = await signingStage(plainSigner(() => ({ headers: { 'x-signed': 'ours' } })))
    await client.fetch(url(), { headers: { 'X-Signed': 'mine' } })
    expect(api.requests[0]?.headers['x-signed']).toBe('mine')
    expect(events).toMatchObject([{ type: 'sign.overridden', signer: 'plain', headers: ['x-signed'] }])
  })
})

describe('a client is not made', () => {
  const make =
    (sign: RequestSigner | RequestSigner[], more = {}) =>
    () =>
      testClient({ pins: PINS, anchors: ca.anchorPem, sign, ...more })
  const field = plainSigner(() => ({}))

  test('with two signers of one label: ERR_SIGN_LABEL_CONFLICT (SIG-13)', () => {
    expect(make([testSigner(), testSigner()])).toThrow(expect.objectContaining({ code: 'ERR_SIGN_LABEL_CONFLICT' }))
    expect(make([testSigner(), testSigner({ label: 'b' })])).not.toThrow()
  })

  test('with two signers of one field, or a signer and a scheme: ERR_CONFIG_INVALID', () => {
    expect(make([field, field])).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    const auth = bearer({ source: { value: 'token' }, allowedOrigins: [`https://${API}`] })
    const signer = plainSigner(() => ({}), { headers: ['authorization'] })
    expect(make(signer, { auth })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(make(signer)).not.toThrow()
  })

  test.each([
    ['no bind', { ...field, bind: undefined }],
    ['no list of headers', { ...field, headers: 'x' }],
    ['another word about bodies', { ...field, body: 'all' }],
    ['a name of a field that is none', { ...field, headers: ['x signed'] }],
  ])('with a signer that has %s: ERR_CONFIG_INVALID', (_, signer) => {
    expect(make(signer as never, { redirect: 'same-origin' })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
  })

  test('and a signer that was bound is closed, where another one cannot be', () => {
    const close = vi.fn()
    const first = plainSigner(() => ({}), { bind: () => ({ sign: () => ({}), close }) })
    const bind = (): never => {
      throw new Error('no key')
    }
    expect(make([first, { ...field, headers: ['x-b'], bind }])).toThrow('no key')
    expect(close).toHaveBeenCalledOnce()
  })
})

test('a client that ends closes its signers', async () => {
  const close = vi.fn()
  const { client } = await signingStage(plainSigner(() => ({}), { bind: () => ({ sign: () => ({}), close }) }))
  await client.close()
  expect(close).toHaveBeenCalledOnce()
})

test('fakeClient signs what it hands to its fetch', async () => {
  const asked: Request[] = []
  const fetch: typeof globalThis.fetch = async (input, init) => {
    asked.push(new Request(input, init))
    return new Response('ok')
  }
  const client = fakeClient({ fetch, sign: testSigner() })
  await client.fetch('https://api.example.com/a?', { method: 'POST', body: 'x' })
  const { headers, url } = asked[0] ?? expect.fail('nothing was asked')
  const request = { method: 'POST', path: url.slice('https://api.example.com'.length), body: Buffer.from('x') }
  const rawHeaders = [...headers, ['content-length', '1']].flat()
  expect(verified({ ...request, headers: {}, rawHeaders, connection: 0 }, 'api.example.com')).toEqual(['test'])
})
