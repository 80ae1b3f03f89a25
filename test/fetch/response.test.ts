import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import type { ClientOptions } from 'pinfetch'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['the lean road', {}],
  ['the full road', { window: null } as RequestInit],
]
const MIB = 1_048_576

async function serve(handler: TestHandler, options: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity, handler }))
  const client = testClient({ pins: { localhost: [identity.pin] }, anchors: ca.anchorPem, ...options })
  return { peer, fetch: (init: RequestInit = {}) => client.fetch(peer.origin, init) }
}

describe.each(ROADS)('a method that somebody put in place of the runtime’s, on %s', (_, init) => {
  afterEach(() => void vi.restoreAllMocks())

  test.each(['text', 'json', 'arrayBuffer', 'blob'] as const)('%s() is called, and may call it', async (name) => {
    const { fetch } = await serve((_request, response) => response.end('{"a":1}'))
    const patched = vi.spyOn(Response.prototype, name as 'text')
    const response = await fetch(init)
    const value: unknown = await response[name]()
    expect(patched.mock.contexts).toEqual([response])
    expect(value).toEqual(await patched.mock.results[0]?.value)
    patched.mockResolvedValue('mine')
    expect(await (await fetch(init))[name]()).toBe('mine')
    vi.restoreAllMocks()
    expect(await (await fetch(init)).json()).toEqual({ a: 1 })
  })

  test('clone() is called, and the copy shows what its response shows', async () => {
    const { fetch, peer } = await serve((_request, response) => response.end('ok'))
    const patched = vi.spyOn(Response.prototype, 'clone')
    const response = await fetch(init)
    const copy = response.clone()
    expect(patched.mock.contexts).toEqual([response])
    expect([copy.url, copy.type, await copy.text()]).toEqual([`${peer.origin}/`, 'basic', 'ok'])
  })

  test('one that came before the library did is called as well', async () => {
    const own = Response.prototype.json
    const seen: unknown[] = []
    Reflect.set(Response.prototype, 'json', function (this: Response) {
      seen.push(this.url)
      return own.call(this)
    })
    try {
      vi.resetModules()
      const { createClient } = await import('pinfetch')
      const { peer } = await serve((_request, response) => response.end('{"a":1}'))
      const pins = { localhost: [identity.pin] }
      const client = createClient({ resolver: async () => ['127.0.0.1'], pins, anchors: ca.anchorPem })
      expect(await (await client.fetch(peer.origin, init)).json()).toEqual({ a: 1 })
      expect(seen).toEqual([`${peer.origin}/`])
      await client.close()
    } finally {
      Reflect.set(Response.prototype, 'json', own)
    }
  })
})

describe.each(ROADS)('a body that is read whole keeps every limit, on %s', (_, init) => {
  const READS = ['text', 'json', 'arrayBuffer', 'blob'] as const

  test.each(READS)('%s() of one that is too long, and does not say so: ERR_TRANSPORT_BODY_TOO_LARGE', async (name) => {
    const limits = { bodyBytes: 100_000 }
    const { fetch } = await serve(
      (_request, response) => {
        response.write(Buffer.alloc(60_000, '1'))
        response.end(Buffer.alloc(60_000, '1'))
      },
      { limits },
    )
    await refusalOf((await fetch(init))[name](), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })

  test.each(READS)('%s() of one that grows too large: ERR_TRANSPORT_BODY_TOO_LARGE', async (name) => {
    const body = gzipSync(Buffer.alloc(8 * MIB, '1'))
    const { fetch } = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).write(body.subarray(0, 10))
      setTimeout(() => response.end(body.subarray(10)), 20)
    })
    await refusalOf((await fetch(init))[name](), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })

  test.each(READS)('%s() of one that pauses: ERR_TRANSPORT_TIMEOUT', async (name) => {
    const { fetch } = await serve((_request, response) => void response.write('1'), { timeouts: { bodyMs: 100 } })
    await refusalOf((await fetch(init))[name](), 'ERR_TRANSPORT_TIMEOUT')
  })

  test.each(READS)('%s() of one that drips: ERR_TRANSPORT_TIMEOUT', async (name) => {
    const { fetch } = await serve(
      (_request, response) => {
        const drip = setInterval(() => response.write('1'), 10)
        response.once('close', () => clearInterval(drip))
      },
      { timeouts: { totalMs: 400 } },
    )
    await refusalOf((await fetch(init))[name](), 'ERR_TRANSPORT_TIMEOUT')
  })

  test('one within all of them is read', async () => {
    const { fetch } = await serve((_request, response) => response.end(Buffer.alloc(100_000, '1')), {
      limits: { bodyBytes: 100_000 },
    })
    expect((await (await fetch(init)).text()).length).toBe(100_000)
  })

  test('one that nobody reads stops the server, and is whole once somebody does', async () => {
    const total = 64 * MIB
    let sent = 0
    const { fetch } = await serve((_request, response) => {
      const more = (): void => {
        let hasRoom = true
        while (hasRoom && sent < total) {
          sent += 65_536
          hasRoom = response.write(Buffer.alloc(65_536))
        }
        if (sent === total) response.end()
      }
      response.on('drain', more)
      more()
    })
    const response = await fetch(init)
    for (let last = -1; last !== sent; ) {
      last = sent
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(sent).toBeLessThan(total / 2)
    expect((await response.arrayBuffer()).byteLength).toBe(total)
  })
})

describe.each(ROADS)('what is collected, on %s', (_, init) => {
  const LENGTH = 300_000
  const reads: readonly (readonly [string, (response: Response) => unknown])[] = [
    ['the copy of a response', (response) => response.clone()],
    ['the copy of a copy', (response) => response.clone().clone()],
    ['a response whose copy is gone', (response) => response.clone() && response],
    ['a response that waits', (response) => response],
  ]
  test.each(reads)('%s keeps its body', async (__, keep) => {
    const { fetch } = await serve((_request, response) => response.end('x'.repeat(LENGTH)))
    const kept = (await (async () => keep(await fetch(init)))()) as Response
    await collect()
    expect((await kept.text()).length).toBe(LENGTH)
  })

  test('text() that is under way ends without its response', async () => {
    let finish = (): void => undefined
    const { fetch } = await serve((_request, response) => {
      response.write('part')
      finish = () => response.end('rest')
    })
    const text = (async () => ({ text: (await fetch(init)).text() }))()
    await text
    await collect()
    finish()
    expect(await (await text).text).toBe('partrest')
  })
})

test('each body has a buffer of its own, no longer than itself', async () => {
  const { fetch } = await serve((_request, response) => response.end('0123456789'))
  const buffers = await Promise.all(Array.from({ length: 8 }, async () => (await fetch()).arrayBuffer()))
  expect(new Set(buffers).size).toBe(8)
  expect(buffers.map(({ byteLength }) => byteLength)).toEqual(Array(8).fill(10))
  new Uint8Array(buffers[0] as ArrayBuffer).fill(0)
  expect(buffers.slice(1).map((buffer) => Buffer.from(buffer).toString())).toEqual(Array(7).fill('0123456789'))
})

/** Until something that nobody holds is gone and whoever asked was told, and some turns more for what goes after it. */
async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  let isGone = false
  const told = new FinalizationRegistry(() => {
    isGone = true
  })
  told.register({}, undefined)
  for (let turn = 0; turn < 5 || !isGone; turn += 1) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
