import type { TLSSocket } from 'node:tls'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { OK, start } from './raw-stage.ts'

const OK_HEAD = 'HTTP/1.1 200 OK\r\n'

/** A stage whose time stands still; `silent` is what a server does that lets the client wait. */
async function still(setting: Parameters<typeof start>[0] = {}) {
  const runtime = createTestRuntime({ now: Date.now() })
  const sockets: TLSSocket[] = []
  const stage = await start({
    reply: (socket) => void sockets.push(socket),
    ...setting,
    runtime,
  })
  /** Waits until the server has read `count` requests, so that time passes for nothing else. */
  const asked = (count = 1): Promise<void> =>
    vi.waitUntil(() => stage.heads.length >= count, 10_000).then(() => undefined)
  /** Lets sockets have their say before time goes on. */
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30))
  return { ...stage, runtime, sockets, asked, settle }
}

describe('timeouts.headersMs', () => {
  test('F11: no response headers: ERR_TRANSPORT_TIMEOUT, whose message names the option', async () => {
    const { send, runtime, asked } = await still({ timeouts: { headersMs: 5_000 } })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await asked()
    await runtime.advance(7_000)
    const error = await call
    expect([error.message, error.requestSent]).toEqual([expect.stringContaining('5000 ms (timeouts.headersMs)'), 'yes'])
  })

  test('control: headers just in time', async () => {
    const { send, runtime, asked, sockets } = await still({ timeouts: { headersMs: 5_000 } })
    const call = send()
    await asked()
    await runtime.advance(4_000)
    sockets[0]?.write(OK)
    expect(await call).toEqual({ status: 200, text: 'ok' })
  })

  test('F22: interim responses do not put it off: ERR_TRANSPORT_TIMEOUT', async () => {
    const { send, runtime, asked, sockets, settle } = await still({ timeouts: { headersMs: 5_000 } })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await asked()
    for (let second = 0; second < 7; second += 1) {
      sockets[0]?.write('HTTP/1.1 102 Processing\r\n\r\n')
      await settle()
      await runtime.advance(1_000)
    }
    await call
  })
})

describe('timeouts.bodyMs', () => {
  test('F14: a body that pauses: ERR_TRANSPORT_TIMEOUT', async () => {
    const { send, runtime, asked, sockets, settle } = await still({ timeouts: { bodyMs: 5_000 } })
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Length: 10\r\n\r\nshort`)
    await settle()
    await runtime.advance(7_000)
    expect((await call).message).toMatch(/5000 ms \(timeouts\.bodyMs\)$/)
  })

  test('control: one that goes on just in time', async () => {
    const { send, runtime, asked, sockets, settle } = await still({ timeouts: { bodyMs: 5_000 } })
    const call = send()
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Length: 10\r\n\r\nshort`)
    for (const piece of ['er', 'sti', '', '']) {
      await settle()
      await runtime.advance(3_900)
      if (piece !== '') sockets[0]?.write(piece)
      else break
    }
    expect((await call).text).toBe('shortersti')
  })

  test('a caller who does not read is not the server’s pause', async () => {
    const { dispatcher, url, runtime, settle } = await still({
      timeouts: { bodyMs: 5_000 },
      reply: (socket) => socket.write(`${OK_HEAD}Content-Length: 1000000\r\n\r\n${'a'.repeat(1_000_000)}`),
    })
    const { body } = await dispatcher.request({ origin: url, path: '/', method: 'GET' })
    await settle()
    await runtime.advance(20_000)
    expect((await body.text()).length).toBe(1_000_000)
  })
})

