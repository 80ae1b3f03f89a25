import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { ConfigurationError, MonitorError } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { verifySignature } from '../../trust/path/signature.ts'
import type { TreeHead } from './merkle.ts'

export interface LogIdentity {
  /** The submission prefix without `https://` and final slash: the log's name for itself. */
  readonly origin: string
  readonly key: LogKey
}

export interface LogKey {
  readonly kind: 'ecdsa' | 'rsa-pkcs1'
  readonly publicKey: KeyObject
  /** SHA-256 of its SubjectPublicKeyInfo (RFC 6962 §3.2). */
  readonly logId: Uint8Array
}

/** What a log says of itself at some time, over its signature. Whether the tree continues an earlier one is not its business. */
export interface SignedTreeHead extends TreeHead {
  readonly timestamp: UnixMs
}

/**
 * Whether the log signed the TreeHeadSignature of this head (RFC 6962 §3.5).
 *
 * @param timestamp As its eight octets.
 * @param digitallySigned Two algorithms, the length and the signature (RFC 5246 §4.7).
 */
export function isSignedHead(
  { size, root, timestamp }: TreeHead & { readonly timestamp: Uint8Array },
  digitallySigned: Uint8Array,
  key: LogKey,
): boolean {
  if (digitallySigned.length < SIGNATURE) return false
  const bytes = Buffer.from(digitallySigned)
  if (bytes[0] !== SHA256 || bytes[1] !== ALGORITHMS[key.kind]) return false
  if (bytes.readUInt16BE(2) !== bytes.length - SIGNATURE) return false
  const tbs = Buffer.concat([VERSION_AND_TYPE, timestamp, uint64(size), root])
  const signatureAlgorithm = { kind: key.kind, hash: 'sha256', name: key.kind } as const
  return verifySignature({ tbs, signature: bytes.subarray(SIGNATURE), signatureAlgorithm }, key)
}

/**
 * RFC 6962 §3: a log signs at least once a day. An older head is how entries are kept from somebody who watches.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_STALE`
 */
export function requireCurrent({ origin }: LogIdentity, timestamp: UnixMs, now: UnixMs): void {
  if (timestamp <= now + CLOCK_SKEW_MS && timestamp >= now - MAX_AGE_MS) return
  const seen = Math.abs(timestamp) <= LAST_DATE_MS ? new Date(timestamp).toISOString() : String(timestamp)
  throw new MonitorError('ERR_MONITOR_LOG_STALE', `${origin}: the tree head is of ${seen}`)
}

/**
 * P-256, or RSA of 2048 bits or more (RFC 6962 §2.1.4): PEM, or base64 of the SubjectPublicKeyInfo as log lists have it.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`
 */
export function parseLogKey(text: string): LogKey {
  const key = keyOf(text)
  const details = key?.asymmetricKeyDetails
  const isRsa = key?.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048
  if (key === undefined || !(isRsa || details?.namedCurve === 'prime256v1')) {
    const expected = 'expected the public key of a log, P-256 or RSA, as PEM or base64 of its SubjectPublicKeyInfo'
    throw new ConfigurationError('ERR_CONFIG_INVALID', `log.key: ${expected}`)
  }
  const logId = hash('sha256', key.export({ type: 'spki', format: 'der' }), 'buffer')
  return { kind: isRsa ? 'rsa-pkcs1' : 'ecdsa', publicKey: key, logId }
}

function keyOf(text: string): KeyObject | undefined {
  try {
    if (text.includes('-----BEGIN')) return createPublicKey(text)
    return createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' })
  } catch {
    return undefined // OpenSSL's errors have no common class
  }
}

export function uint64(value: number): Uint8Array {
  const octets = Buffer.alloc(8)
  octets.writeBigUInt64BE(BigInt(value))
  return octets
}

const SIGNATURE = 4 // after two algorithms and the length
const VERSION_AND_TYPE = Uint8Array.of(0, 1) // v1, tree_hash
const SHA256 = 4 // RFC 5246 §7.4.1.4.1
const ALGORITHMS = { 'rsa-pkcs1': 1, ecdsa: 3 } as const

const CLOCK_SKEW_MS = 5 * 60_000
const MAX_AGE_MS = 24 * 3_600_000
const LAST_DATE_MS = 8.64e15 // ECMA-262 §21.4.1.1
