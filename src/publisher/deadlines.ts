import type { AcceptedManifest, AcceptedStatus } from '../manifest/accept.ts'
import type { TrustedRoot } from '../manifest/root.ts'
import { deadlines } from '../manifest/state.ts'

export interface Deadlines {
  /** From then on a client that starts without a cache accepts nothing. */
  readonly coldStartUntil: number
  /** From then on running clients refuse as well. */
  readonly refuseAt: number
}

/** When clients would start to refuse if nobody signed anything again. */
export function deadlinesOf(root: TrustedRoot, status: AcceptedStatus, manifest: AcceptedManifest): Deadlines {
  const { staleAt, expiredAt } = deadlines(manifest, status)
  return { coldStartUntil: Math.min(staleAt, root.payload.expires), refuseAt: expiredAt }
}
