import { createReadStream } from 'node:fs'
import { CODES } from '../errors/codes.ts'
import { StoreError } from '../errors/errors.ts'
import { type LogReport, verifyLog } from '../monitor/verify-log.ts'
import { codeOf } from './files.ts'
import type { Paint } from './io.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { counted, table } from './text.ts'

/** Reads a validation log, and says which of its lines are not as they were written. */
export async function verifyLogFile(
  file: string,
  { head: expected }: { readonly head?: string },
  paint: Paint,
): Promise<Outcome> {
  if (expected !== undefined && !/^[0-9a-f]{64}$/.test(expected)) {
    throw new UsageError(
      `--head ${JSON.stringify(expected)}: not a digest`,
      'Give the 64 hexadecimal digits of log.head.',
    )
  }
  const report = await read(file, expected)
  const { lines, handshakes, lost, restarts, since, head, flaws, isTorn } = report
  if (lines === 0) throw new UsageError(`${file}: holds no line`, 'Give the file that validationLog writes.')
  const failure = failureOf(report)
  return {
    data: { file, lines, handshakes, lost, restarts, since: since ?? null, head: head ?? null, flaws, isTorn },
    text: table([
      ['chain', failure === undefined ? paint.green('holds') : paint.red(`broken: ${counted(flaws.length, 'flaw')}`)],
      ['since', since ?? 'not said'],
      ['lines', `${lines}, of ${counted(handshakes, 'handshake')}, with ${counted(restarts, 'restart')}`],
      ...(lost === 0 ? [] : [['lost', `${counted(lost, 'handshake')}, as the log says`]]),
      ['head', head ?? 'none'],
      ...flaws.map(({ kind, line, message }) => [paint.red(kind), `line ${line}: ${message}`]),
    ]),
    warnings: [
      ...(isTorn ? ['the last line has no end: its writer died, or is writing'] : []),
      ...(expected === undefined ? ['without --head, lines that were cut off the end are not missed'] : []),
    ],
    ...(failure === undefined ? {} : { failure }),
  }
}

async function read(file: string, head: string | undefined): Promise<LogReport> {
  try {
    return await verifyLog(createReadStream(file), head)
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new StoreError('ERR_STORE_READ', `${file}: cannot be read (${codeOf(cause)})`, { cause })
  }
}

function failureOf({ flaws }: LogReport): Failure | undefined {
  const [flaw] = flaws
  if (flaw === undefined) return undefined
  const code = 'ERR_MONITOR_VALIDATION_LOG_ALTERED'
  const more = flaws.length === 1 ? '' : `, and ${counted(flaws.length - 1, 'more flaw')}`
  return { code, message: `${flaw.kind}: line ${flaw.line}: ${flaw.message}${more}`, hint: CODES[code].fix }
}
