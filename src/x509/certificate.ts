import { hash, type KeyObject } from 'node:crypto'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import {
  contentOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  encodingOf,
  octetsOfBitString,
  openDer,
  openElement,
  smallIntegerOf,
  TAG,
  timeOf,
} from './der.ts'
import { type DecodedExtensions, decodeExtensions, type Extension, parseExtensions } from './extensions.ts'
import { type DistinguishedName, parseName } from './names.ts'
import { keyOfCertificate, type PublicKeyInfo, parsePublicKeyInfo } from './public-key.ts'
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'

/**
 * A certificate as RFC 5280 §4.1 lays it out, read-only and without an opinion: expired, weak and forged ones parse.
 * Every getter is total: what could fail to parse has been parsed.
 */
export interface Certificate {
  readonly der: Uint8Array
  /** SHA-256 of `der`, lower-case hexadecimal: its identity in caches and searches. */
  readonly sha256: string
  /** The signed bytes: DER of TBSCertificate. */
  readonly tbs: Uint8Array
  readonly version: 1 | 2 | 3
  /** Content octets of the INTEGER as sent; RFC 5280 §4.1.2.2 wants 1 to 20 and a positive number. See `encodingFlawOf`. */
  readonly serialNumber: Uint8Array
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** Both ends belong to the validity period. */
  readonly notBefore: UnixMs
  readonly notAfter: UnixMs
  /** DER of SubjectPublicKeyInfo: what a pin is the digest of. */
  readonly spki: Uint8Array
  readonly spkiSha256: string
  readonly keyInfo: PublicKeyInfo
  /** `undefined` when OpenSSL cannot use the key, for example a point off its curve. */
  readonly publicKey: KeyObject | undefined
  /** The same inside and outside the signed part; a certificate where they differ does not parse. */
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  readonly extensions: ReadonlyMap<string, Extension>
  readonly decoded: DecodedExtensions
  /** Subject and issuer are the same name. Says nothing about who signed. */
  readonly isSelfIssued: boolean
}

/**
 * @param sha256 The digest of `der`, when the caller has it already.
 * @throws DerError when the bytes are not one DER certificate.
 */
export function parseCertificate(der: Uint8Array, sha256?: string): Certificate {
  const bytes = new Uint8Array(der) // a copy: what was judged must not change under the verdict
  const outer = openDer(bytes)
  const tbs = outer.read(TAG.sequence)
  const signatureAlgorithm = outer.read(TAG.sequence)
  const signature = octetsOfBitString(outer.read(TAG.bitString))
  outer.expectEnd()
  return new ParsedCertificate(bytes, tbs, signatureAlgorithm, signature, sha256)
}

/**
 * A fault of encoding that does not hinder reading. Statements about revocation are matched with such certificates octet
 * for octet, and signed by keys of such; on a path none may stand.
 */
export function encodingFlawOf({ serialNumber, decoded }: Certificate): string | undefined {
  const [first = 0, second] = serialNumber
  const isPadded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
  if (isPadded) return 'integer is not in its shortest form' // X.690 §8.3.2
  // RFC 5280 §4.1.2.2. Zero is met in old roots; a negative number is an encoding fault, which Go refuses too.
  if (first >= 0x80) return 'the serial number is negative'
  return decoded.subjectAltName?.length === 0 ? 'list of names is empty' : undefined // §4.2.1.6
}

/**
 * `subject.key` alone, at a tenth of the price of the whole: to index a store of which few members are ever used.
 *
 * @throws DerError when the fields up to the subject cannot be read.
 */
export function subjectKeyOf(der: Uint8Array): string {
  const tbs = openDer(der).enter()
  tbs.readOptional(contextConstructed(0))
  tbs.read(TAG.integer)
  for (let skipped = 0; skipped < 3; skipped += 1) tbs.read(TAG.sequence) // signature, issuer, validity
  return parseName(tbs.read(TAG.sequence)).key
}

