import type { UnixMs } from '../ports/runtime.ts'
import type { HostTable } from './host-table.ts'
import { type ReadBlob, readHosts } from './hosts.ts'
import { readManifest, readStatus } from './payload.ts'
import { refusal, type Where } from './refusal.ts'
import { checkSkew, type TrustedRoot } from './root.ts'
import type { ManifestPayload, ManifestPointer, StatusPayload } from './schema.ts'
import { type Envelope, parseEnvelope, verifyThreshold } from './verify.ts'

declare const proof: unique symbol

/** A status that the role's threshold signed and every rule let pass. Made only here. */
export interface AcceptedStatus {
  readonly payload: StatusPayload
  readonly version: number
  readonly epoch: number
  readonly sha256: string
  readonly bytes: Uint8Array
  /** The root under which it was verified; with the epochs it orders documents across rotations. */
  readonly rootVersion: number
  /** The manifest role's epoch in that root: which line of manifest versions `payload.manifest` belongs to. */
  readonly manifestEpoch: number
  readonly [proof]: true
}

/** What is known of a manifest besides its hosts. */
export interface ManifestFacts {
  readonly payload: Omit<ManifestPayload, 'hosts'>
  readonly version: number
  readonly epoch: number
  readonly sha256: string
  readonly bytes: Uint8Array
  readonly rootVersion: number
}

/** A manifest that the role's threshold signed; its hosts are still to be read. Made only here. */
export interface SignedManifest extends ManifestFacts {
  readonly payload: ManifestPayload
  readonly [proof]: 'signed'
}

/** A signed manifest with the hosts that it holds or names, which passed every rule. Made only here. */
export interface AcceptedManifest extends ManifestFacts {
  readonly hosts: HostTable
  readonly [proof]: 'accepted'
}

/** The newest manifest ever accepted in its epoch: nothing older is taken again. */
export interface ManifestFloor {
  readonly version: number
  readonly sha256: string
  /** The newest that was named as current and not as canary; below the floor only on a client inside a canary. */
  readonly current: number
  /** What a later manifest must go on revoking, or take back in so many words, until this one has expired. */
  readonly revocations: ManifestPayload['revocations']
  readonly expires: UnixMs
}

export interface StatusContext {
  readonly root: TrustedRoot
  /** The newest status accepted in the role's epoch. */
  readonly trusted?: AcceptedStatus | undefined
  readonly floor?: ManifestFloor | undefined
  /** The later of the wall clock and the greatest accepted `issuedAt`. */
  readonly now: UnixMs
  readonly source?: string | undefined
}

export type StatusVerdict =
  | { readonly kind: 'accepted'; readonly status: AcceptedStatus }
  | { readonly kind: 'unchanged' }

/**
 * Judges bytes served as the status, as TUF §5.4 judges a timestamp: signatures, then rollback, then expiry.
 *
 * @throws ManifestError; the caller's state stays as it is.
 */
export async function acceptStatus(bytes: Uint8Array, context: StatusContext): Promise<StatusVerdict> {
  const { root, trusted, floor, now } = context
  const status = await verifyStatus(bytes, root, context.source)
  const where = whereOf('status', status.version, context.source)
  const { payload, epoch, version } = status
  checkRootExpiry(root, now)
  const { epoch: wanted, mayDeny } = root.payload.roles.status
  if (epoch !== wanted) throw refusal('ERR_MANIFEST_STATUS_EPOCH', where, `expected epoch ${wanted}, saw ${epoch}`)
  if (trusted !== undefined && version < trusted.version) {
    throw refusal('ERR_MANIFEST_STATUS_ROLLBACK', where, `version ${trusted.version} was already accepted`)
  }
  if (trusted !== undefined && version === trusted.version) {
    if (status.sha256 !== trusted.sha256) {
      throw refusal('ERR_MANIFEST_STATUS_EQUIVOCATION', where, 'another document was accepted as this version')
    }
    checkStatusExpiry(payload.expires, where, now)
    return { kind: 'unchanged' }
  }
  checkSkew(payload.issuedAt, where, now)
  if (payload.expires <= payload.issuedAt) {
    throw refusal('ERR_MANIFEST_TIME_INVERTED', where, 'expires is not after issuedAt')
  }
  checkStatusExpiry(payload.expires, where, now)
  if (payload.expires - payload.issuedAt > MAX_STATUS_TTL_MS) {
    throw refusal('ERR_MANIFEST_STATUS_TTL_TOO_LONG', where, 'valid for more than 7 days')
  }
  if (payload.deny !== undefined && payload.deny.length > 0 && !mayDeny) {
    throw refusal('ERR_MANIFEST_STATUS_DENY_FORBIDDEN', where, 'the root does not let this role deny keys')
  }
  checkPointers(payload, floor, where)
  return { kind: 'accepted', status }
}

