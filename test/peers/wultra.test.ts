import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientOptions } from 'pinfetch'
import { createTestRuntime, startTlsServer, type TestHosts, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { forge, payloadOf } from '../manifest/world.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { refresh, settled } from '../support/scene.ts'

/*
 * Tests of Wultra ssl-pinning (iOS and Android) and its tools by their names, as behaviours of this client. Theirs keep a list
 * that entries are added to; here a manifest is the whole set.
 */

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const other = ca.issue({ names: [HOST] })
const pinned: TestHosts = { [HOST]: [server.pin, other.pin] }
const elsewhere: TestHosts = { [HOST]: [other.pin, ca.issue({ names: [HOST] }).pin] }

async function stage(options: { hosts?: TestHosts; ready?: boolean; client?: Partial<ClientOptions> } = {}) {
  const { hosts = pinned, ready = true, client: more = {} } = options
  const runtime = createTestRuntime({ now: Date.now() })
  const pins = await startTestPins({ ca, name: 'pins.example.com', hosts, repository: { clock: runtime.clock } })
  const api = await until(startTlsServer({ identity: server }))
  const settings = { manifest: pins.manifest, anchors: ca.anchorPem, runtime, ...more }
  const start = (changed: Partial<ClientOptions> = {}) => testClient({ ...settings, ...changed })
  const client = start()
  if (ready) await settled(client.ready(), runtime)
  return { ...pins, api, runtime, client, start, url: `https://${HOST}:${api.port}/` }
}

describe('CertStoreTests', () => {
  test('EmptyStore_UpdateNoRemoteData, EmptyStore_Validate: nothing is trusted, ERR_TRUST_NO_TRUSTED_MANIFEST, and each refresh asks again', async () => {
    const { server: host, runtime, start, api, url } = await stage()
    host.respond('*', { status: 404 })
    const client = start()
    await expect(settled(client.ready(), runtime)).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST' })
    await refusalOf(client.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect(api.accepted).toBe(0)
    const asked = host.requestsFor('status.json')
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP' })
    expect(host.requestsFor('status.json')).toBeGreaterThan(asked)
    host.respond('*', undefined)
    await refresh(client, runtime)
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('UpdateToAlreadyExpiredData: ERR_MANIFEST_STATUS_EXPIRED, the store stays empty, and pins in code still serve', async () => {
    const { server: host, repository, runtime, start, url } = await stage()
    await repository.publishStatus({ now: runtime.clock.now() - 3 * HOUR_MS, ttlMs: HOUR_MS })
    host.freeze()
    const client = start({ pins: { [HOST]: [server.pin] } })
    await settled(client.ready(), runtime)
    expect([client.manifest.version, client.health().manifest?.lastError?.code]).toEqual([
      0,
      'ERR_MANIFEST_STATUS_EXPIRED',
    ])
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('UpdateToValidData: trusted, untrusted and unknown are 200, ERR_TRUST_PIN_MISMATCH and ERR_TRUST_HOST_NOT_COVERED', async () => {
    const { repository, runtime, client, url, api } = await stage()
    expect((await client.fetch(url)).status).toBe(200)
    await refusalOf(client.fetch(`https://unknown.example.com:${api.port}/`), 'ERR_TRUST_HOST_NOT_COVERED')
    await repository.publish({ hosts: elsewhere })
    await refresh(client, runtime)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  })

  test.each([
    ['a network error', { ending: 'close' }, 'ERR_MANIFEST_FETCH_NETWORK'],
    ['a body of no bytes', { body: '' }, 'ERR_MANIFEST_ENVELOPE_JSON'],
    ['an empty list', { body: '{"fingerprints":[]}' }, 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['an error of the server', { status: 500 }, 'ERR_MANIFEST_FETCH_HTTP'],
  ] as const)('UpdateFails, Update_WholeCycle: after %s the old pins stay', async (_, fault, code) => {
    const { server: host, repository, runtime, client, url } = await stage()
    await repository.publish({ hosts: elsewhere })
    host.respond('status.json', fault)
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code })
    expect([(await client.fetch(url)).status, client.manifest.version]).toEqual([200, 1])
  })

  test('UpdateFails, SigningWithoutChallenge: a signature by another key is ERR_MANIFEST_SIG_THRESHOLD, looked at before any date', async () => {
    const { server: host, repository, runtime, client, url } = await stage()
    const expired = { ...payloadOf(repository.files().get('status.json')), version: 2 }
    const issuedAt = instant(runtime.clock.now() - 3 * HOUR_MS)
    const expires = instant(runtime.clock.now() - 2 * HOUR_MS)
    const stranger = await generateSigningKey()
    host.respond('status.json', { body: forge({ ...expired, issuedAt, expires }, 'status', [stranger]) })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_SIG_THRESHOLD' })
    const { status } = repository.repository.roles()
    host.respond('status.json', { body: forge({ ...expired, issuedAt, expires }, 'status', status.keys) })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_STATUS_EXPIRED' })
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('LoadSave, Reset: pins survive a restart without network, and an empty directory is an empty store', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true, force: true }))
    const { server: host, manifest, runtime, start, url } = await stage()
    const cached = { manifest: { url: manifest.url, root: manifest.root, cacheDir } }
    const before = start(cached)
    await settled(before.ready(), runtime)
    await before.close()
    host.respond('*', { ending: 'close' })
    const after = start(cached)
    await settled(after.ready(), runtime)
    expect([(await after.fetch(url)).status, after.manifest.version]).toEqual([200, 1])
    await after.close()
    rmSync(cacheDir, { recursive: true })
    const reset = start(cached)
    await expect(settled(reset.ready(), runtime)).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST' })
    await refusalOf(reset.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
  })

  test('Update_WholeCycle: the periodic call is silent, and comes by itself', async () => {
    const { server: host, runtime, client, url } = await stage()
    const asked = host.requestsFor('status.json')
    const polls: string[] = []
    client.on('manifest.poll', ({ result }) => polls.push(result))
    const inMs = (client.health().manifest?.nextPollAt ?? 0) - runtime.clock.now()
    expect(inMs).toBeGreaterThanOrEqual(225_000) // three quarters of the interval
    await runtime.advance(inMs - 5)
    expect(host.requestsFor('status.json')).toBe(asked)
    await runtime.advance(10)
    await expect.poll(() => polls, { timeout: 10_000 }).toEqual(['unchanged'])
    expect((await client.fetch(url)).status).toBe(200)
  })
})

const instant = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

const HOUR_MS = 3_600_000
