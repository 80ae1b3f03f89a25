import { createServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { TrustError } from '../../src/errors/errors.ts'
import type { Evidence } from '../../src/transport/connector.ts'
import { refusalOf } from '../support/client.ts'
import { next, OK, ok, server, start } from './raw-stage.ts'

describe('a kept-alive connection that the peer closes as a request is written to it', () => {
  /** Serves one request of a connection; from then on `dies` says what becomes of the next. */
  const closing = (dies: (socket: TLSSocket) => void = (socket) => socket.destroy()) =>
    start({ reply: (socket, request) => (request === 0 ? ok(socket) : dies(socket)) })

  test.each([['GET'], ['HEAD'], ['OPTIONS'], ['PUT'], ['DELETE']] as const)(
    'F30: %s goes out once more, over a new one',
    async (method) => {
      const { send, peer, heads } = await closing()
      await send()
      expect((await send({ method })).status).toBe(200)
      expect([peer.connections.length, heads.length]).toEqual([2, 3])
    },
  )

  test('a POST does not: ERR_TRANSPORT_CLOSED, and nobody knows whether it arrived', async () => {
    const { send, heads } = await closing()
    await send()
    expect((await refusalOf(send({ method: 'POST', body: 'a' }), 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('maybe')
    expect(heads.length).toBe(2)
  })

  test('a POST with an Idempotency-Key does, its body included', async () => {
    const { send, heads } = await closing()
    await send()
    const headers = { 'Idempotency-Key': '"1"' }
    expect(await send({ method: 'POST', body: 'a', headers })).toEqual({ status: 200, text: 'ok' })
    expect(heads.length).toBe(3)
  })

  test('an empty Idempotency-Key is none: ERR_TRANSPORT_CLOSED', async () => {
    const { send } = await closing()
    await send()
    const headers = { 'Idempotency-Key': '' }
    await refusalOf(send({ method: 'POST', body: 'a', headers }), 'ERR_TRANSPORT_CLOSED')
  })

  test('a PUT whose body is a stream does not: ERR_TRANSPORT_CLOSED', async () => {
    const { send } = await closing()
    await send()
    async function* body() {
      yield Buffer.from('a')
    }
    await refusalOf(send({ method: 'PUT', body: body() as never }), 'ERR_TRANSPORT_CLOSED')
  })

  test('once and no more: ERR_TRANSPORT_CLOSED', async () => {
    const { send, heads } = await start({
      reply: (socket, request, connection) => (connection + request === 0 ? ok(socket) : socket.destroy()),
    })
    await send()
    expect((await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')).requestSent).toBe('maybe')
    expect(heads.length).toBe(3)
  })

  test('a second attempt that is refused says so, and leaves the doubt: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { send, setPolicy } = await closing((socket) => {
      setPolicy(new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone'))
      socket.destroy()
    })
    await send()
    const error = await refusalOf(send(), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect([error.requestSent, error.cause]).toEqual([
      'maybe',
      expect.objectContaining({ code: 'ERR_TRANSPORT_CLOSED' }),
    ])
  })

  test('so does one that meets somebody in the middle, with all that it saw: ERR_TRUST_PIN_MISMATCH', async () => {
    const { send, peer } = await closing((socket) => {
      peer.setIdentity(next)
      socket.destroy()
    })
    await send()
    const error = await refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')
    expect(error).toBeInstanceOf(TrustError)
    expect(error).toMatchObject({
      requestSent: 'maybe',
      findings: [{}],
      message: expect.stringContaining('may have arrived'),
    })
    expect((error as TrustError).chain[0]?.spki).toBe(next.pin)
  })

  test('a second attempt that finds no peer leaves the doubt: ERR_TRANSPORT_CLOSED', async () => {
    const { send, peer } = await closing((socket) => {
      void peer.close()
      socket.destroy()
    })
    await send()
    const error = await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect([error.requestSent, error.cause]).toEqual([
      'maybe',
      expect.objectContaining({ code: 'ERR_TRANSPORT_CONNECT' }),
    ])
  })

  test('F10: a new connection that closes is no such race: ERR_TRANSPORT_CLOSED', async () => {
    const { send, heads } = await start({ reply: (socket) => socket.destroy() })
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect(heads.length).toBe(1)
  })

  test('a response that has begun is not asked for again: ERR_TRANSPORT_CLOSED', async () => {
    const { send, heads } = await closing((socket) => socket.end('HTTP/1.1 200'))
    await send()
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect(heads.length).toBe(2)
  })

  test('F29: connections that end between two requests cost nothing', async () => {
    const { send, peer } = await start({ reply: (socket) => socket.end(OK) })
    for (let round = 0; round < 10; round += 1) expect((await send({ method: 'POST', body: 'a' })).status).toBe(200)
    expect(peer.connections.length).toBe(10)
  })

  test('F09: one that closes right after the handshake is tried again, and then given up: ERR_TRANSPORT_CLOSED', async () => {
    const { send, peer } = await start({ onConnect: (socket) => socket.destroy() })
    await refusalOf(send(), 'ERR_TRANSPORT_CLOSED')
    expect(peer.connections.length).toBeLessThanOrEqual(3)
  })
})

describe('requests wait for a connection, not with one', () => {
  test('64 callers, 4 connections: each is served, one after the other', async () => {
    const { send, peer } = await start({ connections: 4 })
    const answers = await Promise.all(Array.from({ length: 64 }, () => send()))
    expect(answers).toEqual(Array(64).fill({ status: 200, text: 'ok' }))
    expect(peer.connections.length).toBe(4)
  })

  test('one after the other shares one connection', async () => {
    const { send, peer } = await start()
    for (let round = 0; round < 20; round += 1) await send()
    expect(peer.connections.length).toBe(1)
  })

  test('those who wait when the policy changes are judged by the new one, and no caller notices', async () => {
    const sockets: TLSSocket[] = []
    const { send, setPolicy, heads, peer } = await start({
      connections: 2,
      reply: (socket) => void sockets.push(socket),
    })
    const calls = Array.from({ length: 20 }, () => send())
    await vi.waitUntil(() => heads.length === 2, 10_000)
    peer.setIdentity([next])
    setPolicy([next.pin])
    const served = setInterval(() => sockets.splice(0).forEach((socket) => void socket.write(OK)), 5)
    expect(await Promise.all(calls)).toEqual(Array(20).fill({ status: 200, text: 'ok' }))
    clearInterval(served)
    expect(heads.length).toBe(20)
    const [, , third] = peer.connections
    expect(third).toBeDefined()
  })

  test('those who wait where no policy is left are told why: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { send, setPolicy, heads } = await start({ connections: 1, reply: () => undefined })
    const [first, second] = [send(), send()]
    await vi.waitUntil(() => heads.length === 1, 10_000)
    const refused = refusalOf(second, 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    first.catch(() => undefined)
    setPolicy(new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone'))
    expect((await refused).requestSent).toBe('no')
  })

  test('a wrong argument costs no connection', async () => {
    const { send, peer } = await start()
    await send()
    for (let round = 0; round < 5; round += 1) {
      await expect(send({ headers: { 'transfer-encoding': 'chunked' } })).rejects.toMatchObject({
        code: 'UND_ERR_INVALID_ARG',
      })
    }
    await send()
    expect(peer.connections.length).toBe(1)
  })

  test('nothing is left of an origin without connections', async () => {
    const { send, dispatcher, peer } = await start()
    await send()
    expect(dispatcher.origins).toBe(1)
    peer.destroyConnections()
    await expect.poll(() => dispatcher.origins).toBe(0)
  })
})

describe('limits.connectionAgeMs', () => {
  const aged = async (limits = {}, policy = {}) => {
    const runtime = createTestRuntime({ now: Date.now() })
    return { ...(await start({ runtime, limits, policy })), runtime }
  }

  test('an older connection gets no further request; a younger one does', async () => {
    const { send, runtime, peer } = await aged()
    await send()
    await runtime.advance(0.89 * 600_000)
    await send()
    expect(peer.connections.length).toBe(1)
    await runtime.advance(0.22 * 600_000)
    await send()
    expect(peer.connections.length).toBe(2)
  })

  test('sleep counts, by the wall clock', async () => {
    const { send, runtime, peer } = await aged()
    await send()
    runtime.setWall(runtime.clock.now() + 700_000)
    await send()
    expect(peer.connections.length).toBe(2)
  })

  test('a clock that is set back does not make it younger', async () => {
    const { send, runtime, peer } = await aged()
    await send()
    runtime.setWall(runtime.clock.now() - 300_000)
    await runtime.advance(700_000)
    await send()
    expect(peer.connections.length).toBe(2)
  })

  test('maxConnectionAge of the manifest tightens it, and is not exceeded', async () => {
    const { send, runtime, peer } = await aged({}, { maxConnectionAgeMs: 60_000 })
    await send()
    await runtime.advance(0.89 * 60_000)
    await send()
    expect(peer.connections.length).toBe(1)
    await runtime.advance(0.12 * 60_000)
    await send()
    expect(peer.connections.length).toBe(2)
  })

  test('under load connections made together end apart, and nothing is lost', async () => {
    const { send, runtime, peer } = await aged({ connectionAgeMs: 10_000 })
    const statuses: number[] = []
    let isDone = false
    const lane = async (): Promise<void> => {
      for (let round = 0; round < 30; round += 1) statuses.push((await send({ method: 'POST', body: 'a' })).status)
    }
    const work = Promise.all(Array.from({ length: 16 }, lane)).finally(() => {
      isDone = true
    })
    for (let round = 0; !isDone; await new Promise((resolve) => setImmediate(resolve))) {
      if (statuses.length < round * 16) continue
      round += 1
      await runtime.advance(1_000) // as the work goes on, so that 30 seconds pass on a machine of any speed
    }
    await work
    expect(statuses).toEqual(Array(480).fill(200))
    expect(peer.connections.length).toBeGreaterThan(16)
  })
})

describe('F64: close() and destroy()', () => {
  const silent = async () => {
    const server = createServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    return { port, close: () => server.close() }
  }

  test('close() lets what was begun finish: 0 failures', async () => {
    const sockets: TLSSocket[] = []
    const { send, dispatcher, heads } = await start({ reply: (socket) => void sockets.push(socket) })
    const calls = [send(), send()]
    await vi.waitUntil(() => heads.length === 2, 10_000)
    const closed = dispatcher.close()
    await refusalOf(
      Promise.resolve().then(() => send()),
      'ERR_TRANSPORT_CLIENT_CLOSED',
    )
    for (const socket of sockets) socket.write(OK)
    expect(await Promise.all(calls)).toEqual(Array(2).fill({ status: 200, text: 'ok' }))
    await closed
  })

  test('close() waits for a handshake for a moment only: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const stalled = await silent()
    const { dispatcher } = await start({ runtime })
    const request = dispatcher.request({ origin: `https://127.0.0.1:${stalled.port}`, path: '/', method: 'GET' })
    const refused = refusalOf(request, 'ERR_TRANSPORT_CLIENT_CLOSED')
    const closed = dispatcher.close()
    await runtime.advance(999)
    expect((await refused).requestSent).toBe('no')
    await closed
    expect(runtime.pendingTimers).toBe(0)
    stalled.close()
  })

  test('close() ends an event stream, which would never end: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { dispatcher, url } = await start({
      reply: (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: \n\n'),
    })
    const { body } = await dispatcher.request({ origin: url, path: '/', method: 'GET' })
    const text = refusalOf(body.text(), 'ERR_TRANSPORT_CLIENT_CLOSED')
    await dispatcher.close()
    expect((await text).requestSent).toBe('yes')
  })

  test('close() ends what goes on after half a minute: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { send, dispatcher, heads } = await start({
      runtime,
      reply: () => undefined,
      timeouts: { totalMs: 600_000, headersMs: 600_000 },
    })
    const call = refusalOf(send(), 'ERR_TRANSPORT_CLIENT_CLOSED')
    await vi.waitUntil(() => heads.length === 1, 10_000)
    const closed = dispatcher.close()
    await runtime.advance(30_000)
    expect((await call).requestSent).toBe('maybe')
    await closed
  })

  test('destroy() cuts everything at once: ERR_TRANSPORT_CLIENT_CLOSED with the reason', async () => {
    const stalled = await silent()
    const { send, dispatcher, heads } = await start({ connections: 1, reply: () => undefined })
    const calls = [
      send(),
      send(),
      dispatcher.request({ origin: `https://127.0.0.1:${stalled.port}`, path: '/', method: 'GET' }),
    ]
    const refusals = calls.map((call) => refusalOf(call, 'ERR_TRANSPORT_CLIENT_CLOSED'))
    await vi.waitUntil(() => heads.length === 1, 10_000)
    const reason = new Error('shutting down')
    await dispatcher.destroy(reason)
    const errors = await Promise.all(refusals)
    expect(errors.map(({ requestSent, cause }) => [requestSent, cause])).toEqual([
      ['maybe', reason],
      ['no', reason],
      ['no', reason],
    ])
    expect(dispatcher.origins).toBe(0)
    stalled.close()
  })
})

