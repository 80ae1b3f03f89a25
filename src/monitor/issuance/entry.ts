import type { MonitorError } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import { leafHash } from './merkle.ts'

/** One entry of a log. Members are views of what the log answered. */
export interface LogEntry {
  /** Position in the log. */
  readonly index: number
  readonly timestamp: UnixMs
  /** What the log promised to publish: a certificate, or the TBSCertificate of a precertificate. */
  readonly kind: 'certificate' | 'tbsCertificate'
  readonly signedEntry: Uint8Array
  /** As it was submitted. */
  readonly precertificate?: Uint8Array
  /** RFC 6962 §2.1. */
  readonly leafHash: Uint8Array
}

/** What is thrown where octets are no entry. */
export type Broken = (what: string) => MonitorError

/**
 * An entry as RFC 6962 logs answer it. The chain that was submitted is not looked at.
 *
 * @param told.leaf_input A MerkleTreeLeaf (§3.4).
 * @param told.extra_data The precertificate, where it is one, and the chain (§4.6). It does not stand in the tree.
 */
export function readLeaf(
  told: { readonly leaf_input: Uint8Array; readonly extra_data: Uint8Array },
  index: number,
  broken: Broken,
): LogEntry {
  const [leaf, extra] = [Buffer.from(told.leaf_input), Buffer.from(told.extra_data)]
  if (leaf.length < 2 || leaf.readUInt16BE(0) !== V1_TIMESTAMPED_ENTRY)
    throw broken('a leaf of another version or type')
  const { end, ...entry } = readTimestampedEntry(leaf, 2, broken)
  if (end !== leaf.length) throw broken('a leaf that is longer than its entry')
  const isWhole = entry.kind === 'certificate'
  const chainStart = isWhole ? 0 : afterVector(extra, 0, 3, broken)
  if (afterVector(extra, chainStart, 3, broken) !== extra.length) throw broken('more than a chain')
  return { index, ...entry, ...(isWhole ? {} : { precertificate: extra.subarray(3, chainStart) }) }
}

/** The part of an entry that stands in the tree. */
export interface TimestampedEntry extends Omit<LogEntry, 'index' | 'precertificate'> {
  /** The position after it. */
  readonly end: number
}

/** @see RFC 6962 §3.4 */
export function readTimestampedEntry(bytes: Buffer, start: number, broken: Broken): TimestampedEntry {
  if (start + 10 > bytes.length) throw broken('cut short')
  const type = bytes.readUInt16BE(start + 8)
  if (type > 1) throw broken(`an entry of type ${type}`)
  const signedStart = type === 0 ? start + 10 : start + 10 + KEY_HASH_OCTETS
  const signedEnd = afterVector(bytes, signedStart, 3, broken)
  const end = afterVector(bytes, signedEnd, 2, broken) // its extensions
  return {
    timestamp: toUnixMs(Number(bytes.readBigUInt64BE(start))),
    kind: type === 0 ? 'certificate' : 'tbsCertificate',
    signedEntry: bytes.subarray(signedStart + 3, signedEnd),
    leafHash: leafHash(bytes.subarray(start, end)),
    end,
  }
}

/** The position after a vector whose length stands in so many octets (RFC 5246 §4.3). */
export function afterVector(bytes: Buffer, start: number, lengthOctets: number, broken: Broken): number {
  if (start + lengthOctets > bytes.length) throw broken('cut short')
  const end = start + lengthOctets + bytes.readUIntBE(start, lengthOctets)
  if (end > bytes.length) throw broken('cut short')
  return end
}

const V1_TIMESTAMPED_ENTRY = 0
const KEY_HASH_OCTETS = 32
