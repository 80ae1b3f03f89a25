import { ManifestError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import {
  type AcceptedManifest,
  type AcceptedStatus,
  acceptSigned,
  acceptStatus,
  checkManifestExpiry,
  checkRootExpiry,
  checkStatusExpiry,
  type SignedManifest,
  type StatusVerdict,
  withHosts,
} from './accept.ts'
import { wait } from './attempts.ts'
import type { ManifestCache } from './cache.ts'
import { badAnswer, fetchDocument } from './fetch-document.ts'
import { difference } from './host-changes.ts'
import { NO_HOSTS } from './host-table.ts'
import { blobPath, type CheckedBlob, checkBlob } from './hosts.ts'
import type { Discovery, Knowledge } from './knowledge.ts'
import { type ManifestCode, refusal, type Where } from './refusal.ts'
import { checkRevocationsKept } from './revocations.ts'
import { acceptRoot, MAX_ROOT_BYTES, type TrustedRoot } from './root.ts'
import type { BlobReference, ManifestPointer } from './schema.ts'
import { shareOf } from './share.ts'
import { MAX_BLOB_BYTES, MAX_ENVELOPE_BYTES, MAX_STATUS_BYTES } from './sizes.ts'
import type { Mirror } from './sources.ts'

/** What one refresh may see and do. It learns only by `commit`, so whatever fails leaves everything before it in force. */
export interface RefreshContext {
  readonly mirrors: readonly Mirror[]
  readonly cache: ManifestCache
  readonly runtime: Runtime
  readonly emit: Emit
  readonly signal: AbortSignal
  readonly known: () => Knowledge
  readonly active: () => AcceptedManifest | undefined
  /** The later of the wall clock and the time floor. */
  readonly time: () => UnixMs
  readonly commit: (discovery: Discovery) => void
  /** Entity tags of accepted statuses, by mirror. A tag of a refused body would earn a 304 for it for ever. */
  readonly etags: Map<Mirror, string | undefined>
  /** Whether to look for a newer root although nothing hints at one. */
  readonly probeRoot: boolean
  readonly onProbe: () => void
  /** A source said that there is no newer root, or showed it. */
  readonly onRootConfirmed: () => void
  readonly onBytes: (count: number) => void
  /** This mirror answered for the status; the last to do so is whose answer counts. */
  readonly onStatusServed: (mirror: Mirror) => void
  /** From here on, what is published now may be missed by this refresh. */
  readonly onStatusAsked: () => void
}

/**
 * One refresh: root, status, manifest (the order of TUF §5.3 to §5.6). Everything is saved before it is used.
 *
 * @throws ManifestError with the reason; what was accepted before it stays accepted.
 */
export async function refreshOnce(context: RefreshContext): Promise<'changed' | 'unchanged'> {
  const { known } = context
  const roots = createRootWalk(context)
  const hinted = known().status?.payload.root.version ?? 0
  if (context.probeRoot || hinted > known().root.version) await roots.toNewest()
  const status = await refreshStatus(context, roots)
  const confirmed = await followHint(context, roots, status)
  return refreshManifest(context, confirmed)
}

interface RootWalk {
  /** Every root there is, one after the other. */
  readonly toNewest: () => Promise<void>
  /** @returns Whether there was a next root. */
  readonly step: () => Promise<boolean>
  readonly probed: () => boolean
  /** Set when the place of the next root answered with something that is no document. */
  readonly unreadable: () => ManifestError | undefined
}

function createRootWalk(context: RefreshContext): RootWalk {
  const { cache, known, time, emit, commit } = context
  let probed = false
  let steps = 0
  let unreadable: ManifestError | undefined

  const step = async (): Promise<boolean> => {
    probed = true
    context.onProbe()
    const current = known().root
    if (steps >= MAX_ROOT_STEPS) {
      const message = `more than ${MAX_ROOT_STEPS} newer roots; the next refresh goes on from here`
      throw refusal('ERR_MANIFEST_ROOT_CHAIN_TOO_LONG', { document: 'root', version: current.version }, message)
    }
    const next = await firstServed(context, (mirror) => nextRoot(mirror, current))
    if (next === undefined) return false
    steps += 1
    await cache.saveRoot(next)
    commit({ type: 'root', root: next })
    emit({ type: 'manifest.root', from: current.version, to: next.version })
    return true
  }

  const nextRoot = async (mirror: Mirror, current: TrustedRoot): Promise<TrustedRoot | undefined> => {
    const version = current.version + 1
    const path = `roots/${version}.json`
    const source = `${mirror.name} ${path}`
    const where: Where = { document: 'root', version, source }
    const answer = await fetch(context, mirror, path, { document: 'root', version }, MAX_ROOT_BYTES)
    if ([403, 404, 410].includes(answer.status)) {
      context.onRootConfirmed()
      return undefined
    }
    if (answer.status !== 200) throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, where, context.runtime)
    try {
      return await acceptRoot(answer.bytes, current, time(), source)
    } catch (error) {
      if (!isRefusal(error, 'ERR_MANIFEST_ENVELOPE_JSON', 'ERR_MANIFEST_ENVELOPE_UTF8')) throw error
      // A single-page site answers every path with 200 and its start page; that must not stop the refresh for good.
      unreadable = refusal('ERR_MANIFEST_ROOT_UNREADABLE', where, 'no document', { cause: error })
      const { code, kind, message } = unreadable
      emit({ type: 'manifest.rejected', code, kind, message, source })
      return undefined
    }
  }

  return {
    step,
    toNewest: async () => {
      while (await step());
    },
    probed: () => probed,
    unreadable: () => unreadable,
  }
}

