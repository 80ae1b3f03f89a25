/**
 * Revoked serial numbers and what is known of each, without an object an entry: a million fit into 28 MB. Records of one
 * hash follow each other in chunks, the newest chunk first; adding only ever appends, so that no list, however its serial
 * numbers were chosen, makes it slow, and nothing is moved when it grows.
 */
export class SerialIndex {
  readonly #pages: Uint8Array[] = []
  readonly #pageBits: number
  /** Of each hash, place of its newest chunk and of the next record in it. */
  readonly #chunks: Uint32Array
  readonly #nexts: Uint32Array
  #used = 0
  #size = 0

  /** @param expected Entries to come, roughly: a wrong guess costs `get` some time. */
  constructor(expected: number) {
    const hashes = 2 ** Math.ceil(Math.log2(expected / RECORDS_A_HASH))
    this.#chunks = new Uint32Array(Math.min(Math.max(hashes, MIN_HASHES), MAX_HASHES))
    this.#nexts = new Uint32Array(this.#chunks.length)
    this.#pageBits = expected > MIN_HASHES * RECORDS_A_HASH ? PAGE_BITS : SMALL_PAGE_BITS
  }

  /** Entries added; one that was added twice counts twice. */
  get size(): number {
    return this.#size
  }

  /**
   * Adds the serial number `bytes[start..end)`, content octets of an INTEGER; of two entries the later counts.
   *
   * @param reason CRLReason, or `NO_REASON`. @param seconds Unix seconds of the revocation.
   */
  add(bytes: Uint8Array, start: number, end: number, reason: number, seconds: number): void {
    const length = end - start
    if (length === 0 || length > MAX_SERIAL_OCTETS) throw new RangeError(`a serial number of ${length} octets`)
    const hash = hashOf(bytes, start, end) & (this.#chunks.length - 1)
    let next = this.#nexts[hash] ?? 0
    // Places are multiples of a chunk only before the first record, and where a chunk is full to the last octet.
    if ((next & CHUNK_MASK) === 0 || (next & CHUNK_MASK) + RECORD_HEAD + length > CHUNK_BYTES) next = this.#begin(hash)
    const page = this.#pages[next >>> this.#pageBits] ?? NOTHING
    let at = next & ((1 << this.#pageBits) - 1)
    page[at] = length
    page[at + 1] = reason
    page[at + 2] = seconds >>> 24
    page[at + 3] = seconds >>> 16
    page[at + 4] = seconds >>> 8
    page[at + 5] = seconds
    at += RECORD_HEAD
    for (let from = start; from < end; from += 1, at += 1) page[at] = bytes[from] ?? 0
    this.#nexts[hash] = next + RECORD_HEAD + length
    this.#size += 1
  }

  get(serialNumber: Uint8Array): SerialRecord | undefined {
    const hash = hashOf(serialNumber, 0, serialNumber.length) & (this.#chunks.length - 1)
    let chunk = this.#chunks[hash] ?? 0
    while (chunk !== 0) {
      const page = this.#pages[(chunk - 1) >>> this.#pageBits] ?? NOTHING
      const start = (chunk - 1) & ((1 << this.#pageBits) - 1)
      const at = lastIn(page, start + LINK_BYTES, start + CHUNK_BYTES, serialNumber)
      const view = new DataView(page.buffer)
      if (at !== undefined) return recordAt(view, at)
      chunk = view.getUint32(start)
    }
    return undefined
  }

  /** A new chunk that leads to the one before. @returns Place of its first record. */
  #begin(hash: number): number {
    const pageBytes = 1 << this.#pageBits
    if (this.#used === this.#pages.length * pageBytes) this.#pages.push(new Uint8Array(pageBytes))
    const page = this.#pages.at(-1) ?? NOTHING
    const chunk = this.#used
    this.#used += CHUNK_BYTES
    new DataView(page.buffer).setUint32(chunk & (pageBytes - 1), this.#chunks[hash] ?? 0)
    this.#chunks[hash] = chunk + 1 // 0 is none
    return chunk + LINK_BYTES
  }
}

export interface SerialRecord {
  /** Unix milliseconds. */
  readonly revokedAt: number
  readonly reason?: number
}

/** The last record about the serial number; what follows the records of a chunk is zero, and no serial number is empty. */
function lastIn(page: Uint8Array, start: number, end: number, serialNumber: Uint8Array): number | undefined {
  let found: number | undefined
  for (let at = start; at < end && page[at] !== 0; at += RECORD_HEAD + (page[at] ?? 0)) {
    if (page[at] === serialNumber.length && isAt(page, at + RECORD_HEAD, serialNumber)) found = at
  }
  return found
}

function isAt(page: Uint8Array, at: number, serialNumber: Uint8Array): boolean {
  for (let i = 0; i < serialNumber.length; i += 1) if (page[at + i] !== serialNumber[i]) return false
  return true
}

function recordAt(view: DataView, at: number): SerialRecord {
  const [reason, revokedAt] = [view.getUint8(at + 1), view.getUint32(at + 2) * 1_000]
  return reason === NO_REASON ? { revokedAt } : { revokedAt, reason }
}

/** FNV-1a over the octets, then mixed. A CA that chooses its serial numbers gains a `get` that looks at all of them. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = SEED
  for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 16
}

export const NO_REASON = 0xff
export const MAX_SERIAL_OCTETS = 64
const NOTHING = new Uint8Array(8)
const RECORD_HEAD = 6 // length, reason, seconds
const LINK_BYTES = 4
const CHUNK_BYTES = 1_024
const CHUNK_MASK = CHUNK_BYTES - 1
const PAGE_BITS = 18
const SMALL_PAGE_BITS = 12 // an indirect list has an index for each of its issuers
const RECORDS_A_HASH = 128
const MIN_HASHES = 64
const MAX_HASHES = 4_096 // whose chunks being written fit into the processor's cache
const SEED = 0x811c9dc5
