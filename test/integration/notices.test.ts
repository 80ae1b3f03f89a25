import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientEvent, ClientOptions } from 'pinfetch'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'example.com'
const BELOW = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST, BELOW] })
const pins = { [`**.${HOST}`]: [server.pin] }

async function serve(handler: TestHandler, options: Partial<ClientOptions> = {}) {
  const peer = await until(startTlsServer({ identity: server, handler }))
  const client = testClient({ anchors: ca.anchorPem, pins, ...options })
  const at = (scheme: 'http' | 'https', host: string, path = '/'): string => `${scheme}://${host}:${peer.port}${path}`
  return { peer, client, at }
}

const saying =
  (field: string): TestHandler =>
  (_, response) =>
    response.writeHead(200, { 'strict-transport-security': field }).end('ok')

describe('an http URL', () => {
  test('of a host that said it wants https alone is read as https, and so are those below it', async () => {
    const { client, at, peer } = await serve(saying('max-age=60; includeSubDomains'), { upgradeInsecure: 'hsts' })
    await refusalOf(client.fetch(at('http', BELOW)), 'ERR_POLICY_PLAINTEXT')
    await client.fetch(at('https', HOST))
    const response = await client.fetch(at('http', BELOW, '/a?b=c'))
    expect([response.status, response.url]).toEqual([200, at('https', BELOW, '/a?b=c')])
    const request = new Request(at('http', HOST, '/d'), { method: 'POST', body: 'x', headers: { 'x-a': 'b' } })
    expect(await (await client.fetch(request)).text()).toBe('ok')
    await client.fetch(new URL(at('http', HOST)), { method: 'PUT', body: 'y' })
    const seen = peer.requests.map(({ method, path, headers, body }) => [
      method,
      path,
      headers['x-a'],
      Buffer.from(body).toString(),
    ])
    expect(seen.slice(1)).toEqual([
      ['GET', '/a?b=c', undefined, ''],
      ['POST', '/d', 'b', 'x'],
      ['PUT', '/', undefined, 'y'],
    ])
  })

  test('of such a host is refused by default, and the refusal says why: ERR_POLICY_PLAINTEXT', async () => {
    const { client, at, peer } = await serve(saying('max-age=60; includeSubDomains'))
    expect((await refusalOf(client.fetch(at('http', HOST)), 'ERR_POLICY_PLAINTEXT')).message).not.toContain('HSTS')
    await client.fetch(at('https', HOST))
    const error = await refusalOf(client.fetch(at('http', BELOW)), 'ERR_POLICY_PLAINTEXT')
    expect(error.message).toContain('HSTS')
    expect(error).toMatchObject({ requestSent: 'no', host: new URL(at('http', BELOW)).host })
    expect(peer.accepted).toBe(1)
  })

  test('of a host that took it back is refused again: ERR_POLICY_PLAINTEXT', async () => {
    const fields = ['max-age=60', 'max-age=0']
    const handler: TestHandler = (request, response) =>
      saying(fields.shift() ?? '')(request, response, undefined as never)
    const { client, at } = await serve(handler, { upgradeInsecure: 'hsts' })
    await client.fetch(at('https', HOST))
    await client.fetch(at('http', HOST))
    await refusalOf(client.fetch(at('http', HOST)), 'ERR_POLICY_PLAINTEXT')
  })

  test('of another scheme is refused in every mode: ERR_POLICY_PLAINTEXT', async () => {
    const { client, at } = await serve(saying('max-age=60'), { upgradeInsecure: 'hsts' })
    await client.fetch(at('https', HOST))
    for (const scheme of ['ftp', 'ws', 'wss']) {
      await refusalOf(client.fetch(at('https', HOST).replace('https', scheme)), 'ERR_POLICY_PLAINTEXT')
    }
  })

  test('is read as https by a later process that shares the cache', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true }))
    const { manifest } = await startTestPins({
      ca,
      name: 'pins.example.org',
      hosts: { [`**.${HOST}`]: [server.pin, ca.root.pin] },
    })
    const { memoryOnly: _, ...source } = manifest
    const options: Partial<ClientOptions> = { pins: {}, manifest: { ...source, cacheDir }, upgradeInsecure: 'hsts' }
    const { client, at } = await serve(saying('max-age=31536000'), options)
    await client.fetch(at('https', HOST))
    await client.close()
    expect(readdirSync(join(cacheDir, 'hsts'))).toEqual(['0000000001.json'])
    const later = testClient({ anchors: ca.anchorPem, ...options })
    expect((await later.fetch(at('http', HOST))).url).toBe(at('https', HOST))
    const other = testClient({ anchors: ca.anchorPem, ...options, upgradeInsecure: 'never' })
    await refusalOf(other.fetch(at('http', HOST)), 'ERR_POLICY_PLAINTEXT')
  })
})

test('what a response says besides is told once, from either road of fetch, and never with the query', async () => {
  const { client, at } = await serve((_, response) => {
    response
      .writeHead(200, {
        deprecation: '@1688169599',
        sunset: 'Wed, 11 Nov 2026 23:59:59 GMT',
        link: '</docs?key=secret>; rel="deprecation sunset"',
        via: '1.1 proxy.example.net',
      })
      .end()
  })
  const events: ClientEvent[] = []
  for (const type of ['api.deprecated', 'api.sunset', 'network.proxySign'] as const) {
    client.on(type, (event) => void events.push(event))
  }
  await client.fetch(at('https', HOST, '/v1/users?key=secret'))
  const form = new FormData()
  form.append('a', 'b')
  await client.fetch(at('https', HOST, '/v1/orders'), { method: 'POST', body: form })
  const host = new URL(at('https', HOST)).host
  const link = at('https', HOST, '/docs')
  expect(events).toEqual([
    { type: 'api.deprecated', host, path: '/v1/users', date: 1_688_169_599_000, link },
    { type: 'api.sunset', host, path: '/v1/users', date: Date.UTC(2026, 10, 11, 23, 59, 59), link },
    { type: 'network.proxySign', host, field: 'via', value: '1.1 proxy.example.net' },
  ])
})

test('an interim response says nothing', async () => {
  const { client, at } = await serve((_, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload', via: 'early' })
    response.end('ok')
  })
  const events: ClientEvent[] = []
  client.on('network.proxySign', (event) => void events.push(event))
  expect(await (await client.fetch(at('https', HOST))).text()).toBe('ok')
  expect(events).toEqual([])
})

test.each([
  ['lean', {}],
  ['full', { window: null } as RequestInit],
])('a response over HTTP/2 is read as well, on the %s road', async (_, init) => {
  const speaker = createServer()
  speaker.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'strict-transport-security': 'max-age=60', sunset: SUNSET, via: '1.1 Ünter' })
    stream.end('ok')
  })
  const peer = await until(
    startTlsServer({ identity: server, alpn: ['h2'], onSocket: (socket) => void speaker.emit('connection', socket) }),
  )
  const client = testClient({ anchors: ca.anchorPem, pins, http2: 'require', upgradeInsecure: 'hsts' })
  const told: unknown[] = []
  client.on('api.sunset', ({ date }) => told.push(date))
  const response = await client.fetch(`https://${HOST}:${peer.port}/`, init)
  expect([response.headers.get('via'), await response.text()]).toEqual(['1.1 Ünter', 'ok'])
  expect(told).toEqual([Date.parse(SUNSET)])
  expect(await (await client.fetch(`http://${HOST}:${peer.port}/`, init)).text()).toBe('ok')
})

const SUNSET = 'Wed, 11 Nov 2037 23:59:59 GMT'
