import { createReadStream } from 'node:fs'
import { replayable } from 'pinfetch'
import type { RequestSigner } from 'pinfetch/signing'
import { request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { signingStage, testSigner } from '../support/signing-stage.ts'

type Body = NonNullable<RequestInit['body']>

const failure = new Error('the source failed')
const MISSING = '/nowhere/at/all'
const SOURCES: readonly (readonly [string, () => unknown])[] = [
  ['a stream', () => new ReadableStream({ pull: () => Promise.reject(failure) }, { highWaterMark: 0 })],
  ['a stream that failed before', () => new ReadableStream({ start: (controller) => controller.error(failure) })],
  ['an async iterable', () => failing()],
  ['what replayable opens', () => replayable(() => failing())],
  ['a file that is not there', () => createReadStream(MISSING)],
  ['a file that replayable opens', () => replayable(() => createReadStream(MISSING))],
]
const SIGNERS: readonly (readonly [string, readonly RequestSigner[]])[] = [
  ['unsigned', []],
  ['signed', [testSigner({ components: () => ['@method'] })]],
]
const DIGEST = { 'content-digest': 'sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:' } // of foo

const isFile = (name: string): boolean => name.startsWith('a file')

// biome-ignore lint/correctness/useYield: it fails before
async function* failing(): AsyncGenerator<Uint8Array> {
  throw failure
}

/** Longer than it says, and its `return` never settles. */
const unending = (): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({
    next: async () => ({ done: false, value: new Uint8Array(20) }),
    return: () => new Promise(() => undefined),
  }),
})

function uncaught(): Error[] {
  const errors: Error[] = []
  const note = (error: Error): void => void errors.push(error)
  process.prependListener('uncaughtException', note)
  onTestFinished(() => void process.off('uncaughtException', note))
  return errors
}

describe.each([
  ['HTTP/1.1', false],
  ['HTTP/2', true],
])('the source of a body over %s', (_, isHttp2) => {
  describe.each(SIGNERS)('%s', (_, sign) => {
    test.each(SOURCES)(
      'that fails before anything is written, %s, is ERR_TRANSPORT_BODY_UNAVAILABLE at once, and is not asked again',
      async (name, source) => {
        const errors = uncaught()
        const { client, url, requests } = await signingStage(sign, { isHttp2, client: { retry: {} } })
        for (const _ of ['the first connection', 'another one']) {
          const init = { method: 'PUT', body: source() as Body, duplex: 'half', headers: DIGEST } as RequestInit
          const error = await refusalOf(client.fetch(url('/failed'), init), 'ERR_TRANSPORT_BODY_UNAVAILABLE')
          expect(Reflect.get(Object(error.cause), 'code') ?? error.cause).toBe(isFile(name) ? 'ENOENT' : failure)
          expect((await client.fetch(url('/sound'), { method: 'PUT', body: 'x' })).status).toBe(200)
        }
        expect(requests.filter(({ path }) => path === '/sound')).toHaveLength(2)
        expect(requests.filter(({ body, path }) => path === '/failed' && body.length > 0)).toEqual([])
        expect(errors).toEqual([])
      },
    )
  })

  test('that fails while a connection is made ends no process, whoever sends it', async () => {
    const errors = uncaught()
    const { client, url } = await signingStage([], { isHttp2 })
    const { dispatcher } = client
    const body = createReadStream(MISSING)
    await expect(request(url(), { dispatcher, method: 'PUT', body })).rejects.toMatchObject({ code: 'ENOENT' })
    expect(errors).toEqual([])
  })

  test('that gives more than its Content-Length, and never ends, is not waited for', async () => {
    const { client, url, requests } = await signingStage([], { isHttp2 })
    const headers = { 'content-length': '10' }
    const { dispatcher } = client
    const sent = request(url(), { dispatcher, method: 'PUT', body: unending() as never, headers })
    await expect(sent).rejects.toMatchObject({ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
    expect(requests.filter(({ body }) => body.length > 0)).toEqual([])
  })
})

test('a stream that fails while a signer reads it is ERR_TRANSPORT_BODY_UNAVAILABLE, and no fault of the signer', async () => {
  const { client, url, api } = await signingStage(testSigner({ maxBufferBytes: 100 }))
  const body = new ReadableStream({ pull: () => Promise.reject(failure) })
  const call = client.fetch(url(), { method: 'PUT', body, duplex: 'half' } as RequestInit)
  const error = await refusalOf(call, 'ERR_TRANSPORT_BODY_UNAVAILABLE')
  expect([error.cause, error.requestSent, api.connections]).toEqual([failure, 'no', []])
})
