import type { Dispatcher } from 'undici'

/**
 * What the exchanges of one call share, where it takes several: `timeouts.totalMs` counts from the first of them, and what any
 * of them moved lengthens it.
 */
export interface CallTime {
  /** Monotonic; the first exchange sets it. */
  startedAt: number | undefined
  /** Bytes of bodies. */
  moved: number
  /**
   * Of the client certificate that the credential of the next exchange is bound to (RFC 8705 §3.1): it gets no connection that was
   * made with another.
   */
  boundTo?: string | undefined
  /** Told of each exchange as it begins; calls what it answered when that is over, body included. */
  onExchange?: (() => () => void) | undefined
  /** Why nothing more of the call may be sent; `undefined` while it may. */
  readonly endedBy?: (() => Error | undefined) | undefined
  /**
   * Looks at the next exchange as it reaches the dispatcher, and answers what is sent.
   *
   * @throws what the call is rejected with; nothing is sent then.
   */
  atDispatch?: ((options: Dispatcher.DispatchOptions) => Dispatcher.DispatchOptions) | undefined
}
