import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { allowTls12, relaxTransparency } from 'pinfetch/dangerous'
import { createTestRuntime, ocspResponse, type TestCertificate, testCa, testLog, testLogList } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { CtInput, HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { expectOnlyClientHello, refresh, type Scene, settled, startScene } from '../support/scene.ts'
import { clientWithPublicCa } from '../support/system-store.ts'

const DAY = 86_400_000
const HOST = 'api.example.com'
const now = Date.now()
const ca = testCa({ now })
const logs = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
const logList = testLogList(logs, now)
const REASON = { reason: 'a test' }

const bare = ca.issue({ names: [HOST] })
const logged = ca.issue({ names: [HOST], loggedIn: logs })
const pins = { [HOST]: [ca.issuer.pin] }

type Watched = Client & { readonly events: ClientEvent[] }

function watched(client: Client): Watched {
  const events: ClientEvent[] = []
  for (const type of ['ct.checked', 'tls.handshake', 'tls.reported', 'manifest.wouldBreak', 'posture'] as const)
    client.on(type, (event) => void events.push(event))
  return Object.assign(Object.create(client) as Client, { events })
}
const publicly = (options: Partial<ClientOptions>): Watched => watched(clientWithPublicCa(ca, { pins, ...options }))
const checks = ({ events }: Watched) => events.filter((event) => event.type === 'ct.checked')
const get = async (client: Client, { url }: Scene) => (await client.fetch(url(HOST))).status

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: SCTs of the server', (version) => {
  const speaks = version === 'TLSv1.2' ? { tls12Hosts: [allowTls12(HOST, REASON)] } : {}
  const enforcing = { ...speaks, ct: { mode: 'enforce', logList } } as const
  const sceneOf = (identity: TestCertificate, staple?: Uint8Array) =>
    startScene(identity, {
      minVersion: version,
      maxVersion: version,
      ...(staple === undefined ? {} : { ocspResponse: staple }),
    })

  test('that are not there refuse it before anything is sent: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
    const scene = await sceneOf(bare)
    const error = await refusalOf(publicly(enforcing).fetch(scene.url(HOST)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(error).toMatchObject({ requestSent: 'no', chain: { length: 3 } })
    await expectOnlyClientHello(scene)
  })

  test('that suffice are accepted, and told', async () => {
    const client = publicly(enforcing)
    expect(await get(client, await sceneOf(logged))).toBe(200)
    const told = { status: 'compliant', logs: ['log of A', 'log of B'], findings: [] }
    expect(checks(client)).toMatchObject([{ host: expect.stringContaining(HOST), operators: ['A', 'B'], ...told }])
    expect(client.events).toContainEqual(
      expect.objectContaining({ type: 'tls.handshake', transparency: expect.objectContaining(told) }),
    )
  })

  test('may come with the stapled OCSP response (case 611)', async () => {
    const stapled = ocspResponse({ certificate: bare, loggedIn: logs })
    expect(await get(publicly(enforcing), await sceneOf(bare, stapled))).toBe(200)
    const silent = await sceneOf(bare, ocspResponse({ certificate: bare }))
    await refusalOf(publicly(enforcing).fetch(silent.url(HOST)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    await expectOnlyClientHello(silent)
  })

  test('stand behind a resumed session too', async () => {
    const client = publicly(enforcing)
    const scene = await sceneOf(logged)
    const close = { headers: { connection: 'close' } }
    for (let request = 0; request < 3; request += 1) {
      await (await client.fetch(scene.url(HOST), close)).text()
      await expect.poll(() => scene.peer.connections.length).toBe(request + 1)
    }
    await expect.poll(() => scene.peer.sessionsReused).toBeGreaterThan(0)
    expect(checks(client).map((event) => 'status' in event && event.status)).toEqual(Array(3).fill('compliant'))
  })
})

describe('what is asked', () => {
  test('report lets a certificate pass that was not logged, and tells of it', async () => {
    for (const ct of [{ logList }, { mode: 'report', logList }] as const) {
      const client = publicly({ ct })
      expect(await get(client, await startScene(bare))).toBe(200)
      expect(checks(client)).toMatchObject([
        { status: 'noncompliant', logs: [], findings: [{ code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS' }] },
      ])
    }
  })

  test('nothing, where nobody gave a list', async () => {
    const client = publicly({})
    expect(await get(client, await startScene(bare))).toBe(200)
    expect(checks(client)).toEqual([])
  })

  test('a private CA is asked for nothing, unless SCTs are required: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
    const privately = (mode: 'enforce' | 'require') =>
      watched(testClient({ pins, anchors: ca.anchorPem, ct: { mode, logList } }))
    const scene = await startScene(bare)
    const enforcing = privately('enforce')
    expect(await get(enforcing, scene)).toBe(200)
    expect(checks(enforcing)).toEqual([])
    await refusalOf(privately('require').fetch(scene.url(HOST)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(await get(privately('require'), await startScene(logged))).toBe(200)
  })

  test('report mode of the pins forgives no SCT: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
    const wrong = { mode: 'report', pins: { [HOST]: [testCa().issuer.pin] } } as const
    const client = publicly({ ...wrong, ct: { mode: 'enforce', logList } })
    await refusalOf(client.fetch((await startScene(bare)).url(HOST)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(await get(client, await startScene(logged))).toBe(200)
  })

  test('single hosts may be asked for something else', async () => {
    const scene = await startScene(bare)
    const strict = publicly({ ct: { logList }, hostCt: { '*.example.com': 'enforce' } })
    await refusalOf(strict.fetch(scene.url(HOST)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    const loose = publicly({ ct: { mode: 'enforce', logList }, hostCt: { [HOST]: relaxTransparency('off', REASON) } })
    expect(await get(loose, scene)).toBe(200)
    expect(checks(loose)).toEqual([])
    expect(loose.events).toContainEqual({ type: 'posture', subject: `${HOST}: ct: off`, effect: 'in force: a test' })
  })
})

describe('a list of more than 70 days ago (case 609)', () => {
  const old = testLogList(logs, now - 71 * DAY)

  test('enforces nothing, and an event says so', async () => {
    const client = publicly({ ct: { mode: 'enforce', logList: old } })
    expect(await get(client, await startScene(bare))).toBe(200)
    expect(checks(client)).toMatchObject([{ status: 'unchecked', findings: [{ code: 'ERR_TRUST_CT_LOG_LIST_STALE' }] }])
  })

  test('refuses where SCTs are required: ERR_TRUST_CT_LOG_LIST_STALE', async () => {
    const scene = await startScene(logged)
    const client = publicly({ ct: { mode: 'require', logList: old } })
    await refusalOf(client.fetch(scene.url(HOST)), 'ERR_TRUST_CT_LOG_LIST_STALE')
    await expectOnlyClientHello(scene)
  })

  test('is noticed by live connections on the day: ERR_TRUST_CT_LOG_LIST_STALE', async () => {
    const runtime = createTestRuntime({ now })
    const scene = await startScene(logged)
    const client = publicly({ ct: { mode: 'require', logList: testLogList(logs, now - 69 * DAY) }, runtime })
    expect(await settled(get(client, scene), runtime)).toBe(200)
    runtime.setWall(now + DAY - 1_000)
    expect(await settled(get(client, scene), runtime)).toBe(200)
    runtime.setWall(now + DAY + 1_000)
    await refusalOf(settled(client.fetch(scene.url(HOST)), runtime), 'ERR_TRUST_CT_LOG_LIST_STALE')
    expect(scene.peer.requests).toHaveLength(2)
  })
})

describe('the manifest', () => {
  const entry = (more: Partial<HostInput> = {}): HostInput => ({
    host: HOST,
    mode: 'enforce',
    pins: [{ spki: ca.issuer.pin }, { spki: ca.root.pin }],
    ...more,
  })
  const asks = (policy: CtInput['policy'], list: CtInput['logList'] = logList) => ({ ct: { policy, logList: list } })

  async function stage(members: object, more: Partial<HostInput> = {}, options: Partial<ClientOptions> = {}) {
    const runtime = createTestRuntime({ now })
    const hosts = [entry(more)]
    const { repository, manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    await repository.publish({ hosts, members })
    const client = watched(clientWithPublicCa(ca, { manifest, runtime, ...options }))
    await settled(client.ready(), runtime)
    const publish = async (members: object, more: Partial<HostInput> = {}) => {
      await repository.publish({ hosts: [entry(more)], members })
      await runtime.advance(1_000) // the next refresh need not wait for the second between two
      await refresh(client, runtime)
    }
    const status = (scene: Scene) => settled(get(client, scene), runtime)
    const refused = (scene: Scene, code: Parameters<typeof refusalOf>[1]) =>
      refusalOf(settled(client.fetch(scene.url(HOST)), runtime), code)
    return { client, publish, status, refused }
  }

  test('that enforces refuses, that reports tells, and whose policy is off asks for nothing', async () => {
    const { client, publish, status, refused } = await stage(asks('off'))
    const scene = await startScene(bare)
    expect(await status(scene)).toBe(200)
    expect(checks(client)).toEqual([])
    await publish(asks('enforce'))
    await refused(scene, 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    await publish(asks('report'))
    expect(await status(scene)).toBe(200)
    expect(checks(client)).toMatchObject([{ status: 'noncompliant' }])
  })

  test('that comes to require SCTs of a host cuts its live connections: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
    const { client, publish, status, refused } = await stage(asks('off'))
    const scene = await startScene(bare)
    expect(await status(scene)).toBe(200)
    await publish(asks('off'), { requireSct: true })
    expect(client.events).toContainEqual({
      type: 'manifest.wouldBreak',
      version: 3,
      hosts: [{ host: expect.stringContaining(HOST), code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS' }],
    })
    expect(client.events).toContainEqual(
      expect.objectContaining({ type: 'tls.handshake', code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', cut: true }),
    )
    await refused(scene, 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(scene.peer.requests).toHaveLength(1)
    expect(await status(await startScene(logged))).toBe(200)
  })

  test('that requires SCTs and has no list refuses the host: ERR_TRUST_CT_LOG_LIST_STALE', async () => {
    const { refused } = await stage({}, { requireSct: true })
    await refused(await startScene(logged), 'ERR_TRUST_CT_LOG_LIST_STALE')
    const inCode = await stage({}, { requireSct: true }, { ct: { logList } })
    expect(await inCode.status(await startScene(logged))).toBe(200)
  })

  test('that requires SCTs of a host asks a private CA for them, too: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
    const hosts = [entry({ requireSct: true })]
    const { repository, manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    await repository.publish({ hosts, members: asks('off') })
    const client = testClient({ manifest, anchors: ca.anchorPem })
    await client.ready()
    await refusalOf(get(client, await startScene(bare)), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    expect(await get(client, await startScene(logged))).toBe(200)
  })

  test('loosens nothing that code asks for, and code loosens what it asks for only through pinfetch/dangerous', async () => {
    const strict = await stage(asks('off'), {}, { ct: 'enforce' })
    await strict.refused(await startScene(bare), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    const plain = await stage(asks('enforce'), {}, { ct: 'report' })
    await plain.refused(await startScene(bare), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
    const relaxed = await stage(asks('enforce'), { requireSct: true }, { ct: relaxTransparency('report', REASON) })
    expect(await relaxed.status(await startScene(bare))).toBe(200)
    expect(checks(relaxed.client)).toMatchObject([{ status: 'noncompliant' }])
  })

  test('counts with the newer of two lists', async () => {
    const others = [testLog({ operator: 'C' }), testLog({ operator: 'D' })]
    const inCode = (timestamp: number) =>
      ({ ct: { mode: 'enforce', logList: testLogList(others, timestamp) } }) as const
    const older = await stage(asks('report'), {}, inCode(now - DAY))
    expect(await older.status(await startScene(logged))).toBe(200)
    const newer = await stage(asks('report'), {}, inCode(now + DAY))
    await newer.refused(await startScene(logged), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
  })

  describe('that distrusts a CA for what was logged after an instant (case 404)', () => {
    const instant = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
    const since = Math.floor(now / 1_000) * 1_000 - 10 * DAY
    const distrusts = (ct: object = asks('off')) => ({
      ...ct,
      revocations: { distrustAfter: [{ spkiSha256: ca.root.pin, sctNotAfter: instant(since) }] },
    })
    const loggedAt = (ms: number, loggedIn = logs) =>
      startScene(ca.issue({ names: [HOST], loggedIn, loggedAt: ms, notBefore: now - 20 * DAY }))

    test('accepts what was logged before, and refuses the rest: ERR_TRUST_CA_DISTRUSTED', async () => {
      const { status, refused } = await stage(distrusts())
      expect(await status(await loggedAt(since))).toBe(200)
      const error = await refused(await loggedAt(since + 1), 'ERR_TRUST_CA_DISTRUSTED')
      expect(error.message).toContain('logged after')
      await refused(await startScene(bare), 'ERR_TRUST_CA_DISTRUSTED')
    })

    test('refuses what only a log that the list does not have saw before', async () => {
      const { refused } = await stage(distrusts())
      await refused(await loggedAt(since, [testLog()]), 'ERR_TRUST_CA_DISTRUSTED')
    })

    test('refuses everybody under it without a list that is new enough', async () => {
      const { refused } = await stage(distrusts(asks('off', testLogList(logs, now - 71 * DAY))))
      await refused(await loggedAt(since), 'ERR_TRUST_CA_DISTRUSTED')
      await (await stage(distrusts({}))).refused(await loggedAt(since), 'ERR_TRUST_CA_DISTRUSTED')
    })
  })
})
