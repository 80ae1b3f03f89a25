/** One process, 1,000 origins with a live connection each; prints what they keep in memory. The contender is the argument. */
import type { LookupFunction } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { Agent, request } from 'undici'
import type { MemoryContender } from './memory.ts'
import type { Served } from './server.ts'

const ORIGINS = 1_000
const { port, ca, pins } = JSON.parse(process.env['BENCH_SERVED'] ?? '') as Served
const get = await create(process.argv[2] as MemoryContender)

await get(urlOf(0))
const before = await settledMemory()
let next = 1
const lane = async (): Promise<void> => {
  while (next <= ORIGINS) await get(urlOf(next++))
}
await Promise.all(Array.from({ length: 8 }, lane))
const after = await settledMemory()
const open = Number(await get(urlOf(0, '/open')))
if (!(open >= 0.99 * ORIGINS)) throw new Error(`only ${open} connections are open`)
process.stdout.write(
  JSON.stringify({ rssMb: (after.rss - before.rss) / 1e6, heapMb: (after.heap - before.heap) / 1e6 }),
)
process.exit()

async function create(name: MemoryContender): Promise<(url: string) => Promise<string>> {
  if (name === 'pinfetch') {
    const path = new URL('../../dist/index.js', import.meta.url).href
    const { createClient } = (await import(path)) as typeof import('pinfetch')
    const client = createClient({ pins: { '*.bench.test': pins }, anchors: ca, resolver: async () => ['127.0.0.1'] })
    return async (url) => (await client.fetch(url)).text()
  }
  const trust = name === 'undici Agent, ca' ? { ca } : { secureContext: createSecureContext({ ca }) }
  const lookup: LookupFunction = (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }])
  const dispatcher = new Agent({ connect: { ...trust, lookup } })
  return async (url) => (await request(url, { dispatcher })).body.text()
}

function urlOf(origin: number, path = '/'): string {
  return `https://o${origin}.bench.test:${port}${path}`
}

async function settledMemory(): Promise<{ readonly rss: number; readonly heap: number }> {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 5; i += 1) {
    gc?.()
    await sleep(20) // what finalizers hold goes a turn later
  }
  const { rss, heapUsed, external } = process.memoryUsage() // array buffers are part of the last
  return { rss, heap: heapUsed + external }
}
