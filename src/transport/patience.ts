import type { Cancel, Runtime } from '../ports/runtime.ts'

/**
 * Runs once a time limit is over. A timer that comes late tells that the process stood still: what the peer sent in time then
 * lies unread in the sockets, and gets a moment to be read before the peer is blamed. Once, so that a limit stays one.
 */
export function afterPatience(runtime: Pick<Runtime, 'clock' | 'schedule'>, limitMs: number, run: () => void): Cancel {
  const due = runtime.clock.monotonic() + limitMs
  let cancel = runtime.schedule(limitMs, () => {
    if (runtime.clock.monotonic() - due <= LATE_MS) run()
    else cancel = runtime.schedule(Math.min(limitMs, MOMENT_MS), run)
  })
  return () => cancel()
}

export const LATE_MS = 500 // far above a busy event loop's jitter, below every sensible limit
const MOMENT_MS = 1_000 // the rest of a handshake, another round trip included
