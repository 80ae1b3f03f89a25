import { createClient } from 'pinfetch'
import { servePins, startPinnedServer } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, until } from '../support/client.ts'

function clientOf(options: Parameters<typeof createClient>[0]) {
  const client = createClient(options)
  onTestFinished(() => client.close())
  return client
}

describe('startPinnedServer', () => {
  test('answers a client that has its options, and shows what arrived', async () => {
    const server = await until(
      startPinnedServer({
        handler: async (request) =>
          Response.json(
            { got: await request.text(), path: new URL(request.url).pathname },
            { status: 201, headers: { 'x-a': 'b' } },
          ),
      }),
    )
    const client = clientOf({ ...server.clientOptions })
    const init = { method: 'POST', body: 'one', headers: { 'x-order': '7' } }
    const response = await client.fetch(`${server.url}/orders?a=b`, init)
    expect([response.status, response.headers.get('x-a')]).toEqual([201, 'b'])
    expect(await response.json()).toEqual({ got: 'one', path: '/orders' })
    const [request] = server.requests
    expect([request?.method, request?.url, request?.headers.get('x-order')]).toEqual([
      'POST',
      `${server.url}/orders?a=b`,
      '7',
    ])
    expect(await request?.text()).toBe('one')
  })

  test('streams, sets several cookies, and answers nothing with nothing', async () => {
    const bodies: Record<string, () => Response> = {
      '/cookies': () =>
        new Response('ok', {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        }),
      '/none': () => new Response(null, { status: 204 }),
      '/stream': () => new Response(new Blob(['x'.repeat(100_000)]).stream()),
    }
    const handler = (request: Request) =>
      bodies[new URL(request.url).pathname]?.() ?? new Response('no', { status: 404 })
    const server = await until(startPinnedServer({ handler }))
    const client = clientOf({ ...server.clientOptions })
    const get = (path: string) => client.fetch(server.url + path)
    expect((await get('/cookies')).headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect((await get('/none')).status).toBe(204)
    expect((await (await get('/stream')).text()).length).toBe(100_000)
    expect((await get('/elsewhere')).status).toBe(404)
  })

  test('a handler that throws is a 500 with its message', async () => {
    const handler = (): Response => {
      throw new Error('the test is wrong')
    }
    const server = await until(startPinnedServer({ handler }))
    const response = await clientOf({ ...server.clientOptions }).fetch(server.url)
    expect([response.status, await response.text()]).toEqual([500, 'the test is wrong'])
  })

  test('a client survives one rotation, and the second is ERR_TRUST_PIN_MISMATCH until it has the new pins', async () => {
    const server = await until(startPinnedServer())
    const client = clientOf({ ...server.clientOptions })
    const [first, second] = server.pins
    expect((await client.fetch(server.url)).status).toBe(200)
    server.rotate()
    expect(server.pins[0]).toBe(second)
    expect(server.pins).not.toContain(first)
    expect((await client.fetch(server.url)).status).toBe(200)
    server.rotate()
    await refusalOf(client.fetch(server.url), 'ERR_TRUST_PIN_MISMATCH')
    expect(server.requests).toHaveLength(2)
    expect((await clientOf({ ...server.clientOptions }).fetch(server.url)).status).toBe(200)
  })

  test('a stranger’s key is ERR_TRUST_PIN_MISMATCH for everybody, and nothing arrives', async () => {
    const server = await until(startPinnedServer({ names: ['api.example.com'] }))
    const before = server.pins
    server.rotate({ to: 'stranger' })
    expect(server.pins).toEqual(before)
    await refusalOf(clientOf({ ...server.clientOptions }).fetch(server.url), 'ERR_TRUST_PIN_MISMATCH')
    expect([server.requests.length, server.tls.applicationBytes]).toEqual([0, 0])
  })
})

test('servePins publishes, rotates, and kills a key: ERR_TRUST_PIN_DENIED', async () => {
  const api = await until(startPinnedServer())
  const pins = await until(servePins({ localhost: api.pins }, { ca: api.ca }))
  const client = clientOf({ ...pins.clientOptions })
  expect((await client.fetch(api.url)).status).toBe(200)
  api.rotate()
  api.rotate()
  await refusalOf(client.fetch(api.url), 'ERR_TRUST_PIN_MISMATCH')
  await pins.publish({ localhost: api.pins })
  await client.manifest.refresh()
  expect((await client.fetch(api.url)).status).toBe(200)
  const [stolen] = api.pins
  await pins.kill(...(stolen === undefined ? [] : [stolen]))
  await client.manifest.refresh()
  await refusalOf(client.fetch(api.url), 'ERR_TRUST_PIN_DENIED')
  expect(api.requests).toHaveLength(2)
})
