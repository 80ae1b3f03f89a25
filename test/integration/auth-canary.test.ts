import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { ClientEvent } from 'pinfetch'
import { type AuthScheme, apiKey, basic, bearer, fileTokenStore, jweCipher, localSigner, oauth } from 'pinfetch/auth'
import { generateKey, startTlsServer, type TestHandler, type TestTlsServer } from 'pinfetch/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  API,
  type AuthStage,
  answerJson,
  authStage,
  ca,
  identity,
  OTHER,
  oauthAt,
  SERVER,
} from '../support/auth-stage.ts'

/** A secret as no other test has it, in every form that it may take on its way. */
interface Canary {
  readonly text: string
  readonly forms: readonly string[]
}

function canary(text = `canary-${randomBytes(24).toString('base64url')}`): Canary {
  const forms = [
    text,
    encodeURIComponent(text),
    Buffer.from(text).toString('base64'),
    Buffer.from(text).toString('base64url'),
  ]
  return { text, forms: [...new Set([...forms, Buffer.from(text).toString('hex')])] }
}

/** Everything that an error shows, to whoever looks in whatever way. */
function seenOf(error: unknown): string {
  const seen = [inspect(error, { depth: 10, showHidden: true, getters: true }), String(error)]
  for (let at = error, depth = 0; at instanceof Error && depth < 20; at = at.cause, depth += 1)
    seen.push(at.message, at.stack ?? '', JSON.stringify(at), JSON.stringify(Object.getOwnPropertyDescriptors(at)))
  return seen.join('\n')
}

const found = (texts: string, canaries: readonly Canary[]): readonly string[] =>
  canaries.flatMap(({ forms }) => forms.filter((form) => texts.includes(form)))

interface Kind {
  readonly name: string
  /** The scheme, and whatever of it is a secret. */
  readonly make: (at: { readonly api: string; readonly server: string }, folder: string) => AuthScheme
  readonly secrets: readonly Canary[]
  /** What the API has to get. */
  readonly atApi: () => Canary
  readonly token?: TestHandler
}

function kinds(): readonly Kind[] {
  const [key, token, password, clientSecret, access, refresh, initial] = Array.from({ length: 7 }, () => canary())
  if (!key || !token || !password || !clientSecret || !access || !refresh || !initial) throw new Error('seven')
  const dpop = generateKey()
  const { d = '' } = dpop.privateKey.export({ format: 'jwk' })
  const basicForm = canary(Buffer.from(`user:${password.text}`).toString('base64'))
  const issue: TestHandler = (_, response) =>
    answerJson(response, {
      access_token: access.text,
      token_type: 'DPoP',
      expires_in: 3600,
      refresh_token: refresh.text,
    })
  return [
    {
      name: 'an API key',
      make: ({ api }) => apiKey({ header: 'x-partner', source: { value: key.text }, allowedOrigins: [api] }),
      secrets: [key],
      atApi: () => key,
    },
    {
      name: 'a bearer token',
      make: ({ api }) => bearer({ source: { value: token.text }, allowedOrigins: [api] }),
      secrets: [token],
      atApi: () => token,
    },
    {
      name: 'a password',
      make: ({ api }) => basic({ username: 'user', password: { value: password.text }, allowedOrigins: [api] }),
      secrets: [password, basicForm],
      atApi: () => basicForm,
    },
    {
      name: 'oauth with DPoP and a stored refresh token',
      make: ({ api, server }, folder) =>
        oauth(
          oauthAt(server, api, {
            client: {
              id: 'client-1',
              authentication: { method: 'client_secret_post', secret: { value: clientSecret.text } },
            },
            grant: { type: 'refresh_token', initial: { value: initial.text } },
            senderConstraint: { dpop: { signer: localSigner(dpop.privateKey) } },
            store: fileTokenStore({ dir: folder }),
            encryption: jweCipher({ keys: { one: randomBytes(32) }, current: 'one' }),
          }),
        ),
      secrets: [clientSecret, access, refresh, initial, canary(d)],
      atApi: () => access,
      token: issue,
    },
  ]
}

