import { PinfetchError, StoreError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Lease, StoredToken, TokenCipher, TokenStore } from '../stores/tokens/store.ts'
import { identityOf, openContent, sealContent, type TokenContent } from './token-record.ts'

/** One record as it was read, or as this process knows it better than the store does. */
export interface Entry {
  readonly content: TokenContent
  /** The version of the record in the store; `null`: there is none. */
  readonly v: number | null
  readonly pending: StoredToken['pending']
  readonly tombstone: StoredToken['tombstone']
}

export interface LedgerWorld {
  readonly store: TokenStore
  readonly cipher: TokenCipher | undefined
  readonly key: string
  readonly runtime: Pick<Runtime, 'clock' | 'schedule'>
  readonly signal: AbortSignal
}

/**
 * The record of one session: what is in the store, and what this process knows that the store does not. A refresh token is in
 * the world once, so that nothing is ever written over tokens that this process has not seen.
 */
export class TokenLedger {
  readonly key: string
  readonly #world: LedgerWorld
  /** What this process read or wrote last, or could not write. */
  #own: Own | undefined
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(world: LedgerWorld) {
    this.key = world.key
    this.#world = world
  }

  /** Whether the only copy of the newest tokens is in this process. */
  get isUnsaved(): boolean {
    return this.#own?.isStored === false
  }

  /** What this process knows by itself: for when the store cannot be asked. */
  get known(): Entry {
    const own = this.#own
    return own === undefined
      ? NOTHING
      : { content: own.content, v: own.v, pending: undefined, tombstone: own.tombstone }
  }

  /** @throws StoreError */
  async read(): Promise<Entry> {
    const record = await this.#guard((store, signal) => store.load(this.key, signal))
    const own = this.#own
    // A record that is gone takes no session along that still lives here, but one that ended may start anew.
    if (record === undefined)
      return own === undefined || own.tombstone !== undefined ? NOTHING : { ...this.known, v: null }
    const entry = await this.#open(record)
    // Older than what was written from here: a store that failed over, or a write that did not arrive. Its pending mark is of
    // the refresh token that was redeemed for ours.
    const isBehind = own?.isStored === true ? record.v < own.v : own?.follows.has(identityOf(entry.content)) === true
    if (isBehind) return { ...this.known, v: record.v }
    this.#own = stored(entry, record.v)
    return entry
  }

  /** The right to be the only one who renews; `undefined` when another one kept it for `waitMs`. */
  async lease(options: { readonly ttlMs: number; readonly waitMs: number }): Promise<Lease | undefined> {
    const late = (lease: Lease | undefined): void => void lease?.[Symbol.asyncDispose]()
    return await this.#guard((store, signal) => store.lease(this.key, { ...options, signal }), late)
  }

