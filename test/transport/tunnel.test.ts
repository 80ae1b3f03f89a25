import { connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { ProxyRefusal, type TunnelRequest } from '../../src/transport/proxy-dialogue.ts'
import { openHttpTunnel, readConnectResponse } from '../../src/transport/tunnel.ts'

/** A listener that answers what it is sent, piece by piece, and closes; and a socket that is connected to it. */
async function dialogue(...answers: readonly (string | Buffer)[]): Promise<{ socket: Socket; received: () => Buffer }> {
  let received = Buffer.alloc(0)
  const server = createServer((peer) => {
    peer.on('error', () => undefined)
    peer.once('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const [first = '', ...rest] = answers
      peer.write(first)
      for (const [at, answer] of rest.entries()) setTimeout(() => peer.write(answer), 20 * (at + 1))
      setTimeout(() => peer.end(), 20 * (rest.length + 1)) // whoever waits for more is told that there is none
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return { socket, received: () => received }
}

type Asked = Partial<Omit<TunnelRequest, 'socket'>>

async function outcome(answers: readonly (string | Buffer)[], asked: Asked = {}): Promise<string> {
  const { socket } = await dialogue(...answers)
  const call = openHttpTunnel({ socket, host: 'api.example.com', port: 443, ...asked }).then(
    () => 'tunnel',
    (error: unknown) => (error instanceof ProxyRefusal ? `${error.code}: ${error.message}` : String(error)),
  )
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => setImmediate(() => resolve('nothing, though the proxy closed')))
  })
  return Promise.race([call, closed])
}

const OK = 'HTTP/1.1 200 OK\r\n\r\n'
const PROTOCOL = 'ERR_TRANSPORT_PROXY_PROTOCOL'

test('the proxy is told host and port, and nothing else', async () => {
  const { socket, received } = await dialogue(OK)
  await openHttpTunnel({ socket, host: 'api.example.com', port: 8443 })
  expect(received().toString()).toBe('CONNECT api.example.com:8443 HTTP/1.1\r\nHost: api.example.com:8443\r\n\r\n')
})

test('an IPv6 address stands in brackets, and credentials are sent as Basic in UTF-8', async () => {
  const { socket, received } = await dialogue(OK)
  await openHttpTunnel({ socket, host: '2001:db8::1', port: 443, credentials: { username: 'ü', password: 'a:b' } })
  const authority = '[2001:db8::1]:443'
  expect(received().toString().split('\r\n')).toEqual([
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    `Proxy-Authorization: Basic ${Buffer.from('ü:a:b').toString('base64')}`,
    '',
    '',
  ])
})

test.each([
  ['a plain 200', [OK]],
  ['HTTP/1.0, and another 2xx', ['HTTP/1.0 204 Fine\r\n\r\n']],
  ['no reason phrase', ['HTTP/1.1 200\r\n\r\n']],
  ['fields that mean nothing here', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n']],
  ['interim responses before it', [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`]],
  ['interim responses that come alone', ['HTTP/1.1 102 Processing\r\n\r\n', OK]],
  ['one octet after the other', [...OK]],
])('a tunnel is open after %s', async (_, answers) => {
  expect(await outcome(answers)).toBe('tunnel')
})

test.each([
  [403, 'DENIED'],
  [404, 'DENIED'],
  [301, 'DENIED'],
  [408, 'FAILED'],
  [429, 'FAILED'],
  [502, 'FAILED'],
  [504, 'FAILED'],
])('%i is ERR_TRANSPORT_PROXY_%s, and nothing of what the proxy wrote is repeated', async (status, code) => {
  const page = 'HTTP/1.1 STATUS SECRET\r\nx: SECRET\r\ncontent-length: 6\r\n\r\nSECRET'.replace(
    'STATUS',
    String(status),
  )
  expect(await outcome([page])).toBe(`ERR_TRANSPORT_PROXY_${code}: answered CONNECT with ${status}`)
})

test.each([407, 401])('%i is ERR_TRANSPORT_PROXY_AUTH, and says whether there were credentials', async (status) => {
  const wants = `HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic\r\n\r\n`
  const said = `ERR_TRANSPORT_PROXY_AUTH: answered CONNECT with ${status}: it wants credentials, and`
  expect(await outcome([wants])).toBe(`${said} there are none`)
  const credentials = { username: 'user', password: 'hunter2' }
  expect(await outcome([wants], { credentials })).toBe(`${said} it does not take those given`)
})

test.each([
  ['in the same segment', [`${OK}\x16\x03\x03`]],
  ['after interim responses', [`HTTP/1.1 100 Continue\r\n\r\n${OK}x`]],
  ['a body that a 2xx cannot have', ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok']],
])('bytes behind the response are ERR_TRANSPORT_PROXY_EARLY_BYTES: %s', async (_, answers) => {
  expect(await outcome(answers)).toContain('ERR_TRANSPORT_PROXY_EARLY_BYTES: ')
})

test.each([
  ['another protocol', ['SSH-2.0-OpenSSH_9.9\r\n']],
  ['a TLS alert', [Buffer.from([21, 3, 3, 0, 2, 2, 40])]],
  ['HTTP/2', ['HTTP/2 200 OK\r\n\r\n']],
  ['a status that is none', ['HTTP/1.1 600 OK\r\n\r\n']],
  ['a status of four digits', ['HTTP/1.1 2000 OK\r\n\r\n']],
  ['two spaces', ['HTTP/1.1  200 OK\r\n\r\n']],
  ['a control character in the reason', ['HTTP/1.1 200 O\0K\r\n\r\n']],
  ['a bare line feed', ['HTTP/1.1 200 OK\nx: y\r\n\r\n']],
  ['a folded field', ['HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n']],
  ['a field without a name', ['HTTP/1.1 200 OK\r\n: y\r\n\r\n']],
  ['a space before the colon', ['HTTP/1.1 200 OK\r\nx : y\r\n\r\n']],
  ['a change of protocol', ['HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n']],
  ['a wrong interim response', ['HTTP/1.1 100 Continue\r\nx\r\n\r\n']],
])(`what is no response is ${PROTOCOL}: %s`, async (_, answers) => {
  expect(await outcome(answers)).toContain(`${PROTOCOL}: `)
})

test.each([
  ['one field', [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`]],
  ['one field that ends', [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`]],
  ['interim responses without end', [`${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000)}`]],
])(`a head of more than 16 KiB is ${PROTOCOL}: %s`, async (_, answers) => {
  expect(await outcome(answers)).toBe(`${PROTOCOL}: answered CONNECT with more than 16384 bytes of header fields`)
})

test('a proxy that closes is ERR_TRANSPORT_PROXY_CONNECT', async () => {
  expect(await outcome([])).toBe('ERR_TRANSPORT_PROXY_CONNECT: closed the connection')
})

test('no octets whatsoever make the parser throw anything else, or read past the end of the head', () => {
  const pieces = ['HTTP/1.1 ', '200', ' OK', '100', '\r\n', '\r\n\r\n', 'a: b', '\0', ' ', '\n', 'HTTP', 'ÿ']
  let seed = 1
  const next = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (let run = 0; run < 20_000; run++) {
    const text = Array.from({ length: next(9) }, () => pieces[next(pieces.length)]).join('')
    const bytes = Buffer.from(run % 2 === 0 ? `HTTP/1.1 200 OK\r\n${text}` : text, 'latin1')
    try {
      const found = readConnectResponse(bytes)
      if (found === undefined) continue
      expect(found.length).toBeLessThanOrEqual(bytes.length)
      if (found.answer < 300) expect(bytes.toString('latin1', found.length - 4, found.length)).toBe('\r\n\r\n')
    } catch (error) {
      expect(error).toBeInstanceOf(ProxyRefusal)
    }
  }
})
