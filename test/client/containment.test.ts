import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { type ClientOptions, concurrency } from 'pinfetch'
import {
  createTestRepository,
  createTestRuntime,
  extension,
  startProxy,
  startTlsServer,
  type TestHandler,
  type TestRepository,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type OAuthScheme, oauth } from '../../src/auth/index.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { API, answerJson, authStage, ca, identity, OTHER, oauthAt, PINS, SERVER } from '../support/auth-stage.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { refresh, settled } from '../support/scene.ts'

const CONTAINED = { code: 'ERR_POLICY_CONTAINED' }
const containedIn = (work: Promise<unknown>) => refusalOf(work, 'ERR_POLICY_CONTAINED')
const REASON = 'INC-7: the partner was broken into'

/** Answers at once, but `/slow` never and `/body` with half of a body. */
const handler: TestHandler = ({ path }, response) => {
  if (path === '/slow') return
  if (path !== '/body') return void response.end('ok')
  response.writeHead(200, { 'content-length': '10' }).write('half ')
}

async function stage(options: Partial<ClientOptions> = { pins: PINS }) {
  const api = await until(startTlsServer({ identity, handler }))
  const client = testClient({ anchors: ca.anchorPem, ...options })
  const events: ClientEvent[] = []
  for (const type of ['containment.begun', 'containment.ended', 'tls.retired'] as const)
    client.on(type, (event) => void events.push(event))
  const url = (path = '/', host: string = API) => `https://${host}:${api.port}${path}`
  return { api, client, events, url, scope: `${API}:${api.port}` }
}

const manifestOf = (repository: TestRepository) => ({
  ...{ root: repository.root, memoryOnly: true },
  custom: { get: async (path: string) => repository.files().get(path) },
})

/** The head of a request that the server leaves without an answer has arrived there. */
async function underWay({ api }: { readonly api: { readonly requests: readonly unknown[] } }, count: number) {
  await expect.poll(() => api.requests.length).toBe(count)
}

