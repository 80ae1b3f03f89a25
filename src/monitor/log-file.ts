import { constants, type FileHandle, open } from 'node:fs/promises'
import { StoreError } from '../errors/errors.ts'

/** A file that lines are appended to, by one process at a time. */
export interface LogFile {
  /** The last line that is one, though its end may be missing; `undefined` of an empty file. */
  readonly lastLine: string | undefined
  /** What stands after it, without the last line end: writers died, or the disk was full. Never removed. */
  readonly torn: Uint8Array | undefined
  /**
   * Writes lines, given without their ends. What is torn gets its line end with the first of them: a writer that dies in between
   * leaves all of it torn.
   *
   * @returns how many of them stand in the file as a whole, and of fewer than all the reason.
   */
  readonly append: (lines: readonly string[]) => Promise<Appended>
  readonly close: () => Promise<void>
}

export interface Appended {
  readonly whole: number
  readonly error?: unknown
}

/**
 * Made for this user alone where it is new; a symbolic link is not followed.
 *
 * @param isLine Whether a text is a whole line of such a log.
 * @throws StoreError for a file that holds lines and none of such a log; or an error of the system.
 */
export async function openLogFile(path: string, isLine: (text: string) => boolean): Promise<LogFile> {
  const file = await open(path, FLAGS, 0o600)
  try {
    const tail = await readTail(file, path)
    const last = lastOf(tail, isLine)
    if (last === undefined && tail.includes(LINE_END))
      throw new StoreError('ERR_STORE_READ', `${path}: expected a chained log, saw no line of one`)
    const hasEnd = tail.length === 0 || tail.at(-1) === LINE_END
    const whole = tail.subarray(0, hasEnd ? -1 : undefined)
    const after = last === undefined ? 0 : last.end + 1
    let missing = hasEnd ? '' : '\n'
    return {
      lastLine: last?.text,
      torn: after < tail.length ? whole.subarray(after) : undefined,
      append: async (lines) => {
        const before = Buffer.from(missing)
        const bytes = Buffer.concat([before, ...lines.map((line) => Buffer.from(`${line}\n`))])
        let done = 0
        try {
          while (done < bytes.length) done += (await file.write(bytes, done)).bytesWritten
          missing = ''
          return { whole: lines.length }
        } catch (error) {
          const ends = bytes.subarray(before.length, done).filter((octet) => octet === LINE_END)
          return { whole: ends.length, error }
        }
      },
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

function lastOf(tail: Buffer, isLine: (text: string) => boolean): { text: string; end: number } | undefined {
  let end = tail.at(-1) === LINE_END ? tail.length - 1 : tail.length
  for (let lines = 0; end > 0 && lines < MAX_TORN_LINES; lines += 1) {
    const before = tail.lastIndexOf(LINE_END, end - 1)
    const text = tail.toString('utf8', before + 1, end)
    if (isLine(text)) return { text, end }
    end = before
  }
  return undefined
}

/** So much of the end as holds the last whole line and what stands after it. */
async function readTail(file: FileHandle, path: string): Promise<Buffer> {
  const { size } = await file.stat()
  const length = Math.min(size, MAX_TAIL_BYTES)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
  const tail = buffer.subarray(0, bytesRead)
  const ends = tail.indexOf(LINE_END) >= 0 && tail.indexOf(LINE_END) !== tail.lastIndexOf(LINE_END)
  if (length === size || ends) return tail
  throw new StoreError('ERR_STORE_READ', `${path}: expected a log, saw a line of more than ${MAX_TAIL_BYTES} bytes`)
}

const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)
const LINE_END = 0x0a
const MAX_TORN_LINES = 1_000 // each is one restart that died
const MAX_TAIL_BYTES = 4 * 1024 ** 2
