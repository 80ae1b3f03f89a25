import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { relaxRevocation } from 'pinfetch/dangerous'
import { createTestRuntime, crl, extension, ocspResponse, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type RevocationNetworkOptions,
  type RevocationOption,
  revocationPolicyOf,
  withManifestRevocation,
} from '../../src/client/revocation.ts'
import type { HostEntry } from '../../src/manifest/schema.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const HOUR_MS = 3_600_000

/** What a client with this option does for a host whose entry says so. */
function merged(option: RevocationOption, entry: HostEntry['revocation'], mayReport = false) {
  const host = { ...(entry === undefined ? {} : { revocation: entry }) } as HostEntry
  return withManifestRevocation(revocationPolicyOf(option), host, () => mayReport)
}

describe('options', () => {
  test('a word is a mode, and what is left out stays as it is', () => {
    expect(revocationPolicyOf('soft-fail')).toEqual(DEFAULT_REVOCATION)
    expect(revocationPolicyOf({ staple: 'always' })).toEqual({ ...DEFAULT_REVOCATION, staple: 'always' })
  })

  // 'off' and 'report' need pinfetch/dangerous, in an object too, and no look-alike of what it makes will do.
  test.each([
    'off',
    'report',
    { mode: 'off' },
    { kind: 'relaxedRevocation', mode: 'off', reason: 'x' },
    { sources: ['crlite'] },
  ])('%j: ERR_CONFIG_INVALID', (revocation: unknown) => {
    const options = { pins: { 'a.example': [`sha256/${'A'.repeat(43)}=`] }, revocation } as never
    expect(() => testClient(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('the loosening is told at start', async () => {
    const revocation = relaxRevocation('report', { reason: 'first roll-out' })
    const client = testClient({ pins: { 'a.example': [`sha256/${'A'.repeat(43)}=`] }, revocation })
    const told: unknown[] = []
    client.on('posture', (event) => void told.push(event))
    await Promise.resolve()
    expect(told).toContainEqual(
      expect.objectContaining({ subject: 'revocation: report', effect: expect.stringContaining('first roll-out') }),
    )
  })
})

describe('hostRevocation', () => {
  const [strict, lax] = ['strict.example.com', 'lax.example.com']
  const ca = testCa()
  const identity = ca.issue({ names: [strict, lax] })
  const common = { pins: { [strict]: [identity.pin], [lax]: [identity.pin] }, anchors: ca.anchorPem }

  test.each([
    ['asks more of one host', { hostRevocation: { [strict]: 'hard-fail' } }],
    ['asks less of one host', { revocation: 'hard-fail', hostRevocation: { [lax]: 'soft-fail' } }],
  ] as const)('%s than of the others: ERR_TRUST_REVOCATION_UNDETERMINED without evidence', async (_, options) => {
    const [silent, stapling] = [
      await until(startTlsServer({ identity })),
      await until(startTlsServer({ identity, ocspResponse: ocspResponse({ certificate: identity }) })),
    ]
    const client = testClient({ ...common, ...options })
    await refusalOf(client.fetch(`https://${strict}:${silent.port}/`), 'ERR_TRUST_REVOCATION_UNDETERMINED')
    expect(silent.applicationBytes).toBe(0)
    expect((await client.fetch(`https://${lax}:${silent.port}/`)).status).toBe(200)
    expect((await client.fetch(`https://${strict}:${stapling.port}/`)).status).toBe(200)
  })
})

describe('a list of the CA', () => {
  const now = Math.floor(Date.now() / 1_000) * 1_000
  const ca = testCa({ now })
  const nextUpdate = now + 24 * HOUR_MS
  const list = crl({ issuer: ca.issuer, thisUpdate: now - HOUR_MS, nextUpdate })

  /** A client that waits for the list before it sends anything, on a clock that stands still. */
  async function stage(network: Partial<RevocationNetworkOptions> = {}, answer = true) {
    let asked = 0
    const host = createServer((_, response) => {
      asked += 1
      if (answer) response.end(list)
    })
    const port = await new Promise<number>((resolve) => {
      host.listen(0, '127.0.0.1', () => resolve((host.address() as AddressInfo).port))
    })
    onTestFinished(() => {
      host.closeAllConnections()
      host.close()
    })
    const subject = `http://crl.test:${port}/issuer.crl`
    const identity = ca.issue({ names: ['localhost'], extensions: [extension.crlDistributionPoints([subject])] })
    const peer = await until(startTlsServer({ identity }))
    const runtime = createTestRuntime({ now })
    const client = testClient({
      pins: { localhost: [identity.pin] },
      anchors: ca.anchorPem,
      revocation: { mode: 'hard-fail', fetch: 'blocking' },
      revocationNetwork: { ports: [port], allowPrivateHosts: ['crl.test'], ...network },
      runtime,
    })
    return { client, runtime, peer, subject, asked: () => asked }
  }

  test('that is at hand is among what expires; one of a day is told of when it has ended', async () => {
    const { client, runtime, peer, subject } = await stage()
    const told: unknown[] = []
    client.on('expiry.near', (event) => told.push(event))
    const lists = () => client.health().expiries.filter(({ what }) => what === 'revocation list')
    expect(lists()).toEqual([])
    expect((await client.fetch(peer.origin)).status).toBe(200)
    expect(lists()).toEqual([{ what: 'revocation list', subject, notAfter: nextUpdate, daysLeft: 1 }])
    await runtime.advance(23 * HOUR_MS)
    expect(told).toEqual([])
    await runtime.advance(2 * HOUR_MS)
    expect(told).toMatchObject([{ what: 'revocation list', subject, notAfter: nextUpdate, daysLeft: 0 }])
  })

  test('that is longer than revocationNetwork.maxBytes is none: ERR_TRUST_REVOCATION_UNDETERMINED', async () => {
    const fits = await stage({ maxBytes: list.length })
    expect((await fits.client.fetch(fits.peer.origin)).status).toBe(200)
    const { client, peer } = await stage({ maxBytes: list.length - 1 })
    await refusalOf(client.fetch(peer.origin), 'ERR_TRUST_REVOCATION_UNDETERMINED')
    expect(peer.applicationBytes).toBe(0)
  })

  test.each([
    ['budgetMs', { budgetMs: 400, timeoutMs: 600_000 }],
    ['timeoutMs', { budgetMs: 600_000, timeoutMs: 400 }],
  ])('that does not come is waited for no longer than revocationNetwork.%s', async (_, network) => {
    const { client, runtime, peer, asked } = await stage(network, false)
    let isOver = false
    const call = refusalOf(client.fetch(peer.origin), 'ERR_TRUST_REVOCATION_UNDETERMINED').then(() => {
      isOver = true
    })
    await expect.poll(asked).toBe(1)
    await runtime.advance(399)
    expect(isOver).toBe(false)
    await runtime.advance(1)
    await call
    expect(peer.applicationBytes).toBe(0)
  })
})

describe('an entry of the manifest', () => {
  test('makes everything stricter and nothing laxer', () => {
    const entry = {
      mode: 'hard-fail',
      depth: 'chain',
      staple: 'always',
      fetch: 'blocking',
      sources: ['ocsp'],
    } as const
    expect(merged('soft-fail', { ...entry, sources: [...entry.sources] })).toMatchObject({
      ...entry,
      sources: ['ocsp', ...DEFAULT_REVOCATION.sources],
    })
    const strict = { mode: 'hard-fail', depth: 'chain', staple: 'always', fetch: 'blocking' } as const
    expect(merged(strict, { mode: 'soft-fail', depth: 'endEntity', staple: 'never', fetch: 'never' })).toMatchObject(
      strict,
    )
  })

  test('lets no short-lived certificate pass without evidence where the client asks for some', () => {
    const entry = { mode: 'hard-fail', sources: ['short-lived' as const, 'ocsp' as const] } as const
    const asked = { ...entry, sources: [...entry.sources] }
    expect(merged({ mode: 'hard-fail', sources: ['staple'] }, asked).sources).toEqual(['ocsp', 'staple'])
    expect(merged('hard-fail', asked).sources).toContain('short-lived') // the client takes them itself
  })

  test('asks for report in vain, unless the client allows it and chose no mode of its own', () => {
    expect(merged('soft-fail', { mode: 'report' }).mode).toBe('soft-fail')
    expect(merged('soft-fail', { mode: 'report' }, true).mode).toBe('report')
    expect(merged('hard-fail', { mode: 'report' }, true).mode).toBe('hard-fail')
  })
})
