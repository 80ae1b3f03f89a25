/** Run by node:test in a process of its own: what a user's suite looks like there. See node-test.test.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { type Client, createClient } from 'pinfetch'
import { fakeClient, startPinnedServer } from 'pinfetch/testing'

/** The code under test. */
async function listOrders(client: Client, base = 'https://api.example.com'): Promise<unknown> {
  const response = await client.fetch(`${base}/orders`)
  return response.json()
}

const world = setupServer(http.get('https://api.example.com/orders', () => HttpResponse.json(['one'])))
before(() => world.listen({ onUnhandledRequest: 'bypass' }))
after(() => world.close())

test('a fake client over msw', async () => {
  assert.deepEqual(await listOrders(fakeClient()), ['one'])
})

test('a fake client over an injected fetch', async () => {
  const client = fakeClient({ fetch: async () => Response.json(['two']) })
  assert.deepEqual(await listOrders(client), ['two'])
})

test('a peer that a fake client refuses', async () => {
  const client = fakeClient({ refuses: { 'api.example.com': 'ERR_TRUST_PIN_MISMATCH' } })
  await assert.rejects(listOrders(client), { code: 'ERR_TRUST_PIN_MISMATCH' })
})

test('a pinned server, and the key of a stranger', async () => {
  const server = await startPinnedServer({ handler: () => Response.json(['three']) })
  const client = createClient({ ...server.clientOptions })
  try {
    assert.deepEqual(await listOrders(client, server.url), ['three'])
    server.rotate({ to: 'stranger' })
    await assert.rejects(listOrders(client, server.url), { code: 'ERR_TRUST_PIN_MISMATCH' })
    assert.equal(server.requests.length, 1)
  } finally {
    await client.close()
    await server.close()
  }
})
