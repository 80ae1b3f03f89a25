import { connect, createServer } from 'node:net'
import type { Client } from 'pinfetch'
import {
  type Relay,
  type ServerIdentity,
  startRelay,
  startTlsServer,
  type TestCertificate,
  type TestRuntime,
  type TestTlsServer,
  type TlsServerOptions,
} from 'pinfetch/testing'
import { expect, onTestFinished } from 'vitest'
import { until } from './client.ts'

/** A server behind a relay that is the witness for what was sent. */
export interface Scene {
  readonly relay: Relay
  readonly peer: TestTlsServer
  /** `https://<host>:<port of the relay>/`. */
  readonly url: (host: string) => string
}

export async function startScene(
  identity: ServerIdentity | readonly ServerIdentity[],
  options: Partial<TlsServerOptions> = {},
): Promise<Scene> {
  const peer = await until(startTlsServer({ identity, ...options }))
  const relay = await until(startRelay({ target: peer }))
  return { peer, relay, url: (host) => `https://${host}:${relay.port}/` }
}

/** What the wire and the server saw of a refused client: its ClientHello, nothing decrypted. From connection `first` on. */
export async function expectOnlyClientHello({ relay, peer }: Scene, first = 0): Promise<void> {
  const refused = relay.connections.slice(first)
  await expect.poll(() => refused.every(({ clientToServer: { records } }) => records.length > 0)).toBe(true)
  for (const { clientToServer } of refused) {
    expect(clientToServer.records.map(({ type, firstByte }) => [type, firstByte])).toEqual([[22, 1]])
  }
  expect(refused.length).toBeGreaterThan(0)
  if (first === 0) expect(peer.applicationBytes).toBe(0)
}

/** Exactly these certificates under the key of the first, whatever they have to do with it. */
export function certificates(key: TestCertificate, ...list: { readonly der: Uint8Array }[]): ServerIdentity {
  return { certificates: [key.der, ...list.map(({ der }) => der)], key: key.keyPem }
}

/** The same port under the IPv6 loopback address: the servers of the kit listen on 127.0.0.1 alone. */
export function onIpv6Loopback({ port }: { readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer((client) => {
      const upstream = connect({ host: '127.0.0.1', port })
      client.pipe(upstream).pipe(client)
      for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
      onClose.push(() => [client, upstream].forEach((socket) => void socket.destroy()))
    })
    const onClose: (() => void)[] = []
    onTestFinished(() => {
      server.close()
      for (const close of onClose) close()
    })
    server.once('error', reject)
    server.listen(0, '::1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

/** Moves the clock while sockets do their work, until the promise settles; slowly enough for a busy machine to keep up. */
export async function settled<T>(work: Promise<T>, runtime: TestRuntime): Promise<T> {
  let done = false
  const finish = (): void => {
    done = true
  }
  work.then(finish, finish)
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (!done) await runtime.advance(500)
  }
  return work
}

export const refresh = (client: Client, runtime: TestRuntime): Promise<void> =>
  settled(client.manifest.refresh(), runtime)
