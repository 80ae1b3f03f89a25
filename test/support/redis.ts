import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.ts'

/** Where the system has it. Debian: `apt-get install redis-server`. */
export const redisServer = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'redis-server'))
  .find((path) => existsSync(path))

export interface TestRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly process: ChildProcess
}

/** An empty Redis on a free loopback port that writes nothing to disk. */
export async function startRedis(args: readonly string[] = []): Promise<TestRedis> {
  const port = await freePort()
  const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn(redisServer ?? '', [...own, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(server, 'exit')
  for await (const chunk of server.stdout) if (String(chunk).includes('Ready to accept connections')) break
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    process: server,
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGKILL')
      await gone
    },
  }
}
