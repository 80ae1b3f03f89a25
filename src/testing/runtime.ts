import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'

/**
 * A clock that stands still until a test moves it, timers that run when it does, and a random source that says the same
 * in every run.
 *
 * @param options.now Wall time at the start, Unix milliseconds. Default 2026-01-01T00:00:00Z.
 * @param options.seed Another seed, other random bytes.
 */
export function createTestRuntime(options: { readonly now?: number; readonly seed?: string } = {}): TestRuntime {
  let elapsed = 0
  let wallAtStart = options.now ?? DEFAULT_NOW
  let timers: readonly Timer[] = [] // in the order of their due times, equal ones in the order they were set

  const runUntil = async (end: number): Promise<void> => {
    for (let runs = 0; ; runs += 1) {
      await setImmediate() // every promise that can go on without the clock does
      const [timer, ...rest] = timers
      if (timer === undefined || timer.due > end) break
      if (runs === MAX_RUNS)
        throw new Error(`${MAX_RUNS} timers ran in one advance(): something re-arms without waiting`)
      timers = rest
      elapsed = timer.due
      timer.run()
    }
    elapsed = end
  }

  return {
    clock: {
      now: () => toUnixMs(wallAtStart + elapsed),
      monotonic: () => elapsed,
    },
    random: seededRandom(options.seed ?? 'pinfetch'),
    schedule: (afterMs, run) => {
      const timer: Timer = { due: elapsed + Math.max(0, afterMs), run }
      timers = [...timers, timer].sort((a, b) => a.due - b.due)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance: (ms) => runUntil(elapsed + ms),
    setWall: (now) => {
      wallAtStart = now - elapsed
    },
    get pendingTimers() {
      return timers.length
    },
  }
}

export interface TestRuntime extends Runtime {
  /**
   * Moves wall and monotonic time together and runs the timers due on the way, each at its own instant, the ones they
   * set included. Promises settle between them; work outside the process (sockets, files) is not waited for.
   * Rejects with whatever a timer throws.
   */
  readonly advance: (ms: number) => Promise<void>
  /** Steps the wall clock, as an administrator or an attacker on NTP does. Monotonic time and timers do not notice. */
  readonly setWall: (now: UnixMs | number) => void
  /** Timers that have neither run nor been cancelled: 0 after a clean shutdown. */
  readonly pendingTimers: number
}

interface Timer {
  readonly due: number
  readonly run: () => void
}

/** SHA-256 in counter mode, as long as it is asked for: the same bytes for the same seed and the same calls. */
function seededRandom(seed: string): (length: number) => Uint8Array {
  let block = 0
  return (length) => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 32) {
      const digest = createHash('sha256').update(`${seed} ${block}`).digest()
      bytes.set(digest.subarray(0, length - at), at)
      block += 1
    }
    return bytes
  }
}

const DEFAULT_NOW = Date.UTC(2026, 0, 1)
const MAX_RUNS = 100_000
