import type { Client, ClientOptions } from 'pinfetch'
import { createTestRuntime, startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createFetch } from '../../src/client/fetch.ts'
import type { Call, Send } from '../../src/client/send.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const pins = { localhost: [identity.pin] }
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

async function serve(handler: TestHandler, options: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({ pins, anchors: ca.anchorPem, redirect: 'same-origin', ...options })
  return { peer, client, url: `${peer.origin}/` }
}

/** `/3` leads to `/2`, and so on to `/0`, which answers. */
const countdown: TestHandler = ({ path }, response) => {
  const left = Number(path.slice(1))
  if (left === 0) response.end('ok')
  else response.writeHead(307, { location: `/${left - 1}` }).end()
}

describe('the number of hops', () => {
  const calls = async (client: Client, origin: string, hops: number): Promise<unknown> =>
    client.fetch(`${origin}/${hops}`).then(
      ({ status }) => status,
      ({ code }) => code,
    )

  test.each([
    [1, { follow: [], maxHops: 1 }],
    [5, 'same-origin'],
    [5, { follow: [] }],
    [20, { follow: [], maxHops: 20 }],
  ] as const)('is at most %i with %j: ERR_POLICY_REDIRECT_LIMIT', async (most, redirect) => {
    const { client, peer } = await serve(countdown, { redirect })
    expect(await calls(client, peer.origin, most)).toBe(200)
    const before = peer.requests.length
    expect(await calls(client, peer.origin, most + 1)).toBe('ERR_POLICY_REDIRECT_LIMIT')
    expect(peer.requests.length - before).toBe(most + 1)
  })

  test('is the bound of a loop: ERR_POLICY_REDIRECT_LIMIT', async () => {
    const { client, url, peer } = await serve((_, response) => response.writeHead(302, { location: '/' }).end())
    const error = await refusalOf(client.fetch(url), 'ERR_POLICY_REDIRECT_LIMIT')
    expect([error.requestSent, error.retryable, peer.requests.length]).toEqual(['yes', false, 6])
  })
})

describe('what a call asks for', () => {
  const moved: TestHandler = ({ path }, response) =>
    path === '/' ? response.writeHead(302, { location: '/target' }).end() : response.end('ok')

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['nothing', (url) => [url]],
    ['to follow', (url) => [url, { redirect: 'follow' }]],
    ['nothing, in a Request', (url) => [new Request(url)]],
    [
      'to follow, where its Request does not',
      (url) => [new Request(url, { redirect: 'error' }), { redirect: 'follow' }],
    ],
  ])('with %s, the client’s option decides: ERR_POLICY_REDIRECT by default', async (_, given) => {
    const { client, url, peer } = await serve(moved)
    expect(await client.fetch(...given(url))).toMatchObject({ status: 200, redirected: true, url: `${url}target` })
    const strict = testClient({ pins, anchors: ca.anchorPem })
    const error = await refusalOf(strict.fetch(...given(url)), 'ERR_POLICY_REDIRECT')
    expect(error.message).toContain(`a redirect to ${peer.origin};`)
    expect(peer.requests.map(({ path }) => path)).toEqual(['/', '/target', '/'])
  })

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['an error', (url) => [url, { redirect: 'error' }]],
    ['an error, in a Request', (url) => [new Request(url, { redirect: 'error' })]],
    ['what is no word for it', (url) => [url, { redirect: 'always' as 'follow' }]],
  ])('with %s nothing is followed: ERR_POLICY_REDIRECT', async (_, given) => {
    const { client, url, peer } = await serve(moved)
    await refusalOf(client.fetch(...given(url)), 'ERR_POLICY_REDIRECT')
    expect(peer.requests).toHaveLength(1)
  })

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['init', (url) => [url, { redirect: 'manual' }]],
    ['a Request', (url) => [new Request(url, { redirect: 'manual' })]],
  ])('manual in %s, it gets the redirect itself', async (_, given) => {
    const { client, url, peer } = await serve(moved)
    const response = await client.fetch(...given(url))
    expect([response.status, response.headers.get('location'), response.redirected]).toEqual([302, '/target', false])
    expect(peer.requests).toHaveLength(1)
  })
})

