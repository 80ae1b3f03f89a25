import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { type Client, createClient } from '../../src/index.ts'
import { collectEvidence, toFile, toHttp, toSyslog, validationLog, violationReports } from '../../src/monitor/index.ts'
import type { Served } from './server.ts'
import { bounded, median, pairedRatio, rounded, seededRandom, shuffled } from './statistics.ts'

interface Closing {
  readonly close: () => Promise<unknown>
}

/**
 * What a request waits for its outlets: the p50 of one request after the other, over a connection that is there and over new ones,
 * each of which is a record. Four clients that differ in their outlets alone take turns: none, all of them healthy, all hanging, all
 * failing. A hanging collector takes the connection and says nothing; a failing one is not there, and its file is on a full disk.
 */
export async function measureOutlets(served: Served, rounds: number, quick: boolean): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bench-outlets-'))
  const silent = await startSilent()
  const own = createClient({ pins: { localhost: served.pins }, anchors: served.ca, monitor: false })
  const never = (_: unknown, init?: RequestInit): Promise<Response> =>
    new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
  const sinks: Readonly<Record<string, (client: Client) => readonly Closing[]>> = {
    none: () => [],
    healthy: (client) => [
      toFile(client, { path: join(folder, 'ocsf') }),
      toHttp(client, { url: `https://localhost:${served.port}/`, fetch: own.fetch, format: 'ecs' }),
      toSyslog(client, { to: { protocol: 'udp', host: '127.0.0.1', port: silent.port } }),
      violationReports(client, { url: `https://localhost:${served.port}/`, fetch: own.fetch }),
      collectEvidence(client, { dir: join(folder, 'evidence') }),
      validationLog(client, { file: join(folder, 'log') }),
    ],
    hanging: (client) => [
      toHttp(client, { url: 'https://siem.example/', fetch: never }),
      toHttp(client, { url: 'https://ecs.example/', fetch: never, format: 'ecs' }),
      toSyslog(client, { to: { protocol: 'tcp', host: '127.0.0.1', port: silent.port } }),
      violationReports(client, { url: 'https://report.example/', fetch: never }),
      collectEvidence(client, { write: () => new Promise(() => undefined) }),
    ],
    failing: (client) => [
      toFile(client, { path: '/dev/full' }),
      toHttp(client, { url: 'https://siem.example/', fetch: async () => Promise.reject(new TypeError('refused')) }),
      toHttp(client, {
        url: `https://localhost:${served.port}/none`,
        fetch: async () => new Response('', { status: 500 }),
      }),
      toSyslog(client, { to: { protocol: 'tcp', host: '127.0.0.1', port: 1 } }),
      collectEvidence(client, { dir: '/dev/full/evidence' }),
      validationLog(client, { file: '/dev/full' }),
    ],
  }
  const clients = Object.entries(sinks).map(([name, attach]) => {
    const client = createClient({ pins: { localhost: served.pins }, anchors: served.ca })
    return { name, client, outlets: attach(client) }
  })
  const p50 = async (client: Client, url: string, count: number): Promise<number> => {
    const times: number[] = []
    for (let i = 0; i < count; i += 1) {
      const start = performance.now()
      await (await client.fetch(url)).arrayBuffer()
      times.push(performance.now() - start)
    }
    return median(times)
  }
  const compare = async (port: number, path: string, count: number): Promise<unknown> => {
    const url = `https://localhost:${port}${path}`
    const figures = new Map<string, number[]>(clients.map(({ name }) => [name, []]))
    for (const { client } of clients) await p50(client, url, count)
    const random = seededRandom(count)
    for (let round = 0; round < rounds; round += 1)
      for (const { name, client } of shuffled(clients, random)) figures.get(name)?.push(await p50(client, url, count))
    const none = figures.get('none') ?? []
    return Object.fromEntries(
      [...figures].map(([name, values]) => [
        name,
        { ms: rounded(median(values), 4), ...(name !== 'none' && bounded(pairedRatio(values, none), { max: 1.05 })) },
      ]),
    )
  }
  const report = {
    'over a connection that is there': await compare(served.port, '/', quick ? 100 : 300),
    'over new ones': await compare(served.port, '/close', quick ? 10 : 30),
    'over new ones, each a full handshake': await compare(served.fullPort, '/close', quick ? 10 : 30),
  }
  for (const { client, outlets } of clients) {
    await Promise.all(outlets.map((outlet) => outlet.close()))
    await client.close()
  }
  await Promise.all([own.close(), silent.close()])
  rmSync(folder, { recursive: true })
  return report
}

/** Takes connections, reads nothing. */
async function startSilent(): Promise<Closing & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer(
    { pauseOnConnect: true },
    (socket) => void sockets.add(socket.on('error', () => undefined)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  }
  return { port: (server.address() as AddressInfo).port, close }
}
