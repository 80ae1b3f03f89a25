import type { PinText } from '../../encoding/pin.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import { MonitorError, PinfetchError } from '../../errors/errors.ts'
import { createCursor } from './cursor.ts'
import { eventOf, identitiesOf, isKnown, type UnexpectedIssuance } from './issuance.ts'
import { createNameMatcher } from './names.ts'
import type { ResolvedWatch } from './options.ts'
import type { Batch, IssuanceSource } from './source.ts'

/** Reads one source to its end, and tells of what is unexpected. */
export interface Follower {
  /** Reads the cursor. A pass does so as well. */
  readonly open: () => Promise<void>
  readonly pass: (source: IssuanceSource, signal: AbortSignal) => Promise<PassResult>
}

export interface PassResult {
  readonly unexpected: readonly UnexpectedIssuance[]
  /** Why the source could not be read to its end; what was read before is delivered. */
  readonly failure?: PassFailure
}

export interface PassFailure {
  readonly code: ErrorCode
  readonly message: string
  readonly retryAfterMs?: number
}

interface Passing {
  readonly found: UnexpectedIssuance[]
  /** Asked for once a pass. */
  pins?: ReadonlySet<PinText>
}

/** @param tell Resolves once an alert is in good hands. The position moves past it then, and not before. */
export function createFollower(
  options: ResolvedWatch,
  tell: (event: UnexpectedIssuance) => void | Promise<void>,
): Follower {
  const { domains, includeSubdomains, fetch, runtime } = options
  const matches = createNameMatcher({ domains, includeSubdomains })
  const cursor = createCursor(options.cursor, runtime)
  const positions = new Map<string, unknown>()
  const told = new Set<string>()
  let opened: Promise<void> | undefined

  const open = (): Promise<void> => {
    opened ??= cursor.load().then(
      (state) => {
        for (const [place, position] of state.positions) positions.set(place, position)
        for (const identity of state.told) told.add(identity)
      },
      (error) => {
        opened = undefined
        throw error
      },
    )
    return opened
  }
  const remember = (identities: readonly string[]): void => {
    for (const identity of identities) told.add(identity)
    for (const oldest of told) {
      if (told.size <= MAX_TOLD) break
      told.delete(oldest)
    }
  }
  // One at a time, for two sources tell of the same issuance; what one has not delivered yet, the other must not skip.
  let last: Promise<unknown> = Promise.resolve()
  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work)
    last = mine.catch(() => undefined)
    return mine
  }
  const deliver = async (place: string, { issuances, position }: Batch, pass: Passing): Promise<void> => {
    if (issuances.length > 0) pass.pins ??= await options.pins()
    const { pins = NO_PINS, found } = pass
    for (const issuance of issuances) {
      const { ask, keep } = identitiesOf(issuance)
      if (isKnown(issuance, pins) || ask.some((identity) => told.has(identity))) continue
      const event = eventOf(issuance, matches)
      await tell(event)
      found.push(event)
      remember(keep)
    }
    positions.set(place, position)
  }
  const save = (): Promise<void> => exclusively(() => cursor.save({ positions, told: [...told] }))

  const readAll = async (source: IssuanceSource, signal: AbortSignal, found: UnexpectedIssuance[]): Promise<void> => {
    const { place } = source
    const position = positions.get(place)
    const pass: Passing = { found }
    let unsaved = 0
    try {
      for await (const batch of source.read({
        domains,
        includeSubdomains,
        matches,
        position,
        fetch,
        runtime,
        signal,
      })) {
        const before = found.length
        unsaved += 1
        await exclusively(() => deliver(place, batch, pass))
        if (found.length === before && unsaved < SAVE_EVERY) continue
        await save()
        unsaved = 0
      }
    } finally {
      if (unsaved > 0) await save()
    }
  }
  return {
    open,
    pass: async (source, signal) => {
      const unexpected: UnexpectedIssuance[] = []
      try {
        await open()
        await readAll(source, signal, unexpected)
        return { unexpected }
      } catch (error) {
        signal.throwIfAborted()
        return { unexpected, failure: failureOf(error) }
      }
    },
  }
}

function failureOf(error: unknown): PassFailure {
  if (!(error instanceof PinfetchError)) throw error
  const retryAfterMs = error instanceof MonitorError ? error.retryAfterMs : undefined
  const [message = ''] = error.message.split('\n')
  return { code: error.code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

const SAVE_EVERY = 32 // batches without an alert: a log of millions is not worth a write for each of its tiles
const MAX_TOLD = 20_000
const NO_PINS: ReadonlySet<PinText> = new Set()
