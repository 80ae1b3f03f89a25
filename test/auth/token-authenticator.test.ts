import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createDpop } from '../../src/auth/dpop.ts'
import type { Attempt, Authenticator, Outcome } from '../../src/auth/scheme.ts'
import { createTokenAuthenticator, type TokenAuthenticatorSetup } from '../../src/auth/token-authenticator.ts'
import { tokenRefusal } from '../../src/auth/token-refusal.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'
import { attemptTo, type SceneOptions, settle, type TokenScene, tokenScene } from './token-scene.ts'

const API = 'https://api.example/orders'
const invalid = 'Bearer error="invalid_token"'

interface ApiScene extends TokenScene {
  readonly authenticator: Authenticator
  /** Sends like the client does, until the answer is the caller's. */
  readonly send: (api: Api, changes?: Partial<Attempt> & { readonly href?: string }) => Promise<Sent>
}

/** What a resource server answers to a request with these header fields. */
type Api = (headers: Readonly<Record<string, string>>, attempt: Attempt) => Answer | Promise<Answer>
interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
}
interface Sent {
  readonly status: number
  readonly attempts: number
  readonly outcomes: readonly Outcome[]
}

function apiScene(
  options: SceneOptions & Pick<TokenAuthenticatorSetup, 'tenant' | 'rejection' | 'dpop'> = {},
): ApiScene {
  const { tenant, rejection, dpop, ...rest } = options
  const scene = tokenScene({ hasTenants: tenant !== undefined, ...rest })
  const authenticator = createTokenAuthenticator({
    tokens: scene.tokens,
    runtime: scene.runtime,
    emit: (event) => void scene.events.push(event),
    tenant,
    dpop,
    ...(rejection !== undefined && { rejection }),
  })
  const send: ApiScene['send'] = async (api, { href = API, ...changes } = {}) => {
    const outcomes: Outcome[] = []
    let state: unknown
    for (let number = 0; ; number += 1) {
      const attempt = attemptTo(href, { ...changes, number, state })
      const patch = await authenticator.apply(attempt)
      const { status, headers } = await api(patch, attempt)
      const head = { status, headers: new Headers(headers), receivedAt: scene.runtime.clock.now() }
      const outcome = (await authenticator.onResponse?.(head, attempt)) ?? 'done'
      outcomes.push(outcome)
      if (outcome === 'done' || !attempt.isReplayable) return { status, attempts: number + 1, outcomes }
      state = attempt.state
    }
  }
  return { ...scene, authenticator, send }
}

const accepts =
  (...good: readonly string[]): Api =>
  ({ authorization = '' }) =>
    good.includes(authorization) ? { status: 200 } : { status: 401, headers: { 'www-authenticate': invalid } }

describe('a token on a request', () => {
  test('is there without a turn of a promise once it is cached', async () => {
    const { authenticator, text } = apiScene()
    await text()
    expect(authenticator.apply(attemptTo(API))).toEqual({ authorization: 'Bearer access-1' })
  })

  test('that stands in the URL as well is ERR_AUTH_CREDENTIAL_IN_URL, and nothing is sent (BIND-06)', async () => {
    const scene = apiScene()
    const { request } = scene.server
    const secret = 'kd83/access+Zq91=mmw2'
    let accessToken = secret
    Object.assign(scene.server, {
      request: async (asked: Parameters<typeof request>[0]) => ({ ...(await request(asked)), accessToken }),
    })
    const sent: unknown[] = []
    const api: Api = async (patch) => {
      sent.push(patch)
      return { status: 200 }
    }
    for (const query of [`token=${secret}`, `token=${encodeURIComponent(secret)}`]) {
      const error: unknown = await scene.send(api, { href: `${API}?${query}` }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'ERR_AUTH_CREDENTIAL_IN_URL', requestSent: 'no' })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('kd83')
    }
    expect(sent).toEqual([])
    expect(await scene.send(api, { href: `${API}?token=kd83` })).toMatchObject({ status: 200 })
    await scene.tokens.forget()
    accessToken = 'orders' // too short to be told from a word of the path
    expect(await scene.send(api, { href: `${API}?a=orders` })).toMatchObject({ status: 200 })
  })

  test('stays away where the caller has an Authorization of his own, and learns nothing from its answer', async () => {
    const { server, send } = apiScene()
    const sent = await send((patch) => (Object.keys(patch).length === 0 ? { status: 401 } : { status: 200 }), {
      headers: new Headers({ authorization: 'Basic eDp5' }),
    })
    expect(sent).toMatchObject({ status: 401, attempts: 1 })
    expect(server.requests).toHaveLength(0)
  })
})

