import { createHash } from 'node:crypto'
import { manifestMay } from 'pinfetch/dangerous'
import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { enforcementOf } from '../../src/client/enforcement.ts'
import type { HostEntry } from '../../src/manifest/schema.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const NOW = toUnixMs(Date.UTC(2026, 0, 1))
const entry = (more: Partial<HostEntry> = {}): HostEntry => ({ host: HOST, mode: 'enforce', pins: [], ...more })
const ids = Array.from({ length: 2_000 }, (_, at) => createHash('sha256').update(`client ${at}`).digest('hex'))
const enforcing = (rampPercent: number, host = HOST): ReadonlySet<string> =>
  new Set(ids.filter((id) => !enforcementOf(entry({ host, rampPercent }), id, NOW).reports))

test('a ramp of 30 percent is enforced by 27 to 33 percent of 2,000 clients, the others report (case 162)', () => {
  const share = (enforcing(30).size / ids.length) * 100
  expect(share).toBeGreaterThanOrEqual(27)
  expect(share).toBeLessThanOrEqual(33)
})

test('a rising ramp only adds clients, and each host has others', () => {
  const [some, more, all] = [enforcing(30), enforcing(60), enforcing(100)]
  expect([...some].every((id) => more.has(id))).toBe(true)
  expect(more.size).toBeGreaterThan(some.size)
  expect(all.size).toBe(ids.length)
  expect([...enforcing(30, 'other.example.com')].every((id) => some.has(id))).toBe(false)
})

test('a client that knows no id of its own enforces', () => {
  expect(enforcementOf(entry({ rampPercent: 1 }), undefined, NOW)).toMatchObject({
    asksForReport: true,
    reports: false,
  })
})

const ca = testCa()
const server = ca.issue({ names: [HOST] })
const pins = [{ spki: ca.root.pin }, { spki: ca.issuer.pin }]
const wrong = [{ spki: testCa().root.pin }, { spki: testCa().root.pin }]

/** Twenty processes without a cache, so each with an id of its own, ask a host whose key is not pinned. */
async function outcomes(
  options: Parameters<typeof testClient>[0],
  rule: Partial<HostInput>,
): Promise<readonly string[]> {
  const hosts: readonly HostInput[] = [{ host: HOST, mode: 'enforce', pins: wrong, ...rule }]
  const { manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
  const api = await until(startTlsServer({ identity: server }))
  const told: string[] = []
  for (let at = 0; at < 20; at += 1) {
    const client = testClient({ manifest, anchors: ca.anchorPem, ...options })
    client.on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
    const answer = client.fetch(`https://${HOST}:${api.port}/`)
    told.push(await answer.then(({ status }) => String(status)).catch(({ code }: { code: string }) => code))
    await client.close()
  }
  return told
}

test('where the client lets it, a share enforces and the others report: ERR_TRUST_PIN_MISMATCH', async () => {
  const may = manifestMay(['report'], { reason: 'a ramp' })
  const told = await outcomes({ manifestMay: may }, { rampPercent: 50 })
  expect(told).toContain('200')
  expect(told).toContain('ERR_TRUST_PIN_MISMATCH')
})

test('where it does not, everybody enforces, and is told: ERR_TRUST_PIN_MISMATCH', async () => {
  const told = await outcomes({}, { rampPercent: 1 })
  expect(told).not.toContain('200')
  const strict = `manifest: ${HOST} asks for report mode: the strict reading holds: manifestMay does not allow it`
  expect(told.filter((line) => line === strict).length).toBe(20)
})

test('a legacy profile counts for nothing before its sunset, and closes the host after it: ERR_POLICY_SUNSET (case 161)', async () => {
  const runtime = createTestRuntime({ now: Date.now() })
  const sunset = `${new Date(runtime.clock.now() + 3_600_000).toISOString().slice(0, 19)}Z`
  const hosts: readonly HostInput[] = [
    { host: HOST, mode: 'enforce', pins, profile: 'legacy', sunset },
    { host: 'plain.example.com', mode: 'enforce', pins },
  ]
  const { manifest } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts,
    repository: { clock: runtime.clock },
  })
  const api = await until(startTlsServer({ identity: ca.issue({ names: [HOST, 'plain.example.com'] }) }))
  const old = await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2' }))
  const client = testClient({ manifest, anchors: ca.anchorPem, runtime })
  const told: string[] = []
  client.on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
  await settled(client.ready(), runtime)
  expect((await client.fetch(`https://${HOST}:${api.port}/`)).status).toBe(200)
  await refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_TLS_VERSION')
  expect(told).toContain(
    `manifest: ${HOST} asks for the legacy profile: the strict reading holds: manifestMay does not allow it`,
  )
  await runtime.advance(3_600_001)
  await refusalOf(client.fetch(`https://${HOST}:${api.port}/`), 'ERR_POLICY_SUNSET')
  expect((await client.fetch(`https://plain.example.com:${api.port}/`)).status).toBe(200)
})
