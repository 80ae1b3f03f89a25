import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceError,
} from '@grpc/grpc-js'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { startTlsServer, type TestCertificate } from 'pinfetch/testing'
import { WebSocket, WebSocketServer } from 'ws'
import { type ClientCase, PIECES, type Served } from './case.ts'

/** Clients of other protocols, each with a server that speaks enough of it. */
export const SOCKET_CLIENTS: readonly ClientCase[] = [
  {
    name: 'ws',
    through: 'client.agent',
    serve: async (identity) => {
      const sockets = new WebSocketServer({ noServer: true })
      sockets.on('connection', (socket) => {
        socket.on('message', (data: Buffer) => {
          if (String(data) === 'stream') for (const piece of PIECES) socket.send(piece)
          else if (String(data) !== 'hang') socket.send(JSON.stringify({ ok: 'ok', bytes: data.length }))
        })
      })
      return serveOver(identity, (socket, seen) => {
        const http = createHttp()
        http
          .on('request', () => undefined)
          .on('upgrade', (request, raw, head) => {
            seen()
            sockets.handleUpgrade(request, raw, head, (ws) => sockets.emit('connection', ws, request))
          })
        http.emit('connection', socket)
      })
    },
    open: ({ agent }, origin) => {
      const talk = async (text: string | Uint8Array, many = 1, signal?: AbortSignal): Promise<readonly string[]> => {
        const socket = new WebSocket(origin.replace('https:', 'wss:'), { agent })
        const pieces: string[] = []
        signal?.addEventListener('abort', () => socket.terminate())
        return new Promise((resolve, reject) => {
          socket.on('open', () => socket.send(text))
          socket.on('error', reject)
          socket.on('close', () => reject(new Error('closed')))
          socket.on('message', (data) => {
            pieces.push(String(data))
            if (pieces.length < many) return
            resolve(pieces)
            socket.terminate()
          })
        })
      }
      return {
        request: async () => JSON.parse((await talk('x'))[0] ?? ''),
        stream: () => talk('stream', PIECES.length),
        upload: (bytes) => talk(bytes),
        abort: (signal) => talk('hang', 1, signal),
      }
    },
  },
  {
    name: 'node:http2',
    through: 'client.connect',
    serve: async ({ keyPem, chain, pem }) => {
      let requests = 0
      let bytes = 0
      const server = createSecureServer({ key: keyPem, cert: pem + chainOf(chain) })
      server.on('session', (session) => session.on('error', () => undefined))
      server.on('stream', (stream, headers) => {
        requests += 1
        stream.on('error', () => undefined)
        const path = String(headers[':path'])
        if (path === '/hang') return
        stream.respond({ ':status': 200 })
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        stream.on('end', () => {
          if (path === '/stream') writeInTurns(stream, PIECES)
          else stream.end('{"ok":"ok"}')
        })
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      return { port, requests: () => requests, bytes: () => bytes, close: () => closed(server) }
    },
    open: ({ connect }, origin) => {
      const send = async (path: string, body?: Uint8Array, signal?: AbortSignal): Promise<readonly string[]> => {
        const socket = await connect(origin, { protocols: ['h2'] })
        const session = connectHttp2(origin, { createConnection: () => socket })
        try {
          const stream = session.request(
            { ':path': path, ':method': body === undefined ? 'GET' : 'POST' },
            signal === undefined ? {} : { signal },
          )
          stream.end(body)
          const pieces: string[] = []
          for await (const piece of stream) pieces.push(String(piece))
          return pieces
        } finally {
          session.destroy()
        }
      }
      return {
        request: async () => JSON.parse((await send('/x')).join('')),
        stream: () => send('/stream'),
        upload: (bytes) => send('/x', bytes),
        abort: (signal) => send('/hang', undefined, signal),
      }
    },
  },
  {
    name: '@grpc/grpc-js',
    through: 'client.tlsOptions',
    hides: 'of a connection that fails, a call says UNAVAILABLE and a text',
    serve: async ({ keyPem, chain, pem }) => {
      let requests = 0
      let bytes = 0
      const server = new Server()
      server.addService(SERVICE, {
        unary: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
          requests += 1
          bytes += call.request.length
          if (String(call.request) !== 'hang') done(null, Buffer.from('{"ok":"ok"}'))
        },
        stream: (call: { write: (value: Buffer) => void; end: () => void }) => {
          requests += 1
          for (const piece of PIECES) call.write(Buffer.from(piece))
          call.end()
        },
      })
      const cert = { private_key: Buffer.from(keyPem), cert_chain: Buffer.from(pem + chainOf(chain)) }
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [cert]), (error, bound) =>
          error === null ? resolve(bound) : reject(error),
        )
      })
      return { port, requests: () => requests, bytes: () => bytes, close: async () => server.forceShutdown() }
    },
    open: ({ tlsOptions }, origin) => {
      const { hostname, port } = new URL(origin)
      const { secureContext, checkServerIdentity } = tlsOptions(origin)
      const Generic = makeGenericClientConstructor(SERVICE, 'Test')
      const service = new Generic(
        `127.0.0.1:${port}`,
        credentials.createFromSecureContext(secureContext, { checkServerIdentity }),
        { 'grpc.ssl_target_name_override': hostname, 'grpc.default_authority': hostname },
      ) as unknown as {
        unary: (value: Buffer, done: (error: ServiceError | null, value: Buffer) => void) => { cancel: () => void }
        stream: (value: Buffer) => ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>
        close: () => void
      }
      const call = (value: Uint8Array, signal?: AbortSignal): Promise<Buffer> =>
        new Promise((resolve, reject) => {
          const running = service.unary(Buffer.from(value), (error, answer) =>
            error === null ? resolve(answer) : reject(error),
          )
          signal?.addEventListener('abort', () => running.cancel())
        })
      return {
        request: async () => JSON.parse(String(await call(Buffer.from('x')))),
        stream: async () => {
          const pieces: string[] = []
          for await (const piece of service.stream(Buffer.from('x'))) pieces.push(String(piece))
          return pieces
        },
        upload: (bytes) => call(bytes),
        abort: (signal) => call(Buffer.from('hang'), signal),
        close: () => service.close(),
      }
    },
  },
  {
    name: 'pg',
    through: 'client.tlsOptions',
    lacks: { stream: 'rows come with another package', abort: 'a query takes no signal' },
    serve: servePostgres,
    open: ({ tlsOptions }, origin) => {
      const { checkServerIdentity, secureContext, servername } = tlsOptions(origin)
      const { port } = new URL(origin)
      const ssl = { checkServerIdentity, secureContext, servername, rejectUnauthorized: true }
      const query = async (text: string, values: readonly unknown[] = []): Promise<unknown> => {
        const database = new pg.Client({
          host: '127.0.0.1',
          port: Number(port),
          user: 'x',
          password: 'x',
          database: 'x',
          ssl,
        })
        database.on('error', () => undefined)
        await database.connect()
        try {
          const filled = values.length === 0 ? text : `${text} '${String(values[0])}'`
          return (await database.query(filled)).rows[0]
        } finally {
          await database.end()
        }
      }
      return {
        request: () => query('select'),
        upload: (bytes) => query('select', [Buffer.from(bytes).toString('latin1')]),
      }
    },
  },
  {
    name: 'ioredis',
    through: 'client.tlsOptions',
    lacks: { stream: 'an answer comes whole', abort: 'a command takes no signal' },
    serve: (identity) =>
      serveOver(identity, (socket, seen) => {
        let waiting = Buffer.alloc(0)
        socket.on('data', (chunk: Buffer) => {
          waiting = Buffer.concat([waiting, chunk])
          for (let command = respCommand(waiting); command !== undefined; command = respCommand(waiting)) {
            waiting = waiting.subarray(command.size)
            seen()
            socket.write('$2\r\nok\r\n')
          }
        })
      }),
    open: ({ tlsOptions }, origin) => {
      const run = async <T>(use: (redis: Redis) => Promise<T>): Promise<T> => {
        const { host: _, ...tls } = tlsOptions(origin)
        const options = { host: '127.0.0.1', port: tls.port, tls, retryStrategy: () => null, enableReadyCheck: false }
        const redis = new Redis({ ...options, lazyConnect: true, disableClientInfo: true })
        const failed = once(redis, 'error').then(([error]) => Promise.reject(error))
        failed.catch(() => undefined)
        try {
          await Promise.race([redis.connect(), failed])
          return await use(redis)
        } catch (error) {
          return await Promise.race([failed, Promise.reject(error)])
        } finally {
          redis.disconnect()
        }
      }
      return {
        request: () => run((redis) => redis.get('x')),
        upload: (bytes) => run((redis) => redis.set('x', Buffer.from(bytes))),
      }
    },
  },
  {
    name: 'kafkajs',
    through: 'client.tlsOptions',
    lacks: {
      stream: 'a broker answers whole',
      abort: 'its calls take no signal',
      upload: 'a broker that stores is not at hand',
    },
    serve: (identity) =>
      serveOver(identity, (socket, seen) => {
        let waiting = Buffer.alloc(0)
        socket.on('data', (chunk: Buffer) => {
          waiting = Buffer.concat([waiting, chunk])
          while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
            const size = waiting.readInt32BE(0)
            const request = waiting.subarray(4, 4 + size)
            waiting = waiting.subarray(4 + size)
            seen()
            socket.write(kafkaAnswer(request, socket.localPort ?? 0))
          }
        })
      }),
    open: ({ tlsOptions }, origin) => {
      const { host: _, ...ssl } = tlsOptions(origin)
      const kafka = new Kafka({
        brokers: [`127.0.0.1:${ssl.port}`],
        ssl,
        retry: { retries: 0 },
        logLevel: logLevel.NOTHING,
      })
      return {
        request: async () => {
          const admin = kafka.admin()
          try {
            await admin.connect()
            return await admin.listTopics()
          } finally {
            await admin.disconnect()
          }
        },
      }
    },
  },
]

