import { Readable } from 'node:stream'

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
 * The body of a Response: a byte stream, as fetch hands it over, or all of it at once for who asks for no stream, which costs a
 * quarter. Pulled, never pushed, so that a reader who stops stops the peer; what arrived between two reads is one chunk. An error
 * drops what was not read yet, as the runtime's fetch does.
 */
export class BodyStream implements Sink {
  readonly #flow: Flow
  readonly #onDone: () => void
  #stream: ReadableStream<Uint8Array> | undefined
  #controller: ReadableByteStreamController | undefined
  #whole: { readonly resolve: (bytes: Bytes) => void; readonly reject: (error: unknown) => void } | undefined
  #waiting: Uint8Array[] = []
  #size = 0
  #state: 'open' | 'ended' | 'done' = 'open'
  #failure: { readonly error: unknown } | undefined
  #isWanted = false
  #isPaused = false

  /** @param onDone Called when it is read to the end, cancelled, failed or abandoned. */
  constructor(flow: Flow, onDone: () => void) {
    this.#flow = flow
    this.#onDone = onDone
  }

  get stream(): ReadableStream<Uint8Array> {
    this.#stream ??= this.#whole === undefined ? this.#open() : usedUp()
    return this.#stream
  }

  get isLocked(): boolean {
    return this.#whole !== undefined || this.#stream?.locked === true
  }

  get isDisturbed(): boolean {
    return this.#whole !== undefined || (this.#stream !== undefined && isDisturbed(this.#stream))
  }

  isBegun(): boolean {
    return this.isLocked || this.isDisturbed
  }

  /** All of it, in place of the stream; `undefined` where somebody has that, or all of it was asked for before. */
  whole(): Promise<Bytes> | undefined {
    if (this.#stream !== undefined || this.#whole !== undefined) return undefined
    return new Promise((resolve, reject) => {
      this.#whole = { resolve, reject }
      if (this.#failure !== undefined) reject(this.#failure.error)
      else if (this.#state === 'ended') this.#close()
      else this.#resume()
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
    if (this.#size < HIGH_WATER_MARK || this.#isPaused || this.#whole !== undefined) return
    this.#isPaused = true
    this.#flow.pause()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    if (this.#isWanted || this.#whole !== undefined) this.#close()
  }

  fail(error: unknown): void {
    if (this.#state === 'done') return
    this.#failure = { error }
    this.#done()
    this.#controller?.error(error)
    this.#whole?.reject(error)
  }

  abandon(reason: Error): void {
    if (this.#state === 'ended') this.#onDone()
    if (this.#state !== 'open') return
    this.fail(reason)
    this.#flow.cancel(reason)
  }

  #open(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller
        if (this.#failure !== undefined) controller.error(this.#failure.error)
      },
      pull: () => this.#pull(),
      cancel: (reason) => this.#cancel(reason),
    })
  }

  #pull(): void {
    if (this.#size > 0) this.#controller?.enqueue(this.#take())
    else if (this.#state === 'ended') this.#close()
    else this.#isWanted = true
    this.#resume()
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#flow.resume()
  }

  #take(): Bytes {
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
    this.#whole?.resolve(this.#take())
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

export function isDisturbed(stream: ReadableStream): boolean {
  return Readable.isDisturbed(stream as unknown as Readable)
}

/** As the runtime leaves the stream of a body that `text()` has read. */
function usedUp(): ReadableStream<Uint8Array> {
  const stream: ReadableStream<Uint8Array> = new ReadableStream({
    type: 'bytes',
    start: (controller) => controller.close(),
  })
  void stream.getReader().read()
  return stream
}

export type Bytes = Uint8Array<ArrayBuffer>

const HIGH_WATER_MARK = 65_536 // bytes that wait for a reader before the peer has to; Node's own for streams
