import { BoundedMap } from '../encoding/bounded-map.ts'
import type { HandshakeEvent } from '../events/handshake.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { judgementBehind } from '../trust/judgement.ts'
import type { Pin } from '../trust/policy.ts'

export interface PinUse {
  /** The origin, as events name it. */
  readonly host: string
  readonly spki: string
  /**
   * Unix milliseconds. When a peer that was accepted last had this key on its verified path. Absent where none ever had: as it should
   * be for a backup pin, and worth a look where nobody knows of one.
   */
  readonly lastMatchedAt?: UnixMs
  /** Unix milliseconds: from then on the pin no longer serves. Absent: as long as its policy. */
  readonly notAfter?: UnixMs
  /** Where on the path the key has to stand. Absent: anywhere. */
  readonly role?: 'endEntity' | 'issuer'
}

export interface PinUsage {
  readonly note: (handshake: HandshakeEvent) => void
  /** Every pin of the policies that the newest handshakes were judged by, at most 1,000, those of the busiest hosts last. */
  readonly all: () => readonly PinUse[]
}

/** Remembers which pins peers were accepted for. It decides nothing: whoever plans a rotation sees what is in use, and what never was. */
export function createPinUsage(): PinUsage {
  const hosts = new BoundedMap<string, Used>(MAX_HOSTS)
  return {
    note: (handshake) => {
      const { host, at, outcome, pins, policy, cut } = handshake
      const groups = judgementBehind(handshake)?.input.policy.pinGroups
      if (groups === undefined || cut === true) return
      const known = hosts.get(host)
      const used =
        known?.generation === policy.generation ? known : usedUnder(policy.generation, groups.flat(), known?.matchedAt)
      if (used !== known) hosts.set(host, used)
      if (outcome !== 'accepted' && outcome !== 'reported') return
      for (const spki of pins.matched) used.matchedAt.set(spki, at)
    },
    all: () => [...hosts.entries()].flatMap(([host, used]) => usesOf(host, used)).slice(-MAX_LISTED),
  }
}

interface Used {
  readonly generation: string
  readonly pins: readonly Pin[]
  readonly matchedAt: Map<string, UnixMs>
}

/** What is known of pins that are no longer there goes with them. */
function usedUnder(generation: string, all: readonly Pin[], before: ReadonlyMap<string, UnixMs> = NEVER): Used {
  const pins = [...new Map(all.map((pin) => [pin.spki, pin])).values()].slice(0, MAX_PINS)
  const matchedAt = new Map<string, UnixMs>()
  for (const { spki } of pins) {
    const at = before.get(spki)
    if (at !== undefined) matchedAt.set(spki, at)
  }
  return { generation, pins, matchedAt }
}

function usesOf(host: string, { pins, matchedAt }: Used): readonly PinUse[] {
  return pins.map(({ spki, notAfter, require }): PinUse => {
    const lastMatchedAt = matchedAt.get(spki)
    return {
      host,
      spki,
      ...(lastMatchedAt === undefined ? {} : { lastMatchedAt }),
      ...(notAfter === undefined ? {} : { notAfter }),
      ...(require === undefined ? {} : { role: require }),
    }
  })
}

const NEVER: ReadonlyMap<string, UnixMs> = new Map()
const MAX_HOSTS = 500
const MAX_PINS = 64 // a manifest has 16 a host; code may name more
const MAX_LISTED = 1_000
