/**
 * A store that speaks AWS Signature Version 4, with temporary credentials that are asked for once and renewed before they end.
 * `npx tsx examples/signing-sigv4.ts`.
 */
import { createClient } from 'pinfetch'
import { type AwsCredentials, sigV4 } from 'pinfetch/signing'
import { startTlsServer, testCa } from 'pinfetch/testing'

const ca = testCa()
const identity = ca.issue({ names: ['bucket.s3.eu-central-1.store.test'] })
const server = await startTlsServer({
  identity,
  handler: ({ method, path, headers }, response) => {
    const [, credential, signed] = /Credential=(\S+), SignedHeaders=(\S+),/.exec(headers.authorization ?? '') ?? []
    console.log(`${method} ${path}: ${credential}, over ${signed}`)
    response.writeHead(credential === undefined ? 403 : 200).end()
  },
})

let asked = 0
/** In earnest `fromNodeProviderChain()` of @aws-sdk/credential-providers, or a call to your own service. */
async function credentials(): Promise<AwsCredentials> {
  asked += 1
  const expiration = new Date(Date.now() + 3_600_000)
  const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' // of the AWS documentation
  return { accessKeyId: `ASIAEXAMPLE${asked}`, secretAccessKey, sessionToken: 'FwoGZXIvYXdzEXAMPLE', expiration }
}

const client = createClient({
  ...{ pins: { '**.store.test': [identity.pin] }, anchors: ca.anchorPem },
  resolver: async () => ['127.0.0.1'],
  sign: sigV4({ service: 's3', region: 'eu-central-1', credentials }),
})
const url = `https://bucket.s3.eu-central-1.store.test:${server.port}/reports/2026 q1.csv`
const answers = await Promise.all([
  client.fetch(url, { method: 'PUT', body: 'a,b\n1,2\n' }),
  client.fetch(url),
  client.fetch(`${url}?versions=`),
])
console.log(`${answers.map(({ status }) => status).join(' ')}; credentials asked for: ${asked}`)

await client.close()
await server.close()
