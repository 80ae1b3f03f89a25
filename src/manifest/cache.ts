import { createHash } from 'node:crypto'
import { ManifestError, PinfetchError, StoreError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import {
  type AcceptedManifest,
  type AcceptedStatus,
  checkNamed,
  type ManifestFacts,
  type ManifestFloor,
  type SignedManifest,
  verifyManifest,
  verifyStatus,
  withHosts,
} from './accept.ts'
import { type BlobCache, createBlobCache } from './blob-cache.ts'
import { addDenies, clearDenies, type StickyDeny } from './denies.ts'
import { blobMissing, type ReadBlob } from './hosts.ts'
import type { Knowledge } from './knowledge.ts'
import { payloadText } from './payload-text.ts'
import { acceptRoot, type TrustedRoot } from './root.ts'
import type { ManifestPointer } from './schema.ts'

/** What a process finds from those before it: everything verified again, from the embedded root on. */
export interface Restored {
  readonly known: Knowledge
  /** The newest manifest and status that belong together and that the current root’s keys stand behind. */
  readonly active?: { readonly manifest: AcceptedManifest; readonly status: AcceptedStatus }
}

export interface ManifestCache {
  readonly load: (anchor: TrustedRoot) => Promise<Restored>
  readonly saveRoot: (root: TrustedRoot) => Promise<void>
  readonly saveStatus: (status: AcceptedStatus) => Promise<void>
  readonly saveManifest: (manifest: AcceptedManifest) => Promise<void>
  readonly blobs: Pick<BlobCache, 'load' | 'save'>
  /** Lets go of what nobody needs any more. */
  readonly prune: (inUse: InUse) => Promise<void>
  /** A random id, the same for every process that shares the cache: which side of a canary this client is on. */
  readonly clientId: () => Promise<string>
}

export interface InUse {
  readonly active?: { readonly manifest: AcceptedManifest; readonly status: AcceptedStatus } | undefined
  readonly denies: readonly StickyDeny[]
}

/**
 * Keeps accepted documents as the exact bytes received. The directory is a register that only grows: names carry version
 * and hash, nothing is overwritten, and reading takes the newest that verifies. Whoever can write there can make the client
 * forget, never make it trust.
 *
 * Best effort: a store that fails raises `manifest.cacheError` and the client goes on without it.
 */
export function createCache({ store, repo, env, runtime, emit }: CacheOptions): ManifestCache {
  const base = cacheBase(repo, env)
  let ownId: string | undefined

  const bestEffort = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      emit({ type: 'manifest.cacheError', code: error.code, message: error.message })
      return otherwise
    }
  }

  const corrupt = (name: string, error: unknown): void => {
    if (!(error instanceof ManifestError)) throw error
    emit({
      type: 'manifest.cacheError',
      code: 'ERR_MANIFEST_CACHE_CORRUPT',
      message: `${name}: ignored; ${error.message}`,
    })
  }

  const get = (name: string) => bestEffort(() => store.get(name), undefined)

  /** A taken name that holds other bytes holds garbage, since the name has the hash of what belongs there. */
  const put = (name: string, bytes: Uint8Array): Promise<void> =>
    bestEffort(async () => {
      if ((await store.put(name, bytes)) === 'written') return
      const held = await store.get(name)
      if (held !== undefined && Buffer.compare(held, bytes) === 0) return
      await store.delete(name)
      await store.put(name, bytes)
    }, undefined)

  const remove = (name: string) => bestEffort(() => store.delete(name), undefined)
  const blobs = createBlobCache(
    base,
    { get, put, corrupt, remove, list: (prefix) => bestEffort(() => store.list(prefix), []) },
    runtime,
  )

  const list = async (kind: 'status' | 'manifest'): Promise<readonly StoredName[]> => {
    const names = await bestEffort(() => store.list(`${base}${kind}/`), [])
    return names.flatMap((name) => parseName(name) ?? []).sort(newestFirst)
  }

  const loadRoots = async (anchor: TrustedRoot): Promise<ReadonlyMap<number, TrustedRoot>> => {
    const roots = new Map([[anchor.version, anchor]])
    for (let newest = anchor; ; ) {
      const name = rootName(base, newest.version + 1)
      const bytes = await get(name)
      if (bytes === undefined) return roots
      try {
        newest = await acceptRoot(bytes, newest, END_OF_TIME, name)
      } catch (error) {
        corrupt(name, error)
        return roots
      }
      roots.set(newest.version, newest)
    }
  }

  /** Each document is judged by the root that was in force when it was accepted: its name says which. */
  const loadAll = async <Document>(
    kind: 'status' | 'manifest',
    roots: ReadonlyMap<number, TrustedRoot>,
    verify: (bytes: Uint8Array, root: TrustedRoot, source: string) => Promise<Document>,
  ): Promise<readonly Document[]> => {
    const documents: Document[] = []
    for (const { name, rootVersion } of (await list(kind)).slice(0, MAX_FILES_READ)) {
      const root = roots.get(rootVersion)
      if (root === undefined) continue
      const bytes = await get(name)
      if (bytes === undefined) continue
      try {
        documents.push(await verify(bytes, root, name))
      } catch (error) {
        corrupt(name, error)
      }
    }
    return documents
  }

  /**
   * Manifests first: they are saved after the status that names them, so what another process adds meanwhile cannot leave a
   * manifest here that no status names.
   */
  const read = async (anchor: TrustedRoot): Promise<Restored> => {
    const roots = await loadRoots(anchor)
    const root = [...roots.values()].at(-1) ?? anchor
    const manifests = (await loadAll('manifest', roots, verifyManifest)).toSorted(byVersion)
    const statuses = (await loadAll('status', roots, verifyStatus)).toSorted(byVersion)
    const restored = await restore(root, statuses, manifests, runtime, async (reference) => {
      const blob = await blobs.load(reference)
      if (blob === undefined) throw blobMissing(reference)
      return blob
    })
    if (restored.active?.manifest.hosts.hasRamps !== true) return restored
    return { ...restored, known: { ...restored.known, clientId: await clientId() } }
  }

  const clientId = async (): Promise<string> => {
    ownId ??= Buffer.from(runtime.random(16)).toString('hex')
    const made = Buffer.from(ownId)
    await bestEffort(async () => void (await store.put(`${base}id`, made)), undefined)
    const held = Buffer.from((await get(`${base}id`)) ?? new Uint8Array()).toString('latin1')
    if (/^[0-9a-f]{32}$/.test(held)) ownId = held
    return ownId
  }

  /** Tells whether other processes wrote or pruned between two reads. */
  const listed = async (): Promise<string> =>
    [...(await list('manifest')), ...(await list('status'))].map(({ name }) => name).join()

  return {
    load: async (anchor) => {
      await bestEffort(async () => store.inspect?.(), undefined)
      for (let reads = 1; ; reads += 1) {
        const before = await listed()
        const restored = await read(anchor)
        if (restored.active !== undefined || reads === MAX_READS || (await listed()) === before) return restored
      }
    },
    saveRoot: (root) => put(rootName(base, root.version), root.bytes),
    saveStatus: (status) => put(documentName(base, 'status', status), status.bytes),
    blobs: { load: blobs.load, save: async (...blob) => (store.volatile ? undefined : blobs.save(...blob)) },
    saveManifest: (manifest) => put(documentName(base, 'manifest', manifest), manifest.bytes),
    prune: async ({ active, denies }) => {
      const inUse = new Set(
        active === undefined
          ? []
          : [documentName(base, 'status', active.status), documentName(base, 'manifest', active.manifest)],
      )
      for (const kind of ['status', 'manifest'] as const) {
        for (const { name } of (await list(kind)).slice(KEEP)) {
          if (inUse.has(name) || (kind === 'status' && (await holdsDeny(name, denies)))) continue
          await remove(name)
        }
      }
      await blobs.prune((await list('manifest')).map(({ name }) => name))
    },
    clientId,
  }

  /** Errs on the side of keeping the file: it is searched as text, unverified, and what cannot be read now may hold anything. */
  async function holdsDeny(name: string, denies: readonly StickyDeny[]): Promise<boolean> {
    if (denies.length === 0) return false
    const held = await get(name)
    const payload = payloadText(held)
    return held === undefined || denies.some(({ spki }) => payload.includes(spki))
  }
}

