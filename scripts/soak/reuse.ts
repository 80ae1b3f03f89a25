import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Runtime } from '../../src/index.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { createTestRepository, startTlsServer, testCa } from '../../src/testing/index.ts'

export interface ReuseOptions {
  readonly seconds: number
  /** Milliseconds between two rotations. Default 60. */
  readonly everyMs?: number
  /** Callers that never pause. Default 64. */
  readonly callers?: number
}

export interface ReusePhase {
  readonly name: string
  /** Manifests that came into force. */
  readonly rotations: number
  readonly requests: number
  readonly failures: readonly string[]
  /** That the server finished. */
  readonly handshakes: number
  /** Share of the requests that needed no handshake. */
  readonly reuse: number
}

/**
 * Pins rotate all the time, and the key of the peer stays among them: no reason to fail, and none to make a new connection. First
 * the other pins change; then the server too, between two keys that are both pinned.
 */
export async function soakReuse({ seconds, everyMs = 60, callers = 64 }: ReuseOptions): Promise<readonly ReusePhase[]> {
  const ca = testCa()
  const keys = [ca.issue({ names: [API] }), ca.issue({ names: [API] })] as const
  const pinsNow = () => ({ [API]: [...keys.map(({ pin }) => pin), ca.issue({ names: [API] }).pin] })
  const repository = await createTestRepository({ hosts: pinsNow() })
  const api = await startTlsServer({
    identity: keys[0],
    handler: (_, response) => void setTimeout(() => response.writeHead(200).end('ok'), 50), // rotations meet requests in flight
  })
  const client = createClient({
    manifest: {
      custom: { get: async (path) => repository.files().get(path) },
      root: repository.root,
      memoryOnly: true,
    },
    anchors: ca.anchorPem,
    resolver: async () => ['127.0.0.1'],
    runtime: HURRIED,
  })
  const url = `https://${API}:${api.port}/`
  const counts = { requests: 0, failures: [] as string[] }
  let isOver = false
  const call = async (): Promise<void> => {
    while (!isOver) {
      try {
        const response = await client.fetch(url)
        await response.arrayBuffer()
        if (response.status !== 200) counts.failures.push(`HTTP ${response.status}`)
      } catch (error) {
        counts.failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error))
      }
      counts.requests += 1
    }
  }

  await client.ready()
  const calling = Array.from({ length: callers }, call)
  let seen: number
  do {
    seen = api.connections.length
    for (const enough = counts.requests + 10 * callers; counts.requests < enough; ) await sleep(10)
  } while (api.connections.length > seen) // all are there that it takes
  const phases: ReusePhase[] = []
  for (const { name, swapsKey } of PHASES) {
    const before = { requests: counts.requests, handshakes: api.connections.length, version: client.manifest.version }
    counts.failures = []
    const end = performance.now() + (seconds * 1_000) / PHASES.length
    for (let rotation = 1; performance.now() < end; rotation += 1) {
      const pause = sleep(everyMs)
      if (swapsKey) api.setIdentity(keys[rotation % 2] ?? keys[0])
      await repository.publish({ hosts: pinsNow() })
      await client.manifest.refresh()
      await pause
    }
    const requests = counts.requests - before.requests
    const handshakes = api.connections.length - before.handshakes
    const rotations = client.manifest.version - before.version
    phases.push({ name, rotations, requests, failures: counts.failures, handshakes, reuse: 1 - handshakes / requests })
  }
  isOver = true
  await Promise.all(calling)
  await client.close()
  await api.close()
  return phases
}

/** What must not be, in words. */
export function reuseViolations(phases: readonly ReusePhase[]): readonly string[] {
  return phases.flatMap(({ name, failures, reuse, rotations }) => [
    ...(failures.length > 0 ? [`${name}: ${failures.length} failed requests, the first with ${failures[0]}`] : []),
    ...(reuse >= MIN_REUSE ? [] : [`${name}: ${(reuse * 100).toFixed(2)} % of the requests reused a connection`]),
    ...(rotations > 0 ? [] : [`${name}: no rotation`]),
  ])
}

const PHASES = [
  { name: 'other pins change', swapsKey: false },
  { name: 'the server’s key changes, both pinned', swapsKey: true },
] as const

/** Refreshes are a second apart; the waits for that are cut to a twentieth. */
const HURRIED: Runtime = {
  ...systemRuntime,
  schedule: (afterMs, run) => systemRuntime.schedule(afterMs <= 1_000 ? afterMs / 20 : afterMs, run),
}

const API = 'api.example.com'
const MIN_REUSE = 0.99
