import type { Emit } from '../events/events.ts'
import type { ExchangeEvent } from '../events/handshake.ts'
import type { Runtime } from '../ports/runtime.ts'

/** One request on one connection, from its head to how it ended. Made only where somebody listens. */
export class ExchangeRecord {
  readonly #host: string
  readonly #method: string
  readonly #version: '1.1' | '2'
  readonly #clock: Runtime['clock']
  readonly #startedAt: number
  #answeredAt: number | undefined
  #status: number | undefined
  #sent = 0
  #received = 0

  constructor(host: string, method: string, version: '1.1' | '2', clock: Runtime['clock']) {
    this.#host = host
    this.#method = shownMethod(method)
    this.#version = version
    this.#clock = clock
    this.#startedAt = clock.monotonic()
  }

  sent(octets: number): void {
    this.#sent += octets
  }

  received(octets: number): void {
    this.#received += octets
  }

  answered(status: number): void {
    this.#status = status
    this.#answeredAt = this.#clock.monotonic()
  }

  /** @param code Of what it failed of. */
  tell(emit: Emit, code?: string): void {
    const event: { -readonly [Member in keyof ExchangeEvent]: ExchangeEvent[Member] } = {
      type: 'http.exchange',
      host: this.#host,
      at: this.#clock.now(),
      method: this.#method,
      version: this.#version,
      sent: this.#sent,
      received: this.#received,
      totalMs: this.#clock.monotonic() - this.#startedAt,
    }
    if (this.#status !== undefined) event.status = this.#status
    if (code !== undefined) event.code = code
    if (this.#answeredAt !== undefined) event.firstByteMs = this.#answeredAt - this.#startedAt
    emit(event)
  }
}

export const shownMethod = (method: string): string => (METHODS.has(method) ? method : '_OTHER')

/** RFC 9110 §9.3 and RFC 5789: what a caller makes up is text of its own, and there is no end to it. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
])
