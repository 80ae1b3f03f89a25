import type { Deadlines } from '../publisher/deadlines.ts'
import { dateOf, fromNow } from './text.ts'

export function deadlineData({ coldStartUntil, refuseAt }: Deadlines) {
  return { coldStartUntil: dateOf(coldStartUntil), refuseAt: dateOf(refuseAt) }
}

/** Rows for people. */
export function deadlineRows({ coldStartUntil, refuseAt }: Deadlines, now: number): readonly (readonly string[])[] {
  return [
    ['if nobody signs again', ''],
    ['  clients that start refuse', `${dateOf(coldStartUntil)}  ${fromNow(coldStartUntil, now)}`],
    ['  running clients refuse', `${dateOf(refuseAt)}  ${fromNow(refuseAt, now)}`],
  ]
}
