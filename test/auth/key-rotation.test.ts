/** Keys that are replaced while a client runs: who is told, what they prove from then on, and what goes with the one before. */
import { inspect } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import {
  type KeyRing,
  keyRing,
  localSigner,
  memoryTokenStore,
  type OAuthOptions,
  oauth,
  type Signer,
} from 'pinfetch/auth'
import { generateKey, type TestHandler, type TestRequest } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createDpop } from '../../src/auth/dpop.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { answerJson, authStage, oauthAt } from '../support/auth-stage.ts'
import { refusalOf } from '../support/client.ts'
import { claimsOf, headerOf } from './server-stage.ts'

const signerOf = (keyId: string): Signer => localSigner(generateKey().privateKey, { keyId })
const [one, two] = [signerOf('key-1'), signerOf('key-2')]
const jktOf = async ({ publicKey }: Signer): Promise<string> =>
  calculateJwkThumbprint(publicKey?.export({ format: 'jwk' }) as JWK)
const provenBy = async ({ headers }: TestRequest): Promise<string> =>
  calculateJwkThumbprint(headerOf(String(headers['dpop']))['jwk'] as JWK)
const { signal } = new AbortController()

describe('the key of private_key_jwt', () => {
  const stageOf = async (signer: Signer | KeyRing) => {
    const authentication = { method: 'private_key_jwt', signer } as const
    const stage = await authStage({
      schemes: ({ api, server }) => oauth(oauthAt(server, api, { client: { id: 'client-1', authentication } })),
    })
    const assertions = () =>
      stage.server.requests.map(
        ({ body }) => new URLSearchParams(String(Buffer.from(body))).get('client_assertion') ?? '',
      )
    /** A request that needs a new token. */
    const renew = async (): Promise<number> => {
      stage.accepted.clear()
      return (await stage.client.fetch(stage.url())).status
    }
    return { ...stage, assertions, renew }
  }

  test('is another one for the next assertion, told once by the names of the keys, and nothing secret', async () => {
    const keys = keyRing([{ signer: one }])
    const { told, events, assertions, renew, server } = await stageOf(keys)
    expect([await renew(), await renew()]).toEqual([200, 200])
    expect(told('auth.keyChanged')).toEqual([])
    keys.replace([{ signer: two }])
    expect([await renew(), await renew()]).toEqual([200, 200])
    expect(assertions().map((jwt) => headerOf(jwt)['kid'])).toEqual(['key-1', 'key-1', 'key-2', 'key-2'])
    const host = `as.example.com:${server.port}`
    const change = { type: 'auth.keyChanged', host, use: 'private_key_jwt', before: 'key-1', after: 'key-2' }
    expect(told('auth.keyChanged')).toEqual([change])
    const seen = inspect(events, { depth: 10 })
    for (const assertion of assertions()) expect(seen).not.toContain(assertion.split('.')[2])
  })

  test('of the same name is no other key, and one alone never changes', async () => {
    const keys = keyRing([{ signer: one }])
    const { told, renew } = await stageOf(keys)
    await renew()
    keys.replace([{ signer: signerOf('key-1') }])
    await renew()
    expect(told('auth.keyChanged')).toEqual([])
    const alone = await stageOf(two)
    expect([await alone.renew(), await alone.renew()]).toEqual([200, 200])
    expect(alone.told('auth.keyChanged')).toEqual([])
  })

  test('is told by its thumbprint where it has no name', async () => {
    const [nameless, other] = [signerOf(''), signerOf('')]
    const keys = keyRing([{ signer: nameless }])
    const { told, renew } = await stageOf(keys)
    await renew()
    keys.replace([{ signer: other }])
    await renew()
    const [before, after] = [await jktOf(nameless), await jktOf(other)]
    expect(told('auth.keyChanged')).toMatchObject([{ before, after }])
  })

  test('is missing where all of the ring are retired: ERR_AUTH_SIGNER_FAILED, and nothing is sent', async () => {
    const past = new Date(Date.now() - 60_000)
    const { client, url, server, api } = await stageOf(keyRing([{ signer: one, retireAt: past }]))
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_SIGNER_FAILED')
    expect(error.requestSent).toBe('no')
    expect([server.requests, api.requests]).toEqual([[], []])
  })

  test('comes from a ring of the application, of whose words nothing is shown: ERR_AUTH_SIGNER_FAILED', async () => {
    const thrown = new Error('kd83-what-the-vault-said')
    for (const current of [async () => one, () => ({}), throwing(thrown)] as (() => never)[]) {
      const { client, url, server } = await stageOf({ current, all: [] })
      const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_SIGNER_FAILED')
      expect(inspect(error, { depth: 10 })).not.toContain('kd83')
      expect(server.requests).toEqual([])
    }
  })
})

