import {
  ConfigurationError,
  PinfetchError,
  PolicyError,
  type RequestSent,
  TlsError,
  TransportError,
  TrustError,
} from '../errors/errors.ts'
import type { Limits } from './limits.ts'

/** What a failed connection attempt was, in our words. Nothing of the request had left. */
export function connectFailure(error: unknown, host: string): PinfetchError {
  if (error instanceof PinfetchError) return error
  const code = codeOf(error)
  const details = { cause: error, requestSent: 'no', host } as const
  if (code.startsWith('EAI_') || code === 'ENOTFOUND' || code === 'ENODATA') {
    return new TransportError('ERR_TRANSPORT_RESOLVE', `${host}: the name did not resolve (${code})`, details)
  }
  if (code.includes('NO_APPLICATION_PROTOCOL')) {
    const message = `${host}: the server speaks none of the versions of HTTP that were offered (${code})`
    return new TlsError('ERR_TLS_ALPN', message, details)
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION/.test(code)) {
    const message = `${host}: the server speaks no version of TLS that the policy allows (${code})`
    return new TlsError('ERR_TLS_VERSION', message, details)
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

/** What is known of an exchange that failed. */
export interface Facts {
  readonly host: string
  readonly sent: RequestSent
  readonly limits: Limits
  /** What came of another attempt, where that says more than undici's own error. */
  readonly cause?: Error
}

/** The peer says that it did nothing for the request, so that any may be sent again: RFC 9113 §8.7. */
export class Unprocessed extends Error {}

/** What a request that was given to undici failed of. Its complaints about a wrong argument come back as they are. */
export function responseFailure(error: Error, facts: Facts): Error {
  const { host, sent, cause = error } = facts
  const details = { cause, requestSent: sent, host }
  const code = codeOf(error)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return headersTooLarge(facts, error)
  if (error.name === 'HTTPParserError' || isRefusedByUndici(error)) {
    Reflect.deleteProperty(error, 'data') // bytes of the answer, which may repeat a credential of the request
    const message = `${host}: the peer answered with bytes that are not HTTP/1.1 (${error.message})`
    return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { ...details, requestSent: 'yes' })
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    const message = `${host}: the response's Content-Length is given twice, or is not the length of its body`
    return new TransportError('ERR_TRANSPORT_PROTOCOL', message, { ...details, requestSent: 'yes' })
  }
  if (error instanceof Unprocessed) {
    const message = `${host}: the peer did not take the request up (GOAWAY, or RST_STREAM REFUSED_STREAM)`
    return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
  }
  if (!isClosed(error)) return error
  const message = `${host}: the peer closed the connection before the response was complete (${code})`
  return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
}

/** The connection ended, and said nothing wrong before. */
export function isClosed(error: Error): boolean {
  const code = codeOf(error)
  return (CLOSED.has(code) || code.startsWith('ERR_SSL_')) && !isRefusedByUndici(error)
}

export function headersTooLarge({ host, limits }: Facts, cause?: Error): TransportError {
  const message = `${host}: expected at most ${limits.headerBytes} bytes of header fields (limits.headerBytes), the server sent more`
  return new TransportError('ERR_TRANSPORT_HEADERS_TOO_LARGE', message, { cause, requestSent: 'yes', host })
}

/**
 * A second attempt ended before it began. A refusal says so by its own code, since somebody may be in the middle, and a fault
 * of the network by that of the first attempt; `lost`, which may have arrived, is in the cause of either.
 */
export function afterLost(error: Error, lost: (cause?: Error) => Error): Error {
  const isRefusal = error instanceof TrustError || error instanceof TlsError || error instanceof PolicyError
  if (!isRefusal) return lost(error)
  const message = `${error.message}\n  before, a kept connection closed with this request on its way, which may have arrived`
  const details = { ...error, cause: lost(), requestSent: 'maybe' } as const
  if (error instanceof TrustError) return new TrustError(error.code, message, details)
  return error instanceof TlsError
    ? new TlsError(error.code, message, details)
    : new PolicyError(error.code, message, details)
}

export function clientClosed(host: string, requestSent: RequestSent, cause?: unknown): TransportError {
  return new TransportError('ERR_TRANSPORT_CLIENT_CLOSED', `${host}: the client was closed`, {
    host,
    requestSent,
    cause,
  })
}

/**
 * What a rejected fetch or dispatch was. Errors that describe a wrong argument (`invalid header`, `body already used`) and
 * the caller's own abort reason come back as they are, since WHATWG fetch promises them.
 */
export function requestFailure(error: unknown, host: string): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < MAX_CAUSES; at = at.cause, depth++) {
    if (at instanceof PinfetchError) return at
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

/** undici's word for a response of status 100, and for a change of protocol, that nobody asked for. */
function isRefusedByUndici({ message }: Error): boolean {
  return message === 'bad response' || message === 'bad upgrade'
}

const CLOSED: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'])
const MAX_CAUSES = 8 // undici nests two or three
