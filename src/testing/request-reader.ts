/** One HTTP/1.1 request as a server of this kit reads it; nothing checks that it is a good one. */
export interface ReadRequest {
  readonly method: string
  readonly path: string
  /** Lower-case names; the last of several wins. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** The first request of these bytes and how many of them it takes; `undefined` while it is not whole. */
export function readRequest(bytes: Buffer): { readonly request: ReadRequest; readonly length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [requestLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const [method = '', path = ''] = requestLine.split(' ')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const start = headEnd + 4
  const rest =
    headers['transfer-encoding'] === undefined
      ? readLength(bytes, start, Number(headers['content-length'] ?? 0))
      : readChunks(bytes, start)
  if (rest === undefined) return undefined
  return { request: { method, path, headers, body: new Uint8Array(rest.body) }, length: rest.end }
}

interface Body {
  readonly body: Buffer
  readonly end: number
}

function readLength(bytes: Buffer, start: number, length: number): Body | undefined {
  const end = start + length
  return bytes.length < end ? undefined : { body: bytes.subarray(start, end), end }
}

/** RFC 9112 §7.1, without trailers. */
function readChunks(bytes: Buffer, start: number): Body | undefined {
  const chunks: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + size + 2
    if (Number.isNaN(size) || bytes.length < end) return undefined
    if (size === 0) return { body: Buffer.concat(chunks), end }
    chunks.push(bytes.subarray(lineEnd + 2, end - 2))
    at = end
  }
}
