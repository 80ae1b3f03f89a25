import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRuntime } from '../../ports/system.ts'
import { closeServer, LOOPBACK, listen } from '../loopback.ts'

/**
 * Starts a server that somebody else wrote, in the foreground and in a folder of its own, and resolves when it accepts
 * connections on all of its ports.
 *
 * @throws Error with what the program printed, where it ends before that.
 */
export async function startProgram(path: string, options: ProgramOptions): Promise<RunningProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-lab-'))
  for (const [name, content] of Object.entries(options.files ?? {})) {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
  }
  const ports = await freePorts(options.ports ?? 1)
  const printed: string[] = []
  const child = spawn(path, [...options.args(ports)], { cwd: folder, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  child.on('error', (error) => printed.push(error.message))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => printed.push(String(chunk)))
  const kill = (): void => killGroup(child)
  process.once('exit', kill)
  const close = async (): Promise<void> => {
    process.off('exit', kill)
    const ended = hasEnded(child) ? undefined : once(child, 'exit')
    kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const port of ports) {
      for (let rounds = 0; !(await accepts(port)); rounds += 1) {
        if (hasEnded(child) || rounds === MAX_ROUNDS) throw new Error(`${path} does not serve: ${printed.join('')}`)
        await new Promise<void>((resolve) => {
          systemRuntime.schedule(ROUND_MS, resolve)
        })
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { ports, port: ports[0] ?? 0, read: (name) => textOf(join(folder, name)), close }
}

export interface ProgramOptions {
  readonly args: (ports: readonly number[]) => readonly string[]
  /** How many free ports of 127.0.0.1 it is given. Default 1. */
  readonly ports?: number
  /** By name, in the folder that it runs in. */
  readonly files?: Readonly<Record<string, string>>
}

export interface RunningProgram {
  readonly ports: readonly number[]
  /** The first of them. */
  readonly port: number
  /** The text of a file in its folder, '' while there is none. */
  readonly read: (name: string) => string
  readonly close: () => Promise<void>
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(servers.map(listen))
  await Promise.all(servers.map((server) => closeServer(server, [])))
  return ports
}

const hasEnded = ({ exitCode, signalCode, pid }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null || pid === undefined

/** With its children: a server that is killed leaves its workers behind. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {} // it has ended
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

const ROUND_MS = 50
const MAX_ROUNDS = 600 // half a minute: mitmproxy takes five seconds on a quiet machine
