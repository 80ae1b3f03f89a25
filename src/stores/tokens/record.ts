import { StoreError } from '../../errors/errors.ts'
import type { StoredToken } from './store.ts'

export const encodeRecord = ({ v, sealed, pending, tombstone }: StoredToken): string =>
  JSON.stringify({ v, sealed, pending, tombstone })

/** @throws StoreError `ERR_STORE_RECORD_INVALID`: whoever can write to the store can write anything. */
export function decodeRecord(text: string): StoredToken {
  const value = text.length > MAX_LENGTH ? undefined : parse(text)
  if (!isObject(value)) throw invalid()
  const { v, sealed, pending, tombstone } = value
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

export const invalid = (): StoreError =>
  new StoreError('ERR_STORE_RECORD_INVALID', 'token store: what it holds, or answers, is no record of a token')

const MAX_LENGTH = 1_048_576 // a sealed token with everything around it is a few KiB
