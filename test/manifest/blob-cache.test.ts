import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createBlobCache } from '../../src/manifest/blob-cache.ts'
import { checkBlob } from '../../src/manifest/hosts.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { text } from './world.ts'

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const referenceTo = (bytes: Uint8Array) => ({ sha256: hashOf(bytes), length: bytes.length })
const checked = (bytes: Uint8Array) => checkBlob(bytes, referenceTo(bytes), { document: 'blob' })
const nameOf = (bytes: Uint8Array): string => `base/blobs/${hashOf(bytes)}.json`
const [one, two] = [checked(text('["one"]')), checked(text('["two"]'))]

/** Files in memory, and what was asked of them. */
function begin() {
  const held = new Map<string, Uint8Array>()
  const told: { name: string; error: unknown }[] = []
  const reads: string[] = []
  const runtime = createTestRuntime()
  const cache = createBlobCache(
    'base/',
    {
      get: async (name) => {
        reads.push(name)
        return held.get(name)
      },
      put: async (name, bytes) => void held.set(name, bytes),
      list: async (prefix) => [...held.keys()].filter((name) => name.startsWith(prefix)),
      remove: async (name) => void held.delete(name),
      corrupt: (name, error) => void told.push({ name, error }),
    },
    runtime,
  )
  /** A manifest as it is stored, naming these blobs. */
  const keep = (name: string, ...blobs: readonly Uint8Array[]) => {
    const payload = Buffer.from(JSON.stringify({ blobs: blobs.map(referenceTo) })).toString('base64url')
    held.set(name, text(JSON.stringify({ payload, signatures: [] })))
  }
  return { cache, held, told, reads, runtime, keep }
}

test('a blob is kept under its hash and found by it', async () => {
  const { cache, held, told } = begin()
  await cache.save(referenceTo(one), one)
  expect([...held.keys()]).toEqual([nameOf(one)])
  expect(await cache.load(referenceTo(one))).toEqual(one)
  expect(await cache.load(referenceTo(two))).toBeUndefined()
  expect(told).toEqual([])
})

test('a file that holds something else than its name says is told and not used', async () => {
  const { cache, held, told } = begin()
  held.set(nameOf(one), text('["eno"]'))
  expect(await cache.load(referenceTo(one))).toBeUndefined()
  expect(told).toEqual([
    {
      name: nameOf(one),
      error: expect.objectContaining({
        code: 'ERR_MANIFEST_BLOB_HASH_MISMATCH',
        document: 'blob',
        source: nameOf(one),
      }),
    },
  ])
})

test('a fault that is no refusal passes through', async () => {
  const { cache, held, told } = begin()
  held.set(nameOf(one), 7 as unknown as Uint8Array)
  await expect(cache.load({ ...referenceTo(one), length: undefined as unknown as number })).rejects.toThrow(TypeError)
  expect(told).toEqual([])
})

describe('pruning', () => {
  test('takes a blob that no manifest names, ten minutes after it was first seen so', async () => {
    const { cache, held, runtime, keep } = begin()
    for (const blob of [one, two]) held.set(nameOf(blob), blob)
    keep('m1', two)
    await runtime.advance(3_600_000)
    await cache.prune(['m1'])
    await runtime.advance(599_999)
    await cache.prune(['m1'])
    expect(held.has(nameOf(one))).toBe(true)
    await runtime.advance(1)
    await cache.prune(['m1'])
    expect([...held.keys()]).toEqual([nameOf(two), 'm1'])
  })

  test('keeps what any of the manifests names', async () => {
    const { cache, held, runtime, keep } = begin()
    for (const blob of [one, two]) held.set(nameOf(blob), blob)
    keep('m1', one)
    keep('m2', two)
    for (const wait of [0, 600_000]) {
      await runtime.advance(wait)
      await cache.prune(['m1', 'm2'])
    }
    expect(held.size).toBe(4)
  })

  test('counts anew for a blob that was named again in between', async () => {
    const { cache, held, runtime, keep } = begin()
    held.set(nameOf(one), one)
    keep('m1', one)
    for (const manifests of [[], ['m1'], []]) {
      await cache.prune(manifests)
      await runtime.advance(400_000)
    }
    await cache.prune([])
    expect(held.has(nameOf(one))).toBe(true)
    await runtime.advance(200_000)
    await cache.prune([])
    expect(held.has(nameOf(one))).toBe(false)
  })

  test('keeps the blobs of a manifest that could not be read for once', async () => {
    const { cache, held, runtime, keep } = begin()
    held.set(nameOf(one), one)
    await cache.prune(['m1'])
    keep('m1', one)
    for (const wait of [600_000, 600_000]) {
      await runtime.advance(wait)
      await cache.prune(['m1'])
    }
    expect(held.has(nameOf(one))).toBe(true)
  })

  test('reads each manifest once, and forgets one that is gone', async () => {
    const { cache, held, reads, keep } = begin()
    held.set(nameOf(one), one)
    keep('m1', one)
    keep('m2', two)
    for (const manifests of [['m1', 'm2'], ['m1', 'm2'], ['m2'], ['m1', 'm2']]) await cache.prune(manifests)
    expect(reads).toEqual(['m1', 'm2', 'm1'])
  })

  test('reads no manifest while there are no blobs', async () => {
    const { cache, reads, keep } = begin()
    keep('m1', one)
    await cache.prune(['m1'])
    expect(reads).toEqual([])
  })

  test('takes hashes as a whole: part of a longer word names nothing', async () => {
    const { cache, held, runtime } = begin()
    held.set(nameOf(one), one)
    const payload = Buffer.from(JSON.stringify({ blobs: [`${hashOf(one)}00`, `00${hashOf(one)}`] })).toString(
      'base64url',
    )
    held.set('m1', text(JSON.stringify({ payload })))
    for (const wait of [0, 600_000]) {
      await runtime.advance(wait)
      await cache.prune(['m1'])
    }
    expect(held.has(nameOf(one))).toBe(false)
  })

  test('a manifest that is lost keeps no blobs, and hinders none', async () => {
    const { cache, held, runtime, keep } = begin()
    for (const blob of [one, two]) held.set(nameOf(blob), blob)
    keep('m1', one)
    for (const wait of [0, 600_000]) {
      await runtime.advance(wait)
      await cache.prune(['m1', 'lost'])
    }
    expect([...held.keys()]).toEqual([nameOf(one), 'm1'])
  })
})
