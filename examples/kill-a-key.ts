/**
 * A key was stolen: a status that denies it cuts live connections to it, and no pin admits it again. The status key alone signs
 * that, `pinfetch manifest deny` and `heartbeat`, and clients know within a poll. `npx tsx examples/kill-a-key.ts`.
 */
import { createClient } from 'pinfetch'
import { createTestRepository, startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'

const ca = testCa()
const stolen = ca.issue({ names: ['localhost'] })
const reserve = ca.issue({ names: ['localhost'] })
const api = await startTlsServer({ identity: stolen })
const repository = await createTestRepository({ hosts: { localhost: [stolen.pin, reserve.pin] } })
const pins = await startManifestServer({ files: repository, identity: reserve })

const client = createClient({
  manifest: { url: pins.url, root: repository.root, memoryOnly: true },
  anchors: ca.anchorPem,
})
client.on('manifest.deny', ({ added }) => console.log(`denied: ${added.length} key`))
client.on('tls.retired', ({ connections, code }) => console.log(`closed: ${connections} connection, ${code}`))

console.log('before:', (await client.fetch(api.origin)).status)
await repository.deny([stolen.pin], 'INC-7: found in a public repository')
await client.manifest.refresh() // clients poll by themselves; here nobody wants to wait
console.log('the stolen key:', await client.fetch(api.origin).catch(({ code }) => code))

api.setIdentity(reserve) // the key in reserve was pinned all along, so nothing waits for a new manifest
api.destroyConnections()
console.log('the key in reserve:', (await client.fetch(api.origin)).status)

await client.close()
await Promise.all([api.close(), pins.close()])
