import { openAsBlob, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestRequest } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { signingStage, testSigner, verified } from '../support/signing-stage.ts'

const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]
const HTTP: readonly (readonly [string, object])[] = [
  ['HTTP/1.1', {}],
  ['HTTP/2', { isHttp2: true }],
]
const BODIES: readonly (readonly [string, () => RequestInit['body']])[] = [
  ['text', () => 'häagen'],
  ['no text', () => ''],
  ['bytes', () => new Uint8Array([0, 255, 10])],
  ['an ArrayBuffer', () => new Uint8Array([1, 2]).buffer],
  ['URLSearchParams', () => new URLSearchParams({ a: '1 2', b: 'ü' })],
  ['a Blob', () => new Blob(['<a/>'], { type: 'application/xml' })],
  ['a form', () => formOf()],
]

const text = (request: TestRequest | undefined): string => Buffer.from(request?.body ?? []).toString()

function formOf(): FormData {
  const form = new FormData()
  form.append('amount', '100')
  form.append('file', new Blob(['content']), 'a.txt')
  return form
}

describe.each(HTTP)('over %s', (_, options) => {
  describe.each(ROADS)('on the %s road', (_, road) => {
    test('a signature over all that the client says holds for what the server gets', async () => {
      const signer = testSigner()
      const { client, url, verified, requests } = await signingStage(signer, options)
      for (const path of ['/', '/a?', '/a?b=1&b=2', '/a%20b/ü?q=ü#part', '/a?#part'])
        expect((await client.fetch(url(path), { ...road, headers: { 'X-Two': 'a, b' } })).status).toBe(200)
      for (const [, body] of BODIES) {
        await client.fetch(url('/b'), { ...road, method: 'post', body: body() ?? null })
        await client.fetch(url('/b'), {
          ...road,
          method: 'PATCH',
          body: body() ?? null,
          headers: [['content-type', 'a/b']],
        })
      }
      await client.fetch(url('/c'), { ...road, method: 'PUT' })
      await client.fetch(url('/c'), { ...road, method: 'PUT', body: '12345', headers: { 'Content-Length': '5' } })
      await client.fetch(new Request(url('/d'), { method: 'delete', headers: { 'x-d': '1' } }), road)
      await client.fetch(url('/e'), {
        ...road,
        headers: [
          ['X-Two', 'a'],
          ['x-two', ' b '],
        ],
      })
      await client.fetch(url('/f'), {
        ...road,
        headers: { range: 'bytes=0-1', 'If-None-Match': '"x"', 'sec-fetch-mode': 'x' },
      })
      expect(verified()).toEqual(Array(requests.length).fill(['test']))
      expect(requests.length).toBe(5 + 2 * BODIES.length + 5)
      const covered = signer.seen.at(5)?.fields.map(([name]) => name)
      expect(covered).toEqual(
        expect.arrayContaining(['accept', 'user-agent', 'content-type', 'content-length', 'accept-encoding']),
      )
    })
  })
})

test('an empty query is signed as it is sent (SIG-09)', async () => {
  const { client, url, api, verified } = await signingStage(testSigner())
  await client.fetch(url('/a?'))
  expect(api.requests[0]?.path).toBe('/a?')
  expect(verified()).toEqual([['test']])
})

test('one changed byte of what was signed is refused by a server that verifies', async () => {
  const { client, url, api, authority } = await signingStage(testSigner())
  await client.fetch(url('/pay?to=1'), { method: 'POST', body: '{"amount":1}', headers: { 'idempotency-key': 'k' } })
  const [request] = api.requests
  if (request === undefined) expect.fail('no request')
  expect(verified(request, authority)).toEqual(['test'])
  const rawHeaders = [...request.rawHeaders]
  const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'idempotency-key')
  rawHeaders[at + 1] = 'l'
  for (const changed of [
    { ...request, method: 'PUT' },
    { ...request, path: '/pay?to=2' },
    { ...request, path: '/pat?to=1' },
    { ...request, rawHeaders },
    { ...request, body: Buffer.from('{"amount":2}') },
  ])
    expect(verified(changed, authority)).not.toEqual(['test'])
  expect(verified(request, 'other.example')).toEqual(['test is wrong'])
})

