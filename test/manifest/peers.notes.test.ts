import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../src/errors/errors.ts'
import type { AcceptedStatus } from '../../src/manifest/accept.ts'
import { createPeers } from '../../src/manifest/peers.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { text } from './world.ts'

const BASE = `${createHash('sha256').update('acme/pins').digest('hex').slice(0, 16)}/prod/`
const statusOf = (sha256: string) => ({ sha256 }) as AcceptedStatus
const [first, second] = ['1', '2'].map((digit) => statusOf(digit.repeat(64))) as [AcceptedStatus, AcceptedStatus]
const at = (ms: number) => String(ms).padStart(16, '0')

function shared() {
  const store = memoryStore()
  const runtime = createTestRuntime({ now: 1_000_000 })
  const join = (own: Partial<Store> = {}) =>
    createPeers({ store: { ...store, ...own }, repo: 'acme/pins', env: 'prod', runtime })
  return { store, runtime, join, notes: async () => (await store.list(`${BASE}polls/`)).toSorted() }
}

test('leaves word of its poll in the name of an empty file: when, by whom and with which status', async () => {
  const { store, join, notes } = shared()
  await join().tell(first)
  const [note = '', ...others] = await notes()
  expect(note).toMatch(new RegExp(`^${BASE}polls/${at(1_000_000)}\\.[0-9a-f]{8}\\.${'1'.repeat(16)}$`))
  expect(others).toEqual([])
  expect(await store.get(note)).toEqual(new Uint8Array())
})

test('finds the newest poll of the others, never its own', async () => {
  const { join, runtime } = shared()
  const [one, two, three] = [join(), join(), join()]
  expect(await one.lastPoll()).toBeUndefined()
  await one.tell(first)
  expect(await one.lastPoll()).toBeUndefined()
  await runtime.advance(10)
  await two.tell(second)
  await runtime.advance(10)
  await one.tell(first)
  expect(await one.lastPoll()).toMatchObject({ at: 1_000_010 })
  expect(await three.lastPoll()).toMatchObject({ at: 1_000_020 })
  const poll = await one.lastPoll()
  expect([poll?.found(first), poll?.found(second), poll?.found(undefined)]).toEqual([false, true, false])
})

test('counts a poll of this very millisecond, and none of the next', async () => {
  const { store, join } = shared()
  const note = (ms: number) => store.put(`${BASE}polls/${at(ms)}.${'ab'.repeat(4)}.${'1'.repeat(16)}`, text(''))
  await note(1_000_001)
  expect(await join().lastPoll()).toBeUndefined()
  await note(1_000_000)
  expect(await join().lastPoll()).toMatchObject({ at: 1_000_000 })
})

test.each([
  `${at(9)}.abababab.${'1'.repeat(16)}.tmp`,
  `${at(9)}.abababab.${'1'.repeat(17)}`,
  `${at(9)}.abababab.${'1'.repeat(15)}`,
  `${at(9)}.abababa.${'1'.repeat(16)}`,
  `0${at(9)}.abababab.${'1'.repeat(16)}`,
  `${at(9)}.ABABABAB.${'1'.repeat(16)}`,
  `${at(9)}xabababab.${'1'.repeat(16)}`,
  `${at(9)}.ababababx${'1'.repeat(16)}`,
])('takes %s for no note, and clears it away', async (name) => {
  const { store, join, notes } = shared()
  await store.put(`${BASE}polls/${name}`, text(''))
  const peer = join()
  expect(await peer.lastPoll()).toBeUndefined()
  await peer.tell(first)
  expect(await notes()).toHaveLength(1)
})

test('keeps the four newest notes', async () => {
  const { join, runtime, notes } = shared()
  const peers = [join(), join()]
  for (let round = 0; round < 6; round += 1) {
    await peers[round % 2]?.tell(first)
    await runtime.advance(1)
  }
  const names = await notes()
  expect(names.map((name) => name.slice(`${BASE}polls/`.length).slice(0, 16))).toEqual(
    [2, 3, 4, 5].map((ms) => at(1_000_000 + ms)),
  )
})

