import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'

/** Says so when the wall clock moves against the monotonic one: a wrong clock makes every expiry wrong. */
export function createClockWatch({ clock }: Runtime, emit: Emit): () => void {
  let offset = clock.now() - clock.monotonic()
  return () => {
    const seen = clock.now() - clock.monotonic()
    const stepMs = seen - offset
    if (Math.abs(stepMs) <= MAX_DRIFT_MS) return
    offset = seen
    emit({ type: 'manifest.clock', stepMs })
  }
}

const MAX_DRIFT_MS = 5 * 60_000 // what documents are allowed to be ahead
