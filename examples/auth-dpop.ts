/**
 * Tokens that are worth nothing to a thief (RFC 9449): each request proves that it comes from the holder of a key, for this
 * method and this URL alone. `npx tsx examples/auth-dpop.ts`.
 */
import { generateKeyPairSync } from 'node:crypto'
import { createClient } from 'pinfetch'
import { localSigner, oauth } from 'pinfetch/auth'
import { startLab } from './auth-lab.ts'

const { trust, issuer, metadata, apiOrigin, clientSecret, close } = await startLab()
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' }) // or 'ephemeral-es256': one that lives as long as the client

const client = createClient({
  ...trust,
  redirect: 'same-origin', // each hop gets a proof of its own
  auth: oauth({
    issuer,
    metadata,
    client: { id: 'orders', authentication: { method: 'client_secret_post', secret: { value: clientSecret } } },
    grant: { type: 'client_credentials' },
    senderConstraint: { dpop: { signer: localSigner(privateKey) } },
    allowedOrigins: [apiOrigin],
  }),
})
const response = await client.fetch(`${apiOrigin}/orders`, { method: 'POST', body: JSON.stringify({ item: 7 }) })
console.log(response.status, await response.json())

await client.close()
await close()
