/** Each change of an authentication is told once, on real connections. */
import type { ClientEvent } from 'pinfetch'
import { apiKey, approval, memoryTokenStore, oauth } from 'pinfetch/auth'
import { httpSignature, jwsDetached, keyRing, localSigner } from 'pinfetch/signing'
import { generateKey, type TestHandler } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { type AuthStage, answerJson, authStage, oauthAt, type StageOptions } from '../support/auth-stage.ts'

const SECRET = 'an-initial-refresh-token-of-32-octets'

/** An authorization server that answers in turn; the last answer for ever. */
const answers = (...bodies: readonly (object | 'cut' | 'invalid_grant')[]): TestHandler => {
  let at = 0
  return (_, response) => {
    const body = bodies[Math.min(at++, bodies.length - 1)] ?? {}
    if (body === 'cut') response.socket?.destroy()
    else if (body === 'invalid_grant') answerJson(response, { error: 'invalid_grant' }, 400)
    else answerJson(response, { token_type: 'Bearer', expires_in: 3600, ...body })
  }
}

const stageOf = (more: Partial<Parameters<typeof oauthAt>[2]> = {}, options: Partial<StageOptions> = {}) =>
  authStage({ schemes: ({ api, server }) => oauth(oauthAt(server, api, more)), ...options })

const shown = (events: readonly ClientEvent[], type: ClientEvent['type']) =>
  events.filter((event) => event.type === type)

const refreshing = { grant: { type: 'refresh_token', initial: { value: SECRET } } } as const
const challenge =
  (status: number, text: string): TestHandler =>
  (_, response) =>
    response.writeHead(status, { 'www-authenticate': text }).end()

const attempt = async ({ client, url }: AuthStage, init?: RequestInit): Promise<void> => {
  await client.fetch(url(), init).then(
    (response) => response.text(),
    () => undefined,
  )
}

interface Transition {
  readonly name: string
  readonly stage: () => Promise<AuthStage>
  readonly run?: (stage: AuthStage) => Promise<void>
  /** What is told once, of everything that `run` caused. */
  readonly told: Partial<ClientEvent>
}

const scoped = (scope: string, token: string) => ({ access_token: token, scope })

const TRANSITIONS: readonly Transition[] = [
  {
    name: 'a token is acquired',
    stage: () => stageOf(),
    told: { type: 'token.refresh', result: 'renewed', trigger: 'first' },
  },
  {
    name: 'a token is renewed, since a server rejected the one before',
    stage: () => stageOf(),
    run: async (stage) => {
      await attempt(stage)
      stage.accepted.clear()
      await attempt(stage)
    },
    told: { type: 'token.refresh', result: 'renewed', trigger: 'rejected' },
  },
  {
    name: 'a renewal fails',
    stage: () => stageOf({}, { token: (_, response) => answerJson(response, { error: 'invalid_client' }, 401) }),
    told: { type: 'token.refresh', result: 'failed' },
  },
  {
    name: 'a token is rejected for good',
    stage: () => stageOf({}, { judge: false, handler: challenge(401, 'Bearer error="invalid_token"') }),
    told: { type: 'token.refused', code: 'ERR_AUTH_TOKEN_REJECTED' },
  },
  {
    name: 'a token lacks a scope',
    stage: () => stageOf({}, { judge: false, handler: challenge(403, 'Bearer error="insufficient_scope"') }),
    told: { type: 'token.refused', code: 'ERR_AUTH_INSUFFICIENT_SCOPE' },
  },
  {
    name: 'a server grants less than it was asked for',
    stage: () => stageOf({ scope: ['read', 'write'] }, { token: answers(scoped('read', 'access-1')), judge: false }),
    told: { type: 'auth.notice', kind: 'scope-reduced' },
  },
  {
    name: 'the scope of a token changes; what a server made up is counted, and not repeated',
    stage: () =>
      stageOf(
        { scope: ['read', 'write'] },
        {
          token: answers(scoped('read write', 'access-1'), scoped('read made-up', 'access-2')),
          judge: false,
          handler: ({ headers }, response) =>
            headers['authorization'] === 'Bearer access-1'
              ? response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
              : response.end('ok'),
        },
      ),
    told: { type: 'token.scopeChanged', added: [], removed: ['write'], others: 1 },
  },
  {
    name: 'a server asks for a stronger authentication',
    stage: () =>
      stageOf(
        {},
        { judge: false, handler: challenge(401, 'Bearer error="insufficient_user_authentication", max_age="60"') },
      ),
    told: { type: 'auth.stepUp', outcome: 'required', maxAge: 60 },
  },
  {
    name: 'a session ends',
    stage: () => stageOf(refreshing, { token: answers('invalid_grant') }),
    run: async (stage) => {
      await attempt(stage)
      await attempt(stage)
    },
    told: { type: 'token.reauthRequired', reason: 'revoked' },
  },
  {
    name: 'a refresh token is used twice, and the server takes it for a theft',
    stage: () => stageOf({ ...refreshing, store: memoryTokenStore() }, { token: answers('cut', 'invalid_grant') }),
    told: { type: 'token.reauthRequired', reason: 'lost_rotation' },
  },
  {
    name: 'somebody approves a request',
    stage: () =>
      stageOf(
        {},
        {
          client: { approval: approval({ when: () => true, ask: async ({ digest }) => ({ approved: true, digest }) }) },
        },
      ),
    told: { type: 'approval.granted', isReused: false },
  },
  {
    name: 'somebody does not',
    stage: () =>
      stageOf(
        {},
        {
          client: {
            approval: approval({ when: () => true, ask: async ({ digest }) => ({ approved: false, digest }) }),
          },
        },
      ),
    told: { type: 'approval.refused', code: 'ERR_APPROVAL_DENIED' },
  },
]

