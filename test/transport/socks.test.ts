import { connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { ProxyRefusal, type TunnelRequest } from '../../src/transport/proxy-dialogue.ts'
import { openSocksTunnel } from '../../src/transport/socks.ts'

/** A listener with one answer for each message, and a socket that is connected to it. Without an answer it closes. */
async function dialogue(answers: readonly (readonly number[])[]): Promise<{ socket: Socket; received: Buffer[] }> {
  const received: Buffer[] = []
  const server = createServer((peer) => {
    peer.on('error', () => undefined)
    peer.on('data', (chunk) => {
      const answer = answers[received.push(chunk) - 1]
      if (answer === undefined) peer.end()
      else peer.write(Buffer.from(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const socket = connect({ host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 })
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return { socket, received }
}

type Asked = Partial<Omit<TunnelRequest, 'socket'>>

async function ask(answers: readonly (readonly number[])[], asked: Asked = {}) {
  const { socket, received } = await dialogue(answers)
  const outcome = await openSocksTunnel({ socket, host: 'api.example.com', port: 443, ...asked }).then(
    () => 'tunnel',
    (error: unknown) => (error instanceof ProxyRefusal ? `${error.code}: ${error.message}` : String(error)),
  )
  return { outcome, received: received.map((bytes) => [...bytes]) }
}

const NONE = [5, 0]
const BY_PASSWORD = [5, 2]
const DONE = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
const credentials = { username: 'user', password: 'hunter2' }
const text = (value: string): number[] => [...Buffer.from(value)]
const PROTOCOL = 'ERR_TRANSPORT_PROXY_PROTOCOL'

test('a name is sent as it is, an address as its octets, the port in network order', async () => {
  const named = await ask([NONE, DONE], { port: 8443 })
  expect(named).toEqual({
    outcome: 'tunnel',
    received: [
      [5, 1, 0],
      [5, 1, 0, 3, 15, ...text('api.example.com'), 0x20, 0xfb],
    ],
  })
  const v4 = await ask([NONE, DONE], { host: '192.0.2.1' })
  expect(v4.received[1]).toEqual([5, 1, 0, 1, 192, 0, 2, 1, 1, 0xbb])
  const v6 = await ask([NONE, DONE], { host: '2001:db8::1' })
  expect(v6.received[1]).toEqual([5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xbb])
})

test.each([
  ['a name', [5, 0, 0, 3, 4, ...text('host'), 0, 0]],
  ['an IPv6 address', [5, 0, 0, 4, ...Array<number>(16).fill(0), 0, 0]],
])('a reply may name its end by %s', async (_, reply) => {
  expect((await ask([NONE, reply])).outcome).toBe('tunnel')
})

test('user name and password are shown where the proxy wants them, and nowhere else', async () => {
  const asked = await ask([BY_PASSWORD, [1, 0], DONE], { credentials })
  expect(asked.outcome).toBe('tunnel')
  expect(asked.received.slice(0, 2)).toEqual([
    [5, 2, 0, 2],
    [1, 4, ...text('user'), 7, ...text('hunter2')],
  ])
  const notAsked = await ask([NONE, DONE], { credentials })
  expect(notAsked.outcome).toBe('tunnel')
  expect(notAsked.received).toHaveLength(2)
})

test.each([
  ['wants some and there are none', [[5, 0xff]], {}, 'wants credentials, and there are none'],
  ['takes no method', [[5, 0xff]], { credentials }, 'does not take the credentials given'],
  ['does not take them', [BY_PASSWORD, [1, 1]], { credentials }, 'does not take the credentials given'],
])('a proxy that %s: ERR_TRANSPORT_PROXY_AUTH', async (_, answers, asked, reason) => {
  expect((await ask(answers, asked)).outcome).toBe(`ERR_TRANSPORT_PROXY_AUTH: ${reason}`)
})

test.each([
  [1, 'FAILED', 'general failure'],
  [2, 'DENIED', 'its rules do not allow the connection'],
  [3, 'FAILED', 'network unreachable'],
  [4, 'FAILED', 'host unreachable'],
  [5, 'FAILED', 'connection refused'],
  [6, 'FAILED', 'TTL expired'],
  [7, 'FAILED', 'it does not know CONNECT'],
  [8, 'FAILED', 'it does not know this type of address'],
  [99, 'FAILED', 'a reply that RFC 1928 does not know'],
])('reply %i is ERR_TRANSPORT_PROXY_%s, in words', async (reply, code, reason) => {
  const said = `ERR_TRANSPORT_PROXY_${code}: made no tunnel: ${reason} (SOCKS reply ${reply})`
  expect((await ask([NONE, [5, reply, 0, 1, 0, 0, 0, 0, 0, 0]])).outcome).toBe(said)
  expect((await ask([NONE, [5, reply]])).outcome).toBe(said) // some say no more than that
})

test.each([
  ['HTTP', [text('HTTP/1.1 400 Bad Request\r\n\r\n')]],
  ['SOCKS 4', [[0, 90, 0, 0, 0, 0, 0, 0]]],
  ['a method that was not offered', [[5, 2]]],
  ['GSSAPI', [[5, 1]]],
  ['credentials in another version', [BY_PASSWORD, [5, 0]]],
  ['a reply in another version', [NONE, [4, 0, 0, 1, 0, 0, 0, 0, 0, 0]]],
  ['a reserved octet that is used', [NONE, [5, 0, 1, 1, 0, 0, 0, 0, 0, 0]]],
  ['an address of no known type', [NONE, [5, 0, 0, 2, 0, 0, 0, 0, 0, 0]]],
])(`garbage is ${PROTOCOL}: %s`, async (what, answers) => {
  const asked = what === 'credentials in another version' ? { credentials } : {}
  expect((await ask(answers, asked)).outcome).toContain(`${PROTOCOL}: does not answer as a SOCKS proxy of version 5: `)
})

test.each([
  ['to the methods', [[5, 0, 5]], {}],
  ['to the credentials', [BY_PASSWORD, [1, 0, 5]], { credentials }],
  ['to the request', [NONE, [...DONE, 22, 3, 3]], {}],
])('bytes behind the answer %s are ERR_TRANSPORT_PROXY_EARLY_BYTES', async (_, answers, asked) => {
  expect((await ask(answers, asked)).outcome).toContain('ERR_TRANSPORT_PROXY_EARLY_BYTES: ')
})

test.each([0, 1, 2])('a proxy that closes in place of answer %i: ERR_TRANSPORT_PROXY_CONNECT', async (at) => {
  const answers = [BY_PASSWORD, [1, 0], DONE].slice(0, at)
  const { outcome } = await ask(answers, { credentials })
  expect(outcome).toBe('ERR_TRANSPORT_PROXY_CONNECT: closed the connection')
})

test('no octets whatsoever, in whatever pieces, are more than a tunnel or a refusal', async () => {
  let seed = 1
  const next = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const outcomes = new Set<string>()
  for (let run = 0; run < 2_000; run += 1) {
    const octets = [0, 1, 2, 3, 4, 5, 5, 255]
    const answers = [
      run % 3 === 0 ? BY_PASSWORD : NONE,
      run % 3 === 0 ? [1, next(2)] : [5, next(2), 0, [1, 3, 4][next(3)]],
    ]
    const noise = (): number[] => Array.from({ length: 1 + next(12) }, () => octets[next(octets.length)] ?? 0)
    const socket = new Duplex({
      read: () => undefined,
      write: (_, __, done) => {
        for (const piece of [answers.shift() ?? [], noise().slice(next(12))])
          socket.push(Buffer.from(piece as number[]))
        done()
        if (answers.length === 0) setImmediate(() => socket.destroy())
      },
    })
    const request = { socket: socket as Socket, host: 'api.example.com', port: 443, credentials }
    const outcome = await openSocksTunnel(request).then(
      () => 'tunnel',
      (error: unknown) => (error instanceof ProxyRefusal ? error.code : String(error)),
    )
    outcomes.add(outcome)
    socket.destroy()
  }
  for (const outcome of outcomes) expect(outcome).toMatch(/^(?:tunnel|ERR_TRANSPORT_PROXY_\w+)$/)
  expect(outcomes.size).toBeGreaterThan(4)
})
