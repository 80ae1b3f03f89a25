/**
 * A library over node:https: `client.agent` lends it connections that were judged before it gets them.
 * `npx tsx examples/with-axios.ts`.
 */
import axios from 'axios'
import { createClient } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const api = await startTlsServer({ identity })
const interceptor = await startTlsServer({ identity: ca.issue({ names: ['localhost'] }) })

const client = createClient({ pins: { localhost: [identity.pin] }, anchors: ca.anchorPem })
const http = axios.create({
  httpsAgent: client.agent,
  proxy: false, // or axios follows HTTPS_PROXY by itself, around every check; the option `proxy` of the client is the place
  headers: { authorization: 'Bearer secret' },
})

console.log('axios:', (await http.get(`${api.origin}/v1/accounts`)).status)
console.log('refused:', await http.get(`${interceptor.origin}/v1/accounts`).catch(({ code }) => code))
console.log(`the interceptor read ${interceptor.applicationBytes} bytes`)

await client.close()
await Promise.all([api.close(), interceptor.close()])
