import { tracingChannel } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { verifyStatus } from '../../src/manifest/accept.ts'
import { createCache, type InUse } from '../../src/manifest/cache.ts'
import type { Seen } from '../../src/manifest/health.ts'
import { difference } from '../../src/manifest/host-changes.ts'
import { NO_HOSTS } from '../../src/manifest/host-table.ts'
import { createInForce } from '../../src/manifest/in-force.ts'
import type { PeerPoll } from '../../src/manifest/peers.ts'
import { closedError, createPoll } from '../../src/manifest/poll.ts'
import { parseAnchor, verifyAnchor } from '../../src/manifest/root.ts'
import type { Mirror } from '../../src/manifest/sources.ts'
import { createStartup } from '../../src/manifest/startup.ts'
import { type FetchedBytes, toUnixMs } from '../../src/ports/runtime.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { DAY, host, pin, refusalOf, text } from './world.ts'

const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 1)

/** A poll that is to be made, of a repository that has published one manifest. */
async function stage(options: { readonly mirrors?: readonly string[]; readonly known?: boolean } = {}) {
  const { mirrors: names = ['a'], known = true } = options
  const runtime = createTestRuntime({ now: START })
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: START })
  const publish = (...hosts: readonly string[]) =>
    repository.publishManifest(
      (hosts.length === 0 ? ['api.example.com'] : hosts).map((name) => host(name)),
      {
        now: runtime.clock.now(),
      },
    )
  await publish()
  const events: ClientEvent[] = []
  const requests: string[] = []
  const answers = new Map<string, Partial<FetchedBytes> | Error | 'hang' | (() => Promise<Partial<FetchedBytes>>)>()
  const mirror = (name: string): Mirror => ({
    name,
    get: async (path) => {
      requests.push(`${name} ${path}`)
      const planned = answers.get(`${name} ${path}`)
      const answer = typeof planned === 'function' ? await planned() : planned
      if (answer === 'hang') return new Promise<never>(() => undefined)
      if (answer instanceof Error) throw answer
      if (answer !== undefined) return { status: 200, headers: {}, bytes: new Uint8Array(), ...answer }
      const held = repository.files().get(path)
      return { status: held === undefined ? 404 : 200, headers: {}, bytes: held ?? new Uint8Array() }
    },
  })
  const emit = (event: ClientEvent): void => void events.push(event)
  const pruned: InUse[] = []
  const kept = createCache({ store: memoryStore(), repo: 'acme/pins', env: 'prod', runtime, emit })
  const cache = { ...kept, prune: async (inUse: InUse) => void pruned.push(inUse) }
  const inForce = createInForce({ runtime, emit, startup: createStartup(runtime, 10_000) })
  if (known) {
    inForce.know({ root: await verifyAnchor(parseAnchor(repository.anchor, {})), denies: [], everAccepted: false })
    inForce.begin(undefined, await difference(NO_HOSTS, NO_HOSTS))
  }
  const others: { poll?: PeerPoll | undefined; asked: number; told: number[] } = { asked: 0, told: [] }
  const peers = {
    mirror: mirror('cache'),
    lastPoll: async () => {
      others.asked += 1
      return others.poll
    },
    tell: async ({ version }: { readonly version: number }) => void others.told.push(version),
  }
  const never = Number.NEGATIVE_INFINITY
  const seen: Seen = { failures: 0, lastProbe: never, lastEarly: never, lastAsked: never, rootConfirmedAt: 0 }
  const closing = new AbortController()
  const make = createPoll({
    mirrors: names.map(mirror),
    cache,
    peers,
    runtime,
    emit,
    inForce,
    seen,
    closing: closing.signal,
  })
  const seals: string[] = []
  const poll = (isDemanded: () => boolean = () => false) =>
    make({ isDemanded, seal: () => void seals.push(requests.at(-1) ?? 'before any request') })
  return {
    runtime,
    repository,
    publish,
    events,
    requests,
    answers,
    pruned,
    inForce,
    others,
    seen,
    closing,
    seals,
    poll,
    polls: () => events.filter(({ type }) => type === 'manifest.poll'),
    /** A poll of another process so long ago, that found what is published now. */
    byOther: async (agoMs: number) => {
      const root = inForce.known()?.root ?? expect.fail('no root')
      const { sha256 } = await verifyStatus(repository.files().get('status.json') ?? text(''), root)
      others.poll = { at: toUnixMs(runtime.clock.now() - agoMs), found: (status) => status?.sha256 === sha256 }
    },
    clear: () => {
      for (const list of [events, requests, pruned, seals, others.told]) list.length = 0
      others.asked = 0
    },
  }
}

