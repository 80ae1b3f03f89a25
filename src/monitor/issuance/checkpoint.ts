import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { decodeBase64 } from '../../encoding/base64.ts'
import { ConfigurationError, MonitorError } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import { verifySignature } from '../../trust/path/signature.ts'
import type { TreeHead } from './tree.ts'

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

export interface Checkpoint extends TreeHead {
  readonly timestamp: UnixMs
}

/**
 * The tree head that a log signed (RFC 6962 §3.5), as logs of the static API serve it: a signed note. Whether the tree continues
 * an earlier one is not its business.
 *
 * The signature covers neither the origin nor the key's name, so an operator with one key for two logs could show either as the
 * other: the tree that was seen before tells.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_CHECKPOINT`, `ERR_MONITOR_LOG_ORIGIN`, `ERR_MONITOR_LOG_SIGNATURE`, `ERR_MONITOR_LOG_STALE`
 * @see https://c2sp.org/static-ct-api, https://c2sp.org/signed-note
 */
export function verifyCheckpoint(octets: Uint8Array, { origin, key }: LogIdentity, now: UnixMs): Checkpoint {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8')
  const [body = '', signatures, ...more] = text.split('\n\n')
  const [name = '', sizeText = '', rootText = '', ...extensions] = body.split('\n')
  const root = decodeBase64(rootText)
  const isTreeHead = /^(0|[1-9]\d{0,12})$/.test(sizeText) && root?.length === 32 && extensions.length === 0
  if (signatures === undefined || more.length > 0 || !isTreeHead) {
    throw new MonitorError('ERR_MONITOR_LOG_CHECKPOINT', `${origin}: expected a signed note of origin, size and root`)
  }
  if (name !== origin) {
    const message = `${origin}: the checkpoint is of ${JSON.stringify(name.slice(0, 200))}`
    throw new MonitorError('ERR_MONITOR_LOG_ORIGIN', message)
  }
  const size = Number(sizeText)
  const timestamp = signatures
    .split('\n', MAX_SIGNATURES)
    .map((line) => timestampSigned(line, { origin, key }, { size, root }))
    .find((time) => time !== undefined)
  if (timestamp === undefined) {
    throw new MonitorError('ERR_MONITOR_LOG_SIGNATURE', `${origin}: the checkpoint is not signed by the key of the log`)
  }
  // RFC 6962 §3: at least one a day. An older one is how entries are kept from somebody who watches.
  if (timestamp > now + CLOCK_SKEW_MS || timestamp < now - MAX_AGE_MS) {
    const seen = Math.abs(timestamp) <= LAST_DATE_MS ? new Date(timestamp).toISOString() : String(timestamp)
    throw new MonitorError('ERR_MONITOR_LOG_STALE', `${origin}: the checkpoint is of ${seen}`)
  }
  return { size, root, timestamp }
}

/** P-256, or RSA of 2048 bits or more (RFC 6962 §2.1.4): PEM, or base64 of the SubjectPublicKeyInfo as log lists have it. */
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

/** When the log signed this head; `undefined` for a signature of somebody else, and for one that does not hold. */
function timestampSigned(line: string, { origin, key }: LogIdentity, { size, root }: TreeHead): UnixMs | undefined {
  const prefix = `\u2014 ${origin} `
  const signed = line.startsWith(prefix) ? decodeBase64(line.slice(prefix.length)) : undefined
  if (signed === undefined || signed.length < SIGNATURE) return undefined
  const bytes = Buffer.from(signed)
  if (bytes.compare(keyIdOf(origin, key), 0, 4, 0, TIMESTAMP) !== 0) return undefined
  const algorithms = [bytes[HASH_ALGORITHM], bytes[HASH_ALGORITHM + 1]]
  if (algorithms[0] !== SHA256 || algorithms[1] !== ALGORITHMS[key.kind]) return undefined
  if (bytes.readUInt16BE(SIGNATURE - 2) !== bytes.length - SIGNATURE) return undefined
  const sizeOctets = Buffer.alloc(8)
  sizeOctets.writeBigUInt64BE(BigInt(size))
  const timestamp = bytes.subarray(TIMESTAMP, HASH_ALGORITHM)
  const tbs = Buffer.concat([VERSION_AND_TYPE, timestamp, sizeOctets, root]) // RFC 6962 §3.5
  const signatureAlgorithm = { kind: key.kind, hash: 'sha256', name: key.kind } as const
  if (!verifySignature({ tbs, signature: bytes.subarray(SIGNATURE), signatureAlgorithm }, key)) return undefined
  return toUnixMs(Number(timestamp.readBigUInt64BE()))
}

const keyIdOf = (origin: string, { logId }: LogKey): Uint8Array =>
  hash('sha256', Buffer.concat([Buffer.from(`${origin}\n`), NOTE_SIGNATURE_TYPE, logId]), 'buffer').subarray(0, 4)

function keyOf(text: string): KeyObject | undefined {
  try {
    if (text.includes('-----BEGIN')) return createPublicKey(text)
    return createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' })
  } catch {
    return undefined // OpenSSL's errors have no common class
  }
}

const NOTE_SIGNATURE_TYPE = Uint8Array.of(5)
const TIMESTAMP = 4 // after the key id
const HASH_ALGORITHM = 12
const SIGNATURE = 16 // after two algorithms and the length
const VERSION_AND_TYPE = Uint8Array.of(0, 1) // v1, tree_hash
const SHA256 = 4 // RFC 5246 §7.4.1.4.1
const ALGORITHMS = { 'rsa-pkcs1': 1, ecdsa: 3 } as const

const MAX_SIGNATURES = 32 // a log and its witnesses
const CLOCK_SKEW_MS = 5 * 60_000
const MAX_AGE_MS = 24 * 3_600_000
const LAST_DATE_MS = 8.64e15 // ECMA-262 §21.4.1.1
