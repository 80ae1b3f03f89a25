import { inspect } from 'node:util'
import { createTestRuntime } from 'pinfetch/testing'
import { createClient } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type RedisLike, redisTokenStore } from '../../../src/stores/tokens/redis.ts'
import { redisServer, startRedis } from '../../support/redis.ts'

const { signal } = new AbortController()
const ONE = { v: 1, sealed: 'kd83-sealed' }
const lease = { ttlMs: 60_000, waitMs: 0, signal }

describe('a Redis that is not as it should be costs a quarter of a second, once', () => {
  test('one that never answers is ERR_STORE_UNAVAILABLE after 250 ms, and at once for those who come after', async () => {
    const { store, runtime, calls } = scripted(() => new Promise(() => undefined))
    const first = rejection(store.load('a', signal))
    await runtime.advance(249)
    expect(await Promise.race([first, 'waiting'])).toBe('waiting')
    await runtime.advance(1)
    expect(await first).toMatchObject({ name: 'StoreError', code: 'ERR_STORE_UNAVAILABLE', retryable: true })
    for (let i = 0; i < 50; i += 1) {
      expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
      expect(await rejection(store.lease('a', { ...lease, waitMs: 5_000 }))).toMatchObject({ retryable: true })
    }
    expect(calls).toHaveLength(1)
    expect(runtime.pendingTimers).toBe(0)
  })

  test('one that comes back is used again, and is asked by one call alone until then', async () => {
    let isDown = true
    const { store, runtime, calls } = scripted(() => (isDown ? new Promise(() => undefined) : null))
    const first = rejection(store.load('a', signal))
    await runtime.advance(250)
    await first
    await runtime.advance(1_000)
    const trying = rejection(store.load('a', signal))
    expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    await runtime.advance(250)
    await trying
    await runtime.advance(1_900)
    expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(calls).toHaveLength(2)
    isDown = false
    await runtime.advance(100)
    expect(await store.load('a', signal)).toBeUndefined()
    expect(await store.load('a', signal)).toBeUndefined()
    expect(calls).toHaveLength(4)
  })

  test('an outage that many calls meet together is one: it is asked again after a second', async () => {
    let isDown = true
    const { store, runtime, calls } = scripted(() => (isDown ? new Promise(() => undefined) : null))
    const all = Array.from({ length: 100 }, () => rejection(store.load('a', new AbortController().signal)))
    await runtime.advance(250)
    await Promise.all(all)
    isDown = false
    await runtime.advance(1_000)
    expect(await store.load('a', signal)).toBeUndefined()
    expect(calls).toHaveLength(101)
  })

  test('is asked twice a minute in the end', async () => {
    const { store, runtime, calls } = scripted(() => new Promise(() => undefined))
    for (let second = 0; second < 600; second += 1) {
      const answer = rejection(store.load('a', signal))
      await runtime.advance(1_000)
      await answer
    }
    expect(calls.length).toBeGreaterThan(15)
    expect(calls.length).toBeLessThan(30)
  })

  test('a client that fails is ERR_STORE_UNAVAILABLE, and what its error says is not repeated', async () => {
    const { store } = scripted(() => Promise.reject(new Error('cannot send EVAL kd83-sealed')))
    const error = await rejection(store.compareAndSwap('a', null, ONE, { signal }))
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', cause: { message: 'its message is withheld' } })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/kd83/)
  })

  test('a client that throws, where it should reject, is ERR_STORE_UNAVAILABLE', async () => {
    const { store } = scripted(() => {
      throw new Error('The client is closed')
    })
    expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })

  test.each(['WRONGTYPE', 'OOM', 'READONLY', 'LOADING', 'NOAUTH', 'MOVED'])(
    'one that refuses with %s is ERR_STORE_UNAVAILABLE, and goes on being asked',
    async (word) => {
      const { store, calls } = scripted(() => Promise.reject(new Error(`${word} something about kd83`)))
      for (let i = 0; i < 3; i += 1) {
        const error = await rejection(store.load('a', signal))
        expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: `token store: refused: ${word}` })
      }
      expect(calls).toHaveLength(3)
    },
  )

  test.each([
    ['a number', 7],
    ['a list', ['record']],
    ['a boolean', true],
    ['an object', {}],
    ['text that is no JSON', 'OK'],
    ['JSON that is no record', '{"v":"1"}'],
    ['bytes', new Uint8Array([0xff, 0x00])],
  ])('one that answers %s is ERR_STORE_RECORD_INVALID', async (_, answer) => {
    const { store } = scripted(() => answer)
    expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' })
    const swap = store.compareAndSwap('a', null, ONE, { signal })
    expect(await rejection(swap)).toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' })
    expect(await rejection(store.lease('a', lease))).toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' })
  })

  test('a holder that gets no answer does not send (TOK-34)', async () => {
    let isDown = false
    const { store, runtime } = scripted(() => (isDown ? new Promise(() => undefined) : 1))
    const held = await store.lease('a', lease)
    expect(await held?.stillHeld()).toBe(true)
    isDown = true
    const asked = held?.stillHeld()
    await runtime.advance(250)
    expect(await asked).toBe(false)
    expect(await held?.renew(1)).toBe(false)
    await held?.[Symbol.asyncDispose]()
  })

  test('a lease that is granted too late is given back', async () => {
    const answers: ((answer: number) => void)[] = []
    const { store, runtime, calls } = scripted(() => new Promise((resolve) => answers.push(resolve)))
    const refused = rejection(store.lease('a', lease))
    await runtime.advance(1_250)
    expect(await refused).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    answers[0]?.(1)
    await runtime.advance(0)
    expect(calls).toHaveLength(2)
    expect(calls[1]?.script).toContain('DEL')
    expect(calls[1]?.args).toEqual([calls[0]?.args[0]])
  })

  test('a lease that is granted to whoever left is given back', async () => {
    const answers: ((answer: number) => void)[] = []
    const { store, runtime, calls } = scripted(() => new Promise((resolve) => answers.push(resolve)))
    const leaving = new AbortController()
    const refused = rejection(store.lease('a', { ...lease, signal: leaving.signal }))
    await runtime.advance(1)
    leaving.abort(new Error('left'))
    expect(await refused).toMatchObject({ message: 'left' })
    answers[0]?.(1)
    await runtime.advance(0)
    expect(calls[1]?.script).toContain('DEL')
  })
})