interface Watched extends AuthStage {
  /** Everything that came out of the client, and is no request to the API or to the authorization server. */
  readonly leaked: (more?: string) => readonly string[]
  readonly kind: Kind
  readonly folder: string
}

async function watched(kind: Kind, options: Partial<Parameters<typeof authStage>[0]> = {}): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-canary-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const printed: string[] = []
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => printed.push(String(text)) > 0)
  onTestFinished(() => void vi.restoreAllMocks())
  const stage = await authStage({
    schemes: (at) => kind.make(at, folder),
    judge: false,
    ...(kind.token === undefined ? {} : { token: kind.token }),
    ...options,
  })
  const leaked = (more = ''): readonly string[] => {
    const events = stage.events.map((event: ClientEvent) => inspect(event, { depth: 10 }) + JSON.stringify(event))
    const stored = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name + readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    return found(
      [...events, ...printed, ...stored, inspect(stage.client, { depth: 10 }), more].join('\n'),
      kind.secrets,
    )
  }
  return { ...stage, leaked, kind, folder }
}

const received = ({ requests }: TestTlsServer): string =>
  requests
    .map(({ rawHeaders, path, body }) => [...rawHeaders, path, Buffer.from(body).toString()].join('\n'))
    .join('\n')

test('a planted canary is found, in an error, its cause and in every encoding', () => {
  const one = canary()
  const error = new Error('outer', { cause: Object.assign(new Error('inner'), { deep: { er: [one.text] } }) })
  expect(found(seenOf(error), [one])).toEqual([one.text])
  for (const form of one.forms) expect(found(`x${form}x`, [one])).toContain(form)
})

describe.each(kinds().map((kind) => [kind.name, kind] as const))('%s', (_, kind) => {
  test('reaches the API, and shows nowhere else', async () => {
    const stage = await watched(kind)
    expect((await stage.client.fetch(stage.url())).status).toBe(200)
    expect(found(received(stage.api), [kind.atApi()])).not.toEqual([])
    expect(stage.leaked()).toEqual([])
    if (kind.token !== undefined) expect(readdirSync(stage.folder, { recursive: true }).length).toBeGreaterThan(0)
    await stage.client.close()
    expect(stage.leaked()).toEqual([])
  })

  const cut: TestHandler = (_, response) => response.socket?.destroy()
  const FAULTS: readonly (readonly [string, Partial<Parameters<typeof authStage>[0]>, RequestInit?])[] = [
    ['the API cuts the connection', { handler: cut }],
    ['the API has another key', { api: { identity: ca.issue({ names: [API] }) } }],
    ['the API answers 401 for ever', { handler: (_, response) => response.writeHead(401, CHALLENGE).end('no') }],
    ['the API answers 403', { handler: (_, response) => response.writeHead(403, SCOPE).end() }],
    [
      'the API sends the credential back',
      {
        handler: ({ rawHeaders }, response) =>
          response
            .writeHead(401, { 'www-authenticate': `Bearer realm="${rawHeaders.join(' ').replaceAll('"', '')}"` })
            .end(rawHeaders.join('\n')),
      },
    ],
    [
      'the API sends what is no HTTP',
      { api: { onSocket: (socket) => void socket.on('data', (data) => socket.end(`nonsense ${data}`)) } },
    ],
    [
      'the API sends too many header fields',
      {
        handler: ({ rawHeaders }, response) =>
          response.writeHead(200, { 'x-echo': rawHeaders.join(' ').repeat(200).slice(0, 60_000) }).end(),
      },
    ],
    [
      'the API redirects, and nothing is followed',
      {
        handler: ({ rawHeaders }, response) =>
          response.writeHead(302, { location: `https://${OTHER}/?${encodeURIComponent(rawHeaders.join(' '))}` }).end(),
      },
    ],
    [
      'the API redirects to itself for ever',
      {
        handler: (_, response) => response.writeHead(307, { location: '/' }).end(),
        client: { redirect: 'same-origin' },
      },
    ],
    [
      'the API redirects to http',
      {
        handler: (_, response) => response.writeHead(307, { location: `http://${API}/` }).end(),
        client: { redirect: { follow: [`${API}:*`] } },
      },
    ],
    [
      'the API answers too much',
      { handler: (_, response) => response.end('x'.repeat(5_000)), client: { limits: { bodyBytes: 10 } } },
    ],
    ['the call has no time left', { handler: () => undefined, client: { timeouts: { totalMs: 300 } } }],
    ['the call has a wrong header', {}, { headers: { 'bad header': 'x' } }],
    [
      'the call has a body that cannot be sent again',
      { handler: (_, response) => response.writeHead(401, CHALLENGE).end() },
      {
        method: 'POST',
        duplex: 'half',
        get body() {
          return new Blob(['x']).stream()
        },
      } as RequestInit,
    ],
  ]
  test.each(FAULTS.map(([name, options, init = {}]) => [name, options, init] as const))(
    'shows nowhere where %s',
    async (_, options, init) => {
      const stage = await watched(kind, options)
      const outcome = await stage.client
        .fetch(stage.url(), init)
        .then((response) => response.text().then(() => '', seenOf), seenOf) // what the server says is the caller’s
      expect(stage.leaked(outcome)).toEqual([])
      const after = await stage.client
        .destroy(new Error('over'))
        .then(() => stage.client.fetch(stage.url()))
        .catch(seenOf)
      expect(stage.leaked(String(after))).toEqual([])
    },
  )

  test('stands in no URL: ERR_AUTH_CREDENTIAL_IN_URL does not repeat it', async () => {
    const stage = await watched(kind)
    const outcome = await stage.client.fetch(`${stage.url()}?key=${kind.secrets[0]?.text}`).then(() => '', seenOf)
    expect(stage.leaked(outcome)).toEqual([])
  })
})

