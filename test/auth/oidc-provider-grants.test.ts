import { generateKeyPairSync } from 'node:crypto'
import { type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { errors, type Provider, type TokenContext } from 'oidc-provider'
import { describe, expect, test } from 'vitest'
import type { TokenSupplier } from '../../src/auth/grants.ts'
import { localSigner } from '../../src/keys/signer.ts'
import { refusalOf } from '../support/client.ts'
import { API, startProvider } from './provider-stage.ts'
import { ask, claimsOf, expectNoTrace, SECRET } from './server-stage.ts'

const CIBA = 'urn:openid:params:grant-type:ciba'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
const PEOPLE = 'https://people.example'

/** Who vouches for people: the server takes what is signed with this key. */
const voucher = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const vouch = (claims: JWTPayload, aud = PEOPLE): Promise<string> =>
  new SignJWT({ ...claims, aud })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(voucher.privateKey)

const client = (id: string, ...grantTypes: string[]): object => ({
  client_id: id,
  client_secret: SECRET,
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: [],
  response_types: [],
  grant_types: grantTypes,
  scope: 'openid offline_access read',
})

/** @throws InvalidGrant for what nobody vouched for. */
async function vouched(token: string | undefined, audience: string): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token ?? '', voucher.publicKey, { audience, requiredClaims: ['sub', 'exp'] })).payload
  } catch {
    throw new errors.InvalidGrant('the token does not verify')
  }
}

/** What the tokens of the provider stand for. */
const meaning = new Map<string, object>()

async function issue(provider: Provider, { oidc }: TokenContext, facts: object): Promise<Record<string, unknown>> {
  const token = new provider.ClientCredentials({ client: oidc.client, scope: oidc.params['scope'] })
  const accessToken = await token.save()
  meaning.set(accessToken, facts)
  return { access_token: accessToken, token_type: 'Bearer', expires_in: token.expiration, scope: oidc.params['scope'] }
}

describe('CIBA against oidc-provider: the server reaches the person by itself', () => {
  async function scene(decide: (request: object, provider: Provider) => Promise<void>) {
    const shown: { binding: string | undefined; accountId: string }[] = []
    let begin: (request: object) => Promise<void> = async () => undefined
    const stage = await startProvider({
      clients: [client('by-ciba', CIBA, 'refresh_token')].map((one) => ({
        ...one,
        backchannel_token_delivery_mode: 'poll',
      })),
      features: {
        ciba: {
          enabled: true,
          deliveryModes: ['poll'],
          processLoginHint: async (_: unknown, hint: string) => (hint === 'ada' ? hint : undefined),
          processLoginHintToken: async (_: unknown, token: string) => (await vouched(token, PEOPLE)).sub,
          verifyUserCode: async () => undefined,
          validateBindingMessage: async () => undefined,
          validateRequestContext: async () => undefined,
          triggerAuthenticationDevice: async (
            { oidc }: TokenContext,
            request: object,
            { accountId }: { accountId: string },
          ) => {
            shown.push({ binding: oidc.params['binding_message'], accountId })
            void begin(request)
          },
        },
      },
    })
    begin = (request) => decide(request, stage.provider)
    return { ...stage, shown }
  }

  const agree = async (request: object, provider: Provider): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 150)) // asked a few times meanwhile
    const grant = new provider.Grant({ accountId: 'ada', clientId: 'by-ciba' })
    grant.addOIDCScope('openid offline_access')
    await provider.backchannelResult(request, await grant.save(), { authTime: Math.floor(Date.now() / 1_000) })
  }

  test('a person who agrees becomes a token, and a refresh token that renews it', async () => {
    const { protocol, shown } = await scene(agree)
    const used = protocol('by-ciba', {
      grant: { type: 'ciba', loginHint: 'ada', bindingMessage: 'order 4711' },
      scope: ['openid', 'offline_access'],
    })
    const { tokenType, refreshToken = '', scope } = await ask(used)
    expect([tokenType, scope]).toEqual(['Bearer', ['openid', 'offline_access']])
    expect(shown).toEqual([{ binding: 'order 4711', accountId: 'ada' }])
    const renewed = await ask(used, { refreshToken })
    expect(renewed.refreshToken).not.toBe(refreshToken)
    expect(shown).toHaveLength(1) // nobody was asked again
  })

  test('a hint may be a token that somebody vouches with', async () => {
    const { protocol, shown } = await scene(agree)
    const loginHintToken = await vouch({ sub: 'ada' })
    await ask(protocol('by-ciba', { grant: { type: 'ciba', loginHintToken }, scope: ['openid'] }))
    expect(shown).toEqual([{ binding: undefined, accountId: 'ada' }])
  })

  test('a person who declines, or whom nobody knows, is ERR_AUTH_GRANT_REJECTED', async () => {
    const { protocol, shown } = await scene(async (request, provider) => {
      await provider.backchannelResult(request, new errors.AccessDenied())
    })
    const asked = (loginHint: string) =>
      refusalOf(
        ask(protocol('by-ciba', { grant: { type: 'ciba', loginHint }, scope: ['openid'] })),
        'ERR_AUTH_GRANT_REJECTED',
      )
    expect(await asked('ada')).toMatchObject({ oauthError: 'access_denied' })
    expect(await asked('mallory')).toMatchObject({ oauthError: 'unknown_user_id' })
    expect(shown).toHaveLength(1)
  })
})

