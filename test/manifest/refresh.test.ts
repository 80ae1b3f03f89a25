import { beforeAll, describe, expect, test } from 'vitest'
import { ManifestError } from '../../src/errors/errors.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import type { AcceptedManifest } from '../../src/manifest/accept.ts'
import { createCache } from '../../src/manifest/cache.ts'
import { type Discovery, type Knowledge, learn, timeOf } from '../../src/manifest/knowledge.ts'
import { type RefreshContext, refreshOnce } from '../../src/manifest/refresh.ts'
import { refusal } from '../../src/manifest/refusal.ts'
import { parseAnchor, verifyAnchor } from '../../src/manifest/root.ts'
import { shareOf } from '../../src/manifest/share.ts'
import type { Mirror } from '../../src/manifest/sources.ts'
import { type FetchedBytes, toUnixMs } from '../../src/ports/runtime.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { createRepository, type Repository } from '../../src/publisher/repository.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { DAY, forge, host, payloadOf, pin, refusalOf, text } from './world.ts'

const NOW = Date.UTC(2026, 0, 1)
const HTML = text('<!doctype html><p>Welcome</p>')

type Answer = Partial<FetchedBytes> | Error | ((ifNoneMatch?: string) => Partial<FetchedBytes> | Error)

/** A repository, what a client knows of it, and everything that its refreshes do, in order. */
async function stage(given: Parameters<typeof createRepository>[0] | object = {}) {
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: NOW, ...given })
  const clock = createTestRuntime({ now: NOW })
  const waits: number[] = []
  const runtime: typeof clock = {
    ...clock,
    schedule: (ms, run) => {
      if (ms === DEADLINE_MS) return clock.schedule(ms, run)
      waits.push(ms)
      setImmediate(run)
      return () => undefined
    },
  }
  const log: string[] = []
  const events: ClientEvent[] = []
  const commits: Discovery[] = []
  const answers = new Map<string, Answer>()
  const bytes: number[] = []
  const closing = new AbortController()
  let known: Knowledge = {
    root: await verifyAnchor(parseAnchor(repository.anchor, {})),
    denies: [],
    everAccepted: false,
  }
  let active: AcceptedManifest | undefined
  const emit = (event: ClientEvent): void => {
    events.push(event)
    log.push(event.type)
  }
  const kept = createCache({ store: memoryStore(), repo: 'acme/pins', env: 'prod', runtime, emit })
  const ids: string[] = []
  const cache: RefreshContext['cache'] = {
    ...kept,
    saveRoot: (root) => logged(`saved root ${root.version}`, kept.saveRoot(root)),
    saveStatus: (status) => logged(`saved status ${status.version}`, kept.saveStatus(status)),
    saveManifest: (manifest) => logged(`saved manifest ${manifest.version}`, kept.saveManifest(manifest)),
    blobs: { load: kept.blobs.load, save: (...blob) => logged('saved blob', kept.blobs.save(...blob)) },
    clientId: async () => {
      ids.push('asked')
      return kept.clientId()
    },
  }
  const logged = async <T>(what: string, work: Promise<T>): Promise<T> => {
    log.push(what)
    return work
  }
  const mirror = (name: string, files: () => ReadonlyMap<string, Uint8Array> = repository.files): Mirror => ({
    name,
    get: async (path, { ifNoneMatch, maxBytes }) => {
      log.push(`${name} ${path}`)
      limits.set(path, maxBytes)
      const planned = answers.get(`${name} ${path}`)
      const answer = typeof planned === 'function' ? planned(ifNoneMatch) : planned
      if (answer instanceof Error) throw answer
      if (answer !== undefined) return { status: 200, headers: {}, bytes: new Uint8Array(), ...answer }
      const held = files().get(path)
      return { status: held === undefined ? 404 : 200, headers: {}, bytes: held ?? new Uint8Array() }
    },
  })
  const limits = new Map<string, number>()
  const context: RefreshContext = {
    mirrors: [mirror('a')],
    cache,
    runtime,
    emit,
    signal: closing.signal,
    known: () => known,
    active: () => active,
    time: () => timeOf(known, runtime.clock.now(), runtime.clock.monotonic()),
    commit: (discovery) => {
      known = learn(known, discovery, runtime.clock.monotonic())
      if (discovery.type === 'manifest') active = discovery.manifest
      commits.push(discovery)
      log.push(`commit ${discovery.type}`)
    },
    etags: new Map(),
    probeRoot: false,
    onProbe: () => log.push('probe'),
    onRootConfirmed: () => log.push('root confirmed'),
    onBytes: (count) => bytes.push(count),
    onStatusServed: ({ name }) => log.push(`served by ${name}`),
    onStatusAsked: () => log.push('status asked'),
  }
  return {
    repository,
    runtime,
    waits,
    log,
    events,
    commits,
    answers,
    bytes,
    limits,
    ids,
    closing,
    mirror,
    context,
    known: () => known,
    active: () => active,
    forget: () => {
      active = undefined
    },
    refresh: (overrides: Partial<RefreshContext> = {}) => refreshOnce({ ...context, ...overrides }),
    publish: (...names: readonly string[]) =>
      repository.publishManifest(names.length === 0 ? [host()] : names.map((name) => host(name)), {
        now: runtime.clock.now(),
      }),
    clear: () => {
      for (const list of [log, events, commits, bytes, waits, ids]) list.length = 0
      answers.clear()
    },
  }
}

