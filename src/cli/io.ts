import pc from 'picocolors'
import type { Machine } from './doctor-surroundings.ts'
import type { Prompts } from './prompts.ts'

/** What a command may touch besides files and sockets. `main.ts` gives the process's own, tests give theirs. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Unix milliseconds. */
  readonly now: () => number
  /** Ends what waits for the network. */
  readonly signal?: AbortSignal
  /** Somebody who can be asked. Absent in a pipe, which never waits. */
  readonly prompts?: () => Promise<Prompts>
  /** Passes time, where somebody said that they stay. Absent in a pipe. */
  readonly wait?: (ms: number) => Promise<void>
  /** What `doctor` is to find in place of this machine's own. */
  readonly machine?: Partial<Machine>
}

export interface Output {
  readonly isTTY?: boolean
  readonly write: (text: string) => unknown
}

export type Paint = ReturnType<typeof pc.createColors>

/** Colours for one stream: `--no-color` and NO_COLOR turn them off, FORCE_COLOR on; otherwise a terminal decides. */
export function paintFor(output: Output, { env }: Io, noColorOption: boolean): Paint {
  return pc.createColors(hasColor(output, env, noColorOption))
}

/** Text of a stranger's, as it may reach a terminal: what could move its cursor or reverse its text is escaped. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

function hasColor(output: Output, env: Io['env'], noColorOption: boolean): boolean {
  if (noColorOption || isSet(env['NO_COLOR'])) return false
  const forced = env['FORCE_COLOR']
  if (isSet(forced)) return forced !== '0' && forced !== 'false'
  return output.isTTY === true && env['TERM'] !== 'dumb'
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== ''
