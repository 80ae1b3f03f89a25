import { PinfetchError } from '../../errors/errors.ts'
import { scrub } from '../../errors/scrub.ts'
import type { Emit } from '../../events/events.ts'
import type { Runtime } from '../../ports/runtime.ts'
import { raceSignal, wait } from '../../ports/signals.ts'
import { keepProcessAlive } from '../../ports/system.ts'
import { createGathering } from '../gathering.ts'

/** Something that carries what a client tells to somewhere else. */
export interface Outlet {
  /** What waits, that under way included. */
  readonly queued: number
  /** Lost: the queue was full, or nobody took it in time. */
  readonly dropped: number
  /** Hears nothing more, and sends what waits: for five seconds at most. */
  readonly close: () => Promise<void>
}

export interface DeliveryOptions<Item, Batch> {
  /** As `outlet.failed` names it. */
  readonly name: string
  /** Items that may wait; the newest are dropped while it is full, since what happened first explains the rest. */
  readonly capacity: number
  /** Items that are delivered together. */
  readonly batchSize: number
  /** What is sent for the items, made once and not for every attempt; `undefined` where there is nothing to send. */
  readonly prepare: (items: readonly Item[]) => Batch | undefined | Promise<Batch | undefined>
  /**
   * Settles when the batch arrived. Rejects with `Undeliverable` for what no further attempt would mend.
   *
   * @param taken Says that the batch is there, before it settles: whatever fails or hangs then, it is not sent again.
   */
  readonly deliver: (batch: Batch, signal: AbortSignal, taken: () => void) => Promise<void>
  /** Frees what `deliver` holds. */
  readonly dispose?: () => unknown
  readonly runtime: Runtime
  readonly tell: Emit
}

export interface Delivery<Item> extends Outlet {
  /** @param mayWait For others, to be sent with them. */
  readonly offer: (item: Item, mayWait?: boolean) => void
}

/** Another attempt would fail for the same reason. `lost`: how many of the items that is about, where the others arrived. */
export class Undeliverable extends Error {
  override readonly name = 'Undeliverable'
  readonly lost: number | undefined

  constructor(message: string, lost?: number) {
    super(message)
    this.lost = lost
  }
}

/**
 * A bounded queue, emptied outside the tick that filled it: an outlet that is slow, down or hangs costs memory for `capacity` items
 * and never a request. What fails is tried again for five minutes, after pauses that grow to half a minute; `outlet.failed` is told
 * when that begins or something is lost, `outlet.recovered` when a batch arrived and half of the queue is free.
 */