/** A protocol over finished TLS connections; `seen` counts what it was asked. */
async function serveOver(
  identity: TestCertificate,
  speak: (socket: TLSSocket, seen: () => void) => void,
): Promise<Served> {
  let requests = 0
  const server = await startTlsServer({
    identity,
    onSocket: (socket) => {
      socket.on('error', () => undefined)
      speak(socket, () => {
        requests += 1
      })
    },
  })
  return {
    port: server.port,
    requests: () => requests,
    bytes: () => server.applicationBytes,
    close: () => server.close(),
  }
}

/** Enough of PostgreSQL's protocol 3.0 to be asked in: SSLRequest, start-up, simple queries. */
async function servePostgres({ keyPem, chain, pem }: TestCertificate): Promise<Served> {
  let requests = 0
  let bytes = 0
  const secureContext = createSecureContext({ key: keyPem, cert: pem + chainOf(chain) })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write('S')
      const secured = new TLSSocket(socket, { isServer: true, secureContext })
      secured.on('error', () => undefined)
      let waiting = Buffer.alloc(0)
      let hasStarted = false
      secured.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        waiting = Buffer.concat([waiting, chunk])
        for (;;) {
          const start = hasStarted ? 1 : 0
          if (waiting.length < start + 4) return
          const size = start + waiting.readInt32BE(start)
          if (waiting.length < size) return
          const type = hasStarted ? String.fromCharCode(waiting[0] ?? 0) : 'start'
          waiting = waiting.subarray(size)
          if (type === 'start') secured.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]))
          if (type === 'Q') {
            requests += 1
            const column = Buffer.concat([
              Buffer.from('x\0'),
              int32(0),
              int16(0),
              int32(25),
              int16(-1),
              int32(-1),
              int16(0),
            ])
            const row = Buffer.concat([int16(1), int32(2), Buffer.from('ok')])
            const parts = [
              message('T', Buffer.concat([int16(1), column])),
              message('D', row),
              message('C', Buffer.from('SELECT 1\0')),
            ]
            secured.write(Buffer.concat([...parts, message('Z', Buffer.from('I'))]))
          }
          hasStarted = true
        }
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await closed(server)
  }
  return { port, requests: () => requests, bytes: () => bytes, close }
}

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const message = (type: string, body: Buffer): Buffer => Buffer.concat([Buffer.from(type), int32(body.length + 4), body])