/** The same with a first manifest in force. */
async function inForce(given: object = {}) {
  const staged = await stage(given)
  await staged.publish()
  await staged.refresh()
  staged.clear()
  return staged
}

const DEADLINE_MS = 5_000
const manifestPath = (repository: Repository, version = repository.versions().manifest): string =>
  [...repository.files().keys()].find((path) => path.startsWith(`manifests/${version}.`)) ?? ''

describe('a refresh', () => {
  test('asks for root, status and manifest, in this order, and saves each before it uses it', async () => {
    const { repository, publish, refresh, log, commits, active } = await stage()
    await publish()
    await repository.rotateRoot({ now: NOW })
    await publish()
    expect(await refresh({ probeRoot: true })).toBe('changed')
    expect(log).toEqual([
      'probe',
      'a roots/2.json',
      'saved root 2',
      'commit root',
      'manifest.root',
      'probe',
      'a roots/3.json',
      'root confirmed',
      'status asked',
      'a status.json',
      'served by a',
      'saved status 2',
      'commit status',
      `a ${manifestPath(repository)}`,
      'saved manifest 2',
      'commit manifest',
    ])
    expect(active()).toMatchObject({ version: 2, rootVersion: 2 })
    expect(commits.at(-1)).toMatchObject({
      asCanary: false,
      changes: { added: ['api.example.com'], removed: [], changed: [], shrunk: [] },
      clientId: undefined,
    })
  })

  test('without a reason to look for a root asks for the status and what it names', async () => {
    const { repository, publish, refresh, log } = await stage()
    await publish()
    await refresh()
    expect(log.filter((entry) => entry.startsWith('a '))).toEqual(['a status.json', `a ${manifestPath(repository)}`])
  })

  test('that finds nothing new saves nothing, and confirms what is in force', async () => {
    const { refresh, log, commits, active } = await inForce()
    const before = active()
    expect(await refresh()).toBe('unchanged')
    expect(log).toEqual(['status asked', 'a status.json', 'served by a', 'commit manifest'])
    expect(commits).toEqual([{ type: 'manifest', manifest: before, asCanary: false }])
    expect(commits[0]).not.toHaveProperty('changes')
  })

  test('says what came of the network, byte by byte', async () => {
    const { repository, publish, refresh, bytes } = await stage()
    await publish()
    await refresh({ probeRoot: true })
    const lengthOf = (path: string) => repository.files().get(path)?.length
    expect(bytes).toEqual([0, lengthOf('status.json'), lengthOf(manifestPath(repository))])
  })

  test('reads of each document no more than it may have', async () => {
    const { repository, publish, refresh, limits } = await stage()
    await publish()
    await refresh({ probeRoot: true })
    const { manifest } = payloadOf(repository.files().get('status.json')) as { manifest: { length: number } }
    expect(Object.fromEntries(limits)).toEqual({
      'roots/2.json': 65_536,
      'status.json': 65_536,
      [manifestPath(repository)]: Math.ceil((manifest.length * 4) / 3) + 65_536,
    })
  })
})

