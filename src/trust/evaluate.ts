import { hash } from 'node:crypto'
import { BoundedMap } from '../encoding/bounded-map.ts'
import type { ChainEntry, Finding } from '../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { findFragility, fragileFrom } from './fragile.ts'
import { matchIdentity, type ReferenceIdentity } from './identity.ts'
import { findInterception, interceptionFinding } from './interception.ts'
import { findPath } from './path/build.ts'
import type { CertificationPath, PathResult } from './path/path.ts'
import { matchPins, pinOf } from './pins.ts'
import type { HostPolicy } from './policy.ts'
import { checkRevocation, judgeStaple, mayChange, type RevocationEvidence, refusalOf } from './revocation/check.ts'
import { judgeTransparency } from './transparency/judge-path.ts'
import type { PeerFacts, TrustVerdict, VerifiedPeer } from './verdict.ts'

export interface TrustInput {
  /** DER certificates as sent, end entity first. */
  readonly presented: readonly Uint8Array[]
  readonly identity: ReferenceIdentity
  readonly policy: HostPolicy
  /** DER of the OCSP response that the server stapled. */
  readonly staple?: Uint8Array | undefined
  /** What was fetched of lists and responses before. Default: nothing. */
  readonly evidence?: EvidenceSource | undefined
  /**
   * The verdict will be asked for again once evidence was fetched: that nothing is known yet refuses nobody now. Only for
   * policies that wait for it.
   */
  readonly mayWait?: boolean
  /** Read once per handshake. */
  readonly now: UnixMs
}

/** Lists and responses at hand. `version` rises whenever one of them changes. */
export interface EvidenceSource extends Omit<RevocationEvidence, 'staple'> {
  readonly version: number
}

/**
 * Decides whether a TLS peer may receive a request. Pure: the same input gives the same verdict. All candidate paths are
 * searched, so a path whose keys the policy refuses lets the search go on; the first that meets every rule wins.
 *
 * Synchronous, because an `await` before the verdict would let the client's next TLS flight out.
 *
 * @returns `trusted` with the path, or `rejected` with at least one finding. Hostile bytes give findings; nothing a peer
 *   sends makes this throw.
 * @see RFC 5280 §6.1 (paths), RFC 9525 §6 (names), RFC 7469 §2.6 (pins)
 */
export function evaluateTrust(input: TrustInput): TrustVerdict {
  const { presented, identity, policy, now, staple } = input
  const unpinned: CertificationPath[] = []
  const search = (asked: HostPolicy): PathResult => {
    const acceptPath = (path: CertificationPath): Finding | undefined => {
      const pins = matchPins(path, asked, now)
      if (pins.kind === 'mismatch') unpinned.push(path)
      return pins.kind === 'match' ? refusalBesidePins(path, input) : pins.finding
    }
    return findPath({ presented, anchors: policy.anchors, now, acceptPath })
  }
  const pinned = search(policy)
  // Report mode forgives a pin that is missing. It forgives no denied key, no broken path and no wrong name.
  const result = pinned.kind === 'invalid' && policy.mode === 'report' ? search({ ...policy, pinGroups: [] }) : pinned
  if (result.kind === 'invalid') {
    const { findings, refusedPath } = result
    return rejected(input, withRemarks(findings, refusedPath, input), refusedPath)
  }
  const { path } = result
  const misnamed = matchIdentity(path.certificates[0], identity)
  if (misnamed !== undefined) return rejected(input, [misnamed], path)

  const pins = matchPins(path, policy, now)
  const revocation = judgeRevocation(path, input)
  const transparency = judgeTransparency(path, policy, input)
  const reported: Finding[] = pins.kind === 'match' ? [] : [pins.finding]
  if (revocation.finding !== undefined) reported.push(revocation.finding)

  const ends = path.certificates.map(({ notAfter }) => notAfter + 1) // notAfter is inclusive, §4.1.2.5
  if (pins.kind === 'match') ends.push(pins.validUntil)
  // What may pass without evidence goes on without it; what needs it ends with it.
  if (revocation.verdict.status === 'good' && policy.revocation.mode === 'hard-fail') {
    ends.push(toUnixMs(revocation.verdict.validUntil))
  }
  if (revocation.stapleEnds !== undefined) ends.push(toUnixMs(revocation.stapleEnds))
  if (transparency.validUntil !== undefined) ends.push(transparency.validUntil)
  const fragility = pins.kind === 'match' ? findFragility(path, unpinned, () => pathsWithoutPin(input), now) : undefined
  const interception = policy.interception && findInterception(policy.interception, path, presented)
  const facts: PeerFacts = {
    path,
    presented,
    ...(staple === undefined ? {} : { staple }),
    policy,
    validUntil: toUnixMs(Math.min(...ends)),
    revocation: revocation.verdict,
    ...(transparency.verdict === undefined ? {} : { transparency: transparency.verdict }),
    reported,
    ...(interception === undefined ? {} : { interception }),
    ...(fragility === undefined ? {} : { fragility }),
  }
  return { kind: 'trusted', peer: facts as VerifiedPeer } // the only place that makes one
}

