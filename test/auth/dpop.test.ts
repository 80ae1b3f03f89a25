import { createHash, createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Dpop } from '../../src/auth/dpop.ts'
import { primeNonce } from '../../src/auth/prime-nonce.ts'
import type { Attempt, Authenticator } from '../../src/auth/scheme.ts'
import { canonicalOrigin } from '../../src/encoding/host.ts'
import { localSigner, type Signer } from '../../src/keys/signer.ts'
import { refusalOf } from '../support/client.ts'
import {
  type Asked,
  ask,
  claimsOf,
  expectNoTrace,
  headerOf,
  oauthError,
  protocolAt,
  type Scripted,
  type ServerStage,
  skewedRuntime,
  startStage,
  token,
} from './server-stage.ts'

const signer = localSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const assertionSigner = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k' })
const { signal } = new AbortController()
const RS = new URL('https://api.example.com/v1/accounts?q=1#part')

const bound = (stage: ServerStage, key: Signer | 'ephemeral-es256' = signer) =>
  protocolAt(stage, {
    client: { id: 'client-1', authentication: { method: 'private_key_jwt', signer: assertionSigner } },
    senderConstraint: { dpop: { signer: key } },
  })

const dpopToken = (headers = {}): Scripted => ({ ...token({ token_type: 'DPoP' }), headers })
const wantsNonce = (nonce: string): Scripted => oauthError('use_dpop_nonce', { headers: { 'dpop-nonce': nonce } })
const proofOf = ({ headers }: Asked): string => String(headers['dpop'])
const nonceOf = (asked: Asked): unknown => claimsOf(proofOf(asked))['nonce']

async function dpopOf(stage?: ServerStage): Promise<Dpop> {
  const { dpop } = bound(stage ?? (await startStage(() => dpopToken())))
  if (dpop === undefined) throw new Error('no DPoP')
  return dpop
}

const unauthorized = (challenge: string, headers = {}) => ({
  status: 401,
  headers: new Headers({ 'www-authenticate': challenge, ...headers }),
})

describe('a proof', () => {
  test('holds method, target without query and fragment, time, the hash of the token, and verifies under its own key', async () => {
    const dpop = await dpopOf()
    const { header } = await dpop.proof({ method: 'POST', url: RS, accessToken: 'at-1', signal })
    const { jti, iat, ...claims } = claimsOf(header)
    expect(claims).toEqual({
      htm: 'POST',
      htu: 'https://api.example.com/v1/accounts',
      ath: createHash('sha256').update('at-1').digest('base64url'),
    })
    expect(Math.abs(Number(iat) - Date.now() / 1_000)).toBeLessThan(60)
    expect(jti).toMatch(/^[\w-]{22}$/)
    const { jwk, ...rest } = headerOf(header)
    expect(rest).toEqual({ typ: 'dpop+jwt', alg: 'ES256' })
    expect(Object.keys(jwk as object).sort()).toEqual(['crv', 'kty', 'x', 'y'])
    const [head, payload, signature = ''] = header.split('.')
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const input = Buffer.from(`${head}.${payload}`)
    expect(verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))).toBe(true)
    expect(dpop.jkt).toBe(await calculateJwkThumbprint(jwk as never))
  })

  test.each([
    ['https://API.example.com:443/a/../b?x#y', 'https://api.example.com/b'],
    ['https://user:pass@api.example.com/', 'https://api.example.com/'],
    ['https://api.example.com:8443', 'https://api.example.com:8443/'],
    ['https://api.example.com/%7Euser/a%2fb', 'https://api.example.com/%7Euser/a%2fb'],
    ['https://bücher.example/ä', 'https://xn--bcher-kva.example/%C3%A4'],
    ['https://[::1]:8443/x?y', 'https://[::1]:8443/x'],
  ])('for %s names %s (DPOP-09)', async (url, htu) => {
    const { header } = await (await dpopOf()).proof({ method: 'GET', url: new URL(url), signal })
    expect(claimsOf(header)['htu']).toBe(htu)
  })

  test('is another one for every attempt: jti anew, the token the same (DPOP-07)', async () => {
    const dpop = await dpopOf()
    const proofs = await Promise.all(
      [1, 2, 3].map(() => dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })),
    )
    expect(new Set(proofs.map(({ header }) => claimsOf(header)['jti'])).size).toBe(3)
    expect(new Set(proofs.map(({ header }) => claimsOf(header)['ath'])).size).toBe(1)
  })

  test('of an ephemeral key is bound to a key of this client alone (DPOP-10)', async () => {
    const stage = await startStage(() => dpopToken())
    const [one, other] = [bound(stage, 'ephemeral-es256'), bound(stage, 'ephemeral-es256')]
    expect(one.dpop?.jkt).not.toBe(other.dpop?.jkt)
    expect(await one.endpoint.cacheKey('t')).not.toBe(await other.endpoint.cacheKey('t'))
  })

  test('needs a key that can be shown: ERR_CONFIG_INVALID otherwise', async () => {
    const stage = await startStage(() => dpopToken())
    const { publicKey: _, ...hidden } = signer
    expect(() => bound(stage, hidden)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })
})

