import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { AnchorSet } from '../anchors.ts'
import { SearchBudget } from './budget.ts'
import { describe, shorten } from './describe.ts'
import { groupBy } from './group-by.ts'
import { checkNameConstraints } from './name-constraints.ts'
import type { CertificationPath } from './path.ts'
import { evaluatePolicies, type PolicyInputs, policyCost } from './policies.ts'
import { checkCertificate, type Role, type RuleContext } from './rules.ts'
import { isSignedBy, signatureCost } from './signature.ts'

export interface SearchInput extends RuleContext, PolicyInputs {
  readonly endEntity: Certificate
  /** Other presented certificates with their place in the list as sent. */
  readonly others: readonly PresentedCertificate[]
  readonly anchors: AnchorSet
  readonly maxDepth: number
  readonly acceptPath: ((path: CertificationPath) => Finding | undefined) | undefined
}

export interface PresentedCertificate {
  readonly certificate: Certificate
  readonly index: number
}

export interface SearchResult {
  readonly path: CertificationPath | undefined
  /** The first path that met every rule and that the caller refused. */
  readonly refusedPath: CertificationPath | undefined
  /** What the caller said to the paths it refused, in the order met. */
  readonly refusals: readonly Finding[]
  /** Why other attempts ended, each reason once, in the order met. */
  readonly findings: readonly Finding[]
}

/** Never empty: the end entity is the first of them. */
type Certificates = CertificationPath['certificates']

/**
 * Looks for a path, depth first from the end entity upward. Every rule that can be decided is applied at the moment a
 * certificate is put on top, so no branch grows above a broken link; what needs the whole path (policies, the caller)
 * comes when an anchor is on top. A refused anchor does not end its branch: the search goes on above it, so that a store
 * that holds an intermediate does not hide the pinned root over it.
 */
export function searchPath(input: SearchInput): SearchResult {
  return new PathSearch(input).run()
}

class PathSearch {
  readonly #input: SearchInput
  readonly #budget = new SearchBudget()
  readonly #findings = new Map<string, Finding>()
  readonly #issuers = new Map<string, readonly Certificate[]>()
  readonly #refusals: Finding[] = []
  /** Presented certificates that are no anchors, by subject. */
  readonly #strangers: ReadonlyMap<string, readonly Certificate[]>
  readonly #places = new Map<string, number>()
  readonly #links = new Map<string, boolean>()
  readonly #roleChecks = new Map<string, Finding | undefined>()
  #refusedPath: CertificationPath | undefined

