import {
  createTestRuntime,
  crl,
  extension,
  ocspResponse,
  type TestCertificate,
  type TestCrlOptions,
  type TestRuntime,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { ClientEvent } from '../../../src/events/events.ts'
import type { EvidenceRequest } from '../../../src/ports/runtime.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import { checkRevocation } from '../../../src/trust/revocation/check.ts'
import { EvidenceError } from '../../../src/trust/revocation/evidence.ts'
import { createEvidenceStore, type EvidenceStore } from '../../../src/trust/revocation/evidence-store.ts'
import { DEFAULT_REVOCATION, type RevocationPolicy } from '../../../src/trust/revocation/policy.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'

const NOW = Date.UTC(2030, 0, 1)
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]
const URL_1 = 'http://crl.example.com/1.crl'
const ca = testCa({ now: NOW })
const named = {
  extensions: [
    extension.crlDistributionPoints([URL_1]),
    extension.authorityInfoAccess({ ocsp: 'http://ocsp.example.com/' }),
  ],
}
const certificate = ca.issue({ names: ['api.example.com'], notAfter: NOW + 900 * DAY, ...named })

type Answer = Uint8Array | Error

interface World {
  readonly runtime: TestRuntime
  readonly store: EvidenceStore
  readonly events: ClientEvent[]
  readonly requests: EvidenceRequest[]
  readonly changes: () => number
  /** What the network answers from now on. */
  readonly answer: (answer: Answer | 'hang') => void
  readonly now: () => number
}

function createWorld(
  first: Answer | 'hang',
  { runtime = createTestRuntime({ now: NOW }), disk = memoryStore() } = {},
): World {
  const events: ClientEvent[] = []
  const requests: EvidenceRequest[] = []
  let current = first
  let changes = 0
  const store = createEvidenceStore({
    runtime,
    store: disk,
    maxBytes: 1_000_000,
    timeoutMs: 5_000,
    emit: (event) => void events.push(event),
    onChange: () => {
      changes += 1
    },
    fetch: async function* (request) {
      requests.push(request)
      if (current === 'hang') await new Promise(() => undefined)
      else if (current instanceof Uint8Array) yield current
      else throw current
    },
  })
  return {
    runtime,
    store,
    events,
    requests,
    changes: () => changes,
    answer: (answer) => {
      current = answer
    },
    now: () => runtime.clock.now(),
  }
}

function pathOf(end: TestCertificate = certificate): CertificationPath {
  const [first, ...rest] = end.chainWithRoot.map((der) => parseCertificate(der))
  if (first === undefined) throw new Error('no certificate')
  return { certificates: [first, ...rest], policies: [] }
}

const list = (more: Partial<TestCrlOptions> = {}): Uint8Array => crl({ issuer: ca.issuer, now: NOW, ...more })
const failure = new EvidenceError('ERR_TRUST_FETCH_STATUS', 'status 503')

/** What a verdict given now would say. */
function statusOf(world: World, more: Partial<RevocationPolicy> = {}, end = certificate) {
  const policy = { ...DEFAULT_REVOCATION, ...more }
  return checkRevocation(pathOf(end), policy, world.store.source, world.runtime.clock.now())
}

async function wanted(world: World, more: Partial<RevocationPolicy> = {}, end = certificate): Promise<void> {
  world.store.want(pathOf(end), { ...DEFAULT_REVOCATION, ...more })
  await settle(world)
}

/** Everything that does not wait for the clock happens. */
async function settle({ runtime }: World): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await runtime.advance(0)
}

async function pass(world: World, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= HOUR) {
    await world.runtime.advance(Math.min(left, HOUR))
    await settle(world)
  }
}

