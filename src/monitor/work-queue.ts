import { nextTurn } from '../ports/turn.ts'

/** Work that is done one after the other, outside the tick that asked for it. */
export interface WorkQueue {
  /** False, and counted, where too much waits: what happened first explains the rest. */
  readonly add: (work: () => Promise<void>) => boolean
  readonly queued: number
  readonly dropped: number
  readonly failed: number
  /** Resolves when nothing waits any longer. */
  readonly idle: () => Promise<void>
}

/** A disk that is slow or full costs memory for `capacity` pieces of work, and never a request. */
export function createWorkQueue(capacity: number): WorkQueue {
  let last: Promise<void> = Promise.resolve()
  let queued = 0
  let dropped = 0
  let failed = 0
  return {
    add: (work) => {
      if (queued >= capacity) {
        dropped += 1
        return false
      }
      queued += 1
      last = last
        .then(nextTurn)
        .then(work)
        .catch(() => {
          failed += 1
        })
        .finally(() => {
          queued -= 1
        })
      return true
    },
    get queued() {
      return queued
    },
    get dropped() {
      return dropped
    },
    get failed() {
      return failed
    },
    idle: () => last,
  }
}
