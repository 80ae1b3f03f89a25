import type { Cancel, Runtime } from '../ports/runtime.ts'

export interface Attempts {
  /** Settles as the attempt that answers this call does. */
  readonly request: () => Promise<void>
  /** Resolves when nothing runs and nothing is queued. */
  readonly idle: () => Promise<void>
}

/** Called by an attempt when what happens outside from now on may escape it: later callers then get an attempt of their own. */
export type Seal = () => void

/**
 * One attempt at a time, starts at least a second apart. Callers share an attempt that has not asked the source yet;
 * otherwise one more is queued for all of them, since somebody who publishes and then calls wants to see that.
 */
export function createAttempts(
  run: (seal: Seal) => Promise<void>,
  { clock, schedule }: Runtime,
  signal: AbortSignal,
): Attempts {
  let open: Promise<void> | undefined
  let last: Promise<void> = Promise.resolve()
  let lastStart = Number.NEGATIVE_INFINITY

  const start = async (before: Promise<void>, seal: Seal): Promise<void> => {
    await before.catch(() => undefined)
    const gap = lastStart + MIN_GAP_MS - clock.monotonic()
    if (gap > 0) await wait(schedule, gap, signal)
    lastStart = clock.monotonic()
    await run(seal)
  }

  return {
    request: () => {
      if (open !== undefined) return open
      const seal = (): void => {
        if (open === mine) open = undefined
      }
      const mine: Promise<void> = start(last, seal).finally(seal)
      open = mine
      last = mine
      return mine
    },
    idle: () => last.catch(() => undefined),
  }
}

/** Resolves after the time, or at once when the signal aborts. */
export function wait(schedule: Runtime['schedule'], ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let cancel: Cancel = () => {}
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    if (signal.aborted) return done()
    cancel = schedule(ms, done)
    signal.addEventListener('abort', done)
  })
}

const MIN_GAP_MS = 1_000
