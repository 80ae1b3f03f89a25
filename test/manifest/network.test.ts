import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TransportError } from '../../src/errors/errors.ts'
import { parseRetryAfter } from '../../src/manifest/fetch-document.ts'
import { createManifestSource } from '../../src/manifest/sources.ts'
import type { FetchBytes } from '../../src/ports/runtime.ts'
import { codeOf, createWorld, HOUR, host, refusalOf, sourceOf, startedWorld } from './world.ts'

test('a source that sends more than allowed is refused with ERR_MANIFEST_FETCH_TOO_LARGE (case 107)', async () => {
  const { world, updater } = await startedWorld()
  world.serve('status.json', new Uint8Array(64 * 1024 + 1))
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_FETCH_TOO_LARGE')
  await updater.close()
})

test('a source is told how much it may send: roots and status 64 KiB, the manifest what its status says', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const caps: number[] = []
  const [mirror] = world.source.mirrors
  const source = {
    mirrors: [
      {
        name: 'counting',
        get: async (path: string, limits: Parameters<FetchBytes>[1]) => {
          caps.push(limits.maxBytes)
          return mirror?.get(path, limits) ?? Promise.reject(new Error('no mirror'))
        },
      },
    ],
  }
  const updater = world.start({ source })
  await world.drive(updater.ready())
  const [path] = [...world.repository.files().keys()].filter((name) => name.startsWith('manifests/'))
  const { payload } = JSON.parse(
    Buffer.from(world.repository.files().get(path as string) as Uint8Array).toString(),
  ) as { payload: string }
  const length = Buffer.from(payload, 'base64url').length
  expect(caps).toEqual([65_536, 65_536, Math.ceil((length * 4) / 3) + 65_536])
  await updater.close()
})

test('a source that never answers is ERR_MANIFEST_FETCH_TIMEOUT after five seconds (cases 109, 110)', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', 'hang')
  const begun = world.now()
  await world.runtime.advance(1_000)
  const refused = refusalOf(updater.refresh())
  await world.runtime.advance(4_999)
  expect(updater.health().lastError).toBeUndefined()
  await world.runtime.advance(1)
  expect(await refused).toMatchObject({ code: 'ERR_MANIFEST_FETCH_TIMEOUT', kind: 'transient', document: 'status' })
  expect(world.now() - begun).toBe(6_000)
  await updater.close()
})

test.each(['gzip', 'br', 'zstd, identity'])(
  'a source that compresses with %s, which is not asked for, is refused with ERR_MANIFEST_FETCH_ENCODED (case 108)',
  async (encoding) => {
    const { world, updater } = await startedWorld()
    const bytes = world.repository.files().get('status.json') as Uint8Array
    world.answers.set('status.json', { bytes, headers: { 'content-encoding': encoding } })
    expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_FETCH_ENCODED')
    world.answers.set('status.json', { bytes, headers: { 'content-encoding': 'identity' } })
    await world.refresh(updater)
    await updater.close()
  },
)

test.each([301, 302, 307, 308])(
  'a redirect with %i is refused with ERR_MANIFEST_FETCH_REDIRECT (case 111)',
  async (status) => {
    const { world, updater } = await startedWorld()
    world.answers.set('status.json', { status, headers: { location: 'https://elsewhere.example/status.json' } })
    expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_FETCH_REDIRECT')
    await updater.close()
  },
)

test.each([401, 403, 404, 429, 500, 503])(
  'a status that answers %i is ERR_MANIFEST_FETCH_HTTP, and polling goes on for ever (case 112)',
  async (status) => {
    const { world, updater } = await startedWorld()
    world.answers.set('status.json', { status })
    await expect(world.refresh(updater)).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP', kind: 'transient' })
    world.requests.length = 0
    await world.pass(12 * HOUR)
    const polls = world.requests.filter((path) => path === 'status.json').length
    expect(polls).toBeGreaterThan((12 * HOUR) / 900_000) // never further apart than 15 minutes
    world.answers.delete('status.json')
    await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
    await world.pass(HOUR)
    expect(updater.current().version).toBe(2)
    await updater.close()
  },
)

test.each([
  ['5', 5_000],
  ['0', 1_000],
  ['31536000', 86_400_000],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 1_000],
  ['soon', undefined],
  [undefined, undefined],
])('Retry-After %j is read as %j ms (case 113)', (value, ms) => {
  expect(parseRetryAfter(value, Date.UTC(2026, 0, 1))).toBe(ms)
})

test('Retry-After decides when the next poll is', async () => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', { status: 429, headers: { 'retry-after': '7200' } })
  await expect(world.refresh(updater)).rejects.toMatchObject({ retryAfterMs: 7_200_000 })
  expect(updater.health().nextPollAt).toBe(world.now() + 7_200_000)
  await updater.close()
})

test.each([
  ['a failure of the transport', new TransportError('ERR_TRANSPORT_RESOLVE', 'x'), 'ERR_MANIFEST_FETCH_NETWORK'],
  ['any other failure', new Error('socket hang up'), 'ERR_MANIFEST_FETCH_NETWORK'],
  ['a deadline of the transport', new TransportError('ERR_TRANSPORT_TIMEOUT', 'x'), 'ERR_MANIFEST_FETCH_TIMEOUT'],
  [
    'a body that the transport cut',
    new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', 'x'),
    'ERR_MANIFEST_FETCH_TOO_LARGE',
  ],
])('%s is refused with its code and the cause (case 114)', async (_, cause, code) => {
  const { world, updater } = await startedWorld()
  world.answers.set('status.json', cause)
  const refused = await refusalOf(world.refresh(updater))
  expect(refused).toMatchObject({ code, cause, source: 'memory:/ status.json' })
  await updater.close()
})