/** A 304, or the same bytes again, never extends an expiry: whoever freezes the line must not look like a quiet publisher. */
export function checkStatusExpiry(expires: UnixMs, where: Where, now: UnixMs): void {
  if (expires <= now)
    throw refusal('ERR_MANIFEST_STATUS_EXPIRED', where, `expired at ${new Date(expires).toISOString()}`)
}

export interface ManifestContext {
  readonly root: TrustedRoot
  /**
   * Absent for a stored manifest: its times were judged when it was accepted, and an expired one is better known as expired
   * than not known.
   */
  readonly now?: UnixMs
  readonly source?: string | undefined
}

/**
 * Judges bytes served as the manifest that a status points to (TUF §5.6). Length and hash come before signatures: they are
 * about the payload, so a document with a further signature is the same document.
 *
 * @throws ManifestError; the active manifest stays.
 */
export async function acceptSigned(
  bytes: Uint8Array,
  pointer: ManifestPointer,
  { root, now, source }: ManifestContext,
): Promise<SignedManifest> {
  const where = whereOf('manifest', pointer.version, source)
  const envelope = parseEnvelope(bytes, where)
  const { payload, sha256 } = envelope
  if (payload.length !== pointer.length) {
    throw refusal('ERR_MANIFEST_LENGTH_MISMATCH', where, `expected ${pointer.length} bytes, saw ${payload.length}`)
  }
  if (sha256 !== pointer.sha256) {
    throw refusal('ERR_MANIFEST_HASH_MISMATCH', where, `expected SHA-256 ${pointer.sha256}, saw ${sha256}`)
  }
  const manifest = await verified(envelope, bytes, root)
  checkNamed(manifest, pointer, root, where)
  if (now !== undefined) {
    checkSkew(manifest.payload.issuedAt, where, now)
    checkManifestExpiry(manifest, now, source)
  }
  return manifest
}

/** The last step: everything else about the manifest was judged. */
export async function withHosts(
  signed: SignedManifest,
  readBlob: ReadBlob,
  source?: string,
): Promise<AcceptedManifest> {
  const hosts = await readHosts(signed.payload, whereOf('manifest', signed.version, source), readBlob)
  const { hosts: _, ...payload } = signed.payload
  const manifest: Omit<AcceptedManifest, typeof proof> = { ...signed, payload, hosts }
  return manifest as AcceptedManifest
}

/** Both steps. */
export async function acceptManifest(
  bytes: Uint8Array,
  pointer: ManifestPointer,
  { readBlob, ...context }: ManifestContext & { readonly readBlob: ReadBlob },
): Promise<AcceptedManifest> {
  return withHosts(await acceptSigned(bytes, pointer, context), readBlob, context.source)
}

