import { describe, expect, test } from 'vitest'
import { PinfetchError, TransportError } from '../../src/errors/errors.ts'
import { badAnswer, type DocumentRequest, fetchDocument, parseRetryAfter } from '../../src/manifest/fetch-document.ts'
import { UnusableSource } from '../../src/manifest/read-document.ts'
import type { Mirror } from '../../src/manifest/sources.ts'
import type { FetchedBytes, FetchLimits } from '../../src/ports/runtime.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { refusalOf, text } from './world.ts'

const OK: FetchedBytes = { status: 200, headers: {}, bytes: text('{}') }
const request: DocumentRequest = {
  path: 'status.json',
  where: { document: 'status', version: 7 },
  maxBytes: 10,
  signal: new AbortController().signal,
}
const never = () => new Promise<never>(() => undefined)

function begin(get: Mirror['get'], asked: Partial<DocumentRequest> = {}) {
  const runtime = createTestRuntime()
  const answer = fetchDocument({ name: 'https://pins.example', get }, { ...request, ...asked }, runtime)
  answer.catch(() => undefined)
  return { runtime, answer }
}

const answering = (given: Partial<FetchedBytes>) => begin(async () => ({ ...OK, ...given })).answer

test('a mirror is asked for the path, with the limit, an entity tag where there is one, and a signal', async () => {
  const asked: unknown[] = []
  const get: Mirror['get'] = async (path, limits) => {
    asked.push([path, limits])
    return OK
  }
  await begin(get).answer
  await begin(get, { ifNoneMatch: '"a"' }).answer
  const limits = { maxBytes: 10, signal: expect.any(AbortSignal) }
  expect(asked).toStrictEqual([
    ['status.json', limits],
    ['status.json', { ...limits, ifNoneMatch: '"a"' }],
  ])
})

test.each([200, 204, 299, 304, 400, 404, 503])('an answer of %i is the caller’s to judge', async (status) => {
  expect(await answering({ status })).toEqual({ ...OK, status })
})

test('an answer ends its deadline', async () => {
  const { runtime, answer } = begin(async () => OK)
  await answer
  expect(runtime.pendingTimers).toBe(0)
})

const REFUSED = { document: 'status', version: 7, source: 'https://pins.example status.json' }

test.each([300, 301, 303, 305, 399])('a redirect of %i is refused', async (status) => {
  expect(await refusalOf(answering({ status }))).toMatchObject({
    ...REFUSED,
    code: 'ERR_MANIFEST_FETCH_REDIRECT',
    message: `status 7: answered ${status}; redirects are not followed`,
  })
})

test('a body of the greatest length is taken, one byte more is refused', async () => {
  expect((await answering({ bytes: new Uint8Array(10) })).bytes).toHaveLength(10)
  expect(await refusalOf(answering({ bytes: new Uint8Array(11) }))).toMatchObject({
    ...REFUSED,
    code: 'ERR_MANIFEST_FETCH_TOO_LARGE',
    message: 'status 7: longer than 10 bytes',
  })
})

test('a content coding is refused, and of its name no more than 20 characters are told', async () => {
  const coded = (encoding: string) => answering({ headers: { 'content-encoding': encoding } })
  expect(await coded('identity')).toMatchObject({ status: 200 })
  expect(await refusalOf(coded(`gzip"${'x'.repeat(30)}`))).toMatchObject({
    ...REFUSED,
    code: 'ERR_MANIFEST_FETCH_ENCODED',
    message: `status 7: sent with content-encoding "gzip\\"${'x'.repeat(15)}"`,
  })
  expect(await refusalOf(coded(''))).toMatchObject({ code: 'ERR_MANIFEST_FETCH_ENCODED' })
})

