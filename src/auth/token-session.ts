import { BoundedMap } from '../encoding/bounded-map.ts'
import { AuthError, PinfetchError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { EventOf } from '../events/events.ts'
import { TRACES, traced } from '../events/tracing.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { raceSignal, wait } from '../ports/signals.ts'
import { digest, type HeldToken } from './held-token.ts'
import { backOffMs, fraction } from './renewal.ts'
import type { TokenRequest } from './token.ts'
import { TokenRenewer } from './token-renewer.ts'
import type { TokenWorld } from './token-world.ts'

export interface SessionWorld extends TokenWorld {
  readonly onReauthRequired: ((error: AuthError) => void) | undefined
}

/** How a token stands, for health pages: it has no secret. Instants are Unix milliseconds. */
export interface TokenStatus {
  /** Digest of the tenant's name, where there are tenants. */
  readonly tenantHash?: string
  /** `due`: serves, and is renewed by the next request. `failing`: none serves, and the last renewal failed. */
  readonly state: 'empty' | 'valid' | 'due' | 'failing' | 'ended'
  readonly isRenewing: boolean
  readonly expiresAt?: UnixMs
  readonly renewAt?: UnixMs
  readonly scope?: readonly string[]
  /** Consecutive failed renewals. */
  readonly failures: number
  /** Of the last one; nobody asks again before `retryAt`. */
  readonly code?: string
  readonly retryAt?: UnixMs
  /** Whether the only copy of the newest refresh token is in this process. */
  readonly isUnsaved: boolean
}

/** The token of one tenant in this process: the one in force, the renewal that everybody waits for, and the last failure. */
export class TokenSession {
  readonly tenant: string | undefined
  readonly #world: SessionWorld
  readonly #renewer: TokenRenewer
  #current: HeldToken | undefined
  /** Of a token that is not sent again. */
  #rejected: string | undefined
  #flight: Flight | undefined
  #failure: Failure | undefined
  #renewedAt = Number.NEGATIVE_INFINITY
  #toldEnd = false
  /** Resource servers that reject what is newest, by origin. */
  #doubts: BoundedMap<string, Doubt> | undefined
  #saves = 0
  #cancelSave: (() => void) | undefined
  #stopping: Promise<void> | undefined
  #isClosing = false
  /** Monotonic; for the eviction of tenants. */
  usedAt = 0

  constructor(world: SessionWorld, tenant: string | undefined) {
    this.#world = world
    this.tenant = tenant
    this.#renewer = new TokenRenewer(world, tenant)
  }

  /** The token in force, if it may be sent; renewed in the background when that is due. */
  ready(minValidityMs = 0): HeldToken | undefined {
    const token = this.#current
    if (token === undefined || token.version === this.#rejected || this.#stopping !== undefined) return undefined
    const { clock } = this.#world.runtime
    // A server whose tokens never live that long is not asked again and again: most of a life has to do.
    const least = Math.min(minValidityMs, (token.endsAt - token.receivedAt) * 0.8)
    if (token.leftMs(clock) <= least || token.binding !== this.#world.binding?.()) return undefined
    if (clock.now() >= token.renewAt && this.#mayStart) void this.#start('early')
    return token
  }

  /** The token in force, or the one that the renewal under way brings. A signal ends the waiting, never the renewal. */
  async get(minValidityMs: number, signal: AbortSignal | null | undefined): Promise<HeldToken> {
    const token = this.ready(minValidityMs)
    if (token !== undefined) return token
    if (signal?.aborted === true) throw signal.reason
    if (this.#stopping !== undefined) {
      await raceSignal(
        this.#stopping.catch(() => undefined),
        signal,
      )
      return await this.get(minValidityMs, signal)
    }
    if (this.#isClosing && this.#flight === undefined) throw closed()
    if (this.#flight === undefined && this.#failure !== undefined && this.#isBackingOff) throw this.#failure.error
    const flight = this.#flight ?? this.#start(this.#trigger())
    flight.waiters += 1
    return await raceSignal(flight.promise, signal)
  }

  /** What is said of an older token than the one in force changes nothing. */
  invalidate(version: string): void {
    if (this.#current === undefined || this.#current.version === version) this.#rejected = version
  }

  /**
   * A resource server rejected a token. A token that it rejects right after it was renewed is no matter of renewing: what this
   * server says is not listened to for a while then, twice as long each time, and others go on with the token.
   *
   * @param isRetry The request had been rejected before, with an older token.
   * @returns whether the request has a chance with another token.
   */
  reject(version: string, origin: string, isRetry: boolean): boolean {
    if (this.#current !== undefined && !this.#isInForce(this.#current, version)) return !isRetry
    const now = this.#world.runtime.clock.monotonic()
    const doubt = this.#doubts?.get(origin)
    if (isRetry) {
      if (doubt?.version === version) return false
      const count = Math.min((doubt?.count ?? 0) + 1, 20)
      const forMs = Math.min(this.#world.policy.minIntervalMs * 2 ** (count - 1), MAX_DOUBT_MS)
      this.#doubts ??= new BoundedMap(MAX_DOUBTS)
      this.#doubts.set(origin, { version, count, until: now + forMs })
      return false
    }
    if (doubt !== undefined && now < doubt.until) return false
    this.invalidate(version)
    return true
  }

  /** Neither renewed since, nor bound to a certificate or key that was replaced: the next request gets another in either case. */
  #isInForce(current: HeldToken, version: string): boolean {
    return current.version === version && current.binding === this.#world.binding?.()
  }

  /** A resource server took the token. */
  accept(origin: string): void {
    this.#doubts?.delete(origin)
  }

  /** Begins a renewal for those who come next, where none runs and nothing speaks against it. */
  renewSoon(): void {
    if (this.ready() === undefined && this.#mayStart) void this.#start(this.#trigger())
  }

  get current(): HeldToken | undefined {
    return this.#current
  }

  get refreshToken(): string | undefined {
    return this.#renewer.ledger?.known.content.refreshToken
  }

  /** Nothing runs, and nothing would be lost with it. */
  get isIdle(): boolean {
    return this.#flight === undefined && this.#stopping === undefined && this.#renewer.ledger?.isUnsaved !== true
  }

  get hasToken(): boolean {
    return this.#current !== undefined && this.#current.leftMs(this.#world.runtime.clock) > 0
  }

  status(): TokenStatus {
    const { clock } = this.#world.runtime
    const token = this.#current
    const failure = this.#failure
    return {
      ...(this.tenant !== undefined && { tenantHash: digest(this.tenant) }),
      state: this.#state(token),
      isRenewing: this.#flight !== undefined,
      ...(token?.expiresAt !== undefined && { expiresAt: token.expiresAt }),
      ...(token !== undefined && { renewAt: token.renewAt, scope: token.scope }),
      failures: failure?.count ?? 0,
      ...(failure !== undefined && {
        code: failure.error.code,
        retryAt: toUnixMs(Math.round(clock.now() + Math.max(0, failure.until - clock.monotonic()))),
      }),
      isUnsaved: this.#renewer.ledger?.isUnsaved === true,
    }
  }

  /** Resolves when no renewal runs and nothing waits to be stored. None begins any more: it would be cut off. */
  async settled(): Promise<void> {
    this.#isClosing = true
    this.#cancelSave?.()
    await this.#stopping?.catch(() => undefined)
    await this.#flight?.promise.catch(() => undefined)
    const { ledger } = this.#renewer
    while (ledger?.isUnsaved === true) {
      this.#cancelSave?.()
      await ledger.save().catch(() => undefined)
      if (!ledger.isUnsaved) break
      await wait(this.#world.runtime, SAVE_MS, this.#world.signal)
    }
  }

  /** The next request starts anew. */
  async forget(): Promise<void> {
    await this.#stop(() => this.#renewer.forget())
  }

  /**
   * Nothing of it is used from here on, neither here nor by those who share the store, until somebody authorizes again.
   *
   * @returns what there was, for the server to be told.
   */
  async end(): Promise<Ended> {
    const ended: Ended = { refreshTokens: new Set(), accessTokens: new Set() }
    if (this.#current !== undefined) ended.accessTokens.add(this.#current.accessToken)
    await this.#stop(async (last) => {
      if (last !== undefined) ended.accessTokens.add(last.accessToken)
      for (const { refreshToken, token } of await this.#renewer.end()) {
        if (refreshToken !== undefined) ended.refreshTokens.add(refreshToken)
        if (token !== undefined) ended.accessTokens.add(token.accessToken)
      }
    })
    return ended
  }

  /** Whoever asks meanwhile waits, lest he gets what is about to go. */
  async #stop(work: (last: HeldToken | undefined) => Promise<void>): Promise<void> {
    const before = this.#stopping
    const stopping = (async () => {
      await before?.catch(() => undefined)
      await this.#flight?.promise.catch(() => undefined)
      const last = this.#current
      this.#current = undefined
      this.#failure = undefined
      this.#renewedAt = Number.NEGATIVE_INFINITY
      this.#cancelSave?.()
      await work(last)
    })()
    this.#stopping = stopping
    try {
      await stopping
    } finally {
      if (this.#stopping === stopping) this.#stopping = undefined
      this.#saveLater()
    }
  }

  #state(token: HeldToken | undefined): TokenStatus['state'] {
    const { clock } = this.#world.runtime
    const serves = token !== undefined && token.version !== this.#rejected && token.leftMs(clock) > 0
    if (serves) return clock.now() >= token.renewAt ? 'due' : 'valid'
    if (this.#failure === undefined) return 'empty'
    return this.#failure.error.code === 'ERR_AUTH_REAUTH_REQUIRED' ? 'ended' : 'failing'
  }

  get #mayStart(): boolean {
    return this.#flight === undefined && this.#stopping === undefined && !this.#isClosing && !this.#isBackingOff
  }

  get #isBackingOff(): boolean {
    return this.#failure !== undefined && this.#world.runtime.clock.monotonic() < this.#failure.until
  }

  #trigger(): TokenRequest['trigger'] {
    if (this.#current === undefined) return 'first'
    return this.#current.version === this.#rejected ? 'rejected' : 'expired'
  }

  #start(trigger: TokenRequest['trigger']): Flight {
    const flight: Flight = { waiters: 0, promise: NEVER }
    this.#flight = flight
    const tenantHash = this.tenant === undefined ? {} : { tenantHash: digest(this.tenant) }
    const renewal = traced(
      TRACES.tokenRefresh,
      () => ({ trigger, ...tenantHash }),
      () => this.#renew(trigger, flight),
    )
    flight.promise = renewal.finally(() => {
      this.#flight = undefined
    })
    flight.promise.catch(() => undefined) // everybody who waits may have gone
    return flight
  }

  async #renew(trigger: TokenRequest['trigger'], flight: Flight): Promise<HeldToken> {
    const { runtime, policy, signal, emit } = this.#world
    const start = runtime.clock.monotonic()
    const tenantHash = this.tenant === undefined ? {} : { tenantHash: digest(this.tenant) }
    const told = (): object => ({
      trigger,
      waiters: flight.waiters,
      ms: runtime.clock.monotonic() - start,
      ...tenantHash,
    })
    try {
      const gap = this.#renewedAt + policy.minIntervalMs - start
      if (gap > 0) await wait(runtime, gap, signal)
      const { token, isAdopted } = await this.#renewer.renew({
        trigger,
        isWelcome: (other) => this.#isWelcome(other, trigger),
      })
      this.#renewedAt = runtime.clock.monotonic()
      this.#failure = undefined
      this.#toldEnd = false
      this.#replace(token, tenantHash)
      if (isAdopted)
        emit({ type: 'token.adopted', ageMs: Math.max(0, runtime.clock.now() - token.receivedAt), ...tenantHash })
      emit({ type: 'token.refresh', result: isAdopted ? 'adopted' : 'renewed', ...(told() as Told) })
      return token
    } catch (thrown) {
      const error = typed(thrown)
      if (!signal.aborted) this.#fail(error, tenantHash)
      const failures = this.#failure?.count ?? 1
      emit({ type: 'token.refresh', result: 'failed', code: error.code, failures, ...(told() as Told) })
      throw error
    } finally {
      this.#saveLater()
    }
  }

  #isWelcome(other: HeldToken, trigger: TokenRequest['trigger']): boolean {
    const token = this.#current
    if (other.version === this.#rejected || other.version === token?.version) return false
    return trigger !== 'early' || token === undefined || other.endsAt > token.endsAt
  }

  #replace(token: HeldToken, tenantHash: { readonly tenantHash?: string }): void {
    const { clock } = this.#world.runtime
    const before = this.#current
    this.#current = token
    this.#rejected = undefined // a server that issues the same token again stands by it
    if (before === undefined || before.version === token.version) return
    const change = scopeChange(before.scope, token.scope, this.#world.endpoint.scope ?? [])
    if (change !== undefined) this.#world.emit({ type: 'token.scopeChanged', ...change, ...tenantHash })
    const lifetimeMs = before.expiresAt === undefined ? undefined : before.expiresAt - before.receivedAt
    const ageMs = Math.max(0, clock.now() - before.receivedAt)
    this.#world.emit({ type: 'token.age', ageMs, ...(lifetimeMs !== undefined && { lifetimeMs }), ...tenantHash })
  }

  #fail(error: PinfetchError, tenantHash: { readonly tenantHash?: string }): void {
    const { runtime, policy, emit, onReauthRequired } = this.#world
    const count = (this.#failure?.count ?? 0) + 1
    const leftMs = this.#current?.version === this.#rejected ? 0 : (this.#current?.leftMs(runtime.clock) ?? 0)
    const situation = {
      failures: count,
      retryable: error.retryable,
      retryAfterMs: error instanceof AuthError ? error.retryAfterMs : undefined,
      leftMs: leftMs > 0 ? leftMs : undefined,
      random: () => fraction(runtime.random),
    }
    this.#failure = { error, count, until: runtime.clock.monotonic() + backOffMs(situation, policy) }
    if (!(error instanceof AuthError) || error.code !== 'ERR_AUTH_REAUTH_REQUIRED' || this.#toldEnd) return
    this.#toldEnd = true
    emit({ type: 'token.reauthRequired', reason: error.reason ?? 'revoked', ...tenantHash })
    try {
      onReauthRequired?.(error)
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown // a bug of the application is no failure of the renewal
      })
    }
  }

  /** What the store did not take is offered to it again, until it does. */
  #saveLater(): void {
    const { runtime, signal, emit } = this.#world
    const { ledger } = this.#renewer
    this.#cancelSave?.()
    if (ledger?.isUnsaved !== true || this.#isClosing || signal.aborted) return
    const afterMs =
      Math.min(SAVE_MS * 2 ** Math.min(this.#saves, 20), MAX_SAVE_MS) * (0.75 + fraction(runtime.random) / 2)
    this.#cancelSave = runtime.schedule(afterMs, () => {
      if (this.#flight !== undefined) return // it ends here again
      this.#saves += 1
      ledger.save().then(
        () => {
          emit({
            type: 'store.recovered',
            attempts: this.#saves,
            ...(this.tenant !== undefined && { tenantHash: digest(this.tenant) }),
          })
          this.#saves = 0
        },
        () => this.#saveLater(),
      )
    })
  }
}

/** A server names scopes as it likes, with text that may be no scope at all: only names that were asked for are told. */
function scopeChange(
  before: readonly string[],
  after: readonly string[],
  asked: readonly string[],
): Pick<EventOf<'token.scopeChanged'>, 'added' | 'removed' | 'others'> | undefined {
  const gained = [...new Set(after)].filter((one) => !before.includes(one))
  const lost = [...new Set(before)].filter((one) => !after.includes(one))
  if (gained.length + lost.length === 0) return undefined
  const [added, removed] = [gained, lost].map((names) => names.filter((one) => asked.includes(one))) as [
    string[],
    string[],
  ]
  return { added, removed, others: gained.length + lost.length - added.length - removed.length }
}

/** Tokens of a session that ended. */
export interface Ended {
  readonly refreshTokens: Set<string>
  readonly accessTokens: Set<string>
}

interface Flight {
  waiters: number
  promise: Promise<HeldToken>
}

interface Failure {
  readonly error: PinfetchError
  readonly count: number
  /** Monotonic. */
  readonly until: number
}

interface Doubt {
  readonly version: string
  readonly count: number
  /** Monotonic. */
  readonly until: number
}

interface Told {
  readonly trigger: TokenRequest['trigger']
  readonly waiters: number
  readonly ms: number
}

function typed(error: unknown): PinfetchError {
  if (error instanceof PinfetchError) return error
  return new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', 'token: the renewal failed with an error of its own', {
    cause: scrub(error),
  })
}

export const closed = (): AuthError => new AuthError('ERR_AUTH_CLOSED', 'token: the client is closed')

const NEVER: Promise<HeldToken> = new Promise(() => undefined)
const SAVE_MS = 250
const MAX_SAVE_MS = 30_000
const MAX_DOUBT_MS = 300_000
const MAX_DOUBTS = 100
