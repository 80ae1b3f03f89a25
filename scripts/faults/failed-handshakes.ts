import { readdirSync } from 'node:fs'
import { createServer as createTcpServer, type Server } from 'node:net'
import { createServer } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createClient } from '../../src/index.ts'
import { isFull } from '../../test/support/tier.ts'
import { ca, HOST, server, stranger } from './world.ts'

export interface Growth {
  /** What the calls ended with, each once. */
  readonly outcomes: readonly string[]
  readonly runs: number
  readonly grownDescriptors: number
  readonly grownHeapBytes: number
}

/**
 * One client, servers with a strange key and servers that hang up, in turn. Measured after the first fifth, when every cache is
 * as warm as it gets, and at the end. The servers are Node's own: those of the test kit remember every connection.
 */
export async function measureFailedHandshakes(runs = isFull ? 10_000 : 500): Promise<Growth> {
  const impostor = createServer({ key: stranger.keyPem, cert: stranger.pem + ca.issuer.pem })
  impostor.on('tlsClientError', () => undefined)
  const rude = createTcpServer((socket) => socket.resetAndDestroy())
  const ports = [await listen(impostor), await listen(rude)]
  const client = createClient({
    pins: { [HOST]: [server.pin] },
    anchors: ca.anchorPem,
    resolver: async () => ['127.0.0.1'],
    revocation: { fetch: 'never' },
  })
  const outcomes = new Set<string>()
  const fail = async (count: number): Promise<void> => {
    for (let run = 0; run < count; run += 1) {
      const outcome = await client.fetch(`https://${HOST}:${ports[run % 2]}/`).catch(({ code }) => String(code))
      outcomes.add(typeof outcome === 'string' ? outcome : 'a response')
    }
  }
  try {
    await fail(runs / 5)
    const before = await state()
    await fail(runs - runs / 5)
    const after = await state()
    return {
      outcomes: [...outcomes],
      runs,
      grownDescriptors: after.descriptors - before.descriptors,
      grownHeapBytes: after.heapBytes - before.heapBytes,
    }
  } finally {
    await client.close()
    await Promise.all([close(impostor), close(rude)])
  }
}

async function state(): Promise<{ readonly descriptors: number; readonly heapBytes: number }> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 4; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100)) // sockets that are about to close
    collect()
  }
  return { descriptors: descriptors(), heapBytes: process.memoryUsage().heapUsed }
}

/** Where /proc is not, the sockets alone. */
function descriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return process.getActiveResourcesInfo().filter((resource) => resource.startsWith('TCP')).length
  }
}

function listen(tcp: Server): Promise<number> {
  return new Promise((resolve) => {
    tcp.listen(0, '127.0.0.1', () => {
      const address = tcp.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

const close = (tcp: Server): Promise<void> => new Promise((resolve) => void tcp.close(() => resolve()))
