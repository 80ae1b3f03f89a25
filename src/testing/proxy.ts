import { connect, createServer, type Socket } from 'node:net'
import { closeServer, LOOPBACK, listen } from './loopback.ts'
import { type ServerIdentity, startTlsServer } from './tls-server.ts'

/**
 * A proxy on a free loopback port: for CONNECT over HTTP, over TLS where it is given an identity, or for SOCKS version 5. It
 * makes every tunnel it is asked for, to the port asked for on this machine, and records what it was told.
 */
export async function startProxy(options: ProxyOptions = {}): Promise<TestProxy> {
  const { kind = 'http', identity } = options
  const requests: ProxyRequest[] = []
  const heads: string[] = []
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
  }
  let accepted = 0

  const serve = async (client: Socket): Promise<void> => {
    accepted += 1
    keep(client)
    const next = readerOf(client)
    const request =
      kind === 'http' ? await readConnect(next, heads) : await readSocks(client, next, options.credentials)
    if (request === undefined) return
    requests.push(request)
    if (kind === 'http' && options.credentials !== undefined && request.authorization === undefined) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm="proxy"\r\n\r\n')
      return
    }
    if (options.answer !== undefined) {
      options.answer(client, request)
      return
    }
    const { host = LOOPBACK, port } = options.targetOf?.(request) ?? { port: request.port }
    const upstream = connect({ host, port })
    keep(upstream)
    upstream.once('connect', () => {
      client.write(kind === 'http' ? 'HTTP/1.1 200 Connection established\r\n\r\n' : SOCKS_SUCCEEDED)
      client.pipe(upstream).pipe(client)
    })
    upstream.once('close', () => client.destroy())
    client.once('close', () => upstream.destroy())
  }

  const onSocket = (socket: Socket): void => void serve(socket).catch(() => socket.destroy())
  const overTls = identity === undefined ? undefined : await startTlsServer({ identity, onSocket, requestCert: true })
  const server = createServer(onSocket)
  const port = overTls?.port ?? (await listen(server))
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await (overTls === undefined ? closeServer(server, sockets) : overTls.close())
  }
  return {
    port,
    host: LOOPBACK,
    url: `${kind === 'socks5' ? 'socks5' : identity === undefined ? 'http' : 'https'}://${LOOPBACK}:${port}`,
    requests,
    heads,
    get accepted() {
      return accepted
    },
    get open() {
      return sockets.size
    },
    get clientCertificates() {
      return overTls?.clientCertificates ?? []
    },
    get sessionsReused() {
      return overTls?.sessionsReused ?? 0
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What the proxy speaks, and what it wants. */
export interface ProxyOptions {
  /** Default http. */
  readonly kind?: 'http' | 'socks5'
  /** What it presents: then it is reached by TLS. It asks clients for a certificate, and takes none as well. */
  readonly identity?: ServerIdentity
  /** Wants some; of HTTP any, of SOCKS these. */
  readonly credentials?: { readonly username: string; readonly password: string }
  /** Where a tunnel leads. Default: the port that was asked for, on this machine. */
  readonly targetOf?: (request: ProxyRequest) => { readonly host?: string; readonly port: number }
  /** Takes the place of the tunnel. */
  readonly answer?: (client: Socket, request: ProxyRequest) => void
}

/** A tunnel that somebody asked for. */
export interface ProxyRequest {
  /** A name or an address, as asked for. */
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization; for SOCKS `username:password`. */
  readonly authorization: string | undefined
}

/** A proxy on loopback that writes down what it was asked for. */
export interface TestProxy extends AsyncDisposable {
  readonly port: number
  readonly host: string
  /** For a client at the same machine, without credentials. */
  readonly url: string
  readonly requests: readonly ProxyRequest[]
  /** Of the CONNECT requests: everything until the empty line. */
  readonly heads: readonly string[]
  /** Connections of clients; over TLS those whose handshake was finished. */
  readonly accepted: number
  /** Sockets that are not closed, at either side. */
  readonly open: number
  /** DER of every client certificate that it was shown. */
  readonly clientCertificates: readonly Uint8Array[]
  /** TLS sessions of clients with it that were resumed. */
  readonly sessionsReused: number
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

type Next = (isWhole: (bytes: Buffer) => number | undefined) => Promise<Buffer>

/** Reads as many bytes as `isWhole` says that a message has, and leaves the rest in the socket. */
function readerOf(socket: Socket): Next {
  return (isWhole) =>
    new Promise((resolve, reject) => {
      const onReadable = (): void => {
        const bytes = socket.read() as Buffer | null
        if (bytes === null) return
        const length = isWhole(bytes)
        socket.unshift(length === undefined ? bytes : bytes.subarray(length))
        if (length === undefined) return
        socket.off('readable', onReadable)
        resolve(bytes.subarray(0, length))
      }
      socket.once('close', () => reject(new Error('closed')))
      socket.on('readable', onReadable)
    })
}

async function readConnect(next: Next, heads: string[]): Promise<ProxyRequest | undefined> {
  const bytes = await next((all) => {
    const end = all.indexOf('\r\n\r\n')
    return end < 0 ? undefined : end + 4
  })
  const head = bytes.toString('latin1')
  heads.push(head)
  const [, host = '', port = ''] = /^CONNECT \[?(.+?)\]?:(\d+) HTTP\/1\.1\r\n/.exec(head) ?? []
  const [, authorization] = /\r\nproxy-authorization: ([^\r]*)/i.exec(head) ?? []
  return host === '' ? undefined : { host, port: Number(port), authorization }
}

async function readSocks(
  socket: Socket,
  next: Next,
  credentials: ProxyOptions['credentials'],
): Promise<ProxyRequest | undefined> {
  const greeting = await next((all) => (all.length < 2 + (all[1] ?? 0) ? undefined : 2 + (all[1] ?? 0)))
  const method = credentials === undefined ? 0 : 2
  if (!greeting.subarray(2).includes(method)) {
    socket.end(Buffer.from([5, 0xff]))
    return undefined
  }
  socket.write(Buffer.from([5, method]))
  let authorization: string | undefined
  if (credentials !== undefined) {
    const bytes = await next((all) => {
      const name = 2 + (all[1] ?? 0)
      const length = name + 1 + (all[name] ?? 0)
      return all.length < length ? undefined : length
    })
    const name = bytes.toString('utf8', 2, 2 + (bytes[1] ?? 0))
    authorization = `${name}:${bytes.toString('utf8', 3 + (bytes[1] ?? 0))}`
    const isRight = authorization === `${credentials.username}:${credentials.password}`
    socket.write(Buffer.from([1, isRight ? 0 : 1]))
    if (!isRight) {
      socket.end()
      return undefined
    }
  }
  const request = await next((all) => {
    const length = 4 + (all[3] === 1 ? 4 : all[3] === 4 ? 16 : 1 + (all[4] ?? 0)) + 2
    return all.length < Math.max(5, length) ? undefined : length
  })
  return { host: socksHost(request), port: request.readUInt16BE(request.length - 2), authorization }
}

function socksHost(request: Buffer): string {
  const address = request.subarray(4, -2)
  if (request[3] === 3) return address.toString('latin1', 1)
  if (request[3] === 1) return [...address].join('.')
  const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(at * 2).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

const SOCKS_SUCCEEDED = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
