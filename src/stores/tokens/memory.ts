import type { Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Lease, StoredToken, TokenStore } from './store.ts'

/** Tokens of this process, gone with it. */
export function memoryTokenStore({ runtime = systemRuntime }: { readonly runtime?: Runtime } = {}): TokenStore {
  const records = new Map<string, { readonly record: StoredToken; readonly until: number }>()
  const holders = new Map<string, { until: number; readonly next: Set<() => void> }>()
  const now = (): number => runtime.clock.monotonic()
  const find = (key: string): StoredToken | undefined => {
    const found = records.get(key)
    if (found === undefined || found.until > now()) return found?.record
    records.delete(key)
    return undefined
  }

  const take = (key: string, ttlMs: number): Lease | undefined => {
    if ((holders.get(key)?.until ?? 0) > now()) return undefined
    const mine = { until: now() + ttlMs, next: holders.get(key)?.next ?? new Set<() => void>() }
    holders.set(key, mine)
    const isHeld = (): boolean => holders.get(key) === mine && mine.until > now()
    return {
      stillHeld: async () => isHeld(),
      renew: async (longer) => {
        if (!isHeld()) return false
        mine.until = now() + longer
        return true
      },
      [Symbol.asyncDispose]: async () => {
        if (holders.get(key) !== mine) return
        holders.delete(key)
        for (const wake of mine.next) wake()
      },
    }
  }

  return {
    load: async (key, signal) => {
      signal.throwIfAborted()
      return find(key)
    },
    compareAndSwap: async (key, expected, next, { ttlMs = Number.POSITIVE_INFINITY, signal }) => {
      signal.throwIfAborted()
      if ((find(key)?.v ?? null) !== expected) return false
      records.set(key, { record: next, until: now() + ttlMs })
      return true
    },
    lease: async (key, { ttlMs, waitMs, signal }) => {
      const end = now() + waitMs
      for (;;) {
        signal.throwIfAborted()
        const lease = take(key, ttlMs)
        const holder = holders.get(key)
        if (lease !== undefined || holder === undefined || now() >= end) return lease
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            cancel()
            holder.next.delete(wake)
            signal.removeEventListener('abort', wake)
            resolve()
          }
          const cancel = runtime.schedule(Math.max(0, Math.min(end, holder.until) - now()), wake)
          holder.next.add(wake)
          signal.addEventListener('abort', wake, { once: true })
        })
      }
    },
    remove: async (key, expected) => find(key)?.v === expected && records.delete(key),
  }
}
