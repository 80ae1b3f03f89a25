import { BoundedMap } from '../encoding/bounded-map.ts'
import { type CanonicalHost, canonicalHost } from '../encoding/host.ts'
import { ConfigurationError, PinfetchError, TransportError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { type AddressType, type DnsAnswer, encodeQuery, readAnswer } from './dns-message.ts'
import type { Resolver } from './resolvers.ts'

export interface DohOptions {
  /**
   * A client of its own, with pins for the server in `url`. It finds that server by its own resolver: `staticResolver`, the
   * system's, or an address as the URL's host. Never by the resolver that is made here.
   */
  readonly client: { readonly fetch: typeof globalThis.fetch }
  /** Where the queries are posted: `https://dns.example/dns-query`. */
  readonly url: string | URL
  /** For the two queries of a name together. Default 5 000: half of what a connection may take. */
  readonly timeoutMs?: number
  /** Clock and timers. Default: the machine's. */
  readonly runtime?: Runtime
}

/**
 * Resolves names by DNS over HTTPS (RFC 8484) through a pinned client: whoever sits on the network neither reads nor forges
 * the answers. They are kept as long as they say, between 30 seconds and an hour; that a name has no address, 30 seconds.
 * A name that is asked for while its answer is under way waits for the same one.
 *
 * @throws ConfigurationError when the URL is not https.
 */
export function dohResolver({ client, url, timeoutMs = 5_000, runtime = systemRuntime }: DohOptions): Resolver {
  const server = checkedUrl(url)
  const own = canonicalHost(server.hostname)
  const kept = new BoundedMap<CanonicalHost, { readonly addresses: readonly string[]; readonly until: number }>(
    MAX_NAMES,
  )
  const underWay = new Map<CanonicalHost, Promise<readonly string[]>>()

  const resolve = async (host: CanonicalHost): Promise<readonly string[]> => {
    const deadline = new AbortController()
    const cancel = runtime.schedule(timeoutMs, () => deadline.abort(new Error(`no answer within ${timeoutMs} ms`)))
    try {
      const [v6, v4] = await Promise.all([ask(host, 'AAAA', deadline.signal), ask(host, 'A', deadline.signal)])
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

  const ask = async (host: CanonicalHost, type: AddressType, signal: AbortSignal): Promise<Answered> => {
    const headers = { 'content-type': DNS_MESSAGE, accept: DNS_MESSAGE }
    const body = Buffer.from(encodeQuery(host, type))
    const response = await client.fetch(server, { method: 'POST', headers, body, signal })
    const contentType = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (response.status !== 200 || contentType !== DNS_MESSAGE) {
      await response.body?.cancel()
      throw new Error(`status ${response.status}, ${contentType ?? 'no content type'}`)
    }
    const answer = readAnswer(await bytesOf(response), host, type)
    if (answer.kind === 'failed') throw new Error(answer.reason)
    return answer
  }

  return async (text) => {
    const host = canonicalHost(text)
    if (host === undefined) return []
    if (host === own) throw asksItself(host)
    const known = kept.get(host)
    if (known !== undefined && runtime.clock.monotonic() < known.until) return known.addresses
    const waiting = underWay.get(host)
    if (waiting !== undefined) return waiting
    const asked = resolve(host).finally(() => underWay.delete(host))
    underWay.set(host, asked)
    return asked
  }
}

type Answered = Extract<DnsAnswer, { readonly kind: 'answered' }>

const hasAddresses = ({ addresses }: Answered): boolean => addresses.length > 0

function checkedUrl(given: string | URL): URL {
  const url = URL.canParse(String(given)) ? new URL(String(given)) : undefined
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url
  const message = 'dohResolver: expected an https URL without user name and password'
  throw new ConfigurationError('ERR_CONFIG_URL', message)
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_MESSAGE_BYTES) throw new Error(`more than ${MAX_MESSAGE_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Refused for good, loop or not: otherwise the answer would depend on whether a connection to the server is there already. */
function asksItself(host: string): ConfigurationError {
  const message = `dohResolver: ${host} is the server that is asked, so it cannot be asked for its own address; give its client another resolver`
  return new ConfigurationError('ERR_CONFIG_INVALID', message)
}

function unresolved(host: string, { host: server }: URL, cause: unknown): PinfetchError {
  if (cause instanceof ConfigurationError) return cause
  const reason = cause instanceof PinfetchError ? cause.code : cause instanceof Error ? cause.message : 'failed'
  const message = `${host}: ${server} did not resolve the name (${reason})`
  return new TransportError('ERR_TRANSPORT_RESOLVE', message, { host, cause })
}

const DNS_MESSAGE = 'application/dns-message'
const MAX_MESSAGE_BYTES = 65_535 // RFC 8484 §6
const MIN_KEPT_MS = 30_000 // what changes faster is out to get past a check of an earlier answer
const MAX_KEPT_MS = 3_600_000
const MAX_NAMES = 1_000
