import { createServer } from 'node:net'
import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import { startTlsServer, type TestRequest, type TestTlsServer, testCa } from 'pinfetch/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { listen } from '../../src/testing/loopback.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const FIRST = 'api.example.com'
const ca = testCa()
const names = [FIRST, 'sub.api.example.com', 'www.example.com', 'other.test', 'second.test']
const identity = ca.issue({ names, ips: ['127.0.0.1'] })
const pins = Object.fromEntries([...names, '127.0.0.1'].map((name) => [name, [identity.pin]]))
const follow = ['**.example.com:*', 'other.test:*', 'second.test:*', '127.0.0.1:*']
const options: ClientOptions = { pins, anchors: ca.anchorPem, redirect: { follow } }

const CREDENTIALS = [
  ...['authorization', 'cookie', 'proxy-authorization', 'dpop', 'x-api-key', 'signature', 'signature-input'],
  ...['x-amz-security-token', 'x-jws-signature', 'idempotency-key', 'X-Sig', 'Private-Token', 'x-csrf'],
]
const SECRET = 'very-secret-value'
const HEADERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(CREDENTIALS.map((name) => [name, SECRET])),
  'x-request-id': '7',
}
const CODES = [301, 302, 303, 307, 308]
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

let first: TestTlsServer
let second: TestTlsServer
/** Where each server sends whom, by path; what has no place is answered. */
const moves = new Map<string, { readonly status: number; readonly location: string }>()
beforeAll(async () => {
  const serve = (): Promise<TestTlsServer> =>
    startTlsServer({
      identity,
      handler: ({ path }, response) => {
        const { status = 200, location } = moves.get(path) ?? {}
        if (location !== undefined) response.setHeader('location', location)
        response.writeHead(status).end('ok')
      },
    })
  ;[first, second] = await Promise.all([serve(), serve()])
})
afterAll(() => Promise.all([first.close(), second.close()]))
beforeEach(() => moves.clear())

/** A call to the first server, which redirects it; and what came to either in consequence. */
async function redirected(
  { status, location }: { readonly status: number; readonly location: string },
  { init = {}, client = testClient(options) }: { readonly init?: RequestInit; readonly client?: Client } = {},
) {
  const from = [first.requests.length, second.requests.length]
  moves.set('/', { status, location })
  const call = client.fetch(`https://${FIRST}:${first.port}/`, init)
  await call.catch(() => undefined)
  return { call, atFirst: first.requests.slice(from[0]), atSecond: second.requests.slice(from[1]) }
}

function secretsIn(requests: readonly TestRequest[]): readonly string[] {
  return requests.flatMap(({ rawHeaders, path, body }) =>
    [...rawHeaders, path, Buffer.from(body).toString()].filter((text) => text.includes(SECRET)),
  )
}

const CHANGES: readonly (readonly [string, () => string])[] = [
  ['another host', () => `https://other.test:${second.port}/there`],
  ['another port', () => `https://${FIRST}:${second.port}/there`],
  ['a subdomain', () => `https://sub.api.example.com:${second.port}/there`],
  ['a sibling', () => `https://www.example.com:${second.port}/there`],
  ['an address', () => `https://127.0.0.1:${second.port}/there`],
]

