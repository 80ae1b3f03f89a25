/**
 * One of several processes that share a token store: `counting.ts KIND PLACE FILE ROUNDS`. Counts a record up by
 * compare-and-swap, and a file, which has none, under the lease. Run by token-stores.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createClient } from 'redis'
import { fileTokenStore } from '../../../src/stores/tokens/file.ts'
import { redisTokenStore } from '../../../src/stores/tokens/redis.ts'

const [kind = '', place = '', file = '', rounds = '0'] = process.argv.slice(2)
const redis = kind === 'redis' ? await createClient({ url: place }).connect() : undefined
const store = redis === undefined ? fileTokenStore({ dir: place }) : redisTokenStore({ client: redis })
const { signal } = new AbortController()
const patient = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      // A machine under load is slower than the deadline of the store.
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_STORE_UNAVAILABLE')) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

for (let done = 0; done < Number(rounds); ) {
  const record = await patient(() => store.load('counter', signal))
  const next = { v: (record?.v ?? 0) + 1, sealed: 'x' }
  // One whose answer was lost may have been written: the sum would be one too many, and never one too few.
  if (await store.compareAndSwap('counter', record?.v ?? null, next, { signal }).catch(() => false)) done += 1
}
for (let done = 0; done < Number(rounds); ) {
  await using lease = await patient(() => store.lease('file', { ttlMs: 60_000, waitMs: 60_000, signal }))
  if (lease === undefined) continue
  const count = Number(readFileSync(file, 'utf8'))
  await new Promise((resolve) => setTimeout(resolve, 1))
  writeFileSync(file, String(count + 1))
  done += 1
}
redis?.destroy()
