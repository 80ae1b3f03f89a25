import tls from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { type PinfetchError, TransportError } from '../errors/errors.ts'
import { systemRuntime } from '../ports/system.ts'
import { connectFailure } from '../transport/failure.ts'
import { readPresented } from '../transport/peer.ts'

export interface Probe {
  /** DER, as sent, end entity first. */
  readonly presented: readonly Uint8Array[]
  /** DER of the OCSP response that came with them. */
  readonly staple?: Uint8Array
  readonly protocol: string
  readonly address: string
  /** The handshake was finished, which takes the key of the end entity and not just a copy of its certificate. */
  readonly keyProven: boolean
}

/**
 * Shakes hands with a server to see its certificates, sends nothing afterwards, and trusts nothing: expired, weak and
 * forged ones are looked at as well, since the caller judges them. TLS 1.2 is spoken for the same reason.
 *
 * @throws TransportError or TlsError when no certificate was seen.
 */
export function probe(origin: CanonicalOrigin, options: ProbeOptions = {}): Promise<Probe> {
  const { sni, signal } = options
  return new Promise((resolve, reject) => {
    let presented: readonly Uint8Array[] = []
    let staple: Uint8Array | undefined
    const socket = tls.connect({
      host: origin.host,
      port: origin.port,
      servername: sni ?? (origin.kind === 'dns' ? origin.host : ''), // RFC 6066 §3: no address in SNI
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      requestOCSP: true, // its event is where the certificates can be read whole
      minVersion: 'TLSv1.2',
      ciphers: `${tls.DEFAULT_CIPHERS}:@SECLEVEL=0`, // a weak key is a finding, not a failed handshake
      ALPNProtocols: ['http/1.1'],
    } as tls.ConnectionOptions)

    const end = (): void => {
      cancelTimeout()
      signal?.removeEventListener('abort', onAbort)
    }
    const fail = (error: PinfetchError): void => {
      end()
      socket.destroy()
      reject(error)
    }
    const finish = (keyProven: boolean): void => {
      const { remoteAddress: address = '' } = socket
      const protocol = socket.getProtocol() ?? ''
      end()
      socket.end(() => socket.destroy()) // after our Finished is out: a server need not log a broken handshake
      resolve({ presented, ...(staple === undefined ? {} : { staple }), protocol, address, keyProven })
    }
    const onAbort = (): void => fail(new TransportError('ERR_TRANSPORT_CLOSED', `${origin.text}: interrupted`))
    const cancelTimeout = systemRuntime.schedule(TIMEOUT_MS, () => {
      const message = `${origin.text}: no finished handshake within ${TIMEOUT_MS} ms`
      fail(new TransportError('ERR_TRANSPORT_TIMEOUT', message, { host: origin.text }))
    })
    signal?.addEventListener('abort', onAbort, { once: true })

    socket.on('OCSPResponse', (response: Uint8Array | null) => {
      presented = readPresented(socket).certificates
      staple = response ?? undefined
    })
    socket.once('secureConnect', () => finish(true))
    socket.on('error', (error) => {
      if (presented.length > 0)
        finish(false) // it wanted a client certificate, most likely
      else fail(connectFailure(error, origin.text))
    })
    socket.once('close', () => {
      const message = `${origin.text}: the peer closed the connection before the handshake was complete`
      fail(new TransportError('ERR_TRANSPORT_CLOSED', message, { host: origin.text }))
    })
  })
}

export interface ProbeOptions {
  /** Name in the ClientHello. Default: the host, none for an address. */
  readonly sni?: string | undefined
  readonly signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 10_000
