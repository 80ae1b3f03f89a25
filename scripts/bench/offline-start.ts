/** One process from `createClient` to a 200 that the cached manifest verified, without its source; prints the milliseconds. */
import { performance } from 'node:perf_hooks'
import type { Served } from './server.ts'

const { port, ca } = JSON.parse(process.env['BENCH_SERVED'] ?? '') as Served
const folder = process.env['BENCH_PINS'] ?? ''
const path = new URL('../../dist/index.js', import.meta.url).href
const { createClient } = (await import(path)) as typeof import('pinfetch')

const started = performance.now()
const manifest = { url: `${folder}/public`, root: `${folder}/root.json`, cacheDir: `${folder}/cache` }
const client = createClient({ manifest, anchors: ca })
await (await client.fetch(`https://localhost:${port}/close`)).arrayBuffer()
process.stdout.write(String(performance.now() - started))
process.exit()
