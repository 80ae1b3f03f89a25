import type { ErrorCode } from '../errors/codes.ts'
import type { ManifestError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { Knowledge } from './knowledge.ts'
import { deadlines, type ManifestState, type StateKind } from './state.ts'
import { type ManifestView, manifestIn } from './view.ts'

export interface ManifestHealth {
  readonly state: StateKind
  /** 0 while none is in force. */
  readonly manifestVersion: number
  readonly manifestEpoch: number
  readonly rootVersion: number
  /** 0 while none was accepted. */
  readonly statusVersion: number
  /** Since the newest status was issued. */
  readonly statusAgeMs?: number
  /** When pinned hosts start to be refused if nobody acts. */
  readonly expiresAt?: UnixMs
  readonly lastSuccessAt?: UnixMs
  /** Of the latest attempt; absent after a success. */
  readonly lastError?: { readonly code: ErrorCode; readonly message: string; readonly at: UnixMs }
  readonly denies: number
  readonly nextPollAt?: UnixMs
}

/** What the loop remembers that no document says. Instants of the monotonic clock, except the `…At` of UnixMs. */
export interface Seen {
  failures: number
  lastProbe: number
  lastEarly: number
  rootConfirmedAt: number
  /** When this process itself got an answer from the source. */
  lastAsked: number
  /** The poll, ours or another process’s, that the next one follows. */
  lastPollAt?: UnixMs
  lastSuccessAt?: UnixMs
  nextPollAt?: UnixMs
  lastError?: { readonly code: ErrorCode; readonly message: string; readonly at: UnixMs }
  fatal?: ManifestError
}

/** A snapshot for health checks; nothing in it changes afterwards. */
export function healthOf(
  state: ManifestState,
  known: Knowledge | undefined,
  { lastSuccessAt, lastError, nextPollAt }: Seen,
  view: ManifestView,
  now: UnixMs,
): ManifestHealth {
  const status = known?.status
  return {
    state: state.kind,
    manifestVersion: view.version,
    manifestEpoch: manifestIn(state)?.epoch ?? 0,
    rootVersion: known?.root.version ?? 0,
    statusVersion: status?.version ?? 0,
    denies: view.denies.length,
    ...(status === undefined ? {} : { statusAgeMs: now - status.payload.issuedAt }),
    ...('manifest' in state ? { expiresAt: deadlines(state.manifest, state.status).expiredAt } : {}),
    ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(nextPollAt === undefined || state.kind === 'closed' ? {} : { nextPollAt }),
  }
}
