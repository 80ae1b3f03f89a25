import type { UnixMs } from '../ports/runtime.ts'

/** What a token endpoint granted, checked (RFC 6749 §5.1). Secrets: never shown, logged or put into an error. */
export interface IssuedToken {
  readonly accessToken: string
  readonly tokenType: 'Bearer' | 'DPoP' | 'N_A'
  /** By this machine's clock; `undefined` where the server named no lifetime. */
  readonly expiresAt: UnixMs | undefined
  readonly receivedAt: UnixMs
  readonly refreshToken: string | undefined
  /** As granted; as asked for, where the answer names none (RFC 6749 §5.1). */
  readonly scope: readonly string[]
}

export interface TokenRequest {
  /** The refresh token to redeem; without one the configured grant is asked. */
  readonly refreshToken?: string
  readonly tenant?: string
  /** Why, for the events. */
  readonly trigger: 'first' | 'early' | 'expired' | 'rejected'
  /** Ends the call; never a caller's own signal, since others wait for the same token. */
  readonly signal: AbortSignal
  /**
   * Called with a new refresh token as soon as it was read, before anything of the answer is judged: whatever turns out wrong
   * afterwards, the old one is spent. Awaited.
   */
  readonly onRotated: (refreshToken: string) => Promise<void>
}

/**
 * One authorization server, asked by one client. Rejects with an AuthError whose `requestSent` says whether the refresh token
 * may be spent: `'no'` is a promise.
 */
export interface TokenEndpoint {
  readonly request: (request: TokenRequest) => Promise<IssuedToken>
  /** RFC 7009. Resolves where the server has no such endpoint. */
  readonly revoke: (token: string, hint: 'access_token' | 'refresh_token', signal: AbortSignal) => Promise<void>
  /**
   * Of everything that makes a token another one: issuer, client, grant, scopes, resources, DPoP key; no secret. Without the
   * client certificate: a refresh token outlives it (RFC 8705 §4), and access tokens are told apart by their binding.
   */
  readonly cacheKey: (tenant: string | undefined) => Promise<string>
  /**
   * The refresh token that the configuration starts with, where the grant is one. The manager redeems it like any other, and
   * remembers that it was spent; another one after that starts the session anew.
   */
  readonly initialRefreshToken?: (tenant: string | undefined, signal: AbortSignal) => Promise<string>
  /** What the configuration asks for: scopes whose names may be told. */
  readonly scope?: readonly string[]
  /** A request without a refresh token takes as long as a person does, minutes perhaps, and ends by itself (RFC 8628, CIBA). */
  readonly asksPerson?: boolean
}

/** Of an access token: RFC 6749 §A.12 less the space, which ends it in a header. */
export const HEADER_SAFE = /^[\x21-\x7e]{1,65536}$/
