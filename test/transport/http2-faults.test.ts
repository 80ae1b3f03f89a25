import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import type { PinfetchError } from '../../src/errors/errors.ts'
import { refusalOf } from '../support/client.ts'
import { data, frame, HOST, headersOk, ok, SETTINGS, SETTINGS_ACK, type Setting, start, words } from './http2-stage.ts'

const turns = (ms = 30): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM] = [0, 1, 2, 7, 8, 11]
const reset = (stream: number, code: number): Buffer => frame(3, 0, stream, words(code))
const goaway = (last: number, code: number): Buffer => frame(7, 0, 0, words(last, code))

/** A peer that answers the head of each stream with exactly these bytes, and PINGs unless it is silent. */
function raw(
  answer: (stream: number, connection: number) => Buffer | 'cut',
  more: Setting & { isSilent?: boolean } = {},
) {
  return start({
    ...more,
    onSocket: (socket, connection) => {
      let bytes = Buffer.alloc(0)
      let hasPreface = false
      socket.write(Buffer.concat([SETTINGS, SETTINGS_ACK]))
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk])
        if (!hasPreface && bytes.length >= 24) {
          hasPreface = true
          bytes = bytes.subarray(24)
        }
        while (hasPreface && bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
          const end = 9 + bytes.readUIntBE(0, 3)
          const [type, flags, stream] = [bytes[3], bytes[4] ?? 0, bytes.readUInt32BE(5)]
          const payload = bytes.subarray(9, end)
          bytes = bytes.subarray(end)
          if (type === 6 && (flags & 1) === 0 && more.isSilent !== true) socket.write(frame(6, 1, 0, payload))
          if (type !== 1) continue
          const said = answer(stream, connection)
          if (said === 'cut') socket.destroy()
          else socket.write(said)
        }
      })
    },
  })
}

const whole = (stream: number): Buffer => Buffer.concat([headersOk(stream), data(stream, 'ok', true)])
const part = (stream: number): Buffer => Buffer.concat([headersOk(stream), data(stream, 'part')])

test('control: the bare peer is understood', async () => {
  const { send, peer } = await raw(whole)
  expect([await send(), await send()]).toEqual(Array(2).fill({ status: 200, text: 'ok' }))
  expect(peer.connections.length).toBe(1)
})

describe('F31: RST_STREAM', () => {
  test.each([
    ['CANCEL', CANCEL, 'ERR_TRANSPORT_CLOSED'],
    ['INTERNAL_ERROR', INTERNAL_ERROR, 'ERR_TRANSPORT_CLOSED'],
    ['NO_ERROR', NO_ERROR, 'ERR_TRANSPORT_CLOSED'],
    ['PROTOCOL_ERROR', PROTOCOL_ERROR, 'ERR_TRANSPORT_PROTOCOL'],
    ['ENHANCE_YOUR_CALM', ENHANCE_YOUR_CALM, 'ERR_TRANSPORT_HEADERS_TOO_LARGE'],
  ] as const)('%s before the response ends this exchange, and no other', async (_, code, expected) => {
    const { send, peer } = await raw((stream) => (stream === 1 ? reset(stream, code) : whole(stream)))
    await refusalOf(send(), expected)
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(1)
  })

  test.each([
    ['CANCEL', CANCEL, 'ERR_TRANSPORT_CLOSED'],
    ['INTERNAL_ERROR', INTERNAL_ERROR, 'ERR_TRANSPORT_CLOSED'],
    ['NO_ERROR', NO_ERROR, 'ERR_TRANSPORT_CLOSED'],
    ['REFUSED_STREAM', REFUSED_STREAM, 'ERR_TRANSPORT_CLOSED'],
    ['PROTOCOL_ERROR', PROTOCOL_ERROR, 'ERR_TRANSPORT_PROTOCOL'],
  ] as const)('%s in the middle of a response: what came is not taken for all of it', async (_, code, expected) => {
    const { send } = await raw((stream) => Buffer.concat([part(stream), reset(stream, code)]))
    expect((await refusalOf(send(), expected)).requestSent).toBe('yes')
  })

  test('NO_ERROR after a response that is complete takes nothing away from it', async () => {
    const { send } = await raw((stream) => Buffer.concat([whole(stream), reset(stream, NO_ERROR)]))
    const body = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('without end')) })
    expect(await send({ method: 'POST', body: body as never })).toEqual({ status: 200, text: 'ok' })
  })

  test.each([['GET'], ['POST']] as const)(
    'REFUSED_STREAM: a %s goes out again, since nothing was done for it',
    async (method) => {
      const { send } = await raw((stream) => (stream < 9 ? reset(stream, REFUSED_STREAM) : whole(stream)))
      expect(await send({ method, ...(method === 'POST' ? { body: 'a' } : {}) })).toEqual({ status: 200, text: 'ok' })
    },
  )

  test('REFUSED_STREAM for ever: ERR_TRANSPORT_CLOSED, after a few attempts', async () => {
    let asked = 0
    const { send } = await raw((stream) => {
      asked += 1
      return reset(stream, REFUSED_STREAM)
    })
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect(asked).toBe(6)
  })

  test('REFUSED_STREAM with a body that is gone: ERR_TRANSPORT_CLOSED', async () => {
    const { send } = await raw((stream) => reset(stream, REFUSED_STREAM))
    async function* body() {
      yield Buffer.from('a')
    }
    await refusalOf(send({ method: 'POST', body: body() as never }), 'ERR_TRANSPORT_CLOSED')
  })
})

