export interface CircuitRules {
  /** Of the requests in the window, from 0 to 1. */
  readonly failureRatio: number
  /** Fewer say nothing. */
  readonly minRequests: number
  readonly windowMs: number
  /** How long it stays open at first; twice as long after each probe that fails. */
  readonly openMs: number
  readonly maxOpenMs: number
}

export type CircuitState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly until: number; readonly openMs: number }
  /** One request is on its way, and decides; after `until` another one does. */
  | { readonly kind: 'half-open'; readonly until: number; readonly openMs: number }

/** Whether a request may go. The one that may go as a `probe` has to tell what came of it. */
export type Admission = 'free' | 'probe' | { readonly refusedForMs: number }

export interface Circuit {
  readonly state: () => CircuitState
  /** What `enter` would answer, where nothing is entered. */
  readonly look: (now: number) => Admission
  readonly enter: (now: number) => Admission
  /** @param outcome `inconclusive`: it says nothing of the origin, as an abort by the caller does. Answers a change of the state. */
  readonly leave: (admission: 'free' | 'probe', outcome: Verdict, now: number) => CircuitState | undefined
}

export type Verdict = 'success' | 'failure' | 'inconclusive'

/** The circuit breaker of one origin. `now` is monotonic, in milliseconds. */
export function createCircuit(rules: CircuitRules): Circuit {
  let state: CircuitState = { kind: 'closed' }
  let slots = createWindow(rules.windowMs)

  const look = (now: number): Admission => {
    switch (state.kind) {
      case 'closed':
        return 'free'
      case 'open':
        return now < state.until ? { refusedForMs: Math.ceil(state.until - now) } : 'probe'
      case 'half-open':
        return now < state.until ? { refusedForMs: Math.min(state.openMs, Math.ceil(state.until - now)) } : 'probe'
    }
  }
  const open = (openMs: number, now: number): CircuitState => ({ kind: 'open', until: now + openMs, openMs })

  const leaveProbe = (outcome: Verdict, now: number): CircuitState => {
    if (state.kind !== 'half-open') return state // another one decided, since this one took too long
    const { openMs } = state
    if (outcome === 'failure') return open(Math.min(rules.maxOpenMs, openMs * 2), now)
    if (outcome === 'inconclusive') return { kind: 'open', until: now, openMs } // the next request is the probe
    slots = createWindow(rules.windowMs)
    return { kind: 'closed' }
  }
  const leaveClosed = (outcome: Verdict, now: number): CircuitState => {
    if (outcome === 'inconclusive') return state
    const { failures, all } = slots.add(outcome === 'failure', now)
    const isBroken = all >= rules.minRequests && failures / all >= rules.failureRatio
    return outcome === 'failure' && isBroken ? open(rules.openMs, now) : state
  }
  return {
    state: () => state,
    look,
    enter: (now) => {
      const admission = look(now)
      if (admission === 'probe' && state.kind !== 'closed')
        state = { kind: 'half-open', until: now + rules.maxOpenMs, openMs: state.openMs }
      return admission
    },
    leave: (admission, outcome, now) => {
      const before = state
      // One that began before the circuit opened says nothing that is not known.
      if (admission === 'probe') state = leaveProbe(outcome, now)
      else if (state.kind === 'closed') state = leaveClosed(outcome, now)
      return state === before ? undefined : state
    },
  }
}

/** Counts of the last `windowMs`, to a tenth of it. */
function createWindow(windowMs: number) {
  const slotMs = windowMs / SLOTS
  let slots: { at: number; failures: number; all: number }[] = []
  return {
    add: (isFailure: boolean, now: number): { readonly failures: number; readonly all: number } => {
      const at = Math.floor(now / slotMs)
      slots = slots.filter((slot) => slot.at > at - SLOTS)
      let slot = slots.find((one) => one.at === at)
      if (slot === undefined) {
        slot = { at, failures: 0, all: 0 }
        slots.push(slot)
      }
      slot.all += 1
      if (isFailure) slot.failures += 1
      return slots.reduce((sum, one) => ({ failures: sum.failures + one.failures, all: sum.all + one.all }), {
        failures: 0,
        all: 0,
      })
    },
  }
}

const SLOTS = 10