/** The same after a first poll, and 100 seconds later. */
async function polled(options: Parameters<typeof stage>[0] = {}) {
  const staged = await stage(options)
  await staged.poll()
  staged.clear()
  await staged.runtime.advance(100_000)
  return staged
}

describe('a poll that succeeds', () => {
  test('says what it came to, and what it took', async () => {
    const { poll, polls, runtime, answers, repository } = await stage()
    const bytes = repository.files().get('status.json') ?? text('')
    const manifest = [...repository.files()].find(([path]) => path.startsWith('manifests/')) ?? ['', text('')]
    answers.set('a status.json', async () => {
      await runtime.advance(250)
      return { bytes }
    })
    expect(await poll()).toBe(0)
    answers.clear()
    expect(polls()).toStrictEqual([
      { type: 'manifest.poll', ms: 250, bytes: bytes.length + manifest[1].length, result: 'changed', source: 'a' },
    ])
    await poll()
    expect(polls().at(-1)).toMatchObject({ ms: 0, bytes: bytes.length, result: 'unchanged' })
  })

  test('is remembered, and what failed before it is not', async () => {
    const { poll, seen, runtime, others, inForce, pruned } = await stage()
    await runtime.advance(5_000)
    Object.assign(seen, { failures: 3, lastError: { code: 'ERR_MANIFEST_FETCH_HTTP', message: 'x', at: START } })
    await poll()
    expect(seen).toStrictEqual({
      failures: 0,
      lastProbe: 5_000,
      lastEarly: Number.NEGATIVE_INFINITY,
      rootConfirmedAt: 5_000,
      lastAsked: 5_000,
      lastPollAt: START + 5_000,
      lastSuccessAt: START + 5_000,
    })
    expect(others.told).toEqual([1])
    const state = inForce.state()
    expect(pruned).toEqual([{ active: state, denies: [] }])
    expect(state.kind).toBe('fresh')
  })

  test('tidies up by what is denied, too', async () => {
    const { poll, repository, pruned } = await polled()
    await repository.publishStatus({ now: START, deny: [{ spki: pin('one'), reason: 'stolen' }] })
    await poll()
    expect(pruned[0]?.denies).toMatchObject([{ spki: pin('one') }])
  })

  test('leaves no timer', async () => {
    const { poll, runtime } = await polled()
    const before = runtime.pendingTimers
    await poll()
    expect(runtime.pendingTimers).toBe(before)
  })

  test('is sealed when the status is asked for: what is published from then on it may miss', async () => {
    const { poll, seals } = await stage()
    await poll()
    expect(seals).toEqual(['a roots/2.json'])
  })
})

describe('mirrors', () => {
  const firsts = (requests: readonly string[]) => requests.filter((request) => request.endsWith('status.json'))

  test('take turns in being first after a poll that found nothing new', async () => {
    const { poll, requests, publish } = await polled({ mirrors: ['a', 'b', 'c'] })
    for (let round = 0; round < 5; round += 1) await poll()
    expect(firsts(requests).map(([name]) => name)).toEqual(['a', 'b', 'c', 'a', 'b'])
    requests.length = 0
    await publish('new.example.com')
    await poll()
    await poll()
    await poll()
    expect(firsts(requests).map(([name]) => name)).toEqual(['c', 'c', 'a'])
  })

  test('behind the first are asked in their order', async () => {
    const { poll, requests, answers } = await polled({ mirrors: ['a', 'b', 'c'] })
    await poll()
    requests.length = 0
    for (const name of ['a', 'b', 'c']) answers.set(`${name} status.json`, { status: 503 })
    await refusalOf(poll())
    expect(requests).toEqual(['b status.json', 'c status.json', 'a status.json'])
  })

  test('keep their entity tags from poll to poll', async () => {
    const { poll, answers, repository, polls } = await polled()
    const bytes = repository.files().get('status.json') ?? text('')
    answers.set('a status.json', { bytes, headers: { etag: '"a"' } })
    await poll()
    answers.set('a status.json', { status: 304 })
    await poll()
    expect(polls()).toMatchObject([{ result: 'unchanged' }, { result: 'unchanged', bytes: 0 }])
  })
})