describe('timeouts.totalMs', () => {
  test('F28: a drip that keeps every other time: ERR_TRANSPORT_TIMEOUT', async () => {
    const { send, runtime, asked, sockets, settle } = await still()
    const call = refusalOf(send(), 'ERR_TRANSPORT_TIMEOUT')
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Length: 1000\r\n\r\n`)
    for (let second = 0; second < 31; second += 1) {
      sockets[0]?.write('a')
      await settle()
      await runtime.advance(1_000)
    }
    expect((await call).message).toMatch(
      /not over after 30000 ms, with \d+ bytes .*timeouts\.totalMs, limits\.minBytesPerSecond/,
    )
  })

  test('control: a transfer that is fast enough takes longer than that', async () => {
    const { send, runtime, asked, sockets, settle } = await still()
    const call = send()
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Length: ${60 * 8_192}\r\n\r\n`)
    for (let second = 0; second < 60; second += 1) {
      sockets[0]?.write('a'.repeat(8_192))
      await settle()
      await runtime.advance(1_000)
    }
    expect((await call).text.length).toBe(60 * 8_192)
  })

  /** A body of as much, all of it at hand, read at once after `pauseMs` in which nobody asked for it. */
  const readLate = async (pauseMs: number, length: number, sent: number) => {
    const { dispatcher, url, runtime, settle } = await still({
      timeouts: { bodyMs: 600_000 },
      reply: (socket) => socket.write(`${OK_HEAD}Content-Length: ${length}\r\n\r\n${'a'.repeat(sent)}`),
    })
    const { body } = await dispatcher.request({ origin: url, path: '/', method: 'GET' })
    await settle()
    for (let second = 0; second < pauseMs / 1_000; second += 1) await runtime.advance(1_000)
    return { text: body.text(), runtime, settle }
  }

  test('a caller who reads late is not cut: the peer was the one who had to wait', async () => {
    const { text, runtime, settle } = await readLate(300_000, 1_000_000, 1_000_000)
    await settle()
    await runtime.advance(20_000)
    expect((await text).length).toBe(1_000_000)
  })

  test('a peer that is slow once the caller reads again is cut: ERR_TRANSPORT_TIMEOUT', async () => {
    const { text, runtime, settle } = await readLate(300_000, 1_000_000, 200_000)
    const cut = refusalOf(text, 'ERR_TRANSPORT_TIMEOUT')
    for (let second = 0; second < 60; second += 1) {
      if (second % 20 === 0) await settle()
      await runtime.advance(1_000)
    }
    expect((await cut).message).toContain('timeouts.totalMs')
  })

  describe('an upload', () => {
    /** A request whose body gives as much each second; the server answers after the last of 40. */
    const upload = async (bytesPerSecond: number) => {
      const { send, runtime, sockets, settle } = await still()
      const gates: (() => void)[] = []
      async function* body() {
        for (let second = 0; second < 40; second += 1) {
          await new Promise<void>((resolve) => void gates.push(resolve))
          yield Buffer.alloc(bytesPerSecond)
        }
      }
      const outcome = send({ method: 'POST', body: body() as never }).catch((error: unknown) => error)
      await vi.waitUntil(() => gates.length > 0, 10_000)
      for (let second = 0; second < 40; second += 1) {
        await settle()
        gates.shift()?.()
        await runtime.advance(1_000)
      }
      await settle()
      if (sockets[0]?.destroyed === false) sockets[0].write(OK)
      return outcome
    }

    test('that moves is not cut', async () => {
      expect(await upload(8_192)).toEqual({ status: 200, text: 'ok' })
    })

    test('that drips is cut: ERR_TRANSPORT_TIMEOUT', async () => {
      expect(await upload(10)).toMatchObject({ code: 'ERR_TRANSPORT_TIMEOUT', requestSent: 'maybe' })
    })
  })

  test('a request that gets no connection: ERR_TRANSPORT_TIMEOUT, nothing sent', async () => {
    const { send, runtime, asked } = await still({ connections: 1, timeouts: { headersMs: 600_000, totalMs: 20_000 } })
    const [first, second] = [send(), send()].map((call) => refusalOf(call, 'ERR_TRANSPORT_TIMEOUT'))
    await asked()
    await runtime.advance(22_000)
    expect([(await first)?.requestSent, (await second)?.requestSent]).toEqual(['yes', 'no'])
  })

  test('an event stream has no end of it, and its pauses an end', async () => {
    const { dispatcher, url, runtime, asked, sockets, settle } = await still()
    const call = dispatcher.request({ origin: url, path: '/', method: 'GET' })
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Type: text/event-stream; charset=utf-8\r\n\r\n`)
    const { body } = await call
    const text = refusalOf(body.text(), 'ERR_TRANSPORT_TIMEOUT')
    for (let minute = 0; minute < 5; minute += 1) {
      for (let event = 0; event < 3; event += 1) {
        sockets[0]?.write(': \n\n')
        await settle()
        await runtime.advance(20_000)
      }
    }
    await runtime.advance(31_000)
    expect((await text).message).toContain('timeouts.bodyMs')
  })

  test('of two content types neither makes an event stream: ERR_TRANSPORT_TIMEOUT', async () => {
    const { dispatcher, url, runtime, asked, sockets, settle } = await still()
    const call = dispatcher.request({ origin: url, path: '/', method: 'GET' })
    await asked()
    sockets[0]?.write(`${OK_HEAD}Content-Type: application/json\r\nContent-Type: text/event-stream\r\n\r\n`)
    const { body } = await call
    const text = refusalOf(body.text(), 'ERR_TRANSPORT_TIMEOUT')
    for (let piece = 0; piece < 3; piece += 1) {
      sockets[0]?.write(': \n\n')
      await settle()
      await runtime.advance(20_000)
    }
    expect((await text).message).toContain('timeouts.totalMs')
  })
})

test('timers end with the requests, and with the client', async () => {
  const { send, runtime, asked, sockets, dispatcher } = await still()
  const call = send()
  await asked()
  expect(runtime.pendingTimers).toBeGreaterThan(0)
  sockets[0]?.write(OK)
  await call
  await runtime.advance(2_000)
  expect(runtime.pendingTimers).toBe(0)
  const cut = refusalOf(send(), 'ERR_TRANSPORT_CLIENT_CLOSED')
  await asked(2)
  await dispatcher.destroy()
  await cut
  expect(runtime.pendingTimers).toBe(0)
})
