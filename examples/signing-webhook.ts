/**
 * A webhook, signed as Standard Webhooks has it, and its receiver: who changes, delays or repeats a message is refused.
 * `npx tsx examples/signing-webhook.ts`.
 */
import { randomBytes } from 'node:crypto'
import { createClient } from 'pinfetch'
import { hmacTemplate, memoryNonces, standardWebhook, verifyWebhooks } from 'pinfetch/signing'
import { startTlsServer, testCa } from 'pinfetch/testing'

const key = { value: `whsec_${randomBytes(32).toString('base64')}` } // in earnest: { file: '/run/secrets/webhook' }

// The receiver.
const webhooks = verifyWebhooks({ template: standardWebhook, key, nonces: memoryNonces() })
const ca = testCa()
const identity = ca.issue({ names: ['hooks.partner.test'] })
const server = await startTlsServer({
  identity,
  handler: async ({ method, path, rawHeaders, body }, response) => {
    try {
      await webhooks.verify({ method, url: path, rawHeaders }, body)
      response.writeHead(204).end()
    } catch (error) {
      console.log(`refused: ${(error as { code?: string }).code}`)
      response.writeHead(401).end()
    }
  },
})

// The sender.
const origin = `https://hooks.partner.test:${server.port}`
const options = { pins: { 'hooks.partner.test': [identity.pin] }, anchors: ca.anchorPem }
const client = createClient({
  ...{ ...options, resolver: async () => ['127.0.0.1'] },
  sign: hmacTemplate({ template: standardWebhook, key, allowedOrigins: [origin] }),
})
const unsigned = createClient({ ...options, resolver: async () => ['127.0.0.1'] })

const body = JSON.stringify({ type: 'invoice.paid', data: { id: 'in_42' } })
const headers = { 'webhook-id': 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W', 'content-type': 'application/json' }
const sent = await client.fetch(`${origin}/in`, { method: 'POST', headers, body })
console.log(`signed: ${sent.status}`)
const forged = await unsigned.fetch(`${origin}/in`, { method: 'POST', headers, body })
console.log(`without a signature: ${forged.status}`)

await Promise.all([client.close(), unsigned.close()])
webhooks.close()
await server.close()
