import { AuthError, ConfigurationError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Dpop, DpopProof } from './dpop.ts'
import { digest, type HeldToken } from './held-token.ts'
import type { Attempt, Authenticator, HeaderPatch, Outcome, ResponseHead } from './scheme.ts'
import { refuseInUrl } from './secret-in-url.ts'
import type { TokenSource } from './token-manager.ts'
import { judgeToken, meetsStepUp, refusal, type Verdict } from './token-refusal.ts'
import type { TokenSession } from './token-session.ts'

/** What a tenant is read from. */
export interface RequestInfoLite {
  readonly method: string
  readonly url: URL
  readonly headers: Headers
}

/** What a 401 without the word `invalid_token` means. */
export interface RejectionOptions {
  /**
   * `challenge`: a token is renewed where the server rejects it in its challenge, or gives none at all. `any`: for every 401.
   * `never`: no 401 renews a token. Default `challenge`.
   */
  readonly on401?: 'challenge' | 'any' | 'never'
  /** `idempotent`: other methods are not sent again with the new token, although a 401 says that nothing was done. Default `any`. */
  readonly replay?: 'any' | 'idempotent'
}

export interface TokenAuthenticatorSetup {
  readonly tokens: TokenSource
  readonly runtime: Pick<Runtime, 'clock'>
  readonly emit: Emit
  readonly dpop?: Dpop | undefined
  readonly tenant?: ((request: RequestInfoLite) => string | undefined) | undefined
  readonly rejection?: RejectionOptions
  /** Ends what the protocol holds, after the tokens were stored. */
  readonly onClose?: () => void
}

/** Puts tokens on requests, and renews them when a resource server rejects one: at most one more attempt for each request. */
export function createTokenAuthenticator(setup: TokenAuthenticatorSetup): Authenticator {
  const { tokens, runtime, emit, dpop, tenant, rejection = {} } = setup
  const { on401 = 'challenge', replay = 'any' } = rejection
  const scheme = dpop === undefined ? 'bearer' : 'dpop'

  const tenantOf = ({ method, url, headers }: Attempt): string | undefined => {
    if (tenant === undefined) return undefined
    const name: unknown = tenant({ method, url: new URL(url), headers: new Headers(headers) })
    if (name === undefined || typeof name === 'string') return name
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'oauth.tenant: expected a string or undefined from it')
  }

  const patch = (token: HeldToken, session: TokenSession, attempt: Attempt): HeaderPatch | Promise<HeaderPatch> => {
    if (token.tokenType === 'N_A') throw notForRequests(attempt)
    if (isTelling(token.accessToken, attempt)) refuseInUrl('the access token', token.accessToken, attempt)
    const sent: Sent = { session, version: token.version, proof: undefined, retried: retriedBefore(attempt) }
    attempt.state = sent
    attempt.boundTo = dpop === undefined ? token.binding : undefined // by a proof, whatever the connection
    return dpop === undefined ? { authorization: token.authorization } : prove(dpop, token, sent, attempt)
  }

  const done = (verdict: Verdict, { status }: ResponseHead, attempt: Attempt, { session }: Sent): 'done' => {
    const { code } = refusal(verdict, status)
    emit({ type: 'token.refused', host: attempt.origin.text, code, ...tenantHash(session) })
    return 'done'
  }

  /** A new token once: the server must not have us renew and send for ever. */
  const withNewToken = (verdict: Verdict, head: ResponseHead, attempt: Attempt, sent: Sent): Outcome => {
    const { session, version, retried } = sent
    if (on401 === 'never') return done(verdict, head, attempt, sent)
    if (!session.reject(version, attempt.origin.text, retried.token)) return done(verdict, head, attempt, sent)
    const mayReplay = replay === 'any' || isIdempotent(attempt)
    if (!mayReplay || !attempt.isReplayable) session.renewSoon()
    if (!mayReplay) return done(verdict, head, attempt, sent)
    retried.token = true
    return { retry: 'token', reason: 'the server rejected the token' }
  }

  /** Another request may have brought a token by now that meets what the server asks for. No renewal brings one. */
  const withStrongerToken = (
    verdict: Verdict & { kind: 'step-up' },
    head: ResponseHead,
    attempt: Attempt,
    sent: Sent,
  ): Outcome => {
    const { session, version, retried } = sent
    const { current } = session
    const isNewer = current !== undefined && current.version !== version
    const isMet = !retried.token && isNewer && meetsStepUp(current.accessToken, verdict, runtime.clock.now()) !== false
    const { maxAge } = verdict
    emit({
      type: 'auth.stepUp',
      host: attempt.origin.text,
      outcome: isMet ? 'met' : 'required',
      ...(maxAge !== undefined && { maxAge }),
      ...tenantHash(session),
    })
    if (!isMet) return done(verdict, head, attempt, sent)
    retried.token = true
    return { retry: 'token', reason: 'a token of a newer authentication is there' }
  }

  const withNonce = (head: ResponseHead, attempt: Attempt, sent: Sent, proof: DpopProof): Outcome | undefined => {
    try {
      if (dpop?.judge(head, proof) !== 'retry') return undefined
    } catch (error) {
      if (!(error instanceof AuthError)) throw error
      emit({ type: 'token.refused', host: attempt.origin.text, code: error.code, ...tenantHash(sent.session) })
      return 'done'
    }
    if (sent.retried.proof) return 'done'
    sent.retried.proof = true
    return { retry: 'proof', reason: 'the server named a DPoP nonce' }
  }

  return {
    apply: (attempt) => {
      if (attempt.headers.has('authorization')) {
        attempt.state = undefined // the caller's own: neither added to nor learned from
        return {}
      }
      const session = tokens.session(tenantOf(attempt))
      const { state } = attempt
      // The session that heard of the rejection may have been evicted, and this one would adopt the token from the store.
      if (isSent(state) && state.retried.token && state.session !== session) session.invalidate(state.version)
      const token = session.ready()
      if (token !== undefined) return patch(token, session, attempt)
      return session.get(0, attempt.signal).then((renewed) => patch(renewed, session, attempt))
    },
    onResponse: (head, attempt) => {
      const { state } = attempt
      if (!isSent(state)) return 'done'
      const proven = state.proof === undefined ? undefined : withNonce(head, attempt, state, state.proof)
      if (proven !== undefined) return proven
      if (head.status < 400) state.session.accept(attempt.origin.text)
      const verdict = judgeToken(head.status, head.headers, scheme)
      if (verdict === undefined) return 'done'
      if (verdict.kind === 'step-up') return withStrongerToken(verdict, head, attempt, state)
      if (verdict.kind === 'scope') return done(verdict, head, attempt, state)
      if (verdict.kind === 'other' && on401 !== 'any') return 'done'
      return withNewToken(verdict, head, attempt, state)
    },
    revoke: (options) => tokens.revoke(options),
    close: async (options) => {
      await tokens.close(options)
      setup.onClose?.()
    },
  }
}

