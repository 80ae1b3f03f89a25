import { type ClientEvent, type ClientOptions, concurrency, replayable, tokenBucket } from 'pinfetch'
import { approval, bearer } from 'pinfetch/auth'
import { startFaultServer, startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startScene } from '../support/scene.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const trusted = { pins: { localhost: [identity.pin] }, anchors: ca.anchorPem }
const QUICK = { baseMs: 1, maxDelayMs: 5 }

async function serve(handler: TestHandler, options: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({ ...trusted, retry: QUICK, ...options })
  const events: ClientEvent[] = []
  for (const type of ['retry.scheduled', 'retry.stopped', 'rate.waited', 'rate.paused'] as const)
    client.on(type, (event) => void events.push(event))
  return { peer, client, events, url: `${peer.origin}/` }
}

/** Fails so often, then answers. */
const failing = (times: number, fail: (response: Parameters<TestHandler>[1]) => void): TestHandler => {
  let left = times
  return (_request, response) => {
    left -= 1
    if (left >= 0) fail(response)
    else response.end('fine')
  }
}
const busy = failing.bind(undefined, 2, (response) => void response.writeHead(503).end('busy'.repeat(1_000)))

test('without the option nothing is sent again', async () => {
  const peer = await until(startTlsServer({ identity, handler: busy() }))
  const client = testClient(trusted)
  expect((await client.fetch(`${peer.origin}/`)).status).toBe(503)
  expect(peer.requests).toHaveLength(1)
})

test('what is not wanted is read to its end, so that one connection serves all attempts', async () => {
  const { client, url, peer } = await serve(busy())
  const response = await client.fetch(url)
  expect([response.status, await response.text()]).toEqual([200, 'fine'])
  expect(peer.requests.map(({ connection }) => connection)).toEqual([0, 0, 0])
})

test('a refusal that does not end costs its connection, and not the call', async () => {
  const endless = failing(1, (response) => void response.writeHead(503).write('and so on'))
  const { client, url, peer } = await serve(endless)
  const response = await client.fetch(url)
  expect([response.status, await response.text()]).toEqual([200, 'fine'])
  expect(peer.requests.map(({ connection }) => connection)).toEqual([0, 1])
})

test('after a cut response the server sees one Idempotency-Key twice', async () => {
  const server = await until(startFaultServer({ identity, script: [{ at: 'response', fault: 'cut', after: 10 }] }))
  const client = testClient({ ...trusted, retry: { ...QUICK, idempotencyKey: 'auto' } })
  const response = await client.fetch(`${server.origin}/pay`, { method: 'POST', body: '{"amount":1}' })
  expect(response.status).toBe(200)
  const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
  expect(keys).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), keys[0]])
  expect(server.requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['{"amount":1}', '{"amount":1}'])
})

test('after a cut response a POST without one is not sent again: ERR_TRANSPORT_CLOSED', async () => {
  const server = await until(startFaultServer({ identity, script: [{ at: 'response', fault: 'cut', after: 10 }] }))
  const client = testClient({ ...trusted, retry: QUICK })
  await refusalOf(client.fetch(`${server.origin}/pay`, { method: 'POST', body: 'x' }), 'ERR_TRANSPORT_CLOSED')
  expect(server.requests).toHaveLength(1)
})

describe('what is refused for security is tried 0 times more, as the wire shows', () => {
  const other = testCa()
  test.each<
    [code: 'ERR_TRUST_PIN_MISMATCH' | 'ERR_TRUST_SIGNATURE_INVALID' | 'ERR_TLS_VERSION', Partial<ClientOptions>, object]
  >([
    ['ERR_TRUST_PIN_MISMATCH', { pins: { localhost: [other.root.pin] } }, {}],
    ['ERR_TRUST_SIGNATURE_INVALID', { anchors: other.anchorPem }, {}],
    ['ERR_TLS_VERSION', {}, { maxVersion: 'TLSv1.2' }],
  ])('%s', async (code, options, server) => {
    const scene = await startScene(identity, server)
    const client = testClient({ ...trusted, ...options, retry: { ...QUICK, maxAttempts: 10 } })
    const events: ClientEvent[] = []
    client.on('retry.scheduled', (event) => void events.push(event))
    await refusalOf(client.fetch(scene.url('localhost')), code)
    expect([scene.relay.connections.length, events]).toEqual([1, []])
  })

  test('control: a connection that is reset is tried again', async () => {
    const script = [
      { at: 'accept', fault: 'reset' },
      { at: 'accept', fault: 'reset' },
    ] as const
    const server = await until(startFaultServer({ identity, script }))
    const client = testClient({ ...trusted, retry: QUICK })
    expect((await client.fetch(`${server.origin}/`, { method: 'POST', body: 'x' })).status).toBe(200)
    expect(server.requests).toHaveLength(1)
  })
})

