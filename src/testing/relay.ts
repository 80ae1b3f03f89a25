import { connect, createServer, type Socket } from 'node:net'
import { closeServer, LOOPBACK, listen } from './loopback.ts'

/**
 * A TCP relay that reads the record headers of the TLS going through it and changes nothing. It is the witness for
 * "nothing was sent": what the wire saw, whatever either end believes.
 *
 * @param options.target Where new connections go; `setTarget` moves it, as an attacker on the path would.
 * @param options.port Where it listens. Default: a free port.
 */
export async function startRelay(options: { readonly target: RelayTarget; readonly port?: number }): Promise<Relay> {
  let target = options.target
  const connections: RelayConnection[] = []
  const sockets = new Set<Socket>()
  const closed: Promise<void>[] = []

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ host: target.host ?? LOOPBACK, port: target.port, allowHalfOpen: true })
    const clientToServer = recordReader()
    const serverToClient = recordReader()
    connections.push({ clientToServer: clientToServer.traffic, serverToClient: serverToClient.traffic })
    join(client, upstream, clientToServer.read)
    join(upstream, client, serverToClient.read)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      closed.push(new Promise((resolve) => socket.once('close', () => resolve())))
      socket.once('close', () => sockets.delete(socket))
    }
  })

  const port = await listen(server, options.port)
  const close = (): Promise<void> => closeServer(server, sockets)
  return {
    port,
    host: LOOPBACK,
    origin: `https://localhost:${port}`,
    connections,
    get clientToServer() {
      return sumOf(connections.map((connection) => connection.clientToServer))
    },
    get serverToClient() {
      return sumOf(connections.map((connection) => connection.serverToClient))
    },
    setTarget: (next) => {
      target = next
    },
    idle: async () => {
      await Promise.all(closed)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Any server of this kit, or a port of the machine. */
export interface RelayTarget {
  readonly port: number
  /** Default 127.0.0.1. */
  readonly host?: string
}

/** Passes bytes on between client and server, and counts the TLS records of each direction. */
export interface Relay extends AsyncDisposable {
  readonly port: number
  readonly host: string
  /** `https://localhost:<port>`. */
  readonly origin: string
  readonly connections: readonly RelayConnection[]
  /** Over all connections so far. */
  readonly clientToServer: RelayTraffic
  readonly serverToClient: RelayTraffic
  /** For connections to come; those that are open stay as they are. */
  readonly setTarget: (target: RelayTarget) => void
  /** Resolves when every connection so far is closed at both ends: from then on the counts are final. */
  readonly idle: () => Promise<void>
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

/** Both directions of one connection. */
export interface RelayConnection {
  readonly clientToServer: RelayTraffic
  readonly serverToClient: RelayTraffic
}

/**
 * One direction. The four counts are of whole records. Under TLS 1.3 everything encrypted, the end of the handshake and
 * alerts included, travels as `applicationData` (RFC 8446 §5.2), so "no request was sent" is read from `records`.
 */
export interface RelayTraffic {
  readonly handshake: number
  readonly changeCipherSpec: number
  readonly alert: number
  readonly applicationData: number
  /** In order of arrival. */
  readonly records: readonly TlsRecord[]
  /** Of TCP payload, record headers and unfinished records included. */
  readonly bytes: number
}

/** The head of one record. */
export interface TlsRecord {
  /** ContentType as sent (RFC 8446 §5.1): 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data. */
  readonly type: number
  /** First octet of the fragment. In a plaintext handshake record the message type: 1 ClientHello, 11 Certificate. */
  readonly firstByte: number | undefined
  /** Of the fragment, without the five header octets. */
  readonly length: number
}

function join(from: Socket, to: Socket, read: (chunk: Buffer) => void): void {
  from.on('data', (chunk) => {
    read(chunk)
    if (to.writable) to.write(chunk)
  })
  from.on('end', () => to.end())
  from.on('error', () => to.resetAndDestroy()) // a reset stays a reset
  from.on('close', () => to.end())
}

function recordReader(): { readonly traffic: RelayTraffic; readonly read: (chunk: Buffer) => void } {
  const records: TlsRecord[] = []
  let bytes = 0
  let unread: Buffer = Buffer.alloc(0)
  const countOf = (type: number): number => records.filter((record) => record.type === type).length
  const traffic: RelayTraffic = {
    get handshake() {
      return countOf(CONTENT_TYPE.handshake)
    },
    get changeCipherSpec() {
      return countOf(CONTENT_TYPE.changeCipherSpec)
    },
    get alert() {
      return countOf(CONTENT_TYPE.alert)
    },
    get applicationData() {
      return countOf(CONTENT_TYPE.applicationData)
    },
    records,
    get bytes() {
      return bytes
    },
  }
  const read = (chunk: Buffer): void => {
    bytes += chunk.length
    unread = Buffer.concat([unread, chunk])
    while (unread.length >= HEADER_OCTETS) {
      const length = unread.readUInt16BE(3)
      if (unread.length < HEADER_OCTETS + length) return
      records.push({ type: unread.readUInt8(0), firstByte: length > 0 ? unread[HEADER_OCTETS] : undefined, length })
      unread = unread.subarray(HEADER_OCTETS + length)
    }
  }
  return { traffic, read }
}

function sumOf(parts: readonly RelayTraffic[]): RelayTraffic {
  const total = (count: (part: RelayTraffic) => number): number => parts.reduce((sum, part) => sum + count(part), 0)
  return {
    handshake: total(({ handshake }) => handshake),
    changeCipherSpec: total(({ changeCipherSpec }) => changeCipherSpec),
    alert: total(({ alert }) => alert),
    applicationData: total(({ applicationData }) => applicationData),
    records: parts.flatMap(({ records }) => records),
    bytes: total(({ bytes }) => bytes),
  }
}

const HEADER_OCTETS = 5
const CONTENT_TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const
