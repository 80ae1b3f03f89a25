/** A header field line: name in lower case, value as it stands between the colon and the end of the line, without CR LF. */
export type FieldLine = readonly [name: string, value: string]

/** What a signature can cover of a request (RFC 9421 §2). */
export interface RequestMessage {
  readonly kind: 'request'
  /** As on the wire. */
  readonly method: string
  /** RFC 9110 §7.1, absolute, without a fragment. A `?` at the end stays: the wire has it, and `URL.search` drops it. */
  readonly url: string
  /** The request target, where it is not path and query of `url`: `*`, or the absolute form that a proxy sees. */
  readonly target?: string
  readonly fields: readonly FieldLine[]
  readonly trailers?: readonly FieldLine[]
}

/** What a signature can cover of a response, and of the request that it answers (RFC 9421 §2.4). */
export interface ResponseMessage {
  readonly kind: 'response'
  readonly status: number
  readonly fields: readonly FieldLine[]
  readonly trailers?: readonly FieldLine[]
  readonly request?: RequestMessage
}

/** What a signature is over. */
export type Message = RequestMessage | ResponseMessage

/** @param raw Names and values in turn, as Node has them. */
export function fieldLines(raw: readonly string[]): FieldLine[] {
  const lines: FieldLine[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) lines.push([String(raw[at]).toLowerCase(), String(raw[at + 1])])
  return lines
}

/** Of an absolute URL, as they stand on the wire; the query without its `?`. */
export function wireParts(url: string): { readonly authority: string; readonly path: string; readonly query: string } {
  const [, authority = '', path = '', query = ''] = url.split(URL_PARTS)
  return { authority, path, query }
}

const URL_PARTS = /^https?:\/\/([^/?#]+)([^?#]*)\??([^#]*)/i
