import * as z from 'zod'
import { type ApprovalPolicy, isApprovalPolicy } from '../auth/approval.ts'
import { type OAuthOptions, oauth } from '../auth/oauth.ts'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import { httpSignature } from '../signing/http-signature.ts'
import { type JwsDetachedOptions, jwsDetached } from '../signing/jws-detached.ts'
import type { RequestSigner, SignableRequest } from '../signing/signing.ts'
import { type ResponseVerifier, type VerifyResponsesOptions, verifyResponses } from '../signing/verify-responses.ts'
import type { ClientOptions } from './options.ts'
import type { RetryOptions } from './retry-options.ts'

/** A client of a bank, as FAPI 2.0 has it. See `fapi2`. */
export interface Fapi2Options
  extends Pick<OAuthOptions, 'issuer' | 'metadata' | 'allowedEndpointOrigins' | 'discovery' | 'scope' | 'resource'> {
  /** As the authorization server registered it. */
  readonly clientId: string
  /** Signs the client's assertions (`private_key_jwt`, RFC 7523). */
  readonly clientKey: Signer | KeyRing
  /** Default: client credentials. */
  readonly grant?: OAuthOptions['grant']
  /** As `https://api.bank.com`: who sees the token and gets signatures. */
  readonly resources: readonly string[]
  /** What tokens are bound to: the client's `certificate` (RFC 8705), or a key (RFC 9449). FAPI knows no others. */
  readonly senderConstraint: 'mtls' | Exclude<OAuthOptions['senderConstraint'], string | undefined>
  /** How requests are signed, and with which keys. */
  readonly signature: Fapi2Signature
  /** Has responses be signed too, bound to their requests. Default: they are not. */
  readonly responses?: Pick<VerifyResponsesOptions, 'keys' | 'algorithms'> & { readonly maxAgeSec?: number }
  /** Which requests somebody confirms first, from `approval` of `pinfetch/auth`. There is no default: somebody decides. */
  readonly approval: ApprovalPolicy | 'none'
  /** Default: three attempts, each POST and PATCH under an Idempotency-Key that stays the same. */
  readonly retry?: RetryOptions | 'none'
}

/** How requests are signed. */
export type Fapi2Signature =
  /** RFC 9421, over method, target, body, token, proof, Idempotency-Key and interaction id. */
  | { readonly form: 'http-message-signature'; readonly keys: Signer | KeyRing }
  /** A JWS over the body alone, as banks had it before: what else it says stands in `protected`. */
  | {
      readonly form: 'x-jws-signature'
      readonly keys: Signer | KeyRing
      readonly protected?: JwsDetachedOptions['protected']
    }

/** What `fapi2` answers, to be spread into the options of `createClient`. */
export type Fapi2ClientOptions = Pick<
  ClientOptions,
  'auth' | 'sign' | 'verify' | 'approval' | 'retry' | 'interactionId' | 'redirect'
>

/**
 * The options of a client that pays: sender-constrained tokens for a client that proves itself by key (FAPI 2.0 Security Profile),
 * signed requests (FAPI 2.0 Message Signing: HTTP signatures, or a detached JWS), an interaction id for each call, one
 * Idempotency-Key for all its attempts, an approval, and no redirects. Spread it into `createClient`, beside pins, limits and,
 * for mutual TLS, `certificate`.
 *
 * There is no pushed authorization request (RFC 9126) here: it protects what a browser would carry to the authorization server,
 * and a server that pays in its own name sends no browser anywhere. Where a person grants access first, by an authorization code,
 * whoever runs that flow pushes it, and hands the refresh token over as `grant`.
 *
 * @throws ConfigurationError
 *
 * @example
 * createClient({ manifest, certificate, ...fapi2({ issuer, clientId, clientKey, resources, senderConstraint: 'mtls', signature, approval }) })
 */
export function fapi2(options: Fapi2Options): Fapi2ClientOptions {
  const read = parseOptions('fapi2', Options, options)
  const { clientId, clientKey, resources, signature, responses, approval, retry, grant, ...server } = options
  const given = Object.fromEntries(Object.entries(server).filter(([, value]) => value !== undefined)) as typeof server
  const origins = read.resources
  return Object.freeze({
    auth: oauth({
      ...given,
      client: { id: clientId, authentication: { method: 'private_key_jwt', signer: clientKey } },
      grant: grant ?? { type: 'client_credentials' },
      allowedOrigins: origins,
    }),
    sign: [signerOf(signature, origins)],
    ...(responses !== undefined && { verify: verifierOf(responses, signature.form) }),
    ...(approval !== 'none' && { approval }),
    ...(retry !== 'none' && { retry: { idempotencyKey: 'auto', ...retry } as const }),
    interactionId: { origins: origins.map((origin) => new URL(origin).host) },
    redirect: 'error',
  })
}

function signerOf(signature: Fapi2Signature, allowedOrigins: readonly string[]): RequestSigner {
  const { keys } = signature
  if (signature.form === 'http-message-signature')
    return httpSignature({ keys, preset: 'fapi2', components: covered, allowedOrigins })
  const header = signature.protected === undefined ? {} : { protected: signature.protected }
  return jwsDetached({ keys, header: 'x-jws-signature', allowedOrigins, ...header })
}

/** Beside what the profile covers: what a server acts upon, where a request has it. */
function covered({ fields }: SignableRequest): string[] {
  const present = new Set(fields.map(([name]) => name))
  return ['content-type', 'idempotency-key', 'x-fapi-interaction-id'].filter((name) => present.has(name))
}

/** The answer to a signed request is bound to its signature, so that it fits no other. */
function verifierOf(
  { keys, algorithms, maxAgeSec = 60 }: NonNullable<Fapi2Options['responses']>,
  form: Fapi2Signature['form'],
): ResponseVerifier {
  const isHttp = form === 'http-message-signature'
  const bindRequest = isHttp ? 'signature' : true
  return verifyResponses({ keys, algorithms, maxAgeSec, bindRequest, tag: 'fapi-2-response' })
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
const Keys = z.custom<Signer | KeyRing>(isObject, 'expected a signer, or a ring of keys')

/** What the parts do not check themselves. */
const Options = z.strictObject({
  issuer: z.unknown(),
  metadata: z.unknown().optional(),
  allowedEndpointOrigins: z.unknown().optional(),
  discovery: z.unknown().optional(),
  scope: z.unknown().optional(),
  resource: z.unknown().optional(),
  clientId: z.string().min(1),
  clientKey: Keys,
  grant: z.unknown().optional(),
  resources: AllowedOrigins,
  senderConstraint: z.union([z.literal('mtls'), z.strictObject({ dpop: z.unknown() })], 'expected mtls or { dpop }'),
  signature: z.discriminatedUnion('form', [
    z.strictObject({ form: z.literal('http-message-signature'), keys: Keys }),
    z.strictObject({ form: z.literal('x-jws-signature'), keys: Keys, protected: z.unknown().optional() }),
  ]),
  responses: z
    .strictObject({ keys: z.unknown(), algorithms: z.unknown(), maxAgeSec: z.unknown().optional() })
    .optional(),
  approval: z.union(
    [z.literal('none'), z.custom<ApprovalPolicy>(isApprovalPolicy)],
    'expected what `approval` of pinfetch/auth answers, or none',
  ),
  retry: z.unknown().optional(),
})