async function refreshStatus(context: RefreshContext, roots: RootWalk): Promise<AcceptedStatus> {
  const { cache, known, time, commit, etags } = context
  context.onStatusAsked()
  const { verdict, keepTag } = await firstServed(context, async (mirror) => {
    const trusted = known().status
    const ifNoneMatch = trusted === undefined ? undefined : etags.get(mirror)
    const answer = await fetch(context, mirror, STATUS_PATH, { document: 'status' }, MAX_STATUS_BYTES, ifNoneMatch)
    context.onStatusServed(mirror)
    const source = `${mirror.name} ${STATUS_PATH}`
    const where: Where = { document: 'status', source }
    if (answer.status === 304) return { verdict: notModified(context, trusted, where), keepTag: () => {} }
    if (answer.status !== 200) throw badAnswer('ERR_MANIFEST_FETCH_HTTP', answer, where, context.runtime)
    const judge = () => acceptStatus(answer.bytes, { ...judgeBy(known()), now: time(), source })
    const accepted = await underNewerRoots(judge, roots)
    return { verdict: accepted, keepTag: () => etags.set(mirror, answer.headers['etag']) }
  })
  const trusted = known().status
  if (verdict.kind === 'accepted') {
    await cache.saveStatus(verdict.status)
    commit({ type: 'status', status: verdict.status })
  }
  keepTag()
  const status = verdict.kind === 'accepted' ? verdict.status : trusted
  if (status === undefined) throw new TypeError('an unchanged status without a trusted one')
  return status
}

function judgeBy({ root, status, floor }: Knowledge) {
  return { root, trusted: status, floor }
}

function notModified(
  { known, time }: RefreshContext,
  trusted: AcceptedStatus | undefined,
  where: Where,
): StatusVerdict {
  if (trusted === undefined) {
    throw refusal('ERR_MANIFEST_FETCH_304_WITHOUT_CACHE', where, 'answered 304 to a request without If-None-Match')
  }
  checkRootExpiry(known().root, time())
  checkStatusExpiry(trusted.payload.expires, { ...where, version: trusted.version }, time())
  return { kind: 'unchanged' }
}

