import { inspect } from 'node:util'
import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { type AuthError, ConfigurationError } from '../errors/errors.ts'
import { REDACTED } from '../keys/secret.ts'
import type { TokenCipher, TokenStore } from '../stores/tokens/store.ts'
import { primeNonce } from './prime-nonce.ts'
import { type AuthorizationServerOptions, type ProtocolOptions, readProtocolOptions } from './protocol-options.ts'
import { type RenewalOptions, renewalPolicy } from './renewal.ts'
import type { Authenticator, AuthHost, AuthScheme } from './scheme.ts'
import { createTokenAuthenticator, type RejectionOptions, type RequestInfoLite } from './token-authenticator.ts'
import { createProtocol } from './token-endpoint.ts'
import { createTokenManager, type TokenManager, type TokenSource } from './token-manager.ts'

export interface OAuthOptions extends ProtocolOptions {
  /** As `https://api.example`; no other origin ever sees a token. */
  readonly allowedOrigins: readonly string[]
  readonly refresh?: RenewalOptions
  readonly rejection?: RejectionOptions
  /** Whose token a request needs; where it says `undefined`, the request is refused. Without it, all requests share one. */
  readonly tenant?: (request: RequestInfoLite) => string | undefined
  /** In memory at once. Default 10,000. */
  readonly maxTenants?: number
  /**
   * Where tokens outlive the process and are shared by all who ask the same issuer for the same thing, with the same grant for the
   * same person: a hint, a claim or a configured refresh token says whose they are. Where none does, the tokens of several people
   * need a `tenant` each. Default: this process alone.
   */
  readonly store?: TokenStore
  readonly encryption?: TokenCipher
  /** Renews with a refresh token although the store cannot tell who else does. Default false. */
  readonly allowUnlockedRefresh?: boolean
  /** RFC 7009, when the client is closed; `refresh`: refresh tokens alone. Default false. */
  readonly revokeOnClose?: boolean | 'refresh'
  /** The session ended, and somebody has to authorize again. Once for each. */
  readonly onReauthRequired?: (error: AuthError) => void
}

export interface OAuthScheme extends AuthScheme {
  /** For what sending requests does not cover. Usable from `createClient` on. */
  readonly tokens: TokenManager
}

/**
 * Tokens of an OAuth 2.0 authorization server for requests to the allowed origins: fetched, renewed ahead of their end, bound to a
 * key where asked for, and renewed once when a server rejects one. Everything goes through the pinned client.
 *
 * @throws ConfigurationError
 */