describe.each<[string, (socket: TLSSocket, request: number) => void]>([
  ['before it was written', (socket) => socket.end(OK)], // says keep-alive, and closes
  ['as it was written, which is repeated', (socket, request) => (request === 0 ? ok(socket) : socket.destroy())],
])('a request whose connection ended %s, now on another', (_, reply) => {
  const moved = async (evidence?: Evidence) => {
    let isWaiting = false // for an answer, on the second connection
    const stage = await start({
      reply: (socket, request, connection) => {
        if (connection === 0) reply(socket, request)
        else isWaiting = true
      },
      ...(evidence === undefined ? {} : { evidence }),
    })
    await stage.send()
    const call = stage.send()
    call.catch(() => undefined)
    await vi.waitUntil(() => isWaiting, 10_000)
    expect(stage.peer.connections.length).toBe(2)
    return { ...stage, call }
  }

  test('is known to the dispatcher, and cut when its peer is denied: ERR_TRUST_PIN_DENIED', async () => {
    const { dispatcher, call, setPolicy } = await moved()
    expect(dispatcher.origins).toBe(1)
    setPolicy([next.pin], { denies: [{ spki: server.pin, reason: 'leaked' }] })
    await refusalOf(call, 'ERR_TRUST_PIN_DENIED')
  })

  test('is cut when its certificate turns out to be revoked: ERR_TRUST_CERT_REVOKED', async () => {
    const answers: { status: 'revoked'; revokedAt: number; thisUpdate: number; validUntil: number }[] = []
    const source = { version: 1, crls: () => answers, ocspResponses: () => [] }
    const { dispatcher, call } = await moved({ source, want: () => undefined, gather: async () => undefined })
    answers.push({ status: 'revoked', revokedAt: 0, thisUpdate: 0, validUntil: Number.POSITIVE_INFINITY })
    source.version += 1
    dispatcher.evidenceChanged()
    await refusalOf(call, 'ERR_TRUST_CERT_REVOKED')
  })

  test('is ended by destroy(): ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { dispatcher, call } = await moved()
    await dispatcher.destroy()
    await refusalOf(call, 'ERR_TRANSPORT_CLIENT_CLOSED')
    expect(dispatcher.origins).toBe(0)
  })
})

