import { ManifestError } from '../errors/errors.ts'
import type { Emit, EventOf } from '../events/events.ts'
import { type Cancel, type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import type { AcceptedManifest } from './accept.ts'
import { createAlarms, type Living } from './alarms.ts'
import { createAttempts, type Seal, wait } from './attempts.ts'
import { type Bootstrap, loadBootstrap } from './bootstrap.ts'
import { cacheBase, createCache } from './cache.ts'
import { createClockWatch } from './clock-watch.ts'
import { healthOf, type ManifestHealth, type Seen } from './health.ts'
import { difference, type HostChanges, NO_HOSTS } from './host-table.ts'
import { type Discovery, type Knowledge, learn, timeOf } from './knowledge.ts'
import { quietOutage, requireCache } from './outage.ts'
import { createPeers } from './peers.ts'
import { type RefreshContext, refreshOnce } from './refresh.ts'
import { refusal } from './refusal.ts'
import { parseAnchor, type TrustedRoot, verifyAnchor } from './root.ts'
import { clampInterval, firstPollMs, nextPollMs, sharedForMs } from './schedule.ts'
import type { ManifestSource, Mirror } from './sources.ts'
import { createStartup } from './startup.ts'
import { COLD, deadlines, type ManifestState, next, type StateEvent, type StateKind } from './state.ts'
import { emitDenyChanges, type ManifestView, manifestIn, viewOf } from './view.ts'

export type { ManifestHealth } from './health.ts'
export type { ManifestView } from './view.ts'

export interface ManifestUpdater {
  /** Resolves when a verified manifest is in force; rejects with the reason once `startupMs` passed without one. */
  readonly ready: () => Promise<void>
  /** Settles when the start is over either way: a cached manifest is in force, or the first refresh ended. Never rejects. */
  readonly firstAttempt: Promise<void>
  /** What is in force now. The same object until something of it changes. */
  readonly current: () => ManifestView
  /**
   * What a request should wait for although it would be refused now: the process slept past the end of its manifest, and the
   * poll that is late is under way. At most `startupMs`; `undefined` when there is nothing to wait for.
   */
  readonly awake: () => Promise<void> | undefined
  /** Asks for what is published now; attempts are at least a second apart. Rejects with why the attempt failed. */
  readonly refresh: () => Promise<void>
  /** After a pin mismatch: perhaps the pins moved on. At most one in 30 s, whoever asks. */
  readonly requestEarlyRefresh: () => void
  readonly health: () => ManifestHealth
  /** The clock, but never before what accepted documents say: setting it back revives nothing. */
  readonly time: () => UnixMs
  /** Ends timers and requests; what was in force is answered as `closed`. */
  readonly close: () => Promise<void>
}

export interface ManifestUpdaterOptions {
  /** The root document that the application ships. */
  readonly root: Uint8Array
  readonly source: ManifestSource
  readonly store: Store
  readonly runtime: Runtime
  readonly emit: Emit
  /** Called with what is about to be in force when a manifest brings it, in the tick before it does. */
  readonly beforeActivation?: (view: ManifestView) => void
  /** Called in the tick in which `current()` begins to answer something else. */
  readonly onChange?: () => void
  readonly startupMs: number
  /** `required`: nothing is in force while the store cannot be written to at the start. Default `best-effort`. */
  readonly cache?: 'best-effort' | 'required'
  /** Must equal the root’s own where given. */
  readonly repo?: string | undefined
  readonly env?: string | undefined
  /** SHA-256 of the root's payload, where the application names it apart from the file. */
  readonly rootFingerprint?: string | undefined
  /** A repository that the application ships, for a start without network and cache. */
  readonly bootstrap?: Mirror | undefined
}

/**
 * Keeps the signed manifest up to date: loads the cache, polls, verifies, and swaps what is in force in one tick. Starts at
 * once and never gives up; a refused or missing document leaves what was in force.
 *
 * @throws ManifestError when the root cannot be read, or belongs to another repository than configured.
 */
export function createManifestUpdater(options: ManifestUpdaterOptions): ManifestUpdater {
  const { source, store, runtime, emit, onChange = () => {}, startupMs } = options
  const { clock, schedule } = runtime
  const anchor = parseAnchor(options.root, options)
  const { repo, env } = anchor.root.payload
  const cache = createCache({ repo, env, runtime, ...quietOutage(store, emit) })
  const alarm = createAlarms(emit)
  const peers = createPeers({ store, repo, env, runtime })
  const checkClock = createClockWatch(runtime, emit)
  const startup = createStartup(runtime, startupMs)
  const closing = new AbortController()
  const etags = new Map<Mirror, string>()
  const seen: Seen = {
    failures: 0,
    lastProbe: LONG_AGO,
    lastEarly: LONG_AGO,
    lastAsked: LONG_AGO,
    rootConfirmedAt: clock.monotonic(),
  }

  let known: Knowledge | undefined
  let state: ManifestState = COLD
  let view: ManifestView = viewOf(state, known)
  let shipped: Bootstrap | undefined
  let isReady = false
  let demanded = false
  let turn = 0
  let waking: Promise<void> | undefined
  let cancelPoll: Cancel = () => {}
  let cancelTick: Cancel = () => {}

  const time = (): UnixMs => (known === undefined ? clock.now() : timeOf(known, clock.now(), clock.monotonic()))

  /** The only place where what is in force changes. Readers see it in the same tick; events follow. */
  const enter = (event: StateEvent): void => {
    const before = state
    state = next(before, event, time())
    if (state.kind === 'fresh' || state.kind === 'stale') startup.succeed()
    else startup.lapse()
    const seenView = view
    view = viewOf(state, known, seenView, shipped)
    if (view !== seenView) onChange()
    if (!isReady && (state.kind === 'fresh' || state.kind === 'stale')) {
      isReady = true
      emit({ type: 'manifest.ready', version: view.version })
    }
    if (state.kind !== before.kind && isTransition(before.kind, state.kind)) {
      emit({ type: `manifest.${state.kind}`, version: view.version })
    }
    armTick()
  }

  const commit = (discovery: Discovery): void => {
    if (known === undefined || closing.signal.aborted) return
    const { denies, root: before } = known
    known = learn(known, discovery, clock.monotonic())
    const { root, status } = known
    const inForce = manifestIn(state)
    if (discovery.type !== 'manifest' || status === undefined) enter({ type: 'tick' })
    else if (discovery.manifest === inForce) enter({ type: 'confirmed', status })
    else {
      const activated: StateEvent = { type: 'activated', manifest: discovery.manifest, status }
      options.beforeActivation?.(viewOf(next(state, activated, time()), known))
      enter(activated)
    }
    emitDenyChanges(denies, known.denies, emit)
    if (discovery.type === 'root') emitEpochs(before, root, emit)
    if (discovery.type === 'manifest' && discovery.changes !== undefined) {
      announce(discovery.manifest, inForce, root.version, discovery.asCanary, discovery.changes)
    }
  }

  const announce = (
    to: AcceptedManifest,
    from: AcceptedManifest | undefined,
    rootVersion: number,
    canary: boolean,
    changes: HostChanges,
  ): void => {
    const versions = { from: from?.version ?? 0, to: to.version, rootVersion, canary }
    emit({ type: 'manifest.activated', ...versions, ...changes })
  }

  const armTick = (): void => {
    cancelTick()
    const now = time()
    const alarmAt = state.kind === 'closed' ? undefined : alarm(living(), now)
    if (state.kind !== 'fresh' && state.kind !== 'stale') return
    const { staleAt, expiredAt } = deadlines(state.manifest, state.status)
    const wait = Math.min(state.kind === 'fresh' ? staleAt : expiredAt, alarmAt ?? expiredAt) - now
    cancelTick = schedule(Math.min(Math.max(wait, 1), MAX_TICK_MS), tick) // a clock that steps is seen within the hour
  }

  const living = (): readonly Living[] => {
    if (known === undefined) return []
    const { root, status } = known
    const inForce = manifestIn(state)
    return [
      { document: 'root', version: root.version, payload: root.payload },
      ...(status === undefined
        ? []
        : [{ document: 'status' as const, version: status.version, payload: status.payload }]),
      ...(inForce === undefined
        ? []
        : [{ document: 'manifest' as const, version: inForce.version, payload: inForce.payload }]),
    ]
  }

  const tick = (): void => {
    checkClock()
    enter({ type: 'tick' })
  }

  const armPoll = (afterMs: number): void => {
    cancelPoll()
    if (closing.signal.aborted) return
    const wait = Math.ceil(afterMs)
    seen.nextPollAt = toUnixMs(clock.now() + wait)
    cancelPoll = schedule(wait, poll)
  }

  /** A process that was suspended or frozen finds its polls late: what it then asks, requests may wait for. */
  const poll = (): void => {
    const isLate = clock.now() - (seen.nextPollAt ?? clock.now()) > LATE_MS
    delete seen.nextPollAt // one attempt answers for it, whoever notices first
    const attempt = attempts.request().catch(reported)
    if (!isLate) return
    waking = attempt.finally(() => {
      waking = undefined
    })
  }

  /** Somebody wants to see what is published now, so that asking other processes is not enough. */
  const demand = (): Promise<void> => {
    demanded = true
    return attempts.request()
  }

  const run = async (seal: Seal): Promise<void> => {
    await started
    if (closing.signal.aborted) throw closedError()
    if (known === undefined) throw seen.fatal ?? closedError()
    cancelPoll()
    const begun = clock.monotonic()
    const deadline = new AbortController()
    const cancelDeadline = schedule(REFRESH_TIMEOUT_MS, () => deadline.abort(timedOut()))
    const used: { bytes: number; source?: string } = { bytes: 0 }
    const told = (result: EventOf<'manifest.poll'>['result']) =>
      emit({ type: 'manifest.poll', ms: clock.monotonic() - begun, result, ...used })
    const sealed = (): void => {
      demanded = false
      seal()
    }
    const context: RefreshContext = {
      mirrors: [...source.mirrors.slice(turn), ...source.mirrors.slice(0, turn)],
      cache,
      runtime,
      emit,
      signal: AbortSignal.any([closing.signal, deadline.signal]),
      known: () => known ?? unstarted(),
      active: () => manifestIn(state),
      time,
      commit,
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
      onStatusAsked: sealed,
    }
    let failure: ManifestError | undefined
    let sincePollMs = 0
    try {
      const shared = demanded ? undefined : await polledByPeer(context)
      if (shared !== undefined && !demanded) {
        // somebody may have asked meanwhile
        sealed()
        seen.lastPollAt = shared
        sincePollMs = clock.now() - shared
        told('shared')
        return
      }
      const result = await refreshOnce(context)
      if (result === 'unchanged') turn = (turn + 1) % source.mirrors.length // a mirror that stands still hides what others have
      seen.failures = 0
      delete seen.lastError
      seen.lastAsked = clock.monotonic()
      seen.lastPollAt = clock.now()
      seen.lastSuccessAt = clock.now()
      told(result)
      if (known.status !== undefined) await peers.tell(known.status)
      await cache.prune({ active: 'manifest' in state ? state : undefined, denies: known.denies })
    } catch (error) {
      if (closing.signal.aborted) throw closedError()
      if (!(error instanceof ManifestError)) throw error
      failure = error
      const { code, kind, message, source: from } = error
      seen.failures += 1
      seen.lastError = { code, message, at: clock.now() }
      told('failed')
      emit({ type: 'manifest.rejected', code, kind, message, ...(from === undefined ? {} : { source: from }) })
      throw error
    } finally {
      cancelDeadline()
      startup.attempted(failure)
      tick()
      watchRoot()
      armPoll(pollIn(failure, sincePollMs))
    }
  }

  /**
   * Looks whether another process polled since the poll that ours follows, and takes over what it stored. Everything of that
   * is verified as if a mirror had served it; what does not verify, or does not keep us fresh, is asked of the source instead.
   *
   * @returns When the other poll was.
   */
  const polledByPeer = async (context: RefreshContext): Promise<UnixMs | undefined> => {
    const hint = known?.status?.payload.poll
    if (seen.failures > 0 || clock.monotonic() - seen.lastAsked >= sharedForMs(hint)) return undefined
    const poll = await peers.lastPoll()
    const isNews = poll !== undefined && poll.at > (seen.lastPollAt ?? 0)
    if (!isNews || clock.now() - poll.at >= clampInterval(hint)) return undefined
    if (!poll.found(known?.status)) {
      const quiet = { onProbe: noop, onRootConfirmed: noop, onBytes: noop, onStatusServed: noop, onStatusAsked: noop }
      const emitted: Emit = (event) => event.type !== 'manifest.rejected' && emit(event)
      try {
        await refreshOnce({
          ...context,
          ...quiet,
          mirrors: [peers.mirror],
          emit: emitted,
          etags: new Map(),
          probeRoot: false,
        })
      } catch (error) {
        if (error instanceof ManifestError) return undefined
        throw error
      }
    }
    return poll.found(known?.status) && state.kind === 'fresh' ? poll.at : undefined
  }

  const pollIn = (failure: ManifestError | undefined, sincePollMs: number): number =>
    nextPollMs({
      failures: seen.failures,
      poll: known?.status?.payload.poll,
      retryAfterMs: failure?.retryAfterMs,
      freshForMs: state.kind === 'fresh' ? deadlines(state.manifest, state.status).staleAt - time() : undefined,
      sincePollMs,
      random,
    })

  /** While a root can be withheld, a stolen status key keeps its power; someone should look. */
  const watchRoot = (): void => {
    const unconfirmedMs = clock.monotonic() - seen.rootConfirmedAt
    if (unconfirmedMs < ROOT_SILENCE_MS) return
    seen.rootConfirmedAt = clock.monotonic()
    emit({
      type: 'manifest.security',
      message: `no source confirmed the newest root for ${Math.floor(unconfirmedMs / 86_400_000)} days`,
    })
  }

  const random = (): number => Buffer.from(runtime.random(4)).readUInt32BE(0) / 2 ** 32

  const start = async (): Promise<void> => {
    try {
      if (options.cache === 'required') await requireCache(store, cacheBase(repo, env), runtime)
      const { known: restored, active } = await cache.load(await verifyAnchor(anchor))
      if (closing.signal.aborted) return
      known = restored
      if (active === undefined && !restored.everAccepted) shipped = await bootstrap()
      if (closing.signal.aborted) return
      if (active === undefined) enter({ type: 'tick' })
      else {
        const changes = await difference(NO_HOSTS, active.manifest.hosts)
        if (closing.signal.aborted) return
        enter({ type: 'activated', ...active })
        const asCanary = active.manifest.version !== known.floor?.current
        announce(active.manifest, undefined, known.root.version, asCanary, changes)
      }
      armPoll(state.kind === 'fresh' ? firstPollMs(known.status?.payload.poll, random) : 0)
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error
      const { code, kind, message } = error
      seen.fatal = error
      seen.lastError = { code, message, at: clock.now() }
      emit({ type: 'manifest.rejected', code, kind, message })
      startup.end(error)
    }
  }

  /** A refused one is no reason not to ask the source. */
  const bootstrap = async (): Promise<Bootstrap | undefined> => {
    if (options.bootstrap === undefined) return undefined
    try {
      const loaded = await loadBootstrap(await verifyAnchor(anchor), options.bootstrap, runtime, closing.signal)
      emit({ type: 'manifest.bootstrap', version: loaded.manifest.version, expires: loaded.manifest.payload.expires })
      return loaded
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error
      const { code, kind, message, source: from } = error
      emit({ type: 'manifest.rejected', code, kind, message, ...(from === undefined ? {} : { source: from }) })
      return undefined
    }
  }

  const within = async (work: Promise<void>): Promise<void> => {
    const done = new AbortController()
    await Promise.race([work, wait(schedule, startupMs, done.signal)])
    done.abort()
  }

  const attempts = createAttempts(run, runtime, closing.signal)
  const started = start()
  const unwatch = source.watch?.({
    changed: () => {
      if (!closing.signal.aborted) demand().catch(reported)
    },
    warn: (name, message) => {
      if (!closing.signal.aborted) emit({ type: 'manifest.source', source: name, message })
    },
  })

  return {
    ready: startup.ready,
    firstAttempt: startup.firstAttempt,
    current: () => {
      tickIfDue()
      return view
    },
    awake: () => {
      tickIfDue()
      return state.kind === 'expired' && waking !== undefined ? within(waking) : undefined
    },
    refresh: () => (closing.signal.aborted ? Promise.reject(closedError()) : demand()),
    requestEarlyRefresh: () => {
      const now = clock.monotonic()
      if (closing.signal.aborted || now - seen.lastEarly < EARLY_EVERY_MS) return
      seen.lastEarly = now
      demand().catch(reported)
    },
    health: () => {
      tickIfDue()
      return healthOf(state, known, seen, view, time())
    },
    time,
    close: async () => {
      if (closing.signal.aborted) return
      closing.abort()
      cancelPoll()
      unwatch?.()
      startup.end(closedError())
      enter({ type: 'closed' })
      emit({ type: 'manifest.closed' })
      await Promise.all([started, attempts.idle()])
      await source.close?.()
    },
  }

  /** Timers follow the monotonic clock; whoever asks after the wall clock stepped is told the truth at once. */
  function tickIfDue(): void {
    if (state.kind === 'cold' || state.kind === 'closed') return
    if (next(state, { type: 'tick' }, time()) !== state) tick()
    if (seen.nextPollAt !== undefined && clock.now() - seen.nextPollAt > LATE_MS) poll()
  }
}

function emitEpochs({ payload: before }: TrustedRoot, { payload: after }: TrustedRoot, emit: Emit): void {
  for (const role of ['manifest', 'status'] as const) {
    const [from, to] = [before.roles[role].epoch, after.roles[role].epoch]
    if (from !== to) emit({ type: 'manifest.epoch', role, from, to })
  }
}

/** The first manifest is announced by `manifest.activated`; these are about what becomes of it. */
function isTransition(before: StateKind, after: StateKind): after is 'fresh' | 'stale' | 'expired' {
  if (after === 'fresh') return before === 'stale' || before === 'expired'
  return after === 'stale' || after === 'expired'
}

function closedError(): ManifestError {
  return refusal('ERR_MANIFEST_CLOSED', { document: 'status' }, 'the updater was closed')
}

function timedOut(): ManifestError {
  const message = `the refresh took more than ${REFRESH_TIMEOUT_MS / 1_000} s`
  return refusal('ERR_MANIFEST_FETCH_TIMEOUT', { document: 'status' }, message)
}

function unstarted(): never {
  throw new TypeError('a refresh before the anchor was verified')
}

/** `run` has told health, events and waiters already. */
function reported(error: unknown): void {
  if (!(error instanceof ManifestError)) throw error
}

const noop = (): void => {}
const LONG_AGO = Number.NEGATIVE_INFINITY
const PROBE_EVERY_MS = 3_600_000
const EARLY_EVERY_MS = 30_000 // a host whose pins are wrong must not become a load on the publisher
const LATE_MS = 10_000 // what a busy process may be behind
const MAX_TICK_MS = 3_600_000
const REFRESH_TIMEOUT_MS = 120_000 // above any honest sum of document deadlines
const ROOT_SILENCE_MS = 7 * 86_400_000
