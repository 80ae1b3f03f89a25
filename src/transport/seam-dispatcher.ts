import type { Dispatcher as UndiciDispatcher } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import type { PinnedDispatcher } from './dispatcher.ts'
import { clientClosed } from './failure.ts'
import { rawHandlerOf } from './raw-handler.ts'
import { Dispatcher } from './undici.ts'

/** The type that undici itself asks for. */
export type { UndiciDispatcher }

/** Settles when the policy for the origin can be known; `undefined` when it is known. */
export type Gate = (origin: CanonicalOrigin) => Promise<void> | undefined

/**
 * The dispatcher in other hands: for `undici.request`, `setGlobalDispatcher` and whatever takes a dispatcher. To close it ends what
 * these hands may do, and nothing of the client, whose connections it shares.
 */
export class SeamDispatcher extends Dispatcher {
  readonly #dispatcher: PinnedDispatcher
  readonly #gate: Gate
  #isClosed = false
  #isDestroyed = false

  constructor(dispatcher: PinnedDispatcher, gate: Gate) {
    super()
    this.#dispatcher = dispatcher
    this.#gate = gate
  }

  override dispatch(options: UndiciDispatcher.DispatchOptions, handler: UndiciDispatcher.DispatchHandler): boolean {
    const text = String(options.origin ?? '')
    if (this.#isClosed) throw clientClosed(text, 'no')
    const { method, path, headers, body, query, origin, upgrade, idempotent, blocking, reset, expectContinue } = options
    const known = { method, path, headers, body, query, origin, upgrade, idempotent, blocking, reset, expectContinue }
    const given = known as UndiciDispatcher.DispatchOptions // and no member that our own calls have, whoever names it
    const canonical = URL.canParse(text) ? canonicalOrigin(new URL(text)) : undefined
    const waiting = canonical && this.#gate(canonical)
    if (waiting === undefined) return this.#dispatcher.dispatch(given, handler)
    const fail = (error: Error): void => rawHandlerOf(handler).onError(error)
    const begin = (): void => {
      if (this.#isDestroyed) throw clientClosed(text, 'no')
      this.#dispatcher.dispatch(given, handler)
    }
    waiting.then(begin).catch(fail)
    return true
  }

  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | undefined {
    return this.#end(callback)
  }

  override destroy(error?: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | undefined {
    this.#isDestroyed = true
    return this.#end(typeof first === 'function' ? first : second)
  }

  #end(callback: (() => void) | undefined): Promise<void> | undefined {
    this.#isClosed = true
    if (callback === undefined) return Promise.resolve()
    queueMicrotask(callback)
    return undefined
  }
}