describe('the body', () => {
  test('is fixed when the request is made: what the caller writes into it later is neither signed nor sent (SIG-01)', async () => {
    let goOn = (): void => undefined
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const signer = testSigner()
    const slow = {
      ...signer,
      bind: (host: Parameters<typeof signer.bind>[0]) => {
        const { sign } = signer.bind(host)
        return { sign: async (...given: Parameters<typeof sign>) => held.then(() => sign(...given)) }
      },
    }
    const { client, url, api, verified } = await signingStage(slow)
    const bytes = Buffer.from('before')
    const headers = new Headers({ 'x-amount': '1' })
    const sent = client.fetch(url(), { method: 'POST', body: bytes, headers })
    bytes.write('after!')
    headers.set('x-amount', '2')
    goOn()
    expect((await sent).status).toBe(200)
    expect([text(api.requests[0]), api.requests[0]?.headers['x-amount']]).toEqual(['before', '1'])
    expect(verified()).toEqual([['test']])
  })

  test('has the Content-Digest that the caller gave, where that is true (SIG-01)', async () => {
    const { client, url, api, verified } = await signingStage(testSigner())
    const digest = 'sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:' // of foo
    const at = { method: 'POST', headers: { 'Content-Digest': digest } }
    await client.fetch(url(), { ...at, body: 'foo' })
    expect([api.requests[0]?.headers['content-digest'], ...verified()]).toEqual([digest, ['test']])
    const error = await refusalOf(client.fetch(url(), { ...at, body: 'fop' }), 'ERR_SIGN_DIGEST_CONFLICT')
    expect(error.requestSent).toBe('no')
    for (const value of ['sha-256=nonsense', 'md5=:LCa0a2j/xo/5m0U8HTBBNA==:', 'sha-256=:AAAA:'])
      await refusalOf(
        client.fetch(url(), { ...at, body: 'foo', headers: { 'content-digest': value } }),
        'ERR_SIGN_DIGEST_CONFLICT',
      )
    await refusalOf(client.fetch(url(), { ...at }), 'ERR_SIGN_DIGEST_CONFLICT') // of nothing
    expect(api.requests).toHaveLength(1)
  })

  test('of a form has one boundary, in what is signed and in what is sent (SIG-02)', async () => {
    const signer = testSigner()
    const { client, url, api, verified } = await signingStage(signer)
    await client.fetch(url(), { method: 'POST', body: formOf() })
    const type = String(api.requests[0]?.headers['content-type'])
    const boundary = /boundary=(.+)$/.exec(type)?.[1] ?? 'none'
    expect(text(api.requests[0])).toContain(`--${boundary}--`)
    expect(signer.seen[0]?.fields).toContainEqual(['content-type', type])
    expect(verified()).toEqual([['test']])
  })

  test('that is no body has no digest (SIG-04)', async () => {
    const signer = testSigner()
    const { client, url, api } = await signingStage(signer)
    await client.fetch(url())
    await client.fetch(url(), { method: 'POST' })
    expect(signer.seen.map(({ body }) => body.kind)).toEqual(['none', 'none'])
    expect(api.requests.map(({ headers }) => headers['content-digest'])).toEqual([undefined, undefined])
  })

  test('that is a file is not read for a signer that need not know it', async () => {
    const path = join(tmpdir(), `signing-${process.pid}.txt`)
    writeFileSync(path, 'x'.repeat(100_000))
    const blob = await openAsBlob(path, { type: 'text/plain' })
    const signer = testSigner({ body: 'ignored' })
    const { client, url, api, verified } = await signingStage(signer)
    await client.fetch(url(), { method: 'PUT', body: blob })
    expect(signer.seen[0]?.body.kind).toBe('stream')
    expect(signer.seen[0]?.fields).toContainEqual(['content-length', '100000'])
    expect(api.requests[0]?.body).toHaveLength(100_000)
    expect(verified()).toEqual([['test']])
  })
})

