import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { fileTokenStore, jweCipher, memoryTokenStore, type OAuthOptions, oauth } from 'pinfetch/auth'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Attempt } from '../../src/auth/scheme.ts'
import { canonicalOrigin } from '../../src/encoding/host.ts'
import { type Asked, claimsOf, expectNoTrace, SECRET, startStage, token } from './server-stage.ts'

const OPTIONS: OAuthOptions = {
  issuer: 'https://as.example.com',
  client: { id: 'client-1', authentication: { method: 'client_secret_post', secret: { value: SECRET } } },
  grant: { type: 'client_credentials' },
  allowedOrigins: ['https://api.example.com'],
}

function attemptAt(text: string, more: Partial<Attempt> = {}): Attempt {
  const url = new URL(text)
  const origin = canonicalOrigin(url)
  if (origin === undefined) throw new Error('no origin')
  return { method: 'GET', url, origin, headers: new Headers(), isReplayable: true, number: 0, signal: null, ...more }
}

describe('oauth', () => {
  test('gets a token over the client’s own fetch, proves it, and takes a nonce from the answer', async () => {
    const stage = await startStage(() => token({ token_type: 'DPoP' }))
    const { issuer, host } = stage
    const metadata = { token_endpoint: `${issuer}/token` }
    const scheme = oauth({ ...OPTIONS, issuer, metadata, senderConstraint: { dpop: { signer: 'ephemeral-es256' } } })
    expect([scheme.credentialHeaders, scheme.allowedOrigins]).toEqual([
      ['authorization', 'dpop'],
      ['https://api.example.com'],
    ])
    const authenticator = scheme.bind(host)
    const attempt = attemptAt('https://api.example.com/v1?q=1')
    const { authorization, dpop } = await authenticator.apply(attempt)
    expect(authorization).toBe('DPoP at-1')
    expect(claimsOf(dpop)).toMatchObject({ htm: 'GET', htu: 'https://api.example.com/v1' })
    const headers = new Headers({ 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'r1' })
    const head = { status: 401, headers, receivedAt: host.runtime.clock.now() }
    expect(await authenticator.onResponse?.(head, attempt)).toMatchObject({ retry: 'proof' })
    const again = attemptAt('https://api.example.com/v1?q=1', { number: 1, state: attempt.state })
    expect(claimsOf((await authenticator.apply(again))['dpop'])['nonce']).toBe('r1')
    expect(stage.asked).toHaveLength(1)
    const handle = await scheme.tokens.get()
    expect(scheme.tokens.reveal(handle)).toBe('at-1')
    expectNoTrace({ handle, status: scheme.tokens.status() }, ['at-1', SECRET])
    await authenticator.close?.({ signal: new AbortController().signal })
  })

  test('shows nothing of itself, and has no tokens before it has a client, nor a second client', async () => {
    const stage = await startStage(() => token())
    const scheme = oauth({ ...OPTIONS, issuer: stage.issuer })
    for (const seen of [inspect(scheme, { depth: 9, showHidden: true }), JSON.stringify(scheme)])
      expect(seen).toContain('[redacted]')
    await expect(scheme.tokens.get()).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    const authenticator = scheme.bind(stage.host)
    expect(() => scheme.bind(stage.host)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    await authenticator.close?.({ signal: new AbortController().signal })
  })

  test('the tokens of subjects that a function supplies share no store without a tenant each (BIND-09)', async () => {
    const { issuer } = await startStage(() => token())
    const subject = async () => ({ token: 'subject token' })
    const { store, grant } = { store: memoryTokenStore(), grant: { type: 'token_exchange', subject } as const }
    const signed = { type: 'jwt_bearer', assertion: async () => 'a.b.c' } as const
    for (const those of [grant, signed])
      expect(() => oauth({ ...OPTIONS, issuer, grant: those, store })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining('oauth.tenant') }),
      )
    expect(oauth({ ...OPTIONS, issuer, grant, store, tenant: () => 'alice' }).name).toBe('oauth')
    expect(oauth({ ...OPTIONS, issuer, grant }).name).toBe('oauth')
  })

  test('two configured refresh tokens are two sessions in one store: nobody gets the token of another (BIND-09)', async () => {
    const stage = await startStage(({ form }) => token({ access_token: `of-${form.get('refresh_token')}` }))
    const { issuer } = stage
    const store = memoryTokenStore()
    const metadata = { token_endpoint: `${issuer}/token` }
    const people = ['kd83-refresh-token-of-ada', 'kd83-refresh-token-of-bob', 'kd83-refresh-token-of-ada'] as const
    const seen: string[] = []
    for (const value of people) {
      const scheme = oauth({
        ...OPTIONS,
        issuer,
        metadata,
        store,
        grant: { type: 'refresh_token', initial: { value } },
      })
      scheme.bind(stage.host)
      seen.push(scheme.tokens.reveal(await scheme.tokens.get()))
    }
    expect(seen).toEqual(people.map((value) => `of-${value}`))
    expect(stage.asked).toHaveLength(2) // the third goes on with what is stored
  })

  test('two schemes of a client whose people nothing tells apart share no store: ERR_CONFIG_INVALID (BIND-09)', async () => {
    const { issuer, host } = await startStage(() => token())
    const grant = { type: 'device_code', prompt: () => undefined } as const
    const device = (more: Partial<OAuthOptions> = {}) =>
      oauth({ ...OPTIONS, issuer, grant, store: memoryTokenStore(), ...more })
    device().bind(host)
    expect(() => device().bind(host)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining('oauth.tenant') }),
    )
    for (const other of [
      device({ scope: ['read'] }),
      device({ tenant: () => 'ada' }),
      oauth({ ...OPTIONS, issuer, grant }),
    ])
      expect(() => other.bind(host)).not.toThrow()
    expect(() => device().bind({ ...host })).not.toThrow() // another client, perhaps of the same person
  })

  test('a store out of this process that holds tokens in the clear is told at the start, a sealed or local one is not', async () => {
    const stage = await startStage(() => token())
    const dir = mkdtempSync(join(tmpdir(), 'pinfetch-unsealed-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const encryption = jweCipher({ keys: { k1: randomBytes(32) }, current: 'k1' })
    const start = async (more: Partial<OAuthOptions>) => {
      stage.events.length = 0
      oauth({ ...OPTIONS, issuer: stage.issuer, ...more }).bind(stage.host)
      await Promise.resolve()
      return stage.events.map((event) => (event.type === 'posture' ? event.subject : event.type))
    }
    expect(await start({ store: fileTokenStore({ dir }) })).toEqual(['oauth.store'])
    expect(await start({ store: { ...fileTokenStore({ dir }) } })).toEqual(['oauth.store'])
    expect(await start({ store: fileTokenStore({ dir }), encryption })).toEqual([])
    expect(await start({ store: memoryTokenStore() })).toEqual([])
    expect(await start({})).toEqual([])
  })

  test('mtls needs a client with a certificate: ERR_CONFIG_INVALID otherwise', async () => {
    const stage = await startStage(() => token())
    const scheme = oauth({ ...OPTIONS, issuer: stage.issuer, senderConstraint: 'mtls' })
    expect(() => scheme.bind(stage.host)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test.each<[string, object]>([
    ['an issuer in the clear', { issuer: 'http://as.example.com' }],
    ['an issuer with a query', { issuer: 'https://as.example.com?x' }],
    ['an option that is misspelt', { requiredScopes: ['a'] }],
    ['a grant that needs more', { grant: { type: 'jwt_bearer' } }],
    ['a grant with two hints', { grant: { type: 'ciba', loginHint: 'a', idTokenHint: 'b' } }],
    ['an authentication without its secret', { client: { id: 'c', authentication: { method: 'client_secret_post' } } }],
    ['a scope of two words', { scope: ['a b'] }],
    ['a resource with a fragment', { resource: ['https://api.example.com/#x'] }],
    ['an origin with a path', { allowedOrigins: ['https://api.example.com/v1'] }],
    ['no origin', { allowedOrigins: [] }],
    ['an endpoint with a user name', { metadata: { token_endpoint: 'https://user@as.example.com/token' } }],
    ['an endpoint in the clear', { metadata: { token_endpoint: 'http://as.example.com/token' } }],
    ['a time of no kind', { refresh: { earlyMs: -1 } }],
    ['a store that is none', { store: {} }],
    ['a signer that is none', { senderConstraint: { dpop: { signer: 'kd83-not-a-signer' } } }],
  ])('refuses %s with ERR_CONFIG_INVALID, showing no value', (_, more) => {
    let error: unknown
    try {
      oauth({ ...OPTIONS, ...more })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    expectNoTrace(error, [SECRET, 'kd83'])
  })

  test('sends its secret to the token endpoint and nowhere else', async () => {
    const stage = await startStage(() => token())
    const metadata = { token_endpoint: `${stage.issuer}/token` }
    const authenticator = oauth({ ...OPTIONS, issuer: stage.issuer, metadata }).bind(stage.host)
    const headers = await authenticator.apply(attemptAt('https://api.example.com/'))
    expect(headers).toEqual({ authorization: 'Bearer at-1' })
    const [asked] = stage.asked as [Asked]
    expect([asked.path, asked.form.get('client_secret')]).toEqual(['/token', SECRET])
    expectNoTrace(stage.events, [SECRET, 'at-1'])
    await authenticator.close?.({ signal: new AbortController().signal })
  })
})