/** One command as RESP writes it: an array of bulk strings. */
function respCommand(bytes: Buffer): { readonly size: number } | undefined {
  const line = (from: number): number => bytes.indexOf('\r\n', from)
  let at = line(0)
  if (at < 0) return undefined
  const parts = Number(bytes.subarray(1, at).toString())
  at += 2
  for (let part = 0; part < parts; part += 1) {
    const end = line(at)
    if (end < 0) return undefined
    at = end + 2 + Number(bytes.subarray(at + 1, end).toString()) + 2
  }
  return at <= bytes.length ? { size: at } : undefined
}

/** ApiVersions (18) and Metadata (3), of which the oldest form alone is spoken: one broker, this one, and one topic of the name `ok`. */
function kafkaAnswer(request: Buffer, port: number): Buffer {
  const [key, version, correlation] = [request.readInt16BE(0), request.readInt16BE(2), request.readInt32BE(4)]
  const versions = [3, 0, 0, 18, 0, 0].map(int16)
  const throttled = Buffer.alloc(version > 0 ? 4 : 0)
  const broker = [int32(1), int32(0), int16(9), Buffer.from('127.0.0.1'), int32(port)]
  const topic = [int32(1), int16(0), int16(2), Buffer.from('ok'), int32(0)]
  const body = Buffer.concat(key === 18 ? [int16(0), int32(2), ...versions, throttled] : [...broker, ...topic])
  return Buffer.concat([int32(body.length + 4), int32(correlation), body])
}

function writeInTurns(stream: { write: (piece: string) => void; end: () => void }, pieces: readonly string[]): void {
  const [piece, ...rest] = pieces
  if (piece === undefined) {
    stream.end()
    return
  }
  stream.write(piece)
  setTimeout(() => writeInTurns(stream, rest), 5)
}

const chainOf = (chain: readonly Uint8Array[]): string =>
  chain
    .slice(1)
    .map((der) => `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`)
    .join('')

function closed(server: { close: (done: () => void) => void }): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

const raw = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
const SERVICE = {
  unary: { path: '/Test/Unary', requestStream: false, responseStream: false, ...raw },
  stream: { path: '/Test/Stream', requestStream: false, responseStream: true, ...raw },
}

function same(value: Buffer): Buffer {
  return value
}
