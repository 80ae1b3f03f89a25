/** What others do with what they are lent: late, again, beyond what egress allows, and after the client is closed. */
import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Client, ClientOptions } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { request as undiciRequest } from 'undici'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startScene } from '../support/scene.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })

const clientWith = (options: Partial<ClientOptions> = {}): Client =>
  testClient({ pins: { [HOST]: [pinned.pin] }, anchors: ca.anchorPem, ...options })

describe('client.tlsOptions', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: an agent of node:https that keeps sessions resumes none',
    async (version) => {
      const scene = await startScene(pinned, { minVersion: version, maxVersion: version })
      const client = clientWith({ tls12Hosts: [allowTls12(HOST, { reason: 'both versions are tested' })] })
      const options = client.tlsOptions(scene.url(HOST))
      let verdicts = 0
      const agent = new Agent({
        ...options,
        host: '127.0.0.1',
        checkServerIdentity: (...given) => {
          verdicts += 1
          return options.checkServerIdentity(...given)
        },
      })
      for (let round = 0; round < 2; round += 1) {
        const sent = request(scene.url(HOST), { agent }).end()
        const [response] = await once(sent, 'response')
        for await (const _ of response);
        await once(response.socket, 'close')
      }
      expect(verdicts).toBe(2)
    },
  )

  test('the name is resolved by the client, and a denied address gets no packet: ERR_POLICY_ADDRESS_DENIED', async () => {
    const scene = await startScene(pinned)
    const answers = [['127.0.0.1'], ['::ffff:127.0.0.1'], ['127.0.0.1']]
    const resolver = async () => answers.shift() ?? []
    const connect = (addresses: ClientOptions['addresses']) =>
      connectTls(clientWith({ resolver, ...(addresses && { addresses }) }).tlsOptions(scene.url(HOST)))
    for (let round = 0; round < 2; round += 1) {
      const refused = connect({ private: 'refuse' })
      expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ERR_POLICY_ADDRESS_DENIED' })
    }
    const socket = connect(undefined) // the control
    await once(socket, 'secureConnect')
    socket.destroy()
    expect(scene.relay.connections.length).toBe(1)
  })

  test('a target that is itself such an address is refused at once: ERR_POLICY_ADDRESS_DENIED', () => {
    const options = { pins: { '127.0.0.66': [pinned.pin] }, addresses: { deny: ['127.0.0.66/32'] } }
    const target = { host: '127.0.0.66', port: 443 }
    const denied = expect.objectContaining({ code: 'ERR_POLICY_ADDRESS_DENIED' })
    expect(() => clientWith(options).tlsOptions(target)).toThrow(denied)
    expect(clientWith({ ...options, addresses: {} }).tlsOptions(target)).toMatchObject(target)
  })

  test('options that were made before the client was contained lead nowhere: ERR_POLICY_CONTAINED', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    const options = client.tlsOptions(scene.url(HOST))
    client.contain('*', 'an incident')
    expect((await once(connectTls(options), 'error'))[0]).toMatchObject({ code: 'ERR_POLICY_CONTAINED' })
    expect(scene.relay.connections.length).toBe(0)
  })

  test('connections come from localAddress', async () => {
    const seen: unknown[] = []
    const onSocket = (socket: TLSSocket): void => void seen.push(socket.remoteAddress)
    const peer = await until(startTlsServer({ identity: pinned, onSocket }))
    const target = { host: HOST, port: peer.port }
    const socket = connectTls(clientWith({ localAddress: '127.0.0.9' }).tlsOptions(target))
    await once(socket, 'secureConnect')
    await expect.poll(() => seen).toEqual(['127.0.0.9'])
    socket.destroy()
  })

  test('options of a client that is closed accept nobody: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const scene = await startScene(pinned)
    const client = clientWith()
    const options = client.tlsOptions(scene.url(HOST))
    await client.close()
    const socket = connectTls({ ...options, host: '127.0.0.1' })
    expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' })
    expect(scene.peer.applicationBytes).toBe(0)
  })
})

describe('egress and connections in other hands', () => {
  const refused: readonly [
    string,
    ClientOptions['egress'],
    'ERR_POLICY_ORIGIN_DENIED' | 'ERR_POLICY_REQUEST_DENIED',
  ][] = [
    ['another origin', [{ origins: ['other.example:*'] }], 'ERR_POLICY_ORIGIN_DENIED'],
    ['some methods', [{ origins: ['api.example:*'], methods: ['GET'] }], 'ERR_POLICY_REQUEST_DENIED'],
    ['some paths', [{ origins: ['api.example:*'], paths: ['/v1/*'] }], 'ERR_POLICY_REQUEST_DENIED'],
  ]
  test.each(refused)(
    'a rule for %s alone: connect and tlsOptions are refused, no connection',
    async (_, egress, code) => {
      const scene = await startScene(pinned)
      const client = clientWith({ egress: egress as never })
      await refusalOf(client.connect(scene.url(HOST)), code)
      expect(() => client.tlsOptions(scene.url(HOST))).toThrow(expect.objectContaining({ code }))
      expect(scene.relay.connections.length).toBe(0)
    },
  )

  test.each([undefined, ['CONNECT']])('the control: methods %s', async (methods) => {
    const scene = await startScene(pinned)
    const rule = { origins: ['api.example:*' as const], ...(methods === undefined ? {} : { methods }) }
    const socket = await clientWith({ egress: [rule] }).connect(scene.url(HOST))
    expect(socket.authorized).toBe(true)
    socket.destroy()
  })
})

describe('client.dispatcher', () => {
  const startCold = async () => {
    const scene = await startScene(pinned)
    let answer = (_: Error): void => undefined
    const certificate = {
      load: () => new Promise<never>((_, reject) => (answer = reject)),
    }
    const client = clientWith({ certificate })
    return { scene, client, open: () => answer(new Error('none')) }
  }

  test('destroyed while a request waits for the client to be ready: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { scene, client, open } = await startCold()
    const waiting = undiciRequest(scene.url(HOST), { dispatcher: client.dispatcher })
    await client.dispatcher.destroy()
    open()
    await refusalOf(waiting, 'ERR_TRANSPORT_CLIENT_CLOSED')
    expect(scene.relay.connections.length).toBe(0)
  })
})

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['a host that is no text', { host: 5, port: 443 }],
])('client.connect to %s: ERR_CONFIG_URL', async (_, target) => {
  await refusalOf(clientWith().connect(target as string), 'ERR_CONFIG_URL')
})
