/** The scenarios, one after the other; which of them run, the arguments say. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { PinText } from '../../src/encoding/pin.ts'
import { createTestRepository } from '../../src/testing/repository.ts'
import { importBuilt } from './built.ts'
import { type Contender, createContenders } from './contenders.ts'
import { loadScenarios } from './load.ts'
import { measureMemory } from './memory.ts'
import type { Served } from './server.ts'
import { median, pairedRatio, roundedRatio } from './statistics.ts'

process.setSourceMapsEnabled(false) // tsx switches them on, and no service runs so: each error of a stream would cost as much as a handshake

const served = JSON.parse(process.env['BENCH_SERVED'] ?? '') as Served
const args = process.argv.slice(2)
const PEERS = ['aws4', '@smithy/signature-v4', '@smithy/protocol-http', 'http-message-sig', 'http-message-signatures']
const quick = args.includes('--quick')
const wanted = args.filter((arg) => !arg.startsWith('--'))
const rounds = quick ? 7 : 31

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  ...loadScenarios(served, rounds, quick),
  memory: () => measureMemory(quick ? 2 : 7),
  'cold-start': () => coldStart(),
  heap: async () => idleHeap(),
  path: async () => (await importBuilt<typeof import('./path.ts')>('path')).measurePath(rounds), // makes RSA keys when it loads
  revocation: async () => (await importBuilt<typeof import('./revocation.ts')>('revocation')).measureRevocation(rounds),
  ct: async () => (await importBuilt<typeof import('./ct.ts')>('ct')).measureCt(rounds),
  auth: async () => (await importBuilt<typeof import('./auth.ts')>('auth')).measureAuth(rounds),
  signing: async () => (await importBuilt<typeof import('./signing.ts')>('signing', PEERS)).measureSigning(rounds),
  outlets: async () =>
    (await importBuilt<typeof import('./outlets.ts')>('outlets')).measureOutlets(served, rounds, quick),
  manifest: async () => (await import('./manifest.ts')).measureManifest(served.pins, rounds), // publishes 100,000 hosts
}

const report: Record<string, unknown> = { node: process.version, rounds }
for (const [name, run] of Object.entries(scenarios)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  process.stderr.write(`${name} …\n`)
  report[name] = await run()
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
process.exit()

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
    'global fetch': { ms: Math.round(median(plain)), pinfetchRatio: roundedRatio(pairedRatio(pinfetch, plain)) },
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
      const contender = createContenders(served, served.port).find((one) => one.name === name)
      if (contender === undefined) continue
      await contender.get('/')
      clients.push(contender)
    }
    kib[name] = Math.round((settledHeap() - before) / 1_024 / clients.length)
    for (const { close } of clients) await close()
  }
  return { kibPerClient: kib }
}

function settledHeap(): number {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 3; i += 1) gc?.()
  return process.memoryUsage().heapUsed
}
