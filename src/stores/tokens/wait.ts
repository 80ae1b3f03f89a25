import type { Runtime } from '../../ports/runtime.ts'
import { keepProcessAlive } from '../../ports/system.ts'

/** Asks `take` until it gives something, for `waitMs` at most; those who wait for the same do not ask in step. */
export async function takeWithin<T>(
  take: () => Promise<T | undefined>,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
  runtime: Runtime,
): Promise<T | undefined> {
  const end = runtime.clock.monotonic() + waitMs
  const letGo = keepProcessAlive()
  try {
    for (;;) {
      signal.throwIfAborted()
      const taken = await take()
      const left = end - runtime.clock.monotonic()
      if (taken !== undefined || left <= 0) return taken
      const jitter = (runtime.random(1)[0] ?? 0) / 8
      await pause(Math.min(left, ASK_EVERY_MS + jitter), runtime, signal)
    }
  } finally {
    letGo()
  }
}

function pause(ms: number, runtime: Runtime, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const stop = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = runtime.schedule(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    signal.addEventListener('abort', stop, { once: true })
  })
}

const ASK_EVERY_MS = 40
