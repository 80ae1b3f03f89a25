import type { Provider } from 'oidc-provider'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/keys/secret.ts'
import { refusalOf } from '../support/client.ts'
import { API, startProvider } from './provider-stage.ts'
import { ask, claimsOf, expectNoTrace, SECRET } from './server-stage.ts'

describe('against oidc-provider', () => {
  test.each(['by-secret', 'by-key'])('client_credentials %s, for a resource (RFC 8707), and revocation', async (id) => {
    const { issuer, protocol } = await startProvider()
    const used = protocol(id, { scope: ['read'], resource: [API] })
    const issued = await ask(used)
    expect(claimsOf(issued.accessToken)).toMatchObject({ iss: issuer, aud: API, client_id: id, scope: 'read' })
    expect(issued).toMatchObject({ tokenType: 'Bearer', scope: ['read'], refreshToken: undefined })
    await used.endpoint.revoke('not-a-token', 'access_token', new AbortController().signal)
  })

  test('DPoP with nonces that the server requires, for a client that authenticates by key (DPOP-01)', async () => {
    const { protocol } = await startProvider()
    const bound = protocol('by-key', {
      scope: ['read'],
      resource: [API],
      senderConstraint: { dpop: { signer: 'ephemeral-es256' } },
    })
    for (const _ of 'ab') {
      const { tokenType, accessToken } = await ask(bound)
      expect(tokenType).toBe('DPoP')
      expect(claimsOf(accessToken)['cnf']).toEqual({ jkt: bound.dpop?.jkt })
    }
  })

  test.each([45_000, -45_000])('a clock that is off by %i ms (DPOP-08)', async (clockMs) => {
    const { protocol, events } = await startProvider({ clockMs })
    const bound = protocol('by-key', { senderConstraint: { dpop: { signer: 'ephemeral-es256' } } })
    expect((await ask(bound)).tokenType).toBe('DPoP')
    expect(events).toMatchObject([{ type: 'clock.offset' }])
  })

  test('mutual TLS: the token is bound to the certificate (RFC 8705)', async () => {
    const { protocol } = await startProvider()
    const authentication = { method: 'self_signed_tls_client_auth' } as const
    const own = protocol('by-certificate', { client: { id: 'by-certificate', authentication }, resource: [API] })
    const { accessToken } = await ask(own)
    expect(claimsOf(accessToken)['cnf']).toHaveProperty(['x5t#S256'])
  })

  test('a refresh token is replaced at each use, and refused when it is used again', async () => {
    const { provider, protocol } = await startProvider()
    const initial = await refreshTokenOf(provider)
    const used = protocol('by-device', { grant: { type: 'refresh_token', initial: { value: initial } } })
    const rotated: string[] = []
    const onRotated = async (one: string): Promise<void> => void rotated.push(one)
    const first = await ask(used, { refreshToken: initial, onRotated })
    expect(rotated).toEqual([first.refreshToken])
    const second = await ask(used, { refreshToken: rotated[0] ?? '', onRotated })
    expect(new Set([initial, first.refreshToken, second.refreshToken]).size).toBe(3)
    const error = await refusalOf(ask(used, { refreshToken: initial }), 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ oauthError: 'invalid_grant', requestSent: 'yes' })
    expectNoTrace(error, [initial, SECRET, ...rotated])
    expect(String(new Secret(initial))).toBe('[redacted]')
  })

  test('a device code is shown to a person, and becomes a token when they agree (RFC 8628)', async () => {
    const { provider, protocol } = await startProvider()
    const agree = async (userCode: string): Promise<void> => {
      const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll('-', ''))
      const grant = new provider.Grant({ accountId: 'ada', clientId: 'by-device' })
      grant.addOIDCScope('openid offline_access')
      const authTime = Math.floor(Date.now() / 1_000)
      Object.assign(code, { accountId: 'ada', grantId: await grant.save(), scope: 'openid offline_access', authTime })
      await code.save()
    }
    const shown: Promise<void>[] = []
    const own = protocol('by-device', {
      grant: { type: 'device_code', prompt: ({ userCode }) => void shown.push(agree(userCode)) },
      scope: ['openid', 'offline_access'],
    })
    const { refreshToken, tokenType } = await ask(own)
    expect(tokenType).toBe('Bearer')
    expect(refreshToken).toMatch(/.{20}/)
    expect(shown).toHaveLength(1)
  })

  test('a secret that is wrong is ERR_AUTH_CLIENT_REJECTED, a scope that is not allowed ERR_AUTH_SCOPE_NOT_GRANTED', async () => {
    const { protocol } = await startProvider()
    const secret = { value: 'kd83-wrong-Zq91mmw2-x' }
    const wrong = { id: 'by-secret', authentication: { method: 'client_secret_basic', secret } } as const
    expectNoTrace(await refusalOf(ask(protocol('x', { client: wrong })), 'ERR_AUTH_CLIENT_REJECTED'), [secret.value])
    const wanted = { scope: ['read', 'admin'], requireScopes: ['admin'], resource: [API] }
    await refusalOf(ask(protocol('by-secret', wanted)), 'ERR_AUTH_SCOPE_NOT_GRANTED')
  })
})

async function refreshTokenOf(provider: Provider): Promise<string> {
  const grant = new provider.Grant({ accountId: 'ada', clientId: 'by-device' })
  grant.addOIDCScope('openid offline_access')
  const facts = { accountId: 'ada', scope: 'openid offline_access', gty: 'authorization_code', authTime: 1 }
  const client = await provider.Client.find('by-device')
  return new provider.RefreshToken({ ...facts, client, grantId: await grant.save(), rotations: 0, iiat: 1 }).save()
}
