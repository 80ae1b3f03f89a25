import { createHash } from 'node:crypto'
import type { Client } from 'oauth4webapi'
import { AuthError } from '../errors/errors.ts'
import { type ClockOffsets, createClockOffsets } from '../keys/clock-offset.ts'
import { openSecret } from '../keys/secret-source.ts'
import { fileStore } from '../stores/file.ts'
import { type AskServer, createAskServer, type ServerAnswer, type TokenForm } from './authorization-server.ts'
import { createClientCredentials } from './client-authentication.ts'
import { createDpop, type Dpop } from './dpop.ts'
import { ACCESS_TOKEN_TYPE, type Grant, grantRequest, isDatedGrant, refreshRequest } from './grants.ts'
import { digest } from './held-token.ts'
import { discoverMetadata, givenMetadata } from './metadata.ts'
import { beginCiba, beginDevice, poll } from './polling.ts'
import type { AuthorizationServerOptions } from './protocol-options.ts'
import type { AuthHost } from './scheme.ts'
import { refusalOf } from './server-error.ts'
import { type Answer, createServerExchange } from './server-exchange.ts'
import type { IssuedToken, TokenEndpoint, TokenRequest } from './token.ts'
import { judgeTokenResponse, salvage } from './token-response.ts'

/** An authorization server as one client uses it. */
export interface Protocol {
  readonly endpoint: TokenEndpoint
  /** For the requests that use the tokens; `undefined` where they are not bound by DPoP. */
  readonly dpop: Dpop | undefined
  readonly offsets: ClockOffsets
  /** The same for two protocols whose tokens nothing but a tenant, or a configured refresh token, tells apart. */
  readonly identity: string
  readonly close: () => void
}

