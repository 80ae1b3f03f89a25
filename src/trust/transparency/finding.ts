import type { Finding } from '../../errors/errors.ts'

/** About the end entity: the one certificate that has to be logged. */
export function finding(code: Finding['code'], message: string): Finding {
  return { code, certificateIndex: 0, message }
}

/** For messages. What a log or a list wrote may be no date at all. */
export function isoOf(ms: number): string {
  return Math.abs(ms) <= LAST_DATE_MS ? new Date(ms).toISOString() : `${ms} ms`
}

const LAST_DATE_MS = 8.64e15 // ECMA-262 §21.4.1.1
