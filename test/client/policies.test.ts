import { createTestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { HostInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const ca = testCa()
const pins = [{ spki: ca.root.pin }, { spki: ca.issuer.pin }]

/** A client whose manifest has one entry for the host; nobody listens there, so only a refusal before any packet is ours. */
async function clientWith(rule: Partial<HostInput>) {
  const hosts: readonly HostInput[] = [{ host: HOST, mode: 'enforce', pins, ...rule }]
  const { manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
  const client = testClient({ manifest, anchors: ca.anchorPem })
  await client.ready()
  return client
}

const url = `https://${HOST}:49151/` // reserved by RFC 6335, so nobody listens

test('the control: without a further rule the connection is tried', async () => {
  await refusalOf((await clientWith({})).fetch(url), 'ERR_TRANSPORT_CONNECT')
})

test('a contained host is not connected to: ERR_POLICY_CONTAINED', async () => {
  const error = await refusalOf((await clientWith({ contained: true })).fetch(url), 'ERR_POLICY_CONTAINED')
  expect(error).toMatchObject({ host: `${HOST}:49151`, requestSent: 'no', retryable: false })
})

test('pins in code that were seen to be over stay so when the clock is set back: ERR_TRUST_PINSET_EXPIRED', async () => {
  const runtime = createTestRuntime({ now: Date.now() })
  const begun = runtime.clock.now()
  const pinned = { pins: [ca.root.pin], notAfter: new Date(begun + 1_000) }
  const client = testClient({ pins: { [HOST]: pinned }, anchors: ca.anchorPem, runtime })
  await refusalOf(client.fetch(url), 'ERR_TRANSPORT_CONNECT')
  for (const now of [begun + 1_000, begun]) {
    runtime.setWall(now)
    await refusalOf(client.fetch(url), 'ERR_TRUST_PINSET_EXPIRED')
  }
})

describe('a rule that this client cannot enforce refuses the host', () => {
  test('a host that demands a client certificate is not connected to without one: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', async () => {
    const client = await clientWith({ clientCertificate: 'required' })
    const error = await refusalOf(client.fetch(url), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
    expect(error).toMatchObject({ requestSent: 'no', message: expect.stringContaining('manifest 1 says') })
  })

  test('a certificate of the client’s satisfies clientCertificate: "required"', async () => {
    const hosts: readonly HostInput[] = [{ host: HOST, mode: 'enforce', pins, clientCertificate: 'required' }]
    const { manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    const { pem: cert, keyPem: key } = ca.issue({ names: ['client.example.com'], extendedKeyUsage: ['clientAuth'] })
    const client = testClient({ manifest, anchors: ca.anchorPem, certificate: { cert, key } })
    await client.ready()
    await refusalOf(client.fetch(url), 'ERR_TRANSPORT_CONNECT')
  })
})
