/**
 * A server changes its key while a client goes on working: announce the new pin, swap the key, retire the old pin.
 * `pinfetch rotate` does the first and the last, and says when. `npx tsx examples/rotate-a-pin.ts`.
 */
import { createClient } from 'pinfetch'
import { createTestRepository, startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'

const ca = testCa()
const old = ca.issue({ names: ['localhost'] })
const next = ca.issue({ names: ['localhost'] })
const api = await startTlsServer({ identity: old })
const repository = await createTestRepository({ hosts: { localhost: [old.pin] } })
const pins = await startManifestServer({ files: repository, identity: old })

const client = createClient({
  manifest: { url: pins.url, root: repository.root, memoryOnly: true, bootstrapPins: [ca.issuer.pin] },
  anchors: ca.anchorPem,
})
client.on('manifest.activated', ({ to }) => console.log(`manifest ${to} in force`))
const status = async (): Promise<number> => (await client.fetch(api.origin)).status

console.log('before:', await status())

// 1. Announce: both keys are pinned. Wait until every client has had five polls before you go on.
await repository.publish({ hosts: { localhost: [old.pin, next.pin] } })
await client.manifest.refresh() // clients poll by themselves; here nobody wants to wait
console.log('announced:', await status())

// 2. Swap: the server gets its new key.
api.setIdentity(next)
api.destroyConnections()
console.log('swapped:', await status())

// 3. Retire: whoever still has the old key, a thief for instance, is refused from here on.
await repository.publish({ hosts: { localhost: [next.pin] } })
await client.manifest.refresh()
console.log('retired:', await status())
const thief = await startTlsServer({ identity: old })
console.log('the old key:', await client.fetch(thief.origin).catch(({ code }) => code))

await client.close()
await Promise.all([api.close(), pins.close(), thief.close()])