test('a handler that answers nothing pauses nothing', async () => {
  const interim = (stream: number) => frame(1, 4, stream, Buffer.from([0x08, 3, 0x31, 0x30, 0x33]))
  const { dispatcher, url } = await raw((stream) => Buffer.concat([interim(stream), whole(stream)]))
  const statuses: number[] = []
  await new Promise<unknown>((resolve, reject) => {
    const handler = {
      onConnect: () => undefined,
      onHeaders: (status: number) => void statuses.push(status),
      onData: () => undefined,
      onComplete: resolve,
      onError: reject,
    }
    dispatcher.dispatch({ origin: url, path: '/', method: 'GET' }, handler as never)
  })
  expect(statuses).toEqual([103, 200])
})

test.each([['onHeaders'], ['onData']])('what a handler throws in %s ends its exchange, and no other', async (name) => {
  const { dispatcher, send, url } = await raw(whole)
  const error = await new Promise((resolve) => {
    const handler = {
      onConnect: () => undefined,
      onHeaders: () => true,
      onData: () => true,
      onComplete: () => resolve(undefined),
      onError: resolve,
      [name]: () => {
        throw new Error('of the handler')
      },
    }
    dispatcher.dispatch({ origin: url, path: '/', method: 'GET' }, handler as never)
  })
  expect(error).toMatchObject({ message: 'of the handler' })
  expect(await send()).toEqual({ status: 200, text: 'ok' })
})