describe('the next root', () => {
  test.each([403, 404, 410])('is not there where its place answers %i: the newest is known', async (status) => {
    const { publish, refresh, answers, log } = await inForce()
    await publish()
    answers.set('a roots/2.json', { status })
    await refresh({ probeRoot: true })
    expect(log.slice(0, 4)).toEqual(['probe', 'a roots/2.json', 'root confirmed', 'status asked'])
  })

  test.each([304, 204, 401, 402, 409, 411, 500])(
    'is unknown where its place answers %i: the refresh ends',
    async (status) => {
      const { refresh, answers, log } = await inForce()
      answers.set('a roots/2.json', { status, headers: { 'retry-after': '60' } })
      await expect(refresh({ probeRoot: true })).rejects.toMatchObject({
        code: 'ERR_MANIFEST_FETCH_HTTP',
        document: 'root',
        version: 2,
        source: 'a roots/2.json',
        message: `root 2: answered HTTP ${status}`,
        retryAfterMs: 60_000,
      })
      expect(log).toEqual(['probe', 'a roots/2.json'])
    },
  )

  test('of a mirror that hangs is told with its document and version', async () => {
    const { refresh, answers } = await inForce()
    answers.set('a roots/2.json', new Error('offline'))
    await expect(refresh({ probeRoot: true })).rejects.toMatchObject({
      code: 'ERR_MANIFEST_FETCH_NETWORK',
      message: 'root 2: could not be fetched',
      source: 'a roots/2.json',
    })
  })

  test('that one mirror does not have and another has is followed', async () => {
    const { repository, publish, refresh, mirror, answers, known } = await inForce()
    await repository.rotateRoot({ now: NOW })
    await publish()
    answers.set('a roots/2.json', { status: 404 })
    await refresh({ probeRoot: true, mirrors: [mirror('a'), mirror('b')] })
    expect(known().root.version).toBe(2)
  })

  test('counts as absent when one mirror says so, though others fail', async () => {
    const { refresh, mirror, answers, log } = await inForce()
    answers.set('b roots/2.json', { status: 500 })
    expect(await refresh({ probeRoot: true, mirrors: [mirror('a'), mirror('b')] })).toBe('unchanged')
    expect(log.slice(0, 5)).toEqual(['probe', 'a roots/2.json', 'root confirmed', 'b roots/2.json', 'status asked'])
  })

  test.each([
    ['no JSON', HTML],
    ['no text', Uint8Array.of(0x7b, 0xff, 0x7d)],
  ])('that is %s is told, and the refresh goes on', async (_, bytes) => {
    const { refresh, answers, events } = await inForce()
    answers.set('a roots/2.json', { bytes })
    expect(await refresh({ probeRoot: true })).toBe('unchanged')
    expect(events).toEqual([
      {
        type: 'manifest.rejected',
        code: 'ERR_MANIFEST_ROOT_UNREADABLE',
        kind: 'publisher',
        message: 'root 2: no document',
        source: 'a roots/2.json',
      },
    ])
  })

  test('that is a document of another form ends the refresh', async () => {
    const { refresh, answers, events } = await inForce()
    answers.set('a roots/2.json', { bytes: text('{}') })
    await expect(refresh({ probeRoot: true })).rejects.toMatchObject({
      code: 'ERR_MANIFEST_ENVELOPE_SHAPE',
      source: 'a roots/2.json',
    })
    expect(events).toEqual([])
  })

  test('is followed 32 times in one refresh, and from there in the next', async () => {
    const { repository, publish, refresh, known, log } = await stage()
    for (let version = 2; version <= 34; version += 1) await repository.rotateRoot({ now: NOW })
    await publish()
    await expect(refresh({ probeRoot: true })).rejects.toMatchObject({
      code: 'ERR_MANIFEST_ROOT_CHAIN_TOO_LONG',
      document: 'root',
      version: 33,
      message: 'root 33: more than 32 newer roots; the next refresh goes on from here',
    })
    expect(known().root.version).toBe(33)
    expect(log.filter((entry) => entry === 'saved root 33')).toHaveLength(1)
    await refresh({ probeRoot: true })
    expect(known().root.version).toBe(34)
  })
})

describe('a status that names a newer root', () => {
  async function hinting(version = 2) {
    const staged = await inForce()
    await staged.repository.publishStatus({ now: NOW, members: { root: { version } } })
    return staged
  }

  test('that is not served is told, and the refresh goes on under the root it has', async () => {
    const { refresh, events, log } = await hinting()
    await expect(refresh()).resolves.toBe('unchanged')
    expect(log.filter((entry) => entry.startsWith('a '))).toEqual(['a status.json', 'a roots/2.json'])
    expect(events).toEqual([
      {
        type: 'manifest.rejected',
        code: 'ERR_MANIFEST_ROOT_UNAVAILABLE',
        kind: 'transient',
        message: 'root 2: named by the status, not served',
      },
    ])
  })

  test('has it looked for first in the next refresh, and once in each', async () => {
    const { refresh, log } = await hinting()
    await refresh()
    log.length = 0
    await refresh()
    expect(log.filter((entry) => entry.startsWith('a '))).toEqual(['a roots/2.json', 'a status.json'])
  })

  test('that is no document ends the refresh with why', async () => {
    const { refresh, answers } = await hinting()
    answers.set('a roots/2.json', { bytes: HTML })
    const refused = await refusalOf(refresh())
    expect(refused).toMatchObject({ code: 'ERR_MANIFEST_ROOT_UNREADABLE', message: 'root 2: no document' })
    expect(refused.cause).toMatchObject({ code: 'ERR_MANIFEST_ENVELOPE_JSON' })
  })

  test('that there is no reason to look for, being the one it has, makes no request for it', async () => {
    const { refresh, log } = await hinting(1)
    await refresh()
    await refresh()
    expect(log.filter((entry) => entry.includes('roots/'))).toEqual([])
  })

  test('must hold under that root too, and is saved under it', async () => {
    const { repository, refresh, log, known } = await inForce()
    await repository.rotateRoot({ now: NOW })
    await repository.publishStatus({ now: NOW })
    await refresh()
    expect(log).toEqual([
      'status asked',
      'a status.json',
      'served by a',
      'saved status 2',
      'commit status',
      'probe',
      'a roots/2.json',
      'saved root 2',
      'commit root',
      'manifest.root',
      'probe',
      'a roots/3.json',
      'root confirmed',
      'saved status 2',
      'commit status',
      'commit manifest',
    ])
    expect(known().status?.rootVersion).toBe(2)
  })

  test('and that this root’s keys did not sign is refused', async () => {
    const { repository, refresh, active } = await inForce()
    await repository.publishStatus({ now: NOW, members: { root: { version: 2 } } })
    await repository.rotateRoot({
      now: NOW,
      roles: { status: { keys: [await generateSigningKey()], threshold: 1 } },
    })
    await expect(refresh()).rejects.toMatchObject({ code: 'ERR_MANIFEST_SIG_THRESHOLD' })
    expect(active()?.version).toBe(1)
  })
})

