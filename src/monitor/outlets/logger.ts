import * as z from 'zod'
import { parseOptions } from '../../encoding/options.ts'
import type { ClientEvent } from '../../events/events.ts'
import { type Outlet, Undeliverable } from './delivery.ts'
import { type Meaning, meaningOf } from './meaning.ts'
import { carry, EventType, type OutletOptions, OutletShape, type Watched, whole } from './outlet.ts'
import { detailsOf, type ToldEvent } from './record.ts'

/** pino's order of arguments; bunyan's as well. */
export interface Logger {
  readonly debug: Log
  readonly info: Log
  readonly warn: Log
  readonly error: Log
}
type Log = (fields: object, message: string) => void

/** A method of the logger, or nothing at all. */
export type LogLevel = keyof Logger | 'silent'

/** Which event is logged at which level. */
export interface LogOptions extends OutletOptions {
  /** By type of event. Default: by what it means, an accepted handshake at `debug`. */
  readonly levels?: Partial<Readonly<Record<ClientEvent['type'], LogLevel>>>
}

/**
 * Writes what a client tells to a logger, outside the tick that caused it. Events hold no header, token or body, so nothing of them
 * can be logged.
 *
 * @throws ConfigurationError
 *
 * @example
 * logTo(client, pino(), { levels: { 'tls.handshake': 'silent' } })
 */
export function logTo(client: Watched, logger: Logger, options: LogOptions = {}): Outlet {
  const { levels = {}, ...rest } = parseOptions('logTo', Options, options)
  parseOptions('logTo.logger', LoggerShape, logger)
  return carry<ToldEvent, Entry>(client, rest, {
    name: 'logger',
    select: whole,
    batchSize: 1,
    prepare: ([told]) => told && entryOf(told, levels),
    deliver: async ({ level, fields, message }) => {
      try {
        logger[level](fields, message)
      } catch {
        throw new Undeliverable(`the logger threw at ${level}`)
      }
    },
  })
}

interface Entry {
  readonly level: keyof Logger
  readonly fields: object
  readonly message: string
}

function entryOf({ event, at }: ToldEvent, levels: NonNullable<LogOptions['levels']>): Entry | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  const level = levels[event.type] ?? levelOf(meaning)
  if (level === 'silent') return undefined
  const fields = { event: event.type, at: new Date(at).toISOString(), ...detailsOf(event) }
  return { level, fields, message: meaning.title }
}

function levelOf({ kind, severity, outcome }: Meaning): keyof Logger {
  if (severity === 'informational') return kind === 'connection' && outcome === 'success' ? 'debug' : 'info'
  return severity === 'low' || severity === 'medium' ? 'warn' : 'error'
}

const LoggerShape = z.custom<Logger>((logger) => {
  const given = logger as Partial<Record<string, unknown>> | null | undefined
  return ['debug', 'info', 'warn', 'error'].every((level) => typeof given?.[level] === 'function')
}, 'expected an object with debug, info, warn and error')

const Options = z.strictObject({
  ...OutletShape,
  levels: z.partialRecord(EventType, z.enum(['debug', 'info', 'warn', 'error', 'silent'])).optional(),
})
