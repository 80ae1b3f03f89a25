/**
 * The servers all contenders talk to: one issues session tickets, the other remembers nothing, so that no client can resume.
 * Tells its parent where they listen and ends with it.
 */
import { constants } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { testCa } from '../../src/testing/ca.ts'

export interface Served {
  /** Of the server that issues tickets. */
  readonly port: number
  /** Of the server with which every handshake is a full one. */
  readonly fullPort: number
  /** Of the server that speaks HTTP/2. */
  readonly http2Port: number
  /** PEM of the root. */
  readonly ca: string
  readonly pins: readonly string[]
}

/** What `/tally` answers: by the query of the path, how many requests came on a connection of their own, and how it began. */
export type Tally = Readonly<Record<string, { readonly full: number; readonly resumed: number }>>

const ca = testCa({ name: 'Bench' })
const identity = ca.issue({ names: ['localhost', '*.bench.test'] })
const body = JSON.stringify({ data: 'x'.repeat(1_000) })
const tally: Record<string, { full: number; resumed: number }> = {}
let open = 0

function count(who: string, socket: TLSSocket): void {
  const counts = tally[who] ?? { full: 0, resumed: 0 }
  tally[who] = counts
  counts[socket.isSessionReused() ? 'resumed' : 'full'] += 1
}

async function serve(options: ServerOptions): Promise<number> {
  const own = { key: identity.keyPem, cert: identity.pem + ca.issuer.pem, keepAliveTimeout: 120_000 }
  const server: Server = createServer({ ...own, ...options }, (request, response) => {
    const [path, who = ''] = (request.url ?? '').split('?')
    if (path === '/close') count(who, request.socket as TLSSocket)
    const answer = path === '/tally' ? JSON.stringify(tally) : path === '/open' ? String(open) : body
    const connection = path === '/' ? {} : { connection: 'close' }
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length, ...connection })
    response.end(answer)
  })
  server.on('secureConnection', (socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
  })
  await once(server.listen(0, '127.0.0.1', 1_024), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port')
  return address.port
}

async function serveHttp2(): Promise<number> {
  const server = createSecureServer({ key: identity.keyPem, cert: identity.pem + ca.issuer.pem })
  server.on('stream', (stream) => {
    stream.on('error', () => undefined)
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': body.length })
    stream.end(body)
  })
  await once(server.listen(0, '127.0.0.1', 1_024), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port')
  return address.port
}

const served: Served = {
  port: await serve({}),
  // Without tickets OpenSSL falls back to sessions it would have to remember, which Node does not do by itself.
  fullPort: await serve({ secureOptions: constants.SSL_OP_NO_TICKET }),
  http2Port: await serveHttp2(),
  ca: ca.anchorPem,
  pins: [identity.pin, ca.issuer.pin],
}
process.send?.(served)
process.once('disconnect', () => process.exit())
