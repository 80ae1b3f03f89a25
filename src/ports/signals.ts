import type { Runtime } from './runtime.ts'

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
    else signal.addEventListener('abort', stop, { once: true })
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
