import type { Finding } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { parseOcspResponse } from '../../x509/ocsp-response.ts'
import { describe } from '../path/describe.ts'
import { finding, isoOf } from './finding.ts'
import { isCurrent, type JudgedSct, judgeSct, othersFrom, type SctContext } from './judge-sct.ts'
import type { Log } from './logs.ts'
import { type ParsedSct, parseSctList } from './sct.ts'
import { EMBEDDED_SCTS, type SctSource } from './signed-entry.ts'

/**
 * `report`: a certificate that was not logged as it should be passes, and is told of. `enforce`: it is refused, while there is
 * a log list to judge it by. `require`: without one nobody is accepted, and private CAs are no exception.
 */
export type CtMode = 'off' | 'report' | 'enforce' | 'require'

export interface TransparencyPolicy {
  readonly mode: CtMode
  /** Whether one of the logs must be of RFC 6962, as long as static ones are young: some browsers ask for it. */
  readonly rfc6962Log: 'required' | 'optional'
}

export const DEFAULT_TRANSPARENCY: TransparencyPolicy = { mode: 'report', rfc6962Log: 'optional' }

export interface TransparencyInput extends SctContext {
  readonly policy: TransparencyPolicy
  /** DER of the OCSP response that the server stapled; who signed it does not matter here, the logs sign the SCTs. */
  readonly staple?: Uint8Array | undefined
}

export type TransparencyVerdict =
  | {
      readonly status: 'compliant' | 'noncompliant'
      /** The rule that is not met comes first; then, in either case, what does not count and why. */
      readonly findings: readonly Finding[]
      readonly scts: readonly JudgedSct[]
      /** Another look would say the same until then: the list ends, or a log on it changes. */
      readonly validUntil: UnixMs
    }
  /** The mode is `off`, or no log list is new enough to judge by, which the finding says. */
  | { readonly status: 'unchecked'; readonly findings: readonly Finding[] }

/**
 * Decides whether enough logs took the certificate. Pure, synchronous and total, as the path's rules are: two SCTs of
 * distinct logs up to 180 days of validity, three above; two operators; one log that is current now. However an SCT came,
 * it counts the same. What cannot be read, or is not proven, does not count, and harms nothing that does.
 *
 * @see RFC 6962 §3; the policies of the browsers agree on the numbers
 */
export function checkTransparency(input: TransparencyInput): TransparencyVerdict {
  const { policy, logList, certificate, now } = input
  if (policy.mode === 'off') return { status: 'unchecked', findings: [] }
  // The other way round would refuse every server on the day that a list was forgotten.
  if (!(now - logList.timestamp <= MAX_LIST_AGE_MS)) {
    const message = `expected a log list of the last 70 days, saw one of ${isoOf(logList.timestamp)}`
    return { status: 'unchecked', findings: [finding('ERR_TRUST_CT_LOG_LIST_STALE', message)] }
  }
  const lists: readonly (readonly [SctSource, readonly ParsedSct[] | Finding])[] = [
    ['certificate', embeddedScts(certificate)],
    ['ocsp', stapledScts(input)],
  ]
  const unread = lists.flatMap(([, list]) => ('code' in list ? [list] : []))
  const scts = lists.flatMap(([source, list]) =>
    'code' in list ? [] : list.map((sct) => judgeSct(sct, source, input)),
  )
  const flaws = scts.flatMap(({ finding: flaw }) => flaw ?? []).slice(0, MAX_FLAWS)
  const unmet = unmetRule(scts, input)
  const listEnds = logList.timestamp + MAX_LIST_AGE_MS + 1
  const validUntil = toUnixMs(Math.min(listEnds, ...scts.map((sct) => othersFrom(sct, now))))
  if (unmet === undefined) return { status: 'compliant', findings: [...unread, ...flaws], scts, validUntil }
  // Where nothing could be read, that is what to mend.
  const findings = scts.length === 0 ? [...unread, unmet] : [unmet, ...unread, ...flaws]
  return { status: 'noncompliant', findings, scts, validUntil }
}

/** What refuses the peer: a certificate that does not comply; a list that is old only where SCTs are required. */
export function transparencyRefusal(verdict: TransparencyVerdict, { mode }: TransparencyPolicy): Finding | undefined {
  const refuses = mode === 'require' || (mode === 'enforce' && verdict.status === 'noncompliant')
  return refuses && verdict.status !== 'compliant' ? verdict.findings[0] : undefined
}

function unmetRule(scts: readonly JudgedSct[], { certificate, policy, now }: TransparencyInput): Finding | undefined {
  const logs = new Map<string, Log>()
  for (const sct of scts) if (sct.finding === undefined) logs.set(sct.logId, sct.log)
  const subject = describe(certificate)
  const all = [...logs.values()]
  const wanted = certificate.notAfter - certificate.notBefore > LONG_LIFETIME_MS ? 3 : 2
  if (all.length < wanted) {
    const message = `${subject}: expected SCTs of ${wanted} logs, saw ${scts.length} SCTs, of ${all.length} logs that count`
    return finding('ERR_TRUST_CT_NOT_ENOUGH_SCTS', message)
  }
  const operators = new Set(all.map(({ operator }) => operator))
  if (operators.size < MIN_OPERATORS) {
    const message = `${subject}: expected logs of ${MIN_OPERATORS} operators, saw ${[...operators].join(', ')}`
    return finding('ERR_TRUST_CT_NOT_ENOUGH_OPERATORS', message)
  }
  if (!all.some((log) => isCurrent(log, now))) {
    return finding('ERR_TRUST_CT_NO_CURRENT_LOG', `${subject}: each of its logs is retired`)
  }
  if (policy.rfc6962Log === 'required' && !all.some(({ kind }) => kind === 'rfc6962')) {
    return finding('ERR_TRUST_CT_NO_RFC6962_LOG', `${subject}: each of its logs is of the static kind`)
  }
  return undefined
}

/** Read once a certificate. */
function embeddedScts(certificate: Certificate): readonly ParsedSct[] | Finding {
  const extension = certificate.extensions.get(EMBEDDED_SCTS)
  if (extension === undefined) return []
  const read = embedded.get(certificate) ?? parseSctList(extension.value)
  embedded.set(certificate, read)
  return read
}

/** Of the statement about this serial number; an SCT about another certificate would not verify. */
function stapledScts({ staple, certificate }: TransparencyInput): readonly ParsedSct[] | Finding {
  if (staple === undefined) return []
  try {
    const response = parseOcspResponse(staple)
    if (response.kind === 'error') return []
    const ours = response.responses.find(
      ({ certId }) => Buffer.compare(certId.serialNumber, certificate.serialNumber) === 0,
    )
    const extension = ours?.extensions.get(STAPLED_SCTS)
    return extension === undefined ? [] : parseSctList(extension.value)
  } catch (error) {
    if (error instanceof DerError) return [] // the check of revocation says what is wrong with it
    throw error
  }
}

const embedded = new WeakMap<Certificate, readonly ParsedSct[] | Finding>()

const STAPLED_SCTS = '1.3.6.1.4.1.11129.2.4.5'

const DAY_MS = 86_400_000
/** How long a log list serves. */
export const MAX_LIST_AGE_MS = 70 * DAY_MS // by then logs of the list may have been retired, and new ones are missing
const MAX_FLAWS = 13 // a peer does not decide how long a log line is
const LONG_LIFETIME_MS = 180 * DAY_MS
const MIN_OPERATORS = 2