describe('a list', () => {
  test('is fetched once for all that want it, and answers for each certificate', async () => {
    const other = ca.issue({ names: ['other.example.com'], ...named })
    const world = createWorld(list({ revoked: [other] }))
    expect(statusOf(world)).toMatchObject({ status: 'undetermined', causes: [{ code: 'ERR_TRUST_CRL_NONE' }] })
    world.store.want(pathOf(), DEFAULT_REVOCATION)
    world.store.want(pathOf(other), DEFAULT_REVOCATION)
    await settle(world)
    expect(world.requests.map(({ url }) => url)).toEqual([URL_1])
    expect(statusOf(world)).toMatchObject({ status: 'good', source: 'crl' })
    expect(statusOf(world, {}, other)).toMatchObject({ status: 'revoked' })
    expect(world.changes()).toBe(1)
    expect(world.events).toEqual([
      expect.objectContaining({ type: 'revocation.refreshed', url: URL_1, entries: 1, validUntil: NOW + 7 * DAY }),
    ])
  })

  test('is fetched again between half and three quarters of its life, and the old one serves meanwhile', async () => {
    const world = createWorld(list({ thisUpdate: NOW, nextUpdate: NOW + 4 * DAY }))
    await wanted(world)
    await pass(world, 2 * DAY - HOUR)
    expect(world.requests).toHaveLength(1)
    world.answer('hang')
    await pass(world, DAY + 2 * HOUR)
    expect(world.requests).toHaveLength(2)
    expect(statusOf(world).status).toBe('good')
    await pass(world, DAY)
    expect(statusOf(world)).toMatchObject({ status: 'undetermined', causes: [{ code: 'ERR_TRUST_CRL_EXPIRED' }] })
  })

  test('that cannot be had is asked for again, later and later, and every cause is told', async () => {
    const world = createWorld(failure)
    await wanted(world)
    expect(statusOf(world)).toMatchObject({ status: 'undetermined', causes: [{ code: 'ERR_TRUST_FETCH_STATUS' }] })
    expect(world.events).toMatchObject([{ type: 'revocation.failed', code: 'ERR_TRUST_FETCH_STATUS' }])
    await pass(world, MINUTE)
    expect(world.requests).toHaveLength(2)
    await pass(world, DAY)
    expect(world.requests.length).toBeGreaterThan(24)
    expect(world.requests.length).toBeLessThan(60)
    world.answer(list())
    await pass(world, HOUR)
    expect(statusOf(world).status).toBe('good')
  })

  test('serves through failures until it ends', async () => {
    const world = createWorld(list({ thisUpdate: NOW, nextUpdate: NOW + 2 * DAY }))
    await wanted(world)
    world.answer(failure)
    await pass(world, 2 * DAY - HOUR)
    expect(world.events.map(({ type }) => type)).toContain('revocation.failed')
    expect(statusOf(world).status).toBe('good')
  })

  test('that is older than the one at hand is refused: ERR_TRUST_CRL_ROLLBACK', async () => {
    for (const older of [
      { number: 4, thisUpdate: NOW + HOUR },
      { number: 5, thisUpdate: NOW - 2 * DAY },
    ]) {
      const world = createWorld(
        list({ number: 5, thisUpdate: NOW - HOUR, nextUpdate: NOW + DAY, revoked: [certificate] }),
      )
      await wanted(world)
      world.answer(list({ nextUpdate: NOW + 9 * DAY, ...older }))
      await pass(world, DAY - HOUR)
      expect(world.events).toContainEqual(
        expect.objectContaining({ type: 'revocation.failed', code: 'ERR_TRUST_CRL_ROLLBACK' }),
      )
      expect(statusOf(world).status).toBe('revoked')
    }
  })

  test('that leaves out what was revoked does not take it back, but for a hold', async () => {
    for (const [reason, status] of [
      [1, 'revoked'],
      [undefined, 'revoked'],
      [6, 'good'],
    ] as const) {
      const revoked = { revoked: [certificate], ...(reason === undefined ? {} : { reason }) }
      const world = createWorld(list({ nextUpdate: NOW + DAY, ...revoked }))
      await wanted(world)
      expect(statusOf(world).status).toBe('revoked')
      world.answer(list({ number: 2, thisUpdate: NOW + HOUR, nextUpdate: NOW + 9 * DAY }))
      await pass(world, DAY)
      expect(statusOf(world).status, String(reason)).toBe(status)
    }
  })

  test.each([
    ['of another distribution point', { uri: 'http://crl.example.com/2.crl' }, 'ERR_TRUST_CRL_SCOPE'],
    ['about CAs alone', { scope: { uri: URL_1, onlyCaCerts: true } }, 'ERR_TRUST_CRL_SCOPE'],
    ['that only adds to another', { uri: URL_1, baseNumber: 1 }, 'ERR_TRUST_CRL_DELTA_UNSUPPORTED'],
  ] as const)('of the issuer, but %s, does not take the place of the one at hand', async (_, stray, code) => {
    const world = createWorld(list({ uri: URL_1, nextUpdate: NOW + DAY, revoked: [certificate] }))
    await wanted(world)
    expect(statusOf(world).status).toBe('revoked')
    world.answer(list({ number: 9, thisUpdate: NOW + HOUR, nextUpdate: NOW + 9 * DAY, ...stray }))
    await pass(world, DAY - HOUR)
    expect(world.events).toContainEqual(expect.objectContaining({ type: 'revocation.failed', code }))
    expect(statusOf(world).status).toBe('revoked')
    world.answer(list({ uri: URL_1, number: 2, thisUpdate: NOW + 2 * HOUR, nextUpdate: NOW + 9 * DAY }))
    await pass(world, 2 * HOUR) // the genuine next list is not refused for what the stray one said of itself
    expect(world.events.at(-1)).toMatchObject({ type: 'revocation.refreshed' })
  })

  test('that has ended goes on saying what is revoked for good, and nothing else', async () => {
    for (const [revoked, status] of [
      [{ revoked: [certificate], reason: 1 }, 'revoked'],
      [{ revoked: [certificate] }, 'revoked'],
      [{ revoked: [certificate], reason: 6 }, 'undetermined'],
      [{}, 'undetermined'],
    ] as const) {
      const world = createWorld(list({ nextUpdate: NOW + DAY, ...revoked }))
      await wanted(world)
      statusOf(world)
      world.answer(failure)
      await pass(world, 3 * DAY)
      expect(statusOf(world).status, `reason ${'reason' in revoked ? revoked.reason : 'none'}`).toBe(status)
    }
  })

  test('that nobody wanted for a week is let go', async () => {
    const world = createWorld(list({ thisUpdate: NOW, nextUpdate: NOW + 10 * DAY }))
    await wanted(world)
    await pass(world, 30 * DAY)
    expect(world.requests.length).toBeLessThan(4)
    expect(world.runtime.pendingTimers).toBe(0)
  })

  test('is not fetched where the policy says never, is off, or does not ask lists', async () => {
    const world = createWorld(list())
    for (const more of [{ fetch: 'never' }, { mode: 'off' }, { sources: ['staple'] }] as const)
      await wanted(world, more)
    expect(world.requests).toEqual([])
  })

  test('is fetched for no other URL than http and https', async () => {
    const world = createWorld(list())
    const ldap = ca.issue({
      names: ['a.example'],
      extensions: [extension.crlDistributionPoints(['ldap://ca/cn=1', 'file:///etc/passwd'])],
    })
    await wanted(world, {}, ldap)
    expect(world.requests).toEqual([])
  })
})

