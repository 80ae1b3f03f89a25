import type { Client, ClientEvent, ClientOptions } from 'pinfetch'
import type { AuthScheme, OAuthOptions } from 'pinfetch/auth'
import { startTlsServer, type TestHandler, type TestTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { CHANNELS } from '../../src/monitor/channels.ts'
import { testClient, until } from './client.ts'

export const [API, SERVER, OTHER] = ['api.example.com', 'as.example.com', 'other.example.com'] as const
export const ca = testCa()
export const identity = ca.issue({ names: [API, SERVER, OTHER] })
const CLIENT_SECRET = 'kd83-client-Zq91mmw2-secret-of-32-octets'

export interface AuthStage {
  readonly api: TestTlsServer
  /** The authorization server: `/token` issues `access-1`, `access-2`, and so on, which the API takes until they are revoked. */
  readonly server: TestTlsServer
  readonly client: Client
  readonly events: readonly ClientEvent[]
  readonly told: (type: ClientEvent['type']) => readonly ClientEvent[]
  /** A URL of the API. */
  readonly url: (path?: string) => string
  /** Tokens that the API takes; any header field that is exactly one of them will do. */
  readonly accepted: Set<string>
}

export interface StageOptions {
  readonly schemes: (at: {
    readonly api: string
    readonly server: string
    readonly other: string
  }) => AuthScheme | AuthScheme[]
  /** What the API does once a request has a credential that it takes; also in place of judging, with `judge: false`. */
  readonly handler?: TestHandler
  readonly judge?: boolean
  /** In place of issuing a token. */
  readonly token?: TestHandler
  readonly api?: Partial<TlsServerOptions>
  readonly client?: Partial<ClientOptions>
  /** Another certificate for the authorization server. */
  readonly serverIdentity?: TlsServerOptions['identity']
}

/** An API and an authorization server on loopback TLS, and a pinned client between them. */
export async function authStage(options: StageOptions): Promise<AuthStage> {
  const { handler = (_, response) => response.end('ok'), judge = true } = options
  const accepted = new Set<string>()
  const api = await until(
    startTlsServer({
      identity,
      handler: (request, response, message) => {
        const isKnown = Object.values(request.headers).some((value) => accepted.has(String(value)))
        if (isKnown || !judge) return handler(request, response, message)
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('refused')
      },
      ...options.api,
    }),
  )
  let issued = 0
  const issue: TestHandler = (_request, response) => {
    issued += 1
    accepted.add(`Bearer access-${issued}`)
    answerJson(response, { access_token: `access-${issued}`, token_type: 'Bearer', expires_in: 3600 })
  }
  const server = await until(
    startTlsServer({ identity: options.serverIdentity ?? identity, handler: options.token ?? issue }),
  )
  const schemes = options.schemes({
    api: `https://${API}:${api.port}`,
    server: `https://${SERVER}:${server.port}`,
    other: `https://${OTHER}:${api.port}`,
  })
  const client = testClient({ pins: PINS, anchors: ca.anchorPem, auth: schemes, ...options.client })
  const events: ClientEvent[] = []
  for (const type of EVENT_TYPES) client.on(type, (event) => void events.push(event))
  return {
    api,
    server,
    client,
    events,
    told: (type) => events.filter((event) => event.type === type),
    url: (path = '/') => `https://${API}:${api.port}${path}`,
    accepted,
  }
}

/** Client credentials at the stage's server, without discovery. */
export function oauthAt(server: string, api: string, more: Partial<OAuthOptions> = {}): OAuthOptions {
  return {
    issuer: server,
    metadata: { token_endpoint: `${server}/token`, revocation_endpoint: `${server}/revoke` },
    client: { id: 'client-1', authentication: { method: 'client_secret_post', secret: { value: CLIENT_SECRET } } },
    grant: { type: 'client_credentials' },
    allowedOrigins: [api],
    ...more,
  }
}

export function answerJson(response: Parameters<TestHandler>[1], body: object, status = 200): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body))
}

export const PINS = Object.fromEntries([API, SERVER, OTHER].map((name) => [name, [identity.pin]]))

/** Every kind of event there is. */
const EVENT_TYPES = Object.keys(CHANNELS) as readonly ClientEvent['type'][]
