import type { Emit } from '../events/events.ts'
import type { Runtime, UnixMs, WatchFolder } from '../ports/runtime.ts'
import type { Secret } from './secret.ts'

/**
 * Where a secret comes from. A list is asked in order: the next one only where the one before has none, never where what it
 * has was refused.
 */
export type SecretSource = SingleSource | readonly SingleSource[]

type SingleSource =
  | { readonly env: string }
  /** Followed: the one that a rotation puts there is in force within two seconds. `watch: false`: read once, and when refused. */
  | { readonly file: string; readonly watch?: boolean }
  | { readonly value: string | Uint8Array }
  | SecretCallback

/** A vault, a keychain, a cloud's secret manager. Rejects where it cannot be asked. */
export type SecretCallback = (request: {
  /** `rejected`: a server refused `previousVersion`. */
  readonly reason: 'initial' | 'expiring' | 'rejected'
  readonly previousVersion?: string
  readonly signal: AbortSignal
}) => Promise<{
  readonly value: string | Uint8Array
  /** Without one, another value is another version. */
  readonly version?: string
  readonly expiresAt?: Date
}>

export interface SecretVersion {
  /** Tells nothing about the secret: may be logged. */
  readonly version: string
  readonly secret: Secret
  readonly expiresAt: UnixMs | undefined
}

/** A source in use: read, followed, and read again when a server refuses what it said. */
export interface OpenSecret {
  /**
   * The version in force. With `rejected`, the version that a server refused: the source is read again, at most once a second,
   * and the answer is another version where there is one, the same otherwise.
   *
   * @throws KeyError `ERR_KEY_SOURCE_MISSING`, `ERR_KEY_SOURCE_INVALID`, `ERR_KEY_SOURCE_UNAVAILABLE`
   */
  readonly current: (rejected?: string) => Promise<SecretVersion> | SecretVersion
  /** The version in force before, for as long as a server may not know the new one yet. */
  readonly previous: () => SecretVersion | undefined
  readonly close: () => void
}

export interface SecretWorld {
  /** In messages and events: `apiKey`, `oauth client secret`. */
  readonly name: string
  readonly runtime: Runtime
  readonly emit: Emit
  readonly watchFolder?: WatchFolder
  /** How long `previous` answers. Default five minutes. */
  readonly overlapMs?: number
}

export declare function openSecret(source: SecretSource, world: SecretWorld): OpenSecret
