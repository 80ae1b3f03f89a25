import { BoundedMap } from '../encoding/bounded-map.ts'
import { type CanonicalHost, type CanonicalOrigin, canonicalHost } from '../encoding/host.ts'
import { StoreError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'

export interface HstsPolicy {
  readonly maxAgeSeconds: number
  readonly includeSubDomains: boolean
}

/**
 * Reads a `Strict-Transport-Security` field (RFC 6797 §6.1). `undefined` for one that breaks the grammar, names a directive
 * twice, or has no `max-age`: it is then ignored as a whole.
 */
export function parseHsts(field: string): HstsPolicy | undefined {
  if (field.length > MAX_FIELD_LENGTH) return undefined
  const directives = new Map<string, string | undefined>()
  DIRECTIVE.lastIndex = 0
  while (DIRECTIVE.lastIndex < field.length) {
    const found = DIRECTIVE.exec(field)
    if (found === null) return undefined
    const { name, token, quoted } = found.groups ?? {}
    if (name === undefined) continue // `;;` is allowed
    if (directives.has(name.toLowerCase())) return undefined
    directives.set(name.toLowerCase(), token ?? quoted?.replace(/\\(.)/g, '$1'))
  }
  const maxAge = directives.get('max-age') ?? ''
  const includeSubDomains = directives.has('includesubdomains')
  if (!/^\d+$/.test(maxAge) || directives.get('includesubdomains') !== undefined) return undefined
  return { maxAgeSeconds: Math.min(Number(maxAge), MAX_AGE_SECONDS), includeSubDomains }
}

export interface Hsts {
  /** @param field The first one of a response that came over a verified connection (§8.1). */
  readonly note: (origin: CanonicalOrigin, field: string) => void
  /** Whether the host, or one above it for its subdomains, said that it is to be asked over https alone. */
  readonly knows: (host: CanonicalHost) => boolean
  /** Settles when what earlier processes noted was read. */
  readonly loaded: Promise<void>
  /** Writes what has not been written yet. */
  readonly close: () => Promise<void>
}

interface Entry {
  readonly includeSubDomains: boolean
  readonly until: number
}

/** A host says the same in every response. */
interface Said {
  readonly field: string
  readonly policy: HstsPolicy | undefined
}

/**
 * What hosts said about https. No decision to send anything rests on it: plain http is refused either way. It lets an http
 * URL be read as https, and the refusal say why.
 *
 * Kept as one file, rewritten under the next number: the store overwrites nothing. Best effort, since forgetting costs a
 * refused URL.
 *
 * @param store Default: memory alone.
 */
export function createHsts({
  runtime,
  store,
}: {
  readonly runtime: Runtime
  readonly store?: Store | undefined
}): Hsts {
  const entries = new BoundedMap<CanonicalHost, Entry>(MAX_HOSTS)
  const said = new BoundedMap<CanonicalHost, Said>(MAX_HOSTS)
  const removed = new Set<CanonicalHost>()
  let saving: Promise<void> = Promise.resolve()
  let cancel: (() => void) | undefined

  const load = async (): Promise<number> => {
    const names = (await store?.list(FOLDER)) ?? []
    const newest = names
      .filter((name) => FILE.test(name))
      .sort()
      .at(-1)
    const bytes = newest === undefined ? undefined : await store?.get(newest)
    for (const [host, entry] of bytes === undefined ? [] : read(bytes)) {
      const known = entries.get(host)
      if (!removed.has(host) && (known === undefined || known.until < entry.until)) entries.set(host, entry)
    }
    return Number(FILE.exec(newest ?? '')?.[1] ?? 0)
  }

  const save = async (): Promise<void> => {
    if (store === undefined) return
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const number = await load() // others that share the store may have written meanwhile
      const now = runtime.clock.now()
      const kept = [...entries.entries()].filter(([, { until }]) => until > now)
      const text = JSON.stringify(kept.map(([host, entry]) => ({ host, ...entry })))
      if ((await store.put(nameOf(number + 1), Buffer.from(text))) === 'exists') continue
      removed.clear()
      if (number > 0) await store.delete(nameOf(number))
      return
    }
  }

  const saveSoon = (): void => {
    if (store === undefined) return
    cancel ??= runtime.schedule(SAVE_AFTER_MS, () => {
      cancel = undefined
      saving = saving.then(save).catch(ignoreStore)
    })
  }

  const note: Hsts['note'] = ({ host, kind }, field) => {
    if (kind === 'ip') return // §8.1.1
    const before = said.get(host)
    const policy = before?.field === field ? before.policy : parseHsts(field)
    if (before?.field !== field) said.set(host, { field: field.slice(0, MAX_FIELD_LENGTH + 1), policy })
    if (policy === undefined) return
    const { maxAgeSeconds, includeSubDomains } = policy
    const known = entries.get(host)
    if (maxAgeSeconds === 0) {
      if (known === undefined) return
      entries.delete(host)
      if (store !== undefined) removed.add(host) // without one, nothing brings it back, and nothing would clear the set
      return saveSoon()
    }
    const until = runtime.clock.now() + maxAgeSeconds * 1_000
    const isNews = known?.includeSubDomains !== includeSubDomains || Math.abs(until - known.until) > DAY_MS
    removed.delete(host)
    entries.set(host, { includeSubDomains, until })
    if (isNews) saveSoon()
  }

  const knows: Hsts['knows'] = (host) => {
    const now = runtime.clock.now()
    for (let at: string = host; ; at = at.slice(at.indexOf('.') + 1)) {
      const entry = entries.get(at as CanonicalHost)
      if (entry !== undefined && now < entry.until && (at === host || entry.includeSubDomains)) return true
      if (!at.includes('.')) return false
    }
  }

  return {
    note,
    knows,
    loaded: load().then(() => undefined, ignoreStore),
    close: async () => {
      const isPending = cancel !== undefined
      cancel?.()
      cancel = undefined
      if (isPending) saving = saving.then(save).catch(ignoreStore)
      await saving
    },
  }
}

