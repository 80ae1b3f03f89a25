import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { AuthError, KeyError, StoreError } from '../../src/errors/errors.ts'
import { memoryTokenStore } from '../../src/stores/tokens/memory.ts'
import type { StoredToken } from '../../src/stores/tokens/store.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { isFull } from '../support/tier.ts'
import { settle, sharedScene, tokenScene } from './token-scene.ts'

const minute = 60_000
const lifetime = 10 * minute
const hash = (text: string): string => createHash('sha256').update(text).digest('base64url')

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )

describe('a refresh token', () => {
  test('is redeemed, rotated and stored', async () => {
    const { server, runtime, text, content, record } = sharedScene()
    expect(await text()).toBe('access-1')
    expect(server.requests[0]?.refreshToken).toBe('refresh-0')
    expect(content()).toMatchObject({
      refreshToken: 'refresh-1',
      token: { accessToken: 'access-1' },
      spent: [hash('refresh-0')],
    })
    expect(record()).not.toHaveProperty('pending')
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    expect(server.requests[1]?.refreshToken).toBe('refresh-1')
    expect(content().refreshToken).toBe('refresh-2')
  })

  test('that does not rotate stays', async () => {
    const { server, runtime, text, content } = sharedScene({ rotates: false })
    for (const n of [1, 2, 3]) {
      expect(await text()).toBe(`access-${n}`)
      expect(content().refreshToken).toBe('refresh-0')
      await runtime.advance(20 * minute)
    }
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-0', 'refresh-0'])
  })

  test('is marked in the store, and the lease made sure of, before it is sent (TOK-30, TOK-34)', async () => {
    const { server, store, text, record } = sharedScene()
    let seen: StoredToken | undefined
    let calls: readonly string[] = []
    server.script.push(async () => {
      seen = record()
      calls = store.calls.slice(-2)
    })
    await text()
    expect(seen?.pending).toEqual({ at: expect.any(Number), rtHash: hash('refresh-0') })
    expect(calls).toEqual(['compareAndSwap', 'renew'])
  })

  test('that came with an unusable answer is kept all the same', async () => {
    const { server, runtime, text, content } = sharedScene()
    server.script.push('invalid after rotation')
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_RESPONSE_INVALID' })
    expect(content().refreshToken).toBe('refresh-1')
    await runtime.advance(5 * minute)
    expect(await text()).toBe('access-2')
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1'])
  })

  test('a restart goes on with the stored one, not with the configured one', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.tokens.close({ signal: new AbortController().signal })
    const next = scene.sibling()
    expect(await next.text()).toBe('access-1')
    await scene.runtime.advance(20 * minute)
    expect(await next.text()).toBe('access-2')
    expect(scene.server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1'])
  })
})

