import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors/errors.ts'
import { settle, tokenScene } from './token-scene.ts'

const minute = 60_000

describe('single flight', () => {
  test('a hundred requests that have no token yet share one request to the token endpoint', async () => {
    const { server, told, text } = tokenScene()
    const all = await Promise.all(Array.from({ length: 100 }, () => text()))
    expect(new Set(all)).toEqual(new Set(['access-1']))
    expect(server.requests).toHaveLength(1)
    expect(told('token.refresh')).toMatchObject([{ result: 'renewed', trigger: 'first', waiters: 100 }])
  })

  test('a valid token is there at once, without a request', async () => {
    const { server, tokens, runtime, text } = tokenScene()
    await text()
    await runtime.advance(5 * minute)
    expect(tokens.session(undefined).ready()?.accessToken).toBe('access-1')
    expect(server.requests).toHaveLength(1)
  })

  test('what is said of an older token than the one in force changes nothing', async () => {
    const { server, tokens, runtime, text } = tokenScene()
    const first = await tokens.get()
    await runtime.advance(2_000)
    tokens.invalidate(first, 'rejected')
    expect(await text()).toBe('access-2')
    tokens.invalidate(first, 'rejected')
    tokens.invalidate(first, 'manual')
    expect(await text()).toBe('access-2')
    expect(server.requests).toHaveLength(2)
  })

  test('a token that is rejected while an early renewal runs waits for that one', async () => {
    const { server, tokens, runtime, text } = tokenScene()
    const first = await tokens.get()
    server.delayMs = 5_000
    await runtime.advance(8.5 * minute)
    expect(await text()).toBe('access-1') // the renewal begins behind it
    tokens.invalidate(first, 'rejected')
    const next = text()
    await runtime.advance(5_000)
    expect(await next).toBe('access-2')
    expect(server.requests.map(({ trigger }) => trigger)).toEqual(['first', 'early'])
  })
})

describe('when a token is renewed', () => {
  test('in the last two minutes of a long life, in the background: nobody waits (TOK-14)', async () => {
    const { server, runtime, text } = tokenScene()
    server.lifetimeMs = 3_600_000
    await text()
    await runtime.advance(57.9 * minute)
    expect(await text()).toBe('access-1')
    expect(server.requests).toHaveLength(1)
    await runtime.advance(0.5 * minute)
    expect(await text()).toBe('access-1')
    await settle(runtime)
    expect(await text()).toBe('access-2')
    expect(server.requests.map(({ trigger }) => trigger)).toEqual(['first', 'early'])
  })

  test('a token of one minute in its last twelve seconds, not in the window of a long one (TOK-14)', async () => {
    const { server, runtime, text } = tokenScene()
    server.lifetimeMs = minute
    await text()
    await runtime.advance(47_000)
    expect(await text()).toBe('access-1')
    await settle(runtime)
    expect(server.requests).toHaveLength(1)
    await runtime.advance(5_000)
    expect(await text()).toBe('access-1')
    await settle(runtime)
    expect(server.requests).toHaveLength(2)
  })

  test('processes that got their tokens together do not renew them together', async () => {
    const { runtime, server } = tokenScene()
    server.lifetimeMs = 3_600_000
    const { windowsOf, renewalPolicy, fraction } = await import('../../src/auth/renewal.ts')
    const issued = { receivedAt: runtime.clock.now(), expiresAt: (runtime.clock.now() + 3_600_000) as never }
    const ends = Array.from(
      { length: 200 },
      () => windowsOf(issued, renewalPolicy(), () => fraction(runtime.random)).renewAt - runtime.clock.now(),
    )
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(3_480_000)
    expect(Math.max(...ends)).toBeLessThanOrEqual(3_504_000)
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(20_000)
  })

  test('one that nobody used until its end is renewed by the request that needs it', async () => {
    const { server, runtime, text } = tokenScene()
    await text()
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    expect(server.requests[1]?.trigger).toBe('expired')
    expect(runtime.pendingTimers).toBe(0)
  })

  test('one without a lifetime serves for five minutes', async () => {
    const { server, runtime, text } = tokenScene()
    server.lifetimeMs = undefined
    await text()
    await runtime.advance(3.9 * minute)
    expect(await text()).toBe('access-1')
    await runtime.advance(1.1 * minute)
    expect(await text()).toBe('access-2')
  })

  test('one that is born expired serves those who waited, and the next is a second later', async () => {
    const { server, runtime, text } = tokenScene()
    server.lifetimeMs = 0
    expect(await Promise.all([text(), text()])).toEqual(['access-1', 'access-1'])
    const next = Promise.all([text(), text()])
    await runtime.advance(900)
    expect(server.requests).toHaveLength(1)
    await runtime.advance(200)
    expect(await next).toEqual(['access-2', 'access-2'])
  })

  test('a clock that is set back does not prolong a token, nor does one that stood still', async () => {
    const { server, runtime, text } = tokenScene()
    await text()
    await runtime.advance(11 * minute)
    runtime.setWall(runtime.clock.now() - 60 * minute)
    expect(await text()).toBe('access-2')
    await runtime.advance(2_000)
    runtime.setWall(runtime.clock.now() + 60 * minute) // the machine slept
    expect(await text()).toBe('access-3')
    expect(server.requests).toHaveLength(3)
  })

  test('a longer validity is had by a renewal, unless no token of this server lives that long', async () => {
    const { server, runtime, text } = tokenScene()
    await text()
    await runtime.advance(3 * minute)
    expect(await text({ minValidityMs: 5 * minute })).toBe('access-1')
    await runtime.advance(3 * minute)
    expect(await text({ minValidityMs: 5 * minute })).toBe('access-2')
    await runtime.advance(2_000)
    expect(await text({ minValidityMs: 3_600_000 })).toBe('access-2')
    expect(server.requests).toHaveLength(2)
  })
})

