import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientEvent, ManifestError } from 'pinfetch'
import {
  createTestRuntime,
  generateKey,
  startRelay,
  startTlsServer,
  type TestHosts,
  type TestRuntime,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { pinOfSpki } from '../../src/encoding/pin.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { run, runModule } from '../support/run.ts'
import { refresh, settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const PINS = 'pins.example.com'
const ca = testCa()
const first = ca.issue({ names: [HOST] })
const backup = ca.issue({ names: [HOST] })
const third = ca.issue({ names: [HOST] })

async function start(options: { hosts?: TestHosts; runtime?: TestRuntime } = {}) {
  const { hosts = { [HOST]: [first.pin, backup.pin] }, runtime } = options
  const repository = runtime === undefined ? {} : { clock: runtime.clock }
  const pins = await startTestPins({ ca, name: PINS, hosts, repository })
  const api = await until(startTlsServer({ identity: first }))
  const url = `https://${HOST}:${api.port}/v1`
  const settings = { manifest: pins.manifest, anchors: ca.anchorPem, ...(runtime === undefined ? {} : { runtime }) }
  return { ...pins, api, url, settings }
}

describe('the main road', () => {
  test('pins arrive signed, the server moves to its backup key, and a new manifest retires the old one, without a restart', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { repository, api, url, settings } = await start({ runtime })
    const relay = await until(startRelay({ target: api }))
    const client = testClient(settings)
    const events: ClientEvent[] = []
    for (const type of ['manifest.activated', 'tls.retired', 'tls.rejected'] as const)
      client.on(type, (event) => events.push(event))
    await settled(client.ready(), runtime)
    expect([client.manifest.version, client.health().state]).toEqual([1, 'ready'])
    const viaRelay = `https://${HOST}:${relay.port}/`
    expect((await client.fetch(viaRelay)).status).toBe(200)

    api.setIdentity(backup)
    expect((await client.fetch(url)).status).toBe(200) // another origin, so a new connection: the backup key

    await repository.publish({ hosts: { [HOST]: [backup.pin, third.pin] } })
    await refresh(client, runtime)
    expect(client.manifest.version).toBe(2)
    await relay.idle() // the live connection to the first key is closed
    expect(events.map(({ type }) => type)).toEqual(['manifest.activated', 'tls.retired', 'manifest.activated'])
    const requests = api.requests.length
    api.setIdentity(first)
    await refusalOf(client.fetch(viaRelay), 'ERR_TRUST_PIN_MISMATCH')
    expect(api.requests.length).toBe(requests)
    api.setIdentity(third)
    expect((await client.fetch(viaRelay)).status).toBe(200)
  })

  test('a denied last pin closes the host: ERR_TRUST_PIN_NONE_ACTIVE (case 148)', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const hosts: TestHosts = [{ host: HOST, mode: 'enforce', pins: [{ spki: third.pin }], singlePin: true }]
    const { repository, url, api, settings } = await start({ hosts, runtime })
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
    await repository.deny([third.pin])
    await refresh(client, runtime)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_NONE_ACTIVE')
    expect(api.requests.length).toBe(0)
  })

  test('a deny cuts idle connections and those with a request in flight, in the tick it arrives: ERR_TRUST_PIN_DENIED (case 149)', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { repository, api, settings } = await start({ runtime })
    const slow = await until(startTlsServer({ identity: first, handler: () => {} }))
    const [idle, busy] = [await until(startRelay({ target: api })), await until(startRelay({ target: slow }))]
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    expect((await client.fetch(`https://${HOST}:${idle.port}/`)).status).toBe(200)
    const inFlight = refusalOf(client.fetch(`https://${HOST}:${busy.port}/`), 'ERR_TRUST_PIN_DENIED')
    await vi.waitUntil(() => slow.requests.length === 1, 10_000)
    await repository.deny([first.pin])
    await refresh(client, runtime)
    await Promise.all([idle.idle(), busy.idle(), inFlight])
    await refusalOf(client.fetch(`https://${HOST}:${idle.port}/`), 'ERR_TRUST_PIN_DENIED')
  })

  test('a leaked key is denied within a poll, its live connection cut: ERR_TRUST_PIN_DENIED', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { repository, url, api, settings } = await start({ runtime })
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    await client.fetch(url)
    await repository.deny([first.pin], 'key found in a public bucket')
    const denied = new Promise((resolve) => client.on('manifest.deny', resolve))
    const nextPollAt = await vi.waitUntil(() => client.health().manifest?.nextPollAt)
    const untilPollMs = nextPollAt - runtime.clock.now()
    expect(untilPollMs).toBeLessThanOrEqual(375_000) // interval 300 s, spread 25 %
    await runtime.advance(untilPollMs + 1)
    await denied
    const error = await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_DENIED')
    expect(error.message).toContain('key found in a public bucket')
    expect(api.requests.length).toBe(1)
  })

  test('a request made before the manifest arrived waits for it', async () => {
    const { server, url, settings } = await start()
    server.respond('*', { delayMs: 100 })
    expect((await testClient(settings).fetch(url)).status).toBe(200)
  })

  test('a partner’s host with an issuer key as second pin, and pins by position', async () => {
    const hosts: TestHosts = [
      {
        host: HOST,
        mode: 'enforce',
        keyControl: 'partner',
        pins: [{ spki: first.pin }, { spki: ca.issuer.pin, require: 'issuer' }],
      },
      {
        host: '**.other.example.com',
        mode: 'enforce',
        pins: [{ spki: ca.issuer.pin, require: 'endEntity' }, { spki: third.pin }],
      },
    ]
    const { url, api, settings } = await start({ hosts })
    const client = testClient(settings)
    expect((await client.fetch(url)).status).toBe(200)
    api.setIdentity(ca.issue({ names: ['a.other.example.com'] }))
    await refusalOf(client.fetch(url.replace(HOST, 'a.other.example.com')), 'ERR_TRUST_PIN_MISMATCH')
  })
})

