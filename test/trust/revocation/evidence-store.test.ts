import {
  createTestRuntime,
  crl,
  extension,
  ocspResponse,
  selfSigned,
  type TestCertificate,
  type TestCrlOptions,
  type TestRuntime,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../../src/errors/errors.ts'
import type { ClientEvent } from '../../../src/events/events.ts'
import type { EvidenceRequest } from '../../../src/ports/runtime.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import type { Store } from '../../../src/stores/store.ts'
import type { CertificationPath } from '../../../src/trust/path/path.ts'
import { checkRevocation } from '../../../src/trust/revocation/check.ts'
import { EvidenceError } from '../../../src/trust/revocation/evidence.ts'
import { createEvidenceStore, type EvidenceStore } from '../../../src/trust/revocation/evidence-store.ts'
import { keyOf } from '../../../src/trust/revocation/obtain.ts'
import { DEFAULT_REVOCATION, type RevocationPolicy } from '../../../src/trust/revocation/policy.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import * as der from '../../../src/x509/der-writer.ts'

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
  {
    runtime = createTestRuntime({ now: NOW }),
    disk = memoryStore(),
    crliteFilters,
  }: {
    readonly runtime?: TestRuntime
    readonly disk?: Store
    readonly crliteFilters?: () => readonly Uint8Array[]
  } = {},
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
    ...(crliteFilters === undefined ? {} : { crliteFilters }),
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
    const nothing = { status: 'undetermined', causes: [{ code: 'ERR_TRUST_CRL_NONE' }] }
    expect(statusOf(world)).toMatchObject(nothing)
    world.store.want(pathOf(), DEFAULT_REVOCATION)
    expect(statusOf(world)).toMatchObject(nothing)
    world.store.want(pathOf(other), DEFAULT_REVOCATION)
    await settle(world)
    expect(world.requests.map(({ url }) => url)).toEqual([URL_1])
    expect(statusOf(world)).toMatchObject({ status: 'good', source: 'crl' })
    expect(statusOf(world, {}, other)).toMatchObject({ status: 'revoked' })
    expect(world.changes()).toBe(1)
  })

  test('is told when it came, with its size', async () => {
    const answer = list({ revoked: [Uint8Array.of(1), Uint8Array.of(2)] })
    const world = createWorld(answer)
    await world.runtime.advance(HOUR)
    await wanted(world)
    expect(world.requests).toEqual([{ url: URL_1, maxBytes: 1_000_000, timeoutMs: 5_000 }])
    const size = { bytes: answer.length, entries: 2, ms: 0 }
    expect(world.events).toEqual([{ type: 'revocation.refreshed', url: URL_1, ...size, validUntil: NOW + 7 * DAY }])
  })

  test('is not asked for again by those that want it while it is there, or was just refused', async () => {
    for (const answer of [list(), failure]) {
      const world = createWorld(answer)
      for (let connection = 0; connection < 3; connection += 1) await wanted(world)
      expect(world.requests).toHaveLength(1)
    }
  })

  test('says revoked of no other certificate than it lists, for no other issuer, and to nobody who does not ask lists', async () => {
    const other = ca.issue({ names: ['other.example.com'], ...named })
    const namesake = testCa({ now: NOW }).issue({ serial: certificate.serial, ...named })
    const world = createWorld(list({ revoked: [certificate] }))
    await wanted(world)
    expect(statusOf(world).status).toBe('revoked')
    expect(statusOf(world, {}, other).status).toBe('good')
    expect(statusOf(world, {}, namesake).status).toBe('undetermined')
    expect(statusOf(world, { sources: ['cache'] }).status).toBe('undetermined')
  })

  test('that takes a certificate off does not say revoked the second time', async () => {
    const world = createWorld(list({ revoked: [certificate], reason: 8 }))
    await wanted(world)
    expect([statusOf(world).status, statusOf(world).status]).toEqual(['good', 'good'])
  })

  test('of each certificate of the path is fetched where the whole chain is looked at', async () => {
    const points = { extensions: [extension.crlDistributionPoints(['http://crl.example.com/root.crl'])] }
    const chain = testCa({ now: NOW, intermediate: points })
    const end = chain.issue({ names: ['api.example.com'], ...named })
    const asked = async (depth: 'chain' | 'endEntity') => {
      const world = createWorld(failure)
      await wanted(world, { depth }, end)
      return world.requests.map(({ url }) => url)
    }
    expect(await asked('endEntity')).toEqual([URL_1])
    expect(await asked('chain')).toEqual([URL_1, 'http://crl.example.com/root.crl'])
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
      expect(world.events).toContainEqual({
        type: 'revocation.failed',
        url: URL_1,
        code: 'ERR_TRUST_CRL_ROLLBACK',
        message: `made ${new Date(older.thisUpdate).toISOString()}, a newer one is at hand`,
      })
      expect(statusOf(world).status).toBe('revoked')
    }
  })

  test('of the same age with the same number, or without a number, takes the place of the one at hand', async () => {
    for (const [before, after] of [
      [5, 5],
      [5, null],
      [null, 5],
    ] as const) {
      const world = createWorld(list({ number: before, thisUpdate: NOW, nextUpdate: NOW + DAY }))
      await wanted(world)
      world.answer(list({ number: after, thisUpdate: NOW, nextUpdate: NOW + 9 * DAY }))
      await pass(world, DAY - HOUR)
      expect(world.events.at(-1)).toMatchObject({ type: 'revocation.refreshed', validUntil: NOW + 9 * DAY })
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

  test.each([
    ['wanted within the last week is fetched again', 7 * DAY - 1_000, true],
    ['wanted a week ago is not', 7 * DAY, false],
  ])('%s', async (_, secondRefresh, isFetched) => {
    // Without chance a list is refreshed at half of its life: the first after five days, the second as told.
    const runtime = { ...createTestRuntime({ now: NOW }), random: (length: number) => new Uint8Array(length) }
    await runtime.advance(HOUR)
    const start = NOW + HOUR
    const world = createWorld(list({ thisUpdate: start, nextUpdate: start + 10 * DAY }), { runtime })
    await wanted(world)
    const thisUpdate = start + 4 * DAY
    world.answer(list({ thisUpdate, nextUpdate: thisUpdate + 2 * (start + secondRefresh - thisUpdate) }))
    await pass(world, 5 * DAY)
    expect(world.requests).toHaveLength(2)
    await pass(world, 3 * DAY)
    expect(world.requests.length >= 3).toBe(isFetched)
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

  test.each<[string, Parameters<typeof extension.crlDistributionPoints>[0], readonly string[]]>([
    [
      'over http and https',
      ['http://a.example/1', 'HTTPS://a.example/2'],
      ['http://a.example/1', 'HTTPS://a.example/2'],
    ],
    ['over nothing else', ['ldap://ca/cn=1', 'file:///etc/passwd', 'ldap://ca/cn=http:'], []],
    [
      'from two places at most',
      ['http://a.example/1', 'http://a.example/2', 'http://a.example/3'],
      ['http://a.example/1', 'http://a.example/2'],
    ],
    ['from no point with a name of another kind', [{ names: [{ dns: 'http://a.example/1' }] }], []],
    ['from no point of some reasons', [{ names: [{ uri: 'http://a.example/1' }], reasons: [1] }], []],
    ['from no point of another issuer', [{ names: [{ uri: 'http://a.example/1' }], crlIssuer: 'Other' }], []],
    ['from no point that names its issuer alone', [{ crlIssuer: 'Other' }], []],
    ['from no point below its issuer’s name', [{ relativeName: ['CN', 'http://a.example/1'] }], []],
  ])('is fetched %s', async (_, points, urls) => {
    const world = createWorld(list())
    await wanted(world, {}, ca.issue({ names: ['a.example'], extensions: [extension.crlDistributionPoints(points)] }))
    expect(world.requests.map(({ url }) => url)).toEqual(urls)
  })

  test('is fetched for no end entity that is itself the anchor', async () => {
    const root = selfSigned({ names: ['api.example.com'], now: NOW, ...named })
    const world = createWorld(list())
    await wanted(world, { depth: 'chain' }, root)
    await wanted(world, {}, root)
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
    const names = await disk.list(`revocation/${keyOf(subject).slice(0, 32)}/`)
    return Promise.all(names.map(async (name) => [name, (await disk.get(name)) ?? new Uint8Array()] as const))
  }
})

describe('the disk', () => {
  const keptAt = (thisUpdate: number) => `revocation/FOLDER/${String(thisUpdate).padStart(16, '0')}`

  test('is read at the start alone: an older list that comes to it later takes the place of none', async () => {
    const disk = memoryStore()
    const world = createWorld(list({ number: 5, nextUpdate: NOW + DAY, revoked: [certificate] }), { disk })
    await wanted(world)
    expect(statusOf(world).status).toBe('revoked')
    const folder = await folderOf(disk)
    const older = list({ number: 4, thisUpdate: NOW - 2 * HOUR, nextUpdate: NOW + 9 * DAY })
    await disk.put(keptAt(NOW + DAY).replace('FOLDER', folder), older)
    world.answer(failure)
    await pass(world, DAY - HOUR)
    expect(world.requests.length).toBeGreaterThan(1)
    expect(world.store.lists()).toMatchObject([{ thisUpdate: NOW - HOUR, validUntil: NOW + DAY }])
  })

  test('gives a list that serves at once, and is fetched again at once when half of its life is over', async () => {
    const disk = memoryStore()
    await wanted(createWorld(list({ thisUpdate: NOW, nextUpdate: NOW + 4 * DAY }), { disk }))
    const late = createWorld(failure, { disk, runtime: createTestRuntime({ now: NOW + 3 * DAY }) })
    await wanted(late)
    expect(late.requests).toHaveLength(1)
    expect(late.events.map(({ type }) => type)).toEqual(['revocation.failed'])
    expect(statusOf(late).status).toBe('good')
  })

  test.each(['list', 'get', 'delete', 'put'] as const)(
    'that cannot %s costs a request and nothing else',
    async (does) => {
      const disk = memoryStore()
      await wanted(createWorld(list(), { disk }))
      const [name = ''] = await disk.list(`revocation/${await folderOf(disk)}/`)
      if (does !== 'get') await disk.delete(name)
      if (does === 'delete') await disk.put(name, Uint8Array.of(0))
      const broken = async (): Promise<never> => {
        throw new StoreError('ERR_STORE_READ', 'the disk is gone')
      }
      const world = createWorld(list(), { disk: { ...disk, [does]: broken } })
      await wanted(world)
      expect(world.requests).toHaveLength(1)
      expect(statusOf(world).status).toBe('good')
    },
  )

  async function folderOf(disk: Store): Promise<string> {
    const subject = { kind: 'crl', url: URL_1, certificate: parseCertificate(certificate.der) } as const
    const key = keyOf({ ...subject, issuer: parseCertificate(ca.issuer.der) }).slice(0, 32)
    expect(await disk.list(`revocation/${key}/`)).toHaveLength(1)
    return key
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

  test('is asked about each certificate by itself, and tells one entry', async () => {
    const other = ca.issue({ names: ['other.example.com'], ...named })
    const world = createWorld(ocspResponse({ certificate }))
    await wanted(world, { sources: [...asked.sources] })
    world.answer(ocspResponse({ certificate: other, status: 'revoked' }))
    await wanted(world, { sources: [...asked.sources] }, other)
    expect(world.requests).toHaveLength(2)
    expect(world.events).toMatchObject([
      { type: 'revocation.refreshed', entries: 1 },
      { type: 'revocation.refreshed', entries: 1 },
    ])
    expect(statusOf(world, { sources: [...asked.sources] }).status).toBe('good')
    expect(statusOf(world, { sources: [...asked.sources] }, other).status).toBe('revoked')
  })

  test('is asked over http and https alone, at two places at most, where its method is OCSP', async () => {
    const access = (method: string, name: Uint8Array) => der.sequence(der.objectIdentifier(method), name)
    const uri = (text: string) => der.taggedPrimitive(6, Buffer.from(text))
    const [OCSP, CA_ISSUERS] = ['1.3.6.1.5.5.7.48.1', '1.3.6.1.5.5.7.48.2']
    const value = der.sequence(
      access(CA_ISSUERS, uri('http://a.example/issuers')),
      access(OCSP, uri('ldap://a.example/')),
      access(OCSP, der.taggedPrimitive(2, Buffer.from('http://a.example/dns'))),
      ...[1, 2, 3].map((n) => access(OCSP, uri(`http://a.example/${n}`))),
    )
    const extensions = [{ oid: '1.3.6.1.5.5.7.1.1', critical: false, value }]
    const world = createWorld(failure)
    await wanted(world, { sources: [...asked.sources] }, ca.issue({ names: ['a.example'], extensions }))
    expect(world.requests.map(({ url }) => url)).toEqual(['http://a.example/1', 'http://a.example/2'])
    await wanted(world, { sources: [...asked.sources] }, ca.issue({ names: ['a.example'] }))
    expect(world.requests).toHaveLength(2)
  })

  test('that gives an older response than the one at hand is refused, and a newer one counts', async () => {
    const world = createWorld(ocspResponse({ certificate, status: 'revoked', reason: 6, nextUpdate: NOW + DAY }))
    await wanted(world, { sources: [...asked.sources] })
    world.answer(ocspResponse({ certificate, thisUpdate: NOW - 2 * HOUR, nextUpdate: NOW + 9 * DAY }))
    await pass(world, DAY - HOUR)
    expect(world.events.at(-1)).toMatchObject({ code: 'ERR_TRUST_CRL_ROLLBACK' })
    expect(statusOf(world, { sources: [...asked.sources] }).status).toBe('revoked')
    world.answer(ocspResponse({ certificate, thisUpdate: NOW + 2 * HOUR, nextUpdate: NOW + 9 * DAY }))
    await pass(world, 2 * HOUR)
    expect(statusOf(world, { sources: [...asked.sources] }).status).toBe('good')
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

  test('asks for nothing that is at hand, until the millisecond in which it ends', async () => {
    const world = createWorld(list())
    await wanted(world)
    const asked = async (now: number) => {
      world.runtime.setWall(now)
      const waiting = world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
      await settle(world)
      await waiting
      return world.requests.length
    }
    expect(await asked(NOW + 7 * DAY - 1)).toBe(1)
    expect(await asked(NOW + 7 * DAY)).toBe(2)
  })

  test('rejects with a fault of the library, and leaves no timer', async () => {
    const fault = new TypeError('a fault')
    const list = async (): Promise<never> => {
      throw fault
    }
    for (const world of [createWorld(fault), createWorld(failure, { disk: { ...memoryStore(), list } })]) {
      const waiting = expect(world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)).rejects.toBe(fault)
      await settle(world)
      await waiting
      expect([world.runtime.pendingTimers, world.events]).toEqual([0, []])
    }
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

describe('CRLite filters', () => {
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]

  test('that are others than before are another version, and live connections are told within a second', async () => {
    let filters: Uint8Array[] = []
    const world = createWorld(list(), { crliteFilters: () => filters })
    const { source } = world.store
    expect(source.crliteFilters?.()).toBe(filters)
    const versions = [source.version, source.version]
    for (const next of [[one], [one, two], [two, one], [two], []]) {
      filters = next
      versions.push(source.version, source.version)
    }
    filters.push(two) // in place
    versions.push(source.version)
    expect(versions.map((version) => version - (versions[0] ?? 0))).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
    await world.runtime.advance(999)
    expect(world.changes()).toBe(0)
    await world.runtime.advance(1)
    expect(world.changes()).toBe(1)
    filters = [one]
    expect(source.version).toBeGreaterThan(versions.at(-1) ?? 0)
    await world.runtime.advance(1_000)
    expect(world.changes()).toBe(2)
  })

  test.each([
    { before: [one], was: 'told already' },
    { before: [], was: 'not' },
  ])('that change at the end leave no timer, whether others were $was', async ({ before }) => {
    let filters: readonly Uint8Array[] = before
    const world = createWorld(list(), { crliteFilters: () => filters })
    expect(world.store.source.version).toBeGreaterThan(0)
    world.store.close()
    filters = [two]
    expect(world.store.source.version).toBeGreaterThan(0)
    expect(world.runtime.pendingTimers).toBe(0)
    await world.runtime.advance(1_000)
    expect(world.changes()).toBe(0)
  })

  test('are no news where there are none', async () => {
    for (const given of [{}, { crliteFilters: () => [] }]) {
      const world = createWorld(list(), given)
      const { source } = world.store
      expect(source.crliteFilters?.() ?? []).toEqual([])
      expect(source.version).toBe(source.version)
      await world.runtime.advance(1_000)
      expect(world.changes()).toBe(0)
    }
  })
})

test('every statement is another version', async () => {
  const world = createWorld(list())
  const before = world.store.source.version
  await wanted(world)
  expect(world.store.source.version).toBeGreaterThan(before)
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

test('what is wanted in the moment in which a fetch ends waits behind those that wait already', async () => {
  const at = (point: number) =>
    pathOf(ca.issue({ extensions: [extension.crlDistributionPoints([`http://crl.example.com/${point}`])] }))
  for (let turns = 0; turns < 10; turns += 1) {
    const runtime = createTestRuntime({ now: NOW })
    const requests: string[] = []
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const store = createEvidenceStore({
      runtime,
      store: memoryStore(),
      maxBytes: 1_000_000,
      timeoutMs: 5_000,
      emit: () => void later(turns).then(() => store.want(at(4), DEFAULT_REVOCATION)),
      onChange: () => undefined,
      fetch: async function* ({ url }) {
        requests.push(url.slice(-1))
        await (url.endsWith('/1') ? gate : new Promise(() => undefined))
        yield list()
      },
    })
    for (const point of [1, 2, 3]) store.want(at(point), DEFAULT_REVOCATION)
    for (let turn = 0; turn < 20; turn += 1) await runtime.advance(0)
    open()
    for (let turn = 0; turn < 20; turn += 1) await runtime.advance(0)
    expect(requests).toEqual(['1', '2', '3'])
  }

  async function later(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) await undefined
  }
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
  world.answer(failure)
  await wanted(world)
  expect(world.store.lists()).toEqual([])
  world.answer(list())
  await pass(world, MINUTE)
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

test('nothing that comes after closing is told or kept, and nothing more is asked for', async () => {
  for (const disk of ['slow', 'quick'] as const) {
    const kept = memoryStore()
    if (disk === 'slow') await wanted(createWorld(list(), { disk: kept }))
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const gated: Store = {
      ...kept,
      get: async (name) => {
        await gate
        return kept.get(name)
      },
      put: async (name, bytes) => {
        await gate
        return kept.put(name, bytes)
      },
    }
    const world = createWorld(list(), { disk: gated })
    await wanted(world)
    const before = world.requests.length
    world.store.close()
    open()
    await settle(world)
    await wanted(world)
    await world.store.gather(pathOf(), DEFAULT_REVOCATION, 3_000)
    expect([world.requests.length, world.changes(), world.events]).toEqual([before, 0, []])
    expect([world.store.lists(), world.runtime.pendingTimers]).toEqual([[], 0])
  }
})
