import { createServer, type Socket } from 'node:net'
import { createClient } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { listen } from '../../src/testing/loopback.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const options = { pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem }

/** A listener that takes connections and says nothing: every handshake with it stalls for `timeouts.tlsMs`. */
async function stalled() {
  const sockets: Socket[] = []
  const listener = createServer((socket) => void sockets.push(socket.on('error', () => undefined)))
  const port = await listen(listener)
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  const reached = (): Promise<unknown> => vi.waitUntil(() => sockets.length > 0, 10_000)
  return { url: `https://${HOST}:${port}/`, reached }
}

// Each of these would outlast the test by seconds if it waited for what does not come.

test('F64: close() does not wait for a handshake that stalls: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
  const client = createClient({ ...options, resolver: async () => ['127.0.0.1'] })
  const { url, reached } = await stalled()
  const refused = refusalOf(client.fetch(url), 'ERR_TRANSPORT_CLIENT_CLOSED')
  await reached()
  await client.close()
  expect((await refused).requestSent).toBe('no')
})

test('F64: nor for a refresh whose server stalls', async () => {
  const { manifest } = await startTestPins({ ca, name: HOST, hosts: { [HOST]: [server.pin] } })
  const { url, reached } = await stalled()
  const resolver = async (): Promise<readonly string[]> => ['127.0.0.1']
  const client = createClient({ ...options, resolver, manifest: { ...manifest, url } })
  await reached()
  await client.close()
  expect(client.health().state).toBe('closed')
})

test('destroy() ends a response that goes on: ERR_TRANSPORT_CLIENT_CLOSED with the reason as cause', async () => {
  const peer = await until(startTlsServer({ identity: server, handler: (_, response) => void response.write('a') }))
  const client = testClient(options)
  const response = await client.fetch(`https://${HOST}:${peer.port}/`)
  const text = response.text()
  const failed = expect(text).rejects.toThrow()
  const { url, reached } = await stalled()
  const waiting = refusalOf(client.fetch(url), 'ERR_TRANSPORT_CLIENT_CLOSED')
  await reached()
  const reason = new Error('SIGTERM')
  await client.destroy(reason)
  await failed
  expect((await waiting).cause).toBe(reason)
  await refusalOf(client.fetch(`https://${HOST}:${peer.port}/`), 'ERR_TRANSPORT_CLIENT_CLOSED')
  await client.destroy()
})
