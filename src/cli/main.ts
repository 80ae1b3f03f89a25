#!/usr/bin/env node
import { keepProcessAlive, systemRuntime } from '../ports/system.ts'
import { runCli } from './program.ts'

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit() // the reader of the pipe has seen enough
})

const wait = async (ms: number): Promise<void> => {
  const release = keepProcessAlive()
  await new Promise<void>((resolve) => systemRuntime.schedule(ms, resolve))
  release()
}

const exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: systemRuntime.clock.now,
  signal: interrupted.signal,
  ...(process.stdin.isTTY && process.stderr.isTTY
    ? { prompts: async () => (await import('./prompts.ts')).terminalPrompts(process.stdin, process.stderr), wait }
    : {}),
})
if (exitCode === 130) process.exit(exitCode) // whatever is still waiting for the network
process.exitCode = exitCode
