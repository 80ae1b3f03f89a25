import type { UnixMs } from '../ports/runtime.ts'
import type { AcceptedManifest, AcceptedStatus } from './accept.ts'

/** `closed` is the end; every other state may follow every other as documents arrive and time passes. */
export type ManifestState =
  | { readonly kind: 'cold' }
  | {
      readonly kind: 'fresh' | 'stale' | 'expired'
      readonly manifest: AcceptedManifest
      /** The newest status that stands behind this manifest. One that names another manifest does not keep this one fresh. */
      readonly status: AcceptedStatus
    }
  | { readonly kind: 'closed' }

export type StateKind = 'cold' | 'fresh' | 'stale' | 'expired' | 'closed'

export type StateEvent =
  /** A manifest and the status that names it passed every rule. */
  | { readonly type: 'activated'; readonly manifest: AcceptedManifest; readonly status: AcceptedStatus }
  /** A newer status stands behind the manifest in force. */
  | { readonly type: 'confirmed'; readonly status: AcceptedStatus }
  | { readonly type: 'tick' }
  | { readonly type: 'closed' }

/**
 * The only way from one state to the next. Pure; effects belong to the caller. A kind is a function of the documents and the
 * time alone: a refused document, an unreachable source or the same status again never changes it.
 *
 * @param now The later of the wall clock and the time floor, so a clock set back does not revive what expired.
 */
export function next(state: ManifestState, event: StateEvent, now: UnixMs): ManifestState {
  if (state.kind === 'closed') return state
  switch (event.type) {
    case 'activated':
      return at(event.manifest, event.status, now)
    case 'confirmed':
      return state.kind === 'cold' ? state : at(state.manifest, event.status, now)
    case 'tick':
      if (state.kind === 'cold' || kindAt(state.manifest, state.status, now) === state.kind) return state
      return at(state.manifest, state.status, now)
    case 'closed':
      return CLOSED
    default:
      return unreachable(event)
  }
}

/** The instants at which the state changes by itself. */
export function deadlines({ payload: manifest }: AcceptedManifest, { payload: status }: AcceptedStatus) {
  const graceMs = Math.min(manifest.staleGrace * 1_000, MAX_GRACE_MS)
  return {
    staleAt: Math.min(status.expires, manifest.expires) as UnixMs,
    expiredAt: Math.min(status.expires + graceMs, manifest.expires) as UnixMs,
  }
}

function at(manifest: AcceptedManifest, status: AcceptedStatus, now: UnixMs): ManifestState {
  return Object.freeze({ kind: kindAt(manifest, status, now), manifest, status })
}

function kindAt(manifest: AcceptedManifest, status: AcceptedStatus, now: UnixMs): 'fresh' | 'stale' | 'expired' {
  const { staleAt, expiredAt } = deadlines(manifest, status)
  if (now >= expiredAt) return 'expired'
  return now >= staleAt ? 'stale' : 'fresh'
}

function unreachable(event: never): never {
  throw new TypeError(`no transition for ${JSON.stringify(event)}`)
}

export const COLD: ManifestState = Object.freeze({ kind: 'cold' })
const CLOSED: ManifestState = Object.freeze({ kind: 'closed' })
const MAX_GRACE_MS = 14 * 86_400_000 // whatever a manifest asks for, an unreachable publisher stops counting after two weeks
