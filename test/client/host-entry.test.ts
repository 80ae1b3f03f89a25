import type { ClientEvent, ClientOptions } from 'pinfetch'
import { type ManifestLoosening, manifestMay } from 'pinfetch/dangerous'
import {
  createTestRuntime,
  ocspResponse,
  type ServerIdentity,
  startTlsServer,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const PLAIN = 'plain.example.com'
const names = [HOST, PLAIN]
const ca = testCa({ name: 'Public' })
const other = testCa({ name: 'Other' })
const genuine = ca.issue({ names })
const spare = ca.issue({ names })
const stranger = ca.issue({ names })
const client = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
const pins = [{ spki: genuine.pin }, { spki: spare.pin }]

const allowing = (...loosenings: readonly ManifestLoosening[]): ClientOptions => ({
  manifestMay: manifestMay(loosenings, { reason: 'a test' }),
})
const asks = (what: string, effect: string): string => `manifest: ${HOST} asks for ${what}: ${effect}`
const STRICT = 'the strict reading holds: manifestMay does not allow it'
const IN_FORCE = 'in force: manifestMay allows it'

/** A client whose manifest says `entry` of one host and nothing beyond pins of another, on a clock that stands still. */
async function start(entry: Partial<HostInput>, options: ClientOptions = {}) {
  const runtime = createTestRuntime({ now: Date.now() })
  const hosts: readonly HostInput[] = [
    { host: HOST, mode: 'enforce', pins, ...entry },
    { host: PLAIN, mode: 'enforce', pins },
  ]
  const published = await startTestPins({ ca, name: 'pins.example.com', hosts, repository: { clock: runtime.clock } })
  const { manifest, server, repository } = published
  const anchors = [ca.anchorPem, other.anchorPem]
  const { fetch, on, ready, health, manifest: inForce } = testClient({ manifest, anchors, runtime, ...options })
  const posture: string[] = []
  const reported: ClientEvent[] = []
  on('posture', ({ subject, effect }) => posture.push(`${subject}: ${effect}`))
  on('tls.reported', (event) => reported.push(event))
  await settled(ready(), runtime)
  const get = (peer: TestTlsServer, host = HOST) => settled(fetch(`https://${host}:${peer.port}/`), runtime)
  const refresh = () => settled(inForce.refresh(), runtime)
  return { runtime, server, repository, refresh, health, posture, reported, get }
}

const serve = (identity: ServerIdentity, more: Partial<TlsServerOptions> = {}): Promise<TestTlsServer> =>
  until(startTlsServer({ identity, ...more }))

describe('onStale', () => {
  /** As `start`, after status, grace and manifest ran out and no document came since. */
  async function pastTheEnd(entry: Partial<HostInput>, options?: ClientOptions) {
    const scene = await start(entry, options)
    const [right, wrong] = [await serve(genuine), await serve(stranger)]
    expect((await scene.get(right)).status).toBe(200)
    await refusalOf(scene.get(wrong), 'ERR_TRUST_PIN_MISMATCH')
    scene.server.respond('*', { status: 503 })
    scene.runtime.setWall(scene.health().manifest?.expiresAt ?? 0)
    right.destroyConnections()
    const [ofRight, ofWrong] = [right.applicationBytes, wrong.accepted]
    return {
      ...scene,
      right,
      wrong,
      /** Since then. */
      reached: () => [right.applicationBytes - ofRight, wrong.accepted - ofWrong],
    }
  }

  test.each<[string, ClientOptions]>([
    ['without the application’s word', {}],
    ['with its word for report mode alone', allowing('report')],
  ])('"report" %s: past the expiry nothing is sent, and that is told: ERR_TRUST_PINSET_EXPIRED', async (_, options) => {
    const { get, right, wrong, reached, posture, reported } = await pastTheEnd({ onStale: 'report' }, options)
    for (const peer of [right, wrong]) await refusalOf(get(peer), 'ERR_TRUST_PINSET_EXPIRED')
    expect(reached()).toEqual([0, 0])
    expect(posture).toContain(asks('requests past expiry', STRICT))
    expect(reported).toEqual([])
  })

  test('"report" with its word: past the expiry a pin that does not match is told and the request sent', async () => {
    const { get, right, wrong, posture, reported } = await pastTheEnd({ onStale: 'report' }, allowing('stale'))
    expect((await get(right)).status).toBe(200)
    expect(reported).toEqual([])
    expect((await get(wrong)).status).toBe(200)
    expect(reported).toEqual([expect.objectContaining({ code: 'ERR_TRUST_PIN_MISMATCH' })])
    expect(posture).toContain(asks('requests past expiry', IN_FORCE))
  })

  test('"report" opens its own host alone, and chain and name are checked on it all the same', async () => {
    const { get, right } = await pastTheEnd({ onStale: 'report' }, allowing('stale'))
    await refusalOf(get(right, PLAIN), 'ERR_TRUST_PINSET_EXPIRED')
    const [unknown, misnamed] = [
      await serve(testCa({ name: 'Unknown' }).issue({ names })),
      await serve(ca.issue({ names: [PLAIN] })),
    ]
    await refusalOf(get(unknown), 'ERR_TRUST_UNKNOWN_ISSUER')
    await refusalOf(get(misnamed), 'ERR_TRUST_NAME_MISMATCH')
    expect([unknown.applicationBytes, misnamed.applicationBytes]).toEqual([0, 0])
  })

  test('"report" is over with the next document: what it let pass is ERR_TRUST_PIN_MISMATCH again', async () => {
    const { get, wrong, server, repository, refresh } = await pastTheEnd({ onStale: 'report' }, allowing('stale'))
    expect((await get(wrong)).status).toBe(200)
    server.respond('*', undefined)
    await repository.publish()
    await refresh()
    const before = wrong.applicationBytes
    await refusalOf(get(wrong), 'ERR_TRUST_PIN_MISMATCH')
    expect(wrong.applicationBytes).toBe(before)
  })

  test.each<Partial<HostInput>>([{ onStale: 'block' }, {}])(
    '%j: past the expiry nothing is sent, whatever the application allows: ERR_TRUST_PINSET_EXPIRED',
    async (entry) => {
      const { get, right, wrong, reached, posture } = await pastTheEnd(entry, allowing('stale', 'report'))
      for (const peer of [right, wrong]) await refusalOf(get(peer), 'ERR_TRUST_PINSET_EXPIRED')
      expect(reached()).toEqual([0, 0])
      expect(posture.filter((line) => line.includes('past expiry'))).toEqual([])
    },
  )
})

describe('allOf', () => {
  const ofKey = { spki: genuine.pin }
  const ofIssuer = { spki: ca.issuer.pin }
  const both = { pins: [ofKey, ofIssuer, { spki: spare.pin }], allOf: [[0, 2], [1]] } as const

  test('asks for a pin of each group: a chain that has one of the two is ERR_TRUST_PIN_MISMATCH', async () => {
    const { get } = await start(both)
    for (const identity of [genuine, spare]) expect((await get(await serve(identity))).status).toBe(200)
    const keyAlone = await serve(other.issue({ names, key: genuine.key }))
    const issuerAlone = await serve(stranger)
    for (const peer of [keyAlone, issuerAlone]) await refusalOf(get(peer), 'ERR_TRUST_PIN_MISMATCH')
    expect([keyAlone.applicationBytes, issuerAlone.applicationBytes]).toEqual([0, 0])
  })

  test('without it, one pin of the list is enough', async () => {
    const { get } = await start({ pins: both.pins })
    for (const identity of [stranger, other.issue({ names, key: genuine.key })])
      expect((await get(await serve(identity))).status).toBe(200)
  })
})

describe('revocation', () => {
  const good = ocspResponse({ certificate: genuine })
  const revoked = ocspResponse({ certificate: genuine, status: 'revoked' })
  const certificate = { cert: client.pem, key: client.keyPem }

  test('"hard-fail" of an entry refuses its host without evidence, and no other: ERR_TRUST_REVOCATION_UNDETERMINED', async () => {
    const { get } = await start({ revocation: { mode: 'hard-fail' } })
    const [silent, stapling] = [await serve(genuine), await serve(genuine, { ocspResponse: good })]
    await refusalOf(get(silent), 'ERR_TRUST_REVOCATION_UNDETERMINED')
    expect(silent.applicationBytes).toBe(0)
    expect((await get(stapling)).status).toBe(200)
    expect((await get(silent, PLAIN)).status).toBe(200)
  })

  test('that would have to wait for lists shows nobody the client’s certificate: ERR_TRUST_POLICY_UNSUPPORTED', async () => {
    const blocking = { mode: 'hard-fail', fetch: 'blocking' } as const
    const peer = await serve(genuine, { ocspResponse: good, requestCert: true })
    await refusalOf((await start({ revocation: blocking }, { certificate })).get(peer), 'ERR_TRUST_POLICY_UNSUPPORTED')
    expect(peer.accepted).toBe(0)
    const background = await start({ revocation: { ...blocking, fetch: 'background' } }, { certificate })
    expect((await background.get(peer)).status).toBe(200)
    expect(peer.clientCertificates).toHaveLength(1)
    expect((await (await start({ revocation: blocking })).get(peer)).status).toBe(200)
  })

  test('"report" takes the application’s word: without it a revoked certificate is ERR_TRUST_CERT_REVOKED', async () => {
    const peer = await serve(genuine, { ocspResponse: revoked })
    const strict = await start({ revocation: { mode: 'report' } })
    await refusalOf(strict.get(peer), 'ERR_TRUST_CERT_REVOKED')
    expect(peer.applicationBytes).toBe(0)
    expect(strict.posture).toContain(asks('revocation mode report', STRICT))

    const relaxed = await start({ revocation: { mode: 'report' } }, allowing('report'))
    expect((await relaxed.get(peer)).status).toBe(200)
    expect(relaxed.posture).toContain(asks('revocation mode report', IN_FORCE))
    await refusalOf(relaxed.get(peer, PLAIN), 'ERR_TRUST_CERT_REVOKED')
  })
})

test('port: an entry speaks for its port alone; at any other nobody connects: ERR_TRUST_HOST_NOT_COVERED', async () => {
  const [covered, another] = [await serve(genuine), await serve(genuine)]
  const { get } = await start({ port: covered.port })
  expect((await get(covered)).status).toBe(200)
  await refusalOf(get(another), 'ERR_TRUST_HOST_NOT_COVERED')
  expect(another.accepted).toBe(0)
})

test('reviewBy: TLS 1.2 that should have been reviewed is told as overdue, and goes on', async () => {
  const old = await serve(genuine, { maxVersion: 'TLSv1.2' })
  const reviewed = { minTlsVersion: '1.2', reason: 'an old appliance', reviewBy: '2026-01-01T00:00:00Z' } as const
  const { get, posture } = await start(reviewed, allowing('tls12'))
  expect((await get(old)).status).toBe(200)
  expect(posture).toContain(asks('TLS 1.2', `${IN_FORCE}; its review is overdue`))
})

describe('maxConnectionAge', () => {
  test('in seconds: a connection serves no request after it, where that of another host goes on', async () => {
    const { get, runtime } = await start({ maxConnectionAge: 20 })
    const [aged, plain] = [await serve(genuine), await serve(genuine)]
    const ask = async () => {
      await (await get(aged)).text()
      await (await get(plain, PLAIN)).text()
      return [aged.accepted, plain.accepted]
    }
    expect(await ask()).toEqual([1, 1])
    await runtime.advance(10_000)
    expect(await ask()).toEqual([1, 1])
    await runtime.advance(10_001)
    expect(await ask()).toEqual([2, 1])
  })
})
