/**
 * Whatever the way, a denied address gets no packet: a listener there counts who comes, and every call of connect(2) in this
 * process is counted too, for addresses at which nobody listens.
 */
import { createHook } from 'node:async_hooks'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { ClientOptions, PinfetchError } from 'pinfetch'
import { type ProxyOptions, startProxy, startTlsServer, testCa } from 'pinfetch/testing'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const [FIRST, SECOND, PROXY] = ['api.example.com', 'other.example.com', 'proxy.corp.example']
const DENIED = '127.0.0.66'
const ca = testCa()
const server = ca.issue({ names: [FIRST, SECOND], ips: [DENIED] })
const proxyCertificate = ca.issue({ names: [PROXY] })
const pins = Object.fromEntries([FIRST, SECOND, DENIED].map((host) => [host, [server.pin]]))

/** Ways to a server. A proxy goes wherever it is asked to. */
const WAYS: Readonly<Record<string, { readonly kit?: ProxyOptions; readonly url?: string }>> = {
  directly: {},
  'by an http proxy': { kit: {}, url: 'http://127.0.0.1' },
  'by an https proxy': { kit: { identity: proxyCertificate }, url: `https://${PROXY}` },
  'by socks5': { kit: { kind: 'socks5' }, url: 'socks5://127.0.0.1' },
}
const way = (name: string) => WAYS[name] ?? expect.fail(`no way ${name}`)

let connects = 0
const hook = createHook({
  init: (_, type) => {
    if (type === 'TCPCONNECTWRAP') connects += 1
  },
}).enable()
afterAll(() => void hook.disable())

/** A server, and at the same port of the denied address somebody who counts. */
async function stage(name: string, options: Partial<ClientOptions>) {
  const peer = await until(
    startTlsServer({
      identity: server,
      handler: ({ path }, response) => {
        const location = decodeURIComponent(path.slice(1))
        response.writeHead(location === '' ? 200 : 302, { connection: 'close', ...(location ? { location } : {}) })
        response.end('ok')
      },
    }),
  )
  let connections = 0
  const inside = createServer((socket) => {
    connections += 1
    socket.on('error', () => undefined).destroy()
  })
  await once(inside.listen(peer.port, DENIED), 'listening')
  onTestFinished(() => void inside.close())
  const { kit, url } = way(name)
  const proxy = kit && (await until(startProxy({ ...kit, targetOf: ({ host, port }) => ({ host, port }) })))
  const through = proxy && {
    proxy: { url: `${url}:${proxy.port}`, ...(kit?.identity && { pins: [proxyCertificate.pin] }) },
  }
  const client = testClient({
    pins,
    anchors: ca.anchorPem,
    redirect: { follow: ['*.example.com:*', `${DENIED}:*`] },
    ...through,
    ...options,
  })
  const asked = (): readonly string[] => proxy?.requests.map(({ host }) => host) ?? []
  /** Connections are accepted in their order: when one of ours was, all that came before are counted. */
  const came = async (): Promise<number> => {
    const before = connections
    const own = connect(peer.port, DENIED)
    await once(own, 'close')
    expect(connections).toBeGreaterThan(before)
    return connections - 1
  }
  const before = connects
  return { client, port: peer.port, came, asked, connects: () => connects - before }
}

const answering = (answer: (host: string) => string): ClientOptions['resolver'] & object => {
  return async (host) => [host === PROXY ? '127.0.0.1' : answer(host)]
}
const CODE: PinfetchError['code'] = 'ERR_POLICY_ADDRESS_DENIED'
const addresses = { deny: [`${DENIED}/32`] }

describe.each(Object.keys(WAYS))('%s', (name) => {
  test.each([
    DENIED,
    `::ffff:${DENIED}`,
    '::ffff:7f00:42',
    '64:ff9b::7f00:42',
    '2002:7f00:42::1',
    '169.254.169.254',
    'fe80::1',
  ])('a name that is %s: ERR_POLICY_ADDRESS_DENIED, 0 connections', async (address) => {
    const { client, port, ...seen } = await stage(name, { addresses, resolver: answering(() => address) })
    await refusalOf(client.fetch(`https://${FIRST}:${port}/`), CODE)
    expect([seen.connects(), seen.asked(), await seen.came()]).toEqual([0, [], 0])
  })

  test.each([DENIED, `[::ffff:${DENIED}]`, '0x7f.66', '2130706498', '[64:ff9b::7f00:42]'])(
    'a URL with %s: no connection either',
    async (host) => {
      const { client, port, ...seen } = await stage(name, { addresses })
      const error = await client.fetch(`https://${host}:${port}/`).catch((reason) => reason)
      expect([CODE, 'ERR_TRUST_HOST_NOT_COVERED']).toContain(error.code)
      expect([seen.connects(), seen.asked(), await seen.came()]).toEqual([0, [], 0])
    },
  )

  test('a name that becomes it between check and connect: it is asked for once, and that answer is connected to', async () => {
    const answers = ['127.0.0.1']
    const asked: string[] = []
    const resolver = answering((host) => {
      asked.push(host)
      return answers.shift() ?? DENIED
    })
    const { client, port, came } = await stage(name, { addresses, resolver })
    expect(await (await client.fetch(`https://${FIRST}:${port}/`)).text()).toBe('ok')
    expect([asked, await came()]).toEqual([[FIRST], 0])
  })

  test('a name that becomes it between two requests: ERR_POLICY_ADDRESS_DENIED, 0 connections', async () => {
    const answers = ['127.0.0.1']
    const resolver = answering(() => answers.shift() ?? DENIED)
    const { client, port, ...seen } = await stage(name, { addresses, resolver })
    expect(await (await client.fetch(`https://${FIRST}:${port}/`)).text()).toBe('ok')
    const before = seen.connects()
    await refusalOf(client.fetch(`https://${FIRST}:${port}/`), CODE)
    expect([before > 0, seen.connects() - before, await seen.came()]).toEqual([true, 0, 0])
  })

  test.each([`https://${SECOND}`, `https://${DENIED}`])(
    'the target of a redirect, %s: ERR_POLICY_ADDRESS_DENIED, 0 connections',
    async (target) => {
      const resolver = answering((host) => (host === SECOND ? DENIED : '127.0.0.1'))
      const { client, port, came } = await stage(name, { addresses, resolver })
      const location = encodeURIComponent(`${target}:${port}/`)
      await refusalOf(client.fetch(`https://${FIRST}:${port}/${location}`), CODE)
      expect(await came()).toBe(0)
    },
  )

  test('the control: without the rule it is connected to', async () => {
    const { client, port, ...seen } = await stage(name, { resolver: answering(() => DENIED) })
    await expect(client.fetch(`https://${FIRST}:${port}/`)).rejects.toThrow()
    expect(seen.connects()).toBeGreaterThan(0)
    expect(await seen.came()).toBeGreaterThan(0)
  })
})

test.each([
  ['resolver', { resolver: async () => [DENIED] }],
  ['addresses', { addresses }],
])('a proxy of socks5h would look names up by itself, so it excludes `%s`: ERR_CONFIG_INVALID', (_, options) => {
  const make = () =>
    testClient({ pins, proxy: 'socks5h://127.0.0.1:1', resolver: undefined, ...options } as ClientOptions)
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})
