/** One process from its first line to a 200 that the cached manifest verified; prints the milliseconds. */
import { performance } from 'node:perf_hooks'
import type { Served } from './server.ts'

const started = performance.now()
const { port, ca } = JSON.parse(process.env['BENCH_SERVED'] ?? '') as Served
const url = `https://localhost:${port}/close`
if (process.argv[2] === 'pinfetch') {
  const path = new URL('../../dist/index.js', import.meta.url).href
  const { createClient } = (await import(path)) as typeof import('pinfetch')
  const folder = process.env['BENCH_PINS'] ?? ''
  const manifest = { url: `${folder}/public`, root: `${folder}/root.json`, cacheDir: `${folder}/cache` }
  const client = createClient({ manifest, anchors: ca })
  await (await client.fetch(url)).arrayBuffer()
} else {
  await (await fetch(url)).arrayBuffer()
}
process.stdout.write(String(performance.now() - started))
process.exit()