describe('F31: GOAWAY', () => {
  test('what it names is finished, what came after it goes out again, a POST too', async () => {
    const held: number[] = []
    const { send, peer } = await raw((stream, connection) => {
      if (connection > 0) return whole(stream)
      held.push(stream)
      if (held.length < 4) return Buffer.alloc(0)
      return Buffer.concat([goaway(3, NO_ERROR), whole(1), whole(3)])
    })
    const calls = Array.from({ length: 4 }, () => send({ method: 'POST', body: 'a' }))
    expect(await Promise.all(calls)).toEqual(Array(4).fill({ status: 200, text: 'ok' }))
    expect([held, peer.connections.length]).toEqual([[1, 3, 5, 7], 2])
  })

  test('that denies what was begun to be answered: ERR_TRANSPORT_CLOSED, and no second response after the first', async () => {
    const { send, peer } = await raw((stream, connection) =>
      connection === 0 ? Buffer.concat([part(stream), goaway(0, INTERNAL_ERROR)]) : whole(stream),
    )
    expect((await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('yes')
    expect(peer.connections.length).toBe(1)
  })

  test('with an error: what it names fails, what came after it goes out again', async () => {
    const held: number[] = []
    const { send, peer } = await raw((stream, connection) => {
      if (connection > 0) return whole(stream)
      held.push(stream)
      return held.length < 2 ? Buffer.alloc(0) : goaway(1, INTERNAL_ERROR)
    })
    const [first, second] = [send({ method: 'POST' }), send({ method: 'POST' })]
    expect((await refusalOf(first, 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('maybe')
    expect(await second).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(2)
  })

  test('before any request, each time: ERR_TRANSPORT_CLOSED, after a few connections', async () => {
    const { send, peer } = await start({
      onSocket: (socket) => socket.write(Buffer.concat([SETTINGS, goaway(0, NO_ERROR)])),
    })
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect(peer.connections.length).toBeLessThan(8)
  })
})

describe('a connection that breaks', () => {
  test('in the middle of a response: ERR_TRANSPORT_CLOSED, not a shorter body', async () => {
    const { send, peer } = await raw(part)
    const call = refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    await vi.waitUntil(() => peer.connections.length > 0, 10_000)
    await turns(100)
    peer.destroyConnections()
    expect((await call).requestSent).toBe('yes')
  })

  test('as a GET is written to it, after others: it goes out once more', async () => {
    const { send, peer } = await raw((stream, connection) => (connection === 0 && stream > 1 ? 'cut' : whole(stream)))
    await send()
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(2)
  })

  test('as a POST is written to it: ERR_TRANSPORT_CLOSED, and nobody knows whether it arrived', async () => {
    const { send } = await raw((stream, connection) => (connection === 0 && stream > 1 ? 'cut' : whole(stream)))
    await send()
    expect((await refusalOf(send({ method: 'POST', body: 'a' }), 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('maybe')
  })

  test('a body that is shorter than announced: ERR_TRANSPORT_PROTOCOL', async () => {
    const { send } = await start({
      onStream: (stream) => {
        stream.respond({ ':status': 200, 'content-length': '100' })
        stream.end('part')
      },
    })
    await refusalOf(send(), 'ERR_TRANSPORT_PROTOCOL')
  })

  test.each([['000'], ['099']])('a response of status %s, which is none: ERR_TRANSPORT_PROTOCOL', async (status) => {
    const fields = Buffer.concat([Buffer.from([0x08, 3]), Buffer.from(status)])
    const { send } = await raw((stream) => (stream === 1 ? frame(1, 5, stream, fields) : whole(stream)))
    await refusalOf(send(), 'ERR_TRANSPORT_PROTOCOL')
    expect(await send()).toEqual({ status: 200, text: 'ok' })
  })

  test('a response of status 101, which HTTP/2 has not: ERR_TRANSPORT_PROTOCOL', async () => {
    const { send } = await raw((stream) => frame(1, 4, stream, Buffer.from([0x08, 3, 0x31, 0x30, 0x31])))
    await refusalOf(send(), 'ERR_TRANSPORT_PROTOCOL')
  })
})

describe('F32: a peer that answers nothing any longer', () => {
  /** What becomes of a request that is answered so, by a peer that answers no PING either, and of the next one. */
  const answered = async (bytes: Buffer) => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, peer } = await raw((stream, connection) => (connection === 0 ? bytes : whole(stream)), {
      isSilent: true,
      runtime,
    })
    const call = send().catch((error: PinfetchError) => error)
    await vi.waitUntil(() => peer.connections.length > 0, 10_000)
    await turns(100)
    for (let second = 0; second < 17; second += 1) {
      await runtime.advance(1_000)
      await turns(10)
    }
    const error = (await call) as PinfetchError
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(2)
    return error
  }

  test('not even a PING: ERR_TRANSPORT_TIMEOUT for what it carries, and another connection for the next', async () => {
    const { code, message } = await answered(Buffer.alloc(0))
    expect([code, message]).toEqual(['ERR_TRANSPORT_TIMEOUT', expect.stringContaining('PING')])
  })

  test.each([
    ['a frame that HTTP/2 forbids', data(0, 'of no stream')],
    ['bytes that are no frame', Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')],
  ])('after %s: ERR_TRANSPORT_PROTOCOL', async (_, bytes) => {
    // Node 20 keeps it to itself, so that there the PING has to find out.
    const expected = process.version.startsWith('v20.') ? 'ERR_TRANSPORT_TIMEOUT' : 'ERR_TRANSPORT_PROTOCOL'
    expect((await answered(bytes)).code).toBe(expected)
  })

  test('control: one that answers PINGs is waited for, and used again after timeouts.headersMs', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, peer } = await raw((stream) => (stream === 1 ? Buffer.alloc(0) : whole(stream)), { runtime })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await vi.waitUntil(() => peer.connections.length > 0, 10_000)
    await turns(100)
    for (let second = 0; second < 31; second += 1) {
      await runtime.advance(1_000)
      await turns(10)
    }
    expect((await call).message).toMatch(/timeouts\.(headersMs|totalMs)/)
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(1)
  })
})

describe('limits', () => {
  test('header fields above limits.headerBytes: ERR_TRANSPORT_HEADERS_TOO_LARGE, for this exchange alone', async () => {
    const { send, peer } = await start({
      onStream: (stream, path) => {
        if (path === '/') ok(stream)
        else stream.respond({ ':status': 200, 'x-long': 'a'.repeat(20_000) }, { endStream: true })
      },
    })
    await refusalOf(send({ path: '/long' }), 'ERR_TRANSPORT_HEADERS_TOO_LARGE')
    expect((await send()).text).toBe('ok')
    expect(peer.connections.length).toBe(1)
  })

  test('control: below it', async () => {
    const { send } = await start({
      onStream: (stream) => stream.respond({ ':status': 200, 'x-long': 'a'.repeat(15_000) }, { endStream: true }),
    })
    expect((await send()).status).toBe(200)
  })

  test('interim responses without end: ERR_TRANSPORT_HEADERS_TOO_LARGE', async () => {
    const { send } = await start({
      onStream: (stream) => {
        for (let count = 0; count < 600; count += 1) stream.additionalHeaders({ ':status': 103, link: '</a>' })
        ok(stream)
      },
    })
    await refusalOf(send(), 'ERR_TRANSPORT_HEADERS_TOO_LARGE')
  })

  test('a body above limits.bodyBytes, announced or not: ERR_TRANSPORT_BODY_TOO_LARGE', async () => {
    const { send } = await start({
      limits: { bodyBytes: 1_000 },
      onStream: (stream, path) => {
        stream.respond({ ':status': 200, ...(path === '/said' ? { 'content-length': '2000' } : {}) })
        stream.end('a'.repeat(2_000))
      },
    })
    await refusalOf(send(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    await refusalOf(send({ path: '/said' }), 'ERR_TRANSPORT_BODY_TOO_LARGE')
  })

  test('a body that pauses for timeouts.bodyMs: ERR_TRANSPORT_TIMEOUT', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, streams } = await start({
      runtime,
      timeouts: { bodyMs: 5_000 },
      onStream: (stream) => {
        stream.respond({ ':status': 200 })
        stream.write('part')
      },
    })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await vi.waitUntil(() => streams.length > 0, 10_000)
    await turns(100)
    await runtime.advance(7_000)
    expect((await call).message).toContain('timeouts.bodyMs')
  })
})

describe('the end of a client', () => {
  test('close() lets what was begun finish, and ends event streams', async () => {
    const { send, dispatcher, url, streams, peer } = await start({
      onStream: (stream, path) => {
        if (path === '/events') {
          stream.respond({ ':status': 200, 'content-type': 'text/event-stream' })
          stream.write(': \n\n')
        } else setTimeout(() => ok(stream), 100)
      },
    })
    const { body } = await dispatcher.request({ origin: url, path: '/events', method: 'GET' })
    const events = refusalOf(body.text(), 'ERR_TRANSPORT_CLIENT_CLOSED')
    const calls = Array.from({ length: 8 }, () => send())
    await vi.waitUntil(() => streams.length === 9, 10_000)
    await dispatcher.close()
    await events
    expect(await Promise.all(calls)).toEqual(Array(8).fill({ status: 200, text: 'ok' }))
    await vi.waitUntil(() => peer.connections[0]?.socket.destroyed === true, 10_000)
    await refusalOf(send(), 'ERR_TRANSPORT_CLIENT_CLOSED')
  })

  test('destroy() cuts everything: ERR_TRANSPORT_CLIENT_CLOSED with the reason, and leaves no timer', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, dispatcher, streams } = await start({ runtime, onStream: () => undefined })
    const calls = Array.from({ length: 8 }, () => refusalOf(send(), 'ERR_TRANSPORT_CLIENT_CLOSED'))
    await vi.waitUntil(() => streams.length === 8, 10_000)
    await dispatcher.destroy(new Error('enough'))
    for (const call of calls) expect((await call).cause).toMatchObject({ message: 'enough' })
    expect(runtime.pendingTimers).toBe(0)
  })
})

test('a client certificate that a peer demands afterwards is named: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', async () => {
  const { send } = await start({ requestCert: true, onSocket: (socket) => socket.destroy() })
  const error = await refusalOf(send(), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
  expect(error.host).toContain(HOST)
})