describe('mirrors', () => {
  test('a mirror that rolled back is passed over in silence (case 115)', async () => {
    const { world, updater } = await startedWorld()
    await updater.close()
    const old = world.repository.files()
    await world.repository.publishStatus({ now: world.now() })
    let shown = world.repository.files()
    const mirrors = [sourceOf('fresh', () => shown), sourceOf('other', () => world.repository.files())].flatMap(
      (source) => source.mirrors,
    )
    const client = world.start({ source: { mirrors } })
    await world.refresh(client)
    expect(client.health().statusVersion).toBe(2)
    shown = old
    await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
    world.events.length = 0
    await world.refresh(client)
    expect(client.health()).toMatchObject({ statusVersion: 3, manifestVersion: 2 })
    expect(world.eventsOf('manifest.rejected')).toEqual([])
    await client.close()
  })

  test('when all mirrors roll back it is ERR_MANIFEST_STATUS_ROLLBACK', async () => {
    const { world } = await startedWorld()
    const old = world.repository.files()
    await world.repository.publishStatus({ now: world.now() })
    let shown = world.repository.files()
    const mirrors = ['a', 'b'].flatMap((name) => sourceOf(name, () => shown).mirrors)
    const client = world.start({ source: { mirrors } })
    await world.refresh(client)
    shown = old
    expect(await refusalOf(world.refresh(client))).toMatchObject({
      code: 'ERR_MANIFEST_STATUS_ROLLBACK',
      kind: 'security',
    })
    await client.close()
  })

  test('F53: a mirror that stands still does not hide what another has', async () => {
    const { world, updater } = await startedWorld()
    await updater.close()
    const old = world.repository.files()
    const mirrors = [sourceOf('still', () => old), sourceOf('moving', () => world.repository.files())].flatMap(
      (source) => source.mirrors,
    )
    const client = world.start({ source: { mirrors } })
    await world.refresh(client)
    await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
    await world.refresh(client)
    await world.refresh(client)
    expect(client.current().version).toBe(2)
    await client.close()
  })

  test('a mirror that hangs costs its own deadline and no more (case 116)', async () => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const hanging = sourceOf('hanging', () => new Map(), {
      answers: new Map([
        ['roots/2.json', 'hang'],
        ['status.json', 'hang'],
      ]),
    })
    const good = sourceOf('good', () => world.repository.files())
    const updater = world.start({ source: { mirrors: [...hanging.mirrors, ...good.mirrors] }, startupMs: 60_000 })
    await world.drive(updater.ready())
    expect(updater.current().kind).toBe('fresh')
    await updater.close()
  })

  test('a refresh that crawls from mirror to mirror ends with ERR_MANIFEST_FETCH_TIMEOUT after two minutes', async () => {
    const world = await createWorld()
    const answers = new Map([['roots/2.json', 'hang' as const]])
    const requests: string[] = []
    const mirrors = Array.from(
      { length: 40 },
      (_, at) => sourceOf(`m${at}`, () => new Map(), { answers, requests }).mirrors,
    ).flat()
    const updater = world.start({ source: { mirrors } })
    const refused = refusalOf(updater.refresh())
    await expect.poll(() => requests.length, { timeout: 15_000 }).toBe(1) // the anchor is verified outside of the fake time
    await world.runtime.advance(130_000)
    expect(await refused).toMatchObject({ code: 'ERR_MANIFEST_FETCH_TIMEOUT', document: 'status' })
    await updater.close()
  })

  test('each mirror is sent its own entity tag', async () => {
    const { world, updater } = await startedWorld()
    const answers = new Map([
      ['status.json', { bytes: world.repository.files().get('status.json') as Uint8Array, headers: { etag: '"a"' } }],
    ])
    const tagsOfB: (string | undefined)[] = []
    const a = sourceOf('a', () => new Map(), { answers })
    const b = sourceOf('b', () => world.repository.files(), { tags: tagsOfB })
    const client = world.start({ source: { mirrors: [...a.mirrors, ...b.mirrors] } })
    await world.refresh(client)
    answers.delete('status.json')
    await world.refresh(client)
    expect(tagsOfB).not.toContain('"a"')
    await client.close()
    await updater.close()
  })
})

describe('sources', () => {
  test('https documents are asked for below the base URL', async () => {
    const asked: string[] = []
    const {
      mirrors: [mirror],
    } = createManifestSource([{ kind: 'https', url: new URL('https://pins.example.com/acme/') }], async (url) => {
      asked.push(url.href)
      return { status: 404, headers: {}, bytes: new Uint8Array() }
    })
    await mirror?.get('roots/2.json', { maxBytes: 1, signal: AbortSignal.timeout(1_000) })
    expect(asked).toEqual(['https://pins.example.com/acme/roots/2.json'])
  })

  test('a directory answers 404 for what is not there, follows links and stops reading one byte past the limit', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pinfetch-source-'))
    await mkdir(join(directory, '..data'))
    await writeFile(join(directory, '..data', 'status.json'), '0123456789')
    await symlink(join('..data', 'status.json'), join(directory, 'status.json'))
    const {
      mirrors: [mirror],
    } = createManifestSource([{ kind: 'directory', path: directory }], () => Promise.reject(new Error('no network')))
    const get = (path: string, maxBytes: number) => mirror?.get(path, { maxBytes, signal: AbortSignal.timeout(1_000) })
    expect(await get('roots/2.json', 10)).toMatchObject({ status: 404 })
    expect(await get('status.json/x', 10)).toMatchObject({ status: 404 })
    expect((await get('status.json', 10))?.bytes).toHaveLength(10)
    expect((await get('status.json', 4))?.bytes).toHaveLength(5)
    await rm(directory, { recursive: true })
  })
})
