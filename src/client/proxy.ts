import * as z from 'zod'
import { type CanonicalOrigin, canonicalHost, canonicalOrigin } from '../encoding/host.ts'
import { formatHostPattern, parseHostPattern, patternsOver } from '../encoding/host-pattern.ts'
import { isPinText, type PinText } from '../encoding/pin.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { ProxyServer } from '../transport/proxy.ts'
import type { ProxyCredentials } from '../transport/proxy-dialogue.ts'
import { isPlainPolicy } from '../transport/route.ts'
import type { ResolvedOptions } from './options.ts'
import { type Bypass, parseBypass } from './proxy-bypass.ts'

/** A proxy, with its own pins or credentials. A URL alone does where there is nothing more to say. */
export interface ProxyOptions {
  /**
   * - `http://proxy.corp.example:3128`: an HTTP proxy. Credentials go to it in the clear.
   * - `https://proxy.corp.example`: the same, reached by TLS, and judged as any host.
   * - `socks5://…`: the name of the server is resolved here. `socks5h://…`: by the proxy, which excludes `resolver` and `addresses`.
   *
   * Without a port: 80, 443 and 1080.
   */
  readonly url: string | URL
  /** By Basic (RFC 7617) or RFC 1929. Default: user name and password of the URL. */
  readonly credentials?: ProxyCredentials
  /**
   * Of the proxy's own certificate, where the URL is https. Default: what `pins`, the manifest or `allowUnpinned` say of its host.
   * Required where the manifest itself comes through it.
   */
  readonly pins?: readonly string[]
  /**
   * What is connected to directly: `example.com` with all below it, `10.0.0.0/8` for URLs with such an address, one of them with
   * `:port`, `*`. Default nothing.
   */
  readonly bypass?: readonly string[]
}

/** `'environment'`: what `https_proxy`, else `all_proxy`, and `no_proxy` say when the client is made, in either case. */
export type ProxyOption = 'environment' | string | URL | ProxyOptions

export interface ResolvedProxy {
  readonly server: ProxyServer
  readonly pins: readonly PinText[]
  /** The environment named it, as it was asked to. */
  readonly isFromEnvironment: boolean
}

/**
 * @param env Read where the option says so, and nowhere else.
 * @throws ConfigurationError that names the option or the variable. Never its value: that may hold a password.
 */
export function resolveProxy(
  option: z.infer<typeof ProxySchema> | undefined,
  env: Environment = process.env,
): ResolvedProxy | undefined {
  if (option === undefined) return undefined
  if (option === 'environment') return fromEnvironment(env)
  const {
    url,
    credentials,
    pins = [],
    bypass = [],
  } = typeof option === 'object' && 'url' in option ? option : { url: option }
  const path = typeof option === 'object' && 'url' in option ? 'proxy.url' : 'proxy'
  const server = serverOf(String(url), path, credentials, bypass.map(requireBypass))
  if (pins.length > 0 && server.scheme !== 'https') {
    throw invalid('proxy.pins', `a proxy of ${server.scheme} shows no certificate`)
  }
  return { server, pins: pins.map(requirePin), isFromEnvironment: false }
}

/**
 * Refuses at the start what could never work, or would not keep what another option promises.
 *
 * @throws ConfigurationError
 */
export function requireUsable(
  proxy: ResolvedProxy | undefined,
  others: Partial<Pick<ResolvedOptions, 'resolver'>> &
    Pick<ResolvedOptions, 'addresses' | 'manifests' | 'unlistedHosts'>,
): void {
  if (proxy === undefined) return
  const { server, pins } = proxy
  if (server.scheme === 'socks5h' && !isPlainPolicy(others, {})) {
    const message = 'socks5h leaves names to the proxy, so `resolver` and `addresses` would not be asked: say socks5'
    throw invalid('proxy', message)
  }
  const isFetched = others.manifests.some(({ locations }) =>
    locations.some((one) => one.kind === 'https' && !isBypassed(one.url, server)),
  )
  const isUnpinned = others.unlistedHosts.some(({ pattern }) => coversHost(pattern, server.origin))
  if (server.scheme !== 'https' || pins.length > 0 || !isFetched || isUnpinned) return
  throw invalid('proxy.pins', 'the manifest comes through this proxy, so the manifest cannot say how to know it')
}

/** The proxy that connections to an origin go through, for those that do. */
export function proxyOf(
  proxy: ResolvedProxy | undefined,
  unixSocketOf: ((origin: CanonicalOrigin) => string | undefined) | undefined,
): ((origin: CanonicalOrigin) => CanonicalOrigin | undefined) | undefined {
  if (proxy === undefined) return undefined
  const { server } = proxy
  return (origin) => (unixSocketOf?.(origin) !== undefined || server.bypasses(origin) ? undefined : server.origin)
}

