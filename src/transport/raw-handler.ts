import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { util } from './undici.ts'

/** Of a header section, in Latin-1: octets as undici has them, or the text that HTTP/2 has made of them already. */
export type Field = Buffer | string

/** What undici 7 calls for a request: the names that all its versions and the runtimes' own fetch up to Node 24 share. */
export interface RawHandler {
  /** It reads fields by `toString('latin1')` alone, so text will do. Default: octets. */
  readonly takesText?: boolean
  onConnect(abort: (reason?: Error) => void, context?: unknown): void
  onResponseStarted?(): void
  /** False pauses, until `resume`. Header fields alternate names and values. */
  onHeaders(status: number, headers: Field[], resume: () => void, statusText: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(trailers: Buffer[]): void
  onError(error: Error): void
  onUpgrade?(status: number, headers: Buffer[], socket: Duplex): void
  onBodySent?(chunk: Uint8Array | string): void
  onRequestSent?(): void
}

/** Takes both generations of handlers, and costs the older one nothing: the runtime's own fetch is of that one. */
export function rawHandlerOf(handler: Dispatcher.DispatchHandler): RawHandler {
  return handler.onRequestStart === undefined ? (handler as unknown as RawHandler) : new Controlled(handler)
}

/** The face that undici 7 knows of a handler whose methods take a controller. */
class Controlled implements RawHandler {
  readonly #handler: Dispatcher.DispatchHandler
  #controller: Controller | undefined

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler
  }

  onConnect(abort: (reason?: Error) => void, context: unknown): void {
    this.#controller = new Controller(abort)
    this.#handler.onRequestStart?.(this.#controller, context)
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    const controller = this.#current
    controller.rawHeaders = headers
    controller.onResume = resume
    this.#handler.onResponseStart?.(controller, status, util.parseHeaders(headers), statusText)
    return !controller.paused
  }

  onData(chunk: Buffer): boolean {
    const controller = this.#current
    this.#handler.onResponseData?.(controller, chunk)
    return !controller.paused
  }

  onComplete(trailers: Buffer[]): void {
    const controller = this.#current
    controller.rawTrailers = trailers
    this.#handler.onResponseEnd?.(controller, util.parseHeaders(trailers))
  }

  onError(error: Error): void {
    this.#handler.onResponseError?.(this.#current, error)
  }

  onUpgrade(status: number, headers: Buffer[], socket: Duplex): void {
    const controller = this.#current
    controller.rawHeaders = headers
    this.#handler.onRequestUpgrade?.(controller, status, util.parseHeaders(headers), socket)
  }

  /** Of a request that never started, nothing is left to abort. */
  get #current(): Controller {
    this.#controller ??= new Controller(() => undefined)
    return this.#controller
  }
}

class Controller implements Dispatcher.DispatchController {
  rawHeaders: Buffer[] | null = null
  rawTrailers: Buffer[] | null = null
  onResume: (() => void) | undefined
  aborted = false
  paused = false
  reason: Error | null = null
  readonly #abort: (reason?: Error) => void

  constructor(abort: (reason?: Error) => void) {
    this.#abort = abort
  }

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#abort(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.onResume?.()
  }
}
