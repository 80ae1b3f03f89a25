import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createManifestSource, customSource, type ManifestLocation, mirrorOf } from '../../src/manifest/sources.ts'
import { frozenMount } from '../../src/manifest/watch.ts'
import type { FetchBytes } from '../../src/ports/runtime.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { text } from './world.ts'

const limits = { maxBytes: 100, signal: new AbortController().signal, ifNoneMatch: '"a"' }
const noNetwork: FetchBytes = () => Promise.reject(new Error('no network'))
const ABSENT = { status: 404, headers: {}, bytes: new Uint8Array() }

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pinfetch-mirrors-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

test('a mirror under https is named by origin and path, and asks below them with the limits it is given', async () => {
  const asked: unknown[] = []
  const fetchBytes: FetchBytes = async (url, given) => {
    asked.push([url.href, given])
    return ABSENT
  }
  const url = new URL('https://user@pins.example.com:8443/acme/?x#y')
  const mirror = mirrorOf({ kind: 'https', url }, fetchBytes)
  expect(mirror.name).toBe('https://pins.example.com:8443/acme/')
  expect(await mirror.get('roots/2.json', limits)).toBe(ABSENT)
  expect(asked).toEqual([['https://user@pins.example.com:8443/acme/roots/2.json', limits]])
})

test('a directory is named by its path and answers with its files, one byte past the limit at most', async () => {
  const directory = await folder()
  await mkdir(join(directory, 'roots'))
  await writeFile(join(directory, 'roots', '2.json'), 'x'.repeat(200))
  const mirror = mirrorOf({ kind: 'directory', path: directory }, noNetwork)
  expect(mirror.name).toBe(directory)
  expect((await mirror.get('roots/2.json', limits)).bytes).toHaveLength(101)
  expect(await mirror.get('roots/3.json', limits)).toEqual(ABSENT)
})

test('a bundle is named by where it is from, whether it is read anew or was read already', async () => {
  const document = { payload: '', signatures: [] }
  const path = join(await folder(), 'pins.json')
  const served = { status: 200, headers: {}, bytes: text(JSON.stringify(document)) }
  await writeFile(path, JSON.stringify({ status: document, manifest: document }))
  const get = (asked: string) => (asked === 'status.json' ? served.bytes : undefined)
  for (const location of [
    { kind: 'file', path },
    { kind: 'bundle', path, bundle: { get } },
  ] satisfies ManifestLocation[]) {
    const mirror = mirrorOf(location, noNetwork)
    expect(mirror.name).toBe(path)
    expect(await mirror.get('status.json', limits)).toEqual(served)
    expect(await mirror.get('roots/2.json', limits)).toEqual(ABSENT)
  }
})

test('a source has its mirrors in the order of its locations', () => {
  const locations: ManifestLocation[] = [
    { kind: 'directory', path: '/b' },
    { kind: 'file', path: '/a' },
  ]
  expect(createManifestSource(locations, noNetwork).mirrors.map(({ name }) => name)).toEqual(['/b', '/a'])
  expect(createManifestSource(locations, noNetwork)).not.toHaveProperty('watch')
  const get = () => Promise.resolve(ABSENT)
  expect(customSource('mine', get)).toEqual({ mirrors: [{ name: 'mine', get }] })
})

test('of directories the status is watched, of bundles their file; the rest cannot be', async () => {
  const directory = await folder()
  const runtime = createTestRuntime()
  const watched = new Map<string, () => void>()
  const locations: ManifestLocation[] = [
    { kind: 'https', url: new URL('https://pins.example.com/') },
    { kind: 'bundle', path: '/read', bundle: { get: () => undefined } },
    { kind: 'directory', path: join(directory, 'published') },
    { kind: 'file', path: join(directory, 'pins.json') },
  ]
  const source = createManifestSource(locations, noNetwork, {
    runtime,
    watchFolder: (path, changed) => {
      watched.set(path, changed)
      return () => watched.delete(path)
    },
  })
  const warnings: unknown[] = []
  let changes = 0
  const listener = {
    changed: () => {
      changes += 1
    },
    warn: (...warning: unknown[]) => warnings.push(warning),
  }
  const stop = source.watch?.(listener) ?? expect.fail('not watched')
  expect([...watched.keys()]).toEqual([join(directory, 'published'), directory])
  await expect.poll(() => runtime.pendingTimers, { interval: 1 }).toBe(2) // both were looked at
  await mkdir(join(directory, 'published'))
  for (const name of ['published/status.json', 'pins.json']) await writeFile(join(directory, name), '{}')
  for (const tell of watched.values()) tell()
  await expect.poll(() => [changes, runtime.pendingTimers], { interval: 1 }).toEqual([2, 2])
  for (const name of ['published/status.json', 'pins.json']) await frozenMount(join(directory, name))
  expect(warnings).toEqual([]) // what was asked of them first is answered by now
  stop()
  expect([watched.size, runtime.pendingTimers]).toEqual([0, 0])
})

test('a file that is mounted by itself is told, by its path', async () => {
  const directory = await folder()
  const file = join(directory, 'pins.json')
  const mountInfo = join(directory, 'mountinfo')
  await writeFile(file, '{}')
  await writeFile(mountInfo, `30 22 8:1 /vol/pins.json ${file} ro - ext4 x rw\n`)
  const watching = { runtime: createTestRuntime(), watchFolder: () => () => undefined, mountInfo }
  const told: unknown[] = []
  const stop = createManifestSource([{ kind: 'file', path: file }], noNetwork, watching).watch?.({
    changed: () => undefined,
    warn: (...warning) => told.push(warning),
  })
  await expect.poll(() => told, { interval: 1 }).toEqual([[file, expect.stringContaining('mounted by itself')]])
  stop?.()
})