test.each([
  ['nothing', undefined],
  ['an empty object', {}],
  ['a client without scripts', { get: async () => null, set: async () => null }],
])('%s is no client: ERR_CONFIG_INVALID', (_, client) => {
  expect(() => redisTokenStore({ client: client as never })).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
  )
})

describe.skipIf(redisServer === undefined)('with a real Redis', () => {
  test.each([
    ['node-redis', (client: Redis) => client],
    ['node-redis that answers in bytes', (client: Redis) => client.withTypeMapping({ 36: Buffer })],
    ['ioredis', ioredisOver],
    ['Valkey GLIDE', (client: Redis) => ({ customCommand: (args: string[]) => client.sendCommand(args) })],
  ] as [string, (client: Redis) => RedisLike][])('speaks the dialect of %s', async (_, dialect) => {
    const { client } = await connected()
    const store = redisTokenStore({ client: dialect(client), prefix: 'mine:' })
    expect(await store.compareAndSwap('a', null, ONE, { ttlMs: 60_000, signal })).toBe(true)
    expect(await store.load('a', signal)).toEqual(ONE)
    const held = await store.lease('a', lease)
    expect(await held?.renew(60_000)).toBe(true)
    expect((await client.keys('*')).toSorted()).toEqual(['mine:a', 'mine:a:lease'])
    expect(await client.pTTL('mine:a')).toBeGreaterThan(0)
    await held?.[Symbol.asyncDispose]()
    expect(await store.remove('a', 1)).toBe(true)
    expect(await client.keys('*')).toEqual([])
  })

  test('a key that holds something else is ERR_STORE_UNAVAILABLE: WRONGTYPE', async () => {
    const { client } = await connected()
    await client.set('pinfetch:token:a', 'x')
    const error = await rejection(redisTokenStore({ client }).load('a', signal))
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: 'token store: refused: WRONGTYPE' })
    expect(await client.get('pinfetch:token:a')).toBe('x')
  })

  test('a record of somebody else is ERR_STORE_RECORD_INVALID, and stays', async () => {
    const { client } = await connected()
    await client.hSet('pinfetch:token:a', { v: '1', record: 'garbage' })
    const error = await rejection(redisTokenStore({ client }).load('a', signal))
    expect(error).toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' })
    expect(await client.hGet('pinfetch:token:a', 'record')).toBe('garbage')
  })

  test('a full Redis is ERR_STORE_UNAVAILABLE: OOM', async () => {
    const { client } = await connected(['--maxmemory', '1', '--maxmemory-policy', 'noeviction'])
    const error = await rejection(redisTokenStore({ client }).compareAndSwap('a', null, ONE, { signal }))
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: 'token store: refused: OOM' })
  })

  test.each(['SIGSTOP', 'SIGKILL'] as const)(
    'one that gets %s keeps nobody waiting for the client’s own patience: ERR_STORE_UNAVAILABLE',
    async (blow) => {
      const { client, redis } = await connected()
      const store = redisTokenStore({ client })
      expect(await store.load('a', signal)).toBeUndefined()
      redis.process.kill(blow)
      const before = performance.now()
      for (let i = 0; i < 200; i += 1) {
        expect(await rejection(store.load('a', signal))).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
      }
      expect(performance.now() - before).toBeLessThan(5_000) // 50 s without a breaker, for ever without a deadline
      if (blow === 'SIGSTOP') redis.process.kill('SIGCONT')
    },
  )
})

type Redis = Awaited<ReturnType<typeof connected>>['client']

async function connected(args: readonly string[] = []) {
  const redis = await startRedis(args)
  const client = createClient({ url: redis.url })
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(async () => {
    client.destroy()
    await redis[Symbol.asyncDispose]()
  })
  return { client, redis }
}

/** The shape of ioredis and iovalkey, over the same connection. */
function ioredisOver(client: Redis) {
  return {
    call: (...args: string[]) => client.sendCommand(args),
    eval: (script: string, keys: number, ...args: string[]) =>
      client.sendCommand(['EVAL', script, String(keys), ...args]),
  }
}

function scripted(answer: () => unknown) {
  const runtime = createTestRuntime()
  const calls: { script: string; args: string[] }[] = []
  const client = {
    sendCommand: async () => undefined,
    eval: (script: string, { arguments: args }: { arguments: string[] }) => {
      calls.push({ script, args })
      return answer() as Promise<unknown>
    },
  }
  return { store: redisTokenStore({ client, runtime }), runtime, calls }
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => expect.unreachable('it was accepted'),
    (error) => error,
  )
}