describe('after a restart', () => {
  test('the list of the disk serves, verified again, without a request', async () => {
    const disk = memoryStore()
    await wanted(createWorld(list({ revoked: [certificate] }), { disk }))
    const again = createWorld(failure, { disk })
    await wanted(again)
    expect(again.requests).toEqual([])
    expect(statusOf(again).status).toBe('revoked')
  })

  test('one that was tampered with, or has ended, is not used', async () => {
    const disk = memoryStore()
    await wanted(createWorld(list({ revoked: [certificate] }), { disk }))
    const [folder] = [...(await filesOf(disk))]
    expect(folder).toBeDefined()
    const [name, bytes] = folder ?? ['', new Uint8Array()]
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await disk.delete(name)
    await disk.put(name, bytes)
    const tampered = createWorld(failure, { disk })
    await wanted(tampered)
    expect(tampered.requests).toHaveLength(1)
    expect(statusOf(tampered)).toMatchObject({ causes: [{ code: 'ERR_TRUST_FETCH_STATUS' }] })

    await wanted(createWorld(list(), { disk }))
    const late = createWorld(failure, { disk, runtime: createTestRuntime({ now: NOW + 30 * DAY }) })
    await wanted(late)
    expect(late.requests).toHaveLength(1)
  })

  async function filesOf(disk: ReturnType<typeof memoryStore>): Promise<readonly (readonly [string, Uint8Array])[]> {
    const subject = {
      kind: 'crl',
      url: URL_1,
      certificate: parseCertificate(certificate.der),
      issuer: parseCertificate(ca.issuer.der),
    } as const
    const { keyOf } = await import('../../../src/trust/revocation/obtain.ts')
    const names = await disk.list(`revocation/${keyOf(subject).slice(0, 32)}/`)
    return Promise.all(names.map(async (name) => [name, (await disk.get(name)) ?? new Uint8Array()] as const))
  }
})

