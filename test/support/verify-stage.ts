import { generateKeyPairSync } from 'node:crypto'
import { createServer as createHttp2Server } from 'node:http2'
import type { ClientEvent, ClientOptions } from 'pinfetch'
import {
  localSigner,
  type RequestMessage,
  type SignResponsesOptions,
  signResponses,
  type VerifyResponsesOptions,
  verificationKey,
  verifyResponses,
} from 'pinfetch/signing'
import { startTlsServer } from 'pinfetch/testing'
import { receivedRequest } from '../../src/signing/received-request.ts'
import { API, ca, identity, PINS } from './auth-stage.ts'
import { testClient, until } from './client.ts'

const pair = generateKeyPairSync('ed25519')
export const signer = localSigner(pair.privateKey, { keyId: 'server-1' })
export const key = verificationKey(pair.publicKey, { keyId: 'server-1' })
export const stranger = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'server-1' })

/** What goes on the wire. */
export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body?: Uint8Array
  readonly trailers?: Readonly<Record<string, string>>
  /** Responses before it, each with a signature of its own that is none. */
  readonly interim?: number
  /** The connection ends half-way through the body, or nothing more ever comes. */
  readonly after?: 'cut' | 'silence'
}

export interface Draft {
  readonly status?: number
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string | Uint8Array
}

/** A response and its signature, over the request that it answers. */
export async function signed(
  request: RequestMessage | undefined,
  { status = 200, headers = [], body = '{"ok":true}' }: Draft = {},
  options: Partial<SignResponsesOptions> = {},
): Promise<Reply> {
  const bytes = Buffer.from(body as Uint8Array)
  const added = await signResponses({ keys: signer, ...options })({ status, headers, body: bytes }, request)
  return { status, headers: [...headers, ...Object.entries(added)], ...(bytes.length > 0 && { body: bytes }) }
}

/** The same with another value in one field. */
export const changed = (reply: Reply, name: string, change: (value: string) => string): Reply => ({
  ...reply,
  headers: reply.headers.map(([field, value]) => [field, field === name ? change(value) : value]),
})

export const without = (reply: Reply, ...names: string[]): Reply => ({
  ...reply,
  headers: reply.headers.filter(([field]) => !names.includes(field)),
})

export interface Road {
  readonly isHttp2: boolean
  readonly init: RequestInit
}

/** The two roads of the client, over both versions of HTTP. */
export const ROADS: readonly (readonly [string, Road])[] = [
  ['the lean road, HTTP/1.1', { isHttp2: false, init: {} }],
  ['the full road, HTTP/1.1', { isHttp2: false, init: { window: null } as RequestInit }],
  ['the lean road, HTTP/2', { isHttp2: true, init: {} }],
  ['the full road, HTTP/2', { isHttp2: true, init: { window: null } as RequestInit }],
]

export interface StageOptions {
  readonly isHttp2?: boolean
  readonly answer?: (request: RequestMessage, number: number) => Promise<Reply> | Reply
  readonly verify?: Partial<VerifyResponsesOptions>
  readonly client?: Partial<ClientOptions>
}

export const RULES = { keys: key, algorithms: ['ed25519'], maxAgeSec: 300 } as const

/** An API on loopback TLS that signs what it answers, and a client that verifies it. */
export async function verifyStage({
  isHttp2 = false,
  answer = (request) => signed(request),
  verify,
  client: more,
}: StageOptions = {}) {
  const requests: RequestMessage[] = []
  const connections: number[] = []
  const reply = async (message: Received, response: Writable, connection: number): Promise<void> => {
    const request = receivedRequest(message, `https://${message.headers[':authority'] ?? message.headers.host}`)
    requests.push(request)
    connections.push(connection)
    write(await answer(request, requests.length - 1), response, request.method)
  }
  const sessions: object[] = []
  const speaker = createHttp2Server((message, response) => {
    message.resume()
    const session = message.stream.session ?? {}
    if (!sessions.includes(session)) sessions.push(session)
    message.on('end', () => void reply(message as never, response as never, sessions.indexOf(session)))
  })
  const api = await until(
    startTlsServer({
      identity,
      ...(isHttp2 && { alpn: ['h2'], onSocket: (socket) => void speaker.emit('connection', socket) }),
      handler: ({ connection }, response, message) => void reply(message as never, response as never, connection),
    }),
  )
  const client = testClient({
    pins: PINS,
    anchors: ca.anchorPem,
    http2: isHttp2 ? 'require' : 'never',
    verify: verifyResponses({ ...RULES, ...verify }),
    ...more,
  })
  const results: Extract<ClientEvent, { type: 'verify.result' }>[] = []
  client.on('verify.result', (event) => void results.push(event))
  const authority = `${API}:${api.port}`
  return { api, client, requests, connections, results, authority, url: (path = '/') => `https://${authority}${path}` }
}

interface Received {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly rawHeaders: readonly string[]
}

/** What both versions of HTTP have in common. */
interface Writable {
  statusCode: number
  readonly socket: { destroy(): void }
  readonly stream?: { destroy(error?: Error): void; additionalHeaders?(headers: object): void }
  setHeader(name: string, value: string | readonly string[]): void
  writeEarlyHints(hints: object): void
  write(chunk: Uint8Array): void
  addTrailers(trailers: object): void
  end(body?: Uint8Array): void
}

function write({ status, headers, body, trailers, interim = 0, after }: Reply, to: Writable, method: string): void {
  for (let hint = 0; hint < interim; hint += 1) to.writeEarlyHints({ link: '</style.css>; rel=preload' })
  to.statusCode = status
  const names = new Set(headers.map(([name]) => name))
  for (const name of names) {
    const values = headers.filter(([other]) => other === name).map(([, value]) => value)
    to.setHeader(name, values.length === 1 ? (values[0] ?? '') : values)
  }
  if (method === 'HEAD' || body === undefined) to.end()
  else if (after !== undefined) {
    to.setHeader('content-length', String(body.length))
    to.write(body.subarray(0, body.length - 1))
    if (after === 'cut')
      setImmediate(() => (to.stream === undefined ? to.socket.destroy() : to.stream.destroy(new Error('cut'))))
  } else if (trailers === undefined) to.end(body)
  else {
    to.setHeader('trailer', Object.keys(trailers).join(', '))
    to.write(body)
    to.addTrailers(trailers)
    to.end()
  }
}