describe('a token that was revoked', () => {
  test.each([100, 1_000])('with %i requests in flight: one renewal, no final 401 (TOK-01)', async (count) => {
    const { server, runtime, send, text } = apiScene()
    await text()
    await runtime.advance(2_000)
    let revoked = false
    const attempts: number[] = []
    const api: Api = async ({ authorization }) => {
      const sentBefore = !revoked
      // Answers come back spread over half a second, as they do.
      await new Promise<void>((resolve) => void runtime.schedule((runtime.random(1)[0] ?? 0) * 2, resolve))
      return !sentBefore || authorization !== 'Bearer access-1'
        ? accepts('Bearer access-2')({ authorization: authorization ?? '' }, attemptTo(API))
        : { status: 401, headers: { 'www-authenticate': invalid } }
    }
    const all = Array.from({ length: count }, async () => {
      const { status, attempts: made } = await send(api)
      attempts.push(made)
      return status
    })
    await settle(runtime)
    revoked = true
    server.delayMs = 100
    await runtime.advance(3_000)
    expect(new Set(await Promise.all(all))).toEqual(new Set([200]))
    expect(Math.max(...attempts)).toBe(2)
    expect(server.requests).toHaveLength(2)
  })

  test('and replaced by now: the request goes again with the newer one, without a renewal (TOK-02)', async () => {
    const { server, runtime, send, tokens } = apiScene()
    const first = await tokens.get()
    await runtime.advance(2_000)
    const sent = send(async ({ authorization = '' }) => {
      if (authorization !== 'Bearer access-1') return { status: 200 }
      tokens.invalidate(first, 'manual')
      await tokens.get()
      return { status: 401, headers: { 'www-authenticate': invalid } }
    })
    expect(await sent).toMatchObject({ status: 200, attempts: 2 })
    expect(server.requests).toHaveLength(2)
  })

  test('and whose successor is rejected too: the caller gets the 401, and nothing loops (TOK-03)', async () => {
    const { server, runtime, send, told, text } = apiScene()
    await text()
    await runtime.advance(2_000)
    expect(await send(accepts())).toMatchObject({ status: 401, attempts: 2 })
    expect(told('token.refused')).toMatchObject([{ host: 'api.example', code: 'ERR_AUTH_TOKEN_REJECTED' }])
    for (let again = 0; again < 20; again += 1)
      expect(await send(accepts())).toMatchObject({ status: 401, attempts: 1 })
    expect(server.requests).toHaveLength(2)
    await runtime.advance(1_100) // the minimal interval
    expect(await send(accepts())).toMatchObject({ status: 401, attempts: 2 })
    expect(server.requests).toHaveLength(3)
    await runtime.advance(1_100) // twice as long after the second time
    expect(await send(accepts())).toMatchObject({ status: 401, attempts: 1 })
    await runtime.advance(1_000)
    expect(await send(accepts())).toMatchObject({ status: 401, attempts: 2 })
    expect(server.requests).toHaveLength(4)
  })

  test('by one server only: the others go on with it, and do not pay for that one', async () => {
    const { server, runtime, send, text } = apiScene()
    await text()
    await runtime.advance(2_000)
    await send(accepts(), { href: 'https://broken.example/' })
    for (let second = 0; second < 60; second += 1) {
      expect(
        await send(({ authorization = '' }) => ({ status: /^Bearer access-/.test(authorization) ? 200 : 500 })),
      ).toMatchObject({ status: 200, attempts: 1 })
      await send(accepts(), { href: 'https://broken.example/' })
      await runtime.advance(1_000)
    }
    expect(server.requests.length).toBeLessThan(10)
  })

  test('and a body that cannot be sent again: renewed, not resent (TOK-07)', async () => {
    const { server, runtime, send, text } = apiScene()
    await text()
    await runtime.advance(2_000)
    const sent = await send(accepts(), { method: 'POST', isReplayable: false })
    expect(sent).toMatchObject({ status: 401, attempts: 1, outcomes: [{ retry: 'token' }] })
    await settle(runtime)
    expect(server.requests).toHaveLength(2)
    expect(await text()).toBe('access-2')
  })

  test('and POST: sent again, since nothing was done; not where that is switched off (TOK-09)', async () => {
    const on = apiScene()
    await on.text()
    await on.runtime.advance(2_000)
    const keys: (string | null)[] = []
    const sent = await on.send(
      (patch, attempt) => {
        keys.push(attempt.headers.get('idempotency-key'))
        return accepts('Bearer access-2')(patch, attempt)
      },
      { method: 'POST', headers: new Headers({ 'idempotency-key': 'k-1' }) },
    )
    expect(sent).toMatchObject({ status: 200, attempts: 2 })
    expect(keys).toEqual(['k-1', 'k-1'])
    const off = apiScene({ rejection: { replay: 'idempotent' } })
    await off.text()
    await off.runtime.advance(2_000)
    expect(await off.send(accepts('Bearer access-2'), { method: 'POST' })).toMatchObject({ status: 401, attempts: 1 })
    await settle(off.runtime)
    expect(await off.text()).toBe('access-2')
    await off.runtime.advance(2_000)
    expect(await off.send(accepts('Bearer access-3'), { method: 'PUT' })).toMatchObject({ status: 200, attempts: 2 })
  })

  test('while the token endpoint is down: an error that says so', async () => {
    const { server, runtime, send, text } = apiScene()
    await text()
    await runtime.advance(2_000)
    server.script.push('unreachable')
    await expect(send(accepts())).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
  })
})

