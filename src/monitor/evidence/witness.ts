import { toUnixMs } from '../../ports/runtime.ts'
import type { AnchorSet } from '../../trust/anchors.ts'
import { type EvidenceSource, evaluateTrust, type TrustInput } from '../../trust/evaluate.ts'
import { MAX_PRESENTED_CERTIFICATES } from '../../trust/path/budget.ts'
import { findPath } from '../../trust/path/build.ts'
import { readCertificate } from '../../trust/path/certificate-cache.ts'
import type { CertificationPath } from '../../trust/path/path.ts'
import { matchPins } from '../../trust/pins.ts'
import { checkCrlite } from '../../trust/revocation/crlite.ts'
import type { Evidence } from '../../trust/revocation/evidence.ts'
import { judgeCrl } from '../../trust/revocation/judge-crl.ts'
import type { RevocationPolicy } from '../../trust/revocation/policy.ts'
import type { TrustVerdict } from '../../trust/verdict.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'

/** A verdict, and of the anchors and the statements at hand those that it asked for: to give it again takes no others. */
export interface Witnessed {
  readonly verdict: TrustVerdict
  /** What was shown, as far as it can be read, and the anchors that were asked for. */
  readonly certificates: readonly Certificate[]
  readonly anchors: readonly WitnessedAnchor[]
  /** Digests of certificates that were shown and are anchors themselves. */
  readonly held: readonly string[]
  readonly statements: readonly Statements[]
  /** Every path that verified, and why the policy refused it: `undefined` where it did not. */
  readonly paths: readonly { readonly path: CertificationPath; readonly code: string | undefined }[]
}

export interface WitnessedAnchor {
  readonly certificate: Certificate
  readonly isPublic: boolean
}

/** What was at hand about one certificate of one issuer. Of a list, what it says about this certificate. */
export interface Statements {
  readonly kind: 'crl' | 'ocsp' | 'crlite'
  readonly certificate: string
  readonly issuer: string
  readonly said: readonly (Evidence | Uint8Array)[]
}

/** Judges once more, under the eyes of a witness. Synchronous: what is at hand now is what the verdict saw. */
export function witness(input: TrustInput): Witnessed {
  const { policy, presented, evidence, now } = input
  const anchors = new Map<string, WitnessedAnchor>()
  const held = new Set<string>()
  const statements = new Map<string, Statements>()
  const note = (certificate: Certificate): Certificate => {
    if (!anchors.has(certificate.sha256) && anchors.size < MAX_ANCHORS) {
      anchors.set(certificate.sha256, { certificate, isPublic: policy.anchors.isPublic(certificate) })
    }
    return certificate
  }
  const watchedAnchors: AnchorSet = {
    size: policy.anchors.size,
    pem: [],
    digest: policy.anchors.digest,
    withSubject: (key) => policy.anchors.withSubject(key).map(note),
    has: (sha256) => {
      const isAnchor = policy.anchors.has(sha256)
      if (isAnchor) held.add(sha256)
      return isAnchor
    },
    isPublic: (certificate) => policy.anchors.isPublic(certificate),
  }
  const keep = <Said>(
    kind: Statements['kind'],
    certificate: Certificate,
    issuer: Certificate,
    said: readonly Said[],
    record: (one: Said) => Evidence | Uint8Array,
  ): readonly Said[] => {
    const about = { certificate: certificate.sha256, issuer: issuer.sha256 }
    statements.set(`${kind} ${about.certificate} ${about.issuer}`, { kind, ...about, said: said.map(record) })
    return said
  }
  const watchedEvidence: EvidenceSource | undefined = evidence && {
    ...evidence,
    version: evidence.version,
    crls: (certificate, issuer) =>
      keep('crl', certificate, issuer, evidence.crls(certificate, issuer), (list) =>
        'find' in list ? judgeCrl({ crl: list, certificate, now, limits: policy.revocation.limits }) : list,
      ),
    ocspResponses: (certificate, issuer) =>
      keep('ocsp', certificate, issuer, evidence.ocspResponses(certificate, issuer), (response) => response),
  }
  const watched: TrustInput = {
    ...input,
    policy: { ...policy, anchors: watchedAnchors },
    evidence: watchedEvidence,
  }
  const verdict = evaluateTrust(watched)
  const paths = pathsOf(watched)
  const { sources, limits } = policy.revocation
  const filters = sources.includes('crlite') ? (evidence?.crliteFilters?.() ?? []) : []
  if (filters.length > 0) {
    for (const [certificate, issuer] of paths.flatMap(({ path }) => pairsOf(path)))
      keep('crlite', certificate, issuer, checkCrlite(filters, { certificate, issuer }, now, limits), (one) => one)
  }
  const shown = presented.slice(0, MAX_PRESENTED_CERTIFICATES).flatMap((der) => {
    const certificate = readCertificate(der)
    return certificate instanceof DerError ? [] : [certificate]
  })
  const seen = [...anchors.values()]
  return {
    verdict,
    certificates: [...shown, ...seen.map(({ certificate }) => certificate)],
    anchors: seen,
    held: [...held],
    statements: [...statements.values()].slice(0, MAX_STATEMENTS),
    paths,
  }
}

