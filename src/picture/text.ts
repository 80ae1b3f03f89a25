import type { Hole } from './timeline.ts'

/** Text of a stranger's: what could move a cursor, reverse a line or look like another letter is escaped. */
export function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

/** The same, inert in XML and HTML, between tags and in attributes. */
export function escaped(text: string): string {
  return plain(text).replace(/[&<>"'`]/g, (character) => `&#${character.codePointAt(0)};`)
}

/** Cut to a number of characters, with two dots for what is gone. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text
  return length < 3 ? '..'.slice(0, Math.max(0, length)) : `${text.slice(0, length - 2)}..`
}

/** `2026-11-22`. */
export function dayOf(at: number): string {
  if (!(Math.abs(at) <= MAX_INSTANT)) return 'no end'
  return new Date(at).toISOString().replace(/T.*$/, '')
}

/** `2026-11-22T10:00:00Z`. */
export function instantOf(at: number): string {
  if (!(Math.abs(at) <= MAX_INSTANT)) return 'no end'
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** `in 12 d`, `3 h ago`, `now`. */
export function distance(at: number, now: number): string {
  if (!Number.isFinite(at)) return 'no end'
  const size = Math.abs(at - now)
  const [count, unit] =
    size >= DAY_MS ? [size / DAY_MS, 'd'] : size >= HOUR_MS ? [size / HOUR_MS, 'h'] : [size / MINUTE_MS, 'min']
  const text = `${Math.round(count)} ${unit}`
  if (size < MINUTE_MS) return 'now'
  return at > now ? `in ${text}` : `${text} ago`
}

/** One sentence for a hole. */
export function holeText({ subject, from, until, why, code }: Hole, now: number): string {
  const begin = from <= now ? 'now' : `from ${instantOf(from)} (${distance(from, now)})`
  const end = until === Infinity ? '' : ` until ${instantOf(until)}`
  return plain(`${subject}: ${begin}${end}, ${why} (${code})`)
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const MAX_INSTANT = 8.64e15 // ECMA-262 §21.4.1.1
