import { isIP } from 'node:net'
import * as z from 'zod'
import { type CanonicalOrigin, canonicalHost, canonicalOrigin } from '../encoding/host.ts'
import { parseOptions } from '../encoding/options.ts'
import { isPinText } from '../encoding/pin.ts'
import { isRuntime, type Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { createConnector } from '../transport/connector.ts'
import { createDnsOverTls } from '../transport/dns-over-tls.ts'
import { createDnsResolver } from '../transport/dns-resolver.ts'
import type { Resolver, ResolverContext } from '../transport/resolvers.ts'
import { type AnchorSource, createAnchorLookup } from './anchors.ts'
import { Anchors } from './options.ts'
import { bootstrapPolicy } from './policies.ts'

/** A resolver over TLS (RFC 7858). */
export interface DotOptions {
  /** The server as its certificate names it: a host name, or an IP address. */
  readonly host: string
  /** Default 853. */
  readonly port?: number
  /** Of a server with a host name: nobody is asked for them then. Default: the system's resolver is asked. */
  readonly addresses?: readonly string[]
  /** Keys of the server, one of which has to stand on its verified path. */
  readonly pins: readonly string[]
  /** Default `'bundled'`, as for a client. */
  readonly anchors?: AnchorSource | readonly AnchorSource[]
  /** For the two queries of a name together, and for the connection. Default 5 000: half of what a connection may take. */
  readonly timeoutMs?: number
  /** Clock and timers. Default: the machine's. */
  readonly runtime?: Runtime
}

/**
 * Resolves names by DNS over TLS (RFC 7858). The server is judged as any other: chain, name, pins and staple, over TLS 1.3; no
 * proxy stands in between. Queries are padded (RFC 8467), answers are kept as those of `dohResolver`, and events about the
 * connection go to the client that asks.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`, `ERR_CONFIG_CERTIFICATE`, `ERR_CONFIG_FILE`
 */
export function dotResolver(options: DotOptions): Resolver {
  const { host, port, addresses, pins, anchors, timeoutMs, runtime } = parseOptions('dotResolver', Options, options)
  const origin = originOf(host, port)
  const anchorsOf = createAnchorLookup({ everywhere: [anchors].flat(), byHost: [] })
  const policy = bootstrapPolicy(origin, pins, anchorsOf(origin.host))
  let told: ResolverContext = { emit: () => undefined }
  const connector = createConnector({
    policyOf: () => policy,
    runtime,
    timeouts: { connectMs: timeoutMs, tlsMs: timeoutMs },
    protocols: ['dot'],
    emit: (event) => told.emit(event),
    hasListeners: (type) => told.hasListeners?.(type) === true,
    ...(addresses === undefined ? {} : { resolver: async () => addresses }),
  })
  const overTls = createDnsOverTls(origin, connector, runtime)
  const ask: typeof overTls = (name, type, query) => {
    told = query
    return overTls(name, type, query)
  }
  return createDnsResolver({ text: origin.text, ask }, { timeoutMs, runtime })
}

function originOf(host: string, port: number): CanonicalOrigin {
  const origin = canonicalOrigin(new URL(`https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`))
  if (origin === undefined) throw new Error(`${host} was checked before`)
  return origin
}

const Options = z.strictObject({
  host: z.string().transform((text, context) => {
    const host = canonicalHost(text)
    if (host !== undefined) return host
    context.addIssue({ code: 'custom', message: 'expected a host name or an IP address' })
    return z.NEVER
  }),
  port: z.int().min(1).max(65_535).default(853), // RFC 7858 §3.1
  addresses: z
    .array(z.string().refine((text) => isIP(text) !== 0, 'expected an IP address'))
    .min(1)
    .max(16)
    .optional(),
  pins: z
    .array(z.string().refine(isPinText, 'expected sha256/, sha384/ or sha512/ and the base64 digest of an SPKI'))
    .min(1, 'expected the pins of the server, one at least')
    .max(16),
  anchors: Anchors.default('bundled'),
  timeoutMs: z.int().min(1).max(600_000).default(5_000),
  runtime: z.custom<Runtime>(isRuntime, 'expected a Runtime').default(systemRuntime),
})
