import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events'
import type { Runtime } from './runtime.ts'

/** One signal may serve many at once: Node 20 would warn of a leak from the eleventh on, and its fetch sees to that too. */
export function onAbort(signal: AbortSignal, listener: () => void): void {
  if (mostListeners(signal) === defaultMaxListeners) setMaxListeners(SHARED_BY, signal)
  signal.addEventListener('abort', listener, { once: true })
}

/** Node 20 throws for a signal that may have any number, and every version for one that is not its own. */
function mostListeners(signal: AbortSignal): number | undefined {
  try {
    return getMaxListeners(signal)
  } catch {
    return undefined
  }
}

/** Settles as the promise does, or rejects with the reason of the signal. The promise goes on; others may wait for it. */
export async function raceSignal<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | null | undefined,
): Promise<Value> {
  if (signal === null || signal === undefined) return await promise
  let stop = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else onAbort(signal, stop)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Resolves after the time. @throws the reason of the signal. */
export async function wait({ schedule }: Pick<Runtime, 'schedule'>, ms: number, signal: AbortSignal): Promise<void> {
  let cancel = (): void => undefined
  const over = new Promise<void>((resolve) => {
    cancel = schedule(Math.max(0, ms), resolve)
  })
  try {
    await raceSignal(over, signal)
  } finally {
    cancel()
  }
}

const SHARED_BY = 20_000
