import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '../../src/index.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import {
  createTestRepository,
  startManifestServer,
  startTlsServer,
  type TestCertificate,
  type TestRepository,
  testCa,
} from '../../src/testing/index.ts'

export interface SoakOptions {
  readonly seconds: number
  /** Requests a second. */
  readonly rate: number
  /** How a request is made. Default: by the client. */
  readonly send?: (client: Client, url: string, anchors: string) => Promise<number>
  /** How many of the rotations. Default: all. */
  readonly rotations?: number
}

export interface SoakPhase {
  readonly name: string
  readonly requests: number
  readonly failures: readonly string[]
  /** From the publication to the tick in which it is in force. */
  readonly activatedMs: number | undefined
  /** Connections that the client closed for their key. */
  readonly retired: number
  /** Handshakes that the server finished. */
  readonly connections: number
  /** Requests on a connection whose key the manifest in force had dropped more than a second before. */
  readonly late: number
  readonly medianMs: number
  readonly p99Ms: number
}

/**
 * A client under steady load while everything that can rotate does. Each phase also moves the server to its backup key and
 * publishes a manifest without the old one: what signed it is in force only if connections with the old key end.
 */
export async function soak(options: SoakOptions): Promise<readonly SoakPhase[]> {
  const { seconds, rate, send = byClient, rotations = ROTATIONS.length } = options
  const planned = [START, ...ROTATIONS.slice(0, rotations)]
  const ca = testCa()
  const keys = Array.from({ length: planned.length + 1 }, () => ca.issue({ names: [API] }))
  const stage = await setTheStage(ca, keys)
  const { api, client, repository, mirrors } = stage
  const url = `https://${API}:${api.port}/`
  const load = startLoad(rate, () => send(client, url, ca.anchorPem))
  const phases: SoakPhase[] = []
  try {
    for (const [at, { name, prepare }] of planned.entries()) {
      const mark = { connections: api.connections.length, retired: stage.retired(), late: stage.late() }
      load.begin()
      let activatedMs: number | undefined
      if (at > 0) {
        await prepare(repository, mirrors)
        stage.serve(at)
        const published = performance.now()
        await repository.publish({ hosts: { [API]: pinsOf(keys.slice(at, at + 2)) } })
        await client.manifest.refresh()
        activatedMs = stage.inForceSince(at - 1)
        if (activatedMs !== undefined) activatedMs -= published
      }
      await sleep((seconds * 1_000) / planned.length)
      phases.push({
        name,
        ...load.figures(),
        activatedMs,
        retired: stage.retired() - mark.retired,
        connections: api.connections.length - mark.connections,
        late: stage.late() - mark.late,
      })
    }
    await load.end()
  } finally {
    await stage.close()
  }
  return phases
}

/** What must not be, in words. */
export function violations(phases: readonly SoakPhase[]): readonly string[] {
  return phases.flatMap(({ name, failures, late, activatedMs, requests }) => [
    ...(failures.length > 0 ? [`${name}: ${failures.length} failed requests, the first with ${failures[0]}`] : []),
    ...(late > 0 ? [`${name}: ${late} requests on connections that were judged under an older manifest`] : []),
    ...(activatedMs === undefined && name !== START.name
      ? [`${name}: what was published did not come into force`]
      : []),
    ...(requests === 0 ? [`${name}: no request`] : []),
  ])
}

interface Rotation {
  readonly name: string
  readonly prepare: (repository: TestRepository, mirrors: readonly { close(): Promise<void> }[]) => Promise<void>
}

const role = async (count = 1) => ({
  keys: await Promise.all(Array.from({ length: count }, () => generateSigningKey())),
  threshold: 1,
})

