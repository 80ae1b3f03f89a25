import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a client offers (RFC 8446 §4.1.2), as numbers of the IANA registry, in the order sent. */
export interface ClientHello {
  readonly suites: readonly number[]
  readonly versions: readonly number[]
  readonly groups: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  readonly keyShares: readonly number[]
  readonly alpn: readonly string[]
  readonly compressions: readonly number[]
  readonly extensions: readonly number[]
}

/** A server that reads the first flight of every client and hangs up. */
export async function startListener(): Promise<{ readonly port: number; readonly hellos: readonly ClientHello[] }> {
  const hellos: ClientHello[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) return
      hellos.push(parseClientHello(bytes.subarray(5)))
      socket.destroy()
    })
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0, hellos }
}

/** Reads one handshake message that arrived in one record. */
function parseClientHello(message: Buffer): ClientHello {
  let at = 4 + 2 + 32 // header, legacy_version, random
  const take = (lengthBytes: 1 | 2): Buffer => {
    const length = message.readUIntBE(at, lengthBytes)
    at += lengthBytes + length
    return message.subarray(at - length, at)
  }
  if (message[0] !== 1) throw new Error(`expected a ClientHello, saw message ${message[0]}`)
  take(1) // legacy_session_id
  const suites = numbers(take(2))
  const compressions = [...take(1)]
  const end = at + 2 + message.readUInt16BE(at)
  at += 2
  const extensions = new Map<number, Buffer>()
  while (at < end) {
    const type = message.readUInt16BE(at)
    at += 2
    extensions.set(type, take(2))
  }
  const body = (type: number): Buffer => extensions.get(type) ?? Buffer.alloc(0)
  return {
    suites,
    compressions,
    extensions: [...extensions.keys()],
    versions: numbers(body(EXTENSION.supportedVersions).subarray(1)),
    groups: numbers(body(EXTENSION.supportedGroups).subarray(2)),
    signatureAlgorithms: numbers(body(EXTENSION.signatureAlgorithms).subarray(2)),
    keyShares: keyShares(body(EXTENSION.keyShare).subarray(2)),
    alpn: texts(body(EXTENSION.alpn).subarray(2)),
  }
}

function numbers(bytes: Buffer): readonly number[] {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2))
}

function keyShares(bytes: Buffer): readonly number[] {
  if (bytes.length < 4) return []
  return [bytes.readUInt16BE(0), ...keyShares(bytes.subarray(4 + bytes.readUInt16BE(2)))]
}

function texts(bytes: Buffer): readonly string[] {
  const [length] = bytes
  return length === undefined ? [] : [String(bytes.subarray(1, 1 + length)), ...texts(bytes.subarray(1 + length))]
}

/** RFC 8446 §4.2. */
const EXTENSION = {
  supportedGroups: 10,
  signatureAlgorithms: 13,
  alpn: 16,
  supportedVersions: 43,
  keyShare: 51,
} as const
