import { connect, createServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createOutlet, sleep } from './fault-outlet.ts'
import {
  bytesOf,
  type CutFault,
  contentOf,
  type FaultScript,
  type FaultStage,
  faultsAt,
  isCut,
  type Octets,
} from './fault-script.ts'
import { closeServer, LOOPBACK, listen } from './loopback.ts'
import { type ReadRequest, readRequest } from './request-reader.ts'
import { createTestRuntime } from './runtime.ts'
import { startTlsServer, type TestConnection, type TestTlsServer, type TlsServerOptions } from './tls-server.ts'

/**
 * An HTTP/1.1 server over TLS on loopback that fails as its script says, connection by connection, and behaves well beyond the
 * script, so that a retry can be seen to succeed. The same seed gives the same garbage and the same cuts.
 *
 * @example
 * const server = await startFaultServer({
 *   identity: ca.issue({ names: ['localhost'] }),
 *   script: [
 *     { at: 'accept', fault: 'reset' }, // the first connection
 *     { at: 'tls', fault: 'slice', bytes: 1 }, // the second: a handshake byte by byte
 *     [ // the third: half of a response, then silence
 *       { at: 'response', fault: 'bytes', bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha' },
 *       { at: 'response', fault: 'stall', after: 'end' },
 *     ],
 *   ],
 * })
 */