/** What the policy says against a path besides its keys. */
function refusalBesidePins(path: CertificationPath, input: TrustInput): Finding | undefined {
  const { policy } = input
  const revoked = policy.revocation.mode === 'report' ? undefined : judgeRevocation(path, input).finding
  return revoked ?? judgeTransparency(path, policy, input).findings[0]
}

/** Every valid path that has no pinned key, within the budget of one search. */
function pathsWithoutPin({ presented, policy, now }: TrustInput): readonly CertificationPath[] {
  const unpinned: CertificationPath[] = []
  const acceptPath = (path: CertificationPath): Finding => {
    if (matchPins(path, policy, now).kind === 'mismatch') unpinned.push(path)
    return NOTHING_FOUND // and so on to the next
  }
  findPath({ presented, anchors: policy.anchors, now, acceptPath })
  return unpinned
}

function judgeRevocation(path: CertificationPath, input: TrustInput) {
  const { policy, staple, evidence = NO_EVIDENCE, now, mayWait = false } = input
  const { revocation } = policy
  const atHand: RevocationEvidence = staple === undefined ? evidence : { ...evidence, staple }
  const verdict = checkRevocation(path, revocation, atHand, now)
  const waits = mayWait && revocation.fetch === 'blocking' && verdict.status === 'undetermined'
  const refusal = waits ? undefined : refusalOf(verdict, path, revocation)
  const demanded = judgeStaple(path, revocation, atHand, now)
  return { verdict, finding: refusal ?? demanded.finding, stapleEnds: demanded.validUntil }
}

/** Of SCTs that do not suffice, the path's one finding says which rule is not met; the others say why some do not count. */
function withRemarks(
  findings: readonly Finding[],
  refusedPath: CertificationPath | undefined,
  input: TrustInput,
): readonly Finding[] {
  if (refusedPath === undefined) return findings
  const [refusal, ...remarks] = judgeTransparency(refusedPath, input.policy, input).findings
  return refusal !== undefined && findings[0]?.message === refusal.message ? [...findings, ...remarks] : findings
}

/**
 * Until when another look would say the same of an accepted peer: nothing of it ends, nor what said that it is not revoked or
 * logged. Long ago for one of whom a statement is at hand that is not in force yet.
 */
export function unchangedUntil({ validUntil, revocation, transparency }: VerifiedPeer): UnixMs {
  if (mayChange(revocation)) return toUnixMs(0)
  const ends: UnixMs[] = [validUntil]
  if (revocation.status === 'good') ends.push(toUnixMs(revocation.validUntil))
  if (transparency !== undefined && transparency.status !== 'unchecked') ends.push(transparency.validUntil)
  return toUnixMs(Math.min(...ends))
}

/**
 * `evaluateTrust` with a memory: the same certificates for the same host under the same policy were accepted before, and
 * nothing of that verdict has ended. Only acceptances are kept, so a verdict that waits for the clock is never remembered.
 * The verdict is synchronous, so of any number of handshakes at once the first judges and the others remember.
 */
