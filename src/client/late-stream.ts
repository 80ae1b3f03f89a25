/** What a stream is made from, and what is known of it before. */
export interface StreamSource {
  /** Made when it is asked for. */
  readonly stream: ReadableStream<Uint8Array>
  readonly isLocked: boolean
  readonly isDisturbed: boolean
}

/**
 * Stands in for a stream until somebody looks into it: most bodies are read whole, and a stream costs more than all else of a
 * small response. It answers itself what the constructor of Response asks; what the runtime keeps of a stream, it keeps in
 * properties with symbols for names, and those are of the stream proper.
 */
export function lateStream(source: StreamSource): ReadableStream<Uint8Array> {
  if (STATE.length === 0) return source.stream // a runtime that keeps it elsewhere
  return new LateStream(source) as unknown as ReadableStream<Uint8Array>
}

/** The stream itself, of what may stand in for one. */
export function streamProper(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return stream instanceof LateStream ? LateStream.proper(stream) : stream
}

/** An instance of the runtime's class, which its constructor never saw. */
function Unmade(): void {}
Unmade.prototype = ReadableStream.prototype
const UnmadeStream = Unmade as unknown as new () => object

const DISTURBED = Symbol.for('nodejs.stream.disturbed')
const STATE: readonly PropertyKey[] = Reflect.ownKeys(new ReadableStream())

class LateStream extends UnmadeStream {
  readonly #source: StreamSource

  constructor(source: StreamSource) {
    super()
    this.#source = source
  }

  static proper(late: LateStream): ReadableStream<Uint8Array> {
    return late.#source.stream
  }

  get locked(): boolean {
    return this.#source.isLocked
  }

  get [DISTURBED](): boolean {
    return this.#source.isDisturbed
  }
}

for (const key of STATE) {
  Object.defineProperty(LateStream.prototype, key, {
    get(this: LateStream): unknown {
      return Reflect.get(LateStream.proper(this), key)
    },
    set(this: LateStream, value: unknown) {
      Reflect.set(LateStream.proper(this), key, value)
    },
  })
}