/** How often the event loop turned before all of them had ended. */
async function turnsUntil(ended: readonly Promise<unknown>[]): Promise<number> {
  let turns = 0
  const count = (): void => {
    turns += 1
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  await Promise.all(ended)
  clearImmediate(next)
  return turns
}

describe('what a containment ends, and what it lets go on', () => {
  test('requests, bodies, other clients’ requests and lent sockets of the origin end; another origin is served', async () => {
    const world = await stage()
    const { client, url, scope, events, api } = world
    const body = await client.fetch(url('/body'))
    const waiting = client.fetch(url('/slow'))
    const other = refusalOf(client.fetch(url('/slow', OTHER)), 'ERR_TRANSPORT_CLIENT_CLOSED')
    const overAgent = new Promise((_, reject) => https.get(url('/slow'), { agent: client.agent }).once('error', reject))
    const socket = await client.connect(url(), { protocols: ['http/1.1'] })
    await underWay(world, 4)
    const failures = [waiting, body.text(), overAgent, once(socket, 'data')].map(containedIn)

    const containment = client.contain(scope, REASON)
    await expect(waiting).rejects.toMatchObject({ ...CONTAINED, requestSent: 'maybe' })
    await Promise.all(failures)
    expect(client.health()).toMatchObject({ state: 'ready', contained: [{ scope, reason: REASON, by: 'call' }] })
    expect(events.find(({ type }) => type === 'containment.begun')).toMatchObject({
      scope,
      reason: REASON,
      requests: 1,
    })

    const [requests, connections] = [api.requests.length, api.connections]
    await expect(client.fetch(url())).rejects.toThrow(/contained, INC-7.*nothing was sent/)
    await expect(client.connect(url())).rejects.toMatchObject(CONTAINED)
    expect(() => client.tlsOptions(url()).checkServerIdentity).toThrow(/contained/)
    await expect(
      new Promise((resolve, reject) => https.get(url(), { agent: client.agent }, resolve).once('error', reject)),
    ).rejects.toMatchObject(CONTAINED)
    expect([api.requests.length, api.connections]).toEqual([requests, connections])
    expect((await client.fetch(url('/', OTHER))).status).toBe(200)

    expect(() => containment.release(' ')).toThrow(/what closed the reason/)
    await expect(client.fetch(url())).rejects.toMatchObject(CONTAINED)
    containment.release('INC-7: keys replaced')
    expect(events.at(-1)).toMatchObject({ type: 'containment.ended', scope, closedBecause: 'INC-7: keys replaced' })
    expect((await client.fetch(url())).status).toBe(200)
    expect(client.health().contained).toBeUndefined()
    await client.destroy()
    await other
  })

  test('all of it ends at once: no timer is waited for, and no more than one turn of the event loop', async () => {
    const world = await stage({ pins: PINS, runtime: createTestRuntime({ now: Date.now() }) }) // whose timers never run
    const { client, url, scope } = world
    const body = await client.fetch(url('/body'))
    const waiting = client.fetch(url('/slow'))
    const overAgent = new Promise((_, reject) => https.get(url('/slow'), { agent: client.agent }).once('error', reject))
    const socket = await client.connect(url(), { protocols: ['http/1.1'] })
    await underWay(world, 3)
    const turns = turnsUntil([waiting, body.text(), overAgent, once(socket, 'data')].map(containedIn))
    client.contain(scope, REASON)
    expect(await turns).toBeLessThanOrEqual(1) // undici tells of a body a turn later
  })

  test('a request that waits for a limit, for another attempt or for a connection ends as well', async () => {
    const busy: TestHandler = ({ path }, response) => void (path === '/busy' && response.writeHead(503).end())
    const api = await until(startTlsServer({ identity, handler: busy }))
    const silent = await until(startTlsServer({ identity, onSocket: (socket) => socket.pause() }))
    const limited = `${OTHER}:${api.port}`
    const runtime = createTestRuntime({ now: Date.now() })
    const client = testClient({
      ...{ pins: PINS, anchors: ca.anchorPem, runtime },
      retry: { maxAttempts: 5 },
      rate: [{ limit: concurrency({ requests: 1 }), origins: [limited] }],
    })
    const scheduled = new Promise((resolve) => client.on('retry.scheduled', resolve))
    const work = [
      `https://${limited}/first`,
      `https://${limited}/waits-for-the-first`,
      `https://${API}:${api.port}/busy`,
      `https://${SERVER}:${silent.port}/`,
    ].map((url) => containedIn(client.fetch(url)))
    await scheduled
    await underWay({ api }, 2)
    const turns = turnsUntil(work)
    const containment = client.contain('*', REASON)
    expect(await turns).toBe(0)
    expect(client.health().state).toBe('unready')
    containment.release('false alarm')
    await runtime.advance(120_000) // nothing of what its callers were told is over is sent now
    expect(api.requests.map(({ path }) => path).sort()).toEqual(['/busy', '/first'])
  })

  test('the TLS session of before is not resumed after the release', async () => {
    const { client, url, scope } = await stage()
    const resumed: (boolean | undefined)[] = []
    client.on('tls.connected', (event) => void resumed.push(event.resumed))
    const drop = { headers: { connection: 'close' } }
    await (await client.fetch(url(), drop)).text()
    await expect
      .poll(async () => {
        await (await client.fetch(url(), drop)).text()
        return resumed.at(-1)
      })
      .toBe(true) // the control: sessions are resumed here
    client.contain(scope, REASON).release('false alarm')
    await (await client.fetch(url(), drop)).text()
    expect(resumed.at(-1)).toBeUndefined()
  })

  test('a handler that throws leaves no half of a containment', async () => {
    const { client, url, scope } = await stage()
    const bugs: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => bugs.push(error))
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of before) process.on('uncaughtException', listener)
    })
    const handler = {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: () => undefined,
      onResponseEnd: () => undefined,
      onResponseError: () => {
        throw new Error('handler bug')
      },
    }
    client.dispatcher.dispatch({ origin: new URL(url()).origin, path: '/slow', method: 'GET' }, handler)
    const containment = client.contain(scope, REASON)
    expect(client.health().contained).toEqual([containment])
    await expect.poll(() => bugs.length).toBe(1)
    containment.release('over')
    expect((await client.fetch(url())).status).toBe(200)
  })

  test('a scope that is no pattern, or no reason: ERR_CONFIG_INVALID, and nothing is contained', async () => {
    const { client, url } = await stage()
    for (const [scope, reason] of [
      ['https://api.example.com/x', REASON],
      ['', REASON],
      ['*', ''],
      ['*', ' '],
    ] as const)
      expect(() => client.contain(scope, reason)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect((await client.fetch(url())).status).toBe(200)
  })
})

