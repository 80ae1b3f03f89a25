import { setMaxListeners } from 'node:events'
import { AuthError, ConfigurationError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { memoryTokenStore } from '../stores/tokens/memory.ts'
import type { TokenCipher, TokenStore } from '../stores/tokens/store.ts'
import { digest, type HeldToken, TokenHandle } from './held-token.ts'
import { type RenewalOptions, renewalPolicy } from './renewal.ts'
import { Tenants } from './tenants.ts'
import type { TokenEndpoint } from './token.ts'
import { endSessions, revokeHeld } from './token-revocation.ts'
import { closed, type SessionWorld, TokenSession, type TokenStatus } from './token-session.ts'

/** The tokens of one client, for an application that needs more than having them sent. */
export interface TokenManager {
  /**
   * A token that may be sent, renewed where needed. One renewal serves everybody who waits for it.
   *
   * @param options.minValidityMs At least that long, where its server issues tokens that live so long. Default 0.
   * @param options.signal Ends the waiting, never the renewal: others wait for it, and it may have spent a refresh token.
   * @throws AuthError, StoreError, KeyError where there is none. Those who ask soon after a failure share its error.
   */
  readonly get: (options?: TokenWish) => Promise<TokenHandle>
  /** The text of the access token. Told by the event `token.revealed`. */
  readonly reveal: (handle: TokenHandle) => string
  /** The token is not sent again. What is said of an older token than the one in force changes nothing. */
  readonly invalidate: (handle: TokenHandle, reason: 'rejected' | 'manual') => void
  /** One entry for each tenant in memory, without any secret. */
  readonly status: () => readonly TokenStatus[]
  /** Starts anew with the next request: for after `onReauthRequired`, when somebody has authorized again. */
  readonly forget: (options?: { readonly tenant?: string }) => Promise<void>
  /**
   * Containment: revokes every token that this process holds (RFC 7009), of one tenant or of all, and ends their sessions for all
   * who share the store. Never rejects for a server that does not answer: `token.revoked` tells.
   */
  readonly revoke: (options?: { readonly tenant?: string; readonly signal?: AbortSignal }) => Promise<void>
}

/** Which token is asked for. `minValidityMs`: how many milliseconds it has to be valid yet. */
export interface TokenWish {
  readonly tenant?: string | undefined
  readonly minValidityMs?: number
  readonly signal?: AbortSignal | null
}

/** What the Authenticator asks of it. */
export interface TokenSource extends TokenManager {
  /** @throws AuthError `ERR_AUTH_TENANT_UNKNOWN`, `ERR_AUTH_CLOSED` */
  readonly session: (tenant: string | undefined) => TokenSession
  readonly close: (options: { readonly signal: AbortSignal }) => Promise<void>
}

export interface TokenManagerSetup {
  readonly endpoint: TokenEndpoint
  readonly runtime: Runtime
  readonly emit: Emit
  /** `client_credentials`: nothing but requests is lost with its tokens, so they are renewed without the store if need be. */
  readonly grant: string
  readonly refresh?: RenewalOptions
  /** Absent: this process alone. */
  readonly store?: TokenStore
  readonly encryption?: TokenCipher
  /** Renews with a refresh token although the store cannot tell who else does. */
  readonly allowUnlockedRefresh?: boolean
  /** `'refresh'`: refresh tokens only. Default `false`. */
  readonly revokeOnClose?: boolean | 'refresh'
  readonly onReauthRequired?: (error: AuthError) => void
  /** Of tokens that are bound to a certificate or a key: the thumbprint in force. */
  readonly binding?: () => string | undefined
  /** Whether requests name a tenant: without one there is no token then. */
  readonly hasTenants?: boolean
  /** In memory at once. Default 10 000. */
  readonly maxTenants?: number
}

export function createTokenManager(setup: TokenManagerSetup): TokenSource {
  const { endpoint, runtime, emit, grant, hasTenants = false } = setup
  const policy = renewalPolicy(setup.refresh)
  const end = new AbortController()
  setMaxListeners(0, end.signal) // each tenant listens while it renews, and stops then
  const isFree = grant === 'client_credentials'
  const world: SessionWorld = {
    endpoint,
    runtime,
    emit,
    policy,
    store: setup.store ?? (isFree ? undefined : memoryTokenStore({ runtime })),
    cipher: setup.store === undefined ? undefined : setup.encryption,
    alone: isFree ? 'yes' : setup.allowUnlockedRefresh === true ? 'unlocked' : 'no',
    binding: setup.binding,
    signal: end.signal,
    onReauthRequired: setup.onReauthRequired,
  }
  const sessions = new Tenants<TokenSession>(setup.maxTenants ?? MAX_TENANTS)
  let closing: Promise<void> | undefined

  const session = (tenant: string | undefined): TokenSession => {
    if (closing !== undefined) throw closed()
    let found = sessions.get(tenant)
    if (found === undefined) {
      if (hasTenants && (tenant === undefined || tenant === '')) throw tenantUnknown()
      found = new TokenSession(world, tenant)
      sessions.add(tenant, found)
    }
    found.usedAt = runtime.clock.monotonic()
    return found
  }
  const close = async ({ signal }: { readonly signal: AbortSignal }): Promise<void> => {
    const bound = new AbortController()
    const cancel = runtime.schedule(policy.timeoutMs + CLOSE_MARGIN_MS, () => bound.abort(closed()))
    const limit = AbortSignal.any([signal, bound.signal])
    const all = [...sessions.values()]
    try {
      await raceSignal(Promise.all(all.map((one) => one.settled())), limit)
      if (setup.revokeOnClose === true || setup.revokeOnClose === 'refresh') {
        const hints = setup.revokeOnClose === true ? BOTH : REFRESH_ONLY
        await revokeHeld(all, { world, hints, signal: limit, withinMs: policy.timeoutMs })
      }
    } catch (error) {
      if (!limit.aborted) throw error // the time is over: what is marked in the store is looked into by the next process
    } finally {
      cancel()
      end.abort(closed())
    }
  }

  return {
    session,
    get: async ({ tenant, minValidityMs = 0, signal } = {}) =>
      (await session(tenant).get(minValidityMs, signal)).handle,
    reveal: (handle) => {
      const held = opened(handle)
      emit({ type: 'token.revealed', ...(held.tenant !== undefined && { tenantHash: digest(held.tenant) }) })
      return held.accessToken
    },
    invalidate: (handle) => {
      const held = opened(handle)
      sessions.get(held.tenant)?.invalidate(held.version)
    },
    status: () => [...sessions.values()].map((one) => one.status()),
    forget: async ({ tenant } = {}) => {
      await session(tenant).forget()
      sessions.delete(tenant)
    },
    revoke: async (options = {}) => {
      const chosen = options.tenant === undefined && hasTenants ? [...sessions.values()] : [session(options.tenant)]
      const signal = options.signal === undefined ? end.signal : AbortSignal.any([end.signal, options.signal])
      await endSessions(chosen, { world, hints: BOTH, signal, withinMs: policy.timeoutMs })
    },
    close: (options) => {
      closing ??= close(options)
      return closing
    },
  }
}

function opened(handle: TokenHandle): HeldToken {
  if (!(handle instanceof TokenHandle)) {
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'handle: expected what `tokens.get` resolved to')
  }
  return TokenHandle.open(handle)
}

function tenantUnknown(): AuthError {
  const message = 'token: expected the name of a tenant, got none; the token of another one is never used'
  return new AuthError('ERR_AUTH_TENANT_UNKNOWN', message)
}

const BOTH = ['refresh_token', 'access_token'] as const
const REFRESH_ONLY = ['refresh_token'] as const
const MAX_TENANTS = 10_000
const CLOSE_MARGIN_MS = 5_000
