import { localSigner, memoryTokenStore, oauth } from 'pinfetch/auth'
import { createTestRepository, generateKey, startTlsServer, type TestHandler } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { API, answerJson, authStage, ca, identity, OTHER, oauthAt, SERVER } from '../support/auth-stage.ts'
import { refusalOf, until } from '../support/client.ts'
import { isFull } from '../support/tier.ts'

const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

const oauthStage = (options: Partial<Parameters<typeof authStage>[0]> = {}, more: Parameters<typeof oauthAt>[2] = {}) =>
  authStage({ schemes: ({ server, api }) => oauth(oauthAt(server, api, more)), ...options })

describe('a token of oauth', () => {
  test('is fetched once over the pinned client, and goes with every request', async () => {
    const { client, url, api, server } = await oauthStage()
    const answers = await Promise.all(ROADS.map(([, road]) => client.fetch(url('/a'), road)))
    answers.push(await client.fetch(url('/b'), { method: 'POST', body: 'x' }))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill('Bearer access-1'))
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /token'])
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization')
  })

  const MANY = isFull ? 1_000 : 200
  const ON_THE_WIRE = 200 // the others wait for a connection, with the token that is revoked meanwhile
  test(`revoked with ${MANY} requests in flight: one renewal, each request sent twice at most, and no 401 for a caller (TOK-01)`, async () => {
    const held: (() => void)[] = []
    let revoked = ''
    const { client, url, api, server } = await oauthStage({
      client: { timeouts: { totalMs: 240_000, headersMs: 240_000, tlsMs: 60_000 } },
      judge: false,
      handler: ({ headers }, response) => {
        const { authorization = '' } = headers
        const answer = (): void => {
          if (authorization !== revoked) response.end('ok')
          else response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
        }
        if (held.length < ON_THE_WIRE && authorization !== '') held.push(answer)
        else answer()
      },
    })
    const calls: Promise<Response>[] = []
    while (calls.length < MANY) {
      for (let i = 0; i < 100; i += 1) calls.push(client.fetch(url(`/${calls.length}`))) // no more handshakes at once
      await expect.poll(() => held.length, { timeout: 60_000 }).toBe(Math.min(calls.length, ON_THE_WIRE))
    }
    revoked = api.requests[0]?.headers.authorization ?? ''
    // Some 401s arrive before the renewal, some while it runs, and some when the new token is long in force.
    for (const answer of held.slice(0, ON_THE_WIRE / 2)) answer()
    await expect.poll(() => server.requests.length, { timeout: 60_000 }).toBe(2)
    for (const answer of held.slice(ON_THE_WIRE / 2)) answer()
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(server.requests).toHaveLength(2) // the first token, and one more
    const perPath = new Map<string, number>()
    for (const { path } of api.requests) perPath.set(path, (perPath.get(path) ?? 0) + 1)
    expect(Math.max(...perPath.values())).toBe(2)
  }, 240_000)

  test('refused again after it was renewed: the second 401 is the caller’s, and nothing goes on', async () => {
    const { client, url, api, server, told } = await oauthStage({
      judge: false,
      handler: (_, response) =>
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('no'),
    })
    const response = await client.fetch(url(), { method: 'POST', body: 'x' })
    expect([response.status, await response.text()]).toEqual([401, 'no'])
    expect([api.requests.length, server.requests.length]).toEqual([2, 2])
    expect(told('token.refused')).toMatchObject([{ code: 'ERR_AUTH_TOKEN_REJECTED' }])
  })

  test('cannot be had: the request is refused with what the token endpoint said, and says that it was not sent', async () => {
    const { client, url, api } = await oauthStage({
      token: (_, response) => answerJson(response, { error: 'invalid_scope' }, 400),
    })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ requestSent: 'no', oauthError: 'invalid_scope' })
    expect(api.accepted).toBe(0)
  })

  test('cannot be renewed after a 401: the error says that the request was sent before', async () => {
    const { client, url, api, accepted, server } = await oauthStage()
    await client.fetch(url())
    accepted.clear()
    await server.close()
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expect([error.requestSent, api.requests.length]).toEqual(['yes', 2])
  })

  test('is waited for by others when one caller aborts (TOK-36)', async () => {
    let issue = (): void => undefined
    const { client, url, server, api } = await oauthStage({
      token: (_, response) => {
        issue = () => answerJson(response, { access_token: 'late', token_type: 'Bearer', expires_in: 60 })
      },
      judge: false,
    })
    const control = new AbortController()
    const [gone, stays] = [client.fetch(url('/gone'), { signal: control.signal }), client.fetch(url('/stays'))]
    gone.catch(() => undefined)
    await expect.poll(() => server.requests.length, { timeout: 20_000 }).toBe(1)
    control.abort(new Error('enough'))
    await expect(gone).rejects.toThrow('enough')
    issue()
    expect((await stays).status).toBe(200)
    expect([api.requests.map(({ path }) => path), server.requests.length]).toEqual([['/stays'], 1])
  })
})

