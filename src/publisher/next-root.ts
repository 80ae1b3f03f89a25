import type { RoleName, RootPayload } from '../manifest/schema.ts'
import { type PublicJwk, thumbprint } from '../manifest/verify.ts'
import { type RootInput, rootPayload } from './documents.ts'

export interface RootKeyInput {
  readonly alg: 'Ed25519' | 'ES256'
  readonly publicJwk: PublicJwk
  readonly holder?: string
  readonly note?: string
}

export interface RootChange {
  readonly add?: readonly { readonly role: RoleName; readonly key: RootKeyInput }[]
  /** Thumbprints, taken out of every role. */
  readonly remove?: readonly string[]
  readonly threshold?: Partial<Readonly<Record<RoleName, number>>>
  /** Roles whose keys were stolen: what they signed so far no longer counts. */
  readonly raiseEpoch?: readonly ('manifest' | 'status')[]
}

/** The payload of the root after `current`, for the thresholds before and after to sign. Without a change it just lives longer. */
export function nextRoot(
  current: RootPayload,
  change: RootChange,
  { now, ttlMs }: { readonly now: number; readonly ttlMs: number },
): Uint8Array {
  const { add = [], remove = [], threshold = {}, raiseEpoch = [] } = change
  const known = new Map<string, RootKeyInput & { readonly kid: string }>()
  for (const { kty, crv, alg, x, y, holder, note } of current.keys) {
    const publicJwk: PublicJwk = y === undefined ? { kty, crv, x } : { kty, crv, x, y }
    keep(known, {
      alg,
      publicJwk,
      ...(holder === undefined ? {} : { holder }),
      ...(note === undefined ? {} : { note }),
    })
  }
  for (const { key } of add) keep(known, key)

  const roleOf = (role: RoleName) => {
    const kids = [
      ...current.roles[role].keys,
      ...add.flatMap((added) => (added.role === role ? [thumbprint(added.key.publicJwk)] : [])),
    ].filter((kid) => !remove.includes(kid))
    const keys = [...new Set(kids)].map((kid) => ({ kid }))
    return { keys, threshold: threshold[role] ?? current.roles[role].threshold }
  }
  const epochOf = (role: 'manifest' | 'status') => current.roles[role].epoch + (raiseEpoch.includes(role) ? 1 : 0)
  const roles: RootInput['roles'] = {
    root: roleOf('root'),
    manifest: { ...roleOf('manifest'), epoch: epochOf('manifest') },
    status: { ...roleOf('status'), epoch: epochOf('status'), mayDeny: current.roles.status.mayDeny },
  }
  const inUse = new Set(Object.values(roles).flatMap(({ keys }) => keys.map(({ kid }) => kid)))
  return rootPayload({
    repo: current.repo,
    env: current.env,
    version: current.version + 1,
    issuedAt: now,
    expires: now + ttlMs,
    keys: [...known.values()].filter(({ kid }) => inUse.has(kid)),
    roles,
  })
}

function keep(known: Map<string, RootKeyInput & { readonly kid: string }>, key: RootKeyInput): void {
  const kid = thumbprint(key.publicJwk)
  known.set(kid, { ...key, kid })
}