test('a store that fails is as if there were no others; any other fault is not', async () => {
  const broken = () => Promise.reject(new StoreError('ERR_STORE_READ', 'x: EACCES'))
  const { join } = shared()
  const alone = join({ list: broken, put: broken })
  await alone.tell(first)
  expect(await alone.lastPoll()).toBeUndefined()
  const faulty = join({ list: () => Promise.reject(new RangeError('a bug')) })
  await expect(faulty.lastPoll()).rejects.toThrow(RangeError)
})

describe('as a mirror', () => {
  const document = (kind: string, version: number, sha256: string) =>
    `${BASE}${kind}/000001.${at(version)}.000001.${sha256.slice(0, 16)}.json`
  const sha256 = 'a'.repeat(64)

  async function holding(...names: readonly string[]) {
    const { store, join } = shared()
    for (const name of names) await store.put(name, text(name))
    const get = (name: string | undefined) => store.get(name ?? expect.fail('a file without a name'))
    const { mirror } = join({ get })
    const { signal } = new AbortController()
    expect(mirror.name).toBe('cache')
    return async (path: string) => {
      const { status, bytes } = await mirror.get(path, { maxBytes: 1, signal })
      return status === 200 ? Buffer.from(bytes).toString() : status
    }
  }

  test.each<[string, string, string[], string | number]>([
    ['a root by its version', 'roots/12.json', [`${BASE}roots/000012.json`], `${BASE}roots/000012.json`],
    [
      'the largest version of a root',
      'roots/999999999.json',
      [`${BASE}roots/999999999.json`],
      `${BASE}roots/999999999.json`,
    ],
    [
      'the newest status',
      'status.json',
      [
        `${BASE}status/later-format`,
        document('status', 2, 'b'.repeat(64)),
        document('status', 10, 'c'.repeat(64)),
        document('status', 9, sha256),
      ],
      document('status', 10, 'c'.repeat(64)),
    ],
    [
      'a manifest by its hash',
      `manifests/1.${sha256}.json`,
      [document('manifest', 2, 'b'.repeat(64)), document('manifest', 1, sha256)],
      document('manifest', 1, sha256),
    ],
    [
      'a manifest of many digits',
      `manifests/9007199254740991.${sha256}.json`,
      [document('manifest', 9007199254740991, sha256)],
      document('manifest', 9007199254740991, sha256),
    ],
    ['a blob by its name', `blobs/${sha256}.json`, [`${BASE}blobs/${sha256}.json`], `${BASE}blobs/${sha256}.json`],
    ['no root that is not there', 'roots/3.json', [`${BASE}roots/000002.json`], 404],
    ['no status where there is none', 'status.json', [], 404],
    ['no manifest of another hash', `manifests/1.${'d'.repeat(64)}.json`, [document('manifest', 1, sha256)], 404],
  ])('serves %s', async (_, path, held, served) => {
    const get = await holding(...held)
    expect(await get(path)).toBe(served)
  })

  test.each([
    `x/roots/2.json`,
    'roots/2.json/x',
    'roots/2xjson',
    'roots/1234567890.json',
    `x/manifests/1.${sha256}.json`,
    `manifests/1.${sha256}.json/x`,
    `manifests/1.${sha256}xjson`,
    `manifests/1x${sha256}.json`,
    `manifests/.${sha256}.json`,
    `manifests/x.${sha256}.json`,
    `manifests/1.${sha256.slice(1)}.json`,
  ])('looks for %s under that name and no other', async (path) => {
    const get = await holding(`${BASE}roots/000002.json`, document('manifest', 1, sha256), `${BASE}${path}`)
    expect(await get(path)).toBe(`${BASE}${path}`)
  })

  test('passes on that the store fails', async () => {
    const { join } = shared()
    const { mirror } = join({ get: () => Promise.reject(new StoreError('ERR_STORE_READ', 'x: EACCES')) })
    const limits = { maxBytes: 1, signal: new AbortController().signal }
    await expect(mirror.get('roots/2.json', limits)).rejects.toThrow(StoreError)
  })
})
