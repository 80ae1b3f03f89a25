import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { overlaps, parseHostPattern } from '../../src/encoding/host-pattern.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const [BANK, SHOP] = ['api.bank.example', 'api.shop.example']
const ca = testCa()
const server = ca.issue({ names: [BANK, SHOP] })
const other = ca.issue({ names: [BANK, SHOP] })

/** Two publishers, and one server under both names. */
async function start() {
  const bank = await startTestPins({
    ca,
    name: 'pins.bank.example',
    hosts: { [BANK]: [server.pin], [SHOP]: [other.pin] },
  })
  const shop = await startTestPins({
    ca,
    name: 'pins.shop.example',
    hosts: { [SHOP]: [server.pin], [BANK]: [other.pin] },
  })
  const api = await until(startTlsServer({ identity: server }))
  const manifest = [
    { ...bank.manifest, hosts: ['**.bank.example'] },
    { ...shop.manifest, hosts: [SHOP] },
  ]
  const url = (host: string): string => `https://${host}:${api.port}/`
  return { bank, shop, manifest, url, api }
}

describe('several manifests', () => {
  test('each speaks for its own hosts, whatever it says of others', async () => {
    const { manifest, url } = await start()
    const client = testClient({ manifest, anchors: ca.anchorPem })
    await client.ready()
    expect((await client.fetch(url(BANK))).status).toBe(200)
    expect((await client.fetch(url(SHOP))).status).toBe(200)
    await refusalOf(client.fetch(url('www.shop.example')), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(client.health()).toMatchObject({ state: 'ready', manifests: [{ state: 'fresh' }, { state: 'fresh' }] })
    expect(client.manifest.version).toBe(1)
  })

  test('a deny of one closes its own hosts and nobody else’s', async () => {
    const { shop, manifest, url } = await start()
    const client = testClient({ manifest, anchors: ca.anchorPem })
    await client.ready()
    await shop.repository.deny([server.pin])
    await client.manifest.refresh()
    await refusalOf(client.fetch(url(SHOP)), 'ERR_TRUST_PIN_DENIED')
    expect((await client.fetch(url(BANK))).status).toBe(200)
  })

  test('one that cannot be had closes its own hosts alone', async () => {
    const { shop, manifest, url } = await start()
    await shop.server.close()
    const client = testClient({
      manifest: manifest.map((one) => ({ ...one, startupMs: 2_000 })),
      anchors: ca.anchorPem,
    })
    expect((await client.fetch(url(BANK))).status).toBe(200)
    await refusalOf(client.fetch(url(SHOP)), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect(client.health().state).toBe('unready')
  })

  test('a single one may be held to some hosts, too', async () => {
    const { bank, url } = await start()
    const client = testClient({ manifest: { ...bank.manifest, hosts: [BANK] }, anchors: ca.anchorPem })
    expect((await client.fetch(url(BANK))).status).toBe(200)
    await refusalOf(client.fetch(url(SHOP)), 'ERR_TRUST_HOST_NOT_COVERED')
  })

  test.each([
    [['api.bank.example'], ['api.bank.example']],
    [['*.bank.example'], ['api.bank.example']],
    [
      ['a.example', '**.bank.example'],
      ['b.example', '*.eu.bank.example'],
    ],
  ])('%j and %j: two claim one host, ERR_CONFIG_HOST_CLAIMED_TWICE (case 157)', async (one, two) => {
    const { bank, shop } = await start()
    const manifest = [
      { ...bank.manifest, hosts: one },
      { ...shop.manifest, hosts: two },
    ]
    expect(() => testClient({ manifest })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_HOST_CLAIMED_TWICE' }))
    testClient({ manifest: manifest.slice(0, 1) })
  })

  test('one of them that names no hosts would claim all: ERR_CONFIG_INVALID', async () => {
    const { bank, shop } = await start()
    expect(() => testClient({ manifest: [{ ...bank.manifest, hosts: [BANK] }, shop.manifest] })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining('hosts') }),
    )
  })
})

describe('patterns that overlap', () => {
  test.each([
    ['a.example.com', 'a.example.com', true],
    ['a.example.com', 'b.example.com', false],
    ['a.example.com', '*.example.com', true],
    ['a.b.example.com', '*.example.com', false],
    ['example.com', '**.example.com', true],
    ['*.example.com', '*.example.com', true],
    ['*.a.example.com', '*.example.com', false],
    ['*.a.example.com', '**.example.com', true],
    ['*.example.com', '**.a.example.com', true],
    ['*.example.com', '**.b.a.example.com', false],
    ['**.a.example.com', '**.example.com', true],
    ['**.a.example.com', '**.b.example.com', false],
    ['**.aexample.com', '**.example.com', false],
  ])('%s and %s: %s', (one, two, expected) => {
    const [a, b] = [one, two].map(parseHostPattern)
    if (a === undefined || b === undefined) throw new Error('no pattern')
    expect([overlaps(a, b), overlaps(b, a)]).toEqual([expected, expected])
  })
})
