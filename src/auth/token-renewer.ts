import { AuthError, StoreError } from '../errors/errors.ts'
import type { Lease } from '../stores/tokens/store.ts'
import { digest } from './held-token.ts'
import { createPatience, ENDLESS } from './store-patience.ts'
import { type Entry, TokenLedger } from './token-ledger.ts'
import { identityOf, type TokenContent, withSpent } from './token-record.ts'
import { TokenSender } from './token-sender.ts'
import {
  type Ask,
  adoptable,
  type Demand,
  leaseMsOf,
  type Renewal,
  type RenewalRequest,
  reauthRequired,
  type TokenWorld,
} from './token-world.ts'

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
  readonly #sender: TokenSender
  #ledger: TokenLedger | undefined

  constructor(world: TokenWorld, tenant: string | undefined) {
    this.#world = world
    this.#tenant = tenant
    this.#tenantHash = tenant === undefined ? {} : { tenantHash: digest(tenant) }
    this.#sender = new TokenSender(world, tenant)
  }

  get ledger(): TokenLedger | undefined {
    return this.#ledger
  }

  /** @throws AuthError, StoreError, KeyError */
  async renew(request: RenewalRequest): Promise<Renewal> {
    let isRebound = false
    const patience = this.#world.alone === 'yes' ? createPatience(this.#world.runtime) : ENDLESS
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const binding = this.#binding()
      const renewal = await this.#round({ ...request, tenant: this.#tenant, binding, patience })
      // Certificate or key changed on the way: nobody knows which one the token is bound to, so it is shown to nobody.
      isRebound = this.#binding() !== binding
      if (renewal !== 'again' && !isRebound) return renewal
    }
    if (!isRebound)
      throw new StoreError(
        'ERR_STORE_CONFLICT',
        `token store: the record changed during ${MAX_ROUNDS} renewals in a row`,
      )
    throw new AuthError('ERR_AUTH_CERT_BINDING', `token: what it is bound to changed during ${MAX_ROUNDS} renewals`)
  }

  /** Nothing of it is in the store afterwards, and whoever renews starts anew. */
  async forget(): Promise<void> {
    const ledger = await this.#openLedger()
    if (ledger === undefined) return
    await ledger.read() // a record that cannot be opened is never removed
    await ledger.remove()
  }

  /**
   * Leaves a record in the store that says that the session ended, over whatever others gain meanwhile, and late answers too.
   *
   * @returns what was there, for the server to be told.
   */
  async end(): Promise<readonly TokenContent[]> {
    const ledger = await this.#openLedger()
    if (ledger === undefined) return []
    const found: TokenContent[] = []
    try {
      let seen: Entry | undefined = await this.#readOrKnown(ledger)
      for (let round = 0; seen !== undefined && seen.tombstone === undefined && round < MAX_ROUNDS; round += 1) {
        const { content } = seen
        found.push(content)
        if (content.refreshToken === undefined) {
          await this.forget()
          break
        }
        const tombstone = { at: Math.floor(this.#world.runtime.clock.now()), reason: 'revoked' }
        const spent = withSpent(content.spent, digest(content.refreshToken))
        const ended = digest(`revoked ${identityOf(content)}`) // an answer to these tokens is not to follow this record
        seen = await ledger.write(seen, { spent, ended }, { tombstone })
      }
    } catch (error) {
      this.#tellFailure(error)
    }
    return found
  }

  /** What this process knows has to end, also where the store does not answer. */
  async #readOrKnown(ledger: TokenLedger): Promise<Entry> {
    try {
      return await ledger.read()
    } catch (error) {
      if (ledger.known.content.refreshToken === undefined) throw error
      this.#tellFailure(error)
      return ledger.known
    }
  }

  async #round(demand: Demand): Promise<Renewal | 'again'> {
    const ledger = await this.#openLedger()
    if (ledger === undefined) return await this.#sender.ask({ demand })
    const { within } = demand.patience
    let seen: Entry
    let lease: Lease
    try {
      seen = await within(() => ledger.read())
      const found = adoptable(seen, demand, this.#world)
      if (found !== undefined) return found
      const got = await this.#lease(ledger, demand)
      if (!('stillHeld' in got)) return got
      lease = got
    } catch (error) {
      return await this.#alone(ledger, demand, error)
    }
    const turn: Turn = { ledger, demand, lease }
    try {
      seen = await within(() => ledger.read())
      return adoptable(seen, demand, this.#world) ?? (await this.#redeem(turn, seen))
    } catch (error) {
      if (error instanceof StoreError) return await this.#alone(ledger, demand, error)
      throw error
    } finally {
      // While the store has not got the new refresh token, the lease keeps others from sending the old one: it runs out by itself.
      if (!ledger.isUnsaved) await within(() => release(lease)).catch(() => undefined)
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
  async #lease(ledger: TokenLedger, demand: Demand): Promise<Lease | Renewal> {
    const { clock } = this.#world.runtime
    const { within } = demand.patience
    const leaseMs = leaseMsOf(this.#world.policy)
    const start = clock.monotonic()
    const tell = (held: boolean): void =>
      this.#world.emit({ type: 'store.lease_wait', ms: clock.monotonic() - start, held, ...this.#tenantHash })
    const take = (waitMs: number) => ledger.lease({ ttlMs: leaseMs, waitMs })
    // Longer than a lease lasts: a holder that crashed is outlived. Waiting for a holder is no fault of the store.
    for (let waited = 0; waited <= leaseMs + 3 * LEASE_SLICE_MS; waited += LEASE_SLICE_MS) {
      const lease = waited === 0 ? await within(() => take(0), discard) : await take(LEASE_SLICE_MS)
      if (lease !== undefined) {
        tell(true)
        return lease
      }
      const found = adoptable(await within(() => ledger.read()), demand, this.#world)
      if (found !== undefined) {
        tell(false)
        return found
      }
    }
    tell(false)
    throw new StoreError('ERR_STORE_CONFLICT', `token store: another process kept the right to renew for ${leaseMs} ms`)
  }

  async #redeem(turn: Turn, seen: Entry): Promise<Renewal | 'again'> {
    const initial = await this.#initial(seen)
    const base: Entry =
      seen.tombstone === undefined ? seen : { ...seen, content: { spent: seen.content.spent }, pending: undefined }
    const refreshToken = base.content.refreshToken ?? initial
    if (refreshToken === undefined) return await this.#sender.ask({ ...turn, base })
    const rtHash = digest(refreshToken)
    const marked = await turn.ledger.mark(base, rtHash)
    if (marked === undefined) return 'again'
    const wasLost = base.pending?.rtHash === rtHash
    return await this.#sender.send({
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

  /**
   * The store cannot be asked, or not in time. A token that costs nothing but a request is had without it; a refresh token that
   * others may be sending at this moment is not.
   */
  async #alone(ledger: TokenLedger, demand: Demand, error: unknown): Promise<Renewal | 'again'> {
    if (!(error instanceof StoreError)) throw error
    const { alone } = this.#world
    const isAllowed = alone === 'yes' || (alone === 'unlocked' && !FORBIDS_UNLOCKED.has(error.code))
    const effect = isAllowed ? 'alone' : 'refused'
    this.#world.emit({ type: 'store.failed', code: error.code, effect, ...this.#tenantHash })
    if (!isAllowed) throw error
    const base = ledger.known
    const initial = alone === 'yes' ? undefined : await this.#initial(base)
    const refreshToken = base.content.refreshToken ?? initial
    if (refreshToken === undefined) return await this.#sender.ask({ demand })
    const rtHash = digest(refreshToken)
    const isInitial = base.content.refreshToken === undefined
    return await this.#sender.send({
      ledger,
      demand,
      lease: undefined,
      base,
      refreshToken,
      rtHash,
      isInitial,
      wasLost: false,
    })
  }

  #tellFailure(error: unknown): void {
    const code = error instanceof StoreError ? error.code : 'ERR_STORE_UNAVAILABLE'
    this.#world.emit({ type: 'store.failed', code, effect: 'unsaved', ...this.#tenantHash })
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
}

interface Turn extends Ask {
  readonly ledger: TokenLedger
}

/** One that came when nobody waited for it any more would keep the others waiting. */
const discard = (lease: Lease | undefined): void => void (lease && release(lease))

async function release(lease: Lease): Promise<void> {
  try {
    await lease[Symbol.asyncDispose]()
  } catch {
    // it runs out by itself
  }
}

/** What `unlocked` is no answer to: the store works, and says that somebody else is at it, or what cannot be read. */
const FORBIDS_UNLOCKED: ReadonlySet<string> = new Set([
  'ERR_STORE_CONFLICT',
  'ERR_STORE_DECRYPT_FAILED',
  'ERR_STORE_CONTEXT_MISMATCH',
  'ERR_STORE_RECORD_INVALID',
  'ERR_STORE_RECORD_NEWER',
])
const MAX_ROUNDS = 5
const LEASE_SLICE_MS = 1_000
