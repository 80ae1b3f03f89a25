/**
 * A signed manifest of pins, an API behind it, one request; then somebody else answers in the API's place.
 * `npx tsx examples/quickstart.ts`.
 */
import { createClient, TrustError } from 'pinfetch'
import { createTestRepository, startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'

// What others run in earnest: an API with two keys, one of them in reserve, and whoever publishes its pins.
const ca = testCa()
const current = ca.issue({ names: ['localhost'] })
const reserve = ca.issue({ names: ['localhost'] })
const api = await startTlsServer({ identity: current })
const repository = await createTestRepository({ hosts: { localhost: [current.pin, reserve.pin] } })
const pins = await startManifestServer({ files: repository, identity: current })

// What you write.
const client = createClient({
  manifest: { url: pins.url, root: repository.root, memoryOnly: true }, // in earnest: root: './root.json', cacheDir
  anchors: ca.anchorPem, // leave out for a public CA
})
await client.ready() // the pins are verified, or this throws with the reason
const response = await client.fetch(`${api.origin}/v1/accounts`, { headers: { authorization: 'Bearer secret' } })
console.log(response.status, await response.text())

// The same CA issues a certificate for the same name to somebody else.
const stranger = await startTlsServer({ identity: ca.issue({ names: ['localhost'] }) })
try {
  await client.fetch(`${stranger.origin}/v1/accounts`, { headers: { authorization: 'Bearer secret' } })
} catch (error) {
  if (!(error instanceof TrustError)) throw error
  console.log(error.code)
}
console.log(`the stranger read ${stranger.applicationBytes} bytes`)

await client.close()
await Promise.all([api.close(), pins.close(), stranger.close()])
