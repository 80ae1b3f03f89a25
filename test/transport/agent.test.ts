/** The agent of node:https against its own callers: what is changed late, what waits, and what ends meanwhile. */
import { getEventListeners, once } from 'node:events'
import type { ClientRequest } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { PolicyError, TrustError } from '../../src/errors/errors.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { PinnedAgent } from '../../src/transport/agent.ts'
import { refusalOf } from '../support/client.ts'
import { next, OK, server, start } from './raw-stage.ts'

type Stage = Awaited<ReturnType<typeof start>>

const agentOf = ({ dispatcher }: Stage, onlyGet = false): PinnedAgent =>
  new PinnedAgent({
    lent: dispatcher.lent,
    runtime: systemRuntime,
    gate: () => undefined,
    egress: onlyGet
      ? ({ text }, method, path) => {
          if (method !== 'GET' || path !== '/') throw new PolicyError('ERR_POLICY_REQUEST_DENIED', text, { host: text })
        }
      : undefined,
  })

function answerTo(sent: ClientRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject).once('response', async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(text)
    })
  })
}

const get = (agent: PinnedAgent, url: string, options: RequestOptions = {}): Promise<string> => {
  const sent = request(`${url}/`, { agent, ...options })
  const answer = answerTo(sent)
  sent.end()
  return answer
}

/** A stage that answers when it is told to. */
async function startPatient() {
  const answers: (() => void)[] = []
  const stage = await start({ reply: (socket) => void answers.push(() => socket.write(OK)) })
  return { stage, answers }
}

describe('what a caller changes late', () => {
  const late: readonly [
    string,
    (sent: ClientRequest) => void,
    'ERR_POLICY_HOST_HEADER' | 'ERR_POLICY_REQUEST_DENIED',
  ][] = [
    ['the Host field', (sent) => sent.setHeader('host', 'other.example'), 'ERR_POLICY_HOST_HEADER'],
    [
      'the target, to one with a host',
      (sent) => void Object.assign(sent, { path: 'https://other.example/' }),
      'ERR_POLICY_HOST_HEADER',
    ],
    [
      'the target, to one that may not leave',
      (sent) => void Object.assign(sent, { path: '/admin' }),
      'ERR_POLICY_REQUEST_DENIED',
    ],
    ['the method', (sent) => void Object.assign(sent, { method: 'DELETE' }), 'ERR_POLICY_REQUEST_DENIED'],
  ]
  test.each(late)('%s, when there is a connection already: refused, nothing is written', async (_, change, code) => {
    const stage = await start()
    const sent = request(`${stage.url}/`, { agent: agentOf(stage, true) })
    const answer = answerTo(sent)
    sent.once('socket', () => {
      change(sent)
      sent.end()
    })
    await refusalOf(answer, code)
    expect(stage.heads).toEqual([])
  })

  test('the control: another field', async () => {
    const stage = await start()
    const sent = request(`${stage.url}/`, { agent: agentOf(stage, true) })
    const answer = answerTo(sent)
    sent.once('socket', () => {
      sent.setHeader('x-late', '1')
      sent.end()
    })
    expect(await answer).toBe('ok')
    expect(stage.heads[0]).toContain('x-late: 1')
  })

  test.each<[string, (own: string) => RequestOptions]>([
    ['two Host fields', (own) => ({ headers: ['Host', own, 'Host', 'other.example'] as never })],
    ['no Host field', () => ({ setHost: false })],
  ])('%s: ERR_POLICY_HOST_HEADER', async (_, options) => {
    const stage = await start()
    await refusalOf(get(agentOf(stage), stage.url, options(stage.origin.text)), 'ERR_POLICY_HOST_HEADER')
    expect(stage.heads).toEqual([])
  })

  test('an option of the agent that says what is trusted: ERR_CONFIG_INVALID', async () => {
    const stage = await start()
    const agent = agentOf(stage)
    agent.options.rejectUnauthorized = false
    await refusalOf(get(agent, stage.url), 'ERR_CONFIG_INVALID')
    expect(stage.peer.connections.length).toBe(0)
  })

  test('an option of the agent that says where requests go: that is what egress is asked', async () => {
    const stage = await start()
    const asked: string[] = []
    const egress = ({ host }: { readonly host: string }): never => {
      asked.push(host)
      throw new PolicyError('ERR_POLICY_ORIGIN_DENIED', host, { host })
    }
    const agent = new PinnedAgent({
      lent: stage.dispatcher.lent,
      runtime: systemRuntime,
      gate: () => undefined,
      egress,
    })
    Object.assign(agent.options, { host: 'other.example' })
    await refusalOf(get(agent, stage.url), 'ERR_POLICY_ORIGIN_DENIED')
    expect(asked).toEqual(['other.example'])
  })
})