describe('a poll that fails', () => {
  test('is counted, remembered and told, with where it failed', async () => {
    const { poll, seen, events, answers, others, pruned, runtime } = await polled()
    answers.set('a status.json', { status: 503 })
    const before = runtime.pendingTimers
    const refused = await refusalOf(poll())
    const { code, kind, message } = refused
    expect([code, message]).toEqual(['ERR_MANIFEST_FETCH_HTTP', 'status: answered HTTP 503'])
    expect(seen).toMatchObject({ failures: 1, lastError: { code, message, at: START + 100_000 }, lastSuccessAt: START })
    expect(events).toStrictEqual([
      { type: 'manifest.poll', ms: 0, bytes: 0, result: 'failed', source: 'a' },
      { type: 'manifest.rejected', code, kind, message, source: 'a status.json' },
    ])
    expect([others.told, pruned, runtime.pendingTimers]).toEqual([[], [], before])
    await refusalOf(poll())
    expect(seen.failures).toBe(2)
  })

  test('for no document in particular is told without a place', async () => {
    const { poll, events, runtime, answers } = await polled()
    await runtime.advance(401 * DAY)
    events.length = 0
    answers.set('a status.json', { status: 304 })
    expect(await refusalOf(poll())).toMatchObject({ code: 'ERR_MANIFEST_ROOT_EXPIRED' })
    expect(events.at(-1)).toStrictEqual({
      type: 'manifest.rejected',
      code: 'ERR_MANIFEST_ROOT_EXPIRED',
      kind: 'publisher',
      message: expect.stringContaining('root 1: the newest root expired'),
    })
  })

  test('ends after two minutes, however many mirrors are left', async () => {
    const mirrors = Array.from({ length: 30 }, (_, at) => `m${at}`)
    const { poll, answers, runtime, requests } = await stage({ mirrors })
    for (const name of mirrors) answers.set(`${name} roots/2.json`, 'hang')
    let over = false
    const refused = refusalOf(poll()).finally(() => {
      over = true
    })
    await runtime.advance(119_999)
    expect(over).toBe(false)
    await runtime.advance(1)
    expect(await refused).toMatchObject({
      code: 'ERR_MANIFEST_FETCH_TIMEOUT',
      document: 'status',
      message: 'status: the refresh took more than 120 s',
    })
    expect(requests).toHaveLength(24)
  })

  test('because the updater was closed is told to nobody but its callers', async () => {
    expect(closedError()).toMatchObject({ code: 'ERR_MANIFEST_CLOSED', document: 'status' })
    const { poll, answers, closing, events, seen } = await polled()
    answers.set('a status.json', 'hang')
    const refused = refusalOf(poll())
    closing.abort()
    expect(await refused).toMatchObject({
      code: 'ERR_MANIFEST_CLOSED',
      kind: 'config',
      message: 'status: the updater was closed',
    })
    expect([events, seen.failures]).toEqual([[], 0])
  })

  test('by a fault of ours is not taken for a refusal', async () => {
    const { poll, others, seen, events } = await polled()
    Object.defineProperty(others, 'told', { get: () => expect.fail('a bug') })
    await expect(poll()).rejects.toThrow('a bug')
    expect([seen.failures, events.map(({ type }) => type)]).toEqual([0, ['manifest.poll']])
  })

  test('before the anchor was verified is a fault of ours', async () => {
    const { poll } = await stage({ known: false })
    await expect(poll()).rejects.toThrow(new TypeError('a refresh before the anchor was verified'))
  })
})

describe('the next root', () => {
  test.each([
    [HOUR, 0],
    [HOUR + 1, 1],
  ])('is looked for %i ms after the last time: %i requests', async (ms, count) => {
    const { poll, runtime, requests, seen } = await polled()
    await runtime.advance(ms - 100_000)
    await poll()
    expect(requests.filter((request) => request === 'a roots/2.json')).toHaveLength(count)
    expect([seen.lastProbe, seen.rootConfirmedAt]).toEqual(count === 0 ? [0, 0] : [ms, ms])
  })

  test('that cannot be had was looked for and not confirmed', async () => {
    const { poll, runtime, seen, answers } = await polled()
    await runtime.advance(HOUR)
    answers.set('a roots/2.json', { status: 500 })
    await refusalOf(poll())
    expect([seen.lastProbe, seen.rootConfirmedAt]).toEqual([HOUR + 100_000, 0])
  })
})