test('a caller who aborts a request frees its place for the next', async () => {
  const { send, heads } = await start({
    connections: 1,
    reply: (socket, _, connection) => (connection === 0 ? undefined : ok(socket)),
  })
  const controller = new AbortController()
  const first = send({ signal: controller.signal })
  const second = send()
  await vi.waitUntil(() => heads.length === 1, 10_000)
  controller.abort()
  await expect(first).rejects.toMatchObject({ name: 'AbortError' })
  expect(await second).toEqual({ status: 200, text: 'ok' })
})

test('callers who give up in line take no connection along', async () => {
  const held: TLSSocket[] = []
  const { send, peer, heads } = await start({ connections: 1, reply: (socket) => void held.push(socket) })
  const first = send()
  await vi.waitUntil(() => heads.length === 1, 10_000)
  const controller = new AbortController()
  const impatient = Array.from({ length: 20 }, () => send({ signal: controller.signal }))
  const patient = send()
  controller.abort()
  for (const call of impatient) await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  for (const socket of held) ok(socket)
  expect(await first).toEqual({ status: 200, text: 'ok' })
  await vi.waitUntil(() => heads.length === 2, 10_000)
  for (const socket of held.slice(1)) ok(socket)
  expect(await patient).toEqual({ status: 200, text: 'ok' })
  expect([peer.connections.length, heads.length]).toEqual([1, 2])
})

