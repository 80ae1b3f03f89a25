import { isIP, type LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import type { AddressBlock } from '../encoding/cidr.ts'
import type { Emit } from '../events/events.ts'
import type { EvidenceRequest, FetchEvidence, Runtime } from '../ports/runtime.ts'
import { EvidenceError } from '../trust/revocation/evidence.ts'
import { addressRefusal } from './address-policy.ts'
import { isPublicAddress } from './addresses.ts'
import type { EvidenceRoads } from './evidence-road.ts'
import { type Resolver, systemResolver } from './resolvers.ts'
import { Agent, ProxyAgent } from './undici.ts'

export interface EvidenceNetwork {
  /** Hosts whose evidence may come from private addresses: an internal CA’s. */
  readonly allowPrivateHosts: readonly string[]
  readonly ports: readonly number[]
  /** What the client connects to in no case. Default none. */
  readonly deny?: readonly AddressBlock[]
  /** Sends evidence requests through this HTTP proxy, which then decides on addresses, in place of the client's. */
  readonly proxy?: string
}

export interface EvidenceFetcher {
  readonly fetch: FetchEvidence
  readonly close: () => Promise<void>
}

/**
 * Fetches CRLs and OCSP responses from where certificates say. A URL in a certificate is a stranger's wish: it is fetched
 * without credentials, cookies or pins, by an agent of its own, from public addresses only. The address that is connected to
 * is the one that is judged, so a name that resolves differently the second time gains nothing; redirects are judged anew.
 */
export function createEvidenceFetcher(options: {
  readonly runtime: Runtime
  readonly network: EvidenceNetwork
  readonly resolver?: Resolver
  /** Where direct connections come from. */
  readonly localAddress?: string
  /** Through the client's own proxy, unless `network` names one. Default: directly. */
  readonly roads?: EvidenceRoads | undefined
  /** For what the resolver has to tell. Default: nobody listens. */
  readonly emit?: Emit
}): EvidenceFetcher {
  const { runtime, network, resolver = systemResolver, localAddress, emit = () => undefined } = options
  const roadTo = network.proxy === undefined ? options.roads : undefined
  const settings = {
    connect: { lookup: publicOnly(network, (host) => resolver(host, { emit })), rejectUnauthorized: true },
    pipelining: 0,
    ...(localAddress === undefined ? {} : { localAddress }),
  }
  const agent: Dispatcher =
    network.proxy === undefined ? new Agent(settings) : new ProxyAgent({ uri: network.proxy, proxyTunnel: false })
  return {
    fetch: (request) => body(request),
    close: () => agent.destroy(),
  }

  async function* body(request: EvidenceRequest): AsyncGenerator<Uint8Array> {
    const { url: text, maxBytes, timeoutMs } = request
    const deadline = new AbortController()
    const cancel = runtime.schedule(timeoutMs, () => deadline.abort(timedOut(text, timeoutMs)))
    let length = 0
    try {
      for await (const chunk of await open(request, deadline.signal)) {
        length += chunk.length
        if (length > maxBytes) throw refusal('TOO_LARGE', text, `more than ${maxBytes} bytes`)
        yield chunk
      }
    } catch (error) {
      throw typed(error, text, deadline.signal)
    } finally {
      cancel()
      deadline.abort() // a reader that left early leaves no socket behind
    }
  }

  async function open(request: EvidenceRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    let url = checkedUrl(request.url, network)
    for (let redirects = 0; ; redirects += 1) {
      const { client = agent, path = `${url.pathname}${url.search}`, headers = {} } = roadTo?.(url, signal) ?? {}
      const response = await client.request({
        origin: url.origin,
        path,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0, // the deadline is for the whole
        ...(request.ocspRequest === undefined
          ? { method: 'GET', headers: { ...headers, 'accept-encoding': 'identity' } }
          : {
              method: 'POST',
              headers: { ...headers, 'content-type': 'application/ocsp-request', 'accept-encoding': 'identity' },
              body: request.ocspRequest,
            }),
      })
      if (response.statusCode === 200) return response.body
      response.body.on('error', () => undefined).destroy() // nobody reads what it says
      const { location } = response.headers
      const isRedirect = REDIRECTS.has(response.statusCode) && typeof location === 'string'
      if (!isRedirect || request.ocspRequest !== undefined) {
        throw refusal('STATUS', request.url, `status ${response.statusCode}`)
      }
      if (redirects === MAX_REDIRECTS) {
        throw refusal('TOO_MANY_REDIRECTS', request.url, `more than ${MAX_REDIRECTS} redirects`)
      }
      url = checkedUrl(URL.canParse(location, url.href) ? new URL(location, url).href : location, network)
    }
  }
}

function checkedUrl(text: string, network: EvidenceNetwork): URL {
  const { ports } = network
  const url = text.length <= MAX_URL_LENGTH && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.password !== '') {
    throw refusal('BAD_URL', text, 'not a URL without user name and password')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refusal('BAD_SCHEME', text, url.protocol)
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port)
  if (!ports.includes(port)) throw refusal('BAD_PORT', text, `port ${port}, allowed are ${ports.join(', ')}`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !mayAsk(host, host, network)) throw blocked(host)
  return url
}

