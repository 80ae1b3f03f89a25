import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { adaptSource, type CustomSource } from '../../src/manifest/custom-source.ts'
import { UnusableSource } from '../../src/manifest/read-document.ts'
import { text } from './world.ts'

const limits = { maxBytes: 10, signal: new AbortController().signal, ifNoneMatch: '"a"' }
const EMPTY = new Uint8Array()

/** What the source answers the engine when the application's `get` answers this. */
async function answer(given: unknown) {
  const { mirrors } = adaptSource({ get: async () => given as undefined })
  return mirrors[0]?.get('status.json', limits)
}

/** A source that is watched: what it told, and how to end it. */
function watched(watch?: CustomSource['watch']) {
  const told: unknown[] = []
  const source = adaptSource({ name: 'bus', get: async () => undefined, ...(watch === undefined ? {} : { watch }) })
  const stop = source.watch?.({
    changed: () => told.push('changed'),
    warn: (name, message) => told.push([name, message]),
  })
  return { told, stop: stop ?? expect.fail('a source that cannot be watched') }
}

test('has one mirror, under its name or as `custom`, that is asked with path and limits', async () => {
  const asked: unknown[] = []
  const get: CustomSource['get'] = async (...given) => void asked.push(given)
  const [named, unnamed] = [adaptSource({ name: 'bucket', get }), adaptSource({ get })]
  expect([...named.mirrors, ...unnamed.mirrors].map(({ name }) => name)).toEqual(['bucket', 'custom'])
  await named.mirrors[0]?.get('roots/2.json', limits)
  expect(asked).toEqual([['roots/2.json', limits]])
})

test.each<[string, unknown, object]>([
  ['bytes are a document', text('{}'), { status: 200, headers: {}, bytes: text('{}') }],
  ['nothing is an absence', undefined, { status: 404, headers: {}, bytes: EMPTY }],
  ['a status alone has no bytes and no header fields', { status: 304 }, { status: 304, headers: {}, bytes: EMPTY }],
  [
    'names of header fields are read in any case',
    { status: 200, headers: { ETag: '"a"', 'Retry-After': '5' }, bytes: text('x') },
    { status: 200, headers: { etag: '"a"', 'retry-after': '5' }, bytes: text('x') },
  ],
])('%s', async (_, given, seen) => {
  expect(await answer(given)).toEqual(seen)
})

test.each<[string, unknown]>([
  ['text', 'text'],
  ['no status', { bytes: EMPTY }],
  ['half a status', { status: 200.5 }],
  ['a status as text', { status: '200' }],
  ['bytes as text', { status: 200, bytes: '{}' }],
  ['bytes as an array', { status: 200, bytes: [1] }],
])('an answer that is %s is none', async (_, given) => {
  const refused = answer(given)
  await expect(refused).rejects.toBeInstanceOf(UnusableSource)
  await expect(refused).rejects.toThrow(
    'the source answered something else than a Uint8Array, undefined, or { status, headers, bytes }',
  )
})

describe('watching', () => {
  test('hears each change until it ends, whatever the bus says then', async () => {
    let push = () => {}
    let ended = 0
    const { told, stop } = watched((changed) => {
      push = changed
      return () => {
        ended += 1
      }
    })
    push()
    push()
    stop()
    push()
    await setImmediate()
    expect([told, ended]).toEqual([['changed', 'changed'], 1])
  })

  test('is not needed, and need not be ended by a function', async () => {
    for (const { told, stop } of [watched(), watched(() => undefined), watched(() => ({ not: 'a function' }))]) {
      await setImmediate()
      stop()
      await setImmediate()
      expect(told).toEqual([])
    }
  })

  test('ends a subscription that is made only after the end', async () => {
    let subscribe = (_: () => void) => {}
    let ended = 0
    const { stop } = watched(() => new Promise((resolve) => (subscribe = resolve)))
    stop()
    subscribe(() => {
      ended += 1
    })
    await setImmediate()
    expect(ended).toBe(1)
  })

  test.each<[string, CustomSource['watch'], string]>([
    ['throws', () => expect.fail('no bus'), 'no bus'],
    ['rejects', () => Promise.reject(new Error('no bus')), 'no bus'],
    ['rejects with text', () => Promise.reject('no bus either'), 'no bus either'],
  ])('that %s is told, with why', async (_, watch, why) => {
    const { told, stop } = watched(watch)
    await setImmediate()
    expect(told).toEqual([['bus', `watch failed, so polling alone finds changes: ${why}`]])
    stop()
    await setImmediate()
  })

  test('that fails after the end is of no consequence, nor is an end that fails', async () => {
    let fail = (_: Error) => {}
    const late = watched(() => new Promise((_resolve, reject) => (fail = reject)))
    late.stop()
    fail(new Error('no bus'))
    const broken = watched(() => () => {
      throw new Error('already ended')
    })
    broken.stop()
    await setImmediate()
    expect([late.told, broken.told]).toEqual([[], []])
  })
})

test('closes with what the application closes with', async () => {
  const calls: string[] = []
  const get = async () => undefined
  const source = adaptSource({
    get,
    close: async () => {
      await setImmediate()
      calls.push('closed')
      return 'a result of no interest'
    },
  })
  expect(await source.close?.()).toBeUndefined()
  expect(calls).toEqual(['closed'])
  expect(await adaptSource({ get }).close?.()).toBeUndefined()
})