describe('a status that the root in force does not explain', () => {
  const freshKeys = async () => ({ status: { keys: [await generateSigningKey()], threshold: 1 } })

  test('is judged again after each newer root, until one does', async () => {
    const { repository, publish, refresh, log, known } = await inForce()
    for (let rotation = 0; rotation < 2; rotation += 1) {
      await repository.rotateRoot({ now: NOW, roles: await freshKeys() })
    }
    await repository.rotateRoot({ now: NOW })
    await publish('new.example.com')
    await refresh()
    expect(log.slice(0, 5)).toEqual(['status asked', 'a status.json', 'served by a', 'probe', 'a roots/2.json'])
    expect(log.filter((entry) => entry.startsWith('a '))).toEqual([
      'a status.json',
      'a roots/2.json',
      'a roots/3.json',
      `a ${manifestPath(repository)}`,
    ])
    expect(known().root.version).toBe(3) // the hint is followed by the next refresh
  })

  test('has nobody look for roots twice in one refresh', async () => {
    const { repository, refresh, mirror, log } = await inForce()
    await repository.publishStatus({ now: NOW })
    const stranger = [await generateSigningKey()]
    const status = forge(payloadOf(repository.files().get('status.json')), 'status', stranger)
    const files = () => new Map([['status.json', status]])
    const mirrors = [mirror('a', files), mirror('b', files)]
    await expect(refresh({ mirrors })).rejects.toMatchObject({
      code: 'ERR_MANIFEST_SIG_THRESHOLD',
      source: 'a status.json',
    })
    expect(log.filter((entry) => entry.includes('roots/'))).toEqual(['a roots/2.json', 'b roots/2.json'])
    log.length = 0
    await expect(refresh({ mirrors, probeRoot: true })).rejects.toMatchObject({ code: 'ERR_MANIFEST_SIG_THRESHOLD' })
    expect(log.filter((entry) => entry === 'probe')).toHaveLength(1)
  })

  test.each([
    ['of an epoch to come', { epoch: 2 }, 'ERR_MANIFEST_STATUS_EPOCH', true],
    ['that has expired', { expires: '2026-01-01T00:00:00Z' }, 'ERR_MANIFEST_TIME_INVERTED', false],
  ])('%s is refused with its own code when there is no newer root', async (_, members, code, probes) => {
    const { repository, refresh, answers, log } = await inForce()
    const changed = { ...payloadOf(repository.files().get('status.json')), version: 2, ...members }
    answers.set('a status.json', { bytes: forge(changed, 'status', repository.roles().status.keys) })
    await expect(refresh()).rejects.toMatchObject({ code })
    expect(log.includes('probe')).toBe(probes)
  })

  test('and that a newer root explains otherwise is refused with that', async () => {
    const { repository, refresh, answers } = await inForce()
    const roles = await freshKeys()
    await repository.rotateRoot({ now: NOW, roles })
    const expired = { ...payloadOf(repository.files().get('status.json')), version: 2, expires: '2025-01-01T00:00:00Z' }
    answers.set('a status.json', { bytes: forge(expired, 'status', roles.status.keys) })
    await expect(refresh()).rejects.toMatchObject({ code: 'ERR_MANIFEST_TIME_INVERTED' })
  })

  test('because a stolen key made its manifests the newest is accepted under the risen epoch', async () => {
    const { repository, refresh, active } = await stage()
    await repository.publishManifest([host()], { now: NOW, version: 1_000 })
    await refresh()
    await repository.rotateRoot({ now: NOW, raiseEpoch: ['manifest'] })
    await repository.publishManifest([host('new.example.com')], { now: NOW })
    expect(await refresh()).toBe('changed')
    expect(active()).toMatchObject({ version: 1, epoch: 2 })
  })
})