describe('a 401', () => {
  const renewals = async (headers: Record<string, string>, on401?: 'challenge' | 'any' | 'never'): Promise<number> => {
    const { server, runtime, send, text } = apiScene(on401 === undefined ? {} : { rejection: { on401 } })
    await text()
    await runtime.advance(2_000)
    await send(() => ({ status: 401, headers }))
    return server.requests.length - 1
  }

  test.each([
    ['that says invalid_token', { 'www-authenticate': invalid }, 1],
    ['without any challenge', {}, 1],
    ['of another scheme', { 'www-authenticate': 'Basic realm="x"' }, 0],
    ['that names our scheme and no error', { 'www-authenticate': 'Bearer realm="x"' }, 0],
    [
      'that says invalid_token for another scheme',
      { 'www-authenticate': 'DPoP error="invalid_token", Bearer realm="x"' },
      0,
    ],
    ['that says invalid_token behind another scheme', { 'www-authenticate': `Basic realm="x", ${invalid}` }, 1],
  ])('%s renews %s times (TOK-04)', async (_, headers, count) => {
    expect(await renewals(headers)).toBe(count)
  })

  test('of any kind renews where `on401` is any, of none where it is never (TOK-04)', async () => {
    expect(await renewals({ 'www-authenticate': 'Basic realm="x"' }, 'any')).toBe(1)
    expect(await renewals({ 'www-authenticate': invalid }, 'never')).toBe(0)
  })

  test.each([
    [401, 'Bearer error="insufficient_scope", scope="orders:write admin"'],
    [403, 'Bearer error="insufficient_scope", scope="orders:write admin"'],
    [403, 'Bearer error="invalid_token", scope="orders:write admin"'],
  ])('or 403 (%i) for want of scope renews nothing, and says what is needed (TOK-05)', async (status, field) => {
    const { server, send, told } = apiScene()
    const headers = { 'www-authenticate': field }
    expect(await send(() => ({ status, headers }))).toMatchObject({ status, attempts: 1 })
    expect(server.requests).toHaveLength(1)
    expect(told('token.refused')).toMatchObject([{ code: 'ERR_AUTH_INSUFFICIENT_SCOPE' }])
    expect(tokenRefusal(new Response(null, { status, headers }))).toMatchObject({
      code: 'ERR_AUTH_INSUFFICIENT_SCOPE',
      scope: ['orders:write', 'admin'],
    })
  })

  test('is no word about the token where there is none', () => {
    expect(tokenRefusal(new Response(null, { status: 200 }))).toBeUndefined()
    expect(tokenRefusal(new Response(null, { status: 500 }))).toBeUndefined()
    expect(tokenRefusal(new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic' } }))).toBeUndefined()
    expect(tokenRefusal(new Response(null, { status: 401, headers: { 'www-authenticate': invalid } }))).toMatchObject({
      code: 'ERR_AUTH_TOKEN_REJECTED',
    })
  })
})

describe('a server that asks for a stronger authentication', () => {
  const stepUp = 'Bearer error="insufficient_user_authentication", acr_values="gold platinum", max_age="300"'
  const jwt = (claims: object): string =>
    ['{}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.')

  test('gets no renewal; the caller learns what it asks for (TOK-06)', async () => {
    const { server, send, told } = apiScene()
    const headers = { 'www-authenticate': stepUp }
    expect(await send(() => ({ status: 401, headers }))).toMatchObject({ status: 401, attempts: 1 })
    expect(server.requests).toHaveLength(1)
    expect(told('token.refused')).toMatchObject([{ code: 'ERR_AUTH_STEP_UP_REQUIRED' }])
    expect(tokenRefusal(new Response(null, { status: 401, headers }))).toMatchObject({
      code: 'ERR_AUTH_STEP_UP_REQUIRED',
      acrValues: ['gold', 'platinum'],
      maxAge: 300,
    })
  })

  test.each([
    ['of the right class and new enough', { acr: 'gold', auth_time: 1_767_225_590 }, 2],
    ['of another class', { acr: 'silver', auth_time: 1_767_225_590 }, 1],
    ['of an old authentication', { acr: 'gold', auth_time: 1_767_220_000 }, 1],
    ['that says nothing of its class', {}, 1],
  ])('gets a newer token once where there is one %s', async (_, claims, attempts) => {
    const { server, runtime, send, tokens, told } = apiScene()
    const first = await tokens.get()
    await runtime.advance(2_000)
    const sent = await send(async ({ authorization }) => {
      if (authorization === 'Bearer access-1') {
        const { request } = server
        Object.assign(server, {
          request: async (asked: Parameters<typeof request>[0]) => ({
            ...(await request(asked)),
            accessToken: jwt(claims),
          }),
        })
        tokens.invalidate(first, 'manual') // the user stepped up elsewhere
        await tokens.get()
        return { status: 401, headers: { 'www-authenticate': stepUp } }
      }
      return { status: 200 }
    })
    expect(sent.attempts).toBe(attempts)
    expect(sent.status).toBe(attempts === 2 ? 200 : 401)
    expect(told('auth.stepUp')).toMatchObject([{ outcome: attempts === 2 ? 'met' : 'required', maxAge: 300 }])
  })
})

describe('DPoP', () => {
  const dpopScene = (): ApiScene => {
    const world = tokenScene()
    const dpop = createDpop('ephemeral-es256', {
      runtime: world.runtime,
      offsets: createClockOffsets({ runtime: world.runtime, emit: () => undefined }),
      onKeyChanged: () => undefined,
    })
    const scene = apiScene({ dpop })
    const { request } = scene.server
    Object.assign(scene.server, {
      request: async (asked: Parameters<typeof request>[0]) => ({ ...(await request(asked)), tokenType: 'DPoP' }),
    })
    return scene
  }
  const claims = (proof = ''): Record<string, unknown> =>
    JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString())
  const nonce = (value: string): Answer => ({
    status: 401,
    headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': value },
  })

  test('shows a proof of its own for every attempt, and the nonce that the server named', async () => {
    const { server, send } = dpopScene()
    const proofs: Record<string, unknown>[] = []
    const sent = await send(({ authorization, dpop }) => {
      expect(authorization).toBe('DPoP access-1')
      proofs.push(claims(dpop))
      return proofs.length === 1 ? nonce('n-1') : { status: 200 }
    })
    expect(sent).toMatchObject({ status: 200, attempts: 2, outcomes: [{ retry: 'proof' }, 'done'] })
    expect(proofs[1]).toMatchObject({ nonce: 'n-1', ath: proofs[0]?.['ath'] })
    expect(proofs[1]?.['jti']).not.toBe(proofs[0]?.['jti'])
    expect(server.requests).toHaveLength(1)
  })

  test('stops where a nonce leads to nothing, whether it is the same or another one each time', async () => {
    const same = dpopScene()
    expect(await same.send(() => nonce('n-1'))).toMatchObject({ status: 401, attempts: 2 })
    expect(same.told('token.refused')).toMatchObject([{ code: 'ERR_AUTH_DPOP_NONCE_REJECTED' }])
    const other = dpopScene()
    const names = ['n-1', 'n-2', 'n-3', 'n-4']
    expect(await other.send(() => nonce(names.shift() ?? 'n-5'))).toMatchObject({ status: 401, attempts: 2 })
  })

  test('takes a nonce and a new token in one request, each once', async () => {
    const { server, runtime, send, text } = dpopScene()
    await text()
    await runtime.advance(2_000)
    const rejected: Answer = { status: 401, headers: { 'www-authenticate': 'DPoP error="invalid_token"' } }
    const sent = await send(({ authorization, dpop }) => {
      if (claims(dpop)['nonce'] === undefined) return nonce('n-1')
      return authorization === 'DPoP access-2' ? { status: 200 } : rejected
    })
    expect(sent).toMatchObject({ status: 200, attempts: 3 })
    expect(server.requests).toHaveLength(2)
    await runtime.advance(2_000)
    expect(await send(() => rejected)).toMatchObject({ status: 401, attempts: 2 })
  })
})

describe('tenants', () => {
  const byHeader: TokenAuthenticatorSetup['tenant'] = ({ headers }) => headers.get('x-tenant') ?? undefined
  const of = (tenant: string): Partial<Attempt> => ({ headers: new Headers({ 'x-tenant': tenant }) })

  test('have a token each', async () => {
    const { server, send } = apiScene({ tenant: byHeader })
    const seen: string[] = []
    for (const tenant of ['a', 'b', 'a'])
      await send(({ authorization = '' }) => {
        seen.push(authorization)
        return { status: 200 }
      }, of(tenant))
    expect(seen).toEqual(['Bearer access-1', 'Bearer access-2', 'Bearer access-1'])
    expect(server.requests.map(({ tenant }) => tenant)).toEqual(['a', 'b'])
  })

  test('that nobody named get none: never that of another one (BIND-08)', async () => {
    const { server, send, tokens } = apiScene({ tenant: byHeader })
    await send(() => ({ status: 200 }), of('a'))
    await expect(send(() => ({ status: 200 }))).rejects.toMatchObject({
      code: 'ERR_AUTH_TENANT_UNKNOWN',
      requestSent: 'no',
    })
    await expect(send(() => ({ status: 200 }), of(''))).rejects.toMatchObject({ code: 'ERR_AUTH_TENANT_UNKNOWN' })
    await expect(tokens.get()).rejects.toMatchObject({ code: 'ERR_AUTH_TENANT_UNKNOWN' })
    expect(server.requests).toHaveLength(1)
  })

  test('are not found out by a rejection of one: the others keep their tokens', async () => {
    const { server, runtime, send } = apiScene({ tenant: byHeader })
    for (const tenant of ['a', 'b']) await send(() => ({ status: 200 }), of(tenant))
    await runtime.advance(2_000)
    await send(accepts('Bearer access-3'), of('a'))
    expect(await send(accepts('Bearer access-2'), of('b'))).toMatchObject({ status: 200, attempts: 1 })
    expect(server.requests).toHaveLength(3)
  })

  test('with something else than a name are a mistake of the application', async () => {
    const { send } = apiScene({ tenant: () => 7 as never })
    await expect(send(() => ({ status: 200 }))).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  })
})