/**
 * A status signed by a key this client does not know yet, of an epoch it does not know, or naming a manifest that only a risen
 * epoch makes the newest: its root may be one probe away. Without the probe, recovery from a theft would wait for the next hour's.
 */
async function underNewerRoots(judge: () => Promise<StatusVerdict>, roots: RootWalk): Promise<StatusVerdict> {
  try {
    return await judge()
  } catch (error) {
    if (roots.probed() || !isRefusal(error, ...ROOT_MAY_EXPLAIN)) throw error
    while (await roots.step()) {
      try {
        return await judge()
      } catch (again) {
        if (!isRefusal(again, ...ROOT_MAY_EXPLAIN)) throw again
      }
    }
    throw error
  }
}

/** The status may name a newer root. After walking there, the same status must hold under that root too. */
async function followHint(context: RefreshContext, roots: RootWalk, status: AcceptedStatus): Promise<AcceptedStatus> {
  const { known, commit, cache, emit, time } = context
  const hint = status.payload.root.version
  if (hint > known().root.version && !roots.probed()) await roots.toNewest()
  const { root } = known()
  if (hint > root.version) {
    const unreadable = roots.unreadable()
    if (unreadable !== undefined) throw unreadable
    const { code, kind, message } = refusal(
      'ERR_MANIFEST_ROOT_UNAVAILABLE',
      { document: 'root', version: hint },
      'named by the status, not served',
    )
    emit({ type: 'manifest.rejected', code, kind, message })
  }
  if (root.version === status.rootVersion) return status
  const again = await acceptStatus(status.bytes, { root, floor: known().floor, now: time() })
  if (again.kind === 'unchanged') return status
  await cache.saveStatus(again.status)
  commit({ type: 'status', status: again.status })
  return again.status
}

async function refreshManifest(context: RefreshContext, status: AcceptedStatus): Promise<'changed' | 'unchanged'> {
  const { known, active, commit, cache, emit, time } = context
  const { pointer, asCanary } = await choose(context, status)
  const { floor, root } = known()
  const inForce = active()
  if (floor !== undefined && pointer.version < floor.version) {
    emit({ type: 'manifest.ahead', version: floor.version, named: pointer.version })
    if (inForce === undefined) {
      const message = `version ${floor.version} was already accepted and is no longer held`
      throw refusal('ERR_MANIFEST_ROLLBACK', { document: 'manifest', version: pointer.version }, message)
    }
    commit({ type: 'manifest', manifest: inForce, asCanary: true })
    return 'unchanged'
  }
  if (inForce?.sha256 === pointer.sha256 && inForce.epoch === root.payload.roles.manifest.epoch) {
    commit({ type: 'manifest', manifest: inForce, asCanary })
    checkManifestExpiry(inForce, time())
    return 'unchanged'
  }
  const manifest = await fetchManifest(context, pointer)
  await cache.saveManifest(manifest)
  const changes = await difference(inForce?.hosts ?? NO_HOSTS, manifest.hosts)
  const clientId = manifest.hosts.hasRamps ? await cache.clientId() : undefined
  commit({ type: 'manifest', manifest, asCanary, changes, clientId })
  return 'changed'
}

async function choose({ cache }: RefreshContext, { payload: { manifest, canary } }: AcceptedStatus) {
  const asCanary = canary !== undefined && shareOf(canary.salt, await cache.clientId()) < canary.percent
  return { asCanary, pointer: asCanary ? canary.manifest : manifest }
}

