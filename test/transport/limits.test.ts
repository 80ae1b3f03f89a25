import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { OK, start } from './raw-stage.ts'

const OK_HEAD = 'HTTP/1.1 200 OK\r\n'
const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`

/** Writes the same text as long as the other side reads. */
function flood(socket: TLSSocket, text: string): void {
  if (socket.destroyed) return
  if (socket.write(text)) setImmediate(() => flood(socket, text))
  else socket.once('drain', () => flood(socket, text))
}

describe('a response that two readers could read differently is refused', () => {
  test.each<[string, 'PROTOCOL' | 'CLOSED', string]>([
    ['F12: half a status line', 'CLOSED', 'HTTP/1.1 2'],
    ['F13: no HTTP', 'PROTOCOL', 'hello world\r\n\r\n'],
    ['F15: a body shorter than Content-Length', 'CLOSED', `${OK_HEAD}Content-Length: 10\r\n\r\nshort`],
    ['F15: the same on a last response', 'PROTOCOL', `${OK_HEAD}Connection: close\r\nContent-Length: 10\r\n\r\nshort`],
    ['F17: a bad chunk size', 'PROTOCOL', `${OK_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n`],
    ['F18: a truncated chunk', 'CLOSED', `${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nok`],
    [
      'F19: a length beside chunks',
      'PROTOCOL',
      `${OK_HEAD}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n${chunked('ok')}`,
    ],
    [
      'F19: the same in the other order',
      'PROTOCOL',
      `${OK_HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('ok')}`,
    ],
    ['F20: two lengths', 'PROTOCOL', `${OK_HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\noko`],
    ['F20: one length twice', 'PROTOCOL', `${OK_HEAD}Content-Length: 2, 2\r\n\r\nok`],
    ['another transfer coding', 'PROTOCOL', `${OK_HEAD}Transfer-Encoding: gzip\r\n\r\nok`],
    [
      'a transfer coding after chunked',
      'PROTOCOL',
      `${OK_HEAD}Transfer-Encoding: chunked, identity\r\n\r\n${chunked('ok')}`,
    ],
    ['lines without CR', 'PROTOCOL', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['a folded field', 'PROTOCOL', `${OK_HEAD}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok`],
    ['a space before the colon', 'PROTOCOL', `${OK_HEAD}Content-Length : 2\r\n\r\nok`],
    ['a NUL in a field', 'PROTOCOL', `${OK_HEAD}X-A: b\0c\r\nContent-Length: 2\r\n\r\nok`],
    ['a protocol that nobody asked for', 'PROTOCOL', 'HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ])('%s: ERR_TRANSPORT_%s', async (_, code, bytes) => {
    const { send, peer } = await start({ reply: (socket) => socket.end(bytes) })
    const error = await refusalOf(send(), `ERR_TRANSPORT_${code}`)
    expect(error.requestSent).toBe('yes')
    expect(peer.connections.length).toBe(1)
  })

  test.each([
    ['a length', OK],
    ['chunks', `${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunked('ok')}`],
    ['the end of the connection', `${OK_HEAD}Connection: close\r\n\r\nok`],
    ['an interim response first', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`],
  ])('control: %s says where it ends', async (_, bytes) => {
    const { send } = await start({ reply: (socket) => socket.end(bytes) })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
  })

  test('F16: a connection that breaks in the body: ERR_TRANSPORT_CLOSED', async () => {
    const { send, peer } = await start({
      reply: (socket) => socket.write(`${OK_HEAD}Content-Length: 10\r\n\r\nshort`, () => peer.destroyConnections()),
    })
    expect((await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('yes')
  })
})

