import type { Attempt, AuthScheme, Outcome } from 'pinfetch/auth'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { createAuthorization } from '../../src/client/authorize.ts'
import type { Call } from '../../src/client/send.ts'
import { authStage } from '../support/auth-stage.ts'
import { refusalOf } from '../support/client.ts'

/** A client without a certificate: whatever is bound to one gets no connection. */
const NOBODYS = 'thumbprint-of-another'

/** Says of each credential in turn what it is bound to; the last word stays. */
function bound(origins: readonly string[], to: readonly (string | undefined)[], outcome: Outcome = 'done') {
  const seen: number[] = []
  const apply = (attempt: Attempt) => {
    attempt.boundTo = to[Math.min(seen.length, to.length - 1)]
    seen.push(attempt.number)
    return { 'x-test': `credential ${seen.length}` }
  }
  const scheme: AuthScheme = {
    name: 'bound',
    credentialHeaders: ['x-test'],
    allowedOrigins: origins,
    bind: () => ({ apply, onResponse: () => outcome }),
  }
  return { scheme, seen }
}

async function stage(to: readonly (string | undefined)[], outcome?: Outcome) {
  let seen: readonly number[] = []
  const { client, url, api } = await authStage({
    judge: false,
    schemes: ({ api }) => {
      const made = bound([api], to, outcome)
      seen = made.seen
      return made.scheme
    },
  })
  return { client, url, seen, shown: () => api.requests.map(({ headers }) => headers['x-test']) }
}

describe('a credential whose client certificate was replaced before the request got a connection', () => {
  test.each<[string, RequestInit]>([
    ['lean', {}],
    ['full', { window: null } as RequestInit],
    ['with a body', { method: 'POST', body: 'order' }],
    ['full with a body', { method: 'POST', body: new Blob(['order']), window: null } as RequestInit],
  ])('is asked for again, under the same number: %s (BIND-11)', async (_, init) => {
    const { client, url, seen, shown } = await stage([NOBODYS, NOBODYS, undefined])
    expect((await client.fetch(url(), init)).status).toBe(200)
    expect(seen).toEqual([0, 0, 0])
    expect(shown()).toEqual(['credential 3'])
  })

  test('is not asked for without end: ERR_AUTH_CERT_BINDING, and nothing was sent', async () => {
    const { client, url, seen, shown } = await stage([NOBODYS])
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_CERT_BINDING')
    expect(error).toMatchObject({ requestSent: 'no', retryable: true })
    expect(seen).toEqual([0, 0, 0, 0, 0, 0])
    expect(shown()).toEqual([])
  })

  test('is not asked for where the body cannot be sent again: ERR_AUTH_CERT_BINDING', async () => {
    const { client, url, seen, shown } = await stage([NOBODYS, undefined])
    const body = new Blob(['order']).stream()
    const request = client.fetch(url(), { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(await refusalOf(request, 'ERR_AUTH_CERT_BINDING')).toMatchObject({ requestSent: 'no' })
    expect([seen, shown()]).toEqual([[0], []])
  })

  test('at a later attempt does not make the first one unsent', async () => {
    const { client, url, shown } = await stage([undefined, NOBODYS], { retry: 'token', reason: 'once more' })
    const error = await refusalOf(client.fetch(url()), 'ERR_AUTH_CERT_BINDING')
    expect(error).toMatchObject({ requestSent: 'yes' })
    expect(shown()).toEqual(['credential 1'])
  })
})

test('what a credential is bound to is forgotten with it: the next hop of the call may need none', async () => {
  const { scheme } = bound(['https://api.example'], [NOBODYS])
  const host = { fetch, runtime: createTestRuntime(), emit: () => undefined }
  const { authorized } = createAuthorization({ schemes: [scheme], withoutAuth: [], host })
  const during: unknown[] = []
  const send = authorized(async (_input, _init, _url, call) => {
    during.push(call?.boundTo)
    return new Response()
  })
  const call: Call = { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
  await send('https://api.example/', {}, new URL('https://api.example/'), call)
  expect([during, call.boundTo]).toEqual([[NOBODYS], undefined])
})