test('a stream that can be opened again is sent again, and one that cannot is not', async () => {
  const { client, url, peer, events } = await serve(busy())
  const body = replayable(() => new Blob(['streamed']).stream())
  expect((await client.fetch(url, { method: 'PUT', body })).status).toBe(200)
  expect(peer.requests.map((request) => Buffer.from(request.body).toString())).toEqual(Array(3).fill('streamed'))
  const once = await serve(busy())
  const init = { method: 'PUT', body: new Blob(['x']).stream(), duplex: 'half' } as RequestInit
  expect((await once.client.fetch(once.url, init)).status).toBe(503)
  expect(once.peer.requests).toHaveLength(1)
  expect([events.length, once.events]).toMatchObject([2, [{ type: 'retry.stopped', reason: 'body' }]])
})

test('another attempt begins where the call began, redirects and credentials included', async () => {
  let visits = 0
  const handler: TestHandler = ({ path }, response) => {
    if (path === '/') return void response.writeHead(307, { location: '/target' }).end()
    visits += 1
    response.writeHead(visits === 1 ? 503 : 200).end()
  }
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({
    ...trusted,
    retry: QUICK,
    redirect: { follow: [], maxHops: 1 },
    auth: bearer({ source: { value: 'kE2v9sQx7LmT4wZbR8nY' }, allowedOrigins: [peer.origin] }),
  })
  const response = await client.fetch(`${peer.origin}/`)
  expect([response.status, response.redirected]).toEqual([200, true])
  expect(peer.requests.map(({ path }) => path)).toEqual(['/', '/target', '/', '/target'])
  expect(peer.requests.every(({ headers }) => headers.authorization?.startsWith('Bearer '))).toBe(true)
})

test('a POST that a redirect answered is not sent again, whatever is said of what came after it', async () => {
  const handler: TestHandler = ({ path }, response) => {
    if (path === '/') response.writeHead(303, { location: '/receipt' }).end()
    else response.writeHead(503, { 'should-retry': 'true' }).end()
  }
  const { client, url, peer } = await serve(handler, { redirect: { follow: [] } })
  expect((await client.fetch(url, { method: 'POST', body: 'x' })).status).toBe(503)
  expect(peer.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /', 'GET /receipt'])
  await client.fetch(`${peer.origin}/other`, { method: 'POST', body: 'x' }) // control: it may say so of the request itself
  expect(peer.requests.filter(({ path }) => path === '/other')).toHaveLength(3)
})

test('whoever approved a payment is asked once for its attempts, by their one Idempotency-Key', async () => {
  let asked = 0
  const policy = approval({
    when: ({ method }) => method === 'POST',
    ask: async (summary) => {
      asked += 1
      return { approved: true, digest: summary.digest }
    },
  })
  const { client, url, peer } = await serve(busy(), {
    approval: policy,
    retry: { ...QUICK, idempotencyKey: 'auto' },
  })
  expect((await client.fetch(url, { method: 'POST', body: 'x' })).status).toBe(200)
  expect([asked, peer.requests.length]).toEqual([1, 3])
})

test('timeouts.totalMs is the time of all attempts: the answer at hand is the caller’s', async () => {
  const patient = failing(9, (response) => void response.writeHead(503, { 'retry-after': '5' }).end('busy'))
  const { client, url, peer, events } = await serve(patient, { timeouts: { totalMs: 4_000 } })
  expect((await client.fetch(url)).status).toBe(503)
  expect([peer.requests.length, events]).toMatchObject([1, [{ reason: 'deadline', cause: 503 }]])
})

test('an abort ends the wait with its reason', async () => {
  const { client, url, peer } = await serve(
    failing(9, (response) => void response.writeHead(503, { 'retry-after': '20' }).end()),
  )
  const control = new AbortController()
  const reason = new Error('not any more')
  client.on('retry.scheduled', () => control.abort(reason))
  await expect(client.fetch(url, { signal: control.signal })).rejects.toBe(reason)
  expect(peer.requests).toHaveLength(1)
})

test('closing the client ends the wait: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
  const { client, url } = await serve(
    failing(9, (response) => void response.writeHead(503, { 'retry-after': '20' }).end()),
  )
  client.on('retry.scheduled', () => void client.close())
  await refusalOf(client.fetch(url), 'ERR_TRANSPORT_CLIENT_CLOSED')
})

