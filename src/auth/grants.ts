import { encodeBase64Url } from '../encoding/base64.ts'
import { AuthError, PinfetchError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { ClockOffsets } from '../keys/clock-offset.ts'
import { Secret } from '../keys/secret.ts'
import type { OpenSecret, SecretSource } from '../keys/secret-source.ts'
import type { Signer } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { signJwt } from './jwt.ts'

/** What is exchanged for a token: the grants that need no browser. */
export type Grant =
  | { readonly type: 'client_credentials' }
  /** A refresh token that was obtained elsewhere; the ones that replace it go to the store. */
  | { readonly type: 'refresh_token'; readonly initial: SecretSource }
  /** RFC 8693. */
  | {
      readonly type: 'token_exchange'
      readonly subject: TokenSupplier
      readonly actor?: TokenSupplier
      /** Default: an access token. */
      readonly requestedTokenType?: string
    }
  /** RFC 7523 §2.1. */
  | { readonly type: 'jwt_bearer'; readonly assertion: AssertionSupplier | SignedAssertion }
  /** RFC 8628. */
  | { readonly type: 'device_code'; readonly prompt: (prompt: DevicePrompt) => void }
  /** OpenID Connect CIBA, poll mode. */
  | ({ readonly type: 'ciba'; readonly bindingMessage?: string } & CibaHint)

/** For whom a token is asked for, and until when anybody waits. */
export interface GrantContext {
  readonly tenant: string | undefined
  readonly signal: AbortSignal
}

/** Asked anew for every attempt. */
export type TokenSupplier = (context: GrantContext) => Promise<{
  readonly token: string | Secret
  /** `urn:ietf:params:oauth:token-type:…` (RFC 8693 §3). Default: an access token. */
  readonly tokenType?: string
}>

/** A JWT. Asked anew for every attempt, since an assertion counts once. */
export type AssertionSupplier = (context: GrantContext) => Promise<string | Secret>

/** A JWT that is made here: `iss` is the client, `aud` the issuer, unless the claims say otherwise. */
export interface SignedAssertion {
  readonly signer: Signer
  readonly claims: Readonly<Record<string, unknown>> & { readonly sub: string }
}

/** What a user has to be shown (RFC 8628 §3.3). `expiresInMs`: milliseconds from now. */
export interface DevicePrompt {
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: string | undefined
  readonly expiresInMs: number
}

/** Whom a CIBA request is about (CIBA Core §7.1): exactly one of them. */
export type CibaHint =
  | { readonly loginHint: string }
  | { readonly loginHintToken: string }
  | { readonly idTokenHint: string }

/** What the grant sends besides client, scope and resource. */
export interface GrantRequest {
  readonly grantType: string
  readonly parameters: Readonly<Record<string, string>>
}

export interface GrantWorld {
  readonly runtime: Runtime
  readonly offsets: ClockOffsets
  readonly issuer: string
  readonly clientId: string
  readonly initial: OpenSecret | undefined
}

/** A grant that one request carries. The others begin with a request of their own, see `polling.ts`. */
export async function grantRequest(
  grant: Exclude<Grant, { readonly type: 'device_code' | 'ciba' }>,
  context: GrantContext & { readonly origin: string },
  world: GrantWorld,
): Promise<GrantRequest> {
  switch (grant.type) {
    case 'client_credentials':
      return { grantType: 'client_credentials', parameters: {} }
    case 'refresh_token': {
      const initial = await world.initial?.current()
      return refreshRequest(initial?.secret.reveal() ?? '')
    }
    case 'token_exchange': {
      const subject = await supplied(world.issuer, 'subject', async () => tokenOf(await grant.subject(context)))
      const { actor: actorOf } = grant
      const actor = actorOf && (await supplied(world.issuer, 'actor', async () => tokenOf(await actorOf(context))))
      const parameters = {
        requested_token_type: grant.requestedTokenType ?? ACCESS_TOKEN_TYPE,
        subject_token: subject.text,
        subject_token_type: subject.type,
        ...(actor && { actor_token: actor.text, actor_token_type: actor.type }),
      }
      return { grantType: 'urn:ietf:params:oauth:grant-type:token-exchange', parameters }
    }
    case 'jwt_bearer': {
      const { assertion } = grant
      const jwt =
        typeof assertion === 'function'
          ? await supplied(world.issuer, 'assertion', async () => textOf(await assertion(context)))
          : await signedAssertion(assertion, context, world)
      return { grantType: 'urn:ietf:params:oauth:grant-type:jwt-bearer', parameters: { assertion: jwt } }
    }
  }
}

export function refreshRequest(refreshToken: string): GrantRequest {
  return { grantType: 'refresh_token', parameters: { refresh_token: refreshToken } }
}

/** Whether the grant carries a date of ours, so that a wrong clock can be why it was refused. */
export function isDatedGrant(grant: Grant): boolean {
  return grant.type === 'jwt_bearer' && typeof grant.assertion !== 'function'
}

function signedAssertion(
  { signer, claims }: SignedAssertion,
  { origin, signal }: GrantContext & { readonly origin: string },
  { runtime, offsets, issuer, clientId }: GrantWorld,
): Promise<string> {
  const iat = Math.floor(offsets.now(origin) / 1_000)
  const own = { iss: clientId, aud: issuer, iat, exp: iat + 60, jti: encodeBase64Url(runtime.random(16)) }
  const header = { typ: 'JWT', ...(signer.keyId === '' ? {} : { kid: signer.keyId }) }
  return signJwt(signer, { header, claims: { ...own, ...claims }, signal })
}

/** What the application's function answers, or why there is nothing, without what it said: it handles secrets. */
export async function supplied<T>(issuer: string, what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const { host } = new URL(issuer)
    const cause = scrub(error)
    const word = cause instanceof PinfetchError ? cause.code : cause.name
    const message = `authorization server ${host}: expected grant.${what} to answer, it failed (${word}); nothing was sent`
    throw new AuthError('ERR_AUTH_ASSERTION_FAILED', message, { host, cause })
  }
}

/** @throws TypeError for what a function without types may answer: half a grant is not sent. */
function textOf(given: unknown): string {
  const text = given instanceof Secret ? given.reveal() : given
  if (typeof text === 'string' && text !== '') return text
  throw new TypeError('expected a token')
}

function tokenOf({ token, tokenType = ACCESS_TOKEN_TYPE }: Awaited<ReturnType<TokenSupplier>>) {
  return { text: textOf(token), type: textOf(tokenType) }
}

export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