async function fetchManifest(context: RefreshContext, pointer: ManifestPointer): Promise<AcceptedManifest> {
  const { runtime, known, time } = context
  const { version, length, sha256 } = pointer
  const path = `manifests/${version}.${sha256}.json`
  const signed = await servedSoon(context, 'ERR_MANIFEST_UNAVAILABLE', async (mirror): Promise<SignedManifest> => {
    const maxBytes = Math.ceil((length * 4) / 3) + MAX_ENVELOPE_BYTES
    const answer = await fetch(context, mirror, path, { document: 'manifest', version }, maxBytes)
    const source = `${mirror.name} ${path}`
    if (answer.status !== 200) {
      throw badAnswer('ERR_MANIFEST_UNAVAILABLE', answer, { document: 'manifest', version, source }, runtime)
    }
    return acceptSigned(answer.bytes, pointer, { root: known().root, now: time(), source })
  })
  checkRevocationsKept(signed, known().floor, time())
  return withHosts(signed, (reference) => blobOf(context, reference))
}

/** From the cache where an earlier manifest named it too; a blob never changes under its name. */
async function blobOf(context: RefreshContext, reference: BlobReference): Promise<CheckedBlob> {
  const { cache, runtime } = context
  const held = await cache.blobs.load(reference)
  if (held !== undefined) return held
  const path = blobPath(reference)
  const blob = await servedSoon(context, 'ERR_MANIFEST_BLOB_UNAVAILABLE', async (mirror): Promise<CheckedBlob> => {
    const where: Where = { document: 'blob', source: `${mirror.name} ${path}` }
    const answer = await fetch(context, mirror, path, where, MAX_BLOB_BYTES)
    if (answer.status !== 200) throw badAnswer('ERR_MANIFEST_BLOB_UNAVAILABLE', answer, where, runtime)
    return checkBlob(answer.bytes, reference, where)
  })
  await cache.blobs.save(reference, blob)
  return blob
}

/** Content networks show a new status before what it names, for seconds. */
async function servedSoon<T>(
  context: RefreshContext,
  unavailable: ManifestCode,
  attempt: (mirror: Mirror) => Promise<T>,
): Promise<T> {
  for (const delayMs of QUICK_RETRIES_MS) {
    try {
      return await firstServed(context, attempt)
    } catch (error) {
      if (!isRefusal(error, unavailable)) throw error
      await wait(context.runtime.schedule, delayMs, context.signal)
    }
  }
  return firstServed(context, attempt)
}

async function fetch(
  { runtime, signal, onBytes }: RefreshContext,
  mirror: Mirror,
  path: string,
  where: Where,
  maxBytes: number,
  ifNoneMatch?: string,
) {
  const answer = await fetchDocument(mirror, { path, where, maxBytes, signal, ifNoneMatch }, runtime)
  onBytes(answer.bytes.length)
  return answer
}

/**
 * The first mirror that serves something acceptable wins. When none does, an error that is no alarm comes first: one mirror
 * that lags behind or lies is no attack on a client that has others. `undefined` from any of them counts when none had more.
 */
async function firstServed<T>(
  { mirrors, signal }: RefreshContext,
  attempt: (mirror: Mirror) => Promise<T>,
): Promise<T> {
  const failures: ManifestError[] = []
  let absent: { readonly value: T } | undefined
  for (const mirror of mirrors) {
    try {
      const value = await attempt(mirror)
      if (value !== undefined) return value
      absent = { value }
    } catch (error) {
      if (signal.aborted || !(error instanceof ManifestError)) throw error // out of time: the next mirror has none either
      failures.push(error)
    }
  }
  if (absent !== undefined) return absent.value
  throw failures.find(({ kind }) => kind !== 'security') ?? failures[0] ?? new TypeError('a source without mirrors')
}

function isRefusal(error: unknown, ...codes: readonly string[]): error is ManifestError {
  return error instanceof ManifestError && codes.includes(error.code)
}

const STATUS_PATH = 'status.json'
const ROOT_MAY_EXPLAIN = ['ERR_MANIFEST_SIG_THRESHOLD', 'ERR_MANIFEST_STATUS_EPOCH', 'ERR_MANIFEST_ROLLBACK'] as const
const MAX_ROOT_STEPS = 32 // more would keep the first request waiting for ever
const QUICK_RETRIES_MS = [250, 500, 1_000] // within the time a start-up waits
