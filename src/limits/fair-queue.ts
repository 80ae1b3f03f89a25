import { RateError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { onAbort } from '../ports/signals.ts'
import type { Limit } from './limit.ts'

/** A limit at work for one key, and how many wait for it. */
export interface Gate {
  readonly limit: Limit
  /** What the limit is called in messages. */
  readonly name: string
  readonly maxQueue: number
  waiting: number
}

export interface Arrival {
  /** For messages. */
  readonly host: string
  /** Requests of one lane go in the order they came; lanes take turns. */
  readonly lane: string
  /** All of them have to let the request go, at the same instant. */
  readonly gates: readonly Gate[]
  /** Monotonic. Who cannot go before that is told at once. */
  readonly deadline: number
  readonly signal: AbortSignal | null
}

export interface FairQueue {
  /**
   * `undefined` where the request may go now; its gates have counted it. Otherwise settles when it may, or rejects with
   * `ERR_RATE_QUEUE_FULL`, `ERR_RATE_LIMITED` or the reason of the signal.
   */
  readonly enter: (arrival: Arrival) => Promise<void> | undefined
  /** Something changed that no clock tells of: a request ended, a store answered. */
  readonly look: () => void
  /** Everybody who waits gets this error; nobody is let in any more. */
  readonly close: (error: (host: string) => Error) => void
}

/** Who waits for limits. A lane with a thousand requests costs another with one no more than one turn. */
export function createFairQueue({ clock, schedule }: Pick<Runtime, 'clock' | 'schedule'>): FairQueue {
  /** In the order of their turns. */
  const lanes = new Map<string, Waiter[]>()
  let total = 0
  let isLooking = false
  let timer: Cancel | undefined
  let wakeAt = Number.POSITIVE_INFINITY
  let ended: ((host: string) => Error) | undefined

  const leave = (waiter: Waiter): void => {
    const { lane, gates } = waiter.arrival
    const waiters = lanes.get(lane) ?? []
    const place = waiters.indexOf(waiter)
    if (place < 0) return
    waiters.splice(place, 1)
    if (waiters.length === 0) lanes.delete(lane)
    for (const gate of gates) gate.waiting -= 1
    total -= 1
    waiter.clear()
  }

  /** One for each lane that may go; whoever may not keeps the turn. Answers when the first of them may. */
  const turn = (now: number): { readonly went: boolean; readonly next: number } => {
    let went = false
    let next = Number.POSITIVE_INFINITY
    for (const [lane, waiters] of [...lanes]) {
      const [first] = waiters
      if (first === undefined) continue
      const readyAt = readiness(first.arrival.gates, now)
      if (readyAt > now) {
        const isTooLate = Number.isFinite(readyAt) && readyAt > first.arrival.deadline
        if (isTooLate) first.end(tooLate(first.arrival.host, readyAt - now))
        else next = Math.min(next, readyAt)
        went ||= isTooLate // the next in line may have more time
        continue
      }
      for (const { limit } of first.arrival.gates) limit.take(now)
      leave(first)
      if (lanes.delete(lane)) lanes.set(lane, waiters)
      went = true
      first.go()
    }
    return { went, next }
  }

  const look = (): void => {
    if (isLooking) return // a limit that is asked may answer at once
    isLooking = true
    timer?.()
    timer = undefined
    const now = clock.monotonic()
    let step = turn(now)
    while (step.went) step = turn(now)
    wakeAt = Number.POSITIVE_INFINITY
    isLooking = false
    wake(step.next, now)
  }

  const wake = (at: number, now: number): void => {
    if (at >= wakeAt || !Number.isFinite(at)) return
    timer?.()
    wakeAt = at
    timer = schedule(Math.max(1, Math.ceil(at - now)), look)
  }

  const wait = (arrival: Arrival, now: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const { signal, host, gates, deadline, lane } = arrival
      const end = (error: unknown): void => {
        leave(waiter)
        reject(error)
        look()
      }
      const stop = (): void => end(signal?.reason)
      const cancel = schedule(Math.max(0, deadline - now), () => {
        const at = clock.monotonic()
        end(tooLate(host, Math.max(...gates.map(({ limit }) => limit.earliest(at, 0))) - at))
      })
      const waiter: Waiter = {
        arrival,
        go: resolve,
        end,
        clear: () => {
          cancel()
          signal?.removeEventListener('abort', stop)
        },
      }
      if (signal !== null) onAbort(signal, stop)
      const waiters = lanes.get(lane)
      if (waiters === undefined) lanes.set(lane, [waiter])
      else waiters.push(waiter)
      for (const gate of gates) gate.waiting += 1
      total += 1
      const readyAt = readiness(gates, now)
      if (readyAt <= now) look()
      else wake(readyAt, now)
    })

  const enter = (arrival: Arrival): Promise<void> | undefined => {
    const { host, lane, gates, deadline, signal } = arrival
    if (ended !== undefined) return Promise.reject(ended(host))
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const now = clock.monotonic()
    const isFree = gates.every(({ waiting, limit }) => waiting === 0 && limit.readyAt(now) <= now)
    if (isFree) {
      for (const { limit } of gates) limit.take(now)
      return undefined
    }
    const full = gates.find(({ waiting, maxQueue }) => waiting >= maxQueue)
    if (full !== undefined || total >= MAX_WAITING) return Promise.reject(queueFull(host, full))
    const at = Math.max(...gates.map((gate) => gate.limit.earliest(now, ahead(lanes, lane, gate))))
    if (at > deadline) return Promise.reject(tooLate(host, at - now))
    return wait(arrival, now)
  }

  const close = (error: (host: string) => Error): void => {
    ended = error
    for (const waiter of [...lanes.values()].flat()) waiter.end(error(waiter.arrival.host))
    timer?.()
  }
  return { enter, look, close }
}

interface Waiter {
  readonly arrival: Arrival
  readonly go: () => void
  readonly end: (error: unknown) => void
  readonly clear: () => void
}

/** Or the instant at which it is worth to look again. Stops at the first that says no: a store is asked once all else allows it. */
function readiness(gates: readonly Gate[], now: number): number {
  for (const { limit } of gates) {
    const at = limit.readyAt(now)
    if (at > now) return at
  }
  return now
}

/** How many go through the gate before a newcomer: all of its own lane, and of others as many as have turns until then. */
function ahead(lanes: ReadonlyMap<string, readonly Waiter[]>, own: string, gate: Gate): number {
  const behind = lanes.get(own)?.length ?? 0
  const turns = behind === 0 ? 1 : behind // a new lane is the last to have its turn
  let count = behind
  for (const [lane, waiters] of lanes) {
    const goesBefore = lane !== own && waiters[0]?.arrival.gates.includes(gate) === true
    if (goesBefore) count += Math.min(waiters.length, turns)
  }
  return count
}

function queueFull(host: string, gate: Gate | undefined): RateError {
  const what =
    gate === undefined
      ? `${MAX_WAITING} requests wait, the most that may`
      : `${gate.waiting} requests wait for ${gate.name}, the most that may (maxQueue)`
  return new RateError('ERR_RATE_QUEUE_FULL', `${host}: ${what}; nothing was sent`, { host })
}

function tooLate(host: string, inMs: number): RateError {
  const retryAfterMs = Math.max(1, Math.ceil(inMs))
  const message = `${host}: a limit lets no request go for ${retryAfterMs} ms, which is after the call has to end (timeouts.totalMs); nothing was sent`
  return new RateError('ERR_RATE_LIMITED', message, { host, retryAfterMs })
}

/** Of all limits together. */
const MAX_WAITING = 10_000
