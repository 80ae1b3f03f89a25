/**
 * The other side of the auth examples: an authorization server and an API, on loopback, and the options of a client that knows
 * both. The server rotates refresh tokens and ends the session of whoever redeems one twice, as good ones do.
 */
import { randomBytes } from 'node:crypto'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'

const random = (): string => randomBytes(24).toString('base64url')

export async function startLab() {
  const ca = testCa({ name: 'Lab' })
  const identity = ca.issue({ names: ['api.lab.test', 'login.lab.test'] })
  const lab = {
    clientSecret: random(),
    refreshToken: random(),
    apiKeys: [random()],
    tokens: new Set<string>(),
    /** What was asked of the token endpoint. */
    grants: [] as string[],
  }
  const login: TestHandler = ({ path, body, headers }, response) => {
    const form = new URLSearchParams(Buffer.from(body).toString())
    const grant = form.get('grant_type') ?? ''
    lab.grants.push(path === '/token' ? grant : path)
    const isKnown = grant !== 'refresh_token' || form.get('refresh_token') === lab.refreshToken
    if (!isKnown) return answer(response, 400, { error: 'invalid_grant' })
    const token = random()
    lab.tokens.add(token)
    if (grant === 'refresh_token') lab.refreshToken = random()
    const type = headers['dpop'] === undefined ? 'Bearer' : 'DPoP'
    const rotated = grant === 'refresh_token' ? { refresh_token: lab.refreshToken } : {}
    answer(response, 200, { access_token: token, token_type: type, expires_in: 600, ...rotated })
  }
  const api: TestHandler = ({ headers }, response) => {
    const [scheme = 'none', token = ''] = (headers.authorization ?? '').split(' ')
    const isKnown = lab.tokens.has(token) || lab.apiKeys.includes(String(headers['x-api-key']))
    if (isKnown) return answer(response, 200, { scheme: headers.authorization === undefined ? 'API key' : scheme })
    response.setHeader('www-authenticate', 'Bearer error="invalid_token"')
    answer(response, 401, {})
  }
  const serve = (handler: TestHandler) => startTlsServer({ identity, handler, requestCert: true })
  const servers = await Promise.all([serve(api), serve(login)])
  const [apiOrigin, issuer] = [`https://api.lab.test:${servers[0].port}`, `https://login.lab.test:${servers[1].port}`]
  const { clientSecret, refreshToken } = lab
  return {
    lab,
    clientSecret,
    refreshToken,
    apiOrigin,
    issuer,
    /** In place of what a server publishes at /.well-known/oauth-authorization-server. */
    metadata: { token_endpoint: `${issuer}/token`, revocation_endpoint: `${issuer}/revoke` },
    /** For createClient. A real one has a manifest here. */
    trust: {
      pins: { '*.lab.test': [identity.pin] },
      anchors: ca.anchorPem,
      resolver: async () => ['127.0.0.1'],
    },
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  }
}

function answer(response: Parameters<TestHandler>[1], status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
