import { once } from 'node:events'
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { TrustError } from '../../src/errors/errors.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { PinnedAgent } from '../../src/transport/agent.ts'
import { refusalOf } from '../support/client.ts'
import { next, server, start } from './raw-stage.ts'

const DENIED = { denies: [{ spki: server.pin, reason: 'leaked' }] }

describe('a connection in other hands, when the policy changes', () => {
  test('is judged again, and goes on where the peer is still trusted', async () => {
    const { dispatcher, origin, setPolicy } = await start()
    const socket = await dispatcher.lent.lend(origin)
    setPolicy([next.pin, server.pin])
    expect([socket.destroyed, dispatcher.lent.isCurrent(socket)]).toEqual([false, true])
  })

  test('ends in that tick where its pin is gone: ERR_TRUST_PIN_MISMATCH', async () => {
    const { dispatcher, origin, setPolicy, events } = await start()
    const socket = await dispatcher.lent.lend(origin)
    const failed = once(socket, 'error')
    setPolicy([next.pin])
    expect(socket.destroyed).toBe(true)
    expect((await failed)[0]).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH', requestSent: 'maybe' })
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'tls.retired', connections: 1, code: 'ERR_TRUST_PIN_MISMATCH' }),
    )
  })

  test('ends in that tick where nothing covers its host any longer: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { dispatcher, origin, setPolicy } = await start()
    const socket = await dispatcher.lent.lend(origin)
    const failed = once(socket, 'error')
    setPolicy(new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone'))
    expect((await failed)[0]).toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST' })
  })

  test('one that is not lent by then gets no connection: ERR_TRUST_PIN_MISMATCH', async () => {
    const { dispatcher, origin, setPolicy } = await start()
    const lending = dispatcher.lent.lend(origin)
    setPolicy([next.pin])
    await refusalOf(lending, 'ERR_TRUST_PIN_MISMATCH')
  })

  test('what its borrower can finish is the borrower’s, unless the key has leaked: ERR_TRUST_PIN_DENIED', async () => {
    const { dispatcher, origin, setPolicy } = await start()
    const refusals: string[] = []
    const socket = await dispatcher.lent.lend(origin, { onRefused: (_, { code }) => refusals.push(code) })
    setPolicy([next.pin])
    expect([socket.destroyed, dispatcher.lent.isCurrent(socket), refusals]).toEqual([
      false,
      false,
      ['ERR_TRUST_PIN_MISMATCH'],
    ])
    const failed = once(socket, 'error')
    setPolicy([next.pin], DENIED)
    expect((await failed)[0]).toMatchObject({ code: 'ERR_TRUST_PIN_DENIED' })
  })

  test('a pin that comes back makes no retired one current', async () => {
    const { dispatcher, origin, setPolicy } = await start()
    const socket = await dispatcher.lent.lend(origin, { onRefused: () => undefined })
    setPolicy([next.pin])
    setPolicy([server.pin])
    expect(dispatcher.lent.isCurrent(socket)).toBe(false)
  })
})

test('one that has got too old gets nothing new', async () => {
  const runtime = createTestRuntime({ now: Date.now() })
  const { dispatcher, origin } = await start({ runtime, limits: { connectionAgeMs: 60_000 } })
  const socket = await dispatcher.lent.lend(origin)
  expect(dispatcher.lent.isCurrent(socket)).toBe(true)
  await runtime.advance(67_000) // a tenth more, for the lot
  expect(dispatcher.lent.isCurrent(socket)).toBe(false)
})

test('a socket that is nobody’s is not current', async () => {
  const { dispatcher } = await start()
  expect(dispatcher.lent.isCurrent({} as TLSSocket)).toBe(false)
})

describe('the agent of node:https', () => {
  const get = (agent: PinnedAgent, url: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const lookup = { agent }
      request(`${url}/`, lookup, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve(text)
      })
        .once('error', reject)
        .end()
    })
  const agentOf = ({ dispatcher }: Awaited<ReturnType<typeof start>>): PinnedAgent =>
    new PinnedAgent({ lent: dispatcher.lent, runtime: systemRuntime, gate: () => undefined, egress: undefined })

  test('an idle connection whose pin is gone is closed, and the next request refused: ERR_TRUST_PIN_MISMATCH', async () => {
    const stage = await start()
    const agent = agentOf(stage)
    const free = once(agent, 'free')
    expect(await get(agent, stage.url)).toBe('ok')
    const [socket] = (await free) as [TLSSocket]
    stage.setPolicy([next.pin])
    expect(socket.destroyed).toBe(true)
    await refusalOf(get(agent, stage.url), 'ERR_TRUST_PIN_MISMATCH')
    expect(stage.heads.length).toBe(1)
  })

  test('a request in flight is finished, and its connection gets no other', async () => {
    let answer = (): void => undefined
    const stage = await start({
      reply: (socket) => {
        answer = () => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      },
    })
    const agent = agentOf(stage)
    const inFlight = get(agent, stage.url)
    await expect.poll(() => stage.heads.length).toBe(1)
    stage.setPolicy([next.pin])
    answer()
    expect(await inFlight).toBe('ok')
    await expect.poll(() => Object.keys(agent.sockets).length + Object.keys(agent.freeSockets).length).toBe(0)
    await refusalOf(get(agent, stage.url), 'ERR_TRUST_PIN_MISMATCH')
    expect(stage.heads.length).toBe(1)
  })

  test('so do those that wait for its connection: ERR_TRUST_PIN_MISMATCH', async () => {
    let answer = (): void => undefined
    const stage = await start({
      reply: (socket) => {
        answer = () => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      },
    })
    const agent = agentOf(stage)
    agent.maxSockets = 1
    const inFlight = get(agent, stage.url)
    await expect.poll(() => stage.heads.length).toBe(1)
    const waiting = refusalOf(get(agent, stage.url), 'ERR_TRUST_PIN_MISMATCH')
    stage.setPolicy([next.pin])
    answer()
    expect(await inFlight).toBe('ok')
    await waiting
    expect(stage.heads.length).toBe(1)
  })

  test('a request in flight to a key that has leaked ends in that tick: ERR_TRUST_PIN_DENIED', async () => {
    const stage = await start({ reply: () => undefined })
    const agent = agentOf(stage)
    const inFlight = get(agent, stage.url)
    await expect.poll(() => stage.heads.length).toBe(1)
    stage.setPolicy([server.pin, next.pin], DENIED)
    await refusalOf(inFlight, 'ERR_TRUST_PIN_DENIED')
  })

  test('rotations that keep the key cost no request and no connection', async () => {
    const stage = await start()
    const agent = agentOf(stage)
    for (let at = 0; at < 200; at += 1) {
      if (at % 20 === 0) stage.setPolicy(at % 40 === 0 ? [server.pin, next.pin] : [server.pin])
      expect(await get(agent, stage.url)).toBe('ok')
    }
    expect(stage.peer.connections.length).toBe(1)
  })
})
