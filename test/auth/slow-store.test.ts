/** What a token store that is down, slow or out of its mind adds to a request, by the clock of the test (F59). */
import { describe, expect, test } from 'vitest'
import { memoryTokenStore } from '../../src/stores/tokens/memory.ts'
import { redisTokenStore } from '../../src/stores/tokens/redis.ts'
import type { Lease, TokenStore } from '../../src/stores/tokens/store.ts'
import type { TestRuntime } from '../../src/testing/runtime.ts'
import { type TokenScene, tokenScene } from './token-scene.ts'

const MOST_MS = 250
const minute = 60_000

interface Timed {
  readonly ms: number
  readonly outcome: string
}

/** How long a request waits for its token, whose server answers at once. */
async function timed({ runtime, text }: TokenScene): Promise<Timed> {
  const start = runtime.clock.monotonic()
  let ms = Number.POSITIVE_INFINITY
  const outcome = text()
    .catch((error) => String(error.code))
    .finally(() => {
      ms = runtime.clock.monotonic() - start
    })
  for (let passed = 0; passed < 2_000; passed += 1) await runtime.advance(1)
  return { ms, outcome: await outcome }
}

type StoreOf = (runtime: TestRuntime) => TokenStore

const pause = (runtime: TestRuntime, ms: number): Promise<void> =>
  new Promise((resolve) => void runtime.schedule(ms, resolve))

/** A store of the application that takes so long for each call. */
const slow =
  (callMs: number): StoreOf =>
  (runtime) => {
    const inner = memoryTokenStore({ runtime })
    const later =
      <Given extends readonly unknown[], Answer>(call: (...given: Given) => Promise<Answer>) =>
      async (...given: Given): Promise<Answer> => {
        await pause(runtime, callMs)
        return await call(...given)
      }
    const { load, compareAndSwap, remove } = inner
    const lease = async (...given: Parameters<TokenStore['lease']>): Promise<Lease | undefined> => {
      await pause(runtime, callMs)
      const held = await inner.lease(...given)
      return (
        held && {
          ...held,
          renew: later(held.renew),
          [Symbol.asyncDispose]: later(async () => held[Symbol.asyncDispose]()),
        }
      )
    }
    return { load: later(load), compareAndSwap: later(compareAndSwap), remove: later(remove), lease }
  }

const redis =
  (answer: (runtime: TestRuntime) => Promise<unknown>): StoreOf =>
  (runtime) =>
    redisTokenStore({ runtime, client: { sendCommand: async () => undefined, eval: () => answer(runtime) } as never })

const says = (message: string) => redis(() => Promise.reject(new Error(message)))

const STORES: readonly (readonly [string, StoreOf])[] = [
  ['that takes 40 ms for each call', slow(40)],
  ['that takes 70 ms for each call', slow(70)],
  ['that takes 200 ms for each call', slow(200)],
  ['that takes ten seconds', slow(10_000)],
  ['Redis that never answers', redis(() => new Promise(() => undefined))],
  ['Redis that answers after 240 ms', redis((runtime) => pause(runtime, 240).then(() => null))],
  ['Redis that is down', says('connect ECONNREFUSED 127.0.0.1:6379')],
  ['Redis that answers garbage', redis(async () => 'garbage')],
  ['Redis with another kind of key', says('WRONGTYPE Operation against a key holding the wrong kind of value')],
  ['Redis that is full', says("OOM command not allowed when used memory > 'maxmemory'.")],
  ['Redis that became a replica', says("READONLY You can't write against a read only replica.")],
  ['Redis that reads its file', says('LOADING Redis is loading the dataset in memory')],
]

describe.each(STORES)('a store %s', (_, storeOf) => {
  const sceneOf = (kind: 'client_credentials' | 'refresh_token'): TokenScene => {
    const first = tokenScene({ kind })
    return first.sibling({ store: storeOf(first.runtime) })
  }

  test('adds 250 ms at most to a token that costs nothing but a request, at each expiry', async () => {
    const scene = sceneOf('client_credentials')
    for (const token of ['access-1', 'access-2']) {
      const { ms, outcome } = await timed(scene)
      expect(outcome).toBe(token)
      expect(ms).toBeLessThanOrEqual(MOST_MS)
      expect(scene.server.requests).toHaveLength(Number(token.at(-1)))
      await scene.runtime.advance(30 * minute)
    }
  })

  test('adds nothing while a token serves, whatever becomes of renewing it', async () => {
    const scene = sceneOf('client_credentials')
    await timed(scene)
    await scene.runtime.advance(8.5 * minute)
    expect(await timed(scene)).toEqual({ ms: 0, outcome: 'access-1' })
  })
})

test.each([['never answers', redis(() => new Promise(() => undefined))] as const, ['is down', says('down')] as const])(
  'where a Redis %s, a refresh token is refused within 250 ms, and is not sent',
  async (_, storeOf) => {
    const first = tokenScene({ kind: 'refresh_token' })
    const scene = first.sibling({ store: storeOf(first.runtime) })
    const { ms, outcome } = await timed(scene)
    expect(outcome).toBe('ERR_STORE_UNAVAILABLE')
    expect(ms).toBeLessThanOrEqual(MOST_MS)
    expect(scene.server.requests).toEqual([])
  },
)

test('a store that is slow and works loses no rotated refresh token: it is waited for', async () => {
  const first = tokenScene({ kind: 'refresh_token' })
  const store = slow(70)(first.runtime)
  const scene = first.sibling({ store })
  expect(await timed(scene)).toMatchObject({ outcome: 'access-1' })
  await scene.runtime.advance(30 * minute)
  expect(await timed(first.sibling({ store }))).toMatchObject({ outcome: 'access-2' })
  expect(scene.server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1'])
})

test('a token that came before its slow store took it is shared all the same, once the store has it', async () => {
  const first = tokenScene({ kind: 'client_credentials' })
  const store = slow(70)(first.runtime)
  const scene = first.sibling({ store })
  expect(await timed(scene)).toMatchObject({ outcome: 'access-1' })
  await scene.runtime.advance(20_000)
  expect(await timed(first.sibling({ store }))).toMatchObject({ outcome: 'access-1' })
  expect(scene.server.requests).toHaveLength(1)
})

test('a lease that comes when nobody waits for it any more is given back: it would keep the others waiting', async () => {
  const first = tokenScene({ kind: 'client_credentials' })
  const inner = slow(140)(first.runtime)
  const held = new Set<Lease>()
  let granted = 0
  const lease: TokenStore['lease'] = async (...given) => {
    const one = await inner.lease(...given)
    if (one === undefined) return undefined
    granted += 1
    held.add(one)
    return { ...one, [Symbol.asyncDispose]: async () => void held.delete(one) }
  }
  expect(await timed(first.sibling({ store: { ...inner, lease } }))).toMatchObject({ ms: 250, outcome: 'access-1' })
  expect([granted, held.size]).toEqual([1, 0])
})