describe('tokens', () => {
  const revoking = async (options: Partial<ClientOptions> = {}) => {
    const revoked: string[] = []
    let issued = 0
    let scheme: OAuthScheme | undefined
    const world = await authStage({
      schemes: ({ api, server }) => {
        scheme = oauth(oauthAt(server, api))
        return scheme
      },
      token: ({ path, body }, response) => {
        if (path === '/token')
          return answerJson(response, { access_token: `access-${++issued}`, token_type: 'Bearer', expires_in: 3600 })
        revoked.push(new URLSearchParams(Buffer.from(body).toString()).get('token') ?? '')
        response.end()
      },
      judge: false,
      client: options,
    })
    await world.client.fetch(world.url())
    return { ...world, revoked, scheme }
  }

  test.each(['*', 'the API'])(
    'those for %s are revoked at their server, and nothing else is asked there',
    async (what) => {
      const { client, url, revoked, server, api, scheme } = await revoking()
      const containment = client.contain(what === '*' ? '*' : `${API}:${api.port}`, REASON)
      await expect(client.fetch(url())).rejects.toMatchObject(CONTAINED)
      await containment.done
      expect(revoked).toEqual(['access-1'])
      const asked = server.requests.length
      if (what === '*') await expect(client.fetch(`https://${SERVER}:${server.port}/`)).rejects.toMatchObject(CONTAINED)
      expect(server.requests.length).toBe(asked)
      containment.release('done')
      await client.fetch(url())
      expect(api.requests.at(-1)?.headers['authorization']).toBe('Bearer access-2')
      if (what !== '*') return
      await client.contain('*', REASON).done
      const before = server.requests.length
      await expect(scheme?.tokens.get()).rejects.toThrow() // as for a server that cannot be reached
      expect(server.requests.length).toBe(before)
    },
  )

  test('while they are revoked, nobody else reaches their server', async () => {
    let finish = (): void => undefined
    const asked: string[] = []
    const { client, url, server } = await authStage({
      schemes: ({ api, server }) => oauth(oauthAt(server, api)),
      token: ({ path }, response) => {
        asked.push(path)
        if (path !== '/revoke')
          return answerJson(response, { access_token: 'a', token_type: 'Bearer', expires_in: 3600 })
        finish = () => void response.end()
      },
      judge: false,
    })
    await client.fetch(url())
    const at = `https://${SERVER}:${server.port}/`
    const overAgent = () =>
      new Promise((resolve, reject) => {
        const read = (response: IncomingMessage): void => void response.resume().once('end', resolve)
        https.get(`${at}agent`, { agent: client.agent }, read).once('error', reject)
      })
    await overAgent() // the control, and a connection that is kept
    const containment = client.contain('*', REASON)
    await expect.poll(() => asked.at(-1)).toBe('/revoke')
    await expect(overAgent()).rejects.toMatchObject(CONTAINED)
    await expect(client.fetch(at)).rejects.toMatchObject(CONTAINED)
    await expect(client.connect(at)).rejects.toMatchObject(CONTAINED)
    finish()
    await containment.done
    expect(asked).toEqual(['/token', '/agent', '/revoke'])
  })

  test.each([
    [['POST'], ['/token'], []],
    [['POST'], ['/token', '/revoke'], ['access-1']], // the control
  ])('`egress` speaks of their server then, too: %j of %j', async (methods, paths, expected) => {
    const { client, server, revoked } = await revoking({
      egress: [{ origins: [`${API}:*`] }, { origins: [`${SERVER}:*`], methods, paths }],
    })
    const asked = server.requests.length
    await client.contain('*', REASON).done
    expect(revoked).toEqual(expected)
    expect(server.requests.length).toBe(asked + expected.length)
  })

  test('those for another origin stay', async () => {
    const { client, url, revoked } = await revoking()
    await client.contain(OTHER, REASON).done
    await client.fetch(url())
    expect(revoked).toEqual([])
  })
})

describe('from elsewhere', () => {
  test('a signal contains everything, until it is released', async () => {
    const { client, url, events } = await stage({ pins: PINS, containOnSignal: 'SIGUSR2' })
    expect((await client.fetch(url())).status).toBe(200)
    process.kill(process.pid, 'SIGUSR2')
    await expect.poll(() => events.length).toBeGreaterThan(0)
    expect(events[0]).toMatchObject({ type: expect.any(String) })
    await expect(client.fetch(url())).rejects.toMatchObject(CONTAINED)
    for (const one of client.health().contained ?? []) one.release('drill over')
    expect((await client.fetch(url())).status).toBe(200)
    await client.close()
    expect(process.listenerCount('SIGUSR2')).toBe(0)
  })

  test('the signed manifest ends what is under way to a host that it contains; its next version lets it go', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const repository = await createTestRepository({ hosts: { [API]: [identity.pin] }, clock: runtime.clock })
    const manifest = manifestOf(repository)
    const { client, url, events, api } = await stage({ manifest, runtime })
    await settled(client.ready(), runtime)
    const waiting = containedIn(client.fetch(url('/slow')))
    await underWay({ api }, 1)
    const pins = [{ spki: identity.pin }]
    await repository.publish({
      hosts: [{ host: API, mode: 'enforce', pins, singlePin: true, contained: true, reason: REASON }],
    })
    await refresh(client, runtime)
    await waiting
    await expect(client.fetch(url())).rejects.toMatchObject(CONTAINED)
    expect(events.filter(({ type }) => type === 'containment.begun')).toMatchObject([{ scope: API, by: 'manifest' }])
    await repository.publish({ hosts: { [API]: [identity.pin] } })
    await refresh(client, runtime)
    expect((await client.fetch(url())).status).toBe(200)
  })

  test('while everything is contained no other manifest comes into force; the release asks for it', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const repository = await createTestRepository({ hosts: { [API]: [identity.pin] }, clock: runtime.clock })
    const manifest = manifestOf(repository)
    const { client } = await stage({ manifest, runtime })
    await settled(client.ready(), runtime)
    const { version } = client.manifest
    const containment = client.contain('*', REASON)
    await repository.publish({ hosts: { [API]: [identity.pin], [OTHER]: [identity.pin] } })
    await expect(refresh(client, runtime)).rejects.toThrow()
    expect(client.manifest.version).toBe(version)
    containment.release('keys of the manifest are safe')
    await refresh(client, runtime)
    expect(client.manifest.version).toBe(version + 1)
  })
})

