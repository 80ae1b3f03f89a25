import { TransportError } from '../errors/errors.ts'
import type { FetchBytes } from '../ports/runtime.ts'
import type { PinnedDispatcher } from './dispatcher.ts'
import { requestFailure } from './failure.ts'

/**
 * GET of a small document, for the manifest and whatever else the library itself needs. No redirect is followed, no
 * compression asked for or undone, and reading stops one byte past `maxBytes`.
 */
export function createFetchBytes(dispatcher: PinnedDispatcher): FetchBytes {
  return async (url, { maxBytes, signal, ifNoneMatch }) => {
    try {
      const { statusCode, headers, body } = await dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: {
          'accept-encoding': 'identity',
          ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
        },
        signal,
      })
      const chunks: Uint8Array[] = []
      let length = 0
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        length += chunk.length
        if (length > maxBytes) throw tooLarge(url, maxBytes) // leaving the loop destroys the connection
        chunks.push(chunk)
      }
      return { status: statusCode, headers: flatten(headers), bytes: new Uint8Array(Buffer.concat(chunks)) }
    } catch (error) {
      throw requestFailure(error, url.host)
    }
  }
}

function tooLarge(url: URL, maxBytes: number): TransportError {
  const message = `${url.host}: the body of ${url.pathname} is longer than ${maxBytes} bytes`
  return new TransportError('ERR_TRANSPORT_BODY_TOO_LARGE', message, { host: url.host, requestSent: 'yes' })
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), [value].flat().join(', ')]],
    ),
  )
}
