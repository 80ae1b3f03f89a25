import { ManifestError } from '../errors/errors.ts'
import type { Emit, EventOf } from '../events/events.ts'
import { type ManifestTrace, TRACES, traced } from '../events/tracing.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import type { Seal } from './attempts.ts'
import type { ManifestCache } from './cache.ts'
import type { Seen } from './health.ts'
import type { InForce } from './in-force.ts'
import type { Peers } from './peers.ts'
import { type RefreshContext, refreshOnce } from './refresh.ts'
import { refusal } from './refusal.ts'
import { clampInterval, sharedForMs } from './schedule.ts'
import type { Mirror } from './sources.ts'

/**
 * One attempt to be up to date: by what another process stored, or else by asking the source.
 *
 * @returns How long ago the poll was that it stands for: more than nothing when another process made it.
 * @throws ManifestError why it failed; health and events know by then.
 */
export type Poll = (call: PollCall) => Promise<number>

export interface PollCall {
  /** Somebody wants to see what is published now, so that asking other processes is not enough. */
  readonly isDemanded: () => boolean
  readonly seal: Seal
}

export interface PollOptions {
  readonly mirrors: readonly Mirror[]
  readonly cache: ManifestCache
  readonly peers: Peers
  readonly runtime: Runtime
  readonly emit: Emit
  readonly inForce: InForce
  readonly seen: Seen
  /** Aborted at the end of the updater. */
  readonly closing: AbortSignal
}

export function createPoll(options: PollOptions): Poll {
  const { mirrors, cache, peers, runtime, emit, inForce, seen, closing } = options
  const { clock, schedule } = runtime
  const etags: RefreshContext['etags'] = new Map()
  let turn = 0

  /**
   * Looks whether another process polled since the poll that ours follows, and takes over what it stored. Everything of that
   * is verified as if a mirror had served it; what does not verify, or does not keep us fresh, is asked of the source instead.
   *
   * @returns When the other poll was.
   */
  const polledByPeer = async (context: RefreshContext): Promise<UnixMs | undefined> => {
    const { known } = context
    const hint = known().status?.payload.poll
    if (seen.failures > 0 || clock.monotonic() - seen.lastAsked >= sharedForMs(hint)) return undefined
    const poll = await peers.lastPoll()
    const isNews = poll !== undefined && poll.at > (seen.lastPollAt ?? 0)
    if (!isNews || clock.now() - poll.at >= clampInterval(hint)) return undefined
    if (!poll.found(known().status)) {
      const emitted: Emit = (event) => event.type !== 'manifest.rejected' && emit(event)
      const quiet = { ...UNTOLD, emit: emitted, etags: new Map(), probeRoot: false }
      try {
        await refreshOnce({ ...context, ...quiet, mirrors: [peers.mirror] })
      } catch (error) {
        if (error instanceof ManifestError) return undefined
        throw error
      }
    }
    return poll.found(known().status) && inForce.state().kind === 'fresh' ? poll.at : undefined
  }

  const poll = async ({ isDemanded, seal }: PollCall, trace: ManifestTrace | undefined): Promise<number> => {
    const begun = clock.monotonic()
    const deadline = new AbortController()
    const cancelDeadline = schedule(REFRESH_TIMEOUT_MS, () => deadline.abort(timedOut()))
    const used: { bytes: number; source?: string } = { bytes: 0 }
    const told = (result: EventOf<'manifest.poll'>['result']) => {
      if (trace !== undefined) trace.result = result
      emit({ type: 'manifest.poll', ms: clock.monotonic() - begun, result, ...used })
    }
    const context: RefreshContext = {
      mirrors: [...mirrors.slice(turn), ...mirrors.slice(0, turn)],
      cache,
      runtime,
      emit,
      signal: AbortSignal.any([closing, deadline.signal]),
      known: () => inForce.known() ?? unstarted(),
      active: inForce.manifest,
      time: inForce.time,
      commit: inForce.commit,
      etags,
      probeRoot: begun - seen.lastProbe > PROBE_EVERY_MS,
      onProbe: () => {
        seen.lastProbe = clock.monotonic()
      },
      onRootConfirmed: () => {
        seen.rootConfirmedAt = clock.monotonic()
      },
      onBytes: (count) => {
        used.bytes += count
      },
      onStatusServed: (mirror) => {
        used.source = mirror.name
      },
      onStatusAsked: seal,
    }
    try {
      const shared = isDemanded() ? undefined : await polledByPeer(context)
      if (shared !== undefined && !isDemanded()) {
        // somebody may have asked meanwhile
        seal()
        seen.lastPollAt = shared
        told('shared')
        return clock.now() - shared
      }
      const result = await refreshOnce(context)
      if (result === 'unchanged') turn = (turn + 1) % mirrors.length // a mirror that stands still hides what others have
      seen.failures = 0
      delete seen.lastError
      seen.lastAsked = clock.monotonic()
      seen.lastPollAt = clock.now()
      seen.lastSuccessAt = clock.now()
      told(result)
      const { status, denies } = context.known()
      if (status !== undefined) await peers.tell(status)
      const state = inForce.state()
      await cache.prune({ active: 'manifest' in state ? state : undefined, denies })
      return 0
    } catch (error) {
      if (closing.aborted) throw closedError()
      if (!(error instanceof ManifestError)) throw error
      const { code, kind, message, source: from } = error
      seen.failures += 1
      seen.lastError = { code, message, at: clock.now() }
      told('failed')
      emit({ type: 'manifest.rejected', code, kind, message, ...(from === undefined ? {} : { source: from }) })
      throw error
    } finally {
      cancelDeadline()
    }
  }
  return (given) =>
    traced(
      TRACES.manifestRefresh,
      () => ({}),
      (trace) => poll(given, trace),
    )
}

export function closedError(): ManifestError {
  return refusal('ERR_MANIFEST_CLOSED', { document: 'status' }, 'the updater was closed')
}

function timedOut(): ManifestError {
  const message = `the refresh took more than ${REFRESH_TIMEOUT_MS / 1_000} s`
  return refusal('ERR_MANIFEST_FETCH_TIMEOUT', { document: 'status' }, message)
}

function unstarted(): never {
  throw new TypeError('a refresh before the anchor was verified')
}

const noop = (): void => {}
const UNTOLD = { onProbe: noop, onRootConfirmed: noop, onBytes: noop, onStatusServed: noop, onStatusAsked: noop }
const PROBE_EVERY_MS = 3_600_000
const REFRESH_TIMEOUT_MS = 120_000 // above any honest sum of document deadlines
