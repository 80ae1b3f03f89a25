import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'

type Options = Dispatcher.DispatchOptions

/** Whether the same body can be sent twice: what a stream or an iterator gave is gone. */
export function isReplayable(body: Options['body']): boolean {
  return body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array
}

/**
 * A body that comes in one long piece is handed on in short ones, so that the network's pace shows while it is sent. Of one
 * write of many megabytes nothing would be heard until its end, and a peer that reads slowly would look like one that does
 * not read.
 */
export function inPieces(options: Options): Options {
  const { body } = options
  if (body === null || body === undefined) return options
  if (typeof body === 'string' || body instanceof Uint8Array) {
    if (lengthOf(body) === undefined) return options
    return withBody(options, [typeof body === 'string' ? Buffer.from(body) : body])
  }
  if (!(Symbol.asyncIterator in body) || 'pipe' in body) return options // a stream has short ones
  return withBody(options, body as unknown as AsyncIterable<unknown>)
}

/** A stream of Node that fails while a connection is being made has no reader yet: its error would end the process. */
export function holdFailure(body: unknown): void {
  if (body instanceof Readable) body.on('error', () => undefined) // whoever reads it gets it still
}

/** Of a body that is cut, what its header field has to say; undici finds out about the others. */
export function lengthOf(body: Options['body']): number | undefined {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return undefined
  const length = Buffer.byteLength(body)
  return length > PIECE ? length : undefined
}

function withBody(options: Options, chunks: AsyncIterable<unknown> | Iterable<unknown>): Options {
  return { ...options, body: cut(chunks) as unknown as Exclude<Options['body'], undefined> }
}

/** Nobody waits for the source to end where its reader has enough of it: a `return` that never settles would hold the failure back. */
async function* cut(chunks: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<unknown> {
  const source = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
  let isOver = true
  try {
    for (;;) {
      const { done, value: chunk } = await source.next()
      if (done === true) return
      isOver = false
      if (!(chunk instanceof Uint8Array) || chunk.length <= PIECE) yield chunk
      else for (let at = 0; at < chunk.length; at += PIECE) yield chunk.subarray(at, at + PIECE)
      isOver = true
    }
  } finally {
    if (!isOver) {
      Promise.resolve()
        .then(() => source.return?.())
        .catch(() => undefined)
    }
  }
}

const PIECE = 65_536
