import {
  contextConstructed,
  DerError,
  type DerReader,
  oidOf,
  openDer,
  openElement,
  smallIntegerOf,
  TAG,
} from './der.ts'
import { ED448, ED25519, RSASSA_PSS } from './public-key.ts'

/** How a signature is made, as far as verifying it needs to know. */
export type SignatureAlgorithm =
  | { readonly kind: 'rsa-pkcs1' | 'ecdsa'; readonly hash: SignatureHash; readonly name: string }
  | { readonly kind: 'rsa-pss'; readonly hash: SignatureHash; readonly saltLength: number; readonly name: string }
  | { readonly kind: 'ed25519' | 'ed448'; readonly name: string }
  /** MD5, SHA-1, SHA-224, DSA and whatever is not known: named for the message, verified by nobody. */
  | { readonly kind: 'refused'; readonly name: string }

/** SHA-1 is never parsed: it is what a suite of old data asks for by hand. */
export type SignatureHash = 'sha256' | 'sha384' | 'sha512' | 'sha1'

/** Reads a DER AlgorithmIdentifier. Parameters that do not belong to the algorithm throw `DerError`. */
export function parseSignatureAlgorithm(der: Uint8Array): SignatureAlgorithm {
  const reader = openDer(der)
  const oid = oidOf(reader.read(TAG.oid))
  const known = ALGORITHMS[oid]
  if (known === undefined) return { kind: 'refused', name: REFUSED_NAMES[oid] ?? oid }
  if (oid === RSASSA_PSS) return parsePss(reader)
  if (known.kind === 'rsa-pkcs1') readAbsentOrNull(reader)
  reader.expectEnd() // ECDSA (RFC 5758 §3.2) and EdDSA (RFC 8410 §3) take no parameters
  return known
}

/** RSASSA-PSS-params (RFC 4055 §3.1), one hash throughout and a salt as long as the hash, as the web's profile has it. */
function parsePss(algorithm: DerReader): SignatureAlgorithm {
  const refused = { kind: 'refused', name: 'RSASSA-PSS with SHA-1 or mixed parameters' } as const
  const reader = algorithm.enter()
  algorithm.expectEnd()
  const hashField = reader.readOptional(contextConstructed(0))
  const maskField = reader.readOptional(contextConstructed(1))
  const saltField = reader.readOptional(contextConstructed(2))
  const trailerField = reader.readOptional(contextConstructed(3))
  reader.expectEnd()
  if (hashField === undefined || maskField === undefined || saltField === undefined) return refused // defaults mean SHA-1
  const hash = parseHash(openElement(hashField))
  const mask = openElement(maskField).enter()
  if (oidOf(mask.read(TAG.oid)) !== MGF1) return refused
  const maskHash = parseHash(mask)
  const saltLength = only(openElement(saltField))
  const trailer = trailerField === undefined ? 1 : only(openElement(trailerField))
  if (hash === undefined || maskHash !== hash || saltLength !== SALT_LENGTH[hash] || trailer !== 1) return refused
  return { kind: 'rsa-pss', hash, saltLength, name: `RSASSA-PSS with ${hash}` }
}

function only(reader: DerReader): number {
  const value = smallIntegerOf(reader.read(TAG.integer))
  reader.expectEnd()
  return value
}

function parseHash(holder: DerReader): SignatureHash | undefined {
  const reader = holder.enter()
  holder.expectEnd()
  const hash = HASHES[oidOf(reader.read(TAG.oid))]
  readAbsentOrNull(reader)
  reader.expectEnd()
  return hash
}

/** RFC 4055 §5: the parameters are NULL, and absent ones must be accepted all the same. */
function readAbsentOrNull(reader: DerReader): void {
  const parameters = reader.readOptional(TAG.null)
  if (parameters !== undefined && parameters.end !== parameters.contentStart) throw new DerError('NULL holds something')
}

const MGF1 = '1.2.840.113549.1.1.8'
const SALT_LENGTH: Readonly<Record<SignatureHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 }

const HASHES: Readonly<Record<string, SignatureHash>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

const ALGORITHMS: Readonly<Record<string, SignatureAlgorithm>> = {
  '1.2.840.113549.1.1.11': { kind: 'rsa-pkcs1', hash: 'sha256', name: 'sha256WithRSAEncryption' },
  '1.2.840.113549.1.1.12': { kind: 'rsa-pkcs1', hash: 'sha384', name: 'sha384WithRSAEncryption' },
  '1.2.840.113549.1.1.13': { kind: 'rsa-pkcs1', hash: 'sha512', name: 'sha512WithRSAEncryption' },
  '1.2.840.10045.4.3.2': { kind: 'ecdsa', hash: 'sha256', name: 'ecdsa-with-SHA256' },
  '1.2.840.10045.4.3.3': { kind: 'ecdsa', hash: 'sha384', name: 'ecdsa-with-SHA384' },
  '1.2.840.10045.4.3.4': { kind: 'ecdsa', hash: 'sha512', name: 'ecdsa-with-SHA512' },
  [RSASSA_PSS]: { kind: 'refused', name: 'RSASSA-PSS' },
  [ED25519]: { kind: 'ed25519', name: 'Ed25519' },
  [ED448]: { kind: 'ed448', name: 'Ed448' },
}

const REFUSED_NAMES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'md2WithRSAEncryption',
  '1.2.840.113549.1.1.4': 'md5WithRSAEncryption',
  '1.2.840.113549.1.1.5': 'sha1WithRSAEncryption',
  '1.2.840.113549.1.1.14': 'sha224WithRSAEncryption',
  '1.2.840.10040.4.3': 'dsa-with-SHA1',
  '1.2.840.10045.4.1': 'ecdsa-with-SHA1',
  '1.2.840.10045.4.3.1': 'ecdsa-with-SHA224',
  '2.16.840.1.101.3.4.3.2': 'dsa-with-SHA256',
}
