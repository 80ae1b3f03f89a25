/**
 * A payment as banks ask for it (FAPI 2.0): mutual TLS with pins, a token that is bound to the certificate, a client that proves
 * itself by key, signed requests and signed answers, an approval, a limit. `npx tsx examples/payment.ts`.
 */

import { createClient, fapi2, tokenBucket } from 'pinfetch'
import { approval } from 'pinfetch/auth'
import * as z from 'zod'
import { startBank } from './payment-lab.ts'

const bank = await startBank()
const Payment = z.strictObject({
  amount: z.string().regex(/^\d{1,9}\.\d{2}$/),
  currency: z.literal('EUR'),
  creditor: z.string(),
})
const Receipt = z.object({ id: z.uuid(), status: z.enum(['accepted', 'pending']), amount: z.string() })

const client = createClient({
  ...bank.trust,
  certificate: bank.certificate(), // { certFile, keyFile } is followed: a new certificate gets a new token
  ...fapi2({
    issuer: bank.issuer,
    metadata: bank.metadata,
    clientId: 'orders',
    clientKey: bank.clientKey,
    scope: ['payments'],
    resources: [bank.api],
    senderConstraint: 'mtls',
    signature: { form: 'http-message-signature', keys: bank.messageKey },
    responses: { keys: bank.bankKey, algorithms: ['ecdsa-p256-sha256'] },
    approval: approval({
      when: ({ method }) => method === 'POST',
      ask: async ({ url, digest }) => {
        console.log('asked:', new URL(url).pathname)
        return { approved: true, digest } // a push to a phone, a chat, a ticket
      },
    }),
  }),
  operations: [{ method: 'POST', url: `${bank.api}/payments`, body: Payment, response: { 201: Receipt } }],
  rate: { rules: [{ limit: tokenBucket({ requests: 5, perMs: 1_000 }) }] },
})

const pay = (amount: string, order: string) =>
  client.fetch(`${bank.api}/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': order },
    body: JSON.stringify({ amount, currency: 'EUR', creditor: 'DE02120300000000202051' }),
  })

const first = await pay('12.50', 'order-4711')
const { status, amount } = Receipt.parse(await first.json())
console.log(first.status, status, amount)
const again = await pay('12.50', 'order-4711')
console.log('again:', again.status, '- payments at the bank:', bank.payments.size)
await pay('12.5', 'order-4712').catch(({ code, issues }) => console.log(code, issues[0].path))

await client.close()
await bank.close()
