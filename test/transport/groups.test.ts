import { allowTls12 } from 'pinfetch/dangerous'
import { startRelay, startTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import type { EventOf } from '../../src/events/events.ts'
import { testClient, until } from '../support/client.ts'
import { closing } from './session-stage.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const hasHybrid = process.versions.openssl.localeCompare('3.5', 'en', { numeric: true }) >= 0

async function connect(options: Partial<TlsServerOptions>, requests = 1) {
  const peer = await until(startTlsServer({ identity: server, handler: closing, ...options }))
  const relay = await until(startRelay({ target: peer }))
  const client = testClient({
    pins: { [HOST]: [server.pin] },
    anchors: ca.anchorPem,
    tls12Hosts: [allowTls12(HOST, { reason: 'half of the cases' })],
  })
  const told: EventOf<'tls.connected'>[] = []
  client.on('tls.connected', (event) => told.push(event))
  for (let at = 0; at < requests; at += 1) {
    expect((await client.fetch(`https://${HOST}:${relay.port}/`)).status).toBe(200)
    await relay.idle()
  }
  const hellos = relay.clientToServer.records.filter(({ type, firstByte }) => type === 22 && firstByte === 1)
  return { told, hellos: hellos.length, host: `${HOST}:${relay.port}` }
}

test.each([
  ...(hasHybrid ? [{ groups: 'X25519MLKEM768', group: 'X25519MLKEM768', hellos: 1 }] : []),
  { groups: 'X25519', group: 'x25519', hellos: 1 },
  { groups: 'P-256', group: 'secp256r1', hellos: 2 },
  { groups: 'P-384', group: 'secp384r1', hellos: 2 },
])(
  'a server that has $groups alone is told as $group, after $hellos ClientHello',
  async ({ groups, group, hellos }) => {
    const seen = await connect({ groups })
    expect(seen.told).toEqual([
      { type: 'tls.connected', host: seen.host, protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group },
    ])
    expect(seen.hellos).toBe(hellos)
  },
)

test('where both have it, the hybrid with ML-KEM is what is used; else X25519', async () => {
  const { told } = await connect({})
  expect(told.map(({ group }) => group)).toEqual([hasHybrid ? 'X25519MLKEM768' : 'x25519'])
})

test.each(['P-521', 'X448'])('a server that has %s alone is refused: ERR_TLS_HANDSHAKE', async (groups) => {
  const peer = await until(startTlsServer({ identity: server, groups }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem })
  await expect(client.fetch(`https://${HOST}:${peer.port}/`)).rejects.toMatchObject({ code: 'ERR_TLS_HANDSHAKE' })
  expect(peer.applicationBytes).toBe(0)
})

test('a resumption says so: under TLS 1.3 with the group of its own key exchange, under TLS 1.2 without one', async () => {
  const modern = await connect({ groups: 'X25519' }, 2)
  expect(modern.told.map(({ group, resumed = false }) => [group, resumed])).toEqual([
    ['x25519', false],
    ['x25519', true],
  ])
  const old = await connect({ groups: 'X25519', maxVersion: 'TLSv1.2' }, 2)
  expect(old.told.map(({ protocol, cipher }) => [protocol, cipher])).toEqual(
    Array(2).fill(['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384']),
  )
  expect(old.told.map(({ group, resumed = false }) => [group, resumed])).toEqual([
    ['x25519', false],
    [undefined, true],
  ])
})
