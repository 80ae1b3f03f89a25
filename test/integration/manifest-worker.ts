/** Clients, each in a thread or a process of its own, on one cache. Run by manifest-workers.test.ts; one JSON line each. */
import cluster from 'node:cluster'
import { isMainThread, Worker } from 'node:worker_threads'
import { createClient } from '../../src/index.ts'
import { type Runtime, toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'

const WORKERS = Number(process.env['WORKERS'])
const POLLS = Number(process.env['POLLS'])
const SPEED = Number(process.env['SPEED']) // polls of minutes come in seconds; deadlines of seconds stay what they are

/** A thread does not take the loader over. */
const IN_THREAD = `import('tsx/esm/api').then(({ register }) => { register(); return import('${import.meta.url}') })`

if (process.env['KIND'] === 'cluster' ? cluster.isPrimary : isMainThread) {
  for (let count = 0; count < WORKERS; count += 1) {
    if (process.env['KIND'] === 'cluster') cluster.fork()
    else new Worker(IN_THREAD, { eval: true, execArgv: [] })
  }
} else {
  const { url, cacheDir, anchors } = JSON.parse(process.env['OPTIONS'] ?? '{}') as Record<
    'url' | 'cacheDir' | 'anchors',
    string
  >
  const manifest = { url, cacheDir, root: Buffer.from(process.env['ROOT'] ?? '', 'base64'), startupMs: 30_000 }
  const client = createClient({ manifest, anchors, runtime: fast(), resolver: async () => ['127.0.0.1'] })
  const counts = { own: 0, shared: 0 }
  const done = new Promise<void>((resolve) =>
    client.on('manifest.poll', ({ result }) => {
      counts[result === 'shared' ? 'shared' : 'own'] += 1
      if (counts.own + counts.shared >= POLLS && client.manifest.version === 2) resolve()
    }),
  )
  const alive = setInterval(() => undefined, 1_000)
  await done
  process.stdout.write(`${JSON.stringify({ version: client.manifest.version, ...counts })}\n`)
  await client.close()
  clearInterval(alive)
  if (process.env['KIND'] === 'cluster') cluster.worker?.disconnect()
}

/** Clocks that run faster from a common start on, and long timers with them. */
function fast(): Runtime {
  const begun = Number(process.env['BEGUN'])
  return {
    ...systemRuntime,
    clock: {
      now: () => toUnixMs(begun + (Date.now() - begun) * SPEED),
      monotonic: () => systemRuntime.clock.monotonic() * SPEED,
    },
    schedule: (afterMs, run) => systemRuntime.schedule(afterMs > 10_000 ? afterMs / SPEED : afterMs, run),
  }
}