export function createDelivery<Item, Batch>(options: DeliveryOptions<Item, Batch>): Delivery<Item> {
  const { name, capacity, batchSize, prepare, deliver, dispose, runtime, tell } = options
  const { clock, schedule } = runtime
  const waiting: Item[] = []
  const closing = new AbortController()
  const over = new AbortController()
  let dropped = 0
  let droppedBefore = 0 // this outage
  let isFailing = false
  let closed: Promise<void> | undefined

  const fail = (message: string): void => {
    if (isFailing) return
    isFailing = true
    tell({ type: 'outlet.failed', outlet: name, dropped: dropped - droppedBefore, message })
  }
  const recover = (): void => {
    if (!isFailing || waiting.length * 2 > capacity) return
    isFailing = false
    tell({ type: 'outlet.recovered', outlet: name, dropped: dropped - droppedBefore, message: 'records arrive again' })
    droppedBefore = dropped
  }
  const lose = (count: number, message: string): void => {
    dropped += count
    fail(message)
  }

  const handOn = async (): Promise<number> => {
    if (over.signal.aborted) return waiting.length
    const items = waiting.slice(0, batchSize)
    const failure = await deliverAll(items)
    waiting.splice(0, items.length)
    if (failure === undefined) recover()
    else lose(Math.min(failure.lost, items.length), failure.message)
    return items.length
  }
  const gathering = createGathering({
    size: () => waiting.length,
    enough: Math.min(batchSize, Math.ceil(capacity / 2)),
    handOn,
    schedule,
  })

  /** @returns how many of the items are lost, and why. */
  const deliverAll = async (items: readonly Item[]): Promise<Loss | undefined> => {
    const began = clock.monotonic()
    try {
      const batch = await prepare(items)
      if (batch === undefined) return undefined
      for (let failures = 0; ; ) {
        const error = await attempt(batch)
        if (error === undefined) return undefined
        failures += 1
        if (error instanceof Undeliverable || over.signal.aborted) return lossBy(error, items)
        fail(messageOf(error))
        if (clock.monotonic() - began >= GIVE_UP_MS) return lossBy(error, items)
        await pause(pauseAfter(failures))
      }
    } catch (error) {
      return lossBy(error, items) // a format of the caller's threw
    }
  }

  const attempt = async (batch: Batch): Promise<unknown> => {
    const ended = new AbortController()
    const end = (): void => ended.abort(new Undelivered(`nobody took it within ${ATTEMPT_MS} ms`))
    const cancel = schedule(ATTEMPT_MS, end)
    const stop = (): void => ended.abort(new Undelivered('the outlet was closed'))
    over.signal.addEventListener('abort', stop, { once: true })
    let isTaken = false
    const taken = (): void => {
      isTaken = true
    }
    try {
      await raceSignal(deliver(batch, ended.signal, taken), ended.signal)
      return undefined
    } catch (error) {
      if (isTaken && !(error instanceof Undeliverable)) return undefined
      return error ?? new Undelivered('no reason was given')
    } finally {
      cancel()
      over.signal.removeEventListener('abort', stop)
    }
  }

  /** Closing wakes it: then there is no time to lose. */
  const pause = async (ms: number): Promise<void> => {
    const signal = closing.signal.aborted ? over.signal : closing.signal
    await wait(runtime, ms, signal).catch(() => undefined)
  }
  /** Half of it by chance, so that programs that failed together do not come back together. */
  const pauseAfter = (failures: number): number => {
    const longest = Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(failures - 1, 10))
    return longest * (0.5 + (runtime.random(1)[0] ?? 0) / 512)
  }

  const end = async (): Promise<void> => {
    closing.abort()
    const release = keepProcessAlive()
    const cancel = schedule(CLOSE_MS, () => over.abort())
    try {
      await gathering.close()
      await raceSignal(Promise.resolve(dispose?.()), over.signal)
    } catch {
      // what was to be freed hangs, or failed: the rest is the system's
    } finally {
      cancel()
      release()
      over.abort()
    }
    if (waiting.length > 0) lose(waiting.length, 'the outlet was closed')
    waiting.length = 0
  }

  return {
    offer: (item, mayWait = false) => {
      if (closed !== undefined) return
      if (waiting.length >= capacity) {
        lose(1, `the queue of ${capacity} is full`)
        return
      }
      waiting.push(item)
      gathering.added(mayWait)
    },
    get queued() {
      return waiting.length
    },
    get dropped() {
      return dropped
    },
    close: () => {
      closed ??= end()
      return closed
    },
  }
}

/** Another attempt may do better. Its message is ours. */
export class Undelivered extends Error {
  override readonly name = 'Undelivered'
}

interface Loss {
  readonly lost: number
  readonly message: string
}

function lossBy(error: unknown, { length }: readonly unknown[]): Loss {
  const lost = error instanceof Undeliverable ? error.lost : undefined
  return { lost: lost ?? length, message: messageOf(error) }
}

/** What somebody else's error says may hold what was sent. */
function messageOf(error: unknown): string {
  const isOurs = error instanceof PinfetchError || error instanceof Undeliverable || error instanceof Undelivered
  return (isOurs ? error : scrub(error)).message
}

const ATTEMPT_MS = 10_000
const CLOSE_MS = 5_000
const GIVE_UP_MS = 300_000
const MIN_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
