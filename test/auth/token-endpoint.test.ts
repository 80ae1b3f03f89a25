import { createHash, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Secret } from '../../src/keys/secret.ts'
import { localSigner } from '../../src/keys/signer.ts'
import { refusalOf } from '../support/client.ts'
import {
  ask,
  claimsOf,
  expectNoTrace,
  HOST,
  headerOf,
  oauthError,
  protocolAt,
  type Scripted,
  SECRET,
  startStage,
  token,
} from './server-stage.ts'

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt'
const REFRESH = 'rt-31d0a9c2-one-of-a-kind'
const at = (seconds: number): string => `h.${Buffer.from(JSON.stringify({ exp: seconds })).toString('base64url')}.s`

describe('how long a token lives', () => {
  test('expires_in may be a string of digits (TOK-11), and counts from when the request was sent', async () => {
    const stage = await startStage(() => token({ expires_in: '3600' }))
    const before = Date.now()
    const { expiresAt, receivedAt, ...rest } = await ask(protocolAt(stage))
    expect(rest).toEqual({ accessToken: 'at-1', tokenType: 'Bearer', refreshToken: undefined, scope: [] })
    expect(expiresAt).toBeGreaterThanOrEqual(before + 3_600_000)
    expect(expiresAt).toBeLessThanOrEqual(receivedAt + 3_600_000)
  })

  test('without expires_in the exp of a JWT is a hint, and any other token has no known end (TOK-10)', async () => {
    const end = Math.floor(Date.now() / 1_000) + 900
    const stage = await startStage((_, number) =>
      token({ expires_in: undefined, access_token: [at(end), 'opaque', 'a.b.c', at(9e99)][number - 1] }),
    )
    const protocol = protocolAt(stage)
    expect((await ask(protocol)).expiresAt).toBe(end * 1_000)
    for (const _ of 'abc') expect((await ask(protocol)).expiresAt).toBeUndefined()
  })

  test('a life of 0 seconds is one (TOK-12)', async () => {
    const stage = await startStage(() => token({ expires_in: 0 }))
    const { expiresAt, receivedAt } = await ask(protocolAt(stage))
    expect(expiresAt).toBeLessThanOrEqual(receivedAt)
  })

  test.each([[-1], [1e99], [null], ['1e99'], ['-5'], ['soon'], [{}]])(
    'expires_in %j is ERR_AUTH_TOKEN_RESPONSE_INVALID, and a new refresh token is kept (TOK-13)',
    async (expires) => {
      const stage = await startStage(() => token({ expires_in: expires, refresh_token: 'rt-new' }))
      const rotated: string[] = []
      const call = ask(protocolAt(stage, { grant: { type: 'refresh_token', initial: { value: REFRESH } } }), {
        refreshToken: REFRESH,
        onRotated: async (one) => void rotated.push(one),
      })
      await refusalOf(call, 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
      expect(rotated).toEqual(['rt-new'])
    },
  )
})

describe('an answer that is none', () => {
  test('200 text/html is ERR_AUTH_TOKEN_RESPONSE_INVALID and names status and content type, not the page (TOK-18)', async () => {
    const stage = await startStage(() => ({
      headers: { 'content-type': 'text/html; charset=utf-8' },
      body: '<html>portal-secret</html>',
    }))
    const error = await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
    expect(error.message).toContain('status 200, text/html, 26 bytes')
    expect(error).toMatchObject({ host: `${HOST}:${stage.peer.port}`, requestSent: 'yes', retryable: false })
    expectNoTrace(error, ['portal-secret', SECRET])
  })

  test.each(['text/html', 'text/plain', 'application/jwt', ''])(
    'a token as %j is ERR_AUTH_TOKEN_RESPONSE_INVALID, and a new refresh token in it is kept (TOK-18, TOK-29)',
    async (type) => {
      const stage = await startStage(() => ({
        ...token({ refresh_token: 'rt-new' }),
        headers: { 'content-type': type },
      }))
      const rotated: string[] = []
      const call = ask(protocolAt(stage), { refreshToken: REFRESH, onRotated: async (one) => void rotated.push(one) })
      await refusalOf(call, 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
      expect(rotated).toEqual(['rt-new'])
    },
  )

  test('a body of more than 1 MiB is ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE; a large one below is read (TOK-19)', async () => {
    const stage = await startStage((_, number) => token({ pad: 'x'.repeat(number === 1 ? 900_000 : 1_100_000) }))
    const protocol = protocolAt(stage)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    await refusalOf(ask(protocol), 'ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE')
  })

  test('a server that answers nothing is ERR_AUTH_TOKEN_TIMEOUT after the deadline of this room (TOK-20)', async () => {
    const stage = await startStage(() => null)
    const error = await refusalOf(ask(protocolAt(stage, {}, 300)), 'ERR_AUTH_TOKEN_TIMEOUT')
    expect(error).toMatchObject({ requestSent: 'maybe', retryable: true })
    expectNoTrace(error, [SECRET])
  })

  test('a body that stops half-way is ERR_AUTH_TOKEN_TIMEOUT as well, and the request was sent', async () => {
    const stage = await startStage(() => ({ headers: { 'content-length': '1000' }, body: '{"access_token":"half-' }))
    const error = await refusalOf(ask(protocolAt(stage, {}, 1_000)), 'ERR_AUTH_TOKEN_TIMEOUT')
    expect(error.requestSent).toBe('yes')
    expectNoTrace(error, ['half-'])
  })

  test.each([302, 307, 308])(
    'a redirect (%i) is ERR_AUTH_TOKEN_REDIRECT, nothing follows it (TOK-21)',
    async (status) => {
      const stage = await startStage(() => ({ status, headers: { location: '/elsewhere' } }))
      await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_REDIRECT')
      expect(stage.asked.map(({ path }) => path)).toEqual(['/token'])
    },
  )

  test.each<[string, string | object]>([
    ['no JSON', 'oops'],
    ['a list', []],
    ['a member twice', '{"access_token":"a","access_token":"b","token_type":"bearer"}'],
    ['no access token', { token_type: 'bearer' }],
    ['no token type', { access_token: 'a' }],
    ['an unknown token type', { access_token: 'a', token_type: 'mac' }],
    ['a line break in the token', { access_token: 'a\r\nx-injected: 1', token_type: 'bearer' }],
    ['a scope that is no text', { access_token: 'a', token_type: 'bearer', scope: null }],
    ['N_A outside an exchange', { access_token: 'a', token_type: 'N_A' }],
    ['a token for a key that was not shown', { access_token: 'a', token_type: 'DPoP' }],
  ])('%s is ERR_AUTH_TOKEN_RESPONSE_INVALID', async (_, body) => {
    const stage = await startStage(() => ({ body }))
    await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
  })
})

describe('a server that says no', () => {
  test.each<[string, Scripted, string, object]>([
    ['500', { status: 500, body: 'x' }, 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', { retryable: true }],
    ['503', { status: 503, body: 'x' }, 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', { retryable: true }],
    ['temporarily_unavailable', oauthError('temporarily_unavailable'), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', {}],
    ['429', { status: 429 }, 'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', { retryable: true }],
    [
      '503 with Retry-After',
      { status: 503, headers: { 'retry-after': '7' } },
      'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED',
      { retryAfterMs: 7_000 },
    ],
    [
      '429 with a Retry-After of a year',
      { status: 429, headers: { 'retry-after': '31536000' } },
      'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED',
      { retryAfterMs: 300_000 },
    ],
    ['invalid_grant', oauthError('invalid_grant'), 'ERR_AUTH_GRANT_REJECTED', { oauthError: 'invalid_grant' }],
    ['invalid_scope', oauthError('invalid_scope'), 'ERR_AUTH_GRANT_REJECTED', { oauthError: 'invalid_scope' }],
    ['unauthorized_client', oauthError('unauthorized_client'), 'ERR_AUTH_CLIENT_REJECTED', { retryable: false }],
    ['a word of its own', oauthError('kd83_mirrored'), 'ERR_AUTH_TOKEN_RESPONSE_INVALID', {}],
  ])('%s', async (_, answer, code, details) => {
    const stage = await startStage(() => answer)
    const error = await refusalOf(ask(protocolAt(stage)), code as 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ requestSent: 'yes', ...details })
    expectNoTrace(error, ['kd83'])
    expect(stage.asked).toHaveLength(1)
  })
})

describe('a request that did not arrive', () => {
  test('a refused connection is ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE, and nothing was sent (TOK-27)', async () => {
    const stage = await startStage(() => token())
    await stage.peer.close()
    const error = await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expect(error).toMatchObject({ requestSent: 'no', retryable: true, cause: { code: 'ERR_TRANSPORT_CONNECT' } })
    expectNoTrace(error, [SECRET])
  })

  test('a pin failure names the authorization server, keeps its code as cause and sends nothing (TOK-27, BIND-12)', async () => {
    const pins = { [HOST]: [`sha256/${createHash('sha256').update('another key').digest('base64')}`] as const }
    const stage = await startStage(() => token(), { client: { pins } })
    const error = await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expect(error).toMatchObject({ requestSent: 'no', cause: { code: 'ERR_TRUST_PIN_MISMATCH' } })
    expect(error.message).toContain(`authorization server ${HOST}`)
    expect(stage.peer.applicationBytes).toBe(0)
    expect(stage.asked).toEqual([])
  })

  test('a connection that closes with the request on its way leaves it open whether it arrived', async () => {
    const stage = await startStage(() => token(), {
      tls: { onSocket: (socket) => socket.once('data', () => socket.destroy()) },
    })
    const error = await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expect(error.requestSent).not.toBe('no')
    expectNoTrace(error, [SECRET])
  })

  test('bytes that are no HTTP show in no error, whatever secret they repeat (KEY-12)', async () => {
    const stage = await startStage(() => token(), {
      tls: { onSocket: (socket) => socket.once('data', () => socket.end(`at-mirrored-4711 ${SECRET}\r\n\r\n`)) },
    })
    const error = await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE')
    expectNoTrace(error, ['at-mirrored-4711', SECRET])
  })
})

describe('a refresh token', () => {
  const grant = { type: 'refresh_token', initial: { value: REFRESH } } as const

  test('is redeemed without a scope, and the one that replaces it handed on', async () => {
    const stage = await startStage(() => token({ refresh_token: 'rt-new', scope: 'a' }))
    const rotated: string[] = []
    const options = { grant, scope: ['a'], resource: ['https://api.example/'] }
    const issued = await ask(protocolAt(stage, options), {
      refreshToken: 'rt-old',
      onRotated: async (one) => void rotated.push(one),
    })
    expect([issued.refreshToken, rotated, issued.scope]).toEqual(['rt-new', ['rt-new'], ['a']])
    const { client_secret: _, ...form } = Object.fromEntries(stage.asked[0]?.form ?? [])
    expect(form).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'rt-old',
      resource: 'https://api.example/',
      client_id: 'client-1',
    })
  })

  test('that the configuration starts with is what the manager is given', async () => {
    const { endpoint } = protocolAt(await startStage(() => token()), { grant })
    expect(await endpoint.initialRefreshToken?.(undefined, new AbortController().signal)).toBe(REFRESH)
  })

  test.each<[string, object]>([
    ['a scope of null', { scope: null }],
    [
      'an ID token under the wrong algorithm',
      { id_token: `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.e30.x` },
    ],
    ['a type that is no bearer', { token_type: 'mac' }],
  ])('is salvaged before %s is judged, and awaited (TOK-29)', async (_, wrong) => {
    const stage = await startStage(() => token({ access_token: 'at-lost', refresh_token: 'rt-salvaged', ...wrong }))
    const order: string[] = []
    const call = ask(protocolAt(stage, { grant }), {
      refreshToken: 'rt-old',
      onRotated: async (one) => {
        await new Promise((resolve) => setImmediate(resolve))
        order.push(one)
      },
    })
    const error = await refusalOf(call, 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
    expect(order).toEqual(['rt-salvaged'])
    expectNoTrace(error, ['rt-salvaged', 'rt-old', 'at-lost', SECRET])
  })

  test('with client_credentials is ignored, and told (TOK-40)', async () => {
    const stage = await startStage(() => token({ refresh_token: 'rt-odd' }))
    const rotated: string[] = []
    const issued = await ask(protocolAt(stage), { onRotated: async (one) => void rotated.push(one) })
    expect([issued.refreshToken, rotated]).toEqual([undefined, []])
    expect(stage.events).toMatchObject([{ type: 'auth.notice', kind: 'refresh-token-ignored' }])
    expect(JSON.stringify(stage.events)).not.toContain('rt-odd')
  })
})

describe('scope', () => {
  test('less than was asked for is told, and refused where it is required: ERR_AUTH_SCOPE_NOT_GRANTED (TOK-43)', async () => {
    const stage = await startStage(() => token({ scope: 'read' }))
    const scope = ['read', 'write']
    expect((await ask(protocolAt(stage, { scope, requireScopes: ['read'] }))).scope).toEqual(['read'])
    expect(stage.events).toMatchObject([{ kind: 'scope-reduced', message: 'not granted: write' }])
    await refusalOf(ask(protocolAt(stage, { scope, requireScopes: ['write'] })), 'ERR_AUTH_SCOPE_NOT_GRANTED')
    expect(stage.asked[0]?.form.get('scope')).toBe('read write')
  })

  test('an answer without one grants what was asked for', async () => {
    const stage = await startStage(() => token())
    expect((await ask(protocolAt(stage, { scope: ['a'], requireScopes: ['a'] }))).scope).toEqual(['a'])
    expect(stage.events).toEqual([])
  })
})

describe('grants', () => {
  test('a token exchange sends subject and actor, and may be answered with N_A (TOK-42)', async () => {
    const stage = await startStage(() => token({ token_type: 'N_A', issued_token_type: JWT_TYPE }))
    const grant = {
      type: 'token_exchange',
      subject: async ({ tenant }: { tenant: string | undefined }) => ({ token: `subject-of-${tenant}` }),
      actor: async () => ({ token: 'actor-1', tokenType: JWT_TYPE }),
      requestedTokenType: JWT_TYPE,
    } as const
    const options = { grant, audience: 'urn:api', resource: ['https://a.example/', 'https://b.example/'] }
    expect((await ask(protocolAt(stage, options), { tenant: 't1' })).tokenType).toBe('N_A')
    const form = stage.asked[0]?.form
    expect(form?.getAll('resource')).toEqual(['https://a.example/', 'https://b.example/'])
    expect(Object.fromEntries(form ?? [])).toMatchObject({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: JWT_TYPE,
      subject_token: 'subject-of-t1',
      subject_token_type: ACCESS_TOKEN,
      actor_token: 'actor-1',
      actor_token_type: JWT_TYPE,
      audience: 'urn:api',
    })
  })

  test('an exchange for an access token takes neither N_A nor a token of another type', async () => {
    const answers = [
      token({ token_type: 'N_A', issued_token_type: ACCESS_TOKEN }),
      token({ issued_token_type: JWT_TYPE }),
      token({ issued_token_type: ACCESS_TOKEN }),
    ]
    const stage = await startStage((_, number) => answers[number - 1] ?? null)
    const protocol = protocolAt(stage, { grant: { type: 'token_exchange', subject: async () => ({ token: 's' }) } })
    await refusalOf(ask(protocol), 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
    await refusalOf(ask(protocol), 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
    expect((await ask(protocol)).tokenType).toBe('Bearer')
  })

  test('a supplier that rejects is ERR_AUTH_ASSERTION_FAILED; nothing is sent, and nothing of what it said is shown', async () => {
    const stage = await startStage(() => token())
    const subject = async (): Promise<never> => {
      throw new RangeError('no luck with subject-4711')
    }
    const error = await refusalOf(
      ask(protocolAt(stage, { grant: { type: 'token_exchange', subject } })),
      'ERR_AUTH_ASSERTION_FAILED',
    )
    expect(error.message).toContain('grant.subject to answer, it failed (RangeError)')
    expect(error.requestSent).toBe('no')
    expectNoTrace(error, ['subject-4711'])
    expect(stage.asked).toEqual([])
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['no token', {}],
    ['an empty token', { token: '' }],
    ['a token that is no text', { token: 7 }],
    ['an empty type', { token: 'subject-4711', tokenType: '' }],
  ])('a supplier that answers %s is ERR_AUTH_ASSERTION_FAILED, and nothing is sent', async (_, answer) => {
    const stage = await startStage(() => token({ issued_token_type: ACCESS_TOKEN }))
    const subject = async () => answer as { token: string }
    const given = protocolAt(stage, { grant: { type: 'token_exchange', subject } })
    expect(await refusalOf(ask(given), 'ERR_AUTH_ASSERTION_FAILED')).toMatchObject({ requestSent: 'no' })
    const assertion = async () => (answer as { token: string } | undefined)?.token as string
    if ((answer as { tokenType?: string } | undefined)?.tokenType === undefined)
      await refusalOf(ask(protocolAt(stage, { grant: { type: 'jwt_bearer', assertion } })), 'ERR_AUTH_ASSERTION_FAILED')
    expect(stage.asked).toEqual([])
    const hidden = async () => ({ token: new Secret('subject-4711') })
    await ask(protocolAt(stage, { grant: { type: 'token_exchange', subject: hidden } }))
    expect(stage.asked[0]?.form.get('subject_token')).toBe('subject-4711')
  })

  test('a JWT bearer assertion is made for the issuer, or asked of the application', async () => {
    const stage = await startStage(() => token())
    const signer = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k1' })
    const claims = { sub: 'user-1', tier: 'gold' }
    await ask(protocolAt(stage, { grant: { type: 'jwt_bearer', assertion: { signer, claims } } }))
    const [made] = stage.asked
    expect(made?.form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const assertion = made?.form.get('assertion') ?? undefined
    expect(headerOf(assertion)).toEqual({ typ: 'JWT', kid: 'k1', alg: 'EdDSA' })
    expect(claimsOf(assertion)).toMatchObject({ iss: 'client-1', sub: 'user-1', aud: stage.issuer, tier: 'gold' })
    await ask(protocolAt(stage, { grant: { type: 'jwt_bearer', assertion: async () => 'x.y.z' } }))
    expect(stage.asked[1]?.form.get('assertion')).toBe('x.y.z')
  })
})

describe('revocation (RFC 7009)', () => {
  test('names the token and its kind, and is authenticated', async () => {
    const stage = await startStage(() => ({ status: 200, body: '' }))
    await protocolAt(stage).endpoint.revoke('at-9', 'access_token', new AbortController().signal)
    expect(stage.asked[0]?.path).toBe('/revoke')
    expect(Object.fromEntries(stage.asked[0]?.form ?? [])).toEqual({
      token: 'at-9',
      token_type_hint: 'access_token',
      client_id: 'client-1',
      client_secret: SECRET,
    })
  })

  test('resolves where the server has no such endpoint, and says where it is asked to wait', async () => {
    const stage = await startStage(() => ({ status: 503, headers: { 'retry-after': '3' } }))
    const { signal } = new AbortController()
    const metadata = { token_endpoint: `${stage.issuer}/token` }
    await protocolAt(stage, { metadata }).endpoint.revoke('at-9', 'access_token', signal)
    expect(stage.asked).toEqual([])
    const error = await refusalOf(
      protocolAt(stage).endpoint.revoke('at-9', 'refresh_token', signal),
      'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED',
    )
    expect(error).toMatchObject({ retryAfterMs: 3_000 })
    expectNoTrace(error, ['at-9', SECRET])
  })
})

describe('the key of a token in a cache', () => {
  test('is another for another issuer, client, grant, scope, resource, audience, DPoP key and tenant (DPOP-10)', async () => {
    const stage = await startStage(() => token())
    const signer = () => localSigner(generateKeyPairSync('ed25519').privateKey)
    const authentication = { method: 'none' } as const
    const keys = await Promise.all([
      protocolAt(stage).endpoint.cacheKey(undefined),
      protocolAt(stage).endpoint.cacheKey('tenant-1'),
      protocolAt({ ...stage, issuer: `${stage.issuer}/2` }).endpoint.cacheKey(undefined),
      protocolAt(stage, { client: { id: 'client-2', authentication } }).endpoint.cacheKey(undefined),
      protocolAt(stage, { grant: { type: 'jwt_bearer', assertion: async () => '' } }).endpoint.cacheKey(undefined),
      protocolAt(stage, { scope: ['a'] }).endpoint.cacheKey(undefined),
      protocolAt(stage, { resource: ['https://a.example/'] }).endpoint.cacheKey(undefined),
      protocolAt(stage, { audience: 'a' }).endpoint.cacheKey(undefined),
      protocolAt(stage, { senderConstraint: { dpop: { signer: signer() } } }).endpoint.cacheKey(undefined),
      protocolAt(stage, { senderConstraint: { dpop: { signer: signer() } } }).endpoint.cacheKey(undefined),
    ])
    expect(new Set(keys).size).toBe(keys.length)
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is another for each person that the configuration names, whichever way', async () => {
    const stage = await startStage(() => token())
    const signer = localSigner(generateKeyPairSync('ed25519').privateKey)
    const assertion = (claims: { sub: string; iss?: string }) =>
      ({ type: 'jwt_bearer', assertion: { signer, claims } }) as const
    const grants = [
      { type: 'ciba', loginHint: 'one' },
      { type: 'ciba', loginHintToken: 'one' },
      { type: 'ciba', idTokenHint: 'one' },
      { type: 'ciba', idTokenHint: 'two' },
      assertion({ sub: 'one' }),
      assertion({ sub: 'two' }),
      assertion({ sub: 'one', iss: 'other' }),
      { type: 'refresh_token', initial: { value: 'kd83-refresh-token-of-one' } },
      { type: 'refresh_token', initial: { value: 'kd83-refresh-token-of-two' } },
    ] as const
    const keyOf = (grant: (typeof grants)[number]) => protocolAt(stage, { grant }).endpoint.cacheKey(undefined)
    const keys = await Promise.all(grants.map(keyOf))
    expect(new Set(keys).size).toBe(grants.length)
    expect(await keyOf(grants[3])).toBe(keys[3])
    expect(await keyOf(grants[7])).toBe(keys[7])
  })

  test('stays while the configured refresh token cannot be read again: its session goes on', async () => {
    const stage = await startStage(() => token())
    let answer: () => Promise<{ value: string; expiresAt: Date }> = async () => ({
      value: 'kd83-refresh-token-of-one',
      expiresAt: new Date(Date.now() + 500),
    })
    const { endpoint } = protocolAt(stage, { grant: { type: 'refresh_token', initial: () => answer() } })
    const before = await endpoint.cacheKey(undefined)
    answer = () => Promise.reject(new Error('the vault is sealed'))
    await new Promise((resolve) => setTimeout(resolve, 600)) // until it is asked again
    expect(await endpoint.cacheKey(undefined)).toBe(before)
    const other = protocolAt(stage, { grant: { type: 'refresh_token', initial: () => answer() } })
    await refusalOf(other.endpoint.cacheKey(undefined), 'ERR_KEY_SOURCE_UNAVAILABLE')
  })

  test('is the same for the same scopes in another order', async () => {
    const stage = await startStage(() => token())
    const key = (scope: string[]) => protocolAt(stage, { scope }).endpoint.cacheKey('t')
    expect(await key(['a', 'b'])).toBe(await key(['b', 'a']))
  })
})

test('a server that accepts connections and says nothing is not waited for longer than the deadline', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await new Promise((resolve) => silent.once('listening', resolve))
  const stage = await startStage(() => token())
  const { port } = silent.address() as { port: number }
  const metadata = { token_endpoint: `https://${HOST}:${port}/token` }
  const error = await refusalOf(ask(protocolAt(stage, { metadata }, 300)), 'ERR_AUTH_TOKEN_TIMEOUT')
  expect(error.requestSent).not.toBe('yes')
})
