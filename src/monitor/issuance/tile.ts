import { hash } from 'node:crypto'
import { MonitorError } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'

/** One entry of a log, as its data tile has it. Members are views of the tile. */
export interface TileEntry {
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

/**
 * The entries of a data tile, each with its leaf hash. Pure, synchronous, and no more than their octets.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_TILE`
 * @see https://c2sp.org/static-ct-api, TileLeaf; RFC 6962 §3.4
 */
export function readTile(
  octets: Uint8Array,
  {
    index,
    width,
  }: {
    /** Of the tile; its first entry is 256 times that. */
    readonly index: number
    /** How many entries it has: 256, or fewer at the end of the log. */
    readonly width: number
  },
): readonly TileEntry[] {
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
  const entries: TileEntry[] = []
  let at = 0
  /** The position after a vector whose length stands in so many octets. */
  const afterVector = (start: number, lengthOctets: number): number => {
    if (start + lengthOctets > bytes.length) throw broken(index, 'cut short')
    const end = start + lengthOctets + bytes.readUIntBE(start, lengthOctets)
    if (end > bytes.length) throw broken(index, 'cut short')
    return end
  }
  while (entries.length < width) {
    const start = at
    if (start + 10 > bytes.length) throw broken(index, `cut short after ${entries.length} of ${width} entries`)
    const type = bytes.readUInt16BE(start + 8)
    if (type > 1) throw broken(index, `an entry of type ${type}`)
    const signedStart = type === 0 ? start + 10 : start + 10 + KEY_HASH_OCTETS
    const signedEnd = afterVector(signedStart, 3)
    const entryEnd = afterVector(signedEnd, 2) // its extensions
    const precertificateEnd = type === 0 ? entryEnd : afterVector(entryEnd, 3)
    at = afterVector(precertificateEnd, 2) // fingerprints of the issuers
    entries.push({
      index: index * TILE_WIDTH + entries.length,
      timestamp: toUnixMs(Number(bytes.readBigUInt64BE(start))),
      kind: type === 0 ? 'certificate' : 'tbsCertificate',
      signedEntry: bytes.subarray(signedStart + 3, signedEnd),
      ...(type === 0 ? {} : { precertificate: bytes.subarray(entryEnd + 3, precertificateEnd) }),
      leafHash: leafHashOf(bytes.subarray(start, entryEnd)),
    })
  }
  if (at !== bytes.length) throw broken(index, `more than ${width} entries`)
  return entries
}

/**
 * Compares the entries with the hashes of their level-0 tile, which the caller proved to be of the tree.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_TILE`
 */
export function verifyTile(entries: readonly TileEntry[], hashes: Uint8Array): void {
  const expected = Buffer.from(hashes.buffer, hashes.byteOffset, hashes.byteLength)
  if (expected.length !== entries.length * HASH_OCTETS) throw broken(0, 'as many hashes as entries were expected')
  for (const [position, { leafHash, index }] of entries.entries()) {
    const start = position * HASH_OCTETS
    if (expected.compare(leafHash, 0, HASH_OCTETS, start, start + HASH_OCTETS) === 0) continue
    throw new MonitorError('ERR_MONITOR_LOG_TILE', `entry ${index} of the log is not the one in its tree`)
  }
}

function leafHashOf(timestampedEntry: Uint8Array): Uint8Array {
  const length = LEAF_PREFIX_OCTETS + timestampedEntry.length
  if (length > scratch.length) scratch = new Uint8Array(length * 2) // what stands in front of the entry is all zero
  scratch.set(timestampedEntry, LEAF_PREFIX_OCTETS)
  return hash('sha256', scratch.subarray(0, length), 'buffer')
}

const broken = (index: number, what: string): MonitorError =>
  new MonitorError('ERR_MONITOR_LOG_TILE', `data tile ${index} of the log: ${what}`)

let scratch = new Uint8Array(16_384)

export const TILE_WIDTH = 256
export const HASH_OCTETS = 32
const KEY_HASH_OCTETS = 32
const LEAF_PREFIX_OCTETS = 3 // RFC 6962 §2.1: 0 for a leaf; §3.4: version 0, timestamped_entry 0
