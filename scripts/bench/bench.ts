/**
 * `npm run bench`: the pinned client beside what a user would write instead. Starts one server in a process of its own and
 * the measurement in another, which trusts the server's CA by NODE_EXTRA_CA_CERTS: plain fetch has no other way.
 *
 * Prints JSON on standard output. `--quick` takes fewer rounds; names (`keep-alive`, `concurrent`, `h2`, `h2, 64`, `connection`,
 * `resumed`, `connection, 16`, `resumed, 16`, `memory`, `cold-start`, `heap`, `path`, `revocation`, `ct`, `auth`,
 * `signing`, `manifest`, `outlets`) run those alone.
 */
import { fork } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Served } from './server.ts'

const execArgv = ['--import', 'tsx', '--expose-gc']
const server = fork(join(import.meta.dirname, 'server.ts'), { execArgv })
const served = await new Promise<Served>((resolve) => server.once('message', (message) => resolve(message as Served)))
const bundle = join(tmpdir(), `pinfetch-bench-${process.pid}.pem`)
writeFileSync(bundle, served.ca)

const measure = fork(join(import.meta.dirname, 'measure.ts'), process.argv.slice(2), {
  execArgv,
  env: { ...process.env, NODE_EXTRA_CA_CERTS: bundle, BENCH_SERVED: JSON.stringify(served) },
})
measure.once('exit', (code) => {
  server.disconnect()
  rmSync(bundle)
  process.exitCode = code ?? 1
})
