import { describe, expect, test, vi } from 'vitest'
import { StoreError } from '../../src/errors/errors.ts'
import { type SceneOptions, type SharedScene, sharedScene } from './token-scene.ts'

const minute = 60_000
const ended = { code: 'ERR_AUTH_REAUTH_REQUIRED', reason: 'revoked' }

/** A session that the server is about to refuse: its token is over, and the refresh token was revoked. */
async function refusedScene(options: SceneOptions = {}): Promise<SharedScene> {
  const scene = sharedScene(options)
  await scene.text()
  await scene.runtime.advance(20 * minute)
  scene.server.refreshToken = 'revoked by an administrator'
  return scene
}

/** Runs once, right before the end of a session is written for the first time. */
function beforeFirstTombstone({ store }: SharedScene, run: () => Promise<void>): void {
  let isFirst = true
  store.before = async (operation, next) => {
    if (!isFirst || operation !== 'compareAndSwap' || next?.tombstone === undefined) return
    isFirst = false
    await run()
  }
}

describe('the end of a session', () => {
  test('that the store does not take counts here at once, and for the others as soon as it is stored', async () => {
    const onReauthRequired = vi.fn()
    const scene = await refusedScene({ onReauthRequired })
    const { store, server, runtime, text, record, told } = scene
    store.before = (_, next) => {
      if (next?.tombstone !== undefined) throw new StoreError('ERR_STORE_UNAVAILABLE', 'scripted')
    }
    await expect(text()).rejects.toMatchObject(ended)
    expect(told('store.failed')).toMatchObject([{ effect: 'unsaved' }])
    await runtime.advance(10 * minute)
    await expect(text()).rejects.toMatchObject(ended) // the record still has the old tokens, and its mark
    expect([server.requests.length, record()?.tombstone, onReauthRequired.mock.calls.length]).toEqual([2, undefined, 1])
    store.before = undefined
    await runtime.advance(minute)
    expect(record()?.tombstone).toMatchObject({ reason: 'revoked' })
    await expect(scene.sibling().text()).rejects.toMatchObject(ended)
    expect(server.requests).toHaveLength(2)
  })

  test('is remembered while the store does not answer at all, by whoever renews without it', async () => {
    const { store, server, runtime, text } = await refusedScene({ allowUnlockedRefresh: true })
    await expect(text()).rejects.toMatchObject(ended)
    const down = new StoreError('ERR_STORE_UNAVAILABLE', 'scripted')
    store.broken = { load: down, compareAndSwap: down, lease: down }
    await runtime.advance(10 * minute)
    await expect(text()).rejects.toMatchObject(ended)
    expect(server.requests).toHaveLength(2) // the configured refresh token is not sent again
  })

  test('is written over marks that others make around the same tokens meanwhile', async () => {
    const scene = await refusedScene()
    const { store, text, record } = scene
    beforeFirstTombstone(scene, async () => {
      const [[key, before] = ['', undefined]] = [...store.records]
      if (before === undefined) throw new Error('no record')
      const marked = { ...before, v: before.v + 1 }
      await store.compareAndSwap(key, before.v, marked, { signal: new AbortController().signal })
    })
    await expect(text()).rejects.toMatchObject(ended)
    expect(record()?.tombstone).toMatchObject({ reason: 'revoked' })
    await expect(scene.sibling().text()).rejects.toMatchObject(ended)
  })

  test('by containment reaches the tokens that another process gains at the same time', async () => {
    const scene = sharedScene()
    const { server, tokens, runtime, text, record } = scene
    await text()
    await runtime.advance(20 * minute)
    const other = scene.sibling()
    beforeFirstTombstone(scene, async () => void (await other.text()))
    await tokens.revoke()
    expect(record()?.tombstone).toMatchObject({ reason: 'revoked' })
    expect(server.revoked.map(({ token }) => token)).toEqual(
      expect.arrayContaining(['refresh-1', 'refresh-2', 'access-2']),
    )
  })

  test('is over when somebody removed its record: the configuration counts again', async () => {
    const scene = await refusedScene()
    const { server, runtime, text } = scene
    await expect(text()).rejects.toMatchObject(ended)
    await scene.sibling().tokens.forget()
    server.refreshToken = 'refresh-0' // somebody authorized again
    await runtime.advance(10 * minute)
    expect(await text()).toBe('access-2')
  })
})
