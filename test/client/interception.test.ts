import type { ClientOptions } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { type ServerIdentity, startTlsServer, type TestHosts, testCa } from 'pinfetch/testing'
import { expect, test, vi } from 'vitest'
import type { EventOf } from '../../src/events/events.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { certificates, expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const OPEN = 'open.example.com'
const ca = testCa({ name: 'Public' })
const box = testCa({ name: 'Inspection Box' })
const names = { names: [HOST, OPEN] }
const server = ca.issue(names)
const intercepted = box.issue(names)

/** A client whose manifest names the box, before this server. */
async function meet(identity: ServerIdentity, pins: TestHosts, options: Partial<ClientOptions> = {}) {
  const { manifest, repository } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: pins,
  })
  await repository.publish({ members: { interception: [box.issuer.pin] } })
  const client = testClient({
    manifest,
    anchors: [ca.anchorPem, box.anchorPem],
    unlistedHosts: [allowUnpinned(OPEN, { reason: 'a host of no secrets' })],
    ...options,
  })
  const told: Omit<EventOf<'tls.interception'>, 'type'>[] = []
  client.on('tls.interception', ({ type: _, ...event }) => told.push(event))
  const scene = await startScene(identity)
  await client.ready()
  const event = { host: '', spki: box.issuer.pin, verified: true, outcome: 'accepted', manifestVersion: 2 }
  return { client, told, scene, event }
}

test('the control: who is not on the list raises nothing, whatever the option says', async () => {
  for (const interception of ['report', 'refuse'] as const) {
    const { client, told, scene } = await meet(server, { [HOST]: [server.pin] }, { interception })
    expect((await client.fetch(scene.url(HOST))).status).toBe(200)
    expect(told).toEqual([])
  }
})

test('a box with a trusted CA before a host without pins is told, and by default let through', async () => {
  const { client, told, scene, event } = await meet(intercepted, { [HOST]: [server.pin] })
  expect((await client.fetch(scene.url(OPEN))).status).toBe(200)
  expect(told).toEqual([{ ...event, host: `${OPEN}:${scene.relay.port}` }])
})

test('or refused, where the option says so: ERR_TRUST_INTERCEPTION, nothing sent', async () => {
  const { client, told, scene, event } = await meet(intercepted, { [HOST]: [server.pin] }, { interception: 'refuse' })
  const error = await refusalOf(client.fetch(scene.url(OPEN)), 'ERR_TRUST_INTERCEPTION')
  expect(error.message).toContain(box.issuer.pin)
  expect(told).toEqual([{ ...event, host: `${OPEN}:${scene.relay.port}`, outcome: 'refused' }])
  await expectOnlyClientHello(scene)
})

test('the list beats a pin: a box whose key is pinned is refused all the same, ERR_TRUST_INTERCEPTION', async () => {
  const pins = { [HOST]: [box.issuer.pin, box.root.pin] }
  const { client, told, scene } = await meet(intercepted, pins, { interception: 'refuse' })
  await refusalOf(client.fetch(scene.url(HOST)), 'ERR_TRUST_INTERCEPTION')
  await expectOnlyClientHello(scene)
  expect(told.map(({ outcome }) => outcome)).toEqual(['refused'])
  const reporting = await meet(intercepted, pins)
  expect((await reporting.client.fetch(reporting.scene.url(HOST))).status).toBe(200)
  expect(reporting.told.map(({ outcome, verified }) => [outcome, verified])).toEqual([['accepted', true]])
})

test('report mode forgives no interception that is to be refused: ERR_TRUST_INTERCEPTION; the control passes', async () => {
  const refusing = await meet(intercepted, { [HOST]: [server.pin] }, { mode: 'report', interception: 'refuse' })
  await refusalOf(refusing.client.fetch(refusing.scene.url(HOST)), 'ERR_TRUST_INTERCEPTION')
  const reporting = await meet(intercepted, { [HOST]: [server.pin] }, { mode: 'report' })
  expect((await reporting.client.fetch(reporting.scene.url(HOST))).status).toBe(200)
  expect(reporting.told.length).toBe(1)
})

test.each([
  ['with a trusted CA', [ca.anchorPem, box.anchorPem], 'ERR_TRUST_PIN_MISMATCH', true],
  ['with a CA that nobody trusts', [ca.anchorPem], 'ERR_TRUST_UNKNOWN_ISSUER', false],
] as const)(
  'a box %s before a pinned host is refused for that, and known for what it is',
  async (_, anchors, code, verified) => {
    const { client, told, scene, event } = await meet(intercepted, { [HOST]: [server.pin] }, { anchors: [...anchors] })
    const error = await refusalOf(client.fetch(scene.url(HOST)), code)
    expect(error).toMatchObject({
      findings: expect.arrayContaining([expect.objectContaining({ code: 'ERR_TRUST_INTERCEPTION' })]),
    })
    expect(error.message).toContain(`a key of a known interception product was shown: ${box.issuer.pin}`)
    expect(told).toEqual([{ ...event, host: `${HOST}:${scene.relay.port}`, verified, outcome: 'refused' }])
    await expectOnlyClientHello(scene)
  },
)

test('a certificate of the list that a genuine server appends is told, and is no reason to refuse', async () => {
  const identity = certificates(server, server, ca.issuer, box.issuer)
  const { client, told, scene } = await meet(identity, { [HOST]: [server.pin] }, { interception: 'refuse' })
  expect((await client.fetch(scene.url(HOST))).status).toBe(200)
  expect(told.map(({ verified, outcome }) => [verified, outcome])).toEqual([[false, 'accepted']])
})

test('a list that arrives ends the live connection, and what is in flight: ERR_TRUST_INTERCEPTION', async () => {
  const { manifest, repository } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: { [HOST]: [server.pin] },
  })
  const anchors = [ca.anchorPem, box.anchorPem]
  const unlistedHosts = [allowUnpinned(OPEN, { reason: 'a host of no secrets' })]
  const client = testClient({ manifest, anchors, unlistedHosts, interception: 'refuse' })
  const peer = await until(startTlsServer({ identity: intercepted, handler: () => {} }))
  const call = refusalOf(client.fetch(`https://${OPEN}:${peer.port}/`), 'ERR_TRUST_INTERCEPTION')
  await vi.waitUntil(() => peer.requests.length === 1, 30_000)
  await repository.publish({ members: { interception: [box.root.pin] } })
  await client.manifest.refresh()
  await call
})
