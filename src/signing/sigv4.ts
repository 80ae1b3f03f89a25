import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { KeyError, SignError } from '../errors/errors.ts'
import { REDACTED } from '../keys/secret.ts'
import { isSecretSource, type SecretSource, type SecretVersion, SOURCE_EXPECTED } from '../keys/secret-source.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { signsFor } from './allowed-origins.ts'
import { readDigest } from './content-digest.ts'
import { type FieldLine, wireParts } from './message.ts'
import type { BoundSigner, RequestPatch, RequestSigner, SignableRequest, SigningHost } from './signing.ts'
import { AccessKeyId, type AwsCredentialSource, credentialsIn, openCredentials } from './sigv4-credentials.ts'
import {
  type SigV4Scope,
  scopeOf,
  signedHeaders,
  signedQuery,
  signingKey,
  timestampOf,
  UNSIGNED_PAYLOAD,
} from './sigv4-signature.ts'

/** AWS Signature Version 4: for which service, and with whose credentials. */
export interface SigV4Options {
  /** As in the host name: `s3`, `execute-api`, `dynamodb`. */
  readonly service: string
  /** As `eu-central-1`. */
  readonly region: string
  readonly credentials: AwsCredentialSource
  /** As `https://bucket.s3.amazonaws.com`; requests to others are not signed. Default: all that the client reaches. */
  readonly allowedOrigins?: readonly string[]
  /** `query` appends the signature to the URL, and does not touch the header fields. Default `header`. */
  readonly placement?: 'header' | 'query'
  /** How long a signature in the query is good for. Default 300, at most 604,800. */
  readonly expiresInSec?: number
  /** `unsigned` leaves the body to TLS: for https alone. Default `signed`. */
  readonly payload?: 'signed' | 'unsigned'
  /** Some services take the session token beside the signature, and refuse it under it. Default true. */
  readonly signSessionToken?: boolean
  /** Whether the path is signed without `.`, `..` and empty segments. Default: unless the service is S3, whose keys may have them. */
  readonly normalizePath?: boolean
  /** How often the path is percent-encoded. Default `twice`, for S3 `once`. */
  readonly encodePath?: 'once' | 'twice'
}

/**
 * AWS Signature Version 4, in the header or the query. Covers method, path, query, the body and every header field but those
 * that a proxy may change.
 *
 * @throws ConfigurationError
 *
 * @example
 * sigV4({ service: 's3', region: 'eu-central-1', credentials: fromNodeProviderChain() })
 */
export function sigV4(options: SigV4Options): RequestSigner {
  const settings = settingsOf(parseOptions('sigV4', Options, options))
  const { payload, placement } = settings
  return Object.freeze({
    name: 'sigV4',
    headers: Object.freeze(placement === 'header' ? HEADERS : []),
    body: payload === 'signed' ? 'digest' : 'ignored',
    bind: (host) => boundSigner(settings, host),
    toJSON: () => ({ name: 'sigV4', service: settings.service, region: settings.region, credentials: REDACTED }),
  } satisfies RequestSigner & { toJSON: () => unknown })
}

function boundSigner(settings: Settings, host: SigningHost): BoundSigner {
  const { runtime, clockOffset } = host
  const credentials = openCredentials(settings.credentials, host)
  const keys = createSigningKeys(settings)
  let renewal: Promise<SecretVersion> | undefined

  const patch = (request: SignableRequest, held: SecretVersion): RequestPatch => {
    const timestamp = timestampOf(toUnixMs(runtime.clock.now() + clockOffset(request.origin)))
    return signed(request, keys.scopeFor(held, timestamp), settings)
  }
  return signsFor(settings.allowedOrigins, {
    sign: (request, { signal }) => {
      const held = renewal ?? credentials.current()
      return held instanceof Promise
        ? raceSignal(held, signal).then((version) => patch(request, version))
        : patch(request, held)
    },
    onResponse: ({ status, headers }, request) => {
      if (!REFUSALS.has(status) || !REFUSED_CREDENTIALS.test(headers.get('x-amzn-errortype') ?? '')) return 'done'
      const refused = accessKeyIdOf(request)
      if (refused !== undefined && refused !== keys.accessKeyId()) return 'retry' // others are in use by now
      try {
        const next = credentials.current(keys.version())
        if (!(next instanceof Promise)) return next.version === keys.version() ? 'done' : 'retry'
        renewal = next.finally(() => {
          renewal = undefined
        })
        renewal.catch(() => undefined) // whoever signs next hears of it
        return 'retry'
      } catch (error) {
        if (error instanceof KeyError) return 'done' // the refusal says more than a source that fails
        throw error
      }
    },
    close: credentials.close,
  })
}

function signed(request: SignableRequest, scope: SigV4Scope, settings: Settings): RequestPatch {
  const { placement, expiresInSec } = settings
  const { authority, path, query } = wireParts(request.url)
  const input = {
    method: request.method,
    path,
    query,
    fields: signedFields(request.fields, authority),
    payload: payloadOf(request, settings),
  }
  if (placement === 'header') return { headers: signedHeaders(input, scope).headers }
  if (!AMZ_PARAMETER.test(query)) return { query: signedQuery(input, scope, expiresInSec).query }
  throw new SignError('ERR_SIGN_COMPONENT_AMBIGUOUS', 'sigV4: expected no X-Amz parameter, the query has one already')
}