describe('the entity tag', () => {
  const tags = (staged: Awaited<ReturnType<typeof stage>>) => {
    const sent: (string | undefined)[] = []
    const serve = (headers: Record<string, string>, status = 200) =>
      staged.answers.set('a status.json', (ifNoneMatch) => {
        sent.push(ifNoneMatch)
        return { status, headers, bytes: staged.repository.files().get('status.json') ?? text('') }
      })
    return { sent, serve }
  }

  test('of an accepted status is sent to the mirror that gave it, until it gives none', async () => {
    const staged = await stage()
    const { sent, serve } = tags(staged)
    await staged.publish()
    for (const headers of [{ etag: '"a"' }, { etag: '"b"' }, {}, { etag: '"c"' }]) {
      serve(headers)
      await staged.refresh()
    }
    serve({ etag: '"d"' }, 304)
    await staged.refresh()
    serve({}, 304)
    await staged.refresh()
    expect(sent).toEqual([undefined, '"a"', '"b"', undefined, '"c"', '"c"'])
  })

  test('of a refused status is not', async () => {
    const staged = await inForce()
    const { sent, serve } = tags(staged)
    staged.answers.set('a status.json', { bytes: text('{}'), headers: { etag: '"bad"' } })
    await refusalOf(staged.refresh())
    serve({})
    await staged.refresh()
    expect(sent).toEqual([undefined])
  })

  test('is not sent once the status that it stands for is forgotten', async () => {
    const staged = await inForce()
    const { sent, serve } = tags(staged)
    serve({ etag: '"a"' })
    await staged.refresh()
    await staged.repository.rotateRoot({ now: NOW, raiseEpoch: ['status'] })
    await staged.repository.publishStatus({ now: NOW })
    await staged.refresh({ probeRoot: true })
    expect(sent).toEqual([undefined, undefined])
  })
})

describe('an answer of 304', () => {
  test('says that nothing changed', async () => {
    const { refresh, answers, log } = await inForce()
    answers.set('a status.json', { status: 304 })
    expect(await refresh()).toBe('unchanged')
    expect(log).toEqual(['status asked', 'a status.json', 'served by a', 'commit manifest'])
  })

  test('to a client without a status is refused', async () => {
    const { refresh, answers } = await stage()
    answers.set('a status.json', { status: 304 })
    expect(await refusalOf(refresh())).toMatchObject({
      code: 'ERR_MANIFEST_FETCH_304_WITHOUT_CACHE',
      document: 'status',
      source: 'a status.json',
      message: 'status: answered 304 to a request without If-None-Match',
    })
  })

  test('does not make an expired status or root good', async () => {
    const { refresh, answers, runtime } = await inForce()
    answers.set('a status.json', { status: 304 })
    await runtime.advance(7 * DAY)
    expect(await refusalOf(refresh())).toMatchObject({
      code: 'ERR_MANIFEST_STATUS_EXPIRED',
      document: 'status',
      version: 1,
      source: 'a status.json',
    })
    const old = await inForce({ rootTtlMs: DAY })
    old.answers.set('a status.json', { status: 304 })
    await old.runtime.advance(DAY)
    expect(await refusalOf(old.refresh())).toMatchObject({ code: 'ERR_MANIFEST_ROOT_EXPIRED' })
  })
})

test.each([201, 301, 404, 500])('a status that answers %i is refused with where it came from', async (status) => {
  const { refresh, answers, log } = await inForce()
  answers.set('a status.json', { status, headers: { 'retry-after': '60' } })
  const refused = await refusalOf(refresh())
  expect(refused).toMatchObject({ document: 'status', source: 'a status.json' })
  if (status === 301) expect(refused.code).toBe('ERR_MANIFEST_FETCH_REDIRECT')
  else expect(refused).toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP', retryAfterMs: 60_000 })
  expect(log.includes('served by a')).toBe(status !== 301)
})

test('a status of a mirror that lags behind is refused with where it came from', async () => {
  const { refresh, answers, repository } = await inForce()
  const old = repository.files().get('status.json') ?? text('')
  await repository.publishStatus({ now: NOW })
  await refresh()
  answers.set('a status.json', { bytes: old })
  expect(await refusalOf(refresh())).toMatchObject({ code: 'ERR_MANIFEST_STATUS_ROLLBACK', source: 'a status.json' })
})

