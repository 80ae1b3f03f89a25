/** A process that uses a client and then starts three others, forked or threads, which make their own. */
import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { isMainThread, Worker } from 'node:worker_threads'
import { clientOf, get } from './child.ts'

/** A thread does not take the loader over. */
const IN_THREAD = `import('tsx/esm/api').then(({ register }) => { register(); return import('${import.meta.url}') })`
const isFirst = isMainThread && cluster.isPrimary && process.env['ROLE'] === undefined
const [, program = ''] = process.argv

const client = clientOf({ cacheDir: process.env['CACHE_DIR'] ?? '' })
const status = await get(client)
process.stdout.write(`${isFirst ? 'first' : 'worker'} ${status} ${client.manifest.version}\n`)

if (isFirst) {
  const others = Array.from({ length: process.env['KIND'] === 'none' ? 0 : 3 }, start)
  await Promise.all(others.map((other) => once(other, 'exit'))) // the first one's client lives on beside them
}
await client.close()
if (cluster.isWorker) cluster.worker?.disconnect()

function start() {
  if (process.env['KIND'] === 'cluster') return cluster.fork()
  if (process.env['KIND'] === 'threads') return new Worker(IN_THREAD, { eval: true, execArgv: [] })
  return fork(program, { env: { ...process.env, ROLE: 'forked' } })
}
