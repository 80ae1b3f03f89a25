import type { UnixMs } from '../ports/runtime.ts'
import type { AcceptedManifest, AcceptedStatus, ManifestFloor } from './accept.ts'
import { addDenies, clearDenies, type StickyDeny } from './denies.ts'
import type { HostChanges } from './host-changes.ts'
import type { TrustedRoot } from './root.ts'

/** What the client has verified so far and will not go behind. Immutable; `learn` is the only way forward. */
export interface Knowledge {
  readonly root: TrustedRoot
  /** The newest status of the role's epoch, whether or not its manifest could be had. */
  readonly status?: AcceptedStatus
  readonly floor?: ManifestFloor
  readonly denies: readonly StickyDeny[]
  readonly timeFloor?: TimeFloor
  /** Whether any manifest was ever accepted, in this process or in the cache's memory. */
  readonly everAccepted: boolean
  /** Decides on which side of a ramp the client stands. */
  readonly clientId?: string | undefined
}

/**
 * The newest accepted `issuedAt`, with the monotonic reading at which it was accepted. It is then no earlier than that, and
 * it moves on with the monotonic clock, so a wall clock that is set back does not bring back what expired since.
 */
export interface TimeFloor {
  readonly issuedAt: UnixMs
  readonly acceptedAt: number
}

export type Discovery =
  | { readonly type: 'root'; readonly root: TrustedRoot }
  | { readonly type: 'status'; readonly status: AcceptedStatus }
  /** The manifest in force was activated, or found to be the one that the newest status names. */
  | {
      readonly type: 'manifest'
      readonly manifest: AcceptedManifest
      readonly asCanary: boolean
      /** Against the one in force before; absent when it is the same. */
      readonly changes?: HostChanges
      /** Where the manifest asks for it. */
      readonly clientId?: string | undefined
    }

/** The time a refresh judges by (TUF §5.1): the later of the wall clock and the time floor. */
export function timeOf({ timeFloor }: Knowledge, now: UnixMs, monotonic: number): UnixMs {
  return timeFloor === undefined ? now : (Math.max(now, floorAt(timeFloor, monotonic)) as UnixMs)
}

export function learn(known: Knowledge, discovery: Discovery, monotonic: number): Knowledge {
  switch (discovery.type) {
    case 'root':
      return withoutOldEpochs(
        raise({ ...known, root: discovery.root }, discovery.root.payload.issuedAt, monotonic),
        known.root,
      )
    case 'status': {
      const { status } = discovery
      return raise({ ...known, status, denies: addDenies(known.denies, status) }, status.payload.issuedAt, monotonic)
    }
    case 'manifest': {
      const { manifest, asCanary, clientId = known.clientId } = discovery
      const denies = clearDenies(known.denies, manifest)
      const floor = raiseFloor(known.floor, manifest, asCanary)
      return raise({ ...known, denies, floor, clientId, everAccepted: true }, manifest.payload.issuedAt, monotonic)
    }
    default:
      return discovery satisfies never
  }
}

/**
 * A risen epoch is how an operator says that a role's keys were stolen: what they signed, perhaps up to version 2^53−1, no
 * longer counts. A rotation without one keeps every floor.
 */
function withoutOldEpochs(known: Knowledge, { payload: before }: TrustedRoot): Knowledge {
  const { roles } = known.root.payload
  const { status, floor, ...rest } = known
  return {
    ...rest,
    ...(status === undefined || roles.status.epoch > before.roles.status.epoch ? {} : { status }),
    ...(floor === undefined || roles.manifest.epoch > before.roles.manifest.epoch ? {} : { floor }),
  }
}

function raiseFloor(floor: ManifestFloor | undefined, manifest: AcceptedManifest, asCanary: boolean): ManifestFloor {
  const { version, sha256, payload } = manifest
  const current = asCanary ? (floor?.current ?? 0) : Math.max(version, floor?.current ?? 0)
  if (floor !== undefined && floor.version > version) return { ...floor, current }
  return { version, sha256, current, revocations: payload.revocations, expires: payload.expires }
}

function raise(known: Knowledge, issuedAt: UnixMs, monotonic: number): Knowledge {
  const { timeFloor } = known
  if (timeFloor !== undefined && issuedAt <= floorAt(timeFloor, monotonic)) return known
  return { ...known, timeFloor: { issuedAt, acceptedAt: monotonic } }
}

function floorAt({ issuedAt, acceptedAt }: TimeFloor, monotonic: number): number {
  return issuedAt + (monotonic - acceptedAt)
}