describe('B24 and hostile hosting: the previous good state stays', () => {
  test('F47: an older status served later: ERR_MANIFEST_STATUS_ROLLBACK, requests go on under the newer pins', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { server, repository, api, url, settings } = await start({ runtime })
    const old = server.snapshot()
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    await repository.publish({ hosts: { [HOST]: [backup.pin, third.pin] } })
    await refresh(client, runtime)
    server.serve(old)
    await expect(refresh(client, runtime)).rejects.toMatchObject({
      code: 'ERR_MANIFEST_STATUS_ROLLBACK',
      kind: 'security',
    })
    expect(client.manifest.version).toBe(2)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
    api.setIdentity(backup)
    expect((await client.fetch(url)).status).toBe(200)
  })

  test('the same over a restart, from the cache directory', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true }))
    const { server, repository, url, settings } = await start()
    const { memoryOnly: _, ...manifest } = settings.manifest
    const persistent = { ...settings, manifest: { ...manifest, cacheDir } }
    const old = server.snapshot()
    await repository.publish({ hosts: { [HOST]: [backup.pin, third.pin] } })
    const before = testClient(persistent)
    await before.ready()
    await before.close()

    server.serve(old)
    const after = testClient(persistent)
    const rejected = new Promise<string>((resolve) => after.on('manifest.rejected', ({ code }) => resolve(code)))
    await after.ready()
    expect(after.manifest.version).toBe(2)
    await after.manifest.refresh().catch(() => undefined)
    expect(await rejected).toBe('ERR_MANIFEST_STATUS_ROLLBACK')
    await refusalOf(after.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  })

  test.each<[string, string | Uint8Array, string]>([
    ['HTML of a captive portal', '<!doctype html><p>log in</p>', 'ERR_MANIFEST_ENVELOPE_JSON'],
    ['an empty body', '', 'ERR_MANIFEST_ENVELOPE_JSON'],
    ['bytes that are no UTF-8', new Uint8Array([123, 255, 125]), 'ERR_MANIFEST_ENVELOPE_UTF8'],
    ['another JSON document', '{"hosts":[]}', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['17 MB', 'x'.repeat(17_000_000), 'ERR_MANIFEST_FETCH_TOO_LARGE'],
  ])('a status that is %s: %s', async (_, body, code) => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { server, url, settings } = await start({ runtime })
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    server.respond('status.json', { body })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code })
    expect((await client.fetch(url)).status).toBe(200)
    expect(client.health().manifest?.lastError?.code).toBe(code)
  })

  test('F46: a manifest of a stranger’s keys: ERR_MANIFEST_SIG_THRESHOLD at start, and every request is refused', async () => {
    const { settings, url, api } = await start()
    const stranger = await startTestPins({ ca, name: PINS, hosts: { [HOST]: [first.pin, backup.pin] } })
    const manifest = { ...settings.manifest, url: stranger.manifest.url, startupMs: 3_000 }
    const client = testClient({ ...settings, manifest })
    const cause = expect.objectContaining({ code: 'ERR_MANIFEST_SIG_THRESHOLD', kind: 'security' })
    await expect(client.ready()).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST', cause })
    await refusalOf(client.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect([client.health().state, api.accepted]).toEqual(['unready', 0])
  })

  test('a manifest host with another key than its bootstrap pin: ERR_TRUST_PIN_MISMATCH as the reason', async () => {
    const { settings } = await start()
    const bootstrapPins = [pinOfSpki(generateKey('P-256').spki)]
    const client = testClient({ ...settings, manifest: { ...settings.manifest, bootstrapPins, startupMs: 3_000 } })
    const error = await client.ready().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ cause: { cause: { code: 'ERR_TRUST_PIN_MISMATCH' } } })
  })

  test('a root that is no document throws at once', () => {
    const manifest = { url: `https://${PINS}/`, root: Buffer.from('{}') }
    expect(() => testClient({ manifest })).toThrow(expect.objectContaining({ code: 'ERR_MANIFEST_ENVELOPE_SHAPE' }))
  })
})

