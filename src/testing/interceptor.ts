import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { type TestCa, type TestCertificate, testCa } from './ca.ts'
import { LOOPBACK } from './loopback.ts'
import { startTlsServer, type TlsServerOptions } from './tls-server.ts'

/**
 * A man in the middle as a corporate proxy or a thief runs it: it ends the client's TLS with a certificate minted on the
 * spot for the name the client asked for, passes the plaintext on to the real server over TLS of its own, and keeps a
 * copy. A client that trusts `ca` without pins notices nothing.
 *
 * @param options.target The real server. Its certificate is not looked at.
 * @param options.ca Who mints. Give it to the victim's trust store and the attack is that of a wrongly trusted CA.
 */
export async function startInterceptor(options: InterceptorOptions): Promise<Interceptor> {
  const { target, ca = testCa({ name: 'Interceptor' }), keyType = 'P-256', ...tls } = options
  const minted = new Map<string, TestCertificate>()
  const exchanges: InterceptedConnection[] = []
  const upstreams = new Set<TLSSocket>()

  const mint = (name: string): TestCertificate => {
    const names = isIP(name) === 0 ? { names: [name] } : { ips: [name] }
    const certificate = minted.get(name) ?? ca.issue({ ...names, keyType })
    minted.set(name, certificate)
    return certificate
  }

  const server = await startTlsServer({
    ...tls,
    identity: mint(options.nameWithoutSni ?? LOOPBACK),
    identityFor: mint,
    onSocket: (client, { servername }) => {
      const upstream = connect({
        host: target.host ?? LOOPBACK,
        port: target.port,
        rejectUnauthorized: false,
        servername: servername ?? '',
        ALPNProtocols: ['http/1.1'],
      })
      upstreams.add(upstream)
      const copies = { fromClient: [] as Buffer[], fromServer: [] as Buffer[] }
      exchanges.push({
        servername,
        get fromClient() {
          return Buffer.concat(copies.fromClient).toString('latin1')
        },
        get fromServer() {
          return Buffer.concat(copies.fromServer).toString('latin1')
        },
      })
      client.on('data', (chunk: Buffer) => copies.fromClient.push(chunk))
      upstream.on('data', (chunk: Buffer) => copies.fromServer.push(chunk))
      client.pipe(upstream).pipe(client)
      upstream.on('error', () => client.destroy())
      upstream.once('close', () => upstreams.delete(upstream))
      client.once('close', () => upstream.destroy())
    },
  })

  const close = async (): Promise<void> => {
    for (const upstream of upstreams) upstream.destroy()
    await server.close()
  }
  return {
    port: server.port,
    host: server.host,
    origin: server.origin,
    ca,
    connections: exchanges,
    get plaintext() {
      return exchanges.map(({ fromClient }) => fromClient).join('')
    },
    get applicationBytes() {
      return server.applicationBytes
    },
    get handshakeErrors() {
      return server.handshakeErrors
    },
    get minted() {
      return [...minted.values()]
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Where it forwards to, and which CA it mints with. */
export interface InterceptorOptions
  extends Omit<TlsServerOptions, 'identity' | 'identityFor' | 'handler' | 'onSocket' | 'ocspResponse'> {
  readonly target: { readonly port: number; readonly host?: string }
  /** Default: one of its own. */
  readonly ca?: TestCa
  /** Of the minted certificates. Default P-256. */
  readonly keyType?: TestCertificate['key']['type']
  /** Whom to impersonate towards a client that sends no SNI. Default 127.0.0.1. */
  readonly nameWithoutSni?: string
}

/** A proxy that intercepts TLS, as an attacker's or a company's does, and writes down what it reads. */
export interface Interceptor extends AsyncDisposable {
  readonly port: number
  readonly host: string
  /** `https://localhost:<port>`. */
  readonly origin: string
  readonly ca: TestCa
  /** Finished handshakes with clients, in order, with what was read on them. */
  readonly connections: readonly InterceptedConnection[]
  /** Everything clients sent, decrypted: `includes('authorization: Bearer …')` is a leak. */
  readonly plaintext: string
  /** Decrypted bytes received from clients. */
  readonly applicationBytes: number
  /** Clients that broke the handshake off. */
  readonly handshakeErrors: readonly Error[]
  /** One a name, the one for clients without SNI included. */
  readonly minted: readonly TestCertificate[]
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

/** Octets as Latin-1 text. */
export interface InterceptedConnection {
  readonly servername: string | undefined
  readonly fromClient: string
  readonly fromServer: string
}