describe('a body that is sent again', () => {
  const bytes = (): Uint8Array<ArrayBuffer> => new Uint8Array([0, 1, 2, 255])
  const form = (): FormData => {
    const form = new FormData()
    form.append('name', 'value')
    form.append('file', new File([bytes()], 'file.bin'))
    return form
  }

  test.each<[string, () => RequestInit['body']]>([
    ['text', () => 'täxt'],
    ['bytes', bytes],
    ['a part of a buffer', () => bytes().subarray(1, 3)],
    ['a view', () => new DataView(bytes().buffer, 1, 2)],
    ['a buffer', () => bytes().buffer],
    ['parameters', () => new URLSearchParams({ a: '1 2' })],
    ['a Blob', () => new Blob([bytes()], { type: 'a/b' })],
    ['a form', form],
  ])('%s is the same both times, type included', async (_, body) => {
    const { client, peer } = await serve(countdown)
    for (const [, road] of ROADS) {
      const before = peer.requests.length
      const given = { method: 'PUT', body: body() ?? null, ...road }
      expect((await client.fetch(`${peer.origin}/2`, given)).status).toBe(200)
      const [one, ...others] = peer.requests.slice(before)
      expect(one?.body.length).toBeGreaterThan(1)
      for (const other of others) {
        expect(other.body).toEqual(one?.body)
        expect(other.headers['content-type']).toBe(one?.headers['content-type'])
      }
      expect(others).toHaveLength(2)
    }
  })

  test('is what it was when the call was made, whoever writes into it meanwhile', async () => {
    const [given, parameters] = [bytes(), new URLSearchParams({ a: '1' })]
    const { client, peer } = await serve((...request) => {
      given.fill(7)
      parameters.set('a', '2')
      countdown(...request)
    })
    await client.fetch(`${peer.origin}/1`, { method: 'PUT', body: given })
    parameters.set('a', '1')
    await client.fetch(`${peer.origin}/1`, { method: 'PUT', body: parameters })
    expect(peer.requests.map(({ body }) => Buffer.from(body).toString('latin1'))).toEqual([
      ...[bytes(), bytes()].map((one) => Buffer.from(one).toString('latin1')),
      ...['a=1', 'a=1'],
    ])
  })

  test.each<[string, string, (url: string) => Parameters<typeof fetch>]>([
    ['a stream', 'a stream', (url) => [url, { method: 'PUT', body: new Blob(['x']).stream(), duplex: 'half' }]],
    ['a Request', 'the body of a Request', (url) => [new Request(url, { method: 'PUT', body: 'x' })]],
  ])('is not %s, which says why: ERR_POLICY_REDIRECT_BODY', async (_, what, given) => {
    const { client, peer } = await serve(countdown)
    const error = await refusalOf(client.fetch(...given(`${peer.origin}/1`)), 'ERR_POLICY_REDIRECT_BODY')
    expect(error.message).toContain(`${what} can be read only once`)
    expect([error.requestSent, peer.requests.length]).toEqual(['yes', 1])
    expect((await client.fetch(...given(`${peer.origin}/0`))).status).toBe(200)
  })
})

describe('one time for all hops', () => {
  /** A server where each answer takes ten seconds of the client's clock. */
  async function slow(options: Partial<ClientOptions>) {
    const runtime = createTestRuntime({ now: Date.now() })
    const slowly: TestHandler = async (...given) => {
      await runtime.advance(10_000)
      countdown(...given)
    }
    return serve(slowly, { runtime, redirect: { follow: [], maxHops: 20 }, ...options })
  }

  test.each(ROADS)(
    'ends a chain of answers that are each in time, on the %s road: ERR_TRANSPORT_TIMEOUT',
    async (_, road) => {
      const { client, peer } = await slow({ timeouts: { totalMs: 35_000 } })
      expect((await client.fetch(`${peer.origin}/2`, road)).status).toBe(200)
      const before = peer.requests.length
      const error = await refusalOf(client.fetch(`${peer.origin}/19`, road), 'ERR_TRANSPORT_TIMEOUT')
      expect(error.requestSent).toBe('yes')
      expect(error.message).toContain('timeouts.totalMs')
      expect(peer.requests.length - before).toBeLessThanOrEqual(4)
    },
  )

  test('is lengthened by what earlier hops moved', async () => {
    const more = { limits: { minBytesPerSecond: 1_000 }, timeouts: { totalMs: 15_000 } }
    const { client, peer } = await slow(more)
    const body = 'x'.repeat(10_000) // ten seconds more for each hop
    expect((await client.fetch(`${peer.origin}/5`, { method: 'PUT', body })).status).toBe(200)
    await refusalOf(client.fetch(`${peer.origin}/5`), 'ERR_TRANSPORT_TIMEOUT')
  })
})

