import { afterAll } from 'vitest'
import { type Authority, mitmdump, type Seen, seenBy } from '../../src/testing/lab/mitmproxy.ts'
import {
  PACKAGES,
  type Program,
  type ProgramOptions,
  pathOf,
  type RunningProgram,
  startProgram,
} from '../../src/testing/lab/programs.ts'

/** Servers and proxies that others wrote, started on loopback. What they log is the witness of the tests of this folder. */

/** Whether this machine has them. Where a skip counts as a failure, their absence does; elsewhere it is printed. */
export function installed(...programs: readonly Program[]): boolean {
  const missing = programs.filter((program) => pathOf(program) === undefined).map((program) => PACKAGES[program])
  if (missing.length === 0) return true
  const reason = `not installed: apt-get install ${missing.join(' ')}`
  if (process.env['CI'] === 'true') throw new Error(reason)
  process.stderr.write(`not run: tests with programs that are ${reason}\n`)
  return false
}

/** Ended after the last test of the file. */
export async function startTool(program: Program, options: ProgramOptions): Promise<Tool> {
  const tool = await startProgram(program, options)
  running.push(tool)
  return tool
}

export type Tool = RunningProgram

/** mitmdump on this port, minting under `authority`, and what it sees of its clients. */
export async function startMitmdump(port: number, authority: Authority, flags: readonly string[]): Promise<Mitmdump> {
  const tool = await startTool('mitmdump', mitmdump(port, authority, flags))
  return { port, tool, seen: () => seenBy(tool) }
}

export interface Mitmdump {
  readonly port: number
  readonly tool: Tool
  /** So far, in order. */
  readonly seen: () => readonly Seen[]
}

/** Each module is evaluated once a test file, so this is about the tools of one. */
const running: Tool[] = []
afterAll(async () => {
  await Promise.all(running.map((tool) => tool.close()))
})
