import { inspect } from 'node:util'
import type { Client, ClientOptions } from 'pinfetch'
import { startTlsServer, type TestRequest, type TestTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { expect, onTestFinished } from 'vitest'
import { type ProtocolOptions, readProtocolOptions } from '../../src/auth/protocol-options.ts'
import type { AuthHost } from '../../src/auth/scheme.ts'
import type { IssuedToken, TokenRequest } from '../../src/auth/token.ts'
import { createProtocol, type Protocol } from '../../src/auth/token-endpoint.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { type Runtime, toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { testClient, until } from '../support/client.ts'

export const HOST = 'as.example.com'
export const ca = testCa()
export const identity = ca.issue({ names: [HOST] })
export const SECRET = 'kd83-client-Zq91mmw2-secret-of-32-octets'

/** What a scripted server answers: a body that is no string goes out as JSON. */
export interface Scripted {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface Asked {
  readonly path: string
  readonly form: URLSearchParams
  readonly headers: TestRequest['headers']
}

export interface ServerStage {
  readonly peer: TestTlsServer
  readonly issuer: string
  readonly asked: readonly Asked[]
  readonly client: Client
  readonly events: ClientEvent[]
  readonly host: AuthHost
}

/** An authorization server by script, behind a pinned client; `null` answers nothing. */
export async function startStage(
  respond: (asked: Asked, number: number) => Scripted | null,
  options: { tls?: Partial<TlsServerOptions>; client?: Partial<ClientOptions>; runtime?: Runtime } = {},
): Promise<ServerStage> {
  const asked: Asked[] = []
  const peer = await until(
    startTlsServer({
      identity,
      ...options.tls,
      handler: ({ path, body, headers }, response) => {
        const one = { path, headers, form: new URLSearchParams(Buffer.from(body).toString()) }
        asked.push(one)
        const answer = respond(one, asked.length)
        if (answer === null) return
        const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {})
        response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers }).end(text)
      },
    }),
  )
  const client = testClient({ pins: { [HOST]: [identity.pin] }, anchors: ca.anchorPem, ...options.client })
  const events: ClientEvent[] = []
  const host: AuthHost = {
    fetch: client.fetch,
    runtime: options.runtime ?? systemRuntime,
    emit: (event) => void events.push(event),
  }
  return { peer, issuer: `https://${HOST}:${peer.port}`, asked, client, events, host }
}

/** With `metadata` in code, so that the first request is the one to the token endpoint. */
export function protocolAt(
  { issuer, host }: Pick<ServerStage, 'issuer' | 'host'>,
  options: Partial<ProtocolOptions> = {},
  timeoutMs = 10_000,
): Protocol {
  const given: ProtocolOptions = {
    issuer,
    metadata: { token_endpoint: `${issuer}/token`, revocation_endpoint: `${issuer}/revoke` },
    client: { id: 'client-1', authentication: { method: 'client_secret_post', secret: { value: SECRET } } },
    grant: { type: 'client_credentials' },
    ...options,
  }
  const { metadata, ...rest } = given
  const protocol = createProtocol(
    readProtocolOptions({ ...rest, ...(metadata === undefined ? {} : { metadata }) }, timeoutMs),
    host,
  )
  onTestFinished(() => protocol.close())
  return protocol
}

/** Discovery in place of metadata in code. */
export const DISCOVERED = { metadata: undefined } as unknown as Partial<ProtocolOptions>

export function ask({ endpoint }: Protocol, request: Partial<TokenRequest> = {}): Promise<IssuedToken> {
  const { signal } = new AbortController()
  return endpoint.request({ trigger: 'first', signal, onRotated: async () => undefined, ...request })
}

export const token = (more: object = {}): Scripted => ({
  body: { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, ...more },
})

export const oauthError = (error: string, more: Scripted = {}): Scripted => ({ status: 400, body: { error }, ...more })

/** A clock that is off by so much. */
export const skewedRuntime = (ms: number): Runtime => ({
  ...systemRuntime,
  clock: { ...systemRuntime.clock, now: () => toUnixMs(systemRuntime.clock.now() + ms) },
})

export const claimsOf = (jwt: string | undefined): Record<string, unknown> => partOf(jwt, 1)
export const headerOf = (jwt: string | undefined): Record<string, unknown> => partOf(jwt, 0)

function partOf(jwt: string | undefined, at: number): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt?.split('.')[at] ?? '', 'base64url').toString())
}

/** However an error is looked at, none of the texts shows. */
export function expectNoTrace(error: unknown, texts: readonly string[]): void {
  const seen = [inspect(error, { depth: Infinity, showHidden: true, getters: true })]
  for (let at = error as Error | undefined; at !== undefined; at = at.cause as Error | undefined)
    seen.push(at.message, at.stack ?? '', JSON.stringify(at), JSON.stringify(Object.getOwnPropertyDescriptors(at)))
  for (const text of texts) expect(seen.join('\n')).not.toContain(text)
}