describe('at the authorization server', () => {
  test('a nonce that it names is used in one more attempt, with another assertion (DPOP-01)', async () => {
    const stage = await startStage((_, number) => (number === 1 ? wantsNonce('n1') : dpopToken()))
    expect((await ask(bound(stage))).tokenType).toBe('DPoP')
    expect(stage.asked.map(nonceOf)).toEqual([undefined, 'n1'])
    const assertions = stage.asked.map(({ form }) => claimsOf(form.get('client_assertion') ?? '')['jti'])
    expect(new Set(assertions).size).toBe(2)
    expect(new Set(stage.asked.map((one) => claimsOf(proofOf(one))['jti'])).size).toBe(2)
    expect(claimsOf(proofOf(stage.asked[0] as Asked))['htu']).toBe(`${stage.issuer}/token`)
  })

  test('the same nonce once more is ERR_AUTH_DPOP_NONCE_REJECTED, without another attempt (DPOP-03)', async () => {
    const stage = await startStage(() => wantsNonce('n1'))
    const error = await refusalOf(ask(bound(stage)), 'ERR_AUTH_DPOP_NONCE_REJECTED')
    expect(stage.asked).toHaveLength(2)
    expectNoTrace(error, stage.asked.map(proofOf))
  })

  test('another nonce each time is ERR_AUTH_DPOP_NONCE_REJECTED after the second', async () => {
    const stage = await startStage((_, number) => wantsNonce(`n${number}`))
    await refusalOf(ask(bound(stage)), 'ERR_AUTH_DPOP_NONCE_REJECTED')
    expect(stage.asked).toHaveLength(2)
  })

  test('a nonce of a 200 is used from then on, after a second attempt as well (DPOP-04)', async () => {
    const answers = [
      wantsNonce('n1'),
      dpopToken({ 'dpop-nonce': 'n2' }),
      dpopToken({ 'dpop-nonce': 'n3' }),
      dpopToken(),
    ]
    const stage = await startStage((_, number) => answers[number - 1] ?? null)
    const protocol = bound(stage)
    for (const _ of 'abc') await ask(protocol)
    expect(stage.asked.map(nonceOf)).toEqual([undefined, 'n1', 'n2', 'n3'])
  })

  test('a bearer token in place of a bound one is ERR_AUTH_TOKEN_TYPE_DOWNGRADE (TOK-41)', async () => {
    const stage = await startStage(() => token())
    const error = await refusalOf(ask(bound(stage)), 'ERR_AUTH_TOKEN_TYPE_DOWNGRADE')
    expectNoTrace(error, ['at-1'])
    const other = await startStage(() => token({ token_type: 'constructor' }))
    await refusalOf(ask(bound(other)), 'ERR_AUTH_TOKEN_RESPONSE_INVALID')
  })

  test.each([45_000, -45_000])(
    'a clock that is off by %i ms is learned, and the proof dated anew (DPOP-08)',
    async (ms) => {
      const stage = await startStage(
        (asked) => {
          const isOn = Math.abs(Number(claimsOf(proofOf(asked))['iat']) - Date.now() / 1_000) < 15
          return isOn ? dpopToken() : oauthError('invalid_dpop_proof')
        },
        { runtime: skewedRuntime(ms) },
      )
      await ask(bound(stage))
      expect(stage.asked).toHaveLength(2)
    },
  )
})