test('a caller who gives up before the first byte leaves the connection to the next', async () => {
  const { send, peer, heads } = await start()
  await send()
  const controller = new AbortController()
  const call = send({ signal: controller.signal })
  controller.abort()
  await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  await send()
  expect([peer.connections.length, heads.length]).toEqual([1, 2])
})

describe('when no policy covers an origin any longer', () => {
  const gone = new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone')

  test('a handler that throws keeps the requests to other origins from nothing: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { url, origin, dispatcher, send, setPolicy } = await start()
    const thrown: unknown[] = []
    const problem = new Error('of the handler')
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error))
    onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null))
    const handler = {
      onConnect: () => undefined,
      onError: () => {
        throw problem
      },
    }
    dispatcher.dispatch({ origin: url, path: '/', method: 'GET' }, handler as never)
    const other = refusalOf(send({ origin: `https://b.${origin.text}` }), gone.code)
    expect(() => setPolicy(gone)).not.toThrow()
    await other
    await expect.poll(() => thrown).toEqual([problem])
  })

  test('a connection that is on its way goes no further: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { dispatcher, send, setPolicy, peer } = await start()
    const sent = refusalOf(send(), gone.code)
    await Promise.resolve()
    expect(dispatcher.origins).toBe(1)
    setPolicy(gone)
    expect(dispatcher.origins).toBe(0)
    await sent
    setPolicy([server.pin])
    expect((await send()).status).toBe(200)
    expect(peer.connections.length).toBe(1)
  })
})

