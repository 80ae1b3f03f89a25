import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll } from 'vitest'
import { freePort } from '../support/free-port.ts'

/** Servers and proxies that others wrote, started on loopback. What they log is the witness of the tests of this folder. */

/** Whether this machine has them. Where a skip counts as a failure, their absence does; elsewhere it is printed. */
export function installed(...programs: readonly Program[]): boolean {
  const missing = programs.filter((program) => !isInstalled(program)).map((program) => PACKAGES[program])
  if (missing.length === 0) return true
  const reason = `not installed: apt-get install ${missing.join(' ')}`
  if (process.env['CI'] === 'true') throw new Error(reason)
  process.stderr.write(`not run: tests with programs that are ${reason}\n`)
  return false
}

export type Program = keyof typeof PACKAGES

export interface Tool {
  /** The text of a file in its folder, '' while there is none. */
  readonly read: (name: string) => string
  readonly write: (files: Files) => void
  /** To the process that was started, not to its children. */
  readonly signal: (name: NodeJS.Signals) => void
}

/**
 * Starts a program that stays in the foreground, in a folder of its own with the given files, and ends it and its
 * children after the last test of the file. Resolves when it accepts connections on all its ports.
 */
export async function startTool(
  program: Program,
  args: readonly string[],
  options: { readonly ports: readonly number[]; readonly files?: Files; readonly env?: NodeJS.ProcessEnv },
): Promise<Tool> {
  const folder = mkdtempSync(join(tmpdir(), `pinfetch-${program}-`))
  const write = (files: Files): void => {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  }
  write(options.files ?? {})
  const output = openSync(join(folder, OUTPUT), 'a')
  const env = { ...process.env, ...options.env, PATH }
  const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ['ignore', output, output] })
  const kill = (): void => killGroup(child)
  process.once('exit', kill)
  endings.push(async () => {
    process.off('exit', kill)
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  const read = (name: string): string => textOf(join(folder, name))
  for (const port of options.ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`${program} has ended: ${read(OUTPUT)}`)
      await setTimeout(100) // for as long as the hook may take
    }
  }
  return { read, write, signal: (name) => void child.kill(name) }
}

export type Files = Readonly<Record<string, string | Uint8Array>>

/** Ports of 127.0.0.1 that nothing listened on a moment ago; all different. */
export function freePorts<Count extends number>(count: Count): Promise<readonly number[]> {
  return Promise.all(Array.from({ length: count }, freePort))
}

function isInstalled(program: Program): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

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
    const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Each module is evaluated once a test file, so this is about the tools of one. */
const endings: (() => Promise<void>)[] = []
afterAll(async () => {
  await Promise.all(endings.map((end) => end()))
})

const PATH = [process.env['PATH'], '/usr/sbin'].join(delimiter) // where Debian has servers, for whoever runs this
const OUTPUT = 'output'

/** Programs, and the Debian packages they come in. */
const PACKAGES = {
  caddy: 'caddy',
  haproxy: 'haproxy',
  microsocks: 'microsocks',
  mitmdump: 'mitmproxy',
  nginx: 'nginx-light',
  openssl: 'openssl',
  sslsplit: 'sslsplit',
  tinyproxy: 'tinyproxy-bin',
} as const
