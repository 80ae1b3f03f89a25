import { ManifestError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Expiring } from '../events/monitor-events.ts'
import { type Cancel, type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import { createAttempts, type Seal, wait } from './attempts.ts'
import { type Bootstrap, loadBootstrap } from './bootstrap.ts'
import { cacheBase, createCache } from './cache.ts'
import { expiriesIn } from './expiries.ts'
import { healthOf, type ManifestHealth, type Seen } from './health.ts'
import { difference } from './host-changes.ts'
import { NO_HOSTS } from './host-table.ts'
import { createInForce } from './in-force.ts'
import { quietOutage, requireCache } from './outage.ts'
import { createPeers } from './peers.ts'
import { closedError, createPoll } from './poll.ts'
import { parseAnchor, verifyAnchor } from './root.ts'
import { firstPollMs, nextPollMs } from './schedule.ts'
import type { ManifestSource, Mirror } from './sources.ts'
import { createStartup } from './startup.ts'
import { deadlines } from './state.ts'
import type { ManifestView } from './view.ts'

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
  /** What ends if nobody acts: the documents in use, pins, legacy hosts. */
  readonly expiries: () => readonly Expiring[]
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
  const { source, store, runtime, startupMs } = options
  const { clock, schedule } = runtime
  const anchor = parseAnchor(options.root, options)
  const { repo, env } = anchor.root.payload
  const closing = new AbortController()
  const emit: Emit = (event) => {
    if (!closing.signal.aborted) options.emit(event) // what ends late has nothing to say after `manifest.closed`
  }
  const cache = createCache({ repo, env, runtime, ...quietOutage(store, emit) })
  const peers = createPeers({ store, repo, env, runtime })
  const startup = createStartup(runtime, startupMs)
  const inForce = createInForce({ ...options, emit, startup })
  const seen: Seen = {
    failures: 0,
    lastProbe: LONG_AGO,
    lastEarly: LONG_AGO,
    lastAsked: LONG_AGO,
    rootConfirmedAt: clock.monotonic(),
  }
  const { mirrors } = source
  const poll = createPoll({ mirrors, cache, peers, runtime, emit, inForce, seen, closing: closing.signal })

  let demanded = false
  let waking: Promise<void> | undefined
  let cancelPoll: Cancel = () => {}

  const start = async (): Promise<void> => {
    try {
      if (options.cache === 'required') await requireCache(store, cacheBase(repo, env), runtime)
      const { known, active } = await cache.load(await verifyAnchor(anchor))
      if (closing.signal.aborted) return
      inForce.know(known)
      const shipped = known.everAccepted ? undefined : await bootstrap()
      const changes = await difference(NO_HOSTS, active?.manifest.hosts ?? NO_HOSTS)
      if (closing.signal.aborted) return
      inForce.begin(active, changes, shipped)
      armPoll(inForce.state().kind === 'fresh' ? firstPollMs(known.status?.payload.poll, random) : 0)
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

  const run = async (seal: Seal): Promise<void> => {
    await started
    if (closing.signal.aborted) throw closedError()
    if (inForce.known() === undefined) throw seen.fatal ?? closedError()
    cancelPoll()
    let failure: ManifestError | undefined
    let sincePollMs = 0
    try {
      sincePollMs = await poll({
        isDemanded: () => demanded,
        seal: () => {
          demanded = false
          seal()
        },
      })
    } catch (error) {
      if (error instanceof ManifestError) failure = error
      throw error
    } finally {
      startup.attempted(failure)
      inForce.tick()
      watchRoot()
      armPoll(pollIn(failure, sincePollMs))
    }
  }

  const pollIn = (failure: ManifestError | undefined, sincePollMs: number): number => {
    const state = inForce.state()
    return nextPollMs({
      failures: seen.failures,
      poll: inForce.known()?.status?.payload.poll,
      retryAfterMs: failure?.retryAfterMs,
      freshForMs: state.kind === 'fresh' ? deadlines(state.manifest, state.status).staleAt - inForce.time() : undefined,
      sincePollMs,
      random,
    })
  }

  const random = (): number => Buffer.from(runtime.random(4)).readUInt32BE(0) / 2 ** 32

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

  const armPoll = (afterMs: number): void => {
    cancelPoll()
    if (closing.signal.aborted) return
    const wait = Math.ceil(afterMs)
    seen.nextPollAt = toUnixMs(clock.now() + wait)
    cancelPoll = schedule(wait, pollNow)
  }

  const isLate = (): boolean => clock.now() - (seen.nextPollAt ?? clock.now()) > LATE_MS

  /** A process that was suspended or frozen finds its polls late: what it then asks, requests may wait for. */
  const pollNow = (): void => {
    const wasLate = isLate()
    delete seen.nextPollAt // one attempt answers for it, whoever notices first
    const attempt = attempts.request().catch(reported)
    if (!wasLate) return
    waking = attempt.finally(() => {
      waking = undefined
    })
  }

  const demand = (): Promise<void> => {
    demanded = true
    return attempts.request()
  }

  const tickIfDue = (): void => {
    const { kind } = inForce.state()
    if (kind === 'cold' || kind === 'closed') return
    inForce.tickIfDue()
    if (isLate()) pollNow()
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
    warn: (name, message) => emit({ type: 'manifest.source', source: name, message }),
  })

  return {
    ready: startup.ready,
    firstAttempt: startup.firstAttempt,
    current: () => {
      tickIfDue()
      return inForce.view()
    },
    awake: () => {
      tickIfDue()
      return inForce.state().kind === 'expired' && waking !== undefined ? within(waking) : undefined
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
      return healthOf(inForce.state(), inForce.known(), seen, inForce.view(), inForce.time())
    },
    expiries: () => expiriesIn(inForce.known(), inForce.manifest(), inForce.time()),
    time: inForce.time,
    close: async () => {
      if (closing.signal.aborted) return
      closing.abort()
      cancelPoll()
      unwatch?.()
      startup.end(closedError())
      inForce.close()
      options.emit({ type: 'manifest.closed' })
      await Promise.all([started, attempts.idle()])
      await source.close?.()
    },
  }
}

/** `poll` has told health, events and waiters already. */
function reported(error: unknown): void {
  if (!(error instanceof ManifestError)) throw error
}

const LONG_AGO = Number.NEGATIVE_INFINITY
const EARLY_EVERY_MS = 30_000 // a host whose pins are wrong must not become a load on the publisher
const LATE_MS = 10_000 // what a busy process may be behind
const ROOT_SILENCE_MS = 7 * 86_400_000
