import { AuthError, PinfetchError, type ReauthReason, StoreError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { raceSignal, wait } from '../ports/signals.ts'
import type { Lease } from '../stores/tokens/store.ts'
import { digest } from './held-token.ts'
import { endOf, fraction } from './renewal.ts'
import type { IssuedToken } from './token.ts'
import type { Entry, TokenLedger } from './token-ledger.ts'
import { identityOf, type StoredAccessToken, type TokenContent, withSpent } from './token-record.ts'
import {
  type Ask,
  adoptable,
  hold,
  leaseMsOf,
  type RefreshTurn,
  type Renewal,
  reauthRequired,
  type TokenWorld,
} from './token-world.ts'

/** What goes to the token endpoint, and what becomes of its answer: stored before anything of it is used. */
export class TokenSender {
  readonly #world: TokenWorld
  readonly #tenantHash: { readonly tenantHash?: string }
  /** Monotonic: when an answer got lost, whatever became of its refresh token. */
  #lostAt = Number.NEGATIVE_INFINITY

  constructor(world: TokenWorld, tenant: string | undefined) {
    this.#world = world
    this.#tenantHash = tenant === undefined ? {} : { tenantHash: digest(tenant) }
  }

  /** Sends one refresh token until there is an answer, three times at most (RFC 9700 §4.14.2 leaves the grace to the server). */
  async send(turn: RefreshTurn): Promise<Renewal | 'again'> {
    const { policy, runtime, signal } = this.#world
    let { wasLost } = turn
    let lostAt: number | undefined
    for (let attempt = 1; ; attempt += 1) {
      if (turn.lease !== undefined && !(await isRenewed(turn.lease, this.#leaseMs))) {
        if (attempt === 1 && !wasLost) await this.#unmark(turn)
        return 'again' // paused past its time: somebody else may be sending
      }
      if (wasLost) this.#lostAt = runtime.clock.monotonic()
      try {
        const renewal = await this.ask(turn)
        this.#lostAt = Number.NEGATIVE_INFINITY
        return renewal
      } catch (error) {
        if (!(error instanceof PinfetchError)) throw error
        const isRefused = error instanceof AuthError && error.oauthError === 'invalid_grant'
        if (turn.isRotated === true && isRefused) return 'again' // the answer to the request before came after all
        if (turn.isRotated === true) throw error // an answer came, and its refresh token is safe
        if (isRefused) return await this.#end(turn, error)
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
  async ask(turn: Ask): Promise<Renewal> {
    const { endpoint, runtime, policy, signal } = this.#world
    const { ledger, demand, refreshToken } = turn
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
        trigger: demand.trigger,
        signal: deadline.signal,
        onRotated: (rotated) => {
          cancel() // the answer is here; what is left is to store it
          giveUp()
          return this.#salvage(turn, rotated)
        },
        ...(refreshToken !== undefined && { refreshToken }),
        ...(demand.tenant !== undefined && { tenant: demand.tenant }),
      })
      const issued = await raceSignal(asked, lastWord.signal)
      const token: StoredAccessToken = { ...accessTokenOf(issued), binding: demand.binding }
      const kept = issued.refreshToken ?? turn.base?.content.refreshToken ?? refreshToken
      const content: TokenContent = {
        token,
        spent: spentAfter(turn),
        ...(kept !== undefined && { refreshToken: kept }),
      }
      const theirs =
        ledger === undefined ? undefined : await this.#store(turn, ledger, turn.base ?? ledger.known, content)
      if (theirs?.tombstone !== undefined) throw reauthRequired(theirs.tombstone.reason)
      const adopted = theirs && adoptable(theirs, demand, this.#world)
      return adopted ?? { token: hold(token, demand, this.#world), isAdopted: false }
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
      void isRenewed(lease, this.#leaseMs)
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
    await this.#store(turn, ledger, base, content)
  }

  /** What cannot be stored is held here, and stored later: the token was issued, and the one before it is spent. */
  async #store({ demand }: Ask, ledger: TokenLedger, base: Entry, content: TokenContent): Promise<Entry | undefined> {
    const { token } = content
    const ttlMs =
      content.refreshToken === undefined && token !== undefined
        ? Math.max(1_000, endOf(token) - this.#now())
        : undefined
    try {
      return await demand.patience.within(() => ledger.write(base, content, { ttlMs }))
    } catch (error) {
      const effect = content.refreshToken === undefined ? 'not shared' : 'unsaved'
      const code = effect === 'unsaved' ? 'ERR_STORE_WRITE_FAILED' : codeOf(error)
      this.#world.emit({ type: 'store.failed', code, effect, ...this.#tenantHash })
      return undefined
    }
  }

  /** The server refused the refresh token: somebody has a newer one, or nobody has any. */
  async #end(turn: RefreshTurn, cause: AuthError): Promise<'again'> {
    const { ledger, base, rtHash } = turn
    // A refresh token that was sent twice may have ended the session of the one that replaced it.
    const isAftermath = this.#world.runtime.clock.monotonic() - this.#lostAt < AFTERMATH_MS
    const reason: ReauthReason = isAftermath ? 'lost_rotation' : 'revoked'
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

  get #leaseMs(): number {
    return leaseMsOf(this.#world.policy)
  }

  #now(): UnixMs {
    return this.#world.runtime.clock.now()
  }
}

/** A store is a plug-in: one that fails to say so has not renewed the lease. */
async function isRenewed(lease: Lease, ttlMs: number): Promise<boolean> {
  try {
    return await lease.renew(ttlMs)
  } catch {
    return false
  }
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
function isWithoutAnswer({ code, requestSent, cause }: PinfetchError): boolean {
  if (code === 'ERR_AUTH_TOKEN_TIMEOUT') return true
  return code === 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' && (requestSent !== 'yes' || cause !== undefined)
}

function outcomeUnknown(cause: PinfetchError): AuthError {
  const message = `token endpoint: a refresh token was sent ${MAX_SENDS} times without an answer; whether it is spent is not known`
  return new AuthError('ERR_AUTH_REFRESH_OUTCOME_UNKNOWN', message, { cause, requestSent: 'maybe' })
}

function timedOut(timeoutMs: number): AuthError {
  return new AuthError('ERR_AUTH_TOKEN_TIMEOUT', `token endpoint: expected an answer within ${timeoutMs} ms`, {
    requestSent: 'maybe',
  })
}

const codeOf = (error: unknown): StoreError['code'] =>
  error instanceof StoreError ? error.code : 'ERR_STORE_UNAVAILABLE'

const MAX_SENDS = 3
const AFTERMATH_MS = 60_000
const GIVE_UP_MS = 1_000 // for an endpoint that does not hear its signal
