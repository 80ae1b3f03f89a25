import type { Cancel, Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import type { Connection } from './connector.ts'
import { type AddressType, type DnsAnswer, encodePaddedQuery, idOf, readAnswer } from './dns-message.ts'
import { DEFAULT_LIMITS } from './limits.ts'

export interface DnsStream {
  /** Whether it takes further queries. */
  readonly isOpen: () => boolean
  /** The answer; `undefined` where the server closed the connection without one. Rejects with the reason of the signal. */
  readonly ask: (host: string, type: AddressType, signal: AbortSignal) => Promise<DnsAnswer | undefined>
}

interface Waiting {
  readonly resolve: (message: Uint8Array | undefined) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Queries and answers of one connection, each behind its length (RFC 1035 §4.2.2) and in any order. No id is used twice, so an
 * answer that comes too late is nobody's. Without a query under way it is closed after ten seconds and keeps no process alive.
 */
export function createDnsStream({ socket, peer }: Pick<Connection, 'socket' | 'peer'>, runtime: Runtime): DnsStream {
  const { clock } = runtime
  const endsAt = clock.monotonic() + DEFAULT_LIMITS.connectionAgeMs
  const waiting = new Map<number, Waiting>()
  let asked = 0
  let heard = 0
  let isClosed = false
  let cancelIdle: Cancel = () => undefined

  const close = (failure?: Error): void => {
    if (isClosed) return
    isClosed = true
    cancelIdle()
    socket.destroySoon() // after what is still to be written, close_notify among it
    for (const { resolve, reject } of waiting.values()) {
      if (failure === undefined) resolve(undefined)
      else reject(failure)
    }
  }
  const rest = (): void => {
    if (isClosed || waiting.size > 0) return
    socket.unref()
    cancelIdle()
    cancelIdle = runtime.schedule(IDLE_MS, () => close())
  }
  const onMessage = (message: Uint8Array): void => {
    heard += 1
    waiting.get(idOf(message))?.resolve(message)
  }

  const read = createMessageReader(onMessage, () => close(new Error('a message that is shorter than its header')))
  socket.on('data', read)
  socket.once('end', () => close())
  socket.once('close', () => close())
  rest()

  const ask: DnsStream['ask'] = async (host, type, signal) => {
    const id = asked
    const heardBefore = heard
    if (isClosed || asked === MAX_QUERIES) return undefined
    signal.throwIfAborted()
    asked += 1
    cancelIdle()
    socket.ref()
    socket.write(framed(encodePaddedQuery(host, type, id)))
    const answered = new Promise<Uint8Array | undefined>((resolve, reject) => waiting.set(id, { resolve, reject }))
    try {
      const message = await raceSignal(answered, signal)
      return message && readAnswer(message, host, type, id)
    } catch (error) {
      if (heard === heardBefore) close() // silent since: the next query finds a connection that is not dead
      throw error
    } finally {
      waiting.delete(id)
      rest()
    }
  }

  const isOpen = (): boolean =>
    !isClosed && asked < MAX_QUERIES && clock.monotonic() < endsAt && clock.now() < peer.validUntil
  return { isOpen, ask }
}

/** In one write: a server may take two segments for two messages (RFC 7766 §8). */
function framed(message: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 0xff), message])
}

/** However small the pieces are, each octet is copied once. */
function createMessageReader(onMessage: (message: Uint8Array) => void, onNonsense: () => void) {
  let part: 'length' | 'message' = 'length'
  let octets = new Uint8Array(2)
  let filled = 0

  return (chunk: Uint8Array): void => {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + octets.length - filled)
      octets.set(piece, filled)
      filled += piece.length
      at += piece.length
      if (filled < octets.length) return
      const whole = octets
      filled = 0
      if (part === 'message') {
        part = 'length'
        octets = new Uint8Array(2)
        onMessage(whole)
        continue
      }
      const [high = 0, low = 0] = whole
      part = 'message'
      octets = new Uint8Array(Math.max((high << 8) | low, HEADER_OCTETS))
      if (((high << 8) | low) < HEADER_OCTETS) onNonsense()
    }
  }
}

const IDLE_MS = 10_000 // RFC 7766 §6.2.3: on the order of seconds
const MAX_QUERIES = 65_536 // as many as there are ids
const HEADER_OCTETS = 12
