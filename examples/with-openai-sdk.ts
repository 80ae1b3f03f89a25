/**
 * An SDK that takes a `fetch`: every request it makes, streams and uploads too, goes over pinned connections.
 * `npx tsx examples/with-openai-sdk.ts`.
 */
import OpenAI, { APIConnectionError } from 'openai'
import { createClient, TrustError } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const handler = (_: unknown, response: import('node:http').ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"gpt-x","object":"model"}')
}
const provider = await startTlsServer({ identity, handler })
const interceptor = await startTlsServer({ identity: ca.issue({ names: ['localhost'] }), handler })

const { fetch, close } = createClient({ pins: { localhost: [identity.pin] }, anchors: ca.anchorPem })
const sdkOf = (origin: string) => new OpenAI({ apiKey: 'sk-secret', baseURL: `${origin}/v1`, fetch, maxRetries: 0 })

console.log('model:', (await sdkOf(provider.origin).models.retrieve('gpt-x')).id)
try {
  await sdkOf(interceptor.origin).models.retrieve('gpt-x')
} catch (error) {
  if (!(error instanceof APIConnectionError && error.cause instanceof TrustError)) throw error
  console.log('refused:', error.cause.code) // the SDK wraps what fetch rejects with
}
console.log(`the interceptor read ${interceptor.applicationBytes} bytes`)

await close()
await Promise.all([provider.close(), interceptor.close()])