  constructor(input: SearchInput) {
    this.#input = input
    this.#places.set(input.endEntity.sha256, 0)
    const strangers: Certificate[] = []
    for (const { certificate, index } of input.others) {
      if (this.#places.has(certificate.sha256)) continue
      this.#places.set(certificate.sha256, index)
      if (!input.anchors.has(certificate.sha256)) strangers.push(certificate)
    }
    this.#strangers = groupBy(strangers, ({ subject }) => subject.key)
  }

  run(): SearchResult {
    const { endEntity, anchors } = this.#input
    const path: Certificates = [endEntity]
    const trusted =
      anchors.has(endEntity.sha256) && this.#passes(path, 'trustedEndEntity') ? this.#complete(path) : undefined
    const found = trusted ?? (this.#passes(path, 'endEntity') ? this.#climb(path, 0) : undefined)
    if (this.#budget.exceeded !== undefined) this.#note(this.#budget.exceeded)
    const findings = [...this.#findings.values()]
    return { path: found, refusedPath: this.#refusedPath, refusals: this.#refusals, findings }
  }

  /** Tries every certificate that may have issued the top of the path. `depth` counts intermediates, self-issued ones not. */
  #climb(path: Certificates, depth: number): CertificationPath | undefined {
    const top = topOf(path)
    // A loop proves nothing (RFC 4158 §2.4.2).
    const candidates = this.#issuersOf(top).filter((issuer) => !path.some((below) => isSameCa(below, issuer)))
    if (candidates.length === 0 && !this.#input.anchors.has(top.sha256)) {
      this.#note(unknownIssuer(top, this.#placeOf(path)))
    }
    for (const issuer of candidates) {
      if (!this.#budget.spendStep()) return undefined
      const found = this.#putOnTop(path, issuer, depth)
      if (found !== undefined) return found
    }
    return undefined
  }

  #putOnTop(path: Certificates, issuer: Certificate, depth: number): CertificationPath | undefined {
    const extended: Certificates = [...path, issuer]
    const isAnchor = this.#input.anchors.has(issuer.sha256)
    if (!this.#passes(extended, isAnchor ? 'anchor' : 'intermediate')) return undefined
    if (!this.#verifies(path, issuer) || !this.#satisfiesConstraints(extended, depth)) return undefined
    const complete = isAnchor ? this.#complete(extended) : undefined
    if (complete !== undefined) return complete
    // Above a refused anchor: as a link it must also pass the rules for links, of which nobody needs to hear if it fails.
    if (this.#problemOf(extended, 'intermediate') !== undefined) return undefined
    const intermediates = depth + (issuer.isSelfIssued ? 0 : 1)
    if (intermediates <= this.#input.maxDepth) return this.#climb(extended, intermediates)
    if (!isAnchor) this.#note(tooDeep(issuer, this.#placeOf(extended), this.#input.maxDepth))
    return undefined
  }

  /** RFC 5280 §6.1.3 (a) (1). One key tried twice on one certificate is one check. */
  #verifies(path: Certificates, issuer: Certificate): boolean {
    const child = topOf(path)
    const link = `${child.sha256}:${issuer.spkiSha256}`
    const known = this.#links.get(link)
    if (known !== undefined) return known
    if (!this.#budget.spendSignature(signatureCost(issuer))) return false
    const verdict = isSignedBy(child, issuer)
    this.#links.set(link, verdict)
    if (!verdict) this.#note(badSignature(child, issuer, this.#placeOf(path)))
    return verdict
  }

  /** What the issuer on top demands of the certificates below it: RFC 5280 §6.1.4 (l), (m) and (g). */
  #satisfiesConstraints(path: Certificates, depth: number): boolean {
    const issuer = topOf(path)
    const limit = issuer.decoded.basicConstraints?.pathLenConstraint ?? Number.POSITIVE_INFINITY
    if (depth > limit) return this.#fail(tooLong(issuer, this.#placeOf(path), limit, depth))
    const finding = checkNameConstraints(issuer, path.slice(0, -1), this.#budget)
    return finding === undefined || this.#fail(this.#placed(finding, path))
  }

  #complete(certificates: Certificates): CertificationPath | undefined {
    if (!this.#budget.spendPath() || !this.#budget.spendComparisons(policyCost(certificates))) return undefined
    const policies = evaluatePolicies(certificates, this.#input)
    if (policies.kind === 'invalid') {
      this.#note(this.#placed(policies.finding, certificates))
      return undefined
    }
    const path: CertificationPath = Object.freeze({
      certificates: Object.freeze(certificates),
      policies: Object.freeze(policies.policies),
    })
    const refusal = this.#input.acceptPath?.(path)
    if (refusal === undefined) return path
    this.#refusedPath ??= path
    this.#refusals.push(refusal)
    return undefined
  }

  #passes(path: Certificates, role: Role): boolean {
    const problem = this.#problemOf(path, role)
    return problem === undefined || this.#fail(problem)
  }

  /** The rules that see one certificate and its role give one answer a search. */
  #problemOf(path: Certificates, role: Role): Finding | undefined {
    const certificate = topOf(path)
    const key = `${role}:${certificate.sha256}`
    if (this.#roleChecks.has(key)) return this.#roleChecks.get(key)
    const problem = checkCertificate(certificate, role, this.#input, this.#placeOf(path))
    this.#roleChecks.set(key, problem)
    return problem
  }

  #fail(finding: Finding): false {
    this.#note(finding)
    return false
  }

  /** What goes wrong on thousands of routes is noted once. */
  #note(finding: Finding): void {
    this.#findings.set(`${finding.certificateIndex} ${finding.message}`, finding)
  }

  /** By name (RFC 5280 §6.1.3 (a) (4)), anchors before others. */
  #issuersOf(child: Certificate): readonly Certificate[] {
    const known = this.#issuers.get(child.sha256)
    if (known !== undefined) return known
    const anchors = this.#input.anchors.withSubject(child.issuer.key)
    const strangers = this.#strangers.get(child.issuer.key) ?? []
    const issuers = [...this.#likeliestFirst(anchors, child), ...this.#likeliestFirst(strangers, child)]
    this.#issuers.set(child.sha256, issuers)
    return issuers
  }

  /** Whose key identifier does not contradict the child's, then who is in force, then as sent. */
  #likeliestFirst(issuers: readonly Certificate[], child: Certificate): readonly Certificate[] {
    const { now } = this.#input
    const rank = (issuer: Certificate): number =>
      (keyIdentifiersDiffer(child, issuer) ? 2 : 0) + (now >= issuer.notBefore && now <= issuer.notAfter ? 0 : 1)
    return issuers.toSorted((a, b) => rank(a) - rank(b))
  }

  /** What the rules about several certificates find names a position on the path; callers read places in the presented list. */
  #placed(finding: Finding, path: Certificates): Finding {
    const { certificateIndex: position } = finding
    return position === null ? finding : { ...finding, certificateIndex: this.#placeOf(path, position) }
  }

  /** Place in the presented list of what stands at a position, by default on top; for an anchor that was not sent, the position. */
  #placeOf(path: Certificates, position = path.length - 1): number {
    const { sha256 } = path[position] ?? topOf(path)
    return this.#places.get(sha256) ?? position
  }
}

const topOf = (path: Certificates): Certificate => path.at(-1) ?? path[0]

/** Same name and same key: another certificate of a CA that already stands on the path adds no trust, only length. */
const isSameCa = (a: Certificate, b: Certificate): boolean =>
  a.subject.key === b.subject.key && a.spkiSha256 === b.spkiSha256

/** A hint, never a reason to refuse: key identifiers are chosen freely by whoever makes the certificate. */
function keyIdentifiersDiffer(child: Certificate, issuer: Certificate): boolean {
  const wanted = child.decoded.authorityKeyIdentifier?.keyIdentifier
  const offered = issuer.decoded.subjectKeyIdentifier
  return wanted !== undefined && offered !== undefined && Buffer.compare(wanted, offered) !== 0
}

const unknownIssuer = (certificate: Certificate, index: number): Finding => ({
  code: 'ERR_TRUST_UNKNOWN_ISSUER',
  certificateIndex: index,
  message: certificate.isSelfIssued
    ? `${describe(certificate)}: self-issued and not among the trust anchors`
    : `${describe(certificate)}: issued by ${shorten(certificate.issuer.text)}, which is neither presented nor an anchor`,
})

const badSignature = (child: Certificate, issuer: Certificate, index: number): Finding => ({
  code: 'ERR_TRUST_SIGNATURE_INVALID',
  certificateIndex: index,
  message: `${describe(child)}: not signed by the key of ${describe(issuer)} (SPKI ${issuer.spkiSha256.slice(0, 16)}…)`,
})

const tooLong = (issuer: Certificate, index: number, limit: number, below: number): Finding => ({
  code: 'ERR_TRUST_PATH_LENGTH',
  certificateIndex: index,
  message: `${describe(issuer)}: allows ${limit} intermediates below it, saw ${below}`,
})

const tooDeep = (issuer: Certificate, index: number, maxDepth: number): Finding => ({
  code: 'ERR_TRUST_PATH_LENGTH',
  certificateIndex: index,
  message: `${describe(issuer)}: one intermediate more than the ${maxDepth} a path may have`,
})