describe('a responder', () => {
  const asked = { sources: ['cache', 'ocsp'] } as const

  test('is asked where the policy says so, about one certificate', async () => {
    const world = createWorld(ocspResponse({ certificate }))
    await wanted(world, { sources: [...asked.sources] })
    expect(world.requests).toHaveLength(1)
    expect(world.requests[0]?.ocspRequest?.length).toBeGreaterThan(60)
    expect(statusOf(world, { sources: [...asked.sources] })).toMatchObject({ status: 'good', source: 'cache' })
  })

  test('that says revoked or unknown is believed, one that cannot be verified is not', async () => {
    const revoked = createWorld(ocspResponse({ certificate, status: 'revoked' }))
    await wanted(revoked, { sources: [...asked.sources] })
    expect(statusOf(revoked, { sources: [...asked.sources] }).status).toBe('revoked')
    const forged = createWorld(ocspResponse({ certificate, signature: 'garbage' }))
    await wanted(forged, { sources: [...asked.sources] })
    expect(statusOf(forged, { sources: [...asked.sources] })).toMatchObject({
      status: 'undetermined',
      causes: [{ code: 'ERR_TRUST_OCSP_BAD_SIGNATURE' }],
    })
  })

  test('that said revoked for good is not forgotten when its response ends', async () => {
    for (const [reason, status] of [
      [1, 'revoked'],
      [6, 'undetermined'],
    ] as const) {
      const world = createWorld(ocspResponse({ certificate, status: 'revoked', reason, nextUpdate: NOW + DAY }))
      await wanted(world, { sources: [...asked.sources] })
      expect(statusOf(world, { sources: [...asked.sources] }).status).toBe('revoked')
      world.answer(failure)
      await pass(world, 3 * DAY)
      expect(statusOf(world, { sources: [...asked.sources] }).status, `reason ${reason}`).toBe(status)
    }
  })
})