describe('a mirror that fails', () => {
  class Fault extends PinfetchError {}
  const timeout = new TransportError('ERR_TRANSPORT_TIMEOUT', 'x')
  const tooLong = new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', 'x')
  const refused = new TransportError('ERR_TRANSPORT_RESOLVE', 'internal.example: not found')

  test.each<[string, Error, string, string]>([
    ['in time', timeout, 'ERR_MANIFEST_FETCH_TIMEOUT', 'nothing complete in time'],
    ['at the limit', tooLong, 'ERR_MANIFEST_FETCH_TOO_LARGE', 'longer than 10 bytes'],
    ['in the transport', refused, 'ERR_MANIFEST_FETCH_NETWORK', 'could not be fetched'],
    ['otherwise', new Error('socket hang up'), 'ERR_MANIFEST_FETCH_NETWORK', 'could not be fetched'],
    ['on this machine', new UnusableSource('EACCES'), 'ERR_MANIFEST_FETCH_NETWORK', 'could not be fetched: EACCES'],
    ['by our fault', new Fault('ERR_STORE_READ', 'x'), 'ERR_MANIFEST_FETCH_NETWORK', 'could not be fetched'],
  ])('%s is refused with its code and cause', async (_, cause, code, message) => {
    const { runtime, answer } = begin(() => Promise.reject(cause))
    const refusal = await refusalOf(answer)
    expect(refusal).toMatchObject({ ...REFUSED, code, message: `status 7: ${message}` })
    expect(refusal.cause).toBe(cause)
    expect(runtime.pendingTimers).toBe(0)
  })

  test('is given five seconds, though it ignores its signal', async () => {
    const signals: AbortSignal[] = []
    const { runtime, answer } = begin((_, { signal }) => {
      signals.push(signal)
      return never()
    })
    await runtime.advance(4_999)
    expect(signals[0]?.aborted).toBe(false)
    await runtime.advance(1)
    expect(signals[0]?.aborted).toBe(true)
    expect(await refusalOf(answer)).toMatchObject({
      ...REFUSED,
      code: 'ERR_MANIFEST_FETCH_TIMEOUT',
      message: 'status 7: nothing complete within 5000 ms',
    })
  })
})

describe('the end of the refresh', () => {
  const over = new Error('over')

  test.each<[string, Mirror['get']]>([
    ['ignores its signal', never],
    [
      'heeds it',
      (_, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ],
  ])('ends waiting for a mirror that %s', async (_, get) => {
    const refresh = new AbortController()
    const { runtime, answer } = begin(get, { signal: refresh.signal })
    refresh.abort(over)
    expect(await refusalOf(answer)).toMatchObject({ code: 'ERR_MANIFEST_FETCH_NETWORK', cause: over })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('before a mirror was asked ends waiting for it too', async () => {
    const { answer } = begin(never, { signal: AbortSignal.abort(over) })
    expect(await refusalOf(answer)).toMatchObject({ code: 'ERR_MANIFEST_FETCH_NETWORK', cause: over })
  })

  test('with a refusal is that refusal', async () => {
    const refresh = new AbortController()
    const { answer } = begin(never, { signal: refresh.signal })
    const reason = badAnswer('ERR_MANIFEST_FETCH_HTTP', OK, { document: 'status' }, createTestRuntime())
    refresh.abort(reason)
    expect(await refusalOf(answer)).toBe(reason)
  })

  test('is not listened for any more once there is an answer', async () => {
    let signal: FetchLimits['signal'] | undefined
    const removed: string[] = []
    await begin(async (_, limits) => {
      signal = limits.signal
      const { removeEventListener } = signal
      signal.removeEventListener = (...given: Parameters<AbortSignal['removeEventListener']>) => {
        removed.push(given[0])
        removeEventListener.apply(signal, given)
      }
      return OK
    }).answer
    expect(removed).toEqual(['abort'])
  })
})

describe('an HTTP status that is no document', () => {
  const runtime = createTestRuntime({ now: Date.UTC(2026, 0, 1) })

  test.each<[Record<string, string>, object]>([
    [{}, {}],
    [{ 'retry-after': 'soon' }, {}],
    [{ 'retry-after': '120' }, { retryAfterMs: 120_000 }],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:02:00 GMT' }, { retryAfterMs: 120_000 }],
  ])('with %j is refused, with the wish for a pause where there is one', (headers, pause) => {
    const where = { document: 'manifest', version: 3, source: 'x' } as const
    const refused = badAnswer('ERR_MANIFEST_UNAVAILABLE', { ...OK, status: 503, headers }, where, runtime)
    expect({ ...refused }).toEqual({ ...refused, code: 'ERR_MANIFEST_UNAVAILABLE', ...where, ...pause })
    expect(refused.message).toBe('manifest 3: answered HTTP 503')
    expect('retryAfterMs' in refused).toBe('retryAfterMs' in pause)
  })

  test.each([
    [' 5 ', 5_000],
    ['1', 1_000],
    ['86400', 86_400_000],
    ['86401', 86_400_000],
    ['999999999999', 86_400_000],
    ['1234567890123', undefined],
    ['5 s', undefined],
    ['x5', undefined],
    ['', undefined],
    ['Thu, 01 Jan 2026 00:00:02 GMT', 2_000],
    ['Sat, 03 Jan 2026 00:00:00 GMT', 86_400_000],
  ])('Retry-After %j is a pause of %j ms', (value, ms) => {
    expect(parseRetryAfter(value, Date.UTC(2026, 0, 1))).toBe(ms)
  })
})
