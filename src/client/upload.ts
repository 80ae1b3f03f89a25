import { Readable } from 'node:stream'
import { sourceFailure } from './body-failure.ts'
import { streamOf } from './replayable.ts'

export interface Upload {
  readonly body: ReadableStream
  /** Tells the source that nobody wants the rest. The connection ends with the answer, since the request did not. */
  readonly abandon: (reason: unknown) => void
}

/**
 * A stream that can be given up while it is sent: a server that answers before it has read everything leaves the runtime's fetch
 * waiting on the source, which would hold its file or its socket for good. What was given up does not end for the server: half
 * of a body must not look like all of it.
 *
 * @returns `undefined` for what is no stream, and for one that fetch refuses.
 */
export function uploadOf(given: RequestInit['body'], host: string): Upload | undefined {
  const source = unread(given)
  if (source === undefined) return undefined
  let reader: ReadableStreamDefaultReader | undefined
  let isAbandoned = false
  const body = new ReadableStream(
    {
      pull: async (controller) => {
        if (isAbandoned) return never()
        reader ??= source.getReader()
        const { done, value } = await reader.read().catch((error: unknown) => {
          throw sourceFailure(error, host, 'maybe')
        })
        if (isAbandoned) return never()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => (reader ?? source).cancel(reason),
    },
    { highWaterMark: 0 },
  )
  const abandon = (reason: unknown): void => {
    isAbandoned = true
    ;(reader ?? source).cancel(reason).catch(() => undefined)
  }
  return { body, abandon }
}

function unread(given: RequestInit['body']): ReadableStream | undefined {
  if (typeof given !== 'object' || given === null || Readable.isDisturbed(given as never)) return undefined
  if (given instanceof ReadableStream) return given.locked ? undefined : given
  return Symbol.asyncIterator in given ? streamOf(given as AsyncIterable<Uint8Array>) : undefined
}

/** Gives up what is still to be sent of the request that was answered so. */
export function abandonUpload(response: Response, reason: unknown): void {
  uploads.get(response)?.abandon(reason)
}

/** Remembers what a request is being sent from. */
export function noteUpload(response: Response, upload: Upload | undefined): Response {
  if (upload !== undefined) uploads.set(response, upload)
  return response
}

const uploads = new WeakMap<Response, Upload>()
const never = (): Promise<void> => new Promise(() => undefined)
