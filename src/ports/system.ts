import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { type Runtime, toUnixMs } from './runtime.ts'

/** The machine's clock, timers and random source. The only file that touches them. */
export const systemRuntime: Runtime = Object.freeze({
  clock: Object.freeze({
    now: () => toUnixMs(Date.now()),
    monotonic: () => performance.now(),
  }),
  random: (length: number) => new Uint8Array(randomBytes(length)),
  schedule: (afterMs: number, run: () => void) => {
    const timer = setTimeout(run, Math.min(afterMs, MAX_TIMER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
})

/** Somebody waits: the process lives until the answer, although no timer of the library keeps it alive. */
export function keepProcessAlive(): () => void {
  const timer = setInterval(() => undefined, MAX_TIMER_MS)
  return () => clearInterval(timer)
}

const MAX_TIMER_MS = 2 ** 31 - 1 // Node fires at once for anything above
