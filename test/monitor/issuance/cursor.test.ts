import { expect, test } from 'vitest'
import { createCursor } from '../../../src/monitor/issuance/cursor.ts'
import { systemRuntime } from '../../../src/ports/system.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import type { Store } from '../../../src/stores/store.ts'

/** Another process writes between this one's list and get, so many times. */
function contested(times: number): Store {
  const store = memoryStore()
  const other = createCursor(store, systemRuntime)
  let left = times
  return {
    ...store,
    get: async (name) => {
      left -= 1
      if (left >= 0) await other.save({ positions: new Map([['log', left]]), told: [] })
      return store.get(name)
    },
  }
}

test('a cursor that another process replaces while it is read is read anew', async () => {
  const store = contested(2)
  await createCursor(store, systemRuntime).save({ positions: new Map([['log', 9]]), told: [] })
  expect((await createCursor(store, systemRuntime).load()).positions).toEqual(new Map([['log', 0]]))
})

test('one that is replaced again and again is ERR_STORE_CONFLICT, and never no cursor', async () => {
  const store = contested(Number.POSITIVE_INFINITY)
  const cursor = createCursor(store, systemRuntime)
  expect((await cursor.load()).positions.size).toBe(0) // there is none yet
  await cursor.save({ positions: new Map(), told: [] })
  await expect(cursor.load()).rejects.toMatchObject({ code: 'ERR_STORE_CONFLICT' })
})