describe('mirrors', () => {
  const security = () => text('{"payload":"","signatures":[]}')

  test('are asked one after the other until one serves something acceptable', async () => {
    const { refresh, mirror, answers, log, publish } = await inForce()
    await publish()
    answers.set('a status.json', { status: 500 }).set('b status.json', { bytes: HTML })
    await refresh({ mirrors: ['a', 'b', 'c', 'd'].map((name) => mirror(name)) })
    expect(log.filter((entry) => entry.endsWith('status.json'))).toEqual([
      'a status.json',
      'b status.json',
      'c status.json',
    ])
    expect(log.filter((entry) => entry.startsWith('served'))).toEqual(['served by a', 'served by b', 'served by c'])
  })

  test.each([
    ['what is no alarm comes first', ['old', 500, 503], 'ERR_MANIFEST_FETCH_HTTP', 'b status.json'],
    ['the first of several alarms is told', ['old', 'old'], 'ERR_MANIFEST_STATUS_ROLLBACK', 'a status.json'],
    ['the first of several failures is told', [500, 503], 'ERR_MANIFEST_FETCH_HTTP', 'a status.json'],
  ])('where none does, %s', async (_, served, code, source) => {
    const { refresh, mirror, answers, repository } = await inForce()
    const old = repository.files().get('status.json') ?? security()
    await repository.publishStatus({ now: NOW })
    await refresh()
    const names = ['a', 'b', 'c'].slice(0, served.length)
    for (const [at, name] of names.entries()) {
      const answer = served[at]
      answers.set(`${name} status.json`, typeof answer === 'number' ? { status: answer } : { bytes: old })
    }
    expect(await refusalOf(refresh({ mirrors: names.map((name) => mirror(name)) }))).toMatchObject({ code, source })
  })

  test('are not asked once the time is over', async () => {
    const { refresh, mirror, answers, log, closing } = await inForce()
    const over = refusal('ERR_MANIFEST_FETCH_TIMEOUT', { document: 'status' }, 'out of time')
    answers.set('a status.json', () => {
      closing.abort(over)
      return { status: 500 }
    })
    expect(await refusalOf(refresh({ mirrors: [mirror('a'), mirror('b')] }))).toBeInstanceOf(ManifestError)
    expect(log.filter((entry) => entry.endsWith('status.json'))).toEqual(['a status.json'])
  })

  test('a fault that is no refusal ends the refresh', async () => {
    const { refresh, mirror, log } = await inForce()
    const onStatusServed = () => {
      throw new RangeError('a bug')
    }
    await expect(refresh({ mirrors: [mirror('a'), mirror('b')], onStatusServed })).rejects.toThrow(RangeError)
    expect(log.filter((entry) => entry.endsWith('status.json'))).toEqual(['a status.json'])
  })

  test('there must be one', async () => {
    const { refresh } = await inForce()
    await expect(refresh({ mirrors: [] })).rejects.toThrow(new TypeError('a source without mirrors'))
  })

  test('are sent each its own tag', async () => {
    const { refresh, mirror, answers } = await inForce()
    const sent: unknown[] = []
    const mirrors = [mirror('a'), mirror('b')]
    for (const { name } of mirrors) {
      answers.set(`${name} status.json`, (ifNoneMatch) => {
        sent.push([name, ifNoneMatch])
        return name === 'a' && sent.length > 1 ? { status: 500 } : { status: 304, headers: { etag: '"x"' } }
      })
    }
    await refresh({ mirrors })
    await refresh({ mirrors })
    expect(sent).toEqual([
      ['a', undefined],
      ['a', undefined],
      ['b', undefined],
    ])
  })
})

