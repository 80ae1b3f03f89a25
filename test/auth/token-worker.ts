/** One process of several that share a rotating refresh token in Redis. Told where by its arguments; says what it saw, a line each. */
import { createClient } from 'redis'
import type { TokenEndpoint } from '../../src/auth/token.ts'
import { createTokenManager } from '../../src/auth/token-manager.ts'
import { AuthError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { redisTokenStore } from '../../src/stores/tokens/redis.ts'

const [server = '', redis = '', timeoutMs = ''] = process.argv.slice(2)
const client = createClient({ url: redis })
client.on('error', () => undefined)
await client.connect()

const endpoint: TokenEndpoint = {
  request: async ({ refreshToken = '', onRotated }) => {
    const response = await fetch(`${server}/token`, {
      method: 'POST',
      body: JSON.stringify({ refreshToken, pid: process.pid }),
    })
    const body = (await response.json()) as { accessToken: string; refreshToken: string; lifetimeMs: number }
    if (response.status !== 200)
      throw new AuthError('ERR_AUTH_GRANT_REJECTED', 'invalid_grant', {
        oauthError: 'invalid_grant',
        requestSent: 'yes',
      })
    await onRotated(body.refreshToken)
    const receivedAt = systemRuntime.clock.now()
    const { accessToken, lifetimeMs } = body
    return {
      accessToken,
      tokenType: 'Bearer',
      receivedAt,
      expiresAt: toUnixMs(receivedAt + lifetimeMs),
      refreshToken: body.refreshToken,
      scope: [],
    }
  },
  revoke: async () => undefined,
  cacheKey: async () => server,
  initialRefreshToken: async () => await (await fetch(`${server}/initial`)).text(),
}
const tokens = createTokenManager({
  endpoint,
  runtime: systemRuntime,
  emit: () => undefined,
  grant: 'refresh_token',
  refresh: { timeoutMs: Number(timeoutMs), minIntervalMs: 100, graceMs: 500 },
  store: redisTokenStore({ client }),
  onReauthRequired: ({ reason }) => process.stdout.write(`ended ${reason}\n`),
})
for (let last = ''; ; ) {
  try {
    const token = tokens.reveal(await tokens.get())
    if (token !== last) process.stdout.write(`token ${token}\n`)
    last = token
  } catch (error) {
    process.stdout.write(`error ${error instanceof AuthError ? error.code : String(error)}\n`)
    await new Promise((end) => setTimeout(end, 100))
  }
  await new Promise((end) => setTimeout(end, 10))
}
