import { Command, CommanderError } from 'commander'
import { PinfetchError } from '../errors/errors.ts'
import { addCompletion } from './completion.ts'
import { addCt } from './ct.ts'
import { addDoctor } from './doctor.ts'
import { addDrill } from './drill.ts'
import { addEvidence } from './evidence.ts'
import { addExplain } from './explain.ts'
import { addInspect } from './inspect.ts'
import { type Io, type Paint, paintFor } from './io.ts'
import { addKeys } from './keys.ts'
import { addLab } from './lab.ts'
import { addInit, addManifest } from './manifest.ts'
import { addCtVerbs } from './manifest-ct-verbs.ts'
import { addMonitor, addReport, addRotate, addWatch } from './operate.ts'
import { type ExitCode, type Outcome, type Rendering, render, renderError, UsageError } from './outcome.ts'
import { addPin } from './pin.ts'
import { addVerify } from './verify.ts'
import { versionOfPackage } from './version.ts'

/** What a command's action calls: it hands in what to do, and the answer is rendered in one place. */
export type Run = (action: (io: Io, paint: Paint) => Promise<Outcome>) => Promise<void>

/**
 * The whole command line, with the world injected. Never throws for what a user, a network or a file did wrong.
 *
 * @param argv Without node and script.
 * @returns The exit code.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<ExitCode> {
  const json = argv.includes('--json')
  const noColor = argv.includes('--no-color')
  const rendering: Rendering = {
    command: commandOf(argv),
    json,
    paint: { text: paintFor(json ? io.stderr : io.stdout, io, noColor), notes: paintFor(io.stderr, io, noColor) },
  }
  let exitCode: ExitCode = 0
  const run: Run = async (action) => {
    exitCode = render(await action(io, rendering.paint.text), io, rendering)
  }
  try {
    const program = createProgram(io, run)
    const interrupted = await race(program.parseAsync([...argv], { from: 'user' }), io.signal)
    if (!interrupted) return exitCode
    io.stderr.write('interrupted\n')
    return 130
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0 // help and version were asked for
      return renderError(usageError(error, rendering.command), io, rendering)
    }
    if (error instanceof PinfetchError) return renderError(error, io, rendering)
    throw error
  }
}

/** All commands, none of them run yet. */
export function createProgram(io: Io, run: Run): Command {
  const program = new Command('pinfetch')
    .description('Certificate pins, the manifests that carry them, and certificates as the library sees them.')
    .version(versionOfPackage())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => {}, // rendered with code and hint
    })
    .addHelpText('before', EXAMPLE)
    .addHelpText('after', EXIT_CODES)
  addInit(program, run)
  addPin(program, run)
  addInspect(program, run)
  addVerify(program, run)
  addCtVerbs(addManifest(program, run), run)
  addKeys(program, run)
  addRotate(program, run)
  addMonitor(program, run)
  addWatch(program, run)
  addReport(program, run)
  addCt(program, run)
  addEvidence(program, run)
  addDoctor(program, run)
  addDrill(program, run)
  addExplain(program, run)
  addLab(program, run)
  addCompletion(program, run)
  for (const command of leavesOf(program)) {
    command.option('--json', 'one JSON object on standard output, text for people on standard error')
    command.option('--no-color', 'no colours; NO_COLOR and FORCE_COLOR are respected')
  }
  return program
}

function leavesOf(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)
}

function usageError({ code, message }: CommanderError, command: string): UsageError {
  const help = `Run pinfetch ${command === '' ? '' : `${command} `}--help; its first lines are an example.`
  if (code === 'commander.help') return new UsageError('a command is missing', help)
  return new UsageError(message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '), help)
}

/** The words before the first argument, for messages and the JSON schema; known ones only, for the user may write anything. */
function commandOf(argv: readonly string[]): string {
  const [noun = '', verb = '', more = ''] = argv.filter((word) => !word.startsWith('-'))
  const verbs = COMMANDS[noun]
  if (verbs === undefined) return ''
  if (!verbs.includes(verb)) return noun
  const command = `${noun} ${verb}`
  return COMMANDS[command]?.includes(more) === true ? `${command} ${more}` : command
}

/** @returns Whether the signal came first. */
async function race(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal === undefined) return work.then(() => false)
  const aborted = new Promise<true>((resolve) => {
    if (signal.aborted) resolve(true)
    else signal.addEventListener('abort', () => resolve(true), { once: true })
  })
  return Promise.race([work.then(() => false as const), aborted])
}

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  init: [],
  pin: [],
  inspect: [],
  ct: ['watch'],
  verify: [],
  manifest: [
    'init',
    'add-host',
    'add-pin',
    'remove-pin',
    'report',
    'deny',
    'undeny',
    'sign',
    'merge',
    'publish',
    'heartbeat',
    'verify',
    'lint',
    'diff',
    'simulate',
    'ct',
  ],
  'manifest ct': ['import', 'show', 'remove'],
  keys: ['new', 'list', 'rotate-root'],
  rotate: [],
  monitor: [],
  watch: [],
  report: [],
  evidence: ['show', 'verify', 'verify-log'],
  doctor: [],
  drill: [],
  explain: [],
  lab: [],
  completion: [],
}

const EXAMPLE = `Example:
  pinfetch pin api.example.com           # what a server shows
  pinfetch init ./pins                   # a repository of pins, and its keys
`

const EXIT_CODES = `
Exit codes:
  0    done
  1    a check did not pass: a chain, a name, something expired
  2    the command line, or a file it names, is wrong
  3    the network or the file system
  4    a signed document or its signatures
  5    done, with warnings, where --fail-on warn was given
  130  interrupted
`
