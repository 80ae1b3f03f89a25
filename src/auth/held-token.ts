import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { REDACTED } from '../keys/secret.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import { fraction, type RenewalPolicy, type Windows, windowsOf } from './renewal.ts'
import type { IssuedToken } from './token.ts'

/**
 * An access token in this process. Its version is a digest of the token itself: the same in every process that shares it, after
 * a restart, and after its tenant was forgotten and came back.
 */
export class HeldToken implements Windows {
  readonly accessToken: string
  readonly tokenType: IssuedToken['tokenType']
  readonly expiresAt: UnixMs | undefined
  readonly receivedAt: UnixMs
  readonly scope: readonly string[]
  readonly renewAt: UnixMs
  readonly endsAt: UnixMs
  readonly version: string
  /** What it is bound to: the thumbprint of the client certificate (RFC 8705 §3.1) or of the DPoP key (RFC 9449 §6.1). */
  readonly binding: string | undefined
  readonly tenant: string | undefined
  /** As long on the monotonic clock as on the wall: a clock that is set back does not prolong a token. */
  readonly #endsMonotonic: number
  #authorization: string | undefined
  #handle: TokenHandle | undefined

  constructor(issued: Omit<IssuedToken, 'refreshToken'>, facts: HeldFacts) {
    this.accessToken = issued.accessToken
    this.tokenType = issued.tokenType
    this.expiresAt = issued.expiresAt
    this.receivedAt = issued.receivedAt
    this.scope = issued.scope
    this.version = versionOf(issued.accessToken)
    this.binding = facts.binding
    this.tenant = facts.tenant
    const { clock, random } = facts.runtime
    const windows = windowsOf(issued, facts.policy, () => fraction(random))
    this.renewAt = windows.renewAt
    this.endsAt = windows.endsAt
    this.#endsMonotonic = clock.monotonic() + Math.max(0, windows.endsAt - clock.now())
  }

  /** How long it may still be sent: nothing or less when it may not. */
  leftMs({ now, monotonic }: Runtime['clock']): number {
    return Math.min(this.endsAt - now(), this.#endsMonotonic - monotonic())
  }

  /** The value of the Authorization field (RFC 6750 §2.1, RFC 9449 §7.1). */
  get authorization(): string {
    this.#authorization ??= `${this.tokenType} ${this.accessToken}`
    return this.#authorization
  }

  get handle(): TokenHandle {
    this.#handle ??= new TokenHandle(this)
    return this.#handle
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

export interface HeldFacts {
  readonly policy: RenewalPolicy
  readonly runtime: Pick<Runtime, 'clock' | 'random'>
  readonly binding: string | undefined
  readonly tenant: string | undefined
}

/** Stands for a token without showing it: `TokenManager.reveal` does, and tells an event. */
export class TokenHandle {
  readonly tokenType: IssuedToken['tokenType']
  /** `undefined` where the server named no lifetime. */
  readonly expiresAt: UnixMs | undefined
  readonly scope: readonly string[]
  readonly #held: HeldToken

  constructor(held: HeldToken) {
    this.tokenType = held.tokenType
    this.expiresAt = held.expiresAt
    this.scope = held.scope
    this.#held = held
    Object.freeze(this)
  }

  /** @internal Only the manager that made the handle asks. */
  static open(handle: TokenHandle): HeldToken {
    return handle.#held
  }

  toJSON(): object {
    return { tokenType: this.tokenType, expiresAt: this.expiresAt, scope: this.scope, token: REDACTED }
  }

  [inspect.custom](): string {
    return `TokenHandle ${REDACTED}`
  }
}

/** 96 bits: enough to tell versions apart, and nothing to guess a token from. */
const versionOf = (accessToken: string): string => digest(accessToken).slice(0, 16)

/** Of tenants, refresh tokens and cache keys: what may stand in a store, an event or an error. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')
