import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { startTlsServer, type TlsServerOptions, testCa } from 'pinfetch/testing'
import { onTestFinished } from 'vitest'
import type { PinText } from '../../src/encoding/pin.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import type { Runtime } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import type { ClientIdentity } from '../../src/transport/client-certificate.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS, type Http2, type Limits, type Timeouts } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

export const HOST = 'api.example.com'
export const OTHER = 'other.example.com'
const ca = testCa()
export const server = ca.issue({ names: [HOST, OTHER] })
export const next = ca.issue({ names: [HOST, OTHER] })
const anchors = createAnchors(ca.anchorPem)

export interface Setting extends Pick<Partial<TlsServerOptions>, 'alpn' | 'maxVersion' | 'requestCert'> {
  readonly http2?: Http2
  /** Called with each request. Default: 200 and `ok`. */
  readonly onStream?: (stream: ServerHttp2Stream, path: string, connection: number) => void
  readonly onSession?: (session: ServerHttp2Session, connection: number) => void
  /** In place of HTTP/2: the bare connection. */
  readonly onSocket?: (socket: TLSSocket, connection: number) => void
  readonly settings?: Parameters<typeof createServer>[0]
  readonly runtime?: Runtime
  readonly timeouts?: Partial<Timeouts>
  readonly limits?: Partial<Limits>
  readonly connections?: number
  readonly certificate?: () => ClientIdentity
  readonly policy?: Partial<HostPolicy>
  /** Default: nobody listens to what takes a look. */
  readonly hasListeners?: () => boolean
}

/** A server that speaks HTTP/2, or HTTP/1.1 to who does not offer it, and a dispatcher that pins it. */
export async function start({ http2 = 'prefer', runtime = systemRuntime, ...setting }: Setting = {}) {
  const streams: { readonly path: string; readonly method: string; readonly connection: number }[] = []
  const sessions: ServerHttp2Session[] = []
  const speaker: Http2Server = createServer(setting.settings ?? {})
  const numbers = new WeakMap<object, number>()
  speaker.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => undefined)
    setting.onSession?.(session, sessions.length - 1)
    numbers.set(session, sessions.length - 1)
  })
  speaker.on('stream', (stream, headers) => {
    const connection = numbers.get(stream.session ?? {}) ?? -1
    const path = String(headers[':path'])
    streams.push({ path, method: String(headers[':method']), connection })
    stream.on('error', () => undefined)
    if (setting.onStream === undefined) ok(stream)
    else setting.onStream(stream, path, connection)
  })
  const peer = await until(
    startTlsServer({
      identity: server,
      alpn: setting.alpn ?? ['h2', 'http/1.1'],
      ...(setting.maxVersion === undefined ? {} : { maxVersion: setting.maxVersion }),
      ...(setting.requestCert === undefined ? {} : { requestCert: setting.requestCert }),
      ...(setting.alpn?.includes('h2') === false
        ? {}
        : {
            onSocket: (socket, { number }) => {
              if (setting.onSocket === undefined) speaker.emit('connection', socket)
              else setting.onSocket(socket, number)
            },
          }),
    }),
  )
  const origin = originOf(`https://${HOST}:${peer.port}`)
  let policy: HostPolicy | Error = policyFor(origin, [server.pin], { anchors, ...setting.policy })
  const events: ClientEvent[] = []
  const dispatcher = new PinnedDispatcher({
    policyOf: (asked) => {
      if (policy instanceof Error) throw policy
      return { ...policy, host: asked.host }
    },
    runtime,
    emit: (event) => events.push(event),
    resolver: async () => ['127.0.0.1'],
    timeouts: { ...DEFAULT_TIMEOUTS, ...setting.timeouts },
    limits: { ...DEFAULT_LIMITS, ...setting.limits },
    http2,
    hasListeners: setting.hasListeners,
    ...(setting.connections === undefined ? {} : { connections: setting.connections }),
    ...(setting.certificate === undefined ? {} : { certificate: setting.certificate }),
  })
  onTestFinished(() => dispatcher.destroy())
  const url = `https://${origin.text}`
  type Request = Partial<Parameters<typeof dispatcher.request>[0]>
  const send = async (more: Request = {}) => {
    const response = await dispatcher.request({ origin: url, path: '/', method: 'GET', ...more } as never)
    return { status: response.statusCode, text: await response.body.text() }
  }
  const setPolicy = (pins: readonly PinText[] | Error, more: Partial<HostPolicy> = {}): void => {
    policy = pins instanceof Error ? pins : policyFor(origin, pins, { anchors, ...more })
    dispatcher.policyChanged()
  }
  return { peer, origin, url, dispatcher, events, streams, sessions, send, setPolicy }
}

export const ok = (stream: ServerHttp2Stream, text = 'ok'): void => {
  if (stream.destroyed) return
  stream.respond({ ':status': 200, 'content-type': 'text/plain' })
  stream.end(text)
}

/** A frame of HTTP/2, RFC 9113 §4.1. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const words = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

export const SETTINGS = frame(4, 0, 0)
export const SETTINGS_ACK = frame(4, 1, 0)
/** HEADERS with `:status: 200` alone (RFC 7541, index 8), END_HEADERS. */
export const headersOk = (stream: number): Buffer => frame(1, 4, stream, Buffer.from([0x88]))
export const data = (stream: number, text: string, ends = false): Buffer =>
  frame(0, ends ? 1 : 0, stream, Buffer.from(text))
