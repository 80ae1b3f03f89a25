import { createHash } from 'node:crypto'
import { type AuthorizationServer, customFetch, discoveryRequest } from 'oauth4webapi'
import { parseStrictJson } from '../encoding/json.ts'
import { AuthError, StoreError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import type { AuthHost } from './scheme.ts'
import { isJson } from './server-error.ts'
import type { Answer, ServerExchange } from './server-exchange.ts'

/** The members of an authorization server's metadata that are used (RFC 8414 §2, OpenID Connect Discovery §3). */
export interface ServerMetadata {
  readonly token_endpoint?: string
  readonly revocation_endpoint?: string
  readonly device_authorization_endpoint?: string
  readonly backchannel_authentication_endpoint?: string
  /** RFC 8705 §5: for clients that show a certificate. */
  readonly mtls_endpoint_aliases?: Partial<Record<EndpointName, string>>
}

/** Endpoints of an authorization server that a client may need (RFC 8414 §2). */
export type EndpointName =
  | 'token_endpoint'
  | 'revocation_endpoint'
  | 'device_authorization_endpoint'
  | 'backchannel_authentication_endpoint'

export interface MetadataSource {
  /**
   * Asked for once an hour; while nobody answers, what is at hand serves until its `maxAgeMs`.
   *
   * @throws AuthError `ERR_AUTH_DISCOVERY_FAILED`, `ERR_AUTH_ISSUER_MISMATCH`, `ERR_AUTH_METADATA_ORIGIN`
   */
  readonly current: () => Promise<AuthorizationServer>
}

export interface DiscoveryOptions {
  /** Exactly as the server writes it: another issuer is another server (RFC 8414 §3.3). */
  readonly issuer: string
  /** Origins of endpoints beside that of the issuer. */
  readonly allowedEndpointOrigins: readonly string[]
  readonly maxAgeMs: number
  /** Keeps the metadata over a restart. */
  readonly store?: Store
}

export interface DiscoveryWorld {
  readonly runtime: Runtime
  readonly emit: AuthHost['emit']
  readonly exchange: ServerExchange
}

/** Configured in code: nothing is asked for, and the endpoints may be at any https origin. */
export function givenMetadata(issuer: string, metadata: ServerMetadata): MetadataSource {
  const server = Object.freeze({ ...metadata, issuer }) as AuthorizationServer
  return { current: async () => server }
}

export function discoverMetadata(options: DiscoveryOptions, world: DiscoveryWorld): MetadataSource {
  const { runtime, emit } = world
  const host = new URL(options.issuer).host
  let held: Held | undefined
  let retryAt = Number.NEGATIVE_INFINITY // monotonic
  let underway: Promise<Held> | undefined

  const ageOf = ({ fetchedAt }: Held): number => Math.abs(runtime.clock.now() - fetchedAt) // a clock set back ages as well
  const refresh = async (): Promise<Held> => {
    held ??= await load(options, runtime)
    if (held !== undefined && ageOf(held) < REFRESH_MS) return held
    try {
      held = await discover(options, world)
      await save(options.store, options.issuer, held)
    } catch (error) {
      if (!(error instanceof AuthError || error instanceof StoreError)) throw error
      retryAt = runtime.clock.monotonic() + RETRY_MS
      if (held === undefined || ageOf(held) > options.maxAgeMs) throw error
      const what = error instanceof AuthError ? error.code : 'it could not be stored'
      emit({ type: 'auth.notice', host, kind: 'metadata-kept', message: `the metadata at hand stay in use: ${what}` })
    }
    return held
  }
  return {
    current: async () => {
      const isFresh = held !== undefined && ageOf(held) < REFRESH_MS
      const isKept = held !== undefined && runtime.clock.monotonic() < retryAt && ageOf(held) <= options.maxAgeMs
      if (held !== undefined && (isFresh || isKept)) return held.server
      underway ??= refresh().finally(() => {
        underway = undefined
      })
      return (await underway).server
    },
  }
}

interface Held {
  readonly server: AuthorizationServer
  readonly fetchedAt: number
  readonly bytes: Uint8Array
}

/** The document of RFC 8414, or that of OpenID Connect where the server has no such. */
async function discover(options: DiscoveryOptions, { exchange }: DiscoveryWorld): Promise<Held> {
  const host = new URL(options.issuer).host
  let answer: Answer | undefined
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    try {
      await discoveryRequest(new URL(options.issuer), {
        algorithm,
        [customFetch]: async (url, { headers }) => {
          answer = await exchange(new URL(url), { headers }, new AbortController().signal)
          return new Response() // oauth4webapi builds the URL; what was answered is judged here
        },
      })
    } catch (error) {
      if (!(error instanceof AuthError)) throw error
      throw failed(host, `no answer (${error.code})`, error)
    }
    if (answer?.status !== 404) break
  }
  if (answer === undefined) throw failed(host, 'no answer')
  if (answer.status !== 200) throw failed(host, `status ${answer.status}`)
  // RFC 8414 §3.2: what else lies at that path may have been put there by anyone.
  if (!isJson(answer)) throw failed(host, 'another content type than application/json')
  return { server: judge(answer.bytes, options), fetchedAt: answer.receivedAt, bytes: answer.bytes }
}