describe('a stream (SIG-03)', () => {
  const streamOf = (...chunks: string[]): ReadableStream =>
    new ReadableStream({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(Buffer.from(chunk))
        controller.close()
      },
    })
  const put = (body: ReadableStream, headers = {}) => ({ method: 'PUT', body, duplex: 'half', headers }) as RequestInit
  const digest = 'sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:' // of foo

  test('is refused where its digest has to be known: ERR_SIGN_BODY_UNHASHABLE', async () => {
    const { client, url, api } = await signingStage(testSigner())
    const error = await refusalOf(client.fetch(url(), put(streamOf('foo'))), 'ERR_SIGN_BODY_UNHASHABLE')
    expect(error.requestSent).toBe('no')
    const request = new Request(url(), put(streamOf('foo')))
    await refusalOf(client.fetch(request), 'ERR_SIGN_BODY_UNHASHABLE')
    expect(api.applicationBytes).toBe(0)
  })

  test('goes as it is where the caller says its digest', async () => {
    const { client, url, api, verified } = await signingStage(testSigner())
    await client.fetch(url(), put(streamOf('f', 'oo'), { 'content-digest': digest }))
    await client.fetch(new Request(url(), put(streamOf('f', 'oo'), { 'content-digest': digest })))
    expect(api.requests.map(({ headers }) => headers['transfer-encoding'])).toEqual(['chunked', 'chunked'])
    expect(verified()).toEqual([['test'], ['test']])
  })

  test('is read first where the signer allows it, up to its maxBufferBytes and not a byte more', async () => {
    const { client, url, api, verified } = await signingStage(testSigner({ maxBufferBytes: 3 }))
    await client.fetch(url(), put(streamOf('f', 'oo')))
    await client.fetch(new Request(url(), { method: 'POST', body: 'foo' }))
    expect(api.requests.map(({ headers }) => headers['content-length'])).toEqual(['3', '3'])
    expect(verified()).toEqual([['test'], ['test']])
    await refusalOf(client.fetch(url(), put(streamOf('fo', 'oo'))), 'ERR_SIGN_BODY_UNHASHABLE')
    expect(api.requests).toHaveLength(2)
  })

  test('of a stream that writes into one buffer again and again is what each piece was; text is no piece', async () => {
    const { client, url, api, verified } = await signingStage(testSigner({ maxBufferBytes: 100 }))
    const piece = new Uint8Array(1)
    async function* pieces(...values: readonly (number | string)[]) {
      for (const value of values) {
        if (typeof value === 'number') piece[0] = value
        yield typeof value === 'number' ? piece : value
      }
    }
    const send = (...values: readonly (number | string)[]) => {
      const body = ReadableStream.from(pieces(...values)) as ReadableStream<Uint8Array>
      return client.fetch(url(), { method: 'POST', body, duplex: 'half' } as RequestInit)
    }
    expect((await send(1, 2, 3)).status).toBe(200)
    expect([...(api.requests[0]?.body ?? []), ...verified()]).toEqual([1, 2, 3, ['test']])
    await refusalOf(send(1, 'text'), 'ERR_SIGN_BODY_UNHASHABLE')
    expect(api.requests).toHaveLength(1)
  })

  test('that is a buffer which may be resized is one too: its owner could change what was signed', async () => {
    const signer = testSigner({ maxBufferBytes: 100 })
    const { client, url, api } = await signingStage(signer)
    const buffer: ArrayBuffer = Reflect.construct(ArrayBuffer, [4, { maxByteLength: 8 }])
    await refusalOf(client.fetch(url(), { method: 'POST', body: buffer }), 'ERR_SIGN_BODY_UNHASHABLE')
    expect([api.connections, signer.digests]).toEqual([[], []])
    expect((await client.fetch(url(), { method: 'POST', body: new ArrayBuffer(4) })).status).toBe(200)
  })

  test('is refused by a signer that has to see the bytes, whatever digest is given', async () => {
    const { client, url } = await signingStage(testSigner({ body: 'bytes' }))
    await refusalOf(client.fetch(url(), put(streamOf('foo'), { 'content-digest': digest })), 'ERR_SIGN_BODY_UNHASHABLE')
  })

  test('needs nothing for a signer that does not look at bodies', async () => {
    const { client, url, verified } = await signingStage(testSigner({ body: 'ignored' }))
    await client.fetch(url(), put(streamOf('foo')))
    expect(verified()).toEqual([['test']])
  })
})