describe('a token endpoint that fails', () => {
  test('costs nothing while the token in force is valid, and is asked less and less (TOK-15)', async () => {
    const { server, runtime, text, told } = tokenScene()
    server.lifetimeMs = 3_600_000
    await text()
    await runtime.advance(58.5 * minute)
    server.script.push(...Array<'500'>(50).fill('500'))
    for (let second = 0; second < 70; second += 1) {
      expect(await text()).toBe('access-1')
      await runtime.advance(1_000)
    }
    expect(server.requests.length).toBeGreaterThan(3)
    expect(server.requests.length).toBeLessThan(16)
    const failed = told('token.refresh').filter(({ result }) => result === 'failed')
    expect(failed.map(({ failures }) => failures)).toEqual(failed.map((_, index) => index + 1))
    expect(failed[0]).toMatchObject({ trigger: 'early', code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', waiters: 0 })
    await runtime.advance(30_000) // past the hard limit: now it surfaces
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
  })

  test('is down for half of a token’s life, and no request fails', async () => {
    for (const lifetimeMs of [minute, 600_000, 3_600_000]) {
      const { server, runtime, text } = tokenScene()
      server.lifetimeMs = lifetimeMs
      await text()
      await runtime.advance(lifetimeMs * 0.35)
      server.script.push(...Array<'unreachable'>(1_000).fill('unreachable'))
      const down = runtime.schedule(lifetimeMs * 0.5, () => void server.script.splice(0))
      for (let at = 0; at < 100; at += 1) {
        expect(await text()).toMatch(/^access-/)
        await runtime.advance(lifetimeMs * 0.02)
      }
      down()
      expect(await text()).not.toBe('access-1')
    }
  })

  test('is down for half of a token’s life, wherever that half begins, where tokens are renewed early in their life', async () => {
    const lifetimeMs = 600_000
    for (let start = 0; start < 1; start += 0.1) {
      const refresh = { earlyFraction: 0.75, earlyMs: lifetimeMs }
      const { server, runtime, text } = tokenScene({ refresh })
      server.lifetimeMs = lifetimeMs
      await text()
      const step = lifetimeMs / 100
      for (let at = 0; at < 200; at += 1) {
        if (at === Math.round(start * 100)) server.script.push(...Array<'unreachable'>(1_000).fill('unreachable'))
        if (at === Math.round(start * 100) + 50) server.script.splice(0)
        expect(await text()).toMatch(/^access-/)
        await runtime.advance(step)
      }
    }
  })

  test('gives all who wait the same error, and nobody asks again before its time (TOK-16)', async () => {
    const { server, runtime, text, tokens } = tokenScene()
    server.script.push('500', '500')
    const errors = await Promise.all(Array.from({ length: 20 }, () => text().catch((error: unknown) => error)))
    expect(errors[0]).toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
    expect(new Set(errors).size).toBe(1)
    for (let again = 0; again < 50; again += 1) expect(await text().catch((error: unknown) => error)).toBe(errors[0])
    expect(server.requests).toHaveLength(1)
    expect(tokens.status()).toMatchObject([
      { state: 'failing', failures: 1, code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' },
    ])
    await runtime.advance(1_000)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
    expect(server.requests).toHaveLength(2)
    await runtime.advance(2_000)
    expect(await text()).toBe('access-1')
  })

  test('is not asked before the time that it named, five minutes at most (TOK-17)', async () => {
    for (const [named, meant] of [
      [40_000, 40_000],
      [3_600_000, 300_000],
    ] as const) {
      const { server, runtime, text } = tokenScene()
      server.script.push({ retryAfterMs: named })
      await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', retryAfterMs: named })
      await runtime.advance(meant - 100)
      await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED' })
      expect(server.requests).toHaveLength(1)
      await runtime.advance(200)
      expect(await text()).toBe('access-1')
    }
  })

  test('that asks to wait leaves the token in force where it is (TOK-17)', async () => {
    const { server, runtime, text } = tokenScene()
    await text()
    await runtime.advance(8.5 * minute)
    server.script.push({ retryAfterMs: 30_000 })
    for (let second = 0; second < 29; second += 1) {
      expect(await text()).toBe('access-1')
      await runtime.advance(1_000)
    }
    expect(server.requests).toHaveLength(2)
    await runtime.advance(2_000)
    await text()
    await settle(runtime)
    expect(await text()).toBe('access-2')
  })

  test('that hangs is given up at its own deadline, even where it does not hear the signal', async () => {
    const { server, runtime, text } = tokenScene()
    server.script.push('hang', () => new Promise(() => undefined))
    for (const afterMs of [10_000, 11_000]) {
      const waiting = text().catch((error: unknown) => error)
      await runtime.advance(afterMs - 1)
      await runtime.advance(1)
      expect(await waiting).toMatchObject({ code: 'ERR_AUTH_TOKEN_TIMEOUT', requestSent: 'maybe' })
      await runtime.advance(minute)
    }
    expect(await text()).toBe('access-1')
  })

  test('that throws what is no error of ours shows nothing of it', async () => {
    const { server, text } = tokenScene()
    server.script.push(() => Promise.reject(new Error('token s3cr3t-in-the-message')))
    const error = await text().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
    expect(inspect(error, { depth: 9 })).not.toContain('s3cr3t')
  })
})

describe('a caller who gives up', () => {
  test('rejects alone; the renewal goes on for the others (TOK-36)', async () => {
    const { server, runtime, text } = tokenScene()
    server.delayMs = 1_000
    const abort = new AbortController()
    const [one, other] = [text({ signal: abort.signal }).catch((error: unknown) => error), text()]
    await settle(runtime)
    abort.abort()
    expect(await one).toMatchObject({ name: 'AbortError' })
    await runtime.advance(1_000)
    expect(await other).toBe('access-1')
    expect(server.requests).toHaveLength(1)
  })

  test('and all others too: the renewal is still finished and kept (TOK-37)', async () => {
    const { server, runtime, text, tokens } = tokenScene({ kind: 'refresh_token' })
    server.delayMs = 1_000
    const abort = new AbortController()
    const waiting = Array.from({ length: 5 }, () => text({ signal: abort.signal }).catch((error: unknown) => error))
    await settle(runtime)
    abort.abort()
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ name: 'AbortError' })
    await runtime.advance(1_000)
    expect(tokens.session(undefined).ready()?.accessToken).toBe('access-1')
    expect(tokens.session(undefined).refreshToken).toBe(server.refreshToken)
    await expect(text({ signal: abort.signal })).resolves.toBe('access-1') // it is there: nobody waits
  })

  test('before asking is not even waited for', async () => {
    const { server, text } = tokenScene()
    await expect(text({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
    expect(server.requests).toHaveLength(0)
  })
})

describe('closing', () => {
  test('waits for the renewal that runs, and hands out nothing afterwards (TOK-38)', async () => {
    const { server, runtime, text, tokens } = tokenScene({ kind: 'refresh_token' })
    server.delayMs = 3_000
    const waiting = text()
    await settle(runtime)
    let isClosed = false
    const closing = tokens.close({ signal: new AbortController().signal }).then(() => {
      isClosed = true
    })
    await runtime.advance(2_900)
    expect(isClosed).toBe(false)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_CLOSED' })
    await runtime.advance(200)
    await closing
    expect(await waiting).toBe('access-1')
    expect(runtime.pendingTimers).toBe(0)
  })

  test('is over when its time is, whatever hangs (TOK-38)', async () => {
    const { server, runtime, text, tokens } = tokenScene({ kind: 'refresh_token' })
    server.script.push('hang')
    const waiting = text().catch((error: unknown) => error)
    await settle(runtime)
    const abort = new AbortController()
    const closing = tokens.close({ signal: abort.signal })
    await runtime.advance(500)
    abort.abort()
    await closing
    expect(await waiting).toMatchObject({ code: 'ERR_AUTH_CLOSED' })
    expect(runtime.pendingTimers).toBe(0)
  })

  test('is over after fifteen seconds by itself', async () => {
    const { server, runtime, text, tokens } = tokenScene({
      refresh: { timeoutMs: 10_000, graceMs: 600_000 },
      kind: 'refresh_token',
    })
    server.script.push(...Array<'answer lost' | 'request lost'>(9).fill('request lost'))
    const waiting = text().catch((error: unknown) => error)
    await settle(runtime)
    const closing = tokens.close({ signal: new AbortController().signal })
    await runtime.advance(15_000)
    await closing
    expect(await waiting).toMatchObject({ code: 'ERR_AUTH_CLOSED' })
  })

  test('revokes what there is where it is asked to, refresh tokens first (TOK-38)', async () => {
    const every = tokenScene({ kind: 'refresh_token', revokeOnClose: true })
    await every.text()
    await every.tokens.close({ signal: new AbortController().signal })
    expect(every.server.revoked).toEqual([
      { token: 'refresh-1', hint: 'refresh_token' },
      { token: 'access-1', hint: 'access_token' },
    ])
    const some = tokenScene({ kind: 'refresh_token', revokeOnClose: 'refresh' })
    await some.text()
    await some.tokens.close({ signal: new AbortController().signal })
    expect(some.server.revoked.map(({ hint }) => hint)).toEqual(['refresh_token'])
    const none = tokenScene({ kind: 'refresh_token' })
    await none.text()
    await none.tokens.close({ signal: new AbortController().signal })
    expect(none.server.revoked).toEqual([])
  })

  test('does not fail for a revocation that fails; a server that asks to wait is asked again in time (TOK-39)', async () => {
    const { server, runtime, text, tokens, told } = tokenScene({ revokeOnClose: true })
    const throttled = (retryAfterMs: number): AuthError =>
      new AuthError('ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', 'as.example: 503', { retryAfterMs, requestSent: 'yes' })
    let calls = 0
    Object.assign(server, {
      revoke: async () => {
        calls += 1
        if (calls === 1) throw throttled(2_000)
      },
    })
    await text()
    const closing = tokens.close({ signal: new AbortController().signal })
    await runtime.advance(2_100)
    await closing
    expect(calls).toBe(2)
    expect(told('token.revoked')).toMatchObject([{ result: 'revoked', hint: 'access_token' }])

    const other = tokenScene({ revokeOnClose: true })
    Object.assign(other.server, { revoke: () => Promise.reject(throttled(300_000)) })
    await other.text()
    await other.tokens.close({ signal: new AbortController().signal })
    expect(other.told('token.revoked')).toMatchObject([
      { result: 'failed', hint: 'access_token', code: 'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED' },
    ])
  })
})

describe('containment', () => {
  test('revokes everything and ends the sessions; somebody has to authorize again', async () => {
    const { server, text, tokens, told } = tokenScene({ kind: 'refresh_token' })
    await text()
    await tokens.revoke()
    expect(server.revoked.map(({ hint }) => hint)).toEqual(['refresh_token', 'access_token'])
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
    expect(server.requests).toHaveLength(1)
    expect(told('token.revoked')).toHaveLength(2)
    server.refreshToken = 'refresh-new'
    server.initial = 'refresh-new'
    await tokens.forget()
    expect(await text()).toBe('access-2')
  })

  test('of a server that does not answer still ends the sessions', async () => {
    const { server, text, tokens } = tokenScene({ kind: 'refresh_token' })
    await text()
    Object.assign(server, { revoke: () => Promise.reject(new TypeError('gone')) })
    await tokens.revoke()
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED' })
  })
})

describe('what can be seen', () => {
  test('a handle has no token on it; revealing one is told', async () => {
    const { tokens, told } = tokenScene()
    const handle = await tokens.get({ tenant: 'acme' })
    expect(inspect(handle, { showHidden: true, depth: 9 })).not.toContain('access-1')
    expect(JSON.stringify(handle)).not.toContain('access-1')
    expect(JSON.stringify({ ...handle })).not.toContain('access-1')
    expect(handle.scope).toEqual(['read'])
    expect(told('token.revealed')).toEqual([])
    expect(tokens.reveal(handle)).toBe('access-1')
    expect(told('token.revealed')).toHaveLength(1)
    expect(() => tokens.reveal({ ...handle } as never)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('no secret and no name of a tenant is in the status or in an event', async () => {
    const scene = tokenScene({ kind: 'refresh_token', hasTenants: true })
    await scene.text({ tenant: 'alice@example.com' })
    scene.server.script.push('500')
    await scene.runtime.advance(8.5 * minute)
    await scene.text({ tenant: 'alice@example.com' })
    await settle(scene.runtime)
    const seen = JSON.stringify([scene.tokens.status(), scene.events])
    expect(scene.tokens.status()).toMatchObject([{ state: 'due', failures: 1, isRenewing: false, isUnsaved: false }])
    for (const secret of ['access-1', 'refresh-0', 'refresh-1', 'alice']) expect(seen).not.toContain(secret)
  })

  test('how old a token was when another took its place', async () => {
    const { runtime, text, told } = tokenScene()
    await text()
    await runtime.advance(20 * minute)
    await text()
    expect(told('token.age')).toEqual([{ type: 'token.age', ageMs: 20 * minute, lifetimeMs: 600_000 }])
  })
})
