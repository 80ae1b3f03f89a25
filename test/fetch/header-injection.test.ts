import { createServer } from 'node:http2'
import { inspect } from 'node:util'
import { PolicyError } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'
import * as npmUndici from 'undici'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const CANARY = 'canary-5f1c'
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
  ['HTTP/2', {}],
]

async function stage(road: string) {
  const requests: { readonly path: string; readonly headers: object; readonly body: string }[] = []
  const speaker = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(Buffer.from(chunk)))
    request.on('end', () => {
      requests.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() })
      response.end()
    })
  })
  const peer = await until(
    startTlsServer({
      identity,
      ...(road === 'HTTP/2'
        ? { alpn: ['h2'], onSocket: (socket) => void speaker.emit('connection', socket) }
        : {
            handler: ({ path, headers, body }, response) => {
              requests.push({ path, headers, body: Buffer.from(body).toString() })
              response.end()
            },
          }),
    }),
  )
  let lookups = 0
  const client = testClient({
    pins: { localhost: [identity.pin] },
    anchors: ca.anchorPem,
    http2: road === 'HTTP/2' ? 'require' : 'never',
    resolver: async () => {
      lookups += 1
      return ['127.0.0.1']
    },
  })
  return { peer, client, requests, lookups: () => lookups }
}

/** What a class of the runtime refuses to hold. */
const asRecord = (name: string, value: string) => ({ [name]: value })
const SHAPES: readonly (readonly [string, (name: string, value: string) => unknown])[] = [
  ['an object', asRecord],
  ['pairs', (name, value) => [[name, value]]],
  ['a Map', (name, value) => new Map([[name, value]])],
  ['an iterator that can be read once', (name, value) => [[name, value]].values()],
  ['pairs that are no arrays', (name, value) => [new Set([name, value])]],
  ['an object that inherits init', asRecord],
]

describe.each(ROADS)('on the %s road', (road, more) => {
  describe.each(SHAPES)('header fields in %s', (shape, make) => {
    const initOf = (name: string, value: string): RequestInit => {
      const init = { ...more, headers: make(name, value) } as RequestInit
      return shape === 'an object that inherits init' ? Object.create(init) : init
    }

    test.each([
      ['CR LF and another field', `${CANARY}\r\nx-admin: 1`],
      ['CR LF and another request', `${CANARY}\r\n\r\nGET /admin HTTP/1.1\r\nhost: localhost`],
      ['a lone LF', `${CANARY}\nx-admin: 1`],
      ['a lone CR', `${CANARY}\rx-admin: 1`],
      ['obsolete folding', `${CANARY}\r\n more`],
      ['NUL', `${CANARY}\0`],
      ['a control character', `${CANARY}\x0b`],
      ['DEL', `${CANARY}\x7f`],
      ['U+010A, whose lower octet is LF', `${CANARY}\u010ax-admin: 1`],
      ['U+2028', `${CANARY}\u2028`],
      ['a lone surrogate', `${CANARY}\ud800`],
    ])('a value with %s goes nowhere: ERR_POLICY_HEADER_INVALID', async (_, value) => {
      const { client, peer, lookups } = await stage(road)
      const error = await refusalOf(client.fetch(peer.origin, initOf('X-A', value)), 'ERR_POLICY_HEADER_INVALID')
      expect(error).toBeInstanceOf(PolicyError)
      expect(error.message).toContain('header field x-a')
      expect(error.requestSent).toBe('no')
      expect(inspect(error, { depth: 9 })).not.toContain(CANARY)
      expect([lookups(), peer.connections.length]).toEqual([0, 0])
    })

    test.each([
      ['CR LF', `x: 1\r\n${CANARY}`],
      ['a space', `x-a ${CANARY}`],
      ['a colon', `x-a:${CANARY}`],
      ['nothing', ''],
      ['U+010A', `x\u010a${CANARY}`],
    ])('a name with %s goes nowhere: ERR_POLICY_HEADER_INVALID', async (_, name) => {
      const { client, peer } = await stage(road)
      const error = await refusalOf(client.fetch(peer.origin, initOf(name, '1')), 'ERR_POLICY_HEADER_INVALID')
      expect(error.message).toContain('the name of header field 1')
      expect(inspect(error, { depth: 9 })).not.toContain(CANARY)
      expect(peer.connections.length).toBe(0)
    })

    test.each([
      ['spaces and tabs', 'a \t b', 'a \t b'],
      ['a line break at its end, which fetch cuts off', 'a\r\n', 'a'],
      ['octets beyond ASCII', 'gr\u00fcn', 'gr\u00fcn'],
      ['the words of a line break', '%0d%0ax-admin: 1', '%0d%0ax-admin: 1'],
    ])('a value with %s is sent', async (_, value, sent) => {
      const { client, peer, requests } = await stage(road)
      expect((await client.fetch(peer.origin, initOf('X-A', value))).status).toBe(200)
      expect(requests.map(({ headers }) => headers)).toMatchObject([{ 'x-a': sent }])
    })
  })

  test('a method with a line break goes nowhere: ERR_POLICY_HEADER_INVALID', async () => {
    const { client, peer } = await stage(road)
    const method = `GET / HTTP/1.1\r\nx: ${CANARY}\r\n\r\nGET`
    const error = await refusalOf(client.fetch(peer.origin, { ...more, method }), 'ERR_POLICY_HEADER_INVALID')
    expect(inspect(error, { depth: 9 })).not.toContain(CANARY)
    expect(peer.connections.length).toBe(0)
    expect((await client.fetch(peer.origin, { ...more, method: 'PROPFIND' })).status).toBe(200)
  })

  test('Headers and a Request hold a control character, and are refused with it: ERR_POLICY_HEADER_INVALID', async () => {
    const { client, peer } = await stage(road)
    const headers = new Headers({ 'x-a': `${CANARY}\x01` })
    const calls = [
      () => client.fetch(peer.origin, { ...more, headers }),
      () => client.fetch(new Request(peer.origin, { headers }), more),
      () => client.fetch(new npmUndici.Request(peer.origin, { headers: [...headers] }) as unknown as Request, more),
    ]
    for (const call of calls) {
      const error = await refusalOf(call(), 'ERR_POLICY_HEADER_INVALID')
      expect(inspect(error, { depth: 9 })).not.toContain(CANARY)
    }
    expect(peer.connections.length).toBe(0)
    headers.set('x-a', 'a')
    expect((await client.fetch(new Request(peer.origin, { headers }), more)).status).toBe(200)
  })

  test('what stands in a URL, a form or a type ends no line', async () => {
    const { client, peer, requests } = await stage(road)
    const form = new FormData()
    form.append('a"\r\nx-admin: 1', new File(['x'], 'b"\r\nx-admin: 1.txt', { type: 'text/plain\r\nx-admin: 1' }))
    await client.fetch(`${peer.origin}/a\r\nx-admin: 1?b=\r\nx-admin: 1`, { ...more, method: 'POST', body: form })
    const [request] = requests
    expect(request?.headers).not.toHaveProperty('x-admin')
    expect(request?.path).toBe('/ax-admin:%201?b=x-admin:%201')
    expect(request?.body).toContain('name="a%22')
    expect(request?.body).not.toMatch(/^x-admin/m)
  })
})
