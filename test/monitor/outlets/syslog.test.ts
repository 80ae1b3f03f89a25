import { createSocket } from 'node:dgram'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { ClientEvent } from 'pinfetch'
import { type SyslogOutletOptions, toSyslog } from 'pinfetch/monitor'
import { createTestRuntime, fakeClient } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { readCef } from './golden.ts'
import { handshake, mismatch, refused } from './samples.ts'

const patience = { timeout: 20_000 }

/** RFC 6587 §3.4.1, read as strictly as it is written. */
function framesOf(bytes: Buffer): readonly string[] {
  const frames: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(' ', at)
    const length = bytes.toString('latin1', at, space)
    if (space < 0 || !/^[1-9]\d*$/.test(length)) throw new Error(`no length at ${at}`)
    if (space + 1 + Number(length) > bytes.length) break // the rest is on its way
    frames.push(bytes.toString('utf8', space + 1, space + 1 + Number(length)))
    at = space + 1 + Number(length)
  }
  return frames
}

async function tcpCollector(options: { readonly allowHalfOpen?: boolean } = {}) {
  const connections: { readonly socket: Socket; bytes: Buffer }[] = []
  const server = createServer(options, (socket) => {
    const connection = { socket, bytes: Buffer.alloc(0) }
    connections.push(connection)
    socket.on('data', (chunk) => {
      connection.bytes = Buffer.concat([connection.bytes, chunk])
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const { socket } of connections) socket.destroy()
    server.close()
  })
  const frames = () => connections.flatMap(({ bytes }) => framesOf(bytes))
  return { port: (server.address() as AddressInfo).port, connections, frames }
}

function scene(options: SyslogOutletOptions) {
  const client = fakeClient()
  const outlet = toSyslog(client, options)
  onTestFinished(() => outlet.close())
  return { client, outlet }
}

const HEAD = /^<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S+) (\S+) (\d+) (\S+) - (.*)$/s

test('TCP: messages of RFC 5424 by octet counting, over one connection', async () => {
  const collector = await tcpCollector()
  const to = { protocol: 'tcp', host: '127.0.0.1', port: collector.port } as const
  const { client } = scene({ to, appName: 'pay ments' })
  for (const event of mismatch) client.emit(event)
  await vi.waitUntil(() => collector.frames().length === 2, patience)
  client.emit({ type: 'posture', subject: 'ä\n|=', effect: '' })
  await vi.waitUntil(() => collector.frames().length === 3, patience)
  const heads = collector.frames().map((frame) => HEAD.exec(frame) ?? [])
  expect(heads.map(([, priority, , , app, pid, id]) => [priority, app, pid, id])).toEqual([
    [String(13 * 8 + 3), 'payments', String(process.pid), 'tls.rejected'],
    [String(13 * 8 + 6), 'payments', String(process.pid), 'tls.handshake'],
    [String(13 * 8 + 5), 'payments', String(process.pid), 'posture'],
  ])
  for (const [, , , , , , , message = ''] of heads) expect(readCef(message)).toBeDefined()
  expect(collector.connections.length).toBe(1)
})

test('TCP: a connection that the collector closed is made anew', async () => {
  const collector = await tcpCollector()
  const { client, outlet } = scene({ to: { protocol: 'tcp', host: '127.0.0.1', port: collector.port }, format: 'ecs' })
  client.emit(handshake())
  await vi.waitUntil(() => collector.frames().length === 1, patience)
  const [first] = collector.connections
  const closed = new Promise((resolve) => first?.socket.once('close', resolve))
  first?.socket.end()
  await closed
  client.emit(handshake())
  await vi.waitUntil(() => collector.frames().length === 2, patience)
  expect([collector.connections.length, outlet.dropped]).toEqual([2, 0])
})

test('TCP: what is told of the collector goes nowhere; nobody there is told of once', async () => {
  const collector = await tcpCollector()
  const { client, outlet } = scene({ to: { protocol: 'tcp', host: '127.0.0.1', port: collector.port } })
  client.emit(handshake({ host: `127.0.0.1:${collector.port}` }))
  expect(outlet.queued).toBe(0)

  const told: ClientEvent[] = []
  const other = scene({ to: { protocol: 'tcp', host: '127.0.0.1', port: 1 } })
  other.client.on('outlet.failed', (event) => void told.push(event))
  other.client.emit(handshake())
  await vi.waitUntil(() => told.length > 0, patience)
  expect(told).toMatchObject([{ outlet: 'syslog tcp 127.0.0.1:1' }])
}, 30_000)

/** In place of the connect of a client, which needs no TLS to be one. */
async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

test('TLS: its connection keeps no process alive, and is gone once the outlet is closed', async () => {
  const collector = await tcpCollector({ allowHalfOpen: true })
  const sockets: Socket[] = []
  const to = {
    protocol: 'tls',
    host: '127.0.0.1',
    port: collector.port,
    connect: async () => {
      const socket = await connected(collector.port)
      sockets.push(socket)
      return socket
    },
  } as const
  const { client, outlet } = scene({ to })
  client.emit(handshake())
  await vi.waitUntil(() => collector.frames().length === 1, patience)
  const { _handle } = sockets[0] as unknown as { readonly _handle: { readonly hasRef: () => boolean } }
  expect(_handle.hasRef()).toBe(false)
  await outlet.close()
  await vi.waitUntil(() => sockets[0]?.destroyed, patience)
  expect(collector.frames()).toHaveLength(1)
})

test('TLS: a connection that comes too late is ended', async () => {
  const collector = await tcpCollector()
  const runtime = createTestRuntime()
  let asked = false
  let answer = (_socket: Socket): void => {}
  const late = new Promise<Socket>((resolve) => {
    answer = resolve
  })
  const to = {
    protocol: 'tls',
    host: '127.0.0.1',
    port: collector.port,
    connect: () => {
      asked = true
      return late
    },
  } as const
  const client = fakeClient()
  const outlet = toSyslog(client, { to, runtime })
  client.emit(refused())
  await vi.waitUntil(() => asked, patience)
  const closed = outlet.close()
  await runtime.advance(6_000)
  await closed
  const socket = await connected(collector.port)
  onTestFinished(() => void socket.destroy())
  answer(socket)
  await vi.waitUntil(() => socket.destroyed, patience)
})

test('UDP: a datagram a message', async () => {
  const received: string[] = []
  const server = createSocket('udp4', (message) => void received.push(String(message)))
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { client, outlet } = scene({
    to: { protocol: 'udp', host: '127.0.0.1', port: server.address().port },
    facility: 4,
  })
  for (const event of mismatch) client.emit(event)
  await vi.waitUntil(() => received.length === 2, patience)
  expect(received.map((message) => HEAD.exec(message)?.[1])).toEqual([String(4 * 8 + 3), String(4 * 8 + 6)])
  expect(outlet.dropped).toBe(0)
})

test('a place that is none is ERR_CONFIG_INVALID', () => {
  const client = fakeClient()
  const places: readonly unknown[] = [
    undefined,
    { protocol: 'tcp', host: '', port: 514 },
    { protocol: 'tcp', host: 'a/b', port: 514 },
    { protocol: 'udp', host: 'siem', port: 0 },
    { protocol: 'tls', host: 'siem', port: 6514 },
  ]
  for (const to of places)
    expect(() => toSyslog(client, { to } as SyslogOutletOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
})
