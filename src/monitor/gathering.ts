import type { Cancel, Runtime } from '../ports/runtime.ts'
import { keepProcessAlive } from '../ports/system.ts'
import { nextTurn } from '../ports/turn.ts'

/** When what waits is handed on: what may wait for company does, so that a hundred records cost one write and not a hundred. */
export interface Gathering {
  /** Something more waits. `mayWait`: for a fifth of a second; else it goes in the next turn, with all that waits before it. */
  readonly added: (mayWait: boolean) => void
  /** Hands on what waits, and gathers no more. Resolves when nothing waits. */
  readonly close: () => Promise<void>
}

export interface GatheringOptions {
  /** How much waits, that which is being handed on included. */
  readonly size: () => number
  /** So much waits for no more. */
  readonly enough: number
  /** Hands on what came first. @returns how much of it waits no longer, 1 at least. */
  readonly handOn: () => Promise<number>
  readonly schedule: Runtime['schedule']
}

/** Never hands on in the tick that added something. */
export function createGathering({ size, enough, handOn, schedule }: GatheringOptions): Gathering {
  let due = 0 // of what waits, how much waits for no more
  let emptying: Promise<void> | undefined
  let endGathering: Cancel | undefined
  let isClosed = false

  const begin = (): void => {
    endGathering?.()
    due = size()
    emptying ??= empty()
  }
  const empty = async (): Promise<void> => {
    while (due > 0) {
      await nextTurn()
      const gone = await handOn() // more may be due by now
      due -= gone
    }
    emptying = undefined
    if (size() > 0) gather()
  }
  const gather = (): void => {
    if (isClosed || endGathering !== undefined) return
    const release = keepProcessAlive() // a program that ends now has said nothing of it yet
    const cancel = schedule(GATHERING_MS, begin)
    endGathering = () => {
      cancel()
      release()
      endGathering = undefined
    }
  }
  return {
    added: (mayWait) => {
      if (!mayWait || isClosed || size() >= enough) begin()
      else if (emptying === undefined) gather()
    },
    close: async () => {
      isClosed = true
      begin()
      await emptying
    },
  }
}

/** Works through a list without holding up requests: after each few there is a turn for others. */
export async function inTurns<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % ITEMS_A_TURN === 0) await nextTurn()
    work(item)
  }
}

const GATHERING_MS = 200
const ITEMS_A_TURN = 8
