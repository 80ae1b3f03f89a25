import type { CanonicalOrigin } from '../encoding/host.ts'
import type { Emitter } from '../events/emitter.ts'
import type { Emit } from '../events/events.ts'
import type { Store } from '../stores/store.ts'
import type { Evidence } from '../transport/connector.ts'
import { createEvidenceFetcher } from '../transport/evidence-fetch.ts'
import { createEvidenceRoads } from '../transport/evidence-road.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { createEvidenceStore, type HeldList } from '../trust/revocation/evidence-store.ts'
import type { ResolvedOptions } from './options.ts'

export interface ClientEvidence extends Evidence {
  readonly lists: () => readonly HeldList[]
  readonly close: () => Promise<void>
}

/** CRLs and OCSP responses for the connections of one client, fetched over an agent that knows no pins and no credentials. */
export function createEvidence(
  {
    runtime,
    resolver,
    addresses: { deny },
    localAddress,
    proxy,
    timeouts,
    revocation: { network },
    crliteFilters,
  }: ResolvedOptions,
  {
    store,
    emit,
    hasListeners,
    onChange,
    proxyPolicyOf,
    requireProxy,
  }: {
    readonly store: Store
    readonly emit: Emit
    readonly hasListeners: Emitter['hasListeners']
    readonly onChange: () => void
    readonly proxyPolicyOf: (origin: CanonicalOrigin) => HostPolicy
    /** Throws where nothing may go through it. */
    readonly requireProxy: (proxy: CanonicalOrigin) => void
  },
): ClientEvidence {
  const { maxBytes, timeoutMs, budgetMs } = network
  const chosen = {
    ...(resolver === undefined ? {} : { resolver }),
    ...(localAddress === undefined ? {} : { localAddress }),
  }
  const { allowPrivateHosts } = network
  const connection = {
    ...chosen,
    runtime,
    emit,
    hasListeners,
    timeouts,
    policyOf: proxyPolicyOf,
    deny,
    allowPrivateHosts,
  }
  const roads = proxy && createEvidenceRoads(proxy.server, connection)
  const fetcher = createEvidenceFetcher({
    runtime,
    network: { ...network, deny },
    emit,
    roads:
      roads &&
      ((url, signal) => {
        const road = roads(url, signal)
        if (road !== undefined) requireProxy(proxy.server.origin)
        return road
      }),
    ...chosen,
  })
  const { source, want, gather, lists, close } = createEvidenceStore({
    fetch: fetcher.fetch,
    store,
    runtime,
    maxBytes,
    timeoutMs,
    emit,
    onChange,
    ...(crliteFilters === undefined ? {} : { crliteFilters: () => filtersOf(crliteFilters) }),
  })
  return {
    source,
    want,
    lists,
    gather: (path, policy) => gather(path, policy, budgetMs),
    close: async () => {
      close()
      await fetcher.close()
    },
  }
}

/** The verdict cannot wait for an application that fails: then it has no filters, which is no good news about anybody. */
function filtersOf(ask: () => readonly Uint8Array[]): readonly Uint8Array[] {
  try {
    const filters: unknown = ask()
    return Array.isArray(filters) && filters.every((one) => one instanceof Uint8Array) ? filters : NONE
  } catch {
    return NONE
  }
}

const NONE: readonly Uint8Array[] = []