class ParsedCertificate implements Certificate {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly version: 1 | 2 | 3
  readonly serialNumber: Uint8Array
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  readonly notBefore: UnixMs
  readonly notAfter: UnixMs
  readonly spki: Uint8Array
  readonly keyInfo: PublicKeyInfo
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  readonly extensions: ReadonlyMap<string, Extension>
  readonly decoded: DecodedExtensions
  readonly isSelfIssued: boolean
  #sha256: string | undefined
  #spkiSha256: string | undefined
  #publicKey: KeyObject | null | undefined

  constructor(
    der: Uint8Array,
    tbs: DerElement,
    signatureAlgorithm: DerElement,
    signature: Uint8Array,
    sha256: string | undefined,
  ) {
    this.der = der
    this.#sha256 = sha256
    this.tbs = encodingOf(tbs)
    this.signature = signature

    const reader = openElement(tbs)
    this.version = versionOf(reader.readOptional(contextConstructed(0)))
    this.serialNumber = contentOf(reader.read(TAG.integer))
    if (this.serialNumber.length === 0) throw new DerError('integer is empty')
    const innerAlgorithm = encodingOf(reader.read(TAG.sequence))
    // RFC 5280 §4.1.1.2. The outer field is not signed: a verifier that believes it can be told another hash.
    if (Buffer.compare(innerAlgorithm, encodingOf(signatureAlgorithm)) !== 0) {
      throw new DerError('the signature algorithms inside and outside differ')
    }
    this.signatureAlgorithm = parseSignatureAlgorithm(innerAlgorithm)
    this.issuer = parseName(reader.read(TAG.sequence))
    const validity = reader.enter()
    this.notBefore = toUnixMs(timeOf(validity.read()))
    this.notAfter = toUnixMs(timeOf(validity.read()))
    validity.expectEnd()
    this.subject = parseName(reader.read(TAG.sequence))
    const spki = reader.read(TAG.sequence)
    this.spki = encodingOf(spki)
    this.keyInfo = parsePublicKeyInfo(spki)
    const uniqueIds = [reader.readOptional(contextPrimitive(1)), reader.readOptional(contextPrimitive(2))]
    const extensions = reader.readOptional(contextConstructed(3))
    reader.expectEnd()
    // RFC 5280 §4.1.2.1: later fields need the later version, or an old reader would see another certificate.
    if (extensions !== undefined && this.version !== 3) throw new DerError('extensions need version 3')
    if (uniqueIds.some((id) => id !== undefined) && this.version === 1) throw new DerError('unique ids need version 2')
    this.extensions = extensions === undefined ? new Map() : extensionsOf(extensions)
    this.decoded = decodeExtensions(this.extensions)
    this.isSelfIssued = this.issuer.key === this.subject.key
  }

  get sha256(): string {
    this.#sha256 ??= hash('sha256', this.der, 'hex')
    return this.#sha256
  }

  get spkiSha256(): string {
    this.#spkiSha256 ??= hash('sha256', this.spki, 'hex')
    return this.#spkiSha256
  }

  get publicKey(): KeyObject | undefined {
    if (this.#publicKey === undefined) this.#publicKey = keyOfCertificate(this.der, this.keyInfo, this.spki) ?? null
    return this.#publicKey ?? undefined
  }
}

function versionOf(field: DerElement | undefined): 1 | 2 | 3 {
  if (field === undefined) return 1
  const reader = openElement(field)
  const version = smallIntegerOf(reader.read(TAG.integer))
  reader.expectEnd()
  if (version !== 1 && version !== 2) throw new DerError('version is neither 2 nor 3') // version 1 is left out in DER
  return version === 1 ? 2 : 3
}

function extensionsOf(field: DerElement): ReadonlyMap<string, Extension> {
  const reader = openElement(field)
  const extensions = parseExtensions(reader.enter())
  reader.expectEnd()
  return extensions
}
