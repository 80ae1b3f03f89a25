import type { SecureVersion, TLSSocket } from 'node:tls'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { onTestFinished } from 'vitest'
import type { PinText } from '../../src/encoding/pin.ts'
import { TrustError } from '../../src/errors/errors.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import type { Runtime } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import type { Evidence } from '../../src/transport/connector.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS, type Limits, type Timeouts } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const ca = testCa()
export const server = ca.issue({ names: [HOST] })
export const next = ca.issue({ names: [HOST] })
const anchors = createAnchors(ca.anchorPem)

export interface Setting {
  /** Called when the head of a request is read, with its number on the connection and that of the connection. */
  readonly reply?: (socket: TLSSocket, request: number, connection: number) => void
  readonly onConnect?: (socket: TLSSocket, connection: number) => void
  readonly runtime?: Runtime
  readonly timeouts?: Partial<Timeouts>
  readonly limits?: Partial<Limits>
  readonly connections?: number
  readonly policy?: Partial<HostPolicy>
  readonly maxVersion?: SecureVersion
  readonly evidence?: Evidence
  /** Default: nobody listens to what takes a look. */
  readonly hasListeners?: () => boolean
  /** Default: as `hasListeners`. */
  readonly isAwaited?: () => boolean
  /** Listens to everything. */
  readonly onEvent?: (event: ClientEvent) => void
}

/** A server that answers with exactly the bytes it is told to, and a dispatcher that pins it. */
export async function start({ reply = ok, onConnect, runtime = systemRuntime, ...setting }: Setting = {}) {
  const heads: string[] = []
  const peer = await until(
    startTlsServer({
      identity: [server],
      ...(setting.maxVersion === undefined ? {} : { maxVersion: setting.maxVersion }),
      onSocket: (socket, { number }) => {
        socket.setNoDelay(true) // Nagle would hold back what nobody asked for until the client speaks
        let text = ''
        let request = 0
        onConnect?.(socket, number)
        socket.on('data', (bytes: Buffer) => {
          text += bytes.toString('latin1')
          for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
            heads.push(text.slice(0, end))
            text = text.slice(end + 4)
            reply(socket, request, number)
            request += 1
          }
        })
      },
    }),
  )
  const origin = originOf(`https://${HOST}:${peer.port}`)
  let policy: HostPolicy | Error = policyFor(origin, [server.pin], { anchors, ...setting.policy })
  const events: ClientEvent[] = []
  const dispatcher = new PinnedDispatcher({
    policyOf: () => {
      if (policy instanceof Error) throw policy
      return policy
    },
    runtime,
    emit: (event) => {
      events.push(event)
      setting.onEvent?.(event)
    },
    resolver: async () => ['127.0.0.1'],
    timeouts: { ...DEFAULT_TIMEOUTS, ...setting.timeouts },
    limits: { ...DEFAULT_LIMITS, ...setting.limits },
    ...(setting.connections === undefined ? {} : { connections: setting.connections }),
    ...(setting.evidence === undefined ? {} : { evidence: setting.evidence }),
    hasListeners: setting.hasListeners,
    isAwaited: setting.isAwaited,
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
  /** As by the clock: nobody is told. */
  const endPolicy = (): void => {
    policy = new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'over')
  }
  return { peer, origin, url, dispatcher, events, heads, send, setPolicy, endPolicy }
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
export const ok = (socket: TLSSocket): void => void socket.write(OK)
