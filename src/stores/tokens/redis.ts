import { ConfigurationError, StoreError } from '../../errors/errors.ts'
import type { Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import { createGuard } from './breaker.ts'
import { decodeRecord, encodeRecord, invalid } from './record.ts'
import type { Lease, TokenStore } from './store.ts'
import { takeWithin } from './wait.ts'

/** A connected client of ioredis or iovalkey, of redis (node-redis 4 to 6), or of Valkey GLIDE. */
export type RedisLike = Evaluating | Commanding

interface Evaluating {
  readonly eval: (...args: never[]) => Promise<unknown>
}

interface Commanding {
  readonly customCommand: (args: string[]) => Promise<unknown>
}

/** The connection that tokens are kept over. */
export interface RedisTokenStoreOptions {
  /** Yours: connected, given a listener for its errors, and closed by you. */
  readonly client: RedisLike
  /** Of every key. Default `pinfetch:token:`. */
  readonly prefix?: string
  readonly runtime?: Runtime
}

/**
 * Tokens shared by the processes of several machines. Comparing and swapping is one script that Redis runs alone. A Redis that
 * is down, slow or full costs a request a quarter of a second at most, and those after it nothing.
 *
 * Give a `TokenCipher` with it: whoever can read the Redis could use the tokens.
 *
 * @throws ConfigurationError where `client` is none of those known.
 */
export function redisTokenStore(options: RedisTokenStoreOptions): TokenStore {
  const { client, prefix = 'pinfetch:token:', runtime = systemRuntime } = options
  const send = senderOf(client)
  const guard = createGuard(runtime, DEADLINE_MS)
  const run = (script: string, key: string, args: readonly string[], signal?: AbortSignal, late = ignore) =>
    untilAborted(
      guard(() => send(script, key, args), late),
      signal,
      late,
    )
  const ask = async (...call: Parameters<typeof run>): Promise<boolean> => isOne(await run(...call))

  const take = async (key: string, ttlMs: number, signal: AbortSignal): Promise<Lease | undefined> => {
    const owner = Buffer.from(runtime.random(16)).toString('hex')
    const release = (): Promise<boolean> => orFalse(ask(RELEASE, key, [owner]))
    // One that was granted after nobody waited for it any more would keep the others waiting.
    if (!(await ask(ACQUIRE, key, [owner, msOf(ttlMs)], signal, (answer) => void (answer === 1 && release()))))
      return undefined
    return {
      stillHeld: () => orFalse(ask(HOLDS, key, [owner])),
      renew: (ms) => orFalse(ask(RENEW, key, [owner, msOf(ms)])),
      [Symbol.asyncDispose]: async () => void (await release()),
    }
  }

  return Object.freeze({
    load: async (key, signal) => {
      const answer = await run(LOAD, `${prefix}${key}`, [], signal)
      if (answer === null || answer === undefined) return undefined
      return decodeRecord(textOf(answer))
    },
    compareAndSwap: (key, expected, next, { ttlMs, signal }) => {
      const ttl = ttlMs === undefined ? '' : msOf(ttlMs)
      const args = [expected === null ? '' : String(expected), String(next.v), encodeRecord(next), ttl]
      return ask(SWAP, `${prefix}${key}`, args, signal)
    },
    lease: (key, { ttlMs, ...wait }) =>
      takeWithin(() => take(`${prefix}${key}:lease`, ttlMs, wait.signal), wait, runtime),
    remove: (key, expected) => ask(REMOVE, `${prefix}${key}`, [String(expected)]),
  } satisfies TokenStore)
}

type Send = (script: string, key: string, args: readonly string[]) => Promise<unknown>

/** By what a client has, and never by its class: an application may have another copy of the package. */
function senderOf(client: unknown): Send {
  const has = (name: string): boolean =>
    typeof (client as Record<string, unknown> | null | undefined)?.[name] === 'function'
  if (has('customCommand')) {
    const glide = client as Commanding
    return (script, key, args) => glide.customCommand(['EVAL', script, '1', key, ...args])
  }
  if (has('eval') && has('call')) {
    const ioredis = client as { eval: (script: string, keys: number, ...args: string[]) => Promise<unknown> }
    return (script, key, args) => ioredis.eval(script, 1, key, ...args)
  }
  if (has('eval') && has('sendCommand')) {
    const redis = client as { eval: (script: string, options: object) => Promise<unknown> }
    return (script, key, args) => redis.eval(script, { keys: [key], arguments: [...args] })
  }
  const message = 'redisTokenStore.client: expected a client of ioredis, iovalkey, redis or @valkey/valkey-glide'
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

function untilAborted(
  work: Promise<unknown>,
  signal: AbortSignal | undefined,
  late: (answer: unknown) => void,
): Promise<unknown> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason)
      work.then(late, ignore)
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

function isOne(answer: unknown): boolean {
  const number = typeof answer === 'bigint' ? Number(answer) : answer
  if (number !== 0 && number !== 1) throw invalid()
  return number === 1
}

function textOf(answer: unknown): string {
  if (typeof answer === 'string') return answer
  if (answer instanceof Uint8Array) return new TextDecoder().decode(answer)
  throw invalid()
}

const orFalse = (work: Promise<boolean>): Promise<boolean> =>
  work.catch((error) => {
    if (error instanceof StoreError) return false
    throw error
  })

const msOf = (ms: number): string => String(Math.max(1, Math.ceil(ms)))
const ignore = (_answer: unknown): void => {}

const DEADLINE_MS = 250

/** A script for each, with one key: Redis Cluster runs no other kind. */
const LOAD = "return redis.call('HGET', KEYS[1], 'record')"
const SWAP = `local v = redis.call('HGET', KEYS[1], 'v')
if (ARGV[1] == '' and v) or (ARGV[1] ~= '' and v ~= ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'record', ARGV[3])
if ARGV[4] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`
const REMOVE = `if redis.call('HGET', KEYS[1], 'v') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`
const ACQUIRE = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 else return 0 end"
const HOLDS = "if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 else return 0 end"
const RENEW =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) else return 0 end"
const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end"
