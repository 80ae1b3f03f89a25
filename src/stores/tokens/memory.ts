import type { Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Lease, StoredToken, TokenStore } from './store.ts'
import { takeWithin } from './wait.ts'

/** Forgets everything when the process ends; shared by the clients that are given the same one. */
export function memoryTokenStore(options: { readonly runtime?: Runtime } = {}): TokenStore {
  const { runtime = systemRuntime } = options
  const { clock } = runtime
  const records = new Map<string, { readonly record: StoredToken; readonly until: number }>()
  const leases = new Map<string, { readonly owner: symbol; readonly until: number }>()

  const recordOf = (key: string): StoredToken | undefined => {
    const held = records.get(key)
    if (held === undefined || held.until > clock.now()) return held?.record
    records.delete(key)
    return undefined
  }
  const holds = (key: string, owner: symbol): boolean => {
    const lease = leases.get(key)
    return lease?.owner === owner && lease.until > clock.monotonic()
  }
  const take = async (key: string, ttlMs: number): Promise<Lease | undefined> => {
    if ((leases.get(key)?.until ?? 0) > clock.monotonic()) return undefined
    const owner = Symbol('lease')
    const renew = (ms: number): void => void leases.set(key, { owner, until: clock.monotonic() + ms })
    renew(ttlMs)
    return {
      stillHeld: async () => holds(key, owner),
      renew: async (ms) => {
        if (!holds(key, owner)) return false
        renew(ms)
        return true
      },
      [Symbol.asyncDispose]: async () => {
        if (leases.get(key)?.owner === owner) leases.delete(key)
      },
    }
  }

  return Object.freeze({
    isInMemory: true,
    load: async (key, signal) => {
      signal.throwIfAborted()
      return recordOf(key)
    },
    compareAndSwap: async (key, expected, next, { ttlMs, signal }) => {
      signal.throwIfAborted()
      if ((recordOf(key)?.v ?? null) !== expected) return false
      const until = ttlMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + ttlMs
      records.set(key, { record: Object.freeze({ ...next }), until })
      return true
    },
    lease: (key, { ttlMs, ...wait }) => takeWithin(() => take(key, ttlMs), wait, runtime),
    remove: async (key, expected) => recordOf(key)?.v === expected && records.delete(key),
  } satisfies TokenStore)
}
