import type { ParsedHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import type { Emit } from '../events/events.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { AcceptedManifest } from './accept.ts'
import type { Bootstrap } from './bootstrap.ts'
import { identityOf, type StickyDeny } from './denies.ts'
import type { Knowledge } from './knowledge.ts'
import { createLookup, type HostLookup } from './lookup.ts'
import type { ManifestPayload } from './schema.ts'
import type { ManifestState, StateKind } from './state.ts'

/** What is in force, in one frozen piece: whoever holds it sees one manifest with its denies, never half of two. */
export interface ManifestView {
  readonly kind: StateKind
  /** 0 while none is in force. */
  readonly version: number
  /** Of the root that it was accepted by. */
  readonly rootVersion?: number
  /** Whether a manifest was ever accepted, here or by an earlier process with this cache: then pins in code no longer serve. */
  readonly everAccepted: boolean
  readonly lookup: HostLookup
  /** Known while an entry is for a share of the clients. */
  readonly clientId?: string | undefined
  /** Of a manifest that the application ships: it serves while the kind is `cold`, and until then. */
  readonly bootstrapUntil?: UnixMs
  /** Revoked certificates and distrusted CAs; revoked keys are among `denies`. */
  readonly revocations: ManifestPayload['revocations']
  /** Named sets of DER trust anchors that the manifest carries; host entries name them in `trustAnchors`. */
  readonly anchorSets: Readonly<Record<string, readonly Uint8Array[]>>
  /** Certificate Transparency: what is asked of certificates, and the logs that count. Host entries may ask for more. */
  readonly ct: ManifestPayload['ct']
  /** Keys of known interception products. */
  readonly interception: readonly PinText[]
  /** In force even while no manifest is. */
  readonly denies: readonly DenyRule[]
}

export interface DenyRule {
  readonly spki: PinText
  /** Absent: for every host. */
  readonly hosts?: readonly ParsedHostPattern[]
  readonly reason: string
}

/** @returns The same object when nothing that a reader can see has changed. */
export function viewOf(
  state: ManifestState,
  known: Knowledge | undefined,
  before?: ManifestView,
  shipped?: Bootstrap,
): ManifestView {
  if (state.kind === 'closed' && before !== undefined) {
    return before.kind === 'closed' ? before : Object.freeze({ ...before, kind: 'closed' })
  }
  const everAccepted = known?.everAccepted ?? false
  const bootstrap = state.kind === 'cold' && !everAccepted ? shipped : undefined
  const manifest = manifestIn(state) ?? bootstrap?.manifest
  const denies = denyRules([...(known?.denies ?? []), ...(bootstrap?.denies ?? [])], manifest)
  if (
    before !== undefined &&
    before.kind === state.kind &&
    before.everAccepted === everAccepted &&
    before.lookup === lookupFor(manifest) &&
    textOf(before.denies) === textOf(denies)
  ) {
    return before
  }
  return Object.freeze({
    kind: state.kind,
    version: manifest?.version ?? 0,
    ...(manifest === undefined ? {} : { rootVersion: manifest.rootVersion }),
    everAccepted,
    lookup: lookupFor(manifest),
    clientId: known?.clientId,
    ...(bootstrap === undefined ? {} : { bootstrapUntil: bootstrap.manifest.payload.expires }),
    revocations: manifest?.payload.revocations,
    anchorSets: manifest?.payload.anchorSets ?? NO_ANCHOR_SETS,
    ct: manifest?.payload.ct,
    interception: Object.freeze(manifest?.payload.interception ?? []),
    denies: Object.freeze(denies),
  })
}

export function manifestIn(state: ManifestState): AcceptedManifest | undefined {
  return 'manifest' in state ? state.manifest : undefined
}

export function emitDenyChanges(before: readonly StickyDeny[], after: readonly StickyDeny[], emit: Emit): void {
  const [added, cleared] = [keysWithout(after, before), keysWithout(before, after)]
  if (added.length + cleared.length > 0) emit({ type: 'manifest.deny', added, cleared })
}

function keysWithout(denies: readonly StickyDeny[], others: readonly StickyDeny[]): readonly PinText[] {
  const known = new Set(others.map(identityOf))
  return denies.filter((deny) => !known.has(identityOf(deny))).map(({ spki }) => spki)
}

/** Denies of statuses, then what the manifest itself revokes. */
function denyRules(sticky: readonly StickyDeny[], manifest: AcceptedManifest | undefined): readonly DenyRule[] {
  const revoked = (manifest?.payload.revocations?.spki ?? []).map(
    ({ sha256, reason, hosts }): DenyRule => ({
      spki: sha256,
      reason,
      ...(hosts === undefined ? {} : { hosts }),
    }),
  )
  return [
    ...sticky.map(({ spki, hosts, reason }) => ({ spki, reason, ...(hosts === undefined ? {} : { hosts }) })),
    ...revoked,
  ]
}

function textOf(denies: readonly DenyRule[]): string {
  return JSON.stringify(denies.map((deny) => [identityOf(deny), deny.reason]))
}

function lookupFor(manifest: AcceptedManifest | undefined): HostLookup {
  if (manifest === undefined) return NOTHING
  const known = LOOKUPS.get(manifest) ?? createLookup(manifest.hosts)
  LOOKUPS.set(manifest, known)
  return known
}

const NOTHING: HostLookup = () => undefined
const LOOKUPS = new WeakMap<AcceptedManifest, HostLookup>()

const NO_ANCHOR_SETS = Object.freeze({})
