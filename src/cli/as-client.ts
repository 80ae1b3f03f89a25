import { createAnchorLookup } from '../client/anchors.ts'
import type { ResolvedOptions } from '../client/options.ts'
import { createPolicies, type PolicySources } from '../client/policies.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { type ChainEntry, type Finding, PinfetchError, TrustError } from '../errors/errors.ts'
import { addDenies, clearDenies } from '../manifest/denies.ts'
import { COLD, next } from '../manifest/state.ts'
import { type ManifestView, viewOf } from '../manifest/view.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { type Connection, createConnector } from '../transport/connector.ts'
import { describePath } from '../trust/evaluate.ts'
import type { Walk } from './walk.ts'

/** What a client says of a server. */
export type ClientVerdict =
  | {
      readonly kind: 'trusted'
      readonly chain: readonly ChainEntry[]
      readonly protocol: string
      /** What report mode let through. */
      readonly reported: readonly Finding[]
    }
  | { readonly kind: 'refused'; readonly error: PinfetchError; readonly chain: readonly ChainEntry[] }

/** Connects as a client with these options does, and sends no request. Of revocation, staples alone are seen. */
export async function judgeAsClient(
  origin: CanonicalOrigin,
  options: ResolvedOptions,
  view: PolicySources['view'],
): Promise<ClientVerdict> {
  const { runtime, timeouts, addresses, localAddress, proxy } = options
  const policies = createPolicies({
    options,
    view,
    emit: () => {},
    anchorsFor: createAnchorLookup(options.anchors),
  })
  const connector = createConnector({
    policyOf: policies.of,
    runtime,
    emit: () => {},
    timeouts,
    addresses,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(proxy === undefined ? {} : { proxy: proxy.server, proxyPolicyOf: policies.ofProxy }),
  })
  const result = await new Promise<Connection | PinfetchError>((resolve) => {
    try {
      policies.of(origin) // says no before any packet
      connector.connect(origin, resolve)
    } catch (error) {
      if (!(error instanceof PinfetchError)) throw error
      resolve(error)
    }
  })
  if (result instanceof PinfetchError) {
    return { kind: 'refused', error: result, chain: result instanceof TrustError ? result.chain : [] }
  }
  const { socket, peer } = result
  const protocol = socket.getProtocol() ?? ''
  socket.end(() => socket.destroy())
  return { kind: 'trusted', chain: describePath(peer.path), protocol, reported: peer.reported }
}

/** What a client has in force that took these documents; without any, that of one that has none yet. */
export function viewOfWalk(walk: Walk | undefined, now: UnixMs): ManifestView {
  if (walk === undefined) return viewOf(COLD, undefined)
  const { manifest, status, root } = walk
  const denies = clearDenies(addDenies([], status), manifest)
  const state = next(COLD, { type: 'activated', manifest, status }, now)
  return viewOf(state, { root, denies, everAccepted: true })
}

export function findingsOf(error: PinfetchError): readonly { readonly code: ErrorCode; readonly message: string }[] {
  if (error instanceof TrustError && error.findings.length > 0) {
    return error.findings.map(({ code, message }) => ({ code, message }))
  }
  const [message = ''] = error.message.split('\n')
  return [{ code: error.code, message }]
}