describe('a refresh token that the server refuses', () => {
  test('ends the session: a tombstone with the reason, one call, no further request (TOK-25)', async () => {
    const onReauthRequired = vi.fn()
    const { server, runtime, text, record, told, tokens } = sharedScene({ onReauthRequired })
    await text()
    server.refreshToken = 'another one: revoked by an administrator'
    await runtime.advance(20 * minute)
    const errors = await Promise.all([failure(text()), failure(text())])
    expect(errors[0]).toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
    expect(errors[1]).toBe(errors[0])
    expect(record()?.tombstone).toEqual({ at: runtime.clock.now(), reason: 'revoked' })
    expect(JSON.stringify(record())).not.toContain('refresh-1')
    for (let wait = 0; wait < 20; wait += 1) {
      await runtime.advance(minute)
      await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED' })
    }
    expect(onReauthRequired).toHaveBeenCalledTimes(1)
    expect(onReauthRequired).toHaveBeenCalledWith(errors[0])
    expect(told('token.reauthRequired')).toHaveLength(1)
    expect(server.requests).toHaveLength(2)
    expect(tokens.status()).toMatchObject([{ state: 'ended', code: 'ERR_AUTH_REAUTH_REQUIRED' }])
  })

  test('during an early renewal leaves the token in force until its end', async () => {
    const onReauthRequired = vi.fn()
    const { server, runtime, text } = sharedScene({ onReauthRequired })
    await text()
    server.refreshToken = undefined
    await runtime.advance(8.5 * minute)
    expect(await text()).toBe('access-1')
    await settle(runtime)
    expect(onReauthRequired).toHaveBeenCalledTimes(1)
    expect(await text()).toBe('access-1')
    await runtime.advance(1.4 * minute)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED' })
  })

  test('does not end it for good: another configured one starts anew', async () => {
    const { server, runtime, text } = sharedScene()
    await text()
    server.refreshToken = 'refresh-of-a-new-login'
    await runtime.advance(20 * minute)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED' })
    server.initial = 'refresh-of-a-new-login'
    await runtime.advance(5 * minute)
    expect(await text()).toBe('access-2')
  })

  test('is told by other processes without a request of theirs', async () => {
    const scene = sharedScene()
    const onReauthRequired = vi.fn()
    const other = scene.sibling({ onReauthRequired })
    await scene.text()
    await other.text()
    scene.server.refreshToken = undefined
    await scene.runtime.advance(20 * minute)
    await expect(scene.text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED' })
    await expect(other.text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
    expect(scene.server.requests).toHaveLength(2)
    expect(onReauthRequired).toHaveBeenCalledTimes(1)
  })

  test('is no matter when the store holds a newer one by then (TOK-24)', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    // While the request of the first is on its way, somebody who has not heard of leases rotates the token and stores it.
    scene.server.script.push(async () => {
      const [key, record] = [...scene.store.records][0] ?? ['', undefined]
      const now = scene.runtime.clock.now()
      const token = { ...scene.content().token, accessToken: 'access-2', receivedAt: now, expiresAt: now + lifetime }
      const sealed = JSON.stringify({ ...scene.content(), refreshToken: 'refresh-2', token })
      const v = record?.v ?? 0
      scene.server.refreshToken = 'refresh-2'
      await scene.store.compareAndSwap(key, v, { v: v + 1, sealed }, { signal: new AbortController().signal })
    })
    expect(await scene.text()).toBe('access-2')
    expect(scene.told('token.adopted')).toHaveLength(1)
    expect(scene.told('token.reauthRequired')).toEqual([])
  })
})

describe('an answer that got lost', () => {
  test('after the request was: the same refresh token is sent again at once, and once more within the grace (TOK-28)', async () => {
    const { server, runtime, text } = sharedScene()
    server.script.push('request lost', 'request lost')
    const waiting = text()
    await settle(runtime)
    expect(server.requests).toHaveLength(2)
    await runtime.advance(10_000)
    expect(await waiting).toBe('access-1')
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(Array(3).fill('refresh-0'))
  })

  test('three times: the outcome is unknown, the session lives, and the same token is sent again later (TOK-28)', async () => {
    const { server, runtime, text, told } = sharedScene()
    server.script.push('request lost', 'request lost', 'request lost')
    const waiting = failure(text())
    await runtime.advance(10_000)
    expect(await waiting).toMatchObject({
      code: 'ERR_AUTH_REFRESH_OUTCOME_UNKNOWN',
      requestSent: 'maybe',
      retryable: true,
    })
    expect(told('token.reauthRequired')).toEqual([])
    await runtime.advance(5 * minute)
    expect(await text()).toBe('access-1')
    expect(server.requests.at(-1)?.refreshToken).toBe('refresh-0')
  })

  test('after the server had rotated: the error says lost_rotation (TOK-26)', async () => {
    const { server, text, record } = sharedScene()
    server.script.push('answer lost')
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'lost_rotation' })
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-0'])
    expect(record()?.tombstone?.reason).toBe('lost_rotation')
  })

  test('and comes after all, too late: the session that the server ended for the second request says lost_rotation (TOK-26)', async () => {
    const { server, runtime, text, told } = sharedScene({ refresh: { timeoutMs: 3_000 } })
    const pause = (ms: number): Promise<void> => new Promise((resolve) => void runtime.schedule(ms, resolve))
    server.script.push(
      async ({ onRotated }) => {
        server.spent.add('refresh-0')
        server.refreshToken = 'refresh-1'
        await pause(4_500)
        await onRotated('refresh-1') // stored, but nobody waits for the rest of this answer
        throw new Error('nobody hears of it')
      },
      () => pause(1_000), // the same token once more: the server takes that for a theft
    )
    const waiting = failure(text())
    await runtime.advance(10_000)
    expect(await waiting).toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'lost_rotation' })
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-0', 'refresh-1'])
    expect(told('token.reauthRequired')).toMatchObject([{ reason: 'lost_rotation' }])
  })

  test('once, and was had at the second try: a refusal a moment later is a refusal', async () => {
    const { server, runtime, text, tokens } = sharedScene()
    server.script.push('request lost')
    tokens.invalidate(await tokens.get(), 'manual')
    server.refreshToken = undefined
    await runtime.advance(2_000)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
    expect(server.requests).toHaveLength(3)
  })

  test('together with its process: the next one tries once, and says lost_rotation where that fails (TOK-30)', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    scene.server.script.push(async () => {
      scene.server.spent.add('refresh-1')
      scene.server.refreshToken = 'refresh-nobody-has' // granted, and then the process is gone
      await new Promise(() => undefined)
    })
    void failure(scene.text())
    await settle(scene.runtime)
    expect(scene.record()?.pending?.rtHash).toBe(hash('refresh-1'))
    const next = scene.sibling()
    const waiting = failure(next.text())
    await scene.runtime.advance(18_000) // the lease of the dead one runs out
    expect(await waiting).toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'lost_rotation' })
    expect(scene.server.requests).toHaveLength(3)
  })

  test('together with its process, before the server saw the request: the next one goes on (TOK-30, TOK-33)', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    scene.server.script.push(() => new Promise(() => undefined))
    void failure(scene.text())
    await settle(scene.runtime)
    const next = scene.sibling()
    const waiting = next.text()
    await scene.runtime.advance(18_000)
    expect(await waiting).toBe('access-2')
    expect(next.told('store.lease_wait')).toMatchObject([{ held: true }])
  })

  test('a request that was certainly not sent leaves no mark: a refusal after it is no lost answer', async () => {
    const { server, runtime, text, record } = sharedScene()
    server.script.push('unreachable')
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', requestSent: 'no' })
    expect(server.requests).toHaveLength(1) // with backoff, not at once
    expect(record()?.pending).toBeUndefined()
    server.refreshToken = undefined
    await runtime.advance(5 * minute)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
  })

  test('nor does one for which there was no client secret: ERR_KEY_SOURCE_UNAVAILABLE', async () => {
    const { server, runtime, text, record } = sharedScene()
    server.script.push(async () => {
      throw new KeyError('ERR_KEY_SOURCE_UNAVAILABLE', 'oauth client secret: scripted')
    })
    await expect(text()).rejects.toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE', requestSent: 'no' })
    expect(record()?.pending).toBeUndefined()
    server.refreshToken = undefined
    await runtime.advance(5 * minute)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' })
  })

  test('a server out of order is not pressed, and its doubt is remembered', async () => {
    const { server, text, record } = sharedScene()
    server.script.push('500')
    await expect(text()).rejects.toMatchObject({ code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' })
    expect(server.requests).toHaveLength(1)
    expect(record()?.pending?.rtHash).toBe(hash('refresh-0'))
  })
})

