import { canonicalHost } from '../encoding/host.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { encodeQuery, readAnswer } from './dns-message.ts'
import { createDnsResolver, type DnsServer } from './dns-resolver.ts'
import type { Resolver } from './resolvers.ts'

/** A resolver over HTTPS (RFC 8484). */
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

  const ask: DnsServer['ask'] = async (host, type, { signal }) => {
    const headers = { 'content-type': DNS_MESSAGE, accept: DNS_MESSAGE }
    const body = Buffer.from(encodeQuery(host, type))
    const response = await client.fetch(server, { method: 'POST', headers, body, signal })
    const contentType = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (response.status !== 200 || contentType !== DNS_MESSAGE) {
      await response.body?.cancel()
      throw new Error(`status ${response.status}, ${contentType ?? 'no content type'}`)
    }
    return readAnswer(await bytesOf(response), host, type)
  }

  const resolver = createDnsResolver({ text: server.host, ask }, { timeoutMs, runtime })
  return async (text, context) => {
    const host = canonicalHost(text)
    if (host !== undefined && host === own) throw asksItself(host)
    return resolver(text, context)
  }
}

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

const DNS_MESSAGE = 'application/dns-message'
const MAX_MESSAGE_BYTES = 65_535 // RFC 8484 §6