function pairsOf({ certificates }: CertificationPath): readonly (readonly [Certificate, Certificate])[] {
  return certificates.flatMap((certificate, index) => {
    const issuer = certificates[index + 1]
    return issuer === undefined ? [] : [[certificate, issuer] as const]
  })
}

function pathsOf({ presented, policy, now }: TrustInput): Witnessed['paths'] {
  const paths: Witnessed['paths'][number][] = []
  const acceptPath = (path: CertificationPath) => {
    const pins = matchPins(path, policy, now)
    const finding = pins.kind === 'match' ? undefined : pins.finding
    if (paths.length < MAX_PATHS) paths.push({ path, code: finding?.code })
    return GO_ON
  }
  findPath({ presented, anchors: policy.anchors, now, acceptPath })
  return paths
}

/** A set of anchors that answers as the one did that was witnessed. */
export function anchorsOf(
  witnessed: readonly WitnessedAnchor[],
  { size, digest, held }: Pick<AnchorSet, 'size' | 'digest'> & { readonly held: readonly string[] },
): AnchorSet {
  const publicOnes = new Set(witnessed.flatMap(({ certificate, isPublic }) => (isPublic ? [certificate.sha256] : [])))
  const known = new Set([...held, ...witnessed.map(({ certificate }) => certificate.sha256)])
  return {
    size,
    digest,
    pem: [],
    withSubject: (key) =>
      witnessed.flatMap(({ certificate }) => (certificate.subject.key === key ? [certificate] : [])),
    has: (sha256) => known.has(sha256),
    isPublic: ({ sha256 }) => publicOnes.has(sha256),
  }
}

/** Statements that answer as those did that were witnessed. */
export function evidenceOf(statements: readonly Statements[]): EvidenceSource {
  const said = (kind: Statements['kind'], certificate: Certificate, issuer: Certificate) =>
    statements.find(
      (one) => one.kind === kind && one.certificate === certificate.sha256 && one.issuer === issuer.sha256,
    )?.said ?? []
  return {
    version: 0,
    crls: (certificate, issuer) =>
      said('crl', certificate, issuer).flatMap((one) => (one instanceof Uint8Array ? [] : [one])),
    ocspResponses: (certificate, issuer) => [
      ...said('ocsp', certificate, issuer),
      ...said('crlite', certificate, issuer),
    ],
  }
}

/** A filter is too large to be kept with every handshake: what it said is asked for where fetched responses are. */
export function withoutFilters(policy: RevocationPolicy): RevocationPolicy {
  const sources = policy.sources.map((source) => (source === 'crlite' ? 'cache' : source))
  return { ...policy, sources: [...new Set(sources)] }
}

const GO_ON = {
  code: 'ERR_TRUST_UNKNOWN_ISSUER',
  certificateIndex: null,
  message: 'and so on to the next',
} as const
const MAX_ANCHORS = 64
const MAX_PATHS = 8
const MAX_STATEMENTS = 64
export const NO_END = toUnixMs(Number.POSITIVE_INFINITY)