describe('a proxy is contained by its name', () => {
  test.each(['http', 'https'] as const)(
    '%s: nothing goes through it, what bypasses it does; released, it is used again',
    async (kind) => {
      const proxy = await until(
        startProxy(kind === 'https' ? { identity: ca.issue({ names: ['proxy.example'] }) } : {}),
      )
      const url = `${kind}://proxy.example:${proxy.port}`
      const world = await stage({
        pins: PINS,
        proxy: { url, bypass: [OTHER], ...(kind === 'https' ? { pins: [ca.issuer.pin] } : {}) },
      })
      const { client, events } = world
      const body = await client.fetch(world.url('/body'))
      const waiting = client.fetch(world.url('/slow'))
      const direct = await client.fetch(world.url('/body', OTHER))
      await underWay(world, 3)
      const before = proxy.requests.length
      expect(before).toBeGreaterThan(0)
      const containment = client.contain(`proxy.example:${proxy.port}`, REASON)
      await Promise.all([waiting, body.text()].map(containedIn))
      expect(await containedIn(client.fetch(world.url()))).toMatchObject({ requestSent: 'no', host: world.scope })
      await containedIn(client.connect(world.url(), { protocols: ['http/1.1'] }))
      expect((await client.fetch(world.url('/', OTHER))).status).toBe(200) // the control: not through the proxy
      const left = direct.text().catch((error: unknown) => error) // nobody ended it
      await containment.done
      expect([proxy.requests.length, events.length > 0]).toEqual([before, true])
      containment.release('another proxy was set up')
      expect((await client.fetch(world.url())).status).toBe(200)
      expect(proxy.requests.length).toBeGreaterThan(before)
      await client.destroy()
      expect(await left).toMatchObject({ code: 'ERR_TRANSPORT_CLIENT_CLOSED' })
    },
  )

  test('another port of its host is another scope, and so is the proxy of a client without one', async () => {
    const proxy = await until(startProxy())
    const world = await stage({ pins: PINS, proxy: `http://proxy.example:${proxy.port}` })
    const plain = await stage()
    world.client.contain('proxy.example', REASON)
    plain.client.contain(`proxy.example:${proxy.port}`, REASON)
    expect((await world.client.fetch(world.url())).status).toBe(200)
    expect((await plain.client.fetch(plain.url())).status).toBe(200)
  })

  test('tokens are not revoked for it, and no server of tokens is asked through it', async () => {
    const proxy = await until(startProxy())
    const world = await authStage({
      schemes: ({ api, server }) => [oauth(oauthAt(server, api))],
      client: { proxy: `http://proxy.example:${proxy.port}` },
    })
    expect((await world.client.fetch(world.url())).status).toBe(200)
    const [before, asked] = [proxy.requests.length, world.server.requests.length]
    await world.client.contain(`proxy.example:${proxy.port}`, REASON).done
    await containedIn(world.client.fetch(world.url()))
    expect([proxy.requests.length, world.server.requests.length]).toEqual([before, asked])
  })

  test('nor are lists of revoked certificates fetched through it', async () => {
    const proxy = await until(startProxy())
    const listed = ca.issue({
      names: [API],
      extensions: [extension.crlDistributionPoints(['http://crl.example.com/list.crl'])],
    })
    const api = await until(startTlsServer({ identity: listed, handler }))
    const ask = async (isContained: boolean) => {
      const client = testClient({
        pins: { [API]: [listed.pin] },
        anchors: ca.anchorPem,
        proxy: { url: `http://proxy.example:${proxy.port}`, bypass: [API] },
        revocation: { mode: 'hard-fail', fetch: 'blocking' },
      })
      if (isContained) client.contain(`proxy.example:${proxy.port}`, REASON)
      await expect(client.fetch(`https://${API}:${api.port}/`)).rejects.toThrow('api.example.com')
      return proxy.heads.length
    }
    expect(await ask(true)).toBe(0)
    expect(await ask(false)).toBeGreaterThan(0) // the control
  })
})
