import { StoreError } from '../../errors/errors.ts'
import { scrub } from '../../errors/scrub.ts'
import type { Runtime } from '../../ports/runtime.ts'

/** Calls somebody else’s client: never longer than the deadline, and not at all for a while after it did not answer. */
export type Guard = <Answer>(call: () => Promise<Answer>, late: (answer: Answer) => void) => Promise<Answer>

/**
 * A client that waits for its server to come back would keep every request waiting. The first call that is not answered
 * within the deadline, or that fails on the way, opens the breaker: for a second, then for two, at most for half a minute, every
 * call is refused at once. Then one is let through.
 *
 * @throws StoreError `ERR_STORE_UNAVAILABLE`
 */
export function createGuard(runtime: Runtime, deadlineMs: number, store = 'token store'): Guard {
  const unavailable = (message: string, cause?: unknown): StoreError =>
    new StoreError('ERR_STORE_UNAVAILABLE', `${store}: ${message}`, cause === undefined ? {} : { cause: scrub(cause) })
  let openUntil = Number.NEGATIVE_INFINITY
  let failures = 0

  /** Of calls that were under way together one counts: they met the same outage. */
  const failed = (before: number, message: string, cause?: unknown): StoreError => {
    if (before !== failures) return unavailable(message, cause)
    failures += 1
    openUntil = runtime.clock.monotonic() + Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
    return unavailable(message, cause)
  }
  return (call, late) =>
    new Promise((resolve, reject) => {
      const now = runtime.clock.monotonic()
      if (now < openUntil) return reject(unavailable('did not answer a moment ago'))
      const before = failures
      if (failures > 0) openUntil = now + deadlineMs // this one tries; the others do not wait for it
      let isLate = false
      const cancel = runtime.schedule(deadlineMs, () => {
        isLate = true
        reject(failed(before, `did not answer within ${deadlineMs} ms`))
      })
      const answered = (): void => {
        failures = 0
        openUntil = Number.NEGATIVE_INFINITY
      }
      Promise.resolve()
        .then(call)
        .then(
          (answer) => {
            if (isLate) return late(answer)
            answered()
            resolve(answer)
          },
          (error) => {
            if (isLate) return
            const word = replyOf(error)
            if (word === undefined) return reject(failed(before, 'failed', error))
            answered()
            reject(unavailable(`refused: ${word}`))
          },
        )
        .finally(cancel)
    })
}

/** The first word of an error that the server itself answered with: `WRONGTYPE`, `OOM`, `READONLY`. It is there, then. */
function replyOf(error: unknown): string | undefined {
  return error instanceof Error ? /^([A-Z]{2,20}) /.exec(error.message)?.[1] : undefined
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