function mayAsk(host: string, address: string, { allowPrivateHosts, deny = [] }: EvidenceNetwork): boolean {
  const isDenied = addressRefusal(address, { deny, private: 'allow' }) !== undefined
  return !isDenied && (allowPrivateHosts.includes(host) || isPublicAddress(address))
}

type Resolve = (host: string) => Promise<readonly string[]>

/** Answers with public addresses alone, to the very call that connects to them. */
function publicOnly(network: EvidenceNetwork, resolve: Resolve): LookupFunction {
  return (hostname, { all }, callback) => {
    const answer = (addresses: readonly string[]): void => {
      const allowed = addresses.filter((address) => mayAsk(hostname, address, network))
      const list = allowed.map((address) => ({ address, family: isIP(address) }))
      const [first] = list
      if (first === undefined) callback(addresses.length === 0 ? notFound(hostname) : blocked(hostname), '', 4)
      else if (all === true) callback(null, list)
      else callback(null, first.address, first.family)
    }
    addressesOf(resolve, hostname).then(answer, () => callback(notFound(hostname), '', 4))
  }
}

/** What a resolver of the application’s answers is looked at first: nonsense further down would end the process. */
async function addressesOf(resolve: Resolve, hostname: string): Promise<readonly string[]> {
  const answer: unknown = await resolve(hostname)
  if (!Array.isArray(answer)) throw new TypeError('expected a list of addresses')
  return answer.filter((address): address is string => typeof address === 'string' && isIP(address) !== 0)
}

const notFound = (host: string): Error => Object.assign(new Error(`${host} does not resolve`), { code: 'ENOTFOUND' })

function blocked(host: string): EvidenceError {
  const message = `${host}: evidence comes from public addresses only`
  return new EvidenceError('ERR_TRUST_FETCH_BLOCKED_ADDRESS', message)
}

function timedOut(url: string, timeoutMs: number): EvidenceError {
  return refusal('TIMEOUT', url, `no complete answer within ${timeoutMs} ms`)
}

type Reason =
  | 'BAD_URL'
  | 'BAD_SCHEME'
  | 'BAD_PORT'
  | 'TOO_MANY_REDIRECTS'
  | 'STATUS'
  | 'TOO_LARGE'
  | 'TIMEOUT'
  | 'NETWORK'

function refusal(reason: Reason, url: string, message: string): EvidenceError {
  return new EvidenceError(CODES[reason], `${shown(url)}: ${message}`)
}

function typed(error: unknown, url: string, signal: AbortSignal): unknown {
  if (error instanceof EvidenceError) return error
  if (signal.aborted && signal.reason instanceof EvidenceError) return signal.reason
  const cause = error instanceof Error && error.cause instanceof EvidenceError ? error.cause : undefined
  if (cause !== undefined) return cause
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
  return error instanceof Error ? refusal('NETWORK', url, reason) : error
}

/** Of a stranger's text as much as a log can take: no query, no control characters. */
function shown(text: string): string {
  if (!URL.canParse(text)) return 'URL of the certificate'
  const { protocol, host, pathname } = new URL(text)
  return `${protocol}//${host}${pathname}`.slice(0, 200)
}

const CODES = {
  BAD_URL: 'ERR_TRUST_FETCH_BAD_URL',
  BAD_SCHEME: 'ERR_TRUST_FETCH_BAD_SCHEME',
  BAD_PORT: 'ERR_TRUST_FETCH_BAD_PORT',
  TOO_MANY_REDIRECTS: 'ERR_TRUST_FETCH_TOO_MANY_REDIRECTS',
  STATUS: 'ERR_TRUST_FETCH_STATUS',
  TOO_LARGE: 'ERR_TRUST_FETCH_TOO_LARGE',
  TIMEOUT: 'ERR_TRUST_FETCH_TIMEOUT',
  NETWORK: 'ERR_TRUST_FETCH_NETWORK',
} as const

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const MAX_REDIRECTS = 2
const MAX_URL_LENGTH = 2_048
