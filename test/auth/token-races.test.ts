import { describe, expect, test, vi } from 'vitest'
import { createTokenAuthenticator } from '../../src/auth/token-authenticator.ts'
import { AuthError, StoreError } from '../../src/errors/errors.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { isFull } from '../support/tier.ts'
import { attemptTo, settle, sharedScene, type TokenScene } from './token-scene.ts'

const minute = 60_000
const down = new StoreError('ERR_STORE_UNAVAILABLE', 'scripted')

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => (error instanceof AuthError || error instanceof StoreError ? error.code : error),
  )

describe('containment', () => {
  test('during a renewal revokes what the renewal brings, and nobody gets it', async () => {
    const scene = sharedScene()
    const { server, tokens, runtime, text } = scene
    await text()
    await runtime.advance(20 * minute)
    server.delayMs = 1_000
    const renewing = outcome(text())
    await runtime.advance(500)
    const revoking = tokens.revoke()
    const late = outcome(text())
    await runtime.advance(5_000)
    await revoking
    expect(server.revoked.map(({ token }) => token)).toContain('refresh-2')
    expect(server.revoked.map(({ token }) => token)).toContain('access-2')
    expect(await renewing).toBe('access-2') // asked before
    expect(await late).toBe('ERR_AUTH_REAUTH_REQUIRED')
    expect(scene.record()?.tombstone?.reason).toBe('revoked')
  })

  test('a second time leaves the end in place: no process sends the spent refresh token of the configuration', async () => {
    const scene = sharedScene()
    const { store } = scene
    await scene.text()
    await scene.tokens.revoke()
    await scene.tokens.revoke()
    expect(scene.record()?.tombstone?.reason).toBe('revoked')
    expect(await outcome(scene.sibling({ store }).text())).toBe('ERR_AUTH_REAUTH_REQUIRED')
    expect(scene.server.requests).toHaveLength(1)
  })

  test('revoking on close ends the session of a configured refresh token: a restart does not send it again', async () => {
    const scene = sharedScene({ revokeOnClose: true })
    const { store } = scene
    await scene.text()
    await scene.tokens.close({ signal: new AbortController().signal })
    expect(await outcome(scene.sibling({ store }).text())).toBe('ERR_AUTH_REAUTH_REQUIRED')
    expect(scene.server.requests).toHaveLength(1)
  })

  test('while the store is down ends the session here at once, and for the others as soon as it is back', async () => {
    const scene = sharedScene()
    const { store } = scene
    await scene.text()
    store.broken = { load: down, compareAndSwap: down }
    await scene.tokens.revoke()
    expect(scene.server.revoked.map(({ token }) => token)).toContain('refresh-1')
    expect(scene.told('store.failed')).not.toHaveLength(0)
    store.broken = {}
    await scene.runtime.advance(minute)
    expect(scene.record()?.tombstone?.reason).toBe('revoked')
    expect(await outcome(scene.text())).toBe('ERR_AUTH_REAUTH_REQUIRED')
  })

  test('is not undone by the late answer of another process', async () => {
    const scene = sharedScene()
    const { store } = scene
    await scene.text()
    await scene.runtime.advance(20 * minute)
    const other = scene.sibling({ store })
    scene.server.delayMs = 1_000
    const renewing = outcome(other.text())
    await scene.runtime.advance(500)
    await scene.tokens.revoke()
    await scene.runtime.advance(minute)
    expect(await renewing).toBe('ERR_AUTH_REAUTH_REQUIRED')
    expect(scene.record()?.tombstone?.reason).toBe('revoked')
  })

  test('ends a session that this process has not used yet', async () => {
    const scene = sharedScene()
    const { store } = scene
    await scene.text()
    const other = scene.sibling({ store })
    await other.tokens.revoke()
    expect(scene.server.revoked.map(({ token }) => token)).toEqual(['refresh-1', 'access-1'])
    expect(scene.record()?.tombstone?.reason).toBe('revoked')
  })

  test('never removes a record that cannot be opened', async () => {
    const scene = sharedScene()
    const { store } = scene
    const broken = new StoreError('ERR_STORE_DECRYPT_FAILED', 'scripted')
    const encryption = { seal: async (text: string) => `x${text}`, open: async (text: string) => text.slice(1) }
    const good = scene.sibling({ store, encryption })
    await good.text()
    const wrong = scene.sibling({ store, encryption: { ...encryption, open: () => Promise.reject(broken) } })
    const before = [...store.records.values()]
    await wrong.tokens.revoke()
    await expect(wrong.tokens.forget()).rejects.toMatchObject({ code: 'ERR_STORE_DECRYPT_FAILED' })
    expect([...store.records.values()]).toEqual(before)
    expect(wrong.told('store.failed')).toMatchObject([{ code: 'ERR_STORE_DECRYPT_FAILED' }])
  })
})

