import { MonitorError } from '../../errors/errors.ts'
import { scrub } from '../../errors/scrub.ts'
import { createEmitter, type Emitter } from '../../events/emitter.ts'
import type { Runtime } from '../../ports/runtime.ts'
import { wait } from '../../ports/signals.ts'
import { processChannels } from '../channels.ts'
import { createFollower, type PassFailure } from './follow.ts'
import type { UnexpectedIssuance } from './issuance.ts'
import {
  type IssuanceEvent,
  type IssuanceOptions,
  type ResolvedWatch,
  resolveWatch,
  type WatchOptions,
} from './options.ts'
import type { IssuanceSource } from './source.ts'

/** A watch under way. */
export interface IssuanceWatch {
  /** `ct.unexpected` and `ct.watchFailed`, as of a client: outlets such as `toSyslog` take a watch in its place. */
  readonly on: Emitter['on']
  /** Ends what is under way. What was not delivered is told by the next watch with the same cursor. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Tells of certificates that were issued for your names with a key that is not yours, from now on: one `ct.unexpected` for each,
 * whichever sources know of it, precertificate or certificate. A source that cannot be read is `ct.watchFailed`, and is left alone
 * for as long as it asks for, or ever longer.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`
 */
export function watchIssuances(options: WatchOptions): IssuanceWatch {
  const resolved = resolveWatch(options)
  const { sources, runtime, intervalMs, onEvent } = resolved
  const { emit, on } = createEmitter(processChannels)
  const ended = new AbortController()
  const follower = createFollower(resolved, (event) => hand(resolved, event).then(() => emit(event)))

  const follow = async (source: IssuanceSource): Promise<void> => {
    for (let failures = 0; !ended.signal.aborted; ) {
      const { failure } = await follower.pass(source, ended.signal).catch(foreignFailure(source, ended.signal))
      failures = failure === undefined ? 0 : failures + 1
      const delayMs = failure === undefined ? aroundInterval(intervalMs, runtime) : backOff(failure, failures, runtime)
      if (failure !== undefined) {
        const { code, message } = failure
        const event = { type: 'ct.watchFailed', source: source.name, code, message, retryAfterMs: delayMs } as const
        await handOver(onEvent, event).catch(() => undefined) // there is nobody else to tell
        emit(event)
      }
      await wait(runtime, delayMs, ended.signal)
    }
  }
  const work = sources.map((source) => follow(source).catch(unlessEnded(ended.signal)))
  const close = async (): Promise<void> => {
    ended.abort()
    await Promise.all(work)
    for (const source of sources) source.close?.()
  }
  return Object.freeze({ on, close, [Symbol.asyncDispose]: close })
}

/** What one pass over all sources found. */
export interface IssuanceReport {
  readonly unexpected: readonly UnexpectedIssuance[]
  /** Sources that could not be read to their end. */
  readonly failures: readonly (PassFailure & { readonly source: string })[]
}

/**
 * The same once: everything that is new to the cursor.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`; MonitorError `ERR_MONITOR_CURSOR_INVALID` or StoreError for the cursor.
 */
export async function checkIssuances({
  signal = new AbortController().signal,
  ...options
}: IssuanceOptions & {
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal
}): Promise<IssuanceReport> {
  const resolved = resolveWatch(options)
  const { sources } = resolved
  const follower = createFollower(resolved, (event) => hand(resolved, event))
  await follower.open()
  try {
    const results = await Promise.all(
      sources.map(async (source) => ({ source: source.name, ...(await follower.pass(source, signal)) })),
    )
    return {
      unexpected: results.flatMap(({ unexpected }) => unexpected),
      failures: results.flatMap(({ source, failure }) => (failure === undefined ? [] : [{ source, ...failure }])),
    }
  } finally {
    for (const source of sources) source.close?.()
  }
}

async function handOver(onEvent: ResolvedWatch['onEvent'], event: IssuanceEvent): Promise<void> {
  await onEvent(event)
}

async function hand({ onEvent }: ResolvedWatch, event: UnexpectedIssuance): Promise<void> {
  try {
    await handOver(onEvent, event)
  } catch (cause) {
    throw new MonitorError('ERR_MONITOR_DELIVERY_FAILED', `${event.source}: an alert was not taken`, { cause })
  }
}

/** A source or a store of the application's own may throw anything: the watch goes on, and asks again. */
const foreignFailure =
  ({ name }: IssuanceSource, signal: AbortSignal) =>
  (error: unknown): { readonly failure: PassFailure } => {
    signal.throwIfAborted()
    const { name: kind, message } = scrub(error)
    return {
      failure: { code: 'ERR_MONITOR_SOURCE_UNREACHABLE', message: `${name}: not read to its end: ${kind}, ${message}` },
    }
  }

const unlessEnded =
  (signal: AbortSignal) =>
  (error: unknown): void => {
    if (!signal.aborted) throw error
  }

/** Nine to eleven tenths, so that a fleet does not ask in step. */
const aroundInterval = (intervalMs: number, runtime: Runtime): number =>
  Math.round(intervalMs * (0.9 + 0.2 * fractionOf(runtime)))

/** Twice as long each time, up to half of it more by chance; never less than the source asked for. */
function backOff({ retryAfterMs = 0 }: PassFailure, failures: number, runtime: Runtime): number {
  const grown = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS)
  return Math.round(Math.max(grown, retryAfterMs) * (1 + 0.5 * fractionOf(runtime)))
}

function fractionOf({ random }: Runtime): number {
  const [high = 0, low = 0] = random(2)
  return (high * 256 + low) / 65_536
}

const FIRST_PAUSE_MS = 60_000
const MAX_PAUSE_MS = 4 * 3_600_000
