import { canonicalHost } from '../encoding/host.ts'
import { parseHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import type { AcceptedManifest, AcceptedStatus } from '../manifest/accept.ts'
import type { TrustedRoot } from '../manifest/root.ts'
import type { HostEntry, ManifestPayload } from '../manifest/schema.ts'
import { COLD, next, type StateKind } from '../manifest/state.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { LOG_LIST_MAX_AGE_MS } from './log-list.ts'
import { deniedFor, groupsOf, isActive } from './seen.ts'

export interface Simulation {
  /** Of a client that has these documents and gets no newer ones. */
  readonly state: StateKind
  /** What a client that starts at that instant without a cache would say of them. */
  readonly coldStart: 'accepted' | 'root expired' | 'status expired' | 'manifest expired' | 'not yet issued'
  readonly hosts: readonly SimulatedHost[]
  readonly transparency: SimulatedTransparency | undefined
}

/** What the manifest has clients do with certificates that were not logged; absent where it says nothing about it. */
export interface SimulatedTransparency {
  readonly policy: NonNullable<ManifestPayload['ct']>['policy']
  /** `stale`: nothing is judged by a list that is so old. */
  readonly logList: 'current' | 'stale'
  /** Unix milliseconds. */
  readonly until: number
}

export interface SimulatedHost {
  readonly host: string
  readonly port: number | undefined
  readonly decision: 'enforced' | 'report' | 'refused'
  /** Why requests are refused, or what the entry asks for and is not given. */
  readonly note: string | undefined
  readonly activePins: readonly PinText[]
}

/** What a client’s own options let a manifest loosen; by default nothing, and the strict reading holds. */
export type Allowance = 'report' | 'stale'

/** What running clients would do at an instant if nobody signed anything until then. Pure. */
export function simulate(input: {
  readonly root: TrustedRoot
  readonly status: AcceptedStatus
  readonly manifest: AcceptedManifest
  readonly at: UnixMs
  readonly may?: readonly Allowance[]
}): Simulation {
  const { root, status, manifest, at, may = [] } = input
  const { kind } = next(COLD, { type: 'activated', manifest, status }, at)
  return {
    state: kind,
    coldStart: coldStartAt(root, status, manifest, at),
    hosts: [...manifest.hosts].map((entry) => hostAt(entry, kind, input, may)),
    transparency: transparencyAt(manifest, at),
  }
}

function transparencyAt({ payload: { ct } }: AcceptedManifest, at: UnixMs): SimulatedTransparency | undefined {
  if (ct === undefined) return undefined
  const until = ct.logList.timestamp + LOG_LIST_MAX_AGE_MS
  return { policy: ct.policy, logList: at > until ? 'stale' : 'current', until }
}

function hostAt(
  entry: HostEntry,
  state: StateKind,
  { status, manifest, at }: { status: AcceptedStatus; manifest: AcceptedManifest; at: UnixMs },
  may: readonly Allowance[],
): SimulatedHost {
  const denied = deniedIn(entry, status, manifest)
  const activePins = entry.pins.filter((pin) => isActive(pin, denied, at)).map(({ spki }) => spki)
  const answer = (decision: SimulatedHost['decision'], note?: string): SimulatedHost => {
    return { host: entry.host, port: entry.port, decision, note, activePins }
  }
  if (entry.contained === true) return answer('refused', 'contained')
  const isOver = state === 'expired'
  if (isOver && entry.onStale !== 'report') return answer('refused', 'past expiry and grace')
  if (isOver) return may.includes('stale') ? answer('report') : answer('refused', 'past expiry; onStale not allowed')
  const asksForReport = entry.mode === 'report' || (entry.enforceFrom !== undefined && at < entry.enforceFrom)
  if (asksForReport && may.includes('report')) return answer('report')
  const isClosed = groupsOf(entry).some((group) => !group.some((pin) => isActive(pin, denied, at)))
  if (isClosed) return answer('refused', 'no active pin')
  return answer('enforced', asksForReport ? 'asks for report, which clients do not allow by default' : undefined)
}

function deniedIn({ host }: HostEntry, { payload }: AcceptedStatus, manifest: AcceptedManifest): ReadonlySet<PinText> {
  const pattern = parseHostPattern(host)
  const sample = pattern === undefined || pattern.kind === 'exact' ? host : `any.${pattern.base}` // some host under it
  const canonical = canonicalHost(sample)
  const undenied = new Set(manifest.payload.undeny)
  const denies = (payload.deny ?? []).filter(({ spki }) => !undenied.has(spki))
  return canonical === undefined
    ? new Set()
    : deniedFor(canonical, { denies, revocations: manifest.payload.revocations })
}

function coldStartAt(
  { payload: root }: TrustedRoot,
  { payload: status }: AcceptedStatus,
  { payload: manifest }: AcceptedManifest,
  at: UnixMs,
): Simulation['coldStart'] {
  if (Math.max(status.issuedAt, manifest.issuedAt) > at + MAX_SKEW_MS) return 'not yet issued'
  if (at >= root.expires) return 'root expired'
  if (at >= status.expires) return 'status expired'
  return at >= manifest.expires ? 'manifest expired' : 'accepted'
}

const MAX_SKEW_MS = 5 * 60_000 // as clients have it