export function oauth(options: OAuthOptions): OAuthScheme {
  const { own, protocol } = split(options)
  let source: TokenSource | undefined
  const tokens = (): TokenSource => {
    if (source !== undefined) return source
    const message = 'oauth.tokens: expected a scheme that was given to createClient, this one has no client yet'
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  const bind = (host: AuthHost): Authenticator => {
    if (source !== undefined) {
      const message = 'oauth: expected a scheme for each client, this one has a client already'
      throw new ConfigurationError('ERR_CONFIG_INVALID', message)
    }
    const { endpoint, dpop, identity, close } = createProtocol(protocol, host)
    if (own.manager.store !== undefined && own.tenant === undefined && protocol.grant.type === 'device_code')
      refuseTwin(host, identity, close)
    source = createTokenManager({
      ...own.manager,
      endpoint,
      runtime: host.runtime,
      emit: host.emit,
      grant: protocol.grant.type,
      hasTenants: own.tenant !== undefined,
      ...(protocol.mtls ? { binding: thumbprintOf(host) } : {}),
      ...(dpop === undefined ? {} : { binding: () => dpop.jkt }),
    })
    const { runtime, emit } = host
    tellUnsealed(own.manager, emit)
    const { tenant, rejection = {} } = own
    const authenticator = createTokenAuthenticator({
      tokens: source,
      runtime,
      emit,
      dpop,
      tenant,
      rejection,
      onClose: close,
    })
    const isPrimed = dpop !== undefined && protocol.dpop?.primeNonce === true
    return isPrimed ? primeNonce(authenticator, dpop, host) : authenticator
  }
  const scheme: OAuthScheme = {
    name: 'oauth',
    credentialHeaders: ['authorization', 'dpop'],
    allowedOrigins: own.allowedOrigins,
    bind,
    tokens: {
      get: async (wish) => tokens().get(wish),
      reveal: (handle) => tokens().reveal(handle),
      invalidate: (handle, reason) => tokens().invalidate(handle, reason),
      status: () => tokens().status(),
      forget: async (which) => tokens().forget(which),
      revoke: async (which) => tokens().revoke(which),
    },
  }
  const hidden = { value: () => REDACTED }
  return Object.freeze(Object.defineProperties(scheme, { toJSON: hidden, [inspect.custom]: hidden }))
}

interface Own {
  readonly allowedOrigins: readonly string[]
  readonly tenant: OAuthOptions['tenant']
  readonly rejection: RejectionOptions | undefined
  readonly manager: ManagerOptions
}

type ManagerOptions = Pick<
  OAuthOptions,
  'refresh' | 'maxTenants' | 'store' | 'encryption' | 'allowUnlockedRefresh' | 'revokeOnClose' | 'onReauthRequired'
>

function split(options: OAuthOptions): { readonly own: Own; readonly protocol: AuthorizationServerOptions } {
  const { allowedOrigins, refresh, rejection, tenant, maxTenants, store, encryption, ...rest } = { ...options }
  const { allowUnlockedRefresh, revokeOnClose, onReauthRequired, ...protocol } = rest
  const given = { refresh, maxTenants, store, encryption, allowUnlockedRefresh, revokeOnClose, onReauthRequired }
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const read = parseOptions('oauth', Schema, { allowedOrigins, rejection, tenant, ...present })
  const parsed = readProtocolOptions(protocol, renewalPolicy(refresh).timeoutMs)
  if (store !== undefined && tenant === undefined && isForWhoeverIsSupplied(parsed)) {
    const message = `oauth.tenant: expected it with a store, since the grant ${parsed.grant.type} does not say before it is asked whose tokens these are`
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  return {
    own: { allowedOrigins: read.allowedOrigins, tenant, rejection, manager: present },
    protocol: parsed,
  }
}

/** A function of the application names the subject anew each time: two of them would share one record of the store. */
function isForWhoeverIsSupplied({ grant }: AuthorizationServerOptions): boolean {
  return grant.type === 'token_exchange' || (grant.type === 'jwt_bearer' && typeof grant.assertion === 'function')
}

/** Whoever enters the code of the one would be taken for whoever entered that of the other. */
function refuseTwin(host: AuthHost, identity: string, close: () => void): void {
  const bound = deviceSessions.get(host) ?? new Set()
  deviceSessions.set(host, bound)
  if (!bound.has(identity)) {
    bound.add(identity)
    return
  }
  close()
  const message =
    'oauth.tenant: expected it where two schemes of a client ask the same issuer for the same thing by device_code, with a store: nothing else tells their people apart'
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

/** In a microtask: the listeners of a client are added after it was made. */
function tellUnsealed({ store, encryption }: ManagerOptions, emit: AuthHost['emit']): void {
  if (store === undefined || store.isInMemory === true || encryption !== undefined) return
  const effect = 'tokens are kept in the clear: whoever can read the store can use them; `encryption` seals them'
  queueMicrotask(() => emit({ type: 'posture', subject: 'oauth.store', effect }))
}

function thumbprintOf({ certificateThumbprint }: AuthHost): () => string | undefined {
  if (certificateThumbprint !== undefined) return certificateThumbprint
  const message = 'oauth.senderConstraint: expected a client with the option `certificate` for mtls, this one has none'
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

const deviceSessions = new WeakMap<AuthHost, Set<string>>()

const call = z.custom<(...given: never[]) => unknown>((value) => typeof value === 'function', 'expected a function')
const having = (...names: readonly string[]) =>
  z.custom<object>(
    (value) => typeof value === 'object' && value !== null && names.every((name) => name in value),
    `expected an object with ${names.join(', ')}`,
  )
const ms = (max: number) => z.int().min(0).max(max).optional()
const share = z.number().min(0).max(1).optional()

const Schema = z.strictObject({
  allowedOrigins: AllowedOrigins,
  refresh: z
    .strictObject({
      earlyMs: ms(86_400_000),
      earlyFraction: share,
      jitter: share,
      hardMs: ms(600_000),
      minIntervalMs: ms(60_000),
      timeoutMs: z.int().min(100).max(300_000).optional(),
      graceMs: ms(600_000),
    })
    .optional(),
  rejection: z
    .strictObject({
      on401: z.enum(['challenge', 'any', 'never']).optional(),
      replay: z.enum(['any', 'idempotent']).optional(),
    })
    .optional(),
  tenant: call.optional(),
  maxTenants: z.int().min(1).max(1_000_000).optional(),
  store: having('load', 'compareAndSwap', 'lease', 'remove').optional(),
  encryption: having('seal', 'open').optional(),
  allowUnlockedRefresh: z.boolean().optional(),
  revokeOnClose: z.union([z.boolean(), z.literal('refresh')]).optional(),
  onReauthRequired: call.optional(),
})
