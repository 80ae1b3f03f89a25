import type { ClientOptions } from 'pinfetch'
import { allowTls12, allowUnpinned, manifestMay } from 'pinfetch/dangerous'
import { startRelay, startTlsServer, type TestHosts, testCa } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const ca = testCa({ name: 'Public' })
const rogue = testCa({ name: 'Rogue' })
const anchors = [ca.anchorPem, rogue.anchorPem]
const server = ca.issue({ names: [HOST, 'legacy.example.com', 'other.example.com'] })
const attacker = rogue.issue({ names: [HOST, 'legacy.example.com', 'other.example.com'] })
const reason = 'a partner that moves in spring'

/** What a client tells at its start. */
async function posture(options: ClientOptions): Promise<string[]> {
  const told: string[] = []
  testClient(options).on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
  await new Promise((resolve) => setImmediate(resolve))
  return told
}

test.each([
  ['no reason', () => allowUnpinned(HOST, {} as { reason: string }), 'ERR_CONFIG_REASON'],
  ['a blank reason', () => allowTls12(HOST, { reason: ' ' }), 'ERR_CONFIG_REASON'],
  ['a blank reason', () => manifestMay(['report'], { reason: '' }), 'ERR_CONFIG_REASON'],
  ['no host', () => allowUnpinned('*', { reason }), 'ERR_CONFIG_HOST'],
  ['a registry', () => allowTls12('**.co.uk', { reason }), 'ERR_CONFIG_HOST'],
])('refuses %s', (_, loosen, code) => {
  expect(loosen).toThrow(expect.objectContaining({ name: 'ConfigurationError', code }))
})

