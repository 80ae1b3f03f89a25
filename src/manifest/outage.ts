import { StoreError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import { refusal } from './refusal.ts'

/**
 * One event for a store that does not work, not one for each document: on a read-only file system every write fails, and
 * the client goes on in memory. Once something was written again, the next failure is news.
 */
export function quietOutage(store: Store, emit: Emit): { readonly store: Store; readonly emit: Emit } {
  let said = false
  return {
    store: {
      ...store,
      put: async (name, bytes) => {
        const result = await store.put(name, bytes)
        if (result === 'written') said = false
        return result
      },
    },
    emit: (event) => {
      const isOutage = event.type === 'manifest.cacheError' && OUTAGE.has(event.code)
      if (isOutage && said) return
      said ||= isOutage
      emit(event)
    },
  }
}

/**
 * Writes a file, reads it back and deletes it.
 *
 * @throws ManifestError CACHE_REQUIRED when the store does not do that.
 */
export async function requireCache(store: Store, base: string, { random }: Runtime): Promise<void> {
  const name = `${base}check-${Buffer.from(random(8)).toString('hex')}`
  const bytes = random(8)
  let cause: unknown
  try {
    await store.put(name, bytes)
    const held = await store.get(name)
    await store.delete(name)
    await store.list(`${base}status/`)
    if (held !== undefined && Buffer.compare(held, bytes) === 0) return
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    cause = error
  }
  const why = cause instanceof Error ? cause.message : 'what was written is not there'
  const message = `the cache is required and cannot be used: ${why}`
  throw refusal('ERR_MANIFEST_CACHE_REQUIRED', { document: 'status' }, message, { cause })
}

const OUTAGE: ReadonlySet<string> = new Set(['ERR_STORE_READ', 'ERR_STORE_WRITE'])