/** Pure: whether a document may say where the credentials of this issuer go. */
function judge(bytes: Uint8Array, { issuer, allowedEndpointOrigins }: DiscoveryOptions): AuthorizationServer {
  const { host, origin: own } = new URL(issuer)
  const parsed = parseStrictJson(bytes, MAX_DEPTH)
  const document = parsed.ok ? parsed.value : undefined
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw failed(host, parsed.ok ? 'JSON that is no object' : `no JSON (${parsed.failure})`)
  const members = document as Readonly<Record<string, unknown>>
  if (members['issuer'] !== issuer) {
    const message = `authorization server ${host}: expected metadata of the issuer ${issuer}, got those of another issuer`
    throw new AuthError('ERR_AUTH_ISSUER_MISMATCH', message, { host, requestSent: 'yes' })
  }
  const aliases = members['mtls_endpoint_aliases']
  for (const [of, endpoints] of [['', members] as const, ['mtls_endpoint_aliases.', aliases] as const]) {
    for (const name of ENDPOINTS) {
      const value = (endpoints as Readonly<Record<string, unknown>> | undefined)?.[name]
      if (value === undefined) continue
      const origin = originOf(value)
      if (origin === own || allowedEndpointOrigins.includes(origin)) continue
      const message = `authorization server ${host}: expected ${of}${name} at ${own} or an origin of allowedEndpointOrigins, got ${origin}`
      throw new AuthError('ERR_AUTH_METADATA_ORIGIN', message, { host, requestSent: 'yes' })
    }
  }
  return Object.freeze(members) as AuthorizationServer
}

/** Of an https URL without a user name; what else it is called, of all others. `blob:` has the origin of what stands after it. */
function originOf(value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined) return 'no URL'
  if (url.protocol !== 'https:') return `a URL with ${url.protocol}`
  return url.username === '' && url.password === '' ? url.origin : 'a URL with a user name'
}

/** What is stored is judged as if it came over the network: who can write there gains nothing. */
async function load(options: DiscoveryOptions, runtime: Runtime): Promise<Held | undefined> {
  const { store, issuer } = options
  if (store === undefined) return undefined
  try {
    const names = [...(await store.list(folderOf(issuer)))].sort()
    const newest = names.findLast((name) => timeOf(name) <= runtime.clock.now())
    const bytes = newest === undefined ? undefined : await store.get(newest)
    if (newest === undefined || bytes === undefined) return undefined
    return { server: judge(bytes, options), fetchedAt: timeOf(newest), bytes }
  } catch (error) {
    if (error instanceof StoreError || error instanceof AuthError) return undefined // as if nothing were stored
    throw error
  }
}

async function save(store: Store | undefined, issuer: string, { fetchedAt, bytes }: Held): Promise<void> {
  if (store === undefined) return
  const older = await store.list(folderOf(issuer))
  const name = `${folderOf(issuer)}${String(fetchedAt).padStart(15, '0')}`
  await store.put(name, bytes)
  for (const one of older) if (one !== name) await store.delete(one)
}

/** Of a stored document: its name is the time at which it was fetched. */
const timeOf = (name: string): number => Number(name.slice(name.lastIndexOf('/') + 1))

const folderOf = (issuer: string): string =>
  `issuers/${createHash('sha256').update(issuer).digest('hex').slice(0, 32)}/`

function failed(host: string, what: string, cause?: AuthError): AuthError {
  const message = `authorization server ${host}: expected its metadata (RFC 8414), got ${what}`
  return new AuthError('ERR_AUTH_DISCOVERY_FAILED', message, { host, requestSent: cause?.requestSent ?? 'yes', cause })
}

const ENDPOINTS: readonly EndpointName[] = [
  'token_endpoint',
  'revocation_endpoint',
  'device_authorization_endpoint',
  'backchannel_authentication_endpoint',
]

export const DEFAULT_MAX_AGE_MS = 24 * 3_600_000
const REFRESH_MS = 3_600_000
const RETRY_MS = 60_000
const MAX_DEPTH = 32
