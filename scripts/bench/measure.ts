/**
 * Every round runs all contenders in an order of its own: what the machine does hits all of them, and nobody always inherits
 * the garbage of the same predecessor.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import { build } from 'tsup'
import type { PinText } from '../../src/encoding/pin.ts'
import { createTestRepository } from '../../src/testing/repository.ts'
import { type Contender, createContenders } from './contenders.ts'
import type { Served } from './server.ts'
import { median, pairedRatio, seededRandom, shuffled } from './statistics.ts'

const served = JSON.parse(process.env['BENCH_SERVED'] ?? '') as Served
const args = process.argv.slice(2)
const quick = args.includes('--quick')
const wanted = args.filter((arg) => !arg.startsWith('--'))
const rounds = quick ? 7 : 31

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  'keep-alive': () => timed(createContenders(served, true), (get) => sequential(get, '/', quick ? 100 : 300)),
  concurrent: () => timed(createContenders(served, true), (get) => concurrent(get, '/', 64, quick ? 512 : 2_048)),
  connection: () => timed(createContenders(served, false), (get) => sequential(get, '/close', quick ? 10 : 30)),
  'cold-start': () => coldStart(),
  heap: async () => idleHeap(),
  path: async () => (await importBuilt<typeof import('./path.ts')>('path')).measurePath(rounds), // makes RSA keys when it loads
  revocation: async () => (await importBuilt<typeof import('./revocation.ts')>('revocation')).measureRevocation(rounds),
  manifest: async () => (await import('./manifest.ts')).measureManifest(served.pins, rounds), // publishes 100,000 hosts
}

const report: Record<string, unknown> = { node: process.version, rounds }
for (const [name, run] of Object.entries(scenarios)) {
  if (wanted.length === 0 || wanted.includes(name)) report[name] = await run()
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
process.exit()

/** Milliseconds per request, p50 within a round; the round's median over all rounds, and ours as a ratio of each other. */
async function timed(contenders: readonly Contender[], run: (get: Contender['get']) => Promise<number>) {
  const figures = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (const { get } of contenders) await run(get) // warm
  const random = seededRandom(contenders.length)
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, get } of shuffled(contenders, random)) figures.get(name)?.push(await run(get))
  }
  for (const { close } of contenders) await close()
  const ours = figures.get('pinfetch') ?? []
  return Object.fromEntries(
    [...figures].map(([name, values]) => {
      const ms = Number(median(values).toFixed(4))
      return [
        name,
        { ms, requestsPerSecond: Math.round(1_000 / ms), pinfetchRatio: rounded(pairedRatio(ours, values)) },
      ]
    }),
  )
}

/** p50 of one request after the other. */
async function sequential(get: Contender['get'], path: string, count: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < count; i += 1) {
    const start = performance.now()
    await get(path)
    times.push(performance.now() - start)
  }
  return median(times)
}

/** Wall time per request with `lanes` of them in flight. */
async function concurrent(get: Contender['get'], path: string, lanes: number, count: number): Promise<number> {
  const start = performance.now()
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await get(path)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return (performance.now() - start) / count
}

/** A process's way from the first line to the first 200, import included, with the manifest in its cache from an earlier one. */
async function coldStart(): Promise<unknown> {
  const folder = await publishPins()
  const env = { ...process.env, BENCH_PINS: folder }
  const runs = quick ? 5 : 15
  const program = join(import.meta.dirname, 'cold-start.ts')
  spawnSync(process.execPath, ['--import', 'tsx', program, 'pinfetch'], { env }) // fills the cache
  const figures: Record<string, number[]> = { pinfetch: [], 'global fetch': [] }
  for (let i = 0; i < runs; i += 1) {
    for (const [name, values] of Object.entries(figures)) {
      const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, name], {
        encoding: 'utf8',
        env,
      })
      const ms = Number(stdout)
      if (!(ms > 0)) throw new Error(`cold start of ${name} failed: ${stderr}`)
      values.push(ms)
    }
  }
  rmSync(folder, { recursive: true })
  const { pinfetch = [], 'global fetch': plain = [] } = figures
  return {
    pinfetch: { ms: Math.round(median(pinfetch)) },
    'global fetch': { ms: Math.round(median(plain)), pinfetchRatio: rounded(pairedRatio(pinfetch, plain)) },
  }
}

/** A signed repository on disk; the first process fills the cache beside it. */
async function publishPins(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bench-'))
  const repository = await createTestRepository({ hosts: { localhost: served.pins as PinText[] } })
  writeFileSync(join(folder, 'root.json'), repository.root)
  for (const [path, bytes] of repository.files()) {
    mkdirSync(dirname(join(folder, 'public', path)), { recursive: true })
    writeFileSync(join(folder, 'public', path), bytes)
  }
  return folder
}

/** What one client with one idle connection keeps on the heap, in KiB, after what the process needs anyway. */
async function idleHeap(): Promise<unknown> {
  const kib: Record<string, number> = {}
  for (const name of ['pinfetch', 'undici.request']) {
    const clients: Contender[] = []
    const before = settledHeap()
    for (let i = 0; i < 50; i += 1) {
      const contender = createContenders(served, true).find((one) => one.name === name)
      if (contender === undefined) continue
      await contender.get('/')
      clients.push(contender)
    }
    kib[name] = Math.round((settledHeap() - before) / 1_024 / clients.length)
    for (const { close } of clients) await close()
  }
  return { kibPerClient: kib }
}

/** The scenario and the sources it measures as the package is built: tsx compiles every function with a helper around it. */
async function importBuilt<Module>(name: string): Promise<Module> {
  const outDir = mkdtempSync(join(tmpdir(), 'pinfetch-bench-'))
  const entry = { [name]: join(import.meta.dirname, `${name}.ts`) }
  const options = { entry, outDir, format: 'esm', target: 'node20.19', platform: 'node' } as const
  await build({ ...options, config: false, silent: true, outExtension: () => ({ js: '.mjs' }) })
  const module = (await import(pathToFileURL(join(outDir, `${name}.mjs`)).href)) as Module
  rmSync(outDir, { recursive: true })
  return module
}

function settledHeap(): number {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 3; i += 1) gc?.()
  return process.memoryUsage().heapUsed
}

function rounded({ median: middle, interval }: ReturnType<typeof pairedRatio>) {
  const round = (value: number): number => Number(value.toFixed(3))
  return { median: round(middle), interval: interval.map(round) }
}
