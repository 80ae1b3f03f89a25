import type { CodeIn } from '../../errors/codes.ts'
import type { Finding } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { DerError, openDer, smallIntegerOf, TAG } from '../../x509/der.ts'
import { describe } from '../path/describe.ts'
import type { CertificationPath } from '../path/path.ts'
import type { VerifiedCrl } from './crl.ts'
import { checkCrlite } from './crlite.ts'
import type { Evidence } from './evidence.ts'
import { judgeCrl } from './judge-crl.ts'
import { verifyOcspResponse } from './ocsp.ts'
import type { RevocationPolicy, RevocationSource } from './policy.ts'

/** What is at hand about the certificates of a path when the verdict is given; nothing is fetched for it. */
export interface RevocationEvidence {
  /** DER of the OCSP response that came with the handshake. */
  readonly staple?: Uint8Array
  readonly crls: (certificate: Certificate, issuer: Certificate) => readonly (VerifiedCrl | Evidence)[]
  /** DER of responses that were fetched before. */
  readonly ocspResponses: (certificate: Certificate, issuer: Certificate) => readonly (Uint8Array | Evidence)[]
  /** CRLite filters of the application. Default none. */
  readonly crliteFilters?: () => readonly Uint8Array[]
}

/** Why something that should be at hand is not. */
export interface EvidenceFailure {
  readonly status: 'undetermined'
  readonly code: CodeIn<'TRUST'>
  readonly message: string
}

export type RevocationVerdict =
  /** `causes`: statements that do not count yet, `mayChange`. */
  | {
      readonly status: 'good'
      readonly source: RevocationSource
      readonly validUntil: number
      readonly causes: readonly RevocationCause[]
    }
  | { readonly status: 'revoked'; readonly source: RevocationSource; readonly finding: Finding }
  /** Every source that was asked, and why it did not know. */
  | { readonly status: 'undetermined'; readonly causes: readonly RevocationCause[] }
  | { readonly status: 'unchecked' }

type Good = Extract<RevocationVerdict, { status: 'good' }>

export interface RevocationCause {
  readonly source: RevocationSource
  readonly code: CodeIn<'TRUST'>
  readonly certificateIndex: number
  readonly message: string
}

/**
 * What the evidence at hand says about a verified path. Pure. Unreachable is never good; the worst answer counts; and an
 * issuer is believed only as it stands on this path.
 *
 * @see RFC 5280 §6.3, RFC 6960 §3.2, RFC 7633 (must-staple)
 */
export function checkRevocation(
  path: CertificationPath,
  policy: RevocationPolicy,
  evidence: RevocationEvidence,
  now: UnixMs,
): RevocationVerdict {
  if (policy.mode === 'off') return { status: 'unchecked' }
  const causes: RevocationCause[] = []
  let good: Good | undefined
  let isComplete = true
  for (const link of checkedLinks(path, policy)) {
    const verdict = checkOne(link, policy, evidence, now)
    if (verdict.status === 'revoked') return verdict
    causes.push(...verdict.causes)
    if (verdict.status === 'undetermined') isComplete = false
    else if (good === undefined || verdict.validUntil < good.validUntil) good = verdict
  }
  if (!isComplete) return { status: 'undetermined', causes }
  return good === undefined ? { status: 'unchecked' } : { ...good, causes } // the anchor itself is nobody's to revoke
}

/** Whether a statement is at hand that does not count yet: as soon as it does, it may say revoked. */
export const mayChange = (verdict: RevocationVerdict): boolean =>
  (verdict.status === 'good' || verdict.status === 'undetermined') && verdict.causes.some(isComing)

/** A certificate whose status is asked for, and its issuer on the path. */
export interface CheckedLink {
  readonly certificate: Certificate
  readonly issuer: Certificate
  readonly index: number
}

/** What the policy looks at; the anchor is nobody's to revoke. */
export function checkedLinks(
  { certificates }: CertificationPath,
  { depth }: Pick<RevocationPolicy, 'depth'>,
): readonly CheckedLink[] {
  const links = certificates.flatMap((certificate, index) => {
    const issuer = certificates[index + 1]
    return issuer === undefined ? [] : [{ certificate, issuer, index }]
  })
  return depth === 'chain' ? links : links.slice(0, 1)
}

