import { AuthError, type ReauthReason } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Lease, TokenCipher, TokenStore } from '../stores/tokens/store.ts'
import { HeldToken } from './held-token.ts'
import type { RenewalPolicy } from './renewal.ts'
import type { Patience } from './store-patience.ts'
import type { TokenEndpoint, TokenRequest } from './token.ts'
import type { Entry, TokenLedger } from './token-ledger.ts'
import type { StoredAccessToken } from './token-record.ts'

/** What all sessions of one client have in common. */
export interface TokenWorld {
  readonly endpoint: TokenEndpoint
  readonly runtime: Runtime
  readonly emit: Emit
  readonly policy: RenewalPolicy
  /** Absent: the grant has nothing to keep, and nobody to share it with. */
  readonly store: TokenStore | undefined
  readonly cipher: TokenCipher | undefined
  /**
   * Whether a token may be renewed while the store cannot say who else does: `yes` where that costs a request and nothing else,
   * `unlocked` where the operator takes the risk of a refresh token sent twice.
   */
  readonly alone: 'yes' | 'unlocked' | 'no'
  /** What access tokens are bound to, when they are (RFC 8705, RFC 9449): `undefined` while there is no certificate. */
  readonly binding: (() => string | undefined) | undefined
  /** Aborted when the time for closing is over. */
  readonly signal: AbortSignal
}

export interface Renewal {
  readonly token: HeldToken
  /** Whether somebody else renewed it. */
  readonly isAdopted: boolean
}

export interface RenewalRequest {
  readonly trigger: TokenRequest['trigger']
  /** Whether a token that somebody else stored is better than the one in hand. */
  readonly isWelcome: (token: HeldToken) => boolean
}

/** A renewal, and whose. */
export interface Demand extends RenewalRequest {
  readonly tenant: string | undefined
  /** What the certificate, or the key, in force asks for. */
  readonly binding: string | undefined
  /** Of whoever waits for the renewal, with the store. */
  readonly patience: Patience
}

/** One request to the token endpoint, and where its answer goes. */
export interface Ask {
  readonly demand: Demand
  readonly ledger?: TokenLedger
  readonly lease?: Lease | undefined
  readonly refreshToken?: string
  /** Whether the configuration gave the refresh token. */
  readonly isInitial?: boolean
  /** What the record was when this began; then, what the answer has made of it. */
  base?: Entry
  isRotated?: boolean
}

export interface RefreshTurn extends Ask {
  readonly ledger: TokenLedger
  readonly refreshToken: string
  readonly rtHash: string
  readonly isInitial: boolean
  /** Whether an earlier request with this refresh token has no answer. */
  readonly wasLost: boolean
  base: Entry
}

/** A token that somebody stored, where it is as good as a new one. */
export function adoptable(
  { content: { token }, tombstone }: Entry,
  demand: Demand,
  world: TokenWorld,
): Renewal | undefined {
  if (token === undefined || tombstone !== undefined || token.binding !== demand.binding) return undefined
  const held = hold(token, demand, world)
  if (held.leftMs(world.runtime.clock) <= 0 || !demand.isWelcome(held)) return undefined
  return { token: held, isAdopted: true }
}

export function hold(token: StoredAccessToken, { binding, tenant }: Demand, world: TokenWorld): HeldToken {
  const { policy, runtime } = world
  return new HeldToken({ ...token, expiresAt: token.expiresAt }, { policy, runtime, binding, tenant })
}

/** How long a lease is asked for: the deadline of one request, and a few calls of the store. */
export const leaseMsOf = ({ timeoutMs }: RenewalPolicy): number => timeoutMs + LEASE_MARGIN_MS

/** @param reason As stored: somebody else may have written it. */
export function reauthRequired(reason: string, cause?: AuthError): AuthError {
  const known: ReauthReason = reason === 'lost_rotation' ? reason : 'revoked'
  const why =
    known === 'revoked'
      ? 'it was revoked or has expired'
      : 'the answer to an earlier request was lost with its successor'
  return new AuthError('ERR_AUTH_REAUTH_REQUIRED', `token endpoint: the refresh token is not accepted: ${why}`, {
    reason: known,
    ...(cause !== undefined && { cause, requestSent: cause.requestSent }),
  })
}

const LEASE_MARGIN_MS = 5_000
