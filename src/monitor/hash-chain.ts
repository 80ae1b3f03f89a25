import { canonicalJson } from '../encoding/canonical-json.ts'
import { type JsonObject, sha256 } from './validation-record.ts'

/** Where a chained log stands: the number of the next line, and the SHA-256 of the one before it. */
export interface ChainPosition {
  readonly next: number
  /** Hexadecimal; zeros before the first line. */
  readonly head: string
}

/** One line, without its end. `prev` binds it to all the lines before. */
export function chainedLine({ next, head }: ChainPosition, record: JsonObject): string {
  return canonicalJson({ seq: next, prev: head, record })
}

export const after = ({ next }: ChainPosition, line: string): ChainPosition => ({ next: next + 1, head: sha256(line) })

export interface ChainedLine {
  readonly seq: number
  readonly prev: string
  readonly record: { readonly [name: string]: unknown }
}

/** `undefined` for whatever is not a whole line of such a log. */
export function parseChainedLine(text: string): ChainedLine | undefined {
  const value = parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { seq, prev, record } = value as Partial<Record<string, unknown>>
  if (!Number.isSafeInteger(seq) || typeof prev !== 'string' || !DIGEST.test(prev)) return undefined
  if (typeof record !== 'object' || record === null) return undefined
  return { seq: Number(seq), prev, record: record as ChainedLine['record'] }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export const START: ChainPosition = { next: 0, head: '0'.repeat(64) }
const DIGEST = /^[0-9a-f]{64}$/