/** The refusal that a verdict means under the policy; `undefined` where the peer may pass. */
export function refusalOf(
  verdict: RevocationVerdict,
  { certificates: [endEntity] }: CertificationPath,
  policy: RevocationPolicy,
): Finding | undefined {
  if (verdict.status === 'revoked') return verdict.finding
  if (verdict.status !== 'undetermined') return undefined
  const { causes } = verdict
  const unknown = causes.find(({ code }) => code === 'ERR_TRUST_OCSP_UNKNOWN')
  if (unknown !== undefined && policy.ocspUnknown === 'reject') return unknown
  if (policy.mode !== 'hard-fail') return undefined
  const said = causes.map(({ source, code, message }) => `${source}: ${code} (${message})`).join('; ')
  const message = `${describe(endEntity)}: nothing says that it is not revoked; ${said === '' ? 'no source was at hand' : said}`
  return { code: 'ERR_TRUST_REVOCATION_UNDETERMINED', certificateIndex: 0, message }
}

/**
 * A staple that policy or certificate demand: why it refuses the peer, where it is missing or does not say good, or when it
 * ends. Applies whatever else is known; says nothing where no staple is demanded.
 */
export function judgeStaple(
  { certificates: [endEntity, issuer] }: CertificationPath,
  policy: RevocationPolicy,
  { staple }: RevocationEvidence,
  now: UnixMs,
): { readonly finding?: Finding; readonly validUntil?: number } {
  if (policy.mode === 'off' || issuer === undefined) return {}
  const isDemanded = policy.staple === 'always' || (policy.staple === 'if-must-staple' && mustStaple(endEntity))
  if (!isDemanded) return {}
  if (staple === undefined || staple.length === 0) {
    const code = policy.staple === 'always' ? 'ERR_TRUST_STAPLE_MISSING' : 'ERR_TRUST_MUST_STAPLE_MISSING'
    const who = policy.staple === 'always' ? 'the policy' : 'the certificate'
    const message = `${describe(endEntity)}: ${who} demands a staple, the server sent none`
    return { finding: { code, certificateIndex: 0, message } }
  }
  const answer = verifyOcspResponse({ response: staple, certificate: endEntity, issuer, now, limits: policy.limits })
  if (answer.status !== 'undetermined') return { validUntil: answer.validUntil } // what it says is judged with the others
  const message = `${describe(endEntity)}: the demanded staple: ${answer.message}`
  return { finding: { code: answer.code, certificateIndex: 0, message } }
}

/** RFC 7633: TLS feature 5 is status_request. One that cannot be read demands what it might say. */
export function mustStaple({ extensions }: Certificate): boolean {
  const feature = extensions.get(TLS_FEATURE)
  if (feature === undefined) return false
  try {
    const list = openDer(feature.value)
    while (!list.atEnd) if (smallIntegerOf(list.read(TAG.integer)) === STATUS_REQUEST) return true
    return false
  } catch (error) {
    if (error instanceof DerError) return true
    throw error
  }
}

function checkOne(
  link: CheckedLink,
  policy: RevocationPolicy,
  evidence: RevocationEvidence,
  now: UnixMs,
): Exclude<RevocationVerdict, { status: 'unchecked' }> {
  const causes: RevocationCause[] = []
  let good: Omit<Good, 'causes'> | undefined
  for (const source of policy.sources) {
    const answers = answersOf(source, link, policy, evidence, now)
    for (const answer of answers) {
      if (answer.status === 'revoked') return revokedBy(source, link, answer)
      if (answer.status === 'good') good ??= { status: 'good', source, validUntil: answer.validUntil }
      else causes.push(causeOf(source, link, answer))
    }
  }
  const isUnknown = causes.some(({ code }) => code === 'ERR_TRUST_OCSP_UNKNOWN')
  if (good === undefined || isUnknown) return { status: 'undetermined', causes }
  return { ...good, causes: causes.filter(isComing) }
}