describe('a poll of another process', () => {
  test('stands for ours when it found what we have', async () => {
    const { poll, byOther, requests, events, seen, seals, others, pruned } = await polled()
    await byOther(40_000)
    expect(await poll()).toBe(40_000)
    expect([requests, others.told, pruned]).toEqual([[], [], []])
    expect(events).toStrictEqual([{ type: 'manifest.poll', ms: 0, bytes: 0, result: 'shared' }])
    expect(seals).toEqual(['before any request'])
    expect(seen).toMatchObject({ lastPollAt: START + 60_000, lastSuccessAt: START, lastAsked: 0 })
  })

  test('that found something new is taken over from what it stored, and told like our own', async () => {
    const { poll, byOther, publish, requests, events, inForce, seals } = await polled()
    await publish('new.example.com')
    await byOther(10_000)
    expect(await poll()).toBe(10_000)
    expect(requests.map((request) => request.split('.')[0])).toEqual(['cache status', 'cache manifests/2'])
    expect(inForce.view()).toMatchObject({ kind: 'fresh', version: 2 })
    expect(events.map(({ type }) => type)).toEqual(['manifest.activated', 'manifest.poll'])
    expect(events.at(-1)).toMatchObject({ result: 'shared', bytes: 0 })
    expect(events.at(-1)).not.toHaveProperty('source')
    expect(seals).toHaveLength(1)
  })

  test('does not look for roots, nor count as having looked', async () => {
    const { poll, byOther, publish, requests, seen } = await polled()
    await publish('new.example.com')
    await byOther(0)
    seen.lastProbe = -HOUR
    await poll()
    expect(requests.filter((request) => request.includes('roots/'))).toEqual([])
    expect([seen.lastProbe, seen.rootConfirmedAt]).toEqual([-HOUR, 0])
  })

  test('whose documents name a newer root is followed there, which is no word of the source', async () => {
    const { poll, byOther, publish, repository, seen, requests, inForce, events } = await polled()
    await repository.rotateRoot({ now: START })
    await publish('new.example.com')
    await byOther(0)
    await poll()
    expect(requests.filter((request) => request.startsWith('a '))).toEqual([])
    expect(inForce.known()?.root.version).toBe(2)
    expect(events[0]).toEqual({ type: 'manifest.root', from: 1, to: 2 })
    expect([seen.lastProbe, seen.rootConfirmedAt]).toEqual([0, 0])
  })

  test.each<[string, Partial<FetchedBytes>]>([
    ['does not verify', { bytes: text('{}') }],
    ['is not there', { status: 404 }],
  ])('is no use when what it stored %s: the source is asked, and nothing is told of it', async (_, answer) => {
    const { poll, byOther, publish, answers, requests, events, seen } = await polled()
    await publish('new.example.com')
    await byOther(0)
    answers.set('cache status.json', answer)
    expect(await poll()).toBe(0)
    expect(requests.map((request) => request.split('.')[0])).toEqual(['cache status', 'a status', 'a manifests/2'])
    expect(events.filter(({ type }) => type === 'manifest.rejected')).toEqual([])
    expect(events.at(-1)).toMatchObject({ result: 'changed', source: 'a' })
    expect(seen.failures).toBe(0)
  })

  test('is no use when it has the status and not the manifest that this names', async () => {
    const { poll, byOther, publish, repository, answers, requests, inForce } = await polled()
    await publish('new.example.com')
    await byOther(0)
    const path = [...repository.files().keys()].find((name) => name.startsWith('manifests/2.'))
    answers.set(`cache ${path}`, { bytes: text('{}') })
    await poll()
    expect(requests).toEqual(['cache status.json', `cache ${path}`, 'a status.json', `a ${path}`])
    expect(inForce.view().version).toBe(2)
  })

  test('is told of what it brings to light, but not of what is refused on the way', async () => {
    const { poll, byOther, repository, events } = await polled()
    const members = { root: { version: 2 } } // not served, which is a refusal, and none that ends a refresh
    await repository.publishStatus({ now: START, members, deny: [{ spki: pin('one'), reason: 'stolen' }] })
    await byOther(0)
    await poll()
    expect(events.map(({ type }) => type)).toEqual(['manifest.deny', 'manifest.poll'])
    expect(events.at(-1)).toMatchObject({ result: 'shared' })
  })

  test('that stored something else than it says it found is no use', async () => {
    const { poll, byOther, publish, answers, repository, requests } = await polled()
    const old = repository.files().get('status.json') ?? text('')
    await publish('new.example.com')
    await byOther(0)
    answers.set('cache status.json', { bytes: old })
    await poll()
    expect(requests).toContain('a status.json')
  })

  test('does not keep a manifest fresh whose status has expired', async () => {
    const { poll, byOther, runtime, requests, answers, inForce, seen } = await polled()
    await runtime.advance(7 * DAY)
    expect(inForce.state().kind).toBe('stale')
    seen.lastAsked = runtime.clock.monotonic()
    await byOther(0)
    answers.set('a status.json', { status: 503 })
    await refusalOf(poll())
    expect(requests).toContain('a status.json')
  })

  test.each([
    ['is not asked for after a failure', { failures: 1 }, 0, 0],
    ['is not asked for when we did not ask the source for an hour ourselves', { lastAsked: 100_000 - HOUR }, 0, 0],
    ['counts when we did, a millisecond later', { lastAsked: 100_001 - HOUR }, 0, 1],
    ['counts until an interval has passed since', {}, 99_999, 1],
  ])('%s', async (_, memory, agoMs, shared) => {
    const { poll, byOther, seen, polls, others } = await polled()
    Object.assign(seen, memory)
    await byOther(agoMs)
    await poll()
    expect(polls().filter((event) => 'result' in event && event.result === 'shared')).toHaveLength(shared)
    expect(others.asked).toBe(shared)
  })

  test.each([
    [299_999, 'shared'],
    [300_000, 'unchanged'],
  ])('that was %i ms ago, at an interval of 300 s, is %s', async (agoMs, result) => {
    const { poll, byOther, runtime, polls } = await polled()
    await runtime.advance(400_000)
    await byOther(agoMs)
    await poll()
    expect(polls()).toMatchObject([{ result }])
  })

  test.each([
    [100_000, 'unchanged'],
    [99_999, 'shared'],
  ])('that was %i ms ago, when ours was 100 s ago, is %s', async (agoMs, result) => {
    const { poll, byOther, polls } = await polled()
    await byOther(agoMs)
    await poll()
    expect(polls()).toMatchObject([{ result }])
  })

  test('counts for a process that has not polled yet', async () => {
    const { poll, byOther, polls, seen } = await polled()
    delete seen.lastPollAt
    await byOther(200_000)
    await poll()
    expect(polls()).toMatchObject([{ result: 'shared' }])
  })

  test('is not asked for when somebody wants to see what is published now', async () => {
    const { poll, byOther, others, polls } = await polled()
    await byOther(0)
    await poll(() => true)
    expect([others.asked, polls().length]).toEqual([0, 1])
    expect(polls()).toMatchObject([{ result: 'unchanged' }])
  })

  test('is not enough when somebody asked meanwhile', async () => {
    const { poll, byOther, others, polls } = await polled()
    await byOther(0)
    await poll(() => others.asked > 0)
    expect(others.asked).toBe(1)
    expect(polls()).toMatchObject([{ result: 'unchanged' }])
  })

  test('that meets a fault of ours does not hide it', async () => {
    const { poll, byOther, publish, inForce, events, requests } = await polled()
    await publish('new.example.com')
    await byOther(0)
    Object.assign(inForce, { commit: () => expect.fail('a bug') })
    await expect(poll()).rejects.toThrow('a bug')
    expect([events, requests]).toEqual([[], ['cache status.json']])
  })
})

test('a poll is traced, with what it came to', async () => {
  const results: unknown[] = []
  const channel = tracingChannel<unknown, { readonly result?: string }>('pinfetch.manifest.refresh')
  const handlers = { asyncEnd: ({ result }: { readonly result?: string }) => void results.push(result) }
  channel.subscribe(handlers as never)
  onTestFinished(() => channel.unsubscribe(handlers as never) as never)
  const { poll, answers, byOther } = await polled()
  await poll()
  await byOther(-1)
  answers.set('a status.json', { status: 503 })
  await refusalOf(poll(() => true))
  expect(results).toEqual(['changed', 'unchanged', 'failed'])
})
