import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRuntime } from '../../ports/system.ts'
import { closeServer, LOOPBACK, listen } from '../loopback.ts'

/** Programs that others wrote, and the Debian packages that they come in. */
export const PACKAGES = {
  caddy: 'caddy',
  'gnutls-serv': 'gnutls-bin',
  haproxy: 'haproxy',
  microsocks: 'microsocks',
  mitmdump: 'mitmproxy',
  nginx: 'nginx-light',
  openssl: 'openssl',
  sslsplit: 'sslsplit',
  tinyproxy: 'tinyproxy-bin',
} as const
export type Program = keyof typeof PACKAGES

/** Where it is, where it is installed: Debian has servers in `/usr/sbin`, which not everybody looks into. */
export function pathOf(program: Program): string | undefined {
  if (!paths.has(program)) {
    const look = ['-c', 'PATH="$PATH:/usr/sbin:/sbin"; command -v -- "$1"', 'sh', program]
    const { status, stdout } = spawnSync('/bin/sh', look, { encoding: 'utf8' })
    paths.set(program, status === 0 ? stdout.trim() : undefined)
  }
  return paths.get(program)
}

const paths = new Map<Program, string | undefined>()

/**
 * Starts a server in the foreground, in a folder of its own, with nothing of this process's environment. Resolves when it accepts
 * connections on all of its ports.
 *
 * @throws Error with what the program printed, where it ends before that.
 */
export async function startProgram(program: Program, options: ProgramOptions): Promise<RunningProgram> {
  const folder = mkdtempSync(join(tmpdir(), `pinfetch-${program}-`))
  const read = (name: string): string => textOf(join(folder, name))
  const write = (files: Files): void => {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 })
  }
  write(options.files ?? {})
  const output = openSync(join(folder, OUTPUT), 'a')
  const child = spawn(pathOf(program) ?? program, [...options.args], {
    cwd: folder,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', HOME: folder, ...options.env },
    detached: true,
    stdio: ['pipe', output, output], // some end with their standard input
  })
  closeSync(output)
  child.once('error', ({ message }) => write({ [OUTPUT]: message }))
  follow(child)
  const close = async (): Promise<void> => {
    const ended = hasEnded(child) ? undefined : once(child, 'exit')
    killGroup(child)
    await ended
    unfollow(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const port of options.ports) {
      for (let rounds = 0; !(await accepts(port)); rounds += 1) {
        if (hasEnded(child) || rounds === MAX_ROUNDS) throw new Error(`${program} does not serve: ${read(OUTPUT)}`)
        await new Promise<void>((resolve) => {
          systemRuntime.schedule(ROUND_MS, resolve)
        })
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { read, write, signal: (name) => void child.kill(name), close }
}

export interface ProgramOptions {
  readonly args: readonly string[]
  /** That it listens on, at 127.0.0.1. */
  readonly ports: readonly number[]
  /** In the folder that it runs in. */
  readonly files?: Files
  readonly env?: Readonly<Record<string, string>>
}

/** By name. */
export type Files = Readonly<Record<string, string | Uint8Array>>

export interface RunningProgram {
  /** The text of a file in its folder, '' while there is none; `output` is what it prints. */
  readonly read: (name: string) => string
  readonly write: (files: Files) => void
  /** To the process that was started, not to its children. */
  readonly signal: (name: NodeJS.Signals) => void
  readonly close: () => Promise<void>
}

/**
 * A port of 127.0.0.1 that nothing listens on, for a program that has to be told one. Below the range from which the system gives
 * ports to whoever asks for any (32768 and up on Linux): there, another server could have it before the program does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const [high = 0, low = 0] = systemRuntime.random(2)
    const port = FIRST_PORT + ((high * 256 + low) % PORTS)
    if (given.has(port)) continue
    const probe = createServer()
    try {
      await listen(probe, port)
    } catch {
      continue // in use
    }
    given.add(port)
    await closeServer(probe, [])
    return port
  }
}

const given = new Set<number>()

/** All different. */
export const freePorts = (count: number): Promise<readonly number[]> =>
  Promise.all(Array.from({ length: count }, freePort))

/** Ends with this process, however that ends: one listener for all. */
function follow(child: ChildProcess): void {
  if (running.size === 0) process.once('exit', killAll)
  running.add(child)
}

function unfollow(child: ChildProcess): void {
  running.delete(child)
  if (running.size === 0) process.off('exit', killAll)
}

const running = new Set<ChildProcess>()
const killAll = (): void => running.forEach(killGroup)

/** With its children: a server that is killed leaves its workers behind. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {} // it has ended
}

const hasEnded = ({ exitCode, signalCode, pid }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null || pid === undefined

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

const OUTPUT = 'output'
const FIRST_PORT = 10_000
const PORTS = 22_000
const ROUND_MS = 50
const MAX_ROUNDS = 600 // half a minute: mitmproxy takes five seconds on a quiet machine