describe('waiting', () => {
  test('ends when all has arrived, and not before', async () => {
    const world = createWorld(list())
    const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
    await settle(world)
    await waiting
    expect(statusOf(world).status).toBe('good')
  })

  test('asks again for a list that has ended', async () => {
    const world = createWorld(list({ nextUpdate: NOW + DAY }))
    await wanted(world)
    world.answer(failure)
    await pass(world, 3 * DAY)
    expect(statusOf(world).status).toBe('undetermined')
    world.answer(list({ number: 2, thisUpdate: NOW + 3 * DAY, nextUpdate: NOW + 9 * DAY }))
    const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
    await settle(world)
    await waiting
    expect(statusOf(world).status).toBe('good')
  })

  test('asks a CA that does not answer once in a while, however many wait', async () => {
    const world = createWorld(failure)
    for (let connection = 0; connection < 20; connection += 1) {
      const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
      await settle(world)
      await waiting
    }
    expect(world.requests).toHaveLength(1)
    await world.runtime.advance(5_000)
    world.answer(list())
    const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
    await settle(world)
    await waiting
    expect(statusOf(world).status).toBe('good')
  })

  test('rejects with a fault of the library, and leaves no timer', async () => {
    const fault = new TypeError('a fault')
    const world = createWorld(fault)
    const waiting = expect(world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)).rejects.toBe(fault)
    await settle(world)
    await waiting
    expect([world.runtime.pendingTimers, world.events]).toEqual([0, []])
  })

  test('ends with its budget', async () => {
    const world = createWorld('hang')
    let isOver = false
    const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000).then(() => {
      isOver = true
    })
    await settle(world)
    await world.runtime.advance(2_999)
    expect(isOver).toBe(false)
    await world.runtime.advance(1)
    await waiting
  })
})

test('of sixty-four the one that nobody wanted for longest makes room', async () => {
  const at = (...points: readonly number[]) =>
    ca.issue({
      names: ['a.example'],
      extensions: [extension.crlDistributionPoints(points.map((point) => `http://crl.example.com/${point}`))],
    })
  const world = createWorld(list())
  for (let point = 0; point < 64; point += 1) {
    await wanted(world, {}, at(point))
    await world.runtime.advance(1)
  }
  const lists = () => world.store.lists().map(({ url }) => Number(url.split('/').at(-1)))
  await wanted(world, {}, at(0, 64)) // 0 is wanted again
  expect(lists()).toEqual([0, ...Array.from({ length: 63 }, (__, point) => point + 2)])
  expect(world.requests).toHaveLength(65)
})

test('two are fetched at a time, and a hundred CAs do not add up', async () => {
  const world = createWorld('hang')
  for (let i = 0; i < 100; i += 1) {
    const end = ca.issue({
      names: ['a.example'],
      extensions: [extension.crlDistributionPoints([`http://crl.example.com/${i}`])],
    })
    world.store.want(pathOf(end), DEFAULT_REVOCATION)
  }
  await settle(world)
  expect(world.requests).toHaveLength(2)
})

test('what had to make room while it was fetched leaves no timer', async () => {
  const runtime = createTestRuntime({ now: NOW })
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const store = createEvidenceStore({
    runtime,
    store: memoryStore(),
    maxBytes: 1_000_000,
    timeoutMs: 5_000,
    emit: () => undefined,
    onChange: () => undefined,
    fetch: async function* (): AsyncGenerator<Uint8Array> {
      await gate
      yield Uint8Array.of(0)
    },
  })
  for (let i = 0; i < 65; i += 1) {
    const extensions = [extension.crlDistributionPoints([`http://crl.example.com/${i}`])]
    store.want(pathOf(ca.issue({ names: ['a.example'], extensions })), DEFAULT_REVOCATION)
    await runtime.advance(1)
  }
  open()
  for (let turn = 0; turn < 1_000; turn += 1) await runtime.advance(0)
  expect(runtime.pendingTimers).toBe(64)
  store.close()
  expect(runtime.pendingTimers).toBe(0)
})

test('names the lists at hand and when they end, and no OCSP response', async () => {
  const world = createWorld(list())
  expect(world.store.lists()).toEqual([])
  await wanted(world)
  expect(world.store.lists()).toEqual([{ url: URL_1, thisUpdate: NOW - HOUR, validUntil: NOW + 7 * DAY }])
  const asking = createWorld(ocspResponse({ certificate }))
  await wanted(asking, { sources: ['ocsp'] })
  expect([asking.requests.length, asking.store.lists()]).toEqual([1, []])
})

test('closing leaves no timer', async () => {
  const world = createWorld(list())
  await wanted(world)
  expect(world.runtime.pendingTimers).toBe(1)
  world.store.close()
  expect(world.runtime.pendingTimers).toBe(0)
})
