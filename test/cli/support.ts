import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Io, Output } from '../../src/cli/io.ts'
import type { ExitCode } from '../../src/cli/outcome.ts'
import { runCli } from '../../src/cli/program.ts'

export interface Ran {
  readonly exitCode: ExitCode
  readonly stdout: string
  readonly stderr: string
}

export interface World {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Uint8Array
  readonly isTTY?: boolean
  /** Unix milliseconds. Default: the machine's. */
  readonly now?: number
  readonly signal?: AbortSignal
  /** A clock that the test moves, in place of `now`. */
  readonly clock?: () => number
  readonly prompts?: Io['prompts']
  readonly wait?: Io['wait']
  readonly machine?: Io['machine']
  /** Hears standard error as it is written. */
  readonly hears?: (text: string) => void
}

/** Runs a command line in this process, with everything but files and sockets injected. */
export async function cli(argv: readonly string[], world: World = {}): Promise<Ran> {
  const { env = {}, stdin, isTTY = false, now, clock, signal, prompts, wait, machine, hears } = world
  const written = { stdout: '', stderr: '' }
  const output = (name: keyof typeof written): Output => ({
    isTTY,
    write: (text) => {
      written[name] += text
      if (name === 'stderr') hears?.(text)
    },
  })
  const exitCode = await runCli(argv, {
    stdin: Object.assign(chunksOf(stdin), { isTTY: stdin === undefined }),
    stdout: output('stdout'),
    stderr: output('stderr'),
    env,
    now: clock ?? (() => now ?? Date.now()),
    ...(signal === undefined ? {} : { signal }),
    ...(prompts === undefined ? {} : { prompts }),
    ...(wait === undefined ? {} : { wait }),
    ...(machine === undefined ? {} : { machine }),
  })
  return { exitCode, ...written }
}

/** The object of `--json`, which must be all that standard output holds. */
export async function cliJson(argv: readonly string[], world?: World) {
  const ran = await cli([...argv, '--json'], world)
  return { ...ran, answer: JSON.parse(ran.stdout) as JsonAnswer }
}

export interface JsonAnswer {
  readonly schema: string
  readonly ok: boolean
  readonly command: string
  readonly data: Readonly<Record<string, unknown>> | null
  readonly warnings: readonly string[]
  readonly error: Readonly<Record<'code' | 'message' | 'hint' | 'docs', string>> | null
}

/** A directory that ends with the test, and a way to put files into it. */
export async function workplace(): Promise<{
  readonly path: (name: string) => string
  readonly file: (name: string, content: string | Uint8Array) => Promise<string>
}> {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-cli-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const path = (name: string): string => join(directory, name)
  return {
    path,
    file: async (name, content) => {
      await writeFile(path(name), content)
      return path(name)
    },
  }
}

/** `YYYY-MM-DDTHH:MM:SSZ`. */
export const isoOf = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z')

async function* chunksOf(content: string | Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (content !== undefined) yield Buffer.from(content as Uint8Array)
}