function answersOf(
  source: RevocationSource,
  { certificate, issuer, index }: CheckedLink,
  policy: RevocationPolicy,
  { staple, crls, ocspResponses, crliteFilters }: RevocationEvidence,
  now: UnixMs,
): readonly Evidence[] {
  const { limits } = policy
  const ocsp = (response: Uint8Array): Evidence => verifyOcspResponse({ response, certificate, issuer, now, limits })
  switch (source) {
    case 'short-lived':
      return isShortLived(certificate) ? [{ status: 'good', thisUpdate: 0, validUntil: certificate.notAfter }] : []
    case 'staple':
      return index > 0 || staple === undefined || staple.length === 0 ? [] : [ocsp(staple)]
    case 'cache':
      return ocspResponses(certificate, issuer).map((one) => (one instanceof Uint8Array ? ocsp(one) : one))
    case 'crlite':
      return checkCrlite(crliteFilters?.() ?? [], { certificate, issuer }, now, limits)
    case 'ocsp':
      return [] // fetched ones are in the cache
    case 'crl': {
      const lists = crls(certificate, issuer)
      if (lists.length === 0) return [NO_LIST]
      return lists.map((list) => ('find' in list ? judgeCrl({ crl: list, certificate, now, limits }) : list))
    }
  }
}

/**
 * CA/B Forum BR §1.6.1, "Short-lived Subscriber Certificate": such a certificate need not be revocable. Both ends of the
 * period count, RFC 5280 §4.1.2.5.
 */
export function isShortLived({ notBefore, notAfter, decoded }: Certificate): boolean {
  if (decoded.basicConstraints?.ca === true || notBefore < SHORT_LIVED_FROM) return false
  const period = notAfter - notBefore + 1_000
  return period <= (notBefore < SEVEN_DAYS_FROM ? 10 : 7) * DAY_MS
}

export function revokedBy(
  source: RevocationSource,
  { certificate, index }: Omit<CheckedLink, 'issuer'>,
  { revokedAt, reason }: Pick<Extract<Evidence, { status: 'revoked' }>, 'revokedAt' | 'reason'>,
): Extract<RevocationVerdict, { status: 'revoked' }> {
  const why = reason === undefined ? '' : ` (${REASONS[reason] ?? `reason ${reason}`})`
  const when = new Date(revokedAt).toISOString()
  const on = source === 'crlite' ? 'before' : 'on' // a filter knows no more
  const message = `${describe(certificate)} was revoked ${on} ${when}${why}, says its ${SOURCE_NAMES[source]}`
  return { status: 'revoked', source, finding: { code: 'ERR_TRUST_CERT_REVOKED', certificateIndex: index, message } }
}

function causeOf(
  source: RevocationSource,
  { certificate, index }: CheckedLink,
  answer: Exclude<Evidence, { status: 'good' | 'revoked' }>,
): RevocationCause {
  if (answer.status === 'undetermined') {
    return { source, code: answer.code, certificateIndex: index, message: answer.message }
  }
  const message = `the responder does not know ${describe(certificate)}`
  return { source, code: 'ERR_TRUST_OCSP_UNKNOWN', certificateIndex: index, message }
}

const isComing = ({ code }: RevocationCause): boolean => COMING.has(code)

/** Why a statement does not count that may count later. */
const COMING: ReadonlySet<CodeIn<'TRUST'>> = new Set([
  'ERR_TRUST_CRL_NOT_YET_VALID',
  'ERR_TRUST_OCSP_NOT_YET_VALID',
  'ERR_TRUST_OCSP_BAD_PRODUCED_AT', // in the future, among others
  'ERR_TRUST_OCSP_RESPONDER_EXPIRED', // or not valid yet
])

const NO_LIST: EvidenceFailure = {
  status: 'undetermined',
  code: 'ERR_TRUST_CRL_NONE',
  message: 'no list of the issuer is at hand',
}

const TLS_FEATURE = '1.3.6.1.5.5.7.1.24'
const STATUS_REQUEST = 5
const DAY_MS = 86_400_000
const SHORT_LIVED_FROM = Date.UTC(2024, 2, 15)
const SEVEN_DAYS_FROM = Date.UTC(2026, 2, 15)

const SOURCE_NAMES: Readonly<Record<RevocationSource, string>> = {
  'short-lived': 'life',
  staple: 'stapled OCSP response',
  cache: 'OCSP responder',
  ocsp: 'OCSP responder',
  crl: 'issuer’s CRL',
  crlite: 'CRLite filter',
}

/** RFC 5280 §5.3.1. */
const REASONS: Readonly<Record<number, string>> = {
  0: 'unspecified',
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  8: 'removeFromCRL',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
}
