import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { canonicalHost } from '../../src/encoding/host.ts'
import { type PinText, pinOfSpki } from '../../src/encoding/pin.ts'
import { createManifestSource } from '../../src/manifest/sources.ts'
import { createManifestUpdater } from '../../src/manifest/updater.ts'
import { keepProcessAlive, systemRuntime } from '../../src/ports/system.ts'
import { writeRepository } from '../../src/publisher/directory.ts'
import { fileStore } from '../../src/stores/file.ts'
import { createTestRepository } from '../../src/testing/repository.ts'
import { median, pairedRatio } from './statistics.ts'

/**
 * What many hosts cost. 100,000 of them in blobs, with two pins each: from nothing, and from a warm cache, how long the event
 * loop is held at most and what stays in memory afterwards. And how long a process without network takes from its start to
 * its first verified answer, with 1,000 hosts beside 10.
 *
 * @param pins Of a server at `localhost`, whose address and CA the child processes find in BENCH_SERVED.
 */
export async function measureManifest(pins: readonly string[], rounds: number): Promise<unknown> {
  return { '100,000 hosts': await manyHosts(), 'offline start': await offlineStart(pins as PinText[], rounds) }
}

async function manyHosts(): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bench-'))
  const root = await publish(folder, HOSTS)
  const [first, warm] = [await load(folder, root), await load(folder, root)]
  rmSync(folder, { recursive: true })
  return { 'from its source': first, 'from the cache': warm }
}

async function load(folder: string, root: Uint8Array) {
  const before = settledMemory()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const started = performance.now()
  const updater = createManifestUpdater({
    root,
    source: createManifestSource([{ kind: 'directory', path: join(folder, 'public') }], () =>
      Promise.reject(new Error('a directory needs no network')),
    ),
    store: fileStore(join(folder, 'cache')),
    runtime: systemRuntime,
    emit: () => {},
    startupMs: 600_000,
  })
  const release = keepProcessAlive() // the updater's own timers do not
  await updater.ready()
  const ms = Math.round(performance.now() - started)
  const stallMs = Math.round(delay.max / 1e6)
  await updater.firstAttempt
  delay.disable()
  const retainedMb = Number(((settledMemory() - before) / 1e6).toFixed(1))
  const last = canonicalHost(`h${HOSTS - 1}.example.com`)
  if (last === undefined || updater.current().lookup(last, 443) === undefined) throw new Error('a host got lost')
  await updater.close()
  release()
  return { ms, stallMs, retainedMb, held: { stall: stallMs <= MAX_STALL_MS, retained: retainedMb <= MAX_RETAINED_MB } }
}

async function offlineStart(pins: readonly PinText[], rounds: number): Promise<unknown> {
  const few = await warmCache(10, pins)
  const many = await warmCache(1_000, pins)
  const figures = { few: [] as number[], many: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    figures.few.push(startIn(few))
    figures.many.push(startIn(many))
  }
  for (const folder of [few, many]) rmSync(folder, { recursive: true })
  const { median: ratio, interval } = pairedRatio(figures.many, figures.few)
  return {
    '10 hosts': { ms: Math.round(median(figures.few)) },
    '1,000 hosts': { ms: Math.round(median(figures.many)) },
    ratio: {
      median: Number(ratio.toFixed(2)),
      interval: interval.map((value) => Number(value.toFixed(2))),
      max: MAX_RATIO,
    },
  }
}

/** A folder with a cache that one process has filled, and no source any more. */
async function warmCache(count: number, pins: readonly PinText[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bench-'))
  writeFileSync(join(folder, 'root.json'), await publish(folder, count, { localhost: pins }))
  startIn(folder)
  rmSync(join(folder, 'public'), { recursive: true })
  return folder
}

function startIn(folder: string): number {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'offline-start.ts')],
    { encoding: 'utf8', env: { ...process.env, BENCH_PINS: folder } },
  )
  const ms = Number(stdout)
  if (!(ms > 0)) throw new Error(`an offline start failed: ${stderr}`)
  return ms
}

async function publish(folder: string, count: number, more: Readonly<Record<string, readonly PinText[]>> = {}) {
  const pin = (text: string): PinText => pinOfSpki(Buffer.from(text))
  const hosts = Array.from(
    { length: count },
    (_, at) => [`h${at}.example.com`, [pin(`${at} a`), pin(`${at} b`)]] as const,
  )
  const repository = await createTestRepository({ hosts: { ...Object.fromEntries(hosts), ...more } })
  await writeRepository(join(folder, 'public'), repository.files())
  return repository.root
}

function settledMemory(): number {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 3; i += 1) gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external // array buffers are part of the latter
}

const HOSTS = 100_000
const MAX_STALL_MS = 100
const MAX_RETAINED_MB = 30
const MAX_RATIO = 3
