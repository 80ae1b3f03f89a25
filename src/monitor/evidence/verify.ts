import { parseStrictJson } from '../../encoding/json.ts'
import { MonitorError } from '../../errors/errors.ts'
import type { VerificationKey } from '../../keys/verification-key.ts'
import { evaluateTrust } from '../../trust/evaluate.ts'
import { parseCertificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { type JsonObject, sha256 } from '../validation-record.ts'
import { type VerdictRecord, verdictRecord } from './bundle.ts'
import { type EvidenceBundle, EvidenceSchema, type JudgedBundle, SealedSchema } from './schema.ts'
import { checkSeal, type SignatureCheck } from './seal.ts'
import { anchorsOf, evidenceOf, withoutFilters } from './witness.ts'

/** What was found of a bundle. */
export interface VerifiedEvidence {
  readonly evidence: EvidenceSummary
  /** All of it, as it stands in the file. */
  readonly record: JsonObject
  readonly sha256: string
  readonly signature: SignatureCheck
  /** Judged again; absent where the attempt ended before there was something to judge. */
  readonly again?: VerdictRecord
  /** What is not as it was recorded; empty where the verdict is the same. */
  readonly differences: readonly string[]
}

/** What somebody looks at first. */
export interface EvidenceSummary {
  readonly trigger: 'refused' | 'reported' | 'interception' | 'demand'
  readonly handshake: {
    /** ISO 8601. */
    readonly at: string
    readonly host: string
    readonly verdict: 'accepted' | 'reported' | 'refused' | 'failed'
    readonly code?: string | undefined
    /** Pins, end entity first. */
    readonly path: readonly string[]
    readonly pins: { readonly considered: readonly string[]; readonly matched: readonly string[] }
    readonly address?: string | undefined
  }
  /** DER as sent, end entity first. */
  readonly presented: readonly Uint8Array[]
  readonly versions: { readonly pinfetch: string; readonly node: string; readonly openssl: string }
}

interface ReadEvidence extends Omit<VerifiedEvidence, 'evidence' | 'again' | 'differences'> {
  readonly evidence: EvidenceBundle
}

/**
 * Reads evidence, checks its seal, and judges the peer again from what was recorded, at the time that was recorded. Nothing is
 * fetched, and neither the clock nor the trust store of this machine matters.
 *
 * @throws MonitorError `ERR_MONITOR_EVIDENCE_MALFORMED` or `ERR_MONITOR_EVIDENCE_ALTERED`; VerifyError for the signature. A verdict
 *   that differs is told by `differences`.
 */
export function verifyEvidence(bytes: Uint8Array, key?: Pick<VerificationKey, 'key'>): VerifiedEvidence {
  const read = readEvidence(bytes, key)
  const { evidence } = read
  const { judged } = evidence
  if (judged === undefined) return { ...read, differences: [] }
  const again = judgeAgain(judged, evidence)
  return { ...read, again, differences: differencesOf(evidence, judged, again) }
}

/** The same without judging. @throws the same */
export function readEvidence(bytes: Uint8Array, key?: Pick<VerificationKey, 'key'>): ReadEvidence {
  if (bytes.length > MAX_BYTES) throw malformed(`expected at most ${MAX_BYTES} bytes, saw ${bytes.length}`)
  const json = parseStrictJson(bytes, MAX_DEPTH)
  if (!json.ok) throw malformed(`expected JSON that can be read in one way (${json.failure})`)
  const sealed = SealedSchema.safeParse(json.value)
  if (!sealed.success) throw malformed(placeOf(sealed.error.issues))
  const { evidence: raw, sha256, signature } = sealed.data
  const checked = checkSeal({ evidence: raw, sha256, ...(signature === undefined ? {} : { signature }) }, key)
  const parsed = EvidenceSchema.safeParse(raw)
  if (!parsed.success) throw malformed(placeOf(parsed.error.issues))
  return { evidence: parsed.data, record: raw, sha256, signature: checked }
}

function judgeAgain(
  { policy, anchors, statements, now, mayWait, identity }: JudgedBundle,
  { presented, staple }: Pick<EvidenceBundle, 'presented' | 'staple'>,
) {
  const { size, digest, held, certificates } = anchors
  const witnessed = certificates.map(({ der, isPublic }) => ({ certificate: anchorOf(der), isPublic }))
  return verdictRecord(
    evaluateTrust({
      presented,
      staple,
      identity,
      policy: {
        ...policy,
        revocation: withoutFilters(policy.revocation),
        anchors: anchorsOf(witnessed, { size, digest, held }),
      },
      evidence: evidenceOf(statements),
      ...(mayWait === undefined ? {} : { mayWait }),
      now,
    }),
  )
}

function anchorOf(der: Uint8Array) {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof DerError) throw malformed(`a trust anchor is no certificate: ${error.message}`)
    throw error
  }
}

function differencesOf(
  { handshake, presented, path }: EvidenceBundle,
  { policy, verdict: then }: JudgedBundle,
  again: VerdictRecord,
): readonly string[] {
  const differences: string[] = []
  const compare = (what: string, expected: string, seen: string): void => {
    if (expected !== seen) differences.push(`${what}: recorded ${expected}, judged again ${seen}`)
  }
  compare('outcome', then.outcome, again.outcome)
  compare('code', then.code ?? 'none', again.code ?? 'none')
  compare('findings', codesOf(then.findings), codesOf(again.findings))
  compare('path', then.path.join(' '), again.path.join(' '))
  // What is read first must be what was judged.
  const { host, port } = policy
  const bracketed = host.includes(':') ? `[${host}]` : host
  compare('host', handshake.host, port === 443 ? bracketed : `${bracketed}:${port}`)
  compare('certificates', handshake.certificates.join(' '), presented.map(sha256).join(' '))
  compare('path of the handshake', handshake.path.join(' '), path.map(({ spki }) => spki).join(' '))
  // What the event says of certificates must be what judging them says. Other reasons are not of certificates.
  const { verdict, code = 'none' } = handshake
  if (verdict !== 'failed' && handshake.code === undefined) compare('verdict of the handshake', verdict, again.outcome)
  if (verdict !== 'failed' && isOfCertificates(code)) compare('code of the handshake', code, again.code ?? 'none')
  return differences
}

/** OpenSSL refused what was accepted here, or the policy something else about the connection. */
function isOfCertificates(code: string): boolean {
  return code === 'none' || (code.startsWith('ERR_TRUST_') && code !== 'ERR_TRUST_NODE_REFUSED')
}

const codesOf = (findings: readonly { readonly code: string }[]): string =>
  findings.map(({ code }) => code).join(' ') || 'none'

function placeOf(issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]): string {
  const [issue] = issues
  const text = `${issue?.path.map(String).join('.') || 'document'}: ${issue?.message ?? 'not what was expected'}`
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_PLACE) // names of members are whatever somebody wrote
}

function malformed(what: string): MonitorError {
  return new MonitorError('ERR_MONITOR_EVIDENCE_MALFORMED', `evidence: ${what}`)
}

const MAX_BYTES = 4 * 1024 ** 2
const MAX_DEPTH = 16
const MAX_PLACE = 300
