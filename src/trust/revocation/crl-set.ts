import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { describe } from '../path/describe.ts'
import type { CertificationPath } from '../path/path.ts'
import { type RevocationVerdict, refusalOf, revokedBy } from './check.ts'
import { crlValidUntil, ISSUING_DISTRIBUTION_POINT, type VerifiedCrl } from './crl.ts'
import { CrlPool } from './crl-pool.ts'
import { ALL_REASONS, crlIssuersOf, reasonsCovered } from './crl-scope.ts'
import { CrlSigners } from './crl-signers.ts'
import { attempt, EvidenceError, type EvidenceLimits, maxAgeFor } from './evidence.ts'
import { REMOVE_FROM_CRL } from './judge-crl.ts'
import { DEFAULT_REVOCATION } from './policy.ts'
import type { SerialRecord } from './serial-index.ts'

export interface CrlSetInput {
  /** DER: complete lists, those of some reasons, indirect ones, and delta CRLs beside what they add to. */
  readonly lists: readonly Uint8Array[]
  /** DER of certificates that may have signed lists, besides those of the path. Each needs a path of its own. */
  readonly certificates: readonly Uint8Array[]
  readonly now: UnixMs
  readonly limits: EvidenceLimits
  /** RFC 5280 §5.2.3 demands the extension; lists without it are deployed. Default `'optional'`. */
  readonly crlNumber?: 'required' | 'optional'
}

/**
 * What a set of CRLs says about a path (RFC 5280 §6.3), however the revocations are split among lists and whoever signed
 * them in the issuer's place. Pure and synchronous: nothing is fetched, the same set and path give the same verdict.
 *
 * Stricter than the RFC where it leaves a choice: every list at hand is looked at and one that lists a certificate is
 * enough; and in the issuer's own name only a key signs that the issuer, or a CA above it on the path, has certified.
 */
export class CrlSet {
  readonly #input: CrlSetInput
  readonly #pool: CrlPool
  readonly #signers: CrlSigners

  constructor(input: CrlSetInput) {
    this.#input = input
    this.#pool = new CrlPool(input.lists, input.limits, input.crlNumber ?? 'optional')
    const acceptPath = (path: CertificationPath) => refusalOf(this.check(path), path, HARD_FAIL)
    this.#signers = new CrlSigners({ certificates: input.certificates, now: input.now, acceptPath })
  }

