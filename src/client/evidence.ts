import type { Emit } from '../events/events.ts'
import type { Store } from '../stores/store.ts'
import type { Evidence } from '../transport/connector.ts'
import { createEvidenceFetcher } from '../transport/evidence-fetch.ts'
import { createEvidenceStore } from '../trust/revocation/evidence-store.ts'
import type { ResolvedOptions } from './options.ts'

export interface ClientEvidence extends Evidence {
  readonly close: () => Promise<void>
}

/** CRLs and OCSP responses for the connections of one client, fetched over an agent that knows no pins and no credentials. */
export function createEvidence(
  { runtime, resolver, addresses: { deny }, revocation: { network } }: ResolvedOptions,
  { store, emit, onChange }: { readonly store: Store; readonly emit: Emit; readonly onChange: () => void },
): ClientEvidence {
  const { maxBytes, timeoutMs, budgetMs } = network
  const fetcher = createEvidenceFetcher({
    runtime,
    network: { ...network, deny },
    emit,
    ...(resolver === undefined ? {} : { resolver }),
  })
  const { source, want, gather, close } = createEvidenceStore({
    fetch: fetcher.fetch,
    store,
    runtime,
    maxBytes,
    timeoutMs,
    emit,
    onChange,
  })
  return {
    source,
    want,
    gather: (path, policy) => gather(path, policy, budgetMs),
    close: async () => {
      close()
      await fetcher.close()
    },
  }
}
