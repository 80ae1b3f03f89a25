import tls from 'node:tls'
import {
  type Relay,
  startRelay,
  startTlsServer,
  type TestHandler,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { expect, onTestFinished, vi } from 'vitest'
import type { CanonicalOrigin } from '../../src/encoding/host.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

export const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
export type Version = (typeof VERSIONS)[number]

export const HOST = 'api.example.com'
export const OTHER = 'other.example.com'
export const ca = testCa()
const anchors = createAnchors(ca.anchorPem)
export const server = ca.issue({ names: [HOST, OTHER], ips: ['127.0.0.1'] })
export const next = ca.issue({ names: [HOST, OTHER] })

/** Ends the connection with the response, so that the next request makes a handshake. */
export const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

export type Change = Partial<HostPolicy> & { readonly pins?: Parameters<typeof policyFor>[1] }

/** A policy for a server of this version. */
export function policyOfVersion(origin: CanonicalOrigin, version: Version, { pins, ...more }: Change = {}): HostPolicy {
  const minTlsVersion = version === 'TLSv1.2' ? '1.2' : '1.3'
  return policyFor(origin, pins ?? [server.pin], { anchors, minTlsVersion, ...more })
}

/** A dispatcher of its own before a relay. */
export function dispatcherFor(
  version: Version,
  relay: Relay,
  options: Partial<ConstructorParameters<typeof PinnedDispatcher>[0]> = {},
) {
  const origin = originOf(`https://${HOST}:${relay.port}`)
  let policy = policyOfVersion(origin, version)
  let whileConnecting = (): void => undefined
  const events: ClientEvent[] = []
  const dispatcher = new PinnedDispatcher({
    policyOf: () => policy,
    runtime: systemRuntime,
    emit: (event) => events.push(event),
    resolver: async () => {
      whileConnecting() // the session is chosen by now, and not a packet was sent
      return ['127.0.0.1']
    },
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
    ...options,
  })
  onTestFinished(() => dispatcher.destroy())
  return {
    dispatcher,
    events,
    origin,
    get: async (at: CanonicalOrigin = origin) => {
      const { statusCode, body } = await dispatcher.request({ origin: `https://${at.text}`, path: '/', method: 'GET' })
      await body.dump()
      return statusCode
    },
    policy: () => policy,
    setPolicy: (to: HostPolicy) => {
      policy = to
    },
    onConnecting: (run: () => void) => {
      whileConnecting = run
    },
  }
}

export async function startPeer(version: Version, options: Partial<TlsServerOptions> = {}) {
  const bounds = { minVersion: version, maxVersion: version } as const
  const peer = await until(startTlsServer({ identity: server, handler: closing, ...bounds, ...options }))
  const relay = await until(startRelay({ target: peer }))
  return { peer, relay }
}

export async function start(
  version: Version,
  options: Partial<TlsServerOptions> = {},
  more: Parameters<typeof dispatcherFor>[2] = {},
) {
  const { peer, relay } = await startPeer(version, options)
  return { peer, relay, ...dispatcherFor(version, relay, more) }
}

/** Of the connections so far, which resumed a session: what the server says. */
export const resumedAt = ({ connections }: TestTlsServer): readonly boolean[] =>
  connections.map(({ resumed }) => resumed)

/** Whether each attempt to connect from now on offers a session: what the client says. */
export function watchOffers(): () => readonly boolean[] {
  const connect = vi.spyOn(tls, 'connect')
  onTestFinished(() => connect.mockRestore())
  return () =>
    connect.mock.calls.map(([options]) => (options as unknown as tls.ConnectionOptions).session !== undefined)
}

/** The newest connection of the relay carried a ClientHello and nothing else from the client. */
export async function expectOnlyClientHello(relay: Relay): Promise<void> {
  await relay.idle()
  const records = relay.connections.at(-1)?.clientToServer.records
  expect(records?.map(({ type, firstByte }) => [type, firstByte])).toEqual([[22, 1]])
}
