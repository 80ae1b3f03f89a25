import { StoreError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'

/** How long one renewal waits for its store, all calls together: each of them may be in time, and their sum is not. */
export interface Patience {
  /**
   * The answer of a call, if there is time left for it. The call is made in any case, and goes on; an answer that comes too late
   * goes to `late`.
   *
   * @throws StoreError `ERR_STORE_UNAVAILABLE`
   */
  readonly within: <Answer>(call: () => Promise<Answer>, late?: (answer: Answer) => void) => Promise<Answer>
}

/** Where nothing can be done without the store, it is waited for. */
export const ENDLESS: Patience = Object.freeze({ within: async (call) => await call() } satisfies Patience)

export function createPatience(runtime: Pick<Runtime, 'clock' | 'schedule'>): Patience {
  const { clock, schedule } = runtime
  let leftMs = MOST_MS
  return {
    within: async (call, late = () => undefined) => {
      const start = clock.monotonic()
      const called = call()
      let isOver = false
      let cancel = (): void => undefined
      const over = new Promise<never>((_, reject) => {
        cancel = schedule(leftMs, () => {
          isOver = true
          reject(new StoreError('ERR_STORE_UNAVAILABLE', `token store: too slow, ${MOST_MS} ms are over`))
        })
      })
      called.then((answer) => isOver && late(answer)).catch(() => undefined)
      try {
        return await Promise.race([called, over])
      } finally {
        cancel()
        leftMs = Math.max(0, leftMs - (clock.monotonic() - start))
      }
    },
  }
}

/** What a request may be held up for by a store that it could do without. */
const MOST_MS = 250