test.each([
  { unlistedHosts: [{ kind: 'unpinnedHost', pattern: HOST, reason }] },
  { unlistedHosts: 'allow' },
  { unlistedHosts: [allowTls12(HOST, { reason })] },
  { tls12Hosts: [{ ...allowTls12(HOST, { reason }) }] },
  { manifestMay: ['report'] },
])('refuses a look-alike that pinfetch/dangerous did not make: ERR_CONFIG_INVALID', (loosened) => {
  const options = { pins: { [HOST]: [server.pin] }, ...loosened } as unknown as ClientOptions
  expect(() => testClient(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

describe('allowUnpinned', () => {
  const options = {
    pins: { [HOST]: [server.pin] },
    anchors,
    unlistedHosts: [allowUnpinned('other.example.com', { reason })],
  }

  test('lets a host through without pins, chain and name still checked; every other unlisted host stays refused', async () => {
    const peer = await until(startTlsServer({ identity: attacker }))
    const client = testClient(options)
    expect((await client.fetch(`https://other.example.com:${peer.port}/`)).status).toBe(200)
    await refusalOf(client.fetch(`https://${HOST}:${peer.port}/`), 'ERR_TRUST_PIN_MISMATCH')
    await refusalOf(client.fetch(`https://third.example.com:${peer.port}/`), 'ERR_TRUST_HOST_NOT_COVERED')
    const strict = testClient({ ...options, anchors: ca.anchorPem })
    await refusalOf(strict.fetch(`https://other.example.com:${peer.port}/`), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('a manifest that covers the host comes first', async () => {
    const { manifest } = await startTestPins({
      ca,
      name: 'pins.example.com',
      hosts: { 'other.example.com': [server.pin] },
    })
    const peer = await until(startTlsServer({ identity: attacker }))
    const client = testClient({ manifest, anchors, unlistedHosts: options.unlistedHosts })
    await refusalOf(client.fetch(`https://other.example.com:${peer.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('is told at start with its reason', async () => {
    expect(await posture(options)).toContain(`other.example.com: unpinned: in force: ${reason}`)
  })
})

describe('allowTls12', () => {
  const options = {
    pins: { '**.example.com': [server.pin] },
    anchors,
    tls12Hosts: [allowTls12('legacy.example.com', { reason, reviewBy: new Date(0) })],
  }

  test('speaks TLS 1.2 with the named host alone, and 1.3 where the server can', async () => {
    const old = await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2' }))
    const modern = await until(startTlsServer({ identity: server }))
    const client = testClient(options)
    expect((await client.fetch(`https://legacy.example.com:${old.port}/`)).status).toBe(200)
    await client.fetch(`https://legacy.example.com:${modern.port}/`)
    expect([old.connections[0]?.protocol, modern.connections[0]?.protocol]).toEqual(['TLSv1.2', 'TLSv1.3'])
    await refusalOf(client.fetch(`https://${HOST}:${old.port}/`), 'ERR_TLS_VERSION')
  })

  test.each(['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'AES128-GCM-SHA256'])(
    'refuses a server that has %s only: ERR_TLS_HANDSHAKE',
    async (ciphers) => {
      const identity = ciphers.startsWith('AES')
        ? ca.issue({ names: ['legacy.example.com'], keyType: 'RSA-2048' })
        : server
      const weak = await until(startTlsServer({ identity, maxVersion: 'TLSv1.2', ciphers }))
      await refusalOf(testClient(options).fetch(`https://legacy.example.com:${weak.port}/`), 'ERR_TLS_HANDSHAKE')
    },
  )

  test('a refused TLS 1.2 server has seen the ClientHello, no request and no client certificate', async () => {
    const own = rogue.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
    const peer = await until(startTlsServer({ identity: attacker, maxVersion: 'TLSv1.2', requestCert: true }))
    const relay = await until(startRelay({ target: peer }))
    const client = testClient({ ...options, certificate: { cert: own.pem, key: own.keyPem } })
    const call = client.fetch(`https://legacy.example.com:${relay.port}/`, { headers: { authorization: 'secret' } })
    await refusalOf(call, 'ERR_TRUST_PIN_MISMATCH')
    await relay.idle()
    expect(relay.clientToServer.records.map(({ type, firstByte }) => [type, firstByte])).toEqual([[22, 1]])
    expect([peer.applicationBytes, peer.clientCertificates.length]).toEqual([0, 0])
    peer.setIdentity(server)
    expect((await client.fetch(`https://legacy.example.com:${relay.port}/`)).status).toBe(200)
    expect(peer.clientCertificates.length).toBe(1)
  })

  test('is told at start, and that its review is overdue', async () => {
    const told = `legacy.example.com: TLS 1.2: in force: ${reason}; its review is overdue`
    expect(await posture(options)).toContain(told)
  })
})

describe('manifestMay', () => {
  const pins = [{ spki: server.pin }, { spki: ca.root.pin }]
  const later = `${new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)}Z`
  const hosts: TestHosts = [
    { host: HOST, mode: 'report', pins },
    { host: 'other.example.com', mode: 'enforce', enforceFrom: later, pins },
    { host: 'legacy.example.com', mode: 'enforce', minTlsVersion: '1.2', reason: 'old', pins },
  ]

  async function start(more: Partial<ClientOptions> = {}) {
    const { manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    const hostile = await until(startTlsServer({ identity: attacker }))
    const old = await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2' }))
    const client = testClient({ manifest, anchors, ...more })
    const told: string[] = []
    client.on('posture', ({ subject, effect }) => told.push(`${subject}: ${effect}`))
    const get = (name: string, port: number) => client.fetch(`https://${name}:${port}/`)
    return { client, hostile, old, told, get }
  }

  test('without it the strict reading holds and is told: the client’s floor of TLS 1.3 wins (case 163)', async () => {
    const { get, hostile, old, told } = await start()
    await refusalOf(get(HOST, hostile.port), 'ERR_TRUST_PIN_MISMATCH')
    await refusalOf(get('other.example.com', hostile.port), 'ERR_TRUST_PIN_MISMATCH')
    await refusalOf(get('legacy.example.com', old.port), 'ERR_TLS_VERSION')
    expect(told.filter((line) => line.includes('does not allow it')).length).toBeGreaterThanOrEqual(3)
    expect(told).toContain(
      'manifest: legacy.example.com asks for TLS 1.2: the strict reading holds: manifestMay does not allow it',
    )
  })

  test('a manifest that asks for TLS 1.3 takes back what the client’s options allow: ERR_TLS_VERSION', async () => {
    const strict: TestHosts = [
      { host: 'legacy.example.com', mode: 'enforce', minTlsVersion: '1.3', pins },
      { host: 'other.example.com', mode: 'enforce', pins },
    ]
    const { manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts: strict })
    const old = await until(startTlsServer({ identity: server, maxVersion: 'TLSv1.2' }))
    const client = testClient({ manifest, anchors, tls12Hosts: [allowTls12('*.example.com', { reason })] })
    await refusalOf(client.fetch(`https://legacy.example.com:${old.port}/`), 'ERR_TLS_VERSION')
    expect((await client.fetch(`https://other.example.com:${old.port}/`)).status).toBe(200)
  })

  test('with it report mode, staged enforcement and TLS 1.2 take effect', async () => {
    const may = manifestMay(['report', 'tls12'], { reason })
    const { get, hostile, old, told } = await start({ manifestMay: may })
    expect((await get(HOST, hostile.port)).status).toBe(200)
    expect((await get('other.example.com', hostile.port)).status).toBe(200)
    expect((await get('legacy.example.com', old.port)).status).toBe(200)
    expect(told).toContain(`manifestMay: report: in force: ${reason}`)
  })
})

test('a pin mismatch asks for the manifest early: the next request succeeds under the pins published since', async () => {
  const {
    repository,
    manifest,
    server: pinsServer,
  } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: { [HOST]: [ca.root.pin] },
  })
  const moved = rogue.issue({ names: [HOST] })
  const peer = await until(startTlsServer({ identity: moved }))
  const client = testClient({ manifest, anchors })
  await client.ready()
  await repository.publish({ hosts: { [HOST]: [moved.pin] } })
  const asked = pinsServer.requestsFor('status.json')
  await refusalOf(client.fetch(`https://${HOST}:${peer.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await vi.waitUntil(() => client.manifest.version === 2, 5_000)
  expect(pinsServer.requestsFor('status.json')).toBeGreaterThan(asked)
  expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
})
