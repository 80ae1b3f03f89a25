import {
  type AuthorizationServer,
  backchannelAuthenticationRequest,
  type Client,
  type ClientAuth,
  customFetch,
  deviceAuthorizationRequest,
  genericTokenEndpointRequest,
  revocationRequest,
} from 'oauth4webapi'
import { AuthError } from '../errors/errors.ts'
import { type ClockOffsets, TOLERANCE_MS } from '../keys/clock-offset.ts'
import type { ClientCredential, ClientCredentials } from './client-authentication.ts'
import type { Dpop, DpopProof } from './dpop.ts'
import type { EndpointName, MetadataSource } from './metadata.ts'
import { oauthErrorOf } from './server-error.ts'
import type { Answer, ServerExchange } from './server-exchange.ts'

/** A request to one of the endpoints. Whatever counts once is made anew for every attempt. */
export type ServerRequest =
  | {
      readonly endpoint: 'token_endpoint'
      readonly form: (origin: string) => Promise<TokenForm>
      readonly isDated: boolean
    }
  | { readonly endpoint: 'revocation_endpoint'; readonly token: string; readonly hint: string }
  | {
      readonly endpoint: 'device_authorization_endpoint' | 'backchannel_authentication_endpoint'
      readonly parameters: URLSearchParams
    }

export interface TokenForm {
  readonly grantType: string
  readonly parameters: URLSearchParams
}

export interface ServerAnswer {
  readonly answer: Answer
  readonly server: AuthorizationServer
}

/**
 * Asks an authorization server, and once more for each of the reasons that can be met: it names a DPoP nonce, it no longer knows
 * the client secret and there is another, or the clock by which the proofs were dated turned out to be wrong. Never resends what
 * it sent: an assertion or proof that is seen twice is refused as a replay.
 *
 * @returns Whatever it answered in the end, refusals included; `undefined` where it has no such endpoint.
 */
export type AskServer = (request: ServerRequest, signal: AbortSignal) => Promise<ServerAnswer | undefined>

export interface ServerWorld {
  readonly client: Client
  readonly metadata: MetadataSource
  readonly credentials: ClientCredentials
  readonly exchange: ServerExchange
  readonly offsets: ClockOffsets
  readonly dpop: Dpop | undefined
}

export function createAskServer(world: ServerWorld): AskServer {
  const { client, metadata, credentials } = world
  return async (request, signal) => {
    const server = await metadata.current()
    const url = endpointOf(server, request.endpoint, client.use_mtls_endpoint_aliases === true)
    if (url === undefined) return undefined
    const spent = new Set<Reason>()
    let credential = await credentials.next()
    for (;;) {
      const attempted = await attempt(world, { server, url, request, credential }, signal)
      const reason = reasonToRetry(world, attempted, spent)
      if (reason === undefined) return { answer: attempted.answer, server }
      spent.add(reason)
      try {
        credential = await credentials.next()
      } catch (error) {
        if (reason !== 'secret') throw error
        return { answer: attempted.answer, server } // no other secret: what the server said stands
      }
    }
  }
}

type Reason = 'nonce' | 'secret' | 'clock'

interface Attempt {
  readonly server: AuthorizationServer
  readonly url: URL
  readonly request: ServerRequest
  readonly credential: ClientCredential
}

interface Attempted extends Attempt {
  readonly answer: Answer
  readonly proof: DpopProof | undefined
  /** What the proofs were dated by. */
  readonly offsetMs: number
}

async function attempt(world: ServerWorld, given: Attempt, signal: AbortSignal): Promise<Attempted> {
  const { client, exchange, offsets, dpop } = world
  const { server, url, request, credential } = given
  const offsetMs = offsets.of(url.origin)
  let answer: Answer | undefined
  let proof: DpopProof | undefined
  const options = {
    [customFetch]: async (_url: string, { method, headers, body }: Sent) => {
      const isBound = dpop !== undefined && request.endpoint === 'token_endpoint'
      proof = isBound ? await dpop.proof({ method, url, signal }) : undefined
      const sent = proof === undefined ? headers : { ...headers, dpop: proof.header }
      answer = await exchange(url, { method, headers: sent, body: body as URLSearchParams }, signal)
      return new Response() // what was answered is judged by its reader, not by oauth4webapi
    },
  }
  await send(request, { server, client, authenticate: credential.apply(url.origin, signal), url, options })
  if (answer === undefined) throw new TypeError('oauth4webapi asked for no request') // cannot happen
  return { ...given, answer, proof, offsetMs }
}

