import { isIP } from 'node:net'
import type { HostEntry } from './schema.ts'

/**
 * The entries of one manifest, kept as text and read when asked for: 100,000 entries as objects would hold five times the
 * memory, for a client that talks to few of them. What is kept passed the schema, so it is read without it.
 *
 * A record is the key, NUL, the entry as JSON, LF; `#slots` finds it by the key's hash, with linear probing.
 */
export class HostTable {
  #bytes: Buffer
  #length = 0
  /** Where a record starts, plus one; 0 is free. At most half of them are taken. */
  #slots: Uint32Array
  #size = 0
  #hasRamps = false
  readonly #dated: string[] = []

  /** @param expectedBytes Of the entries as text, roughly: moving 100,000 of them to a larger place holds up requests. */
  constructor(expectedBytes = 0) {
    this.#bytes = Buffer.alloc(Math.ceil(expectedBytes * 1.25)) // the keys come on top
    this.#slots = new Uint32Array(2 ** Math.max(4, Math.ceil(Math.log2(expectedBytes / 64))))
  }

  /** @returns False when an entry for the same host and port is there, which then stays. */
  add(entry: HostEntry): boolean {
    const key = hostKey(entry.host, entry.port)
    if (this.has(key)) return false
    const record = `${key}\0${JSON.stringify(entry)}\n` // JSON.stringify escapes both marks
    this.#reserve(Buffer.byteLength(record))
    this.#size += 1
    this.#hasRamps ||= entry.rampPercent !== undefined
    if (this.#dated.length < MAX_DATED && hasDate(entry)) this.#dated.push(key)
    if (this.#size * 2 > this.#slots.length) this.#grow()
    this.#slots[this.#slotOf(key)] = this.#length + 1
    this.#length += this.#bytes.write(record, this.#length)
    return true
  }

  /** Gives back what was reserved for growing; nothing is added afterwards. */
  seal(): this {
    this.#bytes = Buffer.from(this.#bytes.subarray(0, this.#length))
    return this
  }

  get size(): number {
    return this.#size
  }

  /** Whether an entry is for a share of the clients. */
  get hasRamps(): boolean {
    return this.#hasRamps
  }

  /** Keys of entries of which something ends by itself, the first thousand: all others need not be read to know what ends. */
  get dated(): readonly string[] {
    return this.#dated
  }

  /** In the order they were added. */
  *keys(): Generator<string> {
    for (let start = 0; start < this.#length; start = this.#bytes.indexOf(END_OF_RECORD, start) + 1) {
      yield this.#bytes.toString('latin1', start, this.#bytes.indexOf(END_OF_KEY, start))
    }
  }

  has(key: string): boolean {
    return this.#slots[this.#slotOf(key)] !== 0
  }

  get(key: string): HostEntry | undefined {
    const record = this.#record(key)
    return record === undefined ? undefined : (JSON.parse(record.toString('utf8', key.length + 1)) as HostEntry)
  }

  *[Symbol.iterator](): Generator<HostEntry> {
    for (const key of this.keys()) yield this.get(key) as HostEntry // each key that it names has its entry
  }

  hasSame(key: string, other: HostTable): boolean {
    const [ours, theirs] = [this.#record(key), other.#record(key)]
    return ours !== undefined && theirs !== undefined && ours.equals(theirs)
  }

  #record(key: string): Buffer | undefined {
    const start = (this.#slots[this.#slotOf(key)] ?? 0) - 1
    return start < 0 ? undefined : this.#bytes.subarray(start, this.#bytes.indexOf(END_OF_RECORD, start))
  }

  /** The slot of the key, or the free one where it belongs. Keys are ASCII. */
  #slotOf(key: string): number {
    const mask = this.#slots.length - 1
    for (let slot = hashOf(key) & mask; ; slot = (slot + 1) & mask) {
      const start = (this.#slots[slot] ?? 0) - 1
      if (start < 0) return slot
      const end = start + key.length
      if (this.#bytes[end] === END_OF_KEY && this.#bytes.toString('latin1', start, end) === key) return slot
    }
  }

  #grow(): void {
    const starts = this.#slots.filter((start) => start !== 0)
    this.#slots = new Uint32Array(this.#slots.length * 2)
    for (const start of starts) {
      const key = this.#bytes.toString('latin1', start - 1, this.#bytes.indexOf(END_OF_KEY, start - 1))
      this.#slots[this.#slotOf(key)] = start
    }
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = Buffer.alloc(needed * 2)
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

const hasDate = ({ sunset, pins }: HostEntry): boolean =>
  sunset !== undefined || pins.some(({ notAfter }) => notAfter !== undefined)

/** FNV-1a, 32 bits. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash >>> 0
}

/** One spelling for a host or pattern with or without a port: `api.example.com`, `*.example.com:8443`, `[::1]:8443`. */
export function hostKey(host: string, port?: number): string {
  if (port === undefined) return host
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

export const NO_HOSTS = new HostTable()
const END_OF_KEY = 0
const END_OF_RECORD = 10
const MAX_DATED = 1_000
