import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { DevicePrompt, Grant } from '../../src/auth/grants.ts'
import { refusalOf } from '../support/client.ts'
import { settled } from '../support/scene.ts'
import { ask, expectNoTrace, oauthError, protocolAt, type Scripted, startStage, token } from './server-stage.ts'

const DEVICE: Scripted = {
  body: {
    device_code: 'dc-4711-secret',
    user_code: 'WDJB-MJHT',
    verification_uri: 'https://as.example.com/device',
    expires_in: 600,
    interval: 5,
  },
}
const CIBA: Scripted = { body: { auth_req_id: 'ar-4711-secret', expires_in: 60, interval: 2 } }

async function startFlow(grant: Grant, begin: Scripted, polls: readonly Scripted[]) {
  const runtime = createTestRuntime()
  const at: number[] = []
  const stage = await startStage(
    ({ path }) => {
      if (path !== '/token') return begin
      at.push(runtime.clock.monotonic())
      return polls[Math.min(at.length, polls.length) - 1] ?? token()
    },
    { runtime },
  )
  const metadata = {
    token_endpoint: `${stage.issuer}/token`,
    device_authorization_endpoint: `${stage.issuer}/device`,
    backchannel_authentication_endpoint: `${stage.issuer}/ciba`,
  }
  const protocol = protocolAt(stage, { metadata, grant, scope: ['openid'] })
  return { stage, at, protocol, done: (timeout = {}) => settled(ask(protocol, timeout), runtime) }
}

describe('a device code (RFC 8628)', () => {
  const prompts: DevicePrompt[] = []
  const grant: Grant = { type: 'device_code', prompt: (prompt) => void prompts.push(prompt) }

  test('is shown, and asked for at the pace that the server names; slow_down adds five seconds', async () => {
    const polls = [oauthError('authorization_pending'), oauthError('slow_down'), token({ refresh_token: 'rt' })]
    const { stage, at, done, protocol } = await startFlow(grant, DEVICE, polls)
    expect(protocol.endpoint.asksPerson).toBe(true)
    expect((await done()).refreshToken).toBe('rt')
    expect(prompts).toEqual([
      {
        userCode: 'WDJB-MJHT',
        verificationUri: 'https://as.example.com/device',
        verificationUriComplete: undefined,
        expiresInMs: 600_000,
      },
    ])
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0))
    expect(at[0]).toBeGreaterThanOrEqual(5_000)
    expect(gaps[0]).toBeGreaterThanOrEqual(5_000)
    expect(gaps[1]).toBeGreaterThanOrEqual(10_000)
    expect(stage.asked[0]?.form.get('scope')).toBe('openid')
    expect(stage.asked[1]?.form.get('device_code')).toBe('dc-4711-secret')
  })

  test('a server that wants to be asked less than once a minute is not asked more often, even where it fails', async () => {
    const begin = { body: { ...(DEVICE.body as object), interval: 65 } }
    const { at, done } = await startFlow(grant, begin, [{ status: 503 }, token()])
    await done()
    expect(at).toHaveLength(2)
    for (const [index, time] of at.entries()) expect(time - (at[index - 1] ?? 0)).toBeGreaterThanOrEqual(65_000)
  })

  test.each(['access_denied', 'expired_token'])('%s is ERR_AUTH_GRANT_REJECTED', async (word) => {
    const { done } = await startFlow(grant, DEVICE, [oauthError(word)])
    const error = await refusalOf(done(), 'ERR_AUTH_GRANT_REJECTED')
    expect(error).toMatchObject({ oauthError: word })
    expectNoTrace(error, ['dc-4711-secret'])
  })

  test('a server that fails is asked half as often, and nobody decides for ever', async () => {
    const begin = { body: { ...(DEVICE.body as object), expires_in: 60 } }
    const { at, done } = await startFlow(grant, begin, [{ status: 503 }, oauthError('authorization_pending')])
    await refusalOf(done(), 'ERR_AUTH_GRANT_REJECTED')
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(10_000)
    expect(at.length).toBeLessThan(10)
  })

  test.each<[string, object]>([
    ['no code', { device_code: undefined }],
    ['a page in the clear', { verification_uri: 'http://as.example.com/' }],
    ['a script as a page', { verification_uri_complete: 'javascript:alert(1)' }],
    ['no end', { expires_in: undefined }],
    ['an interval that is no number', { interval: 'soon' }],
  ])('%s is ERR_AUTH_TOKEN_RESPONSE_INVALID', async (_, more) => {
    const { done } = await startFlow(grant, { body: { ...(DEVICE.body as object), ...more } }, [token()])
    expectNoTrace(await refusalOf(done(), 'ERR_AUTH_TOKEN_RESPONSE_INVALID'), ['dc-4711-secret'])
  })

  test('ends with its signal', async () => {
    const { done } = await startFlow(grant, DEVICE, [oauthError('authorization_pending')])
    const end = new AbortController()
    const reason = new Error('closed')
    setImmediate(() => end.abort(reason))
    await expect(done({ signal: end.signal })).rejects.toBeDefined()
  })

  test('a server without such an endpoint is ERR_AUTH_DISCOVERY_FAILED', async () => {
    const stage = await startStage(() => token())
    await refusalOf(ask(protocolAt(stage, { grant })), 'ERR_AUTH_DISCOVERY_FAILED')
  })
})

test('CIBA names the person by a hint, and asks until it is decided', async () => {
  const grant: Grant = { type: 'ciba', loginHint: 'ada@example.com', bindingMessage: 'W4SCT' }
  const { stage, done } = await startFlow(grant, CIBA, [oauthError('authorization_pending'), token()])
  await done()
  expect(stage.asked.map(({ path }) => path)).toEqual(['/ciba', '/token', '/token'])
  expect(Object.fromEntries(stage.asked[0]?.form ?? [])).toMatchObject({
    login_hint: 'ada@example.com',
    binding_message: 'W4SCT',
    scope: 'openid',
  })
  expect(stage.asked[1]?.form.get('auth_req_id')).toBe('ar-4711-secret')
})
