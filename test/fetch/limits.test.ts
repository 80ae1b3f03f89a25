import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { ClientOptions } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const MIB = 1_048_576
const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })

/** The second is no member that the lean road knows: the request takes the runtime's own fetch. */
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['the lean road', {}],
  ['the full road', { window: null } as RequestInit],
]

async function serve(
  body: Uint8Array,
  coding: string,
  limits: ClientOptions['limits'] = {},
  timeouts: ClientOptions['timeouts'] = {},
) {
  const peer = await until(
    startTlsServer({
      identity,
      handler: (_, response) => response.writeHead(200, { 'content-encoding': coding }).end(body),
    }),
  )
  const client = testClient({ pins: { localhost: [identity.pin] }, anchors: ca.anchorPem, limits, timeouts })
  return { peer, fetch: (init: RequestInit) => client.fetch(peer.origin, init) }
}

describe.each(ROADS)('on %s', (_, init) => {
  test.each([
    ['gzip', gzipSync],
    ['br', (bytes: Buffer) => brotliCompressSync(bytes)],
    ['deflate', deflateSync],
  ] as const)('a body that %s blew up beyond 100 times: ERR_TRANSPORT_BODY_TOO_LARGE', async (coding, compress) => {
    const { fetch, peer } = await serve(compress(Buffer.alloc(8 * MIB)), coding)
    const response = await fetch(init)
    expect(response.status).toBe(200)
    const error = await refusalOf(response.text(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    expect(error.message).toContain('limits.inflateRatio')
    expect([error.host, error.requestSent]).toEqual([`localhost:${peer.port}`, 'yes'])
  })

  test('the same body where the ratio allows it', async () => {
    const { fetch } = await serve(gzipSync(Buffer.alloc(8 * MIB)), 'gzip', { inflateRatio: 2_000 })
    expect((await (await fetch(init)).arrayBuffer()).byteLength).toBe(8 * MIB)
  })

  test('the first MiB is free, whatever the ratio', async () => {
    const { fetch } = await serve(gzipSync(Buffer.alloc(MIB)), 'gzip', { inflateRatio: 1 })
    expect((await (await fetch(init)).arrayBuffer()).byteLength).toBe(MIB)
  })

  test('one byte more than that: ERR_TRANSPORT_BODY_TOO_LARGE', async () => {
    const { fetch } = await serve(gzipSync(Buffer.alloc(MIB + 1)), 'gzip', { inflateRatio: 1 })
    await refusalOf((await fetch(init)).text(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })

  test.each([
    ['small', 2_000, 1_999],
    ['large', 3_000_000, 2_999_999],
  ])('a %s body that is decoded one byte too long: ERR_TRANSPORT_BODY_TOO_LARGE', async (__, length, bodyBytes) => {
    const body = gzipSync(Buffer.alloc(length))
    const limits = { bodyBytes, inflateRatio: 10_000 }
    const refused = await serve(body, 'gzip', limits)
    const error = await refusalOf((await refused.fetch(init)).arrayBuffer(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    expect(error.message).toContain('limits.bodyBytes')
    const accepted = await serve(body, 'gzip', { ...limits, bodyBytes: length })
    expect((await (await accepted.fetch(init)).arrayBuffer()).byteLength).toBe(length)
  })

  test('a reader gets what came before, then the refusal', async () => {
    const { fetch } = await serve(gzipSync(Buffer.alloc(8 * MIB)), 'gzip')
    const reader = (await fetch(init)).body?.getReader()
    let received = 0
    const rest = async (): Promise<void> => {
      for (;;) {
        const { value, done } = (await reader?.read()) ?? { value: undefined, done: true }
        if (done) return
        received += value?.length ?? 0
      }
    }
    await refusalOf(rest(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    expect(received).toBeLessThanOrEqual(8 * MIB)
  })

  test('a bomb inside another coding: ERR_TRANSPORT_BODY_TOO_LARGE', async () => {
    const { fetch } = await serve(gzipSync(gzipSync(Buffer.alloc(64 * MIB))), 'gzip, gzip')
    await refusalOf((await fetch(init)).text(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })

  test.each([
    ['gzip', Buffer.from('0123456789'), /^Z_DATA_ERROR$/],
    ['deflate', Buffer.from('x0123456789'), /^Z_DATA_ERROR$/],
    ['br', Buffer.from('0123456789'), /^ERR__ERROR_FORMAT/],
    ['gzip, gzip', gzipSync('0123456789'), /^Z_DATA_ERROR$/],
  ])('a body that is not the %s it says it is: terminated by ERR_TRANSPORT_PROTOCOL', async (coding, body, code) => {
    const { fetch, peer } = await serve(body, coding)
    const response = await fetch(init)
    const error = await response.text().catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      message: 'terminated',
      cause: {
        code: 'ERR_TRANSPORT_PROTOCOL',
        host: `localhost:${peer.port}`,
        cause: { code: expect.stringMatching(code) },
      },
    })
  })

  test('a body that is broken in the middle ends, also where the runtime’s fetch would wait for ever', async () => {
    const body = Buffer.concat([gzipSync(randomBytes(200_000)).subarray(0, 150_000), Buffer.alloc(50_000)])
    const { fetch } = await serve(body, 'gzip', {}, { bodyMs: 2_000 })
    const response = await fetch(init)
    const error = await response.text().catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(TypeError)
    const { code = Reflect.get(Object((error as Error).cause), 'code') } = error as { readonly code?: unknown }
    expect(code).toBeOneOf(['ERR_TRANSPORT_PROTOCOL', 'ERR_TRANSPORT_TIMEOUT']) // the second: Node 20 and 22
  })

  test('the client goes on after a refusal', async () => {
    const { fetch, peer } = await serve(gzipSync(Buffer.alloc(8 * MIB)), 'gzip')
    for (let round = 0; round < 3; round += 1) {
      await refusalOf((await fetch(init)).text(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    }
    expect(peer.requests.length).toBe(3)
  })

  test('a body that nothing encoded is counted as it comes', async () => {
    const { fetch } = await serve(Buffer.alloc(2_000), 'identity', { bodyBytes: 1_999 })
    const length = async (): Promise<number> => (await (await fetch(init)).arrayBuffer()).byteLength
    await refusalOf(length(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })
})

test('a bomb that the next coding makes small again: ERR_TRANSPORT_BODY_TOO_LARGE, on the lean road', async () => {
  const empty = gzipSync('') // 20 bytes of nothing, which come a hundred thousand times
  const { fetch } = await serve(gzipSync(Buffer.concat(Array<Buffer>(200_000).fill(empty))), 'gzip, gzip')
  await refusalOf((await fetch({})).text(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
})
