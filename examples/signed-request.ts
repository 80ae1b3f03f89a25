/**
 * Requests that carry a signature (RFC 9421) over method, URL and body, and a server that verifies it: what is changed on the
 * way, or sent twice, is refused. `npx tsx examples/signed-request.ts`.
 */
import { generateKeyPairSync } from 'node:crypto'
import { createClient } from 'pinfetch'
import { httpSignature, localSigner, memoryNonces, verificationKey, verifyRequests } from 'pinfetch/signing'
import { startTlsServer, testCa } from 'pinfetch/testing'

const { privateKey, publicKey } = generateKeyPairSync('ed25519') // in earnest: a file of mode 600, or a Signer over an HSM
const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })

// The server.
const nonces = memoryNonces() // several instances share a store
let gateway = (body: Uint8Array): Uint8Array => body // what stands between TLS and the service
const server = await startTlsServer({
  identity,
  handler: async ({ method, path, rawHeaders, body }, response) => {
    try {
      const { keyId } = await verify({ method, url: path, rawHeaders }, gateway(body))
      response.writeHead(200).end(`from ${keyId}`)
    } catch (error) {
      console.log('refused:', (error as { code?: string }).code)
      response.writeHead(401).end()
    }
  },
})
const verify = verifyRequests({
  keys: verificationKey(publicKey, { keyId: 'orders-2026' }),
  origin: server.origin,
  algorithms: ['ed25519'],
  components: ['@method', '@target-uri'], // what must be signed; a body's digest always is
  maxAgeSec: 60,
  nonces,
})

// The client.
const options = { pins: { localhost: [identity.pin] }, anchors: ca.anchorPem }
const client = createClient({
  ...options,
  sign: httpSignature({
    keys: localSigner(privateKey, { keyId: 'orders-2026' }),
    components: ['@method', '@target-uri'], // Content-Digest is made and covered where there is a body
    allowedOrigins: [server.origin],
  }),
})
const order = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"amount":"12.50"}' }
const answer = await client.fetch(`${server.origin}/orders`, order)
console.log('signed:', answer.status, await answer.text())

// Somebody sends the same once more.
const thief = createClient(options)
const seen = server.requests[0]?.headers ?? {}
const copied = ['content-type', 'content-digest', 'signature-input', 'signature'] as const
const headers = Object.fromEntries(copied.map((name) => [name, String(seen[name])]))
console.log('again:', (await thief.fetch(`${server.origin}/orders`, { ...order, headers })).status)

// The gateway changes the amount.
gateway = () => Buffer.from('{"amount":"99.50"}')
console.log('changed:', (await client.fetch(`${server.origin}/orders`, order)).status)

await Promise.all([client.close(), thief.close()])
await server.close()