describe.each(CHANGES)('a redirect to %s', (_, target) => {
  describe.each(CODES)('with %i', (status) => {
    test.each(ROADS)('takes no credential along, on the %s road', async (_, road) => {
      const init = { headers: { ...HEADERS, 'content-language': 'en' }, ...road }
      const { call, atFirst, atSecond } = await redirected({ status, location: target() }, { init })
      expect(await call).toMatchObject({ status: 200, url: target(), redirected: true })
      expect(secretsIn(atFirst)).toHaveLength(CREDENTIALS.length)
      expect(atSecond).toMatchObject([{ method: 'GET', path: '/there', headers: { 'x-request-id': '7' } }])
      expect(secretsIn(atSecond)).toEqual([])
      for (const name of CREDENTIALS) expect(atSecond[0]?.headers).not.toHaveProperty(name.toLowerCase())
    })

    test.each(ROADS)('takes no credential of a Request along, on the %s road', async (_, road) => {
      moves.set('/', { status, location: target() })
      const from = second.requests.length
      const request = new Request(`https://${FIRST}:${first.port}/`, { headers: HEADERS, method: 'HEAD' })
      const response = await testClient(options).fetch(request, road)
      expect([response.status, response.redirected]).toEqual([200, true])
      expect(second.requests.slice(from)).toMatchObject([{ method: 'HEAD', headers: { 'x-request-id': '7' } }])
      expect(secretsIn(second.requests.slice(from))).toEqual([])
    })

    test.each(ROADS)('takes no body along, on the %s road: ERR_POLICY_REDIRECT_BODY', async (_, road) => {
      const before = second.accepted
      const init = { method: 'POST', body: SECRET, headers: { 'content-digest': 'x', 'content-type': 'a/b' }, ...road }
      const { call, atSecond } = await redirected({ status, location: target() }, { init })
      if (status === 307 || status === 308) {
        const error = await refusalOf(call, 'ERR_POLICY_REDIRECT_BODY')
        expect([error.requestSent, second.accepted - before]).toEqual(['yes', 0])
        return
      }
      expect((await call).status).toBe(200)
      expect(atSecond).toMatchObject([{ method: 'GET', body: new Uint8Array(0) }])
      expect(Object.keys(atSecond[0]?.headers ?? {}).filter((name) => name.startsWith('content-'))).toEqual([])
    })
  })
})

describe('a redirect with a body that a form or a stream made', () => {
  test.each<[string, () => RequestInit]>([
    ['FormData', () => ({ body: new FormData() })],
    ['a Blob', () => ({ body: new Blob([SECRET]) })],
    ['a stream', () => ({ body: new Blob([SECRET]).stream(), duplex: 'half' }) as RequestInit],
  ])('%s does not reach another origin: ERR_POLICY_REDIRECT_BODY', async (_, more) => {
    const location = `https://other.test:${second.port}/`
    const { call, atSecond } = await redirected({ status: 307, location }, { init: { method: 'PUT', ...more() } })
    await refusalOf(call, 'ERR_POLICY_REDIRECT_BODY')
    expect(atSecond).toEqual([])
  })
})

describe.each(CODES)('a redirect with %i is not followed', (status) => {
  test.each(ROADS)('to http, on the %s road: ERR_POLICY_PLAINTEXT, nobody connects', async (_, road) => {
    let connections = 0
    const plain = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    const port = await listen(plain)
    onTestFinished(() => void plain.close())
    const location = `http://${FIRST}:${port}/`
    const { call } = await redirected({ status, location }, { init: { headers: HEADERS, ...road } })
    const error = await refusalOf(call, 'ERR_POLICY_PLAINTEXT')
    expect([error.requestSent, connections]).toEqual(['yes', 0])
    expect(error.message).toContain(`answered ${status} with a redirect to http://${FIRST}:${port};`)
    expect(error.message).not.toContain(SECRET)
  })

  test.each(ROADS)('to a URL with user name and password, on the %s road: ERR_POLICY_REDIRECT', async (_, road) => {
    const targets = [`https://u:p@${FIRST}:${first.port}/there`, `https://u@other.test:${second.port}/there`]
    for (const location of targets) {
      const { call, atFirst, atSecond } = await redirected({ status, location }, { init: road })
      const error = await refusalOf(call, 'ERR_POLICY_REDIRECT')
      expect([atFirst.length, atSecond.length, error.message.includes('u:p')]).toEqual([1, 0, false])
    }
  })
})

