import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientOptions, EventOf } from '../../src/index.ts'
import {
  createTestRepository,
  createTestRuntime,
  type FaultServer,
  type TestRuntime,
  testCa,
} from '../../src/testing/index.ts'
import { type FaultCase, until } from './fault-case.ts'
import { startRevocationHost } from './revocation-host.ts'
import { POST } from './scripted.ts'
import { backup, ca, HOST, server, stranger, type World } from './world.ts'

const CLOSING = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'
const DAY_MS = 86_400_000

/** What happens to the keys, and to the clock, while a client is at work. */
export const trustCases: readonly FaultCase[] = [
  ...(['GET', 'POST'] as const).map(
    (method): FaultCase => ({
      id: 'F33',
      fault: `a certificate under a key that is not pinned, ${method}`,
      required: {
        calls: ['ERR_TRUST_PIN_MISMATCH'],
        attempts: 1,
        applicationBytes: 0,
        requestSent: 'no',
        events: ['tls.rejected ERR_TRUST_PIN_MISMATCH'],
      },
      run: async (world) => {
        const peer = await world.serve({ identity: stranger })
        await world.call(world.client(), peer, method === 'POST' ? POST : {})
      },
    }),
  ),
  {
    id: 'F34',
    fault: 'the pin of a pooled connection is removed',
    required: {
      calls: ['200 ok', 'ERR_TRUST_PIN_MISMATCH', '200 ok'],
      attempts: 3,
      requests: 2,
      events: ['tls.retired ERR_TRUST_PIN_MISMATCH', 'tls.rejected ERR_TRUST_PIN_MISMATCH', 'tls.keyChanged'],
    },
    run: async (world) => {
      const { client, repository } = await pinned(world, [server.pin, stranger.pin])
      const peer = await world.serve()
      await world.call(client, peer)
      await repository.publish({ hosts: { [HOST]: [backup.pin, stranger.pin] } })
      await client.manifest.refresh()
      await world.call(client, peer)
      peer.setIdentity(backup)
      await world.call(client, peer)
    },
  },
  {
    id: 'F35',
    fault: 'the manifest drops the server’s pin between ClientHello and certificate',
    required: {
      calls: ['ERR_TRUST_PIN_MISMATCH'],
      applicationBytes: 0,
      events: ['tls.rejected ERR_TRUST_PIN_MISMATCH'],
      withinMs: 15_000,
    },
    run: (world) => swapDuringHandshake(world, [server.pin, stranger.pin], [backup.pin, stranger.pin]),
  },
  {
    id: 'F35',
    fault: 'the manifest adds the server’s pin between ClientHello and certificate',
    required: { calls: ['200 ok'], requests: 1, withinMs: 15_000 },
    run: (world) => swapDuringHandshake(world, [backup.pin, stranger.pin], [server.pin, stranger.pin]),
  },
  {
    id: 'F35',
    fault: 'the manifest drops the server’s pin between certificate and request',
    required: {
      calls: ['ERR_TRUST_PIN_MISMATCH'],
      applicationBytes: 0,
      requestSent: 'no',
      events: ['revocation.failed ERR_TRUST_FETCH_TIMEOUT', 'tls.rejected ERR_TRUST_PIN_MISMATCH'],
      withinMs: 15_000,
    },
    run: async (world) => {
      const host = await startRevocationHost(world, 'ocsp', () => () => undefined) // keeps the client waiting
      const { client, repository } = await pinned(world, [server.pin, stranger.pin], host.options('soft-fail', 2_500))
      await repository.publish({ hosts: { [HOST]: [backup.pin, stranger.pin] } })
      const peer = await world.serve({ identity: host.certificate })
      const call = world.call(client, peer, POST)
      await until(() => peer.connections[0]?.stage === 'request')
      await client.manifest.refresh()
      await call
    },
  },
  {
    id: 'F36',
    fault: 'the server moves to its backup key',
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 2, events: ['tls.keyChanged'] },
    run: async (world) => {
      const peer = await world.serve({ response: CLOSING })
      const client = world.client()
      client.on('tls.keyChanged', ({ host, before, after }) => {
        const told = [host, before, after].join(' ')
        const wanted = [`${HOST}:${peer.port}`, server.pin, backup.pin].join(' ')
        if (told !== wanted) world.complain(`expected ${wanted}, told ${told}`)
      })
      await world.call(client, peer)
      peer.setIdentity(backup)
      await world.call(client, peer)
    },
  },
  {
    id: 'F36',
    fault: 'the server moves to its backup key, and from then on takes turns with both',
    required: {
      calls: Array<string>(6).fill('200 ok'),
      attempts: 6,
      requests: 6,
      events: ['tls.keyChanged'],
      withinMs: 10_000,
    },
    run: async (world) => {
      const peer = await world.serve({ response: CLOSING })
      const client = world.client()
      for (const identity of [server, backup, server, backup, server, backup]) {
        peer.setIdentity(identity)
        await world.call(client, peer)
      }
    },
  },
  {
    id: 'F37',
    fault: 'the server moves to a key that is not pinned',
    required: {
      calls: ['200 ok', 'ERR_TRUST_PIN_MISMATCH'],
      attempts: 2,
      requests: 1,
      requestSent: 'no',
      events: ['tls.rejected ERR_TRUST_PIN_MISMATCH'],
    },
    run: async (world) => {
      const peer = await world.serve({ response: CLOSING })
      const client = world.client()
      await world.call(client, peer)
      peer.setIdentity(stranger)
      await world.call(client, peer, POST)
    },
  },
  {
    id: 'F38',
    fault: 'the pins change while the client holds a session',
    required: { calls: ['200 ok', '200 ok', '200 ok'], attempts: 3, requests: 3, withinMs: 10_000 },
    run: async (world) => {
      const { client, repository } = await pinned(world, [server.pin, backup.pin])
      const peer = await world.serve({ response: CLOSING })
      await world.call(client, peer)
      await world.call(client, peer)
      await repository.publish({ hosts: { [HOST]: [server.pin, stranger.pin] } })
      await client.manifest.refresh()
      await world.call(client, peer)
      const resumed = peer.connections.map((connection) => connection.resumed)
      if (String(resumed) !== 'false,true,false')
        world.complain(`expected false, true, false as resumed, got ${resumed}`)
    },
  },
  {
    id: 'F38',
    fault: 'the server resumes a session and keeps a key from before that is no longer pinned',
    required: {
      calls: ['200 ok', 'ERR_TRUST_PIN_MISMATCH'],
      attempts: 2,
      requests: 1,
      events: ['tls.rejected ERR_TRUST_PIN_MISMATCH'],
    },
    run: async (world) => {
      const { client, repository } = await pinned(world, [server.pin, backup.pin])
      const peer = await world.serve({ response: CLOSING })
      await world.call(client, peer)
      await repository.publish({ hosts: { [HOST]: [backup.pin, stranger.pin] } })
      await client.manifest.refresh()
      await world.call(client, peer, POST)
    },
  },
  {
    id: 'F39',
    fault: 'the certificate of a kept-alive connection expires',
    required: {
      calls: ['200 ok', 'ERR_TRUST_CERT_EXPIRED', '200 ok'],
      attempts: 3,
      requests: 2,
      events: ['tls.retired ERR_TRUST_CERT_EXPIRED', 'tls.rejected ERR_TRUST_CERT_EXPIRED'],
    },
    run: async (world) => {
      const runtime = createTestRuntime({ now: Date.now() })
      const shortLived = ca.issue({ names: [HOST], key: server.key, notAfter: runtime.clock.now() + 3_600_000 })
      const peer = await world.serve({ identity: shortLived })
      const client = world.client({ runtime })
      await world.call(client, peer)
      runtime.setWall(runtime.clock.now() + 3_700_000)
      await world.call(client, peer)
      peer.setIdentity(server)
      await world.call(client, peer)
    },
  },
  {
    id: 'F39',
    fault: 'a kept-alive connection is older than it may be, and the server has moved to another key',
    required: {
      calls: ['200 ok', '200 ok', 'ERR_TRUST_PIN_MISMATCH'],
      attempts: 2,
      requests: 2,
      events: ['tls.rejected ERR_TRUST_PIN_MISMATCH'],
    },
    run: async (world) => {
      const runtime = createTestRuntime({ now: Date.now() })
      const peer = await world.serve()
      const client = world.client({ runtime, limits: { connectionAgeMs: 60_000 } })
      await world.call(client, peer)
      peer.setIdentity(stranger)
      await world.call(client, peer)
      await runtime.advance(70_000)
      await world.call(client, peer)
    },
  },
  {
    id: 'F40',
    fault: 'the clock is set back by a day',
    required: { calls: ['200 ok', '200 ok'], events: ['manifest.clock'] },
    run: (world) => clockJump(world, -DAY_MS),
  },
  {
    id: 'F40',
    fault: 'the clock is set a year ahead, and back',
    required: {
      calls: ['200 ok', 'ERR_TRUST_PINSET_EXPIRED', '200 ok'],
      attempts: 2,
      requests: 2,
      events: [
        'manifest.rejected ERR_MANIFEST_STATUS_EXPIRED',
        'manifest.clock',
        'tls.retired ERR_TRUST_PINSET_EXPIRED',
        'manifest.expired',
        'manifest.rejected ERR_MANIFEST_STATUS_EXPIRED', // the request asks again before it gives up
        'manifest.fresh',
        'manifest.clock',
      ],
    },
    run: (world) => clockJump(world, 365 * DAY_MS, true),
  },
]

