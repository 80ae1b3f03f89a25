/** What a table of tenants asks of its entries. */
export interface Tenancy {
  /** Monotonic. */
  usedAt: number
  /** Whether nothing runs, and nothing would be lost with it. */
  readonly isIdle: boolean
  readonly hasToken: boolean
}

/**
 * One entry a tenant, up to a number: then those go whose token is over, and those that were not used for the longest. What is
 * forgotten here is still in the store.
 */
export class Tenants<Entry extends Tenancy> {
  readonly #entries = new Map<string | undefined, Entry>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(tenant: string | undefined): Entry | undefined {
    return this.#entries.get(tenant)
  }

  add(tenant: string | undefined, entry: Entry): void {
    if (this.#entries.size >= this.#capacity) this.#evict()
    this.#entries.set(tenant, entry)
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values()
  }

  delete(tenant: string | undefined): void {
    this.#entries.delete(tenant)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Several at once: looking through all of them for every new one would make many tenants slow. */
  #evict(): void {
    const idle = [...this.#entries].filter(([, entry]) => entry.isIdle)
    idle.sort(([, one], [, other]) => Number(one.hasToken) - Number(other.hasToken) || one.usedAt - other.usedAt)
    for (const [tenant] of idle.slice(0, Math.ceil(this.#capacity / EVICTED_SHARE))) this.#entries.delete(tenant)
  }
}

const EVICTED_SHARE = 64