describe('the signal of the call', () => {
  test.each(ROADS)('ends it between two hops, on the %s road', async (_, road) => {
    const { client, peer } = await serve(countdown)
    const controller = new AbortController()
    const reason = new Error('enough')
    client.on('redirect.followed', ({ hop }) => hop === 2 && controller.abort(reason))
    await expect(client.fetch(`${peer.origin}/4`, { ...road, signal: controller.signal })).rejects.toBe(reason)
    expect(peer.requests.map(({ path }) => path)).toEqual(['/4', '/3'])
  })

  test.each(ROADS)('of a Request, ends it during a later hop, on the %s road', async (_, road) => {
    const controller = new AbortController()
    const { client, url } = await serve(({ path }, response) => {
      if (path === '/') response.writeHead(302, { location: '/silent' }).end()
      else controller.abort()
    })
    const request = new Request(url, { signal: controller.signal })
    await expect(client.fetch(request, road)).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('the connections of redirects', () => {
  test.each(ROADS)('serve the next hop, on the %s road', async (_, road) => {
    const { client, peer } = await serve(countdown)
    for (let call = 0; call < 10; call += 1) await (await client.fetch(`${peer.origin}/4`, road)).text()
    expect([peer.requests.length, peer.accepted]).toEqual([50, 1])
  })

  test.each(ROADS)('are closed where the body of one has no end, on the %s road', async (_, road) => {
    const { client, url, peer } = await serve(({ path }, response) => {
      if (path !== '/') return response.end('ok')
      response.writeHead(302, { location: '/target' })
      return response.write('x'.repeat(100_000))
    })
    expect(await (await client.fetch(url, road)).text()).toBe('ok')
    await refusalOf(client.fetch(url, { ...road, redirect: 'error' }), 'ERR_POLICY_REDIRECT')
    const closed = () => peer.connections.filter(({ socket }) => socket.destroyed).length
    await expect.poll(closed, { timeout: 4_000 }).toBe(2)
  })

  test('that break in the body of a redirect do not end the call', async () => {
    const { client, url } = await serve(({ path }, response) => {
      if (path !== '/') return response.end('ok')
      response.writeHead(302, { location: '/target', 'content-length': 10 })
      return response.write('x', () => response.destroy())
    })
    expect(await (await client.fetch(url)).text()).toBe('ok')
  })
})

describe('what the sender learns of a call', () => {
  const redirects = { follow: ['b.example'], maxHops: 5, isCredential: () => false, random: () => new Uint8Array(16) }

  async function callsTo(locations: readonly string[], url: string): Promise<readonly unknown[]> {
    const seen: unknown[] = []
    const send: Send = async (input, init, target, call) => {
      const { hops, hasLeftOrigin } = call as Call
      seen.push([String(input), target.href, init.redirect, hops, hasLeftOrigin])
      const location = locations[seen.length - 1]
      return new Response(null, location === undefined ? {} : { status: 302, headers: { location } })
    }
    const fetch = createFetch({ send, gate: () => undefined, redirects: { ...redirects, emit: () => undefined } })
    const response = await fetch(url)
    expect(response.redirected).toBe(locations.length > 0)
    return seen
  }

  test('how many hops there were, and whether it ever left the origin', async () => {
    const seen = await callsTo(['/2', 'https://b.example/', '/4'], 'https://a.example/')
    expect(seen).toEqual([
      ['https://a.example/', 'https://a.example/', 'manual', 0, false],
      ['https://a.example/2', 'https://a.example/2', 'manual', 1, false],
      ['https://b.example/', 'https://b.example/', 'manual', 2, true],
      ['https://b.example/4', 'https://b.example/4', 'manual', 3, true],
    ])
  })

  test('the fragment of the URL, unless the redirect brings its own', async () => {
    const seen = await callsTo(['/2', '/3#own', '/4'], 'https://a.example/#part')
    expect(seen.map((one) => (one as string[])[1])).toEqual([
      'https://a.example/#part',
      'https://a.example/2#part',
      'https://a.example/3#own',
      'https://a.example/4#own',
    ])
  })
})