describe('at a resource server', () => {
  test('a nonce that it names asks for one more attempt, with the same token (DPOP-02)', async () => {
    const dpop = await dpopOf()
    const first = await dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })
    expect(dpop.judge(unauthorized('DPoP error="use_dpop_nonce"', { 'dpop-nonce': 'r1' }), first)).toBe('retry')
    const second = await dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })
    expect(claimsOf(second.header)).toMatchObject({ nonce: 'r1', ath: claimsOf(first.header)['ath'] })
    expect(claimsOf(second.header)['jti']).not.toBe(claimsOf(first.header)['jti'])
    const again = () => dpop.judge(unauthorized('DPoP error="use_dpop_nonce"', { 'dpop-nonce': 'r1' }), second)
    expect(again).toThrow(expect.objectContaining({ code: 'ERR_AUTH_DPOP_NONCE_REJECTED' }))
  })

  test('a nonce is shown to the origin that named it and to no other (DPOP-05)', async () => {
    const stage = await startStage(() => dpopToken({ 'dpop-nonce': 'of-the-server' }))
    const protocol = bound(stage)
    await ask(protocol)
    const dpop = protocol.dpop as Dpop
    expect((await dpop.proof({ method: 'GET', url: RS, signal })).nonce).toBeUndefined()
    dpop.learn(RS, new Headers({ 'dpop-nonce': 'of-the-api' }))
    expect((await dpop.proof({ method: 'GET', url: RS, signal })).nonce).toBe('of-the-api')
    await ask(protocol)
    expect(stage.asked.map(nonceOf)).toEqual([undefined, 'of-the-server'])
  })

  test('the error of another scheme in the same field is none of DPoP’s (DPOP-11)', async () => {
    const dpop = await dpopOf()
    const proof = await dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })
    const both = 'Bearer error="use_dpop_nonce", DPoP algs="ES256", error="invalid_token"'
    expect(dpop.judge(unauthorized(both, { 'dpop-nonce': 'r9' }), proof)).toBe('settled')
    const turned = 'Bearer error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"'
    expect(dpop.judge(unauthorized(turned, { 'dpop-nonce': 'r10' }), proof)).toBe('retry')
  })

  test('a proof that it refuses is dated anew where its clock is another one (DPOP-08)', async () => {
    const stage = await startStage(() => dpopToken(), { runtime: skewedRuntime(45_000) })
    const dpop = await dpopOf(stage)
    const proof = await dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })
    const refused = unauthorized('DPoP error="invalid_dpop_proof"', { date: new Date().toUTCString() })
    expect(dpop.judge(refused, proof)).toBe('retry')
    const second = await dpop.proof({ method: 'GET', url: RS, accessToken: 'at', signal })
    expect(Math.abs(Number(claimsOf(second.header)['iat']) - Date.now() / 1_000)).toBeLessThan(15)
    expect(dpop.judge(refused, second)).toBe('settled')
  })

  test.each(['', 'with "quotes"', 'two words', 'x'.repeat(1_025)])('a nonce such as %j is no nonce', async (nonce) => {
    const dpop = await dpopOf()
    dpop.learn(RS, new Headers({ 'dpop-nonce': nonce }))
    expect(dpop.hasNonce(RS)).toBe(false)
  })
})

describe('primeNonce (DPOP-06)', () => {
  const origin = canonicalOrigin(RS)
  const attempt = (more: Partial<Attempt> = {}): Attempt => {
    if (origin === undefined) throw new Error('no origin')
    return {
      method: 'POST',
      url: RS,
      origin,
      headers: new Headers(),
      isReplayable: false,
      number: 0,
      signal: null,
      ...more,
    }
  }

  async function primed() {
    const dpop = await dpopOf()
    const sent: string[] = []
    const inner: Authenticator = {
      apply: async ({ method, url }) => ({
        dpop: (await dpop.proof({ method, url, accessToken: 'at', signal })).header,
      }),
    }
    const fetch = async (_: unknown, init?: RequestInit) => {
      sent.push(`${init?.method} ${claimsOf(new Headers(init?.headers).get('dpop') ?? '')['htm']}`)
      return new Response(null, { status: 401, headers: { 'dpop-nonce': 'primed' } })
    }
    return { authenticator: primeNonce(inner, dpop, { fetch: fetch as typeof globalThis.fetch }), sent }
  }

  test('asks by HEAD for the nonce before a body that cannot be sent again, once', async () => {
    const { authenticator, sent } = await primed()
    for (const _ of 'ab') {
      const headers = await authenticator.apply(attempt())
      expect(claimsOf(headers['dpop'])).toMatchObject({ htm: 'POST', nonce: 'primed' })
    }
    expect(sent).toEqual(['HEAD HEAD'])
  })

  test('asks nothing where the body can be sent again', async () => {
    const { authenticator, sent } = await primed()
    await authenticator.apply(attempt({ isReplayable: true }))
    expect(sent).toEqual([])
  })
})
