import { createHash } from 'node:crypto'
import { parseCertificate } from '../x509/certificate.ts'
import { type KeyPair, signBytes } from '../x509/generate.ts'
import type { TestCertificate } from './ca.ts'

/** What is logged: a certificate, or what a CA submits before it. */
export interface Submission {
  readonly certificate: TestCertificate
  readonly precertificate?: TestCertificate | undefined
  readonly timestamp: number
}

/**
 * TimestampedEntry of RFC 6962 §3.4, written from it and from nothing of the reader.
 *
 * @param extensions Content of CtExtensions.
 */
export function timestampedEntry(
  { certificate, precertificate, timestamp }: Submission,
  extensions: Uint8Array = new Uint8Array(),
): Uint8Array {
  const issuer = certificate.issuer ?? certificate
  const signed =
    precertificate === undefined
      ? [vector(3, certificate.der)]
      : [sha256(issuer.spki), vector(3, parseCertificate(certificate.der).tbs)]
  const type = number(2, precertificate === undefined ? 0 : 1)
  return Buffer.concat([number(8, timestamp), type, ...signed, vector(2, extensions)])
}

/** MerkleTreeLeaf of RFC 6962 §3.4: version 1, timestamped_entry. */
export const merkleTreeLeaf = (entry: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0, 0), entry])

export const leafHash = (leaf: Uint8Array): Uint8Array => sha256(Buffer.concat([Uint8Array.of(0), leaf]))

/** RFC 6962 §2.1, word for word. */
export function treeHash(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes
  if (only === undefined) return sha256(new Uint8Array())
  if (hashes.length === 1) return only
  const split = splitOf(hashes.length)
  return sha256(Buffer.concat([Uint8Array.of(1), treeHash(hashes.slice(0, split)), treeHash(hashes.slice(split))]))
}

/** PROOF(m, D[n]) of RFC 6962 §2.1.2, word for word. */
export function consistencyProof(m: number, hashes: readonly Uint8Array[], isWhole = true): readonly Uint8Array[] {
  if (m === hashes.length) return isWhole ? [] : [treeHash(hashes)]
  const k = splitOf(hashes.length)
  const [left, right] = [hashes.slice(0, k), hashes.slice(k)]
  return m <= k
    ? [...consistencyProof(m, left, isWhole), treeHash(right)]
    : [...consistencyProof(m - k, right, false), treeHash(left)]
}

/** The digitally-signed TreeHeadSignature of RFC 6962 §3.5. */
export function treeHeadSignature(
  { size, root, timestamp }: { readonly size: number; readonly root: Uint8Array; readonly timestamp: number },
  { type, privateKey }: KeyPair,
): Uint8Array {
  const signed = Buffer.concat([Uint8Array.of(0, 1), number(8, timestamp), number(8, size), root])
  const signature = signBytes(signed, { privateKey, hash: 'sha256' })
  return Buffer.concat([Uint8Array.of(4, type.startsWith('RSA') ? 1 : 3), vector(2, signature)])
}

export const vector = (lengthOctets: number, content: Uint8Array): Uint8Array =>
  Buffer.concat([number(lengthOctets, content.length), content])

export function number(octets: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - octets)
}

export const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

const splitOf = (size: number): number => 2 ** Math.ceil(Math.log2(size) - 1)
