import { Readable } from 'node:stream'
import { ConfigurationError, TransportError } from '../errors/errors.ts'

/** What a body is read from: `createReadStream(path)`, an async generator, a stream of the web. */
export type BodySource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * A streamed body that can be sent more than once: `fetch(url, { method: 'PUT', body: replayable(() => createReadStream(path)) })`.
 * A stream by itself can be read only once, so a request that has it is not sent again after a 401 or by a redirect.
 *
 * @param open Called once for each sending, before anything of the request leaves. It gives the same bytes each time, in a
 *   stream that nobody has read; one that is not read to its end is cancelled. What it throws is the cause of
 *   `ERR_TRANSPORT_BODY_UNAVAILABLE`.
 * @returns a body for `init.body`, also of several calls; `duplex` need not be given. Under another fetch it is a stream like any
 *   other, opened when it is read.
 */
export function replayable(open: () => BodySource): ReadableStream<Uint8Array> {
  if (typeof open !== 'function') {
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'replayable: expected a function that opens a stream')
  }
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        reader ??= streamFrom(open).getReader()
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  openers.set(body, open)
  return body
}

export function isReplayable(body: unknown): boolean {
  return typeof body === 'object' && body !== null && openers.has(body)
}

/**
 * A stream for one sending; `undefined` for a body that `replayable` did not make.
 *
 * @throws TransportError `ERR_TRANSPORT_BODY_UNAVAILABLE`
 */
export function openedAnew(body: unknown, host: string): ReadableStream<Uint8Array> | undefined {
  const open = typeof body === 'object' && body !== null ? openers.get(body) : undefined
  return open && streamFrom(open, host)
}

function streamFrom(open: () => unknown, host?: string): ReadableStream<Uint8Array> {
  const unavailable = (problem: string, cause?: unknown): TransportError => {
    const message = `${host ?? 'replayable'}: the body was not sent: ${problem}`
    const details = {
      requestSent: 'no',
      ...(host !== undefined && { host }),
      ...(cause !== undefined && { cause }),
    } as const
    return new TransportError('ERR_TRANSPORT_BODY_UNAVAILABLE', message, details)
  }
  let source: unknown
  try {
    source = open()
  } catch (error) {
    throw unavailable('the function that opens it threw', error)
  }
  if (source instanceof ReadableStream) {
    if (!source.locked && !Readable.isDisturbed(source as never)) return source
    throw unavailable('expected a stream that nobody has read from the function that opens it, got one that was read')
  }
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source)
    return streamOf(source as AsyncIterable<Uint8Array>)
  throw unavailable('expected a stream or an async iterable from the function that opens it, got neither')
}

/** Of an iterable that nobody has begun. */
export function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      pull: async (controller) => {
        const { done, value } = await iterator.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      cancel: async (reason) => {
        if (source instanceof Readable) source.destroy() // its iterator would wait for what it was asked before
        await iterator.return?.(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

const openers = new WeakMap<object, () => BodySource>()
