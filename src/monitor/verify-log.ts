import { createHash, type Hash } from 'node:crypto'
import { parseChainedLine, START } from './hash-chain.ts'
import { sha256 } from './validation-record.ts'

/** What `verifyLog` found. */
export interface LogReport {
  readonly lines: number
  /** Lines that tell of a handshake. */
  readonly handshakes: number
  /** Handshakes that the log itself says it has no line of. */
  readonly lost: number
  /** How often a process went on with the file. */
  readonly restarts: number
  /** When the log began, as its first line says. */
  readonly since: string | undefined
  /** SHA-256 of the last line. */
  readonly head: string | undefined
  readonly flaws: readonly LogFlaw[]
  /** The last line has no end: a writer died, or is writing. */
  readonly isTorn: boolean
}

/** What is wrong with a line of a validation log. */
export interface LogFlaw {
  readonly kind: 'edited' | 'removed' | 'inserted' | 'moved' | 'cut'
  /** Of the file, from 1 on. */
  readonly line: number
  readonly message: string
}

/**
 * Reads a chained validation log and says what is not as it was written. Pure of its input; a line costs some hundred octets of
 * memory, however long it is.
 *
 * @param expectedHead The digest of a line that must be in it: what was cut off the end is seen by that alone.
 */
export async function verifyLog(chunks: AsyncIterable<Uint8Array>, expectedHead?: string): Promise<LogReport> {
  const read: Line[] = []
  const seen = { handshakes: 0, lost: 0, restarts: 0, since: undefined as string | undefined }
  const flaws: LogFlaw[] = []
  let number = 0
  let lastIsWhole = true
  let run: Hash | undefined // of the lines in a row that are none
  for await (const { bytes, hasEnd } of linesOf(chunks)) {
    number += 1
    lastIsWhole = hasEnd
    const parsed = parseChainedLine(Buffer.from(bytes).toString('utf8'))
    if (parsed === undefined) {
      run = (run?.update('\n') ?? createHash('sha256')).update(bytes)
      read.push({ number, digest: run.copy().digest('hex'), isTorn: true })
      continue
    }
    run = undefined
    const digest = sha256(bytes)
    const { seq, prev, record } = parsed
    const torn = record['type'] === 'log.continued' ? record['torn'] : undefined
    read.push({ number, digest, seq, prev, ...(typeof torn === 'string' ? { torn } : {}) })
    if (record['type'] === 'validation') seen.handshakes += 1
    if (record['type'] === 'log.lost') seen.lost += Number(record['handshakes']) || 0
    if (record['type'] === 'log.continued') seen.restarts += 1
    if (record['type'] === 'log.begun' && typeof record['at'] === 'string') seen.since ??= record['at']
  }
  const last = read.at(-1)
  const isTorn = !lastIsWhole && last?.seq === undefined
  const whole = withoutTorn(isTorn ? read.slice(0, -1) : read, flaws)
  flaws.push(...judge(whole))
  if (expectedHead !== undefined && !whole.some(({ digest }) => digest === expectedHead)) {
    const at = whole.at(-1)?.number ?? 0
    flaws.push({
      kind: 'cut',
      line: at,
      message: `no line has the digest ${expectedHead}: the end was cut off or rewritten`,
    })
  }
  return { lines: number, ...seen, head: whole.at(-1)?.digest, flaws: distinct(flaws), isTorn }
}

interface Line {
  readonly number: number
  readonly digest: string
  readonly seq?: number
  readonly prev?: string
  /** Digest of the torn lines that a restart found. */
  readonly torn?: string
  readonly isTorn?: true
}

type WholeLine = Line & Required<Pick<Line, 'seq' | 'prev'>>

/** Lines that are none may stand only where the next one says that it found them so. */
function withoutTorn(lines: readonly Line[], flaws: LogFlaw[]): readonly WholeLine[] {
  const whole: WholeLine[] = []
  let isKnown = false
  for (const [index, line] of [...lines.entries()].reverse()) {
    const { seq, prev } = line
    if (seq !== undefined && prev !== undefined) {
      whole.push({ ...line, seq, prev })
      continue
    }
    const next = lines[index + 1]
    if (next?.isTorn !== true) isKnown = next?.torn === line.digest // the last of a row has the digest of all of it
    if (isKnown) continue
    flaws.push({ kind: 'edited', line: line.number, message: 'expected a line of the log, saw something else' })
  }
  return whole.reverse()
}

