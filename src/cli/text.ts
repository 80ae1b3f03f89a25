import { relative } from 'node:path'
import type { PublicKeyInfo } from '../x509/public-key.ts'

export function keyText(key: PublicKeyInfo): string {
  switch (key.kind) {
    case 'rsa':
      return `RSA ${key.bits}`
    case 'rsa-pss':
      return `RSA-PSS ${key.bits}`
    case 'ec':
      return `EC ${key.curve}`
    case 'ed25519':
      return 'Ed25519'
    case 'ed448':
      return 'Ed448'
    case 'unsupported':
      return `unsupported (${key.algorithm})`
  }
}

/** Seconds are enough for people and for certificates. */
export function dateOf(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** `in 3 days`, `5 hours ago`: whole units, rounded. */
export function fromNow(unixMs: number, now: number): string {
  const left = unixMs - now
  const size = Math.abs(left)
  const [count, unit] =
    size >= DAY_MS ? [size / DAY_MS, 'day'] : size >= HOUR_MS ? [size / HOUR_MS, 'hour'] : [size / MINUTE_MS, 'minute']
  const text = counted(Math.round(count), unit)
  return left >= 0 ? `in ${text}` : `${text} ago`
}

/** `1 host`, `2 hosts`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** A path as one would type it here. */
export function shownPath(path: string): string {
  const nearby = relative(process.cwd(), path) || '.'
  return nearby.length < path.length ? nearby : path
}

/** Left-aligned columns, two spaces apart; rows may have fewer columns than others. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map(({ length }) => length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