describe('several processes', () => {
  test('eight of them see the same end, for ten ends: one request each time, seven adopt (TOK-32)', async () => {
    const first = sharedScene()
    const all = [first, ...Array.from({ length: 7 }, () => first.sibling())]
    first.server.delayMs = 200
    for (let round = 1; round <= 10; round += 1) {
      const waiting = Promise.all(all.map(({ text }) => text()))
      await first.runtime.advance(5_000)
      expect(await waiting).toEqual(Array(8).fill(`access-${round}`))
      expect(first.server.requests).toHaveLength(round)
      await first.runtime.advance(20 * minute)
    }
    expect(all.flatMap(({ told }) => told('token.adopted'))).toHaveLength(70)
    expect(first.server.spent.size).toBe(10)
  })

  test('a token that one of them renewed early is adopted by the others without the lease', async () => {
    const scene = sharedScene()
    const other = scene.sibling()
    await scene.text()
    await other.text()
    await scene.runtime.advance(8.5 * minute)
    await scene.text()
    await settle(scene.runtime)
    scene.store.calls.length = 0
    await other.text()
    await settle(scene.runtime)
    expect(await other.text()).toBe('access-2')
    expect(scene.store.calls).toEqual(['load'])
    expect(other.told('token.refresh').at(-1)).toMatchObject({ result: 'adopted', trigger: 'early' })
  })

  test('a rejected token is rejected for all: the second one adopts what the first renewed', async () => {
    const scene = sharedScene()
    const other = scene.sibling()
    const handles = [await scene.tokens.get(), await other.tokens.get()] as const
    await scene.runtime.advance(2_000)
    scene.tokens.invalidate(handles[0], 'rejected')
    expect(await scene.text()).toBe('access-2')
    other.tokens.invalidate(handles[1], 'rejected')
    expect(await other.text()).toBe('access-2')
    expect(scene.server.requests).toHaveLength(2)
  })

  test('one that was paused past its lease does not send (TOK-34)', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    const other = scene.sibling()
    let resume = (): void => undefined
    scene.store.before = (operation) => {
      if (operation !== 'renew') return
      scene.store.before = undefined
      return new Promise<void>((resolve) => {
        resume = resolve
      })
    }
    const paused = scene.text()
    await settle(scene.runtime)
    const waiting = other.text()
    await scene.runtime.advance(18_000)
    expect(await waiting).toBe('access-2')
    resume()
    expect(await paused).toBe('access-2')
    expect(scene.server.requests).toHaveLength(2)
  })

  test('one that was paused with an answer in its hands overwrites nothing newer (TOK-34)', async () => {
    const scene = sharedScene({ rotates: false })
    await scene.text()
    await scene.runtime.advance(20 * minute)
    const other = scene.sibling()
    let resume = (): void => undefined
    scene.store.before = (operation, next) => {
      if (operation !== 'compareAndSwap' || next?.sealed.includes('access-2') !== true) return
      scene.store.before = undefined
      return new Promise<void>((resolve) => {
        resume = resolve
      })
    }
    const paused = scene.text()
    await settle(scene.runtime)
    const waiting = other.text()
    await scene.runtime.advance(18_000)
    expect(await waiting).toBe('access-3')
    resume()
    expect(await paused).toBe('access-3')
    expect(scene.content().token?.accessToken).toBe('access-3')
    expect(scene.server.requests).toHaveLength(3)
  })

  test('one that was paused with the only good refresh token in its hands stores it over the mark of another', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    const other = scene.sibling()
    let resume = (): void => undefined
    scene.store.before = (operation, next) => {
      if (operation !== 'compareAndSwap' || next?.sealed.includes('refresh-2') !== true) return
      scene.store.before = undefined
      return new Promise<void>((resolve) => {
        resume = resolve
      })
    }
    const paused = scene.text()
    await settle(scene.runtime)
    scene.server.script.push('request lost', 'request lost', 'request lost') // so that the other one gets no refusal
    const waiting = failure(other.text())
    await scene.runtime.advance(30_000)
    expect(await waiting).toMatchObject({ code: 'ERR_AUTH_REFRESH_OUTCOME_UNKNOWN' })
    expect(scene.record()?.pending?.rtHash).toBe(hash('refresh-1'))
    resume()
    expect(await paused).toBe('access-2')
    expect(scene.content().refreshToken).toBe('refresh-2')
    await scene.runtime.advance(minute)
    expect(await other.text()).toBe('access-2')
  })

  test('one that never lets go is told, not waited for without end', async () => {
    const scene = sharedScene()
    await scene.text()
    const key = [...scene.store.records.keys()][0] ?? ''
    await scene.runtime.advance(20 * minute)
    const signal = new AbortController().signal
    const lease = await scene.store.lease(key, { ttlMs: 3_600_000, waitMs: 0, signal })
    expect(lease).toBeDefined()
    const waiting = failure(scene.text())
    await scene.runtime.advance(60_000)
    expect(await waiting).toMatchObject({ code: 'ERR_STORE_CONFLICT', retryable: true })
    expect(scene.told('store.lease_wait')).toMatchObject([{ held: true }, { held: false }])
    expect(scene.server.requests).toHaveLength(1)
  })
})