test.each(TRANSITIONS.map((one) => [one.name, one] as const))('%s: told once', async (_, { stage, run, told }) => {
  const begun = await stage()
  await (run ?? attempt)(begun)
  const { type } = told
  expect(type).toBeDefined()
  const matching = begun.events.filter((event) =>
    Object.entries(told).every(([name, value]) => JSON.stringify(event[name as 'type']) === JSON.stringify(value)),
  )
  expect(matching, JSON.stringify(shown(begun.events, type as ClientEvent['type']))).toHaveLength(1)
})

test('a token that somebody else renewed is adopted: told once, and no request is made for it', async () => {
  const store = memoryTokenStore()
  const one = await stageOf(
    { ...refreshing, store },
    { token: answers({ access_token: 'access-1', refresh_token: 'r-2' }), judge: false },
  )
  await attempt(one)
  const { server } = one
  const other = await authStage({
    schemes: ({ api }) => oauth(oauthAt(`https://as.example.com:${server.port}`, api, { ...refreshing, store })),
    judge: false,
  })
  await attempt(other)
  expect(other.told('token.adopted')).toHaveLength(1)
  expect(other.told('token.refresh')).toMatchObject([{ result: 'adopted' }])
  expect(server.requests).toHaveLength(1)
})

test.each([
  ['httpSignature', (keys: ReturnType<typeof keyRing>) => httpSignature({ keys })],
  ['jwsDetached', (keys: ReturnType<typeof keyRing>) => jwsDetached({ keys, header: 'x-jws-signature' })],
] as const)('another key signs, by %s: told once, by the names of the keys', async (name, signerOf) => {
  const [before, after] = ['key-1', 'key-2'].map((keyId) => ({
    signer: localSigner(generateKey().privateKey, { keyId }),
  })) as [{ signer: ReturnType<typeof localSigner> }, { signer: ReturnType<typeof localSigner> }]
  const keys = keyRing([before])
  const stage = await authStage({
    schemes: ({ api }) => apiKey({ header: 'x-key', source: { value: SECRET }, allowedOrigins: [api] }),
    judge: false,
    client: { sign: [signerOf(keys)] },
  })
  const pay = (): Promise<void> => attempt(stage, { method: 'POST', body: 'one euro' })
  await pay()
  expect(stage.told('sign.keyChanged')).toEqual([])
  keys.replace([after])
  await pay()
  await pay()
  expect(stage.told('sign.keyChanged')).toEqual([
    { type: 'sign.keyChanged', signer: name, before: 'key-1', after: 'key-2' },
  ])
  expect(stage.api.requests).toHaveLength(3)
})