  /** Every certificate but the anchor: revoked when one is, good when each is. */
  check(path: CertificationPath): RevocationVerdict {
    const verdicts = path.certificates.slice(0, -1).map((one, index) => this.#checkOne(one, path, index))
    const revoked = verdicts.find(({ status }) => status === 'revoked')
    if (revoked !== undefined) return revoked
    const causes = verdicts.flatMap((verdict) => (verdict.status === 'undetermined' ? verdict.causes : []))
    if (causes.length > 0) return { status: 'undetermined', causes }
    const [first, ...others] = verdicts.filter((verdict) => verdict.status === 'good')
    if (first === undefined) return { status: 'unchecked' } // the anchor alone: nobody could revoke it
    return { ...first, validUntil: Math.min(first.validUntil, ...others.map(({ validUntil }) => validUntil)) }
  }

  #checkOne(certificate: Certificate, path: CertificationPath, index: number): RevocationVerdict {
    const lists = attempt(() => this.#listsAbout(certificate, path, index))
    if (lists instanceof EvidenceError) return undetermined([lists], certificate, index)
    const { complete, deltas, failures } = lists
    const missing = new Set(ALL_REASONS)
    let validUntil = Number.POSITIVE_INFINITY
    for (const list of complete) {
      const answer = attempt(() => ({
        reasons: reasonsCovered(list.crl, certificate),
        ...lookUp(certificate, list, deltas),
      }))
      if (answer instanceof EvidenceError) failures.push(answer)
      else if (answer.record !== undefined) return revokedBy('crl', { certificate, index }, answer.record)
      else {
        for (const reason of answer.reasons) missing.delete(reason)
        validUntil = Math.min(validUntil, answer.validUntil)
      }
    }
    if (missing.size === 0) return { status: 'good', source: 'crl', validUntil, causes: [] }
    if (complete.length === 0 && deltas.length > 0) failures.push(NO_BASE)
    else if (missing.size < ALL_REASONS.length) failures.push(partial(missing))
    else if (failures.length === 0) failures.push(NO_LIST)
    return undetermined(failures, certificate, index)
  }

  /** Current lists by someone who may speak about the certificate; its scope is not looked at yet. */
  #listsAbout(certificate: Certificate, path: CertificationPath, index: number): ListsAbout {
    const { now, limits } = this.#input
    const maxAgeMs = maxAgeFor(certificate, limits)
    const found: ListsAbout = { complete: [], deltas: [], failures: [...this.#pool.unreadable] }
    for (const issuer of crlIssuersOf(certificate)) {
      for (const list of this.#pool.from(issuer)) {
        const current = attempt((): CurrentCrl => {
          const { crl, signer } = this.#signers.verify(list, this.#pool, path, index)
          return { crl, signer, validUntil: crlValidUntil(crl, { now, limits, maxAgeMs }) }
        })
        if (current instanceof EvidenceError) found.failures.push(current)
        else if (current.crl.baseCrlNumber === undefined) found.complete.push(current)
        else found.deltas.push(current)
      }
    }
    return found
  }
}

interface CurrentCrl {
  readonly crl: VerifiedCrl
  readonly signer: Certificate
  readonly validUntil: number
}

interface ListsAbout {
  readonly complete: CurrentCrl[]
  readonly deltas: CurrentCrl[]
  readonly failures: EvidenceError[]
}

/**
 * §6.3.3 (i) to (l): what the delta says counts before what the complete list says. A delta made for a later list takes
 * nothing off this one, but what it lists is revoked all the same.
 */
function lookUp(
  { serialNumber, issuer }: Certificate,
  complete: CurrentCrl,
  deltas: readonly CurrentCrl[],
): { readonly record: SerialRecord | undefined; readonly validUntil: number } {
  const delta = newestDelta(complete, deltas)
  const added = delta?.crl.find(serialNumber, issuer.key)
  const isRemoved = added?.reason === REMOVE_FROM_CRL
  const isMadeForLater = (delta?.crl.baseCrlNumber ?? 0n) > (complete.crl.crlNumber ?? 0n)
  const entry =
    added === undefined || (isRemoved && isMadeForLater) ? complete.crl.find(serialNumber, issuer.key) : added
  const record = entry?.reason === REMOVE_FROM_CRL ? undefined : entry
  return { record, validUntil: Math.min(complete.validUntil, delta?.validUntil ?? complete.validUntil) }
}

/** §5.2.4: of the same issuer, scope and key, and newer than the list. */
function newestDelta({ crl, signer }: CurrentCrl, deltas: readonly CurrentCrl[]): CurrentCrl | undefined {
  let newest: CurrentCrl | undefined
  for (const delta of deltas) {
    const isOfList =
      delta.crl.issuer.key === crl.issuer.key &&
      delta.signer.spkiSha256 === signer.spkiSha256 &&
      scopeOf(delta.crl) === scopeOf(crl)
    const above = newest?.crl.crlNumber ?? crl.crlNumber
    if (isOfList && above !== undefined && (delta.crl.crlNumber ?? 0n) > above) newest = delta
  }
  return newest
}

const scopeOf = ({ extensions }: VerifiedCrl): string =>
  Buffer.from(extensions.get(ISSUING_DISTRIBUTION_POINT)?.value ?? []).toString('hex')

function undetermined(
  failures: readonly EvidenceError[],
  certificate: Certificate,
  certificateIndex: number,
): RevocationVerdict {
  const causes = failures.map(({ code, message }) => ({
    source: 'crl' as const,
    code,
    certificateIndex,
    message: `${describe(certificate)}: ${message}`,
  }))
  return { status: 'undetermined', causes }
}

const partial = (missing: ReadonlySet<number>): EvidenceError =>
  new EvidenceError('ERR_TRUST_CRL_SCOPE', `no list at hand tells of the reasons ${[...missing].join(', ')}`)

const NO_LIST = new EvidenceError('ERR_TRUST_CRL_NONE', 'no list of the issuer is at hand')
const NO_BASE = new EvidenceError('ERR_TRUST_CRL_DELTA_UNSUPPORTED', 'a delta CRL says nothing without its base')

const HARD_FAIL = { ...DEFAULT_REVOCATION, mode: 'hard-fail' } as const
