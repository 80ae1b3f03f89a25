import { MonitorError } from '../../errors/errors.ts'
import { afterVector, type LogEntry, readTimestampedEntry } from './entry.ts'
import { HASH_OCTETS } from './merkle.ts'

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
): readonly LogEntry[] {
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
  const entries: LogEntry[] = []
  const brokenHere = (what: string): MonitorError =>
    broken(index, `${what} after ${entries.length} of ${width} entries`)
  let at = 0
  while (entries.length < width) {
    const { end, ...entry } = readTimestampedEntry(bytes, at, brokenHere)
    const isWhole = entry.kind === 'certificate'
    const precertificateEnd = isWhole ? end : afterVector(bytes, end, 3, brokenHere)
    at = afterVector(bytes, precertificateEnd, 2, brokenHere) // fingerprints of the issuers
    entries.push({
      index: index * TILE_WIDTH + entries.length,
      ...entry,
      ...(isWhole ? {} : { precertificate: bytes.subarray(end + 3, precertificateEnd) }),
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
export function verifyTile(entries: readonly LogEntry[], hashes: Uint8Array): void {
  const expected = Buffer.from(hashes.buffer, hashes.byteOffset, hashes.byteLength)
  if (expected.length !== entries.length * HASH_OCTETS) throw broken(0, 'as many hashes as entries were expected')
  for (const [position, { leafHash, index }] of entries.entries()) {
    const start = position * HASH_OCTETS
    if (expected.compare(leafHash, 0, HASH_OCTETS, start, start + HASH_OCTETS) === 0) continue
    throw new MonitorError('ERR_MONITOR_LOG_TILE', `entry ${index} of the log is not the one in its tree`)
  }
}

const broken = (index: number, what: string): MonitorError =>
  new MonitorError('ERR_MONITOR_LOG_TILE', `data tile ${index} of the log: ${what}`)

export const TILE_WIDTH = 256