describe('no manifest', () => {
  const nowhere = { url: `https://${PINS}:1/`, memoryOnly: true, startupMs: 300 } as const

  test('ready() rejects with the reason after startupMs, and requests are refused: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { settings, url } = await start()
    const client = testClient({ ...settings, manifest: { ...settings.manifest, ...nowhere } })
    await expect(client.ready()).rejects.toMatchObject({ cause: expect.any(ManifestError) })
    const error = await refusalOf(client.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect([error.retryable, error.requestSent]).toEqual([true, 'no'])
  })

  test('pins in code serve as the fallback, for 90 days', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { settings, url } = await start({ runtime })
    const client = testClient({
      ...settings,
      manifest: { ...settings.manifest, ...nowhere },
      pins: { [HOST]: [first.pin] },
    })
    await settled(client.ready(), runtime)
    const end = runtime.clock.now() + 90 * 86_400_000
    // The wall clock alone: 90 days of the fake one would be some 8,000 polls over real sockets.
    runtime.setWall(end - 3_600_000)
    expect((await settled(client.fetch(url), runtime)).status).toBe(200)
    runtime.setWall(end)
    await refusalOf(settled(client.fetch(url), runtime), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
  })

  test('pins in code with a notAfter of their own serve as the fallback until then', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { settings, url } = await start({ runtime })
    const end = runtime.clock.now() + 30 * 86_400_000
    const client = testClient({
      ...settings,
      manifest: { ...settings.manifest, ...nowhere },
      pins: { [HOST]: { pins: [first.pin], notAfter: new Date(end) } },
    })
    await settled(client.ready(), runtime)
    runtime.setWall(end - 3_600_000)
    expect((await settled(client.fetch(url), runtime)).status).toBe(200)
    runtime.setWall(end)
    await refusalOf(settled(client.fetch(url), runtime), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
  })

  test('pins in code do not serve once a manifest was accepted', async () => {
    const { settings, url, repository } = await start()
    await repository.publish({ hosts: { [HOST]: [backup.pin, third.pin] } })
    const client = testClient({ ...settings, pins: { [HOST]: [first.pin] } })
    await client.ready()
    await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('F48: past status, grace and manifest, hosts are closed, not open: ERR_TRUST_PINSET_EXPIRED', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { server, settings, url } = await start({ runtime })
    const client = testClient(settings)
    await settled(client.ready(), runtime)
    server.respond('*', { status: 503 })
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    runtime.setWall((client.health().manifest?.expiresAt ?? 0) - 60_000)
    await runtime.advance(1)
    expect([client.health().state, (await client.fetch(url)).status]).toEqual(['degraded', 200]) // stale, and enforced
    expect(said.mock.calls.map(([line]) => String(line))).toEqual([
      expect.stringMatching(/manifest 1 is stale.*refused from/),
    ])
    said.mockRestore()
    runtime.setWall(Date.now() + 100 * 86_400_000)
    await runtime.advance(3_600_000)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PINSET_EXPIRED')
    expect(client.health().state).toBe('unready')
  })
})

describe('the process', () => {
  test('a client that is closed, or idle, keeps no process alive; without cacheDir one line on stderr says what is lost', async () => {
    const text = (extra: string, close: string) => `
      import { createClient } from './src/index.ts'
      const client = createClient({ manifest: {
        url: 'https://127.0.0.1:1/', root: Buffer.from(process.env.ROOT, 'base64'), startupMs: 1_000 ${extra} } })
      client.ready().catch(() => undefined)
      ${close}`
    const { repository } = await start()
    const env = { ROOT: Buffer.from(repository.root).toString('base64') }
    const [idle, closed] = await Promise.all([
      runModule(text('', ''), env),
      runModule(text(', memoryOnly: true', 'await client.close()'), env),
    ])
    expect([idle.exitCode, idle.stderr.trim().split('\n').length]).toEqual([0, 1])
    expect(idle.stderr).toMatch(/cacheDir/)
    expect([closed.exitCode, closed.stderr]).toEqual([0, ''])
  })

  test('a caller who waits keeps it alive: ready(), a first fetch and refresh() answer in a script of their own', async () => {
    const { repository, api, manifest } = await start()
    const env = { ROOT: Buffer.from(repository.root).toString('base64'), CA: ca.anchorPem }
    const script = `
      import { createClient } from './src/index.ts'
      const options = {
        manifest: { url: '${manifest.url}', root: Buffer.from(process.env.ROOT, 'base64'), memoryOnly: true },
        anchors: process.env.CA, resolver: async () => ['127.0.0.1'] }
      const [a, b] = [createClient(options), createClient(options)]
      await a.ready()
      await a.manifest.refresh()
      const { status } = await b.fetch('https://${HOST}:${api.port}/')
      console.log(a.manifest.version, status)
      await Promise.all([a.close(), b.close()])`
    expect(await runModule(script, env)).toEqual({ exitCode: 0, stdout: '1 200\n', stderr: '' })
  })

  test('the demo shows every step, in a process of its own', async () => {
    const { exitCode, stdout, stderr } = await run(['--import', 'tsx', 'examples/demo.ts'])
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toContain('ERR_TRUST_PIN_MISMATCH')
  })
})
