import { setTimeout as sleep } from 'node:timers/promises'
import type { Runtime } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { createTestRepository } from '../../src/testing/index.ts'
import { abortCases } from './abort-cases.ts'
import { startBlackhole } from './blackhole.ts'
import { measureFailedHandshakes } from './failed-handshakes.ts'
import { LATE_MS, startFarServer } from './far-server.ts'
import { type FaultCase, until } from './fault-case.ts'
import { POST } from './scripted.ts'
import { runStarved } from './starved.ts'
import { HOST, server, type World } from './world.ts'

const STALL_MS = 2_000
const CLOSE_MS = 1_000

/** What happens within the process, and to what it has of the system. */
export const processCases: readonly FaultCase[] = [
  ...abortCases,
  {
    id: 'F64',
    fault: 'close() in the middle of a handshake that stands still',
    required: { calls: ['ERR_TRANSPORT_CLIENT_CLOSED'], applicationBytes: 0, requestSent: 'no' },
    run: async (world) => {
      const peer = await world.serve({ script: [{ at: 'tls', fault: 'stall', after: 600 }] })
      const client = world.client()
      const call = world.call(client, peer, POST)
      await until(() => peer.connections[0]?.stage === 'tls')
      await closesInTime(world, client)
      await call
    },
  },
  {
    id: 'F64',
    fault: 'close() in the middle of a refresh that stands still',
    required: { calls: [], attempts: 0 },
    run: async (world) => {
      const repository = await createTestRepository({ hosts: { [HOST]: [server.pin] } })
      let isAsked = 0
      const client = world.client({
        manifest: {
          custom: {
            get: () => {
              isAsked += 1
              return new Promise(() => undefined)
            },
          },
          root: repository.root,
          memoryOnly: true,
        },
      })
      const ready = client.ready().catch(() => undefined)
      await until(() => isAsked > 0)
      await closesInTime(world, client)
      await ready
    },
  },
  {
    id: 'F65',
    fault: 'failed handshakes by the thousand',
    required: { calls: ['ERR_TRUST_PIN_MISMATCH', 'ERR_TRANSPORT_CLOSED'], attempts: 0 },
    run: async (world) => {
      const { outcomes, grownDescriptors, grownHeapBytes, runs } = await measureFailedHandshakes()
      for (const outcome of outcomes) world.note(outcome)
      if (grownDescriptors > 0) world.complain(`${grownDescriptors} descriptors more after ${runs} handshakes`)
      if (grownHeapBytes > HEAP_BYTES) world.complain(`${grownHeapBytes} bytes of heap more after ${runs} handshakes`)
    },
  },
  {
    id: 'F66',
    fault: 'the event loop stands still for two seconds while a response arrives',
    required: { calls: ['200 ok', '200 ok'], attempts: 0, withinMs: 10_000 },
    run: async (world) => {
      const far = world.keep(await startFarServer())
      const client = world.client({ timeouts: { headersMs: 2_000 } }) // over when the loop goes on, with the response there
      const call = world.call(client, far, { path: '/late' })
      await far.accepted
      await sleep(LATE_MS - 200) // the client has looked at its clock before
      await stall(STALL_MS)
      await call
      await world.call(client, far)
    },
  },
  ...(['connectMs', 'tlsMs'] as const).map(
    (limit): FaultCase => ({
      id: 'F66',
      fault: `the event loop stands still for two seconds while ${limit === 'tlsMs' ? 'the certificates arrive' : 'a connection is made'}`,
      required: { calls: ['200 ok', '200 ok'], attempts: 0, withinMs: 10_000 },
      run: async (world) => {
        const far = world.keep(await startFarServer())
        const runtime = stallingAfter(STALL_MS / 2 + 1) // when the time is set that is over meanwhile
        const client = world.client({ runtime, timeouts: { [limit]: STALL_MS / 2 + 1 } })
        await world.call(client, far)
        await world.call(client, far)
      },
    }),
  ),
  {
    id: 'F70',
    fault: 'the process has no descriptor left, and then has again',
    required: { calls: ['ERR_TRANSPORT_CONNECT', '200 ok'], requests: 1, withinMs: 30_000 },
    run: async (world) => {
      const peer = await world.serve()
      for (const outcome of await runStarved(peer.port)) world.note(outcome)
    },
  },
  {
    id: 'F70',
    fault: 'the name does not resolve',
    required: { calls: ['ERR_TRANSPORT_RESOLVE'], attempts: 0, requestSent: 'no' },
    run: async (world) => {
      const resolver = () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))
      await world.call(world.client({ resolver }), await world.serve())
    },
  },
  {
    id: 'F70',
    fault: 'the resolver says nothing',
    required: { calls: ['ERR_TRANSPORT_TIMEOUT'], attempts: 0, requestSent: 'no' },
    run: async (world) => {
      const client = world.client({ resolver: () => new Promise(() => undefined), timeouts: { connectMs: 400 } })
      await world.call(client, await world.serve())
    },
  },
  {
    id: 'F70',
    fault: 'the first addresses are unreachable',
    required: { calls: ['200 ok'], requests: 1 },
    run: async (world) => {
      const resolver = async () => ['100::1', '100::2', '127.0.0.1'] // RFC 6666: nothing is ever there
      await world.call(world.client({ resolver }), await world.serve())
    },
  },
  {
    id: 'F70',
    fault: 'the first address swallows every packet',
    required: { calls: ['200 ok'], requests: 1, withinMs: 5_000 },
    run: async (world) => {
      const peer = await world.serve()
      world.keep(await startBlackhole(peer.port))
      await world.call(world.client({ resolver: async () => ['::1', '127.0.0.1'] }), peer)
    },
  },
]

async function closesInTime(world: World, client: { close(): Promise<void> }): Promise<void> {
  const begun = performance.now()
  await client.close()
  const elapsed = performance.now() - begun
  if (elapsed > CLOSE_MS) world.complain(`close() took ${Math.round(elapsed)} ms`)
}

/** After the sockets were looked at and before the timers are: the worst moment for those. */
function stall(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      for (const end = performance.now() + ms; performance.now() < end; );
      resolve()
    })
  })
}

/** The machine's runtime, whose process stands still once a timer of so many milliseconds was set. */
function stallingAfter(ms: number): Runtime {
  const schedule: Runtime['schedule'] = (afterMs, run) => {
    if (afterMs === ms) void stall(STALL_MS)
    return systemRuntime.schedule(afterMs, run)
  }
  return { ...systemRuntime, schedule }
}

const HEAP_BYTES = 3_000_000 // the noise of a collector; a leaked connection is some 40 kB, 500 of them 20 MB