function ignoreStore(error: unknown): void {
  if (!(error instanceof StoreError)) throw error
}

const nameOf = (number: number): string => `${FOLDER}${String(number).padStart(10, '0')}.json`

/** Entries that are as this module writes them; a file that is not is worth nothing. */
function read(bytes: Uint8Array): readonly (readonly [CanonicalHost, Entry])[] {
  let list: unknown
  try {
    list = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return []
  }
  if (!Array.isArray(list)) return []
  return list.slice(0, MAX_HOSTS).flatMap((entry: unknown) => {
    const { host, includeSubDomains, until } = (entry ?? {}) as Record<string, unknown>
    const canonical = typeof host === 'string' ? canonicalHost(host) : undefined
    const isEntry = canonical === host && typeof includeSubDomains === 'boolean' && Number.isSafeInteger(until)
    return canonical !== undefined && isEntry ? [[canonical, { includeSubDomains, until: Number(until) }] as const] : []
  })
}

/** One directive and what ends it. */
const DIRECTIVE =
  /[ \t]*(?:(?<name>[!#$%&'*+.^_`|~\w-]+)[ \t]*(?:=[ \t]*(?:(?<token>[!#$%&'*+.^_`|~\w-]+)|"(?<quoted>(?:[^"\\]|\\.)*)")[ \t]*)?)?(?:;|$)/y
const FOLDER = 'hsts/'
const FILE = /(\d{10})\.json$/
const MAX_FIELD_LENGTH = 1_024
const MAX_AGE_SECONDS = 315_360_000 // ten years; sites that mean "for ever" send one or two
const MAX_HOSTS = 1_000
const DAY_MS = 86_400_000 // each response renews `max-age`; that is no reason to write each time
const SAVE_AFTER_MS = 1_000
const MAX_ATTEMPTS = 3
