import type { TLSSocket } from 'node:tls'
import { type PinfetchError, type RequestSent, TlsError, TransportError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { isClosed } from './failure.ts'

/** The certificate a client shows and the key it proves to have, as `tls.createSecureContext` takes them; PEM, end entity first. */
export type KeyedCertificate =
  | { readonly cert: string; readonly key: string; readonly passphrase?: string }
  /** The key stays in an OpenSSL engine, such as a PKCS #11 token. */
  | { readonly cert: string; readonly privateKeyEngine: string; readonly privateKeyIdentifier: string }

/** A client certificate that was validated. A renewed one is another object, so that what is kept beside it goes with it. */
export interface ClientIdentity {
  readonly material: KeyedCertificate
  /** RFC 4514 text. */
  readonly subject: string
  /** Hexadecimal, lower case. */
  readonly serial: string
  /** Base64url of the SHA-256 of the certificate (RFC 8705 §3.1): what tokens are bound to. */
  readonly thumbprint: string
  readonly notBefore: UnixMs
  readonly notAfter: UnixMs
}

/** What became of the client's certificate in one handshake. */
export interface Presentation {
  readonly host: string
  /** The server sent a CertificateRequest. */
  readonly asked: boolean
  /** What the connection was set up with; shown only where the server asked. */
  readonly identity: ClientIdentity | undefined
}

/**
 * Whether the server sent a CertificateRequest. Node does not say; but only that message tells OpenSSL's client which signature
 * algorithms the two share. Call in the `OCSPResponse` event, which comes after it under TLS 1.2 and 1.3.
 */
export function hasAskedForCertificate(socket: TLSSocket): boolean {
  return socket.getSharedSigalgs().length > 0
}

/** Keeps what will be needed to say why the peer ended the connection, should it do so. */
export function rememberPresentation(socket: TLSSocket, shown: Presentation): void {
  presentations.set(socket, { shown, failure: undefined })
  socket.prependListener('error', (failure) => {
    const known = presentations.get(socket)
    if (known?.failure === undefined) presentations.set(socket, { shown, failure })
  })
}

/**
 * Why a peer ended a connection before it answered anything, if it was for the client's certificate. A server that refuses it says
 * so with an alert: inside the handshake under TLS 1.2, after it under TLS 1.3, where the client is finished first and the alert is
 * what its first read finds (RFC 8446 §4.4.2.4). Node's own servers just close.
 *
 * @param error What the connection ended with, where it was more than an end.
 */
export function certificateFailure(
  socket: TLSSocket | undefined,
  error: Error | undefined,
  requestSent: RequestSent,
): PinfetchError | undefined {
  const known = socket === undefined ? undefined : presentations.get(socket)
  if (known === undefined || (error !== undefined && !isClosed(error))) return undefined
  const failure = known.failure ?? error
  const refusal = refusedByAlert(failure, known.shown, requestSent)
  if (refusal !== undefined || !known.shown.asked || alertOf(failure) !== undefined) return refusal
  return closedAfterAsking(failure, known.shown, requestSent)
}

function refusedByAlert(
  cause: Error | undefined,
  { host, asked, identity }: Presentation,
  requestSent: RequestSent,
): TlsError | undefined {
  const alert = alertOf(cause)
  const name = alert === undefined ? undefined : ABOUT_CERTIFICATES[alert]
  if (name === undefined || (alert !== CERTIFICATE_REQUIRED && !asked)) return undefined
  const details = { host, cause, requestSent } as const
  const said = `${host}: the server answered with the TLS alert ${name} (${alert})`
  if (identity === undefined) {
    const message = `${said}: it demands a client certificate, and the option \`certificate\` gives none`
    return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', message, details)
  }
  const whose = `certificate ${identity.serial} of ${identity.subject}`
  if (alert === CERTIFICATE_REQUIRED) {
    const message = `${said}: ${whose} was not sent, since its key fits no signature algorithm that the server takes`
    return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', message, details)
  }
  const until = new Date(identity.notAfter).toISOString()
  const message = `${said} to ${whose}, valid until ${until}; ${ADVICE[alert ?? 0] ?? 'the server’s log says why'}`
  return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REJECTED', message, details)
}

/** Where there was nothing to show, that is what the peer closed for; otherwise it is one possible reason. */
function closedAfterAsking(
  cause: Error | undefined,
  { host, identity }: Presentation,
  requestSent: RequestSent,
): PinfetchError {
  const details = { host, cause, requestSent } as const
  const said = `${host}: the peer asked for a client certificate and closed the connection without an answer`
  if (identity === undefined) {
    const message = `${said}; the option \`certificate\` gives none`
    return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', message, details)
  }
  const message = `${said}; perhaps it refuses certificate ${identity.serial} of ${identity.subject}`
  return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
}

/** OpenSSL's code for a received alert differs between its releases; the number is in the message of all of them. */
function alertOf(error: unknown): number | undefined {
  const [, number] = (error instanceof Error ? /SSL alert number (\d{1,3})$/.exec(error.message.trim()) : null) ?? []
  return number === undefined ? undefined : Number(number)
}

const presentations = new WeakMap<TLSSocket, { readonly shown: Presentation; readonly failure: Error | undefined }>()

const CERTIFICATE_REQUIRED = 116

/** RFC 8446 §6.2. From a server they can only be about the client's; the first is what TLS 1.2 has for a missing one. */
const ABOUT_CERTIFICATES: Readonly<Record<number, string>> = {
  40: 'handshake_failure',
  42: 'bad_certificate',
  43: 'unsupported_certificate',
  44: 'certificate_revoked',
  45: 'certificate_expired',
  46: 'certificate_unknown',
  48: 'unknown_ca',
  49: 'access_denied',
  51: 'decrypt_error',
  [CERTIFICATE_REQUIRED]: 'certificate_required',
}

const ADVICE: Readonly<Record<number, string>> = {
  43: 'ask its operator which keys and usages it takes',
  44: 'the CA revoked it: get another one',
  45: 'renew it, or correct the clock of the server',
  48: 'the server does not know the CA, or intermediates are missing after the end entity in `certificate.cert`',
  49: 'the server knows it and grants it nothing',
}
