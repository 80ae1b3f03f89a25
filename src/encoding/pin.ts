import { createHash } from 'node:crypto'
import { decodeBase64 } from './base64.ts'

/** `sha256/`, `sha384/` or `sha512/`, then the base64 digest of the DER SubjectPublicKeyInfo (RFC 7469 §2.4). */
export type PinText = `${PinHash}/${string}`
export type PinHash = 'sha256' | 'sha384' | 'sha512'

/** Whether the text is a pin: a known hash, strict base64, a digest of the hash's length. */
export function isPinText(text: string): text is PinText {
  const slash = text.indexOf('/')
  const hash = text.slice(0, slash)
  if (!isPinHash(hash)) return false
  return decodeBase64(text.slice(slash + 1))?.length === DIGEST_BYTES[hash]
}

export function pinHashOf(pin: PinText): PinHash {
  const hash = pin.slice(0, pin.indexOf('/'))
  return isPinHash(hash) ? hash : 'sha256'
}

/** The pin of a DER SubjectPublicKeyInfo. */
export function pinOfSpki(spki: Uint8Array, hash: PinHash = 'sha256'): PinText {
  return `${hash}/${createHash(hash).update(spki).digest('base64')}`
}

const isPinHash = (text: string): text is PinHash => Object.hasOwn(DIGEST_BYTES, text)

const DIGEST_BYTES: Readonly<Record<PinHash, number>> = { sha256: 32, sha384: 48, sha512: 64 }
