import { inspect } from 'node:util'
import { KeyError } from '../errors/errors.ts'

/** A secret that shows itself to nobody who does not ask for it by `reveal`: not to a log, a dump or an error report. */
export class Secret {
  readonly #bytes: Uint8Array

  constructor(value: string | Uint8Array) {
    this.#bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value.slice()
  }

  /** @throws KeyError `ERR_KEY_SOURCE_INVALID` for what is no text in UTF-8: replaced characters would make another secret of it. */
  reveal(): string {
    try {
      return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(this.#bytes)
    } catch {
      throw new KeyError('ERR_KEY_SOURCE_INVALID', 'secret: expected text in UTF-8, its bytes are none')
    }
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
