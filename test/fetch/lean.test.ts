import { channel } from 'node:diagnostics_channel'
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { HttpResponse, http, passthrough } from 'msw'
import { setupServer } from 'msw/node'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const options = { pins: { localhost: [identity.pin] }, anchors: ca.anchorPem }
const FULL = { window: null } as RequestInit
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['the lean road', {}],
  ['the full road', FULL],
]

async function serve(handler?: TestHandler) {
  const peer = await until(startTlsServer({ identity, ...(handler === undefined ? {} : { handler }) }))
  return { peer, client: testClient(options) }
}

describe('which road a request takes', () => {
  /** The runtime's fetch leaves an entry here; the lean road has no clock of its own to make one with. */
  const entries = (): number => performance.getEntriesByType('resource').length

  test.each<[string, RequestInit | undefined]>([
    ['nothing', undefined],
    ['JSON', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }],
    ['bytes', { method: 'PUT', body: new Uint8Array(3) }],
    ['parameters', { method: 'POST', body: new URLSearchParams({ a: '1' }) }],
    ['a Headers object', { headers: new Headers({ authorization: 'x' }) }],
    ['a signal', { signal: new AbortController().signal }],
    ['members that change nothing', { keepalive: true, credentials: 'include', mode: 'cors' } as RequestInit],
  ])('with %s it is the lean one', async (_, init) => {
    const { client, peer } = await serve()
    await (await client.fetch(peer.origin, init)).text()
    const before = entries()
    await (await client.fetch(peer.origin, init)).text()
    await (await client.fetch(peer.origin, FULL)).text() // leaves the one that is there in the end
    await expect.poll(entries).toBe(before + 1)
  })

  test.each<[string, () => RequestInit]>([
    ['FormData', () => ({ method: 'POST', body: new FormData() })],
    ['a Blob', () => ({ method: 'POST', body: new Blob(['x']) })],
    ['a stream', () => ({ method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' }) as RequestInit],
    ['a cache mode', () => ({ cache: 'no-store' }) as RequestInit],
    ['a range', () => ({ headers: { range: 'bytes=0-1' } })],
  ])('with %s it is the full one', async (_, init) => {
    const { client, peer } = await serve()
    await (await client.fetch(peer.origin)).text()
    const before = entries()
    await (await client.fetch(peer.origin, init())).text()
    await expect.poll(entries).toBe(before + 1)
  })
})

describe('a fetch that is not the runtime’s own is used for every request', () => {
  test('msw answers, and what it lets through keeps its pins: ERR_TRUST_PIN_MISMATCH', async () => {
    const { peer } = await serve()
    const mocks = setupServer(
      http.get('https://mocked.example/', () => HttpResponse.json({ mocked: true })),
      http.all(`${peer.origin}/*`, () => passthrough()),
    )
    mocks.listen({ onUnhandledRequest: 'bypass' })
    onTestFinished(() => mocks.close())
    const pins = { localhost: [identity.pin], 'mocked.example': [identity.pin] }
    const client = testClient({ ...options, pins })
    expect(await (await client.fetch('https://mocked.example/')).json()).toEqual({ mocked: true })
    expect(await (await client.fetch(peer.origin)).text()).toBe('ok')
    const wrong = testClient({ ...options, pins: { localhost: [ca.issue({ names: ['localhost'] }).pin] } })
    await refusalOf(wrong.fetch(peer.origin), 'ERR_TRUST_PIN_MISMATCH')
    expect(peer.requests.length).toBe(1)
  })

  test.each<[string, (own: typeof fetch) => typeof fetch]>([
    ['a wrapper', (own) => (input, init) => own(input, init)],
    ['a bound function', (own) => own.bind(undefined)],
    ['a proxy', (own) => new Proxy(own, {})],
  ])('%s is asked each time', async (_, wrap) => {
    const { peer } = await serve()
    const own = globalThis.fetch
    onTestFinished(() => {
      globalThis.fetch = own
    })
    const asked: unknown[] = []
    globalThis.fetch = wrap((input, init) => {
      asked.push(input)
      return own(input, init)
    })
    const client = testClient(options)
    for (let round = 0; round < 2; round += 1) await (await client.fetch(peer.origin)).text()
    expect(asked).toEqual(['https://pinfetch.invalid:/', peer.origin, peer.origin])
  })
})

describe('what watches requests sees the same on both roads', () => {
  const NAMES = ['request:create', 'request:bodySent', 'request:headers', 'request:trailers', 'client:sendHeaders']

  test.each<[string, RequestInit]>([
    ['GET', {}],
    ['POST', { method: 'POST', body: 'text' }],
    ['HEAD', { method: 'HEAD' }],
  ])('%s: the channels of undici, in their order', async (_, init) => {
    const { client, peer } = await serve()
    const published = async (more: RequestInit): Promise<readonly unknown[]> => {
      const seen: unknown[] = []
      const listeners = NAMES.map((name) => {
        const listener = (message: unknown): void => {
          const { request } = message as { request: { method: string; path: string; origin: string } }
          seen.push([name, request.method, request.path, String(request.origin)])
        }
        channel(`undici:${name}`).subscribe(listener)
        return () => channel(`undici:${name}`).unsubscribe(listener)
      })
      await (await client.fetch(`${peer.origin}/watched`, { ...init, ...more })).text()
      for (const unsubscribe of listeners) unsubscribe()
      return seen
    }
    await published({}) // the first one asks the runtime's fetch for its habits
    const lean = await published({})
    expect(lean).toEqual(await published(FULL))
    expect(lean.length).toBeGreaterThanOrEqual(4)
  })

  test('a header that a subscriber adds is sent', async () => {
    const { client, peer } = await serve()
    const add = (message: unknown): void => {
      const { request } = message as { request: { addHeader: (name: string, value: string) => void } }
      request.addHeader('traceparent', '00-1-2-01')
    }
    channel('undici:request:create').subscribe(add)
    onTestFinished(() => void channel('undici:request:create').unsubscribe(add))
    for (const [, init] of ROADS) await (await client.fetch(peer.origin, init)).text()
    expect(peer.requests.map(({ headers }) => headers['traceparent'])).toEqual(Array(2).fill('00-1-2-01'))
  })
})

describe('a signal that outlives its requests', () => {
  test.each<[string, string, (response: Response) => unknown]>([
    ['is read', '/', (response) => response.text()],
    ['is cancelled', '/', (response) => response.body?.cancel()],
    ['is cancelled while it comes', '/part', (response) => response.body?.cancel()],
    ['has no body', '/none', () => undefined],
  ])('keeps no listener of one whose response %s', async (_, path, end) => {
    const { client, peer } = await serve(answer)
    const { signal } = new AbortController()
    for (let round = 0; round < 20; round += 1) await end(await client.fetch(peer.origin + path, { signal }))
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('keeps no listener of one that fails', async () => {
    const { client, peer } = await serve(answer)
    const { signal } = new AbortController()
    await refusalOf(client.fetch(`${peer.origin}/cut`, { signal }), 'ERR_TRANSPORT_CLOSED')
    const half = await client.fetch(`${peer.origin}/half`, { signal })
    await expect(half.text()).rejects.toThrow('terminated')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('may serve a hundred at once without a warning', async () => {
    const { client, peer } = await serve()
    const warnings: Error[] = []
    const listen = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    const { signal } = new AbortController()
    await Promise.all(Array.from({ length: 100 }, async () => (await client.fetch(peer.origin, { signal })).text()))
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  })

  test('aborts a request that still waits for a connection, and the server gets none', async () => {
    const { peer } = await serve()
    let resolved: (addresses: string[]) => void = () => undefined
    const addresses = new Promise<string[]>((resolve) => {
      resolved = resolve
    })
    const client = testClient({ ...options, resolver: () => addresses })
    const controller = new AbortController()
    const call = client.fetch(peer.origin, { signal: controller.signal })
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort(new Error('mine'))
    await expect(call).rejects.toThrow('mine')
    resolved(['127.0.0.1'])
    await (await client.fetch(`${peer.origin}/next`)).text()
    expect(peer.requests.map(({ path }) => path)).toEqual(['/next'])
  })
})

describe.each(ROADS)('bodies on %s', (_, init) => {
  test('a connection that breaks: terminated, with a cause that has a code', async () => {
    const { client, peer } = await serve(answer)
    const error = await (await client.fetch(`${peer.origin}/half`, init)).text().catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'terminated', cause: { code: 'ERR_TRANSPORT_CLOSED' } })
  })

  test('a body that pauses for too long: ERR_TRANSPORT_TIMEOUT itself', async () => {
    const { peer } = await serve(answer)
    const client = testClient({ ...options, timeouts: { bodyMs: 100 } })
    await refusalOf((await client.fetch(`${peer.origin}/part`, init)).text(), 'ERR_TRANSPORT_TIMEOUT')
  })

  test('a reader that stops stops the server', async () => {
    let sent = 0
    const { client, peer } = await serve((_request, response) => {
      const more = (): void => {
        do sent += 65_536
        while (response.write(Buffer.alloc(65_536)))
      }
      response.on('drain', more)
      more()
    })
    const response = await client.fetch(peer.origin, init)
    const reader = response.body?.getReader()
    await reader?.read()
    for (let last = -1; last !== sent; ) {
      last = sent
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(sent).toBeLessThan(32 * 1_048_576) // what kernels and buffers hold; it goes on without end otherwise
    const before = sent
    while (sent === before) await reader?.read()
    await reader?.cancel()
  })

  test('a body whose response nobody keeps does not pass for an empty one: terminated', async () => {
    const { peer } = await serve(answer)
    const client = testClient({ ...options, timeouts: { totalMs: 600_000, bodyMs: 600_000 } })
    const body = await (async () => (await client.fetch(`${peer.origin}/part`, init)).body)()
    const { socket } = peer.connections[0] ?? {}
    while (socket?.destroyed === false) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await expect(body?.getReader().read()).rejects.toThrow('terminated')
  })

  test('a body that was begun is read to its end without its response', async () => {
    const { peer } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 8 }).write('part')
      finish = () => response.end('rest')
    })
    let finish = (): void => undefined
    const body = await (async () => (await testClient(options).fetch(peer.origin, init)).body)()
    const first = body?.getReader()
    const start = await first?.read()
    first?.releaseLock()
    for (let turn = 0; turn < 20; turn += 1) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    finish()
    const rest = await body?.getReader().read()
    expect(`${Buffer.from(start?.value ?? [])}${Buffer.from(rest?.value ?? [])}`).toBe('partrest')
  })

  test('a response that nobody keeps gives its connection back', async () => {
    const { peer } = await serve(answer)
    const client = testClient({ ...options, timeouts: { totalMs: 600_000, bodyMs: 600_000 } }) // which would end it too
    await (async () => void (await client.fetch(`${peer.origin}/part`, init)).status)()
    const { socket } = peer.connections[0] ?? {}
    while (socket?.destroyed === false) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(socket?.destroyed).toBe(true)
  })
})

function collect(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

const answer: TestHandler = ({ path }, response) => {
  if (path === '/none') response.writeHead(204).end()
  else if (path === '/cut') response.socket?.destroy()
  else if (path === '/part') response.writeHead(200, { 'content-length': 100 }).write('part')
  else if (path === '/half') {
    response.writeHead(200, { 'content-length': 100 })
    response.write('part', () => setTimeout(() => response.socket?.destroy(), 20))
  } else response.end('ok')
}
