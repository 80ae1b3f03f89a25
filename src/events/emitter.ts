import { inLaterTurn } from '../ports/turn.ts'
import type { ClientEvent, Emit, EventOf } from './events.ts'

export interface Emitter {
  readonly emit: Emit
  /** Whether anyone listens: what is dear to find out need not be found out for nobody. */
  readonly hasListeners: (type: ClientEvent['type']) => boolean
  /** Whether anyone listens who may act on it before that which it tells of goes on. */
  readonly isAwaited: (type: ClientEvent['type']) => boolean
  /** As `on`, for who only keeps count: what it tells of need not wait for it. */
  readonly follow: Emitter['on']
  /** Runs what tells of something that nobody awaits, once that had its turn: its request is on the way by then. */
  readonly later: (tell: () => void) => void
  /** Runs at once what `later` put off: somebody is about to stop listening. */
  readonly catchUp: () => void
  /** Returns the function that ends the subscription. */
  readonly on: <Type extends ClientEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void) => () => void
}

/** Who hears of the events of all clients. */
export type Everybody = Pick<Emitter, 'emit' | 'hasListeners'>

/**
 * Delivers in order, in the tick of the cause. A listener that throws harms neither the request nor the other listeners:
 * its error is raised on its own, as an uncaught exception, where the process's own policy for bugs applies.
 *
 * @param everybody Told after the listeners.
 */
export function createEmitter(everybody?: Everybody): Emitter {
  /** Another list for each change, so that one who is added or leaves while others are told changes nothing for those. */
  const listeners = new Map<string, readonly ((event: never) => void)[]>()
  const followers = new Map<string, number>()
  const untold = new Set<() => void>()
  const emitter: Emitter = {
    emit: (event) => {
      for (const listener of listeners.get(event.type) ?? NOBODY) {
        try {
          ;(listener as (event: ClientEvent) => void)(event)
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
      everybody?.emit(event)
    },
    hasListeners: (type) => (listeners.get(type)?.length ?? 0) > 0 || everybody?.hasListeners(type) === true,
    isAwaited: (type) =>
      (listeners.get(type)?.length ?? 0) > (followers.get(type) ?? 0) || everybody?.hasListeners(type) === true,
    follow: (type, listener) => {
      const end = emitter.on(type, listener)
      followers.set(type, (followers.get(type) ?? 0) + 1)
      let hasEnded = false
      return () => {
        end()
        if (!hasEnded) followers.set(type, (followers.get(type) ?? 0) - 1)
        hasEnded = true
      }
    },
    later: (tell) => {
      untold.add(tell)
      inLaterTurn(() => {
        if (untold.delete(tell)) tell()
      })
    },
    catchUp: () => {
      for (const tell of untold) {
        untold.delete(tell)
        tell()
      }
    },
    on: (type, listener) => {
      const others = (): readonly ((event: never) => void)[] =>
        (listeners.get(type) ?? NOBODY).filter((one) => one !== listener)
      listeners.set(type, [...others(), listener])
      return () => void listeners.set(type, others())
    },
  }
  emitters.set(emitter.on, emitter)
  return emitter
}

/** How what serves the listeners of a client tells them of itself; `undefined` for an `on` that is not of an emitter. */
export const emitterOf = (on: Emitter['on']): Emit | undefined => emitters.get(on)?.emit

/**
 * Subscribes what writes down, sends or counts: what it hears of does not wait for it. Ending it, it hears first of what was put off.
 * To an `on` that is not of an emitter, as a listener like any other.
 */
export function followerOf(on: Emitter['on']): Emitter['on'] {
  const emitter = emitters.get(on)
  if (emitter === undefined) return on
  return (type, listener) => {
    const end = emitter.follow(type, listener)
    return () => {
      emitter.catchUp()
      end()
    }
  }
}

const NOBODY: readonly ((event: never) => void)[] = []
const emitters = new WeakMap<Emitter['on'], Emitter>()