describe('rates', () => {
  test('of requests at the same time count the bodies of responses', async () => {
    let open = 0
    let most = 0
    const waiting: (() => void)[] = []
    const handler: TestHandler = (_request, response) => {
      open += 1
      most = Math.max(most, open)
      response.writeHead(200, { 'content-length': 4 }).write('ha')
      waiting.push(() => {
        open -= 1
        response.end('lf')
      })
    }
    const { client, url } = await serve(handler, { rate: [{ limit: concurrency({ requests: 2 }) }] })
    const texts = Array.from({ length: 6 }, () => client.fetch(url).then((response) => response.text()))
    for (let round = 0; round < 6; round += 1) {
      await expect.poll(() => waiting.length, { timeout: 20_000 }).toBeGreaterThan(0)
      waiting.shift()?.()
    }
    expect(await Promise.all(texts)).toEqual(Array(6).fill('half'))
    expect(most).toBe(2)
  })

  test.each<[string, (fetch: typeof globalThis.fetch, url: string) => Promise<unknown>]>([
    ['a HEAD', (fetch, url) => fetch(url, { method: 'HEAD' })],
    ['a 204', (fetch, url) => fetch(`${url}empty`)],
    ['a body that is given up', async (fetch, url) => (await fetch(`${url}long`)).body?.cancel()],
    ['a body that is cut', async (fetch, url) => (await fetch(`${url}cut`)).text().catch(() => undefined)],
    ['a clone', async (fetch, url) => (await fetch(url)).clone().text()],
    ['a redirect', async (fetch, url) => (await fetch(`${url}redirect`)).text()],
    ['a redirect that is refused', (fetch, url) => fetch(`${url}away`).catch(() => undefined)],
    ['a retry of what does not end', async (fetch, url) => (await fetch(`${url}busy`)).text()],
    ['a refusal before dispatch', (fetch, url) => fetch(url, { headers: { host: 'other' } }).catch(() => undefined)],
    ['an abort before', (fetch, url) => fetch(url, { signal: AbortSignal.abort() }).catch(() => undefined)],
    [
      'an abort of the body',
      async (fetch, url) => {
        const control = new AbortController()
        const response = await fetch(`${url}long`, { signal: control.signal })
        control.abort()
        await response.text().catch(() => undefined)
      },
    ],
    [
      'an abort of the headers',
      async (fetch, url) => {
        const control = new AbortController()
        const called = fetch(`${url}silent`, { signal: control.signal })
        setTimeout(() => control.abort(), 50)
        await called.catch(() => undefined)
      },
    ],
  ])('%s gives its place back', async (_, act) => {
    let visits = 0
    const handler: TestHandler = ({ path }, response) => {
      if (path === '/redirect') response.writeHead(302, { location: '/' }).end('x'.repeat(100_000))
      else if (path === '/away') response.writeHead(302, { location: 'https://other.example/' }).end('x'.repeat(9))
      else if (path === '/empty') response.writeHead(204).end()
      else if (path === '/silent') response.on('error', () => undefined)
      else if (path === '/long') response.writeHead(200).write('and so on')
      else if (path === '/cut') {
        response.writeHead(200, { 'content-length': 9 }).write('x')
        setTimeout(() => response.destroy(), 20)
      } else if (path === '/busy' && visits++ === 0) response.writeHead(503).write('and so on')
      else response.end('fine')
    }
    const options = { rate: [{ limit: concurrency({ requests: 1 }) }], redirect: { follow: [] } }
    const { client, url } = await serve(handler, options)
    await act(client.fetch, url)
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('hold a retry as long as the server asked, and all others too', async () => {
    const limited = failing(1, (response) => void response.writeHead(429, { 'retry-after-ms': '300' }).end())
    const { client, url, peer, events } = await serve(limited, { rate: {} })
    const first = client.fetch(url)
    await expect.poll(() => events.some(({ type }) => type === 'rate.paused'), { timeout: 20_000 }).toBe(true)
    expect([(await client.fetch(url)).status, (await first).status]).toEqual([200, 200])
    expect(events.find(({ type }) => type === 'rate.paused')).toMatchObject({ status: 429, ms: 300, isCapped: false })
    expect(peer.requests).toHaveLength(3)
  })

  test('refuse at once what cannot go in time, and nothing is sent: ERR_RATE_LIMITED', async () => {
    const limit = tokenBucket({ requests: 1, perMs: 3_600_000 })
    const { client, url, peer } = await serve((_, response) => void response.end('fine'), { rate: [{ limit }] })
    await client.fetch(url)
    const error = await refusalOf(client.fetch(url), 'ERR_RATE_LIMITED')
    expect([error.requestSent, peer.requests.length]).toEqual(['no', 1])
  })
})

test('an origin that is down is left alone: ERR_RATE_CIRCUIT_OPEN', async () => {
  const { client, url, peer } = await serve((_, response) => void response.writeHead(500).end(), {
    retry: {},
    breaker: { minRequests: 3, openMs: 60_000 },
  })
  await client.fetch(url).catch(() => undefined)
  await refusalOf(client.fetch(url), 'ERR_RATE_CIRCUIT_OPEN')
  expect(peer.requests).toHaveLength(3)
})
