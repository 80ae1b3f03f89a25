import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { StoreError } from '../errors/errors.ts'
import { type AcceptedManifest, type AcceptedStatus, checkManifestExpiry } from '../manifest/accept.ts'
import { refusal } from '../manifest/refusal.ts'
import type { Role } from '../manifest/root.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { readContent } from '../publisher/content.ts'
import { lint } from '../publisher/lint.ts'
import type { LintFinding } from '../publisher/lint-rules.ts'
import { addSignature, signDocument } from '../publisher/sign.ts'
import type { Signer } from '../publisher/signer.ts'
import { adoptRoot } from './adopt-root.ts'
import { makeDirectory, readIfPresent, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import type { Places } from './manifest.ts'
import {
  contentIn,
  isInForce,
  judgeManifest,
  lastingMembers,
  nextDenies,
  nextManifestPayload,
  nextStatus,
} from './next-documents.ts'
import { hinted, UsageError } from './outcome.ts'
import { dropPending, pendingOf, pendingPath, readPending, writePending } from './pending.ts'
import { manifestPath, type PublishedRepository, readRepository } from './repository-files.ts'
import { countHolders, meetsThreshold, needsBreakGlass, signersOf } from './signers.ts'
import { contentOfList, readWorkingList, type WorkingList } from './working-list.ts'

export interface SignOptions extends Places {
  readonly statusOnly: boolean
  readonly signer?: readonly string[]
  /** Findings of lint that are set aside, by name. */
  readonly allow?: readonly string[]
  /** Gives up the signatures collected so far for what the list no longer says. */
  readonly restart?: boolean
  /** Keeps a manifest that says what the list says, though its keys are here. */
  readonly onlyIfChanged?: boolean
  readonly pollSeconds?: number | undefined
}

export type SignedNext = {
  readonly repository: PublishedRepository
  readonly list: WorkingList
  readonly findings: readonly LintFinding[]
} & (
  | { readonly kind: 'refused' }
  /** Too few signed the manifest so far; nothing that clients see has changed. */
  | {
      readonly kind: 'pending'
      readonly path: string
      readonly version: number
      readonly signed: number
      readonly role: Role
    }
  | {
      readonly kind: 'signed'
      readonly manifest: AcceptedManifest
      readonly isNew: boolean
      /** Absent where the status keys are elsewhere: then no client sees the manifest yet. */
      readonly status: AcceptedStatus | undefined
    }
)

/**
 * Signs the working list as the next manifest, and a status that names it, with whoever can sign here. Where no manifest
 * key is and the list says what the manifest in force says, the status alone. What a client would refuse is not written; the
 * status is written last.
 */
export async function signNext(options: SignOptions, io: Io): Promise<SignedNext> {
  const { directory, statusOnly } = options
  const now = toUnixMs(io.now())
  const list = await readWorkingList(directory)
  const repository = await adoptRoot(directory, await readRepository(directory, now), options, io)
  const { root } = repository
  const isCurrent = isInForce(repository, list)
  const signers = {
    status: await signersOf('status', root.roles.status.keys, options, io),
    manifest: statusOnly ? [] : await signersOf('manifest', root.roles.manifest.keys, options, io),
  }
  const finish = await manifestToName(repository, list, { ...options, isCurrent, now }, signers.manifest)
  const shared = { repository, list, findings: finish.findings }
  if (finish.kind !== 'manifest') return { ...finish, ...shared }

  const { manifest, isNew } = finish
  const canSign = meetsThreshold(
    root.roles.status,
    signers.status.map(({ kid }) => kid),
  )
  if (!canSign && !isNew) throw tooFew('status', root.roles.status, signers.status, options.keys)
  const status = canSign
    ? await nextStatus(repository, manifest, { list, pollSeconds: options.pollSeconds }, signers.status, now)
    : undefined
  if (isNew) {
    await makeDirectory(join(directory, 'manifests'))
    await writeWhole(join(directory, manifestPath(manifest)), manifest.bytes)
    await dropPending(directory, 'manifest')
  }
  if (status !== undefined) {
    await refuseIfOvertaken(directory, repository.status)
    await writeWhole(join(directory, 'status.json'), status.bytes, { replace: true })
  }
  return { kind: 'signed', manifest, isNew, status, ...shared }
}

interface LintOptions {
  readonly allow?: readonly string[]
  readonly statusOnly?: boolean
  /** Keys that sign the manifest, where that is known. */
  readonly kids?: readonly string[]
}

/** What lint says about the list as it stands, the denies of the next status included. */
export async function lintList(
  repository: PublishedRepository,
  list: WorkingList,
  now: number,
  { allow = [], statusOnly = false, kids = [] }: LintOptions = {},
): Promise<readonly LintFinding[]> {
  const content = statusOnly ? (contentIn(repository.manifest) ?? {}) : contentOfList(list)
  const next = statusOnly ? repository.manifest : { payload: (await readContent(content)).payload }
  const before = contentIn(repository.manifest)
  const held = lastingMembers(repository.status)
  const findings = await lint({
    candidate: { content, deny: nextDenies(repository.status, next as AcceptedManifest | undefined, list) },
    ...(before === undefined ? {} : { before: { content: before, deny: held.deny ?? [] } }),
    seen: list.seen ?? [],
    pollSeconds: held.poll?.interval ?? DEFAULT_POLL_SECONDS,
    byBreakGlass: needsBreakGlass(repository.root, kids),
    now,
  })
  return findings.map((one) => (allow.includes(one.id) ? { ...one, severity: 'warning' } : one))
}

type ToName =
  | { readonly kind: 'manifest'; readonly manifest: AcceptedManifest; readonly isNew: boolean }
  | { readonly kind: 'refused' }
  | Pick<Extract<SignedNext, { kind: 'pending' }>, 'kind' | 'path' | 'version' | 'signed' | 'role'>

/** The manifest in force, or the next one as far as it can be signed here. */
async function manifestToName(
  repository: PublishedRepository,
  list: WorkingList,
  options: SignOptions & { readonly isCurrent: boolean; readonly now: UnixMs },
  signers: readonly Signer[],
): Promise<ToName & { readonly findings: readonly LintFinding[] }> {
  const { directory, statusOnly, isCurrent, now, allow = [] } = options
  const { manifest: held, root } = repository
  const role = root.roles.manifest
  const pending = statusOnly ? undefined : await pendingFor(repository, list, options)
  const keeps =
    statusOnly || (isCurrent && pending === undefined && (signers.length === 0 || options.onlyIfChanged === true))
  if (keeps && !isPastTwoThirds(held, now, options, signers)) {
    if (held === undefined) throw noManifest(statusOnly)
    checkManifestExpiry(held, now) // a status cannot make it valid again
    const findings = await lintList(repository, list, now, { allow, statusOnly })
    if (findings.some(({ severity }) => severity === 'error')) return { kind: 'refused', findings }
    return { kind: 'manifest', manifest: held, isNew: false, findings }
  }
  const payload = pending?.envelope.payload ?? nextManifestPayload(repository, list, now)
  await readContent(contentOfList(list)) // the client’s own word comes before lint’s
  const kids = [...(pending?.kids ?? []), ...signers.map(({ kid }) => kid)]
  const findings = await lintList(repository, list, now, { allow, kids })
  if (findings.some(({ severity }) => severity === 'error')) return { kind: 'refused', findings }
  if (signers.length === 0 && pending === undefined) throw tooFew('manifest', role, signers, options.keys)

  let document = pending?.bytes ?? (await signDocument(payload, 'manifest', signers))
  for (const signer of pending === undefined ? [] : signers) document = await addSignature(document, 'manifest', signer)
  if (meetsThreshold(role, pendingOf(document, 'manifest').kids)) {
    return { kind: 'manifest', manifest: await judgeManifest(document, repository, now), isNew: true, findings }
  }
  await writePending(directory, 'manifest', document)
  const version = (held?.version ?? 0) + 1
  const path = pendingPath(directory, 'manifest')
  return { kind: 'pending', path, version, signed: countHolders(role.keys, kids), role, findings }
}

/** What others have signed already, if it is still what the list says. */
async function pendingFor(
  repository: PublishedRepository,
  list: WorkingList,
  { directory, restart = false, now }: SignOptions & { readonly now: UnixMs },
) {
  const { root, manifest } = repository
  const pending = await readPending(directory, 'manifest')
  if (pending === undefined) return undefined
  const { payload } = pending.envelope
  const theirs = jsonOf(payload)
  const { version, epoch, issuedAt, expires } = theirs
  const isNext =
    version === (manifest?.version ?? 0) + 1 &&
    epoch === root.payload.roles.manifest.epoch &&
    Date.parse(String(expires)) > now
  // All of it, as it would have been written here at that time: life and grace are what a single signer may not choose.
  const startedAt = Date.parse(String(issuedAt))
  const isBegun = startedAt <= now + CLOCKS_APART_MS
  const ours = isBegun ? jsonOf(nextManifestPayload(repository, list, toUnixMs(startedAt))) : {}
  if (isNext && isDeepStrictEqual(theirs, ours)) return pending
  if (!isNext || restart) return undefined // overtaken, or given up
  const path = pendingPath(directory, 'manifest')
  const hint = `See both with: pinfetch manifest diff ${path} ${directory}; sign --restart drops the signatures collected so far.`
  throw new UsageError(`${path}: others signed something else than hosts.json and its profile say now`, hint)
}

const jsonOf = (payload: Uint8Array) =>
  JSON.parse(Buffer.from(payload).toString('utf8')) as Readonly<Record<string, unknown>>

/** Publishing goes on with an unchanged manifest while a third of its life is left, and renews it from then on. */
function isPastTwoThirds(
  held: AcceptedManifest | undefined,
  now: UnixMs,
  { onlyIfChanged = false, statusOnly }: SignOptions,
  signers: readonly Signer[],
): boolean {
  if (held === undefined || !onlyIfChanged || statusOnly || signers.length === 0) return false
  const { issuedAt, expires } = held.payload
  return (now - issuedAt) / (expires - issuedAt) > 2 / 3
}

function noManifest(asked: boolean): UsageError {
  const message = asked ? 'there is no manifest that a status could name' : 'there is no manifest yet'
  return new UsageError(message, 'Run pinfetch manifest sign --dir <dir>, with the manifest keys.')
}

/** Says which keys are missing before anything is signed in vain. */
export function tooFew(
  role: 'root' | 'manifest' | 'status',
  { keys, threshold }: Role,
  signers: readonly Signer[],
  directory: string,
) {
  const message = `${threshold} of the role’s ${keys.length} keys must sign, ${signers.length} of them in ${directory}`
  const hint = `pinfetch keys list shows which keys the root knows and which of them are here; --keys names another folder, --signer a program that signs.`
  return hinted(refusal('ERR_MANIFEST_SIG_THRESHOLD', { document: role }, message), hint)
}

/** Two signers at once would make two documents of one version, which clients take for an attack. */
async function refuseIfOvertaken(directory: string, before: AcceptedStatus | undefined): Promise<void> {
  const path = join(directory, 'status.json')
  const bytes = await readIfPresent(path)
  if (Buffer.compare(bytes ?? NOTHING, before?.bytes ?? NOTHING) === 0) return
  throw new StoreError('ERR_STORE_WRITE', `${path}: somebody else signed in the meantime; run the command again`)
}

const NOTHING = new Uint8Array()
const CLOCKS_APART_MS = 5 * 60_000
const DEFAULT_POLL_SECONDS = 300
