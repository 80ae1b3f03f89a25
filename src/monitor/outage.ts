import { scrub } from '../errors/scrub.ts'
import { type Emitter, emitterOf } from '../events/emitter.ts'

export interface Outage {
  readonly began: (error: unknown, dropped: number) => void
  readonly ended: (dropped: number) => void
}

/** Tells a client's listeners, once when it begins and once when it is over, that something is not kept. */
export function createOutage(on: Emitter['on'], outlet: string): Outage {
  const emit = emitterOf(on)
  let isFailing = false
  return {
    began: (error, dropped) => {
      if (isFailing) return
      isFailing = true
      emit?.({ type: 'outlet.failed', outlet, dropped, message: messageOf(error) })
    },
    ended: (dropped) => {
      if (!isFailing) return
      isFailing = false
      emit?.({ type: 'outlet.recovered', outlet, dropped, message: 'it is written again' })
    },
  }
}

export const messageOf = (error: unknown): string => scrub(error).message