async function prove(dpop: Dpop, token: HeldToken, sent: Sent, attempt: Attempt): Promise<HeaderPatch> {
  const { method, url, signal } = attempt
  const { authorization, accessToken, binding: jkt } = token
  sent.proof = await dpop.proof({ method, url, accessToken, jkt, signal: signal ?? NEVER })
  return { authorization, dpop: sent.proof.header }
}

/** A shorter one may be a word of the path. */
function isTelling({ length }: string, { url }: Attempt): boolean {
  return length >= LEAST_SECRET && length <= url.href.length
}

/** What went out with an attempt; kept from one to the next. */
interface Sent {
  readonly session: TokenSession
  readonly version: string
  proof: DpopProof | undefined
  readonly retried: { token: boolean; proof: boolean }
}

function isSent(state: unknown): state is Sent {
  return typeof state === 'object' && state !== null && 'retried' in state
}

/** Whoever runs the attempts may have lost what the last one left: then no more is tried than the number of attempts allows. */
function retriedBefore({ number, state }: Attempt): Sent['retried'] {
  if (isSent(state)) return state.retried
  return { token: number > 0, proof: number > 0 }
}

/** RFC 9110 §9.2.2, and whatever the caller made so. */
function isIdempotent({ method, headers }: Attempt): boolean {
  return IDEMPOTENT.has(method) || headers.has('idempotency-key')
}

function notForRequests({ origin }: Attempt): AuthError {
  const message = `${origin.text}: expected an access token, the server issued a token of another kind (N_A, RFC 8693 §2.2.1)`
  return new AuthError('ERR_AUTH_TOKEN_RESPONSE_INVALID', message, { host: origin.text })
}

const tenantHash = ({ tenant }: TokenSession): { readonly tenantHash?: string } =>
  tenant === undefined ? {} : { tenantHash: digest(tenant) }

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY'])
const NEVER = new AbortController().signal
const LEAST_SECRET = 16
