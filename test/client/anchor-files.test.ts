import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { startTlsServer, type TestTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const ID = 'spiffe://example.org/api'
const [oldCa, newCa] = [testCa({ name: 'Old' }), testCa({ name: 'New' })]
const pins = { [HOST]: [oldCa.root.pin, newCa.root.pin] }
const oldServer = oldCa.issue({ names: [HOST] })
const newServer = newCa.issue({ names: [HOST] })

const bundle = (sequence: number, ...roots: { der: Uint8Array }[]): string =>
  JSON.stringify({
    spiffe_sequence: sequence,
    keys: roots.map(({ der }) => ({ use: 'x509-svid', kty: 'EC', x5c: [Buffer.from(der).toString('base64')] })),
  })

function fileWith(text: string): { path: string; replace: (text: string) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bundle-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'bundle')
  const replace = (next: string): void => {
    writeFileSync(`${path}.new`, next)
    renameSync(`${path}.new`, path)
  }
  replace(text)
  return { path, replace }
}

function start(options: Partial<ClientOptions>): {
  client: Client
  events: ClientEvent[]
  count: (type: string) => number
} {
  const client = testClient({ pins, ...options })
  const events: ClientEvent[] = []
  for (const type of ['anchors.changed', 'anchors.rejected', 'tls.retired'] as const)
    client.on(type, (event) => events.push(event))
  return { client, events, count: (type) => events.filter((event) => event.type === type).length }
}

const get = async (client: Client, { port }: TestTlsServer): Promise<number> => {
  const response = await client.fetch(`https://${HOST}:${port}/`)
  await response.text()
  return response.status
}

describe.each([
  [
    'a PEM file',
    (path: string) => ({ file: path }),
    (...roots: { pem: string }[]) => roots.map(({ pem }) => pem).join(''),
  ],
  ['a SPIFFE bundle', (path: string) => ({ spiffeBundle: path }), undefined],
] as const)('%s', (_, sourceOf, pemOf) => {
  let sequence = 0
  const contents = (...roots: { der: Uint8Array; pem: string }[]): string => {
    sequence += 1
    return pemOf === undefined ? bundle(sequence, ...roots) : pemOf(...roots)
  }

  test('carries a rollover: the old root, both, the new one alone, which ends live connections under the old: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const { path, replace } = fileWith(contents(oldCa.root))
    const { client, events, count } = start({ anchors: sourceOf(path) })
    const [older, newer] = [
      await until(startTlsServer({ identity: oldServer })),
      await until(startTlsServer({ identity: newServer })),
    ]
    expect(await get(client, older)).toBe(200)
    await refusalOf(get(client, newer), 'ERR_TRUST_UNKNOWN_ISSUER')

    replace(contents(oldCa.root, newCa.root))
    await expect.poll(() => count('anchors.changed'), { timeout: 30_000 }).toBe(1)
    for (const peer of [older, newer]) expect(await get(client, peer)).toBe(200)
    expect(older.connections).toHaveLength(1)

    replace(contents(newCa.root))
    await expect.poll(() => count('anchors.changed'), { timeout: 30_000 }).toBe(2)
    expect(events.filter(({ type }) => type === 'tls.retired')).toMatchObject([{ code: 'ERR_TRUST_UNKNOWN_ISSUER' }])
    await refusalOf(get(client, older), 'ERR_TRUST_UNKNOWN_ISSUER')
    expect(await get(client, newer)).toBe(200)
    expect(older.requests).toHaveLength(2)
  })

  test('that breaks is one event, ERR_CONFIG_CERTIFICATE, and the anchors in force stay', async () => {
    const { path, replace } = fileWith(contents(oldCa.root))
    const { client, events, count } = start({ hostAnchors: { [HOST]: sourceOf(path) } })
    const peer = await until(startTlsServer({ identity: oldServer }))
    replace('half of wh')
    await expect.poll(() => count('anchors.rejected'), { timeout: 30_000 }).toBe(1)
    expect(events).toMatchObject([{ code: 'ERR_CONFIG_CERTIFICATE', message: expect.stringContaining(path) }])
    expect(await get(client, peer)).toBe(200)
    replace(contents(newCa.root))
    await expect.poll(() => count('anchors.changed'), { timeout: 30_000 }).toBe(1)
    await refusalOf(get(client, await until(startTlsServer({ identity: oldServer }))), 'ERR_TRUST_UNKNOWN_ISSUER')
  })

  test('that cannot be read at the start is an error at once: ERR_CONFIG_FILE, ERR_CONFIG_CERTIFICATE', () => {
    expect(() => testClient({ pins, anchors: sourceOf('/nowhere/bundle') })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_FILE' }),
    )
    expect(() => testClient({ pins, anchors: sourceOf(fileWith('no bundle').path) })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE' }),
    )
  })
})