describe('a manifest', () => {
  async function published(...names: readonly string[]) {
    const staged = await inForce()
    await staged.publish(...(names.length === 0 ? ['new.example.com'] : names))
    return { ...staged, path: manifestPath(staged.repository) }
  }

  test('brings its difference from the one in force', async () => {
    const { refresh, commits } = await published('new.example.com')
    expect(await refresh()).toBe('changed')
    expect(commits.at(-1)).toMatchObject({
      changes: { added: ['new.example.com'], removed: ['api.example.com'], shrunk: ['api.example.com'] },
    })
  })

  test('that is not served is asked for four times within two seconds, and told', async () => {
    const { refresh, answers, path, waits, log, active } = await published()
    answers.set(`a ${path}`, { status: 404, headers: { 'retry-after': '60' } })
    expect(await refusalOf(refresh())).toMatchObject({
      code: 'ERR_MANIFEST_UNAVAILABLE',
      document: 'manifest',
      version: 2,
      source: `a ${path}`,
      message: 'manifest 2: answered HTTP 404',
      retryAfterMs: 60_000,
    })
    expect(waits).toEqual([250, 500, 1_000])
    expect(log.filter((entry) => entry === `a ${path}`)).toHaveLength(4)
    expect(active()?.version).toBe(1)
  })

  test('that shows up late is taken', async () => {
    const { refresh, answers, path, waits, active } = await published()
    let asked = 0
    const serve = (): Partial<FetchedBytes> => {
      asked += 1
      if (asked === 3) answers.delete(`a ${path}`)
      return { status: 404 }
    }
    answers.set(`a ${path}`, serve)
    await refresh()
    expect([waits, active()?.version]).toEqual([[250, 500, 1_000], 2])
  })

  test.each<[string, Partial<FetchedBytes> | Error, object]>([
    [
      'cannot be fetched',
      new Error('offline'),
      { code: 'ERR_MANIFEST_FETCH_NETWORK', message: 'manifest 2: could not be fetched' },
    ],
    ['is another', { bytes: text('{}') }, { code: 'ERR_MANIFEST_ENVELOPE_SHAPE' }],
  ])('that %s is not asked for again', async (_, answer, refused) => {
    const { refresh, answers, path, waits } = await published()
    answers.set(`a ${path}`, answer)
    expect(await refusalOf(refresh())).toMatchObject({
      ...refused,
      document: 'manifest',
      version: 2,
      source: `a ${path}`,
    })
    expect(waits).toEqual([])
  })

  test('that drops a revocation is refused, and not saved', async () => {
    const { repository, refresh, log } = await stage()
    const revocations = { spki: [{ sha256: pin('stolen'), since: '2026-01-01T00:00:00Z', reason: 'stolen' }] }
    await repository.publishManifest([host()], { now: NOW, members: { revocations } })
    await refresh()
    log.length = 0
    await repository.publishManifest([host()], { now: NOW })
    expect(await refusalOf(refresh())).toMatchObject({ code: 'ERR_MANIFEST_REVOCATION_DROPPED' })
    expect(log).not.toContain('saved manifest 2')
  })

  test('with ramps brings the id that says on which side of them a client is', async () => {
    const { repository, refresh, commits, ids } = await inForce()
    expect(ids).toEqual([])
    await repository.publishManifest([{ ...host(), rampPercent: 10 }], { now: NOW })
    await refresh()
    expect(ids).toEqual(['asked'])
    expect(commits.at(-1)).toMatchObject({ clientId: expect.stringMatching(/^[0-9a-f]{32}$/) })
  })

  test('in force that has expired is told, though nothing newer is named', async () => {
    const { repository, refresh, runtime, log } = await stage()
    await repository.publishManifest([host()], { now: NOW, ttlMs: DAY })
    await refresh()
    await runtime.advance(DAY)
    await repository.publishStatus({ now: NOW + DAY })
    log.length = 0
    expect(await refusalOf(refresh())).toMatchObject({ code: 'ERR_MANIFEST_EXPIRED' })
    expect(log).toContain('commit manifest')
  })

  test('of an epoch that is over is refused, though it is the one in force', async () => {
    const { repository, refresh, answers } = await inForce()
    const { manifest } = payloadOf(repository.files().get('status.json'))
    await repository.rotateRoot({ now: NOW, raiseEpoch: ['manifest'] })
    const named = { ...payloadOf(repository.files().get('status.json')), version: 2, manifest, root: { version: 2 } }
    answers.set('a status.json', { bytes: forge(named, 'status', repository.roles().status.keys) })
    expect(await refusalOf(refresh({ probeRoot: true }))).toMatchObject({ code: 'ERR_MANIFEST_EPOCH', version: 1 })
  })
})