describe('where a redirect may lead', () => {
  const same = (): ClientOptions => ({ ...options, redirect: 'same-origin' })

  test.each(CHANGES)('`same-origin` does not follow to %s: ERR_POLICY_REDIRECT', async (_, target) => {
    const before = second.accepted
    const client = testClient(same())
    const { call } = await redirected({ status: 302, location: target() }, { client })
    const error = await refusalOf(call, 'ERR_POLICY_REDIRECT')
    expect(error.message).toContain(new URL(target()).origin)
    expect([error.requestSent, second.accepted - before]).toEqual(['yes', 0])
  })

  test('a pattern without port is for 443 alone: ERR_POLICY_REDIRECT', async () => {
    const client = testClient({ ...options, redirect: { follow: ['other.test'] } })
    const location = `https://other.test:${second.port}/`
    await refusalOf((await redirected({ status: 302, location }, { client })).call, 'ERR_POLICY_REDIRECT')
  })

  test('not back to the first origin, where the list does not name it: ERR_POLICY_REDIRECT', async () => {
    const client = testClient({ ...options, redirect: { follow: ['other.test:*'] } })
    moves.set('/there', { status: 302, location: `https://${FIRST}:${first.port}/back` })
    const { call, atFirst } = await redirected(
      { status: 302, location: `https://other.test:${second.port}/there` },
      { client },
    )
    await refusalOf(call, 'ERR_POLICY_REDIRECT')
    expect(atFirst).toHaveLength(1)
  })

  test('not to a host without pins, listed or not: ERR_TRUST_HOST_NOT_COVERED, nobody connects', async () => {
    const before = second.accepted
    const client = testClient({ ...options, pins: { [FIRST]: [identity.pin] } })
    const location = `https://other.test:${second.port}/`
    const { call } = await redirected({ status: 302, location }, { client, init: { headers: HEADERS } })
    const error = await refusalOf(call, 'ERR_TRUST_HOST_NOT_COVERED')
    expect([error.requestSent, second.accepted - before]).toEqual(['yes', 0])
    expect(error.message).toContain(`the call began at https://${FIRST}:${first.port}`)
  })

  test('not to a host with other pins: ERR_TRUST_PIN_MISMATCH, no byte of the request', async () => {
    const stranger = ca.issue({ names: ['other.test'] })
    const client = testClient({ ...options, pins: { ...pins, 'other.test': [stranger.pin] } })
    const before = second.applicationBytes
    const location = `https://other.test:${second.port}/`
    const { call } = await redirected({ status: 302, location }, { client })
    const error = await refusalOf(call, 'ERR_TRUST_PIN_MISMATCH')
    expect(error).toMatchObject({ name: 'TrustError', requestSent: 'yes', chain: [{ position: 'endEntity' }, {}, {}] })
    expect(second.applicationBytes - before).toBe(0)
  })

  test.each([
    ['origins', { origins: [`${FIRST}:*`] }, 'ERR_POLICY_ORIGIN_DENIED'],
    ['methods', [{ origins: [`${FIRST}:*`] }, { methods: ['PUT'] }], 'ERR_POLICY_REQUEST_DENIED'],
  ] as const)('not past the rule of `egress` for %s: %s', async (_, egress, code) => {
    const client = testClient({ ...options, egress })
    const location = `https://other.test:${second.port}/`
    const { call, atSecond } = await redirected({ status: 303, location }, { client, init: { method: 'PUT' } })
    await refusalOf(call, code)
    expect(atSecond).toEqual([])
  })

  test('not to an address that is denied: ERR_POLICY_ADDRESS_DENIED, no packet', async () => {
    let connections = 0
    const inside = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => inside.listen(second.port, '127.0.0.66', resolve))
    onTestFinished(() => void inside.close())
    const client = testClient({
      ...options,
      pins: { ...pins, '127.0.0.66': [identity.pin] },
      redirect: { follow: [...follow, '127.0.0.66:*'] },
      addresses: { deny: ['127.0.0.66/32'] },
      resolver: async (host) => [host === 'other.test' ? '127.0.0.66' : '127.0.0.1'],
    })
    for (const host of ['other.test', '127.0.0.66']) {
      const location = `https://${host}:${second.port}/`
      await refusalOf((await redirected({ status: 302, location }, { client })).call, 'ERR_POLICY_ADDRESS_DENIED')
    }
    expect(connections).toBe(0)
    const { call } = await redirected({ status: 302, location: `https://second.test:${second.port}/there` }, { client })
    expect((await call).status).toBe(200)
  })

  test('not from http by way of HSTS: ERR_POLICY_PLAINTEXT, and the control is read as https', async () => {
    const hsts = await until(
      startTlsServer({
        identity,
        handler: ({ path }, response) => {
          response.setHeader('strict-transport-security', 'max-age=600')
          const [, wanted] = path.split('?')
          if (wanted === undefined) response.end('ok')
          else response.writeHead(302, { location: decodeURIComponent(wanted) }).end()
        },
      }),
    )
    const client = testClient({ ...options, upgradeInsecure: 'hsts' })
    const at = `${FIRST}:${hsts.port}/`
    await (await client.fetch(`https://${at}`)).text()
    expect(await (await client.fetch(`http://${at}?%2Fend`)).text()).toBe('ok')
    await refusalOf(client.fetch(`https://${at}?${encodeURIComponent(`http://${at}`)}`), 'ERR_POLICY_PLAINTEXT')
    expect(hsts.requests).toHaveLength(4)
  })
})

describe('what was left behind', () => {
  test.each(ROADS)('stays so when a later hop comes back, on the %s road', async (_, road) => {
    moves.set('/there', { status: 307, location: `https://${FIRST}:${first.port}/back` })
    const { call, atFirst } = await redirected(
      { status: 307, location: `https://other.test:${second.port}/there` },
      { init: { headers: HEADERS, ...road } },
    )
    expect((await call).url).toBe(`https://${FIRST}:${first.port}/back`)
    expect(atFirst.map(({ path }) => path)).toEqual(['/', '/back'])
    expect([secretsIn(atFirst.slice(0, 1)).length, secretsIn(atFirst.slice(1))]).toEqual([CREDENTIALS.length, []])
    expect(atFirst[1]?.headers['x-request-id']).toBe('7')
  })

  test.each(ROADS)('is nothing where the origin stays, on the %s road', async (_, road) => {
    const { call, atFirst } = await redirected(
      { status: 308, location: '/there' },
      { init: { method: 'POST', body: SECRET, headers: HEADERS, ...road } },
    )
    expect((await call).redirected).toBe(true)
    expect(atFirst).toMatchObject([
      { path: '/', method: 'POST' },
      { path: '/there', method: 'POST' },
    ])
    expect(secretsIn(atFirst)).toHaveLength(2 * (CREDENTIALS.length + 1))
  })

  test('is told by name, and never by value', async () => {
    const client = testClient(options)
    const events: ClientEvent[] = []
    for (const type of ['redirect.followed', 'redirect.stripped'] as const)
      client.on(type, (event) => events.push(event))
    const [from, to] = [`https://${FIRST}:${first.port}`, `https://other.test:${second.port}`]
    moves.set('/there', { status: 302, location: `/end?${SECRET}` })
    await redirected({ status: 307, location: `${to}/there` }, { client, init: { headers: HEADERS } })
    expect(events).toEqual([
      { type: 'redirect.stripped', from, to, headers: CREDENTIALS.map((name) => name.toLowerCase()).sort() },
      { type: 'redirect.followed', from, to, status: 307, hop: 1 },
      { type: 'redirect.followed', from: to, to, status: 302, hop: 2 },
    ])
    expect(JSON.stringify(events)).not.toContain(SECRET)
  })

  test('a Host header of the caller’s names the first origin, and is not taken to another', async () => {
    const init = { headers: { host: `${FIRST}:${first.port}` } }
    const { call, atSecond } = await redirected(
      { status: 302, location: `https://other.test:${second.port}/there` },
      { init },
    )
    expect((await call).status).toBe(200)
    expect(atSecond[0]?.headers.host).toBe(`other.test:${second.port}`)
  })
})
