/**
 * Test your service against real TLS: a server with the pinned key, one with another key, and what your service says then. What
 * needs no TLS goes through `fakeClient()`, see accounts.test.ts.
 */
import { createClient } from 'pinfetch'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'

/** Your service: it takes the client's fetch, and knows nothing of pins. */
async function balanceOf(id: string, { fetch, bank }: { fetch: typeof globalThis.fetch; bank: string }) {
  const response = await fetch(`${bank}/v1/accounts/${id}`)
  return ((await response.json()) as { balance: number }).balance
}

const ca = testCa()
const pinned = ca.issue({ names: ['localhost'] })
const { fetch } = createClient({ pins: { localhost: [pinned.pin] }, anchors: ca.anchorPem })

async function startBank(identity: TestCertificate) {
  const server = await startTlsServer({
    identity,
    handler: (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"balance":12}'),
  })
  onTestFinished(server.close)
  return server
}

test('the balance comes from the bank', async () => {
  const bank = await startBank(pinned)
  expect(await balanceOf('a1', { fetch, bank: bank.origin })).toBe(12)
})

test('from somebody with another key nothing comes, and nothing goes there: ERR_TRUST_PIN_MISMATCH', async () => {
  const impostor = await startBank(ca.issue({ names: ['localhost'] }))
  const asked = balanceOf('a1', { fetch, bank: impostor.origin })
  await expect(asked).rejects.toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH', requestSent: 'no' })
  expect(impostor.applicationBytes).toBe(0)
})
