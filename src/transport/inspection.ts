import type { RawHandler } from './raw-handler.ts'

/** A request as the dispatcher sends it. */
export interface SentRequest {
  readonly method: string
  /** Canonical: host, and the port where it is not 443. */
  readonly authority: string
  /** The request target. */
  readonly path: string
  /** Name, value, name, value; without Host, which is the authority. */
  readonly headers: readonly string[]
}

/** A final response as it arrived: nothing joined, nothing decoded. */
export interface ReceivedHead {
  readonly status: number
  /** Names and values in turn. */
  readonly fields: readonly Buffer[]
}

/** Looks at the response to a request before anybody else does. */
export type Inspect = (request: SentRequest) => Inspection

export interface Inspection {
  /**
   * `hold`: nothing is handed over before all of it was judged. `stream`: the body is handed over as it arrives once the head was
   * judged, and fails at its end where that is wrong.
   *
   * @throws what the call is rejected with, as the others do.
   */
  readonly begin: (head: ReceivedHead) => 'pass' | 'hold' | 'stream'
  /** So many bytes of the body are held. */
  readonly hold: (bytes: number) => void
  /** @param trailers Only of a response that is held. */
  readonly judge: (head: ReceivedHead, trailers: readonly Buffer[]) => Promise<BodyCheck>
}

/** Sees the bytes of a body as they arrived. */
export interface BodyCheck {
  readonly update: (chunk: Uint8Array) => void
  readonly end: () => void
}

/**
 * A handler that gets a response only as far as an inspection lets it. Interim responses, which nobody answers for, do not reach
 * it. A response that is refused before its end takes its exchange along, so that what follows on the connection is no one's.
 */
export class InspectedHandler implements RawHandler {
  readonly #handler: RawHandler
  readonly #inspection: Inspection
  #state: 'waiting' | 'holding' | 'judging' | 'passing' | 'refused' | 'over' = 'waiting'
  /** Ends the exchange. */
  #abort: (reason?: Error) => void = () => undefined
  #held: Buffer[] = []
  #heldBytes = 0
  /** Of a response that is passed on while it arrives. */
  #check: BodyCheck | undefined
  #head: HeldHead | undefined
  /** There once all of it arrived: the exchange is over then. */
  #trailers: Buffer[] | undefined

  constructor(handler: RawHandler, inspection: Inspection) {
    this.#handler = handler
    this.#inspection = inspection
  }

  onConnect(abort: (reason?: Error) => void, context?: unknown): void {
    this.#abort = abort
    this.#handler.onConnect((reason) => this.#end(reason), context)
  }

  onBodySent(chunk: Uint8Array | string): void {
    this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.()
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onHeaders(status: number, fields: Buffer[], resume: () => void, statusText: string): boolean {
    if (status < 200 || this.#state !== 'waiting') return true
    const head = { status, fields, resume, statusText }
    try {
      this.#state = STATES[this.#inspection.begin(head)]
    } catch (error) {
      this.#end(error)
      return true
    }
    if (this.#state === 'passing') return this.#handler.onHeaders(status, fields, resume, statusText)
    this.#head = head
    if (this.#state === 'holding') return true
    void this.#judge(head)
    return false
  }

  onData(chunk: Buffer): boolean {
    if (this.#state === 'passing') {
      this.#check?.update(chunk)
      return this.#handler.onData(chunk)
    }
    if (this.#state === 'holding' || this.#state === 'judging') this.#hold(chunk)
    return true
  }

  onComplete(trailers: Buffer[]): void {
    this.#trailers = trailers
    if (this.#state === 'passing') this.#complete(trailers)
    else if (this.#state === 'holding' && this.#head !== undefined) void this.#judge(this.#head, trailers)
  }

  onError(error: Error): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#held = []
    this.#handler.onError(error)
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    try {
      this.#inspection.hold(this.#heldBytes)
    } catch (error) {
      this.#end(error)
    }
  }

  /** @param trailers Of a response that is held, all of which is there. */
  async #judge(head: HeldHead, trailers?: readonly Buffer[]): Promise<void> {
    try {
      const check = await this.#inspection.judge(head, trailers ?? [])
      if (trailers === undefined) this.#check = check
      else {
        for (const chunk of this.#held) check.update(chunk)
        check.end()
      }
      if (this.#state !== 'over' && this.#state !== 'refused') this.#handOver(head)
    } catch (error) {
      this.#end(error)
    }
  }

  #handOver({ status, fields, resume, statusText }: HeldHead): void {
    this.#state = 'passing'
    let flows = this.#handler.onHeaders(status, [...fields], resume, statusText)
    for (const chunk of this.#held.splice(0)) flows = this.onData(chunk) && flows
    if (this.#trailers !== undefined) this.#complete(this.#trailers)
    else if (flows) resume()
  }

  #complete(trailers: Buffer[]): void {
    if (this.#state !== 'passing') return // the caller had enough while it was handed over
    try {
      this.#check?.end()
    } catch (error) {
      this.#end(error)
      return
    }
    this.#state = 'over'
    this.#handler.onComplete(trailers)
  }

  /** By us, or by the caller: what is still to come of the response is of no use. */
  #end(reason: unknown): void {
    if (this.#state === 'over' || this.#state === 'refused') return
    const error = reason instanceof Error ? reason : new Error('aborted', { cause: reason })
    if (this.#trailers !== undefined)
      this.onError(error) // the exchange would not tell any longer
    else {
      this.#state = 'refused'
      this.#abort(error)
    }
  }
}

interface HeldHead extends ReceivedHead {
  readonly resume: () => void
  readonly statusText: string
}

const STATES = { pass: 'passing', hold: 'holding', stream: 'judging' } as const
