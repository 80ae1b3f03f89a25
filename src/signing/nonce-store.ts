import { createHash } from 'node:crypto'
import { ConfigurationError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'

/**
 * Remembers nonces for as long as the signatures that they came with would be accepted. Where a service has several instances, they
 * share one; with Redis that is `SET <name> 1 PX <until - now> NX`, and whether it answered OK. Make the name of
 * `JSON.stringify([keyId, nonce])`: joined by a separator that either may hold, the nonces of one key would use up those of another.
 */
export interface NonceStore {
  /**
   * True for one that was not seen before, and false for the same from then on until its time is over: of two who ask at once, one
   * gets true.
   *
   * @throws where that cannot be told; the signature is refused then.
   */
  readonly claim: (nonce: SeenNonce) => boolean | Promise<boolean>
}

/** A nonce that was used. Instants are Unix milliseconds. */
export interface SeenNonce {
  readonly keyId: string
  readonly nonce: string
  readonly until: UnixMs
  readonly now: UnixMs
}

/**
 * Nonces in the memory of this process: for one instance of a service. Bounded for each key, so that the holder of one cannot use up
 * the room of the others; where it is used up, a signature is refused rather than an earlier one forgotten.
 *
 * @throws ConfigurationError
 */
export function memoryNonces({ maxPerKey = 100_000 }: { readonly maxPerKey?: number } = {}): NonceStore {
  if (!Number.isInteger(maxPerKey) || maxPerKey < 1)
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'memoryNonces.maxPerKey: expected a whole number, one at least')
  const byKey = new Map<string, Map<string, UnixMs>>()
  return Object.freeze({
    claim: ({ keyId, nonce, until, now }) => {
      const seen = byKey.get(keyId) ?? new Map<string, UnixMs>()
      byKey.set(keyId, seen)
      const name = digestOf(nonce)
      const known = seen.get(name)
      if (known !== undefined && known > now) return false
      if (seen.size >= maxPerKey) forget(seen, now)
      if (seen.size >= maxPerKey) throw new Error(`${maxPerKey} nonces of one key are in use`)
      seen.delete(name)
      seen.set(name, until)
      return true
    },
  } satisfies NonceStore)
}

function forget(seen: Map<string, UnixMs>, now: UnixMs): void {
  for (const [name, until] of seen) if (until <= now) seen.delete(name)
}

/** Of the same length, whatever somebody sends. */
const digestOf = (nonce: string): string => createHash('sha256').update(nonce).digest('base64')
