import { type ManifestError, TrustError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'

/** Who waits for the first manifest, and for how long. */
export interface Startup {
  readonly ready: () => Promise<void>
  readonly firstAttempt: Promise<void>
  /** A manifest is in force. */
  readonly succeed: () => void
  /** The one in force is over: new callers wait for the next, or learn at once that there is none. */
  readonly lapse: () => void
  readonly attempted: (failure?: ManifestError) => void
  /** Nothing will ever be in force: a root that does not verify, or the end. */
  readonly end: (reason: ManifestError) => void
}

export function createStartup({ schedule }: Runtime, startupMs: number): Startup {
  let phase: 'waiting' | 'ready' | 'over' = 'waiting'
  let failure: ManifestError | undefined
  let ended: ManifestError | undefined
  let waiting: { resolve: () => void; reject: (error: unknown) => void }[] = []
  let settle: () => void = () => {}
  const firstAttempt = new Promise<void>((resolve) => {
    settle = resolve
  })
  const release = (use: (waiter: (typeof waiting)[number]) => void): void => {
    const released = waiting
    waiting = []
    for (const waiter of released) use(waiter)
  }
  const cancel = schedule(startupMs, () => {
    phase = 'over'
    release(({ reject }) => reject(noManifest(startupMs, failure)))
  })
  return {
    firstAttempt,
    ready: () => {
      if (ended !== undefined) return Promise.reject(ended)
      if (phase === 'ready') return Promise.resolve()
      if (phase === 'over') return Promise.reject(noManifest(startupMs, failure))
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    succeed: () => {
      phase = 'ready'
      cancel()
      settle()
      release(({ resolve }) => resolve())
    },
    lapse: () => {
      if (phase === 'ready') phase = 'over'
    },
    attempted: (reason) => {
      failure = reason
      settle()
    },
    end: (reason) => {
      ended ??= reason
      cancel()
      settle()
      release(({ reject }) => reject(reason))
    },
  }
}

function noManifest(startupMs: number, cause: ManifestError | undefined): TrustError {
  const why = cause === undefined ? 'no answer yet' : cause.message
  const message = `no verified manifest is in force, ${startupMs} ms after the start: ${why}`
  return new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', message, { cause })
}
