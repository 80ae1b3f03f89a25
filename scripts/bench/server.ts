/** The server all contenders talk to. Tells its parent where it listens and ends with it. */
import { createServer } from 'node:https'
import { testCa } from '../../src/testing/ca.ts'

export interface Served {
  readonly port: number
  /** PEM of the root. */
  readonly ca: string
  readonly pins: readonly string[]
}

const ca = testCa({ name: 'Bench' })
const identity = ca.issue({ names: ['localhost'] })
const body = JSON.stringify({ data: 'x'.repeat(1_000) })

const options = { key: identity.keyPem, cert: identity.pem + ca.issuer.pem, keepAliveTimeout: 60_000 }
const server = createServer(options, (request, response) => {
  const connection = request.url === '/close' ? { connection: 'close' } : {}
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length, ...connection })
  response.end(body)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port')
  const served: Served = { port: address.port, ca: ca.anchorPem, pins: [identity.pin, ca.issuer.pin] }
  process.send?.(served)
})
process.once('disconnect', () => process.exit())
