import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { apiKey, oauth } from 'pinfetch/auth'
import { fakeClient } from 'pinfetch/testing'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'

/** The layers above the transport, over a fetch that msw answers. */
const API = 'https://api.example.com'
const AS = 'https://as.example.com'
const SECRET = 'gZ4-mswSecret-0123456789'

const world = setupServer()
beforeAll(() => world.listen({ onUnhandledRequest: 'error' }))
afterEach(() => world.resetHandlers())
afterAll(() => world.close())

/** An authorization server that numbers its tokens, and an API that takes the newest alone. */
function serve() {
  const seen = { tokens: 0, api: [] as (string | null)[], valid: 1, bodies: [] as string[] }
  world.use(
    http.get(`${AS}/.well-known/openid-configuration`, () =>
      HttpResponse.json({ issuer: AS, token_endpoint: `${AS}/token` }),
    ),
    http.get(`${AS}/.well-known/oauth-authorization-server`, () =>
      HttpResponse.json({ issuer: AS, token_endpoint: `${AS}/token` }),
    ),
    http.post(`${AS}/token`, async ({ request }) => {
      seen.bodies.push(await request.text())
      seen.tokens += 1
      return HttpResponse.json({ access_token: `at-${seen.tokens}`, token_type: 'Bearer', expires_in: 3600 })
    }),
    http.all(`${API}/*`, async ({ request }) => {
      const authorization = request.headers.get('authorization')
      seen.api.push(authorization)
      if (authorization === `Bearer at-${seen.valid}`) return HttpResponse.json({ by: authorization })
      const headers = { 'www-authenticate': 'Bearer error="invalid_token"' }
      return new HttpResponse(null, { status: 401, headers })
    }),
  )
  const scheme = oauth({
    issuer: AS,
    client: { id: 'client-1', authentication: { method: 'client_secret_post', secret: { value: SECRET } } },
    grant: { type: 'client_credentials' },
    allowedOrigins: [API],
    refresh: { minIntervalMs: 0 },
  })
  const client = fakeClient({ auth: scheme })
  onTestFinished(() => client.destroy())
  return { seen, client }
}

test('one token serves every request, and the secret goes to the token endpoint alone', async () => {
  const { seen, client } = serve()
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${API}/a`)))
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect([seen.tokens, new Set(seen.api)]).toEqual([1, new Set(['Bearer at-1'])])
  expect(seen.bodies[0]).toContain(encodeURIComponent(SECRET))
})

test('a storm of 401: one renewal, every request sent again once, and no 401 for a caller', async () => {
  const { seen, client } = serve()
  await client.fetch(`${API}/first`)
  seen.valid = 2 // revoked behind the client's back
  seen.api.length = 0
  const init = { method: 'POST', body: 'order' }
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.fetch(`${API}/a`, init)))
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200))
  expect(seen.tokens).toBe(2)
  const count = (wanted: string): number => seen.api.filter((one) => one === wanted).length
  expect([count('Bearer at-1'), count('Bearer at-2')]).toEqual([50, 50])
})

test('a token endpoint that fails: ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE, nothing at the API, and no secret in it', async () => {
  const { seen, client } = serve()
  world.use(http.post(`${AS}/token`, () => new HttpResponse('down', { status: 503 })))
  const error = await client.fetch(`${API}/a`).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', requestSent: 'no' })
  expect(String((error as Error).stack)).not.toContain(SECRET)
  expect(seen.api).toEqual([])
})

test('an origin that no scheme names is refused: ERR_AUTH_ORIGIN_NOT_ALLOWED', async () => {
  const { client } = serve()
  await expect(client.fetch('https://other.example.com/')).rejects.toMatchObject({
    code: 'ERR_AUTH_ORIGIN_NOT_ALLOWED',
  })
})

test('an API key goes to its origin, and where nothing is needed nothing goes', async () => {
  const got: (string | null)[] = []
  const note = ({ request }: { request: Request }) => {
    got.push(request.headers.get('x-api-key'))
    return new HttpResponse(null, { status: 204 })
  }
  world.use(http.get(`${API}/*`, note), http.get('https://open.example.com/*', note))
  const key = apiKey({ header: 'x-api-key', source: { value: SECRET }, allowedOrigins: [API] })
  const client = fakeClient({ auth: key, withoutAuth: ['open.example.com'] })
  onTestFinished(() => client.destroy())
  await client.fetch(`${API}/a`)
  await client.fetch('https://open.example.com/a')
  expect(got).toEqual([SECRET, null])
})
