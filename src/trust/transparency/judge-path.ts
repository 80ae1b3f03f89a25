import type { Finding } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import type { AnchorSet } from '../anchors.ts'
import { describe } from '../path/describe.ts'
import type { CertificationPath } from '../path/path.ts'
import type { HostPolicy } from '../policy.ts'
import { loggedTooLate, sctRulesOf } from '../revoked.ts'
import {
  checkTransparency,
  DEFAULT_TRANSPARENCY,
  type TransparencyPolicy,
  type TransparencyVerdict,
  transparencyRefusal,
} from './check.ts'
import { finding } from './finding.ts'
import type { LogList } from './logs.ts'

/** What is asked of the certificates of one host. */
export interface HostTransparency {
  readonly policy: TransparencyPolicy
  /** Absent where nobody gave one. */
  readonly logList?: LogList
  /** Equal for equal content, that of the list included. */
  readonly id: string
}

export interface PathTransparency {
  /** Absent where SCTs are not asked for. */
  readonly verdict?: TransparencyVerdict
  /** Why the path is refused, the reason first; empty where it is not. */
  readonly findings: readonly Finding[]
  /** Absent where the acceptance does not depend on SCTs. */
  readonly validUntil?: UnixMs
}

/**
 * Whether the logs that took the end entity suffice for a policy, on a verified path. Private CAs submit to no log: a path that
 * ends in an anchor of the application's own, or of the manifest, is not asked for SCTs unless they are required. A manifest
 * that distrusts a CA by the time of SCTs means every path through it, whatever the mode is.
 */
export function judgeTransparency(
  path: CertificationPath,
  policy: Pick<HostPolicy, 'transparency' | 'revoked' | 'anchors'>,
  at: { readonly staple?: Uint8Array | undefined; readonly now: UnixMs },
): PathTransparency {
  const { transparency = NOTHING_ASKED, revoked, anchors } = policy
  const { mode } = transparency.policy
  const isAsked = mode === 'require' || (mode !== 'off' && endsInPublic(path, anchors))
  const rules = revoked === undefined ? [] : sctRulesOf(path, revoked)
  if (!isAsked && rules.length === 0) return { findings: [] }

  const verdict = look(path, transparency, at)
  const told = isAsked ? { verdict } : {}
  const distrusted = loggedTooLate(rules, firstLogged(verdict))
  if (distrusted !== undefined) return { ...told, findings: [distrusted] }
  const refusal = isAsked ? transparencyRefusal(verdict, transparency.policy) : undefined
  if (refusal !== undefined) {
    return { ...told, findings: [refusal, ...verdict.findings.filter((other) => other !== refusal)] }
  }
  const depends = rules.length > 0 || mode !== 'report'
  return { ...told, findings: [], ...(depends && 'validUntil' in verdict ? { validUntil: verdict.validUntil } : {}) }
}

function look(
  { certificates: [certificate, issuer] }: CertificationPath,
  { policy, logList }: Omit<HostTransparency, 'id'>,
  at: { readonly staple?: Uint8Array | undefined; readonly now: UnixMs },
): TransparencyVerdict {
  if (logList === undefined) {
    const message = 'expected a log list of the last 70 days, saw none'
    return { status: 'unchecked', findings: [finding('ERR_TRUST_CT_LOG_LIST_STALE', message)] }
  }
  if (issuer === undefined) {
    const message = `${describe(certificate)}: is its own trust anchor, and no log takes such`
    const findings = [finding('ERR_TRUST_CT_NOT_ENOUGH_SCTS', message)]
    return { status: 'noncompliant', findings, scts: [], validUntil: FOREVER }
  }
  return checkTransparency({ ...at, certificate, issuer, logList, policy: { ...policy, mode: 'report' } })
}

/** Of the SCTs that count. */
function firstLogged(verdict: TransparencyVerdict): UnixMs | undefined {
  if (verdict.status === 'unchecked') return undefined
  const times = verdict.scts.flatMap((sct) => (sct.finding === undefined ? [sct.timestamp] : []))
  return times.length === 0 ? undefined : toUnixMs(Math.min(...times))
}

/** The end entity by itself is no CA's. */
function endsInPublic({ certificates }: CertificationPath, anchors: AnchorSet): boolean {
  const [, ...issuers] = certificates
  const anchor = issuers.at(-1)
  return anchor !== undefined && anchors.isPublic(anchor)
}

const NOTHING_ASKED: Omit<HostTransparency, 'id'> = { policy: { ...DEFAULT_TRANSPARENCY, mode: 'off' } }
const FOREVER = toUnixMs(Number.POSITIVE_INFINITY)
