import type { ErrorCode } from '../../errors/codes.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { PRODUCT } from './record.ts'
import type { Violation } from './reports.ts'

/** What report mode let pass was no error of the network. */
export function isNetworkError(event: HandshakeEvent): event is Violation {
  return event.code !== undefined && (event.outcome === 'refused' || event.outcome === 'failed')
}

/**
 * A report of the Reporting API about a connection that failed, in the words of Network Error Logging. A handshake belongs to no
 * request: the URL is that of the origin, and there is no method.
 *
 * @see https://www.w3.org/TR/network-error-logging/
 */
export function networkErrorReport(event: Violation, now: UnixMs): NetworkErrorReport {
  const { host, at, address, proxy, timings } = event
  const { phase, type } = failureOf(event)
  return {
    type: 'network-error',
    age: Math.max(0, Math.round(now - at)),
    url: `https://${host}/`,
    user_agent: `${PRODUCT.name}/${PRODUCT.version}`,
    body: {
      phase,
      type,
      referrer: '',
      sampling_fraction: 1,
      server_ip: proxy === undefined ? (address ?? '') : '',
      protocol: '',
      method: '',
      request_headers: {},
      response_headers: {},
      status_code: 0,
      elapsed_time: Math.round(timings.totalMs),
    },
  }
}

export interface NetworkErrorReport {
  readonly type: 'network-error'
  /** Milliseconds. */
  readonly age: number
  readonly url: string
  readonly user_agent: string
  readonly body: Readonly<Record<string, unknown>>
}

function failureOf({ code, timings }: Violation): { readonly phase: 'dns' | 'connection'; readonly type: string } {
  const type = TYPES[code]
  if (type !== undefined) return { phase: type.startsWith('dns.') ? 'dns' : 'connection', type }
  if (code === 'ERR_TRANSPORT_TIMEOUT')
    return { phase: 'connection', type: timings.connectMs === undefined ? 'tcp.timed_out' : 'tls.failed' }
  if (code.startsWith('ERR_TRUST_')) return { phase: 'connection', type: 'tls.cert.invalid' }
  return { phase: 'connection', type: timings.connectMs === undefined ? 'tcp.failed' : 'tls.failed' }
}

const TYPES: Partial<Readonly<Record<ErrorCode, string>>> = {
  ERR_TRUST_PIN_MISMATCH: 'tls.cert.pinned_key_not_in_cert_chain',
  ERR_TRUST_PIN_DENIED: 'tls.cert.pinned_key_not_in_cert_chain',
  ERR_TRUST_INTERCEPTION: 'tls.cert.pinned_key_not_in_cert_chain',
  ERR_TRUST_PIN_NONE_ACTIVE: 'tls.cert.pinned_key_not_in_cert_chain',
  ERR_TRUST_NAME_MISMATCH: 'tls.cert.name_invalid',
  ERR_TRUST_CERT_EXPIRED: 'tls.cert.date_invalid',
  ERR_TRUST_CERT_NOT_YET_VALID: 'tls.cert.date_invalid',
  ERR_TRUST_UNKNOWN_ISSUER: 'tls.cert.authority_invalid',
  ERR_TRUST_CA_DISTRUSTED: 'tls.cert.authority_invalid',
  ERR_TRUST_NODE_REFUSED: 'tls.cert.authority_invalid',
  ERR_TRUST_CERT_REVOKED: 'tls.cert.revoked',
  ERR_TLS_VERSION: 'tls.version_or_cipher_mismatch',
  ERR_TLS_CLIENT_CERTIFICATE_REQUIRED: 'tls.bad_client_auth_cert',
  ERR_TLS_CLIENT_CERTIFICATE_REJECTED: 'tls.bad_client_auth_cert',
  ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE: 'tls.bad_client_auth_cert',
  ERR_TLS_HANDSHAKE: 'tls.protocol.error',
  ERR_TLS_ALPN: 'tls.protocol.error',
  ERR_TRANSPORT_RESOLVE: 'dns.name_not_resolved',
  ERR_POLICY_DNS_MISMATCH: 'dns.address_changed',
  ERR_POLICY_ADDRESS_DENIED: 'tcp.address_invalid',
  ERR_TRANSPORT_CONNECT: 'tcp.failed',
  ERR_TRANSPORT_CLOSED: 'tcp.closed',
}
