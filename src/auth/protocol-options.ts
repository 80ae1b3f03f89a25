import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import { Source } from './api-key.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import type { Grant } from './grants.ts'
import { DEFAULT_MAX_AGE_MS, type ServerMetadata } from './metadata.ts'

/** Who is asked for tokens, by whom, and for what. */
export interface ProtocolOptions {
  /** The issuer identifier, exactly as the server writes it. Its metadata are asked for there (RFC 8414). */
  readonly issuer: string
  /** In place of discovery: the endpoints, for a server that publishes no metadata. */
  readonly metadata?: ServerMetadata
  /** Origins, beside the issuer's, at which discovered endpoints may be. Default none. */
  readonly allowedEndpointOrigins?: readonly string[]
  readonly discovery?: {
    /** How long metadata serve while the server does not answer. Default a day. */
    readonly maxAgeMs?: number
    /** Keeps them over a restart. */
    readonly cacheDir?: string
  }
  readonly client: { readonly id: string; readonly authentication: ClientAuthentication }
  readonly grant: Grant
  readonly scope?: readonly string[]
  /** A token without all of these is refused. Default none: less than was asked for is an event. */
  readonly requireScopes?: readonly string[]
  /** RFC 8707: absolute URIs without a fragment. */
  readonly resource?: readonly string[]
  /** As RFC 8693 has it, and some servers for other grants. */
  readonly audience?: string
  /** What the tokens are bound to, so that a stolen one is worth nothing. Default none. */
  readonly senderConstraint?: 'none' | 'mtls' | { readonly dpop: DpopOptions }
}

/** How tokens are bound to a key (RFC 9449). */
export interface DpopOptions {
  /**
   * `ephemeral-es256`: a key that lives as long as the client. A ring where it is to be replaced without a restart: the tokens that are
   * bound to a key go with it, so the grant must be one that can be asked again.
   */
  readonly signer: Signer | KeyRing | 'ephemeral-es256'
  /** Asks an origin for its nonce, by a HEAD request, before the first request whose body cannot be sent again. Default false. */
  readonly primeNonce?: boolean
}

/** The same, read once. */
export interface AuthorizationServerOptions {
  readonly issuer: string
  readonly metadata: ServerMetadata | undefined
  readonly allowedEndpointOrigins: readonly string[]
  readonly discovery: { readonly maxAgeMs: number; readonly cacheDir?: string | undefined }
  readonly client: ProtocolOptions['client']
  readonly grant: Grant
  readonly scope: readonly string[]
  readonly requireScopes: readonly string[]
  readonly resource: readonly string[]
  readonly audience: string | undefined
  readonly dpop: DpopOptions | undefined
  readonly mtls: boolean
  readonly timeoutMs: number
}

/**
 * @throws ConfigurationError `ERR_CONFIG_INVALID`, naming the option and never its value.
 */
