import type { Cancel, Runtime } from '../ports/runtime.ts'
import { LATE_MS } from './patience.ts'

export interface Swept {
  /** Looks whether its time is over. `now` is monotonic. */
  check(now: number): void
}

/**
 * One coarse timer for everything in flight: a timer for each request would cost more than all of its checks. It runs only
 * while something is in flight.
 */
export class Sweep {
  readonly #members = new Set<Swept>()
  readonly #runtime: Runtime
  readonly #periodMs: number
  #due = 0
  #cancel: Cancel | undefined
  #wasLate = false

  constructor(runtime: Runtime, periodMs: number) {
    this.#runtime = runtime
    this.#periodMs = periodMs
  }

  add(member: Swept): void {
    this.#members.add(member)
    if (this.#cancel === undefined) this.#arm()
  }

  /** Leaves the timer as it is: it finds nothing to do and ends, and most often another request came meanwhile. */
  delete(member: Swept): void {
    this.#members.delete(member)
  }

  stop(): void {
    this.#members.clear()
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    this.#due = this.#runtime.clock.monotonic() + this.#periodMs
    this.#cancel = this.#runtime.schedule(this.#periodMs, () => this.#run())
  }

  #run(): void {
    this.#cancel = undefined
    if (this.#members.size === 0) return
    const now = this.#runtime.clock.monotonic()
    // The process stood still: what arrived meanwhile lies unread in the sockets, and gets one turn to be read.
    this.#wasLate = !this.#wasLate && now - this.#due > LATE_MS
    if (!this.#wasLate) for (const member of this.#members) member.check(now)
    if (this.#members.size > 0) this.#arm()
  }
}
