import { CODES, type CodeIn, type ErrorCode } from '../codes.ts'
import { CONFIG_ADVICE, KEY_ADVICE, STORE_ADVICE } from './local.ts'
import { MANIFEST_ADVICE } from './manifest.ts'
import { MONITOR_ADVICE } from './monitor.ts'
import { APPROVAL_ADVICE, AUTH_ADVICE, RATE_ADVICE, SIGN_ADVICE, VERIFY_ADVICE } from './requests.ts'
import { SITUATIONS, type Situation } from './situations.ts'
import { POLICY_ADVICE, TLS_ADVICE, TRANSPORT_ADVICE } from './transport.ts'
import { TRUST_ADVICE } from './trust.ts'

/** What to know and do when a code turns up at three in the morning. */
export interface PlaybookPage {
  readonly code: ErrorCode
  readonly happened: string
  /** What it means for the data: whether anything was sent. */
  readonly data: string
  /** Attack or mistake, and what tells them apart. */
  readonly tell: string
  readonly firstMinutes: readonly string[]
  /** Whom to call, and what to ask. */
  readonly call: string
  readonly fix: string
  readonly prevent: string
  readonly related: readonly ErrorCode[]
  /** Events of a client that tell more. */
  readonly events: readonly string[]
}

/** The situation that a code belongs to, what tells an attack from a mistake in its case, and codes that are mixed up with it. */
export type Advice = readonly [situation: keyof typeof SITUATIONS, tell: string, ...related: ErrorCode[]]

/** Every code of a domain: the compiler misses the one that was forgotten. */
export type AdviceFor<Domain extends string> = Readonly<Record<CodeIn<Domain>, Advice>>

export function playbookPage(code: ErrorCode): PlaybookPage {
  const { about, fix } = CODES[code]
  const [name, tell, ...related] = ADVICE[code]
  const { data, firstMinutes, call, prevent, events }: Situation = SITUATIONS[name]
  return { code, happened: about, data, tell, firstMinutes, call, fix, prevent, related, events }
}

const ADVICE: Readonly<Record<ErrorCode, Advice>> = {
  ...CONFIG_ADVICE,
  ...TRUST_ADVICE,
  ...TLS_ADVICE,
  ...TRANSPORT_ADVICE,
  ...POLICY_ADVICE,
  ...MANIFEST_ADVICE,
  ...STORE_ADVICE,
  ...KEY_ADVICE,
  ...AUTH_ADVICE,
  ...APPROVAL_ADVICE,
  ...VERIFY_ADVICE,
  ...SIGN_ADVICE,
  ...RATE_ADVICE,
  ...MONITOR_ADVICE,
}
