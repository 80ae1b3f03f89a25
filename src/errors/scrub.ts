import { copyOf } from './copy.ts'
import { PinfetchError } from './errors.ts'

/**
 * What may be shown of an error that somebody else made: its name, its code, and the message where Node's own system calls
 * wrote it. Libraries print requests, answers and tokens in their errors; none of that becomes the cause of ours. Our own errors
 * hold no secret; what caused them may be a library's, so it is scrubbed as well.
 */
export function scrub(error: unknown): Error {
  if (error instanceof PinfetchError)
    return error.cause === undefined ? error : copyOf(error, { cause: scrub(error.cause) })
  if (!(error instanceof Error)) return new Error('something that is no Error was thrown')
  const { name, code, syscall } = error as NodeJS.ErrnoException
  const isFromSystem = typeof syscall === 'string' && /^E[A-Z0-9]{2,30}$/.test(String(code))
  const copy: Error & { code?: unknown } = new Error(isFromSystem ? error.message : 'its message is withheld')
  if (isWord(name)) copy.name = name
  if (isWord(code)) copy.code = code
  copy.stack = `${copy.name}: ${copy.message}`
  return copy
}

const isWord = (text: unknown): text is string => typeof text === 'string' && /^[A-Za-z][A-Za-z0-9_]{0,60}$/.test(text)