test('containment during an early renewal stops the token in force at once', async () => {
  const scene = sharedScene()
  const { server, tokens, runtime, text } = scene
  await text()
  await runtime.advance(8.5 * minute)
  server.delayMs = 1_000
  expect(await text()).toBe('access-1') // and a renewal begins
  const revoking = tokens.revoke()
  const late = outcome(text())
  await runtime.advance(5_000)
  await revoking
  expect(await late).toBe('ERR_AUTH_REAUTH_REQUIRED')
})

test('a second rejection of a token that was replaced meanwhile casts no doubt on the server: the next one renews', async () => {
  const scene = sharedScene()
  const { tokens, runtime, text } = scene
  const session = tokens.session(undefined)
  await text()
  const old = session.current?.version ?? ''
  await runtime.advance(20 * minute)
  await text()
  const origin = 'https://api.example'
  expect(session.reject(old, origin, true)).toBe(false)
  expect(session.reject(session.current?.version ?? '', origin, false)).toBe(true)
})

describe('closing', () => {
  test('begins no renewal that it would cut off', async () => {
    const scene = sharedScene({ hasTenants: true })
    const { server, tokens, runtime, text } = scene
    await text({ tenant: 'one' })
    const one = tokens.session('one')
    server.script.push('hang')
    const other = outcome(text({ tenant: 'other' }))
    await settle(runtime)
    const closed = tokens.close({ signal: new AbortController().signal })
    await settle(runtime)
    one.reject(one.current?.version ?? '', 'https://api.example', false)
    one.renewSoon()
    expect(await outcome(one.get(0, null))).toBe('ERR_AUTH_CLOSED')
    await runtime.advance(minute)
    await closed
    expect(server.requests.slice(1).map(({ tenant }) => tenant)).toEqual(['other', 'other']) // and not `one` again
    await other
  })

  test.each(['store down', 'endpoint hangs', 'both'])('leaves no timer: %s', async (what) => {
    const scene = sharedScene()
    const { store } = scene
    const { server, tokens, runtime, text } = scene
    await text()
    await runtime.advance(20 * minute)
    if (what !== 'endpoint hangs')
      store.before = (operation, next) => {
        if (operation === 'compareAndSwap' && next?.pending === undefined) store.broken = { compareAndSwap: down }
      }
    if (what === 'store down') await text()
    else if (what === 'both') {
      await text()
      await runtime.advance(20 * minute)
    }
    server.script.push('hang', 'hang', 'hang')
    const waiting = outcome(text())
    await runtime.advance(100)
    const end = new AbortController()
    const closed = tokens.close({ signal: end.signal })
    await runtime.advance(100)
    end.abort(new Error('over'))
    await closed
    await settle(runtime)
    await waiting
    expect(runtime.pendingTimers).toBe(0)
  })
})

describe('a store', () => {
  test.each(['load', 'lease', 'compareAndSwap'])('that hangs at %s keeps nobody for ever', async (operation) => {
    const scene = sharedScene()
    const { store } = scene
    store.before = (called) => (called === operation ? new Promise(() => undefined) : undefined)
    const waiting = outcome(scene.text())
    await scene.runtime.advance(5 * minute)
    expect(await Promise.race([waiting, 'waits still'])).toMatch(/^ERR_STORE|^access-/)
  })

  test('may forget a token whose server names no lifetime, when it is not used any more', async () => {
    const scene = sharedScene({ kind: 'client_credentials' })
    const { store } = scene
    scene.server.lifetimeMs = undefined
    await scene.text()
    const [key = ''] = [...store.records.keys()]
    const { signal } = new AbortController()
    expect(await store.load(key, signal)).toBeDefined()
    await scene.runtime.advance(6 * minute)
    expect(await store.load(key, signal)).toBeUndefined()
  })

  test('whose record changes in every round is a conflict, with a certificate too', async () => {
    const scene = sharedScene({ binding: () => 'thumbprint' })
    const { store } = scene
    await scene.text()
    await scene.runtime.advance(20 * minute)
    let v = 2_000_000_000_000
    store.before = async (operation, next) => {
      if (operation !== 'compareAndSwap' || next?.pending === undefined) return
      const [key = 'none'] = [...store.records.keys()]
      const before = store.before
      store.before = undefined
      const { signal } = new AbortController()
      const content = JSON.stringify({ format: 1, refreshToken: `changed-${v}`, spent: [] })
      v += 1
      await store.compareAndSwap(key, store.records.get(key)?.v ?? null, { v, sealed: content }, { signal })
      store.before = before
    }
    expect(await outcome(scene.text())).toBe('ERR_STORE_CONFLICT')
    expect(scene.server.requests).toHaveLength(1)
  })
})