describe('when the policy changes', () => {
  test('in the moment between connection and request, that is refused: ERR_TRUST_PIN_MISMATCH', async () => {
    const stage = await start()
    const sent = request(`${stage.url}/`, { agent: agentOf(stage) })
    sent.prependListener('socket', () => stage.setPolicy([next.pin]))
    const answer = answerTo(sent)
    sent.end()
    await refusalOf(answer, 'ERR_TRUST_PIN_MISMATCH')
    expect(stage.heads).toEqual([])
  })

  test('by the clock alone, an idle connection gets no request: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const stage = await start()
    const agent = agentOf(stage)
    const free = once(agent, 'free')
    expect(await get(agent, stage.url)).toBe('ok')
    await free
    stage.endPolicy()
    await refusalOf(get(agent, stage.url), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect(stage.heads.length).toBe(1)
  })

  test('all that wait for one connection are refused, not the first alone: ERR_TRUST_PIN_MISMATCH', async () => {
    const { stage, answers } = await startPatient()
    const agent = agentOf(stage)
    agent.maxSockets = 1
    const inFlight = get(agent, stage.url)
    await expect.poll(() => answers.length).toBe(1)
    const waiting = [1, 2, 3].map(() => refusalOf(get(agent, stage.url), 'ERR_TRUST_PIN_MISMATCH'))
    stage.setPolicy([next.pin])
    answers[0]?.()
    expect(await inFlight).toBe('ok')
    await Promise.all(waiting)
    expect([stage.heads.length, Object.keys(agent.requests)]).toEqual([1, []])
  })
})

test.each([
  ['1.3', { code: 'ERR_TLS_VERSION' }],
  ['1.2', undefined],
] as const)(
  'options for tls.connect from when TLS 1.2 was allowed, and now it is %s: %o',
  async (minTlsVersion, expected) => {
    const stage = await start({ policy: { minTlsVersion: '1.2' }, maxVersion: 'TLSv1.2' })
    const options = stage.dispatcher.tlsOptions(stage.origin)
    stage.setPolicy([server.pin], { minTlsVersion })
    const socket = connectTls({ ...options, host: '127.0.0.1' })
    const outcome = await Promise.race([once(socket, 'error'), once(socket, 'secureConnect')])
    if (expected === undefined) expect(socket.authorized).toBe(true)
    else expect(outcome[0]).toMatchObject(expected)
    socket.destroy()
  },
)

describe('a connection that waits for a request', () => {
  const twice = async (whileIdle: (socket: TLSSocket) => void): Promise<number[]> => {
    const carriers: number[] = []
    let idle: TLSSocket | undefined
    const stage = await start({
      reply: (socket, _, connection) => {
        idle ??= socket
        carriers.push(connection)
        socket.write(OK)
      },
    })
    const agent = agentOf(stage)
    const free = once(agent, 'free')
    expect(await get(agent, stage.url)).toBe('ok')
    const [kept] = (await free) as [TLSSocket]
    const before = kept.bytesRead
    if (idle !== undefined) whileIdle(idle)
    const hasCome = (): boolean => kept.destroyed || kept.bytesRead > before
    if (whileIdle !== silent) await expect.poll(hasCome, { timeout: 20_000 }).toBe(true)
    expect(await get(agent, stage.url)).toBe('ok')
    return carriers
  }
  const silent = (): void => undefined

  test('and over which something comes, gets none: the next one goes over another', async () => {
    const [first, second] = await twice((socket) => void socket.write('HTTP/1.1 200 OK\r\n'))
    expect(second).not.toBe(first)
  })

  test('the control: nothing comes, and it carries the next one', async () => {
    const [first, second] = await twice(silent)
    expect(second).toBe(first)
  })
})

describe('what nobody waits for any longer', () => {
  test('requests aborted while their connections are made leave none that the agent does not own', async () => {
    const stage = await start()
    const agent = agentOf(stage)
    for (let at = 0; at < 100; at += 1) {
      const sent = request(`${stage.url}/`, { agent }).on('error', () => undefined)
      sent.end()
      sent.destroy()
    }
    const isMade = ({ type }: { readonly type: string }): boolean => type === 'revocation.checked'
    await expect.poll(() => stage.events.filter(isMade).length, { timeout: 20_000 }).toBe(100)
    await expect.poll(() => [agent.sockets, agent.requests].flatMap(Object.keys), { timeout: 20_000 }).toEqual([])
    agent.destroy() // Node 26 keeps them for other requests
    await expect
      .poll(() => stage.peer.connections.every(({ socket }) => socket.destroyed), { timeout: 20_000 })
      .toBe(true)
    expect(stage.heads).toEqual([])
  })

  test('a refusal before any packet leaves no listener at the signal of its caller', async () => {
    const stage = await start()
    const { signal } = new AbortController()
    stage.setPolicy(new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'gone'))
    await refusalOf(stage.dispatcher.lent.lend(stage.origin, { signal }), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('a connection that is on its way when the client closes is not lent: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const stage = await start()
    const lending = stage.dispatcher.lent.lend(stage.origin)
    const closed = stage.dispatcher.close()
    await refusalOf(lending as Promise<TLSSocket>, 'ERR_TRANSPORT_CLIENT_CLOSED')
    await closed
  })
})
