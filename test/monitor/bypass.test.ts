/** B32: what goes around the client in its own process is told; what goes through it is not. */

import { channel } from 'node:diagnostics_channel'
import { get as getPlain } from 'node:http'
import { get } from 'node:https'
import type { Client, ClientOptions } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { type Bypass, watchBypasses } from 'pinfetch/monitor'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { request as undiciRequest } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { TransportError } from '../../src/errors/errors.ts'
import { testClient, until } from '../support/client.ts'

const HOST = 'localhost' // the others resolve it, too
const ca = testCa()
const server = ca.issue({ names: [HOST] })

async function stage(options: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity: server }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, ...options })
  const told: Bypass[] = []
  const watch = watchBypasses(client, (bypass) => void told.push(bypass))
  onTestFinished(watch.close)
  return { client, told, watch, host: `${HOST}:${peer.port}`, port: peer.port }
}

/** Whatever comes of it. */
const over = (how: typeof get | typeof getPlain, url: string, options: object = {}): Promise<void> =>
  new Promise((resolve) => {
    how(url, options, (response) => void response.resume().once('close', resolve)).once('error', () => resolve())
  })

const form = (): FormData => {
  const data = new FormData()
  data.append('a', 'b')
  return data
}

test.each<[Bypass['via'], string, (url: string) => Promise<unknown>]>([
  ['undici', 'the runtime’s fetch', (url) => fetch(url)],
  ['undici', 'undici of npm', (url) => undiciRequest(url)],
  ['node:http', 'node:https', (url) => over(get, url)],
  ['node:http', 'node:https with a Host field of its own', (url) => over(get, url, { headers: { host: 'x' } })],
  ['node:http', 'node:http, in the clear', (url) => over(getPlain, url.replace('https', 'http'))],
])('%s: a pinned host that is asked by %s is told, once', async (via, how, ask) => {
  const { told, host } = await stage()
  for (let round = 0; round < 2; round += 1) await ask(`https://${host}/`).catch(() => undefined)
  expect(told).toEqual([{ host: how.includes('Host') ? HOST : host, via }])
})

test('a host that may be asked without pins is not told', async () => {
  const { told, port } = await stage({ unlistedHosts: [allowUnpinned('127.0.0.1', { reason: 'a test' })] })
  await fetch(`https://127.0.0.1:${port}/`).catch(() => undefined)
  expect(told).toEqual([])
})

test('the control: neither a host that nothing covers nor anything that goes through the client is told', async () => {
  const { client, told, host, port } = await stage()
  const url = `https://${host}/`
  const ways: readonly ((client: Client) => Promise<unknown>)[] = [
    () => client.fetch(url),
    () => client.fetch(url, { method: 'POST', body: form() }),
    () => undiciRequest(url, { dispatcher: client.dispatcher }),
    () => over(get, url, { agent: client.agent }),
    async () => (await client.connect(url)).destroy(),
    () => fetch(`https://127.0.0.1:${port}/`),
    () => over(get, `https://127.0.0.1:${port}/`),
  ]
  for (const way of ways) await way(client).catch(() => undefined)
  expect(told).toEqual([])
})

test('a connection of the client’s own that undici would make again, and does not get, is not told', async () => {
  const { told, port } = await stage()
  const failed = (error: Error): void => {
    const connectParams = { protocol: 'https:', hostname: HOST, port: String(port) }
    channel('undici:client:connectError').publish({ connectParams, error })
  }
  failed(new TransportError('ERR_TRANSPORT_CLOSED', 'lost', { host: HOST }))
  expect(told).toEqual([])
  failed(new Error('the control: of somebody else'))
  expect(told).toHaveLength(1)
})

test('a contained host is told, though nobody can say its pins; after close nothing is', async () => {
  const { client, told, watch, host } = await stage()
  client.contain('*', 'an incident')
  await fetch(`https://${host}/`).catch(() => undefined)
  expect(told).toEqual([{ host, via: 'undici' }])
  watch.close()
  await over(get, `https://${host}/`)
  expect(told).toHaveLength(1)
})
