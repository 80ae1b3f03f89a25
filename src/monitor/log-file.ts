import { constants, type FileHandle, open } from 'node:fs/promises'
import { StoreError } from '../errors/errors.ts'

/** A file that lines are appended to, by one process at a time. */
export interface LogFile {
  /** The last line that is whole; `undefined` of an empty file. */
  readonly lastLine: string | undefined
  /** What stands after it: the writer died, or the disk was full. Closed with a line end, never removed. */
  readonly torn: Uint8Array | undefined
  readonly append: (text: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Made for this user alone where it is new; a symbolic link is not followed. @throws StoreError or an error of the system */
export async function openLogFile(path: string): Promise<LogFile> {
  const file = await open(path, FLAGS, 0o600)
  try {
    const tail = await readTail(file, path)
    const end = tail.lastIndexOf(LINE_END)
    const start = tail.lastIndexOf(LINE_END, end - 1)
    const rest = tail.subarray(end + 1)
    if (rest.length > 0) await file.appendFile('\n')
    return {
      lastLine: end < 0 ? undefined : tail.subarray(start + 1, end).toString('utf8'),
      torn: rest.length === 0 ? undefined : rest,
      append: (text) => file.appendFile(text),
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
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
const MAX_TAIL_BYTES = 4 * 1024 ** 2
