import type { buildConnector, Client as UndiciClient, Dispatcher as UndiciDispatcher } from 'undici'
import { TransportError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { inNextTurn } from '../ports/turn.ts'
import type { Connection } from './connector.ts'
import type { Exchange } from './exchange.ts'
import { GRACE_MS, Lane } from './lane.ts'
import type { Limits } from './limits.ts'
import { Client, errors } from './undici.ts'

/** What writes requests and parses responses, and the way to the connection that it does so on. */
export interface Http1Engine {
  readonly client: UndiciClient
  connect: (callback: Connected) => void
}

type Connected = Parameters<buildConnector.connector>[1]

/** Apart from its connection, so that it can be made while that is under way. */
export function createHttp1Engine(host: string, { headerBytes }: Limits): Http1Engine {
  const engine: Http1Engine = {
    client: new Client(`https://${host}`, {
      connect: (_, callback) => engine.connect(callback),
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: headerBytes,
      headersTimeout: 0, // ours run on our clock
      bodyTimeout: 0,
    }),
    connect: () => undefined,
  }
  return engine
}

/**
 * A connection that speaks HTTP/1.1, one exchange after the other, with an undici client of its own. An undici client would
 * connect again by itself; this one is over when its socket is.
 */
export class Http1Lane extends Lane {
  readonly isShared = false
  readonly isReady = true
  readonly #engine: Http1Engine
  #exchange: Exchange | undefined
  #client: UndiciClient | undefined
  #isReused = false
  #isDispatched = false
  #isOver = false
  #cancel: Cancel | undefined

  constructor(connection: Connection, host: string, runtime: Runtime, engine: Http1Engine) {
    super(connection, host, runtime)
    this.#engine = engine
    this.socket.on('readable', this.#onEarlyBytes)
    this.socket.once('close', () => this.#cancel?.())
  }

  get isDead(): boolean {
    return this.#isOver || this.socket.destroyed
  }

  get isReused(): boolean {
    return this.#isReused
  }

  get isIdle(): boolean {
    return this.#exchange === undefined
  }

  get hasRoom(): boolean {
    return this.#exchange === undefined && !this.isDead
  }

  /**
   * What came over an idle connection is no answer to a request that is written later (RFC 9112 §9.2), and undici, which
   * looks once more before it writes, may do so before the system was asked: hence a turn of ours in front of its own.
   */
  run(exchange: Exchange): void {
    this.#exchange = exchange
    exchange.assign(this)
    this.#cancel?.()
    if (this.#isReused) inNextTurn(() => this.#send(exchange))
    else this.#send(exchange)
  }

  #send(exchange: Exchange): void {
    if (this.#exchange !== exchange) return
    if (this.isDead) {
      exchange.onError(this.#lost())
      return
    }
    if (exchange.isGivenUp()) return
    this.#client ??= this.#open()
    this.#isDispatched = true
    this.#client.dispatch(exchange.sent, exchange as unknown as UndiciDispatcher.DispatchHandler)
  }

  free(): void {
    this.#exchange = undefined
    this.#isDispatched = false
    this.#isReused = true
  }

  waitForUse(): void {
    if (this.#client !== undefined) return // undici ends it after a while
    this.socket.unref()
    this.#cancel = this.runtime.schedule(UNUSED_MS, () => this.end())
  }

  end(): void {
    this.#isOver = true
    if (this.#client === undefined) this.socket.destroy()
    else if (this.#exchange !== undefined)
      inNextTurn(() => this.socket.destroy()) // undici does as well: it was the last
    else this.#client.close(() => undefined)
  }

  retire(graceMs = GRACE_MS): void {
    const isNews = !this.isRetired
    this.isRetired = true
    if (this.#exchange?.isWritten !== true) {
      if (!isNews) return
      if (this.#exchange === undefined) this.end()
      else this.stop()
      return
    }
    this.endIn(graceMs)
  }

  stop(reason: Error = this.#lost()): void {
    this.#isOver = true
    const exchange = this.#exchange
    if (exchange?.isWritten === false && !this.#isDispatched) exchange.onError(reason)
    else if (exchange?.isWritten === false) this.#client?.destroy(reason, () => undefined)
    this.socket.destroy(reason)
  }

  discard(): void {
    this.#isOver = true
    this.#exchange = undefined
    queueMicrotask(() => this.socket.destroy()) // undici is about to, and has a reason to give
  }

  endEndless(reason: Error): void {
    if (this.#exchange?.isEndless === true) this.stop(reason)
  }

  #open(): UndiciClient {
    let isTaken = false
    this.#engine.connect = (callback) => {
      const isFirst = !isTaken
      isTaken = true
      queueMicrotask(() => {
        if (isFirst) {
          this.socket.ref()
          this.#endPlainly()
          callback(null, this.socket)
          this.socket.off('readable', this.#onEarlyBytes) // undici looks from here on
        } else callback(this.#lost(), null)
      })
    }
    return this.#engine.client
  }

  /**
   * undici ends a connection after its last response with an error for a reason, and Node formats the stack of every error that a
   * stream is destroyed with, which takes as long as a verdict: one for all will do. Nor need the caller, who has the whole
   * response by then, wait for the farewell.
   */
  #endPlainly(): void {
    const { socket } = this
    const { destroy } = socket
    socket.destroy = (reason?: Error) => {
      if (!isEnd(reason)) return destroy.call(socket, reason)
      this.#isOver = true
      inNextTurn(() => destroy.call(socket, ENDED))
      return socket
    }
  }

  readonly #onEarlyBytes = (): void => {
    this.wasUnsolicited = this.socket.readableLength > 0 // otherwise the end
    this.socket.destroy()
  }

  /** A code that undici does not take for its own: after those it would connect again and again. */
  #lost(): TransportError {
    const message = `${this.host}: the connection closed before anything of the request was written`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, { host: this.host })
  }
}

const isEnd = (reason: Error | undefined): boolean =>
  reason instanceof errors.InformationalError && reason.message === 'reset'

const ENDED = new errors.InformationalError('reset')
const UNUSED_MS = 4_000 // undici's own for a connection that is idle