const START: Rotation = { name: 'start', prepare: async () => {} }
const ROTATIONS: readonly Rotation[] = [
  { name: 'pins', prepare: async () => {} },
  { name: 'status key', prepare: async (repository) => repository.rotateRoot({ roles: { status: await role() } }) },
  { name: 'manifest key', prepare: async (repository) => repository.rotateRoot({ roles: { manifest: await role() } }) },
  { name: 'root keys', prepare: async (repository) => repository.rotateRoot({ roles: { root: await role(2) } }) },
  {
    name: 'epochs, stolen keys',
    prepare: async (repository) =>
      repository.rotateRoot({
        roles: { status: await role(), manifest: await role() },
        raiseEpoch: ['status', 'manifest'],
      }),
  },
  { name: 'a mirror is lost', prepare: async (_, mirrors) => mirrors[0]?.close() },
]

/** Two mirrors, a server that knows under which key each of its connections was made, and a client that is ready. */
async function setTheStage(ca: ReturnType<typeof testCa>, keys: readonly TestCertificate[]) {
  const repository = await createTestRepository({ hosts: { [API]: pinsOf(keys.slice(0, 2)) } })
  const identity = ca.issue({ names: [PINS] })
  const mirrors = [
    await startManifestServer({ files: repository, identity }),
    await startManifestServer({ files: repository, identity }),
  ]
  const firstConnectionOf = [0] // by key
  const droppedAt: number[] = [] // by key
  let late = 0
  let retired = 0
  const api = await startTlsServer({
    identity: keys[0] as TestCertificate,
    handler: ({ connection }, response) => {
      const key = firstConnectionOf.findLastIndex((first) => connection >= first)
      if (performance.now() > (droppedAt[key] ?? Number.POSITIVE_INFINITY) + BOUND_MS) late += 1
      setTimeout(() => response.writeHead(200).end('ok'), 10) // a little work, so that several connections are in use
    },
  })
  const client = createClient({
    manifest: {
      urls: mirrors.map(({ port }) => `https://${PINS}:${port}/`),
      root: repository.root,
      memoryOnly: true,
    },
    anchors: ca.anchorPem,
    resolver: async () => ['127.0.0.1'],
  })
  client.on('tls.retired', ({ connections }) => {
    retired += connections
  })
  client.on('manifest.activated', () => {
    const dropped = firstConnectionOf.length - 2
    if (dropped >= 0) droppedAt[dropped] = performance.now()
  })
  await client.ready()
  return {
    repository,
    mirrors,
    api,
    client,
    serve: (key: number) => {
      firstConnectionOf.push(api.connections.length)
      api.setIdentity(keys[key] as TestCertificate)
    },
    inForceSince: (key: number) => droppedAt[key],
    late: () => late,
    retired: () => retired,
    close: async () => {
      await client.close()
      await Promise.all([api, ...mirrors].map((server) => server.close()))
    },
  }
}

function startLoad(rate: number, send: () => Promise<number>) {
  const started = performance.now()
  const pending = new Set<Promise<void>>()
  let sent = 0
  let times: number[] = []
  let failures: string[] = []

  const one = async (): Promise<void> => {
    const begun = performance.now()
    try {
      const status = await send()
      if (status !== 200) failures.push(`HTTP ${status}`)
    } catch (error) {
      failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error))
    }
    times.push(performance.now() - begun)
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - started) * rate) / 1_000
    for (; sent < due && pending.size < MAX_IN_FLIGHT; sent += 1) {
      const request = one().finally(() => pending.delete(request))
      pending.add(request)
    }
  }, 5)
  return {
    begin: () => {
      times = []
      failures = []
    },
    figures: () => {
      const sorted = times.toSorted((a, b) => a - b)
      const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
      return { requests: times.length, failures, medianMs: at(0.5), p99Ms: at(0.99) }
    },
    end: async () => {
      clearInterval(timer)
      await Promise.all(pending)
    },
  }
}

async function byClient(client: Client, url: string): Promise<number> {
  const response = await client.fetch(url)
  await response.arrayBuffer()
  return response.status
}

const pinsOf = (keys: readonly TestCertificate[]) => keys.map(({ pin }) => pin)

const API = 'api.example.com'
const PINS = 'pins.example.com'
const BOUND_MS = 1_000
const MAX_IN_FLIGHT = 32 // on a machine that is too slow, fewer requests and not ever more handshakes
