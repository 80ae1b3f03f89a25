import { createServer } from 'node:http2'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

test.each(ROADS)('redirects over HTTP/2 are followed on its one connection, on the %s road', async (_, init) => {
  const seen: unknown[] = []
  const speaker = createServer()
  speaker.on('stream', (stream, { ':method': method, ':path': path, 'content-type': type, cookie }) => {
    let body = ''
    stream.on('data', (chunk) => {
      body += chunk
    })
    stream.on('end', () => {
      seen.push([method, path, type, body, cookie])
      const location = { '/303': '/307', '/307': '/last', '/out': 'https://elsewhere.example/' }[String(path)]
      stream.respond(
        location === undefined ? { ':status': 200 } : { ':status': Number(path === '/303' ? 303 : 307), location },
      )
      stream.end(location === undefined ? 'ok' : 'moved')
    })
  })
  const peer = await until(
    startTlsServer({ identity, alpn: ['h2'], onSocket: (socket) => void speaker.emit('connection', socket) }),
  )
  const client = testClient({
    pins: { localhost: [identity.pin] },
    anchors: ca.anchorPem,
    http2: 'require',
    redirect: 'same-origin',
  })
  const url = `https://localhost:${peer.port}`
  const headers = { 'content-type': 'text/css', cookie: 'a=1' }
  const kept = await client.fetch(`${url}/307`, { ...init, method: 'PUT', body: 'text', headers })
  expect([kept.status, kept.redirected, kept.url, await kept.text()]).toEqual([200, true, `${url}/last`, 'ok'])
  const turned = await client.fetch(`${url}/303`, { ...init, method: 'POST', body: 'text', headers })
  expect(await turned.text()).toBe('ok')
  expect(seen).toEqual([
    ['PUT', '/307', 'text/css', 'text', 'a=1'],
    ['PUT', '/last', 'text/css', 'text', 'a=1'],
    ['POST', '/303', 'text/css', 'text', 'a=1'],
    ['GET', '/307', undefined, '', 'a=1'],
    ['GET', '/last', undefined, '', 'a=1'],
  ])
  await refusalOf(client.fetch(`${url}/out`, init), 'ERR_POLICY_REDIRECT')
  expect(peer.connections.map(({ alpn }) => alpn)).toEqual(['h2'])
})