export function createEvaluator(): (input: TrustInput) => TrustVerdict {
  const accepted = new BoundedMap<string, Accepted>(MAX_VERDICTS)
  return (input) => {
    if (input.mayWait === true && input.policy.revocation.fetch === 'blocking') return evaluateTrust(input) // not final
    const { now } = input
    const key = keyOf(input)
    const known = accepted.get(key)
    if (known !== undefined && now >= known.judgedAt && now < known.changesAt && hasSent(input, known.peer)) {
      return known.verdict
    }
    const verdict = evaluateTrust(input)
    // A report waits for the clock too: a staged pin becomes active, and the mismatch is over.
    if (verdict.kind === 'trusted' && verdict.peer.reported.length === 0) {
      const { peer } = verdict
      accepted.set(key, { verdict, peer, judgedAt: now, changesAt: changesAfter(peer, now) })
    }
    return verdict
  }
}

interface Accepted {
  readonly verdict: TrustVerdict
  readonly peer: VerifiedPeer
  readonly judgedAt: UnixMs
  readonly changesAt: number
}

/** Everything that a verdict is about but what was sent: of that so much as tells servers apart. `hasSent` decides. */
function keyOf({ presented, staple, identity, policy, evidence = NO_EVIDENCE }: TrustInput): string {
  const stapled = staple === undefined ? '' : digestOf(staple)
  return `${policy.generation} ${evidence.version} ${nameOf(identity)} ${sketchOf(presented)} ${stapled}`
}

const nameOf = (identity: ReferenceIdentity): string =>
  identity.kind === 'dns' ? `dns:${identity.name}` : identity.kind === 'ip' ? `ip:${identity.address}` : identity.id

/** How long they are together, and the end of the first: of its signature, so as good as random. */
function sketchOf(presented: readonly Uint8Array[]): string {
  const [first = NOTHING_SENT] = presented
  const octets = presented.reduce((sum, der) => sum + der.length, 0)
  return `${octets} ${first.subarray(-SKETCH_BYTES).join()}`
}

/** Octet for octet: comparing costs less than hashing. The staple is in the key with its digest. */
function hasSent({ presented }: TrustInput, peer: VerifiedPeer): boolean {
  if (presented === peer.presented) return true
  if (presented.length !== peer.presented.length) return false
  return presented.every((der, position) => Buffer.compare(der, peer.presented[position] ?? NOTHING_SENT) === 0)
}

function changesAfter(peer: VerifiedPeer, judgedAt: UnixMs): number {
  const warning = fragileFrom(peer.path)
  const until = unchangedUntil(peer)
  return warning !== undefined && judgedAt < warning ? Math.min(warning, until) : until
}

/** A path as evidence: what each certificate is, with its key as a pin to paste. */
export function describePath({ certificates }: CertificationPath): readonly ChainEntry[] {
  return certificates.map((certificate, index) => ({
    position: index === 0 ? 'endEntity' : index === certificates.length - 1 ? 'anchor' : 'intermediate',
    spki: pinOf(certificate),
    subject: certificate.subject.text,
    notAfter: certificate.notAfter,
  }))
}

function rejected(
  { policy, presented }: TrustInput,
  findings: readonly Finding[],
  path?: CertificationPath,
): TrustVerdict {
  const [first = NOTHING_FOUND, ...rest] = findings
  const refused = path === undefined ? { chain: [] } : { chain: describePath(path), refusedPath: path }
  const interception = policy.interception && findInterception(policy.interception, path, presented)
  if (interception === undefined) return { kind: 'rejected', findings: [first, ...rest], ...refused }
  if (first.code !== 'ERR_TRUST_INTERCEPTION') rest.push(interceptionFinding(interception))
  return { kind: 'rejected', findings: [first, ...rest], ...refused, interception }
}

/** Computed once: a peer that is judged again, for a policy or for its session, brings the same object. */
function digestOf(staple: Uint8Array): string {
  const known = digests.get(staple)
  if (known !== undefined) return known
  const digest = hash('sha256', staple)
  digests.set(staple, digest)
  return digest
}

const digests = new WeakMap<Uint8Array, string>()

const NOTHING_SENT = new Uint8Array()
const NO_EVIDENCE: EvidenceSource = { version: 0, crls: () => [], ocspResponses: () => [] }
const MAX_VERDICTS = 1_000 // a service talks to few hosts; each verdict holds one chain, some 5 kB
const SKETCH_BYTES = 6

const NOTHING_FOUND: Finding = {
  code: 'ERR_TRUST_UNKNOWN_ISSUER',
  certificateIndex: null,
  message: 'no path to a trust anchor was found',
}
