import { AuthError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { wait } from '../ports/signals.ts'
import type { AskServer, ServerAnswer, TokenForm } from './authorization-server.ts'
import { type DevicePrompt, type Grant, supplied } from './grants.ts'
import { jsonObject, oauthErrorOf, refusalOf, unusable } from './server-error.ts'
import type { Answer } from './server-exchange.ts'

/** What a grant with a person in it needs: a request that begins it, and the form that asks how far it is. */
export interface Begun {
  readonly form: TokenForm
  readonly intervalMs: number
  readonly expiresInMs: number
}

export interface PollingWorld {
  readonly ask: AskServer
  readonly issuer: string
  readonly runtime: Runtime
  /** Scope, resource and the like, which the first request of both grants carries. */
  readonly parameters: URLSearchParams
  readonly serverNow: (answer: Answer) => number
}

/** RFC 8628 §3.1: shows the person a code. */
export async function beginDevice(
  { prompt }: Extract<Grant, { readonly type: 'device_code' }>,
  { ask, issuer, parameters, serverNow }: PollingWorld,
  signal: AbortSignal,
): Promise<Begun> {
  const { answer } = required(await ask({ endpoint: 'device_authorization_endpoint', parameters }, signal))
  if (answer.status !== 200) throw refusalOf(answer, serverNow(answer))
  const body = jsonObject(answer.bytes) ?? {}
  const [deviceCode, userCode, uri] = [body['device_code'], body['user_code'], body['verification_uri']]
  const complete = body['verification_uri_complete']
  const times = timesOf(answer, body)
  if (!isText(deviceCode) || !isText(userCode) || !isPage(uri) || (complete !== undefined && !isPage(complete)))
    throw unusable(answer, 'device_code, user_code and verification_uri')
  const shown: DevicePrompt = {
    userCode,
    verificationUri: uri,
    verificationUriComplete: complete,
    expiresInMs: times.expiresInMs,
  }
  await supplied(issuer, 'prompt', async () => prompt(shown))
  const grantType = 'urn:ietf:params:oauth:grant-type:device_code'
  return { form: { grantType, parameters: new URLSearchParams({ device_code: deviceCode }) }, ...times }
}

/** OpenID Connect CIBA §7: the server reaches the person by itself. */
export async function beginCiba(
  grant: Extract<Grant, { readonly type: 'ciba' }>,
  { ask, parameters, serverNow }: PollingWorld,
  signal: AbortSignal,
): Promise<Begun> {
  const form = new URLSearchParams(parameters)
  if ('loginHint' in grant) form.set('login_hint', grant.loginHint)
  if ('loginHintToken' in grant) form.set('login_hint_token', grant.loginHintToken)
  if ('idTokenHint' in grant) form.set('id_token_hint', grant.idTokenHint)
  if (grant.bindingMessage !== undefined) form.set('binding_message', grant.bindingMessage)
  const { answer } = required(await ask({ endpoint: 'backchannel_authentication_endpoint', parameters: form }, signal))
  if (answer.status !== 200) throw refusalOf(answer, serverNow(answer))
  const body = jsonObject(answer.bytes) ?? {}
  const id = body['auth_req_id']
  if (!isText(id)) throw unusable(answer, 'auth_req_id')
  const grantType = 'urn:openid:params:grant-type:ciba'
  return { form: { grantType, parameters: new URLSearchParams({ auth_req_id: id }) }, ...timesOf(answer, body) }
}

/** RFC 8628 §3.5: asks until the person has decided. A server that does not answer is asked half as often from then on. */
export async function poll(
  { form, intervalMs, expiresInMs }: Begun,
  { ask, runtime }: PollingWorld,
  signal: AbortSignal,
): Promise<ServerAnswer> {
  const end = runtime.clock.monotonic() + expiresInMs
  let waitMs = intervalMs
  for (;;) {
    await wait(runtime, Math.min(waitMs, Math.max(0, end - runtime.clock.monotonic())), signal)
    const isLast = runtime.clock.monotonic() >= end
    try {
      const request = { endpoint: 'token_endpoint', form: async () => form, isDated: false } as const
      const answered = required(await ask(request, signal))
      const oauthError = oauthErrorOf(answered.answer)
      const { status } = answered.answer
      const isPending = oauthError === 'authorization_pending' || oauthError === 'slow_down'
      if (isLast || !(isPending || status === 429 || status >= 500)) return answered
      if (oauthError === 'slow_down') waitMs += SLOW_DOWN_MS
      else if (!isPending) waitMs = longer(waitMs)
    } catch (error) {
      const isFault = error instanceof AuthError && error.retryable && error.code !== 'ERR_AUTH_SIGNER_FAILED'
      if (!isFault || isLast || signal.aborted) throw error
      waitMs = longer(waitMs)
    }
  }
}

function timesOf(answer: Answer, body: Readonly<Record<string, unknown>>): Pick<Begun, 'intervalMs' | 'expiresInMs'> {
  const { expires_in: expires, interval = DEFAULT_INTERVAL_SECONDS } = body
  if (!isSeconds(expires) || !isSeconds(interval)) throw unusable(answer, 'expires_in and interval in seconds')
  return { expiresInMs: expires * 1_000, intervalMs: Math.max(interval, 1) * 1_000 }
}

function required(answered: ServerAnswer | undefined): ServerAnswer {
  if (answered !== undefined) return answered
  const message = 'oauth: expected the metadata of the server to name an endpoint for this grant, they name none'
  throw new AuthError('ERR_AUTH_DISCOVERY_FAILED', message)
}

/** Never more often than the server asked for. */
const longer = (waitMs: number): number => Math.max(waitMs, Math.min(waitMs * 2, MAX_BACKOFF_MS))

const isText = (value: unknown): value is string => typeof value === 'string' && /^[\x20-\x7e]{1,4096}$/.test(value)
const isPage = (value: unknown): value is string =>
  isText(value) && URL.canParse(value) && new URL(value).protocol === 'https:'
const isSeconds = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= MAX_SECONDS

const DEFAULT_INTERVAL_SECONDS = 5
const SLOW_DOWN_MS = 5_000
const MAX_BACKOFF_MS = 60_000
const MAX_SECONDS = 86_400
