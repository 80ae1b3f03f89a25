import { StoreError } from '../../errors/errors.ts'
import type { StoredToken } from './store.ts'

export const encodeRecord = ({ v, sealed, pending, tombstone }: StoredToken): string =>
  JSON.stringify({ format: FORMAT, v, sealed, pending, tombstone })

/**
 * @throws StoreError `ERR_STORE_RECORD_INVALID`: whoever can write to the store can write anything; `ERR_STORE_RECORD_NEWER`: a
 *   later version of this library wrote it.
 */
export function decodeRecord(text: string): StoredToken {
  const value = text.length > MAX_LENGTH ? undefined : parse(text)
  if (!isObject(value)) throw invalid()
  const { format, v, sealed, pending, tombstone } = value
  checkFormat(format)
  if (!Number.isSafeInteger(v) || Number(v) < 1 || typeof sealed !== 'string') throw invalid()
  return Object.freeze({
    v: Number(v),
    sealed,
    ...(pending === undefined ? {} : { pending: marked(pending, 'rtHash') }),
    ...(tombstone === undefined ? {} : { tombstone: marked(tombstone, 'reason') }),
  })
}

function marked<Name extends string>(value: unknown, name: Name): { at: number } & Record<Name, string> {
  if (!isObject(value) || typeof value['at'] !== 'number' || typeof value[name] !== 'string') throw invalid()
  return { at: value['at'], [name]: value[name] } as { at: number } & Record<Name, string>
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Also of what is sealed in it. A format that is not known is not guessed at: what it says might be read wrongly. */
export function checkFormat(format: unknown): void {
  if (format === FORMAT) return
  if (!Number.isSafeInteger(format) || Number(format) < FORMAT) throw invalid()
  const message = `token store: expected a record of format ${FORMAT}, this one has ${String(format)}; it is left alone`
  throw new StoreError('ERR_STORE_RECORD_NEWER', message)
}

export const invalid = (): StoreError =>
  new StoreError('ERR_STORE_RECORD_INVALID', 'token store: what it holds, or answers, is no record of a token')

/** One more for each change that an earlier version would misread. */
export const FORMAT = 1
const MAX_LENGTH = 1_048_576 // a sealed token with everything around it is a few KiB
