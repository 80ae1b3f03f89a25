import { CODES, type CodeIn, type ErrorCode } from '../errors/codes.ts'
import { ConfigurationError, PinfetchError } from '../errors/errors.ts'
import type { Io, Paint } from './io.ts'

/** What a command found. `text` is the answer, for people; `data` is the same answer for programs. */
export interface Outcome {
  readonly data: object
  readonly text: readonly string[]
  /** What stands around the answer: on standard error, so that a pipe carries the answer alone. */
  readonly notes?: readonly string[]
  readonly warnings?: readonly string[]
  /** Somebody asked for an exit code of its own where there are warnings. */
  readonly failOnWarnings?: boolean
  /** What one would do now. */
  readonly next?: string
  /** A check that did not pass: the answer stands, and the exit code says no. */
  readonly failure?: Failure
}

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
}

/** Documented in the help text: scripts rely on them. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 130

/** A command line that cannot be understood, with what to write instead. */
export class UsageError extends ConfigurationError {
  readonly hint: string

  constructor(message: string, hint: string, code: CodeIn<'CONFIG'> = 'ERR_CONFIG_USAGE', cause?: unknown) {
    super(code, message, { cause })
    this.hint = hint
  }
}

/**
 * The value of an option that counts something.
 *
 * @param rule `least` is 1 unless it says otherwise.
 * @throws UsageError
 */
export function numberOf(
  option: string,
  text: string | undefined,
  rule: { readonly otherwise: number; readonly least?: number },
): number {
  const { otherwise, least = 1 } = rule
  if (text === undefined) return otherwise
  const value = /^\d{1,12}$/.test(text) ? Number(text) : -1
  if (value >= least) return value
  throw new UsageError(`${option} ${JSON.stringify(text)}: not a number from ${least} on`, `Example: ${option} 60`)
}

/** The same error, with what to do here in place of what the table says in general. */
export function hinted<Failed extends PinfetchError>(error: Failed, hint: string): Failed {
  hints.set(error, hint)
  return error
}

const hints = new WeakMap<PinfetchError, string>()

export interface Rendering {
  readonly command: string
  readonly json: boolean
  /** For the stream that carries the text, and for standard error. */
  readonly paint: { readonly text: Paint; readonly notes: Paint }
}

/**
 * The answer goes to standard output, what surrounds it (warnings, the next step, errors) to standard error, so that a
 * pipe carries the answer alone. With `--json` standard output holds one object and nothing else.
 */
export function render(outcome: Outcome, io: Io, { command, json, paint }: Rendering): ExitCode {
  const { data, text, notes = [], warnings = [], next, failure } = outcome
  const answer = json ? io.stderr : io.stdout
  for (const line of text) answer.write(`${line}\n`)
  for (const note of notes) io.stderr.write(`${note}\n`)
  for (const warning of warnings) io.stderr.write(`${paint.notes.yellow('warning')}  ${warning}\n`)
  if (failure !== undefined) writeFailure(failure, io, paint.notes)
  if (next !== undefined) io.stderr.write(`${paint.notes.dim('next')}  ${next}\n`)
  if (json) writeJson(io, { command, ok: failure === undefined, data, warnings, error: failure ?? null })
  if (failure !== undefined) return exitCodeOf(failure.code)
  return outcome.failOnWarnings === true && warnings.length > 0 ? 5 : 0
}

/** The same for a command that could not answer. */
export function renderError(error: PinfetchError, io: Io, { command, json, paint }: Rendering): ExitCode {
  const failure = failureOf(error)
  writeFailure(failure, io, paint.notes)
  if (json) writeJson(io, { command, ok: false, data: null, warnings: [], error: failure })
  return exitCodeOf(error.code)
}

function failureOf(error: PinfetchError): Failure {
  const { code, message } = error
  const hint = error instanceof UsageError ? error.hint : (hints.get(error) ?? CODES[code].fix)
  return { code, message: withCause(message, error.cause), hint }
}

/** 1: a check did not pass. 2: the command line. 3: network and files. 4: a signed document or its signatures. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code.startsWith('ERR_CONFIG_') || code === 'ERR_MONITOR_CURSOR_INVALID') return 2
  if (/^ERR_(TRANSPORT|TLS|STORE|MONITOR_SOURCE)_/.test(code) || UNREACHABLE.has(code)) return 3
  if (code.startsWith('ERR_MANIFEST_')) return code.endsWith('_EXPIRED') ? 1 : 4
  return 1
}

function writeFailure({ code, message, hint }: Failure, { stderr }: Io, paint: Paint): void {
  stderr.write(`${paint.red('error')}  ${paint.bold(code)}  ${message}\n`)
  stderr.write(`${paint.dim('hint')}  ${hint}\n`)
  stderr.write(`${paint.dim('more')}  ${docsOf(code)}\n`)
}

const told = ({ code, message, hint }: Failure) => ({ code, message, hint, docs: docsOf(code) })

/** What one runs to read on: it needs no network, and says what this version means by the code. */
const docsOf = (code: ErrorCode): string => `pinfetch explain ${code}`

interface Answer {
  readonly command: string
  readonly ok: boolean
  readonly data: object | null
  readonly warnings: readonly string[]
  readonly error: Failure | null
}

/** One object, its members always in this order. */
function writeJson({ stdout }: Io, { command, ok, data, warnings, error }: Answer): void {
  const schema = `pinfetch/${command.replace(/ /g, '-') || 'usage'}/v1`
  const answer = { schema, ok, command, data, warnings, error: error && told(error) }
  stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
}

/** "Could not be fetched" alone helps nobody: the reason below is ours too, and says it. */
function withCause(message: string, cause: unknown): string {
  if (!(cause instanceof PinfetchError)) return message
  const [reason] = cause.message.split('\n') // below it may stand a whole chain
  return `${message} (${reason})`
}

const UNREACHABLE: ReadonlySet<ErrorCode> = new Set([
  'ERR_MANIFEST_FETCH_HTTP',
  'ERR_MANIFEST_FETCH_TIMEOUT',
  'ERR_MANIFEST_FETCH_NETWORK',
  'ERR_MANIFEST_FETCH_REDIRECT',
  'ERR_MANIFEST_UNAVAILABLE',
  'ERR_POLICY_LAB_NOT_RUN',
] as const satisfies readonly ErrorCode[])
