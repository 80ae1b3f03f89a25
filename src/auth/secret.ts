import { inspect } from 'node:util'

/** A secret that shows itself to nobody who does not ask for it by `reveal`: not to a log, a dump or an error report. */
export class Secret {
  readonly #bytes: Uint8Array

  constructor(value: string | Uint8Array) {
    this.#bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value.slice()
  }

  /** As text. What is not UTF-8 has been refused before by whoever asked for text. */
  reveal(): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#bytes)
  }

  revealBytes(): Uint8Array {
    return this.#bytes.slice()
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

export const REDACTED = '[redacted]'
