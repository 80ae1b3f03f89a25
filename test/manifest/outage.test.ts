import { expect, test } from 'vitest'
import { StoreError } from '../../src/errors/errors.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { quietOutage, requireCache } from '../../src/manifest/outage.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { refusalOf, text } from './world.ts'

const failed = (code: 'ERR_STORE_READ' | 'ERR_STORE_WRITE' | 'ERR_STORE_EXPOSED'): ClientEvent => ({
  type: 'manifest.cacheError',
  code,
  message: 'x: EROFS',
})
const corrupt: ClientEvent = { type: 'manifest.cacheError', code: 'ERR_MANIFEST_CACHE_CORRUPT', message: 'x: ignored' }
const closed: ClientEvent = { type: 'manifest.closed' }

test('an outage is one event, whether reading or writing fails, until something was written again', async () => {
  const told: ClientEvent[] = []
  const { emit, store } = quietOutage(memoryStore(), (event) => told.push(event))
  for (const code of ['ERR_STORE_READ', 'ERR_STORE_WRITE', 'ERR_STORE_READ'] as const) emit(failed(code))
  expect(told.splice(0)).toEqual([failed('ERR_STORE_READ')])
  await store.put('a/x', text('1'))
  emit(failed('ERR_STORE_WRITE'))
  expect(told.splice(0)).toEqual([failed('ERR_STORE_WRITE')])
  expect(await store.put('a/x', text('1'))).toBe('exists') // nothing was written
  emit(failed('ERR_STORE_WRITE'))
  expect(told).toEqual([])
})

test('what is no outage is told each time, during one too', () => {
  const told: ClientEvent[] = []
  const { emit } = quietOutage(memoryStore(), (event) => told.push(event))
  const events = [corrupt, corrupt, failed('ERR_STORE_EXPOSED'), failed('ERR_STORE_WRITE'), corrupt, closed, closed]
  for (const event of events) emit(event)
  expect(told).toEqual(events)
})

test('the store is the one given: what it reads, lists and deletes', async () => {
  const held = memoryStore()
  await held.put('a/x', text('1'))
  const { store } = quietOutage(held, () => undefined)
  expect([await store.get('a/x'), await store.list('a/')]).toEqual([text('1'), ['a/x']])
  await store.delete('a/x')
  expect(await held.list('a/')).toEqual([])
})

const broken = (message: string) => () => Promise.reject(new StoreError('ERR_STORE_WRITE', message))

test.each<[string, Partial<Store>, string]>([
  ['cannot be written', { put: broken('check: EROFS') }, 'check: EROFS'],
  ['cannot be read', { get: broken('check: EACCES') }, 'check: EACCES'],
  ['cannot be listed', { list: broken('status: EACCES') }, 'status: EACCES'],
  ['cannot be deleted from', { delete: broken('check: EPERM') }, 'check: EPERM'],
  ['loses what it is given', { get: async () => undefined }, 'what was written is not there'],
  ['answers with other bytes', { get: async () => text('12345678') }, 'what was written is not there'],
])('a required cache that %s is refused, with why', async (_, spoilt, why) => {
  const refused = await refusalOf(requireCache({ ...memoryStore(), ...spoilt }, 'a/', createTestRuntime()))
  expect(refused).toMatchObject({
    code: 'ERR_MANIFEST_CACHE_REQUIRED',
    kind: 'config',
    message: `status: the cache is required and cannot be used: ${why}`,
  })
  expect(refused.cause instanceof StoreError).toBe(why !== 'what was written is not there')
})

test('a required cache that works is tried with a file of its own, in the place where documents go', async () => {
  const held = memoryStore()
  const names: string[] = []
  const store: Store = {
    ...held,
    put: (name, bytes) => {
      names.push(`${name} ${bytes.length}`)
      return held.put(name, bytes)
    },
    list: (prefix) => {
      names.push(prefix)
      return held.list(prefix)
    },
  }
  const runtime = createTestRuntime()
  await requireCache(store, 'a/', runtime)
  await requireCache(store, 'a/', runtime)
  expect(names).toEqual([
    expect.stringMatching(/^a\/check-[0-9a-f]{16} 8$/),
    'a/status/',
    expect.stringMatching(/^a\/check-[0-9a-f]{16} 8$/),
    'a/status/',
  ])
  expect(names[0]).not.toBe(names[2])
  expect(await held.list('a/')).toEqual([])
})

test('a fault that is no failure of the store passes through', async () => {
  const store: Store = { ...memoryStore(), get: () => Promise.reject(new RangeError('a bug')) }
  await expect(requireCache(store, 'a/', createTestRuntime())).rejects.toThrow(RangeError)
})