export function readProtocolOptions(options: ProtocolOptions, timeoutMs: number): AuthorizationServerOptions {
  const read = parseOptions('oauth', Schema, options)
  const { senderConstraint = 'none' } = read
  const dpop = typeof senderConstraint === 'object' ? (senderConstraint.dpop as DpopOptions) : undefined
  const { type } = read.grant as Grant
  if (dpop !== undefined && isRing(dpop.signer) && ENDS_WITH_ITS_KEY.has(type)) {
    const message = `oauth.senderConstraint.dpop.signer: expected one key with the grant ${type}, whose refresh token may be bound to it (RFC 9449 §5): replacing the key would end the session`
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  return Object.freeze({
    issuer: read.issuer,
    metadata: read.metadata as ServerMetadata | undefined,
    allowedEndpointOrigins: read.allowedEndpointOrigins ?? [],
    discovery: { ...read.discovery, maxAgeMs: read.discovery?.maxAgeMs ?? DEFAULT_MAX_AGE_MS },
    client: read.client as ProtocolOptions['client'],
    grant: read.grant as Grant,
    scope: read.scope ?? [],
    requireScopes: read.requireScopes ?? [],
    resource: read.resource ?? [],
    audience: read.audience,
    dpop,
    mtls: senderConstraint === 'mtls',
    timeoutMs,
  })
}

const EXPECTED_ISSUER = 'expected an https URL without query and fragment, as the server writes it'
const Issuer = z.string(EXPECTED_ISSUER).refine((text) => isHttps(text) && !/[?#@]/.test(text), EXPECTED_ISSUER)
const Endpoint = z
  .string()
  .refine((text) => isHttps(text) && !hasUser(text), 'expected an https URL without a user name')
const Endpoints = {
  token_endpoint: Endpoint.optional(),
  revocation_endpoint: Endpoint.optional(),
  device_authorization_endpoint: Endpoint.optional(),
  backchannel_authentication_endpoint: Endpoint.optional(),
}
const Metadata = z.strictObject({ ...Endpoints, mtls_endpoint_aliases: z.strictObject(Endpoints).optional() })

const SignerOption = z.custom<Signer>(isSigner, 'expected a signer, as localSigner makes one')
const KeysOption = z.custom<Signer | KeyRing>(
  (value) => isSigner(value) || isRing(value),
  'expected a signer, as localSigner makes one, or a ring of keys',
)
const Call = z.custom<(...given: never[]) => unknown>((value) => typeof value === 'function', 'expected a function')

const Client = z.strictObject({
  id: z.string().min(1).max(1_024),
  authentication: z.discriminatedUnion('method', [
    z.strictObject({ method: z.enum(['none', 'tls_client_auth', 'self_signed_tls_client_auth']) }),
    z.strictObject({
      method: z.enum(['client_secret_basic', 'client_secret_post', 'client_secret_jwt']),
      secret: Source,
    }),
    z.strictObject({ method: z.literal('private_key_jwt'), signer: KeysOption }),
  ]),
})

const Hint = z.string().min(1).max(8_192)
const Claims = z.looseObject({ sub: z.string().min(1) })
const Grants = z.union(
  [
    z.strictObject({ type: z.literal('client_credentials') }),
    z.strictObject({ type: z.literal('refresh_token'), initial: Source }),
    z.strictObject({
      type: z.literal('token_exchange'),
      subject: Call,
      actor: Call.optional(),
      requestedTokenType: z.string().min(1).optional(),
    }),
    z.strictObject({
      type: z.literal('jwt_bearer'),
      assertion: z.union([Call, z.strictObject({ signer: SignerOption, claims: Claims })]),
    }),
    z.strictObject({ type: z.literal('device_code'), prompt: Call }),
    ...['loginHint', 'loginHintToken', 'idTokenHint'].map((hint) =>
      z.strictObject({ type: z.literal('ciba'), bindingMessage: z.string().optional(), [hint]: Hint }),
    ),
  ],
  'expected one of the grants, with what it needs and nothing else',
)

// RFC 6749 §3.3; a space would make two of one.
const Scopes = z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope: no space, no quote')).max(200)
const Resource = z.string().refine((text) => URL.canParse(text) && !text.includes('#'), 'expected an absolute URI')

const Schema = z.strictObject({
  issuer: Issuer,
  metadata: Metadata.optional(),
  allowedEndpointOrigins: AllowedOrigins.optional(),
  discovery: z
    .strictObject({
      maxAgeMs: z
        .int()
        .min(60_000)
        .max(30 * 86_400_000)
        .optional(),
      cacheDir: z.string().min(1).optional(),
    })
    .optional(),
  client: Client,
  grant: Grants,
  scope: Scopes.optional(),
  requireScopes: Scopes.optional(),
  resource: z.array(Resource).max(50).optional(),
  audience: z.string().min(1).optional(),
  senderConstraint: z
    .union(
      [
        z.enum(['none', 'mtls']),
        z.strictObject({
          dpop: z.strictObject({
            signer: z.union([z.literal('ephemeral-es256'), KeysOption]),
            primeNonce: z.boolean().optional(),
          }),
        }),
      ],
      'expected none, mtls, or dpop with a signer',
    )
    .optional(),
})

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:'
}

function hasUser(text: string): boolean {
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}

function isSigner(value: unknown): value is Signer {
  const signer = value as Partial<Signer> | null | undefined
  return typeof signer?.sign === 'function' && typeof signer.algorithm === 'string' && typeof signer.keyId === 'string'
}

function isRing(value: unknown): value is KeyRing {
  const ring = value as Partial<KeyRing> | null | undefined
  return typeof ring?.current === 'function' && Array.isArray(ring.all)
}

/** Nobody could ask for a new session by himself. */
const ENDS_WITH_ITS_KEY: ReadonlySet<string> = new Set(['refresh_token', 'device_code', 'ciba'])