/** The key of a day is derived once: it is used until the day or the credentials change. */
function createSigningKeys({ credentials, region, service, signsToken, saysPayload, pathRules }: Settings) {
  let last: { readonly version: SecretVersion; readonly scope: SigV4Scope } | undefined
  return {
    /** Whose key was used last. */
    version: () => last?.version.version,
    accessKeyId: () => last?.scope.accessKeyId,
    scopeFor: (version: SecretVersion, timestamp: string): SigV4Scope => {
      if (last?.version === version && last.scope.timestamp.startsWith(timestamp.slice(0, DAY_LENGTH)))
        return { ...last.scope, timestamp }
      const { accessKeyId, secretAccessKey, sessionToken } = credentialsIn(credentials, version)
      const scope = scopeOf(timestamp, region, service)
      const key = signingKey(secretAccessKey, scope)
      last = {
        version,
        scope: { timestamp, accessKeyId, sessionToken, scope, key, signsToken, saysPayload, pathRules },
      }
      return last.scope
    },
  }
}

/** Of what was signed, in the header or in the query. */
function accessKeyIdOf({ url, fields }: SignableRequest): string | undefined {
  const authorization = fields.find(([name]) => name === 'authorization')?.[1] ?? ''
  const credential = CREDENTIAL.exec(authorization)?.[1] ?? new URL(url).searchParams.get('X-Amz-Credential')
  return credential?.split('/')[0]
}

function payloadOf({ url, body, fields }: SignableRequest, { payload }: Settings): string {
  if (payload === 'unsigned') {
    if (HTTPS.test(url)) return UNSIGNED_PAYLOAD
    throw new SignError('ERR_SIGN_INSECURE', 'sigV4: expected https, where TLS protects a payload that is not signed')
  }
  if (body.kind === 'none') return SHA256_OF_NOTHING
  if (body.kind === 'bytes') return body.digest('sha256').toString('hex')
  const lines = fields.filter(([name]) => name === 'content-digest').map(([, value]) => value)
  const said = readDigest(lines.join(', '))
  const digest = said.kind === 'digests' ? said.digests.get('sha-256') : undefined
  if (digest !== undefined) return Buffer.from(digest).toString('hex')
  const message = 'sigV4: expected a body in memory, or its sha-256 in Content-Digest; saw a stream without'
  throw new SignError('ERR_SIGN_BODY_UNHASHABLE', message)
}

/** Octets beyond ASCII are Latin-1 to one end and UTF-8 to the other: no two would sign the same. */
function signedFields(fields: readonly FieldLine[], authority: string): readonly FieldLine[] {
  const chosen: FieldLine[] = [['host', fields.find(([name]) => name === 'host')?.[1] ?? authority]]
  for (const line of fields) {
    const [name, value] = line
    if (UNSIGNED_FIELDS.has(name)) continue
    if (NOT_ASCII.test(value))
      throw new SignError('ERR_SIGN_VALUE_NOT_ASCII', `sigV4: expected one line of ASCII in the header field ${name}`)
    chosen.push(line)
  }
  return chosen
}

type Settings = ReturnType<typeof settingsOf>

function settingsOf(options: z.output<typeof Options>) {
  const { service, region, credentials, placement = 'header', expiresInSec = 300, payload = 'signed' } = options
  const isS3 = S3.test(service)
  return {
    service,
    region,
    credentials,
    allowedOrigins: options.allowedOrigins,
    placement,
    expiresInSec,
    payload,
    signsToken: options.signSessionToken ?? true,
    saysPayload: isS3 || payload === 'unsigned',
    pathRules: { normalize: options.normalizePath ?? !isS3, encode: options.encodePath ?? (isS3 ? 'once' : 'twice') },
  } as const
}

const HEADERS = ['authorization', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256']

/** Of one connection, written by this signer, or changed by proxies on the way. `host` is signed first, from the URL where it is not said. */
const UNSIGNED_FIELDS: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect', 'max-forwards'],
  ...['proxy-authorization', 'proxy-connection', 'via', 'forwarded', 'x-forwarded-for', 'accept-encoding'],
  ...['user-agent', 'referer', 'from', 'priority', 'sec-fetch-mode'],
  ...['x-amzn-trace-id', 'traceparent', 'tracestate', 'baggage', ...HEADERS],
])

const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403])
/** The name of an error, after its namespace where it has one. */
const REFUSED_CREDENTIALS = /^(?:[^:#]*#)?(?:ExpiredToken|InvalidClientTokenId|UnrecognizedClient|InvalidSignature)/
const CREDENTIAL = /AWS4-HMAC-SHA256 Credential=([^,]*)/
const HTTPS = /^https:/i
const AMZ_PARAMETER = /(?:^|&)x-amz-/i
const NOT_ASCII = /[^\t\x20-\x7e]/
const S3 = /^s3(?:$|-|express$)/
const DAY_LENGTH = 8
const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const Name = z.string().regex(/^[\w.-]{1,64}$/, 'expected a name as it stands in the scope of a signature, such as s3')

const Options = z
  .strictObject({
    service: Name,
    region: Name,
    credentials: z.union(
      [
        z.custom<Extract<AwsCredentialSource, (...args: never) => unknown>>((value) => typeof value === 'function'),
        z.strictObject({
          accessKeyId: AccessKeyId,
          secretAccessKey: z.custom<SecretSource>(isSecretSource, SOURCE_EXPECTED),
        }),
      ],
      'expected a function that answers credentials, or { accessKeyId, secretAccessKey }',
    ),
    allowedOrigins: AllowedOrigins.optional(),
    placement: z.enum(['header', 'query']).optional(),
    expiresInSec: z.int().min(1).max(604_800).optional(), // a week, as AWS has it
    payload: z.enum(['signed', 'unsigned']).optional(),
    signSessionToken: z.boolean().optional(),
    normalizePath: z.boolean().optional(),
    encodePath: z.enum(['once', 'twice']).optional(),
  })
  .refine(({ placement, expiresInSec }) => expiresInSec === undefined || placement === 'query', {
    path: ['expiresInSec'],
    message: 'expected it with placement query alone, since a signature in the header expires when the server says',
  })
