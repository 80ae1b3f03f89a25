export interface PollSituation {
  /** Consecutive failures; 0 after a success. */
  readonly failures: number
  /** What the signed status asks for, in seconds; `undefined` while none was accepted. */
  readonly poll: { readonly interval: number; readonly spread: number } | undefined
  /** How long a server asked to wait, already clamped. */
  readonly retryAfterMs: number | undefined
  /** Since the poll that the next one follows: more than nothing when another process made it. */
  readonly sincePollMs?: number
  /** Until the state in force is no longer fresh; `undefined` when it is not. */
  readonly freshForMs: number | undefined
  /** A number from [0, 1). */
  readonly random: () => number
}

/**
 * How long to wait until the next poll. Spread, so that processes that were started together drift apart; bounded, so that
 * neither a signed hint nor a header can turn polling into a flood or into silence. No HTTP status ends it.
 */
export function nextPollMs({
  failures,
  poll,
  retryAfterMs,
  sincePollMs = 0,
  freshForMs,
  random,
}: PollSituation): number {
  const intervalMs = clampInterval(poll)
  const spread = poll?.spread ?? DEFAULT_SPREAD
  if (failures === 0) return Math.max(MIN_WAIT_MS, intervalMs * (1 - spread + 2 * spread * random()) - sincePollMs)
  if (retryAfterMs !== undefined) return retryAfterMs
  // Requests are waiting while nothing is in force and no interval is known yet, so the first retries come quickly.
  const base = poll === undefined ? COLD_RETRY_MS : intervalMs
  const backOff = Math.min(MAX_BACK_OFF_MS, base * 2 ** Math.min(failures - 1, 20)) * (0.5 + random() / 2)
  const lastChanceMs = (freshForMs ?? 0) - 2 * intervalMs
  return lastChanceMs > MIN_WAIT_MS ? Math.min(backOff, lastChanceMs) : backOff
}

/** A process that starts from a fresh cache polls at a random point of the first interval: restarts come in herds. */
export function firstPollMs(poll: PollSituation['poll'], random: () => number): number {
  return clampInterval(poll) * random()
}

/**
 * How long a process may leave polling to those that share its cache. It asks itself now and then, since what they leave
 * there is not signed: whoever may write to the cache must not keep it from the source for longer than this.
 */
export function sharedForMs(poll: PollSituation['poll']): number {
  return Math.min(16 * clampInterval(poll), 3_600_000)
}

/** RFC 9773 §4.2: a server’s wish for when to come back needs limits of the client’s own. */
export function clampInterval(poll: PollSituation['poll']): number {
  const seconds = poll?.interval ?? DEFAULT_INTERVAL_S
  return Math.min(Math.max(seconds, MIN_INTERVAL_S), MAX_INTERVAL_S) * 1_000
}

const DEFAULT_INTERVAL_S = 300
const DEFAULT_SPREAD = 0.25
const MIN_INTERVAL_S = 15
const MAX_INTERVAL_S = 86_400
const MAX_BACK_OFF_MS = 15 * 60_000
const COLD_RETRY_MS = 1_000
const MIN_WAIT_MS = 1_000