describe('token exchange against oidc-provider (RFC 8693)', () => {
  async function scene() {
    const stage = await startProvider({ clients: [client('by-exchange', TOKEN_EXCHANGE)] })
    const { provider } = stage
    const parameters = [
      'subject_token',
      'subject_token_type',
      'actor_token',
      'actor_token_type',
      'requested_token_type',
    ]
    const exchange = async (context: TokenContext): Promise<void> => {
      const { params } = context.oidc
      if (params['subject_token_type'] !== `${TOKEN_TYPE}jwt`) throw new errors.InvalidRequest('subject_token_type')
      const { sub } = await vouched(params['subject_token'], PEOPLE)
      const actor = params['actor_token'] === undefined ? undefined : await vouched(params['actor_token'], PEOPLE)
      const facts = { sub, audience: params['audience'], ...(actor && { act: { sub: actor.sub } }) }
      context.body =
        params['requested_token_type'] === `${TOKEN_TYPE}jwt`
          ? {
              access_token: await vouch({ sub: String(sub) }, String(params['audience'])),
              issued_token_type: `${TOKEN_TYPE}jwt`,
              token_type: 'N_A',
              expires_in: 60,
            }
          : { ...(await issue(provider, context, facts)), issued_token_type: `${TOKEN_TYPE}access_token` }
    }
    provider.registerGrantType(TOKEN_EXCHANGE, exchange, [...parameters, 'audience', 'scope', 'resource'])
    return stage
  }
  const of =
    (claims: JWTPayload): TokenSupplier =>
    async () => ({
      token: await vouch(claims),
      tokenType: `${TOKEN_TYPE}jwt`,
    })

  test('the token of a person becomes one for the API, with whoever acts for them', async () => {
    const { protocol } = await scene()
    const used = protocol('by-exchange', {
      grant: { type: 'token_exchange', subject: of({ sub: 'ada' }), actor: of({ sub: 'service' }) },
      scope: ['read'],
      audience: API,
    })
    const { accessToken, tokenType, scope } = await ask(used)
    expect([tokenType, scope]).toEqual(['Bearer', ['read']])
    expect(meaning.get(accessToken)).toEqual({ sub: 'ada', audience: API, act: { sub: 'service' } })
  })

  test('a token that is no access token comes as N_A (TOK-42)', async () => {
    const { protocol } = await scene()
    const grant = {
      type: 'token_exchange',
      subject: of({ sub: 'ada' }),
      requestedTokenType: `${TOKEN_TYPE}jwt`,
    } as const
    const { accessToken, tokenType } = await ask(protocol('by-exchange', { grant, audience: API }))
    expect([tokenType, claimsOf(accessToken)['sub'], claimsOf(accessToken)['aud']]).toEqual(['N_A', 'ada', API])
  })

  test('a subject that nobody vouched for is ERR_AUTH_GRANT_REJECTED, and shown nowhere', async () => {
    const { protocol } = await scene()
    const forged = `${(await vouch({ sub: 'ada' })).slice(0, -4)}AAAA`
    const subject: TokenSupplier = async () => ({ token: forged, tokenType: `${TOKEN_TYPE}jwt` })
    const used = protocol('by-exchange', { grant: { type: 'token_exchange', subject } })
    const error = await refusalOf(ask(used), 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ oauthError: 'invalid_grant' })
    expectNoTrace(error, [forged, SECRET])
  })
})

describe('JWT bearer against oidc-provider (RFC 7523)', () => {
  async function scene() {
    const stage = await startProvider({ clients: [client('by-assertion', JWT_BEARER)] })
    const { provider, issuer } = stage
    const seen = new Set<unknown>()
    const bear = async (context: TokenContext): Promise<void> => {
      const { sub, jti, iss } = await vouched(context.oidc.params['assertion'], issuer)
      if (iss !== context.oidc.client.clientId) throw new errors.InvalidGrant('iss') // RFC 7523 §3
      if (jti === undefined || seen.has(jti)) throw new errors.InvalidGrant('the assertion was used before')
      seen.add(jti)
      context.body = await issue(provider, context, { sub })
    }
    provider.registerGrantType(JWT_BEARER, bear, ['assertion', 'scope', 'resource'])
    return { ...stage, seen }
  }

  test('an assertion that is signed here is another one each time', async () => {
    const { protocol, seen } = await scene()
    const assertion = { signer: localSigner(voucher.privateKey), claims: { sub: 'ada' } }
    const used = protocol('by-assertion', { grant: { type: 'jwt_bearer', assertion }, scope: ['read'] })
    for (const count of [1, 2]) {
      const { accessToken } = await ask(used)
      expect(meaning.get(accessToken)).toEqual({ sub: 'ada' })
      expect(seen.size).toBe(count)
    }
  })

  test('one of the application is taken once; the same once more is ERR_AUTH_GRANT_REJECTED', async () => {
    const { issuer, protocol } = await scene()
    const jwt = await vouch({ sub: 'ada', iss: 'by-assertion', jti: 'once' }, issuer)
    const used = protocol('by-assertion', { grant: { type: 'jwt_bearer', assertion: async () => jwt } })
    expect((await ask(used)).tokenType).toBe('Bearer')
    const error = await refusalOf(ask(used), 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ oauthError: 'invalid_grant', requestSent: 'yes' })
    expectNoTrace(error, [jwt, SECRET])
  })

  test('one for another server is ERR_AUTH_GRANT_REJECTED', async () => {
    const { protocol } = await scene()
    const assertion = { signer: localSigner(voucher.privateKey), claims: { sub: 'ada', aud: 'https://other.example' } }
    await refusalOf(
      ask(protocol('by-assertion', { grant: { type: 'jwt_bearer', assertion } })),
      'ERR_AUTH_GRANT_REJECTED',
    )
  })
})
