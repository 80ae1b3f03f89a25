import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { eachHeader } from './request-headers.ts'

/**
 * The channels on which undici tells of its requests, for those that undici does not carry. Whoever listens sees header fields as
 * they are sent, credentials included, and may add some: so does OpenTelemetry.
 */
const CREATED = channel('undici:request:create')
const SENT = channel('undici:client:sendHeaders')
const BODY_SENT = channel('undici:request:bodySent')
const ANSWERED = channel('undici:request:headers')
const COMPLETE = channel('undici:request:trailers')
const FAILED = channel('undici:request:error')

/** What listeners know of a request, under the names that undici 7 gives. */
export class ToldRequest {
  readonly origin: string
  readonly method: string
  readonly path: string
  /** Names and values in turn. */
  readonly headers: string[] = []
  completed = false
  aborted = false

  constructor({ method, path, headers }: Dispatcher.DispatchOptions, authority: string) {
    this.origin = `https://${authority}`
    this.method = method
    this.path = path
    eachHeader(headers, (name, value) => this.headers.push(name, String(value)))
  }

  addHeader(name: string, value: string): this {
    this.headers.push(name, value)
    return this
  }

  onSent(socket: Socket): void {
    SENT.publish({ request: this, headers: this.#text(), socket })
  }

  onBodySent(): void {
    BODY_SENT.publish({ request: this })
  }

  onAnswered(statusCode: number, headers: readonly Buffer[]): void {
    ANSWERED.publish({ request: this, response: { statusCode, headers, statusText: '' } })
  }

  onComplete(trailers: readonly Buffer[]): void {
    this.completed = true
    COMPLETE.publish({ request: this, trailers })
  }

  onFailed(error: Error): void {
    this.aborted = true
    FAILED.publish({ request: this, error })
  }

  #text(): string {
    let text = `${this.method} ${this.path} HTTP/2\r\n`
    for (let at = 0; at + 1 < this.headers.length; at += 2) text += `${this.headers[at]}: ${this.headers[at + 1]}\r\n`
    return text
  }
}

/** `undefined` where nobody listens, and then it costs nothing. */
export function tellOf(options: Dispatcher.DispatchOptions, authority: string): ToldRequest | undefined {
  if (!CREATED.hasSubscribers) return undefined
  const request = new ToldRequest(options, authority)
  CREATED.publish({ request })
  return request
}

const contexts = new WeakMap<object, AsyncResource>()

/** Call where the caller still is: a request that waits for a connection starts in another's asynchronous context. */
export function rememberContext(exchange: object): void {
  if (CREATED.hasSubscribers && !contexts.has(exchange)) contexts.set(exchange, new AsyncResource('pinfetch.request'))
}

/** Runs it as the caller of the exchange would: what is told there belongs to the caller's span. */
export function inItsContext(exchange: object, run: () => void): void {
  const context = contexts.get(exchange)
  if (context === undefined) run()
  else context.runInAsyncScope(run)
}