/** A client whose pins come from a signed manifest, and the publisher's side. */
async function pinned(
  world: World,
  pins: readonly (typeof server.pin)[],
  options: Partial<ClientOptions> = {},
  runtime?: TestRuntime,
) {
  const hosts = { [HOST]: pins }
  const repository = await createTestRepository(runtime === undefined ? { hosts } : { hosts, clock: runtime.clock })
  const client = world.client({
    manifest: {
      custom: { get: async (path) => repository.files().get(path) },
      root: repository.root,
      memoryOnly: true,
    },
    ...(runtime === undefined ? {} : { runtime }),
    ...options,
  })
  await advancing(client.ready(), runtime)
  return { client, repository }
}

/** The server's flight is on the way for almost two seconds, the manifest changes in the first of them. */
async function swapDuringHandshake(
  world: World,
  before: readonly (typeof server.pin)[],
  after: readonly (typeof server.pin)[],
): Promise<void> {
  const { client, repository } = await pinned(world, before)
  await repository.publish({ hosts: { [HOST]: after } })
  const peer: FaultServer = await world.serve({ script: [{ at: 'tls', fault: 'throttle', bytesPerSecond: 700 }] })
  let judgedUnder: number | undefined
  client.on('tls.rejected', ({ manifestVersion }: EventOf<'tls.rejected'>) => {
    judgedUnder = manifestVersion
  })
  const call = world.call(client, peer, POST)
  await until(() => peer.connections[0]?.stage === 'tls')
  await client.manifest.refresh()
  if (peer.connections[0]?.stage !== 'tls') world.complain('the handshake was over before the manifest changed')
  await call
  if (judgedUnder === 1) world.complain('the refusal names manifest 1, which was no longer in force')
}