describe('what an authorization server answers', () => {
  const oauthKind = (): Kind => kinds().find(({ token }) => token !== undefined) ?? expect.fail('oauth')
  const echo =
    (body: (form: string) => string, status: number, type: string): TestHandler =>
    ({ body: form }, response) =>
      response.writeHead(status, { 'content-type': type }).end(body(Buffer.from(form).toString()))
  const issued =
    (kind: Kind, more: object): TestHandler =>
    (_, response) => {
      const [, access, refresh] = kind.secrets
      answerJson(response, {
        access_token: access?.text,
        refresh_token: refresh?.text,
        token_type: 'DPoP',
        expires_in: 60,
        ...more,
      })
    }
  test.each<[string, (kind: Kind) => TestHandler]>([
    ['an error page with what it was sent', () => echo((form) => `<html>${form}`, 200, 'text/html')],
    ['JSON with what it was sent', () => echo((form) => JSON.stringify({ form }), 200, 'application/json')],
    ['JSON that breaks off', () => echo((form) => `{"access_token":"${form}`, 200, 'application/json')],
    [
      'an OAuth error with what it was sent',
      () => echo((form) => JSON.stringify({ error: form, error_description: form }), 400, 'application/json'),
    ],
    [
      'invalid_client',
      () =>
        echo((form) => JSON.stringify({ error: 'invalid_client', error_description: form }), 401, 'application/json'),
    ],
    [
      'invalid_grant',
      () =>
        echo((form) => JSON.stringify({ error: 'invalid_grant', error_description: form }), 400, 'application/json'),
    ],
    ['a fault of its own', () => echo((form) => form, 500, 'text/plain')],
    ['to wait', () => echo((form) => form, 429, 'text/plain')],
    ['a token of another type', (kind) => issued(kind, { token_type: 'Bearer' })],
    ['a lifetime that is none', (kind) => issued(kind, { expires_in: -1 })],
    ['a scope that is none', (kind) => issued(kind, { scope: null })],
    ['an ID token that is none', (kind) => issued(kind, { id_token: kind.secrets[1]?.text })],
    ['a token with a line break', (kind) => issued(kind, { access_token: `${kind.secrets[1]?.text}\r\nx: y` })],
    ['nothing, and cuts the connection', () => (_, response) => void response.socket?.destroy()],
    [
      'a redirect',
      () =>
        ({ body }, response) =>
          response.writeHead(307, { location: `https://${OTHER}/?${Buffer.from(body)}` }).end(),
    ],
    [
      'more than anybody reads',
      () =>
        ({ body }, response) =>
          response.end(Buffer.from(body).toString().repeat(20_000)),
    ],
  ])('%s: no secret of it shows', async (_, token) => {
    const kind = oauthKind()
    const stage = await watched(kind, { token: token(kind) })
    const outcome = await stage.client.fetch(stage.url()).then(() => '', seenOf)
    expect(outcome).toContain('ERR_AUTH_')
    expect(stage.leaked(outcome)).toEqual([])
    const [clientSecret] = kind.secrets
    if (clientSecret !== undefined) expect(found(received(stage.server), [clientSecret])).not.toEqual([])
    expect(stage.api.requests).toEqual([])
  })
})

