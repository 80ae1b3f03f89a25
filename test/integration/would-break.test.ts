import type { ClientEvent } from 'pinfetch'
import { createTestRuntime, startTlsServer, type TestHosts, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import type { PinText } from '../../src/encoding/pin.ts'
import { testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { refresh, settled } from '../support/scene.ts'

const NAMES = [
  'kept.example.com',
  'lost.example.com',
  'gone.example.com',
  'contained.example.com',
  'unseen.example.com',
]
const ca = testCa()
const server = ca.issue({ names: NAMES })
const spare = ca.issue({ names: NAMES })
const other = ca.issue({ names: NAMES })
const pins = (...keys: readonly { readonly pin: PinText }[]) => keys.map(({ pin }) => ({ spki: pin }))

test('a manifest that refuses keys seen lately is announced with exactly these hosts, and is in force all the same (case 156)', async () => {
  const runtime = createTestRuntime({ now: Date.now() })
  const hosts: TestHosts = NAMES.map((host) => ({ host, mode: 'enforce', pins: pins(server, spare) }))
  const { repository, manifest } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts,
    repository: { clock: runtime.clock },
  })
  const api = await until(startTlsServer({ identity: server }))
  const client = testClient({ manifest, anchors: ca.anchorPem, runtime })
  const events: ClientEvent[] = []
  for (const type of ['manifest.wouldBreak', 'manifest.activated', 'tls.retired'] as const) {
    client.on(type, (event) => events.push(event))
  }
  await settled(client.ready(), runtime)
  for (const name of NAMES.slice(0, 4)) expect((await client.fetch(`https://${name}:${api.port}/`)).status).toBe(200)
  events.length = 0

  await repository.publish({
    hosts: [
      { host: 'kept.example.com', mode: 'enforce', pins: [{ spki: ca.issuer.pin }, ...pins(other)] },
      { host: 'lost.example.com', mode: 'enforce', pins: pins(spare, other) },
      { host: 'contained.example.com', mode: 'enforce', pins: pins(server, spare), contained: true },
      { host: 'unseen.example.com', mode: 'enforce', pins: pins(spare, other) },
    ],
  })
  await refresh(client, runtime)
  expect(client.manifest.version).toBe(2)
  expect(events[0]).toEqual({
    type: 'manifest.wouldBreak',
    version: 2,
    hosts: [
      { host: `lost.example.com:${api.port}`, code: 'ERR_TRUST_PIN_MISMATCH' },
      { host: `gone.example.com:${api.port}`, code: 'ERR_TRUST_HOST_NOT_COVERED' },
      { host: `contained.example.com:${api.port}`, code: 'ERR_POLICY_CONTAINED' },
    ],
  })
  expect(events.filter(({ type }) => type === 'manifest.wouldBreak').length).toBe(1)
  expect(events.some(({ type }) => type === 'manifest.activated')).toBe(true)
})

test('a manifest that refuses nothing seen is not announced', async () => {
  const runtime = createTestRuntime({ now: Date.now() })
  const hosts: TestHosts = [{ host: 'kept.example.com', mode: 'enforce', pins: pins(server, spare) }]
  const repository = { clock: runtime.clock }
  const started = await startTestPins({ ca, name: 'pins.example.com', hosts, repository })
  const api = await until(startTlsServer({ identity: server }))
  const client = testClient({ manifest: started.manifest, anchors: ca.anchorPem, runtime })
  let announced = 0
  client.on('manifest.wouldBreak', () => {
    announced += 1
  })
  await settled(client.ready(), runtime)
  await client.fetch(`https://kept.example.com:${api.port}/`)
  await started.repository.publish({ hosts: [{ host: '*.example.com', mode: 'enforce', pins: pins(server, other) }] })
  await refresh(client, runtime)
  expect([client.manifest.version, announced]).toEqual([2, 0])
})