async function clockJump(world: World, byMs: number, andBack = false): Promise<void> {
  const runtime = createTestRuntime({ now: Date.now() })
  const lasting = testCa({ name: 'Lasting', now: runtime.clock.now() - 30 * DAY_MS })
  const certificate = lasting.issue({ names: [HOST], key: server.key, notAfter: runtime.clock.now() + 800 * DAY_MS })
  const peer = await world.serve({ identity: certificate })
  const { client } = await pinned(world, [server.pin, backup.pin], { anchors: lasting.anchorPem }, runtime)
  const step = async (by: number): Promise<void> => {
    runtime.setWall(runtime.clock.now() + by)
    await advancing(client.manifest.refresh(), runtime)
    await advancing(world.call(client, peer), runtime)
  }
  await world.call(client, peer)
  await step(byMs)
  if (andBack) await step(-byMs)
}

/** Moves the clock, where it is not the machine's, until the work has ended in one way or the other. */
async function advancing(work: Promise<unknown>, runtime: TestRuntime | undefined): Promise<void> {
  if (runtime === undefined) return void (await work)
  let isOver = false
  const end = (): void => {
    isOver = true
  }
  work.then(end, end)
  for (; !isOver; await sleep(20)) await runtime.advance(500) // slowly enough for work outside of it to keep up
}