export interface CacheOptions {
  readonly store: Store
  readonly repo: string
  readonly env: string
  readonly runtime: Runtime
  readonly emit: Emit
}

/** Joins verified documents into what is known. A document of an older epoch adds denies and nothing else. */
async function restore(
  root: TrustedRoot,
  statuses: readonly AcceptedStatus[],
  manifests: readonly SignedManifest[],
  { clock }: Runtime,
  readBlob: ReadBlob,
): Promise<Restored> {
  const { roles } = root.payload
  const current = statuses.filter(({ epoch }) => epoch === roles.status.epoch)
  const candidates = manifests.filter(({ epoch }) => epoch === roles.manifest.epoch)
  const [status, floor] = [current[0], candidates[0]]
  const denied = [...statuses].reverse().reduce(addDenies, [] as readonly StickyDeny[]) // the oldest first
  const denies = manifests.reduce(clearDenies, denied)
  const issuedAt = Math.max(0, ...[...current, ...candidates].map(({ payload }) => payload.issuedAt))
  const known: Knowledge = {
    root,
    denies,
    everAccepted: manifests.length > 0,
    ...(issuedAt === 0 ? {} : { timeFloor: { issuedAt: toUnixMs(issuedAt), acceptedAt: clock.monotonic() } }),
    ...(status === undefined ? {} : { status }),
    ...(floor === undefined ? {} : { floor: floorOf(floor, status) }),
  }
  const active = await findActive(root, current, floor, readBlob)
  return active === undefined ? { known } : { known, active }
}

