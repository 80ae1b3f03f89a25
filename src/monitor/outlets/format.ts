import * as z from 'zod'
import { inTurns } from '../gathering.ts'
import { cefLine } from './cef.ts'
import { ecsRecord } from './ecs.ts'
import { leefLine } from './leef.ts'
import { ocsfRecord } from './ocsf.ts'
import { otlpLogRecord, otlpLogs } from './otlp.ts'
import type { ToldEvent } from './record.ts'

/** How an event is written, on one line; `undefined` for one that is not. A line of `otlp` is the logs data of one record. */
export type RecordFormat = 'ocsf' | 'ecs' | 'cef' | 'leef' | 'otlp' | ((told: ToldEvent) => string | undefined)

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

export const asJson = (make: (told: ToldEvent) => object | undefined) => (told: ToldEvent) => {
  const record = make(told)
  return record === undefined ? undefined : JSON.stringify(record)
}

const asLogs = (told: ToldEvent): string | undefined => {
  const record = otlpLogRecord(told)
  return record && otlpLogs([JSON.stringify(record)])
}

const WRITERS = {
  ocsf: asJson(ocsfRecord),
  ecs: asJson(ecsRecord),
  cef: cefLine,
  leef: leefLine,
  otlp: asLogs,
} as const

export const Format = z.union([
  z.enum(['ocsf', 'ecs', 'cef', 'leef', 'otlp']),
  z.custom<(told: ToldEvent) => string | undefined>((value) => typeof value === 'function', 'expected a format'),
])
