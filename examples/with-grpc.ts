/**
 * A library that calls `tls.connect` itself: `client.tlsOptions()` gives it a context and a check that hold every rule at the end of
 * its handshake. pg, ioredis and kafkajs take the same two. `npx tsx examples/with-grpc.ts`.
 */
import { credentials, makeGenericClientConstructor, Server, ServerCredentials, type ServiceError } from '@grpc/grpc-js'
import { createClient } from 'pinfetch'
import { certificatePem, type TestCertificate, testCa } from 'pinfetch/testing'

const bytes = (value: Buffer): Buffer => value
const codec = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
}
const service = { greet: { path: '/example.Greeter/Greet', requestStream: false, responseStream: false, ...codec } }

const ca = testCa()
const identity = ca.issue({ names: ['grpc.bank.test'] })
const [bank, interceptor] = await Promise.all([serve(identity), serve(ca.issue({ names: ['grpc.bank.test'] }))])

const client = createClient({ pins: { 'grpc.bank.test': [identity.pin] }, anchors: ca.anchorPem })
await client.ready() // what hands options to others cannot wait for pins by itself

const rejected = new Set<string>()
client.on('tls.rejected', ({ code }) => rejected.add(code)) // of a connection that fails, a call says 14 (UNAVAILABLE) and a text
console.log('greeted:', await greet(bank.port))
console.log('refused:', await greet(interceptor.port).catch(({ code }: ServiceError) => code), ...rejected)
console.log(`calls: ${bank.calls.length} at the bank, ${interceptor.calls.length} at the interceptor`)

await client.close()
bank.server.forceShutdown()
interceptor.server.forceShutdown()

async function greet(port: number): Promise<string> {
  const { secureContext, checkServerIdentity } = client.tlsOptions({ host: 'grpc.bank.test', port })
  const Greeter = makeGenericClientConstructor(service, 'Greeter')
  const stub = new Greeter(
    `127.0.0.1:${port}`, // in earnest the name of the server, and no overrides
    credentials.createFromSecureContext(secureContext, { checkServerIdentity }),
    { 'grpc.ssl_target_name_override': 'grpc.bank.test', 'grpc.default_authority': 'grpc.bank.test' },
  )
  const call = stub['greet'] as (request: Buffer, done: (error: ServiceError | null, answer: Buffer) => void) => void
  try {
    return await new Promise((resolve, reject) => {
      call.call(stub, Buffer.from('hello'), (error, answer) =>
        error === null ? resolve(String(answer)) : reject(error),
      )
    })
  } finally {
    stub.close()
  }
}

async function serve({ keyPem, chain }: TestCertificate) {
  const calls: string[] = []
  const server = new Server()
  server.addService(service, {
    greet: ({ request }: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
      calls.push(String(request))
      done(null, Buffer.from(`${request}, too`))
    },
  })
  const shown = { private_key: Buffer.from(keyPem), cert_chain: Buffer.from(chain.map(certificatePem).join('')) }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [shown]), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return { server, calls, port }
}