function judge(lines: readonly WholeLine[]): readonly LogFlaw[] {
  const flaws: LogFlaw[] = []
  const at = new Map(lines.map(({ digest }, index) => [digest, index]))
  const counts = new Map<number, number>()
  for (const { seq } of lines) counts.set(seq, (counts.get(seq) ?? 0) + 1)
  const [first] = lines
  if (first !== undefined && first.prev !== START.head) {
    const missing = first.seq > 0 && !counts.has(0)
    flaws.push(
      missing
        ? { kind: 'removed', line: first.number, message: `${count(first.seq)} before it are missing` }
        : { kind: 'moved', line: first.number, message: 'stands first, and was not written first' },
    )
  }
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1]
    if (before === undefined) continue
    const isLinked = line.prev === before.digest
    if (isLinked && line.seq === before.seq + 1) continue
    if (isLinked) {
      flaws.push({
        kind: 'edited',
        line: line.number,
        message: `expected the number ${before.seq + 1}, saw ${line.seq}`,
      })
      continue
    }
    const written = at.get(line.prev)
    if (written === undefined) flaws.push(...unlinked(lines, index, before, line))
    else if (written > index) {
      const message = `was written after line ${lines[written]?.number}, and stands before it`
      flaws.push({ kind: 'moved', line: line.number, message })
    } else {
      for (const stranger of lines.slice(written + 1, index)) {
        const isSecond = (counts.get(stranger.seq) ?? 0) > 1 || stranger.seq > (lines.at(-1)?.seq ?? 0)
        flaws.push(
          isSecond
            ? { kind: 'inserted', line: stranger.number, message: `line ${line.number} was written without it` }
            : { kind: 'moved', line: stranger.number, message: `line ${line.number} was not written after it` },
        )
      }
    }
  }
  return flaws
}

/** The line that this one was written after is nowhere: gone, or no longer what it was. */
function unlinked(lines: readonly WholeLine[], index: number, before: WholeLine, line: WholeLine): readonly LogFlaw[] {
  const gap = line.seq - before.seq - 1
  if (gap > 0) {
    const message = `${count(gap)} between line ${before.number} and this one are missing`
    return [{ kind: 'removed', line: line.number, message }]
  }
  const next = lines[index + 1]
  const isIntact = next === undefined || next.prev === line.digest
  if (gap === 0 && isIntact) {
    const message = `line ${line.number} was written after another text than this`
    return [{ kind: 'edited', line: before.number, message }]
  }
  const message = `is bound to a line that is not there, and no line is bound to it`
  return [{ kind: gap === 0 ? 'edited' : 'inserted', line: line.number, message }]
}

const count = (lines: number): string => (lines === 1 ? 'one line' : `${lines} lines`)

function distinct(flaws: readonly LogFlaw[]): readonly LogFlaw[] {
  const first = new Map<string, LogFlaw>()
  for (const flaw of flaws) if (!first.has(`${flaw.line}`)) first.set(`${flaw.line}`, flaw)
  return [...first.values()].sort((a, b) => a.line - b.line)
}

/** Of a line that is too long, nothing: it is none of a log. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<{ bytes: Uint8Array; hasEnd: boolean }> {
  let parts: Uint8Array[] = []
  let length = 0
  const take = (part: Uint8Array): void => {
    length += part.length
    if (length > MAX_LINE_BYTES) parts = []
    else parts.push(part)
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, start)) {
      take(chunk.subarray(start, end))
      yield { bytes: Buffer.concat(parts), hasEnd: true }
      parts = []
      length = 0
      start = end + 1
    }
    take(chunk.subarray(start))
  }
  if (length > 0) yield { bytes: Buffer.concat(parts), hasEnd: false }
}

const LINE_END = 0x0a
const MAX_LINE_BYTES = 4 * 1024 ** 2
