/**
 * A token that is bound to the client's certificate (RFC 8705), which also takes the place of a client secret: there is nothing
 * that could be copied from a log. `npx tsx examples/auth-mtls.ts`.
 */
import { createClient } from 'pinfetch'
import { oauth } from 'pinfetch/auth'
import { testCa } from 'pinfetch/testing'
import { startLab } from './auth-lab.ts'

const { trust, issuer, metadata, apiOrigin, close } = await startLab()
const own = testCa({ name: 'Clients' }).issue({ subject: 'orders', extendedKeyUsage: ['clientAuth'] })

const client = createClient({
  ...trust,
  certificate: { cert: own.pem, key: own.keyPem }, // { certFile, keyFile } is followed: a new certificate gets a new token
  auth: oauth({
    issuer,
    metadata,
    client: { id: 'orders', authentication: { method: 'tls_client_auth' } },
    grant: { type: 'client_credentials' },
    senderConstraint: 'mtls',
    allowedOrigins: [apiOrigin],
  }),
})
const response = await client.fetch(`${apiOrigin}/orders`)
console.log(response.status, await response.json())

await client.close()
await close()