/** oauth4webapi writes the request: the form, the client authentication, the headers. */
async function send(request: ServerRequest, { server, client, authenticate, url, options }: Sending): Promise<void> {
  switch (request.endpoint) {
    case 'token_endpoint': {
      const { grantType, parameters } = await request.form(url.origin)
      await genericTokenEndpointRequest(server, client, authenticate, grantType, parameters, options)
      return
    }
    case 'revocation_endpoint': {
      const hinted = { ...options, additionalParameters: { token_type_hint: request.hint } }
      await revocationRequest(server, client, authenticate, request.token, hinted)
      return
    }
    case 'device_authorization_endpoint':
      await deviceAuthorizationRequest(server, client, authenticate, request.parameters, options)
      return
    case 'backchannel_authentication_endpoint':
      await backchannelAuthenticationRequest(server, client, authenticate, request.parameters, options)
  }
}

interface Sending {
  readonly server: AuthorizationServer
  readonly client: Client
  readonly authenticate: ClientAuth
  readonly url: URL
  readonly options: { readonly [customFetch]: (url: string, init: Sent) => Promise<Response> }
}

interface Sent {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: unknown
}

/**
 * Whether another attempt can end otherwise. Each reason counts once a request.
 *
 * @throws AuthError where the server asks for the same nonce again, or its clock is too far away to be followed.
 */
function reasonToRetry(world: ServerWorld, attempted: Attempted, spent: ReadonlySet<Reason>): Reason | undefined {
  const { answer, proof, credential, url, offsetMs } = attempted
  const oauthError = oauthErrorOf(answer)
  if (answer.status === 200) credential.accepted()
  if (proof !== undefined && world.dpop?.judge({ ...answer, oauthError }, proof) === 'retry') {
    if (!spent.has('nonce')) return 'nonce'
    const message = `authorization server ${url.host}: asks for another DPoP nonce each time`
    throw new AuthError('ERR_AUTH_DPOP_NONCE_REJECTED', message, { host: url.host, requestSent: 'yes' })
  }
  if (isAboutTime(world, attempted, oauthError)) {
    requireFollowed(world.offsets, url)
    if (Math.abs(world.offsets.of(url.origin) - offsetMs) >= TOLERANCE_MS && !spent.has('clock')) return 'clock'
  }
  const isRefused = oauthError === 'invalid_client' && credential.refused()
  return isRefused && !spent.has('secret') ? 'secret' : undefined
}

/** Whether what was refused had a date of ours. */
function isAboutTime(world: ServerWorld, { request, proof }: Attempted, oauthError: string | undefined): boolean {
  if (oauthError === 'invalid_client') return world.credentials.isDated
  if (oauthError === 'invalid_dpop_proof') return proof !== undefined
  return oauthError === 'invalid_grant' && request.endpoint === 'token_endpoint' && request.isDated
}

function requireFollowed(offsets: ClockOffsets, { origin, host }: URL): void {
  const offsetMs = offsets.refused(origin)
  if (offsetMs === undefined) return
  const message = `authorization server ${host}: its clock is ${Math.round(offsetMs / 1_000)} s ahead of this machine's, more than is corrected`
  throw new AuthError('ERR_AUTH_CLOCK_SKEW', message, { host, offsetMs, requestSent: 'yes' })
}

/** RFC 8705 §5: a client that shows a certificate uses the aliases where there are any. */
function endpointOf(server: AuthorizationServer, name: EndpointName, isMtls: boolean): URL | undefined {
  const alias = isMtls ? server.mtls_endpoint_aliases?.[name] : undefined
  const endpoint = alias ?? server[name]
  return typeof endpoint === 'string' ? new URL(endpoint) : undefined
}
