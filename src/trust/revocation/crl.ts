import { constants, createVerify, type Verify, type VerifyKeyObjectInput } from 'node:crypto'
import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { type CrlEntry, createCrlEntryReader } from '../../x509/crl-entry.ts'
import { type CrlHeader, CrlScanner } from '../../x509/crl-scanner.ts'
import { DerError, DerLimitError, DerReader, integerOf, TAG } from '../../x509/der.ts'
import { type IssuingDistributionPoint, parseIssuingDistributionPoint } from '../../x509/distribution-points.ts'
import type { Extension } from '../../x509/extensions.ts'
import type { SignatureAlgorithm } from '../../x509/signature-algorithm.ts'
import { verifySignature } from '../path/signature.ts'
import { EvidenceError, type EvidenceLimits } from './evidence.ts'
import { MAX_SERIAL_OCTETS, NO_REASON, SerialIndex, type SerialRecord } from './serial-index.ts'
import { algorithmFor, badSignature } from './signed.ts'

/** A list whose signature was verified: the certificate that signed it is the caller's to trust. */
export interface VerifiedCrl extends CrlHeader {
  readonly extensions: ReadonlyMap<string, Extension>
  readonly issuingDistributionPoint: IssuingDistributionPoint | undefined
  readonly crlNumber: bigint | undefined
  /** crlNumber of the list that this one only adds to: a delta CRL. */
  readonly baseCrlNumber: bigint | undefined
  /** Entries name certificates of other issuers too. */
  readonly isIndirect: boolean
  readonly entries: number
  /** @param issuer `DistinguishedName.key`; default: the list's own. */
  readonly find: (serialNumber: Uint8Array, issuer?: string) => SerialRecord | undefined
}

/** @throws EvidenceError `ERR_TRUST_CRL_…`. Blocks for as long as the list is; `CrlReader` takes it in pieces. */
export function readCrl(der: Uint8Array, signer: Certificate, limits: EvidenceLimits): VerifiedCrl {
  const reader = new CrlReader(signer, limits)
  reader.write(der)
  return reader.end()
}

/** Reads, indexes and verifies a CRL as it arrives. Every method throws EvidenceError for what the list does wrong. */
export class CrlReader {
  readonly #signer: Certificate
  readonly #limits: EvidenceLimits
  readonly #scanner: CrlScanner
  readonly #readEntry = createCrlEntryReader()
  readonly #entry: CrlEntry = { serialStart: 0, serialEnd: 0, revokedAt: 0, about: {} }
  #begun: { readonly header: CrlHeader; readonly signature: SignatureCheck } | undefined
  #own = new SerialIndex(0)
  readonly #others = new Map<string, SerialIndex>()
  #current: SerialIndex = this.#own
  #unknownCritical: string | undefined
  #isIndirect = false

  constructor(signer: Certificate, limits: EvidenceLimits) {
    this.#signer = signer
    this.#limits = limits
    this.#scanner = new CrlScanner({
      onHeader: (header) => this.#begin(header),
      onEntry: (bytes, contentStart, end) => this.#add(bytes, contentStart, end),
      onSigned: (bytes) => this.#begun?.signature.update(bytes),
    })
  }

  write(chunk: Uint8Array): void {
    typed(() => this.#scanner.write(chunk))
  }

  end(): VerifiedCrl {
    return typed(() => {
      const { extensions, signature } = this.#scanner.end()
      const begun = this.#begun
      if (begun?.signature.verify(signature) !== true) throw badSignature(CRL_CODES, 'the list')
      return this.#verified(begun.header, extensions)
    })
  }

  #begin(header: CrlHeader): void {
    const { keyUsage } = this.#signer.decoded
    if (header.issuer.key !== this.#signer.subject.key) {
      const message = `issued by ${header.issuer.text}, expected ${this.#signer.subject.text}`
      throw new EvidenceError('ERR_TRUST_CRL_ISSUER_MISMATCH', message)
    }
    if (keyUsage?.has('cRLSign') === false) {
      throw new EvidenceError('ERR_TRUST_CRL_ISSUER_NO_CRLSIGN', 'the key of the issuer may not sign lists')
    }
    const algorithm = algorithmFor(header.signatureAlgorithm, this.#signer, this.#limits, CRL_CODES, 'the list')
    this.#begun = { header, signature: createSignatureCheck(algorithm, this.#signer) }
    this.#own = new SerialIndex(header.entriesLength / TYPICAL_ENTRY_OCTETS)
    this.#current = this.#own
  }

  #add(bytes: Uint8Array, contentStart: number, end: number): void {
    const entry = this.#entry
    this.#readEntry(entry, bytes, contentStart, end)
    const { reason = NO_REASON, certificateIssuer, unknownCritical } = entry.about
    this.#unknownCritical ??= unknownCritical
    if (certificateIssuer !== undefined) {
      this.#isIndirect = true
      this.#current = this.#indexOf(certificateIssuer)
    }
    if (entry.serialEnd - entry.serialStart > MAX_SERIAL_OCTETS) throw new DerError('a serial number is too long')
    this.#current.add(bytes, entry.serialStart, entry.serialEnd, reason, entry.revokedAt)
  }

  /** RFC 5280 §5.3.3: from here on, entries are about this issuer's certificates. */
  #indexOf(issuer: string): SerialIndex {
    if (issuer === this.#begun?.header.issuer.key) return this.#own
    const known = this.#others.get(issuer) ?? new SerialIndex(8)
    this.#others.set(issuer, known)
    if (this.#others.size > MAX_OTHER_ISSUERS) throw new DerLimitError('a list about too many issuers')
    return known
  }

  #verified(header: CrlHeader, extensions: ReadonlyMap<string, Extension>): VerifiedCrl {
    const unknown = [...extensions.values()].find(({ oid, critical }) => critical && !UNDERSTOOD.has(oid))
    const oid = unknown?.oid ?? this.#unknownCritical
    // RFC 5280 §5.2, §5.3: a list that is not understood in full decides nothing, for any certificate.
    if (oid !== undefined) {
      throw new EvidenceError('ERR_TRUST_CRL_CRITICAL_EXTENSION', `unknown critical extension ${oid}`)
    }
    const point = extensions.get(ISSUING_DISTRIBUTION_POINT)
    const issuingDistributionPoint = point === undefined ? undefined : parseIssuingDistributionPoint(point.value)
    const [crlNumber, baseCrlNumber] = [CRL_NUMBER, DELTA_CRL_INDICATOR].map((name) => numberOf(extensions.get(name)))
    const [own, others] = [this.#own, this.#others]
    return {
      ...header,
      extensions,
      issuingDistributionPoint,
      crlNumber,
      baseCrlNumber,
      isIndirect: this.#isIndirect || issuingDistributionPoint?.indirectCrl === true,
      entries: own.size + [...others.values()].reduce((sum, { size }) => sum + size, 0),
      find: (serialNumber, issuer = header.issuer.key) =>
        (issuer === header.issuer.key ? own : others.get(issuer))?.get(serialNumber),
    }
  }
}

