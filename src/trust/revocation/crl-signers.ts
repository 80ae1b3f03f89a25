import type { Finding } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { type Certificate, parseCertificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { createAnchors } from '../anchors.ts'
import { MAX_PRESENTED_CERTIFICATES } from '../path/budget.ts'
import { findPath } from '../path/build.ts'
import { describe } from '../path/describe.ts'
import type { CertificationPath, PathResult } from '../path/path.ts'
import type { VerifiedCrl } from './crl.ts'
import type { CrlPool, PooledCrl } from './crl-pool.ts'
import { attempt, EvidenceError } from './evidence.ts'

interface CrlSignersInput {
  readonly certificates: readonly Uint8Array[]
  readonly now: UnixMs
  /** What the lists say about the path of a signer. */
  readonly acceptPath: (path: CertificationPath) => Finding | undefined
}

/** Whose signature under a list counts (RFC 5280 §6.3.3 (f), (g)). */
export class CrlSigners {
  readonly #input: CrlSignersInput
  readonly #certificates: readonly Certificate[]
  /** By anchor and signer. */
  readonly #paths = new Map<string, PathResult | 'pending'>()

  constructor(input: CrlSignersInput) {
    this.#input = input
    this.#certificates = input.certificates.flatMap(parsedOrNothing)
  }

  /** @throws EvidenceError unless someone signed the list who may speak about the certificate at `index` of the path. */
  verify(list: PooledCrl, pool: CrlPool, path: CertificationPath, index: number): SignedCrl {
    let failure: EvidenceError | undefined
    for (const signer of this.#candidates(list, path, index)) {
      const crl = attempt(() => {
        const verified = pool.read(list, signer)
        this.#authorize(signer, verified, path, index)
        return verified
      })
      if (!(crl instanceof EvidenceError)) return { crl, signer }
      failure ??= crl
    }
    throw (
      failure ?? new EvidenceError('ERR_TRUST_CRL_ISSUER_MISMATCH', 'no certificate of the list’s issuer is at hand')
    )
  }

  /** By name; those on the path first, for they need no other. */
  #candidates({ issuer }: PooledCrl, { certificates }: CertificationPath, index: number): readonly Certificate[] {
    const named = [...certificates.slice(index), ...this.#certificates].filter(({ subject }) => subject.key === issuer)
    return [...new Map(named.map((one) => [one.sha256, one])).values()].slice(0, MAX_CANDIDATES)
  }

  #authorize(signer: Certificate, crl: VerifiedCrl, path: CertificationPath, index: number): void {
    const { certificates } = path
    const isNamed = certificates[index]?.issuer.key !== crl.issuer.key // by the issuer, as cRLIssuer
    const position = certificates.findIndex(({ sha256 }) => sha256 === signer.sha256)
    if (position > index) return // its own status is judged where it stands
    // An issuer may name a signer even for that signer's own certificate; nobody becomes one by a name alone.
    if (position === index && isNamed) return
    const signerPath = this.#pathOf(signer, path)
    if (isNamed) return
    // Names alone would let every CA below this anchor certify somebody of this name.
    const certifier = signerPath.certificates
      .slice(1)
      .find((one) => one.subject.key !== crl.issuer.key || isOn(path, one))
    if (certifier !== undefined && isOn(path, certifier)) return
    throw unauthorized(signer, 'was certified by neither the issuer nor a CA above it')
  }

  /** To the same anchor, under the same rules, with a status of its own. */
  #pathOf(signer: Certificate, { certificates }: CertificationPath): CertificationPath {
    const anchor = certificates.at(-1) ?? certificates[0]
    const key = `${anchor.sha256}:${signer.sha256}`
    const known = this.#paths.get(key)
    if (known === 'pending') throw unauthorized(signer, 'would vouch for itself')
    if (known === undefined && this.#paths.size >= MAX_SEARCHES) throw unauthorized(signer, 'is one of too many')
    this.#paths.set(key, known ?? 'pending')
    const result = known ?? this.#search(signer, anchor, certificates)
    this.#paths.set(key, result)
    if (result.kind === 'valid') return result.path
    const [why] = result.findings.map(({ code, message }) => `${code} (${message})`)
    throw unauthorized(signer, `has no path to the same anchor: ${why}`)
  }

  #search(signer: Certificate, anchor: Certificate, onPath: readonly Certificate[]): PathResult {
    const { now, acceptPath } = this.#input
    const all = [signer, ...onPath, ...this.#certificates]
    const presented = [...new Map(all.map(({ sha256, der }) => [sha256, der])).values()]
    return findPath({
      presented: presented.slice(0, MAX_PRESENTED_CERTIFICATES),
      anchors: createAnchors(anchor.der),
      now,
      profile: 'rfc5280', // in which a CA may be the one that is asked about
      extendedKeyUsage: [],
      acceptPath,
    })
  }
}

interface SignedCrl {
  readonly crl: VerifiedCrl
  readonly signer: Certificate
}

const isOn = ({ certificates }: CertificationPath, { subject, spkiSha256 }: Certificate): boolean =>
  certificates.some((one) => one.subject.key === subject.key && one.spkiSha256 === spkiSha256)

const unauthorized = (signer: Certificate, why: string): EvidenceError =>
  new EvidenceError('ERR_TRUST_CRL_ISSUER_MISMATCH', `the signer ${describe(signer)} ${why}`)

function parsedOrNothing(der: Uint8Array): readonly Certificate[] {
  try {
    return [parseCertificate(der)]
  } catch (error) {
    if (error instanceof DerError) return [] // superfluous certificates may be anything
    throw error
  }
}

const MAX_CANDIDATES = 8 // each may cost a signature check over the list; a key roll-over needs two
const MAX_SEARCHES = 32 // of paths, each with the budget of a handshake's