  /**
   * Notes that a refresh token is about to be sent; with `null`, that it certainly was not.
   *
   * @returns the record as it is now, or `undefined` when it was written by somebody else meanwhile: read again.
   */
  async mark(entry: Entry, rtHash: string | null): Promise<Entry | undefined> {
    const pending = rtHash === null ? undefined : { at: this.#pendingSince(entry, rtHash), rtHash }
    const v = this.#next(entry.v)
    const next = { v, sealed: await this.#seal(entry.content), ...(pending !== undefined && { pending }) }
    const isWritten = await this.#guard((store, signal) => store.compareAndSwap(this.key, entry.v, next, { signal }))
    if (!isWritten) return undefined
    const marked = { content: entry.content, v, pending, tombstone: undefined }
    this.#own = stored(marked, v)
    return marked
  }

  /**
   * Stores what was gained from `base`: over every record that still has its tokens, over nothing else. Until it is stored, this
   * process goes by it all the same.
   *
   * @returns the record that is in place instead, gained by somebody else, or `undefined`.
   * @throws StoreError when it is known to this process only; `save` tries again.
   */
  async write(base: Entry, content: TokenContent, { tombstone, ttlMs }: WriteOptions = {}): Promise<Entry | undefined> {
    const own = this.#own
    const from = identityOf(base.content)
    const isNext = own !== undefined && identityOf(own.content) === from
    if (own?.isStored === false && !isNext) return this.known // an answer that came late, after one that is not stored yet
    const follows = new Set(own?.isStored === false ? own.follows : []).add(from)
    const expected = isNext ? (own.isStored ? own.v : own.expected) : base.v
    this.#own = { content, tombstone, ttlMs, follows, v: this.#next(expected), expected, isStored: false }
    return await this.save()
  }

  /** Writes what is not stored yet. One at a time: each starts from what the one before left. */
  async save(): Promise<Entry | undefined> {
    const mine = this.#lastWrite.then(() => this.#save())
    this.#lastWrite = mine.catch(() => undefined)
    return await mine
  }

  /** Nothing of this process is newer than the store from now on. */
  async remove(): Promise<void> {
    this.#own = undefined
    const record = await this.#guard((store, signal) => store.load(this.key, signal))
    if (record !== undefined) await this.#guard((store) => store.remove(this.key, record.v))
  }

  async #save(): Promise<Entry | undefined> {
    for (let attempt = 0; attempt < MAX_CONFLICTS; attempt += 1) {
      const own = this.#own
      if (own === undefined || own.isStored) return undefined
      const { content, tombstone, ttlMs, v, expected } = own
      const next = { v, sealed: await this.#seal(content), ...(tombstone !== undefined && { tombstone }) }
      const options = ttlMs === undefined ? {} : { ttlMs }
      const isWritten = await this.#guard((store, signal) =>
        store.compareAndSwap(this.key, expected, next, { ...options, signal }),
      )
      if (own !== this.#own) continue // something newer was gained while this was on its way
      if (isWritten) {
        this.#own = { ...own, isStored: true, follows: NOBODY }
        return undefined
      }
      const record = await this.#guard((store, signal) => store.load(this.key, signal))
      const theirs = record === undefined ? undefined : await this.#open(record)
      if (own !== this.#own) continue
      if (record === undefined || theirs === undefined || own.follows.has(identityOf(theirs.content))) {
        // Marks of others, around the tokens that ours come from.
        this.#own = { ...own, expected: record?.v ?? null, v: this.#next(record?.v ?? null) }
        continue
      }
      this.#own = stored(theirs, record.v)
      return identityOf(theirs.content) === identityOf(content) ? undefined : theirs // ours arrived, its answer did not
    }
    throw new StoreError('ERR_STORE_CONFLICT', `token store: other writers were faster ${MAX_CONFLICTS} times in a row`)
  }

  async #open(record: StoredToken): Promise<Entry> {
    const { v, sealed, pending, tombstone } = record
    const content = await this.#guard(() => openContent(sealed, this.key, this.#world.cipher))
    return { v, pending, tombstone, content }
  }

  async #seal(content: TokenContent): Promise<string> {
    return await this.#guard(() => sealContent(content, this.key, this.#world.cipher))
  }

  #pendingSince({ pending }: Entry, rtHash: string): number {
    return pending?.rtHash === rtHash ? pending.at : Math.floor(this.#world.runtime.clock.now())
  }

  /** Above everything seen. A new record starts at the time: whoever knew one that was removed cannot take it for this one. */
  #next(v: number | null): number {
    const floor = Math.max(v ?? 0, this.#own?.v ?? 0)
    return v === null ? Math.max(floor + 1, Math.floor(this.#world.runtime.clock.now())) : floor + 1
  }

  /** Store and cipher are plug-ins: one that hangs is given up, and whatever it rejects with shows nothing of what it was given. */
  async #guard<Answer>(
    ask: (store: TokenStore, signal: AbortSignal) => Promise<Answer>,
    late: (answer: Answer) => void = () => undefined,
  ): Promise<Answer> {
    const { store, signal, runtime } = this.#world
    let isOver = false
    let cancel = (): void => undefined
    const over = new Promise<never>((_, reject) => {
      cancel = runtime.schedule(DEADLINE_MS, () => {
        isOver = true
        reject(new StoreError('ERR_STORE_UNAVAILABLE', `token store: it did not answer within ${DEADLINE_MS} ms`))
      })
    })
    try {
      const asked = ask(store, signal)
      asked.then((answer) => isOver && late(answer)).catch(() => undefined)
      return await Promise.race([asked, over])
    } catch (error) {
      if (error instanceof PinfetchError || signal.aborted) throw error
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'token store: it failed with an error of its own')
    } finally {
      cancel()
    }
  }
}

export interface WriteOptions {
  readonly tombstone?: StoredToken['tombstone']
  readonly ttlMs?: number | undefined
}

interface Own {
  readonly content: TokenContent
  readonly tombstone: StoredToken['tombstone']
  readonly ttlMs: number | undefined
  readonly v: number
  /** The version that it replaces. */
  readonly expected: number | null
  readonly isStored: boolean
  /** Identities of the contents that it may be written over. */
  readonly follows: ReadonlySet<string>
}

function stored({ content, tombstone }: Entry, v: number): Own {
  return { content, tombstone, ttlMs: undefined, v, expected: v, isStored: true, follows: NOBODY }
}

const NOTHING: Entry = Object.freeze({
  content: Object.freeze({ spent: Object.freeze([]) }),
  v: null,
  pending: undefined,
  tombstone: undefined,
})
const NOBODY: ReadonlySet<string> = new Set()
const MAX_CONFLICTS = 8
const DEADLINE_MS = 60_000 // our own stores give up far sooner
