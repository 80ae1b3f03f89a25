import { Readable } from 'node:stream'

export interface Upload {
  readonly body: ReadableStream
  /** Tells the source that nobody wants the rest. The connection ends with the answer, since the request did not. */
  readonly abandon: (reason: unknown) => void
}

/**
 * A stream that can be given up while it is sent: a server that answers before it has read everything leaves the runtime's fetch
 * waiting on the source, which would hold its file or its socket for good.
 *
 * @returns `undefined` for what is no stream, and for one that fetch refuses.
 */
export function uploadOf(source: RequestInit['body']): Upload | undefined {
  if (!(source instanceof ReadableStream) || source.locked || Readable.isDisturbed(source as never)) return undefined
  const reader = source.getReader()
  const body = new ReadableStream(
    {
      pull: async (controller) => {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return { body, abandon: (reason) => void reader.cancel(reason).catch(() => undefined) }
}
