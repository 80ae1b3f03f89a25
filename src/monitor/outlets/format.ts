import * as z from 'zod'
import { inTurns } from '../gathering.ts'
import { cefLine } from './cef.ts'
import { ecsRecord } from './ecs.ts'
import { ocsfRecord } from './ocsf.ts'
import type { ToldEvent } from './record.ts'

/** How an event is written, on one line; `undefined` for one that is not. */
export type RecordFormat = 'ocsf' | 'ecs' | 'cef' | ((told: ToldEvent) => string | undefined)

export function writerOf(format: RecordFormat): (told: ToldEvent) => string | undefined {
  return typeof format === 'function' ? format : WRITERS[format]
}

/** Nothing for events that have no record. */
export async function written(
  write: ReturnType<typeof writerOf>,
  told: readonly ToldEvent[],
): Promise<readonly string[] | undefined> {
  const lines: string[] = []
  await inTurns(told, (one) => {
    const line = write(one)
    if (line !== undefined) lines.push(line)
  })
  return lines.length === 0 ? undefined : lines
}

const asJson = (make: (told: ToldEvent) => object | undefined) => (told: ToldEvent) => {
  const record = make(told)
  return record === undefined ? undefined : JSON.stringify(record)
}

const WRITERS = { ocsf: asJson(ocsfRecord), ecs: asJson(ecsRecord), cef: cefLine } as const

export const Format = z.union([
  z.enum(['ocsf', 'ecs', 'cef']),
  z.custom<(told: ToldEvent) => string | undefined>((value) => typeof value === 'function', 'expected a format'),
])