describe('limits.headerBytes', () => {
  const withField = (bytes: number) =>
    start({ reply: (s) => s.write(`${OK_HEAD}X-A: ${'a'.repeat(bytes)}\r\nContent-Length: 2\r\n\r\nok`) })

  test('F21: longer header fields: ERR_TRANSPORT_HEADERS_TOO_LARGE', async () => {
    const { send } = await withField(16_384)
    const error = await refusalOf(send(), 'ERR_TRANSPORT_HEADERS_TOO_LARGE')
    expect([error.message, error.requestSent]).toEqual([expect.stringContaining('limits.headerBytes'), 'yes'])
  })

  test('control: fields just below it arrive', async () => {
    const { send } = await withField(16_300)
    expect(await send()).toEqual({ status: 200, text: 'ok' })
  })

  test('a trailer counts as well: ERR_TRANSPORT_HEADERS_TOO_LARGE', async () => {
    const trailer = `X-T: ${'a'.repeat(20_000)}`
    const { send } = await start({
      reply: (s) => s.write(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailer}\r\n\r\n`),
    })
    await refusalOf(send(), 'ERR_TRANSPORT_HEADERS_TOO_LARGE')
  })

  test('F22: interim responses without end: ERR_TRANSPORT_HEADERS_TOO_LARGE', async () => {
    const { send } = await start({ reply: (s) => flood(s, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(50)) })
    await refusalOf(send(), 'ERR_TRANSPORT_HEADERS_TOO_LARGE')
  })

  test('control: a hundred of them, and then the response', async () => {
    const { send } = await start({ reply: (s) => s.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100) + OK) })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
  })
})

describe('limits.bodyBytes', () => {
  const limits = { bodyBytes: 1_000 }
  const withBody = (length: number) =>
    start({ limits, reply: (s) => s.write(`${OK_HEAD}Content-Length: ${length}\r\n\r\n${'a'.repeat(length)}`) })

  test('a body that is announced longer is refused at its headers: ERR_TRANSPORT_BODY_TOO_LARGE', async () => {
    const { send } = await start({ limits, reply: (s) => s.write(`${OK_HEAD}Content-Length: 1001\r\n\r\n`) })
    const error = await refusalOf(send(), 'ERR_TRANSPORT_BODY_TOO_LARGE')
    expect(error.message).toMatch(/at most 1000 bytes \(limits\.bodyBytes\), the server announces 1001$/)
  })

  test('control: a body of exactly as much', async () => {
    const { send } = await withBody(1_000)
    expect((await send()).text.length).toBe(1_000)
  })

  test('a body without a length that goes on: ERR_TRANSPORT_BODY_TOO_LARGE', async () => {
    const { send } = await start({
      limits,
      reply: (s) => {
        s.write(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n`)
        flood(s, `64\r\n${'a'.repeat(100)}\r\n`)
      },
    })
    expect((await refusalOf(send(), 'ERR_TRANSPORT_BODY_TOO_LARGE')).requestSent).toBe('yes')
  })

  test('control: one that ends in time', async () => {
    const { send } = await start({
      limits,
      reply: (s) => s.write(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunked('a'.repeat(1_000))}`),
    })
    expect((await send()).text.length).toBe(1_000)
  })

  test('a piece does not keep what arrived around it: chunk extensions', async () => {
    const text = `1;${'e'.repeat(8_000)}\r\na\r\n`.repeat(64)
    const { dispatcher, url } = await start({
      reply: (socket) => socket.write(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${text}0\r\n\r\n`),
    })
    const pieces: Buffer[] = []
    await new Promise<void>((resolve, reject) => {
      const handler = {
        onRequestStart: () => undefined,
        onResponseData: (_: unknown, piece: Buffer) => pieces.push(piece),
        onResponseEnd: () => resolve(),
        onResponseError: (_: unknown, error: Error) => reject(error),
      }
      dispatcher.dispatch({ origin: url, path: '/', method: 'GET' }, handler)
    })
    expect(Buffer.concat(pieces).toString()).toBe('a'.repeat(64))
    const kept = [...new Set(pieces.map(({ buffer }) => buffer))]
    expect(kept.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(100_000)
  })

  test('a length without a body is no body: HEAD', async () => {
    const { send } = await start({ limits, reply: (s) => s.write(`${OK_HEAD}Content-Length: 5000\r\n\r\n`) })
    expect(await send({ method: 'HEAD' })).toEqual({ status: 200, text: '' })
  })
})

describe('F25 and F26: bytes that no request asked for', () => {
  const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'

  test('a second response right behind the first is never anybody’s answer', async () => {
    const { send, peer } = await start({ reply: (socket) => socket.write(OK + POISON) })
    for (let round = 0; round < 3; round += 1) expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(3)
  })

  test('bytes beyond the announced length are neither', async () => {
    const { send } = await start({ reply: (socket) => socket.write(`${OK}nger`) })
    for (let round = 0; round < 3; round += 1) expect(await send()).toEqual({ status: 200, text: 'ok' })
  })

  test('a response that arrives while the connection is idle ends the connection', async () => {
    const { send, peer } = await start()
    await send()
    peer.connections[0]?.socket.write(POISON)
    await expect.poll(() => peer.connections[0]?.socket.destroyed).toBe(true)
    expect(await send()).toEqual({ status: 200, text: 'ok' })
    expect(peer.connections.length).toBe(2)
  })

  test('one that the system holds already when the next request begins is not taken for its answer', async () => {
    const { send, peer } = await start()
    await send()
    for (let round = 0; round < 20; round += 1) {
      await new Promise((resolve) => peer.connections.at(-1)?.socket.write(POISON, resolve))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5) // delivered, and read by nobody: the loop stands still
      expect((await send()).text).toBe('ok')
    }
  })

  test('data in front of any request, on a new connection: ERR_TRANSPORT_UNSOLICITED, nothing sent', async () => {
    const setting = {
      onConnect: (socket: TLSSocket) => socket.write(POISON),
      policy: { minTlsVersion: '1.2' },
    } as const
    const { send, heads } = await start({ ...setting, maxVersion: 'TLSv1.2' })
    const error = await refusalOf(send(), 'ERR_TRANSPORT_UNSOLICITED')
    expect([error.requestSent, heads]).toEqual(['no', []])
  })

  test('control: the same server, silent', async () => {
    const { send } = await start({ policy: { minTlsVersion: '1.2' }, maxVersion: 'TLSv1.2' })
    expect(await send()).toEqual({ status: 200, text: 'ok' })
  })
})
