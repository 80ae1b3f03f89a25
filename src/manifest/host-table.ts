import { isIP } from 'node:net'
import { nextTurn } from '../ports/turn.ts'
import type { HostEntry } from './schema.ts'

/**
 * The entries of one manifest, kept as text and read when asked for: 100,000 entries as objects would hold five times the
 * memory, for a client that talks to few of them. What is kept passed the schema, so it is read without it.
 */
export class HostTable {
  readonly #starts = new Map<string, number>()
  #bytes = Buffer.alloc(0)
  #length = 0

  /** @returns False when an entry for the same host and port is there, which then stays. */
  add(entry: HostEntry): boolean {
    const key = hostKey(entry.host, entry.port)
    if (this.#starts.has(key)) return false
    const text = `${JSON.stringify(entry)}\n` // JSON.stringify escapes every line feed, so one ends the entry
    this.#reserve(Buffer.byteLength(text))
    this.#starts.set(key, this.#length)
    this.#length += this.#bytes.write(text, this.#length)
    return true
  }

  /** Gives back what was reserved for growing; nothing is added afterwards. */
  seal(): this {
    this.#bytes = Buffer.from(this.#bytes.subarray(0, this.#length))
    return this
  }

  get size(): number {
    return this.#starts.size
  }

  /** In the order they were added. */
  keys(): IterableIterator<string> {
    return this.#starts.keys()
  }

  has(key: string): boolean {
    return this.#starts.has(key)
  }

  get(key: string): HostEntry | undefined {
    const bytes = this.#entry(key)
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString('utf8')) as HostEntry)
  }

  *[Symbol.iterator](): Generator<HostEntry> {
    for (const key of this.keys()) {
      const entry = this.get(key)
      if (entry !== undefined) yield entry
    }
  }

  hasSame(key: string, other: HostTable): boolean {
    const [ours, theirs] = [this.#entry(key), other.#entry(key)]
    return ours !== undefined && theirs !== undefined && ours.equals(theirs)
  }

  #entry(key: string): Buffer | undefined {
    const start = this.#starts.get(key)
    return start === undefined ? undefined : this.#bytes.subarray(start, this.#bytes.indexOf(LINE_FEED, start))
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = Buffer.alloc(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

/** One spelling for a host or pattern with or without a port: `api.example.com`, `*.example.com:8443`, `[::1]:8443`. */
export function hostKey(host: string, port?: number): string {
  if (port === undefined) return host
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** Which entries a manifest brings, drops and alters. */
export interface HostChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
}

/** In turns: comparing 200,000 entries at once would keep every request waiting. */
export async function difference(before: HostTable, after: HostTable): Promise<HostChanges> {
  const added: string[] = []
  const removed: string[] = []
  const changed: string[] = []
  let compared = 0
  for (const key of after.keys()) {
    compared += 1
    if (compared % KEYS_A_TURN === 0) await nextTurn()
    if (after.hasSame(key, before)) continue
    if (before.has(key)) changed.push(key)
    else added.push(key)
  }
  for (const key of before.keys()) if (!after.has(key)) removed.push(key)
  return { added, removed, changed }
}

export const NO_HOSTS = new HostTable()
const LINE_FEED = 10
const KEYS_A_TURN = 5_000 // some 5 ms
