import type { ErrorCode } from '../../errors/codes.ts'
import type { ClientEvent } from '../../events/events.ts'
import type { Contender } from './contenders.ts'
import type { Program } from './programs.ts'
import type { World } from './world.ts'

/** What an attack is aimed at. */
export type AttackGroup =
  | 'certificates'
  | 'connections'
  | 'names'
  | 'manifest'
  | 'environment'
  | 'authentication'
  | 'tools'

/** One attack of the lab. It is run against every contender in turn, with servers of its own each time. */
export interface Attack {
  /** `L01`. */
  readonly id: string
  readonly group: AttackGroup
  /** What the attacker does, in one line. */
  readonly title: string
  /** What pinfetch refuses with, or tells of where there is nothing to refuse: one of these. Empty where it goes on unharmed. */
  readonly codes: readonly (ErrorCode | ClientEvent['type'])[]
  /** Programs that others wrote; without them it is named as not run. Default: none. */
  readonly needs?: readonly Program[]
  /**
   * Whether somebody without pins and policy, who trusts the same roots, falls for it. The lab shows what was seen; a test holds it
   * against this.
   */
  readonly beatsFetch: boolean
  /** Attacks, and makes the request that must be accepted with the same settings; so a client that refuses everything fails. */
  readonly run: (contender: Contender, world: World) => Promise<AttackResult>
}

export interface AttackResult {
  readonly attack: Attempt
  readonly control: Attempt
}

/** How one request to the attacker, or to the control, ended. What the wire saw counts, whatever the client believes. */
export interface Attempt {
  /** `noticed`: answered, and told of by an event. `unharmed`: answered with what the genuine server said, and nothing else. */
  readonly outcome: 'accepted' | 'refused' | 'noticed' | 'unharmed'
  /** Of the error, or of the first of its causes that has one; the type of the event where it was noticed. */
  readonly code?: string
  /** Octets of application data that the attacker was sent and was not meant to have: only 0 withstands an attack. */
  readonly applicationOctets: number
  /** Whether the attacker was shown the client's certificate. */
  readonly sawClientCertificate: boolean
  /** What else the attacker gained, in a few words: a token, a changed body. Default: nothing. */
  readonly gained?: string
}
