/** A map that forgets its least recently used entry once it is full. Memory of it changes speed and nothing else. */
export class BoundedMap<Key, Value> {
  readonly #entries = new Map<Key, Value>()
  /** One iterator for good: a new one would step over every hole that those before it left. */
  readonly #oldest = this.#entries.keys()
  readonly #capacity: number
  #newest: Key | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined || key === this.#newest) return value
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#newest = key
    return value
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  /** The least recently used first. */
  entries(): IterableIterator<[Key, Value]> {
    return this.#entries.entries()
  }

  /** The least recently used first. */
  values(): IterableIterator<Value> {
    return this.#entries.values()
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#newest = key
    if (this.#entries.size <= this.#capacity) return
    const oldest = this.#oldest.next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }
}
