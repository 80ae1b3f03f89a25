/** Revoked serial numbers and what is known of each, without an object an entry: a million fit into 35 MB. */
export class SerialIndex {
  readonly #pages: Uint8Array[] = []
  #table: Uint32Array
  #used = PAGE_BYTES
  #size = 0

  /** @param expected Entries to come, roughly: a table that never grows never stops the event loop. */
  constructor(expected: number) {
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(8, expected * 2))))
  }

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
    if (length > MAX_SERIAL_OCTETS) throw new RangeError(`a serial number of ${length} octets`)
    const slot = this.#slotOf(bytes, start, end)
    const known = this.#table[slot] ?? 0
    const place = known === 0 ? this.#allocate(RECORD_HEAD + length) : known - 1
    const page = this.#pages[place >>> PAGE_BITS]
    if (page === undefined) throw new RangeError('a record without its page')
    const at = place & PAGE_MASK
    page[at] = length
    page[at + 1] = reason
    page[at + 2] = seconds >>> 24
    page[at + 3] = seconds >>> 16
    page[at + 4] = seconds >>> 8
    page[at + 5] = seconds
    if (known !== 0) return
    for (let i = 0; i < length; i += 1) page[at + RECORD_HEAD + i] = bytes[start + i] ?? 0
    this.#table[slot] = place + 1
    this.#size += 1
    if (this.#size * 4 > this.#table.length * 3) this.#grow()
  }

  get(serialNumber: Uint8Array): SerialRecord | undefined {
    const known = this.#table[this.#slotOf(serialNumber, 0, serialNumber.length)] ?? 0
    if (known === 0) return undefined
    const page = this.#pages[(known - 1) >>> PAGE_BITS] ?? NOTHING
    const at = (known - 1) & PAGE_MASK
    const reason = page[at + 1] ?? NO_REASON
    const revokedAt = new DataView(page.buffer).getUint32(at + 2) * 1_000
    return reason === NO_REASON ? { revokedAt } : { revokedAt, reason }
  }

  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#table.length - 1
    let slot = hashOf(bytes, start, end) & mask
    for (let known = this.#table[slot] ?? 0; known !== 0; known = this.#table[slot] ?? 0) {
      if (this.#isAt(known - 1, bytes, start, end)) return slot
      slot = (slot + 1) & mask
    }
    return slot
  }

  #isAt(place: number, bytes: Uint8Array, start: number, end: number): boolean {
    const page = this.#pages[place >>> PAGE_BITS] ?? NOTHING
    const at = place & PAGE_MASK
    if (page[at] !== end - start) return false
    for (let i = start; i < end; i += 1) if (page[at + RECORD_HEAD + i - start] !== bytes[i]) return false
    return true
  }

  #allocate(length: number): number {
    if (this.#used + length > PAGE_BYTES) {
      this.#pages.push(new Uint8Array(PAGE_BYTES))
      this.#used = 0
    }
    const place = (this.#pages.length - 1) * PAGE_BYTES + this.#used
    this.#used += length
    return place
  }

  #grow(): void {
    const before = this.#table
    this.#table = new Uint32Array(before.length * 2)
    for (const known of before) {
      if (known === 0) continue
      const page = this.#pages[(known - 1) >>> PAGE_BITS] ?? NOTHING
      const start = ((known - 1) & PAGE_MASK) + RECORD_HEAD
      this.#table[this.#slotOf(page, start, start + (page[start - RECORD_HEAD] ?? 0))] = known
    }
  }
}

export interface SerialRecord {
  /** Unix milliseconds. */
  readonly revokedAt: number
  readonly reason?: number
}

/** FNV-1a over the octets, then mixed: serial numbers are random already, but an attacker’s CA could choose them. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = SEED
  for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
}

export const NO_REASON = 0xff
const NOTHING = new Uint8Array(8)
const RECORD_HEAD = 6 // length, reason, seconds
const MAX_SERIAL_OCTETS = 64
const PAGE_BITS = 18
const PAGE_BYTES = 2 ** PAGE_BITS
const PAGE_MASK = PAGE_BYTES - 1
const SEED = 0x811c9dc5
