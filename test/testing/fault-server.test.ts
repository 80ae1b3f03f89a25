import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { type FaultServer, type FaultServerOptions, startFaultServer, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const GET = 'GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

const start = (options: Partial<FaultServerOptions> = {}): Promise<FaultServer> =>
  until(startFaultServer({ identity, ...options }))

describe('without a script', () => {
  test('it answers one request after the other and counts them', async () => {
    const server = await start()
    const client = await secure(server)
    client.socket.write(GET)
    await client.seen(OK)
    client.socket.write('POST /y HTTP/1.1\r\ncontent-length: 5\r\nX-A: b\r\n\r\nhello')
    await client.seen(OK + OK)
    client.socket.write('PUT /z HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n')
    await client.seen(OK + OK + OK)
    expect(server.requests).toMatchObject([
      { method: 'GET', path: '/x', connection: 0, number: 0 },
      { method: 'POST', path: '/y', headers: { 'x-a': 'b' }, number: 1 },
      { method: 'PUT', path: '/z', connection: 0, number: 2 },
    ])
    expect(server.requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['', 'hello', 'abcde'])
    expect(server.applicationBytes).toBe(client.sent())
    expect(server.connections).toMatchObject([{ number: 0, stage: 'request', resumed: false, isOpen: true }])
    expect([server.attempts, server.open]).toEqual([1, 1])
    client.socket.end()
    await expect.poll(() => server.open).toBe(0)
  })

  test('a response of one’s own, and requests that come two at a time', async () => {
    const server = await start({ response: ({ path, number }) => `HTTP/1.1 200 OK\r\n\r\n${path}${number}` })
    const client = await secure(server)
    client.socket.write(GET + GET)
    await client.seen('HTTP/1.1 200 OK\r\n\r\n/x0HTTP/1.1 200 OK\r\n\r\n/x1')
  })
})

describe('at accept', () => {
  test('a reset, a FIN and silence, one connection each, and then all is well', async () => {
    const server = await start({
      script: [
        { at: 'accept', fault: 'reset' },
        { at: 'accept', fault: 'close' },
        { at: 'accept', fault: 'stall' },
      ],
    })
    expect(await failure(server)).toBe('ECONNRESET')
    expect(await failure(server)).toBe('ECONNRESET') // Node's word for an end before the handshake is complete
    const silent = tcp(server)
    silent.write('hello')
    await expect(Promise.race([once(silent, 'data'), once(silent, 'end'), turns()])).resolves.toBe('nothing')
    silent.destroy()
    expect((await secure(server)).socket.authorized).toBe(true)
    await expect.poll(() => server.connections[3]?.stage).toBe('request')
    expect(server.connections.map(({ stage }) => stage)).toEqual(['accept', 'accept', 'accept', 'request'])
    expect(server.applicationBytes).toBe(0)
    await expect.poll(() => server.open).toBe(1)
  })

  test('a reset after the first octets', async () => {
    const server = await start({ script: [{ at: 'accept', fault: 'reset', after: 10 }] })
    const socket = tcp(server)
    const hello = await clientHello()
    socket.write(hello.subarray(0, 9))
    await expect(Promise.race([once(socket, 'close'), turns()])).resolves.toBe('nothing')
    socket.write(hello.subarray(9, 10))
    await expect(once(socket, 'data')).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('garbage before anybody spoke, the same for the same seed', async () => {
    const greeting = async (seed: string): Promise<string> => {
      const server = await start({ seed, script: [{ at: 'accept', fault: 'garbage', bytes: 9 }] })
      const [bytes] = (await once(tcp(server), 'data')) as [Buffer]
      expect(bytes).toHaveLength(9)
      return bytes.toString('hex')
    }
    const [one, two, other] = [await greeting('a'), await greeting('a'), await greeting('b')]
    expect(two).toBe(one)
    expect(other).not.toBe(one)
  })
})

describe('in the handshake', () => {
  test('garbage, other bytes, half of a record, a reset and silence: none is finished', async () => {
    const server = await start({
      script: [
        { at: 'tls', fault: 'garbage' },
        { at: 'tls', fault: 'bytes', bytes: 'HTTP/1.1 400 Bad Request\r\n\r\n' },
        { at: 'tls', fault: 'close', after: 60 },
        { at: 'tls', fault: 'reset', after: 60 },
        { at: 'tls', fault: 'stall' },
      ],
    })
    expect(await failure(server)).toMatch(/^ERR_SSL_/)
    expect(await failure(server)).toMatch(/^ERR_SSL_/)
    expect(await failure(server)).toBe('ECONNRESET')
    expect(await failure(server)).toBe('ECONNRESET')
    await expect(Promise.race([failure(server), turns()])).resolves.toBe('nothing')
    expect(server.connections.map(({ stage }) => stage)).toEqual(['tls', 'tls', 'tls', 'tls', 'tls'])
  })

  test('exactly so many octets pass before it is cut', async () => {
    const server = await start({ script: [{ at: 'tls', fault: 'cut', after: 33 }] })
    const socket = tcp(server)
    const hello = await clientHello()
    socket.write(hello)
    const bytes: Buffer[] = []
    for await (const chunk of socket) bytes.push(chunk as Buffer)
    expect(Buffer.concat(bytes)).toHaveLength(33)
    expect(bytes[0]?.[0]).toBe(22) // a handshake record, RFC 8446 §5.1
  })

  test('cut into single octets, or slowed down, it is finished all the same', async () => {
    const server = await start({
      script: [
        { at: 'tls', fault: 'slice', bytes: 1 },
        { at: 'tls', fault: 'slice' },
        { at: 'tls', fault: 'throttle', bytesPerSecond: 20_000 },
        { at: 'accept', fault: 'slice', bytes: [1, 40] },
      ],
    })
    for (let round = 0; round < 4; round += 1) {
      const client = await secure(server)
      client.socket.write(GET)
      await client.seen(OK)
    }
    expect(server.requests).toHaveLength(4)
  })
})

describe('around a request', () => {
  test('the connection is closed after the handshake, or at the first octet of the second request', async () => {
    const server = await start({
      script: [
        { at: 'request', fault: 'close' },
        { at: 'request', fault: 'reset', request: 1, after: 1 },
      ],
    })
    const first = await secure(server)
    expect(await first.ended()).toBe('end')
    const second = await secure(server)
    second.socket.write(GET)
    await second.seen(OK)
    expect(server.connections[1]).toMatchObject({ stage: 'request', isOpen: true })
    second.socket.write(GET)
    expect(await second.ended()).toBe('ECONNRESET')
    expect(server.requests).toHaveLength(1)
  })

  test('an answer that nobody asked for, and then the one that was', async () => {
    const server = await start({ script: [{ at: 'request', fault: 'bytes', bytes: 'HTTP/1.1 204 Early\r\n\r\n' }] })
    const client = await secure(server)
    await client.seen('HTTP/1.1 204 Early\r\n\r\n')
    client.socket.write(GET)
    await client.seen(`HTTP/1.1 204 Early\r\n\r\n${OK}`)
  })

  test('a request is read slowly', async () => {
    const server = await start({ script: [{ at: 'request', fault: 'throttle', bytesPerSecond: 20_000 }] })
    const client = await secure(server)
    const before = performance.now()
    client.socket.write(`POST / HTTP/1.1\r\ncontent-length: 40000\r\n\r\n${'x'.repeat(40_000)}`)
    await expect.poll(() => server.applicationBytes, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(server.requests).toHaveLength(0)
    await client.seen(OK, 30_000)
    expect(performance.now() - before).toBeGreaterThan(1_000)
  })
})

describe('in a response', () => {
  test('other bytes in their own pieces, then an end of each kind', async () => {
    const pieces = ['HTTP/1.1 200 OK\r\n', 'content-length: 9\r\n\r\n', 'abc']
    const bytes = { at: 'response', fault: 'bytes', bytes: pieces } as const
    const server = await start({
      script: [
        [bytes, { at: 'response', fault: 'close', after: 'end' }],
        [bytes, { at: 'response', fault: 'cut', after: 'end' }],
        [bytes, { at: 'response', fault: 'reset', after: 'end' }],
        [bytes, { at: 'response', fault: 'close', after: 17 }],
        [bytes, { at: 'response', fault: 'stall', after: 'end' }],
      ],
    })
    for (const [expected, ending] of [
      [pieces.join(''), 'end'],
      [pieces.join(''), 'end'],
      [pieces.join(''), 'ECONNRESET'],
      [pieces[0], 'end'],
    ] as const) {
      const client = await secure(server)
      client.socket.write(GET)
      expect(await client.ended()).toBe(ending)
      expect(client.text()).toBe(expected)
    }
    const silent = await secure(server)
    silent.socket.write(GET)
    await silent.seen(pieces.join(''))
    await expect(Promise.race([silent.ended(), turns()])).resolves.toBe('nothing')
    silent.socket.end()
    await expect.poll(() => server.open).toBe(0) // silence does not keep what the client has closed
  })

  test('slices by the seed: the same again, others for another seed', async () => {
    const cuts = async (seed: string): Promise<readonly number[]> => {
      const server = await start({ seed, response: 'x'.repeat(200), script: [{ at: 'response', fault: 'slice' }] })
      const client = await secure(server)
      client.socket.write(GET)
      await client.seen('x'.repeat(200))
      return client.sizes()
    }
    const [one, two, other] = [await cuts('a'), await cuts('a'), await cuts('b')]
    expect(one.length).toBeGreaterThan(2)
    expect(two).toEqual(one)
    expect(other).not.toEqual(one)
  })

  test('an endless one is written as fast as it is read, and ends with the client', async () => {
    let given = 0
    const endless = {
      *[Symbol.iterator]() {
        for (;;) {
          given += 1
          yield 'x'.repeat(65_536)
        }
      },
    }
    const server = await start({ script: [{ at: 'response', fault: 'bytes', bytes: endless }] })
    const client = await secure(server)
    client.socket.write(GET)
    client.socket.once('data', () => client.socket.pause())
    await once(client.socket, 'pause')
    const news = async (): Promise<number> => {
      const before = given
      await turns()
      return given - before
    }
    await expect.poll(news, { timeout: 20_000 }).toBe(0) // once every buffer on the way is full
    client.socket.destroy()
    await expect.poll(() => server.open).toBe(0)
    expect(await news()).toBeLessThan(2)
  })

  test('a throttled one takes its time', async () => {
    const server = await start({ script: [{ at: 'response', fault: 'throttle', bytesPerSecond: OK.length }] })
    const client = await secure(server)
    const before = performance.now()
    client.socket.write(GET)
    await client.seen(OK)
    expect(performance.now() - before).toBeGreaterThan(800)
  })
})

test('a function says what goes wrong, request by request', async () => {
  const asked: (readonly [number, number | undefined])[] = []
  const server = await start({
    script: (connection, request) => {
      asked.push([connection, request])
      return request === 1 ? { at: 'response', fault: 'close' } : undefined
    },
  })
  const client = await secure(server)
  client.socket.write(GET)
  await client.seen(OK)
  client.socket.write(GET)
  expect(await client.ended()).toBe('end')
  expect(client.text()).toBe(OK)
  expect(asked).toContainEqual([0, undefined])
  expect(asked).toContainEqual([0, 1])
})

test('closing it ends every connection, at whatever stage', async () => {
  const server = await startFaultServer({ identity, script: [{ at: 'accept', fault: 'stall' }] })
  const silent = tcp(server)
  const client = await secure(server)
  await Promise.all([server.close(), once(silent, 'close'), client.ended()])
  expect(server.open).toBe(0)
})

function tcp(server: FaultServer): Socket {
  const socket = connectTcp(server.port, '127.0.0.1').on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  return socket
}

async function secure(server: FaultServer) {
  const socket = tls(server)
  await once(socket, 'secureConnect')
  const chunks: Buffer[] = []
  const text = (): string => Buffer.concat(chunks).toString('latin1')
  const ended = new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    socket.once('end', () => resolve('end'))
    socket.once('close', () => resolve('close'))
  })
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return {
    socket,
    text,
    sizes: () => chunks.map(({ length }) => length),
    sent: () => socket.bytesWritten,
    ended: () => ended,
    seen: (expected: string, timeout = 10_000) => expect.poll(text, { timeout }).toBe(expected),
  }
}

async function failure(server: FaultServer): Promise<string> {
  const socket = tls(server)
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return error.code ?? ''
}

function tls(server: FaultServer): TLSSocket {
  const socket = connect({ host: server.host, port: server.port, servername: 'localhost', ca: ca.anchorPem })
  onTestFinished(() => void socket.destroy())
  return socket
}

/** What a client says first, taken from one that talks to nobody. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const nobody = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) })
    connect({ socket: nobody, servername: 'localhost' }).on('error', () => undefined)
  })
}

/** Long enough for what would come to come. */
const turns = (): Promise<string> => new Promise((resolve) => setTimeout(resolve, 150, 'nothing'))
