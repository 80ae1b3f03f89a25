import type { Attack, AttackGroup, AttackResult, Attempt } from './attack.ts'
import type { ContenderName } from './contenders.ts'

/** What a run of the lab found: plain data, one entry for each attack. */
export interface LabReport {
  readonly node: string
  /** Columns, in their order. */
  readonly contenders: readonly ContenderName[]
  readonly attacks: readonly AttackReport[]
  readonly durationMs: number
}

/** What one attack did to each contender. */
export interface AttackReport {
  readonly id: string
  readonly group: AttackGroup
  readonly title: string
  /** One for each contender, in the order of the columns. */
  readonly results: readonly LabResult[]
}

/** How one attack on one contender ended. */
export interface LabResult {
  readonly attack: string
  readonly contender: ContenderName
  /**
   * `refused`, `noticed` (told of by an event) and `unharmed` (it had no effect) are what a contender stands with; `lost`: the attack
   * won, or the genuine server was refused as well. `not-run`: see `reason`.
   */
  readonly outcome: 'refused' | 'noticed' | 'unharmed' | 'lost' | 'not-run'
  /** Of the error or the event; null where there was none. */
  readonly code: string | null
  /** One of these counts, for pinfetch. */
  readonly expected: readonly string[]
  /** What the attacker was sent of what he was not meant to have. */
  readonly applicationOctets: number
  readonly sawClientCertificate: boolean
  /** How the genuine server was treated, with the same settings; null where it was not run. */
  readonly control: 'accepted' | 'refused' | null
  /** Why it was lost, or not run; null for the others. */
  readonly reason: string | null
  /** The program that was not installed, where that is why. */
  readonly missing: string | null
}

/**
 * Pinfetch must do what is written down: refuse with the right code, before a single octet and without showing its certificate.
 * Of the others it is asked that they refuse before they have sent anything. All must accept the genuine server.
 */
export function judge(attack: Attack, contender: ContenderName, { attack: attempt, control }: AttackResult): LabResult {
  const reason = whyLost(attack, contender, attempt, control)
  return {
    attack: attack.id,
    contender,
    outcome: reason !== null || attempt.outcome === 'accepted' ? 'lost' : attempt.outcome,
    code: attempt.code ?? null,
    expected: attack.codes,
    applicationOctets: attempt.applicationOctets,
    sawClientCertificate: attempt.sawClientCertificate,
    control: control.outcome === 'refused' ? 'refused' : 'accepted',
    reason,
    missing: null,
  }
}

export function notRun(
  attack: Attack,
  contender: ContenderName,
  reason: string,
  missing: string | null = null,
): LabResult {
  return {
    attack: attack.id,
    contender,
    outcome: 'not-run',
    code: null,
    expected: attack.codes,
    applicationOctets: 0,
    sawClientCertificate: false,
    control: null,
    reason,
    missing,
  }
}

function whyLost({ codes }: Attack, contender: ContenderName, attempt: Attempt, control: Attempt): string | null {
  const { outcome, code = 'no code', applicationOctets, sawClientCertificate, gained } = attempt
  if (gained !== undefined) return `the attacker gained ${gained}`
  if (outcome === 'accepted') return 'the attacker was taken for the genuine server'
  if (applicationOctets > 0) return `the attacker was sent ${applicationOctets} octets`
  if (control.outcome === 'refused') return `the genuine server was refused too: ${control.code ?? 'no code'}`
  if (contender !== 'pinfetch') return null
  if (sawClientCertificate) return 'the attacker was shown the client’s certificate'
  const isExpected = outcome === 'unharmed' ? codes.length === 0 : codes.some((one) => one === code)
  return isExpected ? null : `${outcome} with ${code}, where ${codes.join(' or ') || 'no effect'} was expected`
}
