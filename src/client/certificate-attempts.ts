import type { Cancel, Runtime } from '../ports/runtime.ts'
import { pauseAfter } from './certificate-life.ts'

/** One attempt at a time, repeated with growing pauses until one succeeds. */
export function createAttempts(
  runtime: Runtime,
  work: {
    readonly run: () => Promise<void>
    readonly failed: (error: unknown) => void
    readonly firstPauseMs: () => number
    readonly share: () => number
  },
): { readonly start: () => Promise<void>; readonly succeeded: () => void; readonly close: () => void } {
  let running: Promise<void> | undefined
  let failures = 0
  let ended = false
  let cancelRetry: Cancel = () => {}

  const succeeded = (): void => {
    failures = 0
    cancelRetry()
  }
  const attempt = async (): Promise<void> => {
    cancelRetry()
    try {
      await work.run()
      succeeded()
    } catch (error) {
      if (ended) return
      work.failed(error)
      failures += 1
      cancelRetry = runtime.schedule(pauseAfter(failures, work.firstPauseMs(), work.share()), () => void start())
    } finally {
      running = undefined
    }
  }
  const start = (): Promise<void> => {
    running ??= ended ? Promise.resolve() : attempt()
    return running
  }
  return {
    start,
    succeeded,
    close: () => {
      ended = true
      cancelRetry()
    },
  }
}

/** A function of the application’s that never answers must not end renewal for good. */
export async function answerWithin<T>(runtime: Runtime, work: Promise<T>, place: string): Promise<T> {
  let cancel: Cancel = () => {}
  const late = new Promise<never>((_, reject) => {
    cancel = runtime.schedule(MAX_LOAD_MS, () => reject(new Error(`no answer from ${place} within ${MAX_LOAD_MS} ms`)))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    cancel()
  }
}

/** Settles with `work`, or without it when it takes long. */
export async function soon(runtime: Runtime, work: Promise<void>): Promise<void> {
  let cancel: Cancel = () => {}
  await Promise.race([
    work,
    new Promise<void>((resolve) => {
      cancel = runtime.schedule(STARTUP_MS, resolve)
    }),
  ])
  cancel()
}

const STARTUP_MS = 10_000 // as long as for a manifest
const MAX_LOAD_MS = 300_000 // an ACME order takes minutes where DNS has to spread
