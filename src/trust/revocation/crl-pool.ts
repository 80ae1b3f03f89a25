import type { Certificate } from '../../x509/certificate.ts'
import { CrlScanner } from '../../x509/crl-scanner.ts'
import { DerError } from '../../x509/der.ts'
import { CRL_NUMBER, readCrl, type VerifiedCrl } from './crl.ts'
import { attempt, EvidenceError, type EvidenceLimits } from './evidence.ts'

/** A list of which nothing is known yet but whom it says it is from. */
export interface PooledCrl {
  readonly der: Uint8Array
  /** `DistinguishedName.key`. */
  readonly issuer: string
}

/** Lists by issuer. Each is read and verified at most once a signer, and only when a certificate's status asks for it. */
export class CrlPool {
  /** Why lists cannot be read at all: they may have been about anyone. */
  readonly unreadable: readonly EvidenceError[]
  readonly #byIssuer = new Map<string, PooledCrl[]>()
  readonly #read = new Map<PooledCrl, Map<string, VerifiedCrl | EvidenceError>>()
  readonly #limits: EvidenceLimits
  readonly #crlNumber: 'required' | 'optional'

  constructor(lists: readonly Uint8Array[], limits: EvidenceLimits, crlNumber: 'required' | 'optional') {
    this.#limits = limits
    this.#crlNumber = crlNumber
    const unreadable: EvidenceError[] = []
    for (const der of lists) {
      const issuer = issuerOf(der)
      if (issuer instanceof EvidenceError) unreadable.push(issuer)
      else this.#byIssuer.set(issuer, [...(this.#byIssuer.get(issuer) ?? []), { der, issuer }])
    }
    this.unreadable = unreadable
  }

  /** @throws EvidenceError where there are more of an issuer's than are looked at: the one left out could revoke. */
  from(issuer: string): readonly PooledCrl[] {
    const lists = this.#byIssuer.get(issuer) ?? []
    if (lists.length <= MAX_LISTS_OF_ISSUER) return lists
    const message = `${lists.length} lists of one issuer, at most ${MAX_LISTS_OF_ISSUER} are looked at`
    throw new EvidenceError('ERR_TRUST_CRL_TOO_LARGE', message)
  }

  /** @throws EvidenceError `ERR_TRUST_CRL_…` unless the certificate's key signed the list, and was allowed to. */
  read(list: PooledCrl, signer: Certificate): VerifiedCrl {
    const bySigner = this.#read.get(list) ?? new Map<string, VerifiedCrl | EvidenceError>()
    this.#read.set(list, bySigner)
    const known = bySigner.get(signer.sha256) ?? attempt(() => this.#verify(list, signer))
    bySigner.set(signer.sha256, known)
    if (known instanceof EvidenceError) throw known
    return known
  }

  #verify({ der }: PooledCrl, signer: Certificate): VerifiedCrl {
    const crl = readCrl(der, signer, this.#limits)
    if (crl.isIndirect && crl.issuingDistributionPoint?.indirectCrl !== true) {
      const message = 'entries name other issuers, and the list does not say that it speaks for any' // §5.3.3
      throw new EvidenceError('ERR_TRUST_CRL_INDIRECT_UNSUPPORTED', message)
    }
    // §5.2.3: in every list, and never critical. Deployed lists without it exist.
    const hasNumber = crl.extensions.get(CRL_NUMBER)?.critical === false
    if (this.#crlNumber === 'optional' || hasNumber) return crl
    throw new EvidenceError('ERR_TRUST_CRL_MALFORMED', 'the list has no crlNumber, or a critical one')
  }
}

/** From the head of the list alone. */
function issuerOf(der: Uint8Array): string | EvidenceError {
  let issuer: string | undefined
  const scanner = new CrlScanner({
    onHeader: (header) => {
      issuer = header.issuer.key
    },
    onEntry: () => {},
    onSigned: () => {},
  })
  try {
    scanner.write(der.subarray(0, MAX_HEAD_BYTES))
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    if (issuer === undefined) return new EvidenceError('ERR_TRUST_CRL_MALFORMED', error.message)
  }
  return issuer ?? new EvidenceError('ERR_TRUST_CRL_MALFORMED', 'the head of the list is cut short or too long')
}

const MAX_HEAD_BYTES = 16 * 1024 // an issuer's name, two dates and an algorithm take some hundred
const MAX_LISTS_OF_ISSUER = 64 // a partitioned CA names one of its lists in a certificate, a cautious one two
