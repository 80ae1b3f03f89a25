import { ConfigurationError } from '../errors/errors.ts'
import { nextTurn } from '../ports/turn.ts'
import type { ClientEvent } from './events.ts'

/** A listener for `client.on`, for as many types and clients as wanted, that hands events on to something slow. */
export interface EventSink {
  (event: ClientEvent): void
  /** Events that wait, the one under way included. */
  readonly queued: number
  /** Events that were not handed on because the queue was full. */
  readonly dropped: number
  /** Events whose delivery failed; they are not tried again. */
  readonly failed: number
}

/**
 * Delivers events one at a time, in order, outside the tick that caused them: a SIEM that is slow, down or hangs costs memory for
 * `capacity` events and never a request. While the queue is full the newest are dropped, since what happened first explains the
 * rest, and counted.
 *
 * @param deliver Its promise settles when the next event may come. Give it a timeout of its own: one that never settles lets
 *   nothing more through.
 * @param options.capacity 1 to 1,000,000 events. Default 1,000.
 *
 * @example
 * const sink = createEventSink((event) => post('https://siem.example.com/', event))
 * for (const type of ['tls.rejected', 'manifest.rejected'] as const) client.on(type, sink)
 */
export function createEventSink(
  deliver: (event: ClientEvent) => unknown,
  options: { readonly capacity?: number } = {},
): EventSink {
  const { capacity = 1_000 } = options
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_CAPACITY) {
    const message = `createEventSink: expected a capacity of 1 to ${MAX_CAPACITY}, got ${String(capacity)}`
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  const waiting = new Map<number, ClientEvent>() // in order; what is added while it is walked is visited too
  let accepted = 0
  let dropped = 0
  let failed = 0
  let isDelivering = false

  const deliverAll = async (): Promise<void> => {
    await nextTurn()
    for (const [number, event] of waiting) {
      try {
        await deliver(event)
      } catch {
        failed += 1
      }
      waiting.delete(number)
    }
    isDelivering = false
  }
  const sink = (event: ClientEvent): void => {
    if (waiting.size >= capacity) {
      dropped += 1
      return
    }
    waiting.set(accepted++, event)
    if (isDelivering) return
    isDelivering = true
    void deliverAll()
  }
  return Object.defineProperties(sink, {
    queued: { get: () => waiting.size },
    dropped: { get: () => dropped },
    failed: { get: () => failed },
  }) as EventSink
}

const MAX_CAPACITY = 1_000_000
