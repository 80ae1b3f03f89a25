/** A service that calls an API in its own name (RFC 6749 §4.4): `npx tsx examples/auth-client-credentials.ts`. */
import { createClient } from 'pinfetch'
import { oauth } from 'pinfetch/auth'
import { startLab } from './auth-lab.ts'

const { trust, issuer, metadata, apiOrigin, clientSecret, lab, close } = await startLab()
process.env['ORDERS_CLIENT_SECRET'] = clientSecret // set by whoever deploys

const client = createClient({
  ...trust, // the pins of the authorization server too: tokens are fetched over the same pinned client
  auth: oauth({
    issuer,
    metadata, // leave out where the server publishes its metadata
    client: {
      id: 'orders',
      authentication: { method: 'client_secret_basic', secret: { env: 'ORDERS_CLIENT_SECRET' } },
    },
    grant: { type: 'client_credentials' },
    scope: ['orders.read'],
    allowedOrigins: [apiOrigin], // no other origin ever sees a token
    revokeOnClose: true,
  }),
})
client.on('token.refresh', ({ trigger, result, waiters }) =>
  console.log(`token: ${result} (${trigger}), ${waiters} waiting`),
)

const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${apiOrigin}/orders`)))
console.log(`${answers.filter(({ ok }) => ok).length} requests, ${lab.grants.length} token`)

lab.tokens.clear() // somebody revokes it: the next request is answered 401, and sent once more with a new one
console.log(`after the revocation: ${(await client.fetch(`${apiOrigin}/orders`)).status}`)

await client.close()
console.log(`asked of the server: ${lab.grants.join(', ')}`)
await close()