interface SignatureCheck {
  readonly update: (bytes: Uint8Array) => void
  readonly verify: (signature: Uint8Array) => boolean
}

/** Hashes as it goes, so that nothing of a long list is kept; EdDSA alone wants its message whole. */
function createSignatureCheck(algorithm: SignatureAlgorithm, { publicKey }: Certificate): SignatureCheck {
  if (!('hash' in algorithm)) {
    const parts: Uint8Array[] = []
    return {
      update: (bytes) => void parts.push(Uint8Array.from(bytes)),
      verify: (signature) =>
        verifySignature({ signatureAlgorithm: algorithm, tbs: Buffer.concat(parts), signature }, { publicKey }),
    }
  }
  const check: Verify = createVerify(algorithm.hash)
  return {
    update: (bytes) => void check.update(bytes),
    verify: (signature) => {
      if (publicKey === undefined) return false
      const options: VerifyKeyObjectInput =
        algorithm.kind === 'rsa-pss'
          ? { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: algorithm.saltLength }
          : { key: publicKey }
      try {
        return check.verify(options, signature)
      } catch {
        return false // OpenSSL's refusals have no common class
      }
    },
  }
}

/** crlNumber and BaseCRLNumber: at most 20 octets, not negative (RFC 5280 §5.2.3). */
function numberOf(extension: Extension | undefined): bigint | undefined {
  if (extension === undefined) return undefined
  const reader = new DerReader(extension.value)
  const octets = integerOf(reader.read(TAG.integer))
  reader.expectEnd()
  if (octets.length > 20 || (octets[0] ?? 0) >= 0x80) throw new DerError('a list number is negative or too long')
  return BigInt(`0x${Buffer.from(octets).toString('hex')}`)
}

function typed<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof DerLimitError) throw new EvidenceError('ERR_TRUST_CRL_TOO_LARGE', error.message)
    if (error instanceof DerError) throw new EvidenceError('ERR_TRUST_CRL_MALFORMED', error.message)
    throw error
  }
}

/** Until when the list may be used, and the refusal if it may not be used now. @throws EvidenceError */
export function crlValidUntil(
  { thisUpdate, nextUpdate }: Pick<VerifiedCrl, 'thisUpdate' | 'nextUpdate'>,
  { now, limits, maxAgeMs }: { readonly now: UnixMs; readonly limits: EvidenceLimits; readonly maxAgeMs: number },
): number {
  const { clockSkewMs } = limits
  const end = nextUpdate ?? Number.POSITIVE_INFINITY
  if (thisUpdate > now + clockSkewMs) {
    throw new EvidenceError('ERR_TRUST_CRL_NOT_YET_VALID', `valid from ${isoOf(thisUpdate)}`)
  }
  if (end < now - clockSkewMs) {
    throw new EvidenceError('ERR_TRUST_CRL_EXPIRED', `valid until ${isoOf(end)}`)
  }
  if (thisUpdate + maxAgeMs < now) {
    throw new EvidenceError('ERR_TRUST_CRL_TOO_OLD', `made ${isoOf(thisUpdate)}, no newer is at hand`)
  }
  return Math.min(end, thisUpdate + maxAgeMs)
}

const isoOf = (ms: number): string => new Date(ms).toISOString()

const CRL_CODES = {
  badSignature: 'ERR_TRUST_CRL_BAD_SIGNATURE',
  unsupported: 'ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM',
} as const

export const CRL_NUMBER = '2.5.29.20'
const DELTA_CRL_INDICATOR = '2.5.29.27'
export const ISSUING_DISTRIBUTION_POINT = '2.5.29.28'
const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35'
const UNDERSTOOD: ReadonlySet<string> = new Set([
  CRL_NUMBER,
  DELTA_CRL_INDICATOR,
  ISSUING_DISTRIBUTION_POINT,
  AUTHORITY_KEY_IDENTIFIER,
])

const TYPICAL_ENTRY_OCTETS = 30 // 16 octets of serial number, a UTCTime, their heads
const MAX_OTHER_ISSUERS = 1_024
