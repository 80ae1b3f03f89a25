/**
 * Where tokens outlive a process and are shared by several. A key is a hash (cache key of a token endpoint); a record is one
 * value under it, replaced only by who knows the version that it replaces. Every failure is a StoreError; a caller that
 * aborts gets the reason of its signal.
 */
export interface TokenStore {
  /** Nothing leaves the process: a start without a TokenCipher is not told. Default false. */
  readonly isInMemory?: boolean
  readonly load: (key: string, signal: AbortSignal) => Promise<StoredToken | undefined>
  /**
   * Writes `next` if the record in place has the version `expected`; `null`: if there is none.
   *
   * @param options.ttlMs The store may forget the record that much later. Without it, never.
   * @returns `false` when another version is in place: somebody was faster. Nothing was written then.
   */
  readonly compareAndSwap: (
    key: string,
    expected: number | null,
    next: StoredToken,
    options: { readonly ttlMs?: number; readonly signal: AbortSignal },
  ) => Promise<boolean>
  /**
   * The right to renew the token under `key`, for `ttlMs`: a holder that crashed or hangs loses it by then.
   *
   * @returns `undefined` when another holder kept it for `waitMs`.
   */
  readonly lease: (
    key: string,
    options: { readonly ttlMs: number; readonly waitMs: number; readonly signal: AbortSignal },
  ) => Promise<Lease | undefined>
  /** @returns `false` when the record has another version than `expected`, or is not there. */
  readonly remove: (key: string, expected: number) => Promise<boolean>
}

/** One record of a token store. */
export interface StoredToken {
  /** A positive integer, one more with each write. */
  readonly v: number
  /** What a TokenCipher made of the token, or its plain text where there is none. Opaque to the store. */
  readonly sealed: string
  /** A refresh token with this hash was sent at that time (Unix milliseconds), and no answer was stored yet. */
  readonly pending?: { readonly at: number; readonly rtHash: string }
  /** There was a refresh token, and it is good for nothing any more. */
  readonly tombstone?: { readonly at: number; readonly reason: string }
}

/** Given back at the end of `await using`, or by itself when its time is up. */
export interface Lease extends AsyncDisposable {
  /** Asked right before sending: whoever was paused past its time must not send. `false` also when the store does not answer. */
  readonly stillHeld: () => Promise<boolean>
  /** Holds it for `ttlMs` from now; `false` when it was lost. */
  readonly renew: (ttlMs: number) => Promise<boolean>
}

/** Encrypts what a store holds. `context` is the key of the record: what was sealed for one key opens under no other. */
export interface TokenCipher {
  readonly seal: (text: string, context: string) => Promise<string>
  /**
   * Rejects with a StoreError: `ERR_STORE_DECRYPT_FAILED` where no key of the ring opens it (the caller goes on as if there
   * were no record, tells an event, and never removes it), `ERR_STORE_CONTEXT_MISMATCH` where it belongs to another record.
   */
  readonly open: (sealed: string, context: string) => Promise<string>
}
