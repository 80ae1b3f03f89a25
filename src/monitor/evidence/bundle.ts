import type { JsonValue } from '../../encoding/canonical-json.ts'
import type { ChainEntry } from '../../errors/errors.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { describePath } from '../../trust/evaluate.ts'
import { type Judgement, judgementBehind } from '../../trust/judgement.ts'
import type { Evidence } from '../../trust/revocation/evidence.ts'
import type { TrustVerdict } from '../../trust/verdict.ts'
import { PRODUCT } from '../outlets/record.ts'
import { findingRecord, type JsonObject, validationRecord } from '../validation-record.ts'
import { policyRecord } from './policy-record.ts'
import { type Statements, witness } from './witness.ts'

/** Why a bundle was made. */
export type Trigger = 'refused' | 'reported' | 'interception' | 'demand'

export interface Surroundings {
  /** What the client found around it that would weaken TLS, and what its options loosen. */
  readonly environment: readonly { readonly subject: string; readonly effect: string }[]
}

/**
 * All that is known of one handshake, as JSON: what was shown and by whom, what was expected, what the verdict was and by which
 * steps, and enough of the policy, the anchors and the statements to give the verdict again. Of certificates and keys the public
 * halves, and nothing of the client's own. Made at once: what is at hand now is what the verdict saw.
 */
export function makeBundle(event: HandshakeEvent, trigger: Trigger, { environment }: Surroundings): JsonObject {
  const judgement = judgementBehind(event)
  return {
    format: FORMAT,
    trigger,
    handshake: validationRecord(event),
    path: event.chain.map(entryRecord),
    presented: event.presented.map(base64),
    staple: event.staple && base64(event.staple),
    judged: judgement && judgedRecord(judgement),
    environment: environment.map(({ subject, effect }) => ({ subject, effect })),
    versions: {
      pinfetch: PRODUCT.version,
      node: process.versions.node,
      openssl: process.versions.openssl,
    },
  }
}

/** What the verdict rests on, and what it is. */
function judgedRecord({ input }: Judgement): JsonObject {
  const { presented, staple, policy, identity, mayWait, now } = input
  const seen = witness(input)
  return {
    now,
    mayWait,
    identity: { ...identity },
    policy: policyRecord(policy, { certificates: seen.certificates, presented, staple }),
    anchors: {
      size: policy.anchors.size,
      digest: policy.anchors.digest,
      held: seen.held,
      certificates: seen.anchors.map(({ certificate, isPublic }) => ({ der: base64(certificate.der), isPublic })),
    },
    statements: seen.statements.map(statementsRecord),
    paths: seen.paths.map(({ path, code }) => ({ code, certificates: describePath(path).map(entryRecord) })),
    verdict: verdictRecord(seen.verdict),
  }
}

/** What two verdicts about one peer are compared by. Messages are for people, and may be worded better some day. */
export function verdictRecord(verdict: TrustVerdict): VerdictRecord {
  if (verdict.kind === 'rejected') {
    const { findings, chain } = verdict
    return { outcome: 'refused', code: findings[0].code, findings: findings.map(findingRecord), path: keysOf(chain) }
  }
  const { reported, path } = verdict.peer
  const [first] = reported
  return {
    outcome: first === undefined ? 'accepted' : 'reported',
    ...(first === undefined ? {} : { code: first.code }),
    findings: reported.map(findingRecord),
    path: keysOf(describePath(path)),
  }
}

export interface VerdictRecord extends JsonObject {
  readonly outcome: 'accepted' | 'reported' | 'refused'
  readonly code?: string
  readonly findings: readonly ReturnType<typeof findingRecord>[]
  readonly path: readonly string[]
}

function statementsRecord({ kind, certificate, issuer, said }: Statements): JsonObject {
  return { kind, certificate, issuer, said: said.map(statementRecord) }
}

/** One without an end, as of a revocation that is remembered for good, has no member that says when. */
function statementRecord(said: Evidence | Uint8Array): JsonValue {
  if (said instanceof Uint8Array) return { der: base64(said) }
  if (said.status === 'undetermined') return { status: said.status, code: said.code, message: said.message }
  const validUntil = Number.isFinite(said.validUntil) ? said.validUntil : undefined
  const about = { status: said.status, thisUpdate: said.thisUpdate, validUntil }
  return said.status === 'revoked' ? { ...about, revokedAt: said.revokedAt, reason: said.reason } : about
}

function entryRecord({ position, spki, subject, notAfter }: ChainEntry): JsonObject {
  return { position, spki, subject, notAfter }
}

const keysOf = (chain: readonly ChainEntry[]): readonly string[] => chain.map(({ spki }) => spki)
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

const FORMAT = 'pinfetch-evidence/1'
