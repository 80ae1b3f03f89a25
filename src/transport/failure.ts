import { ConfigurationError, PinfetchError, type RequestSent, TlsError, TransportError } from '../errors/errors.ts'

/** What a failed connection attempt was, in our words. Nothing of the request had left. */
export function connectFailure(error: unknown, host: string): PinfetchError {
  if (error instanceof PinfetchError) return error
  const code = codeOf(error)
  const details = { cause: error, requestSent: 'no', host } as const
  if (code.startsWith('EAI_') || code === 'ENOTFOUND' || code === 'ENODATA') {
    return new TransportError('ERR_TRANSPORT_RESOLVE', `${host}: the name did not resolve (${code})`, details)
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return new TlsError('ERR_TLS_HANDSHAKE', `${host}: the TLS handshake failed (${code})`, details)
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    const message = `${host}: the peer closed the connection before the handshake was complete (${code})`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
  }
  return new TransportError('ERR_TRANSPORT_CONNECT', `${host}: no connection (${code || 'unknown cause'})`, details)
}

/**
 * What a rejected fetch or dispatch was. Errors that describe a wrong argument (`invalid header`, `body already used`) and
 * the caller's own abort reason come back as they are, since WHATWG fetch promises them.
 */
export function requestFailure(error: unknown, host: string): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < MAX_CAUSES; at = at.cause, depth++) {
    if (at instanceof PinfetchError) return at
    const known = at.name === 'HTTPParserError' ? NOT_HTTP : UNDICI[codeOf(at)]
    if (known === undefined) continue
    const details = { cause: at, requestSent: known.sent, host }
    return new TransportError(known.code, `${host}: ${known.about}`, details)
  }
  if (!(error instanceof TypeError) || error.message !== 'fetch failed') return error
  if (error.cause instanceof Error && error.cause.message === 'bad port') {
    const message = `${host}: the port is one that fetch blocks (WHATWG Fetch, port blocking)`
    return new ConfigurationError('ERR_CONFIG_URL', message, { cause: error.cause, host })
  }
  const details = { cause: error.cause ?? error, requestSent: 'maybe', host } as const
  return new TransportError('ERR_TRANSPORT_CLOSED', `${host}: the exchange failed (${codeOf(error.cause)})`, details)
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') return code
  return error instanceof AggregateError ? codeOf(error.errors[0]) : ''
}

type Known = { readonly code: TransportError['code']; readonly sent: RequestSent; readonly about: string }

const CLOSED: Known = {
  code: 'ERR_TRANSPORT_CLOSED',
  sent: 'maybe',
  about: 'the peer closed the connection before the response was complete',
}
const NOT_HTTP: Known = {
  code: 'ERR_TRANSPORT_PROTOCOL',
  sent: 'yes',
  about: 'the peer answered with bytes that are not HTTP/1.1',
}
const NO_HEADERS: Known = {
  code: 'ERR_TRANSPORT_TIMEOUT',
  sent: 'yes',
  about: 'the response headers did not arrive in time',
}
const NO_BODY: Known = {
  code: 'ERR_TRANSPORT_TIMEOUT',
  sent: 'yes',
  about: 'the response body paused for too long',
}
const CLIENT_CLOSED: Known = { code: 'ERR_TRANSPORT_CLIENT_CLOSED', sent: 'no', about: 'the client was closed' }

const UNDICI: Readonly<Record<string, Known | undefined>> = {
  UND_ERR_SOCKET: CLOSED,
  ECONNRESET: CLOSED,
  EPIPE: CLOSED,
  UND_ERR_HEADERS_TIMEOUT: NO_HEADERS,
  UND_ERR_BODY_TIMEOUT: NO_BODY,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: NOT_HTTP,
  UND_ERR_CLOSED: CLIENT_CLOSED,
  UND_ERR_DESTROYED: CLIENT_CLOSED,
}
const MAX_CAUSES = 8 // undici nests two or three
