import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { allowLegacy } from 'pinfetch/dangerous'
import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { startRelay } from '../../src/testing/relay.ts'
import { testClient, until } from '../support/client.ts'

const DAY_MS = 86_400_000
const ca = testCa()
const names = ['localhost', 'api.example.com']
const server = ca.issue({ names })
const WATCHED = ['tls.anomaly', 'tls.timing', 'traffic.anomaly', 'expiry.near'] as const

function listen(client: Client): ClientEvent[] {
  const events: ClientEvent[] = []
  for (const type of WATCHED) client.on(type, (event) => events.push(event))
  return events
}

/** Every connection is a new one, and shows its certificate. */
async function connectTo(client: Client, url: string, times = 1): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    const response = await client.fetch(url, { headers: { connection: 'close' } })
    await response.text()
  }
}

const options = (more: Partial<ClientOptions> = {}): ClientOptions => ({
  pins: { localhost: [ca.issuer.pin], 'api.example.com': [ca.issuer.pin] },
  anchors: ca.anchorPem,
  ...more,
})

test('a server that rotates its certificate is told of once in each respect, with both fingerprints', async () => {
  const peer = await until(startTlsServer({ identity: server }))
  const client = testClient(options())
  const events = listen(client)
  await connectTo(client, peer.origin, 3)
  expect(events).toEqual([])
  const now = Date.now()
  const next = ca.issue({ names, notBefore: now - DAY_MS / 2, notAfter: now + 300 * DAY_MS })
  peer.setIdentity(next)
  await connectTo(client, peer.origin, 3)
  const { X509Certificate } = await import('node:crypto')
  const sha256 = (der: Uint8Array) => new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase()
  const compared = { before: sha256(server.der), after: sha256(next.der) }
  const common = { type: 'tls.anomaly', host: `localhost:${peer.port}`, manifestVersion: 0 }
  expect(events).toEqual([
    { ...common, kind: 'certificate-changed', ...compared },
    { ...common, kind: 'key-changed', before: server.pin, after: next.pin },
    { ...common, kind: 'renewed-early', ...compared },
    { ...common, kind: 'life-longer', before: '91', after: '301' },
  ])
})