/** Which canary led to the floor is not stored; the newest status says what was current. */
function floorOf({ version, sha256, payload }: ManifestFacts, status: AcceptedStatus | undefined): ManifestFloor {
  const current = Math.min(version, status?.payload.manifest.version ?? version)
  return { version, sha256, current, revocations: payload.revocations, expires: payload.expires }
}

/**
 * Only the newest manifest may be in force again; an older one would be a rollback by restart. A status must have named it;
 * it is as fresh as the newest status that names it still, or names an older one, which is what a client ahead of an
 * aborted canary sees.
 */
async function findActive(
  root: TrustedRoot,
  statuses: readonly AcceptedStatus[],
  newest: SignedManifest | undefined,
  readBlob: ReadBlob,
): Promise<Restored['active']> {
  const named = statuses.flatMap((status) => pointersOf(status)).find(({ sha256 }) => sha256 === newest?.sha256)
  if (newest === undefined || named === undefined) return undefined
  const behind = statuses.find(
    (status) =>
      pointersOf(status).some(({ sha256 }) => sha256 === newest.sha256) ||
      (status.manifestEpoch === newest.epoch && status.payload.manifest.version < newest.version),
  )
  if (behind === undefined) return undefined
  try {
    const current = (document: { readonly rootVersion: number }): boolean => document.rootVersion === root.version
    const status = current(behind) ? behind : await verifyStatus(behind.bytes, root)
    const manifest = current(newest) ? newest : await verifyManifest(newest.bytes, root)
    checkNamed(manifest, named, root)
    return { status, manifest: await withHosts(manifest, readBlob) }
  } catch (error) {
    if (error instanceof PinfetchError) return undefined // signed by a key rotated since: a floor, no more
    throw error
  }
}

function pointersOf({ payload: { manifest, canary } }: AcceptedStatus): readonly ManifestPointer[] {
  return canary === undefined ? [manifest] : [manifest, canary.manifest]
}

interface StoredName {
  readonly name: string
  readonly epoch: number
  readonly version: number
  readonly rootVersion: number
}

/** Where a store keeps what belongs to one repository and environment. */
export function cacheBase(repo: string, env: string): string {
  return `${createHash('sha256').update(repo).digest('hex').slice(0, 16)}/${env}/`
}

export function rootName(base: string, version: number): string {
  return `${base}roots/${pad(version, 6)}.json`
}

function documentName(base: string, kind: 'status' | 'manifest', document: AcceptedStatus | ManifestFacts): string {
  const { epoch, version, rootVersion, sha256 } = document
  return `${base}${kind}/${pad(epoch, 6)}.${pad(version, 16)}.${pad(rootVersion, 6)}.${sha256.slice(0, 16)}.json`
}

export function parseName(name: string): StoredName | undefined {
  const match = /\/(\d{6,16})\.(\d{16})\.(\d{6,16})\.[0-9a-f]{16}\.json$/.exec(name)
  if (match === null) return undefined
  return { name, epoch: Number(match[1]), version: Number(match[2]), rootVersion: Number(match[3]) }
}

export function newestFirst(a: StoredName, b: StoredName): number {
  return b.epoch - a.epoch || b.version - a.version || b.rootVersion - a.rootVersion
}

function byVersion<Document extends { epoch: number; version: number }>(a: Document, b: Document): number {
  return b.epoch - a.epoch || b.version - a.version
}

const pad = (value: number, length: number): string => String(value).padStart(length, '0')

const MAX_READS = 5 // of a directory that others change faster than it is read
const KEEP = 4 // the newest, and a few for processes of a shared directory that are behind
const MAX_FILES_READ = 256 // pruning leaves far fewer; a directory stuffed with more must not delay the start for long
const END_OF_TIME = toUnixMs(Number.MAX_SAFE_INTEGER) // a stored root's issuedAt was judged when it was accepted
