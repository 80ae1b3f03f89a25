import { randomBytes } from 'node:crypto'
import { watch } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { type Cancel, type Runtime, toUnixMs, type WatchFolder } from './runtime.ts'

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

/** A folder that is not there, or one watch too many for the system, is the same as a file system that tells nothing. */
export const watchFolder: WatchFolder = (path, changed) => {
  try {
    const watcher = watch(path, { persistent: false }, () => changed())
    watcher.on('error', () => watcher.close())
    return () => watcher.close()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return () => undefined
    throw error
  }
}

/** The operator's way to speak to a process that has no port for it. */
export function onSignal(signal: NodeJS.Signals, run: () => void): Cancel {
  process.on(signal, run)
  return () => process.off(signal, run)
}

const MAX_TIMER_MS = 2 ** 31 - 1 // Node fires at once for anything above