export async function startFaultServer(options: FaultServerOptions): Promise<FaultServer> {
  const { script = [], seed = 'pinfetch', response = OK, ...tls } = options
  const connections: Wire[] = []
  const requests: FaultRequest[] = []
  const sockets = new Set<Socket>()
  const wireOfPort = new Map<number, Wire>()

  const inner = await startTlsServer({
    ...tls,
    onSocket: (socket, handshake) => {
      const wire = wireOfPort.get(socket.remotePort ?? 0)
      if (wire === undefined) return void socket.destroy() // somebody else on this machine
      wire.stage = 'request'
      wire.handshake = handshake
      serve(socket, wire)
    },
  })

  const front = createServer({ allowHalfOpen: true }, (client) => {
    const number = connections.length
    const { random } = createTestRuntime({ seed: `${seed} ${number}` })
    const wire: Wire = { number, random, client, stage: 'accept', handshake: undefined, ending: 'close', requests: 0 }
    connections.push(wire)
    track(client)
    accept(wire)
  })

  const track = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
  }

  /** Bytes go to a server behind this one and come back through an outlet: what TLS says is seen as bytes here. */
  const accept = (wire: Wire): void => {
    const { number, client, random } = wire
    const faults = faultsAt(script, number, 'accept')
    const atTls = faultsAt(script, number, 'tls')
    const cutter = faults.find(isCut)
    const content = contentOf(faults, random)
    if (content !== undefined) void writeAll(client, content)
    let left = limitOf(cutter)
    if (left === 0) {
      cut(wire, cutter?.fault)
      return
    }

    const upstream = connect({ host: LOOPBACK, port: inner.port, allowHalfOpen: true })
    track(upstream)
    upstream.once('connect', () => wireOfPort.set(upstream.localPort ?? 0, wire))
    upstream.once('close', () => wireOfPort.delete(upstream.localPort ?? 0))
    client.on('data', (chunk: Buffer) => {
      if (left <= 0) return
      if (wire.stage === 'accept') wire.stage = 'tls'
      left -= chunk.length
      if (left <= 0) cut(wire, cutter?.fault)
      if (left <= 0 || upstream.write(chunk)) return
      client.pause()
      upstream.once('drain', () => client.resume())
    })
    client.once('end', () => upstream.end())
    client.once('close', () => upstream.destroy())

    const life = createOutlet({
      faults: faults.filter((fault) => fault.fault === 'slice' || fault.fault === 'throttle'),
      random,
      write: (bytes) => written(client, bytes),
      cut: () => undefined,
    })
    const handshake = createOutlet({
      faults: atTls,
      random,
      write: life.push,
      cut: (how) => cut(wire, how),
      isOver: () => wire.handshake !== undefined,
    })
    void pour(upstream, (bytes) => (left <= 0 ? Promise.resolve() : handshake.push(bytes))).then(() => {
      if (wire.ending === 'stall')
        client.end() // the client went first
      else cut(wire, wire.ending)
    })
  }

  const serve = (socket: TLSSocket, wire: Wire): void => {
    let unread: Buffer = Buffer.alloc(0)
    let received = 0
    let isAnswering = false
    let isOver = false
    const faults = (at: FaultStage) => faultsAt(script, wire.number, at, wire.requests)
    const finish = (how: CutFault['fault']): void => {
      isOver = true
      end(socket, wire, how)
    }
    /** From the handshake, or from the last response. */
    const begin = (): void => {
      received = unread.length
      const content = contentOf(faults('request'), wire.random)
      if (content !== undefined) void writeAll(socket, content)
      step()
    }
    const step = (): void => {
      if (isOver || isAnswering) return
      const cutter = faults('request').find(isCut)
      if (cutter !== undefined && received >= limitOf(cutter)) finish(cutter.fault)
      const read = isOver ? undefined : readRequest(unread)
      if (read === undefined) return
      unread = unread.subarray(read.length)
      wire.stage = 'response'
      isAnswering = true
      const request: FaultRequest = { ...read.request, connection: wire.number, number: wire.requests }
      requests.push(request)
      void answer(request)
    }
    const answer = async (request: FaultRequest): Promise<void> => {
      const outlet = createOutlet({
        faults: faults('response'),
        random: wire.random,
        write: (bytes) => written(socket, bytes),
        cut: finish,
      })
      await outlet.push(bytesOf(typeof response === 'function' ? response(request) : response))
      if (!(await outlet.finish())) return
      wire.requests += 1
      wire.stage = 'request'
      isAnswering = false
      begin()
    }
    socket.on('data', (chunk: Buffer) => {
      if (isOver) return
      unread = Buffer.concat([unread, chunk])
      received += chunk.length
      const throttle = faults('request').find((fault) => fault.fault === 'throttle')
      if (throttle !== undefined && !isAnswering) {
        socket.pause()
        void sleep((chunk.length / throttle.bytesPerSecond) * 1_000).then(() => socket.resume())
      }
      step()
    })
    begin()
  }

  const port = await listen(front)
  const close = async (): Promise<void> => {
    await Promise.all([closeServer(front, sockets), inner.close()])
  }
  return {
    port,
    host: LOOPBACK,
    origin: `https://localhost:${port}`,
    requests,
    get connections() {
      return connections.map(describe)
    },
    get attempts() {
      return connections.length
    },
    get open() {
      return connections.filter(({ client }) => !client.destroyed).length
    },
    get applicationBytes() {
      return inner.applicationBytes
    },
    setIdentity: inner.setIdentity,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What goes wrong, and when. */
export interface FaultServerOptions extends Omit<TlsServerOptions, 'handler' | 'onSocket'> {
  /** What goes wrong. Default nothing. */
  readonly script?: FaultScript
  /** Another seed, other garbage and other slices. */
  readonly seed?: string
  /** The whole response, status line and headers included, wherever no fault puts other bytes. Default 200 and `ok`. */
  readonly response?: Octets | ((request: FaultRequest) => Octets)
}

/** A request as the fault server read it. */
export interface FaultRequest extends ReadRequest {
  /** Index into `connections`. */
  readonly connection: number
  /** Which of its connection, from 0. */
  readonly number: number
}

/** One TCP connection. */
export interface FaultConnection {
  /** Index into `connections`. */
  readonly number: number
  /** How far it came: `tls` once a byte arrived, `request` once the handshake was finished, `response` once a request was. */
  readonly stage: FaultStage
  /** Whether the handshake resumed a session; `undefined` while it is not finished. */
  readonly resumed: boolean | undefined
  /** Decrypted bytes received so far. */
  readonly applicationBytes: number
  /** Whether the server still holds it. */
  readonly isOpen: boolean
}

/** A server that fails by script. */
export interface FaultServer extends AsyncDisposable, Pick<TestTlsServer, 'port' | 'host' | 'origin' | 'setIdentity'> {
  /** TCP connections, those that failed at once included, in order. */
  readonly connections: readonly FaultConnection[]
  /** How many. */
  readonly attempts: number
  /** How many of them the server still holds. */
  readonly open: number
  /** Requests that were read to their end. */
  readonly requests: readonly FaultRequest[]
  /** Decrypted bytes received over all connections: 0 where a client refused in time. */
  readonly applicationBytes: number
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

interface Wire {
  readonly number: number
  readonly random: (length: number) => Uint8Array
  readonly client: Socket
  stage: FaultStage
  handshake: TestConnection | undefined
  /** What the client is to see when the connection behind ends. */
  ending: CutFault['fault']
  /** Answered ones. */
  requests: number
}

/** On the outer connection, where it takes effect at once. */
function cut(wire: Wire, how: CutFault['fault'] = 'close'): void {
  const { client } = wire
  wire.ending = 'stall' // what the connection behind does no longer matters
  if (how === 'reset') client.resetAndDestroy()
  else if (how !== 'stall') client.end()
  client.once('end', () => client.end()).resume()
}

/** On the inner one, so that what was written before arrives before. */
function end(socket: TLSSocket, wire: Wire, how: CutFault['fault']): void {
  wire.ending = how
  if (how === 'close') socket.end()
  else if (how !== 'stall') socket.destroy()
}

const limitOf = (cutter: CutFault | undefined): number =>
  cutter === undefined || cutter.after === 'end' ? Number.POSITIVE_INFINITY : (cutter.after ?? 0)

/** False: the client has left. */
function written(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    if (!socket.writable) return resolve(false)
    socket.write(bytes, (error) => resolve(!error))
  })
}

async function writeAll(socket: Socket, pieces: Iterable<Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (!(await written(socket, piece))) return
  }
}

/** A connection that breaks has ended, too. */
async function pour(from: Socket, push: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  try {
    for await (const chunk of from) await push(chunk as Buffer)
  } catch (error) {
    if (!(error instanceof Error)) throw error
  }
}

function describe({ number, stage, handshake, client }: Wire): FaultConnection {
  const { applicationBytes = 0, resumed } = handshake ?? {}
  return { number, stage, resumed, applicationBytes, isOpen: !client.destroyed }
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'
