import { randomBytes } from 'node:crypto'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureVersion,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { certificatePem, type TestCertificate } from './ca.ts'
import { closeServer, LOOPBACK, listen } from './loopback.ts'

/**
 * An HTTP/1.1 server over TLS on a free loopback port that presents exactly the certificates it is given, in order,
 * forged and expired ones included. It refuses nothing by itself: weak keys are served, clients without a certificate
 * are let in, keep-alive connections stay open until `close`.
 *
 * @throws Error from OpenSSL when the first certificate does not belong to the key.
 */
export async function startTlsServer(options: TlsServerOptions): Promise<TestTlsServer> {
  let identities = identitiesOf(options.identity)
  const { handler = answerOk, onSocket, ocspResponse } = options
  let ticketKeys = options.ticketKeys ?? randomBytes(TICKET_KEYS_OCTETS)
  const { connections, requests, clientCertificates, handshakeErrors } = emptyRecord()
  const sockets = new Set<Socket>()
  const ofSocket = new Map<Socket, TestConnection>()

  const http = createHttpServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    const body: Buffer[] = []
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      const connection = ofSocket.get(request.socket)
      const received: TestRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        body: new Uint8Array(Buffer.concat(body)),
        connection: connection?.number ?? 0,
      }
      requests.push(received)
      handler(received, response, request)
    })
  })
  http.on('clientError', (_error, socket) => socket.destroy())

  const context = (number: number): TlsOptions => {
    const { certificates, key } = identities[number % identities.length] ?? NO_IDENTITY
    return {
      key,
      cert: certificates.join(''),
      ca: [], // Node would load its roots, and OpenSSL would complete the presented list from them
      minVersion: options.minVersion ?? 'TLSv1.2',
      maxVersion: options.maxVersion ?? 'TLSv1.3',
      ciphers: options.ciphers ?? EVERY_CIPHER,
      ...(options.groups === undefined ? {} : { ecdhCurve: options.groups }),
      ...(options.secureOptions === undefined ? {} : { secureOptions: options.secureOptions }),
      ticketKeys,
    }
  }
  const server = createServer({
    ...context(0),
    requestCert: options.requestCert ?? false,
    rejectUnauthorized: false, // what a client presents is recorded, not judged
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
    ...(options.identityFor === undefined
      ? {}
      : {
          SNICallback: (servername: string, done: (error: Error | null, context?: SecureContext) => void) => {
            const { certificates, key } = presented(options.identityFor?.(servername) ?? NO_IDENTITY)
            done(null, createSecureContext({ ...context(0), cert: certificates.join(''), key }))
          },
        }),
  })

  let accepted = 0
  // Before Node's own listener, which takes the context in force at that moment for the connection.
  server.prependListener('connection', (socket: Socket) => {
    if (accepted > 0 && identities.length > 1) server.setSecureContext(context(accepted))
    accepted += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', (socket) => {
    const connection = describe(socket, connections.length)
    connections.push(connection)
    clientCertificates.push(...connection.clientCertificates)
    ofSocket.set(socket, connection)
    socket.on('error', () => socket.destroy()) // a client that leaves is no fault of the server
    if (onSocket === undefined) http.emit('connection', socket)
    else onSocket(socket, connection)
  })
  server.on('tlsClientError', (error, socket) => {
    handshakeErrors.push(error)
    // A handshake that breaks off late may have shown the client's certificate all the same.
    clientCertificates.push(...peerCertificates(socket))
  })
  if (ocspResponse !== undefined) {
    server.on('OCSPRequest', (_certificate, _issuer, done) => done(null, Buffer.from(ocspResponse)))
  }

  const port = await listen(server)
  const close = (): Promise<void> => closeServer(server, sockets)
  return {
    port,
    host: LOOPBACK,
    origin: `https://localhost:${port}`,
    connections,
    requests,
    clientCertificates,
    handshakeErrors,
    get accepted() {
      return accepted
    },
    get applicationBytes() {
      return connections.reduce((sum, connection) => sum + connection.applicationBytes, 0)
    },
    get sessionsReused() {
      return connections.filter(({ resumed }) => resumed).length
    },
    setIdentity: (identity) => {
      identities = identitiesOf(identity)
      ticketKeys = options.ticketKeys ?? randomBytes(TICKET_KEYS_OCTETS)
      server.setSecureContext(context(accepted))
    },
    destroyConnections: () => {
      for (const socket of sockets) socket.destroy()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What the server presents, accepts and answers. */
export interface TlsServerOptions {
  /** What it presents. Several take turns, one a connection, as behind a load balancer with RSA and ECDSA servers. */
  readonly identity: ServerIdentity | readonly ServerIdentity[]
  /** Another identity for a name in the ClientHello (SNI); without SNI, `identity` is presented. */
  readonly identityFor?: (servername: string) => ServerIdentity
  /** Default TLSv1.2. */
  readonly minVersion?: SecureVersion
  /** Default TLSv1.3. */
  readonly maxVersion?: SecureVersion
  /** OpenSSL's notation. Default: everything, keys and signatures of any weakness included. */
  readonly ciphers?: string
  /** Key exchange groups, separated by colons. One that the client sent no share for makes it say hello twice. */
  readonly groups?: string
  /** `SSL_OP_…` flags of `node:crypto` constants. */
  readonly secureOptions?: number
  readonly alpn?: readonly string[]
  /** Asks for a client certificate. None, and any, is accepted. Default false. */
  readonly requestCert?: boolean
  /** DER OCSPResponse stapled for clients that ask; nothing checks that it fits. */
  readonly ocspResponse?: Uint8Array
  /**
   * 48 bytes, kept over `setIdentity`; servers that share them resume each other's sessions, whatever they present. Default:
   * random ones, and others with every `setIdentity`, as a server that was restarted with another certificate has.
   */
  readonly ticketKeys?: Buffer
  /** Called with the whole request. Default: 200 and `ok`. */
  readonly handler?: TestHandler
  /** Takes the place of HTTP: what to do with a connection whose handshake is finished. */
  readonly onSocket?: (socket: TLSSocket, connection: TestConnection) => void
}

/** A certificate of the test CA with its chain, or any list of certificates (DER or PEM) with the key of the first. */
export type ServerIdentity =
  | TestCertificate
  | { readonly certificates: readonly (Uint8Array | string)[]; readonly key: string }

/** Answers a request of a test server. */
export type TestHandler = (request: TestRequest, response: ServerResponse, message: IncomingMessage) => void

/** A request as a test server read it. */
export interface TestRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
  /** Index into `connections`. */
  readonly connection: number
}

/** One finished handshake, from the server's side. */
export interface TestConnection {
  /** Index into `connections`. */
  readonly number: number
  readonly protocol: string
  /** SNI of the client; `undefined` without one. */
  readonly servername: string | undefined
  readonly alpn: string | undefined
  readonly resumed: boolean
  /** DER. */
  readonly clientCertificates: readonly Uint8Array[]
  /** Decrypted bytes received so far. */
  readonly applicationBytes: number
  readonly socket: TLSSocket
}

/** A TLS server on loopback that presents what it is told, and writes down what it saw. */
export interface TestTlsServer extends AsyncDisposable {
  readonly port: number
  /** Address it listens on. */
  readonly host: string
  /** `https://localhost:<port>`. */
  readonly origin: string
  /** Finished handshakes, in order. */
  readonly connections: readonly TestConnection[]
  readonly requests: readonly TestRequest[]
  /** DER of every client certificate seen, also in handshakes that did not finish. */
  readonly clientCertificates: readonly Uint8Array[]
  /** Handshakes that did not finish. */
  readonly handshakeErrors: readonly Error[]
  /** TCP connections. */
  readonly accepted: number
  /** Decrypted bytes received over all connections. */
  readonly applicationBytes: number
  readonly sessionsReused: number
  /** For connections to come; those that are open stay as they are. */
  readonly setIdentity: (identity: ServerIdentity | readonly ServerIdentity[]) => void
  /** Cuts every open connection, as a restart would; the server goes on listening. */
  readonly destroyConnections: () => void
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

function emptyRecord(): {
  connections: TestConnection[]
  requests: TestRequest[]
  clientCertificates: Uint8Array[]
  handshakeErrors: Error[]
} {
  return { connections: [], requests: [], clientCertificates: [], handshakeErrors: [] }
}

function describe(socket: TLSSocket, number: number): TestConnection {
  const { servername, alpnProtocol } = socket as TLSSocket & { servername?: string | false }
  return {
    number,
    protocol: socket.getProtocol() ?? 'unknown',
    servername: typeof servername === 'string' ? servername : undefined,
    alpn: typeof alpnProtocol === 'string' ? alpnProtocol : undefined,
    resumed: socket.isSessionReused(),
    clientCertificates: peerCertificates(socket),
    get applicationBytes() {
      return socket.bytesRead // of the TLS layer: what it handed up
    },
    socket,
  }
}

function peerCertificates(socket: TLSSocket): readonly Uint8Array[] {
  const raw = socket.getPeerCertificate()?.raw as Buffer | undefined // absent without a certificate
  return raw === undefined ? [] : [new Uint8Array(raw)]
}

interface Presented {
  /** PEM. */
  readonly certificates: readonly string[]
  readonly key: string
}

function identitiesOf(identity: ServerIdentity | readonly ServerIdentity[]): readonly Presented[] {
  return [identity].flat().map((one) => presented(one as ServerIdentity))
}

function presented(identity: ServerIdentity): Presented {
  if ('chain' in identity) return { certificates: identity.chain.map(certificatePem), key: identity.keyPem }
  const certificates = identity.certificates.map((one) => (typeof one === 'string' ? one : certificatePem(one)))
  return { certificates, key: identity.key }
}

const answerOk: TestHandler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' }).end('ok')
}

const NO_IDENTITY = { certificates: [], key: '' } as const

const TICKET_KEYS_OCTETS = 48

/**
 * Level 0 lets a server hold RSA-1024 keys and SHA-1 certificates. The TLS 1.3 suites are named because Node lowers the
 * highest version to 1.2 when a list has none.
 */
const EVERY_CIPHER =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ALL:!aNULL:!eNULL@SECLEVEL=0'
