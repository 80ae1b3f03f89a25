import { type PinText, pinHashOf } from '../encoding/pin.ts'
import type { CodeIn, ErrorCode } from '../errors/codes.ts'
import type { Finding, PinfetchError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { evaluateTrust } from '../trust/evaluate.ts'
import { matchIdentity, type ReferenceIdentity } from '../trust/identity.ts'
import { findInterception } from '../trust/interception.ts'
import { findPath } from '../trust/path/build.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import { matchPins, pinOf } from '../trust/pins.ts'
import type { HostPolicy, Pin } from '../trust/policy.ts'
import { checkRevocation, judgeStaple, type RevocationEvidence } from '../trust/revocation/check.ts'
import { judgeTransparency } from '../trust/transparency/judge-path.ts'
import { findingsOf } from './as-client.ts'
import { placeAll } from './chain.ts'
import { dateOf } from './text.ts'

export interface TraceInput {
  readonly presented: readonly Uint8Array[]
  /** `undefined`: the name is not looked at. */
  readonly identity: ReferenceIdentity | undefined
  readonly policy: HostPolicy
  /** Why a client with the given configuration makes no connection at all. */
  readonly refusal?: PinfetchError | undefined
  /** DER, as the server stapled it. */
  readonly staple: Uint8Array | undefined
  readonly now: UnixMs
}

/** One question of the decision. `reported`: it is told, and lets the peer pass. `skipped`: not asked, for the reason given. */
interface Step {
  readonly check: string
  readonly outcome: 'passed' | 'refused' | 'reported' | 'skipped'
  readonly code: ErrorCode | null
  readonly message: string
}

export interface TracedPath {
  readonly path: CertificationPath
  /** Why the search went on; `undefined` for one that every rule accepts. */
  readonly refusal: Finding | undefined
}

/** `backup`: it counts, and is not on the path. `staged` and `ended`: not yet, and no longer. */
interface TracedPin {
  readonly spki: PinText
  readonly state: 'matched' | 'backup' | 'staged' | 'ended' | 'denied'
  readonly require: Pin['require'] | null
}

export interface Trace {
  /** Each path that reaches an anchor, in the order tried. */
  readonly paths: readonly TracedPath[]
  /** Why other ways up ended before an anchor. */
  readonly deadEnds: readonly Finding[]
  readonly steps: readonly Step[]
  readonly pins: readonly TracedPin[]
  readonly verdict: { readonly trusted: boolean; readonly code: ErrorCode | null; readonly message: string }
}

/** Asks every rule of the verdict by itself, and then for the verdict. Pure: the same functions that judge a handshake. */
export function traceDecision(input: TraceInput): Trace {
  const { presented, policy, now, staple } = input
  const paths: TracedPath[] = []
  const acceptPath = (path: CertificationPath): Finding => {
    const refusal = refusalOf(path, input)
    paths.push({ path, refusal })
    return refusal ?? GO_ON
  }
  const search = findPath({ presented, anchors: policy.anchors, now, acceptPath })
  const told = new Set([GO_ON, ...paths.map(({ refusal }) => refusal)].map((finding) => finding?.message))
  const deadEnds = search.kind === 'invalid' ? search.findings.filter(({ message }) => !told.has(message)) : []
  const chosen = (paths.find(({ refusal }) => refusal === undefined) ?? paths[0])?.path
  const verdict = verdictOf(input, paths, deadEnds)
  const steps: Step[] = [
    ...(input.refusal === undefined ? [] : [refused('policy', findingsOf(input.refusal)[0])]),
    pathStep(paths, deadEnds),
    validity(chosen, deadEnds),
    constraints(chosen, deadEnds),
    name(input, chosen),
    ...(chosen === undefined
      ? ['pins', 'revocation', 'transparency'].map((check) => skipped(check, 'no path reaches an anchor'))
      : [
          pinStep(chosen, input),
          revocation(chosen, input),
          transparency(chosen, input, staple),
          ...interception(chosen, input),
        ]),
    { check: 'verdict', outcome: verdict.trusted ? 'passed' : 'refused', code: verdict.code, message: verdict.message },
  ]
  return { paths, deadEnds, steps, pins: tracedPins(chosen, input), verdict }
}

/** In the order of the verdict: a pin that is missing goes before what is said of the certificates. */
function refusalOf(path: CertificationPath, { policy, now, staple }: TraceInput): Finding | undefined {
  const pins = matchPins(path, policy, now)
  if (pins.kind !== 'match') return pins.finding
  const evidence = evidenceOf(staple)
  const revoked = checkRevocation(path, policy.revocation, evidence, now)
  if (policy.revocation.mode !== 'report' && revoked.status === 'revoked') return revoked.finding
  const demanded = judgeStaple(path, policy.revocation, evidence, now).finding
  return demanded ?? judgeTransparency(path, policy, { staple, now }).findings[0]
}

function verdictOf(input: TraceInput, paths: readonly TracedPath[], deadEnds: readonly Finding[]): Trace['verdict'] {
  if (input.refusal !== undefined) {
    const [first] = findingsOf(input.refusal)
    return { trusted: false, code: input.refusal.code, message: first?.message ?? '' }
  }
  const { identity } = input
  if (identity === undefined) {
    const [first] = [...paths.flatMap(({ refusal }) => refusal ?? []), ...deadEnds]
    if (paths.some(({ refusal }) => refusal === undefined)) return trusted('the name was not asked for')
    return { trusted: false, code: first?.code ?? null, message: first?.message ?? '' }
  }
  const verdict = evaluateTrust({ ...input, identity, evidence: undefined })
  if (verdict.kind === 'rejected') {
    const [{ code, message }] = verdict.findings
    return { trusted: false, code, message }
  }
  const [reported] = verdict.peer.reported
  return trusted(reported === undefined ? 'every rule is met' : `let through by report mode: ${reported.message}`)
}

function pathStep(paths: readonly TracedPath[], deadEnds: readonly Finding[]): Step {
  const check = 'path'
  const accepted = paths.find(({ refusal }) => refusal === undefined)
  if (accepted !== undefined) return passed(check, `up to ${anchorOf(accepted.path)}, ${paths.length} tried`)
  return refused(check, paths[0]?.refusal ?? deadEnds[0])
}

function validity(path: CertificationPath | undefined, deadEnds: readonly Finding[]): Step {
  const check = 'validity'
  const flaw = deadEnds.find(({ code }) => OF_TIME.has(code))
  if (path === undefined) return flaw === undefined ? skipped(check, 'no path reaches an anchor') : refused(check, flaw)
  const [first] = path.certificates.toSorted((a, b) => a.notAfter - b.notAfter)
  return passed(check, `until ${dateOf(first?.notAfter ?? 0)}, when ${first?.subject.text} ends`)
}

function constraints(path: CertificationPath | undefined, deadEnds: readonly Finding[]): Step {
  const check = 'name constraints'
  const flaw = deadEnds.find(({ code }) => code === 'ERR_TRUST_NAME_CONSTRAINTS')
  if (path === undefined) return flaw === undefined ? skipped(check, 'no path reaches an anchor') : refused(check, flaw)
  const constrained = path.certificates.filter(({ decoded }) => decoded.nameConstraints !== undefined)
  if (constrained.length === 0) return passed(check, 'no certificate of the path has any')
  return passed(check, `met, of ${constrained.map(({ subject }) => subject.text).join(' and ')}`)
}

function name({ identity, presented }: TraceInput, path: CertificationPath | undefined): Step {
  const check = 'name'
  if (identity === undefined) return skipped(check, 'no name was asked for: --sni')
  const endEntity = path?.certificates[0] ?? placeAll(presented.slice(0, 1), undefined)[0]?.certificate
  if (endEntity === undefined) return skipped(check, 'there is no certificate that can be read')
  const misnamed = matchIdentity(endEntity, identity)
  if (misnamed !== undefined) return refused(check, misnamed)
  return passed(
    check,
    identity.kind === 'dns' ? identity.name : identity.kind === 'ip' ? identity.address : identity.id,
  )
}

function pinStep(path: CertificationPath, { policy, now }: TraceInput): Step {
  const check = 'pins'
  const result = matchPins(path, policy, now)
  if (result.kind === 'mismatch' && policy.mode === 'report')
    return { ...refused(check, result.finding), outcome: 'reported' }
  if (result.kind !== 'match') return refused(check, result.finding)
  if (policy.pinGroups.length === 0) return skipped(check, 'none were given: --config')
  const matched = tracedPins(path, { policy, now }).filter(({ state }) => state === 'matched')
  return passed(check, matched.map(({ spki }) => spki).join(', '))
}

function revocation(path: CertificationPath, { policy, staple, now }: TraceInput): Step {
  const check = 'revocation'
  const evidence = evidenceOf(staple)
  const demanded = judgeStaple(path, policy.revocation, evidence, now).finding
  const verdict = checkRevocation(path, policy.revocation, evidence, now)
  if (verdict.status === 'revoked') {
    const step = refused(check, verdict.finding)
    return policy.revocation.mode === 'report' ? { ...step, outcome: 'reported' } : step
  }
  if (demanded !== undefined) return refused(check, demanded)
  if (verdict.status === 'good') return passed(check, `good, by ${verdict.source}`)
  if (verdict.status === 'unchecked') return skipped(check, 'nothing to look at, or not asked for')
  const [cause] = verdict.causes
  const why = cause === undefined ? 'no staple; lists are fetched by a client alone' : cause.message
  return { check, outcome: 'reported', code: cause?.code ?? null, message: `undetermined: ${why}` }
}

function transparency(path: CertificationPath, { policy, now }: TraceInput, staple: Uint8Array | undefined): Step {
  const check = 'transparency'
  const { verdict, findings } = judgeTransparency(path, policy, { staple, now })
  if (findings.length > 0) return refused(check, findings[0])
  if (verdict === undefined) return skipped(check, 'not asked for: the anchor is private, or there is no policy')
  const [flaw] = verdict.findings
  if (verdict.status === 'compliant') return passed(check, `${verdict.scts.length} SCTs`)
  return { ...refused(check, flaw), outcome: 'reported' }
}

function interception(path: CertificationPath, { policy, presented }: TraceInput): readonly Step[] {
  const known = policy.interception && findInterception(policy.interception, path, presented)
  if (known === undefined || policy.interception === undefined) return []
  const message = `${known.spki} is a key of an interception product`
  const outcome = policy.interception.effect === 'refuse' ? 'refused' : 'reported'
  return [{ check: 'interception', outcome, code: 'ERR_TRUST_INTERCEPTION', message }]
}

function tracedPins(
  path: CertificationPath | undefined,
  { policy, now }: Pick<TraceInput, 'policy' | 'now'>,
): readonly TracedPin[] {
  const groups = policy.pinGroups.flat()
  const denied = policy.denies.filter(({ spki }) => !groups.some((pin) => pin.spki === spki))
  return [
    ...groups.map((pin) => ({ spki: pin.spki, state: stateOf(pin, path, policy, now), require: pin.require ?? null })),
    ...denied.map(({ spki }) => ({ spki, state: 'denied' as const, require: null })),
  ]
}

function stateOf(
  pin: Pin,
  path: CertificationPath | undefined,
  { denies }: HostPolicy,
  now: UnixMs,
): TracedPin['state'] {
  if (denies.some(({ spki }) => spki === pin.spki)) return 'denied'
  if (pin.notBefore !== undefined && now < pin.notBefore) return 'staged'
  if (pin.notAfter !== undefined && now >= pin.notAfter) return 'ended'
  const isThere = path?.certificates.some((certificate, index) => {
    const isAsked = pin.require === undefined || (pin.require === 'endEntity') === (index === 0)
    return isAsked && pinOf(certificate, pinHashOf(pin.spki)) === pin.spki
  })
  return isThere === true ? 'matched' : 'backup'
}

const evidenceOf = (staple: Uint8Array | undefined): RevocationEvidence => ({
  ...(staple === undefined ? {} : { staple }),
  crls: () => [],
  ocspResponses: () => [],
})

const anchorOf = ({ certificates }: CertificationPath): string => certificates.at(-1)?.subject.text ?? ''
const trusted = (message: string): Trace['verdict'] => ({ trusted: true, code: null, message })
const passed = (check: string, message: string): Step => ({ check, outcome: 'passed', code: null, message })
const skipped = (check: string, message: string): Step => ({ check, outcome: 'skipped', code: null, message })
const refused = (check: string, finding: { readonly code: ErrorCode; readonly message: string } | undefined): Step => ({
  check,
  outcome: 'refused',
  code: finding?.code ?? null,
  message: finding?.message ?? 'nothing was found',
})

const OF_TIME: ReadonlySet<CodeIn<'TRUST'>> = new Set([
  'ERR_TRUST_CERT_EXPIRED',
  'ERR_TRUST_CERT_NOT_YET_VALID',
] as const)

/** Has the search go on although the path is accepted: the others are to be seen too. */
const GO_ON: Finding = {
  code: 'ERR_TRUST_UNKNOWN_ISSUER',
  certificateIndex: null,
  message: 'accepted; what else is there?',
}
