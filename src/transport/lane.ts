import type { TLSSocket } from 'node:tls'
import type { Client as UndiciClient, Dispatcher as UndiciDispatcher } from 'undici'
import { TransportError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { inNextTurn } from '../ports/turn.ts'
import type { VerifiedPeer } from '../trust/verdict.ts'
import type { Connection } from './connector.ts'
import type { Exchange } from './exchange.ts'
import type { Limits } from './limits.ts'
import { Client } from './undici.ts'

/**
 * One connection, judged, with an undici client of its own that speaks HTTP over it. An undici client would connect again
 * by itself; this one is over when its socket is.
 */
export class Lane {
  readonly socket: TLSSocket
  peer: VerifiedPeer
  /** What it carries; an idle lane has none. */
  exchange: Exchange | undefined
  isRetired = false
  /** The peer spoke before it was asked anything. */
  wasUnsolicited = false
  readonly #host: string
  readonly #runtime: Runtime
  readonly #headerBytes: number
  readonly #bornAt: number
  readonly #bornWall: number
  readonly #lot: number
  #client: UndiciClient | undefined
  #isReused = false
  #isDispatched = false
  #isOver = false
  #hasGrace = false
  #cancel: Cancel | undefined

  constructor({ socket, peer }: Connection, host: string, runtime: Runtime, { headerBytes }: Limits) {
    this.socket = socket
    this.peer = peer
    this.#host = host
    this.#runtime = runtime
    this.#headerBytes = headerBytes
    this.#bornAt = runtime.clock.monotonic()
    this.#bornWall = runtime.clock.now()
    this.#lot = (runtime.random(1)[0] ?? 0) / 256
    socket.on('readable', this.#onEarlyBytes)
    socket.once('close', () => this.#cancel?.())
  }

  /** Nothing more can be sent on it. */
  get isDead(): boolean {
    return this.#isOver || this.socket.destroyed
  }

  /** It carried an exchange before. */
  get isReused(): boolean {
    return this.#isReused
  }

  /**
   * By the monotonic clock or by the wall clock, whichever says more: the one stands still in a process that sleeps, the
   * other may be set back. Spread over a tenth, so that connections made together do not end together.
   */
  isOlderThan(preferredMs: number, mostMs: number): boolean {
    const { clock } = this.#runtime
    const age = Math.max(clock.monotonic() - this.#bornAt, clock.now() - this.#bornWall)
    return age >= Math.min(preferredMs * (0.9 + 0.2 * this.#lot), mostMs * (0.9 + 0.1 * this.#lot))
  }

  /**
   * What came over an idle connection is no answer to a request that is written later (RFC 9112 §9.2), and undici, which
   * looks once more before it writes, may do so before the system was asked: hence a turn of ours in front of its own.
   */
  run(exchange: Exchange): void {
    this.exchange = exchange
    exchange.assign(this)
    this.#cancel?.()
    if (this.#isReused) inNextTurn(() => this.#send(exchange))
    else this.#send(exchange)
  }

  #send(exchange: Exchange): void {
    if (this.exchange !== exchange) return
    if (this.isDead) {
      exchange.onError(this.#lost())
      return
    }
    this.#client ??= this.#open()
    this.#isDispatched = true
    this.#client.dispatch(exchange.sent, exchange as unknown as UndiciDispatcher.DispatchHandler)
  }

  /** The exchange is over, the connection is not. */
  free(): void {
    this.exchange = undefined
    this.#isDispatched = false
    this.#isReused = true
  }

  /** Its first request may never come: what is not used is not kept. */
  waitForUse(): void {
    if (this.#client !== undefined) return // undici ends it after a while
    this.socket.unref()
    this.#cancel = this.#runtime.schedule(UNUSED_MS, () => this.end())
  }

  /** Closes it, after the exchange that it carries. */
  end(): void {
    this.#isOver = true
    if (this.#client === undefined) this.socket.destroy()
    else this.#client.close(() => undefined)
  }

  /**
   * Gets no further request; one that only waits goes elsewhere, one whose first byte was written has some time to finish:
   * `graceMs`, or with `FOREVER` as much as it takes.
   */
  retire(graceMs = GRACE_MS): void {
    const isNews = !this.isRetired
    this.isRetired = true
    if (this.exchange?.isWritten !== true) {
      if (!isNews) return
      if (this.exchange === undefined) this.end()
      else this.stop()
      return
    }
    if (graceMs === FOREVER || this.#hasGrace) return
    this.#hasGrace = true
    const message = `${this.#host}: the connection was closed, ${graceMs} ms after it was to get no further request`
    const late = new TransportError('ERR_TRANSPORT_CLOSED', message, { host: this.#host, requestSent: 'maybe' })
    this.#cancel = this.#runtime.schedule(graceMs, () => this.socket.destroy(late))
  }

  /** Closes it now; what it carries fails, or waits for another when none of it was written. */
  stop(reason: Error = this.#lost()): void {
    this.#isOver = true
    const { exchange } = this
    if (exchange?.isWritten === false && !this.#isDispatched) exchange.onError(reason)
    else if (exchange?.isWritten === false) this.#client?.destroy(reason, () => undefined)
    this.socket.destroy(reason)
  }

  /** After an exchange that failed half-way, what comes next on the connection belongs to nobody. */
  discard(): void {
    this.#isOver = true
    this.exchange = undefined
    queueMicrotask(() => this.socket.destroy()) // undici is about to, and has a reason to give
  }

  #open(): UndiciClient {
    let isTaken = false
    return new Client(`https://${this.#host}`, {
      connect: (_, callback) => {
        const isFirst = !isTaken
        isTaken = true
        queueMicrotask(() => {
          if (isFirst) {
            this.socket.ref()
            callback(null, this.socket)
            this.socket.off('readable', this.#onEarlyBytes) // undici looks from here on
          } else callback(this.#lost(), null)
        })
      },
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: this.#headerBytes,
      headersTimeout: 0, // ours run on our clock
      bodyTimeout: 0,
    })
  }

  readonly #onEarlyBytes = (): void => {
    this.wasUnsolicited = this.socket.readableLength > 0 // otherwise the end
    this.socket.destroy()
  }

  /** A code that undici does not take for its own: after those it would connect again and again. */
  #lost(): TransportError {
    const message = `${this.#host}: the connection closed before anything of the request was written`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, { host: this.#host })
  }
}

const UNUSED_MS = 4_000 // undici's own for a connection that is idle
export const FOREVER = Number.POSITIVE_INFINITY
const GRACE_MS = 30_000 // a rotated key should be gone within a minute
