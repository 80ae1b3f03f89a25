import type { Emit } from '../events/events.ts'
import type { Cancel, Runtime, UnixMs } from '../ports/runtime.ts'
import type { AcceptedManifest } from './accept.ts'
import { createAlarms, type Living } from './alarms.ts'
import type { Bootstrap } from './bootstrap.ts'
import type { Restored } from './cache.ts'
import { createClockWatch } from './clock-watch.ts'
import type { HostChanges } from './host-changes.ts'
import { type Discovery, type Knowledge, learn, timeOf } from './knowledge.ts'
import type { TrustedRoot } from './root.ts'
import type { Startup } from './startup.ts'
import { COLD, deadlines, type ManifestState, next, type StateEvent, type StateKind } from './state.ts'
import { emitDenyChanges, type ManifestView, manifestIn, viewOf } from './view.ts'

/** What is verified and what of it is in force now: the only holder of both, so nothing changes behind its back. */
export interface InForce {
  /** `undefined` until the embedded root was verified. */
  readonly known: () => Knowledge | undefined
  readonly state: () => ManifestState
  readonly view: () => ManifestView
  readonly manifest: () => AcceptedManifest | undefined
  /** The clock, but never before what accepted documents say. */
  readonly time: () => UnixMs
  readonly know: (restored: Knowledge) => void
  /** What an earlier process left, or what the application ships, comes into force: all of it is new. */
  readonly begin: (active: Restored['active'], changes: HostChanges, shipped?: Bootstrap) => void
  /** A refresh found out something. */
  readonly commit: (discovery: Discovery) => void
  /** Time has passed. */
  readonly tick: () => void
  /** Timers follow the monotonic clock; whoever asks after the wall clock stepped is told the truth at once. */
  readonly tickIfDue: () => void
  readonly close: () => void
}

export interface InForceOptions {
  readonly runtime: Runtime
  readonly emit: Emit
  readonly startup: Startup
  /** Called with what is about to be in force when a manifest brings it, in the tick before it does. */
  readonly beforeActivation?: ((view: ManifestView) => void) | undefined
  /** Called in the tick in which `view()` begins to answer something else. */
  readonly onChange?: (() => void) | undefined
}

export function createInForce(options: InForceOptions): InForce {
  const { runtime, emit, startup, onChange = () => {} } = options
  const { clock, schedule } = runtime
  const alarm = createAlarms(emit)
  const checkClock = createClockWatch(runtime, emit)
  let known: Knowledge | undefined
  let state: ManifestState = COLD
  let view: ManifestView = viewOf(state, known)
  let shipped: Bootstrap | undefined
  let isReady = false
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
    if (known === undefined || state.kind === 'closed') return
    const { denies, root: before } = known
    known = learn(known, discovery, clock.monotonic())
    const { root, status } = known
    const from = manifestIn(state)
    if (discovery.type !== 'manifest' || status === undefined) enter({ type: 'tick' })
    else if (discovery.manifest === from) enter({ type: 'confirmed', status })
    else {
      const activated: StateEvent = { type: 'activated', manifest: discovery.manifest, status }
      options.beforeActivation?.(viewOf(next(state, activated, time()), known))
      enter(activated)
    }
    emitDenyChanges(denies, known.denies, emit)
    emitEpochs(before, root, emit)
    if (discovery.type === 'manifest' && discovery.changes !== undefined) {
      announce(discovery.manifest, from, root.version, discovery.asCanary, discovery.changes)
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
    const manifest = manifestIn(state)
    const of = (document: Living['document'], one: Omit<Living, 'document'> | undefined): readonly Living[] =>
      one === undefined ? [] : [{ document, version: one.version, payload: one.payload }]
    return [...of('root', root), ...of('status', status), ...of('manifest', manifest)]
  }

  const tick = (): void => {
    checkClock()
    enter({ type: 'tick' })
  }

  return {
    known: () => known,
    state: () => state,
    view: () => view,
    manifest: () => manifestIn(state),
    time,
    know: (restored) => {
      known = restored
    },
    begin: (active, changes, bootstrap) => {
      shipped = bootstrap
      if (active === undefined || known === undefined) return enter({ type: 'tick' })
      enter({ type: 'activated', ...active })
      const asCanary = active.manifest.version !== known.floor?.current
      announce(active.manifest, undefined, known.root.version, asCanary, changes)
    },
    commit,
    tick,
    tickIfDue: () => {
      if (next(state, { type: 'tick' }, time()) !== state) tick()
    },
    close: () => enter({ type: 'closed' }),
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

const MAX_TICK_MS = 3_600_000
