import { AuthError, PinfetchError, type ReauthReason, StoreError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import type { Lease, TokenCipher, TokenStore } from '../stores/tokens/store.ts'
import { digest, HeldToken } from './held-token.ts'
import { fraction, type RenewalPolicy } from './renewal.ts'
import { raceSignal, wait } from './signals.ts'
import type { IssuedToken, TokenEndpoint, TokenRequest } from './token.ts'
import { type Entry, TokenLedger } from './token-ledger.ts'
import { identityOf, type StoredAccessToken, type TokenContent, withSpent } from './token-record.ts'

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
  /** What access tokens are bound to, when they are (RFC 8705): `undefined` while there is no certificate. */
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

/**
 * One renewal at a time of the token of one tenant, by this process and those that share its store:
 *
 * 1. Look: a newer token in the store is adopted.
 * 2. Get the lease, and look again.
 * 3. Mark the record: this refresh token is about to be sent. Whoever finds the mark later knows that an answer may be lost.
 * 4. Make sure of the lease, and send.
 * 5. Store a new refresh token before anything else of the answer is judged; then the rest.
 */
export class TokenRenewer {
  readonly #world: TokenWorld
  readonly #tenant: string | undefined
  readonly #tenantHash: { readonly tenantHash?: string }
  #ledger: TokenLedger | undefined

  constructor(world: TokenWorld, tenant: string | undefined) {
    this.#world = world
    this.#tenant = tenant
    this.#tenantHash = tenant === undefined ? {} : { tenantHash: digest(tenant) }
  }

  get ledger(): TokenLedger | undefined {
    return this.#ledger
  }

  /** @throws AuthError, StoreError, KeyError */
  async renew(request: RenewalRequest): Promise<Renewal> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const binding = this.#binding()
      const renewal = await this.#round(request, binding)
      if (renewal === 'again') continue
      // The certificate changed on the way: nobody knows which one the token is bound to, so it is shown to nobody.
      if (this.#binding() === binding) return renewal
    }
    if (this.#world.binding !== undefined) {
      throw new AuthError(
        'ERR_AUTH_CERT_BINDING',
        `token: the client certificate changed during ${MAX_ROUNDS} renewals`,
      )
    }
    throw new StoreError('ERR_STORE_CONFLICT', `token store: the record changed during ${MAX_ROUNDS} renewals in a row`)
  }

  /** Takes the record out of the store, or leaves one there that says that the session ended. */
  async drop(how: 'ended' | 'forgotten'): Promise<void> {
    const ledger = await this.#openLedger()
    if (ledger === undefined) return
    const seen = await ledger.read()
    if (how === 'forgotten' || seen.content.refreshToken === undefined) return await ledger.remove()
    const spent = withSpent(seen.content.spent, digest(seen.content.refreshToken))
    const tombstone = { at: Math.floor(this.#now()), reason: 'revoked' }
    await ledger.write(seen, { spent, ended: identityOf(seen.content) }, { tombstone })
  }

  async #round(request: RenewalRequest, binding: string | undefined): Promise<Renewal | 'again'> {
    const ledger = await this.#openLedger()
    if (ledger === undefined) return await this.#ask({ request, binding })
    let seen: Entry
    let lease: Lease
    try {
      seen = await ledger.read()
      const found = await this.#adoptable(seen, request, binding)
      if (found !== undefined) return found
      const got = await this.#lease(ledger, request, binding)
      if (!('stillHeld' in got)) return got
      lease = got
    } catch (error) {
      return await this.#alone(ledger, request, binding, error)
    }
    const turn: Turn = { ledger, request, binding, lease }
    try {
      seen = await ledger.read()
      return (await this.#adoptable(seen, request, binding)) ?? (await this.#redeem(turn, seen))
    } catch (error) {
      if (error instanceof StoreError) return await this.#alone(ledger, request, binding, error)
      throw error
    } finally {
      // While the store has not got the new refresh token, the lease keeps others from sending the old one: it runs out by itself.
      if (!ledger.isUnsaved) await Promise.resolve(lease[Symbol.asyncDispose]()).catch(() => undefined)
    }
  }

  async #openLedger(): Promise<TokenLedger | undefined> {
    const { endpoint, store, cipher, runtime, signal } = this.#world
    if (store === undefined) return undefined
    const key = digest(await endpoint.cacheKey(this.#tenant))
    if (this.#ledger?.key !== key) this.#ledger = new TokenLedger({ store, cipher, key, runtime, signal })
    return this.#ledger
  }

  /** Waits for the right to renew, and meanwhile for what whoever has it may store. */
  async #lease(ledger: TokenLedger, request: RenewalRequest, binding: string | undefined): Promise<Lease | Renewal> {
    const { clock } = this.#world.runtime
    const start = clock.monotonic()
    const tell = (held: boolean): void =>
      this.#world.emit({ type: 'store.lease_wait', ms: clock.monotonic() - start, held, ...this.#tenantHash })
    // Longer than a lease lasts: a holder that crashed is outlived.
    for (let waited = 0; waited <= this.#leaseMs + 2 * LEASE_SLICE_MS; waited += LEASE_SLICE_MS) {
      const lease = await ledger.lease({ ttlMs: this.#leaseMs, waitMs: LEASE_SLICE_MS })
      if (lease !== undefined) {
        tell(true)
        return lease
      }
      const found = await this.#adoptable(await ledger.read(), request, binding)
      if (found !== undefined) {
        tell(false)
        return found
      }
    }
    tell(false)
    throw new StoreError(
      'ERR_STORE_CONFLICT',
      `token store: another process kept the right to renew for ${this.#leaseMs} ms`,
    )
  }

  get #leaseMs(): number {
    return this.#world.policy.timeoutMs + LEASE_MARGIN_MS
  }

  async #adoptable(
    { content: { token }, tombstone }: Entry,
    { isWelcome }: RenewalRequest,
    binding: string | undefined,
  ): Promise<Renewal | undefined> {
    if (token === undefined || tombstone !== undefined || token.binding !== binding) return undefined
    const held = this.#hold(token, binding)
    if (held.leftMs(this.#world.runtime.clock) <= 0 || !isWelcome(held)) return undefined
    return { token: held, isAdopted: true }
  }

  async #redeem(turn: Turn, seen: Entry): Promise<Renewal | 'again'> {
    const initial = await this.#initial(seen)
    const base: Entry =
      seen.tombstone === undefined ? seen : { ...seen, content: { spent: seen.content.spent }, pending: undefined }
    const refreshToken = base.content.refreshToken ?? initial
    if (refreshToken === undefined) return await this.#ask({ ...turn, base })
    const rtHash = digest(refreshToken)
    const marked = await turn.ledger.mark(base, rtHash)
    if (marked === undefined) return 'again'
    const wasLost = base.pending?.rtHash === rtHash
    return await this.#send({
      ...turn,
      base: marked,
      refreshToken,
      rtHash,
      wasLost,
      isInitial: base.content.refreshToken === undefined,
    })
  }

  /** @throws AuthError `ERR_AUTH_REAUTH_REQUIRED` where the session ended and the configuration has nothing new. */
  async #initial({ content, tombstone }: Entry): Promise<string | undefined> {
    if (tombstone === undefined && content.refreshToken !== undefined) return undefined
    const { endpoint, signal } = this.#world
    const initial = await endpoint.initialRefreshToken?.(this.#tenant, signal)
    const isNew = initial !== undefined && !content.spent.includes(digest(initial))
    if (tombstone !== undefined && !isNew) throw reauthRequired(tombstone.reason)
    return initial
  }

  /** Sends one refresh token until there is an answer, three times at most (RFC 9700 §4.14.2 leaves the grace to the server). */
  async #send(turn: RefreshTurn): Promise<Renewal | 'again'> {
    const { policy, runtime, signal } = this.#world
    let { wasLost } = turn
    let lostAt: number | undefined
    for (let attempt = 1; ; attempt += 1) {
      if (turn.lease !== undefined && !(await turn.lease.renew(this.#leaseMs))) {
        if (attempt === 1 && !wasLost) await this.#unmark(turn)
        return 'again' // paused past its time: somebody else may be sending
      }
      try {
        return await this.#ask(turn)
      } catch (error) {
        if (!(error instanceof AuthError)) throw error
        if (turn.isRotated === true) throw error // an answer came, and its refresh token is safe
        if (error.oauthError === 'invalid_grant') return await this.#end(turn, wasLost, error)
        const isLost = isWithoutAnswer(error) && error.requestSent !== 'no'
        if (!isLost && !wasLost && error.requestSent === 'no') await this.#unmark(turn)
        if (!isLost && !(lostAt !== undefined && isWithoutAnswer(error))) throw error
        wasLost = true
        lostAt ??= runtime.clock.monotonic()
        if (attempt === MAX_SENDS) throw outcomeUnknown(error)
        const elapsed = runtime.clock.monotonic() - lostAt
        if (attempt > 1) await wait(runtime, policy.graceMs * (0.3 + 0.4 * fraction(runtime.random)) - elapsed, signal)
      }
    }
  }

  /** One request to the token endpoint, with its own deadline; its answer is stored and held. */
  async #ask(turn: Ask): Promise<Renewal> {
    const { endpoint, runtime, policy, signal } = this.#world
    const { ledger, request, binding, refreshToken } = turn
    const [deadline, lastWord] = [new AbortController(), new AbortController()]
    const isPatient = endpoint.asksPerson === true && refreshToken === undefined
    const cancel = isPatient
      ? this.#keep(turn.lease)
      : runtime.schedule(policy.timeoutMs, () => deadline.abort(timedOut(policy.timeoutMs)))
    const giveUp = isPatient
      ? () => undefined
      : runtime.schedule(policy.timeoutMs + GIVE_UP_MS, () => lastWord.abort(deadline.signal.reason))
    const closing = (): void => {
      deadline.abort(signal.reason)
      lastWord.abort(signal.reason)
    }
    signal.addEventListener('abort', closing, { once: true })
    if (signal.aborted) closing()
    try {
      const asked = endpoint.request({
        trigger: request.trigger,
        signal: deadline.signal,
        onRotated: (rotated) => {
          cancel() // the answer is here; what is left is to store it
          giveUp()
          return this.#salvage(turn, rotated)
        },
        ...(refreshToken !== undefined && { refreshToken }),
        ...(this.#tenant !== undefined && { tenant: this.#tenant }),
      })
      const issued = await raceSignal(asked, lastWord.signal)
      const token: StoredAccessToken = { ...accessTokenOf(issued), binding }
      const kept = issued.refreshToken ?? turn.base?.content.refreshToken ?? refreshToken
      const content: TokenContent = {
        token,
        spent: spentAfter(turn),
        ...(kept !== undefined && { refreshToken: kept }),
      }
      const theirs = ledger === undefined ? undefined : await this.#store(ledger, turn.base ?? ledger.known, content)
      const adopted = theirs && (await this.#adoptable(theirs, request, binding))
      return adopted ?? { token: this.#hold(token, binding), isAdopted: false }
    } catch (error) {
      if (error instanceof PinfetchError) throw error
      throw new AuthError(
        'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE',
        'token endpoint: the request failed with an error of its own',
        {
          cause: scrub(error),
          requestSent: 'maybe',
        },
      )
    } finally {
      cancel()
      giveUp()
      signal.removeEventListener('abort', closing)
    }
  }

  /** While a person is asked, nobody who shares the store asks another one. */
  #keep(lease: Lease | undefined): () => void {
    if (lease === undefined) return () => undefined
    const { schedule } = this.#world.runtime
    const again = (): void => {
      lease.renew(this.#leaseMs).catch(() => undefined)
      cancel = schedule(this.#leaseMs / 3, again)
    }
    let cancel = schedule(this.#leaseMs / 3, again)
    return () => cancel()
  }

  /** The old refresh token is spent as soon as there is a new one, whatever becomes of the rest of the answer. */
  async #salvage(turn: Ask, rotated: string): Promise<void> {
    const { ledger, base, refreshToken } = turn
    if (ledger === undefined || base === undefined || rotated === '') return
    if (refreshToken !== undefined && digest(rotated) === digest(refreshToken)) return
    const content: TokenContent = { ...base.content, refreshToken: rotated, spent: spentAfter(turn) }
    turn.isRotated = true
    turn.base = { ...base, content }
    await this.#store(ledger, base, content)
  }

  /** What cannot be stored is held here, and stored later: the token was issued, and the one before it is spent. */
  async #store(ledger: TokenLedger, base: Entry, content: TokenContent): Promise<Entry | undefined> {
    const end = content.token?.expiresAt
    const ttlMs =
      content.refreshToken === undefined && end !== undefined ? Math.max(1_000, end - this.#now()) : undefined
    try {
      return await ledger.write(base, content, { ttlMs })
    } catch (error) {
      const effect = content.refreshToken === undefined ? 'not shared' : 'unsaved'
      const code = effect === 'unsaved' ? 'ERR_STORE_WRITE_FAILED' : codeOf(error)
      this.#world.emit({ type: 'store.failed', code, effect, ...this.#tenantHash })
      return undefined
    }
  }

  /** The server refused the refresh token: somebody has a newer one, or nobody has any. */
  async #end(turn: RefreshTurn, wasLost: boolean, cause: AuthError): Promise<'again'> {
    const { ledger, base, rtHash } = turn
    const reason: ReauthReason = wasLost ? 'lost_rotation' : 'revoked'
    const tombstone = { at: Math.floor(this.#now()), reason }
    const content: TokenContent = { spent: withSpent(spentAfter(turn), rtHash), ended: identityOf(base.content) }
    let theirs: Entry | undefined
    try {
      theirs = await ledger.write(base, content, { tombstone })
    } catch (error) {
      this.#world.emit({ type: 'store.failed', code: codeOf(error), effect: 'unsaved', ...this.#tenantHash })
    }
    if (theirs !== undefined && theirs.tombstone === undefined) return 'again'
    throw reauthRequired(reason, cause)
  }

  /** Certainly not sent: the mark would make a later refusal look like a lost answer. Worth no failure of its own. */
  async #unmark({ ledger, base }: RefreshTurn): Promise<void> {
    await ledger.mark(base, null).catch(() => undefined)
  }

  /**
   * The store cannot be asked, or not in time. A token that costs nothing but a request is had without it; a refresh token that
   * others may be sending at this moment is not.
   */
  async #alone(
    ledger: TokenLedger,
    request: RenewalRequest,
    binding: string | undefined,
    error: unknown,
  ): Promise<Renewal | 'again'> {
    if (!(error instanceof StoreError)) throw error
    const { alone } = this.#world
    const isAllowed = alone === 'yes' || (alone === 'unlocked' && !FORBIDS_UNLOCKED.has(error.code))
    const effect = isAllowed ? 'alone' : 'refused'
    this.#world.emit({ type: 'store.failed', code: error.code, effect, ...this.#tenantHash })
    if (!isAllowed) throw error
    const base = ledger.known
    const initial = alone === 'yes' ? undefined : await this.#initial(base)
    const refreshToken = base.content.refreshToken ?? initial
    if (refreshToken === undefined) return await this.#ask({ request, binding })
    const rtHash = digest(refreshToken)
    const isInitial = base.content.refreshToken === undefined
    return await this.#send({
      ledger,
      request,
      binding,
      lease: undefined,
      base,
      refreshToken,
      rtHash,
      isInitial,
      wasLost: false,
    })
  }

  #hold(token: StoredAccessToken, binding: string | undefined): HeldToken {
    const { policy, runtime } = this.#world
    const issued = { ...token, expiresAt: token.expiresAt }
    return new HeldToken(issued, { policy, runtime, binding, tenant: this.#tenant })
  }

  #binding(): string | undefined {
    const { binding } = this.#world
    const thumbprint = binding?.()
    if (binding !== undefined && thumbprint === undefined) {
      throw new AuthError(
        'ERR_AUTH_CERT_BINDING',
        'token: expected a client certificate to bind it to, and none is in force',
      )
    }
    return thumbprint
  }

  #now(): UnixMs {
    return this.#world.runtime.clock.now()
  }
}

/** One request to the token endpoint, and where its answer goes. */
interface Ask {
  readonly request: RenewalRequest
  readonly binding: string | undefined
  readonly ledger?: TokenLedger
  readonly lease?: Lease | undefined
  readonly refreshToken?: string
  /** Whether the configuration gave the refresh token. */
  readonly isInitial?: boolean
  /** What the record was when this began; then, what the answer has made of it. */
  base?: Entry
  isRotated?: boolean
}

interface RefreshTurn extends Ask {
  readonly ledger: TokenLedger
  readonly refreshToken: string
  readonly rtHash: string
  readonly isInitial: boolean
  /** Whether an earlier request with this refresh token has no answer. */
  readonly wasLost: boolean
  base: Entry
}

interface Turn extends Ask {
  readonly ledger: TokenLedger
}

function spentAfter({ base, isInitial, refreshToken }: Ask): readonly string[] {
  const spent = base?.content.spent ?? []
  return isInitial === true && refreshToken !== undefined ? withSpent(spent, digest(refreshToken)) : spent
}

function accessTokenOf({ accessToken, tokenType, expiresAt, receivedAt, scope }: IssuedToken): StoredAccessToken {
  return { accessToken, tokenType, receivedAt, scope, expiresAt }
}

/**
 * Of failures that are no answer: with them alone, nobody knows what became of a refresh token that was sent. A server that says
 * that it is out of order has answered, and there is no cause behind that.
 */
function isWithoutAnswer({ code, requestSent, cause }: AuthError): boolean {
  if (code === 'ERR_AUTH_TOKEN_TIMEOUT') return true
  return code === 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' && (requestSent !== 'yes' || cause !== undefined)
}

function outcomeUnknown(cause: AuthError): AuthError {
  const message = `token endpoint: a refresh token was sent ${MAX_SENDS} times without an answer; whether it is spent is not known`
  return new AuthError('ERR_AUTH_REFRESH_OUTCOME_UNKNOWN', message, { cause, requestSent: 'maybe' })
}

function timedOut(timeoutMs: number): AuthError {
  return new AuthError('ERR_AUTH_TOKEN_TIMEOUT', `token endpoint: expected an answer within ${timeoutMs} ms`, {
    requestSent: 'maybe',
  })
}

/** @param reason As stored: somebody else may have written it. */
function reauthRequired(reason: string, cause?: AuthError): AuthError {
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

const codeOf = (error: unknown): StoreError['code'] =>
  error instanceof StoreError ? error.code : 'ERR_STORE_UNAVAILABLE'

/** What `unlocked` is no answer to: the store works, and says that somebody else is at it, or what cannot be read. */
const FORBIDS_UNLOCKED: ReadonlySet<string> = new Set([
  'ERR_STORE_CONFLICT',
  'ERR_STORE_DECRYPT_FAILED',
  'ERR_STORE_CONTEXT_MISMATCH',
  'ERR_STORE_RECORD_INVALID',
])
const MAX_ROUNDS = 5
const MAX_SENDS = 3
const LEASE_MARGIN_MS = 5_000 // over the deadline of one request: a few calls of the store
const LEASE_SLICE_MS = 1_000
const GIVE_UP_MS = 1_000 // for an endpoint that does not hear its signal