describe('the key of DPoP', () => {
  /** An API that takes a token with a proof by the key that it was issued for, and with no other. */
  const stageOf = async (keys: KeyRing, more: Partial<OAuthOptions> = {}) => {
    const bound = new Map<string, string>()
    const token: TestHandler = async (request, response) => {
      const access_token = `access-${bound.size + 1}`
      bound.set(`DPoP ${access_token}`, await provenBy(request))
      answerJson(response, { access_token, token_type: 'DPoP', expires_in: 3600 })
    }
    const stage = await authStage({
      schemes: ({ api, server }) =>
        oauth(oauthAt(server, api, { senderConstraint: { dpop: { signer: keys } }, ...more })),
      judge: false,
      token,
      handler: async (request, response) => {
        const isBound = bound.get(String(request.headers.authorization)) === (await provenBy(request))
        response.writeHead(isBound ? 200 : 401, { 'www-authenticate': 'DPoP error="invalid_token"' }).end()
      },
    })
    const send = async (): Promise<number> => (await stage.client.fetch(stage.url())).status
    return { ...stage, send, tokens: () => stage.api.requests.map(({ headers }) => headers.authorization) }
  }

  test('takes its tokens with it: the next request has one of the new key, told once by the thumbprints (DPOP-10)', async () => {
    const keys = keyRing([{ signer: one }])
    const { send, tokens, told, server } = await stageOf(keys)
    expect([await send(), await send()]).toEqual([200, 200])
    keys.replace([{ signer: two }])
    expect([await send(), await send()]).toEqual([200, 200])
    expect(tokens()).toEqual(['DPoP access-1', 'DPoP access-1', 'DPoP access-2', 'DPoP access-2'])
    const [before, after] = [await jktOf(one), await jktOf(two)]
    const host = `as.example.com:${server.port}`
    expect(told('auth.keyChanged')).toEqual([{ type: 'auth.keyChanged', host, use: 'dpop', before, after }])
    expect(told('token.refused')).toEqual([])
  })

  test('shares no record of the store with the one before, which finds its own again (DPOP-10)', async () => {
    const keys = keyRing([{ signer: one }])
    const { send, tokens, server } = await stageOf(keys, { store: memoryTokenStore() })
    const use = async (signer: Signer): Promise<number> => {
      keys.replace([{ signer }])
      return send()
    }
    expect([await use(one), await use(two), await use(one)]).toEqual([200, 200, 200])
    expect(tokens()).toEqual(['DPoP access-1', 'DPoP access-2', 'DPoP access-1'])
    expect(server.requests).toHaveLength(2)
  })

  test('that a token is bound to proves it, also where another one is in force by now', async () => {
    const keys = keyRing([{ signer: one }])
    const changes: string[][] = []
    const dpop = createDpop(keys, {
      runtime: systemRuntime,
      offsets: createClockOffsets({ runtime: systemRuntime, emit: () => undefined }),
      onKeyChanged: (...change) => void changes.push(change),
    })
    const { jkt } = dpop
    const url = new URL('https://api.example.com/')
    keys.replace([{ signer: two }])
    const proof = async (more: object): Promise<string> => {
      const { header } = await dpop.proof({ method: 'GET', url, accessToken: 'at', signal, ...more })
      expect(claimsOf(header)['htu']).toBe(url.href)
      return calculateJwkThumbprint(headerOf(header)['jwk'] as JWK)
    }
    const [before, after] = [await jktOf(one), await jktOf(two)]
    expect(jkt).toBe(before)
    expect([await proof({}), await proof({ jkt }), await proof({ jkt: 'of nobody' })]).toEqual([after, before, after])
    expect(changes).toEqual([[before, after]])
  })

  test('is one alone where nobody could ask for a new session: ERR_CONFIG_INVALID', () => {
    const make = (signer: Signer | KeyRing, grant: OAuthOptions['grant']) => () =>
      oauth(
        oauthAt('https://as.example.com', 'https://api.example.com', { senderConstraint: { dpop: { signer } }, grant }),
      )
    const grants: readonly OAuthOptions['grant'][] = [
      { type: 'refresh_token', initial: { value: 'kd83-refresh-token-of-32-octets-or-so' } },
      { type: 'device_code', prompt: () => undefined },
      { type: 'ciba', loginHint: 'ada' },
    ]
    for (const grant of grants) {
      expect(make(keyRing([{ signer: one }]), grant)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
      expect(make(one, grant)).not.toThrow()
    }
    expect(make(keyRing([{ signer: one }]), { type: 'client_credentials' })).not.toThrow()
  })

  test('has to be one that can be shown: ERR_CONFIG_INVALID at the start, ERR_AUTH_SIGNER_FAILED later', async () => {
    const { publicKey: _, ...hidden } = two
    await expect(stageOf(keyRing([{ signer: hidden }]))).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    const keys = keyRing([{ signer: one }])
    const { client, url, send, api } = await stageOf(keys)
    expect(await send()).toBe(200)
    keys.replace([{ signer: hidden }])
    await refusalOf(client.fetch(url()), 'ERR_AUTH_SIGNER_FAILED')
    expect(api.requests).toHaveLength(1)
  })
})

function throwing(error: Error): () => never {
  return () => {
    throw error
  }
}
