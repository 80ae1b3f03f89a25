import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { closing } from '../transport/session-stage.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const backup = ca.issue({ names: [HOST] })

test('health() tells when a peer was last accepted for each pin, and which was never seen', async () => {
  const peer = await until(startTlsServer({ identity: server, handler: closing }))
  const pins = { [HOST]: [server.pin, backup.pin] }
  const client = testClient({ pins, anchors: ca.anchorPem })
  expect(client.health().pins).toEqual([])
  const before = Date.now()
  const url = `https://${HOST}:${peer.port}/`
  await (await client.fetch(url)).text()
  const host = `${HOST}:${peer.port}`
  const { pins: told } = client.health()
  expect(told).toEqual([
    { host, spki: server.pin, lastMatchedAt: expect.any(Number) },
    { host, spki: backup.pin },
  ])
  expect(told[0]?.lastMatchedAt).toBeGreaterThanOrEqual(before)

  peer.setIdentity(ca.issue({ names: [HOST] }))
  await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  expect(client.health().pins).toEqual(told)
  peer.setIdentity(backup)
  await (await client.fetch(url)).text()
  expect(client.health().pins.map(({ lastMatchedAt }) => typeof lastMatchedAt)).toEqual(['number', 'number'])
})

test('nothing is kept where the client does not watch itself', async () => {
  const peer = await until(startTlsServer({ identity: server }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, monitor: false })
  await (await client.fetch(`https://${HOST}:${peer.port}/`)).text()
  expect(client.health().pins).toEqual([])
})