describe('many tenants', () => {
  test('that renew at once are no leak of listeners', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    const scene = sharedScene({ hasTenants: true, kind: 'client_credentials' })
    scene.server.delayMs = 100
    const all = Array.from({ length: 50 }, (_, n) => scene.text({ tenant: `tenant ${n}` }))
    await scene.runtime.advance(1_000)
    await Promise.all(all)
    process.off('warning', warned)
    expect(warned.mock.calls.filter(([warning]) => warning.name === 'MaxListenersExceededWarning')).toEqual([])
  })

  test('of which one is evicted between a rejection and its second attempt: the rejected token is not adopted again', async () => {
    const scene = sharedScene({ hasTenants: true, maxTenants: 1, kind: 'client_credentials' })
    const { tokens, runtime, events, server } = scene
    let tenant = 'one'
    const emit = (event: (typeof events)[number]): void => void events.push(event)
    const auth = createTokenAuthenticator({ tokens, runtime, emit, tenant: () => tenant })
    const attempt = attemptTo('https://api.example/')
    expect(await auth.apply(attempt)).toEqual({ authorization: 'Bearer access-1' })
    await runtime.advance(2_000)
    const head = { status: 401, headers: new Headers({ 'www-authenticate': 'Bearer error="invalid_token"' }) }
    expect(await auth.onResponse?.({ ...head, receivedAt: runtime.clock.now() }, attempt)).toMatchObject({
      retry: 'token',
    })
    tenant = 'other'
    await auth.apply(attemptTo('https://api.example/'))
    tenant = 'one'
    expect(await auth.apply({ ...attempt, number: 1 })).toEqual({ authorization: 'Bearer access-3' })
    expect(server.requests).toHaveLength(3)
  })
})

const histories = isFull ? 2_000 : 60

test('crashes, clocks that step, callers who give up, rejections: no session is lost that the server did not lose', async () => {
  for (let seed = 0; seed < histories; seed += 1) {
    const chance = createTestRuntime({ seed: `race ${seed}` })
    const random = (n: number): number => (chance.random(1)[0] ?? 0) % n
    const scene = sharedScene()
    const { store } = scene
    const { runtime, server } = scene
    const processes = [scene, scene.sibling({ store })]
    server.delayMs = 200
    for (let step = 0; step < 15; step += 1) {
      const at = random(2)
      const who = processes[at] ?? scene
      const asked = new AbortController()
      const what = random(9)
      if (what === 0) runtime.setWall(runtime.clock.now() + (random(9) - 4) * 60 * minute)
      if (what === 1) server.script.push('unreachable')
      if (what === 2) server.script.push('request lost')
      if (what === 3) who.tokens.invalidate(await orNone(who), 'rejected')
      if (what === 4) store.broken = { [['load', 'lease', 'renew'][random(3)] ?? 'load']: down }
      if (what === 5) server.lifetimeMs = [0, 1_000, 600_000, undefined][random(4)]
      const waiting = [outcome(who.text({ signal: asked.signal })), outcome((processes[random(2)] ?? scene).text())]
      await runtime.advance(random(300))
      if (random(3) === 0) asked.abort(new Error('gave up'))
      store.broken = {}
      if (what === 6)
        await Promise.all([who.tokens.close({ signal: new AbortController().signal }), runtime.advance(30_000)])
      if (what >= 6) processes[at] = scene.sibling({ store }) // 7 and 8: left where it is, and another one started
      await runtime.advance(90_000)
      for (const end of await Promise.all(waiting)) expect(end, `seed ${seed}`).not.toBe('ERR_AUTH_REAUTH_REQUIRED')
      server.script.length = 0
      await runtime.advance(random(3) * 4 * minute)
    }
    await runtime.advance(10 * minute)
    expect(server.refreshToken, `seed ${seed}`).toBeDefined()
    expect(runtime.pendingTimers).toBeLessThan(10)
  }
})

async function orNone({ tokens, runtime }: TokenScene) {
  const asked = tokens.get()
  asked.catch(() => undefined)
  await runtime.advance(90_000)
  return await asked
}