describe('a canary', () => {
  async function canary(canaryPercent: number) {
    const staged = await inForce()
    await staged.repository.publishManifest([host('new.example.com')], {
      now: NOW,
      status: { canaryPercent, salt: 'x' },
    })
    return staged
  }

  test.each([
    [100, 2, true],
    [0, 1, false],
  ])('of %i percent brings manifest %i', async (percent, version, asCanary) => {
    const { refresh, active, commits, ids } = await canary(percent)
    await refresh()
    expect(active()?.version).toBe(version)
    expect(commits.at(-1)).toMatchObject({ asCanary })
    expect(ids).toEqual(['asked'])
  })

  test('of so many percent takes in who stands below them, and not who stands at them', async () => {
    const { refresh, repository, context, active } = await inForce()
    const share = shareOf('x', await context.cache.clientId())
    const publish = (canaryPercent: number) =>
      repository.publishManifest([host('new.example.com')], {
        now: NOW,
        version: 2,
        status: { canaryPercent, salt: 'x' },
      })
    await publish(share)
    await refresh()
    expect(active()?.version).toBe(1)
    await publish(share + 1e-9)
    await refresh()
    expect(active()?.version).toBe(2)
  })

  test('that is aborted leaves its client ahead, with an event', async () => {
    const { refresh, repository, commits, events, clear, active } = await canary(100)
    await refresh()
    clear()
    await repository.publishStatus({ now: NOW, members: { canary: undefined } as never })
    expect(await refresh()).toBe('unchanged')
    expect(events).toEqual([{ type: 'manifest.ahead', version: 2, named: 1 }])
    expect(commits.at(-1)).toEqual({ type: 'manifest', manifest: active(), asCanary: true })
  })

  test('that is aborted leaves a client that lost its manifest without one', async () => {
    const { refresh, repository, forget, commits, clear } = await canary(100)
    await refresh()
    clear()
    forget()
    await repository.publishStatus({ now: NOW, members: { canary: undefined } as never })
    expect(await refusalOf(refresh())).toMatchObject({
      code: 'ERR_MANIFEST_ROLLBACK',
      document: 'manifest',
      version: 1,
      message: 'manifest 1: version 2 was already accepted and is no longer held',
    })
    expect(commits.map(({ type }) => type)).toEqual(['status'])
  })

  test('that becomes the current manifest is no canary any more', async () => {
    const { refresh, repository, commits, clear } = await canary(100)
    await refresh()
    clear()
    const { canary: named } = payloadOf(repository.files().get('status.json')) as { canary: { manifest: never } }
    const members = { manifest: named.manifest, canary: undefined } as never
    await repository.publishStatus({ now: NOW, members })
    expect(await refresh()).toBe('unchanged')
    expect(commits.at(-1)).toMatchObject({ type: 'manifest', asCanary: false })
  })
})

describe('a blob', () => {
  const many = Array.from({ length: 4_500 }, (_, at) => host(`h${at}.example.com`))
  let repository: Repository
  beforeAll(async () => {
    repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: NOW })
    await repository.publishManifest(many, { now: NOW })
  })
  const staged = async () => {
    const one = await stage({ roles: repository.roles() })
    const root = await verifyAnchor(parseAnchor(repository.anchor, {}))
    const mirrors = [one.mirror('a', repository.files)]
    one.context.commit({ type: 'root', root })
    one.clear()
    const [path = ''] = [...repository.files().keys()].filter((name) => name.startsWith('blobs/'))
    return { ...one, path, refresh: () => one.refresh({ mirrors }) }
  }

  test('is fetched, checked and saved before its manifest is in force; what is held is not fetched again', async () => {
    const { refresh, log, limits, path, forget } = await staged()
    await refresh()
    const blobs = log.filter((entry) => entry.startsWith('a blobs/')).length
    expect(blobs).toBeGreaterThan(0)
    expect(log.filter((entry) => entry === 'saved blob')).toHaveLength(blobs)
    expect(log.indexOf('saved blob')).toBeLessThan(log.indexOf('saved manifest 1'))
    expect(limits.get(path)).toBe(1_048_576)
    log.length = 0
    forget()
    await refresh()
    expect(log.filter((entry) => entry.includes('blob'))).toEqual([])
  })

  test('that is not served is asked for four times, and told', async () => {
    const { refresh, answers, path, waits } = await staged()
    answers.set(`a ${path}`, { status: 404, headers: { 'retry-after': '60' } })
    expect(await refusalOf(refresh())).toMatchObject({
      code: 'ERR_MANIFEST_BLOB_UNAVAILABLE',
      document: 'blob',
      source: `a ${path}`,
      message: 'blob: answered HTTP 404',
      retryAfterMs: 60_000,
    })
    expect(waits).toEqual([250, 500, 1_000])
  })

  test.each<[string, Partial<FetchedBytes> | Error, string]>([
    ['is another', { bytes: text('[]') }, 'ERR_MANIFEST_BLOB_LENGTH_MISMATCH'],
    ['cannot be fetched', new Error('offline'), 'ERR_MANIFEST_FETCH_NETWORK'],
  ])('that %s is told with where it came from', async (_, answer, code) => {
    const { refresh, answers, path, waits } = await staged()
    answers.set(`a ${path}`, answer)
    expect(await refusalOf(refresh())).toMatchObject({ code, document: 'blob', source: `a ${path}` })
    expect(waits).toEqual([])
  })
})

test('what a refresh learned before it failed stays learned', async () => {
  const { repository, refresh, answers, known, active, publish } = await inForce()
  await publish('new.example.com')
  answers.set(`a ${manifestPath(repository)}`, { status: 404 })
  await refusalOf(refresh())
  expect(known().status?.version).toBe(2)
  expect(active()?.version).toBe(1)
  expect(known().timeFloor?.issuedAt).toBe(toUnixMs(NOW))
})
