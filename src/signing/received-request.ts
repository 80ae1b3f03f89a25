import { VerifyError } from '../errors/errors.ts'
import { type FieldLine, fieldLines, type RequestMessage } from './message.ts'

/** A request as a server of Node has it (`IncomingMessage`, also the one for HTTP/2). */
export interface NodeRequest {
  readonly method?: string | undefined
  /** The request target. */
  readonly url?: string | undefined
  /** Names and values in turn, one line each. */
  readonly rawHeaders: readonly string[]
  readonly rawTrailers?: readonly string[]
}

/** A request as servers with the API of fetch have it (`Request`). */
export interface FetchRequest {
  readonly method: string
  readonly url: string
  readonly headers: Iterable<readonly [string, string]>
}

/**
 * What was received, as a signature covers it.
 *
 * @param origin Under which the service is known, as `https://api.example`: what a client writes into Host, and what a proxy makes of
 *   it, is not the authority that it meant.
 * @throws VerifyError `ERR_VERIFY_MALFORMED` for a fragment: no client sends one (RFC 9110 §7.1), and no component covers it.
 */
export function receivedRequest(request: NodeRequest | FetchRequest, origin: string): RequestMessage {
  if (request.url?.includes('#') === true)
    throw new VerifyError('ERR_VERIFY_MALFORMED', 'request: expected a target without a fragment, saw one')
  if (!('rawHeaders' in request)) {
    const { method, url, headers } = request
    const fields = [...headers].map(([name, value]): FieldLine => [name.toLowerCase(), value])
    return { kind: 'request', method, url: origin + targetOf(url), fields }
  }
  const { method = 'GET', url: target = '/', rawHeaders, rawTrailers = [] } = request
  const message = { kind: 'request', method, fields: ownFields(rawHeaders), trailers: ownFields(rawTrailers) } as const
  if (target.startsWith('/')) return { ...message, url: origin + target }
  return { ...message, url: target === '*' ? origin : origin + targetOf(target), target } // RFC 9112 §3.2.2, §3.2.4
}

/** Path and query of an absolute URL, as they are written. */
function targetOf(url: string): string {
  const rest = url.replace(/^[^/?#]*:\/\/[^/?#]*/, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Without the fields of HTTP/2's own, which are none. */
function ownFields(raw: readonly string[]): FieldLine[] {
  return fieldLines(raw).filter(([name]) => !name.startsWith(':'))
}
