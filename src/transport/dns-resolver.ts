import { BoundedMap } from '../encoding/bounded-map.ts'
import { type CanonicalHost, canonicalHost } from '../encoding/host.ts'
import { ConfigurationError, PinfetchError, TransportError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { AddressType, DnsAnswer } from './dns-message.ts'
import type { Resolver, ResolverContext } from './resolvers.ts'

/** A DNS server that is asked over a pinned connection, by whatever protocol. */
export interface DnsServer {
  /** As messages name it. */
  readonly text: string
  /** One query. Rejects with why there is no answer that can be read. */
  readonly ask: (host: CanonicalHost, type: AddressType, query: DnsQuery) => Promise<DnsAnswer>
}

export interface DnsQuery extends ResolverContext {
  /** Aborted when nobody waits for the answer any longer. */
  readonly signal: AbortSignal
}

/**
 * Asks for both families of addresses. Answers are kept as long as they say, between 30 seconds and an hour; that a name has no
 * address, 30 seconds. A name that is asked for while its answer is under way waits for the same one.
 *
 * @param timeoutMs For the two queries of a name together.
 */
export function createDnsResolver(
  server: DnsServer,
  { timeoutMs, runtime }: { readonly timeoutMs: number; readonly runtime: Runtime },
): Resolver {
  const kept = new BoundedMap<CanonicalHost, { readonly addresses: readonly string[]; readonly until: number }>(
    MAX_NAMES,
  )
  const underWay = new Map<CanonicalHost, Promise<readonly string[]>>()

  const ask = async (host: CanonicalHost, type: AddressType, query: DnsQuery): Promise<Answered> => {
    const answer = await server.ask(host, type, query)
    if (answer.kind === 'failed') throw new Error(answer.reason)
    return answer
  }

  const resolve = async (host: CanonicalHost, context: ResolverContext): Promise<readonly string[]> => {
    const deadline = new AbortController()
    const cancel = runtime.schedule(timeoutMs, () => deadline.abort(new Error(`no answer within ${timeoutMs} ms`)))
    const query = { ...context, signal: deadline.signal }
    try {
      const [v6, v4] = await Promise.all([ask(host, 'AAAA', query), ask(host, 'A', query)])
      const addresses = [...v6.addresses, ...v4.addresses] // RFC 8305 §4: IPv6 first; Node tries the others beside it
      const ttl = addresses.length === 0 ? 0 : Math.min(...[v6, v4].filter(hasAddresses).map((answer) => answer.ttl))
      const keptMs = Math.min(Math.max(ttl * 1_000, MIN_KEPT_MS), MAX_KEPT_MS)
      kept.set(host, { addresses, until: runtime.clock.monotonic() + keptMs })
      return addresses
    } catch (error) {
      deadline.abort(error) // the other query has nobody left who waits for it
      throw unresolved(host, server, deadline.signal.reason)
    } finally {
      cancel()
    }
  }

  return async (text, context) => {
    const host = canonicalHost(text)
    if (host === undefined) return []
    const known = kept.get(host)
    if (known !== undefined && runtime.clock.monotonic() < known.until) return known.addresses
    const waiting = underWay.get(host)
    if (waiting !== undefined) return waiting
    const asked = resolve(host, context).finally(() => underWay.delete(host))
    underWay.set(host, asked)
    return asked
  }
}

type Answered = Extract<DnsAnswer, { readonly kind: 'answered' }>

const hasAddresses = ({ addresses }: Answered): boolean => addresses.length > 0

function unresolved(host: string, { text }: DnsServer, cause: unknown): PinfetchError {
  if (cause instanceof ConfigurationError) return cause
  const reason = cause instanceof PinfetchError ? cause.code : cause instanceof Error ? cause.message : 'failed'
  const message = `${host}: ${text} did not resolve the name (${reason})`
  return new TransportError('ERR_TRANSPORT_RESOLVE', message, { host, cause })
}

const MIN_KEPT_MS = 30_000 // what changes faster is out to get past a check of an earlier answer
const MAX_KEPT_MS = 3_600_000
const MAX_NAMES = 1_000
