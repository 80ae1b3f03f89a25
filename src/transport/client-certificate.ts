import { type PinfetchError, TlsError, TransportError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'

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
 * A server that refuses the client's certificate says so with an alert: inside the handshake under TLS 1.2, after it under TLS
 * 1.3, where the client is finished first and the alert is what its first read finds (RFC 8446 §4.4.2.4).
 *
 * @returns `undefined` when the error is no such alert.
 */
export function refusedByAlert(error: unknown, shown: Presentation): TlsError | undefined {
  const alert = alertOf(error)
  const name = alert === undefined ? undefined : ABOUT_CERTIFICATES[alert]
  if (name === undefined || (alert !== CERTIFICATE_REQUIRED && !shown.asked)) return undefined
  const { host, identity } = shown
  const details = { host, cause: error, requestSent: 'maybe' } as const
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

/**
 * For a server that asked for a certificate and closed the connection before it answered anything, as Node's own servers do. With
 * nothing to show, that is what it closed for; otherwise it is one possible reason.
 */
export function closedAfterAsking({ host, asked, identity }: Presentation, cause?: unknown): PinfetchError | undefined {
  if (!asked) return undefined
  const details = { host, cause, requestSent: 'maybe' } as const
  const said = `${host}: the peer asked for a client certificate and closed the connection without an answer`
  if (identity === undefined) {
    const message = `${said}; the option \`certificate\` gives none`
    return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', message, details)
  }
  const message = `${said}; perhaps it refuses certificate ${identity.serial} of ${identity.subject}`
  return new TransportError('ERR_TRANSPORT_CLOSED', message, details)
}

/** Remembers what an error of a socket meant: whoever uses the socket gets the error as Node made it. */
export function explain(error: unknown, explanation: PinfetchError): void {
  if (typeof error === 'object' && error !== null) explanations.set(error, explanation)
}

export function explanationOf(error: unknown): PinfetchError | undefined {
  return typeof error === 'object' && error !== null ? explanations.get(error) : undefined
}

/** OpenSSL's code for a received alert differs between its releases; the number is in the message of all of them. */
function alertOf(error: unknown): number | undefined {
  const [, number] = (error instanceof Error ? /SSL alert number (\d{1,3})$/.exec(error.message.trim()) : null) ?? []
  return number === undefined ? undefined : Number(number)
}

const explanations = new WeakMap<object, PinfetchError>()

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
