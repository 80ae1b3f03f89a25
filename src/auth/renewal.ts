import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { IssuedToken } from './token.ts'

/** When a token is renewed and when it is no longer sent. Every number in milliseconds. */
export interface RenewalOptions {
  /** Renewed in the background from that long before its end. Default 120 000. */
  readonly earlyMs?: number
  /**
   * Of its life, where that is less than `earlyMs`: a token of a minute is not renewed at once. Default 0.2. An endpoint that is down
   * for half of the life of a token costs no call, whenever that begins, with 0.75 here and an `earlyMs` as long as the life.
   */
  readonly earlyFraction?: number
  /** Shortens the early part by up to this share, so that processes do not come together. Default 0.2. */
  readonly jitter?: number
  /** Not sent any more from that long before its end: it would die on the way. Default 10 000. */
  readonly hardMs?: number
  /** Between two renewals of one token, whatever asks for them. Default 1 000. */
  readonly minIntervalMs?: number
  /** One request to the token endpoint, to the last byte of the answer. Default 10 000. */
  readonly timeoutMs?: number
  /** How long an authorization server takes the same refresh token again when its answer was lost. Default 10 000. */
  readonly graceMs?: number
}

export type RenewalPolicy = Required<RenewalOptions>

export const renewalPolicy = (options: RenewalOptions = {}): RenewalPolicy => Object.freeze({ ...DEFAULTS, ...options })

export interface Windows {
  /** From then on it is renewed in the background. */
  readonly renewAt: UnixMs
  /** From then on it is not sent. */
  readonly endsAt: UnixMs
}

/** A token whose server names no lifetime serves for five minutes; one that is born expired serves nobody but those who wait. */
export function windowsOf(
  { receivedAt, expiresAt }: Pick<IssuedToken, 'receivedAt' | 'expiresAt'>,
  policy: RenewalPolicy,
  random: () => number,
): Windows {
  const end = endOf({ receivedAt, expiresAt })
  const share = Math.max(0, end - receivedAt) * policy.earlyFraction
  const hard = Math.min(policy.hardMs, share / 2)
  const early = Math.max(hard, Math.min(policy.earlyMs, share) * (1 - policy.jitter * random()))
  return { renewAt: toUnixMs(end - early), endsAt: toUnixMs(end - hard) }
}

export function endOf({ receivedAt, expiresAt }: Lifetime): number {
  return expiresAt ?? receivedAt + UNKNOWN_LIFETIME_MS
}

interface Lifetime {
  readonly receivedAt: UnixMs
  readonly expiresAt?: UnixMs | undefined
}

export interface Setback {
  /** Consecutive ones, this one included. */
  readonly failures: number
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
  /** Until the token in hand ends; `undefined` when there is none that serves. */
  readonly leftMs: number | undefined
  readonly random: () => number
}

/**
 * How long nobody asks again after a failure. A server's own wish counts, up to five minutes; while a token still serves, the
 * wait is at most half of what it has left, so that an outage which ends before the token costs nobody a request.
 */
export function backOffMs(
  { failures, retryable, retryAfterMs, leftMs, random }: Setback,
  policy: RenewalPolicy,
): number {
  if (retryAfterMs !== undefined) return Math.min(Math.max(retryAfterMs, policy.minIntervalMs), MAX_RETRY_AFTER_MS)
  const cap = retryable ? MAX_BACK_OFF_MS : MAX_RETRY_AFTER_MS
  const base = Math.max(policy.minIntervalMs, MIN_BACK_OFF_MS)
  const wait = Math.min(cap, base * 2 ** Math.min(failures - 1, 20)) * (0.5 + random() / 2)
  return leftMs === undefined ? wait : Math.max(base / 2, Math.min(wait, leftMs / 2))
}

/** A number from [0, 1) out of the runtime's random bytes. */
export function fraction(random: (length: number) => Uint8Array): number {
  const bytes = random(4)
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32
}

const DEFAULTS: RenewalPolicy = {
  earlyMs: 120_000,
  earlyFraction: 0.2,
  jitter: 0.2,
  hardMs: 10_000,
  minIntervalMs: 1_000,
  timeoutMs: 10_000,
  graceMs: 10_000,
}
const UNKNOWN_LIFETIME_MS = 300_000
const MIN_BACK_OFF_MS = 1_000
const MAX_BACK_OFF_MS = 30_000
const MAX_RETRY_AFTER_MS = 300_000
