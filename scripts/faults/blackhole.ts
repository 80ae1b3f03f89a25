import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The IPv6 loopback address with a listener that takes no connection and has no room for one more: what is sent there is
 * dropped, as by a router that knows no IPv6.
 */
export async function startBlackhole(port: number): Promise<{ readonly close: () => Promise<void> }> {
  const script = `
    import { connect, createServer } from 'node:net'
    createServer().listen({ host: '::1', port: ${port}, backlog: 1 }, () => process.stdout.write('there'))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.kill('SIGSTOP') // the system goes on listening, nobody accepts
  const fillers = Array.from({ length: ROOM }, () => connect({ host: '::1', port }).on('error', () => undefined))
  await sleep(200)
  return {
    close: async () => {
      for (const filler of fillers) filler.destroy()
      child.kill('SIGKILL')
      await ended
    },
  }
}

const ROOM = 8 // more than a backlog of 1 lets in