describe('a 401 before the upload is finished (TOK-08)', () => {
  test('ends the upload and its connection; the answer is the caller’s', async () => {
    const sockets: { destroyed: boolean }[] = []
    const { client, url, told, server } = await oauthStage({
      api: {
        onSocket: (socket) => {
          sockets.push(socket)
          socket.once('data', () => {
            const head = 'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer error="invalid_token"\r\n'
            socket.write(`${head}content-length: 2\r\n\r\nno`)
          })
          socket.on('data', () => undefined)
        },
      },
    })
    let [pulled, cancelled] = [0, false]
    const body = new ReadableStream(
      {
        pull: (controller) => {
          pulled += 1
          controller.enqueue(new Uint8Array(65_536))
          return new Promise((resolve) => setTimeout(resolve, 5))
        },
        cancel: () => {
          cancelled = true
        },
      },
      { highWaterMark: 0 },
    )
    const response = await client.fetch(url(), { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect([response.status, await response.text()]).toEqual([401, 'no'])
    expect(told('auth.notReplayed')).toHaveLength(1)
    await expect.poll(() => cancelled, { timeout: 20_000 }).toBe(true)
    await expect.poll(() => sockets.map(({ destroyed }) => destroyed), { timeout: 20_000 }).toEqual([true])
    expect(pulled).toBeLessThan(5_000)
    await expect.poll(() => server.requests.length, { timeout: 20_000 }).toBe(2) // renewed for the next request
  })
})

describe('a redirect', () => {
  const moved =
    (places: Readonly<Record<string, string>>): TestHandler =>
    ({ path }, response) => {
      const location = places[path]
      if (location === undefined) response.end('ok')
      else response.writeHead(307, { location }).end()
    }

  test('within the origin gets a token and a proof of its own, for its own target (BIND-03)', async () => {
    const { client, url, api } = await oauthStage(
      {
        judge: false,
        handler: moved({ '/': '/there?x=1' }),
        token: (_, response) => answerJson(response, { access_token: 'at', token_type: 'DPoP', expires_in: 60 }),
        client: { redirect: 'same-origin' },
      },
      { senderConstraint: { dpop: { signer: localSigner(generateKey().privateKey) } } },
    )
    expect((await client.fetch(url(), { method: 'POST', body: 'x' })).status).toBe(200)
    const proofs = api.requests.map(({ headers }) => String(headers['dpop']).split('.')[1] ?? '')
    const claims = proofs.map((text) => JSON.parse(Buffer.from(text, 'base64url').toString()))
    expect(claims).toMatchObject([
      { htm: 'POST', htu: url('/') },
      { htm: 'POST', htu: url('/there') },
    ])
    expect(claims[0].jti).not.toBe(claims[1].jti)
  })

  test('to another origin takes nothing along, and the way back has nothing either (BIND-02)', async () => {
    const other = await until(
      startTlsServer({
        identity,
        handler: (_, response) => response.writeHead(307, { location: back() }).end(),
      }),
    )
    const { client, url, api } = await oauthStage({
      judge: false,
      handler: ({ path }, response) => {
        if (path === '/') response.writeHead(307, { location: `https://${OTHER}:${other.port}/` }).end()
        else response.end('ok')
      },
      client: { redirect: { follow: [`${OTHER}:*`, `${API}:*`] } },
    })
    const back = (): string => url('/back')
    expect((await client.fetch(url())).status).toBe(200)
    expect(api.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/', 'Bearer access-1'],
      ['/back', undefined],
    ])
    expect(other.requests).toHaveLength(1)
    expect(other.requests[0]?.headers).not.toHaveProperty('authorization')
  })

  test('to http is refused: ERR_POLICY_PLAINTEXT (BIND-04)', async () => {
    const { client, url, api } = await oauthStage({
      judge: false,
      handler: moved({ '/': `http://${API}/` }),
      client: { redirect: { follow: ['**.example.com:*'] } },
    })
    await refusalOf(client.fetch(url()), 'ERR_POLICY_PLAINTEXT')
    expect(api.requests).toHaveLength(1)
  })
})

describe('whom the client trusts', () => {
  test('an authorization server with another key: the error names it and the pins, and the API hears nothing (BIND-12)', async () => {
    const imposter = ca.issue({ names: [SERVER] })
    const { client, url, api, server } = await oauthStage({ serverIdentity: imposter })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expect(error.host).toBe(`${SERVER}:${server.port}`)
    expect(error.message).toContain(SERVER)
    expect(error.cause).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH' })
    expect([api.accepted, server.requests.length]).toEqual([0, 0])
  })

  test('an API with another key: the error names the API, and no token reaches it', async () => {
    const { client, url, api } = await oauthStage({ api: { identity: ca.issue({ names: [API] }) } })
    const error = await refusalOf(client.fetch(url()), 'ERR_TRUST_PIN_MISMATCH')
    expect([error.host, api.applicationBytes]).toEqual([`${API}:${api.port}`, 0])
  })

  test('pins of both come from one manifest, and the first token waits for it', async () => {
    const repository = await createTestRepository({
      hosts: { [API]: [identity.pin, ca.issuer.pin], [SERVER]: [identity.pin, ca.issuer.pin] },
    })
    let serve = (): void => undefined
    const published = new Promise<void>((resolve) => {
      serve = resolve
    })
    const { client, url, server, api } = await oauthStage({
      client: {
        pins: undefined as never,
        manifest: {
          custom: {
            name: 'late',
            get: async (path) => {
              await published
              return repository.files().get(path)
            },
          },
          root: repository.root,
          memoryOnly: true,
        },
      },
    })
    const call = client.fetch(url())
    await new Promise((resolve) => setImmediate(resolve))
    expect([api.accepted, server.accepted]).toEqual([0, 0])
    serve()
    expect((await call).status).toBe(200)
    expect([api.requests.length, server.requests.length]).toEqual([1, 1])
  })
})

describe('a client that is closed', () => {
  const slow = () => {
    const answers: (() => void)[] = []
    return {
      answers,
      token: (_: unknown, response: Parameters<typeof answerJson>[0]) => {
        answers.push(() =>
          answerJson(response, { access_token: 'a', token_type: 'Bearer', expires_in: 60, refresh_token: 'rotated' }),
        )
      },
    }
  }
  const initial = { type: 'refresh_token', initial: { value: 'kd83-initial-refresh-token' } } as const

  test('while a token is renewed waits for it, stores the new refresh token, and lets the request go (TOK-38)', async () => {
    const { answers, token } = slow()
    const store = memoryTokenStore()
    const written: number[] = []
    const recording = {
      ...store,
      load: store.load.bind(store),
      lease: store.lease.bind(store),
      remove: store.remove.bind(store),
      compareAndSwap: async (...args: Parameters<typeof store.compareAndSwap>) => {
        written.push(args[2].v)
        return store.compareAndSwap(...args)
      },
    }
    const { client, url, api } = await oauthStage({ token, judge: false }, { grant: initial, store: recording })
    const call = client.fetch(url())
    call.catch(() => undefined)
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(1)
    const before = written.length
    const closing = client.close()
    await refusalOf(client.fetch(url()), 'ERR_TRANSPORT_CLIENT_CLOSED')
    answers[0]?.()
    expect((await call).status).toBe(200)
    await closing
    expect(written.length).toBeGreaterThan(before)
    expect(api.requests).toHaveLength(1)
  })

  test('at once ends the request that waits for a token: ERR_TRANSPORT_CLIENT_CLOSED or ERR_AUTH_CLOSED', async () => {
    const { answers, token } = slow()
    const { client, url, api, server } = await oauthStage({ token, judge: false })
    const call = client.fetch(url())
    const outcome = call.then(
      () => 'answered',
      ({ code }) => code,
    )
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(1)
    await client.destroy(new Error('over'))
    expect(['ERR_TRANSPORT_CLIENT_CLOSED', 'ERR_AUTH_CLOSED', 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE']).toContain(
      await outcome,
    )
    expect([api.accepted, server.requests.length]).toEqual([0, 1])
  })

  test('revokes its tokens where told to, through the connection that it still has (TOK-38)', async () => {
    const { client, url, server } = await oauthStage({}, { revokeOnClose: true })
    await client.fetch(url())
    await client.close()
    expect(
      server.requests.map(({ path, body }) => [path, new URLSearchParams(Buffer.from(body).toString()).get('token')]),
    ).toEqual([
      ['/token', null],
      ['/revoke', 'access-1'],
    ])
  })
})
