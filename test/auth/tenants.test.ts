import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { type Tenancy, Tenants } from '../../src/auth/tenants.ts'
import { createTokenAuthenticator } from '../../src/auth/token-authenticator.ts'
import { createTokenManager } from '../../src/auth/token-manager.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { attemptTo, tokenScene } from './token-scene.ts'

describe('many tenants', () => {
  test('up to a number are in memory: those whose token is over go first, then the least recently used (BIND-10)', () => {
    const entry = (usedAt: number, hasToken = true, isIdle = true): Tenancy => ({ usedAt, hasToken, isIdle })
    const tenants = new Tenants<Tenancy>(4)
    tenants.add('old', entry(1))
    tenants.add('over', entry(4, false))
    tenants.add('busy', entry(0, false, false))
    tenants.add('new', entry(5))
    tenants.add('fifth', entry(6))
    expect(tenants.get('over')).toBeUndefined()
    tenants.add('sixth', entry(7))
    expect(tenants.get('old')).toBeUndefined()
    expect(['busy', 'new', 'fifth', 'sixth'].every((name) => tenants.get(name) !== undefined)).toBe(true)
  })

  test('whoever was forgotten goes on from the store, with the refresh token that is good (BIND-10)', async () => {
    const { server, runtime, text, tokens } = tokenScene({ kind: 'refresh_token', maxTenants: 2, hasTenants: true })
    expect(await text({ tenant: 'a' })).toBe('access-1')
    await runtime.advance(1_000)
    server.initial = server.refreshToken = 'refresh-of-b'
    expect(await text({ tenant: 'b' })).toBe('access-2')
    await runtime.advance(1_000)
    server.initial = server.refreshToken = 'refresh-of-c'
    expect(await text({ tenant: 'c' })).toBe('access-3')
    expect(tokens.status()).toHaveLength(2)
    expect(await text({ tenant: 'a' })).toBe('access-1')
    expect(server.requests).toHaveLength(3)
    await runtime.advance(1_200_000)
    server.refreshToken = 'refresh-1'
    expect(await text({ tenant: 'a' })).toBe('access-4')
    expect(server.requests.at(-1)?.refreshToken).toBe('refresh-1')
  })

  test('whose request is under way are not forgotten', async () => {
    const { server, runtime, text } = tokenScene({ maxTenants: 2, hasTenants: true })
    server.delayMs = 1_000
    const all = ['a', 'b', 'c', 'd', 'a'].map((tenant) => text({ tenant }))
    await runtime.advance(1_000)
    const seen = await Promise.all(all)
    expect(seen[4]).toBe(seen[0])
    expect(server.requests).toHaveLength(4)
  })

  test('are kept apart by whatever makes a token another one (BIND-09)', async () => {
    const { server, text, told } = tokenScene({ hasTenants: true })
    await text({ tenant: 'a' })
    await text({ tenant: 'b' })
    expect(server.requests).toHaveLength(2)
    expect(new Set(told('token.refresh').map(({ tenantHash }) => tenantHash)).size).toBe(2)
  })

  test('with the same key share one record in the store, and different keys do not (BIND-09)', async () => {
    const { server, text, sibling } = tokenScene({ kind: 'refresh_token' })
    await text()
    expect(
      await sibling()
        .text()
        .catch(() => 'refused'),
    ).toBe('refused') // no store: a process of its own
    expect(server.requests).toHaveLength(2)
  })

  test('ten thousand of them, each with a token of a kilobyte, need at most 50 MB', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const payload = 'x'.repeat(1_200)
    const tokens = createTokenManager({
      endpoint: {
        request: async ({ tenant = '' }) => ({
          accessToken: `${tenant}.${payload}`,
          tokenType: 'Bearer',
          receivedAt: systemRuntime.clock.now(),
          expiresAt: undefined,
          refreshToken: undefined,
          scope: ['read', 'write'],
        }),
        revoke: async () => undefined,
        cacheKey: async (tenant) => `${tenant}`,
      },
      runtime: systemRuntime,
      emit: () => undefined,
      grant: 'client_credentials',
      hasTenants: true,
    })
    gc()
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 10_000; n += 1) await tokens.get({ tenant: `tenant-${n}` })
    gc()
    const used = process.memoryUsage().heapUsed - before
    expect(tokens.status()).toHaveLength(10_000)
    expect(used).toBeLessThan(50_000_000)
    await tokens.get({ tenant: 'one more' })
    expect(tokens.status().length).toBeLessThanOrEqual(10_000)
  })
})

test('a cached token costs a few microseconds, and no promise', async () => {
  const scene = tokenScene()
  await scene.text()
  const authenticator = createTokenAuthenticator({
    tokens: scene.tokens,
    runtime: scene.runtime,
    emit: () => undefined,
  })
  const attempt = attemptTo('https://api.example/')
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 20; round += 1) {
    const start = performance.now()
    for (let n = 0; n < 10_000; n += 1) {
      if (authenticator.apply(attempt) instanceof Promise) throw new Error('a promise')
    }
    best = Math.min(best, (performance.now() - start) / 10)
  }
  expect(best).toBeLessThan(50) // microseconds; about one where nothing else runs
})
