import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { allowUnpinned } from '../../src/dangerous/index.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

/* Tests of react-native-ssl-manager, end to end, by what they check; its pins over the air are in wultra.test.ts and bypass.test.ts. */

const HOST = 'api.example.com'
const OTHER = 'www.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST, OTHER] })
const wrong = ca.issue({ names: [HOST] })
const anchors = ca.anchorPem

async function serve() {
  const api = await until(startTlsServer({ identity: server }))
  return { api, url: (host: string) => `https://${host}:${api.port}/` }
}

test('valid pins pass; invalid pins fail with ERR_TRUST_PIN_MISMATCH and an event', async () => {
  const { api, url } = await serve()
  expect((await testClient({ pins: { [HOST]: [server.pin] }, anchors }).fetch(url(HOST))).status).toBe(200)
  const client = testClient({ pins: { [HOST]: [wrong.pin] }, anchors })
  const told: string[] = []
  client.on('tls.rejected', ({ host, code }) => told.push(`${host} ${code}`))
  await refusalOf(client.fetch(url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
  expect([told, api.requests.length]).toEqual([[`${HOST}:${api.port} ERR_TRUST_PIN_MISMATCH`], 1])
})

test('wrong pins of one host do not affect another', async () => {
  const { url } = await serve()
  const client = testClient({ pins: { [HOST]: [wrong.pin], [OTHER]: [server.pin] }, anchors })
  await refusalOf(client.fetch(url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
  expect((await client.fetch(url(OTHER))).status).toBe(200)
})

test('a new client has its own pins: invalid then valid passes, valid then invalid is ERR_TRUST_PIN_MISMATCH, in one process', async () => {
  const { url } = await serve()
  const ask = (pin: string) => testClient({ pins: { [HOST]: [pin] }, anchors }).fetch(url(HOST))
  await refusalOf(ask(wrong.pin), 'ERR_TRUST_PIN_MISMATCH')
  expect((await ask(server.pin)).status).toBe(200)
  await refusalOf(ask(wrong.pin), 'ERR_TRUST_PIN_MISMATCH') // the session of the second client is not resumed
})

test('pinning is switched off by name and reason only: without it a host without pins is ERR_TRUST_HOST_NOT_COVERED', async () => {
  const { url } = await serve()
  const pins = { [OTHER]: [server.pin] }
  await refusalOf(testClient({ pins, anchors }).fetch(url(HOST)), 'ERR_TRUST_HOST_NOT_COVERED')
  const unlistedHosts = [allowUnpinned(HOST, { reason: 'a peer’s test' })]
  expect((await testClient({ pins, anchors, unlistedHosts }).fetch(url(HOST))).status).toBe(200)
})