describe('five redirects to six other origins', () => {
  let second: TestTlsServer
  beforeAll(async () => {
    second = await startTlsServer({
      identity: ca.issue({ names: [API, `sub.${API}`, OTHER, 'other.test'], ips: ['127.0.0.1'] }),
    })
  })
  afterAll(() => second.close())
  const CHANGES: readonly (readonly [string, (port: number) => string])[] = [
    ['another host', (port) => `https://other.test:${port}/there`],
    ['another port', (port) => `https://${API}:${port}/there`],
    ['a subdomain', (port) => `https://sub.${API}:${port}/there`],
    ['a sibling', (port) => `https://${OTHER}:${port}/there`],
    ['an address', (port) => `https://127.0.0.1:${port}/there`],
    ['http', () => `http://${API}/there`],
  ]
  test.each(kinds().map((kind) => [kind.name, kind] as const))('take nothing of %s along', async (_, kind) => {
    let [status, location] = [0, '']
    const pin = [identity.pin, ca.issuer.pin]
    const hosts = [API, SERVER, OTHER, `sub.${API}`, 'other.test', '127.0.0.1']
    const stage = await watched(kind, {
      handler: (_, response) => response.writeHead(status, { location }).end(),
      client: {
        pins: Object.fromEntries(hosts.map((host) => [host, pin])),
        redirect: { follow: hosts.map((host) => `${host}:*`) },
      },
    })
    const before = second.requests.length
    const outcomes: string[] = []
    for (const [, place] of CHANGES) {
      for (status of [301, 302, 303, 307, 308]) {
        location = place(second.port)
        const outcome = await stage.client.fetch(stage.url()).then(({ status }) => String(status), seenOf)
        outcomes.push(outcome)
        expect(stage.leaked(outcome)).toEqual([])
      }
    }
    expect(outcomes.filter((outcome) => outcome === '200')).toHaveLength(25)
    expect(outcomes.filter((outcome) => outcome.includes('ERR_POLICY_PLAINTEXT'))).toHaveLength(5)
    const there = second.requests.slice(before)
    expect(there).toHaveLength(25)
    expect(found(there.flatMap(({ rawHeaders, path }) => [...rawHeaders, path]).join('\n'), kind.secrets)).toEqual([])
    for (const { headers } of there)
      for (const name of ['authorization', 'dpop', 'x-partner']) expect(headers).not.toHaveProperty(name)
    expect(found(received(stage.api), [kind.atApi()])).not.toEqual([])
    expect(stage.api.requests).toHaveLength(30)
  })
})

const CHALLENGE = { 'www-authenticate': 'Bearer error="invalid_token", DPoP error="invalid_token"' }
const SCOPE = { 'www-authenticate': 'Bearer error="insufficient_scope", scope="more"' }