/** The rules about a manifest and the status that names it, under the root in force. */
export function checkNamed(
  { version, epoch }: SignedManifest,
  pointer: ManifestPointer,
  root: TrustedRoot,
  where: Where = whereOf('manifest', version),
): void {
  if (version !== pointer.version) {
    throw refusal('ERR_MANIFEST_VERSION_MISMATCH', where, `carries version ${version}`)
  }
  const { epoch: wanted } = root.payload.roles.manifest
  if (epoch !== wanted) throw refusal('ERR_MANIFEST_EPOCH', where, `expected epoch ${wanted}, saw ${epoch}`)
}

export function checkManifestExpiry({ version, payload }: ManifestFacts, now: UnixMs, source?: string): void {
  if (payload.expires > now) return
  const message = `expired at ${new Date(payload.expires).toISOString()}`
  throw refusal('ERR_MANIFEST_EXPIRED', whereOf('manifest', version, source), message)
}

export function checkRootExpiry({ version, payload }: TrustedRoot, now: UnixMs): void {
  if (payload.expires > now) return
  const message = `the newest root expired at ${new Date(payload.expires).toISOString()}`
  throw refusal('ERR_MANIFEST_ROOT_EXPIRED', { document: 'root', version }, message)
}

/** Signatures and schema alone: what the cache needs to use a stored status as a floor. */
export async function verifyStatus(bytes: Uint8Array, root: TrustedRoot, source?: string): Promise<AcceptedStatus> {
  const envelope = parseEnvelope(bytes, whereOf('status', undefined, source))
  await verifyThreshold(envelope, root.roles.status.keys, root.roles.status.threshold)
  const payload = readStatus(envelope.payload, root.payload, source)
  const { version, epoch } = payload
  const { sha256 } = envelope
  const rootVersion = root.version
  const manifestEpoch = root.payload.roles.manifest.epoch
  return { payload, version, epoch, sha256, bytes: new Uint8Array(bytes), rootVersion, manifestEpoch } as AcceptedStatus
}

/** Signatures and schema alone: what the cache needs to use a stored manifest as a floor. */
export async function verifyManifest(bytes: Uint8Array, root: TrustedRoot, source?: string): Promise<SignedManifest> {
  return verified(parseEnvelope(bytes, whereOf('manifest', undefined, source)), bytes, root)
}

async function verified(envelope: Envelope, bytes: Uint8Array, root: TrustedRoot): Promise<SignedManifest> {
  const { sha256, where } = envelope
  await verifyThreshold(envelope, root.roles.manifest.keys, root.roles.manifest.threshold)
  if (envelope.payload.length > MAX_INLINE_BYTES) {
    throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, `a manifest is at most ${MAX_INLINE_BYTES} bytes of payload`)
  }
  const payload = readManifest(envelope.payload, root.payload, where.source)
  const { version, epoch } = payload
  return { payload, version, epoch, sha256, bytes: new Uint8Array(bytes), rootVersion: root.version } as SignedManifest
}

/** A canary at or above the floor may stand beside an older current manifest: that is what a canary is. */
function checkPointers({ manifest, canary }: StatusPayload, floor: ManifestFloor | undefined, where: Where): void {
  if (floor === undefined) return
  const inCanary = canary !== undefined && canary.manifest.version >= floor.version
  if (manifest.version < floor.current && !inCanary) {
    const message = `names manifest ${manifest.version}; version ${floor.version} was already accepted`
    throw refusal('ERR_MANIFEST_ROLLBACK', where, message)
  }
  for (const pointer of canary === undefined ? [manifest] : [manifest, canary.manifest]) {
    if (pointer.version === floor.version && pointer.sha256 !== floor.sha256) {
      throw refusal('ERR_MANIFEST_EQUIVOCATION', where, `names another manifest ${pointer.version} than was accepted`)
    }
  }
}

function whereOf(document: Where['document'], version?: number, source?: string): Where {
  return { document, ...(version === undefined ? {} : { version }), ...(source === undefined ? {} : { source }) }
}

const MAX_STATUS_TTL_MS = 7 * 86_400_000 // the longest freeze that a thief of the status key gets for one signature
const MAX_INLINE_BYTES = 1024 * 1024