test('an older SPIFFE bundle does not bring a removed root back: ERR_CONFIG_CERTIFICATE', async () => {
  const { path, replace } = fileWith(bundle(7, newCa.root))
  const { client, events, count } = start({ anchors: { spiffeBundle: path } })
  replace(bundle(6, oldCa.root, newCa.root))
  await expect.poll(() => count('anchors.rejected'), { timeout: 30_000 }).toBe(1)
  expect(events).toMatchObject([{ message: expect.stringContaining('spiffe_sequence 6 after 7') }])
  await refusalOf(get(client, await until(startTlsServer({ identity: oldServer }))), 'ERR_TRUST_UNKNOWN_ISSUER')
  expect(await get(client, await until(startTlsServer({ identity: newServer })))).toBe(200)
})

describe('expectedUris', () => {
  const workload = (uri: string) => oldCa.issue({ subject: 'workload', san: [{ uri }] })
  const options = { anchors: oldCa.anchorPem, expectedUris: { [HOST]: ID } }

  test('a host is known by its SPIFFE ID in place of its name: ERR_TRUST_NAME_MISMATCH', async () => {
    const { client } = start(options)
    expect(await get(client, await until(startTlsServer({ identity: workload(ID) })))).toBe(200)
    for (const identity of [workload('spiffe://example.org/other'), workload('spiffe://other.org/api'), oldServer]) {
      const wrong = await until(startTlsServer({ identity }))
      await refusalOf(get(client, wrong), 'ERR_TRUST_NAME_MISMATCH')
      expect(wrong.applicationBytes).toBe(0)
    }
  })

  test.each(['https://example.org/api', 'spiffe://', 'spiffe://Example.org:8443/api', 'spiffe://example.org/a?b'])(
    'refuses %s, which is no SPIFFE ID: ERR_CONFIG_INVALID',
    (id) => {
      expect(() => testClient({ pins, expectedUris: { [HOST]: id } })).toThrow(
        expect.objectContaining({
          code: 'ERR_CONFIG_INVALID',
          message: expect.stringContaining('spiffe://trust-domain'),
        }),
      )
    },
  )

  test('a manifest cannot put another ID in its place: ERR_TRUST_POLICY_UNSUPPORTED', async () => {
    const entry = { host: HOST, mode: 'enforce' as const, pins: [{ spki: oldCa.root.pin }, { spki: newCa.root.pin }] }
    for (const [expectedUri, isRefused] of [
      [ID, false],
      ['spiffe://example.org/other', true],
    ] as const) {
      const hosts: readonly HostInput[] = [{ ...entry, expectedUri }]
      const { manifest } = await startTestPins({ ca: oldCa, name: 'pins.example.com', hosts })
      const client = testClient({ ...options, manifest })
      const peer = await until(startTlsServer({ identity: workload(ID) }))
      if (isRefused) await refusalOf(get(client, peer), 'ERR_TRUST_POLICY_UNSUPPORTED')
      else expect(await get(client, peer)).toBe(200)
    }
  })
})