describe('a store that fails', () => {
  const down = new StoreError('ERR_STORE_UNAVAILABLE', 'token store: scripted')

  test('keeps a refresh token unsent; the token in force serves until its end (TOK-35)', async () => {
    const { server, runtime, store, text, told } = sharedScene()
    await text()
    store.broken = { load: down, lease: down, compareAndSwap: down }
    await runtime.advance(8.5 * minute)
    expect(await text()).toBe('access-1')
    await runtime.advance(3 * minute)
    await expect(text()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(server.requests).toHaveLength(1)
    expect(told('store.failed').map(({ effect }) => effect)).toContain('refused')
    store.broken = {}
    await runtime.advance(minute)
    expect(await text()).toBe('access-2')
  })

  test('is done without where a token costs nothing but a request (TOK-35)', async () => {
    const { server, store, text, told } = sharedScene({ kind: 'client_credentials' })
    store.broken = { load: down, lease: down, compareAndSwap: down }
    expect(await Promise.all([text(), text()])).toEqual(['access-1', 'access-1'])
    expect(server.requests).toHaveLength(1)
    expect(told('store.failed')).toMatchObject([{ effect: 'alone', code: 'ERR_STORE_UNAVAILABLE' }])
  })

  test('is done without where the operator takes the risk (TOK-35)', async () => {
    const { server, runtime, store, text, content } = sharedScene({ allowUnlockedRefresh: true })
    await text()
    store.broken = { load: down, lease: down, compareAndSwap: down }
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-3')
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1', 'refresh-2'])
    store.broken = {}
    await runtime.advance(2 * minute)
    expect(content()).toMatchObject({ refreshToken: 'refresh-3', token: { accessToken: 'access-3' } })
  })

  test('after a rotation: the new token is used, told loudly, and stored later; the old one is not sent again (TOK-31)', async () => {
    const { server, runtime, store, text, told, content, tokens } = sharedScene()
    await text()
    await runtime.advance(20 * minute)
    server.script.push(async () => {
      store.broken = { compareAndSwap: down }
    })
    expect(await text()).toBe('access-2')
    expect(told('store.failed')[0]).toMatchObject({ code: 'ERR_STORE_WRITE_FAILED', effect: 'unsaved' })
    expect(tokens.status()).toMatchObject([{ isUnsaved: true, state: 'valid' }])
    expect(content().refreshToken).toBe('refresh-1')
    await runtime.advance(10_000)
    store.broken = {}
    await runtime.advance(minute)
    expect(content()).toMatchObject({ refreshToken: 'refresh-2', token: { accessToken: 'access-2' } })
    expect(told('store.recovered')).toHaveLength(1)
    expect(tokens.status()).toMatchObject([{ isUnsaved: false }])
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-3')
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1', 'refresh-2'])
  })

  test('after a rotation: closing waits for the write (TOK-31)', async () => {
    const { server, runtime, store, text, content, tokens } = sharedScene()
    server.script.push(async () => {
      store.broken = { compareAndSwap: down }
    })
    await text()
    const closing = tokens.close({ signal: new AbortController().signal })
    await runtime.advance(3_000)
    store.broken = {}
    await runtime.advance(1_000)
    await closing
    expect(content().refreshToken).toBe('refresh-1')
    expect(runtime.pendingTimers).toBe(0)
  })

  test('after a rotation: others wait for the lease, and do not send the old token (TOK-31)', async () => {
    const scene = sharedScene()
    await scene.text()
    await scene.runtime.advance(20 * minute)
    scene.server.script.push(async () => {
      scene.store.broken = { compareAndSwap: down }
    })
    expect(await scene.text()).toBe('access-2')
    const waiting = scene.sibling().text()
    await scene.runtime.advance(3_000)
    scene.store.broken = {}
    await scene.runtime.advance(10_000)
    expect(await waiting).toBe('access-2')
    expect(scene.server.requests).toHaveLength(2)
  })

  test('to say that it wrote: what was written is found, and nothing is sent twice', async () => {
    const { server, runtime, store, text, content } = sharedScene()
    server.script.push(async () => {
      store.losesAnswers = true
    })
    expect(await text()).toBe('access-1')
    store.losesAnswers = false
    await runtime.advance(minute)
    expect(content()).toMatchObject({ refreshToken: 'refresh-1', token: { accessToken: 'access-1' } })
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1'])
  })

  test('over to an older copy of itself: the newer token in this process is the one that counts', async () => {
    const { server, runtime, store, text, content } = sharedScene()
    await text()
    const key = [...store.records.keys()][0] ?? ''
    const old = store.records.get(key)
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    const { signal } = new AbortController()
    await store.remove(key, store.records.get(key)?.v ?? 0)
    if (old !== undefined) await store.compareAndSwap(key, null, old, { signal })
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-3')
    expect(server.requests.at(-1)?.refreshToken).toBe('refresh-2')
    expect(content().refreshToken).toBe('refresh-3')
  })

  test('by losing everything: this process still has the session', async () => {
    const { server, runtime, store, text, content } = sharedScene()
    await text()
    for (const [key, { v }] of store.records) await store.remove(key, v)
    await runtime.advance(20 * minute)
    expect(await text()).toBe('access-2')
    expect(server.requests.at(-1)?.refreshToken).toBe('refresh-1')
    expect(content().refreshToken).toBe('refresh-2')
  })

  test.each([
    ['not json', 'INVALID'],
    ['{"format":1,"token":{"accessToken":7}}', 'INVALID'],
    ['[]', 'INVALID'],
    ['{"spent":[]}', 'INVALID'],
    ['{"format":1,"token":{"accessToken":"a\\r\\nx: y","tokenType":"Bearer","receivedAt":1,"scope":[]}}', 'INVALID'],
    ['{"format":2,"spent":[]}', 'NEWER'],
  ] as const)('with a record that cannot be read (%s): it is left alone', async (sealed, what) => {
    const { server, store, text, runtime } = sharedScene()
    await text()
    const [key, record] = [...store.records][0] ?? ['', undefined]
    const { signal } = new AbortController()
    await store.compareAndSwap(key, record?.v ?? 0, { v: 9_999_999_999_999, sealed }, { signal })
    await runtime.advance(20 * minute)
    await expect(text()).rejects.toMatchObject({ code: `ERR_STORE_RECORD_${what}` })
    expect(store.records.get(key)?.sealed).toBe(sealed)
    expect(server.requests).toHaveLength(1)
  })

  test('to be opened, since the key is not in the ring: no refresh token is sent, no record overwritten', async () => {
    const unreadable = new StoreError('ERR_STORE_DECRYPT_FAILED', 'token store: scripted')
    const cipher = { seal: async (text: string) => `sealed:${text}`, open: async (text: string) => text.slice(7) }
    const good = sharedScene({ encryption: cipher, allowUnlockedRefresh: true })
    await good.text()
    const wrong = good.sibling({ encryption: { ...cipher, open: () => Promise.reject(unreadable) } })
    await expect(wrong.text()).rejects.toMatchObject({ code: 'ERR_STORE_DECRYPT_FAILED' })
    expect(good.server.requests).toHaveLength(1)
    expect(good.record()?.sealed).toMatch(/^sealed:/)
    await good.runtime.advance(20 * minute)
    expect(await good.text()).toBe('access-2')
  })

  test('by a cipher that fails with an error of its own: ERR_STORE_UNAVAILABLE, of which nothing is shown, and no token that is free is lost', async () => {
    const said = new Error('key service: cannot seal access-1 refresh-0')
    const encryption = { seal: () => Promise.reject(said), open: () => Promise.reject(said) }
    const bound = sharedScene({ encryption })
    const error = await bound.text().then(String, (reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'StoreError', code: 'ERR_STORE_UNAVAILABLE' })
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toMatch(/key service|access-1/)
    expect(bound.server.requests).toEqual([])
    const free = tokenScene({ store: memoryTokenStore(), encryption })
    expect(await free.text()).toBe('access-1')
  })
})

const histories = isFull ? 2_000 : 100

test('a refresh token is never sent twice by accident, whatever fails, in many random histories', async () => {
  for (let seed = 0; seed < histories; seed += 1) {
    const runtime = createTestRuntime({ seed: `history ${seed}` })
    const random = (n: number): number => (runtime.random(1)[0] ?? 0) % n
    const scene = sharedScene()
    const all = [scene, scene.sibling(), scene.sibling()]
    scene.server.delayMs = 100
    for (let step = 0; step < 12; step += 1) {
      const who = all[random(3)] ?? scene
      const failing = random(8)
      if (failing === 0) scene.server.script.push('unreachable')
      if (failing === 1) scene.server.script.push('request lost')
      if (failing === 2) scene.server.script.push({ retryAfterMs: 1_000 })
      if (failing === 3) scene.server.script.push('invalid after rotation')
      if (failing === 4) scene.store.broken = { compareAndSwap: new StoreError('ERR_STORE_UNAVAILABLE', 'scripted') }
      if (failing === 5) scene.store.losesAnswers = true
      const waiting = [failure(who.text()), failure((all[random(3)] ?? scene).text())]
      await scene.runtime.advance(random(2) === 0 ? 50 : 5_000)
      scene.store.broken = {}
      scene.store.losesAnswers = false
      scene.server.script.length = 0
      await scene.runtime.advance(60_000)
      for (const outcome of await Promise.all(waiting)) {
        if (outcome instanceof AuthError) expect(outcome.code).not.toBe('ERR_AUTH_REAUTH_REQUIRED')
      }
      await scene.runtime.advance(20 * minute)
    }
    scene.server.delayMs = 0
    const last = await scene.text()
    expect(last).toBe(`access-${scene.server.issued}`)
    expect(scene.server.refreshToken).toBeDefined()
  }
})
