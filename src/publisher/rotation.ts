import type { PinText } from '../encoding/pin.ts'

/** A change of a server's key under way: what was decided and what has happened. Written down after every step. */
export interface Rotation {
  readonly host: string
  readonly port?: number
  /** The key that leaves. */
  readonly retire: PinText
  /** The key that every client has to know before the server shows it, or the one in reserve afterwards. */
  readonly adopt: PinText
  /** Unix milliseconds. */
  readonly startedAt: number
  /** When a manifest with the pin was published, and from when on every client has had its polls. */
  readonly announced?: { readonly at: number; readonly ready: number }
  /** When the server was seen with another pinned key. */
  readonly swappedAt?: number
  readonly finishedAt?: number
}

export type RotationStep = 'announce' | 'wait' | 'swap' | 'retire' | 'done'

/** What comes next. Pure, so that a rotation that was cut off anywhere goes on where it stood. */
export function stepOf({ announced, swappedAt, finishedAt }: Rotation, now: number): RotationStep {
  if (finishedAt !== undefined) return 'done'
  if (announced === undefined) return 'announce'
  if (now < announced.ready) return 'wait'
  return swappedAt === undefined ? 'swap' : 'retire'
}

/** How long after a publication the slowest client has asked often enough; a failed poll or two are allowed for. */
export function announcementMs({ interval, spread }: { readonly interval: number; readonly spread: number }): number {
  return Math.ceil(POLLS_TO_KNOW * interval * (1 + spread)) * 1_000
}

/** What a server’s verified path says about a rotation. */
export type ServerKey = 'old' | 'new' | 'strange'

/**
 * @param path Pins of each key on the path, end entity first.
 * @param pins Those of the entry that are active.
 */
export function serverKey(
  { retire }: Pick<Rotation, 'retire'>,
  path: readonly (readonly PinText[])[],
  pins: readonly PinText[],
): ServerKey {
  const shown = path.flat()
  if (shown.includes(retire)) return 'old'
  return shown.some((pin) => pins.includes(pin)) ? 'new' : 'strange'
}

const POLLS_TO_KNOW = 5 // as lint counts
