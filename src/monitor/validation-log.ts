import { canonicalJson } from '../encoding/canonical-json.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { type Emitter, followerOf } from '../events/emitter.ts'
import type { HandshakeEvent } from '../events/handshake.ts'
import type { Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { createGathering, inTurns } from './gathering.ts'
import { after, type ChainPosition, chainedLine, parseChainedLine, START } from './hash-chain.ts'
import { type Appended, type LogFile, openLogFile } from './log-file.ts'
import { createOutage } from './outage.ts'
import { type JsonObject, sha256, validationRecord } from './validation-record.ts'

/** Where the lines of a validation log go. */
export interface ValidationLogOptions {
  /** Appended to; made with mode 0600. One process at a time: two would write two chains into one file. */
  readonly file?: string
  /** In place of a file: gets each line without its end, and may answer a promise. What it throws counts as a lost line. */
  readonly write?: (line: string) => unknown
  /** Whether each line has the SHA-256 of the one before it. Default true. */
  readonly chain?: boolean
  /** Lines that may wait, 1 to 1,000,000; while it is full the newest are dropped, and the log says how many. Default 1,000. */
  readonly capacity?: number
  readonly runtime?: Pick<Runtime, 'clock'>
}

/** A log under way. */
export interface ValidationLog {
  /** SHA-256 of the last line that was written. Kept where the log cannot be changed, it shows what was cut off the end. */
  readonly head: string | undefined
  readonly queued: number
  /** Handshakes that are not in the log, for want of room or of a disk. */
  readonly lost: number
  /** Of the last line that could not be written; absent once one could. */
  readonly failure: string | undefined
  /** Stops listening, writes what waits, and closes the file. */
  readonly close: () => Promise<void>
}

/**
 * Writes one line of JSON for every handshake of a client: the verdict, what it rests on, and how long it took. Only members that
 * are named in this library are written; none of them holds a token, a header or a body.
 *
 * Chained, a line that was edited, removed, inserted or moved is found by `pinfetch evidence verify-log`. A chain alone shows
 * neither that its last lines were cut off nor that somebody wrote all of it anew: keep `head` elsewhere for that.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`; a file that cannot be written is told by `failure` and
 *   `outlet.failed`, and costs no request.
 *
 * @example
 * const log = validationLog(client, { file: '/var/log/orders/tls.jsonl' })
 */
export function validationLog(client: { readonly on: Emitter['on'] }, options: ValidationLogOptions): ValidationLog {
  const { file, write, chain: isChained = true, capacity = 1_000, runtime = systemRuntime } = options
  if ((file === undefined) === (write === undefined)) throw invalid('expected either file or write')
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1_000_000)
    throw invalid(`capacity: expected 1 to 1000000, got ${String(capacity)}`)
  const outage = createOutage(client.on, `validation log ${file ?? 'written by the application'}`)
  const waiting: HandshakeEvent[] = []
  let isNew = true // the log says since when, also where nothing happens
  let position: ChainPosition = START
  let opened: Pick<LogFile, 'append' | 'close'> | undefined
  let lost = 0
  let untold = 0 // of those that were lost, how many the log does not know of yet
  let failure: string | undefined

  /** @returns how many of the records stand in the log now, and of fewer than all the reason. */
  const append = async (records: readonly JsonObject[]): Promise<Appended> => {
    const lines: string[] = []
    const positions: ChainPosition[] = []
    let next = position
    await inTurns(records, (record) => {
      const line = isChained ? chainedLine(next, record) : canonicalJson(record)
      next = after(next, line)
      lines.push(line)
      positions.push(next)
    })
    const appended = (await opened?.append(lines)) ?? { whole: 0 }
    if (isChained) position = positions[appended.whole - 1] ?? position
    return appended
  }
  const appendOne = async (record: JsonObject): Promise<void> => {
    const { whole, error } = await append([record])
    if (whole === 0) throw error
  }
  const isLine = (text: string): boolean => !isChained || parseChainedLine(text) !== undefined
  const begin = async (): Promise<void> => {
    const { lastLine, torn, ...rest } = write === undefined ? await openLogFile(file ?? '', isLine) : writtenBy(write)
    opened = rest
    if (!isChained) return
    const at = new Date(runtime.clock.now()).toISOString()
    if (lastLine === undefined && torn === undefined) {
      position = START
      return appendOne({ type: 'log.begun', at })
    }
    const last = lastLine === undefined ? undefined : parseChainedLine(lastLine)
    position = lastLine === undefined || last === undefined ? START : { next: last.seq + 1, head: sha256(lastLine) }
    await appendOne({ type: 'log.continued', at, torn: torn && sha256(torn) })
  }
  /** A line that failed may stand in the file by half: opened again, the log goes on from its last whole line. */
  const giveUp = async (error: unknown): Promise<void> => {
    failure = error instanceof Error ? error.message : String(error)
    outage.began(error, lost)
    const file = opened
    if (write === undefined) opened = undefined
    await file?.close().catch(() => undefined)
  }
  const writing = async (work: () => Promise<void>): Promise<boolean> => {
    try {
      if (opened === undefined) await begin()
      await work()
      failure = undefined
      outage.ended(lost)
      return true
    } catch (error) {
      await giveUp(error)
      return false
    }
  }
  /** More may be lost while the line is written: they are told by the next. */
  const tellLost = async (): Promise<void> => {
    const telling = untold
    if (telling === 0) return
    await appendOne({ type: 'log.lost', handshakes: telling })
    untold -= telling
  }
  const writeSome = async (): Promise<number> => {
    if (isNew) {
      await writing(async () => undefined)
      isNew = false
      return 1
    }
    const events = waiting.slice(0, write === undefined ? LINES_A_WRITE : 1)
    let stand = 0
    await writing(async () => {
      await tellLost()
      const { whole, error } = await append(events.map(validationRecord))
      stand = whole
      if (whole < events.length) throw error
    })
    lose(events.length - stand)
    waiting.splice(0, events.length)
    return events.length
  }
  const lose = (count: number): void => {
    lost += count
    untold += count
  }
  const queued = (): number => waiting.length + (isNew ? 1 : 0)
  const gathering = createGathering({
    size: queued,
    enough: Math.min(LINES_A_WRITE, Math.ceil(capacity / 2)),
    handOn: writeSome,
    schedule: systemRuntime.schedule,
  })
  const onHandshake = (event: HandshakeEvent): void => {
    if (queued() >= capacity) {
      lose(1)
      return
    }
    waiting.push(event)
    gathering.added(event.outcome === 'accepted')
  }

  gathering.added(false)
  const stop = followerOf(client.on)('tls.handshake', onHandshake)
  let closing: Promise<void> | undefined
  const end = async (): Promise<void> => {
    stop()
    await gathering.close()
    if (untold > 0) await writing(tellLost)
    await opened?.close().catch(() => undefined)
  }
  return {
    get head() {
      return position === START ? undefined : position.head
    },
    get queued() {
      return queued()
    },
    get lost() {
      return lost
    },
    get failure() {
      return failure
    },
    close: () => {
      closing ??= end()
      return closing
    },
  }
}

function invalid(what: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `validationLog: ${what}`)
}

/** Each line alone: one that it refuses says nothing of the next. */
function writtenBy(write: (line: string) => unknown): LogFile {
  return {
    lastLine: undefined,
    torn: undefined,
    append: async (lines) => {
      let whole = 0
      try {
        for (; whole < lines.length; whole += 1) await write(lines[whole] ?? '')
        return { whole }
      } catch (error) {
        return { whole, error }
      }
    },
    close: async () => {},
  }
}

const LINES_A_WRITE = 100
