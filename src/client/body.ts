/** What fills a body: where bytes come from, slowed down while nobody reads. */
export interface Flow {
  readonly pause: () => void
  readonly resume: () => void
  /** Nobody wants the rest. */
  readonly cancel: (reason: unknown) => void
}

/** Takes what arrives, in order; after `end` or `fail` nothing more. */
export interface Sink {
  readonly push: (chunk: Uint8Array) => void
  readonly end: () => void
  readonly fail: (error: unknown) => void
}

/**
 * The body of a Response as a byte stream, as fetch hands it over: pulled, never pushed, so that a reader who stops stops the
 * peer; what arrived between two reads is one chunk. An error drops what was not read yet, as the runtime's fetch does.
 */
export class BodyStream implements Sink {
  readonly stream: ReadableStream<Uint8Array>
  readonly #flow: Flow
  readonly #onDone: () => void
  #controller: ReadableByteStreamController | undefined
  #waiting: Uint8Array[] = []
  #size = 0
  #state: 'open' | 'ended' | 'done' = 'open'
  #isWanted = false
  #isPaused = false

  /** @param onDone Called when it is read to the end, cancelled, failed or abandoned. */
  constructor(flow: Flow, onDone: () => void) {
    this.#flow = flow
    this.#onDone = onDone
    this.stream = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller
      },
      pull: () => this.#pull(),
      cancel: (reason) => this.#cancel(reason),
    })
  }

  push(chunk: Uint8Array): void {
    if (this.#state !== 'open' || chunk.length === 0) return
    if (this.#isWanted) {
      this.#isWanted = false
      this.#controller?.enqueue(new Uint8Array(chunk)) // a copy: the stream takes the buffer away from its owner
      return
    }
    this.#waiting.push(chunk)
    this.#size += chunk.length
    if (this.#size < HIGH_WATER_MARK || this.#isPaused) return
    this.#isPaused = true
    this.#flow.pause()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    if (this.#isWanted) this.#close()
  }

  fail(error: unknown): void {
    if (this.#state === 'done') return
    this.#done()
    this.#controller?.error(error)
  }

  abandon(reason: Error): void {
    if (this.#state === 'ended') this.#onDone()
    if (this.#state !== 'open') return
    this.fail(reason)
    this.#flow.cancel(reason)
  }

  #pull(): void {
    if (this.#size > 0) this.#controller?.enqueue(this.#take())
    else if (this.#state === 'ended') this.#close()
    else this.#isWanted = true
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#flow.resume()
  }

  #take(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#size)
    let offset = 0
    for (const chunk of this.#waiting) {
      bytes.set(chunk, offset)
      offset += chunk.length
    }
    this.#waiting = []
    this.#size = 0
    return bytes
  }

  #close(): void {
    this.#done()
    this.#controller?.close()
    this.#controller?.byobRequest?.respond(0) // a reader that brought its own buffer waits for it
  }

  #cancel(reason: unknown): void {
    const isOpen = this.#state === 'open'
    this.#done()
    if (isOpen) this.#flow.cancel(reason)
  }

  #done(): void {
    this.#state = 'done'
    this.#waiting = []
    this.#size = 0
    this.#onDone()
  }
}

const HIGH_WATER_MARK = 65_536 // bytes that wait for a reader before the peer has to; Node's own for streams
