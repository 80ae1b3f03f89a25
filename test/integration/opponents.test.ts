import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientOptions, createClient } from 'pinfetch'
import {
  createTestRuntime,
  type TestHosts,
  type TestRepositoryOptions,
  type TestRuntime,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { expectOnlyClientHello, refresh, settled, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const PINS = 'pins.example.com'
const genuine = testCa({ name: 'Genuine' })
const rogue = testCa({ name: 'Rogue' })
const anchors = [genuine.anchorPem, rogue.anchorPem] // the attacker owns a CA that the client trusts
const [server, spare, third, fourth] = Array.from({ length: 4 }, () => genuine.issue({ names: [HOST] })) as [
  Identity,
  Identity,
  Identity,
  Identity,
]
const attacker = rogue.issue({ names: [HOST] })
type Identity = ReturnType<typeof genuine.issue>

const secret = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }
const pinned = (...keys: readonly Identity[]): TestHosts => ({ [HOST]: keys.map(({ pin }) => pin) })

/** A client under a signed manifest, the server that it pins, and an attacker in its place. */
async function stage(
  options: { repository?: TestRepositoryOptions; manifest?: Partial<ClientOptions['manifest']> } = {},
) {
  const runtime = createTestRuntime({ now: Date.now() })
  const repository = { clock: runtime.clock, ...options.repository }
  const pins = await startTestPins({ ca: genuine, name: PINS, hosts: pinned(server, spare), repository })
  const [good, bad] = [await startScene(server), await startScene(attacker)]
  const manifest = { ...pins.manifest, ...options.manifest }
  const client = testClient({ manifest, anchors, runtime })
  await settled(client.ready(), runtime)
  await runtime.advance(1_000) // the next refresh need not wait for the second between two
  return { ...pins, runtime, client, good, bad, manifest }
}

/** The wall clock steps and a moment passes, as after a suspended machine. */
async function setTime(runtime: TestRuntime, instant: number): Promise<void> {
  runtime.setWall(instant)
  await runtime.advance(1)
}

describe('B18: nothing expires in silence, and nothing opens by expiring', () => {
  test('updates held back until the pins lapse: announced, stale for a grace, then closed with ERR_TRUST_PINSET_EXPIRED and no packet', async () => {
    const { server: host, repository, client, runtime, good, bad } = await stage()
    const told: string[] = []
    for (const type of ['manifest.stale', 'manifest.expired', 'manifest.fresh'] as const) {
      client.on(type, () => told.push(type))
    }
    host.freeze()
    const { expiresAt = 0 } = client.health().manifest ?? {}
    await setTime(runtime, expiresAt - 1_000)
    expect([client.health().state, told]).toEqual(['degraded', ['manifest.stale']])
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH') // stale pins are pins

    await setTime(runtime, expiresAt)
    expect([client.health().state, told]).toEqual(['unready', ['manifest.stale', 'manifest.expired']])
    const before = [good.peer.accepted, bad.peer.accepted]
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_PINSET_EXPIRED')
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_PINSET_EXPIRED')
    expect([good.peer.accepted, bad.peer.accepted]).toEqual(before)

    host.thaw()
    await repository.publish()
    await refresh(client, runtime)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    expect(client.health().state).toBe('ready')
  })
})

describe('B19: clocks that lie', () => {
  test('a clock set back does not revive what expired in this process: ERR_TRUST_PINSET_EXPIRED', async () => {
    const { server: host, repository, client, runtime, good } = await stage()
    const begun = runtime.clock.now()
    await repository.publish({ staleGrace: 0 })
    await repository.publishStatus({ ttlMs: HOUR_MS })
    await refresh(client, runtime)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    host.freeze()
    await runtime.advance(HOUR_MS)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PINSET_EXPIRED')
    await setTime(runtime, begun)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PINSET_EXPIRED')
  }, 60_000)

  test('nor does it revive a pin that ended: ERR_TRUST_PIN_MISMATCH', async () => {
    const { repository, client, runtime, good } = await stage()
    const begun = runtime.clock.now()
    const notAfter = `${new Date(begun + HOUR_MS).toISOString().slice(0, 19)}Z`
    const pins = [{ spki: server.pin, notAfter }, { spki: spare.pin }]
    await repository.publish({ hosts: [{ host: HOST, mode: 'enforce', pins }] })
    await refresh(client, runtime)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await runtime.advance(2 * HOUR_MS)
    await repository.publishStatus()
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    await setTime(runtime, begun)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
  }, 60_000)

  test('nor after a restart, once a later time was signed: the control, which never saw that time, serves', async () => {
    const [cacheDir, younger] = [directory(), directory()]
    const repository = { clock: createTestRuntime({ now: Date.now() }).clock }
    const {
      repository: published,
      server: host,
      client,
      runtime,
      good,
      manifest,
    } = await stage({
      manifest: { cacheDir },
      repository,
    })
    const begun = runtime.clock.now()
    await published.publish({ ttlMs: 9 * DAY_MS })
    await refresh(client, runtime)
    const other = createClient({ ...given(manifest, runtime), manifest: { ...manifest, cacheDir: younger } })
    await settled(other.ready(), runtime)
    await other.close()

    await setTime(runtime, begun + 10 * DAY_MS)
    await published.publishStatus({ now: begun + 10 * DAY_MS })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_EXPIRED' })
    await client.close()
    host.respond('*', { status: 503 })

    const answers = []
    for (const seen of [cacheDir, younger]) {
      const back = createTestRuntime({ now: begun + DAY_MS })
      const again = testClient({ ...given(manifest, back), manifest: { ...manifest, cacheDir: seen } })
      await settled(
        again.ready().catch(() => undefined),
        back,
      )
      answers.push(
        await again.fetch(good.url(HOST)).then(
          ({ status }) => status,
          ({ code }) => code,
        ),
      )
    }
    expect(answers).toEqual(['ERR_TRUST_PINSET_EXPIRED', 200])
  })

  test('a signed time beyond what clocks differ by is refused: ERR_MANIFEST_CLOCK_SKEW, and the pins stay', async () => {
    const { repository, client, runtime, good, bad } = await stage()
    await repository.publishStatus({ now: runtime.clock.now() + DAY_MS })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_CLOCK_SKEW' })
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
  })
})

describe('B27: a rotation rotates, the second and the third time too', () => {
  test('three server keys in a row, found by the mismatch alone, without a restart or a call', async () => {
    const { repository, client, runtime, good } = await stage()
    const url = good.url(HOST)
    expect((await client.fetch(url)).status).toBe(200)
    for (const [version, key, next] of [
      [2, third, fourth],
      [3, server, spare],
      [4, third, fourth],
    ] as const) {
      await runtime.advance(31_000)
      good.peer.setIdentity(key)
      good.peer.destroyConnections()
      await repository.publish({ hosts: pinned(key, next) })
      const activated = new Promise<void>((resolve) => client.on('manifest.activated', () => resolve()))
      const codeNow = () =>
        client.fetch(url).then(
          () => 'none',
          ({ code }) => code,
        )
      await expect.poll(codeNow, { timeout: 10_000 }).toBe('ERR_TRUST_PIN_MISMATCH') // once the cut is noticed
      await settled(activated, runtime)
      expect([(await client.fetch(url)).status, client.manifest.version]).toEqual([200, version])
    }
  }, 60_000)
})

describe('B28: nobody holds a host to ransom, not even its operator', () => {
  test('wrong pins for the host of the manifest itself do not stop the next manifest', async () => {
    const { repository, client, runtime, good } = await stage()
    await repository.publish({ hosts: { ...pinned(attacker, third), [PINS]: [attacker.pin, third.pin] } })
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    await repository.publish({ hosts: pinned(server, spare) })
    await refresh(client, runtime)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
  })

  test('a change needs two: with one of two signatures it is ERR_MANIFEST_SIG_THRESHOLD, with both it is in force', async () => {
    const keys = [await generateSigningKey({ holder: 'ann' }), await generateSigningKey({ holder: 'bob' })]
    const roles = { manifest: { keys, threshold: 2 } }
    const { repository, server: host, client, runtime, good } = await stage({ repository: { roles } })
    await repository.publish({ hosts: pinned(attacker, third) })
    const [path = '', bytes] = [...repository.files()].find(([name]) => name.startsWith('manifests/2.')) ?? []
    const envelope = JSON.parse(Buffer.from(bytes ?? []).toString()) as { signatures: unknown[] }
    for (const signature of envelope.signatures) {
      host.respond(path, { body: JSON.stringify({ ...envelope, signatures: [signature] }) })
      await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_SIG_THRESHOLD' })
      expect((await client.fetch(good.url(HOST))).status).toBe(200)
    }
    host.respond(path, undefined)
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('what a thief of the manifest key published ends with a root of the offline keys, and cannot come back', async () => {
    const { repository, server: host, client, runtime, good } = await stage()
    await repository.publish({ hosts: pinned(attacker, third), version: 1_000_000 })
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    const stolen = host.snapshot()
    const manifest = { keys: [await generateSigningKey()], threshold: 1 }
    await repository.rotateRoot({ roles: { manifest }, raiseEpoch: ['manifest'] })
    await repository.publish({ hosts: pinned(server, spare) })
    await refresh(client, runtime)
    expect([(await client.fetch(good.url(HOST))).status, client.manifest.version]).toEqual([200, 1])
    host.serve(stolen)
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_STATUS_ROLLBACK' })
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
  })
})

test('a raised epoch is found at the next poll even where no key changed', async () => {
  const { repository, client, runtime, good } = await stage()
  await repository.rotateRoot({ raiseEpoch: ['status'] })
  await repository.publish({ hosts: pinned(third, fourth) })
  await refresh(client, runtime)
  expect(client.health().manifest).toMatchObject({ rootVersion: 2, manifestVersion: 2 })
  await refusalOf(client.fetch(good.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
})

describe('B29: a wrong key at the host is no lever against the host of the manifest', () => {
  test('whatever the number of mismatches, one refresh in 30 s and one at a time', async () => {
    const { server: host, client, runtime, bad } = await stage()
    await runtime.advance(31_000)
    const asked = () => host.requestsFor('status.json')
    const refused = async (count: number): Promise<void> => {
      const calls = Array.from({ length: count }, () => client.fetch(bad.url(HOST), secret))
      for (const call of calls) await refusalOf(call, 'ERR_TRUST_PIN_MISMATCH')
    }
    const [begun, polls] = [asked(), pollsOf(client)]
    for (let second = 0; second < 25; second += 5) {
      await refused(5)
      await runtime.advance(5_000)
    }
    await expect.poll(polls, { timeout: 10_000 }).toBe(1)
    expect(asked() - begun).toBe(1)
    await runtime.advance(10_000)
    await refused(5)
    await runtime.advance(1_000)
    await expect.poll(polls, { timeout: 10_000 }).toBe(2)
    expect(asked() - begun).toBe(2)
    await expectOnlyClientHello(bad)
  })
})

function pollsOf(client: ReturnType<typeof createClient>): () => number {
  let count = 0
  client.on('manifest.poll', () => {
    count += 1
  })
  return () => count
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'pinfetch-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function given(manifest: ClientOptions['manifest'], runtime: TestRuntime): ClientOptions {
  return { ...(manifest === undefined ? {} : { manifest }), anchors, runtime, resolver: async () => ['127.0.0.1'] }
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
