/**
 * Test your service with msw: `fakeClient()` keeps the contract of `client.fetch` (https only, typed errors, redirects
 * refused) and sends through the fetch that msw patched. Pins are not part of it; they are tested on a real TLS server.
 */
import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { TrustError } from 'pinfetch'
import { fakeClient } from 'pinfetch/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Accounts } from './accounts.ts'

const bank = setupServer(
  http.get('https://api.bank.com/v1/accounts/:id', ({ params }) =>
    params['id'] === 'a/1' ? HttpResponse.json({ id: 'a/1', balance: 12 }) : new HttpResponse(null, { status: 404 }),
  ),
)
beforeAll(() => bank.listen({ onUnhandledRequest: 'error' }))
afterEach(() => bank.resetHandlers())
afterAll(() => bank.close())

test('finds an account, and none where there is none', async () => {
  const accounts = new Accounts(fakeClient())
  expect(await accounts.find('a/1')).toEqual({ id: 'a/1', balance: 12 })
  expect(await accounts.find('b')).toBeUndefined()
})

test('an answer that is neither is an error', async () => {
  bank.use(http.get('https://api.bank.com/*', () => new HttpResponse(null, { status: 503 })))
  await expect(new Accounts(fakeClient()).find('a')).rejects.toThrow('the bank answered 503')
})

test('what the service does when somebody is in the middle', async () => {
  const client = fakeClient({ refuses: { 'api.bank.com': 'ERR_TRUST_PIN_MISMATCH' } })
  await expect(new Accounts(client).find('a')).rejects.toBeInstanceOf(TrustError)
})