/** @throws ConfigurationError, or KeyError for a secret that must be there at the start. */
export function createProtocol(options: AuthorizationServerOptions, host: AuthHost): Protocol {
  const { runtime, emit } = host
  const { issuer, client: own, grant, scope, resource, audience } = options
  const serverHost = new URL(issuer).host
  const notice = (kind: NoticeKind, message: string): void =>
    emit({ type: 'auth.notice', host: serverHost, kind, message })
  const offsets = createClockOffsets({ runtime, emit })
  const exchange = createServerExchange({ host, offsets, timeoutMs: options.timeoutMs })
  const keyChanged =
    (use: 'private_key_jwt' | 'dpop') =>
    (before: string, after: string): void =>
      emit({ type: 'auth.keyChanged', host: serverHost, use, before, after })
  const dpop = options.dpop && createDpop(options.dpop.signer, { runtime, offsets, onKeyChanged: keyChanged('dpop') })
  const metadata =
    options.metadata === undefined
      ? discoverMetadata(
          {
            issuer,
            allowedEndpointOrigins: options.allowedEndpointOrigins,
            maxAgeMs: options.discovery.maxAgeMs,
            ...(options.discovery.cacheDir === undefined ? {} : { store: fileStore(options.discovery.cacheDir) }),
          },
          { runtime, emit, exchange },
        )
      : givenMetadata(issuer, options.metadata)
  const credentials = createClientCredentials(own.authentication, {
    runtime,
    emit,
    offsets,
    host: serverHost,
    onPrevious: () =>
      notice('client-secret-previous', 'the server refused the newest client secret; the one before is used'),
    onKeyChanged: keyChanged('private_key_jwt'),
  })
  const initial =
    grant.type === 'refresh_token'
      ? openSecret(grant.initial, { name: 'oauth refresh token', runtime, emit })
      : undefined
  const usesMtls = options.mtls || own.authentication.method.endsWith('tls_client_auth')
  const client: Client = { client_id: own.id, use_mtls_endpoint_aliases: usesMtls }
  const ask = createAskServer({ client, metadata, credentials, exchange, offsets, dpop })
  const world = { runtime, offsets, issuer, clientId: own.id, initial }
  const serverNow = ({ url }: Answer): number => offsets.now(url.origin)

  const common = (): URLSearchParams => {
    const parameters = new URLSearchParams()
    for (const one of resource) parameters.append('resource', one) // RFC 8707 §2: one each
    if (audience !== undefined) parameters.set('audience', audience)
    return parameters
  }
  const withScope = (parameters: URLSearchParams): URLSearchParams => {
    if (scope.length > 0) parameters.set('scope', scope.join(' '))
    return parameters
  }
  const formOf = async (request: TokenRequest, origin: string): Promise<TokenForm> => {
    const { refreshToken, tenant, signal } = request
    if (refreshToken !== undefined) return filled(refreshRequest(refreshToken), common()) // what was granted stays
    if (grant.type === 'device_code' || grant.type === 'ciba') throw new TypeError('asked by polling')
    const asked = await grantRequest(grant, { tenant, origin, signal }, world)
    return filled(asked, grant.type === 'refresh_token' ? common() : withScope(common()))
  }
  const answered = async (request: TokenRequest): Promise<ServerAnswer> => {
    const { signal } = request
    if (request.refreshToken === undefined && (grant.type === 'device_code' || grant.type === 'ciba')) {
      const polling = { ask, issuer, runtime, parameters: withScope(common()), serverNow }
      const begun = await (grant.type === 'ciba'
        ? beginCiba(grant, polling, signal)
        : beginDevice(grant, polling, signal))
      return poll(begun, polling, signal)
    }
    const isDated = request.refreshToken === undefined && isDatedGrant(grant)
    return required(
      await ask({ endpoint: 'token_endpoint', form: (origin) => formOf(request, origin), isDated }, signal),
    )
  }
  const judged = async (request: TokenRequest, { answer, server }: ServerAnswer): Promise<IssuedToken> => {
    const refreshable = request.refreshToken !== undefined || grant.type !== 'client_credentials'
    const rotated = salvage(answer)
    if (rotated !== undefined && refreshable) await request.onRotated(rotated)
    if (answer.status !== 200) throw refusalOf(answer, serverNow(answer))
    const isExchange = request.refreshToken === undefined && grant.type === 'token_exchange'
    const issued = await judgeTokenResponse(answer, {
      server,
      client,
      dpop: dpop !== undefined,
      issuedTokenType: isExchange ? (grant.requestedTokenType ?? ACCESS_TOKEN_TYPE) : undefined,
      scope,
      requireScopes: options.requireScopes,
      offsetMs: offsets.of(answer.url.origin),
      refreshable,
    })
    if (rotated !== undefined && !refreshable)
      notice('refresh-token-ignored', 'a refresh token came with client_credentials (RFC 6749 §4.4.3)')
    const missing = scope.filter((one) => !issued.scope.includes(one))
    if (missing.length > 0) notice('scope-reduced', `not granted: ${missing.join(' ')}`)
    return issued
  }

  /** The DPoP key is another one after it was replaced, and so are the tokens that are bound to it. */
  const facts = () => [issuer, own.id, grantFacts(grant), [...scope].sort(), [...resource].sort(), audience, dpop?.jkt]
  let begunWith: string | undefined
  /** Two configured refresh tokens are two sessions, and perhaps of two people. */
  const beginning = async (): Promise<string | undefined> => {
    try {
      if (initial !== undefined) begunWith = digest((await initial.current()).secret.reveal())
    } catch (error) {
      if (begunWith === undefined) throw error // otherwise the session goes on, although its beginning cannot be read again
    }
    return begunWith
  }

  const endpoint: TokenEndpoint = {
    request: async (request) => judged(request, await answered(request)),
    revoke: async (token, hint, signal) => {
      const revoked = await ask({ endpoint: 'revocation_endpoint', token, hint }, signal)
      if (revoked !== undefined && revoked.answer.status !== 200)
        throw refusalOf(revoked.answer, serverNow(revoked.answer))
    },
    scope,
    cacheKey: async (tenant) => keyOf([...facts(), tenant, await beginning()]),
    asksPerson: grant.type === 'device_code' || grant.type === 'ciba',
    ...(initial === undefined ? {} : { initialRefreshToken: async () => (await initial.current()).secret.reveal() }),
  }
  const close = (): void => {
    credentials.close()
    initial?.close()
  }
  return { endpoint, dpop, offsets, identity: keyOf(facts()), close }
}

function keyOf(facts: readonly unknown[]): string {
  return createHash('sha256')
    .update(JSON.stringify(facts.map((fact) => fact ?? null)))
    .digest('hex')
}

type NoticeKind = 'refresh-token-ignored' | 'scope-reduced' | 'client-secret-previous'

function filled({ grantType, parameters }: Awaited<ReturnType<typeof grantRequest>>, form: URLSearchParams): TokenForm {
  for (const [name, value] of Object.entries(parameters)) form.set(name, value)
  return { grantType, parameters: form }
}

/**
 * What of a grant makes its token another one. Functions, and a device code, which anybody may enter, say nothing that could be
 * compared: where they stand for several people, a tenant tells those apart.
 */
function grantFacts(grant: Grant): readonly (string | null)[] {
  switch (grant.type) {
    case 'token_exchange':
      return [grant.type, grant.requestedTokenType ?? null]
    case 'jwt_bearer':
      return [grant.type, typeof grant.assertion === 'function' ? null : JSON.stringify(grant.assertion.claims)]
    case 'ciba':
      return [grant.type, ...CIBA_HINTS.map((hint) => (grant as Partial<Record<string, string>>)[hint] ?? null)]
    default:
      return [grant.type]
  }
}

const CIBA_HINTS = ['loginHint', 'loginHintToken', 'idTokenHint'] as const

function required(answered: Awaited<ReturnType<AskServer>>): ServerAnswer {
  if (answered !== undefined) return answered
  throw new AuthError(
    'ERR_AUTH_DISCOVERY_FAILED',
    'oauth: expected the metadata to name a token_endpoint, they name none',
  )
}
