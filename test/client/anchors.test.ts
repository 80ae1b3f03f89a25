import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { manifestMay } from 'pinfetch/dangerous'
import { extension, selfSigned, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createAnchorLookup } from '../../src/client/anchors.ts'
import { resolveOptions } from '../../src/client/options.ts'
import type { CanonicalHost } from '../../src/encoding/host.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const PARTNER = 'api.partner.example'
const publicCa = testCa({ name: 'Public' })
const partnerCa = testCa({ name: 'Partner' })
const pins = { [HOST]: [publicCa.issuer.pin], [PARTNER]: [partnerCa.issuer.pin, publicCa.issuer.pin] }

function lookup(options: object, host = HOST) {
  return createAnchorLookup(resolveOptions({ pins, ...options }).anchors)(host as CanonicalHost)
}

describe('sources of anchors', () => {
  test('the default is the roots bundled with Node, and nothing the environment adds', () => {
    expect(lookup({}).size).toBe(new Set(tls.rootCertificates).size)
  })

  test('takes PEM bundles and keywords together', () => {
    expect(lookup({ anchors: [publicCa.anchorPem + partnerCa.anchorPem] }).size).toBe(2)
    expect(lookup({ anchors: ['bundled', publicCa.anchorPem] }).size).toBe(lookup({}).size + 1)
  })

  test('reads NODE_EXTRA_CA_CERTS when asked for, and only then', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-anchors-'))
    const file = join(folder, 'extra.pem')
    writeFileSync(file, publicCa.anchorPem)
    vi.stubEnv('NODE_EXTRA_CA_CERTS', file)
    expect([lookup({ anchors: 'extra' }).size, lookup({}).size]).toEqual([1, lookup({ anchors: 'bundled' }).size])
    vi.stubEnv('NODE_EXTRA_CA_CERTS', join(folder, 'absent.pem'))
    expect(() => lookup({ anchors: 'extra' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE' }))
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  test('reads the system’s roots where this Node can, and says so where it cannot', () => {
    const canRead =
      'getCACertificates' in tls && (tls.getCACertificates as (type: string) => string[])('system').length > 0
    if (canRead) expect(lookup({ anchors: 'system' }).size).toBeGreaterThan(0)
    else
      expect(() => lookup({ anchors: 'system' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE' }))
  })

  test.each([
    { anchors: 'no PEM' },
    { anchors: ['bundled', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'] },
    { hostAnchors: { [PARTNER]: 'no PEM' } },
  ])('refuses what is no certificate at start: ERR_CONFIG_CERTIFICATE', (options) => {
    expect(() => testClient({ pins, ...options })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE' }))
  })

  test('refuses anchors for what is no host: ERR_CONFIG_HOST', () => {
    const hostAnchors = { 'https://a.com': publicCa.anchorPem }
    expect(() => testClient({ pins, hostAnchors })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_HOST' }))
  })
})

describe('anchors of single hosts', () => {
  const options = { pins, anchors: publicCa.anchorPem, hostAnchors: { [PARTNER]: partnerCa.anchorPem } }

  test('a partner’s private root speaks for the partner and for nobody else', async () => {
    const partner = await until(startTlsServer({ identity: partnerCa.issue({ names: [PARTNER, HOST] }) }))
    const client = testClient({ ...options, pins: { ...pins, [HOST]: [partnerCa.issuer.pin] } })
    expect((await client.fetch(`https://${PARTNER}:${partner.port}/`)).status).toBe(200)
    await refusalOf(client.fetch(`https://${HOST}:${partner.port}/`), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('and the public roots no longer speak for the partner', async () => {
    const impostor = await until(startTlsServer({ identity: publicCa.issue({ names: [PARTNER] }) }))
    const call = testClient(options).fetch(`https://${PARTNER}:${impostor.port}/`)
    await refusalOf(call, 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('two roots overlap during a rollover', async () => {
    const nextCa = testCa({ name: 'Partner 2' })
    const both = { ...options, pins: { [PARTNER]: [partnerCa.root.pin, nextCa.root.pin] } }
    const client = testClient({ ...both, hostAnchors: { [PARTNER]: [partnerCa.anchorPem, nextCa.anchorPem] } })
    for (const ca of [partnerCa, nextCa]) {
      const server = await until(startTlsServer({ identity: ca.issue({ names: [PARTNER] }) }))
      expect((await client.fetch(`https://${PARTNER}:${server.port}/`)).status).toBe(200)
    }
  })

  test('a self-signed certificate is trusted as itself', async () => {
    const own = testCa({
      intermediates: 0,
      root: { ca: false, names: [PARTNER], extendedKeyUsage: ['serverAuth'] },
    }).root
    const server = await until(startTlsServer({ identity: { certificates: [own.der], key: own.keyPem } }))
    const client = testClient({ pins: { [PARTNER]: [own.pin] }, hostAnchors: { [PARTNER]: own.pem } })
    expect((await client.fetch(`https://${PARTNER}:${server.port}/`)).status).toBe(200)
  })
})

describe('expectedUri', () => {
  const id = 'spiffe://partner.example/api'
  const hosts = [
    {
      host: PARTNER,
      mode: 'enforce' as const,
      expectedUri: id,
      pins: [{ spki: partnerCa.issuer.pin }, { spki: partnerCa.root.pin }],
    },
  ]

  test('a workload is known by its SPIFFE ID instead of a host name: another one is ERR_TRUST_NAME_MISMATCH', async () => {
    const { manifest } = await startTestPins({ ca: publicCa, name: 'pins.example.com', hosts })
    const client = testClient({
      manifest,
      anchors: publicCa.anchorPem,
      hostAnchors: { [PARTNER]: partnerCa.anchorPem },
    })
    const right = await until(startTlsServer({ identity: partnerCa.issue({ subject: 'api', san: [{ uri: id }] }) }))
    expect((await client.fetch(`https://${PARTNER}:${right.port}/`)).status).toBe(200)
    for (const identity of [
      partnerCa.issue({ subject: 'other', san: [{ uri: 'spiffe://partner.example/other' }] }),
      partnerCa.issue({ names: [PARTNER] }),
    ]) {
      const wrong = await until(startTlsServer({ identity }))
      await refusalOf(client.fetch(`https://${PARTNER}:${wrong.port}/`), 'ERR_TRUST_NAME_MISMATCH')
      expect(wrong.applicationBytes).toBe(0)
    }
  })
})

describe('anchor sets of the manifest', () => {
  const hosts = [PARTNER, HOST].map((host) => ({
    host,
    mode: 'enforce' as const,
    trustAnchors: ['partner'],
    pins: [{ spki: partnerCa.issuer.pin }, { spki: partnerCa.root.pin }],
  }))
  const reason = 'the partner runs a CA of its own'

  async function start(anchorDer: Uint8Array, loosening: object) {
    const { repository, manifest } = await startTestPins({ ca: publicCa, name: 'pins.example.com', hosts: {} })
    const anchorSets = { partner: [Buffer.from(anchorDer).toString('base64')] }
    await repository.publish({ hosts, members: { anchorSets } })
    const partner = await until(startTlsServer({ identity: partnerCa.issue({ names: [PARTNER, HOST] }) }))
    const startup = { ...manifest, startupMs: 500 }
    const client = testClient({ manifest: startup, anchors: publicCa.anchorPem, ...loosening })
    return { get: (host: string) => client.fetch(`https://${host}:${partner.port}/`), client }
  }

  test('add trust for the hosts that the application names, and for no other', async () => {
    const may = manifestMay(['anchors'], { reason, anchorHosts: [PARTNER] })
    const { get } = await start(partnerCa.root.der, { manifestMay: may })
    expect((await get(PARTNER)).status).toBe(200)
    await refusalOf(get(HOST), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('add nothing without the application’s word', async () => {
    const { get } = await start(partnerCa.root.der, {})
    await refusalOf(get(PARTNER), 'ERR_TRUST_UNKNOWN_ISSUER')
    const elsewhere = await start(partnerCa.root.der, { manifestMay: manifestMay(['anchors'], { reason }) })
    await refusalOf(elsewhere.get(PARTNER), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test.each([
    ['no certificates', new Uint8Array([48, 0])],
    ['certificates that no path takes', selfSigned({ ca: true, extensions: [extension.subjectAltName([])] }).der],
  ])('that are %s refuse the document: ERR_MANIFEST_PAYLOAD_SCHEMA', async (_, der) => {
    const { client } = await start(der, {})
    await client.ready().catch(() => undefined)
    expect(client.health().manifest?.lastError?.code).toBe('ERR_MANIFEST_PAYLOAD_SCHEMA')
  })
})
