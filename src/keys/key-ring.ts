import { ConfigurationError, SignError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Signer } from './signer.ts'

/** Keys of which one signs at a time. An application may bring its own, whose `current` asks its key service. */
export interface KeyRing {
  /** @throws SignError `ERR_SIGN_KEY_UNSUITABLE` where none is active. */
  readonly current: (at: UnixMs) => Signer
  /** Also those that sign no more, or not yet. */
  readonly all: readonly Signer[]
}

/** A key of a ring, and when it signs. */
export interface RingKey {
  readonly signer: Signer
  /** Signs from then on, in place of the one before. Default: at once. */
  readonly activateAt?: Date
  /** Signs no more from then on, also where no other one is there. Default: never. */
  readonly retireAt?: Date
}

export interface MutableKeyRing extends KeyRing {
  /** Other keys, from the next signature on: a rotation needs no restart. What is wrong leaves the ring as it was. */
  readonly replace: (keys: readonly RingKey[]) => void
}

/**
 * A ring of keys with their times. Of those that are active the one that was activated last signs, so that a new key can be
 * there before the other side knows it.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID` for no key, two of one name and time, or one that retires before it is activated.
 */
export function keyRing(keys: readonly RingKey[]): MutableKeyRing {
  let entries = resolved(keys)
  return Object.freeze({
    current: (at) => {
      const active = entries.filter(({ activateAt, retireAt }) => activateAt <= at && at < retireAt)
      const last = active.at(-1)
      if (last !== undefined) return last.signer
      const message = 'keyRing: expected a key that is active now; all of them are retired, or not yet activated'
      throw new SignError('ERR_SIGN_KEY_UNSUITABLE', message)
    },
    get all() {
      return entries.map(({ signer }) => signer)
    },
    replace: (others) => {
      entries = resolved(others)
    },
  } satisfies MutableKeyRing)
}

/** The key that signs now. */
export function currentSigner(keys: Signer | KeyRing, at: UnixMs): Signer {
  return 'current' in keys ? keys.current(at) : keys
}

/** Tells, once each time, when another key signs than the one before. Names of keys are public. */
export function createKeyWatch(signer: string, emit: Emit): (current: Signer) => void {
  let last: Signer | undefined
  return (current) => {
    if (last !== undefined && last !== current && last.keyId !== current.keyId)
      emit({ type: 'sign.keyChanged', signer, before: last.keyId, after: current.keyId })
    last = current
  }
}

export const signersOf = (keys: Signer | KeyRing): readonly Signer[] => ('current' in keys ? keys.all : [keys])

interface Entry {
  readonly signer: Signer
  readonly activateAt: UnixMs
  readonly retireAt: UnixMs
}

/** By activation, the last one at the end. Dates are read once: their owner may change them. */
function resolved(keys: readonly RingKey[]): readonly Entry[] {
  if (keys.length === 0) throw invalid('expected one key at least')
  const entries = keys.map(({ signer, activateAt, retireAt }) => ({
    signer,
    activateAt: toUnixMs(activateAt?.getTime() ?? Number.NEGATIVE_INFINITY),
    retireAt: toUnixMs(retireAt?.getTime() ?? Number.POSITIVE_INFINITY),
  }))
  for (const { signer, activateAt, retireAt } of entries) {
    // NaN, of a Date that is none, is neither before nor after
    if (!(activateAt < retireAt)) throw invalid(`expected ${signer.keyId} to be activated before it retires`)
  }
  const sorted = entries.sort((one, other) => (one.activateAt < other.activateAt ? -1 : 1))
  for (const [index, { signer, activateAt }] of sorted.entries()) {
    if (sorted[index + 1]?.activateAt !== activateAt) continue
    throw invalid(
      `${signer.keyId} and ${sorted[index + 1]?.signer.keyId} are activated at the same time; which one signs?`,
    )
  }
  return sorted
}

const invalid = (problem: string): ConfigurationError =>
  new ConfigurationError('ERR_CONFIG_INVALID', `keyRing: ${problem}`)