function isBypassed(url: URL, server: ProxyServer): boolean {
  const origin = canonicalOrigin(url)
  return origin === undefined || server.bypasses(origin)
}

function coversHost(pattern: string, { host }: CanonicalOrigin): boolean {
  const parsed = parseHostPattern(pattern)
  return parsed !== undefined && [...patternsOver(host)].includes(formatHostPattern(parsed))
}

/** As curl does it for https URLs: the name in lower case first, and an empty value is none. */
function fromEnvironment(env: Environment): ResolvedProxy | undefined {
  const name = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].find((one) => (env[one] ?? '') !== '')
  if (name === undefined) return undefined
  const value = env[name] ?? ''
  const entries = (env['no_proxy'] || env['NO_PROXY'] || '').split(/[\s,]+/)
  const bypass = entries.flatMap((entry) => parseBypass(entry) ?? []) // what other programs have there is not ours to judge
  const server = serverOf(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`, name, undefined, bypass)
  return { server, pins: [], isFromEnvironment: true }
}

function serverOf(
  text: string,
  path: string,
  given: ProxyCredentials | undefined,
  bypass: readonly Bypass[],
): ProxyServer {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const [scheme] = SCHEMES.filter((one) => `${one}:` === url?.protocol)
  const origin = url === undefined || scheme === undefined ? undefined : originOf(url, PORTS[scheme])
  const isBare = url !== undefined && (url.pathname === '' || url.pathname === '/') && url.search + url.hash === ''
  if (scheme === undefined || origin === undefined || !isBare) {
    const message = `${path}: expected the URL of a proxy without path: http, https, socks5 or socks5h, and a host`
    throw new ConfigurationError('ERR_CONFIG_URL', message)
  }
  const credentials = given ?? credentialsIn(url, path)
  if (credentials !== undefined) requireSendable(credentials, scheme, path)
  const bracketed = origin.kind === 'ip' && origin.host.includes(':') ? `[${origin.host}]` : origin.host
  return {
    scheme,
    origin,
    text: `${scheme}://${bracketed}:${origin.port}`,
    ...(credentials === undefined ? {} : { credentials: () => credentials }),
    bypasses: (target) => bypass.some((covers) => covers(target)),
  }
}

function originOf({ hostname, port }: URL, usual: number): CanonicalOrigin | undefined {
  const host = canonicalHost(hostname)
  if (host === undefined) return undefined
  return canonicalOrigin(new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port === '' ? usual : port}`))
}

function credentialsIn({ username, password }: URL | { username: string; password: string }, path: string) {
  if (username === '' && password === '') return undefined
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    throw invalid(path, 'user name and password have to be percent-encoded UTF-8')
  }
}

function requireSendable({ username, password }: ProxyCredentials, scheme: ProxyServer['scheme'], path: string): void {
  if (scheme.startsWith('socks')) {
    const lengths = [username, password].map((text) => Buffer.byteLength(text))
    if (lengths.every((length) => length >= 1 && length <= 255)) return
    throw invalid(path, 'SOCKS takes a user name and a password of 1 to 255 bytes each') // RFC 1929 §2
  }
  const hasControl = /\p{Cc}/u.test(username + password)
  if (hasControl || username.includes(':')) {
    throw invalid(path, 'Basic takes no control characters, and no colon in a user name') // RFC 7617 §2
  }
}

function requireBypass(entry: string, index: number): Bypass {
  const bypass = parseBypass(entry)
  if (bypass !== undefined) return bypass
  throw invalid(`proxy.bypass.${index}`, `expected a host, an address, a block or *, got ${JSON.stringify(entry)}`)
}

function requirePin(pin: string, index: number): PinText {
  if (isPinText(pin)) return pin
  const message = `proxy.pins.${index}: expected sha256/, sha384/ or sha512/ and the base64 digest of an SPKI`
  throw new ConfigurationError('ERR_CONFIG_PIN', message)
}

function invalid(path: string, message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `${path}: ${message}`)
}

type Environment = Readonly<Record<string, string | undefined>>

const SCHEMES = ['http', 'https', 'socks5', 'socks5h'] as const
const PORTS = { http: 80, https: 443, socks5: 1080, socks5h: 1080 } as const

const Url = z.union([z.string().min(1), z.instanceof(URL)])

export const ProxySchema = z.union([
  Url,
  z.strictObject({
    url: Url,
    credentials: z.strictObject({ username: z.string(), password: z.string() }).optional(),
    pins: z.array(z.string()).min(1).max(16).optional(),
    bypass: z.array(z.string()).max(1_000).optional(),
  }),
])

export const ProxyInFile = z.union([
  z.string().min(1),
  z.strictObject({
    url: z.string().min(1),
    pins: z.array(z.string()).min(1).max(16).exactOptional(),
    bypass: z.array(z.string()).max(1_000).exactOptional(),
  }),
])