describe.each([['revocation.checked'], ['tls.handshake']])('a listener of %s changes the policy', (type) => {
  const changing = async (change: (stage: Awaited<ReturnType<typeof start>>) => void) => {
    let isTold = false
    const stage = await start({
      hasListeners: () => true,
      onEvent: (event) => {
        if (event.type !== type || isTold) return
        isTold = true
        change(stage)
      },
    })
    return stage
  }

  test('to other pins, and no request goes over the new connection: ERR_TRUST_PIN_MISMATCH', async () => {
    const { send, heads } = await changing(({ setPolicy }) => setPolicy([next.pin]))
    await refusalOf(send(), 'ERR_TRUST_PIN_MISMATCH')
    expect(heads).toEqual([])
  })

  test('to none, and the new connection is not lent: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { dispatcher, origin } = await changing(({ endPolicy }) => endPolicy())
    await refusalOf(dispatcher.lent.lend(origin), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
  })

  test('the control: to one that has the same pin', async () => {
    const { send } = await changing(({ setPolicy }) => setPolicy([server.pin]))
    expect((await send()).status).toBe(200)
  })
})

test('after a response of HTTP/1.0, whoever waits for the connection is sent over another one', async () => {
  const answer = (socket: TLSSocket): void => void socket.write('HTTP/1.0 200 Fine\r\ncontent-length: 2\r\n\r\nok')
  const { send, heads, peer } = await start({ connections: 1, reply: (socket) => void setTimeout(answer, 20, socket) })
  const all = await Promise.all(Array.from({ length: 3 }, () => send({ method: 'POST', body: '' })))
  expect(all.map(({ status }) => status)).toEqual([200, 200, 200])
  expect([heads.length, peer.connections.length]).toEqual([3, 3])
})
